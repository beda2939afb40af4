//! `Mutex`, `Event`, `Semaphore`: named, and robust against any death.

use std::sync::Arc;

use coview::{Disposition, EventOptions, MutexOptions, SemaphoreOptions};
use pyo3::prelude::*;

use crate::awaiting::{Awaiting, Finish};
use crate::channel::Open;
use crate::error::{OrRaise, timed_out};
use crate::mapping::{Share, show, unnamed};
use crate::wait::{timeout as time, wait};

/// A named mutex: one thread of all processes has it at a time. A thread may take it several times and gives it back as often.
/// Whoever dies with it leaves it to the next, who is told: `lock.abandoned`.
///
///     with Mutex.open_or_create("Table")[0] as lock:
///         if lock.abandoned: repair()
#[pyclass(frozen, module = "coview")]
pub(crate) struct Mutex(Open<coview::Mutex>);

/// Possession of a mutex, until `unlock()` or the end of its `with`. Not given back by being forgotten.
#[pyclass(frozen, subclass, module = "coview")]
pub(crate) struct Lock {
    mutex: Arc<coview::Mutex>,
    /// Whether the last owner died with it: what it guards may be half changed.
    #[pyo3(get)]
    abandoned: bool,
}

/// A lock whose last owner died with it: what it guards may be half changed.
#[pyclass(frozen, extends = Lock, module = "coview")]
pub(crate) struct Abandoned;

/// A named event: waited for by some, set by others.
#[pyclass(frozen, module = "coview")]
pub(crate) struct Event(Open<coview::Event>);

/// A named semaphore: permits that processes take and give back. What a process took that died is not given back.
#[pyclass(frozen, module = "coview")]
pub(crate) struct Semaphore(Open<coview::Semaphore>);

fn created<T>((thing, disposition): (T, Disposition)) -> (T, bool) {
    (thing, disposition == Disposition::Created)
}

impl Mutex {
    fn of(mutex: coview::Mutex) -> Mutex {
        Mutex(Open::new("mutex", mutex))
    }

    fn take(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<Option<Py<Lock>>> {
        let mutex = self.0.get()?;
        let taken = wait(py, time(seconds)?, |slice| {
            // The thread has it until `unlock`, not until a guard is dropped.
            let keep = |lock: coview::Lock<'_>| {
                let abandoned = lock.is_abandoned();
                std::mem::forget(lock.into_guard());
                abandoned
            };
            Ok(mutex.lock_timeout(slice)?.map(keep))
        })?;
        let Some(abandoned) = taken else { return Ok(None) };
        let lock = PyClassInitializer::from(Lock { mutex, abandoned });
        match abandoned {
            true => Ok(Some(Bound::new(py, lock.add_subclass(Abandoned))?.into_super().unbind())),
            false => Py::new(py, lock).map(Some),
        }
    }
}

#[pymethods]
impl Mutex {
    /// Makes a mutex of that name; without a name, for this process and those that inherit it.
    ///
    /// share: "owner", "group", "everyone", a mode such as 0o640, or a security descriptor.
    /// Raises AlreadyExistsError (FileExistsError).
    #[staticmethod]
    #[pyo3(signature = (name=None, *, share=Share::default(), inheritable=false))]
    fn create(py: Python<'_>, name: Option<&str>, share: Share, inheritable: bool) -> PyResult<Mutex> {
        let options = MutexOptions::new().share(share.0).inheritable(inheritable);
        let made = name.map_or_else(|| options.create_unnamed(), |name| options.create(name));
        made.or_raise(py).map(Mutex::of)
    }

    /// Opens the live mutex of that name. Raises NotFoundError (FileNotFoundError).
    #[staticmethod]
    fn open(py: Python<'_>, name: &str) -> PyResult<Mutex> {
        coview::Mutex::open(name).or_raise(py).map(Mutex::of)
    }

    /// Makes a mutex of that name or opens the live one: the mutex, and whether it was made.
    #[staticmethod]
    #[pyo3(signature = (name, *, share=Share::default(), inheritable=false))]
    fn open_or_create(py: Python<'_>, name: &str, share: Share, inheritable: bool) -> PyResult<(Mutex, bool)> {
        let options = MutexOptions::new().share(share.0).inheritable(inheritable);
        let (mutex, created) = created(options.open_or_create(name).or_raise(py)?);
        Ok((Mutex::of(mutex), created))
    }

    /// The name in full, such as `Local\Table`, or None.
    #[getter]
    fn name(&self) -> PyResult<Option<String>> {
        Ok(self.0.get()?.name().map(ToString::to_string))
    }

