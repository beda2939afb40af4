//! Frames and loans beside the ends that they are borrowed from: Python has no lifetimes.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use coview::frames::{Kept, Loan, Publisher, Subscriber};
use parking_lot::{ArcMutexGuard, Mutex, RawMutex};

type Subscribing = ArcMutexGuard<RawMutex, Subscriber<[u8]>>;

/// A frame, and the subscriber that it came from.
pub(crate) struct Received {
    /// Before the end: dropped first.
    frame: Option<Arc<Kept<'static, [u8]>>>,
    number: u64,
    lost: u64,
    _end: Arc<Mutex<Subscriber<[u8]>>>,
}

impl Received {
    /// The next frame of a subscriber that it is our turn with.
    pub(crate) fn next(end: &mut Subscribing, timeout: Duration) -> coview::Result<Option<Received>> {
        let Some(frame) = end.receive_timeout(timeout)? else { return Ok(None) };
        // SAFETY: what it borrows is inside of the mutex that `_end` keeps, where it does not move, and of which this crate makes
        // shared references alone; it is dropped before that.
        let frame = unsafe { std::mem::transmute::<Kept<'_, [u8]>, Kept<'static, [u8]>>(frame.keep()) };
        let (number, lost) = (frame.number(), frame.lost());
        let _end = Arc::clone(ArcMutexGuard::mutex(end));
        Ok(Some(Received { frame: Some(Arc::new(frame)), number, lost, _end }))
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Lets others write its slot. The memory stays, which may be looked at; bytes of its own stay with it.
    pub(super) fn give_back(&mut self) {
        self.frame.take_if(|frame| frame.is_in_slot());
    }

    /// Its bytes, which stay where they are as long as `self`.
    pub(super) fn bytes(&self) -> (*const u8, usize) {
        let bytes: &[u8] = self.frame.as_ref().map_or(&[], |frame| frame);
        (bytes.as_ptr(), bytes.len())
    }
}

/// Resolves when the subscriber has a frame, or a death to tell. It has its turn at it all the while.
pub(crate) fn readable(end: Subscribing) -> impl Future<Output = coview::Result<()>> + Send {
    Turn(Box::pin(async move { end.readable().await }))
}

/// A future that has an end for itself.
struct Turn<F>(Pin<Box<F>>);

// SAFETY: what keeps `F` from being Send is a shared reference to an end that is Send, whose only user it is: it owns the guard.
unsafe impl<F: Future> Send for Turn<F> {}

impl<F: Future> Future for Turn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().poll(context)
    }
}

/// A publisher and its loans, by number.
pub(crate) struct Desk {
    // Before the publisher: dropped first.
    loans: HashMap<u64, Box<Loan<'static, [u8]>>>,
    publisher: Rc<Publisher<[u8]>>,
    next: u64,
    /// Numbers of loans that Python has forgotten.
    forgotten: Arc<Mutex<Vec<u64>>>,
}

// SAFETY: a publisher is Send; its loans, and the one reference to it, go where it goes and are used by who has all.
unsafe impl Send for Desk {}

/// A loan as Python has it: where its bytes are, and which it is.
pub(crate) struct Lent {
    /// Of a frame that takes no slot, until it is published.
    small: Option<Vec<u8>>,
    at: *mut u8,
    len: usize,
    number: u64,
    forgotten: Arc<Mutex<Vec<u64>>>,
    /// Keeps the memory.
    desk: Arc<Mutex<Desk>>,
}

// SAFETY: the address is one of shared memory that `desk` keeps, or of `small`; whoever touches the bytes is Python.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Drop for Lent {
    fn drop(&mut self) {
        // The desk may be another thread's for now, which looks here.
        self.forgotten.lock().push(self.number);
        if let Some(mut desk) = self.desk.try_lock() {
            desk.tidy();
        }
    }
}

impl Lent {
    pub(crate) fn bytes(&self) -> (*mut u8, usize) {
        (self.at, self.len)
    }

    pub(crate) fn desk(&self) -> &Arc<Mutex<Desk>> {
        &self.desk
    }
}

impl Desk {
    pub(crate) fn new(publisher: Publisher<[u8]>) -> Desk {
        Desk { loans: HashMap::new(), publisher: Rc::new(publisher), next: 0, forgotten: Arc::default() }
    }

    /// Gives back what Python has forgotten.
    fn tidy(&mut self) {
        for number in std::mem::take(&mut *self.forgotten.lock()) {
            self.loans.remove(&number);
        }
    }

    pub(crate) fn publisher(&self) -> &Publisher<[u8]> {
        &self.publisher
    }

    /// A loan of `len` bytes of zeros or whatever was there.
    pub(crate) fn lend(
        guard: &mut ArcMutexGuard<RawMutex, Desk>,
        len: usize,
        timeout: Duration,
    ) -> coview::Result<Option<Lent>> {
        guard.tidy();
        let desk = Arc::clone(ArcMutexGuard::mutex(guard));
        let Some(loan) = guard.publisher.loan_timeout(len, timeout)? else { return Ok(None) };
        // SAFETY: it borrows the publisher, which stays where its `Rc` has it, and of which shared references alone are made; the
        // loans are dropped before it.
        let loan = unsafe { std::mem::transmute::<Loan<'_, [u8]>, Loan<'static, [u8]>>(loan) };
        let mut loan = Box::new(loan);
        let bytes = loan.as_mut_ptr();
        // The bytes of a small frame stand in the loan itself, which is gone when it is published.
        let own = std::ptr::from_ref(&*loan).addr();
        let is_inside = (own..own + size_of_val(&*loan)).contains(&bytes.addr());
        let mut small = is_inside.then(|| vec![0; len]);
        let at = small.as_mut().map_or(bytes, |small| small.as_mut_ptr());
        guard.next += 1;
        let number = guard.next;
        guard.loans.insert(number, loan);
        Ok(Some(Lent { small, at, len, number, forgotten: Arc::clone(&guard.forgotten), desk }))
    }

    /// Lets the bytes of a loan be filled.
    pub(crate) fn fill(&mut self, lent: &Lent, fill: impl FnOnce(&mut [u8])) {
        if self.has(lent) {
            // SAFETY: `len` bytes that are mapped or in `small`, as long as `lent`; nobody publishes them meanwhile, as `self` is ours,
            // and a Python program that writes there too has a mixture.
            fill(unsafe { std::slice::from_raw_parts_mut(lent.at, lent.len) });
        }
    }

    /// Gives a loan back.
    pub(crate) fn abort(&mut self, lent: &Lent) {
        self.loans.remove(&lent.number);
    }

    /// Whether a loan is still to be published.
    pub(crate) fn has(&self, lent: &Lent) -> bool {
        self.loans.contains_key(&lent.number)
    }

    /// Publishes the first `len` bytes. `false`: the time is over, and it stays a loan.
    pub(crate) fn publish(&mut self, lent: &Lent, len: usize, timeout: Duration) -> coview::Result<bool> {
        let Some(mut loan) = self.loans.remove(&lent.number) else { return Ok(true) };
        if lent.small.is_some() {
            let from = lent.at.cast_const();
            // SAFETY: `small` has as many bytes as the loan, and nobody but Python has it, which waits for this call.
            unsafe { std::ptr::copy_nonoverlapping(from, loan.as_mut_ptr(), lent.len) };
        }
        loan.truncate(len);
        match loan.publish_timeout(timeout)? {
            Ok(()) => Ok(true),
            Err(loan) => {
                self.loans.insert(lent.number, Box::new(loan));
                Ok(false)
            }
        }
    }
}
