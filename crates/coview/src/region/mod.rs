//! Regions: a mapping whose head says what stands in it, so that both sides know it is the same.
//!
//! - [`Region`]: one value of a plain type, checked field by field when it is opened.
//! - [`Record`]: which types those are; `#[derive(Record)]`.
//! - [`describe`]: what a region holds, for programs that do not know its type; `coview info` and `coview read` show it.
//!
//! The bytes are drawn in `docs/format.md`.

mod bytes;
mod content;
mod head;
mod info;
mod record;
mod schema;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

pub use head::RegionKind;
pub(crate) use info::whole_content;
#[cfg(test)]
pub(crate) use info::{LATEST_BYTES, LATEST_COPIES, LATEST_COUNT, LATEST_FLAGS};
pub use info::{RegionInfo, describe};
pub use record::Record;
pub use schema::{Field, Form, Schema};

pub(crate) use content::{Content, Plan};

use crate::error::{Error, ErrorKind, Result};
use crate::explain::exists;
use crate::mapping::{Access, Disposition, Mapping, MappingOptions, Share};
use crate::sys::wait::Deadline;
use crate::view::View;

/// How long somebody else's initialisation, which takes microseconds, is waited for unless a timeout was given.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at something that nobody announces.
const PAUSES: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(5)];

/// How a [`Region`] is made or opened.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use coview::{Access, Region, RegionOptions, Share};
///
/// let name = format!("doc-region-options-{}", std::process::id());
/// let _made: Region<u64> = RegionOptions::new().share(Share::Group).create(&name, &1)?;
///
/// // A reader that may be started before the writer, and cannot write:
/// let reader = RegionOptions::new().timeout(Duration::from_secs(5)).access(Access::Read);
/// let opened: Region<u64> = reader.open(&name)?;
/// assert_eq!(opened.read()?, 1);
/// assert!(opened.write(&2).is_err());
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct RegionOptions {
    share: Share,
    access: Access,
    timeout: Option<Duration>,
}

/// One value of type `T` in shared memory, by name: both sides know that they mean the same by its bytes.
///
/// The head of the mapping holds a description of `T`, and opening with another layout is refused with the first field that
/// differs. Whoever initialises it may die halfway: the next one takes over.
///
/// Reading copies the value, and while somebody writes, the copy can be a mixture of the old and the new one. For whole values use
/// [`latest`](crate::latest); for single fields the atomics of the [`view`](Region::view); or take a
/// [`Mutex`](crate::Mutex) for both.
///
/// # Examples
///
/// ```
/// use coview::{Record, Region, zerocopy::{FromBytes, Immutable, IntoBytes}};
///
/// #[derive(FromBytes, IntoBytes, Immutable, Record)]
/// #[zerocopy(crate = "coview::zerocopy")]
/// #[repr(C)]
/// struct Settings {
///     volume: f32,
///     channel: u32,
/// }
///
/// let name = format!("doc-region-{}", std::process::id());
/// let settings = Region::create(&name, &Settings { volume: 0.5, channel: 7 })?;
///
/// // In another process, which declares the same:
/// let opened = Region::<Settings>::open(&name)?;
/// assert_eq!(opened.read()?.channel, 7);
///
/// // With another layout:
/// let error = Region::<[u32; 2]>::open(&name).unwrap_err();
/// assert!(error.to_string().contains("expected `u32[2]`, found `Settings`"));
/// # drop(settings);
/// # Ok::<(), coview::Error>(())
/// ```
pub struct Region<T: ?Sized> {
    content: Content,
    /// Bytes of the value.
    len: usize,
    mapping: Mapping,
    _value: PhantomData<fn(Box<T>) -> Box<T>>,
}

impl Default for RegionOptions {
    fn default() -> RegionOptions {
        RegionOptions { share: Share::Owner, access: Access::ReadWrite, timeout: None }
    }
}

impl RegionOptions {
    /// For its owner alone, to be read and written.
    pub fn new() -> RegionOptions {
        RegionOptions::default()
    }

    /// Who may open a new one by name.
    pub fn share(mut self, share: Share) -> Self {
        self.share = share;
        self
    }

    /// What [`open`](Self::open) asks for: with [`Access::Read`], reading rights are enough.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// How long [`open`](Self::open) waits for somebody to make the region, and everybody for somebody else to finish
    /// initialising it. Unless said, `open` does not wait for the first, and nobody longer than five seconds for the second.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Makes a region of that name with this value.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], and those of [`MappingOptions::create`].
    pub fn create<T: Record>(&self, name: &str, value: &T) -> Result<Region<T>> {
        self.create_as(&Region::<T>::plan(), name, value.as_bytes())
    }

