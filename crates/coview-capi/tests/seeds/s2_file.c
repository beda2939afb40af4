/* Seed 2: a mapping named SharedMemory on the file SharedMemory.bin, guarded by a mutex; and what its protections forbid.
 * Started without a word it writes and waits; "read" reads, tries what is forbidden, and goes beyond 4 GiB in a file of its own. */
#include <stdio.h>
#include <string.h>
#include <windows.h>

static HANDLE open_file(const char *path, DWORD access) {
    return CreateFileA(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
}

static int fail(const char *what) {
    printf("%s failed (%u)\n", what, (unsigned)GetLastError());
    return 1;
}

static int write_it(void) {
    HANDLE lock = CreateMutexA(NULL, TRUE, "SharedMemoryLock");
    HANDLE file = open_file("SharedMemory.bin", GENERIC_READ | GENERIC_WRITE);
    HANDLE mapping = CreateFileMappingA(file, NULL, PAGE_READWRITE, 0, 65536, "SharedMemory");
    char *view = mapping ? (char *)MapViewOfFile(mapping, FILE_MAP_WRITE, 0, 0, 0) : NULL;
    if (!lock || !view) return fail("writer");
    strcpy(view, "bytes of the writer");
    ReleaseMutex(lock);
    printf("written\n");
    fflush(stdout);
    getchar();
    WaitForSingleObject(lock, INFINITE);
    printf("reader says: %s\n", view + 100);
    ReleaseMutex(lock);
    FlushViewOfFile(view, 0);
    UnmapViewOfFile(view);
    CloseHandle(mapping);
    CloseHandle(file);
    CloseHandle(lock);
    return 0;
}

static int beyond_4_gib(void) {
    const DWORD high = 1, low = 0x10000; /* 4 GiB and 64 KiB */
    HANDLE file = open_file("Large.bin", GENERIC_READ | GENERIC_WRITE);
    HANDLE mapping = CreateFileMappingA(file, NULL, PAGE_READWRITE | SEC_RESERVE, high, low + 0x10000, NULL);
    char *view = mapping ? (char *)MapViewOfFile(mapping, FILE_MAP_WRITE, high, low, 0x10000) : NULL;
    if (!view) return fail("beyond 4 GiB");
    strcpy(view, "far out");
    UnmapViewOfFile(view);
    view = (char *)MapViewOfFile(mapping, FILE_MAP_READ, high, 0, 0x20000);
    if (!view) return fail("second view");
    printf("beyond 4 GiB: %s\n", view + low);
    UnmapViewOfFile(view);
    CloseHandle(mapping);
    CloseHandle(file);
    DeleteFileA("Large.bin");
    return 0;
}

static int read_it(void) {
    HANDLE lock = OpenMutexA(SYNCHRONIZE, FALSE, "SharedMemoryLock");
    HANDLE mapping = OpenFileMappingA(FILE_MAP_ALL_ACCESS, FALSE, "SharedMemory");
    HANDLE readable = OpenFileMappingA(FILE_MAP_READ, FALSE, "SharedMemory");
    char *view, *copy;
    if (!lock || !mapping || !readable) return fail("reader");
    if (WaitForSingleObject(lock, 5000) != WAIT_OBJECT_0) return fail("lock");
    view = (char *)MapViewOfFile(mapping, FILE_MAP_WRITE, 0, 0, 0);
    copy = (char *)MapViewOfFile(readable, FILE_MAP_COPY, 0, 0, 0);
    if (!view || !copy) return fail("views");
    printf("read: %s\n", view);
    strcpy(view + 100, "bytes of the reader");
    strcpy(copy, "a private change");
    printf("private: %s, shared: %s\n", copy, view);
    if (MapViewOfFile(readable, FILE_MAP_WRITE, 0, 0, 0) == NULL)
        printf("writing through a handle for reading: refused (%u)\n", (unsigned)GetLastError());
    ReleaseMutex(lock);
    UnmapViewOfFile(copy);
    UnmapViewOfFile(view);
    CloseHandle(readable);
    CloseHandle(mapping);
    CloseHandle(lock);
    return beyond_4_gib();
}

int main(int argc, char **argv) {
    return argc > 1 && !strcmp(argv[1], "read") ? read_it() : write_it();
}
