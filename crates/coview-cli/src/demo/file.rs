//! System S2: a mapping on `SharedMemory.bin`: shared writes reach peers and file, private ones nobody.

use coview::{Access, ErrorKind, Mapping, Protection};

use super::{Part, Stage, hold};
use crate::failure::Failure;

const SIZE: u64 = 4096;
const FROM_A: &[u8] = b"written by A";
const FROM_B: &[u8] = b"written by B";
const AT_B: usize = 1000;

pub(super) fn run(stage: &mut Stage) -> Result<(), Failure> {
    let name = stage.name("SharedMemory");
    let path = stage.scratch().join("SharedMemory.bin");
    let shown = path.to_string_lossy().into_owned();
    let a = Part::start("A", "file-a", &[&name, &shown])?;
    a.ready()?;
    let b = Part::run("B", "file-b", &[&name])?;
    stage.verdict("B sees A's bytes and writes its own", b.code == Some(0) && b.said("saw A's bytes"));
    let c = Part::run("C", "file-c", &[&name])?;
    stage.verdict("a write through a read-only view is refused", c.said("refused: read-only"));
    stage.verdict("C changes its private copy", c.code == Some(0) && c.said("private copy changed"));
    let a = a.end()?;
    stage.verdict("A sees B's bytes and none of C's", a.code == Some(0) && a.said("saw B's bytes"));
    let bytes = std::fs::read(&path)?;
    let kept = bytes.len() as u64 == SIZE && bytes.starts_with(FROM_A) && bytes[AT_B..].starts_with(FROM_B);
    stage.verdict("after both have ended their bytes are in the file", kept);
    stage.verdict("a mapping of more than 4 GiB is used beyond 4 GiB", beyond_4_gib(stage)?);
    Ok(())
}

pub(super) fn first(name: &str, path: &str) -> Result<(), Failure> {
    let mapping = Mapping::options().size(SIZE).file(path).create(name)?;
    let view = mapping.view(Access::ReadWrite)?;
    view.write(0, FROM_A)?;
    hold(&format!("{name} stands on {path}"))?;
    let mut seen = [0; FROM_B.len()];
    view.read(AT_B, &mut seen)?;
    let mut first = [0; FROM_A.len()];
    view.read(0, &mut first)?;
    if seen == FROM_B && first == FROM_A {
        println!("saw B's bytes, and its own as they were");
    }
    Ok(view.flush(..)?)
}

pub(super) fn second(name: &str) -> Result<(), Failure> {
    let view = Mapping::open(name, Access::ReadWrite)?.view(Access::ReadWrite)?;
    let mut seen = [0; FROM_A.len()];
    view.read(0, &mut seen)?;
    if seen == FROM_A {
        println!("saw A's bytes");
    }
    Ok(view.write(AT_B, FROM_B)?)
}

pub(super) fn copier(name: &str) -> Result<(), Failure> {
    let mapping = Mapping::open(name, Access::Read)?;
    match mapping.view(Access::Read)?.write(0, b"x") {
        Err(error) if error.kind() == ErrorKind::AccessDenied => println!("refused: read-only"),
        other => println!("a write through a read-only view gave {other:?}"),
    }
    let view = mapping.view(Access::CopyOnWrite)?;
    view.write(0, b"PRIVATE")?;
    let mut seen = [0; 7];
    view.read(0, &mut seen)?;
    let mut shared = [0; FROM_A.len()];
    mapping.view(Access::Read)?.read(0, &mut shared)?;
    if &seen == b"PRIVATE" && shared == FROM_A {
        println!("private copy changed, the shared bytes are as they were");
    }
    Ok(())
}

fn beyond_4_gib(stage: &Stage) -> Result<bool, Failure> {
    let path = stage.scratch().join("sparse.bin");
    let at = (4 << 30) + 12_345;
    let mapping = Mapping::options().size(5 << 30).file(&path).reserve(true).create_unnamed()?;
    mapping.view_range(Access::ReadWrite, at..at + 4)?.write(0, b"far!")?;
    drop(mapping);
    let again = Mapping::options().file(&path).protection(Protection::ReadOnly).create_unnamed()?;
    let mut seen = [0; 4];
    again.view_range(Access::Read, at..at + 4)?.read(0, &mut seen)?;
    drop(again);
    std::fs::remove_file(path)?;
    Ok(&seen == b"far!")
}
