//! Regions whose layout is known when the program runs: for other languages, and for tools.

use std::borrow::Cow;
use std::fmt;

use super::content::Plan;
use super::schema::{Field, Schema};
use super::{Region, RegionOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::mapping::Disposition;

impl RegionOptions {
    /// As [`create`](Self::create), of a value given by its bytes and its layout.
    ///
    /// # Examples
    ///
    /// ```
    /// use coview::{Region, RegionOptions, region::Schema};
    ///
    /// let name = format!("doc-region-bytes-{}", std::process::id());
    /// let _made = RegionOptions::new().create_bytes(&name, &Schema::unsigned(4), &7u32.to_ne_bytes())?;
    /// assert_eq!(Region::<u32>::open(&name)?.read()?, 7);
    /// # Ok::<(), coview::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`create`](Self::create); [`ErrorKind::InvalidInput`] if there are not as many bytes as the layout says.
    pub fn create_bytes(&self, name: &str, schema: &Schema, value: &[u8]) -> Result<Region<[u8]>> {
        check(schema, value)?;
        self.create_as(&Plan::plain(schema.clone()), name, value)
    }

    /// As [`open`](Self::open), of a value of this layout.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_bytes(&self, name: &str, schema: &Schema) -> Result<Region<[u8]>> {
        self.open_as(&Plan::plain(schema.clone()), name)
    }

    /// As [`open_or_create`](Self::open_or_create), of a value given by its bytes and its layout.
    ///
    /// # Errors
    /// As [`open_or_create`](Self::open_or_create); [`ErrorKind::InvalidInput`] if there are not as many bytes as the layout says.
    pub fn open_or_create_bytes(
        &self,
        name: &str,
        schema: &Schema,
        value: &[u8],
    ) -> Result<(Region<[u8]>, Disposition)> {
        check(schema, value)?;
        self.open_or_create_as(&Plan::plain(schema.clone()), name, |view, at| view.write(at, value))
    }
}

fn check(schema: &Schema, value: &[u8]) -> Result<()> {
    if schema.size() == value.len() as u64 {
        return Ok(());
    }
    let why = format!("a `{schema}` has {} bytes, and {} were given", schema.size(), value.len());
    Err(Error::new(ErrorKind::InvalidInput, "create a region with", why))
}

impl Schema {
    /// A structure that is described when the program runs. Its alignment is the largest of its fields'.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a field lies outside of it or where its alignment does not let it, or it is nested too
    /// deeply; for a name that is no text, and more than 1 MiB of description.
    pub fn build(name: &str, size: u64, fields: Vec<Field>) -> Result<Schema> {
        let align = fields.iter().map(|field| field.schema().align()).max().unwrap_or(1);
        let refuse = |why: String| Err(Error::new(ErrorKind::InvalidInput, "describe the type", why).on(name));
        let misplaced = |field: &&Field| !field.offset().is_multiple_of(field.schema().align());
        if let Some(field) = fields.iter().find(misplaced) {
            let (at, its) = (field.offset(), field.schema().align());
            return refuse(format!("`{field}` stands at {at}, which is no multiple of {its}: do not pack it"));
        }
        if size > isize::MAX as u64 || !size.is_multiple_of(align) || fields.len() > u16::MAX.into() {
            return refuse(format!("{size} bytes, which is no multiple of {align}, or more than 65535 fields"));
        }
        // What could not be read again is refused by those who read it.
        match Schema::owned(name, size, align as u32, fields).checked() {
            Ok(schema) => Ok(schema),
            Err(why) => refuse(why.to_owned()),
        }
    }
}

impl Field {
    /// As [`new`](Field::new), when the program runs.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a name of more than 65,535 bytes.
    pub fn build(name: &str, offset: u64, schema: Schema) -> Result<Field> {
        if name.len() > u16::MAX.into() {
            return Err(Error::new(ErrorKind::InvalidInput, "describe a field", "a name of more than 65535 bytes"));
        }
        Ok(Field { name: Cow::Owned(name.to_owned()), offset, schema })
    }
}

