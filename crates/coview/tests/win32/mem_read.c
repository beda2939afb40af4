/* Opens a mapping with raw Win32 calls and says the text in it, after an "@".
 *
 * mem_read NAME                by its name
 * mem_read handle VALUE        by an inherited handle, in hexadecimal
 * mem_read NAME ANSWER         by its name, and writes an answer behind the text
 *
 * Exits with the last error if anything fails. */
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *call)
{
    DWORD error = GetLastError();
    fprintf(stderr, "%s: error %lu\n", call, error);
    return (int)error;
}

int main(int argc, char **argv)
{
    if (argc < 2) return 87;
    BOOL inherited = argc > 2 && strcmp(argv[1], "handle") == 0;
    BOOL answers = argc > 2 && !inherited;
    DWORD access = answers ? FILE_MAP_READ | FILE_MAP_WRITE : FILE_MAP_READ;
    HANDLE mapping = inherited ? (HANDLE)(ULONG_PTR)strtoull(argv[2], NULL, 16) : OpenFileMappingA(access, FALSE, argv[1]);
    if (!mapping) return fail("OpenFileMapping");
    char *view = MapViewOfFile(mapping, access, 0, 0, 0);
    if (!view) return fail("MapViewOfFile");
    printf("@%s\n", view);
    if (answers) strcpy(view + strlen(view) + 1, argv[2]);
    if (!UnmapViewOfFile(view)) return fail("UnmapViewOfFile");
    if (!CloseHandle(mapping)) return fail("CloseHandle");
    return 0;
}
