//! What a hostile peer does, decided by a tape of bytes: the body of each fuzz target (`fuzz/`), and of its short form in `main.rs`.
//!
//! Each makes something real, writes over it between any two operations and, where the tape says so, all the time from another thread.
//! Whatever the operations answer is right; crashing, hanging and reading beyond is not.

#![allow(unsafe_code)]
#![allow(unreachable_pub)] // the fuzz targets' crate has it from elsewhere

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use coview::frames::{Frames, FramesOptions, Loan, Policy};
use coview::latest::{Latest, LatestOptions};
use coview::queue::{Queue, QueueOptions};
use coview::ring::{Ring, RingOptions};
use coview::service::{Service, ServiceOptions};
use coview::{
    Access, Event, Mapping, MappingOptions, Mutex, RegionOptions, Semaphore, View, inspect, region, sync, wait_all,
    wait_any,
};

use super::linux;

/// As long as anything here waits.
const BRIEF: Duration = Duration::from_micros(20);
/// Operations of one tape at most.
const STEPS: usize = 100;

/// Plays a tape.
pub type Target = fn(&[u8]);

/// All targets, by the names that `cargo fuzz` knows.
pub const TARGETS: &[(&str, Target)] = &[
    ("names", names),
    ("tickets", tickets),
    ("named", named),
    ("placed", placed),
    ("region", region_head),
    ("latest", latest),
    ("ring", ring),
    ("frames", frames),
    ("queue", queue),
    ("service", service),
];

/// The bytes that decide; zeros behind their end.
struct Tape<'a>(&'a [u8]);

impl Tape<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn below(&mut self, bound: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % bound
    }

    fn one_in(&mut self, chances: u8) -> bool {
        self.byte().is_multiple_of(chances)
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// A number as headers have them, or any.
    fn value(&mut self) -> u64 {
        match self.byte() % 8 {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => u64::from(self.byte()),
            4 => 1 << (self.byte() % 64),
            5 => u64::from(self.word()),
            6 => u64::from(std::process::id()),
            _ => u64::from(self.word()) << 32 | u64::from(self.word()),
        }
    }

    /// Whether there is another step.
    fn more(&self) -> bool {
        !self.0.is_empty()
    }
}

/// Another name each time: what looks owned by a thread of ours stays for as long as that lives.
fn name(what: &str) -> String {
    static TAPES: AtomicU64 = AtomicU64::new(0);
    format!("fuzz-{what}-{}-{}", std::process::id(), TAPES.fetch_add(1, Relaxed))
}

/// Where a region says that it is whole. If it does not, it is waited for, for five seconds: once would be enough for a tape.
const WHOLE: usize = 104;

/// Writes over some of the view, as the tape says.
fn poke(view: &View, tape: &mut Tape<'_>) {
    for _ in 0..tape.byte() % 4 {
        // Half of them in the head, where the structure is.
        let room = if tape.one_in(2) { view.len().min(1024) } else { view.len() };
        let (at, value) = (tape.below(room / 8) * 8, tape.value());
        if at == WHOLE {
            continue;
        }
        let done = match tape.byte() % 4 {
            0 => view.atomic::<AtomicU64>(at).map(|word| word.store(value, Relaxed)),
            1 => view.atomic::<AtomicU64>(at).map(|word| _ = word.fetch_xor(value, Relaxed)),
            2 => view.atomic::<AtomicU32>(at).map(|word| word.store(value as u32, Relaxed)),
            _ => view.atomic::<AtomicU32>(at + 4).map(|word| word.store(value as u32, Relaxed)),
        };
        done.expect("it lies inside");
    }
}

/// Runs the steps, and beside them the peer, if the tape says so: a thread that never rests.
fn beside_a_peer(view: &View, tape: &mut Tape<'_>, steps: impl FnOnce(&mut Tape<'_>)) {
    let (seed, done) = (tape.byte(), AtomicBool::new(false));
    if seed < 192 {
        return steps(tape);
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = u64::from(seed) | 1;
            while !done.load(Relaxed) {
                let bytes: Vec<u8> = (0..32)
                    .map(|_| {
                        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                        (random >> 56) as u8
                    })
                    .collect();
                poke(view, &mut Tape(&bytes));
            }
        });
        // Also when the steps panic.
        let _end = Finally(|| done.store(true, Relaxed));
        steps(tape);
    });
}

