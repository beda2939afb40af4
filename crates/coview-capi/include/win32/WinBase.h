/* As above; on Windows this is the same file. */
#ifndef _WIN32
#include <windows.h>
#else
#include <winbase.h>
#endif
