/* What the Win32 calls answer, row by row of docs/win32.md: the same source is right under Windows' loader and on Linux.
 *
 * TAP output. Where the system at hand is known to differ from documented Windows the line is marked "# SKIP" with the reason.
 * The program starts itself as the other process: `conformance child WHAT …`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#ifdef _WIN32
#define ON_LINUX 0
#else
#define ON_LINUX 1
#endif

static int number, failures;
static char self[MAX_PATH];

static void report(int good, const char *what, unsigned long long got, DWORD error) {
    printf("%sok %d - %s", good ? "" : "not ", ++number, what);
    if (!good) {
        printf("\n# got %llx, last error %u", got, (unsigned)error);
        failures++;
    }
    printf("\n");
    fflush(stdout);
}

static void skip(const char *what, const char *why) {
    printf("ok %d - %s # SKIP %s\n", ++number, what, why);
}

/* A value that must (not) be null, with the last error afterwards; -1: any. The last error is 0xDEAD before. */
#define UNCHANGED 0xDEAD
#define ANY (-1)
static int matches(int expected) { return expected == ANY || GetLastError() == (DWORD)expected; }

static void *has_(void *value, int error, const char *what) {
    report(value && value != INVALID_HANDLE_VALUE && matches(error), what, (ULONG_PTR)value, GetLastError());
    return value == INVALID_HANDLE_VALUE ? NULL : value;
}
static void none_(void *value, int error, const char *what) {
    report((!value || value == INVALID_HANDLE_VALUE) && matches(error), what, (ULONG_PTR)value, GetLastError());
}
static void yes_(BOOL value, int error, const char *what) { report(value && matches(error), what, (ULONG_PTR)value, GetLastError()); }
static void no_(BOOL value, int error, const char *what) { report(!value && matches(error), what, (ULONG_PTR)value, GetLastError()); }
static void is_(DWORD value, DWORD expected, int error, const char *what) {
    report(value == expected && matches(error), what, value, GetLastError());
}
#define HAS(call, error, what) (SetLastError(UNCHANGED), has_((call), (error), (what)))
#define NONE(call, error, what) (SetLastError(UNCHANGED), none_((call), (error), (what)))
#define YES(call, error, what) (SetLastError(UNCHANGED), yes_((call), (error), (what)))
#define NO(call, error, what) (SetLastError(UNCHANGED), no_((call), (error), (what)))
#define IS(call, value, error, what) (SetLastError(UNCHANGED), is_((call), (value), (error), (what)))
#define TRUTH(condition, what) report(!!(condition), (what), 0, GetLastError())

#define ANON INVALID_HANDLE_VALUE

/* A name that is this run's alone. */
static const char *name(const char *tail) {
    static char names[8][300];
    static int next;
    char *to = names[next++ % 8];
    snprintf(to, sizeof names[0], "conformance-%u-%s", (unsigned)GetCurrentProcessId(), tail);
    return to;
}

static HANDLE make(DWORD protect, DWORD size, const char *called) {
    return CreateFileMappingA(ANON, NULL, protect, 0, size, called);
}

static BYTE *view(HANDLE mapping, DWORD access) { return (BYTE *)MapViewOfFile(mapping, access, 0, 0, 0); }

/* ---- other processes ---- */

static PROCESS_INFORMATION start(const char *arguments, BOOL inherit) {
    char line[1024];
    STARTUPINFOA startup;
    PROCESS_INFORMATION made;
    memset(&startup, 0, sizeof startup);
    memset(&made, 0, sizeof made);
    startup.cb = sizeof startup;
    snprintf(line, sizeof line, "\"%s\" child %s", self, arguments);
    if (!CreateProcessA(NULL, line, NULL, NULL, inherit, 0, NULL, NULL, &startup, &made))
        printf("Bail out! CreateProcess failed (%u)\n", (unsigned)GetLastError());
    return made;
}

static DWORD finish(PROCESS_INFORMATION child) {
    DWORD code = 0xBAD;
    WaitForSingleObject(child.hProcess, 60000);
    GetExitCodeProcess(child.hProcess, &code);
    CloseHandle(child.hThread);
    CloseHandle(child.hProcess);
    return code;
}

static DWORD run(const char *arguments, BOOL inherit) { return finish(start(arguments, inherit)); }

static DWORD runf(BOOL inherit, const char *format, const char *text, HANDLE handle) {
    char arguments[700];
    snprintf(arguments, sizeof arguments, format, text, (unsigned long long)(ULONG_PTR)handle);
    return run(arguments, inherit);
}

/* Starts a child that holds something and says so by the event; ended by kill(). */
static PROCESS_INFORMATION hold(const char *what, const char *called) {
    char arguments[700];
    HANDLE ready = CreateEventA(NULL, FALSE, FALSE, name("ready"));
    PROCESS_INFORMATION child;
    snprintf(arguments, sizeof arguments, "%s %s %s", what, called, name("ready"));
    child = start(arguments, FALSE);
    if (WaitForSingleObject(ready, 60000) != WAIT_OBJECT_0) printf("# the child is not ready\n");
    CloseHandle(ready);
    return child;
}

static void kill_child(PROCESS_INFORMATION child) {
    TerminateProcess(child.hProcess, 9);
    finish(child);
}

static int child(int argc, char **argv) {
    const char *what = argv[0], *called = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "write-to-read-view") || !strcmp(what, "read-unmapped") || !strcmp(what, "no-access")) {
        HANDLE mapping = make(PAGE_READWRITE, 4096, NULL);
        volatile BYTE *bytes = view(mapping, !strcmp(what, "no-access") ? 0 : FILE_MAP_READ);
#ifdef _WIN32
        SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
#endif
        if (!bytes) return 1;
        if (!strcmp(what, "write-to-read-view")) bytes[0] = 1;
        if (!strcmp(what, "no-access")) return bytes[0];
        UnmapViewOfFile((void *)bytes);
        return bytes[0];
    }
    if (!strcmp(what, "inherit")) {
        HANDLE mapping = (HANDLE)(ULONG_PTR)strtoull(argv[2], NULL, 16);
        BYTE *bytes;
        SetLastError(0);
        bytes = view(mapping, FILE_MAP_WRITE);
        if (!bytes) return (int)GetLastError();
        if (strcmp((char *)bytes, called)) return 101;
        strcpy((char *)bytes, "from the child");
        return 100;
    }
    if (!strcmp(what, "inherit-event")) {
        HANDLE event = (HANDLE)(ULONG_PTR)strtoull(argv[2], NULL, 16);
        SetLastError(0);
        return SetEvent(event) ? 100 : (int)GetLastError();
    }
    if (!strcmp(what, "open")) {
        SetLastError(0);
        return OpenFileMappingA(FILE_MAP_READ, FALSE, called) ? 100 : (int)GetLastError();
    }
    if (!strcmp(what, "take-mutex-and-end")) {
        HANDLE mutex = OpenMutexA(MUTEX_ALL_ACCESS, FALSE, called);
        return WaitForSingleObject(mutex, 5000) == WAIT_OBJECT_0 ? 100 : 1;
    }
    if (!strcmp(what, "take-semaphore-and-end")) {
        HANDLE semaphore = OpenSemaphoreA(SEMAPHORE_ALL_ACCESS, FALSE, called);
        return WaitForSingleObject(semaphore, 5000) == WAIT_OBJECT_0 ? 100 : 1;
    }
    if (!strncmp(what, "hold-", 5)) {
        HANDLE ready = OpenEventA(EVENT_MODIFY_STATE, FALSE, argv[2]);
        if (!strcmp(what, "hold-mapping")) strcpy((char *)view(make(PAGE_READWRITE, 4096, called), FILE_MAP_WRITE), "held");
        if (!strcmp(what, "hold-handle")) OpenFileMappingA(FILE_MAP_READ, FALSE, called);
        if (!strcmp(what, "hold-mutex")) WaitForSingleObject(OpenMutexA(SYNCHRONIZE, FALSE, called), 5000);
        SetEvent(ready);
        Sleep(60000);
    }
    return 1;
}

