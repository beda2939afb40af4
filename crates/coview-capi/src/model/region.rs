//! Regions: one value that describes itself.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::time::Duration;

use coview::region::{Field, Form, Schema};
use coview::{Disposition, Region, RegionOptions};

use super::argument::{
    Options, Source, Target, Text, access, coview_access, coview_share, flags, given, make, options, put,
};
use super::layout::{coview_layout, own, read};
use super::mapping::put_whole;
use super::status::{COVIEW_FOREVER, Failure, coview_status, enter, quiet};

/// A region: one value in shared memory that describes itself, so that both sides know that they mean the same by its bytes.
/// May be used by several threads.
pub struct coview_region(Region<[u8]>);

/// How a region is made or opened. Zeros: for its creator alone, opened to be read and written.
#[repr(C)]
pub struct coview_region_options {
    /// `sizeof(coview_region_options)`.
    pub struct_size: usize,
    /// None yet.
    pub flags: u32,
    /// What it is opened for.
    pub access: coview_access,
    /// How long opening waits for somebody to make it; 0: not at all.
    pub timeout_ms: u32,
    /// Who may open a new one by name.
    pub share: coview_share,
}

// SAFETY: numbers and pointers.
unsafe impl Options for coview_region_options {}

impl coview_region_options {
    fn get(&self) -> Result<RegionOptions, Failure> {
        flags(self.flags, 0)?;
        let options = RegionOptions::new().share(self.share.get()?).access(access(self.access)?);
        Ok(match self.timeout_ms {
            0 => options,
            COVIEW_FOREVER => options.timeout(Duration::from_secs(u32::MAX.into())),
            timeout => options.timeout(Duration::from_millis(timeout.into())),
        })
    }
}

/// Makes a region of that name and layout with this value, which has as many bytes as the layout says. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_region_create(
    name: Text,
    layout: *const coview_layout,
    value: Source,
    options: *const coview_region_options,
    region: Option<&mut MaybeUninit<Option<Box<coview_region>>>>,
) -> coview_status {
    enter(|| {
        make(region, || {
            // SAFETY: (1).
            let (options, schema) = (unsafe { self::options(options) }?.get()?, unsafe { read(layout) }?);
            let value = value.get(schema.size() as usize)?;
            Ok(coview_region(options.create_bytes(name.get("the name")?, &schema, value)?))
        })
    })
}

/// Makes a region as `coview_region_create` does, or opens the live one, whose value stays. `created` (may be NULL): which.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_region_open_or_create(
    name: Text,
    layout: *const coview_layout,
    value: Source,
    options: *const coview_region_options,
    region: Option<&mut MaybeUninit<Option<Box<coview_region>>>>,
    created: Option<&mut MaybeUninit<bool>>,
) -> coview_status {
    enter(|| {
        make(region, || {
            // SAFETY: (1).
            let (options, schema) = (unsafe { self::options(options) }?.get()?, unsafe { read(layout) }?);
            let value = value.get(schema.size() as usize)?;
            let (made, disposition) = options.open_or_create_bytes(name.get("the name")?, &schema, value)?;
            put(created, disposition == Disposition::Created);
            Ok(coview_region(made))
        })
    })
}

/// Opens the live region of that name. `COVIEW_WRONG_LAYOUT` if its value has another layout; `layout` may be NULL: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn coview_region_open(
    name: Text,
    layout: *const coview_layout,
    options: *const coview_region_options,
    region: Option<&mut MaybeUninit<Option<Box<coview_region>>>>,
) -> coview_status {
    enter(|| {
        make(region, || {
            // SAFETY: (1).
            let options = unsafe { self::options(options) }?.get()?;
            let name = name.get("the name")?;
            let schema = match layout.is_null() {
                true => own(name)?,
                // SAFETY: (1).
                false => unsafe { read(layout) }?,
            };
            Ok(coview_region(options.open_bytes(name, &schema)?))
        })
    })
}

/// Closes it: pointers into it are no longer good. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn coview_region_close(region: Option<Box<coview_region>>) {
    quiet((), || drop(region));
}

/// Bytes of its value. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_region_len(region: Option<&coview_region>) -> usize {
    quiet(0, || region.map_or(0, |region| region.0.len()))
}

/// The address of its value; good until it is closed, for writing if it was opened so. Other processes may write there at any
/// time: use atomics or a lock. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn coview_region_data(region: Option<&coview_region>) -> *mut c_void {
    let at = |region: &coview_region| region.0.view().as_ptr().wrapping_add(region.0.content_offset()).cast();
    quiet(std::ptr::null_mut(), || region.map_or(std::ptr::null_mut(), at))
}

/// Copies `len` bytes of the value out, from `offset`; a mixture of two if somebody writes meanwhile.
#[unsafe(no_mangle)]
pub extern "C" fn coview_region_read(
    region: Option<&coview_region>,
    offset: usize,
    mut into: Target,
    len: usize,
) -> coview_status {
    enter(|| Ok(given(region)?.0.read(offset, into.get(len)?)?))
}

/// Copies `len` bytes in, over the value at `offset`; who reads meanwhile gets a mixture.
#[unsafe(no_mangle)]
pub extern "C" fn coview_region_write(
    region: Option<&coview_region>,
    offset: usize,
    from: Source,
    len: usize,
) -> coview_status {
    enter(|| Ok(given(region)?.0.write(offset, from.get(len)?)?))
}

/// Writes the layout of the live region, or latest value, of that name to `text`, which has `size` bytes, as a C programmer reads it: `struct Student
/// { i32 id; u8 name[20]; }`. `length` (may be NULL): of the text without its NUL; `COVIEW_OUT_OF_RANGE` if that does not fit.
#[unsafe(no_mangle)]
pub extern "C" fn coview_region_describe(
    name: Text,
    mut text: Target,
    size: usize,
    length: Option<&mut MaybeUninit<usize>>,
) -> coview_status {
    enter(|| {
        let mut written = String::new();
        write_type(&own(name.get("the name")?)?, "", &mut written);
        put_whole(&mut text, size, length, &written)
    })
}

fn write_type(schema: &Schema, name: &str, out: &mut String) {
    match schema.form() {
        Form::Record => {
            out.push_str(&format!("struct {} {{ ", schema.type_name()));
            let fields: &[Field] = schema.fields();
            fields.iter().for_each(|field| {
                write_type(field.schema(), field.name(), out);
                out.push_str("; ");
            });
            out.push('}');
        }
        _ => out.push_str(&schema.type_name()),
    }
    if !name.is_empty() {
        out.push_str(&format!(" {name}"));
    }
    schema.lengths().iter().for_each(|len| out.push_str(&format!("[{len}]")));
}