struct Finally<F: Fn()>(F);

impl<F: Fn()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Calls `step` with a number of what to do, until the tape is over, and pokes in between.
fn steps(view: &View, tape: &mut Tape<'_>, mut step: impl FnMut(u8, &mut Tape<'_>)) {
    beside_a_peer(view, tape, |tape| {
        for _ in 0..STEPS {
            if !tape.more() {
                break;
            }
            poke(view, tape);
            step(tape.byte(), tape);
        }
    });
}

/// What is made, and ranges that nobody may touch around all of the library's views that have room for them, so that an access beyond
/// is a crash.
pub(super) fn fenced<T>(make: impl FnOnce() -> T) -> (T, Vec<Fence>) {
    let made = make();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("it can be read");
    let ours = maps.lines().filter(|line| line.contains("coview"));
    let number = |text: &str| usize::from_str_radix(text, 16).ok();
    let ranges = ours.filter_map(|line| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        Some((number(start)?, number(end)?))
    });
    let fences = ranges.flat_map(|(start, end)| [start - FENCE, end]).filter_map(Fence::at).collect();
    (made, fences)
}

pub(super) struct Fence(*mut libc::c_void);

/// A page of any system.
const FENCE: usize = 1 << 12;

impl Fence {
    /// Here, if nothing else is.
    fn at(address: usize) -> Option<Fence> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
        let wanted = std::ptr::without_provenance_mut(address);
        // SAFETY: a fresh range, where there was none.
        let at = unsafe { libc::mmap(wanted, FENCE, libc::PROT_NONE, flags, -1, 0) };
        (at == wanted).then_some(Fence(at))
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        // SAFETY: the range was made by `at`, and nothing is in it.
        unsafe { libc::munmap(self.0, FENCE) };
    }
}

/// A view of all of a mapping, by which the peer writes.
fn peer(name: &str) -> View {
    let mapping = Mapping::open(name, Access::ReadWrite).expect("it was made");
    let _ = mapping.commit(0, mapping.size());
    mapping.view(Access::ReadWrite).expect("it can be mapped")
}

/// A file with any bytes and any lock where an object of ours would be.
fn names(tape: &[u8]) {
    let (mut tape, name) = (Tape(tape), name("names"));
    let (mode, variant, locked) = (tape.below(0o2000) as u32 | 0o400, tape.byte(), tape.byte());
    let path = linux::path_of(&name);
    let file = linux::plant(&path, mode, tape.0);
    match locked % 4 {
        0 => {}
        1 => linux::lock(&file, Some(variant)),
        // Of a mapping; read-write more often than not.
        n => linux::lock(&file, Some(1 << 4 | if n == 2 { variant % 16 } else { variant & 12 })),
    }
    for access in [Access::Read, Access::ReadWrite] {
        let Ok(mapping) = Mapping::open(&name, access) else { continue };
        let Ok(view) = mapping.view(access) else { continue };
        let _ = view.read(view.len() / 2, &mut [0; 4]);
        drop(region::describe(&mapping));
    }
    drop((Mutex::open(&name), Event::open(&name), Semaphore::open(&name)));
    drop((inspect::region(&name), inspect::channel(&name)));
    if locked > 250 {
        drop(inspect::find(&name)); // looks at all processes
    }
    drop(file);
    let _ = std::fs::remove_file(path);
}

/// What a sender of mappings writes into the socket.
fn tickets(tape: &[u8]) {
    let (ours, mut theirs) = UnixStream::pair().expect("there are descriptors");
    let mut tape = Tape(tape);
    if tape.one_in(2) {
        // A mapping that comes with it, before what is wrong.
        let mapping = MappingOptions::new().size(u64::from(tape.byte()) + 1).create_unnamed().expect("it can be made");
        coview::os::linux::send(&theirs, &mapping).expect("it can be sent");
    } else if tape.one_in(2) {
        // The length is right, so that the text is looked at.
        std::io::Write::write_all(&mut theirs, &(tape.0.len() as u32).to_le_bytes()).expect("there is room");
    }
    std::io::Write::write_all(&mut theirs, tape.0).expect("there is room");
    drop(theirs);
    while let Ok(mapping) = coview::os::linux::receive(&ours) {
        drop(mapping.view(Access::Read));
    }
}

