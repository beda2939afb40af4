//! Ordinary files.

use std::ffi::c_void;
use std::ptr::null_mut;

use super::{Char, Spelling, spelled, store};
use crate::win32::error::{Code, Outcome, call, done, set_last_error};
use crate::win32::object::THIS_PROCESS;
use crate::win32::security::{self, Attributes};
use crate::win32::table::Handle;
use crate::win32::{file, system};

/// INVALID_HANDLE_VALUE.
fn invalid() -> Handle {
    std::ptr::without_provenance_mut(THIS_PROCESS)
}

/// The path that a caller wrote.
unsafe fn path<S: Spelling>(text: *const Char<S>) -> Outcome<String> {
    // SAFETY: contract of the module.
    unsafe { S::text(text).read() }.ok_or(Code::PATH_NOT_FOUND)
}

unsafe fn create_file<S: Spelling>(
    name: *const Char<S>,
    access: u32,
    share: u32,
    attributes: *const Attributes,
    disposition: u32,
    flags: u32,
    _template: Handle,
) -> Handle {
    call(invalid(), || {
        // SAFETY: contract of the module.
        let path = unsafe { path::<S>(name) }?;
        // SAFETY: as above.
        let security = unsafe { security::read(attributes) }?;
        file::create(&path, &file::Request { access, share, inherit: security.inherit, disposition, flags })
    })
}

unsafe fn delete_file<S: Spelling>(name: *const Char<S>) -> i32 {
    // SAFETY: contract of the module.
    done(|| file::delete(&unsafe { path::<S>(name) }?))
}

unsafe fn file_attributes<S: Spelling>(name: *const Char<S>) -> u32 {
    // SAFETY: contract of the module.
    call(u32::MAX, || file::attributes(&unsafe { path::<S>(name) }?))
}

unsafe fn temp_path<S: Spelling>(capacity: u32, room: *mut Char<S>) -> u32 {
    let folder = std::env::temp_dir().to_string_lossy().trim_end_matches('/').to_owned() + "/";
    // SAFETY: contract of the module.
    call(0, || unsafe { system::fill(S::room(room), &folder, capacity) })
}

unsafe fn current_directory<S: Spelling>(capacity: u32, room: *mut Char<S>) -> u32 {
    // SAFETY: contract of the module.
    call(0, || unsafe { system::fill(S::room(room), &std::env::current_dir()?.to_string_lossy(), capacity) })
}

spelled! {
    create_file(name: *const Char<S>, access: u32, share: u32, attributes: *const Attributes, disposition: u32, flags: u32,
        template: Handle) -> Handle: "coview_win32_CreateFileA" "coview_win32_CreateFileW16" "coview_win32_CreateFileW32";
    delete_file(name: *const Char<S>) -> i32:
        "coview_win32_DeleteFileA" "coview_win32_DeleteFileW16" "coview_win32_DeleteFileW32";
    file_attributes(name: *const Char<S>) -> u32:
        "coview_win32_GetFileAttributesA" "coview_win32_GetFileAttributesW16" "coview_win32_GetFileAttributesW32";
    temp_path(capacity: u32, room: *mut Char<S>) -> u32:
        "coview_win32_GetTempPathA" "coview_win32_GetTempPathW16" "coview_win32_GetTempPathW32";
    current_directory(capacity: u32, room: *mut Char<S>) -> u32:
        "coview_win32_GetCurrentDirectoryA" "coview_win32_GetCurrentDirectoryW16" "coview_win32_GetCurrentDirectoryW32";
}

/// OVERLAPPED: here it only says where.
#[repr(C)]
struct Overlapped {
    internal: usize,
    internal_high: usize,
    low: u32,
    high: u32,
    event: Handle,
}

/// # Safety
/// 1. `overlapped` is null, or readable and writable.
unsafe fn place(overlapped: *mut Overlapped) -> Option<u64> {
    if overlapped.is_null() {
        return None;
    }
    // SAFETY: (1).
    let Overlapped { low, high, .. } = unsafe { overlapped.read() };
    Some(u64::from(high) << 32 | u64::from(low))
}

/// # Safety
/// 1. `overlapped` is null, or readable and writable.
unsafe fn tell(overlapped: *mut Overlapped, done: usize) {
    if !overlapped.is_null() {
        // SAFETY: (1).
        let before = unsafe { overlapped.read() };
        // SAFETY: (1).
        unsafe { overlapped.write(Overlapped { internal: 0, internal_high: done, ..before }) };
    }
}

