//! Mappings, views, handles; mutexes, events, semaphores; waiting.

use std::ffi::c_void;
use std::ptr::null_mut;

use super::{Char, Spelling, spelled, store};
use crate::win32::error::{Code, Outcome, call, done};
use crate::win32::object::Wish;
use crate::win32::security::{Attributes, Descriptor, Security};
use crate::win32::sync::{Change, Making};
use crate::win32::table::Handle;
use crate::win32::{mapping, memory, name, object, security, sync, view, wait};

/// Makes an object as these attributes say, with this name or none.
unsafe fn make<S: Spelling>(
    attributes: *const Attributes,
    name: *const Char<S>,
    make: impl FnOnce(Security, Option<&str>) -> Outcome<Handle>,
) -> Handle {
    call(null_mut(), || {
        // SAFETY: contract of the module.
        let security = unsafe { security::read(attributes) }?;
        // SAFETY: as above.
        let name = unsafe { name::to_create(S::text(name)) }?;
        make(security, name.as_deref())
    })
}

unsafe fn create_file_mapping<S: Spelling>(
    file: Handle,
    attributes: *const Attributes,
    protect: u32,
    high: u32,
    low: u32,
    name: *const Char<S>,
) -> Handle {
    // SAFETY: contract of the module.
    unsafe {
        make::<S>(attributes, name, |security, name| {
            let size = u64::from(high) << 32 | u64::from(low);
            mapping::create(file, &security, protect, size, name)
        })
    }
}

unsafe fn open_file_mapping<S: Spelling>(access: u32, inherit: i32, name: *const Char<S>) -> Handle {
    call(null_mut(), || {
        // SAFETY: contract of the module.
        let name = unsafe { name::to_open(S::text(name)) }?;
        mapping::open(access, inherit != 0, &name)
    })
}

unsafe fn create_mutex<S: Spelling>(attributes: *const Attributes, owned: i32, name: *const Char<S>) -> Handle {
    // SAFETY: contract of the module.
    unsafe { make::<S>(attributes, name, |security, name| sync::create_mutex(security, owned != 0, name, None)) }
}

unsafe fn create_mutex_ex<S: Spelling>(
    attributes: *const Attributes,
    name: *const Char<S>,
    flags: u32,
    access: u32,
) -> Handle {
    // SAFETY: contract of the module.
    unsafe {
        make::<S>(attributes, name, |security, name| sync::create_mutex(security, flags & 1 != 0, name, Some(access)))
    }
}

unsafe fn create_event<S: Spelling>(
    attributes: *const Attributes,
    manual: i32,
    set: i32,
    name: *const Char<S>,
) -> Handle {
    // SAFETY: contract of the module.
    unsafe {
        make::<S>(attributes, name, |security, name| {
            sync::create_event(security, &Making { manual: manual != 0, set: set != 0 }, name, None)
        })
    }
}

unsafe fn create_event_ex<S: Spelling>(
    attributes: *const Attributes,
    name: *const Char<S>,
    flags: u32,
    access: u32,
) -> Handle {
    // SAFETY: contract of the module.
    unsafe {
        make::<S>(attributes, name, |security, name| {
            let how = Making { manual: flags & 1 != 0, set: flags & 2 != 0 };
            sync::create_event(security, &how, name, Some(access))
        })
    }
}

unsafe fn create_semaphore<S: Spelling>(
    attributes: *const Attributes,
    count: i32,
    maximum: i32,
    name: *const Char<S>,
) -> Handle {
    // SAFETY: contract of the module.
    unsafe {
        make::<S>(attributes, name, |security, name| sync::create_semaphore(security, count, maximum, name, None))
    }
}

unsafe fn create_semaphore_ex<S: Spelling>(
    attributes: *const Attributes,
    count: i32,
    maximum: i32,
    name: *const Char<S>,
    _flags: u32,
    access: u32,
) -> Handle {
    // SAFETY: contract of the module.
    unsafe {
        make::<S>(attributes, name, |security, name| {
            sync::create_semaphore(security, count, maximum, name, Some(access))
        })
    }
}

unsafe fn open_mutex<S: Spelling>(access: u32, inherit: i32, name: *const Char<S>) -> Handle {
    // SAFETY: contract of the module.
    call(null_mut(), || sync::open_mutex(access, inherit != 0, &unsafe { name::to_open(S::text(name)) }?))
}

unsafe fn open_event<S: Spelling>(access: u32, inherit: i32, name: *const Char<S>) -> Handle {
    // SAFETY: contract of the module.
    call(null_mut(), || sync::open_event(access, inherit != 0, &unsafe { name::to_open(S::text(name)) }?))
}

unsafe fn open_semaphore<S: Spelling>(access: u32, inherit: i32, name: *const Char<S>) -> Handle {
    // SAFETY: contract of the module.
    call(null_mut(), || sync::open_semaphore(access, inherit != 0, &unsafe { name::to_open(S::text(name)) }?))
}

