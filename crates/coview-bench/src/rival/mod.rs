//! Other people's ways between processes: the kernel's own, and libraries.

pub(crate) mod iceoryx;
pub(crate) mod kernel;
pub(crate) mod request;

use ipc_channel::ipc::{IpcBytesReceiver, IpcBytesSender, bytes_channel};
use zerocopy::IntoBytes;

use std::cell::RefCell;
use std::rc::Rc;

use crate::Result;
use crate::link::{Link, words};

/// ipc-channel's bytes channel.
#[derive(Clone)]
pub(crate) struct IpcChannel(Rc<RefCell<(Option<IpcBytesSender>, Option<IpcBytesReceiver>)>>);

impl IpcChannel {
    pub(crate) fn new() -> Result<IpcChannel> {
        let (sender, receiver) = bytes_channel()?;
        Ok(IpcChannel(Rc::new(RefCell::new((Some(sender), Some(receiver))))))
    }
}

impl<const N: usize> Link<N> for IpcChannel {
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static> {
        let sender = self.0.borrow_mut().0.take().ok_or("its sender is taken")?;
        Ok(move |message: &[u64; N]| sender.send(message.as_bytes()).expect("ipc-channel"))
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static> {
        let receiver = self.0.borrow_mut().1.take().ok_or("its receiver is taken")?;
        Ok(move || words(&receiver.recv().expect("ipc-channel")))
    }
}
