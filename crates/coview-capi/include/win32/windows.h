/* The part of the Win32 API that programs with shared memory use, on Linux. Part of coview; docs/win32.md says call by call what differs.
 *
 * Compile with -I<this folder> and link with -lcoview. Text of the W calls is wchar_t as the compiler has it: 32 bits, or 16 with
 * -fshort-wchar. Functions have their Win32 names for the compiler and coview_win32_… for the linker, so they meet no other library.
 */
#ifdef _WIN32
#include_next <windows.h> /* compiled for Windows: its own */
#elif !defined(COVIEW_WIN32_WINDOWS_H)
#define COVIEW_WIN32_WINDOWS_H

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#ifdef __cplusplus
/* Now, since they undefine what is redefined below. */
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#endif

#if defined(_UNICODE) && !defined(UNICODE)
#define UNICODE
#endif

/* ---- the compiler's own words ---- */

#define WINAPI
#define APIENTRY
#define CALLBACK
#define WINAPIV
#define NTAPI
#define PASCAL
#define CDECL
#define CONST const
#define VOID void
#define FAR
#define NEAR
#define IN
#define OUT
#define OPTIONAL
#define WINBASEAPI
#define DECLSPEC_NORETURN __attribute__((noreturn))
#define FORCEINLINE static inline __attribute__((always_inline))
#ifndef __stdcall
#define __stdcall
#endif
#ifndef __cdecl
#define __cdecl
#endif
#ifndef __fastcall
#define __fastcall
#endif
#ifndef __declspec
#define __declspec(what)
#endif
#ifndef __forceinline
#define __forceinline inline __attribute__((always_inline))
#endif
#ifndef __int64
#define __int8 char
#define __int16 short
#define __int32 int
#define __int64 long long
#endif
#define _In_
#define _In_opt_
#define _In_z_
#define _Out_
#define _Out_opt_
#define _Inout_
#define _Inout_opt_
#define UNREFERENCED_PARAMETER(p) ((void)(p))

#define DECLARE_HANDLE(name) typedef struct name##__ { int unused; } *name

/* ---- types: of the sizes they have on 64-bit Windows; a C long is 8 bytes here and 4 there, LONG is 4 in both ---- */

typedef int BOOL, *PBOOL, *LPBOOL;
typedef unsigned char BYTE, *PBYTE, *LPBYTE, BOOLEAN, UCHAR, *PUCHAR, UINT8, *PBOOLEAN;
typedef unsigned short WORD, *PWORD, *LPWORD, USHORT, *PUSHORT, UINT16, ATOM;
typedef unsigned int DWORD, *PDWORD, *LPDWORD, ULONG, *PULONG, UINT, *PUINT, UINT32, ULONG32, DWORD32;
typedef int INT, *PINT, *LPINT, LONG, *PLONG, *LPLONG, INT32, LONG32, HRESULT, NTSTATUS;
typedef short SHORT, *PSHORT, INT16;
typedef signed char INT8;
typedef char CHAR, CCHAR;
typedef float FLOAT;
typedef double DOUBLE;
typedef long long LONGLONG, *PLONGLONG, LONG64, INT64, *PLONG64;
typedef unsigned long long ULONGLONG, *PULONGLONG, DWORDLONG, ULONG64, DWORD64, UINT64, *PULONG64, *PDWORD64;
typedef intptr_t INT_PTR, *PINT_PTR, LONG_PTR, *PLONG_PTR;
typedef uintptr_t UINT_PTR, *PUINT_PTR, ULONG_PTR, *PULONG_PTR, DWORD_PTR, *PDWORD_PTR;
typedef size_t SIZE_T, *PSIZE_T;
typedef ptrdiff_t SSIZE_T, *PSSIZE_T;
typedef void *PVOID, *LPVOID;
typedef const void *LPCVOID, *PCVOID;
typedef void *HANDLE, **PHANDLE, **LPHANDLE, *HGLOBAL, *HLOCAL;
typedef wchar_t WCHAR;
typedef char *LPSTR, *PSTR, *NPSTR;
typedef const char *LPCSTR, *PCSTR;
typedef wchar_t *LPWSTR, *PWSTR;
typedef const wchar_t *LPCWSTR, *PCWSTR;
typedef ULONG_PTR WPARAM;
typedef LONG_PTR LPARAM, LRESULT;
typedef DWORD ACCESS_MASK, LCID;
DECLARE_HANDLE(HWND);
DECLARE_HANDLE(HINSTANCE);
typedef HINSTANCE HMODULE;

#ifdef UNICODE
typedef WCHAR TCHAR, *PTCHAR;
typedef LPWSTR LPTSTR, PTSTR;
typedef LPCWSTR LPCTSTR, PCTSTR;
#define __TEXT(text) L##text
#else
typedef char TCHAR, *PTCHAR;
typedef LPSTR LPTSTR, PTSTR;
typedef LPCSTR LPCTSTR, PCTSTR;
#define __TEXT(text) text
#endif
#define TEXT(text) __TEXT(text)

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif
#define MAX_PATH 260
#define INFINITE 0xFFFFFFFFu