#[unsafe(export_name = "coview_win32_ReadFile")]
unsafe extern "C" fn read_file(
    handle: Handle,
    into: *mut c_void,
    len: u32,
    read: *mut u32,
    overlapped: *mut Overlapped,
) -> i32 {
    // SAFETY: contract of the module.
    unsafe { store(read, 0) };
    done(|| {
        let into = match into.is_null() {
            true => &mut [],
            // SAFETY: contract of the module: room for `len` bytes, which is the call's alone for its time.
            false => unsafe { std::slice::from_raw_parts_mut(into.cast::<u8>(), len as usize) },
        };
        // SAFETY: contract of the module.
        let got = file::read(handle, into, unsafe { place(overlapped) })?;
        // SAFETY: as above.
        unsafe { store(read, got as u32) };
        // SAFETY: as above.
        unsafe { tell(overlapped, got) };
        Ok(())
    })
}

#[unsafe(export_name = "coview_win32_WriteFile")]
unsafe extern "C" fn write_file(
    handle: Handle,
    from: *const c_void,
    len: u32,
    written: *mut u32,
    overlapped: *mut Overlapped,
) -> i32 {
    // SAFETY: contract of the module.
    unsafe { store(written, 0) };
    done(|| {
        let from = match from.is_null() {
            true => &[],
            // SAFETY: contract of the module: `len` bytes, which nobody changes during the call.
            false => unsafe { std::slice::from_raw_parts(from.cast::<u8>(), len as usize) },
        };
        // SAFETY: contract of the module.
        let put = file::write(handle, from, unsafe { place(overlapped) })?;
        // SAFETY: as above.
        unsafe { store(written, put as u32) };
        // SAFETY: as above.
        unsafe { tell(overlapped, put) };
        Ok(())
    })
}

#[unsafe(export_name = "coview_win32_SetFilePointerEx")]
unsafe extern "C" fn set_file_pointer_ex(handle: Handle, distance: i64, place: *mut i64, method: u32) -> i32 {
    done(|| {
        let now = file::seek(handle, distance, method)?;
        // SAFETY: contract of the module.
        unsafe { store(place, now.cast_signed()) };
        Ok(())
    })
}

/// INVALID_SET_FILE_POINTER, INVALID_FILE_SIZE: also a value, so success is told by a last error of 0.
const INVALID: u32 = u32::MAX;

#[unsafe(export_name = "coview_win32_SetFilePointer")]
unsafe extern "C" fn set_file_pointer(handle: Handle, low: i32, high: *mut i32, method: u32) -> u32 {
    call(INVALID, || {
        let distance = match high.is_null() {
            true => i64::from(low),
            // SAFETY: contract of the module.
            false => i64::from(unsafe { high.read() }) << 32 | i64::from(low.cast_unsigned()),
        };
        let now = file::seek(handle, distance, method)?;
        if high.is_null() && now >= u64::from(INVALID) {
            return Err(Code::INVALID_PARAMETER);
        }
        // SAFETY: contract of the module.
        unsafe { store(high, (now >> 32) as i32) };
        set_last_error(Code::SUCCESS);
        Ok(now as u32)
    })
}

#[unsafe(export_name = "coview_win32_GetFileSizeEx")]
unsafe extern "C" fn get_file_size_ex(handle: Handle, size: *mut i64) -> i32 {
    done(|| {
        let found = file::size(handle)?;
        // SAFETY: contract of the module.
        unsafe { store(size, found.cast_signed()) };
        Ok(())
    })
}

#[unsafe(export_name = "coview_win32_GetFileSize")]
unsafe extern "C" fn get_file_size(handle: Handle, high: *mut u32) -> u32 {
    call(INVALID, || {
        let size = file::size(handle)?;
        // SAFETY: contract of the module.
        unsafe { store(high, (size >> 32) as u32) };
        set_last_error(Code::SUCCESS);
        Ok(size as u32)
    })
}

#[unsafe(export_name = "coview_win32_SetEndOfFile")]
extern "C" fn set_end_of_file(handle: Handle) -> i32 {
    done(|| file::set_end(handle))
}

#[unsafe(export_name = "coview_win32_FlushFileBuffers")]
extern "C" fn flush_file_buffers(handle: Handle) -> i32 {
    done(|| file::flush(handle))
}

#[unsafe(export_name = "coview_win32_GetFileType")]
extern "C" fn get_file_type(handle: Handle) -> u32 {
    call(0, || file::kind(handle))
}

#[unsafe(export_name = "coview_win32_GetStdHandle")]
extern "C" fn get_std_handle(number: u32) -> Handle {
    call(null_mut(), || file::standard(number.cast_signed()))
}
