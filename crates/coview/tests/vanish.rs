//! Memory that another process truncates under its users: an error for who reads it, and nothing for anybody else.

#![allow(unsafe_code)]

mod common;

use coview::{Access, ErrorKind, MappingOptions, Protection, View};

use common::place::Place;

/// Unlike what stands where bytes have vanished.
const FULL: u8 = 0xaa;
const LEN: usize = 64 << 10;

#[test]
fn child() {
    common::child(&[
        ("truncate", |args| shorten(&args[0], args[1].parse().expect("a number"))),
        #[cfg(target_os = "linux")]
        ("signals", |args| linux::signals(&args[0], &args[1])),
        #[cfg(target_os = "linux")]
        ("crowded", |args| linux::crowded(&args[0])),
        #[cfg(target_os = "linux")]
        ("held", |args| linux::held(&args[0])),
    ]);
}

fn shorten(path: &str, len: u64) {
    std::fs::File::options().write(true).open(path).and_then(|file| file.set_len(len)).expect("it can be truncated");
}

fn kind<T: std::fmt::Debug>(result: coview::Result<T>) -> ErrorKind {
    result.expect_err("it has vanished").kind()
}

/// Truncated to `cut`, a multiple of pages: whole before, gone behind.
fn half_gone(view: &View, cut: usize) {
    let mut byte = [0];
    assert_eq!(view.vanished(), None, "nobody has noticed");
    view.read(0, &mut byte).expect("it is there");
    assert_eq!((byte[0], view.vanished()), (FULL, None));
    assert_eq!(kind(view.read(cut + 5000, &mut byte)), ErrorKind::Vanished);
    let lost = view.vanished().expect("it was noticed");
    assert!(lost > cut && lost <= cut + 5000, "{lost}");
    assert_eq!(kind(view.read(0, &mut vec![0; view.len()])), ErrorKind::Vanished);
    assert_eq!(view.vanished(), Some(cut));
    view.read(cut - 1, &mut byte).expect("before it, it is there");
    assert_eq!(byte, [FULL]);
    assert_eq!(kind(view.read(cut - 1, &mut [0; 2])), ErrorKind::Vanished);
    let error = view.write_to(&mut Vec::new()).expect_err("not all of it can be had");
    assert!(error.to_string().contains("truncated"), "{error}");
    if view.access() != Access::Read {
        view.write(cut - 1, &[FULL]).expect("before it, it is there");
        assert_eq!(kind(view.write(view.len() - 1, &[1])), ErrorKind::Vanished);
    }
}

