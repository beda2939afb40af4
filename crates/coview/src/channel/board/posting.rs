//! The end that posts, and, of a service, waits for answers.

use std::cell::Cell;
use std::fmt;
use std::task::Waker;
use std::time::Duration;

use super::{
    ANSWERED, Board, CANCELLED, Draft, FAILED, FILLING, FREE, Found, GLANCES, Mode, POSTERS, READY, SPINS, TAKEN,
    TRIES, Word, word,
};
use crate::channel::Listening;
use crate::channel::end::{Attached, Peer};
use crate::channel::frames::Payload;
use crate::error::{Error, ErrorKind, Result};
use crate::primitive::Ordering;
use crate::sys::wait::Deadline;

/// A poster's number as the owner of slots.
pub(super) fn owner(poster: usize) -> u32 {
    poster as u32 + 1
}

type Copied<'a, P> = (Draft<'a, P>, Option<Duration>);

/// This process, attached to post.
pub(in crate::channel) struct Posting {
    pub(in crate::channel) board: Board,
    end: Attached,
    index: usize,
    /// The first position that is not used, or one before it.
    tail: Cell<u64>,
    /// The slot that was taken last.
    last: Cell<usize>,
    /// Requests that have not been given up or released.
    open: Cell<u32>,
    /// Looks in vain.
    misses: Cell<u32>,
    deaths: Cell<u32>,
}

impl Posting {
    pub(in crate::channel) fn attach(board: Board) -> Result<Posting> {
        let side = board.posters();
        let Some(end) = side.attach(&board.view, POSTERS)? else {
            let why = format!("{POSTERS} are attached already, which is the most; end one");
            return Err(Error::new(ErrorKind::AlreadyExists, "attach to", why).on(board.shape.noun()));
        };
        let index = end.index(side.ends);
        if end.is_heir() {
            board.poster_is_gone(index);
        }
        let tail = Cell::new(board.end(board.latest(0, board.word(0)).max(board.first())));
        let deaths = Cell::new(board.takers().deaths.load(Ordering::Relaxed));
        let (last, open, misses) = (Cell::new(0), Cell::new(0), Cell::new(0));
        Ok(Posting { board, end, index, tail, last, open, misses, deaths })
    }

    /// The processes that take.
    pub(in crate::channel) fn peers(&self) -> Vec<Peer> {
        self.board.takers().peers().collect()
    }

    /// A loan for a message of `len` elements. `None`: the time is over.
    #[inline]
    pub(in crate::channel) fn loan<P>(&self, len: usize, timeout: Option<Duration>) -> Result<Option<Draft<'_, P>>>
    where
        P: Payload + ?Sized,
    {
        self.board.loan(owner(self.index), &self.last, self.board.bytes_of::<P>(len)?, timeout)
    }

    /// A copy of a message, and what is left of the time. `None`: it is over.
    #[inline]
    pub(in crate::channel) fn copy<P>(&self, message: &P, timeout: Option<Duration>) -> Result<Option<Copied<'_, P>>>
    where
        P: Payload + ?Sized,
    {
        let len = message.bytes().len() / P::UNIT;
        let until = timeout.filter(|timeout| !timeout.is_zero()).map(|timeout| Deadline::after(Some(timeout)));
        let Some(mut draft) = self.loan::<P>(len, timeout)? else { return Ok(None) };
        draft.copy(message);
        let left = until.map(|until| until.left().unwrap_or_default());
        Ok(Some((draft, left.or(timeout))))
    }

    /// Posts it; at which position. `None`: the time is over.
    #[inline]
    pub(in crate::channel) fn post<P>(&self, draft: &mut Draft<'_, P>, timeout: Option<Duration>) -> Result<Option<u64>>
    where
        P: Payload + ?Sized,
    {
        let at = match self.claim() {
            Some(at) => at,
            None => match self.wait(timeout)? {
                Some(at) => at,
                None => return Ok(None),
            },
        };
        let board = &self.board;
        let service = board.shape.mode == Mode::Service;
        let ready = Word::new(board.lap(at), READY).sent_by(if service { self.index } else { 0 });
        word::post(&board.cell(at).word, ready, || board.write(at, &draft.place, draft.len));
        board.hand_over(&draft.place);
        draft.sent();
        self.tail.set(at + 1);
        self.open.set(self.open.get() + u32::from(service));
        board.tell(&board.head().rare.posted);
        board.view.check_whole("send to")?;
        Ok(Some(at))
    }

    /// Takes the first position that is not used. `None`: there is no room.
    #[inline]
    fn claim(&self) -> Option<u64> {
        let board = &self.board;
        // Each time others were faster, or passed one over: not for ever, also if a peer writes over the words.
        for _ in 0..board.shape.cells {
            let at = board.end(self.tail.get());
            self.tail.set(at);
            let (word, lap) = (board.word(at), board.lap(at));
            let next = match word.state() {
                _ if word.lap() >= lap => continue,
                FREE => Word::new(lap, FILLING).held_by(self.index),
                FILLING | READY => return None,
                // Still in somebody's hands: it stays, and this position has no message.
                _ if self.has_room(at) => word.in_lap(lap),
                _ => return None,
            };
            if word::claim(&board.cell(at).word, word, next) && next.state() == FILLING {
                return Some(at);
            }
        }
        None
    }

    /// Whether there is a free cell behind those that are in somebody's hands.
    fn has_room(&self, at: u64) -> bool {
        let board = &self.board;
        for at in at..at + board.shape.cells {
            let word = board.word(at);
            match word.state() {
                _ if word.lap() >= board.lap(at) => return true,
                FREE => return true,
                FILLING | READY => return false,
                _ => {}
            }
        }
        false
    }

    #[cold]
    fn wait(&self, timeout: Option<Duration>) -> Result<Option<u64>> {
        let room = || self.has_room(self.board.end(self.tail.get()));
        self.board.wait(Deadline::after(timeout), room, || self.claim())
    }
}

/// Of a service: answers.
impl Posting {
    /// The answer to a request of ours, waiting for at most `timeout`. `None`: the time is over.
    #[inline]
    pub(in crate::channel) fn answer(&self, at: u64, timeout: Option<Duration>) -> Result<Option<Found>> {
        if timeout == Some(Duration::ZERO) {
            self.misses.set(self.misses.get().wrapping_add(1));
            return if self.misses.get().is_multiple_of(GLANCES) { self.sleep(at, timeout) } else { self.look(at) };
        }
        for _ in 0..SPINS {
            if let Some(found) = self.look(at)? {
                return Ok(Some(found));
            }
            std::hint::spin_loop();
        }
        self.sleep(at, timeout)
    }