typedef union _LARGE_INTEGER {
    struct { DWORD LowPart; LONG HighPart; };
    struct { DWORD LowPart; LONG HighPart; } u;
    LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

typedef union _ULARGE_INTEGER {
    struct { DWORD LowPart; DWORD HighPart; };
    struct { DWORD LowPart; DWORD HighPart; } u;
    ULONGLONG QuadPart;
} ULARGE_INTEGER, *PULARGE_INTEGER;

typedef struct _ACL ACL, *PACL;
typedef void *PSID;
typedef PVOID PSECURITY_DESCRIPTOR;

typedef struct _SECURITY_DESCRIPTOR {
    BYTE Revision;
    BYTE Sbz1;
    WORD Control;
    PSID Owner;
    PSID Group;
    PACL Sacl;
    PACL Dacl;
} SECURITY_DESCRIPTOR, *PISECURITY_DESCRIPTOR;

typedef struct _SECURITY_ATTRIBUTES {
    DWORD nLength;
    LPVOID lpSecurityDescriptor;
    BOOL bInheritHandle;
} SECURITY_ATTRIBUTES, *PSECURITY_ATTRIBUTES, *LPSECURITY_ATTRIBUTES;

typedef struct _OVERLAPPED {
    ULONG_PTR Internal;
    ULONG_PTR InternalHigh;
    union {
        struct { DWORD Offset; DWORD OffsetHigh; };
        PVOID Pointer;
    };
    HANDLE hEvent;
} OVERLAPPED, *LPOVERLAPPED;

typedef struct _MEMORY_BASIC_INFORMATION {
    PVOID BaseAddress;
    PVOID AllocationBase;
    DWORD AllocationProtect;
    WORD PartitionId;
    SIZE_T RegionSize;
    DWORD State;
    DWORD Protect;
    DWORD Type;
} MEMORY_BASIC_INFORMATION, *PMEMORY_BASIC_INFORMATION;

typedef struct _SYSTEM_INFO {
    union {
        DWORD dwOemId;
        struct { WORD wProcessorArchitecture; WORD wReserved; };
    };
    DWORD dwPageSize;
    LPVOID lpMinimumApplicationAddress;
    LPVOID lpMaximumApplicationAddress;
    DWORD_PTR dwActiveProcessorMask;
    DWORD dwNumberOfProcessors;
    DWORD dwProcessorType;
    DWORD dwAllocationGranularity;
    WORD wProcessorLevel;
    WORD wProcessorRevision;
} SYSTEM_INFO, *LPSYSTEM_INFO;

typedef struct _PROCESS_INFORMATION {
    HANDLE hProcess;
    HANDLE hThread;
    DWORD dwProcessId;
    DWORD dwThreadId;
} PROCESS_INFORMATION, *PPROCESS_INFORMATION, *LPPROCESS_INFORMATION;

#define COVIEW_WIN32_STARTUPINFO(name, text) \
    typedef struct _##name { \
        DWORD cb; \
        text lpReserved; \
        text lpDesktop; \
        text lpTitle; \
        DWORD dwX, dwY, dwXSize, dwYSize, dwXCountChars, dwYCountChars, dwFillAttribute, dwFlags; \
        WORD wShowWindow; \
        WORD cbReserved2; \
        LPBYTE lpReserved2; \
        HANDLE hStdInput; \
        HANDLE hStdOutput; \
        HANDLE hStdError; \
    } name, *LP##name
COVIEW_WIN32_STARTUPINFO(STARTUPINFOA, LPSTR);
COVIEW_WIN32_STARTUPINFO(STARTUPINFOW, LPWSTR);

typedef DWORD (WINAPI *LPTHREAD_START_ROUTINE)(LPVOID);
typedef LPTHREAD_START_ROUTINE PTHREAD_START_ROUTINE;

/* ---- numbers ---- */

#define INVALID_HANDLE_VALUE ((HANDLE)(LONG_PTR)-1)
#define INVALID_FILE_SIZE 0xFFFFFFFFu
#define INVALID_SET_FILE_POINTER 0xFFFFFFFFu
#define INVALID_FILE_ATTRIBUTES 0xFFFFFFFFu

#define DELETE 0x00010000u
#define READ_CONTROL 0x00020000u
#define WRITE_DAC 0x00040000u
#define WRITE_OWNER 0x00080000u
#define SYNCHRONIZE 0x00100000u
#define STANDARD_RIGHTS_REQUIRED 0x000F0000u
#define STANDARD_RIGHTS_ALL 0x001F0000u
#define MAXIMUM_ALLOWED 0x02000000u
#define GENERIC_READ 0x80000000u
#define GENERIC_WRITE 0x40000000u
#define GENERIC_EXECUTE 0x20000000u
#define GENERIC_ALL 0x10000000u

#define SECTION_QUERY 0x0001
#define SECTION_MAP_WRITE 0x0002
#define SECTION_MAP_READ 0x0004
#define SECTION_MAP_EXECUTE 0x0008
#define SECTION_EXTEND_SIZE 0x0010
#define SECTION_ALL_ACCESS 0x000F001Fu
#define FILE_MAP_COPY 0x0001
#define FILE_MAP_WRITE 0x0002
#define FILE_MAP_READ 0x0004
#define FILE_MAP_EXECUTE 0x0020
#define FILE_MAP_ALL_ACCESS SECTION_ALL_ACCESS

#define PAGE_NOACCESS 0x01
#define PAGE_READONLY 0x02
#define PAGE_READWRITE 0x04
#define PAGE_WRITECOPY 0x08
#define PAGE_EXECUTE 0x10
#define PAGE_EXECUTE_READ 0x20
#define PAGE_EXECUTE_READWRITE 0x40
#define PAGE_EXECUTE_WRITECOPY 0x80
#define PAGE_GUARD 0x100
#define PAGE_NOCACHE 0x200
#define PAGE_WRITECOMBINE 0x400

#define SEC_FILE 0x00800000u
#define SEC_IMAGE 0x01000000u
#define SEC_RESERVE 0x04000000u
#define SEC_COMMIT 0x08000000u
#define SEC_NOCACHE 0x10000000u
#define SEC_WRITECOMBINE 0x40000000u
#define SEC_LARGE_PAGES 0x80000000u

#define MEM_COMMIT 0x1000
#define MEM_RESERVE 0x2000
#define MEM_DECOMMIT 0x4000
#define MEM_RELEASE 0x8000
#define MEM_FREE 0x10000
#define MEM_PRIVATE 0x20000
#define MEM_MAPPED 0x40000
#define MEM_TOP_DOWN 0x100000
#define MEM_IMAGE 0x1000000

