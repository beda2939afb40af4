//! What a value in shared memory consists of, written down so that every program and language reads the same fields.

use std::borrow::Cow;
use std::fmt;

/// Types inside of types; more would overflow the stack of who reads it.
const MAX_DEPTH: usize = 32;
const MAX_RANK: usize = 4;
const MAX_ALIGN: u64 = 4096;
/// Of all that is written about one type, in bytes.
pub(super) const MAX_LEN: usize = 1 << 20;
/// What stands in an entry before its array lengths and names.
const ENTRY: usize = 32;

/// What kind of type it is. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Form {
    /// Fields, each at an offset.
    Record = 1,
    /// An integer from 0.
    Unsigned = 2,
    /// A two's complement integer.
    Signed = 3,
    /// An IEEE 754 number.
    Float = 4,
    /// Bytes that mean something only to those who know the type by its name.
    Opaque = 5,
}

/// The layout of a type: its name and size, and each field with name, type and offset, the same in programs of 32 and 64 bits
/// and in every language. Sizes and offsets in bytes, numbers little-endian.
///
/// # Examples
///
/// ```
/// use coview::region::{Field, Schema};
///
/// const FIELDS: &[Field] = &[
///     Field::new("seq", 0, Schema::unsigned(8)),
///     Field::new("name", 8, Schema::unsigned(1).array(20)),
/// ];
/// const STUDENT: Schema = Schema::record("Student", 32, 8, FIELDS);
/// assert_eq!(STUDENT.fields()[1].to_string(), "name: u8[20]");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    form: Form,
    name: Cow<'static, str>,
    size: u64,
    align: u32,
    rank: usize,
    lengths: [u32; MAX_RANK],
    fields: Cow<'static, [Field]>,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub(super) name: Cow<'static, str>,
    pub(super) offset: u64,
    pub(super) schema: Schema,
}

/// Why bytes are no schema, and where.
#[derive(Debug, PartialEq)]
pub(super) struct Broken {
    pub(super) at: usize,
    pub(super) why: &'static str,
}

impl Field {
    /// A field of this type, `offset` bytes from the start of its record.
    ///
    /// # Panics
    /// If the name has more than 65,535 bytes; in a constant, that is a compile error.
    pub const fn new(name: &'static str, offset: usize, schema: Schema) -> Field {
        assert!(name.len() <= u16::MAX as usize, "a name of more than 65535 bytes");
        Field { name: Cow::Borrowed(name), offset: offset as u64, schema }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands in its record.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its type.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
}

impl Schema {
    const fn one(form: Form, name: &'static str, size: usize, align: usize, fields: &'static [Field]) -> Schema {
        let (name, fields) = (Cow::Borrowed(name), Cow::Borrowed(fields));
        Schema { form, name, size: size as u64, align: align as u32, rank: 0, lengths: [0; MAX_RANK], fields }
    }

    const fn number(form: Form, size: usize) -> Schema {
        Schema::one(form, "", size, size, &[])
    }

    /// An integer from 0, of 1, 2, 4 or 8 bytes.
    pub const fn unsigned(size: usize) -> Schema {
        Schema::number(Form::Unsigned, size)
    }

    /// An integer with a sign, of 1, 2, 4 or 8 bytes.
    pub const fn signed(size: usize) -> Schema {
        Schema::number(Form::Signed, size)
    }

    /// A floating-point number, of 4 or 8 bytes.
    pub const fn float(size: usize) -> Schema {
        Schema::number(Form::Float, size)
    }

    /// A structure. [`derive(Record)`](crate::Record) writes these.
    ///
    /// # Panics
    /// If it has no bytes, is aligned to more than 4096 or to no power of two, is nested more than 32 deep, or a field lies
    /// outside of it; in a constant, that is a compile error.
    pub const fn record(name: &'static str, size: usize, align: usize, fields: &'static [Field]) -> Schema {
        assert!(size > 0, "a type without bytes has nothing to share");
        assert!(align.is_power_of_two() && align as u64 <= MAX_ALIGN, "aligned to more than 4096 bytes");
        assert!(name.len() <= u16::MAX as usize && fields.len() <= u16::MAX as usize, "more than 65535 fields");
        let mut i = 0;
        while i < fields.len() {
            let end = fields[i].offset + fields[i].schema.size();
            assert!(end <= size as u64, "a field lies outside of its record");
            assert!(fields[i].schema.depth() < MAX_DEPTH, "types are nested more than 32 deep");
            i += 1;
        }
        Schema::one(Form::Record, name, size, align, fields)
    }

