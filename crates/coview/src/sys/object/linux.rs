//! Named objects on Linux: a page in `/dev/shm` with words that survive whoever uses them.

use std::collections::BTreeMap;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use super::{Make, SyncState, Timeout, WAIT_MAX, Waited};
use crate::sys::Refusal;
use crate::sys::guard::{self, Guard};
use crate::sys::lock::{CommitWord, Node, Pending, Robust, Taken, known, me};
use crate::sys::mapping::{Share, mode_of, page_size};
use crate::sys::namespace::{self, Binding, Creation, Kind, Slot, Variant};
use crate::sys::process;
use crate::sys::wait::{Deadline, sleep};

const MAGIC: &[u8; 8] = b"coviewSY";
const REVISION: u32 = 1;
/// Offsets in the page; `docs/format.md` draws it.
const MANUAL_AT: usize = 12;
const NAMESPACE_AT: usize = 16;
const MAXIMUM_AT: usize = 24;
const COMMIT_AT: usize = 64;
/// Bytes before the end of the page. The word stands so that the list node behind it falls into the next page, which
/// is this process's own: nobody else can make the kernel or us follow a wrong pointer.
const WORD_BEFORE_END: usize = 20;

/// A handle on a mutex, an event or a semaphore.
#[derive(Debug)]
pub(crate) struct Object {
    kind: Kind,
    /// Before the hold: a mapped page keeps the lock on the name, so it must be gone when closing asks who else holds it.
    page: ManuallyDrop<Arc<Page>>,
    hold: ManuallyDrop<Hold>,
}

/// What keeps an object.
#[derive(Debug)]
enum Hold {
    /// The lock on its name.
    Name(Binding),
    /// A memfd, which has none.
    Memory(OwnedFd),
}

impl AsFd for Hold {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Hold::Name(binding) => binding.as_fd(),
            Hold::Memory(fd) => fd.as_fd(),
        }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // A lock that is still held by a thread of ours stands on that thread's list: page and name stay until the
        // thread ends, and then the lock is abandoned, as it is on Windows.
        let owner = self.robust().owner().0.filter(|_| self.kind == Kind::Mutex);
        if owner.is_some_and(|tid| std::path::Path::new(&format!("/proc/self/task/{tid}")).exists()) {
            return;
        }
        // SAFETY: dropped once, here, and not used again.
        unsafe { ManuallyDrop::drop(&mut self.page) };
        // SAFETY: as above.
        unsafe { ManuallyDrop::drop(&mut self.hold) };
    }
}

/// The shared page and, behind it, a private one for the list node.
#[derive(Debug)]
struct Page {
    base: *mut u8,
    /// Of the shared half.
    guard: Guard,
}

// SAFETY: the page is touched through atomics alone, and its private part only by the thread that owns the lock.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

/// The pages this process has mapped, by device and inode: a lock that was taken through one handle may be given back
/// through another, so all handles on an object must share one list node.
static PAGES: Mutex<BTreeMap<(u64, u64), Weak<Page>>> = Mutex::new(BTreeMap::new());

impl Page {
    fn of(fd: BorrowedFd<'_>) -> io::Result<Arc<Page>> {
        let stat = rustix::fs::fstat(fd)?;
        #[allow(clippy::unnecessary_cast)] // their widths differ between architectures
        let key = (stat.st_dev as u64, stat.st_ino as u64);
        let mut pages = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = pages.get(&key).and_then(Weak::upgrade) {
            return Ok(page);
        }
        pages.retain(|_, page| page.strong_count() > 0);
        let page = Arc::new(Page::map(fd)?);
        pages.insert(key, Arc::downgrade(&page));
        Ok(page)
    }