#define MUTANT_QUERY_STATE 0x0001
#define MUTEX_MODIFY_STATE 0x0001
#define MUTEX_ALL_ACCESS 0x001F0001u
#define EVENT_MODIFY_STATE 0x0002
#define EVENT_ALL_ACCESS 0x001F0003u
#define SEMAPHORE_MODIFY_STATE 0x0002
#define SEMAPHORE_ALL_ACCESS 0x001F0003u
#define CREATE_MUTEX_INITIAL_OWNER 1
#define CREATE_EVENT_MANUAL_RESET 1
#define CREATE_EVENT_INITIAL_SET 2

#define WAIT_OBJECT_0 0u
#define WAIT_ABANDONED 0x80u
#define WAIT_ABANDONED_0 0x80u
#define WAIT_IO_COMPLETION 0xC0u
#define WAIT_TIMEOUT 258u
#define WAIT_FAILED 0xFFFFFFFFu
#define MAXIMUM_WAIT_OBJECTS 64
#define STILL_ACTIVE 259u

#define CREATE_NEW 1
#define CREATE_ALWAYS 2
#define OPEN_EXISTING 3
#define OPEN_ALWAYS 4
#define TRUNCATE_EXISTING 5
#define FILE_SHARE_READ 1
#define FILE_SHARE_WRITE 2
#define FILE_SHARE_DELETE 4
#define FILE_READ_DATA 1
#define FILE_WRITE_DATA 2
#define FILE_APPEND_DATA 4
#define FILE_ATTRIBUTE_READONLY 0x1
#define FILE_ATTRIBUTE_HIDDEN 0x2
#define FILE_ATTRIBUTE_SYSTEM 0x4
#define FILE_ATTRIBUTE_DIRECTORY 0x10
#define FILE_ATTRIBUTE_ARCHIVE 0x20
#define FILE_ATTRIBUTE_NORMAL 0x80
#define FILE_ATTRIBUTE_TEMPORARY 0x100
#define FILE_FLAG_WRITE_THROUGH 0x80000000u
#define FILE_FLAG_OVERLAPPED 0x40000000u
#define FILE_FLAG_NO_BUFFERING 0x20000000u
#define FILE_FLAG_RANDOM_ACCESS 0x10000000u
#define FILE_FLAG_SEQUENTIAL_SCAN 0x08000000u
#define FILE_FLAG_DELETE_ON_CLOSE 0x04000000u
#define FILE_BEGIN 0
#define FILE_CURRENT 1
#define FILE_END 2
#define FILE_TYPE_UNKNOWN 0
#define FILE_TYPE_DISK 1
#define FILE_TYPE_CHAR 2
#define FILE_TYPE_PIPE 3
#define STD_INPUT_HANDLE ((DWORD)-10)
#define STD_OUTPUT_HANDLE ((DWORD)-11)
#define STD_ERROR_HANDLE ((DWORD)-12)

#define DUPLICATE_CLOSE_SOURCE 1
#define DUPLICATE_SAME_ACCESS 2
#define HANDLE_FLAG_INHERIT 1
#define HANDLE_FLAG_PROTECT_FROM_CLOSE 2

#define PROCESS_TERMINATE 0x0001
#define PROCESS_DUP_HANDLE 0x0040
#define PROCESS_QUERY_INFORMATION 0x0400
#define PROCESS_ALL_ACCESS 0x001FFFFFu
#define CREATE_SUSPENDED 0x4
#define DETACHED_PROCESS 0x8
#define CREATE_NEW_CONSOLE 0x10
#define NORMAL_PRIORITY_CLASS 0x20
#define CREATE_UNICODE_ENVIRONMENT 0x400
#define CREATE_NO_WINDOW 0x08000000u
#define STARTF_USESHOWWINDOW 0x1
#define STARTF_USESTDHANDLES 0x100
#define SW_HIDE 0
#define SW_SHOW 5

#define SECURITY_DESCRIPTOR_REVISION 1
#define SDDL_REVISION_1 1

#define FORMAT_MESSAGE_ALLOCATE_BUFFER 0x100
#define FORMAT_MESSAGE_IGNORE_INSERTS 0x200
#define FORMAT_MESSAGE_FROM_STRING 0x400
#define FORMAT_MESSAGE_FROM_HMODULE 0x800
#define FORMAT_MESSAGE_FROM_SYSTEM 0x1000
#define FORMAT_MESSAGE_ARGUMENT_ARRAY 0x2000
#define FORMAT_MESSAGE_MAX_WIDTH_MASK 0xff
#define LANG_NEUTRAL 0
#define SUBLANG_DEFAULT 1
#define MAKELANGID(primary, sub) ((WORD)((WORD)(sub) << 10 | (WORD)(primary)))

#define MB_OK 0
#define MB_OKCANCEL 1
#define MB_ABORTRETRYIGNORE 2
#define MB_YESNOCANCEL 3
#define MB_YESNO 4
#define MB_RETRYCANCEL 5
#define MB_ICONERROR 0x10
#define MB_ICONHAND 0x10
#define MB_ICONSTOP 0x10
#define MB_ICONQUESTION 0x20
#define MB_ICONWARNING 0x30
#define MB_ICONEXCLAMATION 0x30
#define MB_ICONINFORMATION 0x40
#define MB_ICONASTERISK 0x40
#define IDOK 1
#define IDCANCEL 2
#define IDABORT 3
#define IDRETRY 4
#define IDIGNORE 5
#define IDYES 6
#define IDNO 7

#include "winerror.h"

