/* Makes a named mapping with raw Win32 calls, writes a text, and keeps it until its input ends.
 *
 * mem_write NAME SIZE TEXT            a section on the paging file
 * mem_write NAME SIZE TEXT readonly   one that no view may write (and so without the text)
 *
 * Says "@0" (made) or "@183" (there already) when the text is there; exits with the last error if anything fails. */
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
    if (argc < 4) return 87;
    BOOL readonly = argc > 4;
    HANDLE mapping = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, readonly ? PAGE_READONLY : PAGE_READWRITE, 0,
                                        (DWORD)strtoul(argv[2], NULL, 0), argv[1]);
    DWORD last = GetLastError();
    if (!mapping) return fail("CreateFileMapping");
    char *view = MapViewOfFile(mapping, readonly ? FILE_MAP_READ : FILE_MAP_ALL_ACCESS, 0, 0, 0);
    if (!view) return fail("MapViewOfFile");
    if (!readonly) strcpy(view, argv[3]);
    printf("@%lu\n", last);
    fflush(stdout);
    while (getchar() != EOF) {}
    if (!UnmapViewOfFile(view)) return fail("UnmapViewOfFile");
    if (!CloseHandle(mapping)) return fail("CloseHandle");
    return 0;
}