    /// Waits until this thread has it; for at most `timeout` seconds, then TimedOutError (TimeoutError).
    #[pyo3(signature = (timeout=None))]
    fn lock(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<Lock>> {
        let lock = self.take(py, timeout)?;
        lock.map_or_else(|| Err(timed_out(py, "lock", &self.__repr__())), Ok)
    }

    /// The lock, if it can be had now; else None.
    fn try_lock(&self, py: Python<'_>) -> PyResult<Option<Py<Lock>>> {
        self.take(py, Some(0.0))
    }

    /// Gives it back, once. Raises InvalidInputError (ValueError) if this thread does not have it.
    fn unlock(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get()?.unlock().or_raise(py)
    }

    /// Closes the handle. Locks that are held keep it open.
    fn close(&self) {
        self.0.close();
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<Py<Lock>> {
        self.lock(py, None)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyAny>) -> PyResult<()> {
        self.unlock(py)
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, (String,))> {
        let name = slf.get().name()?.ok_or_else(|| unnamed("mutex"))?;
        Ok((slf.get_type().getattr("open")?.unbind(), (name,)))
    }

    fn __repr__(&self) -> String {
        show("Mutex", self.name())
    }
}

#[pymethods]
impl Lock {
    /// Gives the mutex back. Raises InvalidInputError (ValueError) if this thread does not have it.
    fn unlock(&self, py: Python<'_>) -> PyResult<()> {
        self.mutex.unlock().or_raise(py)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyAny>) -> PyResult<()> {
        self.unlock(py)
    }
}

fn nothing() -> Finish {
    Box::new(|py| Ok(py.None()))
}

impl Event {
    fn of(event: coview::Event) -> Event {
        Event(Open::new("event", event))
    }

    fn options(share: Share, inheritable: bool, manual_reset: bool, initially_set: bool) -> EventOptions {
        let options = EventOptions::new().share(share.0).inheritable(inheritable);
        options.manual_reset(manual_reset).initially_set(initially_set)
    }

    fn take(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<bool> {
        let event = self.0.get()?;
        Ok(wait(py, time(seconds)?, |slice| Ok(event.wait_timeout(slice)?.then_some(())))?.is_some())
    }
}

#[pymethods]
impl Event {
    /// Makes an event of that name; without a name, for this process and those that inherit it.
    ///
    /// manual_reset: it stays set, for everybody, until `reset()`; else one wait takes it.
    /// Raises AlreadyExistsError (FileExistsError).
    #[staticmethod]
    #[pyo3(signature = (name=None, *, manual_reset=false, initially_set=false, share=Share::default(), inheritable=false))]
    fn create(
        py: Python<'_>,
        name: Option<&str>,
        manual_reset: bool,
        initially_set: bool,
        share: Share,
        inheritable: bool,
    ) -> PyResult<Event> {
        let options = Event::options(share, inheritable, manual_reset, initially_set);
        let made = name.map_or_else(|| options.create_unnamed(), |name| options.create(name));
        made.or_raise(py).map(Event::of)
    }

    /// Opens the live event of that name. Raises NotFoundError (FileNotFoundError).
    #[staticmethod]
    fn open(py: Python<'_>, name: &str) -> PyResult<Event> {
        coview::Event::open(name).or_raise(py).map(Event::of)
    }

    /// Makes an event of that name or opens the live one: the event, and whether it was made.
    #[staticmethod]
    #[pyo3(signature = (name, *, manual_reset=false, initially_set=false, share=Share::default(), inheritable=false))]
    fn open_or_create(
        py: Python<'_>,
        name: &str,
        manual_reset: bool,
        initially_set: bool,
        share: Share,
        inheritable: bool,
    ) -> PyResult<(Event, bool)> {
        let options = Event::options(share, inheritable, manual_reset, initially_set);
        let (event, created) = created(options.open_or_create(name).or_raise(py)?);
        Ok((Event::of(event), created))
    }

    /// The name in full, such as `Local\Ready`, or None.
    #[getter]
    fn name(&self) -> PyResult<Option<String>> {
        Ok(self.0.get()?.name().map(ToString::to_string))
    }

    /// Sets it: one wait returns, or all of a manual-reset event.
    fn set(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get()?.set().or_raise(py)
    }

    /// Takes it back.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get()?.reset().or_raise(py)
    }

    /// Waits until it is set; for at most `timeout` seconds, then TimedOutError (TimeoutError).
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        match self.take(py, timeout)? {
            true => Ok(()),
            false => Err(timed_out(py, "wait for", &self.__repr__())),
        }
    }

    /// Whether it is set, as a wait that takes it.
    fn try_wait(&self, py: Python<'_>) -> PyResult<bool> {
        self.take(py, Some(0.0))
    }

    /// As `wait`, in asyncio: `await event.wait_async()`. Cancelled, it has taken nothing.
    fn wait_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let had = self.0.get()?.wait_async();
        Awaiting::coroutine(py, async move { had.await.map(|()| nothing()) })
    }

