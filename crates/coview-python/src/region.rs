//! `Schema` and `Region`: one typed value in shared memory, as its bytes; `coview.Region` in Python makes values of them.

use coview::region::{Field, Schema as Layout};
use coview::{Disposition, ErrorKind, RegionOptions};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::buffer::{Buffer, Source};
use crate::error::OrRaise;
use crate::mapping::{Access, Share};
use crate::wait::{timeout as time, wait};

/// The layout of a value: the same in every language.
#[pyclass(frozen, module = "coview._coview")]
pub(crate) struct Schema(pub(crate) Layout);

#[pymethods]
impl Schema {
    /// A number: "u", "i" or "f", and its bytes.
    #[staticmethod]
    fn number(kind: &str, size: usize) -> PyResult<Schema> {
        match (kind, size) {
            ("u", 1 | 2 | 4 | 8) => Ok(Schema(Layout::unsigned(size))),
            ("i", 1 | 2 | 4 | 8) => Ok(Schema(Layout::signed(size))),
            ("f", 4 | 8) => Ok(Schema(Layout::float(size))),
            _ => Err(PyValueError::new_err(format!("{kind}{size} is no number that every language has"))),
        }
    }

    /// A structure: its name, its bytes, and each field's name, offset and layout.
    #[staticmethod]
    fn record(py: Python<'_>, name: &str, size: u64, fields: Vec<(String, u64, Py<Schema>)>) -> PyResult<Schema> {
        let build =
            |(name, offset, schema): (String, u64, Py<Schema>)| Field::build(&name, offset, schema.get().0.clone());
        let fields = fields.into_iter().map(build).collect::<coview::Result<Vec<_>>>().or_raise(py)?;
        Layout::build(name, size, fields).or_raise(py).map(Schema)
    }

    /// So many of them, one behind the other.
    fn array(&self, length: u32) -> PyResult<Schema> {
        match self.0.lengths().len() {
            0..4 => Ok(Schema(self.0.clone().array(length as usize))),
            _ => Err(PyValueError::new_err("an array of more than four dimensions")),
        }
    }

    /// Bytes of a value.
    #[getter]
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }
}

/// The value of a region, as a buffer.
#[pyclass(frozen, extends = Buffer, module = "coview._coview")]
pub(crate) struct Region {
    #[pyo3(get)]
    offset: u64,
}

fn region(py: Python<'_>, region: coview::Region<[u8]>) -> PyResult<Bound<'_, Region>> {
    let offset = region.content_offset() as u64;
    let range = offset..offset + region.len() as u64;
    // A view of its own, which keeps the mapping.
    let view = region.mapping().view_range(region.view().access(), range).or_raise(py)?;
    let buffer = Buffer::of_view(std::sync::Arc::new(view), region.mapping());
    Bound::new(py, PyClassInitializer::from(buffer).add_subclass(Region { offset }))
}

#[pymethods]
impl Region {
    #[staticmethod]
    fn create<'py>(
        py: Python<'py>,
        name: &str,
        schema: &Schema,
        value: Source,
        share: Share,
    ) -> PyResult<Bound<'py, Region>> {
        let options = RegionOptions::new().share(share.0);
        region(py, options.create_bytes(name, &schema.0, &value.to_vec()).or_raise(py)?)
    }

    #[staticmethod]
    fn open<'py>(
        py: Python<'py>,
        name: &str,
        schema: &Schema,
        access: Access,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, Region>> {
        let options = RegionOptions::new().access(access.0);
        let waited = time(timeout)?.filter(|timeout| !timeout.is_zero());
        if let Some(timeout) = waited {
            let found =
                wait(py, Some(timeout), |slice| match options.clone().timeout(slice).open_bytes(name, &schema.0) {
                    Ok(found) => Ok(Some(found)),
                    Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::TimedOut) => Ok(None),
                    Err(error) => Err(error),
                })?;
            if let Some(found) = found {
                return region(py, found);
            }
        }
        // Which says what was missing.
        region(py, py.detach(|| options.open_bytes(name, &schema.0)).or_raise(py)?)
    }

    #[staticmethod]
    fn open_or_create<'py>(
        py: Python<'py>,
        name: &str,
        schema: &Schema,
        value: Source,
        share: Share,
    ) -> PyResult<(Bound<'py, Region>, bool)> {
        let (options, value) = (RegionOptions::new().share(share.0), value.to_vec());
        let (found, disposition) = py.detach(|| options.open_or_create_bytes(name, &schema.0, &value)).or_raise(py)?;
        Ok((region(py, found)?, disposition == Disposition::Created))
    }

    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.as_super().get().close()
    }
}
