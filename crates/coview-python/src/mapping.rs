//! `Mapping`: memory that processes share, and the words in which its options are said.

use std::path::PathBuf;
use std::sync::Arc;

use coview::{Access as Doing, Disposition, MappingOptions, Protection as Most, Share as Whom};
use pyo3::Borrowed;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::channel::Open;
use crate::error::OrRaise;
use crate::view::{View, Windows};

/// Who may open it: "owner", "group", "everyone", a mode such as 0o640, or a security descriptor.
#[derive(Default)]
pub(crate) struct Share(pub(crate) Whom);

impl<'py> FromPyObject<'_, 'py> for Share {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Share> {
        if let Ok(mode) = object.extract::<u32>() {
            return Ok(Share(Whom::Mode(mode)));
        }
        match object.extract::<String>()?.as_str() {
            "owner" => Ok(Share(Whom::Owner)),
            "group" => Ok(Share(Whom::Group)),
            "everyone" => Ok(Share(Whom::Everyone)),
            text if text.contains(':') => Ok(Share(Whom::Sddl(text.to_owned()))),
            other => {
                let why = "\"owner\", \"group\", \"everyone\", a mode such as 0o640, or a security descriptor";
                Err(PyValueError::new_err(format!("share={other:?}: say {why}")))
            }
        }
    }
}

/// What a handle or a view does: "r", "rw", or "c" (copy-on-write).
#[derive(Clone, Copy)]
pub(crate) struct Access(pub(crate) Doing);

