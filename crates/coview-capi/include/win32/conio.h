/* Keys of the terminal, one at a time. */
#ifdef _WIN32
#include_next <conio.h>
#elif !defined(COVIEW_WIN32_CONIO_H)
#define COVIEW_WIN32_CONIO_H

#include <stdio.h>
#ifdef __cplusplus
extern "C" {
#endif
int _getch(void) __asm__("coview_win32__getch");
int _getche(void) __asm__("coview_win32__getche");
int _kbhit(void) __asm__("coview_win32__kbhit");
static inline int _putch(int c) { return putchar(c); }
static inline int _cputs(const char *text) { return fputs(text, stdout) < 0; }
#ifdef __cplusplus
}
#endif
#define getch _getch
#define getche _getche
#define kbhit _kbhit
#define _cprintf printf

#endif
