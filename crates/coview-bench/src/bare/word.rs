//! Words that one process changes and another watches: by polling, or asleep on a futex.

use std::cell::UnsafeCell;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::thread::futex;

use super::memory::{Line, shared};
use crate::Result;
use crate::link::Link;
use crate::pair::{Sides, Turn};

/// Round trip of a changed word, both sides polling: the limit for everything that passes messages.
pub(crate) fn ping_pong(one_line: bool) -> Result<Sides> {
    let (ping, pong): (&AtomicU64, &AtomicU64) = if one_line {
        let both = shared(Line([const { AtomicU64::new(0) }; 2]))?;
        (&both[0], &both[1])
    } else {
        let each = shared([Line(AtomicU64::new(0)), Line(AtomicU64::new(0))])?;
        (&each[0], &each[1])
    };
    // Relaxed: the word itself is all that is passed.
    let await_change = |word: &AtomicU64, seen: &mut u64| {
        while word.load(Ordering::Relaxed) == *seen {}
        *seen += 1;
    };
    let (mut near, mut far) = (0, 0);
    Ok(Sides::both(
        move || {
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    ping.store(near + 1, Ordering::Relaxed);
                    await_change(pong, &mut near);
                })
            })
        },
        move || {
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    await_change(ping, &mut far);
                    pong.store(far, Ordering::Relaxed);
                })
            })
        },
    ))
}

/// A word that counts messages, and the one there is, beside it.
struct Slot<const N: usize> {
    word: AtomicU32,
    data: UnsafeCell<[u64; N]>,
}

// SAFETY: the sender writes `data` before it counts `word` up, the receiver reads it after it has seen that, and the
// sender writes again only when it was answered: the links below take one message at a time.
unsafe impl<const N: usize> Sync for Slot<N> {}

impl<const N: usize> Slot<N> {
    fn new() -> io::Result<&'static Slot<N>> {
        Ok(&shared(Line(Slot { word: AtomicU32::new(0), data: UnsafeCell::new([0; N]) }))?.0)
    }

    fn put(&self, count: u32, message: &[u64; N]) {
        // SAFETY: the receiver has answered the message before this one, so it does not read here now.
        unsafe { *self.data.get() = *message };
        self.word.store(count, Ordering::Release); // pairs with the Acquire of `is_at`
    }

    fn is_at(&self, count: u32) -> bool {
        self.word.load(Ordering::Acquire) == count // pairs with the Release of `put`: the message is whole
    }

    fn take(&self) -> [u64; N] {
        // SAFETY: the caller saw that it is there, and the sender waits for an answer.
        unsafe { *self.data.get() }
    }
}

/// One message at a time, its receiver polling.
#[derive(Clone)]
pub(crate) struct Polled<const N: usize>(&'static Slot<N>);

impl<const N: usize> Polled<N> {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Polled(Slot::new()?))
    }
}

impl<const N: usize> Link<N> for Polled<N> {
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static> {
        let mut sent = 0u32;
        Ok(move |message: &[u64; N]| {
            sent = sent.wrapping_add(1);
            self.0.put(sent, message);
        })
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static> {
        let mut next = 0u32;
        Ok(move || {
            next = next.wrapping_add(1);
            while !self.0.is_at(next) {}
            self.0.take()
        })
    }
}

/// One message at a time, its receiver asleep on a shared futex. No spinning, no look whether anybody sleeps.
#[derive(Clone)]
pub(crate) struct Futex<const N: usize>(&'static Slot<N>);

impl<const N: usize> Futex<N> {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Futex(Slot::new()?))
    }
}

impl<const N: usize> Link<N> for Futex<N> {
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static> {
        let mut sent = 0u32;
        Ok(move |message: &[u64; N]| {
            sent = sent.wrapping_add(1);
            self.0.put(sent, message);
            futex::wake(&self.0.word, futex::Flags::empty(), 1).expect("FUTEX_WAKE");
        })
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static> {
        let mut seen = 0u32;
        Ok(move || {
            let next = seen.wrapping_add(1);
            while !self.0.is_at(next) {
                // It has changed meanwhile, or a signal came: look again.
                let _ = futex::wait(&self.0.word, futex::Flags::empty(), seen, None);
            }
            seen = next;
            self.0.take()
        })
    }
}
