//! `Ring`: records of any length from senders to a receiver.

use coview::ring::{Receiver as Receiving, RingOptions, Sender as Sending};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::awaiting::{Awaiting, Finish};
use crate::buffer::Source;
use crate::channel::{End, Open, end};
use crate::error::{OrRaise, timed_out};
use crate::mapping::Share;
use crate::wait::{timeout as time, wait};

/// A named ring: bytes that flow from senders to one receiver, in records of any length. What is sent waits in the ring, whether a
/// receiver is attached or not; a record is there whole or not at all, whoever dies.
///
///     ring = Ring.create("Log", 1 << 20)
///     ring.sender().send(b"23.5 C")
#[pyclass(frozen, module = "coview")]
pub(crate) struct Ring {
    ring: Open<coview::ring::Ring>,
    name: String,
}

/// The end that sends; its threads take turns. Closed or forgotten, it is free for another.
#[pyclass(frozen, module = "coview")]
pub(crate) struct Sender(End<Sending>);

/// The end that receives; its threads take turns. Closed or forgotten, it is free for another, who goes on where this one was.
#[pyclass(frozen, module = "coview")]
pub(crate) struct Receiver(End<Receiving>);

impl Ring {
    fn of(ring: coview::ring::Ring, name: &str) -> Ring {
        Ring { ring: Open::new("ring", ring), name: name.to_owned() }
    }
}

#[pymethods]
impl Ring {
    /// Makes a ring of that name with at least `capacity` bytes for records (64 KiB): a power of two from 4 KiB to 1 GiB.
    ///
    /// several_senders: up to 16 at once. polling: nobody sleeps, both sides only look.
    /// Raises AlreadyExistsError (FileExistsError).
    #[staticmethod]
    #[pyo3(signature = (name, capacity=65536, *, several_senders=false, polling=false, share=Share::default()))]
    fn create(
        py: Python<'_>,
        name: &str,
        capacity: usize,
        several_senders: bool,
        polling: bool,
        share: Share,
    ) -> PyResult<Ring> {
        let options = RingOptions::new().capacity(capacity).several_senders(several_senders).polling(polling);
        options.share(share.0).create(name).or_raise(py).map(|ring| Ring::of(ring, name))
    }

    /// Opens the live ring of that name. Raises NotFoundError (FileNotFoundError).
    #[staticmethod]
    fn open(py: Python<'_>, name: &str) -> PyResult<Ring> {
        coview::ring::Ring::open(name).or_raise(py).map(|ring| Ring::of(ring, name))
    }

    /// Makes a ring of that name, or opens the live one, which keeps its capacity and kind.
    #[staticmethod]
    #[pyo3(signature = (name, capacity=65536, *, several_senders=false, polling=false, share=Share::default()))]
    fn open_or_create(
        py: Python<'_>,
        name: &str,
        capacity: usize,
        several_senders: bool,
        polling: bool,
        share: Share,
    ) -> PyResult<Ring> {
        let options = RingOptions::new().capacity(capacity).several_senders(several_senders).polling(polling);
        options.share(share.0).open_or_create(name).or_raise(py).map(|ring| Ring::of(ring, name))
    }

    /// The name it was made or opened by.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Bytes for records.
    #[getter]
    fn capacity(&self) -> PyResult<usize> {
        Ok(self.ring.get()?.capacity())
    }

    /// Attaches a sender. Raises AlreadyExistsError if somebody sends already and the ring is for one.
    fn sender(&self, py: Python<'_>) -> PyResult<Sender> {
        self.ring.get()?.sender().or_raise(py).map(|sender| Sender(end("sender", sender)))
    }

    /// Attaches the receiver. Raises AlreadyExistsError if somebody receives already.
    fn receiver(&self, py: Python<'_>) -> PyResult<Receiver> {
        self.ring.get()?.receiver().or_raise(py).map(|receiver| Receiver(end("receiver", receiver)))
    }

    /// Closes it; its ends stay.
    fn close(&self) {
        self.ring.close();
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, (String,))> {
        Ok((slf.get_type().getattr("open")?.unbind(), (slf.get().name.clone(),)))
    }

