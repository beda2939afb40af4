//! Bytes that Python gives: of anything that is a contiguous buffer.

use pyo3::Borrowed;
use pyo3::ffi;
use pyo3::prelude::*;

/// A Python buffer, held until this is dropped. Its bytes may be shared memory, or another thread's to write: so they are only ever
/// copied.
pub(crate) struct Source {
    buffer: Box<ffi::Py_buffer>,
}

// SAFETY: a held buffer stays where it is, and is given back with the GIL.
unsafe impl Send for Source {}
// SAFETY: as above: through `&Source` its bytes are read.
unsafe impl Sync for Source {}

impl<'py> FromPyObject<'_, 'py> for Source {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Source> {
        let mut buffer = Box::new(ffi::Py_buffer::new());
        // SAFETY: a live object, and an empty buffer to fill; `PyBUF_SIMPLE` asks for contiguous bytes of any format.
        let got = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut *buffer, ffi::PyBUF_SIMPLE) };
        if got != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        Ok(Source { buffer })
    }
}

impl Source {
    pub(crate) fn len(&self) -> usize {
        self.buffer.len.unsigned_abs()
    }

    /// Copies all of it, to as many bytes.
    pub(crate) fn copy_to(&self, to: &mut [u8]) {
        assert_eq!(to.len(), self.len(), "the room was made for it");
        // SAFETY: a held buffer has `len` readable bytes, `to` as many writable ones; they may be the same memory, seen twice.
        unsafe { std::ptr::copy(self.buffer.buf.cast::<u8>(), to.as_mut_ptr(), to.len()) }
    }

    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.copy_to(&mut bytes);
        bytes
    }

    /// Shows it piece by piece, each a copy, with where it begins.
    pub(crate) fn pieces<E>(&self, mut each: impl FnMut(usize, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut room = vec![0; self.len().min(64 << 10)];
        let mut at = 0;
        while at < self.len() {
            let piece = room.len().min(self.len() - at);
            let from = self.buffer.buf.cast::<u8>().wrapping_add(at);
            // SAFETY: `at + piece` is at most `len`, which the held buffer has; the room is ours alone.
            unsafe { std::ptr::copy_nonoverlapping(from, room.as_mut_ptr(), piece) };
            each(at, &room[..piece])?;
            at += piece;
        }
        Ok(())
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        Python::attach(|_| {
            // SAFETY: it was got, once, and the GIL is ours.
            unsafe { ffi::PyBuffer_Release(&mut *self.buffer) }
        });
    }
}