    pub(super) fn owned(name: &str, size: u64, align: u32, fields: Vec<Field>) -> Schema {
        let (name, fields) = (Cow::Owned(name.to_owned()), Cow::Owned(fields));
        Schema { form: Form::Record, name, size, align, rank: 0, lengths: [0; MAX_RANK], fields }
    }

    /// The same, if those who read it would take it.
    pub(super) fn checked(self) -> Result<Schema, &'static str> {
        let bytes = self.to_bytes();
        if bytes.len() > MAX_LEN || self.name.len() > u16::MAX.into() {
            return Err("its description has more than 1 MiB, or its name more than 65535 bytes");
        }
        Schema::parse(&bytes).map_err(|broken| broken.why)
    }

    /// `len` of them, one behind the other.
    ///
    /// # Panics
    /// If it has four dimensions already, or more than 2³² − 1 elements; in a constant, that is a compile error.
    pub const fn array(mut self, len: usize) -> Schema {
        assert!(self.rank < MAX_RANK, "an array of more than four dimensions");
        assert!(len as u64 <= u32::MAX as u64, "an array of more than 2^32 - 1 elements");
        let mut i = self.rank;
        while i > 0 {
            self.lengths[i] = self.lengths[i - 1];
            i -= 1;
        }
        self.lengths[0] = len as u32;
        self.rank += 1;
        self
    }

    /// What kind of type it is; of an array, its elements.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The type's name: `u64`, `Reading`; of an array, that of its elements.
    pub fn type_name(&self) -> Cow<'_, str> {
        let bits = self.size.saturating_mul(8);
        match self.form {
            Form::Unsigned => format!("u{bits}").into(),
            Form::Signed => format!("i{bits}").into(),
            Form::Float => format!("f{bits}").into(),
            Form::Record | Form::Opaque => Cow::Borrowed(&self.name),
        }
    }

    /// The size of all of it.
    pub const fn size(&self) -> u64 {
        let mut size = self.size;
        let mut i = 0;
        while i < self.rank {
            // What was read out of shared memory was checked to fit; what a program declares fits in its memory.
            size = size.saturating_mul(self.lengths[i] as u64);
            i += 1;
        }
        size
    }

    /// The size of an array's element; of anything else, its size.
    pub fn element_size(&self) -> u64 {
        self.size
    }

    /// What its offset must be a multiple of; the same for 32 and 64 bits, so a `u64` says 8.
    pub fn align(&self) -> u64 {
        self.align.into()
    }

    /// The lengths of an array, outermost first; of anything else, none.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths[..self.rank]
    }

    /// The fields of a record, or of the records in an array.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The fields of what was declared in this program.
    const fn declared(&self) -> &'static [Field] {
        match self.fields {
            Cow::Borrowed(fields) => fields,
            Cow::Owned(_) => &[],
        }
    }

    const fn depth(&self) -> usize {
        let (mut deepest, mut i) = (0, 0);
        let fields = self.declared();
        while i < fields.len() {
            let depth = fields[i].schema.depth();
            deepest = if depth > deepest { depth } else { deepest };
            i += 1;
        }
        deepest + 1
    }

    /// The alignment of a record as it is everywhere: 32-bit systems align `u64` and `f64` to 4 bytes.
    ///
    /// # Panics
    /// If a field stands where it would not on another system.
    #[doc(hidden)]
    pub const fn natural_align(size: usize, align: usize, fields: &[Field]) -> usize {
        let (mut natural, mut i) = (align, 0);
        while i < fields.len() {
            let its = fields[i].schema.align as usize;
            let at = fields[i].offset as usize;
            assert!(at.is_multiple_of(its), "on 64-bit systems a field has another offset: put padding before it");
            natural = if its > natural { its } else { natural };
            i += 1;
        }
        assert!(size.is_multiple_of(natural), "on 64-bit systems it has another size: put padding at its end");
        natural
    }

    /// As it stands in a region's head: an entry for the type, then one for each field, each followed by those of its own.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 * (1 + self.fields.len()));
        self.write("", 0, &mut bytes);
        bytes
    }

    fn write(&self, field: &str, offset: u64, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend([0; 4]);
        out.extend([self.form as u8, self.rank as u8]);
        out.extend((self.fields.len() as u16).to_le_bytes());
        out.extend(offset.to_le_bytes());
        out.extend(self.size.to_le_bytes());
        out.extend(self.align.to_le_bytes());
        out.extend((field.len() as u16).to_le_bytes());
        out.extend((self.name.len() as u16).to_le_bytes());
        self.lengths().iter().for_each(|length| out.extend(length.to_le_bytes()));
        out.extend(field.as_bytes());
        out.extend(self.name.as_bytes());
        out.resize(out.len().next_multiple_of(8), 0);
        let len = (out.len() - begin) as u32;
        out[begin..begin + 4].copy_from_slice(&len.to_le_bytes());
        for field in self.fields() {
            field.schema.write(&field.name, field.offset, out);
        }
    }

    /// What a head says, which anybody may have written.
    pub(super) fn parse(bytes: &[u8]) -> Result<Schema, Broken> {
        let mut entries = Entries { bytes, at: 0 };
        let root = entries.take(u64::MAX, 1)?;
        if root.offset != 0 || entries.at != bytes.len() {
            return Err(Broken { at: entries.at, why: "it does not end where it should" });
        }
        Ok(root.schema)
    }

    /// The first thing in which `found` is not this, in words.
    pub(super) fn difference(&self, found: &Schema) -> Option<String> {
        if !self.looks_like(found) {
            return Some(format!("expected `{self}`, found `{found}`"));
        }
        self.difference_inside(found, "").or_else(|| {
            let (wants, has) = (self.size(), found.size());
            (wants != has).then(|| format!("expected a `{self}` of {wants} bytes, found one of {has}"))
        })
    }

    /// The same from outside; records may differ inside.
    fn looks_like(&self, other: &Schema) -> bool {
        let same = self.form == other.form && self.name == other.name && self.lengths() == other.lengths();
        same && (self.form == Form::Record || self.size == other.size)
    }

    fn difference_inside(&self, found: &Schema, path: &str) -> Option<String> {
        let (wants, has) = (self.fields(), found.fields());
        for i in 0..wants.len().max(has.len()) {
            let (wanted, found) = match (wants.get(i), has.get(i)) {
                (Some(wanted), Some(found)) if wanted.looks_like(found) => (wanted, found),
                (wanted, found) => {
                    let show = |field: Option<&Field>| match field {
                        Some(field) => format!("`{path}{field}` at {}", field.offset),
                        None => "no more fields".to_owned(),
                    };
                    return Some(format!("field {}: expected {}, found {}", i + 1, show(wanted), show(found)));
                }
            };
            let inside = wanted.schema.difference_inside(&found.schema, &format!("{path}{}.", wanted.name));
            let size = || {
                let (wants, has) = (wanted.schema.size, found.schema.size);
                let words = format!("field {}: expected `{path}{wanted}` of {wants} bytes, found {has}", i + 1);
                (wants != has).then_some(words)
            };
            if let Some(difference) = inside.or_else(size) {
                return Some(difference);
            }
        }
        None
    }
}

