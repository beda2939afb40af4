//! `coview.inspect`: what there is, and who holds it.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::OrRaise;

/// The named objects that this user sees, each a dict: name, kind, size, resident, owner, stale, holders (number, program).
///
/// everything: also POSIX and System V shared memory of other programs.
#[pyfunction]
#[pyo3(signature = (*, everything=false))]
pub(crate) fn objects(py: Python<'_>, everything: bool) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let entries = py.detach(|| coview::inspect::objects(everything)).or_raise(py)?;
    let show = |entry: coview::inspect::Entry| {
        let dict = PyDict::new(py);
        let holders: Vec<_> = entry.holders.iter().map(|holder| (holder.pid, holder.program.clone())).collect();
        dict.set_item("name", entry.name)?;
        dict.set_item("kind", kind(&entry.origin))?;
        dict.set_item("size", entry.size)?;
        dict.set_item("resident", entry.resident)?;
        dict.set_item("owner", entry.owner)?;
        dict.set_item("stale", entry.stale)?;
        dict.set_item("holders", holders)?;
        Ok(dict)
    };
    entries.into_iter().map(show).collect()
}

/// Gives back what dead processes left: name and bytes of each object.
#[pyfunction]
#[pyo3(signature = (*, dry_run=false))]
pub(crate) fn sweep(py: Python<'_>, dry_run: bool) -> PyResult<Vec<(String, u64)>> {
    Ok(py.detach(|| coview::inspect::sweep(dry_run)).or_raise(py)?.objects)
}

fn kind(origin: &coview::inspect::Origin) -> &'static str {
    use coview::inspect::Origin;
    match origin {
        Origin::Named(kind) => kind.word(),
        Origin::Posix => "posix",
        Origin::SysV => "sysv",
        _ => "anonymous",
    }
}
