//! Mappings: made, opened, handed over.

use std::mem::MaybeUninit;

use coview::{Disposition, Mapping, MappingOptions, Protection};

use super::argument::{Options, Target, Text, access, coview_access, coview_share, flags, given, make, options, put};
use super::status::{Failure, coview_status, enter, misuse, out_of_range, quiet};

/// A mapping: memory that several processes map views of. It lives until its last handle and view in any process is gone,
/// whatever ended them. May be used by several threads.
pub struct coview_mapping(pub(super) Mapping);

/// Views may read and write.
pub const COVIEW_PROTECT_READ_WRITE: u32 = 0;
/// Views may read, or write to private copies.
pub const COVIEW_PROTECT_READ_ONLY: u32 = 1;
/// Views may read, or write to private copies; the file behind it need not be writable.
pub const COVIEW_PROTECT_WRITE_COPY: u32 = 2;

/// Every child process inherits the handle.
pub const COVIEW_INHERITABLE: u32 = 1;
/// Of a mapping: only address space is reserved; ranges get memory by `coview_mapping_commit`.
pub const COVIEW_RESERVE: u32 = 2;
/// Of a mapping: its size is exact to the byte instead of whole pages.
pub const COVIEW_EXACT: u32 = 4;
/// Of a mapping: refused if the file is open elsewhere, and keeps it from being opened.
pub const COVIEW_EXCLUSIVE_FILE: u32 = 8;

/// How a mapping is made. Zeros: read-write memory for its creator alone.
#[repr(C)]
pub struct coview_mapping_options {
    /// `sizeof(coview_mapping_options)`.
    pub struct_size: usize,
    /// The most any view may do: one of `COVIEW_PROTECT_...`.
    pub protection: u32,
    /// Of `COVIEW_INHERITABLE`, `COVIEW_RESERVE`, `COVIEW_EXACT`, `COVIEW_EXCLUSIVE_FILE`.
    pub flags: u32,
    /// Who may open it by name.
    pub share: coview_share,
    /// The path of the file that it stands on: made if it is absent, grown if it is too small. NULL: memory.
    pub file: Text,
}

// SAFETY: numbers and pointers.
unsafe impl Options for coview_mapping_options {}

impl coview_mapping_options {
    fn get(&self, size: u64) -> Result<MappingOptions, Failure> {
        flags(self.flags, COVIEW_INHERITABLE | COVIEW_RESERVE | COVIEW_EXACT | COVIEW_EXCLUSIVE_FILE)?;
        let has = |flag| self.flags & flag != 0;
        let protection = match self.protection {
            COVIEW_PROTECT_READ_WRITE => Protection::ReadWrite,
            COVIEW_PROTECT_READ_ONLY => Protection::ReadOnly,
            COVIEW_PROTECT_WRITE_COPY => Protection::WriteCopy,
            other => return Err(misuse(format!("{other} is no protection"))),
        };
        let options = MappingOptions::new().size(size).protection(protection).share(self.share.get()?);
        let options = options.reserve(has(COVIEW_RESERVE)).exact(has(COVIEW_EXACT));
        let options = options.inheritable(has(COVIEW_INHERITABLE));
        if self.file.is_null() {
            return Ok(options);
        }
        let path = self.file.get("file")?;
        Ok(if has(COVIEW_EXCLUSIVE_FILE) { options.file_exclusive(path) } else { options.file(path) })
    }
}

/// Makes a mapping of that name, or an unnamed one if `name` is NULL. `size` in bytes; 0: as large as its file. `options` may
/// be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_mapping_create(
    name: Text,
    size: u64,
    options: *const coview_mapping_options,
    mapping: Option<&mut MaybeUninit<Option<Box<coview_mapping>>>>,
) -> coview_status {
    enter(|| {
        make(mapping, || {
            // SAFETY: (1).
            let options = unsafe { self::options(options) }?.get(size)?;
            let made = if name.is_null() { options.create_unnamed() } else { options.create(name.get("the name")?) };
            Ok(coview_mapping(made?))
        })
    })
}

