// Seed 1, second process: shows the message of the first in a box, and says it too for those who have no screen.
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
#ifdef _MSC_VER
#pragma comment(lib, "user32.lib")
#endif

#define BUF_SIZE 256
TCHAR szName[] = TEXT("Global\\MyFileMappingObject");

int _tmain(int argc, TCHAR *argv[])
{
    HANDLE hMapFile = OpenFileMapping(FILE_MAP_ALL_ACCESS, FALSE, szName);
    LPCTSTR pBuf;

    if (hMapFile == NULL)
    {
        _tprintf(TEXT("Could not open file mapping object (%d).\n"), (int)GetLastError());
        return 1;
    }
    pBuf = (LPTSTR)MapViewOfFile(hMapFile, FILE_MAP_ALL_ACCESS, 0, 0, BUF_SIZE);
    if (pBuf == NULL)
    {
        _tprintf(TEXT("Could not map view of file (%d).\n"), (int)GetLastError());
        CloseHandle(hMapFile);
        return 1;
    }
    if (argc > 1 && _tcscmp(argv[1], TEXT("say")) == 0)
        _tprintf(TEXT_AS TEXT(": ") TEXT_AS TEXT("\n"), TEXT("Process2"), pBuf);
    else
        MessageBox(NULL, pBuf, TEXT("Process2"), MB_OK);
    UnmapViewOfFile(pBuf);
    CloseHandle(hMapFile);
    return 0;
}
