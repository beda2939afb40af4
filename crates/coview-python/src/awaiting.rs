//! What asyncio awaits: a future of the library, and a pipe that is readable when it wants to be polled again.

use std::future::Future;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::error::OrRaise;

/// Makes the result, when there is one.
pub(crate) type Finish = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;
type Boxed = Pin<Box<dyn Future<Output = coview::Result<Finish>> + Send>>;

/// Something that comes later; `coview._aio.finish` awaits it.
#[pyclass(frozen, module = "coview._coview")]
pub(crate) struct Awaiting {
    future: Mutex<Option<Boxed>>,
    bell: Arc<Bell>,
    reader: PipeReader,
}

/// Puts one byte into the pipe, and no second one before it was taken out.
struct Bell {
    rung: AtomicBool,
    writer: PipeWriter,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // AcqRel: pairs with the swap in `hush`.
        if !self.rung.swap(true, Ordering::AcqRel) {
            let _ = (&self.writer).write(&[1]); // it is empty, so there is room
        }
    }
}

impl Awaiting {
    /// A coroutine that gives what the future does.
    pub(crate) fn coroutine<'py>(
        py: Python<'py>,
        future: impl Future<Output = coview::Result<Finish>> + Send + 'static,
    ) -> PyResult<Bound<'py, PyAny>> {
        static FINISH: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let (reader, writer) = std::io::pipe()?;
        let bell = Arc::new(Bell { rung: AtomicBool::new(false), writer });
        let awaiting = Awaiting { future: Mutex::new(Some(Box::pin(future))), bell, reader };
        FINISH.import(py, "coview._aio", "finish")?.call1((awaiting,))
    }

    /// Takes the byte out, if there is one.
    fn hush(&self) -> PyResult<()> {
        if self.bell.rung.load(Ordering::Acquire) {
            (&self.reader).read_exact(&mut [0])?; // it is there, or will be in a moment
            // AcqRel: pairs with the swap in `wake`: whoever rings from here on is heard.
            self.bell.rung.swap(false, Ordering::AcqRel);
        }
        Ok(())
    }
}

#[pymethods]
impl Awaiting {
    /// The result as a tuple of one, or None: not yet, and the pipe is readable when it is time to look again.
    fn poll(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>,)>> {
        let mut slot = self.future.lock();
        let Some(future) = slot.as_mut() else {
            return Err(PyRuntimeError::new_err("it has given its result, or was cancelled"));
        };
        self.hush()?;
        let waker = Waker::from(Arc::clone(&self.bell));
        let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) else { return Ok(None) };
        *slot = None;
        drop(slot);
        result.or_raise(py)?(py).map(|result| Some((result,)))
    }

    /// Gives it up: it has taken nothing.
    fn cancel(&self) {
        let future = self.future.lock().take();
        drop(future);
        Arc::clone(&self.bell).wake();
    }

    /// Waits until it is time to look again, without the GIL; for event loops without `add_reader`.
    fn wait(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| (&self.reader).read_exact(&mut [0]))?;
        self.bell.rung.swap(false, Ordering::AcqRel); // as in `hush`
        Ok(())
    }

    /// The descriptor that is readable when it is time to look again (Linux).
    #[cfg(unix)]
    fn fileno(&self) -> i32 {
        std::os::fd::AsRawFd::as_raw_fd(&self.reader)
    }
}
