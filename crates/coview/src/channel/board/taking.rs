//! The end that takes, and gives answers.

use std::cell::Cell;
use std::fmt;
use std::task::Waker;
use std::time::Duration;

use super::{
    ANSWERED, Board, CANCELLED, Draft, FAILED, FILLING, FREE, Found, GLANCES, Mode, POSTERS, READY, SPINS, TAKEN,
    TAKERS, TRIES, word,
};
use crate::channel::Listening;
use crate::channel::end::{Attached, Peer};
use crate::channel::frames::Payload;
use crate::error::{Error, ErrorKind, Result};
use crate::primitive::Ordering;
use crate::sys::wait::Deadline;

/// A taker's number as the owner of slots.
pub(super) fn owner(taker: usize) -> u32 {
    (POSTERS + taker) as u32 + 1
}

/// This process, attached to take.
pub(in crate::channel) struct Taking {
    pub(in crate::channel) board: Board,
    end: Attached,
    index: usize,
    /// The next position to look at.
    at: Cell<u64>,
    /// Up to here there may be some that were given back, so each position is looked at.
    behind: Cell<u64>,
    returns: Cell<u32>,
    /// The slot that was taken last.
    last: Cell<usize>,
    /// Messages in our hands.
    held: Cell<u32>,
    /// Looks in vain.
    misses: Cell<u32>,
}

/// A message in our hands.
#[derive(Clone, Copy)]
pub(in crate::channel) struct Got {
    pub(in crate::channel) at: u64,
    pub(in crate::channel) found: Found,
    /// Of a service the client, of a queue how often it was handed out before.
    pub(in crate::channel) from: usize,
}

impl Taking {
    pub(in crate::channel) fn attach(board: Board) -> Result<Taking> {
        let side = board.takers();
        let Some(end) = side.attach(&board.view, TAKERS)? else {
            let why = format!("{TAKERS} take from it already, which is the most; end one");
            return Err(Error::new(ErrorKind::AlreadyExists, "attach to", why).on(board.shape.noun()));
        };
        let index = end.index(side.ends);
        if end.is_heir() {
            board.taker_is_gone(index);
        }
        board.tell(&board.head().rare.posted); // fellows sleep beside us, too
        // One before: so the first look goes back.
        let returns = Cell::new(board.head().rare.returns.load(Ordering::Relaxed).wrapping_sub(1));
        let first = board.latest(0, board.word(0)).max(board.first());
        let (at, behind) = (Cell::new(first), Cell::new(first));
        let (last, held, misses) = (Cell::new(0), Cell::new(0), Cell::new(0));
        Ok(Taking { board, end, index, at, behind, returns, last, held, misses })
    }

    /// The processes that post.
    pub(in crate::channel) fn peers(&self) -> Vec<Peer> {
        self.board.posters().peers().collect()
    }

    /// The next message, waiting for at most `timeout`. `None`: the time is over.
    #[inline]
    pub(in crate::channel) fn get(&self, timeout: Option<Duration>) -> Result<Option<Got>> {
        match self.look()? {
            None => self.wait(timeout),
            got => Ok(got),
        }
    }

    #[inline]
    fn look(&self) -> Result<Option<Got>> {
        let board = &self.board;
        // Acquire: pairs with the Release in `return_all`.
        let returns = board.head().rare.returns.load(Ordering::Acquire);
        if returns != self.returns.get() {
            self.look_back(returns);
        }
        let mut passed = false;
        // A peer that writes over the words does not keep us.
        for _ in 0..2 * board.shape.cells {
            let at = self.at.get();
            let (word, lap) = (board.word(at), board.lap(at));
            if word.lap() < lap {
                break;
            }
            if word.lap() > lap {
                // Posters are a lap ahead: what stood between was taken, or stands in a later lap now.
                self.at.set(at.max(board.latest(at, word).saturating_sub(board.shape.cells - 1)));
                continue;
            }
            match word.state() {
                READY => match self.take(at, passed)? {
                    Some(got) => return Ok(Some(got)),
                    None => continue,
                },
                // Soon, or its poster is dead: who waits here sleeps beside it.
                FILLING => return Ok(None),
                FAILED if board.shape.mode == Mode::AtMostOnce => self.report(at)?,
                _ => {}
            }
            self.pass(at, !passed);
            passed = true;
        }
        Ok(None)
    }

    /// Takes what is ready. `None`: somebody else was faster.
    #[inline]
    fn take(&self, at: u64, passed: bool) -> Result<Option<Got>> {
        let board = &self.board;
        let lap = board.lap(at);
        let Some(word) = word::take(&board.cell(at).word, lap, self.index) else { return Ok(None) };
        self.held.set(self.held.get() + 1);
        self.at.set(at + 1);
        if passed && at >= self.behind.get() {
            board.head().front.at.store(at + 1, Ordering::Relaxed);
        }
        match board.read(at, board.shape.kinds[0]) {
            Ok(found) => Ok(Some(Got { at, found, from: word.from() })),
            Err(error) => {
                match board.shape.mode {
                    Mode::Service => self.give_up(at),
                    Mode::AtLeastOnce | Mode::AtMostOnce => self.finish(at),
                }
                Err(error)
            }
        }
    }

    /// Goes on behind a position that others have dealt with, or further if they have dealt with more.
    fn pass(&self, at: u64, ask: bool) {
        let mut next = at + 1;
        if ask && at >= self.behind.get() {
            let front = self.board.head().front.at.load(Ordering::Relaxed);
            if front > next && front - next < self.board.shape.cells {
                next = front;
            }
        }
        self.at.set(next);
    }

    /// Something was given back: it may stand in any cell.
    #[cold]
    fn look_back(&self, returns: u32) {
        let end = self.board.end(self.at.get());
        self.returns.set(returns);
        self.behind.set(end);
        self.at.set(end.saturating_sub(self.board.shape.cells).max(self.board.first()));
    }