/// Mutex, event and semaphore, in whose pages a peer writes.
fn named(tape: &[u8]) {
    let mut tape = Tape(tape);
    let made = ["mutex", "event", "semaphore"].map(name);
    let mutex = Mutex::create(&made[0]).expect("it can be made");
    let event = Event::create(&made[1]).expect("it can be made");
    let permits = Semaphore::create(&made[2], 1, 9).expect("it can be made");
    let pages = made.each_ref().map(|name| {
        let file = linux::path_of(name).replace("/dev/shm/", "posix:");
        let mapping = Mapping::open(&file, Access::ReadWrite).expect("it was made");
        mapping.view(Access::ReadWrite).expect("it can be mapped")
    });
    let all = [(&mutex).into(), (&event).into(), (&permits).into()];
    beside_a_peer(&pages[usize::from(tape.byte() % 3)], &mut tape, |tape| {
        for _ in 0..STEPS {
            if !tape.more() {
                break;
            }
            let page = &pages[usize::from(tape.byte() % 3)];
            // What is used lies at the front and at the end of the page.
            let at = tape.below(32) * 4;
            let at = if tape.one_in(2) { at } else { page.len() - 4 - at };
            page.atomic::<AtomicU32>(at).expect("it lies inside").store(tape.value() as u32, Relaxed);
            match tape.byte() % 10 {
                0 => drop(mutex.lock_timeout(BRIEF)),
                1 => drop(event.wait_timeout(BRIEF)),
                2 => drop(permits.acquire_timeout(BRIEF)),
                3 => drop((event.set(), event.reset())),
                4 => drop(permits.release(tape.word())),
                5 => drop(wait_any(&all, Some(BRIEF))),
                6 => drop(wait_all(&all, Some(BRIEF))),
                7 => drop((Mutex::open(&made[0]), Event::open(&made[1]), Semaphore::open(&made[2]))),
                8 => drop((mutex.unlock(), mutex.try_lock(), event.try_wait())),
                // Its owner ends with it.
                _ => std::thread::scope(|scope| {
                    scope.spawn(|| std::mem::forget(mutex.lock_timeout(BRIEF)));
                }),
            }
        }
    });
    // Given back, or the descriptors would be used up.
    pages[0].write(4000, &[0; 96]).expect("it lies inside");
}

/// Everything that can be placed, in one page; offsets are free to overlap what the peer writes.
fn placed(tape: &[u8]) {
    let mut tape = Tape(tape);
    let mapping = MappingOptions::new().size(4096).create_unnamed().expect("it can be made");
    let (view, _fences) = fenced(|| mapping.view(Access::ReadWrite).expect("it can be mapped"));
    // A thread of its own, which ends with whatever stands on its list.
    std::thread::scope(|scope| {
        scope.spawn(|| steps(&view, &mut tape, |what, tape| use_placed(&view, what, tape)));
    });
}

