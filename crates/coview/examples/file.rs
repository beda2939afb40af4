//! Memory that stands on a file: seen by other processes by name, and still in the file when they have ended.

use std::path::Path;
use std::process::Command;

use coview::{Access, Mapping, MappingOptions, Protection, Result};

/// Another process: joins by name, and need not know the file.
fn peer(name: &str) -> Result<()> {
    let (mapping, how) = MappingOptions::new().size(4096).open_or_create(name)?;
    let view = mapping.view(Access::ReadWrite)?;
    let mut text = [0; 9];
    view.read(0, &mut text)?;
    println!("{how:?} {name}: {}", String::from_utf8_lossy(&text));
    view.write(0, b"from peer")
}

fn demonstrate(name: &str, path: &Path) -> Result<()> {
    // The file is made if it is absent, and grows to the size.
    let mapping = MappingOptions::new().file(path).size(10_000).create(name)?;
    let view = mapping.view(Access::ReadWrite)?;
    view.write(0, b"from here")?;

    let program = std::env::current_exe().expect("this program has a path");
    Command::new(program).arg(name).status().expect("it can be started again");
    view.flush(..)?; // returns when the device has it
    drop((view, mapping));

    let bytes = std::fs::read(path).expect("the file is there");
    println!("in the file: {} ({} bytes)", String::from_utf8_lossy(&bytes[..9]), bytes.len());

    // A view that copies on its first write reaches neither the file nor anybody else.
    let copied = MappingOptions::new().file(path).protection(Protection::WriteCopy).create_unnamed()?;
    copied.view(Access::CopyOnWrite)?.write(0, b"a secret!")?;
    let bytes = std::fs::read(path).expect("the file is there");
    println!("in the file: {}", String::from_utf8_lossy(&bytes[..9]));

    // And one for reading takes no writes.
    let refused = copied.view(Access::Read)?.write(0, b"refused").unwrap_err();
    println!("{refused}");
    drop(copied);
    std::fs::remove_file(path).expect("it is closed");
    println!("{}", Mapping::open(&format!("file:{}", path.display()), Access::Read).unwrap_err());
    Ok(())
}

fn main() -> Result<()> {
    if let Some(name) = std::env::args().nth(1) {
        return peer(&name);
    }
    let unique = format!("SharedMemory-{}", std::process::id());
    demonstrate(&unique, &std::env::temp_dir().join(format!("{unique}.bin")))
}
