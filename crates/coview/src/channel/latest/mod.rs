//! The newest value: writers replace it, readers take a copy, and neither waits for the other.

mod value;

use std::fmt;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

pub use value::Value;

use super::Listening;
use super::content::Content;
use super::end::{Attached, Deaths, End, Peer, Side, died};
use super::status::{Channel, Look, unnumbered};
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::mapping::Share;
use crate::primitive::{AtomicU32, AtomicU64, Ordering};
use crate::region::{Plan, RegionKind, Schema};
use crate::step::is_broken;
use crate::sync::{Commit, Placed, fill, read};
use crate::sys::guard;
use crate::sys::lock::Words;
use crate::sys::wait::Deadline;
use crate::view::View;
use value::Sizes;

/// The most writers attached at once, of a value that allows several.
pub const WRITERS: usize = 16;

const SEVERAL: u32 = 1;
/// Each copy begins with its length.
const BYTES: u32 = 2;
/// Copies of the value. A reader's copy is spoiled only by a writer that comes round to it.
const COPIES: u32 = 4;

/// What stands before the copies; `docs/format.md` draws it.
#[derive(Debug)]
#[repr(C)]
struct Head {
    /// Bytes of the largest value, and from copy to copy.
    size: AtomicU64,
    stride: AtomicU64,
    flags: AtomicU32,
    deaths: Deaths,
    /// Of several writers, the one who is writing.
    turn: Words,
    /// Written when a reader sleeps.
    bell: Commit,
    newest: Newest,
    writers: [End; WRITERS],
}

#[derive(Debug)]
#[repr(C, align(128))]
struct Newest {
    /// Counts the values; 0: none yet.
    count: AtomicU32,
}

// SAFETY: (1) to (4): atomics and placed parts, of which any value is some state.
unsafe impl Placed for Head {}

/// How a [`Latest`] is made.
#[derive(Debug, Clone)]
pub struct LatestOptions {
    several: bool,
    capacity: usize,
    share: Share,
}

/// A named value of which everybody gets the newest: telemetry, state, a setting.
///
/// A writer never waits for readers, a reader never for a writer, and nobody sees half of a value. A writer that dies in
/// the middle of one leaves the value before. `Latest<[u8]>` is for bytes, of any length up to
/// [`capacity`](LatestOptions::capacity).
///
/// # Examples
///
/// ```
/// use coview::latest::Latest;
///
/// let name = format!("doc-latest-{}", std::process::id());
/// let mut writer = Latest::<[f64; 3]>::create(&name)?.writer()?;
/// writer.set(&[1.0, 2.0, 3.0])?;
///
/// // In another process:
/// let mut reader = Latest::<[f64; 3]>::open(&name)?.reader();
/// assert_eq!(reader.read()?, Some([1.0, 2.0, 3.0]));
/// assert_eq!(reader.changed_timeout(std::time::Duration::ZERO)?, None); // nothing newer
/// # Ok::<(), coview::Error>(())
/// ```
pub struct Latest<T: ?Sized> {
    shared: Shared,
    _value: PhantomData<fn() -> Box<T>>,
}

/// What was checked once is not asked of shared memory again.
#[derive(Clone)]
struct Shared {
    view: Arc<View>,
    /// Where the copies are, right behind the head.
    copies: *mut u8,
    sizes: Sizes,
    several: bool,
}

// SAFETY: `copies` points into the view, which it owns a part of; bytes there are touched by the protocol.
unsafe impl Send for Shared {}
// SAFETY: as above: through `&Shared` nothing but atomics is touched.
unsafe impl Sync for Shared {}

impl Default for LatestOptions {
    fn default() -> LatestOptions {
        LatestOptions { several: false, capacity: 1 << 16, share: Share::Owner }
    }
}

impl LatestOptions {
    /// For one writer, and for its owner alone; if it is of bytes, of at most 64 KiB.
    pub fn new() -> LatestOptions {
        LatestOptions::default()
    }

    /// The most bytes of a value that is `[u8]`; others have the size of their type. It takes four times as much memory.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// Up to [`WRITERS`] at once; they take turns by a robust lock.
    pub fn several_writers(mut self, several: bool) -> Self {
        self.several = several;
        self
    }

    /// Who may open it by name.
    pub fn share(mut self, share: Share) -> Self {
        self.share = share;
        self
    }

