//! What the kernel has for passing bytes and signals: pipe, sockets, eventfd.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use zerocopy::IntoBytes;

use crate::Result;
use crate::link::Link;

/// Two ends; written into one, read from the other.
#[derive(Clone)]
pub(crate) struct Descriptors {
    from: Rc<OwnedFd>,
    to: Rc<OwnedFd>,
}

impl Descriptors {
    pub(crate) fn pipe() -> Result<Descriptors> {
        let (to, from) = rustix::pipe::pipe()?;
        Ok(Descriptors { from: from.into(), to: to.into() })
    }

    pub(crate) fn stream() -> Result<Descriptors> {
        Descriptors::socket(SocketType::STREAM)
    }

    pub(crate) fn seqpacket() -> Result<Descriptors> {
        Descriptors::socket(SocketType::SEQPACKET)
    }

    fn socket(kind: SocketType) -> Result<Descriptors> {
        let (from, to) = socketpair(AddressFamily::UNIX, kind, SocketFlags::empty(), None)?;
        Ok(Descriptors { from: from.into(), to: to.into() })
    }

    /// Its messages are numbers that the kernel adds up: right for one at a time.
    pub(crate) fn eventfd() -> Result<Descriptors> {
        let both = Rc::new(eventfd(0, EventfdFlags::empty())?);
        Ok(Descriptors { from: both.clone(), to: both })
    }
}

impl<const N: usize> Link<N> for Descriptors {
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static> {
        Ok(move |message: &[u64; N]| {
            let wrote = write(&self.from, message.as_bytes()).expect("write");
            assert_eq!(wrote, N * 8, "so short a message goes whole");
        })
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static> {
        Ok(move || {
            let mut message = [0; N];
            let mut had = 0;
            while had < N * 8 {
                let got = read(&self.to, &mut message.as_mut_bytes()[had..]).expect("read");
                assert!(got > 0, "the other side is gone");
                had += got;
            }
            message
        })
    }
}
