//! What only Windows can show: the kernel's own objects beside ours, raw Win32 programs, handles, security.
#![cfg(windows)]
#![allow(unsafe_code)]

mod common;

use std::fs::File;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use common::agent::Agent;
use common::place::Place;
use common::{Child, command, hear, say, until};
use coview::os::windows::{duplicate_to, from_handle, handle};
use coview::{Access, Advice, Disposition, ErrorKind, Mapping, MappingOptions, Protection, Share, inspect};
use windows_sys::Win32::Foundation::GetLastError;
use windows_sys::Win32::System::Memory::{CreateFileMappingW, OpenFileMappingW, PAGE_READONLY, PAGE_READWRITE};

#[test]
fn child() {
    common::child(&[("adopt", adopt)]);
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// What `OpenFileMapping` says: a handle or the last error.
fn raw_open(name: &str, access: u32) -> Result<OwnedHandle, u32> {
    let name = wide(name);
    // SAFETY: the name is NUL-terminated and alive.
    let handle = unsafe { OpenFileMappingW(access, 0, name.as_ptr()) };
    if handle.is_null() {
        // SAFETY: reads a number of this thread.
        return Err(unsafe { GetLastError() });
    }
    // SAFETY: the call has just returned it, to us alone.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// What `CreateFileMapping` on the paging file says: a handle and the last error.
fn raw_create(name: &str, protection: u32, size: u32) -> (OwnedHandle, u32) {
    let name = wide(name);
    let none = windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
    // SAFETY: no file, no attributes, and a name that is NUL-terminated and alive.
    let handle = unsafe { CreateFileMappingW(none, std::ptr::null(), protection, 0, size, name.as_ptr()) };
    // SAFETY: reads a number of this thread.
    let last = unsafe { GetLastError() };
    assert!(!handle.is_null(), "error {last}");
    // SAFETY: the call has just returned it, to us alone.
    (unsafe { OwnedHandle::from_raw_handle(handle) }, last)
}

/// Waits until nobody has the name: who lists the objects holds each for a moment, and some tests here do.
fn gone(name: &str) {
    until(&format!("{name} is gone"), || raw_open(name, 4).is_err_and(|code| code == 2));
}

/// Only one of them at a time, since they count handles; and no test beside them that asks whether a file is closed.
static LISTING: Mutex<()> = Mutex::new(());

#[track_caller]
fn kind<T: std::fmt::Debug>(result: coview::Result<T>) -> ErrorKind {
    result.expect_err("this should have been refused").kind()
}

#[test]
fn a_new_name_an_old_name_and_its_sizes() {
    let here = Place::new("create");
    for size in [1, 4095, 4096, 65537, 64 << 20] {
        let name = here.name("sizes");
        let mapping = Mapping::create(&name, size).unwrap();
        assert_eq!(mapping.size(), size.next_multiple_of(4096));
        let view = mapping.view(Access::ReadWrite).unwrap();
        let mut last = [1];
        view.read(view.len() - 1, &mut last).unwrap();
        assert_eq!(last, [0], "new memory is zeroed to the end of the page");
        drop((view, mapping));
        gone(&name);
    }
    let name = here.name("old");
    let first = Mapping::create(&name, 8192).unwrap();
    assert_eq!(kind(Mapping::create(&name, 8192)), ErrorKind::AlreadyExists);
    for size in [1, 8192, 1 << 30] {
        let (second, disposition) = MappingOptions::new().size(size).open_or_create(&name).unwrap();
        assert_eq!((second.size(), disposition), (first.size(), Disposition::Opened));
    }
    assert_eq!(kind(first.view_range(Access::Read, ..8193)), ErrorKind::OutOfRange);
    assert_eq!(kind(Mapping::create(&here.name("none"), 0)), ErrorKind::InvalidInput);
    for size in [1 << 46, 1 << 47, u64::MAX] {
        assert_eq!(kind(Mapping::create(&here.name("huge"), size)), ErrorKind::OutOfMemory, "{size:#x}");
    }
}

#[test]
fn it_is_the_object_that_win32_programs_see() {
    let here = Place::new("raw");
    let name = here.name("x");
    assert_eq!(raw_open(&name, 4).unwrap_err(), 2);
    let ours = Mapping::create(&name, 4096).unwrap();
    let (_theirs, last) = raw_create(&format!(r"Local\{name}"), PAGE_READWRITE, 1);
    assert_eq!(last, 183);
    let theirs = from_handle(raw_open(&name, 7).unwrap()).unwrap();
    assert_eq!((theirs.size(), theirs.protection()), (4096, Protection::ReadWrite));
    ours.view(Access::ReadWrite).unwrap().write(100, b"seen").unwrap();
    let mut seen = [0; 4];
    theirs.view(Access::Read).unwrap().read(100, &mut seen).unwrap();
    assert_eq!(&seen, b"seen");
    assert_eq!(raw_open(&format!(r"Global\{name}"), 4).unwrap_err(), 2);

    let (theirs, last) = raw_create(&format!(r"Global\{name}"), PAGE_READWRITE, 10_000);
    assert_eq!(last, 0);
    let ours = Mapping::open(&here.global("x"), Access::ReadWrite).unwrap();
    assert_eq!(ours.size(), 12288);
    drop(theirs);
    drop(ours);
    gone(&format!(r"Global\{name}"));
}

#[test]
fn nobody_writes_what_was_created_read_only() {
    let here = Place::new("read-only");
    for protection in [Protection::ReadOnly, Protection::WriteCopy] {
        let name = here.name(protection.word());
        let mapping = MappingOptions::new().size(4096).protection(protection).create(&name).unwrap();
        assert_eq!(kind(Mapping::open(&name, Access::ReadWrite)), ErrorKind::AccessDenied);
        assert_eq!(kind(MappingOptions::new().size(4096).open_or_create(&name)), ErrorKind::AccessDenied);
        assert_eq!(kind(mapping.view(Access::ReadWrite)), ErrorKind::AccessDenied);
        assert_eq!(raw_open(&name, 2).unwrap_err(), 5);
        let reader = Mapping::open(&name, Access::Read).unwrap();
        let private = reader.view(Access::CopyOnWrite).unwrap();
        private.write(0, b"mine").unwrap();
        let mut bytes = [1; 4];
        mapping.view(Access::Read).unwrap().read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 4]);
        let (again, disposition) =
            MappingOptions::new().size(4096).protection(protection).open_or_create(&name).unwrap();
        assert_eq!((again.protection(), disposition), (Protection::ReadOnly, Disposition::Opened));
    }
}

