//! coview's own channels, as links.

use coview::latest::{Latest, LatestOptions};
use coview::ring::RingOptions;

use crate::Result;
use crate::link;
use crate::subject::unique;

/// A ring between two.
#[derive(Clone)]
pub(crate) struct Ring {
    name: String,
    polling: bool,
}

impl Ring {
    /// `polling`: nobody ever sleeps.
    pub(crate) fn new(polling: bool) -> Ring {
        Ring { name: unique("ring"), polling }
    }

    fn open(&self) -> Result<coview::ring::Ring> {
        Ok(RingOptions::new().capacity(256 << 10).polling(self.polling).open_or_create(&self.name)?)
    }
}

impl<const N: usize> link::Link<N> for Ring {
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static> {
        let mut sender = self.open()?.sender()?;
        Ok(move |message: &[u64; N]| sender.send(message.map(u64::to_ne_bytes).as_flattened()).expect("send"))
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static> {
        let mut receiver = self.open()?.receiver()?;
        Ok(move || link::words(&receiver.receive().expect("receive")))
    }
}

/// The newest value, of one writer.
#[derive(Clone)]
pub(crate) struct Newest(String);

impl Newest {
    pub(crate) fn new() -> Newest {
        Newest(unique("latest"))
    }

    fn open(&self) -> Result<Latest<[u64; 8]>> {
        Ok(LatestOptions::new().open_or_create(&self.0)?)
    }
}

impl link::Latest for Newest {
    fn reader(self) -> Result<impl FnMut() -> [u64; 8] + 'static> {
        let mut reader = self.open()?.reader();
        Ok(move || {
            let mut value = [0; 8];
            reader.read_into(&mut value).expect("read");
            value
        })
    }

    fn writer(self) -> Result<impl FnMut(&[u64; 8]) + 'static> {
        let mut writer = self.open()?.writer()?;
        Ok(move |value: &[u64; 8]| writer.set(value).expect("set"))
    }
}