#define LOWORD(value) ((WORD)((DWORD_PTR)(value) & 0xffff))
#define HIWORD(value) ((WORD)((DWORD_PTR)(value) >> 16 & 0xffff))
#define LOBYTE(value) ((BYTE)((DWORD_PTR)(value) & 0xff))
#define HIBYTE(value) ((BYTE)((DWORD_PTR)(value) >> 8 & 0xff))
#define MAKEWORD(low, high) ((WORD)((BYTE)(low) | (WORD)(BYTE)(high) << 8))
#define MAKELONG(low, high) ((LONG)((WORD)(low) | (DWORD)(WORD)(high) << 16))
#if !defined(NOMINMAX) && !defined(__cplusplus)
#ifndef max
#define max(a, b) ((a) > (b) ? (a) : (b))
#endif
#ifndef min
#define min(a, b) ((a) < (b) ? (a) : (b))
#endif
#endif

#define CopyMemory(to, from, len) memcpy((to), (from), (len))
#define MoveMemory(to, from, len) memmove((to), (from), (len))
#define FillMemory(to, len, byte) memset((to), (byte), (len))
#define ZeroMemory(to, len) memset((to), 0, (len))
#define RtlCopyMemory CopyMemory
#define RtlMoveMemory MoveMemory
#define RtlZeroMemory ZeroMemory
#define SecureZeroMemory(to, len) explicit_bzero((to), (len))

/* As Microsoft's C library has it: what does not fit empties the target. */
static inline int memcpy_s(void *to, size_t size, const void *from, size_t len)
{
    if (len == 0)
        return 0;
    if (to == NULL)
        return 22; /* EINVAL */
    if (from == NULL || len > size) {
        memset(to, 0, size);
        return from == NULL ? 22 : 34; /* ERANGE */
    }
    memcpy(to, from, len);
    return 0;
}

/* ---- functions ---- */

/* The linker's name of a function, of one with narrow text, and of one with wide text. */
#define COVIEW_WIN32(name) __asm__("coview_win32_" #name)
#if __SIZEOF_WCHAR_T__ == 2
#define COVIEW_WIN32_W(name) __asm__("coview_win32_" #name "16")
#else
#define COVIEW_WIN32_W(name) __asm__("coview_win32_" #name "32")
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* File mappings and views */
HANDLE WINAPI CreateFileMappingA(HANDLE file, LPSECURITY_ATTRIBUTES attributes, DWORD protect, DWORD high, DWORD low, LPCSTR name)
    COVIEW_WIN32(CreateFileMappingA);
HANDLE WINAPI CreateFileMappingW(HANDLE file, LPSECURITY_ATTRIBUTES attributes, DWORD protect, DWORD high, DWORD low, LPCWSTR name)
    COVIEW_WIN32_W(CreateFileMappingW);
HANDLE WINAPI OpenFileMappingA(DWORD access, BOOL inherit, LPCSTR name) COVIEW_WIN32(OpenFileMappingA);
HANDLE WINAPI OpenFileMappingW(DWORD access, BOOL inherit, LPCWSTR name) COVIEW_WIN32_W(OpenFileMappingW);
LPVOID WINAPI MapViewOfFileEx(HANDLE mapping, DWORD access, DWORD high, DWORD low, SIZE_T len, LPVOID at)
    COVIEW_WIN32(MapViewOfFileEx);
BOOL WINAPI UnmapViewOfFile(LPCVOID address) COVIEW_WIN32(UnmapViewOfFile);
BOOL WINAPI FlushViewOfFile(LPCVOID address, SIZE_T len) COVIEW_WIN32(FlushViewOfFile);
LPVOID WINAPI VirtualAlloc(LPVOID address, SIZE_T size, DWORD type, DWORD protect) COVIEW_WIN32(VirtualAlloc);
BOOL WINAPI VirtualFree(LPVOID address, SIZE_T size, DWORD type) COVIEW_WIN32(VirtualFree);
BOOL WINAPI VirtualProtect(LPVOID address, SIZE_T size, DWORD protect, PDWORD old) COVIEW_WIN32(VirtualProtect);
SIZE_T WINAPI VirtualQuery(LPCVOID address, PMEMORY_BASIC_INFORMATION into, SIZE_T len) COVIEW_WIN32(VirtualQuery);

/* Handles */
BOOL WINAPI CloseHandle(HANDLE handle) COVIEW_WIN32(CloseHandle);
BOOL WINAPI DuplicateHandle(HANDLE from, HANDLE source, HANDLE to, LPHANDLE target, DWORD access, BOOL inherit, DWORD options)
    COVIEW_WIN32(DuplicateHandle);
BOOL WINAPI SetHandleInformation(HANDLE handle, DWORD mask, DWORD flags) COVIEW_WIN32(SetHandleInformation);
BOOL WINAPI GetHandleInformation(HANDLE handle, LPDWORD flags) COVIEW_WIN32(GetHandleInformation);

/* Security */
BOOL WINAPI InitializeSecurityDescriptor(PSECURITY_DESCRIPTOR descriptor, DWORD revision)
    COVIEW_WIN32(InitializeSecurityDescriptor);
BOOL WINAPI SetSecurityDescriptorDacl(PSECURITY_DESCRIPTOR descriptor, BOOL present, PACL dacl, BOOL defaulted)
    COVIEW_WIN32(SetSecurityDescriptorDacl);
BOOL WINAPI ConvertStringSecurityDescriptorToSecurityDescriptorA(LPCSTR text, DWORD revision, PSECURITY_DESCRIPTOR *made, PULONG size)
    COVIEW_WIN32(ConvertStringSecurityDescriptorToSecurityDescriptorA);
BOOL WINAPI ConvertStringSecurityDescriptorToSecurityDescriptorW(LPCWSTR text, DWORD revision, PSECURITY_DESCRIPTOR *made, PULONG size)
    COVIEW_WIN32_W(ConvertStringSecurityDescriptorToSecurityDescriptorW);