    /// Closes the handle.
    fn close(&self) {
        self.0.close();
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, (String,))> {
        let name = slf.get().name()?.ok_or_else(|| unnamed("event"))?;
        Ok((slf.get_type().getattr("open")?.unbind(), (name,)))
    }

    fn __repr__(&self) -> String {
        show("Event", self.name())
    }
}

impl Semaphore {
    fn of(semaphore: coview::Semaphore) -> Semaphore {
        Semaphore(Open::new("semaphore", semaphore))
    }

    fn take(&self, py: Python<'_>, seconds: Option<f64>) -> PyResult<bool> {
        let semaphore = self.0.get()?;
        Ok(wait(py, time(seconds)?, |slice| Ok(semaphore.acquire_timeout(slice)?.then_some(())))?.is_some())
    }
}

#[pymethods]
impl Semaphore {
    /// Makes a semaphore of that name with `count` of at most `maximum` permits (as many, unless said); without a name, for this
    /// process and those that inherit it. Raises AlreadyExistsError (FileExistsError).
    #[staticmethod]
    #[pyo3(signature = (name, count, maximum=None, *, share=Share::default(), inheritable=false))]
    fn create(
        py: Python<'_>,
        name: Option<&str>,
        count: u32,
        maximum: Option<u32>,
        share: Share,
        inheritable: bool,
    ) -> PyResult<Semaphore> {
        let options = SemaphoreOptions::new(count, maximum.unwrap_or(count)).share(share.0).inheritable(inheritable);
        let made = name.map_or_else(|| options.create_unnamed(), |name| options.create(name));
        made.or_raise(py).map(Semaphore::of)
    }

    /// Opens the live semaphore of that name. Raises NotFoundError (FileNotFoundError).
    #[staticmethod]
    fn open(py: Python<'_>, name: &str) -> PyResult<Semaphore> {
        coview::Semaphore::open(name).or_raise(py).map(Semaphore::of)
    }

    /// Makes a semaphore of that name or opens the live one, whose count stays: the semaphore, and whether it was made.
    #[staticmethod]
    #[pyo3(signature = (name, count, maximum=None, *, share=Share::default(), inheritable=false))]
    fn open_or_create(
        py: Python<'_>,
        name: &str,
        count: u32,
        maximum: Option<u32>,
        share: Share,
        inheritable: bool,
    ) -> PyResult<(Semaphore, bool)> {
        let options = SemaphoreOptions::new(count, maximum.unwrap_or(count)).share(share.0).inheritable(inheritable);
        let (semaphore, created) = created(options.open_or_create(name).or_raise(py)?);
        Ok((Semaphore::of(semaphore), created))
    }

    /// The name in full, such as `Local\Permits`, or None.
    #[getter]
    fn name(&self) -> PyResult<Option<String>> {
        Ok(self.0.get()?.name().map(ToString::to_string))
    }

    /// Takes a permit, waiting for at most `timeout` seconds, then TimedOutError (TimeoutError).
    #[pyo3(signature = (timeout=None))]
    fn acquire(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        match self.take(py, timeout)? {
            true => Ok(()),
            false => Err(timed_out(py, "acquire", &self.__repr__())),
        }
    }

    /// Takes a permit if there is one now.
    fn try_acquire(&self, py: Python<'_>) -> PyResult<bool> {
        self.take(py, Some(0.0))
    }

    /// As `acquire`, in asyncio: `await semaphore.acquire_async()`. Cancelled, it has taken nothing.
    fn acquire_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let had = self.0.get()?.acquire_async();
        Awaiting::coroutine(py, async move { had.await.map(|()| nothing()) })
    }

    /// Gives permits back; how many there were before. Raises ValueError if there would be more than the maximum.
    #[pyo3(signature = (count=1))]
    fn release(&self, py: Python<'_>, count: u32) -> PyResult<u32> {
        let before = self.0.get()?.release(count).or_raise(py)?;
        before.map_err(|full| pyo3::exceptions::PyValueError::new_err(full.to_string()))
    }

    /// Closes the handle.
    fn close(&self) {
        self.0.close();
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        self.acquire(py, None)
    }

    #[pyo3(signature = (*_error))]
    fn __exit__(&self, py: Python<'_>, _error: &Bound<'_, PyAny>) -> PyResult<()> {
        self.release(py, 1).map(drop)
    }

    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<(Py<PyAny>, (String,))> {
        let name = slf.get().name()?.ok_or_else(|| unnamed("semaphore"))?;
        Ok((slf.get_type().getattr("open")?.unbind(), (name,)))
    }

    fn __repr__(&self) -> String {
        show("Semaphore", self.name())
    }
}
