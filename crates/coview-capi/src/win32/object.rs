//! The objects behind handles, and the calls that any handle takes: close, duplicate, inherit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use coview::{Event, Mutex, Semaphore};

use super::error::{Code, Outcome};
use super::file::File;
use super::mapping::Section;
use super::process::Process;
use super::table::{Handle, table};
use super::thread::Thread;

/// The pseudo handles: this process (also INVALID_HANDLE_VALUE) and this thread.
pub(super) const THIS_PROCESS: usize = usize::MAX;
pub(super) const THIS_THREAD: usize = usize::MAX - 1;

pub(super) const SYNCHRONIZE: u32 = 0x0010_0000;
pub(super) const STANDARD_RIGHTS: u32 = 0x001f_0000;
const GENERIC_ALL: u32 = 0x1000_0000;
const GENERIC_EXECUTE: u32 = 0x2000_0000;
const GENERIC_WRITE: u32 = 0x4000_0000;
const GENERIC_READ: u32 = 0x8000_0000;
const MAXIMUM_ALLOWED: u32 = 0x0200_0000;

pub(super) const FLAG_INHERIT: u32 = 1;
const FLAG_PROTECT: u32 = 2;

pub(super) enum Object {
    #[cfg(test)]
    Nothing,
    Section(Section),
    Mutex(Mutex),
    Event(Event),
    Semaphore(Semaphore),
    File(File),
    Thread(Arc<Thread>),
    Process(Arc<Process>),
}

/// What one handle is: the object, and what may be done with it through this handle.
pub(super) struct Entry {
    pub(super) object: Arc<Object>,
    pub(super) access: u32,
    flags: AtomicU32,
}

impl Entry {
    pub(super) fn new(object: Object, access: u32, inherit: bool) -> Entry {
        Entry { object: Arc::new(object), access, flags: AtomicU32::new(u32::from(inherit)) }
    }

    pub(super) fn of(object: Arc<Object>, access: u32, inherit: bool) -> Entry {
        Entry { object, access, flags: AtomicU32::new(u32::from(inherit)) }
    }

    pub(super) fn is_inherited(&self) -> bool {
        // Relaxed: a flag of its own, which orders nothing else.
        self.flags.load(Ordering::Relaxed) & FLAG_INHERIT != 0
    }

    /// Refuses a handle that lacks any of these rights.
    pub(super) fn allow(&self, rights: u32) -> Outcome<()> {
        if self.access & rights == rights { Ok(()) } else { Err(Code::ACCESS_DENIED) }
    }
}

/// Specific rights for the generic ones: `read`, `write` and `all` of the object's kind.
pub(super) fn rights(asked: u32, read: u32, write: u32, all: u32) -> u32 {
    let mut given = asked & 0x00ff_ffff;
    for (generic, specific) in [
        (GENERIC_READ, read),
        (GENERIC_WRITE, write),
        (GENERIC_EXECUTE, SYNCHRONIZE),
        (GENERIC_ALL | MAXIMUM_ALLOWED, all | STANDARD_RIGHTS),
    ] {
        if asked & generic != 0 {
            given |= specific;
        }
    }
    given
}

pub(super) fn close(handle: Handle) -> Outcome<()> {
    if matches!(handle.addr(), THIS_PROCESS | THIS_THREAD) {
        return Ok(());
    }
    let entry = table().get(handle)?;
    if entry.flags.load(Ordering::Relaxed) & FLAG_PROTECT != 0 {
        return Err(Code::INVALID_HANDLE);
    }
    drop(entry);
    table().remove(handle).map(drop)
}

/// What [`duplicate`] is asked for beside the handle.
pub(super) struct Wish {
    pub(super) access: u32,
    pub(super) inherit: bool,
    pub(super) options: u32,
}

/// Another handle within this process; `None` if only the source was to be closed.
pub(super) fn duplicate(from: Handle, source: Handle, to: Handle, wish: &Wish) -> Outcome<Handle> {
    const CLOSE_SOURCE: u32 = 1;
    const SAME_ACCESS: u32 = 2;
    for process in [from, to] {
        if process.addr() != THIS_PROCESS {
            let entry = table().get(process)?;
            let Object::Process(process) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
            if process.id() != std::process::id() {
                return Err(Code::CALL_NOT_IMPLEMENTED);
            }
        }
    }
    let entry = match source.addr() {
        THIS_PROCESS => Entry::new(Object::Process(Arc::new(Process::this()?)), STANDARD_RIGHTS | 0xffff, false),
        THIS_THREAD => Entry::new(Object::Thread(Thread::this()?), STANDARD_RIGHTS | 0xffff, false),
        _ => {
            let entry = table().get(source)?;
            let access = if wish.options & SAME_ACCESS != 0 { entry.access } else { entry.object.rights(wish.access) };
            Entry::of(Arc::clone(&entry.object), access, false)
        }
    };
    entry.flags.store(u32::from(wish.inherit), Ordering::Relaxed);
    let made = table().add(entry)?;
    if wish.options & CLOSE_SOURCE != 0 && !matches!(source.addr(), THIS_PROCESS | THIS_THREAD) {
        table().remove(source)?;
    }
    Ok(made)
}

impl Object {
    /// The rights that `asked` means for this kind of object.
    fn rights(&self, asked: u32) -> u32 {
        match self {
            Object::Section(_) => super::mapping::rights_of(asked),
            Object::File(_) => super::file::rights_of(asked),
            _ => rights(asked, 1, 2, 3),
        }
    }
}

pub(super) fn set_information(handle: Handle, mask: u32, flags: u32) -> Outcome<()> {
    if mask & !(FLAG_INHERIT | FLAG_PROTECT) != 0 {
        return Err(Code::INVALID_PARAMETER);
    }
    let entry = table().get(handle)?;
    let change = |old: u32| Some(old & !mask | flags & mask);
    // It always changes, so it cannot fail.
    let _ = entry.flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    Ok(())
}

pub(super) fn information(handle: Handle) -> Outcome<u32> {
    Ok(table().get(handle)?.flags.load(Ordering::Relaxed))
}