/* Mutexes, events, semaphores */
HANDLE WINAPI CreateMutexA(LPSECURITY_ATTRIBUTES attributes, BOOL owned, LPCSTR name) COVIEW_WIN32(CreateMutexA);
HANDLE WINAPI CreateMutexW(LPSECURITY_ATTRIBUTES attributes, BOOL owned, LPCWSTR name) COVIEW_WIN32_W(CreateMutexW);
HANDLE WINAPI CreateMutexExA(LPSECURITY_ATTRIBUTES attributes, LPCSTR name, DWORD flags, DWORD access) COVIEW_WIN32(CreateMutexExA);
HANDLE WINAPI CreateMutexExW(LPSECURITY_ATTRIBUTES attributes, LPCWSTR name, DWORD flags, DWORD access)
    COVIEW_WIN32_W(CreateMutexExW);
HANDLE WINAPI OpenMutexA(DWORD access, BOOL inherit, LPCSTR name) COVIEW_WIN32(OpenMutexA);
HANDLE WINAPI OpenMutexW(DWORD access, BOOL inherit, LPCWSTR name) COVIEW_WIN32_W(OpenMutexW);
BOOL WINAPI ReleaseMutex(HANDLE mutex) COVIEW_WIN32(ReleaseMutex);
HANDLE WINAPI CreateEventA(LPSECURITY_ATTRIBUTES attributes, BOOL manual, BOOL set, LPCSTR name) COVIEW_WIN32(CreateEventA);
HANDLE WINAPI CreateEventW(LPSECURITY_ATTRIBUTES attributes, BOOL manual, BOOL set, LPCWSTR name) COVIEW_WIN32_W(CreateEventW);
HANDLE WINAPI CreateEventExA(LPSECURITY_ATTRIBUTES attributes, LPCSTR name, DWORD flags, DWORD access) COVIEW_WIN32(CreateEventExA);
HANDLE WINAPI CreateEventExW(LPSECURITY_ATTRIBUTES attributes, LPCWSTR name, DWORD flags, DWORD access)
    COVIEW_WIN32_W(CreateEventExW);
HANDLE WINAPI OpenEventA(DWORD access, BOOL inherit, LPCSTR name) COVIEW_WIN32(OpenEventA);
HANDLE WINAPI OpenEventW(DWORD access, BOOL inherit, LPCWSTR name) COVIEW_WIN32_W(OpenEventW);
BOOL WINAPI SetEvent(HANDLE event) COVIEW_WIN32(SetEvent);
BOOL WINAPI ResetEvent(HANDLE event) COVIEW_WIN32(ResetEvent);
BOOL WINAPI PulseEvent(HANDLE event) COVIEW_WIN32(PulseEvent);
HANDLE WINAPI CreateSemaphoreA(LPSECURITY_ATTRIBUTES attributes, LONG count, LONG maximum, LPCSTR name)
    COVIEW_WIN32(CreateSemaphoreA);
HANDLE WINAPI CreateSemaphoreW(LPSECURITY_ATTRIBUTES attributes, LONG count, LONG maximum, LPCWSTR name)
    COVIEW_WIN32_W(CreateSemaphoreW);
HANDLE WINAPI CreateSemaphoreExA(LPSECURITY_ATTRIBUTES attributes, LONG count, LONG maximum, LPCSTR name, DWORD flags, DWORD access)
    COVIEW_WIN32(CreateSemaphoreExA);
HANDLE WINAPI CreateSemaphoreExW(LPSECURITY_ATTRIBUTES attributes, LONG count, LONG maximum, LPCWSTR name, DWORD flags, DWORD access)
    COVIEW_WIN32_W(CreateSemaphoreExW);
HANDLE WINAPI OpenSemaphoreA(DWORD access, BOOL inherit, LPCSTR name) COVIEW_WIN32(OpenSemaphoreA);
HANDLE WINAPI OpenSemaphoreW(DWORD access, BOOL inherit, LPCWSTR name) COVIEW_WIN32_W(OpenSemaphoreW);
BOOL WINAPI ReleaseSemaphore(HANDLE semaphore, LONG count, LPLONG previous) COVIEW_WIN32(ReleaseSemaphore);
DWORD WINAPI WaitForSingleObject(HANDLE handle, DWORD milliseconds) COVIEW_WIN32(WaitForSingleObject);
DWORD WINAPI WaitForMultipleObjects(DWORD count, const HANDLE *handles, BOOL all, DWORD milliseconds)
    COVIEW_WIN32(WaitForMultipleObjects);

/* Files */
HANDLE WINAPI CreateFileA(LPCSTR name, DWORD access, DWORD share, LPSECURITY_ATTRIBUTES attributes, DWORD disposition, DWORD flags,
    HANDLE like) COVIEW_WIN32(CreateFileA);
HANDLE WINAPI CreateFileW(LPCWSTR name, DWORD access, DWORD share, LPSECURITY_ATTRIBUTES attributes, DWORD disposition, DWORD flags,
    HANDLE like) COVIEW_WIN32_W(CreateFileW);
BOOL WINAPI ReadFile(HANDLE file, LPVOID into, DWORD len, LPDWORD read, LPOVERLAPPED overlapped) COVIEW_WIN32(ReadFile);
BOOL WINAPI WriteFile(HANDLE file, LPCVOID from, DWORD len, LPDWORD written, LPOVERLAPPED overlapped) COVIEW_WIN32(WriteFile);
DWORD WINAPI SetFilePointer(HANDLE file, LONG low, LONG *high, DWORD method) COVIEW_WIN32(SetFilePointer);
BOOL WINAPI SetFilePointerEx(HANDLE file, LARGE_INTEGER distance, PLARGE_INTEGER place, DWORD method)
    COVIEW_WIN32(SetFilePointerEx);