    fn map(fd: BorrowedFd<'_>) -> io::Result<Page> {
        let page = page_size() as usize;
        let (both, access) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let base = unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), 2 * page, both, access) }?;
        let mut whole = Page { base: base.cast(), guard: Guard::none() };
        // SAFETY: replaces the first half of the range just made, which nobody else knows.
        unsafe { rustix::mm::mmap(base, page, both, MapFlags::SHARED | MapFlags::FIXED, fd, 0) }?;
        whole.guard = Guard::over(base.addr()..base.addr() + page, true)?;
        Ok(whole)
    }

    fn u32_at(&self, offset: usize) -> &AtomicU32 {
        debug_assert!(offset.is_multiple_of(4) && offset + 4 <= page_size() as usize);
        // SAFETY: inside the shared page, which is mapped while `self` lives; aligned; only touched atomically.
        unsafe { AtomicU32::from_ptr(self.base.wrapping_add(offset).cast()) }
    }

    fn u64_at(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset.is_multiple_of(8) && offset + 8 <= page_size() as usize);
        // SAFETY: as in `u32_at`.
        unsafe { AtomicU64::from_ptr(self.base.wrapping_add(offset).cast()) }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.guard.end();
        // SAFETY: the range was made by `map`; a lock that is held through it keeps its `Object` alive.
        let _ = unsafe { rustix::mm::munmap(self.base.cast(), 2 * page_size() as usize) };
    }
}

/// Memory without a name, filled by `init`. Its size is sealed: no peer can make an access fault.
fn unnamed(init: impl Fn(BorrowedFd<'_>) -> io::Result<()>) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = match rustix::fs::memfd_create(c"coview", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(c"coview", flags)?, // before Linux 6.3
        made => made?,
    };
    init(fd.as_fd())?;
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(fd)
}

fn contents(make: Make) -> io::Result<Vec<u8>> {
    let mut page = vec![0; page_size() as usize];
    page[..8].copy_from_slice(MAGIC);
    page[8..12].copy_from_slice(&REVISION.to_ne_bytes());
    page[NAMESPACE_AT..NAMESPACE_AT + 8].copy_from_slice(&me()?.namespace().to_ne_bytes());
    let (manual, maximum, state) = match make {
        Make::Mutex => (0, 0, 0),
        Make::Event { manual, set } => (u32::from(manual), 0, u32::from(set)),
        Make::Semaphore { count, maximum } => (0, maximum, count),
    };
    page[MANUAL_AT..MANUAL_AT + 4].copy_from_slice(&manual.to_ne_bytes());
    page[MAXIMUM_AT..MAXIMUM_AT + 4].copy_from_slice(&maximum.to_ne_bytes());
    page[COMMIT_AT..COMMIT_AT + 8].copy_from_slice(&u64::from(state).to_ne_bytes());
    Ok(page)
}

