//! POSIX message queues, which the kernel keeps.

use std::ffi::CString;
use std::io;

use crate::Result;
use crate::link::Link;
use crate::subject::unique;

/// As many as the kernel lets everybody have in a queue.
const DEPTH: i64 = 10;

#[derive(Clone)]
pub(crate) struct Queue<const N: usize>(libc::mqd_t);

impl<const N: usize> Queue<N> {
    pub(crate) fn new() -> Result<Self> {
        let name = CString::new(format!("/{}", unique("queue")))?;
        // SAFETY: a struct of numbers.
        let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
        (attributes.mq_maxmsg, attributes.mq_msgsize) = (DEPTH, (N * 8) as i64);
        let (flags, mode) = (libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_CLOEXEC, 0o600 as libc::mode_t);
        // SAFETY: the name ends with NUL, and mode and attributes follow O_CREAT.
        let queue = unsafe { libc::mq_open(name.as_ptr(), flags, mode, &raw mut attributes) };
        if queue < 0 {
            return Err(io::Error::last_os_error().into());
        }
        // The sides inherit it; so nothing is left.
        // SAFETY: the name ends with NUL.
        unsafe { libc::mq_unlink(name.as_ptr()) };
        Ok(Queue(queue))
    }
}

impl<const N: usize> Link<N> for Queue<N> {
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static> {
        Ok(move |message: &[u64; N]| {
            // SAFETY: so many bytes are there to be read.
            let code = unsafe { libc::mq_send(self.0, message.as_ptr().cast(), N * 8, 0) };
            assert_eq!(code, 0, "mq_send");
        })
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static> {
        Ok(move || {
            let mut message = [0; N];
            // SAFETY: so many bytes are there to be written.
            let got = unsafe { libc::mq_receive(self.0, message.as_mut_ptr().cast(), N * 8, std::ptr::null_mut()) };
            assert_eq!(got, (N * 8) as isize, "mq_receive");
            message
        })
    }
}