/* ---- 2.1 ---- */

static void creating(void) {
    static const DWORD sizes[] = { 1, 4096, 65537, 1 << 20, 64 << 20 };
    HANDLE h, other, event = CreateEventA(NULL, FALSE, FALSE, NULL);
    BYTE *bytes;
    unsigned at, sum = 0;
    for (at = 0; at < sizeof sizes / sizeof *sizes; at++) {
        h = HAS(make(PAGE_READWRITE, sizes[at], name("new")), 0, "create: a new name");
        CloseHandle(h);
    }
    h = HAS(CreateFileMappingA(ANON, NULL, PAGE_READWRITE | SEC_RESERVE, 1, 0x40000000, name("new")), 0, "create: 5 GiB reserved");
    CloseHandle(h);

    h = make(PAGE_READWRITE, 8192, name("old"));
    for (at = 4096; at <= 65536; at *= 4) {
        other = HAS(make(PAGE_READWRITE, at, name("old")), 183, "create existing: its own size counts");
        NONE(MapViewOfFile(other, FILE_MAP_WRITE, 0, 0, 8193), 5, "create existing: a view longer than that");
        UnmapViewOfFile(HAS(MapViewOfFile(other, FILE_MAP_WRITE, 0, 0, 8192), UNCHANGED, "create existing: a view of all"));
        CloseHandle(other);
    }
    NONE(make(PAGE_READWRITE, 0, name("old")), 87, "create existing: size 0");
    other = HAS(make(PAGE_READONLY, 4096, name("old")), 183, "create existing: read-only");
    NONE(view(other, FILE_MAP_WRITE), 5, "create existing: read-only: no view for writing");
    UnmapViewOfFile(HAS(view(other, FILE_MAP_READ), UNCHANGED, "create existing: read-only: a view for reading"));
    CloseHandle(other);
    CloseHandle(h);

    NONE(make(PAGE_READWRITE, 0, name("zero")), 87, "create: size 0");
    CloseHandle(HAS(CreateFileMappingA(NULL, NULL, PAGE_READWRITE, 0, 4096, NULL), 0, "create: hFile NULL"));
    NONE(CreateFileMappingA((HANDLE)(ULONG_PTR)0xABCDE0, NULL, PAGE_READWRITE, 0, 4096, NULL), 6, "create: hFile garbage");
    NONE(CreateFileMappingA(event, NULL, PAGE_READWRITE, 0, 4096, NULL), 6, "create: hFile an event");
    if (ON_LINUX)
        CloseHandle(HAS(CreateFileMappingA((HANDLE)(ULONG_PTR)0xFFFFFFFF, NULL, PAGE_READWRITE, 0, 4096, NULL), 0,
            "create: (HANDLE)0xFFFFFFFF counts as INVALID_HANDLE_VALUE here"));
    else
        NONE(CreateFileMappingA((HANDLE)(ULONG_PTR)0xFFFFFFFF, NULL, PAGE_READWRITE, 0, 4096, NULL), 6, "create: (HANDLE)0xFFFFFFFF");
    NONE(make(0, 4096, NULL), 87, "create: protection 0");
    NONE(make(PAGE_NOACCESS, 4096, NULL), 87, "create: PAGE_NOACCESS");
    NONE(make(PAGE_EXECUTE, 4096, NULL), 87, "create: PAGE_EXECUTE");
    NONE(make(PAGE_READONLY | PAGE_READWRITE, 4096, NULL), 87, "create: two protections");
    NONE(make(PAGE_GUARD | PAGE_READWRITE, 4096, NULL), 87, "create: PAGE_GUARD");
    NONE(make(PAGE_READWRITE | SEC_RESERVE | SEC_COMMIT, 4096, NULL), 87, "create: SEC_RESERVE|SEC_COMMIT");
    NONE(make(PAGE_READWRITE | SEC_NOCACHE, 4096, NULL), 87, "create: SEC_NOCACHE alone");
    NONE(make(PAGE_READWRITE | SEC_LARGE_PAGES, 4096, NULL), 87, "create: SEC_LARGE_PAGES alone");
    NONE(make(PAGE_READWRITE | SEC_RESERVE | SEC_LARGE_PAGES, 4096, NULL), 87, "create: SEC_RESERVE|SEC_LARGE_PAGES");
    NONE(make(PAGE_READONLY | SEC_IMAGE, 4096, NULL), 193, "create: SEC_IMAGE without a file");
    if (ON_LINUX) NONE(make(PAGE_READWRITE | SEC_LARGE_PAGES | SEC_COMMIT, 4096, NULL), 1314, "create: large pages need a privilege");
    else skip("create: large pages need a privilege", "Wine asks for none");
    NONE(CreateFileMappingA(ANON, NULL, PAGE_READWRITE, 0x8000, 0, NULL), 8, "create: 2^47 bytes");

    h = make(PAGE_READWRITE, 1, NULL);
    bytes = (BYTE *)HAS(MapViewOfFile(h, FILE_MAP_WRITE, 0, 0, 4096), UNCHANGED, "create: 1 byte is a page");
    for (at = 0; at < 4096; at++) sum += bytes[at];
    TRUTH(sum == 0, "create: all zero, up to the end of the page");
    NONE(MapViewOfFile(h, FILE_MAP_WRITE, 0, 0, 4097), 5, "create: no more than the page");
    UnmapViewOfFile(bytes);
    CloseHandle(h);
    h = HAS(make(PAGE_READWRITE, 4096, ""), 0, "create: empty name");
    other = HAS(make(PAGE_READWRITE, 4096, ""), 0, "create: empty name again: another object");
    CloseHandle(h);
    CloseHandle(other);
    CloseHandle(event);
}

/* ---- 2.2 ---- */

static void in_namespaces(void) {
    char plain[300], written[400];
    static const char *const same[] = { "Local\\%s", "Session\\1\\%s", "%s\\" };
    static const char *const absent[] = { "local\\%s", "global\\%s", "LOCAL\\%s", "foo\\%s", "Local\\foo\\%s" };
    HANDLE h, other;
    unsigned at;
    strcpy(plain, name("x"));
    h = make(PAGE_READWRITE, 4096, plain);
    for (at = 0; at < 3; at++) {
        snprintf(written, sizeof written, same[at], plain);
        if (!ON_LINUX && at == 1) {
            skip("names: the same object", "the session's number is this Wine's");
            continue;
        }
        CloseHandle(HAS(make(PAGE_READWRITE, 4096, written), 183, "names: the same object"));
        CloseHandle(HAS(OpenFileMappingA(FILE_MAP_READ, FALSE, written), UNCHANGED, "names: opens the same object"));
    }
    for (at = 0; at < 5; at++) {
        snprintf(written, sizeof written, absent[at], plain);
        NONE(make(PAGE_READWRITE, 4096, written), 3, "names: no such namespace");
        NONE(OpenFileMappingA(FILE_MAP_READ, FALSE, written), 3, "names: no such namespace to open in");
    }
    snprintf(written, sizeof written, "Global\\%s", plain);
    NONE(OpenFileMappingA(FILE_MAP_READ, FALSE, written), 2, "names: Global is another one");
    other = HAS(make(PAGE_READWRITE, 4096, written), 0, "names: create in Global");
    CloseHandle(other);
    snprintf(written, sizeof written, "C%s", plain + 1);
    NONE(OpenFileMappingA(FILE_MAP_READ, FALSE, written), 2, "names: case matters");
    CloseHandle(HAS(make(PAGE_READWRITE, 4096, written), 0, "names: a second object of another case"));
    CloseHandle(h);
    NONE(make(PAGE_READWRITE, 4096, "\\x"), 161, "names: a leading backslash");
    NONE(make(PAGE_READWRITE, 4096, "\\"), 161, "names: only a backslash");
    NONE(make(PAGE_READWRITE, 4096, "Local\\"), 123, "names: Local\\ alone");
    NONE(make(PAGE_READWRITE, 4096, "Global\\"), 123, "names: Global\\ alone");
    NONE(make(PAGE_READWRITE, 4096, "Local"), 6, "names: Local");
    NONE(make(PAGE_READWRITE, 4096, "Global"), 6, "names: Global");
    NONE(make(PAGE_READWRITE, 4096, "Session"), 6, "names: Session");
}