fn use_placed(view: &View, what: u8, tape: &mut Tape<'_>) {
    fn at<P: sync::Placed>(view: &View, offset: usize) -> &P {
        view.place(offset).expect("it lies inside")
    }
    let mutex: &sync::Mutex<u64> = at(view, 0);
    let shared: &sync::RwLock<u64, 4> = at(view, 512);
    let permits: &sync::Semaphore = at(view, 128);
    let event: &sync::Event = at(view, 192);
    let numbers: &sync::SeqLock<[u64; 8]> = at(view, 256);
    match what % 12 {
        0 => {
            if let Ok(Some(lock)) = mutex.lock_timeout(BRIEF) {
                let mut guard = lock.into_guard();
                *guard = guard.wrapping_add(1);
            }
        }
        1 => {
            let condition: &sync::Condvar = at(view, 64);
            if let Ok(Some(lock)) = mutex.try_lock() {
                drop(condition.wait_timeout(lock.into_guard(), BRIEF));
            }
            drop(condition.notify_all());
        }
        2 => {
            if let Ok(Some(lock)) = mutex.try_lock() {
                poke(view, tape);
                let mut guard = lock.into_guard();
                guard.make_consistent();
                // Held for good: the thread ends with it.
                if tape.one_in(8) {
                    std::mem::forget(guard);
                }
            }
        }
        3 => drop(shared.read_timeout(BRIEF).map(|lock| lock.map(|lock| *lock.into_guard()))),
        4 => {
            if let Ok(Some(lock)) = shared.write_timeout(BRIEF) {
                poke(view, tape);
                *lock.into_guard() = 7;
            }
        }
        5 => {
            drop((permits.init(tape.word(), tape.word()), permits.acquire_timeout(BRIEF), permits.release(tape.word())))
        }
        6 => drop((permits.try_acquire(), permits.count(), permits.release(1))),
        7 => drop((event.init(tape.one_in(2), false), event.set(), event.wait_timeout(BRIEF), event.reset())),
        8 => drop(at::<sync::Barrier>(view, 80).wait_timeout(u16::from(tape.byte()), BRIEF)),
        9 => {
            let once: &sync::Once = at(view, 1024);
            drop((once.call_timeout(BRIEF, || Ok(())), once.is_done()));
        }
        10 => drop((numbers.read_timeout(BRIEF), numbers.try_read())),
        _ => drop(numbers.write_timeout(&[7; 8], BRIEF)),
    }
}

/// A region, and the head and schema that it is described by.
fn region_head(tape: &[u8]) {
    let (mut tape, name) = (Tape(tape), name("region"));
    let made = RegionOptions::new().create(&name, &[[7_u32; 3]; 5]).expect("it can be made");
    let view = peer(&name);
    let options = RegionOptions::new().timeout(Duration::ZERO);
    steps(&view, &mut tape, |what, tape| {
        let mapping = made.mapping();
        match what % 8 {
            0 => drop(options.open::<[[u32; 3]; 5]>(&name).map(|region| (region.read(), region.info()))),
            1 => drop(options.open_in::<u64>(mapping)),
            2 => drop(options.open_or_create_in(mapping, || 7_u64).map(|(region, _)| region.write(&8))),
            3 => drop((made.info(), inspect::region(&name), inspect::channel(&name))),
            4 => drop((made.read(), made.write(&[[8; 3]; 5]))),
            5 if view.load::<AtomicU32>(WHOLE, Relaxed).expect("it lies inside") == 1 => {
                drop((Ring::open(&name), Frames::<[u8]>::open(&name)));
                drop((Queue::<u64>::open(&name), Latest::<u64>::open(&name)));
            }
            // The schema, whole: what is not random begins right.
            6 => {
                let bytes: Vec<u8> = (0..tape.below(200)).map(|_| tape.byte()).collect();
                view.write(192 + tape.below(64), &bytes).expect("it lies inside");
            }
            _ => view.write(0, &[0; 192]).expect("it lies inside"),
        }
    });
}

fn latest(tape: &[u8]) {
    let (mut tape, name) = (Tape(tape), name("latest"));
    let options = LatestOptions::new().several_writers(tape.one_in(2));
    match tape.byte() % 2 {
        0 => {
            use_latest(options.capacity(100).create::<[u8]>(&name).expect("it can be made"), &name, &mut tape, b"bytes")
        }
        _ => use_latest(options.create::<[u64; 9]>(&name).expect("it can be made"), &name, &mut tape, &[7; 9]),
    }
}

fn use_latest<T: coview::latest::Value + ?Sized>(made: Latest<T>, name: &str, tape: &mut Tape<'_>, value: &T) {
    let view = peer(name);
    let (mut writer, mut reader) = (made.writer().ok(), made.reader());
    steps(&view, tape, |what, tape| match what % 6 {
        0 => drop(writer.as_mut().map(|writer| writer.set_timeout(value, BRIEF))),
        1 => drop(reader.read()),
        2 => drop(reader.changed_timeout(BRIEF)),
        3 => drop((reader.writers(), inspect::channel(name))),
        4 => {
            writer = None;
            poke(&view, tape);
            writer = made.writer().ok();
        }
        _ => {
            if let (Ok(opened), _fences) = fenced(|| Latest::<T>::open(name)) {
                poke(&view, tape);
                drop((opened.writer().map(|mut writer| writer.set_timeout(value, BRIEF)), opened.reader().read()));
            }
        }
    });
}