impl Object {
    /// A new object, or the live one of that name; whether it is new.
    pub(crate) fn create(
        slot: Option<&Slot>,
        make: Make,
        share: &Share,
        inheritable: bool,
    ) -> io::Result<(Object, bool)> {
        let kind = make.kind();
        let page = contents(make)?;
        let init = |fd: BorrowedFd<'_>| -> io::Result<()> {
            crate::sys::mapping::commit_file(fd, 0, page.len() as u64)?;
            match rustix::io::pwrite(fd, &page, 0)? == page.len() {
                true => Ok(()),
                false => Err(Errno::IO.into()),
            }
        };
        let (hold, new) = match slot {
            Some(slot) => match namespace::create(slot, Variant::new(kind, 0), true, mode_of(share)?, init)? {
                Creation::Created(binding) => (Hold::Name(binding), true),
                Creation::Existing(binding) => (Hold::Name(binding), false),
            },
            None => (Hold::Memory(unnamed(init)?), true),
        };
        let object = Object::of(hold, kind)?;
        if inheritable {
            rustix::io::fcntl_setfd(object.fd(), rustix::io::FdFlags::empty())?;
        }
        Ok((object, new))
    }

    /// Takes over, by a copy, an inherited descriptor of this number; with the name whose lock it carries.
    pub(crate) fn adopt(number: i32, kind: Kind, slot: Option<Slot>) -> io::Result<Object> {
        // SAFETY: the number is only borrowed for one call, which fails cleanly if nothing is open there.
        let theirs = unsafe { BorrowedFd::borrow_raw(number) };
        let fd = rustix::io::fcntl_dupfd_cloexec(theirs, 3)?;
        let hold = match slot {
            Some(slot) => Hold::Name(Binding::adopt(fd, slot, Variant::new(kind, 0))),
            None => Hold::Memory(fd),
        };
        Object::of(hold, kind)
    }

    /// The descriptor that keeps it.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.hold.as_fd()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The live object of this name and kind. `Ok(None)`: there is none.
    pub(crate) fn open(slot: &Slot, kind: Kind) -> io::Result<Option<Object>> {
        namespace::open(slot, kind, true)?.map(|binding| Object::of(Hold::Name(binding), kind)).transpose()
    }

    fn of(hold: Hold, kind: Kind) -> io::Result<Object> {
        check(hold.as_fd())?;
        let page = Page::of(hold.as_fd())?;
        Ok(Object { kind, page: ManuallyDrop::new(page), hold: ManuallyDrop::new(hold) })
    }

    #[inline]
    fn robust(&self) -> Robust<'_> {
        let word = page_size() as usize - WORD_BEFORE_END;
        let (waiting, depth) = (self.page.u32_at(word - 4), self.page.u32_at(word - 8));
        Robust { word: self.page.u32_at(word), waiting, depth, node: Node::Private }
    }

    fn commit_word(&self) -> CommitWord<'_> {
        CommitWord { word: self.page.u64_at(COMMIT_AT), id: self.page.u64_at(COMMIT_AT + 8) }
    }

    /// What one wait takes from the state. `None`: there is nothing.
    fn taking(&self) -> impl Fn(u32) -> Option<u32> + use<> {
        let manual = self.kind == Kind::Event && self.load(MANUAL_AT) != 0;
        let event = self.kind == Kind::Event;
        move |state| match state {
            0 => None,
            state if manual => Some(state),
            _ if event => Some(0),
            state => Some(state - 1),
        }
    }

    fn load(&self, at: usize) -> u32 {
        self.page.u32_at(at).load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Takes it if it can be had now. `waited`: by one who is `Enlisted`.
    fn attempt(&self, waited: bool) -> io::Result<Option<Taken>> {
        let taken = match (self.kind, waited) {
            // SAFETY: the node lies in the private page behind the shared one; a held lock keeps the object mapped,
            // since `MutexGuard` borrows it.
            (Kind::Mutex, _) => unsafe { self.robust().try_lock(me()?, waited) }?,
            (_, false) => self.commit_word().take(self.taking()).map(|_| Taken::Clean),
            (_, true) => self.commit_word().take_woken(self.taking()).map(|_| Taken::Clean),
        };
        self.there(taken)
    }

    /// What was done just now, unless it was done to zeros that took the place of the page.
    #[inline]
    fn there<T>(&self, done: T) -> io::Result<T> {
        if self.page.guard.lost() == usize::MAX { Ok(done) } else { self.gone() }
    }

    /// Nobody else sees these zeros, so a lock in them is nobody's business; off this thread's list it must come.
    #[cold]
    fn gone<T>(&self) -> io::Result<T> {
        if self.kind == Kind::Mutex {
            self.robust().unlock(me()?, false);
        }
        Err(guard::vanished().into())
    }

    /// Takes it, waiting for at most `timeout`.
    #[inline]
    pub(crate) fn take(&self, timeout: Timeout) -> io::Result<Option<Taken>> {
        if self.kind == Kind::Mutex
            && let Some(me) = known()
            // SAFETY: as in `attempt`.
            && unsafe { self.robust().take_free(me) }
        {
            return self.there(Some(Taken::Clean));
        }
        self.wait(timeout)
    }

    #[cold]
    fn wait(&self, timeout: Timeout) -> io::Result<Option<Taken>> {
        if self.kind != Kind::Mutex {
            let taken = self.commit_word().wait(timeout, self.taking())?;
            return self.there(taken.map(|_| Taken::Clean));
        }
        let once = timeout.is_some_and(|timeout| timeout.is_zero());
        let taken = match self.attempt(false)? {
            None if !once && self.robust().spin() => self.attempt(false)?,
            taken => taken,
        };
        if taken.is_some() || once {
            return Ok(taken);
        }
        Ok(match wait(&[self], false, timeout)? {
            Waited::Had { abandoned, .. } if abandoned.is_empty() => Some(Taken::Clean),
            Waited::Had { .. } => Some(Taken::Abandoned),
            Waited::TimedOut => None,
        })
    }

    /// Marks that somebody sleeps, in the same step that saw that there is nothing to be had; the word to sleep on and
    /// what is expected there. `None`: there is something now.
    pub(crate) fn expect(&self) -> Option<(&AtomicU32, u32)> {
        match self.kind {
            Kind::Mutex => self.robust().expect().map(|value| (self.robust().word, value)),
            _ => self.commit_word().expect(self.taking()).map(|value| (self.commit_word().spot().word(), value)),
        }
    }

    /// Undoes an attempt that succeeded.
    fn put_back(&self, taken: Taken) -> io::Result<()> {
        match self.kind {
            Kind::Mutex => _ = self.robust().unlock(me()?, taken == Taken::Abandoned),
            Kind::Event if self.load(MANUAL_AT) != 0 => {}
            Kind::Event => drop(self.commit_word().commit(|_| Some(1))?),
            _ => drop(self.commit_word().commit(|count| count.checked_add(1))?),
        }
        Ok(())
    }

    /// Gives the mutex back once. `false`: this thread does not own it.
    #[inline]
    pub(crate) fn unlock(&self) -> io::Result<bool> {
        let unlocked = self.robust().unlock(me()?, false);
        self.there(unlocked)
    }

    /// Sets the event.
    pub(crate) fn set(&self) -> io::Result<()> {
        let set = self.commit_word().commit(|_| Some(1))?;
        self.there(set).map(drop)
    }

    /// Resets the event.
    pub(crate) fn reset(&self) -> io::Result<()> {
        let reset = self.commit_word().commit(|_| Some(0))?;
        self.there(reset).map(drop)
    }

    /// Gives `count` back to the semaphore: the count before, or `Err` with it if the maximum would be exceeded.
    pub(crate) fn give(&self, count: u32) -> io::Result<Result<u32, u32>> {
        let maximum = self.load(MAXIMUM_AT);
        let given = self.commit_word().commit(|have| have.checked_add(count).filter(|sum| *sum <= maximum))?;
        self.there(given)
    }
}

