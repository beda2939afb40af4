//! Threads made by CreateThread, and waiting for their ends.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use coview::{Event, EventOptions};

use super::error::{Code, Outcome};
use super::object::{Entry, Object, STANDARD_RIGHTS};
use super::table::{Handle, table};

pub(super) const STILL_ACTIVE: u32 = 259;
const CREATE_SUSPENDED: u32 = 4;

pub(super) type Routine = unsafe extern "C-unwind" fn(*mut c_void) -> u32;

unsafe extern "C-unwind" {
    /// As in `libc`, but it may unwind: glibc runs the handlers of the frames that it leaves.
    fn pthread_exit(value: *mut c_void) -> !;
}

pub(super) struct Thread {
    ended: Event,
    code: AtomicU32,
    id: AtomicU32,
    /// The C library's handle, until somebody has joined or let go of it.
    join: Mutex<Option<libc::pthread_t>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(thread) = self.join.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // SAFETY: the thread was neither joined nor detached before.
            unsafe { libc::pthread_detach(thread) };
        }
    }
}

thread_local! {
    static THIS: RefCell<Option<Ending>> = const { RefCell::new(None) };
}

/// Tells the thread's end, in whatever way it ends, after its frames are gone.
struct Ending(Arc<Thread>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.leave_with(0);
        let _ = self.0.ended.set();
    }
}

impl Thread {
    pub(super) fn this() -> Outcome<Arc<Thread>> {
        THIS.with_borrow(|this| this.as_ref().map(|this| Arc::clone(&this.0))).ok_or(Code::CALL_NOT_IMPLEMENTED)
    }

    pub(super) fn ended(&self) -> &Event {
        &self.ended
    }

    pub(super) fn id(&self) -> u32 {
        // Relaxed: a number by itself.
        self.id.load(Ordering::Relaxed)
    }

    pub(super) fn code(&self) -> u32 {
        // Acquire: pairs with the Release in `exit` and `end`.
        self.code.load(Ordering::Acquire)
    }

    /// Waits until the kernel has done with the thread: then its mutexes are abandoned. Its end was told before.
    pub(super) fn settle(&self) {
        let mut join = self.join.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = join.take() {
            // SAFETY: it was neither joined nor detached before, and is ending.
            unsafe { libc::pthread_join(thread, std::ptr::null_mut()) };
        }
    }

    /// Stores its code, unless it has one.
    fn leave_with(&self, code: u32) {
        // Release: pairs with the Acquire in `code`.
        let _ = self.code.compare_exchange(STILL_ACTIVE, code, Ordering::Release, Ordering::Relaxed);
    }
}

/// What a thread is started with.
struct Start {
    thread: Arc<Thread>,
    routine: Routine,
    argument: *mut c_void,
}

unsafe extern "C-unwind" fn run(start: *mut c_void) -> *mut c_void {
    // SAFETY: `create` leaked it for this thread alone.
    let Start { thread, routine, argument } = *unsafe { Box::from_raw(start.cast::<Start>()) };
    thread.id.store(this_id(), Ordering::Relaxed);
    // The library has something of its own to do when this thread ends; what comes to be known later goes earlier, so this
    // has it done after the end was told.
    let _ = thread.ended.reset();
    THIS.set(Some(Ending(thread)));
    // No value with a destructor lives here: the routine may leave by ExitThread.
    // SAFETY: the caller of CreateThread says that the routine takes this argument.
    let code = unsafe { routine(argument) };
    THIS.with_borrow(|this| this.iter().for_each(|this| this.0.leave_with(code)));
    std::ptr::null_mut()
}

pub(super) fn this_id() -> u32 {
    // SAFETY: it only returns a number.
    unsafe { libc::gettid() }.cast_unsigned()
}

/// Starts a thread; its handle and number.
pub(super) fn create(
    stack: usize,
    routine: Option<Routine>,
    argument: *mut c_void,
    flags: u32,
    inherit: bool,
) -> Outcome<(Handle, u32)> {
    let routine = routine.ok_or(Code::INVALID_PARAMETER)?;
    if flags & CREATE_SUSPENDED != 0 {
        return Err(Code::CALL_NOT_IMPLEMENTED);
    }
    let thread = Arc::new(Thread {
        ended: EventOptions::new().manual_reset(true).create_unnamed()?,
        code: AtomicU32::new(STILL_ACTIVE),
        id: AtomicU32::new(0),
        join: Mutex::new(None),
    });
    let access = STANDARD_RIGHTS | 0xffff;
    let handle = table().add(Entry::new(Object::Thread(Arc::clone(&thread)), access, inherit))?;
    let start = Box::into_raw(Box::new(Start { thread: Arc::clone(&thread), routine, argument }));
    // Held until the handle stands there, so that a thread that is faster can be joined too.
    let mut join = thread.join.lock().unwrap_or_else(PoisonError::into_inner);
    match spawn(stack, start.cast()) {
        Ok(made) => *join = Some(made),
        Err(code) => {
            // SAFETY: no thread has got it.
            drop(unsafe { Box::from_raw(start) });
            drop(join);
            let _ = table().remove(handle);
            return Err(code);
        }
    }
    drop(join);
    while thread.id() == 0 && thread.code() == STILL_ACTIVE {
        std::thread::yield_now();
    }
    Ok((handle, thread.id()))
}

fn spawn(stack: usize, start: *mut c_void) -> Outcome<libc::pthread_t> {
    let mut attributes = std::mem::MaybeUninit::uninit();
    // SAFETY: it initialises the attributes.
    unsafe { libc::pthread_attr_init(attributes.as_mut_ptr()) };
    // Never less than the default of Windows: a megabyte.
    let stack = stack.max(1 << 20).next_multiple_of(1 << 16);
    // SAFETY: they are initialised.
    unsafe { libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), stack) };
    let mut made = 0;
    type Main = extern "C" fn(*mut c_void) -> *mut c_void;
    let main = run as unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;
    // SAFETY: the two ABIs differ in what may unwind alone, and the C library's own caller lets pthread_exit unwind.
    let main = unsafe { std::mem::transmute::<unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void, Main>(main) };
    // SAFETY: all pointers are good for the call; `start` becomes the thread's.
    let failed = unsafe { libc::pthread_create(&raw mut made, attributes.as_ptr(), main, start) };
    // SAFETY: they are initialised.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    if failed == 0 { Ok(made) } else { Err(Code::NOT_ENOUGH_MEMORY) }
}

/// Ends this thread.
///
/// # Safety
/// 1. No frame of Rust with a destructor is between here and the thread's beginning.
pub(super) unsafe fn exit(code: u32) -> ! {
    THIS.with_borrow(|this| this.iter().for_each(|this| this.0.leave_with(code)));
    // SAFETY: (1).
    unsafe { pthread_exit(std::ptr::null_mut()) }
}

pub(super) fn exit_code(handle: Handle) -> Outcome<u32> {
    let entry = table().get(handle)?;
    let Object::Thread(thread) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
    Ok(thread.code())
}

pub(super) fn id_of(handle: Handle) -> Outcome<u32> {
    let entry = table().get(handle)?;
    let Object::Thread(thread) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
    Ok(thread.id())
}