fn ring(tape: &[u8]) {
    let (mut tape, name) = (Tape(tape), name("ring"));
    let several = tape.one_in(2);
    let options = RingOptions::new().capacity(4096).several_senders(several).polling(tape.one_in(4));
    let (made, _fences) = fenced(|| options.create(&name).expect("it can be made"));
    let view = peer(&name);
    let (mut sender, mut receiver) = (made.sender().ok(), made.receiver().ok());
    let record = [7; 300];
    steps(&view, &mut tape, |what, tape| match (what % 8, &mut sender, &mut receiver) {
        (0, Some(sender), _) => drop(sender.send_timeout(&record[..tape.below(300)], BRIEF)),
        (1, Some(sender), _) => {
            if let Ok(Some(mut claim)) = sender.try_claim(tape.below(300)) {
                poke(&view, tape);
                claim.fill(7);
                drop(claim.commit());
            }
        }
        (2, Some(sender), _) => {
            if let Ok(Some(mut batch)) = sender.batch_timeout(BRIEF) {
                while let Ok(true) = batch.push(&record[..tape.below(300)]) {
                    if tape.one_in(4) {
                        break;
                    }
                }
                drop(batch.commit());
            }
        }
        (3, _, Some(receiver)) => drop(receiver.try_receive().map(|record| record.map(|record| record.len()))),
        (4, _, Some(receiver)) => {
            drop(receiver.receive_timeout(BRIEF).map(|record| record.map(|record| record.leave())))
        }
        (5, _, Some(receiver)) => drop(receiver.drain(|record| _ = std::hint::black_box(record.iter().max()))),
        (6, ..) => {
            (sender, receiver) = (None, None);
            poke(&view, tape);
            (sender, receiver) = (made.sender().ok(), made.receiver().ok());
        }
        _ => drop((
            Ring::open(&name).map(|ring| (ring.sender().is_ok(), ring.receiver().is_ok())),
            inspect::channel(&name),
        )),
    });
}

fn frames(tape: &[u8]) {
    let (mut tape, name) = (Tape(tape), name("frames"));
    let options = FramesOptions::new().slot(300).budget(2048).history(tape.below(3) as u32);
    let (made, _fences) = fenced(|| options.create::<[u8]>(&name).expect("it can be made"));
    let view = peer(&name);
    let policies = [Policy::EveryFrame, Policy::DropOldest, Policy::NewestOnly];
    let policy = policies[tape.below(3)];
    let (mut publisher, mut subscriber) = (made.publisher().ok(), made.subscriber(policy).ok());
    steps(&view, &mut tape, |what, tape| match (what % 8, &publisher, &subscriber) {
        (0, Some(publisher), _) => drop(publisher.try_send(&[7; 112][..tape.below(112)])),
        (1, Some(publisher), _) => {
            if let Ok(Some(mut loan)) = publisher.loan_timeout(tape.below(300), BRIEF) {
                poke(&view, tape);
                loan.fill(7);
                drop(Loan::publish_timeout(loan, BRIEF));
            }
        }
        (2, Some(publisher), subscriber) => {
            if let Ok(Some(loan)) = publisher.loan_timeout(300, BRIEF)
                && let Ok(mut filling) = loan.publish_growing()
            {
                poke(&view, tape);
                drop(filling.write(&[7; 100]));
                let growing = subscriber.as_ref().map(|subscriber| subscriber.try_receive_growing());
                if let Some(Ok(Some(mut growing))) = growing {
                    drop((growing.grow_timeout(BRIEF), growing.iter().max()));
                }
                drop(filling.finish());
            }
        }
        (3, _, Some(subscriber)) => {
            let frames = [subscriber.try_receive(), subscriber.try_receive()];
            poke(&view, tape);
            frames.iter().flatten().flatten().for_each(|frame| _ = std::hint::black_box(frame.iter().max()));
        }
        (4, _, Some(subscriber)) => drop(subscriber.receive_timeout(BRIEF)),
        (5, ..) => {
            (publisher, subscriber) = (None, None);
            poke(&view, tape);
            (publisher, subscriber) = (made.publisher().ok(), made.subscriber(policies[tape.below(3)]).ok());
        }
        (6, ..) => drop(Frames::<[u8]>::open(&name).map(|frames| (frames.publisher(), frames.subscriber(policy)))),
        _ => drop(inspect::channel(&name)),
    });
}

