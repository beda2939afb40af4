/* Part of windows.h on Windows, all of it here. */
#ifdef _WIN32
#include_next <processthreadsapi.h>
#else
#include <windows.h>
#endif