DWORD WINAPI GetFileSize(HANDLE file, LPDWORD high) COVIEW_WIN32(GetFileSize);
BOOL WINAPI GetFileSizeEx(HANDLE file, PLARGE_INTEGER size) COVIEW_WIN32(GetFileSizeEx);
BOOL WINAPI SetEndOfFile(HANDLE file) COVIEW_WIN32(SetEndOfFile);
BOOL WINAPI FlushFileBuffers(HANDLE file) COVIEW_WIN32(FlushFileBuffers);
DWORD WINAPI GetFileType(HANDLE file) COVIEW_WIN32(GetFileType);
HANDLE WINAPI GetStdHandle(DWORD number) COVIEW_WIN32(GetStdHandle);
BOOL WINAPI DeleteFileA(LPCSTR name) COVIEW_WIN32(DeleteFileA);
BOOL WINAPI DeleteFileW(LPCWSTR name) COVIEW_WIN32_W(DeleteFileW);
DWORD WINAPI GetFileAttributesA(LPCSTR name) COVIEW_WIN32(GetFileAttributesA);
DWORD WINAPI GetFileAttributesW(LPCWSTR name) COVIEW_WIN32_W(GetFileAttributesW);
DWORD WINAPI GetTempPathA(DWORD capacity, LPSTR into) COVIEW_WIN32(GetTempPathA);
DWORD WINAPI GetTempPathW(DWORD capacity, LPWSTR into) COVIEW_WIN32_W(GetTempPathW);
DWORD WINAPI GetCurrentDirectoryA(DWORD capacity, LPSTR into) COVIEW_WIN32(GetCurrentDirectoryA);
DWORD WINAPI GetCurrentDirectoryW(DWORD capacity, LPWSTR into) COVIEW_WIN32_W(GetCurrentDirectoryW);

/* Threads and processes */
HANDLE WINAPI CreateThread(LPSECURITY_ATTRIBUTES attributes, SIZE_T stack, LPTHREAD_START_ROUTINE routine, LPVOID argument, DWORD flags,
    LPDWORD id) COVIEW_WIN32(CreateThread);
DECLSPEC_NORETURN VOID WINAPI ExitThread(DWORD code) COVIEW_WIN32(ExitThread);
BOOL WINAPI GetExitCodeThread(HANDLE thread, LPDWORD code) COVIEW_WIN32(GetExitCodeThread);
DWORD WINAPI GetThreadId(HANDLE thread) COVIEW_WIN32(GetThreadId);
DWORD WINAPI GetCurrentThreadId(VOID) COVIEW_WIN32(GetCurrentThreadId);
DWORD WINAPI GetCurrentProcessId(VOID) COVIEW_WIN32(GetCurrentProcessId);
BOOL WINAPI CreateProcessA(LPCSTR program, LPSTR line, LPSECURITY_ATTRIBUTES process, LPSECURITY_ATTRIBUTES thread, BOOL inherit,
    DWORD flags, LPVOID environment, LPCSTR folder, LPSTARTUPINFOA startup, LPPROCESS_INFORMATION made)
    COVIEW_WIN32(CreateProcessA);
BOOL WINAPI CreateProcessW(LPCWSTR program, LPWSTR line, LPSECURITY_ATTRIBUTES process, LPSECURITY_ATTRIBUTES thread, BOOL inherit,
    DWORD flags, LPVOID environment, LPCWSTR folder, LPSTARTUPINFOW startup, LPPROCESS_INFORMATION made)
    COVIEW_WIN32_W(CreateProcessW);
HANDLE WINAPI OpenProcess(DWORD access, BOOL inherit, DWORD id) COVIEW_WIN32(OpenProcess);
BOOL WINAPI GetExitCodeProcess(HANDLE process, LPDWORD code) COVIEW_WIN32(GetExitCodeProcess);
DWORD WINAPI GetProcessId(HANDLE process) COVIEW_WIN32(GetProcessId);
BOOL WINAPI TerminateProcess(HANDLE process, UINT code) COVIEW_WIN32(TerminateProcess);

/* The rest */
DWORD WINAPI GetLastError(VOID) COVIEW_WIN32(GetLastError);
VOID WINAPI SetLastError(DWORD code) COVIEW_WIN32(SetLastError);
DWORD WINAPI FormatMessageA(DWORD flags, LPCVOID source, DWORD code, DWORD language, LPSTR into, DWORD size, va_list *arguments)
    COVIEW_WIN32(FormatMessageA);
DWORD WINAPI FormatMessageW(DWORD flags, LPCVOID source, DWORD code, DWORD language, LPWSTR into, DWORD size, va_list *arguments)
    COVIEW_WIN32_W(FormatMessageW);
int WINAPI MessageBoxA(HWND window, LPCSTR text, LPCSTR caption, UINT type) COVIEW_WIN32(MessageBoxA);
int WINAPI MessageBoxW(HWND window, LPCWSTR text, LPCWSTR caption, UINT type) COVIEW_WIN32_W(MessageBoxW);
VOID WINAPI OutputDebugStringA(LPCSTR text) COVIEW_WIN32(OutputDebugStringA);
VOID WINAPI OutputDebugStringW(LPCWSTR text) COVIEW_WIN32_W(OutputDebugStringW);
DWORD WINAPI GetModuleFileNameA(HMODULE module, LPSTR into, DWORD capacity) COVIEW_WIN32(GetModuleFileNameA);
DWORD WINAPI GetModuleFileNameW(HMODULE module, LPWSTR into, DWORD capacity) COVIEW_WIN32_W(GetModuleFileNameW);
DWORD WINAPI GetEnvironmentVariableA(LPCSTR name, LPSTR into, DWORD capacity) COVIEW_WIN32(GetEnvironmentVariableA);
DWORD WINAPI GetEnvironmentVariableW(LPCWSTR name, LPWSTR into, DWORD capacity) COVIEW_WIN32_W(GetEnvironmentVariableW);
VOID WINAPI Sleep(DWORD milliseconds) COVIEW_WIN32(Sleep);
ULONGLONG WINAPI GetTickCount64(VOID) COVIEW_WIN32(GetTickCount64);
BOOL WINAPI QueryPerformanceCounter(LARGE_INTEGER *count) COVIEW_WIN32(QueryPerformanceCounter);
BOOL WINAPI QueryPerformanceFrequency(LARGE_INTEGER *frequency) COVIEW_WIN32(QueryPerformanceFrequency);
VOID WINAPI GetSystemInfo(LPSYSTEM_INFO into) COVIEW_WIN32(GetSystemInfo);
int coview_win32_system(const char *command) COVIEW_WIN32(system);