impl Access {
    pub(crate) fn word(self) -> &'static str {
        match self.0 {
            Doing::Read => "r",
            Doing::ReadWrite => "rw",
            Doing::CopyOnWrite => "c",
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Access {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Access> {
        match object.extract::<String>()?.as_str() {
            "r" => Ok(Access(Doing::Read)),
            "rw" => Ok(Access(Doing::ReadWrite)),
            "c" => Ok(Access(Doing::CopyOnWrite)),
            other => {
                Err(PyValueError::new_err(format!("access={other:?}: say \"r\", \"rw\", or \"c\" (copy-on-write)")))
            }
        }
    }
}

pub(crate) fn unnamed(what: &str) -> PyErr {
    PyTypeError::new_err(format!("cannot pickle an unnamed {what}: give it a name"))
}

/// As Python shows a handle.
pub(crate) fn show(class: &str, name: PyResult<Option<String>>) -> String {
    match name {
        Ok(Some(name)) => format!("<coview.{class} {name}>"),
        Ok(None) => format!("<coview.{class} unnamed>"),
        Err(_) => format!("<coview.{class} closed>"),
    }
}

/// Memory that several processes map views of, by name or without.
///
/// It lives until its last handle and view in any process is gone, whatever ended them; then its name is free, and a new object of
/// that name starts zeroed.
///
///     with Mapping.create("Sensor", 4096) as mapping:
///         mapping.view().write(0, b"23.5 C")
#[pyclass(frozen, module = "coview")]
pub(crate) struct Mapping(Open<coview::Mapping>);

impl Mapping {
    pub(crate) fn of(mapping: coview::Mapping) -> Mapping {
        Mapping(Open::new("mapping", mapping))
    }

    /// Another handle on the same.
    pub(crate) fn again(mapping: &Arc<coview::Mapping>) -> Mapping {
        Mapping(Open::of("mapping", Arc::clone(mapping)))
    }

    pub(crate) fn get(&self) -> PyResult<Arc<coview::Mapping>> {
        self.0.get()
    }
}

/// What `create` and `open_or_create` are told beside the name.
struct Told {
    size: u64,
    protection: Access,
    reserve: bool,
    exact: bool,
    share: Share,
    inheritable: bool,
    file: Option<PathBuf>,
    exclusive: bool,
}

impl Told {
    fn options(self) -> MappingOptions {
        let protection = match self.protection.0 {
            Doing::Read => Most::ReadOnly,
            Doing::ReadWrite => Most::ReadWrite,
            Doing::CopyOnWrite => Most::WriteCopy,
        };
        let options = MappingOptions::new().size(self.size).protection(protection).reserve(self.reserve);
        let options = options.exact(self.exact).share(self.share.0).inheritable(self.inheritable);
        match (self.file, self.exclusive) {
            (None, _) => options,
            (Some(path), false) => options.file(path),
            (Some(path), true) => options.file_exclusive(path),
        }
    }
}

#[pymethods]
impl Mapping {
    /// Makes a mapping of that name, of `size` bytes; without a name, to be inherited or passed on.
    ///
    /// protection: the most any view may do: "rw", "r", or "c" (copy-on-write).
    /// reserve: only address space; ranges get memory by `commit`.
    /// exact: keeps the size to the byte instead of rounding it up to whole pages.
    /// share: who may open it: "owner", "group", "everyone", a mode such as 0o640, or a security descriptor.
    /// file: the path of the file that it stands on, which is made or grows if need be; exclusive: nobody else has it open.
    ///
    /// Raises AlreadyExistsError (FileExistsError), OutOfMemoryError (MemoryError) if the memory cannot be had to the last byte.
    #[staticmethod]
    #[pyo3(signature = (name, size=0, *, protection=Access(Doing::ReadWrite), reserve=false, exact=false,
                        share=Share::default(), inheritable=false, file=None, exclusive=false))]
    #[allow(clippy::too_many_arguments)]
    fn create(
        py: Python<'_>,
        name: Option<&str>,
        size: u64,
        protection: Access,
        reserve: bool,
        exact: bool,
        share: Share,
        inheritable: bool,
        file: Option<PathBuf>,
        exclusive: bool,
    ) -> PyResult<Mapping> {
        let options = Told { size, protection, reserve, exact, share, inheritable, file, exclusive }.options();
        let made = py.detach(|| name.map_or_else(|| options.create_unnamed(), |name| options.create(name)));
        made.or_raise(py).map(Mapping::of)
    }

    /// Opens the live mapping of that name, or foreign memory: `posix:/name`, `sysv:KEY`, `file:PATH`. Views of it can do what `access`
    /// says and less. Raises NotFoundError (FileNotFoundError), AccessDeniedError (PermissionError).
    #[staticmethod]
    #[pyo3(signature = (name, access=Access(Doing::ReadWrite)))]
    fn open(py: Python<'_>, name: &str, access: Access) -> PyResult<Mapping> {
        coview::Mapping::open(name, access.0).or_raise(py).map(Mapping::of)
    }

    /// Makes a mapping of that name, as `create` does, or opens the live one with its own size and protection: the mapping, and
    /// whether it was made.
    #[staticmethod]
    #[pyo3(signature = (name, size=0, *, protection=Access(Doing::ReadWrite), reserve=false, exact=false,
                        share=Share::default(), inheritable=false, file=None, exclusive=false))]
    #[allow(clippy::too_many_arguments)]
    fn open_or_create(
        py: Python<'_>,
        name: &str,
        size: u64,
        protection: Access,
        reserve: bool,
        exact: bool,
        share: Share,
        inheritable: bool,
        file: Option<PathBuf>,
        exclusive: bool,
    ) -> PyResult<(Mapping, bool)> {
        let options = Told { size, protection, reserve, exact, share, inheritable, file, exclusive }.options();
        let (mapping, disposition) = py.detach(|| options.open_or_create(name)).or_raise(py)?;
        Ok((Mapping::of(mapping), disposition == Disposition::Created))
    }

    /// The mapping that the parent process handed over under `key`; see `hand_over`.
    #[staticmethod]
    fn inherited(py: Python<'_>, key: &str) -> PyResult<Mapping> {
        coview::Mapping::inherited(key).or_raise(py).map(Mapping::of)
    }

    /// The variable and its value that the environment of a child process must have, so that it can call `inherited(key)`. The child
    /// must inherit descriptors or handles: `subprocess.Popen(…, env=…, close_fds=False)`.
    fn hand_over(&self, py: Python<'_>, key: &str) -> PyResult<(String, String)> {
        self.get()?.hand_over(key).or_raise(py)
    }

    /// Bytes: whole pages for memory, exact for files and `exact=True`.
    #[getter]
    fn size(&self) -> PyResult<u64> {
        Ok(self.get()?.size())
    }

    /// The name in full, such as `Local\Sensor`, or None.
    #[getter]
    fn name(&self) -> PyResult<Option<String>> {
        Ok(self.get()?.name().map(ToString::to_string))
    }

    /// The most any view may do: "r", "rw" or "c".
    #[getter]
    fn protection(&self) -> PyResult<&'static str> {
        Ok(match self.get()?.protection() {
            Most::ReadOnly => "r",
            Most::ReadWrite => "rw",
            Most::WriteCopy => "c",
        })
    }

    /// What views made through this handle can do at most: "r" or "rw".
    #[getter]
    fn access(&self) -> PyResult<&'static str> {
        Ok(Access(self.get()?.access()).word())
    }

    /// Whether memory is committed range by range.
    #[getter]
    fn is_reserved(&self) -> PyResult<bool> {
        Ok(self.get()?.is_reserved())
    }

    /// Gives memory to `length` bytes from `offset` of a reserved mapping, in whole pages, for every view of every process.
    fn commit(&self, py: Python<'_>, offset: u64, length: u64) -> PyResult<()> {
        let mapping = self.get()?;
        py.detach(|| mapping.commit(offset, length)).or_raise(py)
    }

    /// Maps `length` bytes from `offset`, any numbers inside the size; all of it unless said otherwise.
    ///
    /// access: "r", "rw" or "c" (copy-on-write); what the handle allows unless said.
    /// Raises AccessDeniedError (PermissionError), OutOfRangeError (IndexError).
    #[pyo3(signature = (offset=0, length=None, *, access=None))]
    fn view<'py>(
        &self,
        py: Python<'py>,
        offset: u64,
        length: Option<u64>,
        access: Option<Access>,
    ) -> PyResult<Bound<'py, View>> {
        let mapping = self.get()?;
        let access = access.map_or_else(|| mapping.access(), |access| access.0);
        let end = length.map_or_else(|| mapping.size(), |length| offset.saturating_add(length));
        View::new(py, mapping.view_range(access, offset..end).or_raise(py)?, mapping)
    }

    /// Walks the mapping in views of `length` bytes, so that it may be larger than the memory: `for view in mapping.windows(1 << 20)`.
    ///
    /// overlap: each begins with so many last bytes of the one before. start: the offset of the first.
    #[pyo3(signature = (length, *, access=None, overlap=0, start=0))]
    fn windows(&self, length: usize, access: Option<Access>, overlap: usize, start: u64) -> PyResult<Windows> {
        let mapping = self.get()?;
        if overlap >= length {
            let why = format!("an overlap of {overlap} bytes leaves no step in windows of {length}");
            return Err(PyValueError::new_err(why));
        }
        let access = access.map_or_else(|| mapping.access(), |access| access.0);
        Ok(Windows::new(mapping, access, length, overlap, start))
    }

    /// Closes the handle. Views of it stay, and keep the object and its name.
    fn close(&self) {
        self.0.close();
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyAny>) {
        self.close();
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let mapping = slf.get();
        let reduce = slf.py().import("coview._pickle")?;
        let arguments = match mapping.name()? {
            Some(name) => (name, mapping.access()?).into_pyobject(slf.py())?.into_any(),
            None => reduce.getattr("pass_on")?.call1((slf,))?,
        };
        Ok((reduce.getattr("open_mapping")?, arguments))
    }

    fn __repr__(&self) -> String {
        show("Mapping", self.name())
    }
}