    /// Opens the live region of that name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongKind`] if it is no region; [`ErrorKind::WrongLayout`] if its content is of
    /// another type; [`ErrorKind::TimedOut`] if nobody gave it a value in time; [`ErrorKind::Corrupt`].
    pub fn open<T: Record>(&self, name: &str) -> Result<Region<T>> {
        self.open_as(&Region::<T>::plan(), name)
    }

    /// Opens the live region of that name, or makes one with the value that `init` gives. Of several at once, one makes it and
    /// the others wait; if that one dies, the next makes it.
    ///
    /// A live mapping of that name whose first 192 bytes are zeros is made a region.
    ///
    /// # Errors
    /// As [`create`](Self::create), less `AlreadyExists`; as [`open`](Self::open); [`ErrorKind::OutOfRange`] if the live mapping is
    /// too small.
    pub fn open_or_create<T: Record>(&self, name: &str, init: impl FnOnce() -> T) -> Result<(Region<T>, Disposition)> {
        self.open_or_create_as(&Region::<T>::plan(), name, |view, at| view.write(at, init().as_bytes()))
    }

    /// Opens the region in a mapping that this process has: inherited, passed on, on a file. [`access`](Self::access) must be
    /// one that the mapping gives.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in<T: Record>(&self, mapping: &Mapping) -> Result<Region<T>> {
        let plan = Region::<T>::plan();
        self.wait(|| Region::look(&plan, mapping, self.access))
    }

    /// As [`open_or_create`](Self::open_or_create), in a mapping that this process has; it needs
    /// [`Region::mapping_size`] bytes.
    ///
    /// # Errors
    /// As [`open_or_create`](Self::open_or_create).
    pub fn open_or_create_in<T: Record>(
        &self,
        mapping: &Mapping,
        init: impl FnOnce() -> T,
    ) -> Result<(Region<T>, Disposition)> {
        self.init(&Region::<T>::plan(), mapping, |view, at| view.write(at, init().as_bytes()))
    }

    fn create_as<T: ?Sized>(&self, plan: &Plan, name: &str, value: &[u8]) -> Result<Region<T>> {
        let mapping = self.mapping(plan).create(name)?;
        match self.init(plan, &mapping, |view, at| view.write(at, value))? {
            (region, Disposition::Created) => Ok(region),
            // Somebody's `open_or_create` came between.
            (_, Disposition::Opened) => Err(exists("create", &mapping.object)),
        }
    }

    fn open_as<T: ?Sized>(&self, plan: &Plan, name: &str) -> Result<Region<T>> {
        // Opened anew each time: what its maker left half made when it died is not kept alive by those who wait.
        self.wait(|| match Mapping::open(name, self.access) {
            Ok(mapping) => Region::look(plan, &mapping, self.access),
            Err(error) if error.kind() == ErrorKind::NotFound && self.timeout.is_some() => Ok(Err(error)),
            Err(error) => Err(error),
        })
    }

    fn open_or_create_as<T: ?Sized>(
        &self,
        plan: &Plan,
        name: &str,
        init: impl FnOnce(&View, usize) -> Result<()>,
    ) -> Result<(Region<T>, Disposition)> {
        let (mapping, _) = self.mapping(plan).open_or_create(name)?;
        self.init(plan, &mapping, init)
    }

    /// Looks until it is there or the time is over, with longer and longer pauses.
    fn wait<T>(&self, mut look: impl FnMut() -> Result<Result<T>>) -> Result<T> {
        let until = Deadline::after(Some(self.timeout.unwrap_or(PATIENCE)));
        let mut pause = PAUSES[0];
        loop {
            let not_yet = match look()? {
                Ok(found) => return Ok(found),
                Err(not_yet) => not_yet,
            };
            match until.left() {
                Some(left) => std::thread::sleep(pause.min(left)),
                None => return Err(not_yet),
            }
            pause = (pause * 2).min(PAUSES[1]);
        }
    }

    fn mapping(&self, plan: &Plan) -> MappingOptions {
        MappingOptions::new().size(plan.mapping_size()).share(self.share.clone())
    }

    fn init<T: ?Sized>(
        &self,
        plan: &Plan,
        mapping: &Mapping,
        init: impl FnOnce(&View, usize) -> Result<()>,
    ) -> Result<(Region<T>, Disposition)> {
        let (content, ours) = plan.open_or_init(mapping, self.timeout.unwrap_or(PATIENCE), init)?;
        let disposition = if ours { Disposition::Created } else { Disposition::Opened };
        Ok((Region::of(plan, content, mapping)?, disposition))
    }
}