static void of_names(void) {
    static const char *const ordinary[] = { "/", ":", "*", "?", "\"", "<", ">", "|", "$", "%", "{}", " a b ", ".x." };
    char text[400];
    WCHAR *wide = (WCHAR *)malloc(40000 * sizeof(WCHAR));
    HANDLE h, other;
    unsigned at;
    for (at = 0; at < sizeof ordinary / sizeof *ordinary; at++) {
        h = HAS(make(PAGE_READWRITE, 4096, name(ordinary[at])), 0, "names: ordinary characters");
        CloseHandle(HAS(OpenFileMappingA(FILE_MAP_READ, FALSE, name(ordinary[at])), UNCHANGED, "names: and open"));
        CloseHandle(h);
    }
    memset(text, 'n', sizeof text);
    text[259] = 0;
    CloseHandle(HAS(make(PAGE_READWRITE, 4096, text), 0, "names: 259 characters"));
    text[259] = 'n';
    text[260] = 0;
    NONE(make(PAGE_READWRITE, 4096, text), 206, "names: 260 characters");
    NONE(OpenFileMappingA(FILE_MAP_READ, FALSE, text), 206, "names: 260 characters to open");
    for (at = 0; at < 32767; at++) wide[at] = 'w';
    wide[at] = 0;
    h = HAS(CreateFileMappingW(ANON, NULL, PAGE_READWRITE, 0, 4096, wide), 0, "names: 32767 wide characters");
    other = HAS(CreateFileMappingW(ANON, NULL, PAGE_READWRITE, 0, 4096, wide), 183, "names: the same 32767 wide characters");
    wide[32766] = 'v';
    if (ON_LINUX) NONE(OpenFileMappingW(FILE_MAP_READ, FALSE, wide), 2, "names: the last of them counts");
    else skip("names: the last of them counts", "Wine does not look so far");
    CloseHandle(h);
    CloseHandle(other);
    for (at = 0; at < 12; at++) wide[at] = (WCHAR)(0x3b1 + at);
    wide[at] = 0;
    h = HAS(CreateFileMappingW(ANON, NULL, PAGE_READWRITE, 0, 4096, wide), 0, "names: Greek");
    CloseHandle(HAS(OpenFileMappingW(FILE_MAP_READ, FALSE, wide), UNCHANGED, "names: Greek to open"));
    CloseHandle(h);
    free(wide);
    NONE(OpenFileMappingA(FILE_MAP_READ, FALSE, ""), 6, "names: open the empty one");
    NONE(OpenFileMappingA(FILE_MAP_READ, FALSE, NULL), 87, "names: open NULL");
}

static HANDLE create_kind(int kind, const char *called) {
    switch (kind) {
    case 0: return make(PAGE_READWRITE, 4096, called);
    case 1: return CreateMutexA(NULL, FALSE, called);
    case 2: return CreateEventA(NULL, FALSE, FALSE, called);
    default: return CreateSemaphoreA(NULL, 0, 1, called);
    }
}

static HANDLE open_kind(int kind, const char *called) {
    switch (kind) {
    case 0: return OpenFileMappingA(FILE_MAP_READ, FALSE, called);
    case 1: return OpenMutexA(SYNCHRONIZE, FALSE, called);
    case 2: return OpenEventA(SYNCHRONIZE, FALSE, called);
    default: return OpenSemaphoreA(SYNCHRONIZE, FALSE, called);
    }
}

static void one_name_space(void) {
    int first, second;
    for (first = 0; first < 4; first++) {
        HANDLE h = HAS(create_kind(first, name("kind")), 0, "kinds: create");
        for (second = 0; second < 4; second++) {
            if (first == second) {
                CloseHandle(HAS(create_kind(second, name("kind")), 183, "kinds: create the same"));
                CloseHandle(HAS(open_kind(second, name("kind")), UNCHANGED, "kinds: open the same"));
            } else {
                NONE(create_kind(second, name("kind")), 6, "kinds: create another kind");
                NONE(open_kind(second, name("kind")), 6, "kinds: open another kind");
            }
        }
        CloseHandle(h);
    }
}

/* ---- 2.3 ---- */

static void try_views(HANDLE h, const char *what, int read, int write, int copy, int all, int zero) {
    const DWORD accesses[] = { FILE_MAP_READ, FILE_MAP_WRITE, FILE_MAP_COPY, FILE_MAP_ALL_ACCESS, 0 };
    const int allowed[] = { read, write, copy, all, zero };
    int at;
    for (at = 0; at < 5; at++) {
        if (allowed[at] < 0) continue;
        if (allowed[at]) UnmapViewOfFile(HAS(view(h, accesses[at]), UNCHANGED, what));
        else NONE(view(h, accesses[at]), 5, what);
    }
}

