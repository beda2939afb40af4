/* Wide text as Windows' C library has it, for a wchar_t of 16 or 32 bits: %s of a wide format is wide text, and what is printed
 * goes out as UTF-8 through the same stream as narrow text, so both can be mixed. Included by windows.h and tchar.h.
 */
#ifndef COVIEW_WIN32_WIDE_H
#define COVIEW_WIN32_WIDE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#ifdef __cplusplus
#include <cstdio>
#include <cwchar>
extern "C" {
#endif

/* Where text goes: a stream, or room for wide characters. */
typedef struct { FILE *stream; wchar_t *to; size_t room; int len; } coview_sink;

static inline void coview_put(coview_sink *sink, uint32_t c) {
    if (!sink->stream && sizeof(wchar_t) == 2 && c > 0xffff) {
        coview_put(sink, 0xd800 + ((c - 0x10000) >> 10));
        coview_put(sink, 0xdc00 + ((c - 0x10000) & 0x3ff));
        return;
    }
    sink->len++;
    if (!sink->stream) {
        if ((size_t)sink->len < sink->room) sink->to[sink->len - 1] = (wchar_t)c;
    } else if (c < 0x80) {
        putc((int)c, sink->stream);
    } else {
        if (c < 0x800) {
            putc((int)(0xc0 | c >> 6), sink->stream);
        } else {
            if (c < 0x10000) {
                putc((int)(0xe0 | c >> 12), sink->stream);
            } else {
                putc((int)(0xf0 | c >> 18), sink->stream);
                putc((int)(0x80 | (c >> 12 & 0x3f)), sink->stream);
            }
            putc((int)(0x80 | (c >> 6 & 0x3f)), sink->stream);
        }
        putc((int)(0x80 | (c & 0x3f)), sink->stream);
    }
}

/* The next character of wide text. */
static inline uint32_t coview_wide_next(const wchar_t **at) {
    uint32_t c = (uint32_t)*(*at)++;
    if (sizeof(wchar_t) == 2) {
        c &= 0xffff;
        if ((c & 0xfc00) == 0xd800 && ((uint32_t)**at & 0xfc00) == 0xdc00)
            c = 0x10000 + ((c & 0x3ff) << 10) + ((uint32_t)*(*at)++ & 0x3ff);
    }
    return c;
}

/* The next character of UTF-8; a byte that is none stands for itself. */
static inline uint32_t coview_narrow_next(const char **at) {
    const unsigned char *p = (const unsigned char *)*at;
    int more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0xc0 ? 1 : 0;
    uint32_t c = more ? p[0] & (0x3fu >> more) : p[0];
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            ++*at;
            return p[0];
        }
        c = c << 6 | (p[i] & 0x3f);
    }
    *at += 1 + more;
    return c;
}

static inline void coview_put_text(coview_sink *sink, const void *text, int wide, int width, int precision, int left) {
    const wchar_t *w = (const wchar_t *)text;
    const char *n = (const char *)text;
    int len = 0;
    while ((precision < 0 || len < precision) && (wide ? *w != 0 : *n != 0)) {
        if (wide) coview_wide_next(&w); else coview_narrow_next(&n);
        len++;
    }
    for (int i = len; !left && i < width; i++) coview_put(sink, ' ');
    w = (const wchar_t *)text;
    n = (const char *)text;
    for (int i = 0; i < len; i++) coview_put(sink, wide ? coview_wide_next(&w) : coview_narrow_next(&n));
    for (int i = len; left && i < width; i++) coview_put(sink, ' ');
}

