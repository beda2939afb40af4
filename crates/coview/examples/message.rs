//! A message in the machine's name space, `Global\`: `message` runs both sides, `message first NAME` or
//! `message second NAME` one of them.

use std::process::{Command, ExitCode};

use coview::{Access, ErrorKind, Mapping, MappingOptions, Result, Share};

const SIZE: u64 = 256;

fn first(name: &str) -> Result<Mapping> {
    // Everybody may open it; without that it is for its maker alone.
    let mapping = MappingOptions::new().size(SIZE).share(Share::Everyone).create(name)?;
    mapping.view(Access::ReadWrite)?.write(0, b"Message from first process\0")?;
    Ok(mapping)
}

fn second(name: &str) -> Result<()> {
    let view = Mapping::open(name, Access::ReadWrite)?.view_range(Access::ReadWrite, ..SIZE)?;
    let mut bytes = [0; SIZE as usize];
    view.read(0, &mut bytes)?;
    println!("{}", String::from_utf8_lossy(&bytes).split('\0').next().unwrap_or_default());
    Ok(())
}

fn both(name: &str) -> Result<()> {
    let program = std::env::current_exe().expect("this program has a path");
    let again = || Command::new(&program).args(["second", name]).status().expect("it can be started again");
    let mapping = first(name)?;
    again(); // shows the message
    drop(mapping);
    again(); // finds nothing
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match &args[..] {
        [side, name] if side == "first" => first(name).map(|_mapping| {
            println!("{name} lives until a line is read");
            std::io::stdin().read_line(&mut String::new()).expect("stdin can be read");
        }),
        [side, name] if side == "second" => second(name),
        _ => both(&format!(r"Global\MyFileMappingObject-{}", std::process::id())),
    };
    let Err(error) = result else { return ExitCode::SUCCESS };
    // What GetLastError says in the program for Windows that this one is the twin of.
    let code = if error.kind() == ErrorKind::NotFound { 2 } else { error.kind().code() };
    println!("Could not open file mapping object ({code}): {error}");
    ExitCode::FAILURE
}
