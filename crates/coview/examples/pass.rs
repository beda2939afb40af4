//! Memory without a name, handed to a child process: nobody else can reach it.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use coview::{Access, Mapping, MappingOptions, Result};

/// The child takes what its parent handed over under the same key.
fn child() -> Result<()> {
    let view = Mapping::inherited("counter")?.view(Access::ReadWrite)?;
    let counter = view.atomic::<AtomicU64>(0)?;
    for _ in 0..1000 {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("child") {
        return child();
    }
    let mapping = MappingOptions::new().size(4096).create_unnamed()?;
    let program = std::env::current_exe().expect("this program has a path");
    let children = (0..4).map(|_| {
        let mut command = Command::new(&program);
        mapping.hand_to(command.arg("child"), "counter")?;
        Ok(command.spawn().expect("it can be started again"))
    });
    for child in children.collect::<Result<Vec<_>>>()? {
        assert!({ child }.wait().expect("it can be waited for").success());
    }
    let sum = mapping.view(Access::Read)?.load::<AtomicU64>(0, Ordering::Relaxed)?;
    println!("4 children counted to {sum}");
    println!("{}", Mapping::inherited("another").unwrap_err());
    Ok(())
}