/* One format, as Microsoft's wide functions read it. */
static inline int coview_format(coview_sink *sink, const wchar_t *format, va_list args) {
    while (*format) {
        if (*format != '%') {
            coview_put(sink, coview_wide_next(&format));
            continue;
        }
        char spec[32] = "%", number[512];
        int at = 1, left = 0, width = 0, precision = -1, longs = 0, shorts = 0;
        for (format++; *format == '-' || *format == '+' || *format == ' ' || *format == '#' || *format == '0'; format++) {
            if (*format == '-') left = 1;
            if (at < 8) spec[at++] = (char)*format;
        }
        if (*format == '*') {
            width = va_arg(args, int);
            format++;
            if (width < 0) {
                left = 1;
                width = -width;
                spec[at++] = '-';
            }
        } else {
            for (; *format >= '0' && *format <= '9' && width < 100000; format++) width = width * 10 + (int)(*format - '0');
        }
        if (*format == '.') {
            precision = 0;
            if (*++format == '*') {
                precision = va_arg(args, int);
                format++;
            } else {
                for (; *format >= '0' && *format <= '9' && precision < 100000; format++)
                    precision = precision * 10 + (int)(*format - '0');
            }
        }
        for (;; format++) {
            if (*format == 'l') longs++;
            else if (*format == 'h') shorts++;
            else if (*format == 'w') longs++;
            else if (*format == 'z' || *format == 't' || *format == 'j') longs = 2;
            else if (*format == 'I') {
                longs = 2;
                if (format[1] == '6' && format[2] == '4') format += 2;
                else if (format[1] == '3' && format[2] == '2') { longs = 0; format += 2; }
            } else break;
        }
        if (width > 400) width = 400;
        if (precision > 400 && *format != 's' && *format != 'S') precision = 400;
        at += snprintf(spec + at, sizeof spec - (size_t)at, "%d", width);
        if (!width) at--; /* a width of 0 would be a flag */
        spec[at] = 0;
        if (precision >= 0) at += snprintf(spec + at, sizeof spec - (size_t)at, ".%d", precision);
        int kind = (int)*format;
        if (!kind) break;
        format++;
        switch (kind) {
        case 'd': case 'i': case 'u': case 'x': case 'X': case 'o': {
            int is_signed = kind == 'd' || kind == 'i';
            long long value;
            if (longs > 1) value = va_arg(args, long long);
            else if (longs) value = va_arg(args, long);
            else if (is_signed) value = va_arg(args, int);
            else value = (long long)va_arg(args, unsigned);
            if (shorts == 1) value = is_signed ? (short)value : (unsigned short)value;
            if (shorts > 1) value = is_signed ? (signed char)value : (unsigned char)value;
            snprintf(spec + at, sizeof spec - (size_t)at, "ll%c", kind);
            snprintf(number, sizeof number, spec, value);
            coview_put_text(sink, number, 0, 0, -1, 0);
            break;
        }
        case 'e': case 'E': case 'f': case 'F': case 'g': case 'G': case 'a': case 'A':
            snprintf(spec + at, sizeof spec - (size_t)at, "%c", kind);
            snprintf(number, sizeof number, spec, va_arg(args, double));
            coview_put_text(sink, number, 0, 0, -1, 0);
            break;
        case 'p':
            snprintf(number, sizeof number, "%016llX", (unsigned long long)(uintptr_t)va_arg(args, void *));
            coview_put_text(sink, number, 0, width, -1, left);
            break;
        case 'c': case 'C': {
            wchar_t one[2] = { (wchar_t)va_arg(args, int), 0 };
            coview_put_text(sink, one, 1, width, -1, left);
            break;
        }
        case 's': case 'S': {
            int wide = longs || (kind == 's' && !shorts);
            const void *text = va_arg(args, const void *);
            if (!text) {
                text = "(null)";
                wide = 0;
            }
            coview_put_text(sink, text, wide, width, precision, left);
            break;
        }
        case 'n':
            break;
        default:
            coview_put(sink, (uint32_t)kind);
        }
    }
    if (!sink->stream && sink->room) sink->to[(size_t)sink->len < sink->room ? (size_t)sink->len : sink->room - 1] = 0;
    return sink->len;
}

static inline int coview_vfwprintf(FILE *stream, const wchar_t *format, va_list args) {
    coview_sink sink = { stream, NULL, 0, 0 };
    return coview_format(&sink, format, args);
}
static inline int coview_vwprintf(const wchar_t *format, va_list args) { return coview_vfwprintf(stdout, format, args); }
static inline int coview_vswprintf(wchar_t *to, size_t room, const wchar_t *format, va_list args) {
    coview_sink sink = { NULL, to, room, 0 };
    int len = coview_format(&sink, format, args);
    return (size_t)len < room ? len : -1;
}
#define COVIEW_WIDE_PRINT(name, head, call) \
    static inline int name head { \
        va_list args; \
        va_start(args, format); \
        int len = call; \
        va_end(args); \
        return len; \
    }
COVIEW_WIDE_PRINT(coview_wprintf, (const wchar_t *format, ...), coview_vwprintf(format, args))
COVIEW_WIDE_PRINT(coview_fwprintf, (FILE *stream, const wchar_t *format, ...), coview_vfwprintf(stream, format, args))
COVIEW_WIDE_PRINT(coview_swprintf, (wchar_t *to, size_t room, const wchar_t *format, ...), coview_vswprintf(to, room, format, args))
/* Without a bound, as Microsoft's _swprintf is. */
COVIEW_WIDE_PRINT(coview_swprintf_all, (wchar_t *to, const wchar_t *format, ...), coview_vswprintf(to, SIZE_MAX / 8, format, args))

static inline int coview_fputws(const wchar_t *text, FILE *stream) {
    coview_sink sink = { stream, NULL, 0, 0 };
    while (*text) coview_put(&sink, coview_wide_next(&text));
    return ferror(stream) ? -1 : 0;
}
static inline int coview_putws(const wchar_t *text) { return coview_fputws(text, stdout) < 0 || putchar('\n') < 0 ? -1 : 0; }

