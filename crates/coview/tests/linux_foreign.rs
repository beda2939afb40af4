//! Memory that other programs made: POSIX objects, System V segments, ordinary files; opened, listed, left alone.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

mod common;

use std::ffi::CString;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use common::agent::{Agent, refused};
use common::place::Place;
use coview::inspect::{self, Origin};
use coview::{Access, ErrorKind, Mapping, MappingOptions};

#[test]
fn child() {
    common::child(&[]);
}

/// A POSIX object made with shm_open, as another program would; unlinked when dropped.
struct Posix(CString);

impl Posix {
    fn make(name: &str, bytes: &[u8]) -> Posix {
        let path = CString::new(name).expect("no NUL");
        // SAFETY: the name is a C string that lives as long as the call.
        let fd = unsafe { libc::shm_open(path.as_ptr(), libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600) };
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        // SAFETY: shm_open gave this descriptor to nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        std::io::Write::write_all(&mut std::fs::File::from(fd), bytes).expect("it takes bytes");
        Posix(path)
    }
}

impl Drop for Posix {
    fn drop(&mut self) {
        // SAFETY: the name is a C string that lives as long as the call.
        unsafe { libc::shm_unlink(self.0.as_ptr()) };
    }
}

#[test]
fn posix_objects() {
    let here = Place::new("posix");
    let bare = format!("coview-test-{}", here.name("x"));
    let object = Posix::make(&format!("/{bare}"), b"made by shm_open");
    let mut guest = Agent::start();
    for name in [format!("posix:/{bare}"), format!("posix:{bare}")] {
        assert_eq!(guest.open(&name, Access::ReadWrite).unwrap(), "16 rw");
        guest.view(Access::ReadWrite).unwrap();
        let mapping = Mapping::open(&name, Access::Read).unwrap();
        assert_eq!((mapping.size(), mapping.access()), (16, Access::Read));
        assert_eq!(mapping.view(Access::ReadWrite).unwrap_err().kind(), ErrorKind::AccessDenied);
        guest.write(0, "MADE").unwrap();
        let mut text = [0; 16];
        mapping.view(Access::Read).unwrap().read(0, &mut text).unwrap();
        assert_eq!(&text, b"MADE by shm_open");
        guest.write(0, "made").unwrap();
        refused(guest.create(&name, 16), ErrorKind::Unsupported);
    }
    let entry = inspect::find(&format!("posix:/{bare}")).unwrap().expect("it is listed");
    assert_eq!((entry.origin, entry.size, entry.mode), (Origin::Posix, Some(16), Some(0o600)));
    let holder = entry.holders.iter().find(|holder| holder.pid == guest.0.id()).expect("the guest has it");
    assert_eq!((holder.writable, holder.views), (true, Some(1)));
    guest.quit();
    // Its life is its maker's business.
    inspect::sweep(false).unwrap();
    Mapping::open(&format!("posix:/{bare}"), Access::Read).unwrap();
    drop(object);
    let error = Mapping::open(&format!("posix:/{bare}"), Access::Read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn our_objects_are_not_listed_twice() {
    let here = Place::new("once");
    let _held = [Mapping::create(&here.name("x"), 1).unwrap(), Mapping::create(&here.global("x"), 1).unwrap()];
    let all = inspect::objects(true).unwrap();
    let names: Vec<_> = all.iter().filter(|entry| entry.name.contains(here.tag())).map(|entry| &*entry.name).collect();
    assert_eq!(names, [here.global("x"), format!(r"Local\{}", here.name("x"))]);
}

/// A System V segment made with shmget; removed when dropped.
struct Segment(i32);

impl Segment {
    fn make(key: i32, bytes: &[u8]) -> Segment {
        // SAFETY: shmget takes no pointers.
        let id = unsafe { libc::shmget(key, bytes.len(), libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
        assert!(id >= 0, "{}", std::io::Error::last_os_error());
        // SAFETY: with a null address the kernel chooses a free range.
        let at = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        assert_ne!(at.addr(), usize::MAX);
        // SAFETY: the segment has room for the bytes and was attached for writing.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at.cast(), bytes.len()) };
        // SAFETY: the address came from shmat; nothing points there any more.
        unsafe { libc::shmdt(at) };
        Segment(id)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: IPC_RMID takes no buffer.
        unsafe { libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

/// A key that no other process of these tests has.
fn key() -> i32 {
    0x5e00_0000 | (std::process::id() & 0x00ff_ffff) as i32
}

#[test]
fn system_v_segments_by_key_and_by_id() {
    let mut bytes = vec![0; 10_000];
    bytes[..14].copy_from_slice(b"made by shmget");
    bytes[9_000..9_004].copy_from_slice(b"deep");
    let segment = Segment::make(key(), &bytes);
    let names = [format!("sysv:{:#x}", key()), format!("sysv:{}", key()), format!("sysv:id={}", segment.0)];
    let mut guest = Agent::start();
    for name in &names {
        assert_eq!(guest.open(name, Access::ReadWrite).unwrap(), "10000 rw");
        guest.view(Access::ReadWrite).unwrap();
        assert_eq!(guest.read(0, 100).unwrap(), "made by shmget");
        guest.write(100, &format!("{name}\0")).unwrap();
        let mapping = Mapping::open(name, Access::Read).unwrap();
        let view = mapping.view_range(Access::Read, 8_999..9_005).unwrap();
        let mut text = [0; 6];
        view.read(0, &mut text).unwrap();
        assert_eq!(&text, b"\0deep\0");
        assert_eq!(mapping.view(Access::ReadWrite).unwrap_err().kind(), ErrorKind::AccessDenied);
        assert_eq!(mapping.view_range(Access::Read, ..10_001).unwrap_err().kind(), ErrorKind::OutOfRange);
        assert_eq!(mapping.view(Access::CopyOnWrite).unwrap_err().kind(), ErrorKind::Unsupported);
        refused(guest.create(name, 4096), ErrorKind::Unsupported);
    }
    let mapping = Mapping::open(&names[0], Access::ReadWrite).unwrap();
    let view = mapping.view_range(Access::ReadWrite, 4_000..).unwrap();
    view.atomic::<AtomicU32>(0).unwrap().store(7, Ordering::Relaxed);
    view.prefault(..).unwrap();
    view.flush(..).unwrap();
    drop(segment); // attached segments stay until the last one detaches
    assert_eq!(guest.read(100, 100).unwrap(), names[2]);
    drop((view, mapping));
    guest.quit();
    for name in names {
        assert_eq!(Mapping::open(&name, Access::Read).unwrap_err().kind(), ErrorKind::NotFound, "{name}");
    }
}

#[test]
fn system_v_segments_have_no_descriptor() {
    let segment = Segment::make(libc::IPC_PRIVATE, &[1; 100]);
    let mapping = Mapping::open(&format!("sysv:id={}", segment.0), Access::ReadWrite).unwrap();
    assert!(coview::os::linux::fd(&mapping).is_none());
    let (ours, _theirs) = UnixStream::pair().unwrap();
    assert_eq!(coview::os::linux::send(&ours, &mapping).unwrap_err().kind(), ErrorKind::Unsupported);
    let error = mapping.hand_to(&mut Command::new("true"), "segment").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let clone = mapping.try_clone().unwrap();
    drop(mapping);
    assert_eq!(clone.view(Access::Read).unwrap().len(), 100);
}

#[test]
fn system_v_segments_are_listed_with_their_holders() {
    let keyed = Segment::make(key() ^ 0x0100_0000, &[1; 5000]);
    let private = Segment::make(libc::IPC_PRIVATE, &[1; 6000]);
    let names = [format!("sysv:{:#x}", key() ^ 0x0100_0000), format!("sysv:id={}", private.0)];
    let mut guest = Agent::start();
    for (name, size) in names.iter().zip([5000, 6000]) {
        guest.open(name, Access::ReadWrite).unwrap();
        guest.view(Access::ReadWrite).unwrap();
        let entry = inspect::find(name).unwrap().unwrap_or_else(|| panic!("{name} is not listed"));
        assert_eq!((entry.origin, entry.size, entry.mode), (Origin::SysV, Some(size), Some(0o600)));
        assert!(entry.resident.is_some_and(|bytes| bytes > 0));
        let holder = entry.holders.iter().find(|holder| holder.pid == guest.0.id()).expect("the guest has it");
        assert_eq!(holder.views, Some(1));
    }
    drop(keyed);
}

#[test]
fn ordinary_files() {
    let here = Place::new("files");
    let path = here.file("with space.bin", b"ordinary bytes");
    let name = format!("file:{}", path.display());
    let mut guest = Agent::start();
    assert_eq!(guest.open(&name, Access::ReadWrite).unwrap(), "14 rw");
    guest.view(Access::ReadWrite).unwrap();
    guest.write(0, "ORDINARY").unwrap();
    refused(guest.write(10, "bytes"), ErrorKind::OutOfRange);
    guest.kill();
    assert_eq!(std::fs::read(&path).unwrap(), b"ORDINARY bytes");
    let empty = here.file("empty.bin", b"");
    let mapping = Mapping::open(&format!("file:{}", empty.display()), Access::Read).unwrap();
    assert_eq!((mapping.size(), mapping.windows(Access::Read, 10).count()), (0, 0));
    assert_eq!(mapping.view(Access::Read).unwrap_err().kind(), ErrorKind::OutOfRange);
    let refusal = |name: &str| Mapping::open(name, Access::Read).unwrap_err().kind();
    assert_eq!(refusal(&format!("file:{}", here.path("absent").display())), ErrorKind::NotFound);
    assert_eq!(refusal("file:/dev/null"), ErrorKind::InvalidInput);
    assert_eq!(refusal("file:/"), ErrorKind::InvalidInput);
    let pipe = here.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(refusal(&format!("file:{}", pipe.display())), ErrorKind::InvalidInput, "and does not wait for a writer");
    let on_pipe = MappingOptions::new().size(1).file(&pipe);
    assert_eq!(on_pipe.create_unnamed().unwrap_err().kind(), ErrorKind::InvalidInput);
}
