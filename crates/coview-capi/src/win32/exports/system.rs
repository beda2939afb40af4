//! Last errors and their texts, time, message boxes, what system this is.

use std::ffi::{c_char, c_int, c_void};

use super::{Char, Spelling, spelled, store};
use crate::win32::error::{Code, call, done, last_error, set_last_error};
use crate::win32::{memory, system};

#[unsafe(export_name = "coview_win32_GetLastError")]
extern "C" fn get_last_error() -> u32 {
    last_error()
}

#[unsafe(export_name = "coview_win32_SetLastError")]
extern "C" fn set_error(code: u32) {
    set_last_error(Code(code));
}

unsafe fn format_message<S: Spelling>(
    flags: u32,
    _source: *const c_void,
    code: u32,
    _language: u32,
    buffer: *mut Char<S>,
    size: u32,
    _arguments: *mut c_void,
) -> u32 {
    // SAFETY: contract of the module.
    call(0, || unsafe { system::format_message(S::room(buffer), flags, Code(code), size) })
}

unsafe fn message_box<S: Spelling>(
    _window: *mut c_void,
    text: *const Char<S>,
    caption: *const Char<S>,
    kind: u32,
) -> i32 {
    call(0, || {
        // SAFETY: contract of the module.
        let text = unsafe { S::text(text).read() };
        // SAFETY: as above.
        let caption = unsafe { S::text(caption).read() };
        system::message_box(text.as_deref().unwrap_or(""), caption.as_deref().unwrap_or("Error"), kind)
    })
}

unsafe fn module_file_name<S: Spelling>(module: *mut c_void, room: *mut Char<S>, capacity: u32) -> u32 {
    call(0, || {
        if !module.is_null() {
            return Err(Code::CALL_NOT_IMPLEMENTED);
        }
        let path = std::env::current_exe()?.to_string_lossy().into_owned();
        let room = S::room(room);
        if room.needs(&path) > capacity as usize {
            return Err(Code::INSUFFICIENT_BUFFER);
        }
        // SAFETY: contract of the module.
        unsafe { system::fill(room, &path, capacity) }
    })
}

unsafe fn environment_variable<S: Spelling>(name: *const Char<S>, room: *mut Char<S>, capacity: u32) -> u32 {
    call(0, || {
        // SAFETY: contract of the module.
        let name = unsafe { S::text(name).read() }.filter(|name| !name.is_empty()).ok_or(Code::INVALID_PARAMETER)?;
        let value = std::env::var_os(name).ok_or(Code::ENVVAR_NOT_FOUND)?;
        // SAFETY: as above.
        unsafe { system::fill(S::room(room), &value.to_string_lossy(), capacity) }
    })
}

unsafe fn output_debug_string<S: Spelling>(text: *const Char<S>) {
    // SAFETY: contract of the module.
    let text = unsafe { S::text(text).read() };
    call((), || {
        eprint!("{}", text.unwrap_or_default());
        Ok(())
    });
}

spelled! {
    format_message(flags: u32, source: *const c_void, code: u32, language: u32, buffer: *mut Char<S>, size: u32,
        arguments: *mut c_void) -> u32:
        "coview_win32_FormatMessageA" "coview_win32_FormatMessageW16" "coview_win32_FormatMessageW32";
    message_box(window: *mut c_void, text: *const Char<S>, caption: *const Char<S>, kind: u32) -> i32:
        "coview_win32_MessageBoxA" "coview_win32_MessageBoxW16" "coview_win32_MessageBoxW32";
    module_file_name(module: *mut c_void, room: *mut Char<S>, capacity: u32) -> u32:
        "coview_win32_GetModuleFileNameA" "coview_win32_GetModuleFileNameW16" "coview_win32_GetModuleFileNameW32";
    environment_variable(name: *const Char<S>, room: *mut Char<S>, capacity: u32) -> u32:
        "coview_win32_GetEnvironmentVariableA" "coview_win32_GetEnvironmentVariableW16"
        "coview_win32_GetEnvironmentVariableW32";
    output_debug_string(text: *const Char<S>) -> ():
        "coview_win32_OutputDebugStringA" "coview_win32_OutputDebugStringW16" "coview_win32_OutputDebugStringW32";
}

#[unsafe(export_name = "coview_win32_Sleep")]
extern "C" fn sleep(milliseconds: u32) {
    system::sleep(milliseconds);
}

#[unsafe(export_name = "coview_win32_GetTickCount64")]
extern "C" fn tick_count() -> u64 {
    system::nanoseconds() / 1_000_000
}

#[unsafe(export_name = "coview_win32_QueryPerformanceCounter")]
unsafe extern "C" fn performance_counter(count: *mut i64) -> i32 {
    done(|| {
        // SAFETY: contract of the module.
        unsafe { store(count, system::nanoseconds().cast_signed()) };
        Ok(())
    })
}

#[unsafe(export_name = "coview_win32_QueryPerformanceFrequency")]
unsafe extern "C" fn performance_frequency(frequency: *mut i64) -> i32 {
    done(|| {
        // SAFETY: contract of the module.
        unsafe { store(frequency, 1_000_000_000) };
        Ok(())
    })
}

/// SYSTEM_INFO.
#[repr(C)]
struct Info {
    architecture: u16,
    reserved: u16,
    page_size: u32,
    lowest: usize,
    highest: usize,
    processors_mask: usize,
    processors: u32,
    processor: u32,
    granularity: u32,
    level: u16,
    revision: u16,
}

#[unsafe(export_name = "coview_win32_GetSystemInfo")]
unsafe extern "C" fn system_info(into: *mut Info) {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (architecture, processor) = if cfg!(target_arch = "x86_64") { (9, 8664) } else { (12, 0) };
    let info = Info {
        architecture,
        reserved: 0,
        page_size: memory::page_size() as u32,
        lowest: memory::GRANULARITY,
        highest: 0x7fff_fffe_ffff,
        processors_mask: if processors >= 64 { usize::MAX } else { (1 << processors) - 1 },
        processors: processors as u32,
        processor,
        granularity: memory::GRANULARITY as u32,
        level: 0,
        revision: 0,
    };
    // SAFETY: contract of the module.
    unsafe { store(into, info) };
}

/// What `system("pause")` and the like do on Windows; anything else is the C library's.
#[unsafe(export_name = "coview_win32_system")]
unsafe extern "C" fn system_command(command: *const c_char) -> c_int {
    // SAFETY: contract of the module.
    let text = unsafe { crate::win32::text::Text::Narrow(command).read() };
    match text.as_deref().map(str::trim) {
        Some(text) if text.eq_ignore_ascii_case("pause") => system::pause(),
        Some(text) if text.eq_ignore_ascii_case("cls") => system::clear(),
        // SAFETY: contract of the module.
        _ => unsafe { libc::system(command) },
    }
}

#[unsafe(export_name = "coview_win32__getch")]
extern "C" fn getch() -> c_int {
    system::key(false)
}

#[unsafe(export_name = "coview_win32__getche")]
extern "C" fn getche() -> c_int {
    system::key(true)
}

#[unsafe(export_name = "coview_win32__kbhit")]
extern "C" fn kbhit() -> c_int {
    system::has_key()
}