static void views(void) {
    HANDLE h = make(PAGE_READWRITE, 0x30000, name("views")), other, event = CreateEventA(NULL, FALSE, FALSE, NULL);
    MEMORY_BASIC_INFORMATION info;
    BYTE *bytes, *more;
    DWORD old;
    NONE(OpenFileMappingA(FILE_MAP_READ, FALSE, name("nobody")), 2, "open: absent");
    other = HAS(OpenFileMappingA(FILE_MAP_READ, FALSE, name("views")), UNCHANGED, "open: READ");
    try_views(other, "opened READ", 1, 0, 1, 0, 1);
    CloseHandle(other);
    other = HAS(OpenFileMappingA(FILE_MAP_WRITE, FALSE, name("views")), UNCHANGED, "open: WRITE");
    try_views(other, "opened WRITE", 0, 1, 0, 1, -1);
    UnmapViewOfFile(HAS(view(other, FILE_MAP_READ | FILE_MAP_WRITE), UNCHANGED, "opened WRITE: READ|WRITE"));
    CloseHandle(other);
    other = HAS(OpenFileMappingA(FILE_MAP_COPY, FALSE, name("views")), UNCHANGED, "open: COPY");
    if (ON_LINUX) try_views(other, "opened COPY", 1, 0, 1, 0, -1);
    else skip("opened COPY", "Wine differs");
    CloseHandle(other);
    other = HAS(OpenFileMappingA(0, FALSE, name("views")), UNCHANGED, "open: no access");
    NONE(view(other, FILE_MAP_READ), 5, "opened with no access: READ");
    CloseHandle(other);

    try_views(h, "made READWRITE", 1, 1, 1, 1, 1);
    other = make(PAGE_READONLY, 4096, NULL);
    try_views(other, "made READONLY", 1, 0, 1, 0, 1);
    bytes = view(other, FILE_MAP_COPY);
    bytes[0] = 1;
    more = view(other, FILE_MAP_READ);
    TRUTH(more[0] == 0, "made READONLY: a copy is private");
    UnmapViewOfFile(bytes);
    UnmapViewOfFile(more);
    CloseHandle(other);
    other = make(PAGE_WRITECOPY, 4096, NULL);
    try_views(other, "made WRITECOPY", 1, 0, 1, 0, 1);
    CloseHandle(other);
    other = make(PAGE_READONLY, 4096, name("guarded"));
    if (ON_LINUX) {
        HANDLE second = HAS(OpenFileMappingA(FILE_MAP_ALL_ACCESS, FALSE, name("guarded")), UNCHANGED, "READONLY opened for all");
        NONE(view(second, FILE_MAP_WRITE), 5, "READONLY opened for all: no view for writing");
        CloseHandle(second);
        second = HAS(make(PAGE_READWRITE, 4096, name("guarded")), 183, "READONLY created again READWRITE");
        NONE(view(second, FILE_MAP_WRITE), 5, "READONLY created again: no view for writing");
        CloseHandle(second);
    } else {
        skip("READONLY opened for all", "Wine checks the handle alone");
    }
    CloseHandle(other);

    bytes = view(h, FILE_MAP_READ | FILE_MAP_COPY);
    VirtualQuery(bytes, &info, sizeof info);
    TRUTH(info.Protect == PAGE_READONLY, "READ|COPY is a read-only view");
    no_(VirtualProtect(bytes, 4096, PAGE_READWRITE, &old), 87, "a view for reading stays so");
    UnmapViewOfFile(bytes);
    NONE(view(h, FILE_MAP_READ | FILE_MAP_EXECUTE), 5, "EXECUTE of a section that is not");

    NONE(MapViewOfFile(h, FILE_MAP_READ, 0, 1, 0), 1132, "offset 1");
    NONE(MapViewOfFile(h, FILE_MAP_READ, 0, 4096, 0), 1132, "offset 4096");
    bytes = (BYTE *)HAS(MapViewOfFile(h, FILE_MAP_READ, 0, 0x10000, 0), UNCHANGED, "length 0: to the end");
    VirtualQuery(bytes, &info, sizeof info);
    TRUTH(info.RegionSize == 0x20000, "length 0: to the end: its size");
    UnmapViewOfFile(bytes);
    bytes = (BYTE *)HAS(MapViewOfFile(h, FILE_MAP_READ, 0, 0x10000, 10), UNCHANGED, "length 10");
    VirtualQuery(bytes, &info, sizeof info);
    TRUTH(info.RegionSize == 4096 && info.AllocationBase == bytes && info.State == MEM_COMMIT && info.Type == MEM_MAPPED,
        "length 10: one page");
    TRUTH((ULONG_PTR)bytes % 65536 == 0, "base address");
    UnmapViewOfFile(bytes);
    NONE(MapViewOfFile(h, FILE_MAP_READ, 0, 0, 0x30001), 5, "length beyond the end");
    NONE(MapViewOfFile(h, FILE_MAP_READ, 0, 0x20000, 0x10001), 5, "offset and length beyond the end");
    NONE(MapViewOfFile(h, FILE_MAP_READ, 0, 0x30000, 0), 87, "offset at the end");
    NONE(MapViewOfFile(h, FILE_MAP_READ, 1, 0, 0), 87, "offset 2^32");
    NONE(MapViewOfFile(NULL, FILE_MAP_READ, 0, 0, 0), 6, "handle NULL");
    NONE(MapViewOfFile(INVALID_HANDLE_VALUE, FILE_MAP_READ, 0, 0, 0), 6, "handle INVALID");
    NONE(MapViewOfFile((HANDLE)(ULONG_PTR)0xABCDE0, FILE_MAP_READ, 0, 0, 0), 6, "handle garbage");
    NONE(MapViewOfFile(event, FILE_MAP_READ, 0, 0, 0), 6, "handle of an event");

    bytes = view(h, FILE_MAP_WRITE);
    UnmapViewOfFile(bytes);
    more = (BYTE *)HAS(MapViewOfFileEx(h, FILE_MAP_WRITE, 0, 0, 0, bytes), UNCHANGED, "at a free address");
    TRUTH(more == bytes, "at a free address: there");
    NONE(MapViewOfFileEx(h, FILE_MAP_WRITE, 0, 0, 0, more), 487, "at an occupied address");
    NONE(MapViewOfFileEx(h, FILE_MAP_WRITE, 0, 0, 0, more + 4096), 1132, "at an unaligned address");
    bytes = view(h, FILE_MAP_READ);
    strcpy((char *)more + 5000, "the same bytes");
    TRUTH(!strcmp((char *)bytes + 5000, "the same bytes"), "two views show the same");
    UnmapViewOfFile(bytes);
    bytes = view(h, FILE_MAP_COPY);
    more[0] = 7;
    TRUTH(bytes[0] == 7, "COPY: follows before its own write");
    bytes[0] = 8;
    more[0] = 9;
    TRUTH(bytes[0] == 8 && more[0] == 9, "COPY: private after its own write");
    more[8192] = 5;
    TRUTH(bytes[8192] == 5, "COPY: other pages follow still");
    UnmapViewOfFile(bytes);
    UnmapViewOfFile(more);
    IS(run("write-to-read-view", FALSE), 0xC0000005, ANY, "writing to a view for reading faults");
    IS(run("read-unmapped", FALSE), 0xC0000005, ANY, "reading after unmapping faults");
    IS(run("no-access", FALSE), 0xC0000005, ANY, "reading a view of no access faults");
    CloseHandle(event);
    CloseHandle(h);
}

/* ---- 2.4 ---- */