/// Refuses what is not an object of this revision and of threads that this process can name.
fn check(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut head = [0; 32];
    let got = rustix::io::pread(fd, &mut head, 0)?;
    let size = u64::try_from(rustix::fs::fstat(fd)?.st_size).unwrap_or(0);
    if got < head.len() || size < page_size() || &head[..8] != MAGIC || head[8..12] != REVISION.to_ne_bytes() {
        return Err(Refusal::Corrupt("the object's page is damaged or of another version, at offset 0".into()).into());
    }
    if head[NAMESPACE_AT..NAMESPACE_AT + 8] != me()?.namespace().to_ne_bytes() {
        let why = "it was made in another PID namespace, where thread numbers mean other threads; \
                   share the PID namespace (--pid=container:… or hostPID) to use it";
        return Err(Refusal::Unsupported(why.into()).into());
    }
    Ok(())
}

/// Reads an object's state without opening it. What stands there is shown, not trusted.
pub(crate) fn peek(kind: Kind, fd: BorrowedFd<'_>) -> io::Result<SyncState> {
    check(fd)?;
    let mut page = vec![0; page_size() as usize];
    if rustix::io::pread(fd, &mut page, 0)? < page.len() {
        return Err(Errno::IO.into());
    }
    let word = |at: usize| u32::from_ne_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]]);
    let lock = page.len() - WORD_BEFORE_END;
    let mut state = SyncState::default();
    match kind {
        Kind::Mutex => {
            let value = AtomicU32::new(word(lock));
            let none = AtomicU32::new(0);
            let (thread, died) = Robust { word: &value, waiting: &none, depth: &none, node: Node::Private }.owner();
            state.owner = thread.map(|thread| (thread, process::process_of_thread(thread).unwrap_or(thread)));
            state.held = Some(thread.is_some());
            state.abandoned = died;
            state.waiters = Some(word(lock - 4));
        }
        Kind::Event => {
            state.count = Some(word(COMMIT_AT));
            state.manual = Some(word(MANUAL_AT) != 0);
        }
        _ => {
            state.count = Some(word(COMMIT_AT));
            state.maximum = Some(word(MAXIMUM_AT));
        }
    }
    Ok(state)
}

