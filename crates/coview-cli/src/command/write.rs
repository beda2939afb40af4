//! `coview write`: copies bytes into an object.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use coview::{Access, Mapping};

use crate::cli::WriteArgs;
use crate::failure::Failure;

/// As much as is mapped at a time.
const WINDOW: usize = 16 << 20;

pub(crate) fn run(args: &WriteArgs) -> Result<(), Failure> {
    let mapping = Mapping::open(&args.name, Access::ReadWrite)?;
    let room = mapping.size().saturating_sub(args.offset);
    let (mut source, len) = open_source(args)?;
    if len.is_some_and(|len| len > room) || args.offset >= mapping.size() {
        return Err(too_much(args, len, &mapping));
    }
    let mut written = 0;
    let mut piece = vec![0; 1 << 20];
    // What does not fit is found out before anything is written, so nothing is left half done.
    let mut view = mapping.view_range(Access::ReadWrite, window(args.offset, &mapping))?;
    loop {
        let got = source.read(&mut piece)?;
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

/// The bytes to write and how many they are. Standard input is read whole first: its length is not known before.
fn open_source(args: &WriteArgs) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    let whole = |bytes: Vec<u8>| -> (Box<dyn Read>, Option<u64>) {
        let len = bytes.len() as u64;
        (Box::new(io::Cursor::new(bytes)), Some(len))
    };
    if let Some(text) = &args.text {
        return Ok(whole([text.as_bytes(), b"\0"].concat()));
    }
    let path = args.file.as_deref().unwrap_or(Path::new("-"));
    if path == Path::new("-") {
        let mut all = Vec::new();
        io::stdin().lock().read_to_end(&mut all)?;
        return Ok(whole(all));
    }
    let open = || -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok((file, len))
    };
    let (file, len) = open().map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    Ok((Box::new(file.take(len)), Some(len)))
}

fn too_much(args: &WriteArgs, len: Option<u64>, mapping: &Mapping) -> Failure {
    let len = len.map_or("bytes".to_owned(), |len| format!("{len} bytes"));
    let (name, offset, size) = (&args.name, args.offset, mapping.size());
    Failure::new(format!(
        "cannot write {name}: {len} from offset {offset} do not lie inside its {size} bytes; nothing was written"
    ))
}