static void handles(void) {
    HANDLE h = make(PAGE_READWRITE, 0x20000, name("handles")), other, third, me = GetCurrentProcess();
    BYTE *bytes = view(h, FILE_MAP_WRITE), *heap = (BYTE *)malloc(100), *private_memory;
    DWORD flags;
    int local;
    TRUTH((ULONG_PTR)h % 4 == 0 && (ULONG_PTR)h < 0x10000, "handles are small multiples of four");
    YES(FlushViewOfFile(bytes, 0), UNCHANGED, "flush: all");
    YES(FlushViewOfFile(bytes, 4096), UNCHANGED, "flush: a page");
    YES(FlushViewOfFile(bytes + 5000, 100), UNCHANGED, "flush: inside");
    NO(FlushViewOfFile(bytes, 0x20001), 87, "flush: beyond the view");
    NO(FlushViewOfFile(NULL, 0), 87, "flush: NULL");
    YES(UnmapViewOfFile(bytes), UNCHANGED, "unmap: base");
    NO(FlushViewOfFile(bytes, 0), 87, "flush: after unmapping");
    NO(UnmapViewOfFile(bytes), 487, "unmap: again");
    bytes = view(h, FILE_MAP_WRITE);
    YES(UnmapViewOfFile(bytes + 5000), UNCHANGED, "unmap: an address inside");
    NO(UnmapViewOfFile(bytes), 487, "unmap: then the whole view was gone");
    NO(UnmapViewOfFile(NULL), 487, "unmap: NULL");
    NO(UnmapViewOfFile(&local), 487, "unmap: the stack");
    NO(UnmapViewOfFile(heap), 487, "unmap: the heap");
    NO(UnmapViewOfFile((void *)(ULONG_PTR)0xdeadbeef), 487, "unmap: 0xdeadbeef");
    private_memory = (BYTE *)VirtualAlloc(NULL, 65536, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    private_memory[0] = 1;
    NO(UnmapViewOfFile(private_memory), 487, "unmap: VirtualAlloc's memory");
    YES(VirtualFree(private_memory, 0, MEM_RELEASE), UNCHANGED, "which VirtualFree frees");
    free(heap);

    YES(DuplicateHandle(me, h, me, &other, 0, FALSE, DUPLICATE_SAME_ACCESS), UNCHANGED, "duplicate");
    TRUTH(other != h, "duplicate: another value");
    CloseHandle(h);
    CloseHandle(HAS(OpenFileMappingA(FILE_MAP_READ, FALSE, name("handles")), UNCHANGED, "duplicate: keeps the name"));
    YES(DuplicateHandle(me, other, me, &third, FILE_MAP_READ, FALSE, 0), UNCHANGED, "duplicate: for reading");
    NONE(view(third, FILE_MAP_WRITE), 5, "duplicate: for reading: no view for writing");
    YES(DuplicateHandle(me, third, me, &h, FILE_MAP_WRITE, FALSE, 0), UNCHANGED, "duplicate: for writing, of one for reading");
    UnmapViewOfFile(HAS(view(h, FILE_MAP_WRITE), UNCHANGED, "duplicate: writes"));
    CloseHandle(h);
    CloseHandle(third);
    YES(DuplicateHandle(me, other, me, &h, 0, FALSE, DUPLICATE_SAME_ACCESS | DUPLICATE_CLOSE_SOURCE), UNCHANGED, "duplicate: move");
    TRUTH(h == other || !CloseHandle(other), "duplicate: move: the source is gone, or its number is used again");
    NO(DuplicateHandle(me, (HANDLE)(ULONG_PTR)0xABCDE0, me, &other, 0, FALSE, DUPLICATE_SAME_ACCESS), 6, "duplicate: garbage");
    NO(DuplicateHandle(h, h, me, &other, 0, FALSE, DUPLICATE_SAME_ACCESS), 6, "duplicate: from what is no process");
    bytes = view(h, FILE_MAP_WRITE);
    YES(GetHandleInformation(h, &flags), UNCHANGED, "information");
    TRUTH(flags == 0, "information: not inheritable");
    YES(CloseHandle(h), UNCHANGED, "close");
    bytes[0x1ffff] = 1;
    TRUTH(bytes[0x1ffff] == 1, "close: a view stays valid");
    UnmapViewOfFile(bytes);
    NO(CloseHandle(h), 6, "close: again");
    NO(CloseHandle(NULL), 6, "close: NULL");
    NO(CloseHandle((HANDLE)(ULONG_PTR)0xABCDE0), 6, "close: garbage");
    YES(CloseHandle(INVALID_HANDLE_VALUE), UNCHANGED, "close: the pseudo handle");
}

/* ---- 2.5 ---- */

static void lifetime(void) {
    HANDLE h = make(PAGE_READWRITE, 4096, name("life")), other;
    BYTE *bytes = view(h, FILE_MAP_WRITE), *fresh;
    SECURITY_ATTRIBUTES inheritable = { sizeof inheritable, NULL, TRUE };
    PROCESS_INFORMATION first, second;
    strcpy((char *)bytes, "old bytes");
    other = OpenFileMappingA(FILE_MAP_READ, FALSE, name("life"));
    CloseHandle(h);
    IS(runf(FALSE, "open %s", name("life"), 0), 100, ANY, "one of two handles closed: the name stays");
    CloseHandle(other);
    NONE(OpenFileMappingA(FILE_MAP_READ, FALSE, name("life")), 2, "the last handle closed, a view stays: the name is gone");
    IS(runf(FALSE, "open %s", name("life"), 0), 2, ANY, "and gone for others");
    TRUTH(!strcmp((char *)bytes, "old bytes"), "the view keeps its bytes");
    h = HAS(make(PAGE_READWRITE, 4096, name("life")), 0, "then create: a new object");
    fresh = view(h, FILE_MAP_WRITE);
    fresh[1] = 5;
    TRUTH(fresh[0] == 0 && !strcmp((char *)bytes, "old bytes"), "zeroed, and the old view is unaffected");
    UnmapViewOfFile(fresh);
    UnmapViewOfFile(bytes);
    CloseHandle(h);

    first = hold("hold-mapping", name("killed"));
    other = HAS(OpenFileMappingA(FILE_MAP_READ, FALSE, name("killed")), UNCHANGED, "another process made it");
    kill_child(first);
    bytes = (BYTE *)HAS(view(other, FILE_MAP_READ), UNCHANGED, "its maker killed: ours works");
    TRUTH(!strcmp((char *)bytes, "held"), "its maker killed: the contents stay");
    CloseHandle(HAS(OpenFileMappingA(FILE_MAP_READ, FALSE, name("killed")), UNCHANGED, "its maker killed: the name stays"));
    UnmapViewOfFile(bytes);
    CloseHandle(other);
    NONE(OpenFileMappingA(FILE_MAP_READ, FALSE, name("killed")), 2, "until ours is closed");
    first = hold("hold-mapping", name("killed"));
    second = hold("hold-handle", name("killed"));
    kill_child(first);
    IS(runf(FALSE, "open %s", name("killed"), 0), 100, ANY, "a third process holds it after its maker was killed");
    kill_child(second);
    NONE(OpenFileMappingA(FILE_MAP_READ, FALSE, name("killed")), 2, "all killed");
    h = HAS(make(PAGE_READWRITE, 4096, name("killed")), 0, "all killed, then create");
    bytes = view(h, FILE_MAP_READ);
    TRUTH(bytes[0] == 0, "all killed, then create: zeroed");
    UnmapViewOfFile(bytes);
    CloseHandle(h);

    h = CreateFileMappingA(ANON, &inheritable, PAGE_READWRITE, 0, 4096, NULL);
    bytes = view(h, FILE_MAP_WRITE);
    strcpy((char *)bytes, "handed");
    IS(runf(TRUE, "inherit %s %llx", "handed", h), 100, ANY, "an inherited handle has the same value");
    TRUTH(!strcmp((char *)bytes, "from the child"), "the child's view is live");
    strcpy((char *)bytes, "handed");
    IS(runf(FALSE, "inherit %s %llx", "handed", h), 6, ANY, "CreateProcess(FALSE) hands nothing down");
    SetHandleInformation(h, HANDLE_FLAG_INHERIT, 0);
    IS(runf(TRUE, "inherit %s %llx", "handed", h), 6, ANY, "no longer inheritable");
    YES(SetHandleInformation(h, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT), UNCHANGED, "made inheritable");
    IS(runf(TRUE, "inherit %s %llx", "handed", h), 100, ANY, "made inheritable: inherited");
    UnmapViewOfFile(bytes);
    CloseHandle(h);
    h = CreateFileMappingA(ANON, &inheritable, PAGE_READWRITE, 0, 4096, name("named and handed"));
    bytes = view(h, FILE_MAP_WRITE);
    strcpy((char *)bytes, "handed");
    IS(runf(TRUE, "inherit %s %llx", "handed", h), 100, ANY, "with a name too");
    UnmapViewOfFile(bytes);
    CloseHandle(h);
    h = CreateEventA(&inheritable, TRUE, FALSE, NULL);
    IS(runf(TRUE, "inherit-event %s %llx", "x", h), 100, ANY, "an event is inherited");
    IS(WaitForSingleObject(h, 0), WAIT_OBJECT_0, UNCHANGED, "and the child has set ours");
    CloseHandle(h);
}

/* ---- 2.6 ---- */

static char path[300];

static HANDLE file_of(DWORD size, DWORD access) {
    HANDLE file = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, 7, NULL, CREATE_ALWAYS, 0, NULL);
    DWORD at, done;
    for (at = 0; at < size; at += done) {
        static char bytes[4096];
        memset(bytes, 'f', sizeof bytes);
        if (!WriteFile(file, bytes, size - at < 4096 ? size - at : 4096, &done, NULL) || !done) break;
    }
    CloseHandle(file);
    return CreateFileA(path, access, 7, NULL, OPEN_EXISTING, 0, NULL);
}

static HANDLE on(HANDLE file, DWORD protect, DWORD size) { return CreateFileMappingA(file, NULL, protect, 0, size, NULL); }

