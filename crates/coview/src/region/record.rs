//! Which types may be the content of a region.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::schema::Schema;

/// Plain data with a description: what a [`Region`](super::Region) may hold.
///
/// zerocopy's traits see to it that any bytes are a value of it and that it has no padding through which memory of this
/// process could leak. The description is derived:
///
/// ```
/// use coview::{Record, zerocopy::{FromBytes, Immutable, IntoBytes}};
///
/// #[derive(FromBytes, IntoBytes, Immutable, Record)]
/// #[zerocopy(crate = "coview::zerocopy")] // not needed by who has zerocopy among its own dependencies
/// #[repr(C)]
/// struct Reading {
///     seq: u64,
///     celsius: [f64; 3],
///     place: [u8; 16], // shown as text if it is text
/// }
/// assert_eq!(Reading::SCHEMA.size(), 48);
/// ```
///
/// Fields are numbers of fixed width, arrays, and other records. Not `bool`, `char`, enums and references, of which not every
/// pattern of bytes is a value; not `usize`, which has another size in 32-bit programs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a region",
    label = "not plain data of a layout that is the same everywhere",
    note = "numbers from u8 to u64, i8 to i64, f32, f64, arrays of them, and structs with #[derive(Record)] can",
    note = "for a bool use u8, for usize use u64, for an enum its integer"
)]
pub trait Record: FromBytes + IntoBytes + Immutable {
    /// Its layout.
    const SCHEMA: Schema;
}

macro_rules! numbers {
    ($($form:ident: $($number:ty)*;)*) => {$($(
        impl Record for $number {
            const SCHEMA: Schema = Schema::$form(size_of::<$number>());
        }
    )*)*};
}

numbers! {
    unsigned: u8 u16 u32 u64;
    signed: i8 i16 i32 i64;
    float: f32 f64;
}

impl<T: Record, const N: usize> Record for [T; N] {
    const SCHEMA: Schema = T::SCHEMA.array(N);
}

/// What must not compile.
///
/// ```compile_fail,E0277
/// use coview::{Record, zerocopy::{FromBytes, Immutable, IntoBytes}};
/// #[derive(FromBytes, IntoBytes, Immutable, Record)]
/// #[zerocopy(crate = "coview::zerocopy")]
/// #[repr(C)]
/// struct Switch { on: bool }
/// ```
///
/// ```compile_fail,E0277
/// use coview::{Record, zerocopy::{FromBytes, Immutable, IntoBytes}};
/// #[derive(FromBytes, IntoBytes, Immutable, Record)]
/// #[zerocopy(crate = "coview::zerocopy")]
/// #[repr(C)]
/// struct Address { of: usize }
/// ```
///
/// ```compile_fail,E0277
/// use coview::{Record, zerocopy::{FromBytes, Immutable, IntoBytes}};
/// #[derive(FromBytes, IntoBytes, Immutable, Record)]
/// #[zerocopy(crate = "coview::zerocopy")]
/// #[repr(C)]
/// struct Padded { small: u32, large: u64 }
/// ```
///
/// ```compile_fail
/// use coview::{Record, zerocopy::{FromBytes, Immutable, IntoBytes}};
/// #[derive(FromBytes, IntoBytes, Immutable, Record)]
/// #[zerocopy(crate = "coview::zerocopy")]
/// struct Unordered { large: u64 }
/// ```
///
/// ```compile_fail
/// use coview::{Record, zerocopy::{FromBytes, Immutable}};
/// #[derive(FromBytes, Immutable, Record)]
/// #[zerocopy(crate = "coview::zerocopy")]
/// #[repr(C)]
/// union Either { a: u32, b: f32 }
/// ```
#[cfg(doctest)]
struct Refused;
