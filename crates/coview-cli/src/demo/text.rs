//! System S0: A leaves a text in `ShareMemory`, B reads it by name; when A has ended, or was killed, nothing is left.

use coview::{Access, Mapping};

use super::{Part, Stage, hold};
use crate::failure::Failure;

const TEXT: &str = "This is a share memory";

pub(super) fn run(stage: &mut Stage) -> Result<(), Failure> {
    let name = stage.name("ShareMemory");
    let a = Part::start("A", "text-a", &[&name])?;
    a.ready()?;
    let b = Part::run("B", "text-b", &[&name])?;
    stage.verdict("B prints A's text", b.code == Some(0) && b.said(&format!("read {TEXT:?}")));
    let a = a.end()?;
    stage.verdict("A ends cleanly", a.code == Some(0));
    let b = Part::run("B", "text-b", &[&name])?;
    stage.verdict("after A's end B finds nothing", b.code == Some(3));
    let a = Part::start("A", "text-a", &[&name])?;
    a.ready()?;
    a.kill()?;
    let b = Part::run("B", "text-b", &[&name])?;
    stage.verdict("after A was killed B finds nothing", b.code == Some(3));
    Ok(())
}

pub(super) fn writer(name: &str) -> Result<(), Failure> {
    let mapping = Mapping::create(name, 2048)?;
    let view = mapping.view(Access::ReadWrite)?;
    let mut before = [1; 64];
    view.read(0, &mut before)?;
    println!("created {name}, {} bytes, {}", mapping.size(), if before == [0; 64] { "all zero" } else { "NOT zero" });
    view.write(0, format!("{TEXT}\0").as_bytes())?;
    hold("the text is there")
}

pub(super) fn reader(name: &str) -> Result<(), Failure> {
    let mapping = Mapping::open(name, Access::ReadWrite)?;
    println!("read {:?}", text(&mapping)?);
    Ok(())
}

/// The text at the head of a mapping, up to its zero byte.
pub(super) fn text(mapping: &Mapping) -> Result<String, Failure> {
    let view = mapping.view(Access::Read)?;
    let mut bytes = vec![0; view.len().min(4096)];
    view.read(0, &mut bytes)?;
    let end = memchr::memchr(0, &bytes).unwrap_or(bytes.len());
    Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
}
