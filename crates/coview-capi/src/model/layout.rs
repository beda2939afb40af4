//! Layouts of values, as C describes them.

use coview::inspect;
use coview::region::{Field, Schema};

use super::argument::Text;
use super::status::{Failure, misuse};

/// What kind of type it is: one of `COVIEW_TYPE_...`.
pub type coview_type = u32;
/// `uint8_t`, and text.
pub const COVIEW_TYPE_U8: coview_type = 1;
/// `uint16_t`.
pub const COVIEW_TYPE_U16: coview_type = 2;
/// `uint32_t`.
pub const COVIEW_TYPE_U32: coview_type = 3;
/// `uint64_t`.
pub const COVIEW_TYPE_U64: coview_type = 4;
/// `int8_t`.
pub const COVIEW_TYPE_I8: coview_type = 5;
/// `int16_t`.
pub const COVIEW_TYPE_I16: coview_type = 6;
/// `int32_t`.
pub const COVIEW_TYPE_I32: coview_type = 7;
/// `int64_t`.
pub const COVIEW_TYPE_I64: coview_type = 8;
/// `float`.
pub const COVIEW_TYPE_F32: coview_type = 9;
/// `double`.
pub const COVIEW_TYPE_F64: coview_type = 10;
/// A struct.
pub const COVIEW_TYPE_RECORD: coview_type = 11;

/// The layout of a value. `COVIEW_LAYOUT`, `COVIEW_LAYOUT_ARRAY`, `COVIEW_LAYOUT_RECORD` write one.
#[repr(C)]
pub struct coview_layout {
    /// Of the value, or of an array's elements.
    pub kind: coview_type,
    /// Of an array, outermost first; 0 ends them.
    pub lengths: [u32; 4],
    /// Of a struct: its name, which is a part of its layout.
    pub name: Text,
    /// Of a struct: its `sizeof`.
    pub size: usize,
    /// Of a struct.
    pub fields: *const coview_field,
    /// Of a struct.
    pub field_count: usize,
}

/// A field of a struct. `COVIEW_FIELD`, `COVIEW_FIELD_ARRAY`, `COVIEW_FIELD_RECORD`, `COVIEW_FIELD_RECORD_ARRAY` write one. Programs in
/// Rust see padding as fields of their own; so declare it, if they are to open it.
#[repr(C)]
pub struct coview_field {
    /// Its name.
    pub name: Text,
    /// Its `offsetof`.
    pub offset: usize,
    /// Of the field, or of an array's elements.
    pub kind: coview_type,
    /// Of an array, outermost first; 0 ends them.
    pub lengths: [u32; 4],
    /// Of a struct.
    pub record: *const coview_layout,
}

/// Structs inside of structs; a description that leads back to itself ends here, too.
const MAX_DEPTH: usize = 32;

/// # Safety
/// It is NULL or a layout, and so are all that it leads to.
pub(super) unsafe fn read(layout: *const coview_layout) -> Result<Schema, Failure> {
    // SAFETY: the contract.
    unsafe { read_inside(layout, 1) }
}

/// # Safety
/// As [`read`].
unsafe fn read_inside(layout: *const coview_layout, depth: usize) -> Result<Schema, Failure> {
    // SAFETY: the contract.
    let layout = unsafe { layout.as_ref() }.ok_or_else(|| misuse("the layout is NULL"))?;
    let one = match layout.kind {
        // SAFETY: the contract.
        COVIEW_TYPE_RECORD => unsafe { record(layout, depth) }?,
        kind => number(kind)?,
    };
    array(one, layout.lengths)
}

fn number(kind: coview_type) -> Result<Schema, Failure> {
    Ok(match kind {
        COVIEW_TYPE_U8 => Schema::unsigned(1),
        COVIEW_TYPE_U16 => Schema::unsigned(2),
        COVIEW_TYPE_U32 => Schema::unsigned(4),
        COVIEW_TYPE_U64 => Schema::unsigned(8),
        COVIEW_TYPE_I8 => Schema::signed(1),
        COVIEW_TYPE_I16 => Schema::signed(2),
        COVIEW_TYPE_I32 => Schema::signed(4),
        COVIEW_TYPE_I64 => Schema::signed(8),
        COVIEW_TYPE_F32 => Schema::float(4),
        COVIEW_TYPE_F64 => Schema::float(8),
        other => return Err(misuse(format!("{other} is no type"))),
    })
}

fn array(one: Schema, lengths: [u32; 4]) -> Result<Schema, Failure> {
    let rank = lengths.iter().take_while(|len| **len > 0).count();
    if lengths[rank..].iter().any(|len| *len > 0) {
        return Err(misuse("the lengths of an array end with 0, and none follows"));
    }
    if rank + one.lengths().len() > lengths.len() {
        return Err(misuse("an array of arrays of more than four dimensions"));
    }
    // Innermost first: each makes an array of the one before.
    Ok(lengths[..rank].iter().rev().fold(one, |inner, len| inner.array(*len as usize)))
}

/// # Safety
/// As [`read`].
unsafe fn record(layout: &coview_layout, depth: usize) -> Result<Schema, Failure> {
    let name = layout.name.get("the name of a struct")?;
    if depth > MAX_DEPTH {
        return Err(misuse(format!("`{name}` stands in more than {MAX_DEPTH} structs")));
    }
    if layout.fields.is_null() || layout.field_count > u16::MAX.into() {
        return Err(misuse(format!("`{name}` has no fields, or more than 65535")));
    }
    // SAFETY: the contract.
    let fields = unsafe { std::slice::from_raw_parts(layout.fields, layout.field_count) };
    let field = |field: &coview_field| {
        let one = match field.kind {
            // SAFETY: the contract.
            COVIEW_TYPE_RECORD => unsafe { read_inside(field.record, depth + 1) }?,
            kind => number(kind)?,
        };
        let name = field.name.get("the name of a field")?;
        Ok(Field::build(name, field.offset as u64, array(one, field.lengths)?)?)
    };
    let fields = fields.iter().map(field).collect::<Result<Vec<Field>, Failure>>()?;
    Ok(Schema::build(name, layout.size as u64, fields)?)
}

/// The layout that a region or a latest value says it has.
pub(super) fn own(name: &str) -> Result<Schema, Failure> {
    let info = inspect::region(name)?;
    info.and_then(|info| info.schema).ok_or_else(|| misuse(format!("{name} holds no value that has a layout")))
}
