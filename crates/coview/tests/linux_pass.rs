//! Mappings passed over Unix sockets, what is in flight, hostile messages, and the seals of memory without a name.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

mod common;

use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use common::agent::{Agent, refused};
use common::place::Place;
use common::{Child, hear, say};
use coview::os::linux::{fd, from_fd, receive, send};
use coview::{Access, ErrorKind, Mapping, MappingOptions};
use rustix::fs::SealFlags;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

#[test]
fn child() {
    common::child(&[("sender", sender), ("receiver", receiver)]);
}

/// Makes an object, sends it to the socket, and stays.
fn sender(args: &[String]) {
    let [what, name, file, socket] = args else { panic!("four arguments") };
    let options = MappingOptions::new().size(8192);
    let made = match &**what {
        "unnamed" => options.create_unnamed(),
        "file" => options.file(file).create(name),
        _ => options.create(name),
    };
    let mut mapping = made.expect("the name is free");
    mapping.view(Access::ReadWrite).expect("it can be mapped").write(0, b"sent").expect("it can be written");
    if what == "read-only" {
        mapping = Mapping::open(name, Access::Read).expect("it is there");
    }
    let stream = UnixStream::connect(socket).expect("somebody listens");
    send(&stream, &mapping).expect("it can be sent");
    say("sent");
    hear();
}

/// Listens; receives when it is told to, and shows what it got.
fn receiver(args: &[String]) {
    let listener = UnixListener::bind(&args[0]).expect("the path is free");
    say("listens");
    let mut mapping = None;
    while let Some(line) = hear() {
        match &*line {
            "receive" => {
                let (stream, _) = listener.accept().expect("somebody connects");
                let got = receive(&stream).expect("a mapping arrives");
                let mut text = [0; 4];
                got.view(Access::Read).expect("it can be mapped").read(0, &mut text).expect("it can be read");
                let name = got.name().map(ToString::to_string).unwrap_or_default();
                say(&format!("{} {} {:?} {name}", String::from_utf8_lossy(&text), got.size(), got.access()));
                mapping = Some(got);
            }
            "write" => {
                let view = mapping.as_ref().expect("a mapping").view(Access::ReadWrite).expect("it can be mapped");
                view.write(0, b"back").expect("it can be written");
                say("written");
            }
            _ => {
                mapping = None;
                say("dropped");
            }
        }
    }
}

fn pair(here: &Place, what: &str, name: &str) -> (Child, Child) {
    let (socket, file) = (here.path(&format!("socket {what}")), here.path("bytes.bin"));
    let (socket, file) = (socket.to_string_lossy().into_owned(), file.to_string_lossy().into_owned());
    let mut receiver = Child::start("receiver", &[&socket]);
    receiver.expect("listens");
    let mut sender = Child::start("sender", &[what, name, &file, &socket]);
    sender.expect("sent");
    (sender, receiver)
}

#[test]
fn a_named_mapping_arrives_with_its_name() {
    let here = Place::new("pass-named");
    for what in ["named", "file"] {
        let name = here.name(what);
        let (sender, mut receiver) = pair(&here, what, &name);
        receiver.send("receive");
        receiver.expect(&format!(r"sent 8192 ReadWrite Local\{name}"));
        sender.wait();
        let mut guest = Agent::start();
        guest.open(&name, Access::ReadWrite).unwrap();
        guest.view(Access::ReadWrite).unwrap();
        receiver.send("write");
        receiver.expect("written");
        assert_eq!(guest.read(0, 4).unwrap(), "back");
        guest.unview();
        guest.close();
        guest.open(&name, Access::ReadWrite).unwrap();
        guest.close();
        receiver.send("drop");
        receiver.expect("dropped");
        refused(guest.open(&name, Access::Read), ErrorKind::NotFound);
    }
    assert_eq!(&std::fs::read(here.path("bytes.bin")).unwrap()[..4], b"back");
}

#[test]
fn what_is_under_way_is_alive() {
    let here = Place::new("pass-flight");
    let name = here.name("x");
    let (mut sender, mut receiver) = pair(&here, "named", &name);
    sender.kill();
    let mut guest = Agent::start();
    guest.open(&name, Access::Read).unwrap();
    guest.view(Access::Read).unwrap();
    assert_eq!(guest.read(0, 4).unwrap(), "sent");
    guest.quit();
    receiver.send("receive");
    receiver.expect(&format!(r"sent 8192 ReadWrite Local\{name}"));
    receiver.kill();
    refused(Agent::start().open(&name, Access::Read), ErrorKind::NotFound);

    // If it never arrives, it ends with the socket.
    let here = Place::new("pass-lost");
    let name = here.name("x");
    let (mut sender, mut receiver) = pair(&here, "named", &name);
    sender.kill();
    Agent::start().open(&name, Access::Read).unwrap();
    receiver.kill();
    // The kernel frees descriptors of a closed socket in its own time.
    let mut guest = Agent::start();
    common::until("it is gone", || match guest.open(&name, Access::Read) {
        Ok(_) => {
            guest.close();
            false
        }
        Err(_) => true,
    });
}

