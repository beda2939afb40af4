// Seed 4: frames of an image go one way, word of them both ways. "send" starts "view" as its child, which gets the mapping by
// inheritance: its handle's value is the child's argument; and shows the trap of the mutex with the mapping's name.
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "s4_image.h"

static int fail(const char *what)
{
    printf("%s failed (%u)\n", what, (unsigned)GetLastError());
    return 1;
}

static int view(HANDLE mapping)
{
    HANDLE lock = OpenMutexA(SYNCHRONIZE, FALSE, LOCK_NAME);
    HANDLE written = OpenEventA(SYNCHRONIZE, FALSE, WRITTEN_NAME);
    HANDLE read = OpenEventA(EVENT_MODIFY_STATE, FALSE, READ_NAME);
    const BYTE *bytes = (const BYTE *)MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
    if (!lock || !written || !read || !bytes) return fail("view");
    const ImageHead *head = (const ImageHead *)bytes;
    for (DWORD frame = 1; frame <= IMAGE_FRAMES; frame++)
    {
        if (WaitForSingleObject(written, 30000) != WAIT_OBJECT_0) return fail("written");
        if (WaitForSingleObject(lock, 30000) != WAIT_OBJECT_0) return fail("lock");
        if (head->frame != frame || head->sum != image_sum(bytes + sizeof *head)) return fail("frame");
        ReleaseMutex(lock);
        SetEvent(read);
    }
    printf("%s: %u frames of %u bytes\n", head->name, (unsigned)head->frame, (unsigned)head->size);
    return 0;
}

static int send(const char *self)
{
    SECURITY_ATTRIBUTES handed = { sizeof handed, NULL, TRUE };
    HANDLE mapping = CreateFileMappingA(INVALID_HANDLE_VALUE, &handed, PAGE_READWRITE, 0, IMAGE_BYTES + sizeof(ImageHead), MEMORY_NAME);
    HANDLE lock = CreateMutexA(NULL, FALSE, LOCK_NAME);
    HANDLE written = CreateEventA(NULL, FALSE, FALSE, WRITTEN_NAME);
    HANDLE read = CreateEventA(NULL, FALSE, FALSE, READ_NAME);
    BYTE *bytes = mapping ? (BYTE *)MapViewOfFile(mapping, FILE_MAP_WRITE, 0, 0, 0) : NULL;
    if (!lock || !written || !read || !bytes) return fail("send");
    if (CreateMutexA(NULL, FALSE, MEMORY_NAME) == NULL)
        printf("a mutex of the mapping's name: refused (%u)\n", (unsigned)GetLastError());
    fflush(stdout);

    char line[1024];
    STARTUPINFOA startup;
    PROCESS_INFORMATION child;
    memset(&startup, 0, sizeof startup);
    startup.cb = sizeof startup;
    snprintf(line, sizeof line, "\"%s\" view %llx", self, (unsigned long long)(ULONG_PTR)mapping);
    if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &child)) return fail("CreateProcess");

    ImageHead *head = (ImageHead *)bytes;
    head->size = IMAGE_BYTES;
    strcpy(head->name, "picture.bmp");
    for (DWORD frame = 1; frame <= IMAGE_FRAMES; frame++)
    {
        WaitForSingleObject(lock, INFINITE);
        head->frame = frame;
        memset(bytes + sizeof *head, (int)frame, IMAGE_BYTES);
        head->sum = image_sum(bytes + sizeof *head);
        ReleaseMutex(lock);
        SetEvent(written);
        HANDLE answers[2] = { read, child.hProcess };
        if (WaitForMultipleObjects(2, answers, FALSE, 30000) != WAIT_OBJECT_0) return fail("acknowledgement");
    }
    WaitForSingleObject(child.hProcess, 30000);
    DWORD code = 1;
    GetExitCodeProcess(child.hProcess, &code);
    CloseHandle(child.hThread);
    CloseHandle(child.hProcess);
    return (int)code;
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "view")) return view((HANDLE)(ULONG_PTR)strtoull(argv[2], NULL, 16));
    char self[MAX_PATH];
    GetModuleFileNameA(NULL, self, MAX_PATH);
    return send(self);
}
