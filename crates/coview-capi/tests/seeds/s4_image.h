// Seed 4: the head of the shared memory, and the names that both programs know.
#define IMAGE_BYTES 3145728
#define IMAGE_FRAMES 20

struct ImageHead
{
    DWORD size;
    char name[64];
    DWORD frame;
    DWORD sum;
};

static const char MEMORY_NAME[] = "Local\\ImageMemory";
static const char LOCK_NAME[] = "Local\\ImageLock";
static const char WRITTEN_NAME[] = "Local\\ImageWritten";
static const char READ_NAME[] = "Local\\ImageRead";

static DWORD image_sum(const BYTE *image)
{
    DWORD sum = 0;
    for (DWORD at = 0; at < IMAGE_BYTES; at++) sum = sum * 31 + image[at];
    return sum;
}