/// Makes a mapping of that name or opens the live one, which keeps its size and contents. `created` (may be NULL): which.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_mapping_open_or_create(
    name: Text,
    size: u64,
    options: *const coview_mapping_options,
    mapping: Option<&mut MaybeUninit<Option<Box<coview_mapping>>>>,
    created: Option<&mut MaybeUninit<bool>>,
) -> coview_status {
    enter(|| {
        make(mapping, || {
            // SAFETY: (1).
            let options = unsafe { self::options(options) }?.get(size)?;
            let (made, disposition) = options.open_or_create(name.get("the name")?)?;
            put(created, disposition == Disposition::Created);
            Ok(coview_mapping(made))
        })
    })
}

/// Opens the live mapping of that name, or foreign memory (`posix:/x`, `sysv:0x1234`, `file:/path`).
#[unsafe(no_mangle)]
pub extern "C" fn coview_mapping_open(
    name: Text,
    access: coview_access,
    mapping: Option<&mut MaybeUninit<Option<Box<coview_mapping>>>>,
) -> coview_status {
    enter(|| make(mapping, || Ok(coview_mapping(Mapping::open(name.get("the name")?, self::access(access)?)?))))
}

/// Opens the mapping that the parent process handed over under `key`, by `coview_mapping_hand_over` or from another language.
#[unsafe(no_mangle)]
pub extern "C" fn coview_mapping_inherited(
    key: Text,
    mapping: Option<&mut MaybeUninit<Option<Box<coview_mapping>>>>,
) -> coview_status {
    enter(|| make(mapping, || Ok(coview_mapping(Mapping::inherited(key.get("the key")?)?))))
}

/// Makes the mapping inheritable and writes what the child's environment must have for it, as `NAME=VALUE`, to `text`, which has
/// `size` bytes; the child calls `coview_mapping_inherited` with the same key. `length` (may be NULL): of the text without its
/// NUL; `COVIEW_OUT_OF_RANGE` if that does not fit. Keep the mapping open until the child has been started.
#[unsafe(no_mangle)]
pub extern "C" fn coview_mapping_hand_over(
    mapping: Option<&coview_mapping>,
    key: Text,
    mut text: Target,
    size: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> coview_status {
    enter(|| {
        let (name, value) = given(mapping)?.0.hand_over(key.get("the key")?)?;
        put_whole(&mut text, size, length, &format!("{name}={value}"))
    })
}

/// Text of which a part would be of no use.
pub(super) fn put_whole(
    target: &mut Target,
    size: usize,
    length: Option<&mut MaybeUninit<usize>>,
    text: &str,
) -> Result<(), Failure> {
    let len = target.put_text(size, text)?;
    put(length, len);
    if len < size || size == 0 {
        return Ok(());
    }
    let why = format!("the text has {len} bytes and a NUL, and there is room for {size}");
    Err(out_of_range(why))
}

/// Another handle on the same mapping.
#[unsafe(no_mangle)]
pub extern "C" fn coview_mapping_clone(
    mapping: Option<&coview_mapping>,
    clone: Option<&mut MaybeUninit<Option<Box<coview_mapping>>>>,
) -> coview_status {
    enter(|| make(clone, || Ok(coview_mapping(given(mapping)?.0.try_clone()?))))
}

/// Closes the handle. Views of it stay. NULL does nothing; closing twice is as freeing twice.
#[unsafe(no_mangle)]
pub extern "C" fn coview_mapping_close(mapping: Option<Box<coview_mapping>>) {
    quiet((), || drop(mapping));
}

/// Its size in bytes: whole pages for memory, exact for files. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_mapping_size(mapping: Option<&coview_mapping>) -> u64 {
    quiet(0, || mapping.map_or(0, |mapping| mapping.0.size()))
}

/// The most that views through this handle can do: `COVIEW_READ_WRITE` or `COVIEW_READ`.
#[unsafe(no_mangle)]
pub extern "C" fn coview_mapping_access(mapping: Option<&coview_mapping>) -> coview_access {
    use super::argument::{COVIEW_READ, COVIEW_READ_WRITE};
    let writable = |mapping: &coview_mapping| mapping.0.access() == coview::Access::ReadWrite;
    quiet(COVIEW_READ, || if mapping.is_some_and(writable) { COVIEW_READ_WRITE } else { COVIEW_READ })
}

/// Commits `len` bytes from `offset` of a reserved mapping, in whole pages, for every view of every process.
#[unsafe(no_mangle)]
pub extern "C" fn coview_mapping_commit(mapping: Option<&coview_mapping>, offset: u64, len: u64) -> coview_status {
    enter(|| Ok(given(mapping)?.0.commit(offset, len)?))
}