impl Field {
    fn looks_like(&self, other: &Field) -> bool {
        self.name == other.name && self.offset == other.offset && self.schema.looks_like(&other.schema)
    }
}

/// `u64`, `Reading`, `f32[4][3]`.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.type_name())?;
        self.lengths().iter().try_for_each(|length| write!(f, "[{length}]"))
    }
}

/// `seq: u64`.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.schema)
    }
}

/// Walks a copy of what stands in shared memory.
struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Entries<'_> {
    /// The next entry and those that belong to it, which must fit into `room` bytes. Each call takes bytes, so it ends.
    fn take(&mut self, room: u64, depth: usize) -> Result<Field, Broken> {
        let begin = self.at;
        let broken = |why| Broken { at: begin, why };
        let rest = self.bytes.get(begin..).unwrap_or_default();
        let Some((fixed, _)) = rest.split_first_chunk::<ENTRY>() else {
            return Err(broken("it ends too early"));
        };
        let (number, wide) = (|at| number(fixed, at, 4), |at| number(fixed, at, 8));
        let (len, rank) = (number(0) as usize, usize::from(fixed[5]));
        let names = [number(28) as usize & 0xffff, number(28) as usize >> 16];
        if rank > MAX_RANK || depth > MAX_DEPTH {
            return Err(broken("it is nested too deeply"));
        }
        if len % 8 != 0 || len > rest.len() || len < ENTRY + 4 * rank + names[0] + names[1] {
            return Err(broken("the length of an entry cannot be"));
        }
        let text = |from: usize, len: usize| match std::str::from_utf8(&rest[from..from + len]) {
            Ok(text) if !text.contains(char::is_control) => Ok(Cow::Owned(text.to_owned())),
            _ => Err(broken("a name is no text")),
        };
        let name = text(ENTRY + 4 * rank, names[0])?;
        let form = form(fixed[4]);
        let mut schema = Schema { form, size: wide(16), align: number(24) as u32, rank, ..Schema::unsigned(1) };
        schema.name = text(ENTRY + 4 * rank + names[0], names[1])?;
        for (i, length) in schema.lengths[..rank].iter_mut().enumerate() {
            *length = self::number(rest, ENTRY + 4 * i, 4) as u32;
        }
        if !schema.align.is_power_of_two() || schema.align() > MAX_ALIGN {
            return Err(broken("an alignment cannot be"));
        }
        let offset = wide(8);
        // `saturating_mul` in `size` cannot hide anything: what saturates never fits.
        let end = offset.checked_add(schema.size()).filter(|end| *end <= room && *end < u64::MAX);
        if schema.size == 0 || end.is_none() {
            return Err(broken("a field does not lie inside its record"));
        }
        self.at += len;
        let fields =
            (0..number(4) >> 16).map(|_| self.take(schema.size, depth + 1)).collect::<Result<Vec<Field>, Broken>>()?;
        schema.fields = Cow::Owned(fields);
        Ok(Field { name, offset, schema })
    }
}