static inline LPVOID MapViewOfFile(HANDLE mapping, DWORD access, DWORD high, DWORD low, SIZE_T len) {
    return MapViewOfFileEx(mapping, access, high, low, len, NULL);
}
static inline DWORD WaitForSingleObjectEx(HANDLE handle, DWORD milliseconds, BOOL alertable) {
    (void)alertable;
    return WaitForSingleObject(handle, milliseconds);
}
static inline DWORD WaitForMultipleObjectsEx(DWORD count, const HANDLE *handles, BOOL all, DWORD milliseconds, BOOL alertable) {
    (void)alertable;
    return WaitForMultipleObjects(count, handles, all, milliseconds);
}
static inline DWORD SignalObjectAndWait(HANDLE signal, HANDLE wait, DWORD milliseconds, BOOL alertable) {
    (void)alertable;
    if (!SetEvent(signal) && !ReleaseMutex(signal) && !ReleaseSemaphore(signal, 1, NULL))
        return WAIT_FAILED;
    return WaitForSingleObject(wait, milliseconds);
}
static inline HANDLE GetCurrentProcess(VOID) { return (HANDLE)(LONG_PTR)-1; }
static inline HANDLE GetCurrentThread(VOID) { return (HANDLE)(LONG_PTR)-2; }
static inline DWORD GetTickCount(VOID) { return (DWORD)GetTickCount64(); }
static inline DECLSPEC_NORETURN VOID ExitProcess(UINT code) { exit((int)code); }
static inline BOOL SwitchToThread(VOID) { Sleep(0); return TRUE; }
static inline SIZE_T GetLargePageMinimum(VOID) { return 0; }
static inline HMODULE GetModuleHandleA(LPCSTR name) {
    if (name) SetLastError(ERROR_CALL_NOT_IMPLEMENTED);
    return NULL;
}
static inline HMODULE GetModuleHandleW(LPCWSTR name) { return GetModuleHandleA(name ? "" : NULL); }

/* The heaps are the C library's. */
#define LMEM_FIXED 0
#define LMEM_ZEROINIT 0x40
#define LPTR 0x40
#define GMEM_FIXED 0
#define GMEM_ZEROINIT 0x40
#define GPTR 0x40
#define HEAP_ZERO_MEMORY 8
static inline HLOCAL LocalAlloc(UINT flags, SIZE_T len) { return flags & LMEM_ZEROINIT ? calloc(1, len) : malloc(len); }
static inline HLOCAL LocalFree(HLOCAL block) { free(block); return NULL; }
static inline HGLOBAL GlobalAlloc(UINT flags, SIZE_T len) { return LocalAlloc(flags, len); }
static inline HGLOBAL GlobalFree(HGLOBAL block) { free(block); return NULL; }
static inline HANDLE GetProcessHeap(VOID) { return (HANDLE)(LONG_PTR)4; }
static inline LPVOID HeapAlloc(HANDLE heap, DWORD flags, SIZE_T len) {
    (void)heap;
    return flags & HEAP_ZERO_MEMORY ? calloc(1, len ? len : 1) : malloc(len ? len : 1);
}
static inline BOOL HeapFree(HANDLE heap, DWORD flags, LPVOID block) { (void)heap; (void)flags; free(block); return TRUE; }

/* Critical sections are the C library's, for the threads of one process. */
typedef struct _RTL_CRITICAL_SECTION { pthread_mutex_t lock; } CRITICAL_SECTION, *PCRITICAL_SECTION, *LPCRITICAL_SECTION;
static inline VOID InitializeCriticalSection(LPCRITICAL_SECTION section) {
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&section->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
}
static inline BOOL InitializeCriticalSectionAndSpinCount(LPCRITICAL_SECTION section, DWORD count) {
    (void)count;
    InitializeCriticalSection(section);
    return TRUE;
}
static inline VOID EnterCriticalSection(LPCRITICAL_SECTION section) { pthread_mutex_lock(&section->lock); }
static inline BOOL TryEnterCriticalSection(LPCRITICAL_SECTION section) { return !pthread_mutex_trylock(&section->lock); }
static inline VOID LeaveCriticalSection(LPCRITICAL_SECTION section) { pthread_mutex_unlock(&section->lock); }
static inline VOID DeleteCriticalSection(LPCRITICAL_SECTION section) { pthread_mutex_destroy(&section->lock); }

/* Atomic operations, full barriers as on Windows; also on words in shared memory. */
#define COVIEW_WIN32_INTERLOCKED(type, suffix) \
    static inline type InterlockedIncrement##suffix(volatile type *at) { return __sync_add_and_fetch(at, 1); } \
    static inline type InterlockedDecrement##suffix(volatile type *at) { return __sync_sub_and_fetch(at, 1); } \
    static inline type InterlockedExchangeAdd##suffix(volatile type *at, type by) { return __sync_fetch_and_add(at, by); } \
    static inline type InterlockedAdd##suffix(volatile type *at, type by) { return __sync_add_and_fetch(at, by); } \
    static inline type InterlockedAnd##suffix(volatile type *at, type by) { return __sync_fetch_and_and(at, by); } \
    static inline type InterlockedOr##suffix(volatile type *at, type by) { return __sync_fetch_and_or(at, by); } \
    static inline type InterlockedXor##suffix(volatile type *at, type by) { return __sync_fetch_and_xor(at, by); } \
    static inline type InterlockedExchange##suffix(volatile type *at, type to) { return __atomic_exchange_n(at, to, __ATOMIC_SEQ_CST); } \
    static inline type InterlockedCompareExchange##suffix(volatile type *at, type to, type from) { \
        return __sync_val_compare_and_swap(at, from, to); \
    }
