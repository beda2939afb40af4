//! The part of kernel32 that shared-memory programs use, over the library's objects; Linux only.
