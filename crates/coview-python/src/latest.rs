//! `Latest`: the newest value, as its bytes; `coview.Latest` in Python makes values of them.

use coview::latest::{LatestOptions, Reader as Reading, Writer as Writing};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::awaiting::{Awaiting, Finish};
use crate::buffer::Source;
use crate::channel::{End, end};
use crate::error::{OrRaise, timed_out};
use crate::mapping::Share;
use crate::region::Schema;
use crate::wait::{timeout as time, wait};

/// The newest value of that name.
#[pyclass(frozen, module = "coview._coview")]
pub(crate) struct Latest(coview::latest::Latest<[u8]>);

/// The end that writes.
#[pyclass(frozen, module = "coview._coview")]
pub(crate) struct Writer(End<Writing<[u8]>>);

/// A reader, and which value it has seen last.
#[pyclass(frozen, module = "coview._coview")]
pub(crate) struct Reader(End<Reading<[u8]>>);

fn options(capacity: usize, several: bool, share: Share) -> LatestOptions {
    LatestOptions::new().capacity(capacity).several_writers(several).share(share.0)
}

#[pymethods]
impl Latest {
    #[staticmethod]
    fn create(
        py: Python<'_>,
        name: &str,
        schema: Option<&Schema>,
        capacity: usize,
        several: bool,
        share: Share,
    ) -> PyResult<Latest> {
        let options = options(capacity, several, share);
        let made = match schema {
            Some(schema) => options.create_bytes(name, &schema.0),
            None => options.create(name),
        };
        made.or_raise(py).map(Latest)
    }

    #[staticmethod]
    fn open(py: Python<'_>, name: &str, schema: Option<&Schema>) -> PyResult<Latest> {
        let found = match schema {
            Some(schema) => coview::latest::Latest::open_bytes(name, &schema.0),
            None => coview::latest::Latest::open(name),
        };
        found.or_raise(py).map(Latest)
    }

    #[staticmethod]
    fn open_or_create(
        py: Python<'_>,
        name: &str,
        schema: Option<&Schema>,
        capacity: usize,
        several: bool,
        share: Share,
    ) -> PyResult<Latest> {
        let options = options(capacity, several, share);
        let found = match schema {
            Some(schema) => options.open_or_create_bytes(name, &schema.0),
            None => options.open_or_create(name),
        };
        found.or_raise(py).map(Latest)
    }

    fn writer(&self, py: Python<'_>) -> PyResult<Writer> {
        self.0.writer().or_raise(py).map(|writer| Writer(end("writer", writer)))
    }

    fn reader(&self) -> Reader {
        Reader(end("reader", self.0.reader()))
    }
}

#[pymethods]
impl Writer {
    fn set(&self, py: Python<'_>, value: Source) -> PyResult<()> {
        let (mut end, value) = (self.0.take(py)?, value.to_vec());
        py.detach(|| end.set(&value)).or_raise(py)
    }

    fn close(&self) {
        self.0.close();
    }
}

#[pymethods]
impl Reader {
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let value = self.0.take(py)?.read().or_raise(py)?;
        Ok(value.map(|value| PyBytes::new(py, &value)))
    }

    fn changed<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyBytes>> {
        let value = self.try_changed(py, timeout)?;
        value.map_or_else(|| Err(timed_out(py, "wait for", "another value")), Ok)
    }

    fn try_changed<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let timeout = time(timeout)?;
        let mut end = self.0.take(py)?;
        let value = wait(py, timeout, |slice| end.changed_timeout(slice))?;
        Ok(value.map(|value| PyBytes::new(py, &value)))
    }

    fn changed_async<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let mut end = self.0.take_now()?;
        Awaiting::coroutine(py, async move {
            let value = end.changed_async().await?;
            Ok(Box::new(move |py: Python<'_>| Ok(PyBytes::new(py, &value).into_any().unbind())) as Finish)
        })
    }

    fn writers(&self, py: Python<'_>) -> PyResult<Vec<u32>> {
        Ok(self.0.take(py)?.writers().iter().map(|peer| peer.process).collect())
    }

    fn close(&self) {
        self.0.close();
    }
}
