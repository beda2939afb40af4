//! System S3: a `student` in `TestMemShare`, read by a reader that knows its layout and one that has another.
//!
//! The seed's `long` has 4 bytes on Windows and 8 on Linux, so the record uses fixed-width types.

use coview::{Access, ErrorKind, Mapping};

use super::{Part, Stage, hold};
use crate::failure::Failure;
use crate::layout::Layout;

const STUDENT: &str = "struct student { int32_t id; char name[20]; }";
/// What a C compiler for 64-bit Linux makes of the seed's `long id`.
const OTHER: &str = "struct student { int64_t id; char name[20]; }";
const ID: i32 = 99_041_232;
const NAME: &[u8] = b"SecBug";

pub(super) fn run(stage: &mut Stage) -> Result<(), Failure> {
    let name = stage.name("TestMemShare");
    let writer = Part::start("MemWrite", "student-write", &[&name])?;
    writer.ready()?;
    let reader = Part::run("MemRead", "student-read", &[&name])?;
    let fields = reader.said("99041232") && reader.said("SecBug");
    stage.verdict("the reader prints 99041232 and SecBug", reader.code == Some(0) && fields);
    stage.verdict("a write through its read-only view is refused", reader.said("refused: read-only"));
    let other = Part::run("Other", "student-other", &[&name])?;
    stage.verdict(
        "a reader with another layout is refused and told the difference",
        other.said("32 bytes, the memory 24"),
    );
    let writer = writer.end()?;
    stage.verdict("the writer ends cleanly", writer.code == Some(0));
    Ok(())
}

pub(super) fn write(name: &str) -> Result<(), Failure> {
    let size = layout(STUDENT)?.size();
    let mapping = Mapping::options().size(size).exact(true).create(name)?;
    let view = mapping.view(Access::ReadWrite)?;
    view.write(0, &ID.to_le_bytes())?;
    view.write(4, NAME)?;
    hold(&format!("a student of {size} bytes is in {name}"))
}

fn layout(text: &str) -> Result<Layout, Failure> {
    Layout::parse(text).map_err(|error| Failure::new(error.to_string()))
}

fn decode(name: &str, declaration: &str) -> Result<(), Failure> {
    let layout = layout(declaration)?;
    let mapping = Mapping::open(name, Access::Read)?;
    if mapping.size() < layout.size() {
        println!(
            "refused: the layout {declaration:?} has {} bytes, the memory {}: it was written by another layout",
            layout.size(),
            mapping.size()
        );
        return Ok(());
    }
    let view = mapping.view_range(Access::Read, ..layout.size())?;
    let mut bytes = vec![0; view.len()];
    view.read(0, &mut bytes)?;
    print!("{}", layout.to_text(&bytes));
    if view.write(0, b"x").is_err_and(|error| error.kind() == ErrorKind::AccessDenied) {
        println!("refused: read-only");
    }
    Ok(())
}

pub(super) fn read(name: &str) -> Result<(), Failure> {
    decode(name, STUDENT)
}

pub(super) fn read_otherwise(name: &str) -> Result<(), Failure> {
    decode(name, OTHER)
}