static void files(void) {
    const DWORD both = GENERIC_READ | GENERIC_WRITE;
    HANDLE file, h, other;
    BYTE *bytes, *more;
    char text[64];
    DWORD done;
    unsigned at, sum = 0;
    snprintf(path, sizeof path, "conformance-%u.bin", (unsigned)GetCurrentProcessId());
    file = file_of(0, both);
    NONE(on(file, PAGE_READWRITE, 0), 1006, "file: empty, size 0");
    h = HAS(on(file, PAGE_READWRITE, 10000), 0, "file: grows");
    IS(GetFileSize(file, NULL), 10000, ANY, "file: to exactly that size");
    CloseHandle(h);
    CloseHandle(file);
    file = file_of(10000, both);
    NONE(on(file, PAGE_READONLY, 20000), 8, "file: larger, READONLY");
    NONE(on(file, PAGE_WRITECOPY, 20000), 8, "file: larger, WRITECOPY");
    h = HAS(on(file, PAGE_READWRITE, 5000), 0, "file: size less than the file's");
    NONE(MapViewOfFile(h, FILE_MAP_READ, 0, 0, 5001), 5, "file: a view beyond the section");
    IS(GetFileSize(file, NULL), 10000, ANY, "file: untouched");
    CloseHandle(h);
    h = HAS(on(file, PAGE_READWRITE, 0), 0, "file: all of it");
    NONE(MapViewOfFile(h, FILE_MAP_READ, 0, 0, 10001), 5, "file: sizes are exact");
    bytes = view(h, FILE_MAP_WRITE);
    for (at = 10000; at < 12288; at++) sum += bytes[at];
    TRUTH(bytes[9999] == 'f' && sum == 0, "file: zeros behind its end");
    strcpy((char *)bytes, "through the view");
    YES(FlushViewOfFile(bytes, 0), UNCHANGED, "file: flush");
    SetFilePointer(file, 0, NULL, FILE_BEGIN);
    ReadFile(file, text, 17, &done, NULL);
    TRUTH(done == 17 && !strcmp(text, "through the view"), "file: ReadFile sees it");
    other = on(file, PAGE_READONLY, 0);
    more = view(other, FILE_MAP_READ);
    TRUTH(!strcmp((char *)more, "through the view"), "file: two sections are coherent");
    UnmapViewOfFile(more);
    CloseHandle(other);
    SetFilePointer(file, 4096, NULL, FILE_BEGIN);
    NO(SetEndOfFile(file), 1224, "file: SetEndOfFile below a section");
    NONE(CreateFileA(path, both, 7, NULL, CREATE_ALWAYS, 0, NULL), 1224, "file: CREATE_ALWAYS over a section");
    SetFilePointer(file, 20000, NULL, FILE_BEGIN);
    YES(SetEndOfFile(file), UNCHANGED, "file: SetEndOfFile above a section");
    UnmapViewOfFile(bytes);
    CloseHandle(h);
    SetFilePointer(file, 4096, NULL, FILE_BEGIN);
    YES(SetEndOfFile(file), UNCHANGED, "file: SetEndOfFile when the section is gone");
    CloseHandle(file);

    file = file_of(4096, GENERIC_READ);
    NONE(on(file, PAGE_READWRITE, 0), 5, "file opened for reading: READWRITE");
    h = HAS(on(file, PAGE_READONLY, 0), 0, "file opened for reading: READONLY");
    try_views(h, "file opened for reading: READONLY", 1, 0, 1, 0, -1);
    CloseHandle(h);
    h = HAS(on(file, PAGE_WRITECOPY, 0), 0, "file opened for reading: WRITECOPY");
    NONE(view(h, FILE_MAP_WRITE), 5, "file opened for reading: WRITECOPY: no view for writing");
    bytes = (BYTE *)HAS(view(h, FILE_MAP_COPY), UNCHANGED, "file opened for reading: a copy");
    bytes[0] = '!';
    ReadFile(file, text, 1, &done, NULL);
    TRUTH(text[0] == 'f', "file: a copy leaves it untouched");
    UnmapViewOfFile(bytes);
    CloseHandle(h);
    CloseHandle(file);
    file = file_of(4096, GENERIC_WRITE);
    NONE(on(file, PAGE_READONLY, 0), 5, "file opened for writing: READONLY");
    NONE(on(file, PAGE_READWRITE, 0), 5, "file opened for writing: READWRITE");
    CloseHandle(file);
    file = file_of(4096, 0);
    NONE(on(file, PAGE_READONLY, 0), 5, "file opened for nothing: READONLY");
    CloseHandle(file);

    file = file_of(100, both);
    h = CreateFileMappingA(file, NULL, PAGE_READWRITE, 0, 0, name("on a file"));
    other = HAS(make(PAGE_READWRITE, 1 << 20, name("on a file")), 183, "file: an anonymous create joins it");
    bytes = view(other, FILE_MAP_READ);
    TRUTH(bytes && bytes[99] == 'f', "file: with its contents");
    UnmapViewOfFile(bytes);
    CloseHandle(other);
    CloseHandle(h);
    h = on(file, PAGE_READWRITE, 0);
    if (ON_LINUX) YES(DeleteFileA(path), UNCHANGED, "file: DeleteFile while mapped");
    else skip("file: DeleteFile while mapped", "Wine refuses");
    CloseHandle(h);
    CloseHandle(file);
    DeleteFileA(path);
}

static void file_calls(void) {
    LARGE_INTEGER size, zero;
    HANDLE file, other;
    char text[16] = "";
    DWORD done = 9;
    zero.QuadPart = 0;
    NONE(CreateFileA(path, GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL), 2, "CreateFile: absent");
    NONE(CreateFileA("no/such/folder/x", GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL), 3, "CreateFile: absent folder");
    file = HAS(CreateFileA(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ, NULL, CREATE_NEW, 0, NULL), 0, "CreateFile: CREATE_NEW");
    NONE(CreateFileA(path, GENERIC_READ, 7, NULL, CREATE_NEW, 0, NULL), 80, "CreateFile: CREATE_NEW of what is there");
    NONE(CreateFileA(path, GENERIC_WRITE, 7, NULL, OPEN_EXISTING, 0, NULL), 32, "CreateFile: not shared for writing");
    NONE(CreateFileA(path, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL), 32, "CreateFile: shares not what is done");
    other = HAS(CreateFileA(path, GENERIC_READ, 7, NULL, OPEN_EXISTING, 0, NULL), ANY, "CreateFile: shared for reading");
    YES(WriteFile(file, "hello", 5, &done, NULL), UNCHANGED, "WriteFile");
    TRUTH(done == 5, "WriteFile: all of it");
    YES(ReadFile(other, text, 10, &done, NULL), UNCHANGED, "ReadFile");
    TRUTH(done == 5 && !memcmp(text, "hello", 5), "ReadFile: what there is");
    YES(ReadFile(other, text, 10, &done, NULL), UNCHANGED, "ReadFile: at the end");
    TRUTH(done == 0, "ReadFile: at the end: nothing");
    NO(WriteFile(other, "x", 1, &done, NULL), 5, "WriteFile: opened for reading");
    YES(GetFileSizeEx(file, &size), UNCHANGED, "GetFileSizeEx");
    TRUTH(size.QuadPart == 5, "GetFileSizeEx: 5");
    YES(SetFilePointerEx(file, zero, &size, FILE_END), UNCHANGED, "SetFilePointerEx");
    TRUTH(size.QuadPart == 5, "SetFilePointerEx: the end");
    IS(SetFilePointer(file, -1, NULL, FILE_BEGIN), INVALID_SET_FILE_POINTER, 131, "SetFilePointer: before the beginning");
    NONE((void *)(ULONG_PTR)DeleteFileA(path), 32, "DeleteFile: not shared for deleting");
    CloseHandle(other);
    CloseHandle(file);
    CloseHandle(HAS(CreateFileA(path, GENERIC_WRITE, 7, NULL, OPEN_ALWAYS, 0, NULL), 183, "CreateFile: OPEN_ALWAYS of what is there"));
    file = HAS(CreateFileA(path, GENERIC_WRITE, 7, NULL, CREATE_ALWAYS, 0, NULL), 183, "CreateFile: CREATE_ALWAYS of what is there");
    IS(GetFileSize(file, NULL), 0, ANY, "CreateFile: CREATE_ALWAYS: emptied");
    CloseHandle(file);
    YES(DeleteFileA(path), UNCHANGED, "DeleteFile");
    NO(DeleteFileA(path), 2, "DeleteFile: absent");
}

