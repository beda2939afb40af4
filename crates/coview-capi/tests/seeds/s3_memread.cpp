// Seed 3, MemRead: opens for reading, copies the struct, prints it; and finds that it cannot write.
#include "stdafx.h"
#include <Windows.h>
#include <iostream.h>
#include <stdlib.h>
#include "s3_student.h"

int main(int, char **)
{
    HANDLE hMap = OpenFileMappingA(FILE_MAP_READ, NULL, "TestMemShare");
    if (hMap == NULL)
    {
        cout << "OpenFileMapping failed: " << GetLastError() << endl;
        return 1;
    }
    const student *pStudent = (const student *)MapViewOfFile(hMap, FILE_MAP_READ, 0, 0, 0);
    if (pStudent == NULL)
    {
        cout << "MapViewOfFile failed: " << GetLastError() << endl;
        return 1;
    }
    student copy = *pStudent;
    cout << copy.ID << endl << copy.name << endl;
    if (MapViewOfFile(hMap, FILE_MAP_WRITE, 0, 0, 0) == NULL)
        cout << "for writing: refused " << GetLastError() << endl;
    UnmapViewOfFile(pStudent);
    CloseHandle(hMap);
    system("pause");
    return 0;
}
