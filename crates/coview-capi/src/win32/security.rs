//! Security attributes: who may open an object, as far as owner, group and others can say it.

use std::ffi::c_void;

use coview::Share;

use super::error::{Code, Outcome};
use super::text::Text;

/// SECURITY_ATTRIBUTES.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Attributes {
    pub(super) length: u32,
    pub(super) descriptor: *const Descriptor,
    pub(super) inherit: i32,
}

/// SECURITY_DESCRIPTOR. Of one that was made of text, `owner` leads to that text, which stands behind it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Descriptor {
    revision: u8,
    made_of: u8,
    control: u16,
    owner: *mut c_void,
    group: *mut c_void,
    sacl: *mut c_void,
    dacl: *mut c_void,
}

const REVISION: u8 = 1;
const OF_TEXT: u8 = 0xc5;
const DACL_PRESENT: u16 = 4;

/// What a creator asks for beside the object itself.
pub(super) struct Security {
    pub(super) share: Share,
    pub(super) inherit: bool,
}

/// # Safety
/// 1. `attributes` is null, or leads to SECURITY_ATTRIBUTES whose descriptor is null or one of the calls below made it.
pub(super) unsafe fn read(attributes: *const Attributes) -> Outcome<Security> {
    if attributes.is_null() {
        return Ok(Security { share: Share::Owner, inherit: false });
    }
    // SAFETY: (1).
    let attributes = unsafe { attributes.read() };
    let inherit = attributes.inherit != 0;
    if attributes.descriptor.is_null() {
        return Ok(Security { share: Share::Owner, inherit });
    }
    // SAFETY: (1).
    let descriptor = unsafe { attributes.descriptor.read() };
    let share = match descriptor {
        Descriptor { revision, .. } if revision != REVISION => return Err(Code::INVALID_PARAMETER),
        Descriptor { made_of: OF_TEXT, owner, .. } => {
            // SAFETY: the text was put behind the descriptor with its NUL.
            Share::Sddl(unsafe { Text::Narrow(owner.cast()).read() }.unwrap_or_default())
        }
        Descriptor { control, .. } if control & DACL_PRESENT == 0 => Share::Owner,
        Descriptor { dacl, .. } if dacl.is_null() => Share::Everyone,
        _ => return Err(Code::CALL_NOT_IMPLEMENTED), // an access list of entries: write it as SDDL
    };
    Ok(Security { share, inherit })
}

/// # Safety
/// 1. `descriptor` is null or writable.
pub(super) unsafe fn initialize(descriptor: *mut Descriptor, revision: u32) -> Outcome<()> {
    if descriptor.is_null() || revision != u32::from(REVISION) {
        return Err(Code::INVALID_PARAMETER);
    }
    let null = std::ptr::null_mut();
    let empty =
        Descriptor { revision: REVISION, made_of: 0, control: 0, owner: null, group: null, sacl: null, dacl: null };
    // SAFETY: (1).
    unsafe { descriptor.write(empty) };
    Ok(())
}

/// # Safety
/// 1. `descriptor` is null or [`initialize`]d.
pub(super) unsafe fn set_dacl(descriptor: *mut Descriptor, present: bool, dacl: *mut c_void) -> Outcome<()> {
    if descriptor.is_null() {
        return Err(Code::INVALID_PARAMETER);
    }
    // SAFETY: (1).
    let old = unsafe { descriptor.read() };
    let control = if present { old.control | DACL_PRESENT } else { old.control & !DACL_PRESENT };
    // SAFETY: (1).
    unsafe { descriptor.write(Descriptor { control, dacl, ..old }) };
    Ok(())
}

/// A descriptor for a text, to be freed by LocalFree, and its size.
///
/// # Safety
/// 1. `text` is null, or readable up to its NUL.
pub(super) unsafe fn of_text(text: Text, revision: u32) -> Outcome<(*mut Descriptor, usize)> {
    // SAFETY: (1).
    let text = unsafe { text.read() }.ok_or(Code::INVALID_PARAMETER)?;
    if revision != u32::from(REVISION) || !text.starts_with("D:") || !(text.ends_with(')') || text == "D:") {
        return Err(Code::INVALID_PARAMETER);
    }
    let size = size_of::<Descriptor>() + text.len() + 1;
    // SAFETY: malloc takes any size.
    let block = unsafe { libc::malloc(size) }.cast::<Descriptor>();
    if block.is_null() {
        return Err(Code::NOT_ENOUGH_MEMORY);
    }
    let behind = block.wrapping_add(1).cast::<u8>();
    let (null, owner) = (std::ptr::null_mut(), behind.cast());
    let made = Descriptor {
        revision: REVISION,
        made_of: OF_TEXT,
        control: DACL_PRESENT,
        owner,
        group: null,
        sacl: null,
        dacl: null,
    };
    // SAFETY: the block is large enough for the descriptor, the text and a NUL, and malloc aligns for anything.
    unsafe { block.write(made) };
    // SAFETY: as above.
    unsafe { behind.copy_from_nonoverlapping(text.as_ptr(), text.len()) };
    // SAFETY: as above.
    unsafe { behind.wrapping_add(text.len()).write(0) };
    Ok((block, size))
}