#[test]
fn a_handle_for_reading_cannot_write() {
    let here = Place::new("reader");
    let name = here.name("x");
    let _writer = Mapping::create(&name, 4096).unwrap();
    let reader = Mapping::open(&name, Access::Read).unwrap();
    assert_eq!((reader.access(), reader.protection()), (Access::Read, Protection::ReadWrite));
    assert_eq!(kind(reader.view(Access::ReadWrite)), ErrorKind::AccessDenied);
    let theirs = from_handle(raw_open(&name, 5).unwrap()).unwrap();
    assert_eq!(theirs.access(), Access::Read);
}

#[test]
fn views_at_any_offset_on_addresses_of_the_system() {
    let mapping = MappingOptions::new().size(1 << 20).create_unnamed().unwrap();
    let all = mapping.view(Access::ReadWrite).unwrap();
    assert!(all.as_ptr().addr().is_multiple_of(65536));
    for offset in [0_u64, 1, 4096, 65535, 65536, 65537, 123_457] {
        let view = mapping.view_range(Access::ReadWrite, offset..offset + 10).unwrap();
        assert_eq!((view.len(), view.range()), (10, offset..offset + 10));
        view.write(0, &offset.to_le_bytes()).unwrap();
        let mut back = [0; 8];
        all.read(offset as usize, &mut back).unwrap();
        assert_eq!(u64::from_le_bytes(back), offset);
        view.prefault(..).unwrap();
        view.advise(.., Advice::WillNeed).unwrap();
        view.advise(.., Advice::Random).unwrap();
        view.flush(..).unwrap();
    }
    for range in [0..(1 << 20) + 1, (1 << 20)..(1 << 20), (1 << 32)..(1 << 33)] {
        assert_eq!(kind(mapping.view_range(Access::Read, range)), ErrorKind::OutOfRange);
    }
}

