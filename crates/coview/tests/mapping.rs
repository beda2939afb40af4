//! The mapping object: sizes, protections, making and opening, backing files, reserved memory.

mod common;

use std::time::{Duration, Instant};

use common::agent::{Agent, refused};
use common::place::Place;
use coview::{Access, Disposition, ErrorKind, Mapping, MappingOptions, Protection, Share};

const PAGE: u64 = 4096;

#[test]
fn child() {
    common::child(&[]);
}

fn kind<T>(result: coview::Result<T>) -> ErrorKind {
    result.err().expect("this should have been refused").kind()
}

fn bytes(mapping: &Mapping, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    mapping.view_range(Access::Read, offset..offset + len as u64).unwrap().read(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn sizes_round_up_to_pages_and_all_of_it_is_zero() {
    let here = Place::new("sizes");
    for (asked, got) in
        [(1, PAGE), (4095, PAGE), (4096, PAGE), (4097, 2 * PAGE), (1 << 20, 1 << 20), (3_145_728, 3_145_728)]
    {
        let name = here.name(&asked.to_string());
        let made = Mapping::create(&name, asked).unwrap();
        let opened = Mapping::open(&name, Access::ReadWrite).unwrap();
        let unnamed = MappingOptions::new().size(asked).create_unnamed().unwrap();
        for mapping in [made, opened, unnamed] {
            assert_eq!(mapping.size(), got);
            assert_eq!(mapping.view(Access::Read).unwrap().len() as u64, got);
            assert!(bytes(&mapping, 0, got as usize).iter().all(|byte| *byte == 0));
            mapping.view(Access::ReadWrite).unwrap().write(got as usize - 1, b"!").unwrap();
            mapping.view(Access::ReadWrite).unwrap().write(got as usize - 1, b"\0").unwrap();
        }
    }
}

#[test]
fn exact_sizes_stay_exact_for_everybody() {
    let here = Place::new("exact");
    let mut guest = Agent::start();
    for size in [1, 100, 4095, 4097, 1_000_001] {
        let name = here.name(&size.to_string());
        let made = MappingOptions::new().size(size).exact(true).create(&name).unwrap();
        assert_eq!(made.size(), size);
        assert_eq!(guest.open(&name, Access::ReadWrite).unwrap(), format!("{size} rw"));
        assert_eq!(made.view(Access::Read).unwrap().len() as u64, size);
        assert_eq!(kind(made.view_range(Access::Read, ..size + 1)), ErrorKind::OutOfRange);
        guest.close();
    }
    let unnamed = MappingOptions::new().size(77).exact(true).create_unnamed().unwrap();
    assert_eq!(unnamed.size(), 77);
}

#[test]
fn create_open_and_open_or_create() {
    let here = Place::new("verbs");
    let name = here.name("x");
    assert_eq!(kind(Mapping::open(&name, Access::Read)), ErrorKind::NotFound);
    let (made, how) = MappingOptions::new().size(PAGE).open_or_create(&name).unwrap();
    assert_eq!(how, Disposition::Created);
    made.view(Access::ReadWrite).unwrap().write(0, b"first").unwrap();
    // Its size and contents stay, whatever is asked for: equal, larger, smaller.
    for size in [PAGE, 100 * PAGE, 1] {
        let (joined, how) = MappingOptions::new().size(size).open_or_create(&name).unwrap();
        assert_eq!((how, joined.size()), (Disposition::Opened, PAGE));
        assert_eq!(bytes(&joined, 0, 5), b"first");
        assert_eq!(kind(Mapping::create(&name, size)), ErrorKind::AlreadyExists);
    }
    let mut guest = Agent::start();
    refused(guest.create(&name, 1), ErrorKind::AlreadyExists);
    assert_eq!(guest.join(&name, 1).unwrap(), "Opened");
    assert_eq!(guest.join(&here.name("y"), 1).unwrap(), "Created");
}

#[test]
fn senseless_requests() {
    let here = Place::new("senseless");
    let name = here.name("x");
    let error = Mapping::create(&name, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("size 0"), "{error}");
    assert!(error.object().is_some_and(|object| object.contains(&name)));
    let options = MappingOptions::new();
    assert_eq!(kind(options.clone().create_unnamed()), ErrorKind::InvalidInput);
    assert_eq!(kind(options.clone().open_or_create(&name)), ErrorKind::InvalidInput);
    let both = options.clone().size(1).reserve(true).exact(true);
    assert_eq!(kind(both.create(&name)), ErrorKind::InvalidInput);
    let file = here.file("bytes", b"1234");
    assert_eq!(kind(options.clone().file(&file).exact(true).create(&name)), ErrorKind::InvalidInput);
    let mode = options.clone().size(1).share(Share::Mode(0o755));
    assert_eq!(kind(mode.create(&name)), ErrorKind::InvalidInput);
    assert_eq!(kind(Mapping::open(&name, Access::Read)), ErrorKind::NotFound);
}

#[test]
fn what_no_machine_has_is_refused_at_once_with_the_figure() {
    let here = Place::new("huge");
    let name = here.name("x");
    for size in [1 << 40, 1 << 60, u64::MAX] {
        let options = MappingOptions::new().size(size);
        let refusals = |_| {
            let before = Instant::now();
            for error in [
                options.create(&name).unwrap_err(),
                options.create_unnamed().unwrap_err(),
                options.clone().exact(true).create(&name).unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
                assert!(error.to_string().contains(&size.to_string()), "{error}");
            }
            before.elapsed()
        };
        // Who fills all the memory there is takes long each time, a busy machine does not.
        let fastest = (0..5).map(refusals).min().unwrap();
        assert!(fastest < Duration::from_secs(2), "{size} took {fastest:?}");
        assert_eq!(kind(Mapping::open(&name, Access::Read)), ErrorKind::NotFound);
    }
}

#[test]
fn protection_bounds_every_view_of_every_handle() {
    let here = Place::new("protection");
    for protection in [Protection::ReadOnly, Protection::WriteCopy] {
        let name = here.name(protection.word());
        let made = MappingOptions::new().size(PAGE).protection(protection).create(&name).unwrap();
        assert_eq!((made.protection(), made.access()), (protection, Access::Read));
        assert_eq!(kind(made.view(Access::ReadWrite)), ErrorKind::AccessDenied);
        assert_eq!(kind(Mapping::open(&name, Access::ReadWrite)), ErrorKind::AccessDenied);
        let asks_to_write = MappingOptions::new().size(PAGE);
        assert_eq!(kind(asks_to_write.open_or_create(&name)), ErrorKind::AccessDenied);
        let opened = Mapping::open(&name, Access::Read).unwrap();
        let view = opened.view(Access::Read).unwrap();
        assert_eq!(kind(view.write(0, b"x")), ErrorKind::AccessDenied);
        let private = made.view(Access::CopyOnWrite).unwrap();
        private.write(0, b"mine alone").unwrap();
        assert_eq!(bytes(&made, 0, 4), [0; 4]);
        assert_eq!(bytes(&opened, 0, 4), [0; 4]);
    }
}

#[test]
fn a_handle_for_reading_cannot_write() {
    let here = Place::new("access");
    let name = here.name("x");
    let made = Mapping::create(&name, PAGE).unwrap();
    assert_eq!((made.protection(), made.access()), (Protection::ReadWrite, Access::ReadWrite));
    for access in [Access::Read, Access::CopyOnWrite] {
        let opened = Mapping::open(&name, access).unwrap();
        assert_eq!(opened.access(), Access::Read);
        let error = opened.view(Access::ReadWrite).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AccessDenied);
        assert!(error.to_string().contains("Access::ReadWrite"), "{error}");
        let clone = opened.try_clone().unwrap();
        assert_eq!(kind(clone.view(Access::ReadWrite)), ErrorKind::AccessDenied);
        opened.view(Access::CopyOnWrite).unwrap().write(0, b"private").unwrap();
    }
    // A create that asks for less joins for less.
    let (joined, how) = MappingOptions::new().size(1).protection(Protection::ReadOnly).open_or_create(&name).unwrap();
    assert_eq!((how, joined.access()), (Disposition::Opened, Access::Read));
    assert_eq!(kind(joined.view(Access::ReadWrite)), ErrorKind::AccessDenied);
    let view = made.view(Access::Read).unwrap();
    assert_eq!(kind(view.write(0, b"x")), ErrorKind::AccessDenied);
    assert_eq!(bytes(&made, 0, 8), [0; 8]);
}

#[test]
fn copy_on_write_follows_until_its_own_first_write() {
    let here = Place::new("copy");
    let made = Mapping::create(&here.name("x"), 2 * PAGE).unwrap();
    let (shared, private) = (made.view(Access::ReadWrite).unwrap(), made.view(Access::CopyOnWrite).unwrap());
    let mut seen = [0; 4];
    shared.write(0, b"one ").unwrap();
    private.read(0, &mut seen).unwrap();
    assert_eq!(&seen, b"one ");
    private.write(8, b"mine").unwrap(); // from now on this page is private, the next one not
    shared.write(0, b"two ").unwrap();
    shared.write(PAGE as usize, b"next").unwrap();
    private.read(0, &mut seen).unwrap();
    assert_eq!(&seen, b"one ");
    private.read(PAGE as usize, &mut seen).unwrap();
    assert_eq!(&seen, b"next");
    assert_eq!(bytes(&made, 8, 4), [0; 4]);
}

#[test]
fn a_file_shows_through_and_keeps_what_was_written() {
    let here = Place::new("file");
    let (name, path) = (here.name("x"), here.file("bytes.bin", b"from the file"));
    let (mut maker, mut guest) = (Agent::start(), Agent::start());
    assert_eq!(maker.create_on(&name, 10_000, &path).unwrap(), "10000 rw");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 10_000, "it grows to the byte");
    // By name alone another process comes to the same file, by plain create-or-open too.
    assert_eq!(guest.open(&name, Access::ReadWrite).unwrap(), "10000 rw");
    guest.view(Access::ReadWrite).unwrap();
    assert_eq!(guest.read(0, 100).unwrap(), "from the file");
    guest.write(9_990, "the end").unwrap();
    let mut third = Agent::start();
    assert_eq!(third.join(&name, 3 * PAGE).unwrap(), "Opened");
    third.view(Access::ReadWrite).unwrap();
    assert_eq!(third.read(9_990, 10).unwrap(), "the end");
    maker.view(Access::ReadWrite).unwrap();
    maker.write(0, "FROM").unwrap();
    assert_eq!(third.read(0, 100).unwrap(), "FROM the file");
    maker.quit();
    guest.kill();
    third.quit();
    let left = std::fs::read(&path).unwrap();
    assert_eq!((left.len(), &left[..13], &left[9_990..9_997]), (10_000, &b"FROM the file"[..], &b"the end"[..]));
    assert_eq!(kind(Mapping::open(&name, Access::Read)), ErrorKind::NotFound);
}

