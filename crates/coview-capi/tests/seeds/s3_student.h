// What MemWrite and MemRead share. A C long has 4 bytes on Windows and 8 on Linux; LONG has 4 on both.
struct student
{
    LONG ID;
    char name[20];
};