    /// Makes one of that name, without a value yet.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], and those of [`MappingOptions::create`](crate::MappingOptions::create).
    pub fn create<T: Value + ?Sized>(&self, name: &str) -> Result<Latest<T>> {
        let sizes = T::sizes(self.capacity);
        let init = |view: &View, at| self.init(view, at, sizes);
        Latest::of(Content::create(name, &plan(sizes, T::schema()), &self.share, init)?, None)
    }

    /// Makes one of that name, or opens the live one, whose capacity stays as it is.
    ///
    /// # Errors
    /// As [`create`](Self::create), less `AlreadyExists`; as [`Latest::open`].
    pub fn open_or_create<T: Value + ?Sized>(&self, name: &str) -> Result<Latest<T>> {
        let sizes = T::sizes(self.capacity);
        let init = |view: &View, at| self.init(view, at, sizes);
        Latest::of(Content::open_or_create(name, &plan(sizes, T::schema()), &self.share, init)?, None)
    }

    /// As [`create`](Self::create), of values that have this layout, by their bytes: for other languages, and for tools.
    ///
    /// # Examples
    ///
    /// ```
    /// use coview::{latest::{Latest, LatestOptions}, region::Schema};
    ///
    /// let name = format!("doc-latest-bytes-{}", std::process::id());
    /// let speed = LatestOptions::new().create_bytes(&name, &Schema::float(8))?;
    /// speed.writer()?.set(&9.81f64.to_ne_bytes())?;
    /// assert_eq!(Latest::<f64>::open(&name)?.reader().read()?, Some(9.81));
    /// # Ok::<(), coview::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_bytes(&self, name: &str, schema: &Schema) -> Result<Latest<[u8]>> {
        let (sizes, plan) = described(schema);
        Latest::of(Content::create(name, &plan, &self.share, |view, at| self.init(view, at, sizes))?, Some(sizes))
    }

    /// As [`open_or_create`](Self::open_or_create), of values that have this layout, by their bytes.
    ///
    /// # Errors
    /// As [`open_or_create`](Self::open_or_create).
    pub fn open_or_create_bytes(&self, name: &str, schema: &Schema) -> Result<Latest<[u8]>> {
        let (sizes, plan) = described(schema);
        Latest::of(
            Content::open_or_create(name, &plan, &self.share, |view, at| self.init(view, at, sizes))?,
            Some(sizes),
        )
    }

    fn init(&self, view: &View, at: usize, sizes: Sizes) -> Result<()> {
        let head: &Head = view.place(at)?;
        head.size.store(sizes.size as u64, Ordering::Relaxed);
        head.stride.store(sizes.stride() as u64, Ordering::Relaxed);
        let several = if self.several { SEVERAL } else { 0 };
        head.flags.store(several | if sizes.counted { BYTES } else { 0 }, Ordering::Relaxed);
        Ok(())
    }
}

fn plan(sizes: Sizes, schema: Option<Schema>) -> Plan {
    // What nobody has memory for, the mapping refuses.
    let copies = (sizes.stride() as u64).saturating_mul(u64::from(COPIES));
    let size = copies.saturating_add(size_of::<Head>() as u64).min(1 << 60);
    Plan::new(RegionKind::Latest, schema, size, align_of::<Head>())
}

fn described(schema: &Schema) -> (Sizes, Plan) {
    let sizes = Sizes { size: usize::try_from(schema.size()).unwrap_or(usize::MAX), counted: false };
    (sizes, plan(sizes, Some(schema.clone())))
}

impl<T: Value + ?Sized> Latest<T> {
    /// Makes one for this user alone, for one writer, without a value yet.
    ///
    /// # Errors
    /// As [`LatestOptions::create`].
    pub fn create(name: &str) -> Result<Latest<T>> {
        LatestOptions::new().create(name)
    }

    /// Opens the live one of that name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongKind`], [`ErrorKind::Corrupt`]; [`ErrorKind::WrongLayout`] if its values are
    /// of another type;
    /// [`ErrorKind::AccessDenied`]: reading needs write access too, to say that it sleeps.
    pub fn open(name: &str) -> Result<Latest<T>> {
        Latest::of(Content::open(name, &plan(T::sizes(0), T::schema()))?, None)
    }