/* ---- 2.7 ---- */

static DWORD WINAPI take_and_end(LPVOID mutex) { return WaitForSingleObject((HANDLE)mutex, 5000); }
static DWORD WINAPI take_and_exit(LPVOID mutex) {
    WaitForSingleObject((HANDLE)mutex, 5000);
    ExitThread(42);
    return 0;
}
static DWORD WINAPI release(LPVOID mutex) { return ReleaseMutex((HANDLE)mutex) ? 0 : GetLastError(); }
static DWORD WINAPI try_it(LPVOID object) { return WaitForSingleObject((HANDLE)object, 0); }

static DWORD in_thread(LPTHREAD_START_ROUTINE routine, HANDLE argument) {
    DWORD code = 0xBAD, id;
    HANDLE thread = CreateThread(NULL, 0, routine, argument, 0, &id);
    WaitForSingleObject(thread, INFINITE);
    GetExitCodeThread(thread, &code);
    CloseHandle(thread);
    return code;
}

static void mutexes(void) {
    HANDLE h = HAS(CreateMutexA(NULL, TRUE, name("mutex")), 0, "mutex: create owned"), other, pair[2];
    PROCESS_INFORMATION holder;
    ULONGLONG before;
    other = HAS(CreateMutexA(NULL, TRUE, name("mutex")), 183, "mutex: existing");
    IS(WaitForSingleObject(other, 0), WAIT_OBJECT_0, UNCHANGED, "mutex: its owner takes it again, by another handle");
    YES(ReleaseMutex(h), UNCHANGED, "mutex: release");
    IS(in_thread(try_it, h), WAIT_TIMEOUT, ANY, "mutex: taken once still");
    IS(in_thread(release, h), 288, ANY, "mutex: release by another thread");
    YES(ReleaseMutex(other), UNCHANGED, "mutex: release by the other handle");
    NO(ReleaseMutex(h), 288, "mutex: release what is not owned");
    IS(in_thread(take_and_end, h), WAIT_OBJECT_0, ANY, "mutex: a thread takes it and ends");
    IS(WaitForSingleObject(h, 0), WAIT_ABANDONED, UNCHANGED, "mutex: abandoned, now ours");
    YES(ReleaseMutex(h), UNCHANGED, "mutex: release the abandoned one");
    IS(WaitForSingleObject(h, 0), WAIT_OBJECT_0, UNCHANGED, "mutex: then it is as before");
    ReleaseMutex(h);
    IS(in_thread(take_and_exit, h), 42, ANY, "mutex: ExitThread");
    IS(WaitForSingleObject(h, 0), WAIT_ABANDONED, UNCHANGED, "mutex: abandoned by ExitThread");
    ReleaseMutex(h);
    IS(runf(FALSE, "take-mutex-and-end %s", name("mutex"), 0), 100, ANY, "mutex: a process takes it and ends");
    pair[0] = CreateEventA(NULL, FALSE, FALSE, NULL);
    pair[1] = h;
    IS(WaitForMultipleObjects(2, pair, FALSE, 5000), WAIT_ABANDONED_0 + 1, UNCHANGED, "mutex: abandoned, any of two");
    ReleaseMutex(h);
    holder = hold("hold-mutex", name("mutex"));
    IS(WaitForSingleObject(h, 0), WAIT_TIMEOUT, UNCHANGED, "mutex: another process has it");
    before = GetTickCount64();
    IS(WaitForSingleObject(h, 200), WAIT_TIMEOUT, UNCHANGED, "mutex: another process has it for 200 ms");
    TRUTH(GetTickCount64() - before >= 190, "mutex: those pass");
    kill_child(holder);
    SetEvent(pair[0]);
    IS(WaitForMultipleObjects(2, pair, TRUE, 5000), WAIT_ABANDONED_0, UNCHANGED, "mutex: killed with it, all of two");
    ReleaseMutex(h);
    CloseHandle(other);
    other = HAS(OpenMutexA(SYNCHRONIZE, FALSE, name("mutex")), UNCHANGED, "mutex: open to wait");
    IS(WaitForSingleObject(other, 0), WAIT_OBJECT_0, UNCHANGED, "mutex: opened to wait: wait");
    YES(ReleaseMutex(other), UNCHANGED, "mutex: opened to wait: release");
    CloseHandle(other);
    other = HAS(OpenMutexA(MUTEX_MODIFY_STATE, FALSE, name("mutex")), UNCHANGED, "mutex: open to modify");
    IS(WaitForSingleObject(other, 0), WAIT_FAILED, 5, "mutex: opened to modify: wait");
    CloseHandle(other);
    CloseHandle(pair[0]);
    CloseHandle(h);
    NONE(OpenMutexA(SYNCHRONIZE, FALSE, name("mutex")), 2, "mutex: open absent");
    NONE(OpenMutexA(SYNCHRONIZE, FALSE, NULL), 87, "mutex: open NULL");
}

static void events_and_semaphores(void) {
    HANDLE h = HAS(CreateEventA(NULL, FALSE, TRUE, name("event")), 0, "event: create set"), other;
    LONG previous = 77;
    other = HAS(CreateEventA(NULL, TRUE, FALSE, name("event")), 183, "event: existing of another sort");
    IS(WaitForSingleObject(other, 0), WAIT_OBJECT_0, UNCHANGED, "event: its state was left");
    IS(WaitForSingleObject(other, 0), WAIT_TIMEOUT, UNCHANGED, "event: and its sort");
    CloseHandle(other);
    SetEvent(h);
    YES(SetEvent(h), UNCHANGED, "event: set twice");
    IS(WaitForSingleObject(h, 0), WAIT_OBJECT_0, UNCHANGED, "event: one wait");
    IS(WaitForSingleObject(h, 0), WAIT_TIMEOUT, UNCHANGED, "event: and no other");
    other = HAS(OpenEventA(SYNCHRONIZE, FALSE, name("event")), UNCHANGED, "event: open to wait");
    NO(SetEvent(other), 5, "event: opened to wait: set");
    CloseHandle(other);
    other = HAS(OpenEventA(EVENT_MODIFY_STATE, FALSE, name("event")), UNCHANGED, "event: open to modify");
    IS(WaitForSingleObject(other, 0), WAIT_FAILED, 5, "event: opened to modify: wait");
    CloseHandle(other);
    CloseHandle(h);
    NONE(OpenEventA(SYNCHRONIZE, FALSE, name("event")), 2, "event: open absent");
    NONE(OpenEventA(SYNCHRONIZE, FALSE, NULL), 87, "event: open NULL");
    h = CreateEventA(NULL, TRUE, FALSE, NULL);
    YES(PulseEvent(h), UNCHANGED, "event: pulse");
    IS(WaitForSingleObject(h, 0), WAIT_TIMEOUT, UNCHANGED, "event: pulsed with nobody there");
    SetEvent(h);
    IS(WaitForSingleObject(h, 0), WAIT_OBJECT_0, UNCHANGED, "event: manual");
    IS(WaitForSingleObject(h, 0), WAIT_OBJECT_0, UNCHANGED, "event: manual: stays");
    YES(ResetEvent(h), UNCHANGED, "event: reset");
    IS(WaitForSingleObject(h, 0), WAIT_TIMEOUT, UNCHANGED, "event: then not");
    CloseHandle(h);

    h = HAS(CreateSemaphoreA(NULL, 1, 2, name("semaphore")), 0, "semaphore: create");
    IS(runf(FALSE, "take-semaphore-and-end %s", name("semaphore"), 0), 100, ANY, "semaphore: a process takes one and ends");
    IS(WaitForSingleObject(h, 0), WAIT_TIMEOUT, UNCHANGED, "semaphore: it is not given back");
    YES(ReleaseSemaphore(h, 2, &previous), UNCHANGED, "semaphore: release");
    TRUTH(previous == 0, "semaphore: release: the count before");
    previous = 77;
    NO(ReleaseSemaphore(h, 1, &previous), 298, "semaphore: above the maximum");
    TRUTH(previous == 77, "semaphore: above the maximum: nothing is told");
    IS(WaitForSingleObject(h, 0), WAIT_OBJECT_0, UNCHANGED, "semaphore: wait");
    if (ON_LINUX) {
        NO(ReleaseSemaphore(h, 0, NULL), 87, "semaphore: release nothing");
        NO(ReleaseSemaphore(h, -1, NULL), 87, "semaphore: release less");
    } else {
        skip("semaphore: release nothing", "Wine allows it");
    }
    NONE(CreateSemaphoreA(NULL, 2, 1, name("semaphore")), 87, "semaphore: 2 of 1, existing");
    NONE(CreateSemaphoreA(NULL, 2, 1, NULL), 87, "semaphore: 2 of 1");
    NONE(CreateSemaphoreA(NULL, 0, 0, NULL), 87, "semaphore: maximum 0");
    NONE(CreateSemaphoreA(NULL, -1, 1, NULL), 87, "semaphore: initial -1");
    CloseHandle(h);
    NONE(OpenSemaphoreA(SYNCHRONIZE, FALSE, name("semaphore")), 2, "semaphore: open absent");
    NONE(OpenSemaphoreA(SYNCHRONIZE, FALSE, NULL), 87, "semaphore: open NULL");
}