/// Waits until one of the objects, or all at once, can be had.
pub(crate) fn wait(objects: &[&Object], all: bool, timeout: Timeout) -> io::Result<Waited> {
    if objects.is_empty() || objects.len() > WAIT_MAX {
        return Err(Refusal::Invalid(format!(
            "{} objects were given; 1 to {WAIT_MAX} can be waited for",
            objects.len()
        ))
        .into());
    }
    let until = Deadline::after(timeout);
    let mut listed = Enlisted { objects, announced: None };
    loop {
        let waited = listed.announced.is_some();
        let missing = match all {
            false => match any(objects, waited)? {
                Some((index, taken)) => return Ok(had(index, vec![(index, taken)])),
                None => None,
            },
            true => match every(objects, waited)? {
                Ok(taken) => return Ok(had(0, taken.into_iter().enumerate().collect())),
                Err(missing) => Some(missing),
            },
        };
        let Some(left) = until.left() else {
            return Ok(Waited::TimedOut);
        };
        listed.enlist()?;
        // For all: sleep until the one that is missing comes; then try all again.
        let watched = missing.map_or(objects, |index| &objects[index..=index]);
        let mut words = Vec::with_capacity(watched.len());
        for object in watched {
            match object.expect() {
                Some(word) => words.push(word),
                None => break,
            }
        }
        if words.len() == watched.len() {
            sleep(&words, left)?;
            watched.iter().filter(|object| object.kind != Kind::Mutex).for_each(|object| object.commit_word().relay());
        }
    }
}

fn had(index: usize, taken: Vec<(usize, Taken)>) -> Waited {
    let abandoned = taken.into_iter().filter(|(_, taken)| *taken == Taken::Abandoned).map(|(index, _)| index);
    Waited::Had { index, abandoned: abandoned.collect() }
}

fn any(objects: &[&Object], waited: bool) -> io::Result<Option<(usize, Taken)>> {
    for (index, object) in objects.iter().enumerate() {
        if let Some(taken) = object.attempt(waited)? {
            return Ok(Some((index, taken)));
        }
    }
    Ok(None)
}

/// Takes all, or none and says which one is missing.
fn every(objects: &[&Object], waited: bool) -> io::Result<Result<Vec<Taken>, usize>> {
    let mut taken = Vec::with_capacity(objects.len());
    for (index, object) in objects.iter().enumerate() {
        match object.attempt(waited)? {
            Some(how) => taken.push(how),
            None => {
                for (object, how) in objects.iter().zip(taken).rev() {
                    object.put_back(how)?;
                }
                return Ok(Err(index));
            }
        }
    }
    Ok(Ok(taken))
}

/// Counts this thread among the waiters of the mutexes, and names the first object to the kernel: if this thread
/// is killed with a wake-up in its hands, the kernel passes that on. There is room for one name; of several
/// objects the others' wake-ups come with the back-stop then.
struct Enlisted<'a> {
    objects: &'a [&'a Object],
    announced: Option<Pending>,
}

impl Enlisted<'_> {
    fn mutexes(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().copied().filter(|object| object.kind == Kind::Mutex)
    }

    fn enlist(&mut self) -> io::Result<()> {
        if self.announced.is_none() {
            let first = self.objects[0];
            let word = if first.kind == Kind::Mutex { first.robust().word } else { first.commit_word().spot().word() };
            self.announced = Some(me()?.pending_on(word));
            self.mutexes().for_each(|object| object.robust().enlist());
        }
        Ok(())
    }
}

impl Drop for Enlisted<'_> {
    fn drop(&mut self) {
        if self.announced.is_some() {
            self.mutexes().for_each(|object| object.robust().retire());
        }
    }
}