/// A form that this version does not know is bytes to it.
fn form(code: u8) -> Form {
    match code {
        1 => Form::Record,
        2 => Form::Unsigned,
        3 => Form::Signed,
        4 => Form::Float,
        _ => Form::Opaque,
    }
}

/// The little-endian number of `len` bytes at `at`, which lies inside.
pub(super) fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEG: &[Field] =
        &[Field::new("angle", 0, Schema::float(8)), Field::new("force", 8, Schema::signed(4).array(2))];
    const ROBOT: &[Field] = &[
        Field::new("seq", 0, Schema::unsigned(8)),
        Field::new("legs", 8, Schema::record("Leg", 16, 8, LEG).array(4)),
        Field::new("name", 72, Schema::unsigned(1).array(16)),
        Field::new("pose", 88, Schema::float(4).array(2).array(4)),
    ];

    fn robot() -> Schema {
        Schema::record("Robot", 120, 8, ROBOT)
    }

    #[test]
    fn what_is_written_is_read() {
        for schema in [robot(), robot().array(3), Schema::unsigned(2), Schema::float(8).array(0)] {
            let bytes = schema.to_bytes();
            assert_eq!(Schema::parse(&bytes), Ok(schema.clone()));
            assert_eq!(schema.difference(&schema), None);
            for len in 0..bytes.len() {
                assert!(Schema::parse(&bytes[..len]).is_err(), "{schema}, {len} bytes of it");
            }
        }
        assert_eq!(robot().fields()[3].to_string(), "pose: f32[4][2]");
        assert_eq!((robot().array(3).size(), robot().depth()), (360, 3));
    }

    #[test]
    fn an_entry_is_as_drawn() {
        let drawn = [
            &[48, 0, 0, 0, 3, 1, 0, 0][..], // its length, signed, one dimension, no fields
            &8u64.to_le_bytes(),
            &4u64.to_le_bytes(),
            &[4, 0, 0, 0, 5, 0, 0, 0], // alignment; length of the name, of the type's name
            &[2, 0, 0, 0],
            b"force\0\0\0\0\0\0\0",
        ];
        let mut bytes = Vec::new();
        LEG[1].schema.write(&LEG[1].name, 8, &mut bytes);
        assert_eq!(bytes, drawn.concat());
    }

    #[test]
    fn entries_may_grow_and_forms_be_added() {
        let mut bytes = Schema::unsigned(4).to_bytes();
        assert_eq!(bytes.len(), 32);
        bytes[0] = 40;
        bytes.extend([7; 8]);
        assert_eq!(Schema::parse(&bytes), Ok(Schema::unsigned(4)));
        bytes[4] = 99;
        assert_eq!(Schema::parse(&bytes).unwrap().form(), Form::Opaque);
    }

    #[test]
    fn the_first_difference_is_named() {
        let with = |index: usize, field: Field| {
            let mut fields = ROBOT.to_vec();
            fields[index] = field;
            Schema { fields: fields.into(), ..robot() }
        };
        let said = |found: &Schema| robot().difference(found).unwrap();
        assert_eq!(said(&Schema::unsigned(8)), "expected `Robot`, found `u64`");
        let other = with(0, Field::new("seq", 0, Schema::unsigned(4)));
        assert_eq!(said(&other), "field 1: expected `seq: u64` at 0, found `seq: u32` at 0");
        const OTHER: &[Field] = &[Field::new("angle", 0, Schema::float(8)), Field::new("force", 8, Schema::float(8))];
        let other = with(1, Field::new("legs", 8, Schema::record("Leg", 16, 8, OTHER).array(4)));
        assert_eq!(said(&other), "field 2: expected `legs.force: i32[2]` at 8, found `legs.force: f64` at 8");
        let other = with(1, Field::new("legs", 8, Schema::record("Leg", 24, 8, LEG).array(4)));
        assert_eq!(said(&other), "field 2: expected `legs: Leg[4]` of 16 bytes, found 24");
        let shorter = Schema { fields: Cow::Borrowed(&ROBOT[..3]), ..robot() };
        assert_eq!(said(&shorter), "field 4: expected `pose: f32[4][2]` at 88, found no more fields");
        assert_eq!(
            shorter.difference(&robot()).unwrap(),
            "field 4: expected no more fields, found `pose: f32[4][2]` at 88"
        );
        let longer = Schema { size: 128, ..robot() };
        assert_eq!(said(&longer), "expected a `Robot` of 120 bytes, found one of 128");
    }

    /// Where `u64` is aligned to 4 bytes.
    #[test]
    fn on_32_bits_a_layout_is_that_of_64_bits_or_refused() {
        let fields = |at| [Field::new("small", 0, Schema::unsigned(4)), Field::new("large", at, Schema::unsigned(8))];
        assert_eq!(Schema::natural_align(16, 4, &fields(8)), 8);
        for (size, at) in [(12, 4), (20, 8)] {
            assert!(std::panic::catch_unwind(|| Schema::natural_align(size, 4, &fields(at))).is_err());
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let parse = |at: usize, piece: &[u8]| {
            let mut bytes = robot().to_bytes();
            bytes[at..at + piece.len()].copy_from_slice(piece);
            Schema::parse(&bytes).map_err(|broken| broken.why)
        };
        assert_eq!(parse(0, &[0, 0, 0, 0]), Err("the length of an entry cannot be"));
        assert_eq!(parse(0, &[0xf8, 0xff, 0xff, 0xff]), Err("the length of an entry cannot be"));
        assert_eq!(parse(5, &[9]), Err("it is nested too deeply"));
        assert_eq!(parse(6, &[0xff, 0xff]), Err("it ends too early"));
        assert_eq!(parse(6, &[1]), Err("it does not end where it should"));
        assert_eq!(parse(16, &[1]), Err("a field does not lie inside its record"));
        assert_eq!(parse(24, &[3]), Err("an alignment cannot be"));
        assert_eq!(parse(30, &[0xff, 0xff]), Err("the length of an entry cannot be"));
        assert_eq!(parse(32, b"\x1b"), Err("a name is no text"));
        assert_eq!(parse(32, b"\xff"), Err("a name is no text"));
        // A tower of records, each in the one before.
        let mut tower = Vec::new();
        for depth in 0..100 {
            let members = u16::from(depth < 99);
            let begin = tower.len();
            Schema::record("x", 8, 8, &[]).write("", 0, &mut tower);
            tower[begin + 6..begin + 8].copy_from_slice(&members.to_le_bytes());
        }
        assert_eq!(Schema::parse(&tower).unwrap_err().why, "it is nested too deeply");
    }

    /// Everything lies inside its record, all the way down, and can be shown.
    fn walk(schema: &Schema, room: u64) {
        assert!(schema.size() <= room && schema.element_size() > 0);
        let _ = schema.to_string();
        for field in schema.fields() {
            assert!(field.offset() + field.schema().size() <= schema.element_size());
            walk(field.schema(), schema.element_size());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_schema_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(schema) = Schema::parse(&bytes) {
                walk(&schema, u64::MAX);
            }
        }

        #[test]
        fn a_spoiled_schema_stays_in_range(changes in proptest::collection::vec((0..400usize, any::<u8>()), 1..6)) {
            let mut bytes = robot().array(2).to_bytes();
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            if let Ok(schema) = Schema::parse(&bytes) {
                walk(&schema, u64::MAX);
                let _ = robot().difference(&schema);
            }
        }
    }
}
