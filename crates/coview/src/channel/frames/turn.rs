//! Whose turn it is to publish: one at a time, under a lock; or, as long as it is alone, a publisher without one.
//!
//! A lock costs more than a small frame. So who has the turn and sees no other publisher gives itself a *standing turn*: from then on it
//! says "inside", looks that the standing turn is still its own, and is in turn. Anybody else takes the lock, marks the standing turn
//! as ending, has the kernel order that before what it looks at next, and waits until the other is not inside, or dead.

use std::time::Duration;

use super::PUBLISHERS;
use super::store::{Store, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::primitive::{AtomicU32, Ordering};
use crate::step::is_broken;
use crate::sys::lock::Words;
use crate::sys::wait::{Deadline, heavy_fence, light_fence, spin};

/// Whoever has the turn is some hundred instructions from giving it back.
const PATIENCE: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(5)];
/// In the word of the standing turn: somebody waits for its end.
const ENDING: u32 = 1 << 31;
/// Between two looks whether a publisher is out of its standing turn.
const PAUSE: Duration = Duration::from_micros(50);
/// How long a store may take to be seen by others where the kernel cannot be asked: far longer than one does.
const UNFENCED: Duration = Duration::from_millis(1);

/// What publishers write in turn.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Turns {
    lock: Words,
    /// The publisher with a standing turn, counted from 1, and `ENDING`; 0: nobody.
    standing: AtomicU32,
    reserved: [AtomicU32; 5],
    /// The newest frame, or the one before it.
    pub(super) newest: crate::primitive::AtomicU64,
    /// No slot is told of by a frame before this one.
    pub(super) oldest: crate::primitive::AtomicU64,
}

/// What a publisher with a standing turn writes.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Desk {
    inside: AtomicU32,
}

/// This thread's turn to publish, until it is dropped.
pub(super) enum Turn<'a> {
    InLine(&'a Words),
    Standing(&'a Desk),
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        match self {
            // It fails only when a peer wrote over the words.
            Turn::InLine(lock) => drop(lock.unlock(false)),
            Turn::Standing(desk) => desk.leave(),
        }
    }
}

impl Desk {
    pub(super) fn leave(&self) {
        self.inside.store(0, Ordering::Release); // pairs with the Acquire in `end_standing`
    }
}

impl Store {
    /// Waits for the turn, as this publisher or as nobody's. `None`: the time is over.
    #[inline]
    pub(super) fn turn(&self, publisher: Option<usize>, until: Deadline) -> Result<Option<Turn<'_>>> {
        match publisher.and_then(|publisher| self.standing(publisher)) {
            None => self.in_line(publisher, until),
            turn => Ok(turn),
        }
    }

    #[inline]
    fn standing(&self, publisher: usize) -> Option<Turn<'_>> {
        let (standing, mine) = (&self.head().turns.standing, publisher as u32 + 1);
        if standing.load(Ordering::Relaxed) != mine {
            return None;
        }
        let desk = &self.head().desks[publisher];
        desk.inside.store(1, Ordering::Relaxed);
        light_fence(); // pairs with the heavy one in `end_standing`
        if standing.load(Ordering::Relaxed) == mine {
            return Some(Turn::Standing(desk));
        }
        desk.leave();
        None
    }

    #[cold]
    fn in_line(&self, publisher: Option<usize>, until: Deadline) -> Result<Option<Turn<'_>>> {
        let lock = &self.head().turns.lock;
        // Abandoned or not: every step under it leaves what the next one can go on from.
        let taken = match lock.lock(Some(PATIENCE[0])).map_err(refused)? {
            None => match until.left() {
                Some(left) => lock.lock(Some(left.min(PATIENCE[1]))).map_err(refused)?,
                None => return Ok(None),
            },
            taken => taken,
        };
        let turn = taken.map(|_| Turn::InLine(lock));
        if turn.is_some() && self.end_standing(publisher, until) {
            self.stand(publisher);
            return Ok(turn);
        }
        drop(turn);
        if until.left().is_none() {
            return Ok(None);
        }
        let why = "a publisher has been standing still in the middle of publishing for seconds; \
                   let it go on or end it, and try again";
        Err(Error::new(ErrorKind::TimedOut, "publish to", why).on("the frames"))
    }

    /// Ends the standing turn of whoever has it: waits until that is out of it, or dead. `false`: it stands still there.
    fn end_standing(&self, me: Option<usize>, until: Deadline) -> bool {
        let (head, patience) = (self.head(), Deadline::after(Some(PATIENCE[1])));
        let standing = &head.turns.standing;
        let word = standing.load(Ordering::Relaxed);
        let whose = (word & !ENDING).wrapping_sub(1) as usize;
        // Else there is none, it is ours and we are not inside, or a peer wrote over it.
        if whose < PUBLISHERS && Some(whose) != me && !is_broken("frames: a standing turn is not waited for") {
            // Until it has ended it is marked: whoever dies here, the next one waits in its place.
            standing.store(word | ENDING, Ordering::Relaxed);
            if !heavy_fence() {
                std::thread::sleep(UNFENCED);
            }
            let desk = &head.desks[whose];
            let is_out = || desk.inside.load(Ordering::Acquire) == 0; // pairs with the Release in `leave`
            while !spin(is_out) {
                if self.bury(&head.ends[whose]) {
                    break;
                }
                if until.left().is_none() || patience.left().is_none() {
                    return false;
                }
                std::thread::sleep(PAUSE);
            }
        }
        standing.store(0, Ordering::Relaxed);
        true
    }

    /// Gives this publisher a standing turn if it is alone. It need not be right about that: who comes later ends it.
    fn stand(&self, publisher: Option<usize>) {
        let head = self.head();
        let Some(me) = publisher else { return };
        if head.ends[..PUBLISHERS].iter().enumerate().all(|(index, end)| index == me || end.is_free()) {
            head.turns.standing.store(me as u32 + 1, Ordering::Relaxed);
        }
    }
}
