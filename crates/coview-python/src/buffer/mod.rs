//! Memory that Python sees through the buffer protocol, and what keeps it where it is; bytes that Python gives.

#![allow(unsafe_code)]

mod held;
mod source;

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::error::{OrRaise, closed};
pub(crate) use held::{Desk, Lent, Received, readable};
pub(crate) use source::Source;

/// The base of what has memory: views, frames, loans. `memoryview(x)` and `numpy.frombuffer(x)` show it in place.
#[pyclass(frozen, subclass, module = "coview")]
pub(crate) struct Buffer {
    shown: Mutex<Option<Shown>>,
    /// Buffers that Python has over it.
    exports: AtomicUsize,
    /// Somebody had a buffer. NumPy gives those of `numpy.ndarray(buffer=…)` back at once, uses the address for as long as it likes, and
    /// relies on having a reference to this object.
    seen: AtomicBool,
    /// What was closed then, and stays until this object goes.
    kept: Mutex<Option<Shown>>,
}

/// What Python sees. Invariant: `at` is mapped for `len` bytes, writable if it says so, as long as `keeper` lives.
struct Shown {
    at: *mut u8,
    len: usize,
    writable: bool,
    keeper: Keeper,
}

/// What keeps the memory; a frame given back too early could be written over, and a view unmapped.
enum Keeper {
    View(Arc<coview::View>, Memory),
    Frame(Received),
    Loan { _lent: Arc<Lent> },
}

/// Whether all of a view has memory.
pub(crate) enum Memory {
    Committed,
    /// Ranges that were committed have: it is looked at.
    Reserved,
}

// SAFETY: the address is one of shared memory, or of a box that the keeper owns, and the keepers are Send.
unsafe impl Send for Shown {}

impl Shown {
    /// What keeps the memory, and nothing more.
    fn relax(mut self) -> Shown {
        if let Keeper::Frame(frame) = &mut self.keeper {
            frame.give_back();
        }
        self
    }
}

impl Buffer {
    fn new(at: *mut u8, len: usize, writable: bool, keeper: Keeper) -> Buffer {
        let shown = Mutex::new(Some(Shown { at, len, writable, keeper }));
        Buffer { shown, exports: AtomicUsize::new(0), seen: AtomicBool::new(false), kept: Mutex::new(None) }
    }

    pub(crate) fn of_view(view: Arc<coview::View>, mapping: &coview::Mapping) -> Buffer {
        let writable = view.access() != coview::Access::Read;
        let memory = if mapping.is_reserved() { Memory::Reserved } else { Memory::Committed };
        Buffer::new(view.as_ptr(), view.len(), writable, Keeper::View(view, memory))
    }

    pub(crate) fn of_frame(frame: Received) -> Buffer {
        let (at, len) = frame.bytes();
        Buffer::new(at.cast_mut(), len, false, Keeper::Frame(frame))
    }

    pub(crate) fn of_loan(lent: Arc<Lent>) -> Buffer {
        let (at, len) = lent.bytes();
        Buffer::new(at, len, true, Keeper::Loan { _lent: lent })
    }

    /// Lets the memory go, which nobody uses: now, or with this object if somebody has seen it.
    pub(crate) fn close(&self) -> PyResult<()> {
        let mut shown = self.shown.lock();
        // Acquire: pairs with the Release in `__releasebuffer__`: what was done there is done.
        match self.exports.load(Ordering::Acquire) {
            0 => {
                let gone = shown.take();
                drop(shown);
                if self.seen.load(Ordering::Relaxed) {
                    *self.kept.lock() = gone.map(Shown::relax);
                }
                Ok(())
            }
            exports => {
                let why =
                    format!("it is used by {exports} other objects, such as a memoryview or an array: drop them first");
                Err(PyBufferError::new_err(why))
            }
        }
    }

    /// Whether these are its last bytes. Of shared memory: so far.
    pub(crate) fn ends_with(&self, tail: &[u8]) -> bool {
        let shown = self.shown.lock();
        let Some(Shown { at, len, .. }) = shown.as_ref().filter(|shown| shown.len >= tail.len()) else { return false };
        let mut from = at.wrapping_add(len - tail.len()).cast_const();
        tail.chunks(64).all(|chunk| {
            let mut copy = [0; 64];
            // SAFETY: the last bytes of `len` that are mapped (invariant of `Shown`, which is locked), to as many of ours.
            unsafe { std::ptr::copy_nonoverlapping(from, copy.as_mut_ptr(), chunk.len()) };
            from = from.wrapping_add(chunk.len());
            copy[..chunk.len()] == *chunk
        })
    }

    /// Bytes of it; 0 when it is closed.
    pub(crate) fn len(&self) -> usize {
        self.shown.lock().as_ref().map_or(0, |shown| shown.len)
    }
}

/// Whether all of a view has memory: of a reserved mapping Windows faults where there is none.
fn check_memory(py: Python<'_>, view: &coview::View) -> PyResult<()> {
    let mut piece = vec![0; view.len().min(64 << 10)];
    for at in (0..view.len()).step_by(piece.len()) {
        let len = piece.len().min(view.len() - at);
        view.read(at, &mut piece[..len]).or_raise(py)?;
    }
    Ok(())
}

#[pymethods]
impl Buffer {
    /// # Safety
    /// As the interpreter calls it: `out` is a buffer that is to be filled.
    unsafe fn __getbuffer__(slf: &Bound<'_, Self>, out: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        let shown = this.shown.lock();
        let Some(shown) = shown.as_ref() else { return Err(closed("buffer")) };
        if let Keeper::View(view, Memory::Reserved) = &shown.keeper {
            check_memory(slf.py(), view)?;
        }
        let len = isize::try_from(shown.len).map_err(|_| PyBufferError::new_err("it has too many bytes"))?;
        let read_only = c_int::from(!shown.writable);
        // SAFETY: `out` is the interpreter's; the memory is there as long as the keeper (invariant of `Shown`), and that as long as
        // `slf`, of which `out` gets a reference: `close` refuses while
        // `exports` counts it, and keeps the memory for those who are not counted.
        let filled = unsafe { ffi::PyBuffer_FillInfo(out, slf.as_ptr(), shown.at.cast(), len, read_only, flags) };
        if filled != 0 {
            return Err(PyErr::fetch(slf.py()));
        }
        this.exports.fetch_add(1, Ordering::Relaxed);
        this.seen.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// # Safety
    /// As the interpreter calls it: once for each buffer that was filled.
    unsafe fn __releasebuffer__(&self, _out: *mut ffi::Py_buffer) {
        self.exports.fetch_sub(1, Ordering::Release); // pairs with the Acquire in `close`
    }
}
