//! Threads and processes.

use std::ffi::c_void;
use std::ptr::null_mut;

use super::{Char, Spelling, spelled, store};
use crate::win32::error::{Code, call, done};
use crate::win32::security::{self, Attributes};
use crate::win32::table::Handle;
use crate::win32::text::Text;
use crate::win32::{process, thread};

/// STARTUPINFO; its texts are not looked at.
#[repr(C)]
struct Startup {
    size: u32,
    texts: [*mut c_void; 3],
    window: [u32; 7],
    flags: u32,
    show: u16,
    reserved_len: u16,
    reserved: *mut u8,
    standard: [Handle; 3],
}

const USE_STANDARD: u32 = 0x100;
const UNICODE_ENVIRONMENT: u32 = 0x400;

/// PROCESS_INFORMATION.
#[repr(C)]
struct Made {
    process: Handle,
    thread: Handle,
    process_id: u32,
    thread_id: u32,
}

/// The variables of an environment block, which ends in an empty one.
///
/// # Safety
/// 1. It is null, or readable up to its end.
unsafe fn variables(mut block: Text) -> Option<Vec<String>> {
    let mut variables = Vec::new();
    loop {
        // SAFETY: (1), and no empty one came before.
        let variable = unsafe { block.read() }?;
        if variable.is_empty() {
            return Some(variables);
        }
        block = block.skip(block.len_of(&variable) + 1);
        variables.push(variable);
    }
}

#[allow(clippy::too_many_arguments)] // Win32's
unsafe fn create_process<S: Spelling>(
    program: *const Char<S>,
    line: *const Char<S>,
    _process: *const Attributes,
    _thread: *const Attributes,
    inherit: i32,
    flags: u32,
    environment: *const c_void,
    folder: *const Char<S>,
    startup: *const Startup,
    made: *mut Made,
) -> i32 {
    done(|| {
        if startup.is_null() || made.is_null() {
            return Err(Code::INVALID_PARAMETER);
        }
        // SAFETY: contract of the module.
        let startup = unsafe { &*startup };
        let block = match flags & UNICODE_ENVIRONMENT {
            0 => Text::Narrow(environment.cast()),
            _ => S::text(environment.cast()),
        };
        let request = process::Request {
            // SAFETY: contract of the module.
            program: unsafe { S::text(program).read() },
            // SAFETY: as above.
            line: unsafe { S::text(line).read() },
            inherit: inherit != 0,
            flags,
            // SAFETY: as above.
            environment: unsafe { variables(block) },
            // SAFETY: as above.
            folder: unsafe { S::text(folder).read() },
            standard: (startup.flags & USE_STANDARD != 0).then_some(startup.standard),
        };
        let (process, thread, id) = process::create(&request)?;
        // SAFETY: as above.
        unsafe { store(made, Made { process, thread, process_id: id, thread_id: id }) };
        Ok(())
    })
}

spelled! {
    create_process(program: *const Char<S>, line: *const Char<S>, process: *const Attributes, thread: *const Attributes,
        inherit: i32, flags: u32, environment: *const c_void, folder: *const Char<S>, startup: *const Startup, made: *mut Made) -> i32:
        "coview_win32_CreateProcessA" "coview_win32_CreateProcessW16" "coview_win32_CreateProcessW32";
}

#[unsafe(export_name = "coview_win32_CreateThread")]
unsafe extern "C" fn create_thread(
    attributes: *const Attributes,
    stack: usize,
    routine: Option<thread::Routine>,
    argument: *mut c_void,
    flags: u32,
    id: *mut u32,
) -> Handle {
    call(null_mut(), || {
        // SAFETY: contract of the module.
        let inherit = unsafe { security::read(attributes) }?.inherit;
        let (handle, number) = thread::create(stack, routine, argument, flags, inherit)?;
        // SAFETY: as above.
        unsafe { store(id, number) };
        Ok(handle)
    })
}

#[unsafe(export_name = "coview_win32_ExitThread")]
unsafe extern "C-unwind" fn exit_thread(code: u32) -> ! {
    // SAFETY: C called, and no frame here has a destructor.
    unsafe { thread::exit(code) }
}

#[unsafe(export_name = "coview_win32_GetExitCodeThread")]
unsafe extern "C" fn exit_code_of_thread(handle: Handle, code: *mut u32) -> i32 {
    done(|| {
        let found = thread::exit_code(handle)?;
        // SAFETY: contract of the module.
        unsafe { store(code, found) };
        Ok(())
    })
}

#[unsafe(export_name = "coview_win32_GetExitCodeProcess")]
unsafe extern "C" fn exit_code_of_process(handle: Handle, code: *mut u32) -> i32 {
    done(|| {
        let found = process::exit_code(handle)?;
        // SAFETY: contract of the module.
        unsafe { store(code, found) };
        Ok(())
    })
}

#[unsafe(export_name = "coview_win32_GetProcessId")]
extern "C" fn process_id(handle: Handle) -> u32 {
    call(0, || process::id_of(handle))
}

#[unsafe(export_name = "coview_win32_GetThreadId")]
extern "C" fn thread_id(handle: Handle) -> u32 {
    call(0, || thread::id_of(handle))
}

#[unsafe(export_name = "coview_win32_OpenProcess")]
extern "C" fn open_process(_access: u32, inherit: i32, id: u32) -> Handle {
    call(null_mut(), || process::open(inherit != 0, id))
}

#[unsafe(export_name = "coview_win32_TerminateProcess")]
extern "C" fn terminate_process(handle: Handle, code: u32) -> i32 {
    done(|| process::terminate(handle, code))
}

#[unsafe(export_name = "coview_win32_GetCurrentThreadId")]
extern "C" fn current_thread_id() -> u32 {
    thread::this_id()
}

#[unsafe(export_name = "coview_win32_GetCurrentProcessId")]
extern "C" fn current_process_id() -> u32 {
    std::process::id()
}
