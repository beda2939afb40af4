//! Latest values: the newest of a stream, for any number of readers.

use std::mem::MaybeUninit;

use coview::latest::{Latest, LatestOptions, Reader, Writer};
use coview::region::Schema;

use super::argument::{Options, Source, Target, Text, coview_share, flags, given, make, options};
use super::layout::{coview_layout, own, read};
use super::status::{
    COVIEW_NONE, Failure, answer, coview_status, enter, misuse, not_yet, quiet, timeout as timeout_of,
};

/// A named value of which everybody gets the newest. Writers and readers never wait for each other, and nobody sees half of a
/// value. May be used by several threads.
pub struct coview_latest(Latest<[u8]>);

/// The end that writes. Used by one thread at a time.
pub struct coview_writer(Writer<[u8]>);

/// A reader, and which value it has seen last. Used by one thread at a time.
pub struct coview_reader {
    reader: Reader<[u8]>,
    /// Where a value is put together, until it is known to be whole.
    value: Vec<u8>,
    /// Bytes of a value.
    len: usize,
}

impl coview_reader {
    fn check(&self, into: &[u8]) -> Result<(), Failure> {
        match into.len() == self.len {
            true => Ok(()),
            false => Err(misuse(format!("a value has {} bytes, and there is room for {}", self.len, into.len()))),
        }
    }
}

/// Of a latest value: several writers at once. Of a ring: several senders.
pub const COVIEW_SEVERAL: u32 = 64;

/// How a latest value is made. Zeros: for one writer, for its creator alone.
#[repr(C)]
pub struct coview_latest_options {
    /// `sizeof(coview_latest_options)`.
    pub struct_size: usize,
    /// `COVIEW_SEVERAL` or 0.
    pub flags: u32,
    /// Who may open it by name.
    pub share: coview_share,
}

// SAFETY: numbers and pointers.
unsafe impl Options for coview_latest_options {}

/// # Safety
/// As [`options`] and [`read`].
unsafe fn arguments(
    from: *const coview_latest_options,
    layout: *const coview_layout,
) -> Result<(LatestOptions, Schema), Failure> {
    // SAFETY: as here.
    let options = unsafe { options(from) }?;
    flags(options.flags, COVIEW_SEVERAL)?;
    let latest = LatestOptions::new().several_writers(options.flags & COVIEW_SEVERAL != 0);
    // SAFETY: as here.
    Ok((latest.share(options.share.get()?), unsafe { read(layout) }?))
}

/// Makes one of that name for values of this layout, without a value yet. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_latest_create(
    name: Text,
    layout: *const coview_layout,
    options: *const coview_latest_options,
    latest: Option<&mut MaybeUninit<Option<Box<coview_latest>>>>,
) -> coview_status {
    enter(|| {
        make(latest, || {
            // SAFETY: (1).
            let (options, schema) = unsafe { arguments(options, layout) }?;
            Ok(coview_latest(options.create_bytes(name.get("the name")?, &schema)?))
        })
    })
}

/// Makes one of that name or opens the live one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_latest_open_or_create(
    name: Text,
    layout: *const coview_layout,
    options: *const coview_latest_options,
    latest: Option<&mut MaybeUninit<Option<Box<coview_latest>>>>,
) -> coview_status {
    enter(|| {
        make(latest, || {
            // SAFETY: (1).
            let (options, schema) = unsafe { arguments(options, layout) }?;
            Ok(coview_latest(options.open_or_create_bytes(name.get("the name")?, &schema)?))
        })
    })
}

/// Opens the live one of that name. `COVIEW_WRONG_LAYOUT` if its values have another layout; `layout` may be NULL: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_latest_open(
    name: Text,
    layout: *const coview_layout,
    latest: Option<&mut MaybeUninit<Option<Box<coview_latest>>>>,
) -> coview_status {
    enter(|| {
        make(latest, || {
            let name = name.get("the name")?;
            let schema = match layout.is_null() {
                true => own(name)?,
                // SAFETY: (1).
                false => unsafe { read(layout) }?,
            };
            Ok(coview_latest(Latest::open_bytes(name, &schema)?))
        })
    })
}

/// Closes it; its ends stay. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_latest_close(latest: Option<Box<coview_latest>>) {
    quiet((), || drop(latest));
}

/// Bytes of a value. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_latest_len(latest: Option<&coview_latest>) -> usize {
    quiet(0, || latest.map_or(0, |latest| latest.0.capacity()))
}

/// Attaches a writer. `COVIEW_ALREADY_EXISTS` if somebody writes already and it is for one.
#[unsafe(no_mangle)]
pub extern "C" fn coview_writer_open(
    latest: Option<&coview_latest>,
    writer: Option<&mut MaybeUninit<Option<Box<coview_writer>>>>,
) -> coview_status {
    enter(|| make(writer, || Ok(coview_writer(given(latest)?.0.writer()?))))
}

/// Ends it; the newest value stays, and another writer may come. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_writer_close(writer: Option<Box<coview_writer>>) {
    quiet((), || drop(writer));
}

/// Makes these the bytes of the newest value, and wakes readers that wait for one. `len` is the size of a value.
#[unsafe(no_mangle)]
pub extern "C" fn coview_writer_set(writer: Option<&mut coview_writer>, value: Source, len: usize) -> coview_status {
    enter(|| Ok(given(writer)?.0.set(value.get(len)?)?))
}

/// Makes a reader, of which there can be any number.
#[unsafe(no_mangle)]
pub extern "C" fn coview_reader_open(
    latest: Option<&coview_latest>,
    reader: Option<&mut MaybeUninit<Option<Box<coview_reader>>>>,
) -> coview_status {
    enter(|| {
        make(reader, || {
            let latest = &given(latest)?.0;
            Ok(coview_reader { reader: latest.reader(), value: Vec::new(), len: latest.capacity() })
        })
    })
}

/// Ends it. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_reader_close(reader: Option<Box<coview_reader>>) {
    quiet((), || drop(reader));
}

/// Copies the newest value out; `COVIEW_NONE` if there has been none yet. `len` is the size of a value.
#[unsafe(no_mangle)]
pub extern "C" fn coview_reader_read(
    reader: Option<&mut coview_reader>,
    mut into: Target,
    len: usize,
) -> coview_status {
    enter(|| {
        let (reader, into) = (given(reader)?, into.get(len)?);
        reader.check(into)?;
        if !reader.reader.read_into(&mut reader.value)? {
            return Err(answer(COVIEW_NONE, "there has been no value yet"));
        }
        into.copy_from_slice(&reader.value);
        Ok(())
    })
}

/// Copies the newest value out once it is another than the last that this reader got. `COVIEW_PEER_DIED`, once for each death,
/// when a writer died.
#[unsafe(no_mangle)]
pub extern "C" fn coview_reader_changed(
    reader: Option<&mut coview_reader>,
    mut into: Target,
    len: usize,
    timeout_ms: u32,
) -> coview_status {
    enter(|| {
        let (reader, into) = (given(reader)?, into.get(len)?);
        reader.check(into)?;
        let value = match timeout_of(timeout_ms) {
            Some(timeout) => reader.reader.changed_timeout(timeout)?.ok_or_else(|| not_yet(timeout_ms))?,
            None => reader.reader.changed()?,
        };
        into.copy_from_slice(&value);
        Ok(())
    })
}