    /// `sizes`: those that it must have; `None`: those of its type.
    fn of(Content { view, offset }: Content, sizes: Option<Sizes>) -> Result<Latest<T>> {
        let head: &Head = view.place(offset)?;
        let (flags, room) =
            (head.flags.load(Ordering::Relaxed), (view.len() - offset).saturating_sub(size_of::<Head>()));
        let [size, step] =
            [&head.size, &head.stride].map(|at| usize::try_from(at.load(Ordering::Relaxed)).unwrap_or(usize::MAX));
        let found = Sizes { size, counted: flags & BYTES != 0 };
        let wanted =
            sizes.unwrap_or(if T::schema().is_some() { T::sizes(0) } else { Sizes { counted: true, ..found } });
        let refused = |kind, why: String| Err(Error::new(kind, "open the latest value", why));
        if found.counted != wanted.counted {
            let held = if found.counted { "are bytes" } else { "have a layout" };
            return refused(ErrorKind::WrongLayout, format!("its values {held}; open it as what it is"));
        }
        if found != wanted || step != wanted.stride() || step > room / COPIES as usize {
            return refused(
                ErrorKind::Corrupt,
                format!("its values cannot have {size} bytes, one each {step} of {room}"),
            );
        }
        let copies = view.as_ptr().wrapping_add(offset + size_of::<Head>());
        let shared = Shared { view, copies, sizes: found, several: flags & SEVERAL != 0 };
        Ok(Latest { shared, _value: PhantomData })
    }

    /// Attaches a writer.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if somebody writes already and it is for one.
    pub fn writer(&self) -> Result<Writer<T>> {
        let (side, places) = (self.shared.writers(), if self.shared.several { WRITERS } else { 1 });
        if let Some(end) = side.attach(&self.shared.view, places)? {
            return Ok(Writer { shared: self.shared.clone(), _end: end, _value: PhantomData });
        }
        let who = side.peers().next().map_or(String::new(), |peer| format!(" by process {}", peer.process));
        let why = format!("all {places} writing ends are taken, the first{who}");
        Err(Error::new(ErrorKind::AlreadyExists, "attach a writer to", why).on("the latest value"))
    }

    /// A reader, of which there can be any number.
    pub fn reader(&self) -> Reader<T> {
        let deaths = self.shared.head().deaths.load(Ordering::Relaxed);
        Reader { shared: self.shared.clone(), seen: 0, deaths, _value: PhantomData }
    }
}

impl Latest<[u8]> {
    /// As [`open`](Latest::open), with values that have this layout, by their bytes.
    ///
    /// # Errors
    /// As [`open`](Latest::open).
    pub fn open_bytes(name: &str, schema: &Schema) -> Result<Latest<[u8]>> {
        let (sizes, plan) = described(schema);
        Latest::of(Content::open(name, &plan)?, Some(sizes))
    }

    /// Bytes of the largest value.
    pub fn capacity(&self) -> usize {
        self.shared.sizes.size
    }
}

/// What a latest value is doing. Its readers leave no trace.
pub(super) fn status(look: &Look<'_>) -> Result<Channel> {
    let head = look.first(size_of::<Head>() as u64)?;
    let (size, writers) = (head.u64(offset_of!(Head, size))?, head.peers(offset_of!(Head, writers), WRITERS)?);
    Ok(Channel {
        kind: RegionKind::Latest,
        newest: Some(head.u32(offset_of!(Head, newest))?.into()),
        message_size: Some(size),
        capacity: look.len() - size_of::<Head>() as u64,
        used: look.len() - size_of::<Head>() as u64,
        senders: unnumbered(writers),
        receivers: Vec::new(),
        deaths: (head.u32(offset_of!(Head, deaths))?, 0),
        position: None,
    })
}

impl Shared {
    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: `Latest::of` placed it there, and the view lives as long as `self`.
        unsafe { &*self.copies.wrapping_sub(size_of::<Head>()).cast() }
    }

    /// Where one of the copies stands; `Latest::of` checked that all lie in the view.
    #[inline]
    fn copy<T: Value + ?Sized>(&self, index: u32) -> *mut u8 {
        self.copies.wrapping_add((index % COPIES) as usize * T::known(self.sizes).stride())
    }

    fn writers(&self) -> Side<'_> {
        let head = self.head();
        Side { ends: &head.writers, deaths: &head.deaths, bell: &head.bell }
    }

    #[inline]
    fn newest(&self) -> u32 {
        // Acquire: pairs with the Release in `put`.
        self.head().newest.count.load(Ordering::Acquire)
    }
}

/// The end that writes. Dropped, the end is free for another.
pub struct Writer<T: ?Sized> {
    shared: Shared,
    _end: Attached,
    _value: PhantomData<fn(Box<T>)>,
}

impl<T: Value + ?Sized> Writer<T> {
    /// Makes `value` the newest, and wakes the readers that wait for one.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`] for more bytes than it has capacity for, [`ErrorKind::InvalidInput`] for fewer than its layout has; the system's, when readers were to be woken.
    #[inline]
    pub fn set(&mut self, value: &T) -> Result<()> {
        while !self.set_within(value, None)? {}
        Ok(())
    }