impl Region<[u8]> {
    /// Bytes of the value.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies the value out, from `offset` in it; a mixture of two if somebody writes meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`].
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        self.content.view.read(self.at("read", offset, into.len())?, into)
    }

    /// Writes bytes over the value, at `offset` in it; who reads meanwhile gets a mixture.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfRange`]; [`ErrorKind::AccessDenied`] if it was opened for reading.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<()> {
        self.content.view.write(self.at("write", offset, bytes.len())?, bytes)
    }

    fn at(&self, operation: &'static str, offset: usize, len: usize) -> Result<usize> {
        if offset.checked_add(len).is_some_and(|end| end <= self.len) {
            return Ok(self.content.offset + offset);
        }
        let why = format!("{len} bytes from offset {offset} do not lie inside its {} bytes", self.len);
        Err(Error::new(ErrorKind::OutOfRange, operation, why).on(&self.mapping.object))
    }
}

impl fmt::Debug for Region<[u8]> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("len", &self.len).field("in", &self.mapping).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Access;

    fn field(name: &str, offset: u64, schema: Schema) -> Field {
        Field::build(name, offset, schema).unwrap()
    }

    fn pair() -> Schema {
        Schema::build("Pair", 16, vec![field("a", 0, Schema::unsigned(4)), field("b", 8, Schema::float(8))]).unwrap()
    }

    #[test]
    fn what_is_built_is_what_is_declared() {
        const FIELDS: &[Field] = &[Field::new("a", 0, Schema::unsigned(4)), Field::new("b", 8, Schema::float(8))];
        assert_eq!(pair(), Schema::record("Pair", 16, 8, FIELDS));
    }

    #[test]
    fn what_cannot_be_is_not_built() {
        let build = |size, fields| Schema::build("T", size, fields).map_err(|error| error.kind());
        let refused = Err(ErrorKind::InvalidInput);
        assert_eq!(build(8, vec![field("a", 4, Schema::unsigned(8))]), refused); // behind the end, and packed
        assert_eq!(build(16, vec![field("a", 4, Schema::unsigned(8))]), refused);
        assert_eq!(build(12, vec![field("a", 0, Schema::unsigned(8))]), refused);
        assert_eq!(build(8, vec![field("a", 0, Schema::unsigned(8).array(2))]), refused);
        assert_eq!(build(0, vec![]), refused);
        assert_eq!(build(u64::MAX - 7, vec![field("a", 0, Schema::unsigned(8))]), refused);
        assert_eq!(build(8, vec![field("a\n", 0, Schema::unsigned(8))]), refused);
        let tower = (0..40).try_fold(Schema::unsigned(1), |inner, _| {
            Schema::build("T", 1, vec![field("inner", 0, inner)]).map_err(|error| error.kind())
        });
        assert_eq!(tower, refused);
    }

    #[test]
    fn bytes_have_the_length_of_their_layout() {
        let name = format!("unit-region-bytes-{}", std::process::id());
        let options = RegionOptions::new();
        let kind = |len| options.create_bytes(&name, &pair(), &vec![7; len]).map_err(|error| error.kind());
        assert_eq!(kind(15).unwrap_err(), ErrorKind::InvalidInput);
        let made = kind(16).unwrap();
        assert_eq!((made.len(), made.is_empty()), (16, false));
        let mut three = [0; 3];
        made.read(13, &mut three).unwrap();
        assert_eq!(three, [7; 3]);
        assert_eq!(made.read(14, &mut three).unwrap_err().kind(), ErrorKind::OutOfRange);
        assert_eq!(made.write(usize::MAX, &three).unwrap_err().kind(), ErrorKind::OutOfRange);
        let opened = RegionOptions::new().access(Access::Read).open_bytes(&name, &pair()).unwrap();
        assert_eq!(opened.write(0, &three).unwrap_err().kind(), ErrorKind::AccessDenied);
        let other = options.open_bytes(&name, &Schema::unsigned(8).array(2)).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::WrongLayout);
    }
}