    fn __repr__(&self) -> String {
        format!("<coview.Ring {}>", self.name)
    }
}

impl Sender {
    fn put(&self, py: Python<'_>, record: &Source, seconds: Option<f64>) -> PyResult<bool> {
        let mut end = self.0.take(py)?;
        let sent = wait(py, time(seconds)?, |slice| match end.claim_timeout(record.len(), slice)? {
            Some(mut claim) => {
                record.copy_to(&mut claim);
                claim.commit().map(Some)
            }
            None => Ok(None),
        });
        Ok(sent?.is_some())
    }
}

#[pymethods]
impl Sender {
    /// Sends a copy of a record, of anything that is a contiguous buffer, waiting for room for at most `timeout` seconds, then
    /// TimedOutError (TimeoutError). Raises PeerDiedError, once, if the ring is full and its receiver died.
    #[pyo3(signature = (record, timeout=None))]
    fn send(&self, py: Python<'_>, record: Source, timeout: Option<f64>) -> PyResult<()> {
        match self.put(py, &record, timeout)? {
            true => Ok(()),
            false => Err(timed_out(py, "send to", "the ring")),
        }
    }

    /// Sends it if there is room now; whether there was.
    fn try_send(&self, py: Python<'_>, record: Source) -> PyResult<bool> {
        self.put(py, &record, Some(0.0))
    }

    /// As `send`, in asyncio. Cancelled, it has sent nothing.
    fn send_async<'py>(&self, py: Python<'py>, record: Source) -> PyResult<Bound<'py, PyAny>> {
        let (mut end, record) = (self.0.take_now()?, record.to_vec());
        Awaiting::coroutine(py, async move {
            end.send_async(&record).await?;
            Ok(Box::new(|py: Python<'_>| Ok(py.None())) as Finish)
        })
    }

    /// The most bytes that a record can have.
    #[getter]
    fn record_max(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.0.take(py)?.record_max())
    }

    /// Ends it.
    fn close(&self) {
        self.0.close();
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyAny>) {
        self.close();
    }
}

impl Receiver {
    fn get<'py>(&self, py: Python<'py>, seconds: Option<f64>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let timeout = time(seconds)?;
        let mut end = self.0.take(py)?;
        // Waited for and left there; then copied at once to where Python has it.
        let there = wait(py, timeout, |slice| Ok(end.receive_timeout(slice)?.map(|record| record.leave())))?;
        match there {
            Some(()) => Ok(end.try_receive().or_raise(py)?.map(|record| PyBytes::new(py, &record))),
            None => Ok(None),
        }
    }
}

#[pymethods]
impl Receiver {
    /// The next record, waiting for at most `timeout` seconds, then TimedOutError (TimeoutError). Raises PeerDiedError
    /// (BrokenPipeError), once for each death, when a sender died and all that it had sent has been received.
    #[pyo3(signature = (timeout=None))]
    fn receive<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyBytes>> {
        let record = self.get(py, timeout)?;
        record.map_or_else(|| Err(timed_out(py, "receive from", "the ring")), Ok)
    }

    /// The next record, if there is one now; else None.
    fn try_receive<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        self.get(py, Some(0.0))
    }

    /// As `receive`, in asyncio. Cancelled, it has taken nothing.
    fn receive_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut end = self.0.take_now()?;
        Awaiting::coroutine(py, async move {
            let record = end.receive_async().await?.to_vec();
            Ok(Box::new(move |py: Python<'_>| Ok(PyBytes::new(py, &record).into_any().unbind())) as Finish)
        })
    }

    /// Numbers of the processes that send.
    fn senders(&self, py: Python<'_>) -> PyResult<Vec<u32>> {
        Ok(self.0.take(py)?.senders().iter().map(|peer| peer.process).collect())
    }

    /// Ends it; what it has not received waits for another.
    fn close(&self) {
        self.0.close();
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, _error: &Bound<'_, PyAny>) {
        self.close();
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.receive(py, None)
    }
}