COVIEW_WIN32_INTERLOCKED(LONG, )
COVIEW_WIN32_INTERLOCKED(LONGLONG, 64)
static inline PVOID InterlockedExchangePointer(PVOID volatile *at, PVOID to) {
    return __atomic_exchange_n(at, to, __ATOMIC_SEQ_CST);
}
static inline PVOID InterlockedCompareExchangePointer(PVOID volatile *at, PVOID to, PVOID from) {
    return __sync_val_compare_and_swap(at, from, to);
}
static inline VOID MemoryBarrier(VOID) { __sync_synchronize(); }
static inline VOID YieldProcessor(VOID) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Wide text of either width: the C library's functions know only one. */
static inline int lstrlenA(LPCSTR text) { return text ? (int)strlen(text) : 0; }
static inline int lstrlenW(LPCWSTR text) {
    int len = 0;
    while (text && text[len]) len++;
    return len;
}
static inline LPSTR lstrcpyA(LPSTR to, LPCSTR from) { return strcpy(to, from); }
static inline LPWSTR lstrcpyW(LPWSTR to, LPCWSTR from) {
    return (LPWSTR)memcpy(to, from, ((size_t)lstrlenW(from) + 1) * sizeof(WCHAR));
}
static inline LPSTR lstrcatA(LPSTR to, LPCSTR from) { return strcat(to, from); }
static inline LPWSTR lstrcatW(LPWSTR to, LPCWSTR from) { lstrcpyW(to + lstrlenW(to), from); return to; }
static inline LPSTR lstrcpynA(LPSTR to, LPCSTR from, int room) {
    int at = 0;
    for (; at < room - 1 && from[at]; at++) to[at] = from[at];
    if (room > 0) to[at] = 0;
    return to;
}
static inline LPWSTR lstrcpynW(LPWSTR to, LPCWSTR from, int room) {
    int at = 0;
    for (; at < room - 1 && from[at]; at++) to[at] = from[at];
    if (room > 0) to[at] = 0;
    return to;
}
static inline int lstrcmpA(LPCSTR a, LPCSTR b) { return strcmp(a, b); }
static inline int lstrcmpW(LPCWSTR a, LPCWSTR b) {
    for (; *a && *a == *b; a++, b++) {}
    return (*a > *b) - (*a < *b);
}

#ifdef __cplusplus
} /* extern "C" */
namespace std { using ::coview_win32_system; }
#endif

/* system("pause") and system("cls") are commands of Windows' shell; all others go to the C library. */
#define system(command) coview_win32_system(command)

#ifdef UNICODE
#define COVIEW_WIN32_T(name) name##W
typedef STARTUPINFOW STARTUPINFO, *LPSTARTUPINFO;
#else
#define COVIEW_WIN32_T(name) name##A
typedef STARTUPINFOA STARTUPINFO, *LPSTARTUPINFO;
#endif
#define CreateFileMapping COVIEW_WIN32_T(CreateFileMapping)
#define OpenFileMapping COVIEW_WIN32_T(OpenFileMapping)
#define ConvertStringSecurityDescriptorToSecurityDescriptor COVIEW_WIN32_T(ConvertStringSecurityDescriptorToSecurityDescriptor)
#define CreateMutex COVIEW_WIN32_T(CreateMutex)
#define CreateMutexEx COVIEW_WIN32_T(CreateMutexEx)
#define OpenMutex COVIEW_WIN32_T(OpenMutex)
#define CreateEvent COVIEW_WIN32_T(CreateEvent)
#define CreateEventEx COVIEW_WIN32_T(CreateEventEx)
#define OpenEvent COVIEW_WIN32_T(OpenEvent)
#define CreateSemaphore COVIEW_WIN32_T(CreateSemaphore)
#define CreateSemaphoreEx COVIEW_WIN32_T(CreateSemaphoreEx)
#define OpenSemaphore COVIEW_WIN32_T(OpenSemaphore)
#define CreateFile COVIEW_WIN32_T(CreateFile)
#define DeleteFile COVIEW_WIN32_T(DeleteFile)
#define GetFileAttributes COVIEW_WIN32_T(GetFileAttributes)
#define GetTempPath COVIEW_WIN32_T(GetTempPath)
#define GetCurrentDirectory COVIEW_WIN32_T(GetCurrentDirectory)
#define CreateProcess COVIEW_WIN32_T(CreateProcess)
#define FormatMessage COVIEW_WIN32_T(FormatMessage)
#define MessageBox COVIEW_WIN32_T(MessageBox)
#define OutputDebugString COVIEW_WIN32_T(OutputDebugString)
#define GetModuleFileName COVIEW_WIN32_T(GetModuleFileName)
#define GetModuleHandle COVIEW_WIN32_T(GetModuleHandle)
#define GetEnvironmentVariable COVIEW_WIN32_T(GetEnvironmentVariable)
#define lstrlen COVIEW_WIN32_T(lstrlen)
#define lstrcpy COVIEW_WIN32_T(lstrcpy)
#define lstrcpyn COVIEW_WIN32_T(lstrcpyn)
#define lstrcat COVIEW_WIN32_T(lstrcat)
#define lstrcmp COVIEW_WIN32_T(lstrcmp)

#include "coview_wide.h"

#endif
