//! Two processes share memory by name: the first makes it and writes, the second opens it and reads.

use std::process::Command;

use coview::{Access, Mapping, Result};

/// The second process: all it knows is the name.
fn reader(name: &str) -> Result<()> {
    let mapping = Mapping::open(name, Access::Read)?;
    let view = mapping.view(Access::Read)?;
    let mut text = [0; 22];
    view.read(0, &mut text)?;
    println!("read from {name}: {}", String::from_utf8_lossy(&text));
    Ok(())
}

fn main() -> Result<()> {
    if let Some(name) = std::env::args().nth(1) {
        return reader(&name);
    }
    let name = format!("ShareMemory-{}", std::process::id());
    let mapping = Mapping::create(&name, 2048)?;
    mapping.view(Access::ReadWrite)?.write(0, b"This is a share memory")?;
    println!("made {name}: {} bytes, whole pages", mapping.size());

    let program = std::env::current_exe().expect("this program has a path");
    Command::new(program).arg(&name).status().expect("it can be started again");

    // With its last handle and view the object is gone.
    drop(mapping);
    let gone = Mapping::open(&name, Access::Read).unwrap_err();
    println!("{gone}");
    Ok(())
}