fn queue(tape: &[u8]) {
    let (mut tape, name) = (Tape(tape), name("queue"));
    let (made, _fences) =
        fenced(|| QueueOptions::new().slot(300).budget(1024).create::<[u8]>(&name).expect("it can be made"));
    let view = peer(&name);
    let (mut producer, mut consumer) = (made.producer().ok(), made.consumer().ok());
    steps(&view, &mut tape, |what, tape| match (what % 6, &producer, &consumer) {
        (0, Some(producer), _) => drop(producer.send_timeout(&[7; 300][..tape.below(300)], BRIEF)),
        (1, Some(producer), _) => {
            if let Ok(Some(mut loan)) = producer.loan_timeout(tape.below(300), BRIEF) {
                poke(&view, tape);
                loan.fill(7);
                drop(loan.send_timeout(BRIEF));
            }
        }
        (2, _, Some(consumer)) => {
            if let Ok(Some(task)) = consumer.try_receive() {
                poke(&view, tape);
                std::hint::black_box((task.iter().max(), task.attempt()));
                if tape.one_in(2) {
                    task.done();
                }
            }
        }
        (3, _, Some(consumer)) => drop(consumer.receive_timeout(BRIEF).map(|task| task.map(|task| task.done()))),
        (4, ..) => {
            (producer, consumer) = (None, None);
            poke(&view, tape);
            (producer, consumer) = (made.producer().ok(), made.consumer().ok());
        }
        _ => drop((
            Queue::<[u8]>::open(&name).map(|queue| (queue.producer(), queue.consumer())),
            inspect::channel(&name),
        )),
    });
}

fn service(tape: &[u8]) {
    type Bytes = Service<[u8], [u8]>;
    let (mut tape, name) = (Tape(tape), name("service"));
    let (made, _fences) =
        fenced(|| ServiceOptions::new().slot(300).budget(2048).create::<[u8], [u8]>(&name).expect("it can be made"));
    let view = peer(&name);
    let (mut client, mut server) = (made.client().ok(), made.server().ok());
    steps(&view, &mut tape, |what, tape| match (what % 6, &client, &server) {
        (0, Some(client), _) => drop(client.call_timeout(&[7; 300][..tape.below(300)], BRIEF)),
        (1, Some(client), server) => {
            let Ok(Some(pending)) = client.send_timeout(&[7; 300][..tape.below(300)], BRIEF) else { return };
            poke(&view, tape);
            if let Some(Ok(Some(request))) = server.as_ref().map(|server| server.try_receive()) {
                std::hint::black_box((request.iter().max(), request.is_cancelled()));
                drop(request.respond(&[8; 112][..tape.below(112)]));
            }
            drop(
                pending
                    .receive_timeout(BRIEF)
                    .map(|answer| answer.map(|answer| _ = std::hint::black_box(answer.iter().max()))),
            );
        }
        (2, Some(client), _) => {
            if let Ok(Some(mut loan)) = client.loan_timeout(tape.below(300), BRIEF) {
                loan.fill(7);
                poke(&view, tape);
                drop(loan.send_timeout(BRIEF));
            }
        }
        (3, _, Some(server)) => {
            if let Ok(Some(request)) = server.receive_timeout(BRIEF)
                && let Ok(Ok(mut reply)) = request.loan_timeout(tape.below(300), BRIEF)
            {
                poke(&view, tape);
                reply.fill(8);
                reply.send();
            }
        }
        (4, ..) => {
            (client, server) = (None, None);
            poke(&view, tape);
            (client, server) = (made.client().ok(), made.server().ok());
        }
        _ => drop((Bytes::open(&name).map(|service| (service.client(), service.server())), inspect::channel(&name))),
    });
}
