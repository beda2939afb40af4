/* What the header that Visual C++ writes for a new program includes. */
#ifndef COVIEW_WIN32_STDAFX_H
#define COVIEW_WIN32_STDAFX_H

#include <stdio.h>
#include <stdlib.h>
#include <windows.h>
#include <tchar.h>

#endif