    #[inline]
    fn look(&self, at: u64) -> Result<Option<Found>> {
        let word = self.board.word(at);
        match word.state() {
            ANSWERED | READY | TAKEN | FAILED if word.from() != self.index => {}
            ANSWERED => return self.board.read(at, self.board.shape.kinds[1]).map(Some),
            READY | TAKEN => return Ok(None),
            FAILED => return Err(failed("the server that had taken the request died, or gave it up")),
            _ => {}
        }
        Err(self.board.corrupt("a request is not there any more", at))
    }

    #[cold]
    fn sleep(&self, at: u64, timeout: Option<Duration>) -> Result<Option<Found>> {
        let (board, until) = (&self.board, Deadline::after(timeout));
        let side = board.takers();
        loop {
            // Acquire: pairs with the Release in `reclaim`: what the dead had answered is there.
            let deaths = side.deaths.load(Ordering::Acquire);
            if let Some(found) = self.look(at)? {
                return Ok(Some(found));
            }
            self.hear_of(deaths)?;
            let ready = || !matches!(board.word(at).state(), READY | TAKEN);
            let slept = side.sleep_and(|end| board.bury(end), until, deaths, false, ready);
            if !slept.map_err(|error| board.refused(error))? {
                return self.look(at);
            }
        }
    }

    /// The answer to a request of ours; `None`: there is none yet, and `waker` is woken when there may be.
    pub(in crate::channel) fn poll(&self, at: u64, listening: &mut Listening, waker: &Waker) -> Result<Option<Found>> {
        let board = &self.board;
        for _ in 0..TRIES {
            let side = board.takers();
            let deaths = side.deaths.load(Ordering::Acquire); // as in `sleep`
            if let Some(found) = self.look(at)? {
                return Ok(Some(found));
            }
            self.hear_of(deaths)?;
            let ready = || !matches!(board.word(at).state(), READY | TAKEN);
            let listens = side.listen_and(|end| board.bury(end), listening, waker, deaths, ready);
            if listens.map_err(|error| board.refused(error))? {
                return Ok(None);
            }
        }
        waker.wake_by_ref();
        Ok(None)
    }

    /// Nobody is there to take a request, because somebody died.
    fn hear_of(&self, deaths: u32) -> Result<()> {
        let changed = deaths != self.deaths.replace(deaths);
        match changed && self.board.takers().peers().next().is_none() {
            true => Err(failed("the server died before it took the request, and there is no other")),
            false => Ok(()),
        }
    }

    /// Gives a request of ours up, or its answer back.
    #[inline]
    pub(in crate::channel) fn release(&self, at: u64) {
        if !self.end.is_ours() {
            return;
        }
        let _ = self.board.change(at, |word| match word.state() {
            READY | ANSWERED | FAILED if word.from() == self.index => Some(word.to(FREE)),
            TAKEN if word.from() == self.index => Some(word.to(CANCELLED)),
            _ => None,
        });
        self.open.set(self.open.get().saturating_sub(1));
        self.board.tell(&self.board.head().rare.freed);
    }
}

fn failed(what: &str) -> Error {
    let why = format!("{what}; send it again if it may be done twice");
    Error::new(ErrorKind::PeerDied, "call", why).on("the service")
}

impl Drop for Posting {
    fn drop(&mut self) {
        if !self.end.is_ours() {
            return;
        }
        if self.open.get() > 0 {
            self.board.poster_is_gone(self.index); // requests that were forgotten
        } else {
            self.board.disown(owner(self.index)); // loans that were
        }
        self.board.tell(&self.board.head().rare.freed);
    }
}

impl fmt::Debug for Posting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Posting").field("board", &self.board).field("index", &self.index).finish_non_exhaustive()
    }
}
