// Seed 1, first process: text in TCHAR, narrow or wide, in Global\, for as long as it runs.
#include <windows.h>
#include <stdio.h>
#include <conio.h>
#include <tchar.h>

// In wide printf, "%s" is wide text for Visual C++ and narrow text for the standard; "%ls" is wide for both.
#ifdef UNICODE
#define TEXT_AS TEXT("%ls")
#else
#define TEXT_AS TEXT("%s")
#endif

#define BUF_SIZE 256
TCHAR szName[] = TEXT("Global\\MyFileMappingObject");
TCHAR szMsg[] = TEXT("Message from first process");

int _tmain()
{
    HANDLE hMapFile;
    LPTSTR pBuf;

    hMapFile = CreateFileMapping(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, BUF_SIZE, szName);
    if (hMapFile == NULL)
    {
        _tprintf(TEXT("Could not create file mapping object (%d).\n"), (int)GetLastError());
        return 1;
    }
    pBuf = (LPTSTR)MapViewOfFile(hMapFile, FILE_MAP_ALL_ACCESS, 0, 0, BUF_SIZE);
    if (pBuf == NULL)
    {
        _tprintf(TEXT("Could not map view of file (%d).\n"), (int)GetLastError());
        CloseHandle(hMapFile);
        return 1;
    }
    CopyMemory((PVOID)pBuf, szMsg, (_tcslen(szMsg) + 1) * sizeof(TCHAR));
    _tprintf(TEXT_AS TEXT(": %u bytes a character\n"), TEXT("ready"), (unsigned)sizeof(TCHAR));
    fflush(stdout);
    getchar();
    UnmapViewOfFile(pBuf);
    CloseHandle(hMapFile);
    return 0;
}