#[test]
fn sizes_of_mappings_on_files() {
    let here = Place::new("file-sizes");
    let path = here.file("ten.bin", &[7; 10_000]);
    let on = || MappingOptions::new().file(&path);
    assert_eq!(on().create_unnamed().unwrap().size(), 10_000, "without a size: the file's");
    let whole = on().create_unnamed().unwrap();
    assert_eq!(kind(whole.view_range(Access::Read, ..10_001)), ErrorKind::OutOfRange);
    let part = on().size(5000).create(&here.name("part")).unwrap();
    assert_eq!(part.size(), 5000);
    assert_eq!(kind(part.view_range(Access::Read, ..5001)), ErrorKind::OutOfRange);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 10_000, "a smaller mapping leaves it alone");
    for protection in [Protection::ReadOnly, Protection::WriteCopy] {
        let error = on().size(10_001).protection(protection).create_unnamed().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
        assert!(error.to_string().contains("10001"), "{error}");
    }
    let empty = here.file("empty.bin", b"");
    assert_eq!(kind(MappingOptions::new().file(&empty).create_unnamed()), ErrorKind::InvalidInput);
    let grown = MappingOptions::new().file(&empty).size(123).create_unnamed().unwrap();
    assert_eq!((grown.size(), std::fs::metadata(&empty).unwrap().len()), (123, 123));
    let new = here.path("new.bin");
    let made = MappingOptions::new().file(&new).size(1).create_unnamed().unwrap();
    made.view(Access::ReadWrite).unwrap().write(0, b"!").unwrap();
    drop(made);
    assert_eq!(std::fs::read(&new).unwrap(), b"!");
}