#[test]
fn memory_without_a_name_and_handles_for_reading() {
    let here = Place::new("pass-more");
    let (sender, mut receiver) = pair(&here, "unnamed", "-");
    receiver.send("receive");
    receiver.expect("sent 8192 ReadWrite ");
    sender.wait();
    receiver.send("write");
    receiver.expect("written");
    let name = here.name("x");
    let (sender, mut receiver) = pair(&here, "read-only", &name);
    receiver.send("receive");
    receiver.expect(&format!(r"sent 8192 Read Local\{name}"));
    sender.wait();
}

#[test]
fn many_over_one_socket_keep_their_order() {
    let here = Place::new("pass-many");
    let (ours, theirs) = UnixStream::pair().unwrap();
    let long = here.path(&"d".repeat(200)).join("e".repeat(200));
    std::fs::create_dir(long.parent().unwrap()).unwrap();
    let mut deep = long.clone();
    for _ in 0..10 {
        std::fs::create_dir(&deep).unwrap();
        deep = deep.join("f".repeat(200));
    }
    std::fs::write(&deep, b"at the end of a long path").unwrap();
    let by_path = Mapping::open(&format!("file:{}", deep.display()), Access::Read).unwrap();
    let sizes: Vec<u64> = (1..=50).map(|i| i * 100).collect();
    for size in &sizes {
        let options = MappingOptions::new().size(*size).exact(true);
        send(&ours, &options.create(&here.name(&"名".repeat((size / 25) as usize))).unwrap()).unwrap();
        send(&ours, &options.create_unnamed().unwrap()).unwrap();
    }
    send(&ours, &by_path).unwrap();
    for size in sizes {
        let (named, unnamed) = (receive(&theirs).unwrap(), receive(&theirs).unwrap());
        assert_eq!((named.size(), unnamed.size()), (size, size));
        assert!(named.name().is_some() && unnamed.name().is_none());
    }
    let arrived = receive(&theirs).unwrap();
    assert_eq!((arrived.size(), arrived.access()), (25, Access::Read));
    drop(ours);
    assert_eq!(receive(&theirs).unwrap_err().kind(), ErrorKind::NotFound);
}

/// What `receive` says of these bytes with these descriptors, on a socket that then closes.
fn receive_raw(text: Option<&str>, head: &[u8], fds: &[BorrowedFd<'_>]) -> ErrorKind {
    let (mut ours, theirs) = UnixStream::pair().expect("sockets can be had");
    match text {
        None => ours.write_all(head).expect("the other end is open"),
        Some(text) => {
            let mut message = (text.len() as u32).to_le_bytes().to_vec();
            message.extend_from_slice(text.as_bytes());
            let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
            let mut ancillary = SendAncillaryBuffer::new(&mut room);
            if !fds.is_empty() {
                assert!(ancillary.push(SendAncillaryMessage::ScmRights(fds)));
            }
            let message = [std::io::IoSlice::new(&message)];
            rustix::net::sendmsg(&ours, &message, &mut ancillary, SendFlags::empty()).expect("the other end is open");
        }
    }
    drop(ours);
    receive(&theirs).expect_err("this is no mapping").kind()
}

#[test]
fn what_arrives_is_checked() {
    let here = Place::new("pass-hostile");
    for (head, kind) in [
        (&b""[..], ErrorKind::NotFound),
        (b"abc", ErrorKind::NotFound),
        (b"GET / HTTP/1.1\r\n\r\n", ErrorKind::Corrupt),
        (&[0xff; 100], ErrorKind::Corrupt),
        (&[9, 0, 0, 0, b'x'], ErrorKind::Corrupt),
        (&[2, 0, 0, 0, 0xff, 0xfe], ErrorKind::Corrupt),
    ] {
        assert_eq!(receive_raw(None, head, &[]), kind, "{head:?}");
    }
    let memory = MappingOptions::new().size(4096).create_unnamed().unwrap();
    let memory = fd(&memory).unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let pipe = std::io::pipe().unwrap();
    let name = here.name("x");
    for (text, fds) in [
        ("", &[memory][..]),
        ("|", &[memory]),
        ("3;0;4096;rw|", &[]),
        ("3;0;4096;rw|", &[null.as_fd()]),
        ("3;0;4096;rw|", &[pipe.0.as_fd()]),
        ("3;0;4097;rw|", &[memory]),
        ("3;0;18446744073709551615;rw|", &[memory]),
        ("3;12;4097;rw|", &[memory]),
        ("3;3;4096;rw|", &[memory]),
        ("3;16;4096;rw|", &[memory]),
        ("3;256;4096;rw|", &[memory]),
        ("3;-1;4096;rw|", &[memory]),
        ("3;0;-4096;rw|", &[memory]),
        ("3;0;4096|", &[memory]),
        ("3;0;4096;rw;x|", &[memory]),
        (r"3;0;4096;rw|a\b\c", &[memory]),
        ("3;0;4096;rw|a\0b", &[memory]),
    ] {
        let kind = receive_raw(Some(text), b"", fds);
        let honest = [ErrorKind::Corrupt, ErrorKind::InvalidInput, ErrorKind::InvalidName, ErrorKind::Vanished];
        assert!(honest.contains(&kind), "{text:?}: {kind:?}");
    }
    drop(name);
}

#[test]
fn a_false_word_about_access_gives_nobody_more() {
    let here = Place::new("pass-liar");
    let path = here.file("bytes.bin", &[b'.'; 4096]);
    let read_only = std::fs::File::open(&path).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let text = b"3;12;4096;rw|";
    let mut message = (text.len() as u32).to_le_bytes().to_vec();
    message.extend_from_slice(text);
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut room);
    let fds = [read_only.as_fd()];
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
    rustix::net::sendmsg(&ours, &[std::io::IoSlice::new(&message)], &mut ancillary, SendFlags::empty()).unwrap();
    let got = receive(&theirs).unwrap();
    let error = got.view(Access::ReadWrite).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied, "{error}");
    got.view(Access::Read).unwrap();
}

