//! What only one of the systems has: descriptors, and names that are taken away.

use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::mapping::Mapping;

/// The descriptor of a mapping (Linux): its own, closed when it is.
#[cfg(target_os = "linux")]
#[pyfunction]
pub(crate) fn fd(mapping: &Mapping) -> PyResult<i32> {
    let mapping = mapping.get()?;
    match coview::os::linux::fd(&mapping) {
        Some(fd) => Ok(std::os::fd::AsRawFd::as_raw_fd(&fd)),
        None => Err(pyo3::exceptions::PyTypeError::new_err("a System V segment has no descriptor")),
    }
}

/// A mapping of the memory that a descriptor stands for (Linux), which stays the caller's.
#[cfg(target_os = "linux")]
#[pyfunction]
pub(crate) fn from_fd(py: Python<'_>, fd: i32) -> PyResult<Mapping> {
    // By its path, so that a number that is no descriptor is an error.
    let path = format!("/proc/self/fd/{fd}");
    let open = |write| std::fs::OpenOptions::new().read(true).write(write).open(&path);
    let copy = open(true).or_else(|_| open(false))?.into();
    coview::os::linux::from_fd(copy).or_raise(py).map(Mapping::of)
}

/// Takes the name away from a mapping that others may have open, as `shm_unlink` does (Linux).
#[cfg(target_os = "linux")]
#[pyfunction]
pub(crate) fn unlink(py: Python<'_>, mapping: &Mapping) -> PyResult<()> {
    coview::os::linux::unlink(mapping.get()?.as_ref()).or_raise(py)
}

#[cfg(not(target_os = "linux"))]
mod absent {
    use super::*;

    fn refuse<T>() -> PyResult<T> {
        Err(pyo3::exceptions::PyNotImplementedError::new_err("only Linux has it"))
    }

    /// Only Linux has it.
    #[pyfunction]
    pub(crate) fn fd(_mapping: &Mapping) -> PyResult<i32> {
        refuse()
    }

    /// Only Linux has it.
    #[pyfunction]
    pub(crate) fn from_fd(_fd: i32) -> PyResult<Mapping> {
        refuse()
    }

    /// Windows takes a name away with the last handle.
    #[pyfunction]
    pub(crate) fn unlink(_mapping: &Mapping) -> PyResult<()> {
        Ok(())
    }
}
#[cfg(not(target_os = "linux"))]
pub(crate) use absent::{fd, from_fd, unlink};