#[test]
fn files_that_cannot_be_had() {
    let here = Place::new("no-file");
    let name = here.name("x");
    let nowhere = MappingOptions::new().size(1).file(here.path("absent/deep.bin")).create(&name).unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound, "{nowhere}");
    let read_only = MappingOptions::new().protection(Protection::ReadOnly);
    assert_eq!(kind(read_only.clone().file(here.path("absent.bin")).create(&name)), ErrorKind::NotFound);
    assert!(!here.path("absent.bin").exists(), "asking to read makes no file");
    let directory = here.path("directory");
    std::fs::create_dir(&directory).unwrap();
    assert!(read_only.file(&directory).create(&name).is_err());
    assert_eq!(kind(Mapping::open(&name, Access::Read)), ErrorKind::NotFound);
}

#[test]
fn protections_of_mappings_on_files() {
    let here = Place::new("file-protection");
    let path = here.file("bytes.bin", &[b'.'; 8192]);
    let name = here.name("ro");
    let mut guest = Agent::start();
    let read_only = MappingOptions::new().file(&path).protection(Protection::ReadOnly).create(&name).unwrap();
    assert_eq!(kind(read_only.view(Access::ReadWrite)), ErrorKind::AccessDenied);
    refused(guest.open(&name, Access::ReadWrite), ErrorKind::AccessDenied);
    assert_eq!(guest.open(&name, Access::Read).unwrap(), "8192 ro");
    guest.view(Access::Read).unwrap();
    refused(guest.write(0, "x"), ErrorKind::AccessDenied);

    let copied = MappingOptions::new().file(&path).protection(Protection::WriteCopy).create(&here.name("wc")).unwrap();
    assert_eq!(kind(copied.view(Access::ReadWrite)), ErrorKind::AccessDenied);
    let written = MappingOptions::new().file(&path).create(&here.name("rw")).unwrap();
    for mapping in [&read_only, &copied, &written] {
        let private = mapping.view(Access::CopyOnWrite).unwrap();
        private.write(0, b"mine").unwrap();
        let mut back = [0; 4];
        private.read(0, &mut back).unwrap();
        assert_eq!(&back, b"mine");
    }
    assert_eq!(guest.read(0, 4).unwrap(), "....", "no peer sees a private copy");
    written.view(Access::ReadWrite).unwrap().write(0, b"all!").unwrap();
    assert_eq!(guest.read(0, 4).unwrap(), "all!", "sections of one file are coherent");
    drop((read_only, copied, written));
    assert_eq!(&std::fs::read(&path).unwrap()[..5], b"all!.", "nor does the file");
}