#[test]
fn sockets_that_carry_no_stream_are_refused() {
    let mapping = MappingOptions::new().size(4096).create_unnamed().unwrap();
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    assert_eq!(send(&ours, &mapping).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(receive(&theirs).unwrap_err().kind(), ErrorKind::Unsupported);
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(send(&file, &mapping).is_err());
    assert!(receive(&file).is_err());
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(theirs);
    assert!(send(&ours, &mapping).is_err(), "and not SIGPIPE");
}

#[test]
fn nobody_resizes_memory_without_a_name() {
    let mapping = MappingOptions::new().size(10_000).create_unnamed().unwrap();
    let descriptor = fd(&mapping).unwrap();
    let seals = rustix::fs::fcntl_get_seals(descriptor).unwrap();
    assert!(seals.contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL), "{seals:?}");
    let again = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
    let peer = std::fs::File::options().read(true).write(true).open(again).unwrap();
    for size in [0, 4096, 20_000] {
        assert_eq!(peer.set_len(size).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
    let view = mapping.view(Access::ReadWrite).unwrap();
    view.write(12_287, b"!").unwrap();
    assert_eq!(mapping.size(), 12_288);
}

#[test]
fn memory_that_came_as_a_descriptor() {
    let here = Place::new("from-fd");
    let mapping = Mapping::create(&here.name("x"), 8192).unwrap();
    mapping.view(Access::ReadWrite).unwrap().write(0, b"one memory").unwrap();
    let copy: OwnedFd = fd(&mapping).unwrap().try_clone_to_owned().unwrap();
    let other = from_fd(copy).unwrap();
    assert_eq!((other.size(), other.access(), other.name()), (8192, Access::ReadWrite, None));
    let mut text = [0; 10];
    other.view(Access::Read).unwrap().read(0, &mut text).unwrap();
    assert_eq!(&text, b"one memory");
    let read_only = from_fd(std::fs::File::open(here.file("f", b"bytes")).unwrap().into()).unwrap();
    assert_eq!((read_only.size(), read_only.access()), (5, Access::Read));
    assert_eq!(read_only.view(Access::ReadWrite).unwrap_err().kind(), ErrorKind::AccessDenied);
    let pipe = std::io::pipe().unwrap();
    assert_eq!(from_fd(pipe.0.into()).unwrap_err().kind(), ErrorKind::InvalidInput);
    let directory = std::fs::File::open("/").unwrap();
    assert_eq!(from_fd(directory.into()).unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// A copy of the descriptor is a hold like a handle.
#[test]
fn the_descriptor_keeps_the_object() {
    let here = Place::new("fd-keeps");
    let name = here.name("x");
    let mapping = Mapping::create(&name, 4096).unwrap();
    let copy = fd(&mapping).unwrap().try_clone_to_owned().unwrap();
    drop(mapping);
    Agent::start().open(&name, Access::Read).unwrap();
    drop(copy);
    common::until("it is gone", || Mapping::open(&name, Access::Read).is_err());
}