    /// As [`set`](Self::set), waiting for at most `timeout` for another writer that is setting one. `false`: the time is over.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    #[inline]
    pub fn set_timeout(&mut self, value: &T, timeout: Duration) -> Result<bool> {
        self.set_within(value, Some(timeout))
    }

    #[inline]
    fn set_within(&mut self, value: &T, timeout: Option<Duration>) -> Result<bool> {
        value.check(self.shared.sizes)?;
        let head = self.shared.head();
        if !self.shared.several {
            return self.put(head, value).map(|()| true);
        }
        // Abandoned or not: who died in its turn leaves the newest whole value.
        if head.turn.lock(timeout).map_err(refused)?.is_none() {
            return Ok(false);
        }
        let done = self.put(head, value);
        // It fails only when a peer wrote over the words.
        let _ = head.turn.unlock(false);
        done.map(|()| true)
    }

    #[inline]
    fn put(&self, head: &Head, value: &T) -> Result<()> {
        let count = &head.newest.count;
        // 0 means "none yet"; COPIES stands in the same copy.
        let next = match count.load(Ordering::Relaxed).wrapping_add(1) {
            0 => COPIES,
            next => next,
        };
        if is_broken("latest: the number before the value") {
            count.store(next, Ordering::Release);
        }
        // SAFETY: (1) a copy lies in the view; (2) `set` has checked it.
        fill(|| unsafe { value.put(self.shared.copy::<T>(next), self.shared.sizes) });
        // Release: pairs with the Acquire in `read`.
        count.store(next, Ordering::Release);
        self.shared.writers().ring().map_err(refused)
    }
}

fn refused(error: std::io::Error) -> Error {
    explain("use", "the latest value", error)
}

/// A reader, and which value it has seen last.
pub struct Reader<T: ?Sized> {
    shared: Shared,
    seen: u32,
    deaths: u32,
    _value: PhantomData<fn() -> Box<T>>,
}

impl<T: Value + ?Sized> Reader<T> {
    /// The newest value; `None` if there has been none yet. Of bytes, a `Vec<u8>`.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if for a second every copy was spoiled by a writer, which none does that keeps the protocol.
    #[inline]
    pub fn read(&mut self) -> Result<Option<T::Owned>> {
        let mut room = T::room();
        let there = self.copy(&mut room)?;
        // SAFETY: (1) then it was filled.
        Ok(there.then(|| unsafe { T::take(room) }))
    }

    /// As [`read`](Self::read), into a value that is there: one copy, where a returned value is moved some more times, and no
    /// new memory for bytes. `false`: there has been none yet, and `value` is as it was; after an error it may be a mixture.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    #[inline]
    pub fn read_into(&mut self, value: &mut T::Owned) -> Result<bool> {
        self.copy(T::as_room(value))
    }

    /// Copies the newest value, if there is one.
    #[inline]
    fn copy(&mut self, room: &mut T::Room) -> Result<bool> {
        // One load of a word that all calls share, where the view's own mark would cost as much as the rest.
        if self.try_copy(room) && !guard::has_lost() { Ok(true) } else { self.copy_slowly(room) }
    }

    #[inline(always)]
    fn try_copy(&mut self, room: &mut T::Room) -> bool {
        let shared = &self.shared;
        let newest = |order| shared.head().newest.count.load(order);
        // SAFETY: (1) a copy lies in the view, which lives as long as `self`.
        let copy = |number| (number != 0).then(|| unsafe { T::get(shared.copy::<T>(number), shared.sizes, room) });
        read(newest, COPIES, copy).inspect(|((), number)| self.seen = *number).is_some()
    }

    #[cold]
    fn copy_slowly(&mut self, room: &mut T::Room) -> Result<bool> {
        let until = Deadline::after(Some(Duration::from_secs(1)));
        let mut is_over = false;
        while !is_over {
            // Looked at before the last tries: that this process stood still for a second is nobody's fault.
            is_over = until.left().is_none();
            for _ in 0..TRIES {
                let none = self.shared.newest() == 0;
                if none || self.try_copy(room) {
                    return self.shared.view.check_whole("read from").map(|()| !none);
                }
                std::hint::spin_loop();
            }
        }
        let why = "no copy stayed whole for a second: somebody writes over it";
        Err(Error::new(ErrorKind::TimedOut, "read", why).on("the latest value"))
    }

