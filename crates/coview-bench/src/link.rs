//! A direction that messages take from one process to another, and what can be measured of any.

use crate::Result;
use crate::pair::{Sides, Turn};

/// One direction, for messages of N words. Made before the processes part; each opens its own end.
pub(crate) trait Link<const N: usize>: Clone + 'static {
    /// The end that sends; it may wait for room.
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static>;
    /// The end that waits for a message and takes it.
    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static>;
}

/// Messages go there and come back one at a time; each is written and read.
pub(crate) fn round_trip<const N: usize>(there: impl Link<N>, back: impl Link<N>) -> Sides {
    let (far_there, far_back) = (there.clone(), back.clone());
    Sides::both(
        move || {
            let (mut send, mut receive) = (there.sender()?, back.receiver()?);
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    count += 1;
                    turn.let_sleep();
                    send(&[count; N]);
                    assert!(is(&receive(), count), "another message came back");
                })
            })
        },
        move || {
            let (mut receive, mut send) = (far_there.receiver()?, far_back.sender()?);
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    let message = receive();
                    turn.let_sleep();
                    send(&message);
                })
            })
        },
    )
}

/// Messages go one way as fast as they can. The far side's time counts: it ends when the last one has come.
pub(crate) fn one_way<const N: usize>(link: impl Link<N>) -> Sides {
    let far = link.clone();
    Sides::both(
        move || {
            let mut send = link.sender()?;
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    count += 1;
                    send(&[count; N]);
                })
            })
        },
        move || {
            let mut receive = far.receiver()?;
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    count += 1;
                    assert!(is(&receive(), count), "lost, torn or out of order");
                })
            })
        },
    )
}

/// Whether all words are this one. By hand: the comparison of arrays is a call.
fn is<const N: usize>(message: &[u64; N], word: u64) -> bool {
    message.iter().fold(0, |differ, each| differ | (each ^ word)) == 0
}

/// The words of a message that came as bytes.
pub(crate) fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut message = [0; N];
    let (whole, rest) = bytes.as_chunks();
    assert!(whole.len() == N && rest.is_empty(), "a message of another length came");
    message.iter_mut().zip(whole).for_each(|(word, bytes)| *word = u64::from_ne_bytes(*bytes));
    message
}

/// The newest value of one process, for another to look at.
pub(crate) trait Latest: Clone + 'static {
    /// Opened first, since some want the reader to make the place.
    fn reader(self) -> Result<impl FnMut() -> [u64; 8] + 'static>;
    fn writer(self) -> Result<impl FnMut(&[u64; 8]) + 'static>;
}

/// Reads while nobody writes.
pub(crate) fn idle(latest: impl Latest) -> Sides {
    let far = latest.clone();
    Sides::both(
        move || {
            let mut read = latest.reader()?;
            Ok(move |turn: &Turn| turn.repeat(|| _ = std::hint::black_box(read())))
        },
        move || {
            let mut write = far.writer()?;
            write(&[1; 8]);
            // The writer is there, and lives on.
            Ok(move |_: &Turn| {
                let _ = &mut write;
                0
            })
        },
    )
}

/// Reads and writes as fast as both can, until the time is over.
pub(crate) fn busy(latest: impl Latest) -> Sides {
    let far = latest.clone();
    Sides::both(
        move || {
            let mut read = latest.reader()?;
            Ok(move |turn: &Turn| {
                turn.until_over(|| {
                    let value = std::hint::black_box(read());
                    assert_eq!(value[0], value[7], "torn");
                })
            })
        },
        move || {
            let mut write = far.writer()?;
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.until_over(|| {
                    count += 1;
                    write(&[count; 8]);
                })
            })
        },
    )
}