unsafe fn convert_descriptor<S: Spelling>(
    text: *const Char<S>,
    revision: u32,
    made: *mut *mut Descriptor,
    size: *mut u32,
) -> i32 {
    done(|| {
        if made.is_null() {
            return Err(Code::INVALID_PARAMETER);
        }
        // SAFETY: contract of the module.
        let (descriptor, bytes) = unsafe { security::of_text(S::text(text), revision) }?;
        // SAFETY: as above.
        unsafe { store(made, descriptor) };
        // SAFETY: as above.
        unsafe { store(size, bytes as u32) };
        Ok(())
    })
}

spelled! {
    create_file_mapping(file: Handle, attributes: *const Attributes, protect: u32, high: u32, low: u32, name: *const Char<S>)
        -> Handle: "coview_win32_CreateFileMappingA" "coview_win32_CreateFileMappingW16" "coview_win32_CreateFileMappingW32";
    open_file_mapping(access: u32, inherit: i32, name: *const Char<S>) -> Handle:
        "coview_win32_OpenFileMappingA" "coview_win32_OpenFileMappingW16" "coview_win32_OpenFileMappingW32";
    create_mutex(attributes: *const Attributes, owned: i32, name: *const Char<S>) -> Handle:
        "coview_win32_CreateMutexA" "coview_win32_CreateMutexW16" "coview_win32_CreateMutexW32";
    create_mutex_ex(attributes: *const Attributes, name: *const Char<S>, flags: u32, access: u32) -> Handle:
        "coview_win32_CreateMutexExA" "coview_win32_CreateMutexExW16" "coview_win32_CreateMutexExW32";
    create_event(attributes: *const Attributes, manual: i32, set: i32, name: *const Char<S>) -> Handle:
        "coview_win32_CreateEventA" "coview_win32_CreateEventW16" "coview_win32_CreateEventW32";
    create_event_ex(attributes: *const Attributes, name: *const Char<S>, flags: u32, access: u32) -> Handle:
        "coview_win32_CreateEventExA" "coview_win32_CreateEventExW16" "coview_win32_CreateEventExW32";
    create_semaphore(attributes: *const Attributes, count: i32, maximum: i32, name: *const Char<S>) -> Handle:
        "coview_win32_CreateSemaphoreA" "coview_win32_CreateSemaphoreW16" "coview_win32_CreateSemaphoreW32";
    create_semaphore_ex(attributes: *const Attributes, count: i32, maximum: i32, name: *const Char<S>, flags: u32, access: u32)
        -> Handle: "coview_win32_CreateSemaphoreExA" "coview_win32_CreateSemaphoreExW16" "coview_win32_CreateSemaphoreExW32";
    open_mutex(access: u32, inherit: i32, name: *const Char<S>) -> Handle:
        "coview_win32_OpenMutexA" "coview_win32_OpenMutexW16" "coview_win32_OpenMutexW32";
    open_event(access: u32, inherit: i32, name: *const Char<S>) -> Handle:
        "coview_win32_OpenEventA" "coview_win32_OpenEventW16" "coview_win32_OpenEventW32";
    open_semaphore(access: u32, inherit: i32, name: *const Char<S>) -> Handle:
        "coview_win32_OpenSemaphoreA" "coview_win32_OpenSemaphoreW16" "coview_win32_OpenSemaphoreW32";
    convert_descriptor(text: *const Char<S>, revision: u32, made: *mut *mut Descriptor, size: *mut u32) -> i32:
        "coview_win32_ConvertStringSecurityDescriptorToSecurityDescriptorA"
        "coview_win32_ConvertStringSecurityDescriptorToSecurityDescriptorW16"
        "coview_win32_ConvertStringSecurityDescriptorToSecurityDescriptorW32";
}

#[unsafe(export_name = "coview_win32_MapViewOfFileEx")]
extern "C" fn map_view(handle: Handle, access: u32, high: u32, low: u32, len: usize, at: *mut c_void) -> *mut c_void {
    let offset = u64::from(high) << 32 | u64::from(low);
    call(null_mut(), || view::create(handle, access, offset, len, at.addr()).map(std::ptr::with_exposed_provenance_mut))
}

#[unsafe(export_name = "coview_win32_UnmapViewOfFile")]
extern "C" fn unmap_view(address: *const c_void) -> i32 {
    done(|| view::unmap(address.addr()))
}

#[unsafe(export_name = "coview_win32_FlushViewOfFile")]
extern "C" fn flush_view(address: *const c_void, len: usize) -> i32 {
    done(|| view::flush(address.addr(), len))
}

#[unsafe(export_name = "coview_win32_VirtualAlloc")]
extern "C" fn virtual_alloc(address: *mut c_void, size: usize, kind: u32, protect: u32) -> *mut c_void {
    call(null_mut(), || {
        memory::allocate(address.addr(), size, kind, protect).map(std::ptr::with_exposed_provenance_mut)
    })
}

#[unsafe(export_name = "coview_win32_VirtualFree")]
extern "C" fn virtual_free(address: *mut c_void, size: usize, kind: u32) -> i32 {
    done(|| memory::free(address.addr(), size, kind))
}

