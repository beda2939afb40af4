//! Mappings on files that are renamed, replaced, removed or truncated while their name lives.
#![cfg(target_os = "linux")]

mod common;

use std::fs::File;

use common::agent::{Agent, refused};
use common::linux::{lock, path_of};
use common::place::Place;
use coview::{Access, ErrorKind, Mapping, MappingOptions};

#[test]
fn child() {
    common::child(&[]);
}

const MAPPING_ON_FILE: u8 = 1 << 4 | 3 << 2;

/// A process that has made the mapping `name` of 8192 bytes on the file `path`, and mapped it.
fn maker(name: &str, path: &std::path::Path) -> Agent {
    let mut maker = Agent::start();
    maker.create_on(name, 8192, path).unwrap_or_else(|refusal| panic!("{}", refusal.message));
    maker.view(Access::ReadWrite).expect("it can be mapped");
    maker.write(0, "the file").expect("it can be written");
    maker
}

/// Another process opens the name and sees what the maker sees.
fn leads_to_the_makers_bytes(name: &str, maker: &mut Agent) {
    let mut guest = Agent::start();
    guest.open(name, Access::ReadWrite).unwrap_or_else(|refusal| panic!("{}", refusal.message));
    guest.view(Access::ReadWrite).expect("it can be mapped");
    assert_eq!(guest.read(0, 100).expect("it can be read"), "the file");
    guest.write(4000, "guest was here").expect("it can be written");
    assert_eq!(maker.read(4000, 100).expect("it can be read"), "guest was here");
}

#[test]
fn renamed_replaced_or_removed_while_somebody_has_it() {
    let here = Place::new("moved");
    let (name, path) = (here.name("x"), here.file("bytes.bin", b""));
    let mut maker = maker(&name, &path);
    let elsewhere = here.path("elsewhere.bin");
    std::fs::rename(&path, &elsewhere).unwrap();
    leads_to_the_makers_bytes(&name, &mut maker);
    std::fs::write(&path, [b'?'; 8192]).unwrap();
    leads_to_the_makers_bytes(&name, &mut maker);
    assert!(std::fs::read(&path).unwrap().iter().all(|byte| *byte == b'?'), "the other file is left alone");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    leads_to_the_makers_bytes(&name, &mut maker);
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&elsewhere).unwrap();
    leads_to_the_makers_bytes(&name, &mut maker);
    maker.kill();
    refused(Agent::start().open(&name, Access::Read), ErrorKind::NotFound);
}

#[test]
fn gone_from_everywhere() {
    let here = Place::new("vanished");
    let (name, path) = (here.name("x"), here.file("bytes.bin", b""));
    let (maker, mut guest) = (maker(&name, &path), Agent::start());
    // The name is kept by somebody who has not the file itself.
    let record = File::open(path_of(&name)).unwrap();
    lock(&record, Some(MAPPING_ON_FILE));
    maker.kill();
    guest.open(&name, Access::Read).unwrap();
    guest.close();
    // Nor does another file get its number meanwhile.
    std::fs::hard_link(&path, here.path("kept.bin")).unwrap();
    std::fs::write(here.path("new.bin"), [0; 8192]).unwrap();
    std::fs::rename(here.path("new.bin"), &path).unwrap();
    for remove in [false, true] {
        if remove {
            std::fs::remove_file(&path).unwrap();
        }
        let attempts = [guest.open(&name, Access::Read), guest.open(&name, Access::ReadWrite), guest.join(&name, 1)];
        for attempt in attempts {
            let message = refused(attempt, ErrorKind::Vanished);
            assert!(message.contains("bytes.bin"), "{message}");
        }
    }
    // A refused opener has no hold: the name goes with the one who kept it.
    drop(record);
    common::until("the name is free", || Mapping::create(&name, 4096).is_ok());
}

#[test]
fn truncated() {
    let here = Place::new("truncated");
    let (name, path) = (here.name("x"), here.file("bytes.bin", b""));
    let _maker = maker(&name, &path);
    let early = Mapping::open(&name, Access::ReadWrite).unwrap();
    let early_view = early.view(Access::ReadWrite).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(5000).unwrap();
    let late = Mapping::open(&name, Access::Read).unwrap();
    for mapping in [&early, &late] {
        assert_eq!(mapping.size(), 8192);
        let error = mapping.view(Access::Read).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Vanished, "{error:?}");
        assert!(error.to_string().contains("5000"), "{error}");
        assert_eq!(mapping.view_range(Access::Read, ..5000).unwrap().len(), 5000);
        assert_eq!(mapping.view_range(Access::Read, ..5001).unwrap_err().kind(), ErrorKind::Vanished);
    }
    File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    assert_eq!(early_view.prefault(..).unwrap_err().kind(), ErrorKind::Vanished);
    early_view.prefault(..100).unwrap();
    // It comes back with the file.
    File::options().write(true).open(&path).unwrap().set_len(8192).unwrap();
    late.view(Access::Read).unwrap();
}

#[test]
fn relative_paths_are_found_from_anywhere() {
    let here = Place::new("relative");
    let (name, path) = (here.name("x"), here.file("bytes.bin", b"relative"));
    let mut command = common::command("agent", &[]);
    command.current_dir(path.parent().unwrap());
    let mut maker = Agent::spawn(command);
    maker.create_on(&name, 0, "bytes.bin".as_ref()).unwrap();
    let mut guest = Agent::start();
    guest.open(&name, Access::Read).unwrap();
    guest.view(Access::Read).unwrap();
    assert_eq!(guest.read(0, 8).unwrap(), "relative");
}

/// A request that fails leaves the file system as it was.
#[test]
fn what_was_refused_leaves_no_file() {
    let here = Place::new("refused");
    let path = here.path("new.bin");
    assert_eq!(MappingOptions::new().file(&path).create_unnamed().unwrap_err().kind(), ErrorKind::InvalidInput);
    let huge = MappingOptions::new().size(1 << 60).file(&path);
    assert_eq!(huge.create_unnamed().unwrap_err().kind(), ErrorKind::OutOfMemory);
    assert!(std::fs::metadata(&path).map_or(0, |file| file.len()) == 0);
    let grown = here.file("grown.bin", &[7; 100]);
    for size in [1 << 45, 1 << 60, u64::MAX] {
        let error = MappingOptions::new().size(size).file(&grown).create_unnamed().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error:?}");
        assert_eq!(std::fs::read(&grown).unwrap(), [7; 100]);
    }
    for size in [1 << 60, u64::MAX] {
        let error = MappingOptions::new().size(size).reserve(true).file(&grown).create_unnamed().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error:?}");
        assert_eq!(std::fs::read(&grown).unwrap(), [7; 100]);
    }
}