#[test]
fn a_file_that_is_exclusively_open() {
    let here = Place::new("exclusive");
    let path = here.file("bytes.bin", &[0; 4096]);
    let mut guest = Agent::start();
    let mine = MappingOptions::new().file_exclusive(&path).create(&here.name("mine")).unwrap();
    let message = refused(guest.create_on(&here.name("theirs"), 4096, &path), ErrorKind::AccessDenied);
    assert!(message.contains("bytes.bin"), "{message}");
    // The object itself is shared like any other.
    guest.open(&here.name("mine"), Access::ReadWrite).unwrap();
    guest.close();
    drop(mine);
    // A child that another test is just starting holds the lock on the file until it has exec'd.
    common::until("the file is free again", || guest.create_on(&here.name("theirs"), 4096, &path).is_ok());
    assert_eq!(kind(MappingOptions::new().file_exclusive(&path).create_unnamed()), ErrorKind::AccessDenied);
}

#[test]
fn a_sparse_file_is_used_beyond_4_gib() {
    let here = Place::new("sparse");
    let (name, path, size) = (here.name("x"), here.path("sparse.bin"), (5u64 << 30) + 123);
    let made = MappingOptions::new().file(&path).size(size).reserve(true).create(&name).unwrap();
    assert_eq!((made.size(), std::fs::metadata(&path).unwrap().len()), (size, size));
    let mut guest = Agent::start();
    assert_eq!(guest.open(&name, Access::Read).unwrap(), format!("{size} rw"));
    for offset in [0, (4 << 30) - 3, (4 << 30) + 7, size - 6] {
        made.view_range(Access::ReadWrite, offset..offset + 6).unwrap().write(0, b"beyond").unwrap();
        let opened = Mapping::open(&name, Access::Read).unwrap();
        assert_eq!(bytes(&opened, offset, 6), b"beyond");
    }
    assert_eq!(bytes(&made, 4 << 30, 7), b"ond\0\0\0\0");
    assert_eq!(kind(made.view_range(Access::Read, size - 6..=size)), ErrorKind::OutOfRange);
}

