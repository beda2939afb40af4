//! A file larger than one wants to map at once, searched window by window, records on the borders included.

use std::path::Path;

use coview::{Access, Mapping, MappingOptions, Result};

const SIZE: u64 = 400 << 20;
const WINDOW: usize = 4 << 20;
const RECORD: &[u8] = b"<image>";

/// A file that is mostly hole, with records here and there, one of them across a border of windows.
fn make(path: &Path) -> Result<()> {
    let mapping = MappingOptions::new().file(path).size(SIZE).reserve(true).create_unnamed()?;
    for offset in [0, (4 << 20) - 3, 50 << 20, 399 << 20] {
        mapping.view_range(Access::ReadWrite, offset..offset + RECORD.len() as u64)?.write(0, RECORD)?;
    }
    Ok(())
}

/// Where the records begin. At most one window is mapped at a time.
fn search(mapping: &Mapping) -> Result<Vec<u64>> {
    let (mut found, mut bytes) = (Vec::new(), vec![0; WINDOW]);
    let zeros = vec![0; WINDOW];
    // Each window begins with the last bytes of the one before: what straddles a border lies whole in one of them.
    for window in mapping.windows(Access::Read, WINDOW).overlap(RECORD.len() - 1) {
        let window = window?;
        let piece = &mut bytes[..window.len()];
        window.read(0, piece)?;
        if piece == &zeros[..piece.len()] {
            continue;
        }
        let places = piece.windows(RECORD.len()).enumerate().filter(|(_, bytes)| *bytes == RECORD);
        found.extend(places.map(|(at, _)| window.range().start + at as u64));
    }
    Ok(found)
}

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("coview-windows-{}.bin", std::process::id()));
    make(&path)?;
    let mapping = Mapping::open(&format!("file:{}", path.display()), Access::Read)?;
    let found = search(&mapping)?;
    println!("{} bytes in windows of {WINDOW}: records at {found:?}", mapping.size());
    drop(mapping);
    std::fs::remove_file(&path).expect("it is closed");
    Ok(())
}
