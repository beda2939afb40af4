//! A structure in shared memory, with a layout that means the same in every program: fixed widths, fixed order.
//!
//! In C this is `struct { int32_t id; char name[20]; }`. Not `long`: that has 4 bytes on Windows and 8 on Linux, so
//! that programs of the two, or of 32 and 64 bits, would not read the same fields.

use std::process::Command;

use coview::{Access, Mapping, Result};

#[derive(Debug)]
struct Student {
    id: i32,
    name: [u8; 20],
}

impl Student {
    const LEN: usize = 24;

    fn write(&self, mapping: &Mapping) -> Result<()> {
        let view = mapping.view(Access::ReadWrite)?;
        view.write(0, &self.id.to_le_bytes())?;
        view.write(4, &self.name)
    }

    fn read(mapping: &Mapping) -> Result<Student> {
        let mut bytes = [0; Student::LEN];
        mapping.view(Access::Read)?.read(0, &mut bytes)?;
        let (id, name) = bytes.split_at(4);
        let (id, name) = (id.try_into().expect("4 bytes"), name.try_into().expect("20 bytes"));
        Ok(Student { id: i32::from_le_bytes(id), name })
    }
}

fn reader(name: &str) -> Result<()> {
    let mapping = Mapping::open(name, Access::Read)?;
    let student = Student::read(&mapping)?;
    let text = String::from_utf8_lossy(&student.name);
    println!("{} {}", student.id, text.trim_end_matches('\0'));
    println!("{}", student.write(&mapping).unwrap_err()); // it was opened for reading
    Ok(())
}

fn main() -> Result<()> {
    if let Some(name) = std::env::args().nth(1) {
        return reader(&name);
    }
    let name = format!("TestMemShare-{}", std::process::id());
    let mapping = Mapping::create(&name, Student::LEN as u64)?;
    let mut student = Student { id: 99_041_232, name: [0; 20] };
    student.name[..6].copy_from_slice(b"SecBug");
    student.write(&mapping)?;
    let program = std::env::current_exe().expect("this program has a path");
    Command::new(program).arg(&name).status().expect("it can be started again");
    Ok(())
}