#[unsafe(export_name = "coview_win32_VirtualProtect")]
unsafe extern "C" fn virtual_protect(address: *mut c_void, size: usize, protect: u32, before: *mut u32) -> i32 {
    done(|| {
        let old = memory::protect(address.addr(), size, protect)?;
        // SAFETY: contract of the module.
        unsafe { store(before, old) };
        Ok(())
    })
}

#[unsafe(export_name = "coview_win32_VirtualQuery")]
unsafe extern "C" fn virtual_query(address: *const c_void, into: *mut memory::Information, len: usize) -> usize {
    call(0, || {
        if into.is_null() || len < size_of::<memory::Information>() {
            return Err(Code::INSUFFICIENT_BUFFER);
        }
        let found = memory::query(address.addr())?;
        // SAFETY: contract of the module, and the length was checked.
        unsafe { store(into, found) };
        Ok(size_of::<memory::Information>())
    })
}

#[unsafe(export_name = "coview_win32_CloseHandle")]
extern "C" fn close_handle(handle: Handle) -> i32 {
    done(|| object::close(handle))
}

#[unsafe(export_name = "coview_win32_DuplicateHandle")]
unsafe extern "C" fn duplicate_handle(
    from: Handle,
    source: Handle,
    to: Handle,
    target: *mut Handle,
    access: u32,
    inherit: i32,
    options: u32,
) -> i32 {
    done(|| {
        let wish = Wish { access, inherit: inherit != 0, options };
        let made = object::duplicate(from, source, to, &wish)?;
        match target.is_null() {
            true => object::close(made),
            false => {
                // SAFETY: contract of the module.
                unsafe { store(target, made) };
                Ok(())
            }
        }
    })
}

#[unsafe(export_name = "coview_win32_SetHandleInformation")]
extern "C" fn set_handle_information(handle: Handle, mask: u32, flags: u32) -> i32 {
    done(|| object::set_information(handle, mask, flags))
}

#[unsafe(export_name = "coview_win32_GetHandleInformation")]
unsafe extern "C" fn get_handle_information(handle: Handle, flags: *mut u32) -> i32 {
    done(|| {
        let found = object::information(handle)?;
        // SAFETY: contract of the module.
        unsafe { store(flags, found) };
        Ok(())
    })
}

#[unsafe(export_name = "coview_win32_InitializeSecurityDescriptor")]
unsafe extern "C" fn initialize_descriptor(descriptor: *mut Descriptor, revision: u32) -> i32 {
    // SAFETY: contract of the module.
    done(|| unsafe { security::initialize(descriptor, revision) })
}

#[unsafe(export_name = "coview_win32_SetSecurityDescriptorDacl")]
unsafe extern "C" fn set_dacl(descriptor: *mut Descriptor, present: i32, dacl: *mut c_void, _defaulted: i32) -> i32 {
    // SAFETY: contract of the module.
    done(|| unsafe { security::set_dacl(descriptor, present != 0, dacl) })
}

#[unsafe(export_name = "coview_win32_ReleaseMutex")]
extern "C" fn release_mutex(handle: Handle) -> i32 {
    done(|| sync::release_mutex(handle))
}

#[unsafe(export_name = "coview_win32_SetEvent")]
extern "C" fn set_event(handle: Handle) -> i32 {
    done(|| sync::change_event(handle, Change::Set))
}

#[unsafe(export_name = "coview_win32_ResetEvent")]
extern "C" fn reset_event(handle: Handle) -> i32 {
    done(|| sync::change_event(handle, Change::Reset))
}

#[unsafe(export_name = "coview_win32_PulseEvent")]
extern "C" fn pulse_event(handle: Handle) -> i32 {
    done(|| sync::change_event(handle, Change::Pulse))
}

#[unsafe(export_name = "coview_win32_ReleaseSemaphore")]
unsafe extern "C" fn release_semaphore(handle: Handle, count: i32, before: *mut i32) -> i32 {
    done(|| {
        let had = sync::release_semaphore(handle, count)?;
        // SAFETY: contract of the module.
        unsafe { store(before, had) };
        Ok(())
    })
}

/// WAIT_FAILED.
const FAILED: u32 = u32::MAX;

#[unsafe(export_name = "coview_win32_WaitForSingleObject")]
extern "C" fn wait_for_single(handle: Handle, milliseconds: u32) -> u32 {
    call(FAILED, || wait::single(handle, milliseconds))
}

#[unsafe(export_name = "coview_win32_WaitForMultipleObjects")]
unsafe extern "C" fn wait_for_multiple(count: u32, handles: *const Handle, all: i32, milliseconds: u32) -> u32 {
    call(FAILED, || {
        if handles.is_null() || count == 0 || count > 64 {
            return Err(Code::INVALID_PARAMETER);
        }
        // SAFETY: contract of the module: there are `count` handles, which nobody changes during the call.
        let handles = unsafe { std::slice::from_raw_parts(handles, count as usize) };
        wait::several(handles, all != 0, milliseconds)
    })
}