#[test]
fn reserved_memory_is_committed_for_every_view() {
    let here = Place::new("reserve");
    let name = here.name("x");
    let mapping = MappingOptions::new().size(5 << 30).reserve(true).create(&name).unwrap();
    let other = Mapping::open(&name, Access::ReadWrite).unwrap();
    assert!(mapping.is_reserved() && other.is_reserved());
    let early = other.view_range(Access::ReadWrite, 65_000..1 << 20).unwrap();
    assert_eq!(kind(early.read(0, &mut [0])), ErrorKind::OutOfRange);
    early.prefault(..).unwrap();
    mapping.commit(65_536 + 4096, 4097).unwrap();
    mapping.commit(65_536 + 4096, 4097).unwrap();
    let at = 65_536 + 4096 - 65_000;
    early.write(at, &[7; 8192]).unwrap();
    assert_eq!(kind(early.write(at + 8191, &[7; 2])), ErrorKind::OutOfRange);
    assert_eq!(kind(early.read(at - 1, &mut [0])), ErrorKind::OutOfRange);
    let mut byte = [0];
    mapping.view_range(Access::Read, 65_536 + 4096..70_000).unwrap().read(0, &mut byte).unwrap();
    assert_eq!(byte, [7]);
    early.prefault(..).unwrap();
    let last = (5 << 30) - 1;
    mapping.commit(last, 1).unwrap();
    mapping.view_range(Access::ReadWrite, last..).unwrap().write(0, b"!").unwrap();
    let small = MappingOptions::new().size(65536).reserve(true).create_unnamed().unwrap();
    let view = small.view(Access::ReadWrite).unwrap();
    assert_eq!(kind(view.write(0, &[1])), ErrorKind::OutOfRange);
    small.commit(0, 65536).unwrap();
    view.write(0, &[1; 65536]).unwrap();
    let plain = MappingOptions::new().size(4096).create_unnamed().unwrap();
    plain.commit(0, 4096).unwrap();
}

#[test]
fn an_exact_size_stands_on_a_file_that_windows_removes() {
    let listing = LISTING.lock().unwrap();
    let here = Place::new("exact");
    let name = here.name("x");
    let mapping = MappingOptions::new().size(10_001).exact(true).create(&name).unwrap();
    let reader = Mapping::open(&name, Access::Read).unwrap();
    assert_eq!((mapping.size(), reader.size()), (10_001, 10_001));
    mapping.view(Access::ReadWrite).unwrap().write(10_000, b"!").unwrap();
    let entry = inspect::find(&name).unwrap().expect("it is listed");
    let file = PathBuf::from(entry.file.expect("it stands on a file"));
    assert!(file.exists(), "{}", file.display());
    drop(mapping);
    let mut byte = [0];
    reader.view(Access::Read).unwrap().read(10_000, &mut byte).unwrap();
    assert_eq!(&byte, b"!");
    drop((reader, listing));
    gone(&name);
    until("the file is gone", || !file.exists());
}

#[test]
fn files_grow_or_are_refused() {
    let here = Place::new("files");
    let on = |size: u64, protection| MappingOptions::new().size(size).protection(protection);
    let file = here.file("f", b"0123456789");
    assert_eq!(on(0, Protection::ReadOnly).file(&file).create_unnamed().unwrap().size(), 10);
    assert_eq!(on(4, Protection::ReadWrite).file(&file).create_unnamed().unwrap().size(), 4);
    for protection in [Protection::ReadOnly, Protection::WriteCopy] {
        assert_eq!(kind(on(11, protection).file(&file).create_unnamed()), ErrorKind::AccessDenied);
    }
    assert_eq!(kind(on(0, Protection::ReadWrite).file(here.path("new")).create_unnamed()), ErrorKind::InvalidInput);
    assert_eq!(kind(on(0, Protection::ReadOnly).file(here.path("absent")).create_unnamed()), ErrorKind::NotFound);
    let sparse = here.path("sparse");
    let mapping = on(1 << 30, Protection::ReadWrite).reserve(true).file(&sparse).create_unnamed().unwrap();
    mapping.view_range(Access::ReadWrite, (1 << 30) - 1..).unwrap().write(0, b"!").unwrap();
    assert!(!mapping.is_reserved());
}