impl<T: Record> Region<T> {
    /// Makes a region for this user alone, with this value.
    ///
    /// # Errors
    /// As [`RegionOptions::create`].
    pub fn create(name: &str, value: &T) -> Result<Region<T>> {
        RegionOptions::new().create(name, value)
    }

    /// Opens the live region of that name.
    ///
    /// # Errors
    /// As [`RegionOptions::open`].
    pub fn open(name: &str) -> Result<Region<T>> {
        RegionOptions::new().open(name)
    }

    /// Opens the live region of that name, or makes one for this user alone with the value that `init` gives.
    ///
    /// # Errors
    /// As [`RegionOptions::open_or_create`].
    pub fn open_or_create(name: &str, init: impl FnOnce() -> T) -> Result<(Region<T>, Disposition)> {
        RegionOptions::new().open_or_create(name, init)
    }

    /// Bytes that a mapping must have for it: for [`RegionOptions::open_or_create_in`].
    pub fn mapping_size() -> u64 {
        Region::<T>::plan().mapping_size()
    }

    fn plan() -> Plan {
        Plan::plain(T::SCHEMA)
    }

    /// A copy of the value; a mixture of two if somebody writes meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::Vanished`] if somebody truncated what it stands in.
    #[inline]
    pub fn read(&self) -> Result<T> {
        let mut value = T::new_zeroed();
        let Content { view, offset } = &self.content;
        view.read(*offset, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Writes the value over what there is; who reads meanwhile gets a mixture.
    ///
    /// # Errors
    /// [`ErrorKind::AccessDenied`] if it was opened for reading.
    #[inline]
    pub fn write(&self, value: &T) -> Result<()> {
        self.content.view.write(self.content.offset, value.as_bytes())
    }
}

impl<T: ?Sized> Region<T> {
    /// Outer: whether it is any use to look again. Inner: whether it was there.
    fn look(plan: &Plan, mapping: &Mapping, access: Access) -> Result<Result<Region<T>>> {
        match plan.open(mapping, access)? {
            Some(content) => Region::of(plan, content, mapping).map(Ok),
            None => {
                let why = "nobody gave it a value in time; if whoever was about to has died, open_or_create takes over";
                Ok(Err(Error::new(ErrorKind::TimedOut, "open the region", why).on(&mapping.object)))
            }
        }
    }

    fn of(plan: &Plan, content: Content, mapping: &Mapping) -> Result<Region<T>> {
        if mapping.is_reserved() {
            content.view.read(content.offset, &mut vec![0; plan.size()])?;
        }
        let mapping = Mapping { object: Arc::clone(&mapping.object) };
        Ok(Region { mapping, content, len: plan.size(), _value: PhantomData })
    }

    /// A view of the whole mapping, in which the content stands at [`content_offset`](Self::content_offset).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::mem::offset_of;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use coview::{Record, Region, zerocopy::{FromBytes, Immutable, IntoBytes}};
    ///
    /// #[derive(FromBytes, IntoBytes, Immutable, Record)]
    /// #[zerocopy(crate = "coview::zerocopy")]
    /// #[repr(C)]
    /// struct Totals {
    ///     packets: u64,
    ///     errors: u64,
    /// }
    ///
    /// let name = format!("doc-region-view-{}", std::process::id());
    /// let totals = Region::create(&name, &Totals { packets: 0, errors: 0 })?;
    /// let errors = totals.content_offset() + offset_of!(Totals, errors);
    /// totals.view().atomic::<AtomicU64>(errors)?.fetch_add(1, Ordering::Relaxed);
    /// assert_eq!(totals.read()?.errors, 1);
    /// # Ok::<(), coview::Error>(())
    /// ```
    pub fn view(&self) -> &View {
        &self.content.view
    }

    /// Where the value begins in the [`view`](Self::view), in bytes: a multiple of 64.
    pub fn content_offset(&self) -> usize {
        self.content.offset
    }

    /// The mapping that it stands in, for instance to hand it to a child.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// What the head says now: who made it and when.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if somebody has written over the head.
    pub fn info(&self) -> Result<RegionInfo> {
        describe(&self.mapping)?.ok_or_else(|| content::corrupt(&self.mapping, 0, "the magic is missing"))
    }
}

impl<T: Record> fmt::Debug for Region<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("type", &format_args!("{}", T::SCHEMA))
            .field("in", &self.mapping)
            .finish_non_exhaustive()
    }
}
