/* Seed 0, process B: prints the text that A put there. */
#include <stdio.h>
#include <windows.h>

int main(void) {
    char text[2048];
    LPVOID view;
    HANDLE mapping = OpenFileMapping(FILE_MAP_ALL_ACCESS, FALSE, "ShareMemory");
    if (mapping == NULL) {
        printf("OpenFileMapping failed (%u)\n", (unsigned)GetLastError());
        return 1;
    }
    view = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, 0);
    if (view == NULL) {
        printf("MapViewOfFile failed (%u)\n", (unsigned)GetLastError());
        return 1;
    }
    lstrcpyn(text, (LPCSTR)view, sizeof text);
    printf("%s\n", text);
    UnmapViewOfFile(view);
    CloseHandle(mapping);
    return 0;
}
