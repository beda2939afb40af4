//! A region's own description as a layout, so that its fields are shown as those of a C declaration are.

use std::rc::Rc;

use coview::region::{Form, Schema};

use super::{Field, Kind, Layout, MAX_VALUES, Scalar, TOO_LARGE, Type};

/// In bytes; numbers have eight at most, and what is larger is mostly padding.
const MAX_SIZE: u64 = 16 * MAX_VALUES;

impl Layout {
    /// Refused if it has more than anybody reads. A schema that came out of shared memory was range-checked there.
    pub(crate) fn of_schema(schema: &Schema) -> Result<Layout, String> {
        match of_type(schema)? {
            ty if ty.size > MAX_SIZE => Err(TOO_LARGE.to_owned()),
            ty => Ok(Layout(ty)),
        }
    }
}

fn of_type(schema: &Schema) -> Result<Rc<Type>, String> {
    let (size, align) = (schema.element_size(), schema.align());
    let scalar = match (schema.form(), size) {
        (Form::Unsigned, 1) => Some(Scalar::Byte),
        (Form::Unsigned, 2 | 4 | 8) => Some(Scalar::Unsigned),
        (Form::Signed, 1 | 2 | 4 | 8) => Some(Scalar::Signed),
        (Form::Float, 4 | 8) => Some(Scalar::Float),
        _ => None,
    };
    let mut ty = match (schema.form(), scalar) {
        (_, Some(scalar)) => Type::scalar((scalar, size)),
        (Form::Record, _) => {
            let mut fields = Vec::new();
            for field in schema.fields() {
                fields.push(Field::new(field.name(), field.offset(), &of_type(field.schema())?));
            }
            // At least one, so that no number of empty ones costs nothing.
            let values = fields.iter().map(|field| field.ty.values).sum::<u64>().max(1);
            let depth = fields.iter().map(|field| field.ty.depth + 1).max().unwrap_or(0);
            Type::limited(size, align, values, depth, Kind::Record(fields))?
        }
        _ => Type::array(Type::scalar((Scalar::Byte, 1)), size)?,
    };
    let lengths = if schema.lengths().contains(&0) { &[0] } else { schema.lengths() };
    for length in lengths.iter().rev() {
        ty = Type::array(ty, (*length).into())?;
    }
    Ok(ty)
}
