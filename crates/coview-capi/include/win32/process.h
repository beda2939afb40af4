/* Threads as Microsoft's C library starts them. */
#ifdef _WIN32
#include_next <process.h>
#elif !defined(COVIEW_WIN32_PROCESS_H)
#define COVIEW_WIN32_PROCESS_H

#include <windows.h>
#include <unistd.h>

#define _getpid getpid
static inline uintptr_t _beginthreadex(
    void *security, unsigned stack, unsigned (*routine)(void *), void *argument, unsigned flags, unsigned *id) {
    return (uintptr_t)CreateThread((LPSECURITY_ATTRIBUTES)security, stack, routine, argument, flags, id);
}
static inline void _endthreadex(unsigned code) { ExitThread(code); }

#endif