#[test]
fn reserved_memory_is_committed_range_by_range_for_all() {
    let here = Place::new("reserve");
    let (name, size) = (here.name("x"), 64 << 20);
    let mut guest = Agent::start();
    guest.ask(&["reserve", &name, &size.to_string()]).unwrap();
    guest.view(Access::ReadWrite).unwrap();
    let mine = Mapping::open(&name, Access::ReadWrite).unwrap();
    assert!(mine.is_reserved());
    assert_eq!(mine.size(), size);
    let view = mine.view(Access::ReadWrite).unwrap();
    let middle = 40 << 20;
    for refusal in [view.read(middle, &mut [0; 8]), view.write(middle, b"x")] {
        let error = refusal.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
        assert!(error.to_string().contains("commit"), "{error}");
    }
    refused(guest.read(middle, 8), ErrorKind::OutOfRange);
    // What one commits all have, in views that were there before; in whole pages.
    guest.ask(&["commit", &(middle + 100).to_string(), "5000"]).unwrap();
    view.write(middle, b"committed").unwrap();
    assert_eq!(guest.read(middle, 9).unwrap(), "committed");
    view.write(middle + 2 * 4096 - 1, b"!").unwrap();
    assert_eq!(kind(view.read(middle + 2 * 4096 - 1, &mut [0; 2])), ErrorKind::OutOfRange);
    assert_eq!(kind(view.read(middle - 1, &mut [0; 2])), ErrorKind::OutOfRange);
    // Again changes nothing.
    mine.commit(middle as u64, 4096).unwrap();
    assert_eq!(bytes(&mine, middle as u64, 9), b"committed");
    assert_eq!(kind(mine.commit(size - 1, 2)), ErrorKind::OutOfRange);
    assert_eq!(kind(mine.commit(0, 0)), ErrorKind::OutOfRange);
    assert_eq!(kind(mine.commit(u64::MAX, 2)), ErrorKind::OutOfRange);
    let reader = Mapping::open(&name, Access::Read).unwrap();
    assert_eq!(kind(reader.commit(0, 1)), ErrorKind::AccessDenied);
    // Nothing is read at the very end, and that is no more than the view has.
    view.read(size as usize, &mut []).unwrap();
}

#[test]
fn committing_what_is_not_reserved_changes_nothing_that_can_be_seen() {
    let here = Place::new("commit-all");
    let path = here.path("bytes.bin");
    let on_file = MappingOptions::new().file(&path).size(10_000).reserve(true).create_unnamed().unwrap();
    for mapping in [&on_file, &Mapping::create(&here.name("x"), 10_000).unwrap()] {
        mapping.view(Access::ReadWrite).unwrap().write(9_000, b"here").unwrap();
        mapping.commit(0, 10_000).unwrap();
        mapping.commit(9_999, 1).unwrap();
        assert!(!mapping.is_reserved());
        assert_eq!(bytes(mapping, 9_000, 4), b"here");
        assert_eq!(kind(mapping.commit(mapping.size(), 1)), ErrorKind::OutOfRange);
    }
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 10_000, "not even by a byte");
}

#[test]
fn unnamed_reserved_memory() {
    let mapping = MappingOptions::new().size(1 << 30).reserve(true).create_unnamed().unwrap();
    let view = mapping.view(Access::ReadWrite).unwrap();
    assert_eq!(kind(view.write(0, b"x")), ErrorKind::OutOfRange);
    mapping.commit((1 << 30) - 1, 1).unwrap();
    view.write((1 << 30) - 4096, b"x").unwrap();
    mapping.commit(0, 2 << 20).unwrap();
    view.write((2 << 20) - 1, b"x").unwrap();
    assert_eq!(kind(view.write(2 << 20, b"x")), ErrorKind::OutOfRange);
}

#[test]
fn any_thread_may_use_and_drop_what_another_made() {
    let here = Place::new("threads");
    let name = here.name("x");
    let made = Mapping::create(&name, PAGE).unwrap();
    let view = made.view(Access::ReadWrite).unwrap();
    std::thread::scope(|scope| {
        for i in 0..4 {
            let (made, name) = (&made, &name);
            scope.spawn(move || {
                made.view(Access::ReadWrite).unwrap().write(i * 8, b"thread").unwrap();
                Mapping::open(name, Access::ReadWrite).unwrap();
            });
        }
    });
    std::thread::spawn(move || drop(made)).join().unwrap();
    let mut seen = [0; 6];
    view.read(24, &mut seen).unwrap();
    assert_eq!(&seen, b"thread");
}
