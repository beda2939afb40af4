/* Makes a named object that is no mapping, says "@made", and keeps it until its input ends.
 *
 * other_kind mutex|event|semaphore|timer|job NAME
 *
 * Exits with the last error if that fails. */
#include <windows.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc < 3) return 87;
    const char *kind = argv[1], *name = argv[2];
    HANDLE object = NULL;
    if (!strcmp(kind, "mutex")) object = CreateMutexA(NULL, FALSE, name);
    if (!strcmp(kind, "event")) object = CreateEventA(NULL, FALSE, FALSE, name);
    if (!strcmp(kind, "semaphore")) object = CreateSemaphoreA(NULL, 0, 1, name);
    if (!strcmp(kind, "timer")) object = CreateWaitableTimerA(NULL, FALSE, name);
    if (!strcmp(kind, "job")) object = CreateJobObjectA(NULL, name);
    if (!object) return (int)GetLastError();
    puts("@made");
    fflush(stdout);
    while (getchar() != EOF) {}
    return 0;
}
