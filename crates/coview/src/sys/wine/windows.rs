//! The end of the bridge inside of Wine; there is no outside to reach from here.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Found, Place};
use crate::sys::Refusal;
use crate::sys::mapping::Section;
use crate::sys::process::Holder;

fn outside<T>() -> io::Result<T> {
    Err(Refusal::Unsupported("the bridge is used from outside of Wine: run this with the Linux build".into()).into())
}

/// Wine shows the whole of the file system under this, also where the prefix has no drive for it.
pub(crate) fn inward(path: &str) -> PathBuf {
    format!(r"\\?\unix{}", path.replace('/', r"\")).into()
}

pub(crate) fn check_prefix(_path: &Path) -> io::Result<()> {
    outside()
}

pub(crate) fn environment(_pid: u32) -> io::Result<HashMap<String, String>> {
    outside()
}

pub(crate) fn detach(_command: &mut Command) {}

pub(crate) struct Complaints;

impl Complaints {
    pub(crate) fn of(command: &mut Command) -> Complaints {
        command.stderr(Stdio::null());
        Complaints
    }

    pub(crate) fn last(&self) -> Option<String> {
        None
    }
}

pub(crate) fn path_of(_section: &Section) -> io::Result<String> {
    outside()
}

pub(crate) fn locate(_pid: u32, _cookie: &str, _address: u64) -> io::Result<Found> {
    outside()
}

pub(crate) fn open(_found: Found, _size: u64, _writable: bool) -> io::Result<Section> {
    outside()
}

pub(crate) fn holders(places: &[Place], _except: &[u32]) -> Vec<Vec<Holder>> {
    vec![Vec::new(); places.len()]
}