    /// The newest value once it is another than the last this reader got, waiting for as long as it takes.
    ///
    /// # Errors
    /// [`ErrorKind::PeerDied`], once for each death, when a writer died; as [`read`](Self::read); the system's.
    pub fn changed(&mut self) -> Result<T::Owned> {
        loop {
            if let Some(value) = self.wait(None)? {
                return Ok(value);
            }
        }
    }

    /// As [`changed`](Self::changed), waiting for at most `timeout`. `None`: the time is over.
    ///
    /// # Errors
    /// As [`changed`](Self::changed).
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<Option<T::Owned>> {
        self.wait(Some(timeout))
    }

    /// The processes that write.
    pub fn writers(&self) -> Vec<Peer> {
        self.shared.writers().peers().collect()
    }

    /// The newest value if it is another; `None`: it is not, and `waker` is woken when it may be.
    pub(crate) fn poll(&mut self, listening: &mut Listening, waker: &Waker) -> Result<Option<T::Owned>> {
        let shared = self.shared.clone();
        for _ in 0..TRIES {
            let seen = self.seen;
            if shared.newest() != seen {
                return self.read();
            }
            let deaths = shared.head().deaths.load(Ordering::Acquire); // pairs with the Release in `bury`
            if deaths != std::mem::replace(&mut self.deaths, deaths) {
                return Err(died("wait for", "writer"));
            }
            let ready = || shared.newest() != seen;
            if shared.writers().listen(listening, waker, deaths, ready).map_err(refused)? {
                return Ok(None);
            }
        }
        waker.wake_by_ref();
        Ok(None)
    }

    pub(crate) fn listening(&self) -> Listening {
        Listening::new(&self.shared.view)
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<T::Owned>> {
        let shared = self.shared.clone();
        let head = shared.head();
        let until = Deadline::after(timeout);
        let mut spins = if timeout == Some(Duration::ZERO) { 0 } else { SPINS };
        loop {
            let seen = self.seen;
            if shared.newest() != seen {
                return self.read();
            }
            let deaths = head.deaths.load(Ordering::Acquire); // pairs with the Release in `bury`
            if deaths != std::mem::replace(&mut self.deaths, deaths) {
                return Err(died("wait for", "writer"));
            }
            if spins > 0 {
                spins -= 1;
                std::hint::spin_loop();
                continue;
            }
            let slept = shared.writers().sleep(until, deaths, false, || shared.newest() != seen);
            if !slept.map_err(refused)? {
                return Ok(None);
            }
        }
    }
}

/// Attempts before a reader asks the clock again.
const TRIES: u32 = 64;
/// Looks before it sleeps: about a microsecond.
const SPINS: u32 = 100;

impl<T: ?Sized> fmt::Debug for Latest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latest").field("in", &self.shared.view).finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for Writer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("in", &self.shared.view).finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("seen", &self.seen).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::{LATEST_BYTES, LATEST_COPIES, LATEST_COUNT, LATEST_FLAGS};
    use std::mem::offset_of;

    /// As `docs/format.md` draws it.
    #[test]
    fn the_layout_is_the_promised_one() {
        let offsets =
            [offset_of!(Head, deaths), offset_of!(Head, turn), offset_of!(Head, bell), offset_of!(Head, newest)];
        assert_eq!(offsets, [20, 24, 64, 128]);
        assert_eq!((offset_of!(Head, writers), size_of::<Head>()), (256, 1280));
        assert_eq!((LATEST_COUNT, LATEST_COPIES), (offset_of!(Head, newest), size_of::<Head>() as u64));
        assert_eq!((LATEST_FLAGS, LATEST_BYTES), (offset_of!(Head, flags), BYTES));
    }

    #[test]
    fn a_writer_waits_for_its_turn_for_as_long_as_it_said() {
        let options = LatestOptions::new().several_writers(true);
        let latest = options.create::<u64>(&format!("latest-turn-{}", std::process::id())).unwrap();
        let (mut writer, turn) = (latest.writer().unwrap(), &latest.shared.head().turn);
        assert!(turn.lock(None).unwrap().is_some());
        let in_vain = || assert!(!writer.set_timeout(&1, Duration::from_millis(10)).unwrap());
        std::thread::scope(|scope| scope.spawn(in_vain).join().unwrap());
        turn.unlock(false).unwrap();
        assert!(writer.set_timeout(&2, Duration::from_secs(60)).unwrap());
        assert_eq!(latest.reader().read().unwrap(), Some(2));
    }
}
