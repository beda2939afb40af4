//! System S1: a message in `Global\MyFileMappingObject`, open to all users of the machine.

use coview::{Access, Mapping, Share};

use super::{Part, Stage, hold, text::text};
use crate::failure::Failure;

const MESSAGE: &str = "Message from first process";

pub(super) fn run(stage: &mut Stage) -> Result<(), Failure> {
    let name = stage.name(r"Global\MyFileMappingObject");
    let second = Part::run("second", "message-b", &[&name])?;
    stage.verdict("without the first process the second is told: not found", second.code == Some(3));
    let first = Part::start("first", "message-a", &[&name])?;
    first.ready()?;
    let second = Part::run("second", "message-b", &[&name])?;
    stage.verdict("the second process shows the message", second.code == Some(0) && second.said(MESSAGE));
    let first = first.end()?;
    stage.verdict("the first process ends cleanly", first.code == Some(0));
    let second = Part::run("second", "message-b", &[&name])?;
    stage.verdict("with all handles closed the object is gone", second.code == Some(3));
    Ok(())
}

pub(super) fn first(name: &str) -> Result<(), Failure> {
    let mapping = Mapping::options().size(256).share(Share::Everyone).create(name)?;
    mapping.view(Access::ReadWrite)?.write(0, format!("{MESSAGE}\0").as_bytes())?;
    hold(&format!("{name} holds the message"))
}

pub(super) fn second(name: &str) -> Result<(), Failure> {
    let mapping = Mapping::open(name, Access::Read)?;
    let message = text(&mapping)?;
    let rule = "-".repeat(message.chars().count() + 2);
    println!("+{rule}+");
    println!("| {message} |");
    println!("+{rule}+");
    Ok(())
}
