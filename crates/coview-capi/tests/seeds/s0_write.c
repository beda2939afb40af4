/* Seed 0, process A: puts a text into named memory and keeps it for a while. */
#include <stdio.h>
#include <windows.h>

int main(int argc, char **argv) {
    static const char message[] = "This is a share memory";
    HANDLE mapping = CreateFileMapping(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, 2048, "ShareMemory");
    LPVOID view;
    if (mapping == NULL) {
        printf("CreateFileMapping failed (%u)\n", (unsigned)GetLastError());
        return 1;
    }
    view = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, 0);
    if (view == NULL) {
        printf("MapViewOfFile failed (%u)\n", (unsigned)GetLastError());
        CloseHandle(mapping);
        return 1;
    }
    CopyMemory(view, message, sizeof message);
    printf("written\n");
    fflush(stdout);
    /* For 20 s, or as long as whoever started us wants. */
    if (argc > 1 && argv[1][0] == '-') getchar(); else Sleep(20000);
    UnmapViewOfFile(view);
    CloseHandle(mapping);
    return 0;
}