/// Where the system lets somebody truncate a file that is mapped.
#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{c_int, c_void};
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::process::ExitStatusExt;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
    use std::time::Duration;

    use coview::frames::{Frames, Policy};
    use coview::latest::Latest;
    use coview::queue::Queue;
    use coview::ring::Ring;
    use coview::service::Service;
    use coview::{Event, Mapping, Mutex, Region, Semaphore, wait_all, wait_any};

    use super::*;
    use crate::common::linux::path_of;
    use crate::common::{Child, say, until};

    /// Another process truncates it.
    fn truncate(path: &Path, len: usize) {
        Child::start("truncate", &[path.to_str().expect("text"), &len.to_string()]).wait();
    }

    /// All ways to a mapping of a full file that others can truncate, and the file.
    fn ways(here: &Place) -> Vec<(&'static str, Mapping, PathBuf)> {
        let full = |what: &str| here.file(what, &[FULL; LEN]);
        let options = || MappingOptions::new();
        let open = |name: String| Mapping::open(&name, Access::ReadWrite).unwrap();
        let (unnamed, named, foreign) = (full("unnamed"), full("named"), full("foreign"));
        let memory = here.name("memory");
        let in_memory = Mapping::create(&memory, LEN as u64).unwrap();
        in_memory.view(Access::ReadWrite).unwrap().write(0, &[FULL; LEN]).unwrap();
        let descriptor = full("descriptor");
        let fd = File::options().read(true).write(true).open(&descriptor).unwrap().into();
        let posix = here.name("posix");
        std::fs::write(Path::new("/dev/shm").join(&posix), [FULL; LEN]).unwrap();
        vec![
            ("a file", options().file(&unnamed).create_unnamed().unwrap(), unnamed),
            ("a name on a file", options().file(&named).create(&here.name("file")).unwrap(), named),
            ("a foreign file", open(format!("file:{}", foreign.display())), foreign),
            ("memory", in_memory, path_of(&memory).into()),
            ("a descriptor", coview::os::linux::from_fd(fd).unwrap(), descriptor),
            ("a POSIX object", open(format!("posix:{posix}")), Path::new("/dev/shm").join(&posix)),
        ]
    }

    #[test]
    fn truncated_in_every_way() {
        let here = Place::new("ways");
        let cut = 3 * page();
        for (what, mapping, path) in ways(&here) {
            println!("{what}");
            let accesses = [Access::Read, Access::ReadWrite, Access::CopyOnWrite];
            let views: Vec<View> = accesses.iter().map(|access| mapping.view(*access).unwrap()).collect();
            let before = mapping.view_range(Access::Read, ..cut as u64).unwrap();
            let odd = mapping.view_range(Access::Read, 100..).unwrap();
            truncate(&path, cut);
            views.iter().for_each(|view| half_gone(view, cut));
            assert_eq!(kind(odd.read(cut, &mut [0])), ErrorKind::Vanished);
            assert_eq!(odd.vanished(), Some(cut - 100));
            let mut bytes = vec![0; cut];
            before.read(0, &mut bytes).unwrap();
            assert!(before.vanished().is_none() && bytes.iter().all(|byte| *byte == FULL));
            // It may come back: for who maps it again.
            shorten(path.to_str().unwrap(), LEN as u64);
            assert_eq!(kind(views[0].read(cut, &mut [0])), ErrorKind::Vanished);
            mapping.view(Access::ReadWrite).unwrap().write(LEN - 1, b"!").unwrap();
            if path.starts_with("/dev/shm") && what == "a POSIX object" {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    fn page() -> usize {
        rustix::param::page_size()
    }

    #[test]
    fn atomics_and_primitives_are_refused_and_do_not_kill() {
        let here = Place::new("atomics");
        let path = here.file("bytes", &[FULL; LEN]);
        let mapping = MappingOptions::new().file(&path).create_unnamed().unwrap();
        let view = mapping.view(Access::ReadWrite).unwrap();
        let word: &AtomicU32 = view.atomic(LEN - 8).unwrap();
        let mutex: &coview::sync::Mutex<[u64; 2]> = view.place(4096).unwrap();
        truncate(&path, 0);
        // Who has a reference finds zeros, which nobody else sees.
        assert_eq!((word.load(Ordering::Relaxed), word.fetch_add(7, Ordering::Relaxed)), (0, 0));
        assert_eq!(word.load(Ordering::Relaxed), 7);
        assert_eq!(view.vanished(), Some(LEN - page()));
        drop(mutex.lock());
        assert_eq!(view.vanished(), Some(page()));
        assert_eq!(kind(view.atomic::<AtomicU32>(LEN - 8)), ErrorKind::Vanished);
        assert_eq!(kind(view.load::<AtomicU32>(0, Ordering::Relaxed)), ErrorKind::Vanished);
        assert_eq!(kind(view.place::<coview::sync::Mutex<[u64; 2]>>(4096)), ErrorKind::Vanished);
        assert_eq!(kind(view.prefault(..)), ErrorKind::Vanished);
    }

    #[test]
    fn nobody_truncates_what_is_sealed_or_a_segment() {
        let mapping = MappingOptions::new().size(LEN as u64).create_unnamed().unwrap();
        let fd = coview::os::linux::fd(&mapping).unwrap();
        assert_eq!(rustix::fs::ftruncate(fd, 0), Err(rustix::io::Errno::PERM));
        // Nor does it have a guard that could be in the way: what is handed on is sealed, too.
        let copy = coview::os::linux::from_fd(fd.try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(
            rustix::fs::ftruncate(coview::os::linux::fd(&copy).unwrap().as_fd(), 0),
            Err(rustix::io::Errno::PERM)
        );
        copy.view(Access::ReadWrite).unwrap().write(0, b"x").unwrap();
    }

    /// Reads and mappings in several threads, while the file goes: what was read is whole or an error.
    #[test]
    fn many_threads_while_it_goes() {
        let here = Place::new("threads");
        let (mut gone, mut whole) = (0, 0);
        for round in 0..20 {
            let path = here.file(&format!("bytes{round}"), &[FULL; LEN]);
            let other = here.file(&format!("other{round}"), &[FULL; LEN]);
            let map = |path: &Path| {
                MappingOptions::new().file(path).protection(Protection::ReadOnly).create_unnamed().unwrap()
            };
            let (mapping, other) = (map(&path), map(&other));
            let (shared, untouched) = (mapping.view(Access::Read).unwrap(), other.view(Access::Read).unwrap());
            let begun = AtomicUsize::new(0);
            let work = || {
                let (mut gone, mut whole, mut bytes) = (0, 0, vec![0; 2 * page()]);
                begun.fetch_add(1, Ordering::Relaxed);
                for step in 0.. {
                    let at = step * 977 % (LEN - bytes.len());
                    let own = mapping.view(Access::Read).ok(); // others come and go
                    match own.as_ref().unwrap_or(&shared).read(at, &mut bytes) {
                        Ok(()) => {
                            assert!(bytes.iter().all(|byte| *byte == FULL), "half a copy at {at} is called whole");
                            whole += 1;
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Vanished);
                            gone += 1;
                        }
                    }
                    untouched.read(at, &mut bytes).unwrap();
                    assert!(bytes.iter().all(|byte| *byte == FULL));
                    if gone > 20 {
                        break;
                    }
                }
                (gone, whole)
            };
            std::thread::scope(|scope| {
                let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
                until("all work", || begun.load(Ordering::Relaxed) == 4);
                (0..LEN / page()).rev().for_each(|pages| shorten(path.to_str().unwrap(), (pages * page()) as u64));
                for worker in workers {
                    let (g, w) = worker.join().unwrap();
                    (gone, whole) = (gone + g, whole + w);
                }
            });
            assert!(untouched.vanished().is_none());
        }
        println!("count attacks survived: truncations under four threads that read {}", 20 * 16);
        println!("count attacks survived: reads refused meanwhile {gone}");
        println!("count attacks survived: reads whole meanwhile {whole}");
    }

    #[test]
    fn named_objects_whose_page_is_truncated() {
        let here = Place::new("objects");
        let (mutex, event) = (Mutex::create(&here.name("m")).unwrap(), Event::create(&here.name("e")).unwrap());
        let permits = Semaphore::create(&here.name("s"), 1, 3).unwrap();
        let other = Event::create(&here.name("other")).unwrap();
        other.set().unwrap();
        let sleeper = std::thread::scope(|scope| {
            let asleep = scope.spawn(|| event.wait());
            until("it sleeps", || {
                // What marks a sleeper, as docs/format.md draws it.
                let bytes = std::fs::read(path_of(&here.name("e"))).unwrap();
                bytes[71] & 0x80 != 0
            });
            for what in ["m", "e", "s"] {
                truncate(Path::new(&path_of(&here.name(what))), 0);
            }
            asleep.join().unwrap()
        });
        assert_eq!(kind(sleeper), ErrorKind::Vanished);
        assert_eq!(kind(mutex.lock().map(drop)), ErrorKind::Vanished);
        assert_eq!(kind(mutex.try_lock().map(drop)), ErrorKind::Vanished);
        assert_eq!(kind(event.set()), ErrorKind::Vanished);
        assert_eq!(kind(event.wait_timeout(Duration::ZERO)), ErrorKind::Vanished);
        assert_eq!(kind(permits.acquire()), ErrorKind::Vanished);
        assert_eq!(kind(permits.release(1).map(drop)), ErrorKind::Vanished);
        let all = [(&other).into(), (&mutex).into(), (&permits).into()];
        assert_eq!(kind(wait_all(&all, None).map(drop)), ErrorKind::Vanished);
        assert_eq!(kind(wait_any(&all[1..], None).map(drop)), ErrorKind::Vanished);
        other.wait_timeout(Duration::ZERO).unwrap();
    }

    /// A process ends with locks in memory that has gone; its other locks are told of.
    pub(super) fn held(tag: &str) {
        let gone = Mutex::open(&format!("{tag}gone")).unwrap();
        let stays = Mutex::open(&format!("{tag}stays")).unwrap();
        let _locked = (gone.lock().unwrap(), stays.lock().unwrap());
        shorten(&path_of(&format!("{tag}gone")), 0);
        say("held");
        common::hear();
        assert_eq!(kind(gone.lock().map(drop)), ErrorKind::Vanished);
        say("told");
        common::hear();
    }

    #[test]
    fn a_lock_beside_one_that_has_gone_is_told_of() {
        let here = Place::new("held");
        let (_gone, stays) = (Mutex::create(&here.name("gone")).unwrap(), Mutex::create(&here.name("stays")).unwrap());
        let mut child = Child::start("held", &[here.tag()]);
        child.expect("held");
        child.send("go on");
        child.expect("told");
        child.kill();
        assert!(matches!(stays.lock_timeout(Duration::from_secs(20)), Ok(Some(coview::Lock::Abandoned(_)))));
    }

    #[test]
    fn typed_values_and_channels_say_so() {
        let here = Place::new("channels");
        let brief = Duration::from_secs(10);
        let gone = |what: &str| truncate(Path::new(&path_of(&here.name(what))), 0);
        let region = Region::create(&here.name("region"), &7_u64).unwrap();
        let latest = Latest::<u64>::create(&here.name("latest")).unwrap();
        let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
        writer.set(&1).unwrap();
        let ring = Ring::create(&here.name("ring"), 4096).unwrap();
        let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
        let frames = Frames::<[u8]>::create(&here.name("frames")).unwrap();
        let (publisher, subscriber) = (frames.publisher().unwrap(), frames.subscriber(Policy::EveryFrame).unwrap());
        let queue = Queue::<[u8]>::create(&here.name("queue")).unwrap();
        let (producer, consumer) = (queue.producer().unwrap(), queue.consumer().unwrap());
        let service = Service::<u64, u64>::create(&here.name("service")).unwrap();
        let (client, server) = (service.client().unwrap(), service.server().unwrap());
        ["region", "latest", "ring", "frames", "queue", "service"].iter().for_each(|what| gone(what));
        assert_eq!(kind(region.read()), ErrorKind::Vanished);
        assert_eq!(kind(region.write(&8)), ErrorKind::Vanished);
        assert_eq!(kind(reader.read()), ErrorKind::Vanished);
        assert_eq!(kind(writer.set(&2)), ErrorKind::Vanished);
        assert_eq!(kind(reader.changed_timeout(brief)), ErrorKind::Vanished);
        assert_eq!(kind(receiver.receive_timeout(brief).map(drop)), ErrorKind::Vanished);
        assert_eq!(kind(sender.send(b"lost")), ErrorKind::Vanished);
        assert_eq!(kind(subscriber.receive_timeout(brief).map(drop)), ErrorKind::Vanished);
        assert_eq!(kind(publisher.send(b"lost")), ErrorKind::Vanished);
        assert_eq!(kind(consumer.receive_timeout(brief).map(drop)), ErrorKind::Vanished);
        assert_eq!(kind(producer.send(b"lost")), ErrorKind::Vanished);
        assert_eq!(kind(server.receive_timeout(brief).map(drop)), ErrorKind::Vanished);
        assert_eq!(kind(client.send(&1).map(drop)), ErrorKind::Vanished);
    }

    // Handlers of others, each in a process of its own.

    static CALLS: AtomicUsize = AtomicUsize::new(0);
    static EARLIER: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());
    /// The program's own mapping, whose faults its handlers repair.
    static OWN: AtomicUsize = AtomicUsize::new(0);
    static ASKS_US: AtomicBool = AtomicBool::new(false);

    /// The program's own repair: zeros at the page that it knows.
    fn repair(address: usize) -> bool {
        let own = OWN.load(Ordering::Relaxed);
        if own == 0 || address & !(page() - 1) != own {
            return false;
        }
        CALLS.fetch_add(1, Ordering::Relaxed);
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
        let at = std::ptr::with_exposed_provenance_mut(own);
        // SAFETY: replaces a page that this program has mapped and knows alone.
        unsafe { libc::mmap(at, page(), access, flags, -1, 0) != libc::MAP_FAILED }
    }

    extern "C" fn with_three(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        // SAFETY: the kernel gives a whole one.
        let info_ref = unsafe { &*info };
        // SAFETY: these tests raise faults alone where this handler is installed.
        let address = unsafe { info_ref.si_addr() };
        if repair(address.addr())
            || (ASKS_US.load(Ordering::Relaxed) && coview::os::linux::absorb_bus_error(address.cast()))
        {
            return;
        }
        // SAFETY: null, or made of a box below.
        let earlier = unsafe { EARLIER.load(Ordering::Relaxed).as_ref() }.expect("somebody was there before");
        // SAFETY: in these tests the one before has three arguments.
        let earlier: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
            unsafe { std::mem::transmute(earlier.sa_sigaction) };
        earlier(libc::SIGBUS, info, context);
    }

    extern "C" fn with_one(_: c_int) {
        assert!(repair(OWN.load(Ordering::Relaxed)));
    }

    fn install(handler: usize, flags: c_int) {
        // SAFETY: zeros are a whole sigaction.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        (action.sa_sigaction, action.sa_flags) = (handler, flags);
        let earlier = Box::into_raw(Box::new(action));
        // SAFETY: both are whole, and the handlers keep to what one may do.
        assert_eq!(unsafe { libc::sigaction(libc::SIGBUS, &raw const action, earlier) }, 0);
        EARLIER.store(earlier, Ordering::Relaxed);
    }

    /// A fault of the program's own.
    fn own_fault(path: &str) {
        let file = File::options().read(true).write(true).open(path).unwrap();
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                page(),
                libc::PROT_READ,
                libc::MAP_SHARED,
                std::os::fd::AsRawFd::as_raw_fd(&file),
                0,
            )
        };
        assert_ne!(at, libc::MAP_FAILED);
        OWN.store(at.expose_provenance(), Ordering::Relaxed);
        file.set_len(0).unwrap();
        // SAFETY: it is mapped, and if there is nothing a handler says what then.
        let byte = unsafe { at.cast::<u8>().read_volatile() };
        assert_eq!(byte, 0);
    }

    fn our_fault(path: &str) {
        let mapping = MappingOptions::new().file(path).create_unnamed().unwrap();
        let view = mapping.view(Access::Read).unwrap();
        shorten(path, 0);
        assert_eq!(kind(view.read(0, &mut [0])), ErrorKind::Vanished);
    }

    /// What happens on `SIGBUS` in a program that does this and that.
    pub(super) fn signals(what: &str, directory: &str) {
        let file = |name: &str| {
            let path = format!("{directory}/{name}");
            std::fs::write(&path, [FULL; LEN]).unwrap();
            path
        };
        let three = with_three as extern "C" fn(_, _, _) as usize;
        let one = with_one as extern "C" fn(_) as usize;
        let ours = || our_fault(&file("ours"));
        let own = || own_fault(&file("own"));
        match what {
            "before" | "before, one argument" => {
                match what {
                    "before" => install(three, libc::SA_SIGINFO),
                    _ => install(one, 0),
                }
                ours();
                own();
                ours();
            }
            "before, once" => {
                install(one, libc::SA_RESETHAND);
                ours();
                own();
                own(); // the default by now, and it dies
            }
            "after" | "after, alone" => {
                ours();
                install(three, libc::SA_SIGINFO);
                if what == "after, alone" {
                    ASKS_US.store(true, Ordering::Relaxed);
                    EARLIER.store(std::ptr::null_mut(), Ordering::Relaxed);
                }
                ours();
                own();
                ours();
            }
            "default" => {
                install(libc::SIG_DFL, 0);
                ours();
                own();
            }
            "ignored" => {
                install(libc::SIG_IGN, 0);
                ours();
                // SAFETY: sends a signal to this thread.
                unsafe { libc::raise(libc::SIGBUS) };
                own();
            }
            "sent" => {
                install(libc::SIG_DFL, 0);
                ours();
                // SAFETY: as above.
                unsafe { libc::raise(libc::SIGBUS) };
            }
            _ => panic!("{what}?"),
        }
        say(&format!("alive after {} calls", CALLS.load(Ordering::Relaxed)));
    }

    #[test]
    fn handlers_of_others_are_undisturbed() {
        let here = Place::new("signals");
        let cases = [
            ("before", Some(1)),
            ("before, one argument", Some(1)),
            ("before, once", None),
            ("after", Some(1)),
            ("after, alone", Some(1)),
            ("default", None),
            ("ignored", None),
            ("sent", None),
        ];
        for (what, calls) in cases {
            let mut child = Child::start("signals", &[what, here.path("").to_str().unwrap()]);
            let said = child.next_line();
            let status = child.ended();
            match calls {
                Some(calls) => assert_eq!(said, Some(format!("alive after {calls} calls")), "{what}: {status}"),
                None => assert_eq!((said, status.signal()), (None, Some(libc::SIGBUS)), "{what}"),
            }
        }
        println!("count attacks survived: programs with handlers of SIGBUS of their own {}", cases.len());
    }

    /// With no room in the address space, and no further part of it to be had.
    pub(super) fn crowded(path: &str) {
        let views = |path: &str| {
            let mapping = MappingOptions::new().file(path).create_unnamed().unwrap();
            (0..4).map(|_| mapping.view(Access::ReadWrite).unwrap()).collect::<Vec<View>>()
        };
        shorten(path, 64 << 20);
        let (few, many) = (views(path), views(path));
        shorten(path, page() as u64);
        // As much as it has, and far less than a view more.
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = status.split(' ').next().unwrap().parse().unwrap();
        common::linux::limit(libc::RLIMIT_AS, pages * page() as u64 + (1 << 20));
        few.iter().for_each(|view| assert_eq!(kind(view.read(32 << 20, &mut [0])), ErrorKind::Vanished));
        common::linux::limit(libc::RLIMIT_AS, libc::RLIM_INFINITY);
        let access = [libc::PROT_NONE, libc::PROT_READ];
        let crowd = |turn: usize| {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: a fresh mapping, which is left alone.
            unsafe { libc::mmap(std::ptr::null_mut(), page(), access[turn % 2], flags, -1, 0) }
        };
        let parts: Vec<_> = (0..1 << 20).map(crowd).take_while(|at| *at != libc::MAP_FAILED).collect();
        // As many parts as there are views can be had: each is parted in two.
        for part in &parts[parts.len() - many.len()..] {
            // SAFETY: it was just mapped, and nobody uses it.
            assert_eq!(unsafe { libc::munmap(*part, page()) }, 0);
        }
        let refused =
            many.iter().map(|view| view.read(32 << 20, &mut [0]).is_err() && view.vanished() == Some(32 << 20));
        assert_eq!(refused.filter(|refused| *refused).count(), many.len());
        say("alive");
    }

    #[test]
    fn where_there_is_no_room_for_zeros() {
        let here = Place::new("crowded");
        let path = here.file("bytes", &[FULL; LEN]);
        let mut child = Child::start("crowded", &[path.to_str().unwrap()]);
        child.expect("alive");
        child.wait();
    }
}

