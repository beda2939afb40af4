//! coview's own channels, as links.

use coview::frames::{self, FramesOptions, Growth, Policy};
use coview::latest::{Latest, LatestOptions};
use coview::ring::RingOptions;
use zerocopy::IntoBytes;

use crate::Result;
use crate::link;
use crate::link::{Picture, Viewer};
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
        Ok(move |message: &[u64; N]| sender.send(message.as_bytes()).expect("send"))
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

/// Frames of one publisher, for a subscriber that gets every one.
#[derive(Clone)]
pub(crate) struct Frames {
    name: String,
    waiting: Waiting,
}

/// How a receiver waits.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Waiting {
    Polling,
    Asleep,
}

impl Frames {
    pub(crate) fn new(waiting: Waiting) -> Frames {
        Frames { name: unique("frames"), waiting }
    }

    fn open<const N: usize>(&self) -> Result<frames::Frames<[u64; N]>> {
        Ok(FramesOptions::new().open_or_create(&self.name)?)
    }
}

/// The next frame, as soon as it is there.
fn polled<P: frames::Payload + ?Sized>(subscriber: &frames::Subscriber<P>) -> frames::Frame<'_, P> {
    loop {
        if let Some(frame) = subscriber.try_receive().expect("receive") {
            return frame;
        }
    }
}

impl<const N: usize> link::Link<N> for Frames {
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static> {
        let publisher = self.open::<N>()?.publisher()?;
        Ok(move |message: &[u64; N]| publisher.send(message).expect("send"))
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static> {
        let subscriber = self.open::<N>()?.subscriber(Policy::EveryFrame)?;
        Ok(move || match self.waiting {
            Waiting::Polling => *polled(&subscriber),
            Waiting::Asleep => *subscriber.receive().expect("receive"),
        })
    }
}

/// Frames of 3 MiB.
#[derive(Clone)]
pub(crate) struct Pictures {
    name: String,
    history: u32,
}

impl Pictures {
    /// `history`: how many frames stay for who comes late. None, and the next one may be written where the last one was read.
    pub(crate) fn new(history: u32) -> Pictures {
        Pictures { name: unique("pictures"), history }
    }

    fn open(&self) -> Result<frames::Frames<[u64]>> {
        Ok(FramesOptions::new().slot(link::PICTURE).history(self.history).open_or_create(&self.name)?)
    }
}

impl link::Pictures for Pictures {
    fn sender(self) -> Result<impl FnMut(Picture<'_>) + 'static> {
        let publisher = self.open()?.publisher()?;
        Ok(move |picture: Picture<'_>| {
            let mut loan = publisher.loan(link::PICTURE / 8).expect("loan");
            match picture {
                Picture::Untouched(word) => loan[0] = word,
                Picture::Whole(words) => loan.copy_from_slice(words),
            }
            loan.publish().expect("publish");
        })
    }

    fn receiver(self) -> Result<Viewer> {
        let subscriber = self.open()?.subscriber(Policy::EveryFrame)?;
        Ok(Box::new(move |read| read(&polled(&subscriber))))
    }
}

/// Frames of 3 MiB that are read while they are filled.
#[derive(Clone)]
pub(crate) struct Growing(Pictures);

impl Growing {
    pub(crate) fn new() -> Growing {
        Growing(Pictures::new(0))
    }
}

impl link::Pictures for Growing {
    fn sender(self) -> Result<impl FnMut(Picture<'_>) + 'static> {
        let publisher = self.0.open()?.publisher()?;
        Ok(move |picture: Picture<'_>| {
            let mut filling = publisher.loan(link::PICTURE / 8).expect("loan").publish_growing().expect("publish");
            match picture {
                Picture::Untouched(word) => filling.rest()[0] = word,
                Picture::Whole(words) => filling.write(words).expect("write"),
            }
            filling.finish().expect("finish");
        })
    }

    fn receiver(self) -> Result<Viewer> {
        let subscriber = self.0.open()?.subscriber(Policy::EveryFrame)?;
        Ok(Box::new(move |read| {
            let mut frame = loop {
                if let Some(frame) = subscriber.try_receive_growing().expect("receive") {
                    break frame;
                }
            };
            let mut seen = 0;
            loop {
                read(&frame[seen..]);
                seen = frame.len();
                match frame.try_grow().expect("grow") {
                    Some(Growth::Whole) => return read(&frame[seen..]),
                    growth => assert_ne!(growth, Some(Growth::Aborted), "it was given up"),
                }
            }
        }))
    }
}
