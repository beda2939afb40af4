/* The other spelling, which case-sensitive file systems tell apart. */
#include <windows.h>