    /// A message was lost: whoever makes it a free cell tells.
    #[cold]
    fn report(&self, at: u64) -> Result<()> {
        let lost = self.board.change(at, |word| (word.state() == FAILED).then(|| word.to(FREE)));
        if lost.is_err() {
            return Ok(());
        }
        self.board.tell(&self.board.head().rare.freed);
        let why = "a consumer died with a message in its hands, or gave it up: it is lost; the next ones follow";
        Err(Error::new(ErrorKind::PeerDied, "receive from", why).on(self.board.shape.noun()))
    }

    #[inline(never)]
    fn wait(&self, timeout: Option<Duration>) -> Result<Option<Got>> {
        if timeout == Some(Duration::ZERO) {
            self.misses.set(self.misses.get().wrapping_add(1));
            return if self.misses.get().is_multiple_of(GLANCES) { self.sleep(timeout) } else { Ok(None) };
        }
        for _ in 0..SPINS {
            if let Some(got) = self.look()? {
                return Ok(Some(got));
            }
            std::hint::spin_loop();
        }
        self.sleep(timeout)
    }

    /// Sleeps until there is a message. `None`: the time is over.
    #[cold]
    fn sleep(&self, timeout: Option<Duration>) -> Result<Option<Got>> {
        let (board, until) = (&self.board, Deadline::after(timeout));
        loop {
            let (side, takers) = (board.everybody(), board.takers());
            // Acquire: pairs with the Release in `reclaim`: what the dead had is handed on.
            let deaths = [side, takers].map(|side| side.deaths.load(Ordering::Acquire));
            if let Some(got) = self.look()? {
                return Ok(Some(got));
            }
            let ready = || self.is_news() || takers.deaths.load(Ordering::Acquire) != deaths[1];
            let slept = side.sleep_and(|end| board.bury(end), until, deaths[0], false, ready);
            if !slept.map_err(|error| board.refused(error))? {
                return self.look();
            }
        }
    }

    /// The next message; `None`: there is none, and `waker` is woken when there may be.
    pub(in crate::channel) fn poll(&self, listening: &mut Listening, waker: &Waker) -> Result<Option<Got>> {
        let board = &self.board;
        for _ in 0..TRIES {
            let (side, takers) = (board.everybody(), board.takers());
            let deaths = [side, takers].map(|side| side.deaths.load(Ordering::Acquire)); // as in `sleep`
            if let Some(got) = self.look()? {
                return Ok(Some(got));
            }
            let ready = || self.is_news() || takers.deaths.load(Ordering::Acquire) != deaths[1];
            let listens = side.listen_and(|end| board.bury(end), listening, waker, deaths[0], ready);
            if listens.map_err(|error| board.refused(error))? {
                return Ok(None);
            }
        }
        waker.wake_by_ref();
        Ok(None)
    }

    /// Whether a look may show more than the last one.
    fn is_news(&self) -> bool {
        let (at, board) = (self.at.get(), &self.board);
        let word = board.word(at);
        let still = word.lap() < board.lap(at) || word.lap() == board.lap(at) && word.state() == FILLING;
        !still || board.head().rare.returns.load(Ordering::Acquire) != self.returns.get()
    }
}

/// What is in our hands.
impl Taking {
    /// It is done.
    #[inline]
    pub(in crate::channel) fn finish(&self, at: u64) {
        word::finish(&self.board.cell(at).word, self.index);
        self.let_go();
    }

    /// It is not done: as if we had died with it.
    #[cold]
    pub(in crate::channel) fn give_up(&self, at: u64) {
        if !self.end.is_ours() {
            return;
        }
        let _ = self.board.give_up(at, self.index);
        self.let_go();
        self.board.return_all();
    }

    fn let_go(&self) {
        self.held.set(self.held.get().saturating_sub(1));
        self.board.tell(&self.board.head().rare.freed);
    }

    /// A loan for an answer of `len` elements. `None`: the time is over.
    #[inline]
    pub(in crate::channel) fn loan<P>(&self, len: usize, timeout: Option<Duration>) -> Result<Option<Draft<'_, P>>>
    where
        P: Payload + ?Sized,
    {
        self.board.loan(owner(self.index), &self.last, self.board.bytes_of::<P>(len)?, timeout)
    }

    /// Gives the answer, unless nobody waits for it any more.
    #[inline]
    pub(in crate::channel) fn answer<P: Payload + ?Sized>(&self, at: u64, draft: &mut Draft<'_, P>) {
        let board = &self.board;
        board.write(at, &draft.place, draft.len);
        let _ = board.change(at, |word| match word.state() {
            TAKEN if word.by() == self.index => Some(word.to(ANSWERED)),
            CANCELLED if word.by() == self.index => Some(word.to(FREE)),
            _ => None,
        });
        board.hand_over(&draft.place);
        draft.sent();
        self.let_go();
    }

    /// Whether the one it is from does not wait for the answer any more.
    pub(in crate::channel) fn is_cancelled(&self, got: &Got) -> bool {
        let cancelled = || self.board.word(got.at).is(CANCELLED, self.index);
        cancelled() || {
            let end = self.board.posters().ends.get(got.from);
            end.is_none_or(|end| self.board.bury(end)) || cancelled()
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        if !self.end.is_ours() {
            return;
        }
        if self.held.get() > 0 {
            return self.board.taker_is_gone(self.index); // messages that were forgotten
        }
        self.board.disown(owner(self.index)); // loans that were
        self.board.tell(&self.board.head().rare.freed);
    }
}

impl fmt::Debug for Taking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taking").field("board", &self.board).field("index", &self.index).finish_non_exhaustive()
    }
}
