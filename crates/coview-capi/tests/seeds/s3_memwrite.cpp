// Seed 3, MemWrite: a struct in named memory; spelt as old programs are, with INVALID_HANDLE_VALUE in 32 bits.
#include "stdafx.h"
#include <windows.h>
#include <iostream.h>
#include <string.h>
#include "s3_student.h"

int main(int, char **)
{
    int result = 1;
#ifdef _WIN32
    HANDLE none = INVALID_HANDLE_VALUE;
#else
    HANDLE none = (HANDLE)0xFFFFFFFF;
#endif
    HANDLE hMap = CreateFileMappingA(none, NULL, PAGE_READWRITE, 0, sizeof(student), "TestMemShare");
    student *pStudent = NULL;
    if (hMap == NULL)
    {
        cout << "CreateFileMapping failed: " << GetLastError() << endl;
        goto EXIT;
    }
    pStudent = (student *)MapViewOfFile(hMap, FILE_MAP_WRITE, 0, 0, sizeof(student));
    if (pStudent == NULL)
    {
        cout << "MapViewOfFile failed: " << GetLastError() << endl;
        goto EXIT;
    }
    pStudent->ID = 99041232;
    strcpy(pStudent->name, "SecBug");
    cout << "written" << endl;
    cin.get();
    result = 0;
EXIT:
    if (pStudent) UnmapViewOfFile(pStudent);
    if (hMap) CloseHandle(hMap);
    return result;
}