#[test]
fn a_file_and_its_sections_are_one() {
    let here = Place::new("on-file");
    let file = here.file("f", b"0123456789");
    let options = MappingOptions::new().size(10_000);
    let mapping = options.file(&file).create(&here.name("grown")).unwrap();
    assert_eq!((mapping.size(), file.metadata().unwrap().len()), (10_000, 10_000));
    let view = mapping.view(Access::ReadWrite).unwrap();
    view.write(9_999, b"!").unwrap();
    view.flush(..).unwrap();
    view.flush_async(5..7).unwrap();
    let private = mapping.view(Access::CopyOnWrite).unwrap();
    private.write(0, b"private").unwrap();
    assert_eq!(std::fs::read(&file).unwrap()[9_998..], *b"\0!");
    let second = MappingOptions::new().file(&file).create_unnamed().unwrap();
    let mut head = [0; 7];
    second.view(Access::Read).unwrap().read(0, &mut head).unwrap();
    assert_eq!(&head, b"0123456");
    // A section joins it by name alone; this is what the bridge rests on.
    let (joined, disposition) = MappingOptions::new().size(1).open_or_create(&here.name("grown")).unwrap();
    assert_eq!((joined.size(), disposition), (10_000, Disposition::Opened));
    assert_eq!(kind(mapping.view_range(Access::Read, ..10_001)), ErrorKind::OutOfRange);
}

#[test]
fn an_exclusive_file_is_closed_to_all() {
    let _listing = LISTING.lock().unwrap_or_else(PoisonError::into_inner);
    let here = Place::new("exclusive");
    let file = here.file("f", b"0123456789");
    let mine = MappingOptions::new().file_exclusive(&file).create_unnamed().unwrap();
    let copy = mine.try_clone().unwrap();
    drop(mine);
    assert!(File::open(&file).is_err());
    assert_eq!(kind(MappingOptions::new().file(&file).create_unnamed()), ErrorKind::AccessDenied);
    drop(copy);
    let open = File::open(&file).unwrap();
    assert_eq!(kind(MappingOptions::new().file_exclusive(&file).create_unnamed()), ErrorKind::AccessDenied);
    drop(open);
    MappingOptions::new().file_exclusive(&file).create_unnamed().unwrap();
}

#[test]
fn foreign_memory_is_a_file_or_nothing() {
    let here = Place::new("foreign");
    let file = here.file("f", b"0123456789");
    let name = format!("file:{}", file.display());
    let mapping = Mapping::open(&name, Access::ReadWrite).unwrap();
    assert_eq!((mapping.size(), mapping.protection()), (10, Protection::ReadWrite));
    mapping.view(Access::ReadWrite).unwrap().write(0, b"x").unwrap();
    drop(mapping);
    assert_eq!(std::fs::read(&file).unwrap(), b"x123456789");
    assert_eq!(kind(Mapping::open(&format!("{name}.absent"), Access::Read)), ErrorKind::NotFound);
    assert_eq!(kind(Mapping::open("posix:/x", Access::Read)), ErrorKind::Unsupported);
    assert_eq!(kind(Mapping::open("sysv:5", Access::Read)), ErrorKind::Unsupported);
}

