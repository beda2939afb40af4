/* Text that is narrow or, with _UNICODE, wide. */
#ifdef _WIN32
#include_next <tchar.h>
#elif !defined(COVIEW_WIN32_TCHAR_H)
#define COVIEW_WIN32_TCHAR_H

#if defined(UNICODE) && !defined(_UNICODE)
#define _UNICODE
#endif
#if defined(_UNICODE) && !defined(UNICODE)
#define UNICODE
#endif

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "coview_wide.h"

#ifdef _UNICODE
typedef wchar_t _TCHAR;
#define __T(text) L##text
#define _tmain wmain
#define _tprintf coview_wprintf
#define _ftprintf coview_fwprintf
#define _stprintf coview_swprintf_all
#define _stprintf_s coview_swprintf
#define _sntprintf coview_swprintf
#define _vtprintf coview_vwprintf
#define _vftprintf coview_vfwprintf
#define _putts coview_putws
#define _fputts coview_fputws
#define _puttchar(c) coview_wprintf(L"%c", (c))
#define _tcslen coview_wcslen
#define _tcscpy coview_wcscpy
#define _tcsncpy coview_wcsncpy
#define _tcscat coview_wcscat
#define _tcscmp coview_wcscmp
#define _tcsncmp coview_wcsncmp
#define _tcschr coview_wcschr
#define _tcsrchr coview_wcsrchr
#define _tcsstr coview_wcsstr
#define _ttoi coview_wtoi
#define _tstoi coview_wtoi
#define _tcscpy_s(to, room, from) (coview_swprintf((to), (room), L"%s", (from)) < 0)
#else
typedef char _TCHAR;
#define __T(text) text
#define _tmain main
#define _tprintf printf
#define _ftprintf fprintf
#define _stprintf sprintf
#define _stprintf_s snprintf
#define _sntprintf snprintf
#define _vtprintf vprintf
#define _vftprintf vfprintf
#define _putts puts
#define _fputts fputs
#define _puttchar putchar
#define _tcslen strlen
#define _tcscpy strcpy
#define _tcsncpy strncpy
#define _tcscat strcat
#define _tcscmp strcmp
#define _tcsncmp strncmp
#define _tcschr strchr
#define _tcsrchr strrchr
#define _tcsstr strstr
#define _ttoi atoi
#define _tstoi atoi
#define _tcscpy_s(to, room, from) (snprintf((to), (room), "%s", (from)) < 0)
#endif
#define _T(text) __T(text)
#define _TEXT(text) __T(text)

#endif