static void waits(void) {
    HANDLE many[65], section = make(PAGE_READWRITE, 4096, NULL), closed;
    int at;
    for (at = 0; at < 65; at++) many[at] = CreateEventA(NULL, FALSE, at == 63, NULL);
    IS(WaitForMultipleObjects(0, many, FALSE, 0), WAIT_FAILED, 87, "wait: for none");
    IS(WaitForMultipleObjects(65, many, FALSE, 0), WAIT_FAILED, 87, "wait: for 65");
    IS(WaitForMultipleObjects(64, many, FALSE, 0), WAIT_OBJECT_0 + 63, UNCHANGED, "wait: any of 64");
    IS(WaitForMultipleObjects(64, many, FALSE, 0), WAIT_TIMEOUT, UNCHANGED, "wait: any of 64: none");
    for (at = 0; at < 63; at++) SetEvent(many[at]);
    IS(WaitForMultipleObjects(64, many, TRUE, 10), WAIT_TIMEOUT, UNCHANGED, "wait: all of 64: one is missing");
    SetEvent(many[63]);
    IS(WaitForMultipleObjects(64, many, TRUE, 5000), WAIT_OBJECT_0, UNCHANGED, "wait: all of 64");
    IS(WaitForSingleObject(many[0], 0), WAIT_TIMEOUT, UNCHANGED, "wait: all of 64: all were taken");
    closed = many[64];
    for (at = 0; at < 65; at++) CloseHandle(many[at]);
    IS(WaitForSingleObject(closed, 0), WAIT_FAILED, 6, "wait: closed handle");
    IS(WaitForSingleObject(NULL, 0), WAIT_FAILED, 6, "wait: NULL");
    IS(WaitForSingleObject(section, 0), WAIT_FAILED, 5, "wait: a section");
    NO(SetEvent(section), 6, "set: a section");
    CloseHandle(section);
}

/* ---- 2.8 ---- */

static void reserved(void) {
    HANDLE h = HAS(make(PAGE_READWRITE | SEC_RESERVE, 1 << 20, name("reserved")), 0, "reserve: create");
    HANDLE other = OpenFileMappingA(FILE_MAP_WRITE, FALSE, name("reserved"));
    BYTE *first = view(h, FILE_MAP_WRITE), *second = view(other, FILE_MAP_WRITE);
    MEMORY_BASIC_INFORMATION info;
    VirtualQuery(first, &info, sizeof info);
    TRUTH(info.State == MEM_RESERVE && info.RegionSize == 1 << 20, "reserve: nothing is committed");
    TRUTH(HAS(VirtualAlloc(first + 0x10000, 0x3000, MEM_COMMIT, PAGE_READWRITE), UNCHANGED, "reserve: commit") == first + 0x10000,
        "reserve: commit: there");
    VirtualQuery(first + 0x10000, &info, sizeof info);
    TRUTH(info.State == MEM_COMMIT && info.RegionSize == 0x3000 && info.Protect == PAGE_READWRITE, "reserve: committed here");
    VirtualQuery(second + 0x10000, &info, sizeof info);
    TRUTH(info.State == MEM_COMMIT && info.RegionSize == 0x3000, "reserve: and in the other view");
    VirtualQuery(second, &info, sizeof info);
    TRUTH(info.State == MEM_RESERVE && info.RegionSize == 0x10000, "reserve: and not around it");
    first[0x12fff] = 3;
    TRUTH(second[0x12fff] == 3, "reserve: both show it");
    NO(VirtualFree(first + 0x10000, 0x1000, MEM_DECOMMIT), 87, "reserve: decommit");
    NO(VirtualFree(first, 0, MEM_RELEASE), 87, "reserve: release");
    UnmapViewOfFile(first);
    UnmapViewOfFile(second);
    CloseHandle(other);
    CloseHandle(h);
}

static void others(void) {
    char text[200];
    LPSTR allocated = NULL;
    SYSTEM_INFO info;
    HANDLE thread;
    DWORD id = 0, code = 0;
    static const DWORD codes[] = { 0, 2, 3, 5, 6, 8, 80, 87, 123, 161, 183, 193, 206, 288, 298, 487, 1006, 1132, 1224 };
    unsigned at, len = 0;
    for (at = 0; at < sizeof codes / sizeof *codes; at++)
        len += FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, codes[at], 0, text, sizeof text, NULL) > 2;
    TRUTH(len == at, "FormatMessage: a text for each code");
    TRUTH(FormatMessageA(FORMAT_MESSAGE_ALLOCATE_BUFFER | FORMAT_MESSAGE_FROM_SYSTEM, NULL, 5, 0, (LPSTR)&allocated, 0, NULL) == strlen(allocated),
        "FormatMessage: in memory of its own");
    LocalFree(allocated);
    memset(text, '?', sizeof text);
    TRUTH(memcpy_s(text, sizeof text, "four", 4) == 0 && !memcmp(text, "four?", 5), "memcpy_s: fits");
    TRUTH(memcpy_s(text, 3, "four", 4) == 34 && !memcmp(text, "\0\0\0r?", 5), "memcpy_s: does not fit, and empties the target");
    GetSystemInfo(&info);
    TRUTH(info.dwAllocationGranularity == 65536 && info.dwPageSize == 4096 && info.dwNumberOfProcessors > 0, "GetSystemInfo");
    thread = CreateThread(NULL, 0, try_it, NULL, 0, &id);
    IS(WaitForSingleObject(thread, 5000), WAIT_OBJECT_0, ANY, "CreateThread: waited for");
    TRUTH(id != 0 && GetExitCodeThread(thread, &code) && code == WAIT_FAILED, "CreateThread: its code");
    CloseHandle(thread);
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "child")) return child(argc - 2, argv + 2);
    GetModuleFileNameA(NULL, self, MAX_PATH);
    printf("TAP version 13\n");
    creating();
    in_namespaces();
    of_names();
    one_name_space();
    views();
    handles();
    lifetime();
    files();
    file_calls();
    mutexes();
    events_and_semaphores();
    waits();
    reserved();
    others();
    printf("1..%d\n", number);
    return failures != 0;
}
