//! `coview write`: copies bytes into an object.

use std::path::Path;

use coview::{Access, Mapping};

use super::source::Source;
use crate::cli::WriteArgs;
use crate::failure::Failure;

/// As much as is mapped at a time.
const WINDOW: usize = 16 << 20;

pub(crate) fn run(args: &WriteArgs) -> Result<(), Failure> {
    let mapping = Mapping::open(&args.name, Access::ReadWrite)?;
    let room = mapping.size().saturating_sub(args.offset);
    let Source { mut bytes, len, .. } = match &args.text {
        Some(text) => Source::of([text.as_bytes(), b"\0"].concat(), "the text"),
        None => Source::open(args.file.as_deref().unwrap_or(Path::new("-")))?,
    };
    if len > room || args.offset >= mapping.size() {
        return Err(too_much(args, len, &mapping));
    }
    let mut written = 0;
    let mut piece = vec![0; 1 << 20];
    // What does not fit is found out before anything is written, so nothing is left half done.
    let mut view = mapping.view_range(Access::ReadWrite, window(args.offset, &mapping))?;
    loop {
        let got = bytes.read(&mut piece)?;
        if got == 0 {
            break;
        }
        let mut rest = &piece[..got];
        while !rest.is_empty() {
            let at = args.offset + written;
            if !view.range().contains(&at) {
                view = mapping.view_range(Access::ReadWrite, window(at, &mapping))?;
            }
            let into = (at - view.range().start) as usize;
            let now = rest.len().min(view.len() - into);
            view.write(into, &rest[..now])?;
            written += now as u64;
            rest = &rest[now..];
        }
    }
    println!("wrote {written} bytes to {} at offset {}", args.name, args.offset);
    Ok(())
}

fn window(offset: u64, mapping: &Mapping) -> std::ops::Range<u64> {
    offset..mapping.size().min(offset + WINDOW as u64)
}

fn too_much(args: &WriteArgs, len: u64, mapping: &Mapping) -> Failure {
    let (name, offset, size) = (&args.name, args.offset, mapping.size());
    Failure::new(format!(
        "cannot write {name}: {len} bytes from offset {offset} do not lie inside its {size} bytes; nothing was written"
    ))
}
