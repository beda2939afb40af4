/* A Windows program that does what its standard input says, a line each, and answers with a line: what a game, an overlay or a
 * debugged program does with shared memory. Plain Win32; it knows nothing of coview. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static HANDLE section, event, mutex, semaphore;
static volatile uint8_t *view;

/* What a telemetry game publishes: readers take it for whole if both versions are the same before and after. */
struct telemetry {
    volatile uint32_t begun, done;
    uint32_t tick;
    float speed;
    uint8_t payload[1024]; /* each the low byte of tick */
};

static void fill(struct telemetry *at, uint32_t tick)
{
    at->begun = tick;
    MemoryBarrier();
    at->tick = tick;
    at->speed = (float)tick / 2;
    memset(at->payload, (int)(tick & 255), sizeof at->payload);
    MemoryBarrier();
    at->done = tick;
}

/* 60 times a second, for two years. */
static DWORD WINAPI publish(void *unused)
{
    (void)unused;
    for (uint32_t tick = 1; tick; tick++) {
        fill((struct telemetry *)view, tick);
        Sleep(16);
    }
    return 0;
}

static void say(const char *what, unsigned long number)
{
    printf("%s %lu\n", what, number);
    fflush(stdout);
}

static void make_section(const char *name, unsigned size)
{
    section = CreateFileMappingA(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, size, name);
    DWORD why = GetLastError();
    view = section ? MapViewOfFile(section, FILE_MAP_ALL_ACCESS, 0, 0, size) : NULL;
    say(view ? "made" : "refused", view ? why : GetLastError());
}

static void open_section(const char *name)
{
    section = OpenFileMappingA(FILE_MAP_ALL_ACCESS, FALSE, name);
    view = section ? MapViewOfFile(section, FILE_MAP_ALL_ACCESS, 0, 0, 0) : NULL;
    say(view ? "opened" : "refused", view ? 0 : GetLastError());
}

static void close_all(void)
{
    if (view)
        UnmapViewOfFile((const void *)view);
    HANDLE *all[] = {&section, &event, &mutex, &semaphore};
    for (int i = 0; i < 4; i++) {
        if (*all[i])
            CloseHandle(*all[i]);
        *all[i] = NULL;
    }
    view = NULL;
    say("closed", 0);
}

/* Answers each change of the first word by the second, on another cache line, without sleeping. */
static void pong(uint32_t rounds)
{
    volatile uint32_t *ask = (volatile uint32_t *)view, *answer = (volatile uint32_t *)(view + 128);
    for (uint32_t round = 1; round <= rounds; round++) {
        while (*ask != round)
            YieldProcessor();
        *answer = round;
    }
}

/* Sets the event of this name each time that ours is set. */
static void echo(const char *name, unsigned rounds)
{
    HANDLE answer = OpenEventA(EVENT_MODIFY_STATE, FALSE, name);
    say("echoing", answer != NULL);
    for (; answer && rounds; rounds--) {
        WaitForSingleObject(event, INFINITE);
        SetEvent(answer);
    }
}

static void obey(const char *verb, const char *name, unsigned number)
{
    if (!strcmp(verb, "make"))
        make_section(name, number);
    else if (!strcmp(verb, "open"))
        open_section(name);
    else if (!strcmp(verb, "publish"))
        say("publishing", CreateThread(NULL, 0, publish, NULL, 0, NULL) != NULL);
    else if (!strcmp(verb, "peek"))
        say("is", *(volatile uint32_t *)(view + number));
    else if (!strcmp(verb, "poke"))
        say("poked", *(volatile uint32_t *)(view + atoi(name)) = number);
    else if (!strcmp(verb, "event")) {
        event = CreateEventA(NULL, number, FALSE, name);
        say(event ? "made" : "refused", GetLastError());
    } else if (!strcmp(verb, "set"))
        say("set", SetEvent(event));
    else if (!strcmp(verb, "reset"))
        say("reset", ResetEvent(event));
    else if (!strcmp(verb, "echo"))
        echo(name, number);
    else if (!strcmp(verb, "wait"))
        say("waited", WaitForSingleObject(event, number));
    else if (!strcmp(verb, "mutex")) {
        mutex = CreateMutexA(NULL, FALSE, name);
        say(mutex ? "made" : "refused", GetLastError());
    } else if (!strcmp(verb, "lock"))
        say("waited", WaitForSingleObject(mutex, number));
    else if (!strcmp(verb, "unlock"))
        say("unlocked", ReleaseMutex(mutex));
    else if (!strcmp(verb, "semaphore")) {
        semaphore = CreateSemaphoreA(NULL, 1, (LONG)number, name);
        say(semaphore ? "made" : "refused", GetLastError());
    } else if (!strcmp(verb, "pong")) {
        say("ponging", number);
        pong(number);
    } else if (!strcmp(verb, "close"))
        close_all();
    else
        say("unknown", 0);
}

int main(void)
{
    char line[512], verb[32], name[400];
    say("ready", 0);
    while (fgets(line, sizeof line, stdin)) {
        unsigned number = 0;
        name[0] = 0;
        line[strcspn(line, "\r\n")] = 0;
        if (!strncmp(line, "debug ", 6)) {
            OutputDebugStringA(line + 6);
            say("said", 0);
        } else if (sscanf(line, "%31s %399s %u", verb, name, &number) >= 1)
            obey(verb, name, number);
    }
    return 0;
}
