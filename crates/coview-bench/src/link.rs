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

/// The bytes of a large frame: a picture of 1024 × 1024 pixels.
pub(crate) const PICTURE: usize = 3 << 20;

/// What a large frame is filled with.
pub(crate) enum Picture<'a> {
    /// Its first word; the rest stays as it is.
    Untouched(u64),
    Whole(&'a [u64]),
}

/// Waits for a large frame and shows it.
pub(crate) type Viewer = Box<dyn FnMut(&mut dyn FnMut(&[u64]))>;

/// One direction for large frames, which are filled and read in place, or as close to it as there is.
pub(crate) trait Pictures: Clone + 'static {
    fn sender(self) -> Result<impl FnMut(Picture<'_>) + 'static>;
    /// Waits for a frame and shows it, whole or in parts.
    fn receiver(self) -> Result<Viewer>;
}

/// Large frames go there and come back one at a time. `touched`: each side fills its own from memory of its own and reads the other's.
pub(crate) fn pictures(there: impl Pictures, back: impl Pictures, touched: bool) -> Sides {
    let (far_there, far_back) = (there.clone(), back.clone());
    Sides::both(
        move || {
            let (mut send, mut receive) = (there.sender()?, back.receiver()?);
            let mut source = vec![0u64; PICTURE / 8];
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    count += 1;
                    show(&mut send, &mut source, count, touched);
                    assert_eq!(look(&mut receive, touched), expected(count, touched), "another frame came back");
                })
            })
        },
        move || {
            let (mut receive, mut send) = (far_there.receiver()?, far_back.sender()?);
            let mut source = vec![0u64; PICTURE / 8];
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    count += 1;
                    assert_eq!(look(&mut receive, touched), expected(count, touched), "another frame came");
                    show(&mut send, &mut source, count, touched);
                })
            })
        },
    )
}

fn show(send: &mut impl FnMut(Picture<'_>), source: &mut [u64], count: u64, touched: bool) {
    // In its last word too: who reads it whole sees that.
    source[0] = count;
    source[PICTURE / 8 - 1] = count;
    send(if touched { Picture::Whole(source) } else { Picture::Untouched(count) });
}

/// What a reader finds: the sum of all words, or the first.
fn look(receive: &mut Viewer, touched: bool) -> u64 {
    let mut found = 0u64;
    receive(&mut |words| match touched {
        true => found = words.iter().fold(found, |sum, word| sum.wrapping_add(*word)),
        false => found = words[0],
    });
    found
}

fn expected(count: u64, touched: bool) -> u64 {
    if touched { 2 * count } else { count }
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