/// Windows lets nobody shorten what is mapped.
#[cfg(windows)]
mod windows {
    use super::*;

    #[test]
    fn nobody_truncates_what_is_mapped() {
        let here = Place::new("mapped");
        let path = here.file("bytes", &[FULL; LEN]);
        let mapping = MappingOptions::new().file(&path).protection(Protection::ReadWrite).create_unnamed().unwrap();
        let view = mapping.view(Access::ReadWrite).unwrap();
        const USER_MAPPED_FILE: Option<i32> = Some(1224);
        let refused = std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap_err();
        assert_eq!(refused.raw_os_error(), USER_MAPPED_FILE);
        let mut bytes = vec![0; LEN];
        view.read(0, &mut bytes).unwrap();
        assert!(view.vanished().is_none() && bytes == [FULL; LEN]);
        for len in [0, 1, 7, 4096, LEN] {
            view.write(0, &vec![len as u8; len]).unwrap();
            view.read(0, &mut bytes[..len]).unwrap();
            assert!(bytes[..len].iter().all(|byte| *byte == len as u8));
        }
    }

    /// Under Wine a program of the host can: what then stands in for a disk that fails.
    #[allow(clippy::zombie_processes)] // Wine never tells of the end of what is not its own
    #[test]
    fn a_file_that_fails() {
        let here = Place::new("fails");
        let path = here.file("bytes", &[FULL; LEN]);
        let views = |protection, access| {
            let mapping = MappingOptions::new().file(&path).protection(protection).create_unnamed().unwrap();
            [mapping.view(access).unwrap(), mapping.view(access).unwrap()]
        };
        let reading = views(Protection::ReadOnly, Access::Read);
        let writing = views(Protection::ReadWrite, Access::ReadWrite);
        // Wine's own, which says where the host has it. What it starts of the host ends with no code that Windows knows.
        let host = std::process::Command::new("winepath").arg("-u").arg(&path).output();
        let host = host.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned()).unwrap_or_default();
        let _unwaited = std::process::Command::new(r"Z:\usr\bin\truncate").args(["-s", "4096", &host]).spawn();
        let len = || std::fs::metadata(&path).map(|meta| meta.len()).unwrap_or(0);
        for _ in 0..2000 {
            if len() == 4096 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1)); // nothing tells
        }
        if len() != 4096 {
            println!("note: a_file_that_fails is left out: nobody here truncates {}", path.display());
            return;
        }
        reading.iter().chain(&writing).for_each(|view| half_gone(view, 4096));
    }
}
