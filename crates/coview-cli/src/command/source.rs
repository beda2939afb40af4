//! Bytes that a command copies into an object: a file's, or standard input's.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::failure::Failure;

/// Bytes, how many, and what they are called in messages.
pub(crate) struct Source {
    pub(crate) bytes: Box<dyn Read>,
    pub(crate) len: u64,
    pub(crate) shown: String,
}

impl Source {
    /// A file as it is; standard input (`-`), whose length nobody knows before, as a whole.
    pub(crate) fn open(path: &Path) -> Result<Source, Failure> {
        if path == Path::new("-") {
            let mut all = Vec::new();
            io::stdin().lock().read_to_end(&mut all)?;
            return Ok(Source::of(all, "standard input"));
        }
        let shown = path.display().to_string();
        let open = || -> io::Result<(File, u64)> {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok((file, len))
        };
        let (file, len) = open().map_err(|error| Failure::new(format!("cannot read {shown}: {error}")))?;
        // What is appended meanwhile does not belong to it.
        Ok(Source { bytes: Box::new(file.take(len)), len, shown })
    }

    /// Bytes that are there already.
    pub(crate) fn of(bytes: Vec<u8>, shown: &str) -> Source {
        let len = bytes.len() as u64;
        Source { bytes: Box::new(io::Cursor::new(bytes)), len, shown: shown.to_owned() }
    }
}
