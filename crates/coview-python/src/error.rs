//! The library's errors as exceptions, each a subclass of the built-in one that Python programs expect.

use std::error::Error as _;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// `coview._errors.make`, which knows the classes.
static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn make(py: Python<'_>, code: u32, message: String, about: (&str, Option<&str>, Option<i32>)) -> PyErr {
    let function = MAKE.get_or_try_init(py, || py.import("coview._errors")?.getattr("make").map(Bound::unbind));
    let (operation, object, errno) = about;
    match function.and_then(|function| function.bind(py).call1((code, message, operation, object, errno))) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// Raises what the library refused.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for coview::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| {
            let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
            let errno = source.and_then(std::io::Error::raw_os_error);
            let message = match source {
                Some(source) => format!("{error} ({source})"),
                None => error.to_string(),
            };
            make(py, error.kind().code(), message, (error.operation(), error.object(), errno))
        })
    }
}

/// The time that a call was given is over.
pub(crate) fn timed_out(py: Python<'_>, operation: &str, object: &str) -> PyErr {
    let message = format!("cannot {operation} {object}: the time is over");
    make(py, coview::ErrorKind::TimedOut.code(), message, (operation, Some(object), None))
}

pub(crate) fn closed(what: &str) -> PyErr {
    PyValueError::new_err(format!("the {what} is closed"))
}