/* UTF-8 as wide text, in memory of malloc. */
static inline wchar_t *coview_widen(const char *text) {
    size_t room = 2 * strlen(text) + 1;
    coview_sink sink = { NULL, (wchar_t *)malloc(room * sizeof(wchar_t)), room, 0 };
    if (!sink.to) abort();
    while (*text) coview_put(&sink, coview_narrow_next(&text));
    sink.to[sink.len] = 0;
    return sink.to;
}

static inline size_t coview_wcslen(const wchar_t *text) { size_t len = 0; while (text[len]) len++; return len; }
static inline wchar_t *coview_wcscpy(wchar_t *to, const wchar_t *from) {
    return (wchar_t *)memcpy(to, from, (coview_wcslen(from) + 1) * sizeof(wchar_t));
}
static inline wchar_t *coview_wcsncpy(wchar_t *to, const wchar_t *from, size_t len) {
    size_t at = 0;
    for (; at < len && from[at]; at++) to[at] = from[at];
    for (; at < len; at++) to[at] = 0;
    return to;
}
static inline wchar_t *coview_wcscat(wchar_t *to, const wchar_t *from) { coview_wcscpy(to + coview_wcslen(to), from); return to; }
static inline int coview_wcsncmp(const wchar_t *a, const wchar_t *b, size_t len) {
    for (; len && *a && *a == *b; a++, b++) len--;
    return len ? (*a > *b) - (*a < *b) : 0;
}
static inline int coview_wcscmp(const wchar_t *a, const wchar_t *b) { return coview_wcsncmp(a, b, SIZE_MAX); }
static inline wchar_t *coview_wcschr(const wchar_t *text, wchar_t c) {
    for (; *text != c; text++) if (!*text) return NULL;
    return (wchar_t *)text;
}
static inline wchar_t *coview_wcsrchr(const wchar_t *text, wchar_t c) {
    const wchar_t *found = NULL;
    for (;; text++) {
        if (*text == c) found = text;
        if (!*text) return (wchar_t *)found;
    }
}
static inline wchar_t *coview_wcsstr(const wchar_t *text, const wchar_t *part) {
    size_t len = coview_wcslen(part);
    for (;; text++) {
        if (!coview_wcsncmp(text, part, len)) return (wchar_t *)text;
        if (!*text) return NULL;
    }
}
static inline int coview_wtoi(const wchar_t *text) {
    char digits[64];
    size_t at = 0;
    for (; at < sizeof digits - 1 && text[at] && (uint32_t)text[at] < 0x80; at++) digits[at] = (char)text[at];
    digits[at] = 0;
    return atoi(digits);
}

#ifdef __cplusplus
} /* extern "C" */
namespace std {
using ::coview_fputws;
using ::coview_fwprintf;
using ::coview_swprintf;
using ::coview_vfwprintf;
using ::coview_vswprintf;
using ::coview_vwprintf;
using ::coview_wprintf;
}
#endif

#define wprintf coview_wprintf
#define fwprintf coview_fwprintf
#define swprintf coview_swprintf
#define vwprintf coview_vwprintf
#define vfwprintf coview_vfwprintf
#define vswprintf coview_vswprintf
#define _snwprintf coview_swprintf
#define swprintf_s coview_swprintf
#define _swprintf coview_swprintf_all
#define wsprintfW coview_swprintf_all
#define wsprintfA sprintf
#define fputws coview_fputws
#define _putws coview_putws
#define _wtoi coview_wtoi
#if __SIZEOF_WCHAR_T__ == 2
/* The C library's own count on 32 bits. */
#define wcslen coview_wcslen
#define wcscpy coview_wcscpy
#define wcsncpy coview_wcsncpy
#define wcscat coview_wcscat
#define wcscmp coview_wcscmp
#define wcsncmp coview_wcsncmp
#define wcschr coview_wcschr
#define wcsrchr coview_wcsrchr
#define wcsstr coview_wcsstr
#endif

/* wmain, given the arguments as wide text. It may take fewer of them. */
#define COVIEW_WIN32_WMAIN(...) \
    coview_wmain(__VA_ARGS__); \
    int main(int argc, char **argv) { \
        typedef int (*coview_wmain_all)(int, wchar_t **, wchar_t **); \
        wchar_t **wide = (wchar_t **)calloc((size_t)argc + 1, sizeof(wchar_t *)); \
        if (!wide) abort(); \
        for (int at = 0; at < argc; at++) wide[at] = coview_widen(argv[at]); \
        return ((coview_wmain_all)(void (*)(void))coview_wmain)(argc, wide, wide + argc); \
    } \
    int coview_wmain(__VA_ARGS__)
#define wmain(...) COVIEW_WIN32_WMAIN(__VA_ARGS__)

#endif
