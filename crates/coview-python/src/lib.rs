//! `coview._coview`: the library for Python. What needs NumPy or asyncio is beside it, in `python/coview`.

mod awaiting;
mod buffer;
mod channel;
mod error;
mod frames;
mod inspect;
mod latest;
mod mapping;
mod named;
mod os;
mod region;
mod ring;
mod view;
mod wait;

use pyo3::prelude::*;

/// The compiled part of coview.
#[pymodule]
fn _coview(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<buffer::Buffer>()?;
    module.add_class::<mapping::Mapping>()?;
    module.add_class::<view::View>()?;
    module.add_class::<view::Windows>()?;
    module.add_class::<named::Mutex>()?;
    module.add_class::<named::Lock>()?;
    module.add_class::<named::Abandoned>()?;
    module.add_class::<named::Event>()?;
    module.add_class::<named::Semaphore>()?;
    module.add_class::<region::Schema>()?;
    module.add_class::<region::Region>()?;
    module.add_class::<latest::Latest>()?;
    module.add_class::<latest::Writer>()?;
    module.add_class::<latest::Reader>()?;
    module.add_class::<ring::Ring>()?;
    module.add_class::<ring::Sender>()?;
    module.add_class::<ring::Receiver>()?;
    module.add_class::<frames::Frames>()?;
    module.add_class::<frames::Publisher>()?;
    module.add_class::<frames::Subscriber>()?;
    module.add_class::<frames::Loan>()?;
    module.add_class::<frames::Frame>()?;
    module.add_class::<awaiting::Awaiting>()?;
    module.add_function(wrap_pyfunction!(inspect::objects, module)?)?;
    module.add_function(wrap_pyfunction!(inspect::sweep, module)?)?;
    module.add_function(wrap_pyfunction!(os::fd, module)?)?;
    module.add_function(wrap_pyfunction!(os::from_fd, module)?)?;
    module.add_function(wrap_pyfunction!(os::unlink, module)?)?;
    Ok(())
}