#[test]
fn access_lists() {
    let here = Place::new("share");
    for (i, share) in [
        Share::Owner,
        Share::Group,
        Share::Everyone,
        Share::Mode(0o640),
        Share::Mode(0o666),
        Share::Sddl("D:P(A;;GA;;;WD)".into()),
    ]
    .into_iter()
    .enumerate()
    {
        let name = here.global(&i.to_string());
        let mapping = MappingOptions::new().size(4096).share(share.clone()).create(&name).unwrap();
        Mapping::open(&name, Access::ReadWrite).unwrap_or_else(|e| panic!("{share:?}: {e}"));
        let (_raw, last) = raw_create(&name, PAGE_READWRITE, 4096);
        assert_eq!(last, 183, "{share:?}");
        drop(mapping);
    }
    for (share, expected) in
        [(Share::Sddl("nonsense".into()), ErrorKind::InvalidInput), (Share::Mode(0o755), ErrorKind::InvalidInput)]
    {
        assert_eq!(kind(MappingOptions::new().size(1).share(share).create(&here.name("bad"))), expected);
    }
    let name = here.name("readers");
    let _mapping = MappingOptions::new().size(1).share(Share::Sddl("D:P(A;;GR;;;WD)".into())).create(&name).unwrap();
    Mapping::open(&name, Access::Read).unwrap();
    assert_eq!(kind(Mapping::open(&name, Access::ReadWrite)), ErrorKind::AccessDenied);
    let closed = here.name("nobody");
    let _mapping = MappingOptions::new().size(1).share(Share::Sddl("D:P".into())).create(&closed).unwrap();
    assert_eq!(kind(Mapping::open(&closed, Access::Read)), ErrorKind::AccessDenied);
    assert_eq!(kind(Mapping::create(&closed, 1)), ErrorKind::AccessDenied);
}

/// The role `adopt`: makes a mapping of each handle value it is told and says what is in it.
fn adopt(_: &[String]) {
    say("ready");
    while let Some(value) = hear() {
        let value: usize = value.parse().expect("a number");
        // SAFETY: the test has put the handle into this process for us.
        let theirs = unsafe { OwnedHandle::from_raw_handle(std::ptr::without_provenance_mut(value)) };
        let view = from_handle(theirs).unwrap().view(Access::ReadWrite).unwrap();
        let counter: &AtomicU32 = view.atomic(0).unwrap();
        say(&counter.fetch_add(1, Ordering::AcqRel).to_string()); // the pipe orders it already
    }
}

#[test]
fn handles_travel() {
    let mapping = MappingOptions::new().size(4096).create_unnamed().unwrap();
    let view = mapping.view(Access::ReadWrite).unwrap();
    let counter: &AtomicU32 = view.atomic(0).unwrap();
    counter.store(41, Ordering::Release);
    let mut other = Child::start("adopt", &[]);
    other.expect("ready");
    for expected in 41..44 {
        let value = duplicate_to(&mapping, other.id()).unwrap();
        other.send(&value.to_string());
        other.expect(&expected.to_string());
    }
    assert_eq!(counter.load(Ordering::Acquire), 44);
    other.wait();
    let same = from_handle(handle(&mapping).try_clone_to_owned().unwrap()).unwrap();
    assert_eq!((same.size(), same.access()), (4096, Access::ReadWrite));
    let here = Place::new("handles");
    let file = File::open(here.file("f", b"x")).unwrap();
    assert_eq!(kind(from_handle(file.into())), ErrorKind::InvalidInput);
    assert_eq!(kind(duplicate_to(&mapping, 3)), ErrorKind::InvalidInput);
}

#[test]
fn tickets_are_not_trusted() {
    let here = Place::new("tickets");
    let file = File::open(here.file("f", b"x")).unwrap();
    let of_file = format!("{:x}", file.as_raw_handle().addr());
    let mut command = command("agent", &[]);
    let garbage = [
        "",
        "|",
        ";;;",
        "0;-;rw;rw",
        "ffffffffffffffff;-;rw;rw",
        "fffffffffffffffe;-;ro;ro",
        "7ffffffc;-;rw;rw",
        "3;-;rw;rw",
        "zz;-;rw;rw",
        "4;-;rw",
        "4;-;xx;rw",
        "4;5;rw;rw",
        &format!("{of_file};-;ro;ro"),
        "4;-;rw;rw|Local\\",
    ];
    for (i, ticket) in garbage.iter().enumerate() {
        command.env(format!("COVIEW_MAPPING_K{i}"), ticket);
    }
    let mut agent = Agent::spawn(command);
    for (i, ticket) in garbage.iter().enumerate() {
        let refusal = agent.inherited(&format!("k{i}")).expect_err(ticket);
        assert!(["InvalidInput", "InvalidName"].contains(&&*refusal.kind), "{ticket}: {refusal:?}");
    }
    agent.quit();
}

