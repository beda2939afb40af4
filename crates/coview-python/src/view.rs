//! `View`: a mapped range as a buffer, and walking a large mapping window by window.

use std::sync::Arc;

use coview::{Access as Doing, Advice};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::{Buffer, Source};
use crate::channel::Open;
use crate::error::OrRaise;
use crate::mapping::{Access, Mapping};

/// A mapped range of a mapping, which it keeps open. It is a buffer: `memoryview(view)`, `numpy.frombuffer(view, …)`; read-only if
/// its access is "r". What is made over it keeps the memory, so nothing can outlive it.
///
/// Other processes may write at any time: a copy that is made meanwhile can be a mixture of old and new bytes.
#[pyclass(frozen, extends = Buffer, module = "coview")]
pub(crate) struct View {
    view: Open<coview::View>,
    mapping: Arc<coview::Mapping>,
}

impl View {
    pub(crate) fn new(py: Python<'_>, view: coview::View, mapping: Arc<coview::Mapping>) -> PyResult<Bound<'_, View>> {
        let view = Open::new("view", view);
        let buffer = Buffer::of_view(view.get()?, &mapping);
        Bound::new(py, PyClassInitializer::from(buffer).add_subclass(View { view, mapping }))
    }
}

fn advice(word: &str) -> PyResult<Advice> {
    match word {
        "normal" => Ok(Advice::Normal),
        "sequential" => Ok(Advice::Sequential),
        "random" => Ok(Advice::Random),
        "will_need" => Ok(Advice::WillNeed),
        "huge_pages" => Ok(Advice::HugePages),
        other => {
            let why = "say normal, sequential, random, will_need or huge_pages";
            Err(PyValueError::new_err(format!("{other:?}: {why}")))
        }
    }
}

fn range(view: &coview::View, offset: u64, length: Option<u64>) -> std::ops::Range<u64> {
    offset..length.map_or(view.len() as u64, |length| offset.saturating_add(length))
}

#[pymethods]
impl View {
    /// Where in the mapping it begins, in bytes.
    #[getter]
    fn offset(&self) -> PyResult<u64> {
        Ok(self.view.get()?.range().start)
    }

    /// What it was mapped for: "r", "rw" or "c".
    #[getter]
    fn access(&self) -> PyResult<&'static str> {
        Ok(Access(self.view.get()?.access()).word())
    }

    /// The bytes it shows.
    fn __len__(&self) -> PyResult<usize> {
        Ok(self.view.get()?.len())
    }

    /// A copy of `length` bytes from `offset` in the view. Raises OutOfRangeError (IndexError).
    #[pyo3(signature = (offset=0, length=None))]
    fn read<'py>(&self, py: Python<'py>, offset: usize, length: Option<usize>) -> PyResult<Bound<'py, PyBytes>> {
        let view = self.view.get()?;
        let length = length.unwrap_or_else(|| view.len().saturating_sub(offset));
        if offset.checked_add(length).is_none_or(|end| end > view.len()) {
            // Before the memory for it is asked for; an empty read at an impossible place says what is wrong.
            view.read(offset.saturating_add(length), &mut [0]).or_raise(py)?;
        }
        PyBytes::new_with(py, length, |into| view.read(offset, into).or_raise(py))
    }

    /// Copies bytes, of anything that is a contiguous buffer, to `offset` in the view. Raises OutOfRangeError (IndexError),
    /// AccessDeniedError (PermissionError).
    fn write(&self, py: Python<'_>, offset: usize, data: Source) -> PyResult<()> {
        let view = self.view.get()?;
        if offset.checked_add(data.len()).is_none_or(|end| end > view.len()) {
            view.write(offset.saturating_add(data.len()).max(view.len()), &[0]).or_raise(py)?; // all or nothing
        }
        data.pieces(|at, piece| view.write(offset + at, piece)).or_raise(py)
    }

    /// A NumPy array over the memory, from `offset` in the view: `view.array("float32", (480, 640))`. Without a shape, one dimension
    /// of as many as there are.
    #[pyo3(signature = (dtype, shape=None, *, offset=0))]
    fn array<'py>(
        slf: &Bound<'py, Self>,
        dtype: &Bound<'py, PyAny>,
        shape: Option<&Bound<'py, PyAny>>,
        offset: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let helper = slf.py().import("coview._arrays")?;
        helper.getattr("over")?.call1((slf, dtype, shape, offset))
    }

    /// Writes a range, in bytes of the view, to the file behind the mapping; returns when the device has it.
    #[pyo3(signature = (offset=0, length=None))]
    fn flush(&self, py: Python<'_>, offset: u64, length: Option<u64>) -> PyResult<()> {
        let view = self.view.get()?;
        py.detach(|| view.flush(range(&view, offset, length))).or_raise(py)
    }

    /// Tells the system how a range will be used: "normal", "sequential", "random", "will_need", "huge_pages".
    #[pyo3(signature = (how, offset=0, length=None))]
    fn advise(&self, py: Python<'_>, how: &str, offset: u64, length: Option<u64>) -> PyResult<()> {
        let view = self.view.get()?;
        view.advise(range(&view, offset, length), advice(how)?).or_raise(py)
    }

    /// Brings every page of a range in now, so that later accesses do not fault.
    #[pyo3(signature = (offset=0, length=None))]
    fn prefault(&self, py: Python<'_>, offset: u64, length: Option<u64>) -> PyResult<()> {
        let view = self.view.get()?;
        py.detach(|| view.prefault(range(&view, offset, length))).or_raise(py)
    }

    /// Unmaps it. Raises BufferError while something is made over it, such as an array.
    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.as_super().get().close()?;
        slf.get().view.close();
        Ok(())
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(slf: &Bound<'_, Self>, _error: &Bound<'_, PyAny>) -> PyResult<()> {
        View::close(slf)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let (py, view) = (slf.py(), slf.get().view.get()?);
        let mapping = Bound::new(py, Mapping::again(&slf.get().mapping))?;
        let range = view.range();
        let arguments = (mapping, range.start, view.len(), Access(view.access()).word());
        Ok((py.import("coview._pickle")?.getattr("open_view")?, arguments.into_pyobject(py)?.into_any()))
    }

    fn __repr__(&self) -> String {
        match self.view.get() {
            Ok(view) => {
                let name = self.mapping.name().map_or("an unnamed mapping".to_owned(), ToString::to_string);
                let range = view.range();
                format!("<coview.View {}..{} of {name}>", range.start, range.end)
            }
            Err(_) => "<coview.View closed>".to_owned(),
        }
    }
}

/// The windows of a mapping, front to back; each is a view.
#[pyclass(module = "coview")]
pub(crate) struct Windows {
    mapping: Arc<coview::Mapping>,
    access: Doing,
    length: usize,
    overlap: usize,
    /// Where the next one begins; `None`: there is none.
    next: Option<u64>,
}

impl Windows {
    pub(crate) fn new(
        mapping: Arc<coview::Mapping>,
        access: Doing,
        length: usize,
        overlap: usize,
        start: u64,
    ) -> Windows {
        Windows { mapping, access, length, overlap, next: Some(start) }
    }
}

#[pymethods]
impl Windows {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, View>>> {
        let Some(start) = self.next else { return Ok(None) };
        let mapping = Arc::clone(&self.mapping);
        let mut windows = mapping.windows(self.access, self.length).overlap(self.overlap).starting_at(start);
        let Some(view) = windows.next().transpose().or_raise(py)? else { return Ok(None) };
        let end = view.range().end;
        self.next = (end < mapping.size()).then(|| end - self.overlap as u64);
        View::new(py, view, Arc::clone(&mapping)).map(Some)
    }
}