#[test]
fn an_inherited_mapping_keeps_its_file_and_name() {
    let here = Place::new("inherit");
    let path = here.path("f");
    let mapping = MappingOptions::new().size(10).file(&path).create(&here.name("x")).unwrap();
    let mut start = command("agent", &[]);
    mapping.hand_to(&mut start, "it").unwrap();
    let mut agent = Agent::spawn(start);
    assert_eq!(agent.inherited("it").unwrap(), "10 rw");
    drop(mapping);
    Mapping::open(&here.name("x"), Access::Read).unwrap();
    agent.view(Access::ReadWrite).unwrap();
    agent.write(0, "from below").unwrap();
    agent.quit();
    gone(&here.name("x"));
    assert_eq!(std::fs::read(&path).unwrap(), b"from below");
}

#[test]
fn the_list_shows_objects_and_who_holds_them() {
    let _listing = LISTING.lock().unwrap();
    let here = Place::new("list");
    let name = here.name("shown");
    let mapping = Mapping::create(&name, 5000).unwrap();
    let _more = mapping.try_clone().unwrap();
    let mut agent = Agent::start();
    agent.open(&name, Access::Read).unwrap();
    let entry = inspect::find(&name).unwrap().expect("it is listed");
    assert_eq!((entry.size, entry.protection, entry.reserved), (Some(8192), Some("rw"), false));
    assert_eq!(entry.origin, inspect::Origin::Named(inspect::Kind::Mapping));
    let user = std::env::var("USERNAME").unwrap();
    assert!(entry.owner.as_ref().is_some_and(|owner| owner.ends_with(&format!(r"\{user}"))), "{entry:?}");
    let holder = |pid| entry.holders.iter().find(|holder| holder.pid == pid).expect("the holder is listed");
    let (us, them) = (holder(std::process::id()), holder(agent.0.id()));
    assert_eq!((us.handles, us.writable, them.handles, them.writable), (2, true, 1, false));
    assert!(us.program.starts_with("windows-") && us.program.ends_with(".exe"), "{us:?}");

    agent.quit();
}

#[test]
fn the_list_shows_files_and_reserved_memory() {
    let _listing = LISTING.lock().unwrap();
    let here = Place::new("list-2");
    let file = here.file("f", b"0123456789");
    let _global = MappingOptions::new().file(&file).create(&here.global("on-file")).unwrap();
    let reserved = MappingOptions::new().size(1 << 20).reserve(true).create(&here.name("reserved")).unwrap();

    let entry = inspect::find(&here.global("on-file")).unwrap().expect("it is listed");
    assert_eq!(entry.size, Some(10));
    assert_eq!(std::fs::read(entry.file.expect("the file is known")).unwrap(), b"0123456789");
    assert!(inspect::find(&here.name("reserved")).unwrap().expect("it is listed").reserved);
    drop(reserved);
    assert!(inspect::find(&here.name("reserved")).unwrap().is_none());
    assert!(inspect::sweep(false).unwrap().objects.is_empty());
    let subjects: Vec<&str> = inspect::health().iter().map(|check| check.subject).collect();
    assert!(subjects.contains(&"memory") && subjects.contains(&r"Global\"), "{subjects:?}");
}

/// Wine looks at the handle alone (`docs/platforms.md`), so there a section that another program made
/// read-only can be opened for writing: this holds on Windows.
#[test]
fn a_read_only_section_of_a_win32_program() {
    let here = Place::new("raw-read-only");
    let name = here.name("x");
    let (_theirs, _) = raw_create(&name, PAGE_READONLY, 4096);
    let reader = Mapping::open(&name, Access::Read).unwrap();
    if inspect::health().iter().any(|check| check.found.starts_with("Wine")) {
        eprintln!("skipped: Wine lets everybody write to it");
        return;
    }
    assert_eq!(reader.protection(), Protection::ReadOnly);
    assert_eq!(kind(Mapping::open(&name, Access::ReadWrite)), ErrorKind::AccessDenied);
}
