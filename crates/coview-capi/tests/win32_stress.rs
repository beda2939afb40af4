//! The handle table under threads, calls with random arguments, leaks, and what a mapping costs beside the Rust API.
#![cfg(target_os = "linux")]
// Every call is unsafe here, and none is by itself.
#![allow(unsafe_code, clippy::multiple_unsafe_ops_per_block)]

use std::ffi::{CString, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::time::Instant;

use coview::{Access, MappingOptions};
// The calls are in this library, which nothing here names otherwise.
use coview_capi as _;

type Handle = *mut c_void;

unsafe extern "C" {
    #[link_name = "coview_win32_CreateFileMappingA"]
    fn create_mapping(
        file: Handle,
        attributes: *const c_void,
        protect: u32,
        high: u32,
        low: u32,
        name: *const c_char,
    ) -> Handle;
    #[link_name = "coview_win32_OpenFileMappingA"]
    fn open_mapping(access: u32, inherit: i32, name: *const c_char) -> Handle;
    #[link_name = "coview_win32_MapViewOfFileEx"]
    fn map_view(handle: Handle, access: u32, high: u32, low: u32, len: usize, at: *mut c_void) -> *mut c_void;
    #[link_name = "coview_win32_UnmapViewOfFile"]
    fn unmap_view(address: *const c_void) -> i32;
    #[link_name = "coview_win32_FlushViewOfFile"]
    fn flush_view(address: *const c_void, len: usize) -> i32;
    #[link_name = "coview_win32_VirtualAlloc"]
    fn virtual_alloc(address: *mut c_void, size: usize, kind: u32, protect: u32) -> *mut c_void;
    #[link_name = "coview_win32_VirtualQuery"]
    fn virtual_query(address: *const c_void, into: *mut u8, len: usize) -> usize;
    #[link_name = "coview_win32_CloseHandle"]
    fn close(handle: Handle) -> i32;
    #[link_name = "coview_win32_DuplicateHandle"]
    fn duplicate(
        from: Handle,
        source: Handle,
        to: Handle,
        target: *mut Handle,
        access: u32,
        inherit: i32,
        options: u32,
    ) -> i32;
    #[link_name = "coview_win32_CreateMutexA"]
    fn create_mutex(attributes: *const c_void, owned: i32, name: *const c_char) -> Handle;
    #[link_name = "coview_win32_CreateEventA"]
    fn create_event(attributes: *const c_void, manual: i32, set: i32, name: *const c_char) -> Handle;
    #[link_name = "coview_win32_CreateSemaphoreA"]
    fn create_semaphore(attributes: *const c_void, count: i32, maximum: i32, name: *const c_char) -> Handle;
    #[link_name = "coview_win32_ReleaseMutex"]
    fn release_mutex(handle: Handle) -> i32;
    #[link_name = "coview_win32_SetEvent"]
    fn set_event(handle: Handle) -> i32;
    #[link_name = "coview_win32_ReleaseSemaphore"]
    fn release_semaphore(handle: Handle, count: i32, before: *mut i32) -> i32;
    #[link_name = "coview_win32_WaitForMultipleObjects"]
    fn wait_for(count: u32, handles: *const Handle, all: i32, milliseconds: u32) -> u32;
    #[link_name = "coview_win32_SetHandleInformation"]
    fn set_information(handle: Handle, mask: u32, flags: u32) -> i32;
}

const READWRITE: u32 = 4;

fn handle(value: usize) -> Handle {
    std::ptr::without_provenance_mut(value)
}

fn nothing() -> Handle {
    handle(usize::MAX)
}

/// These tests count descriptors and mapped ranges of the whole process, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs is there").count()
}

/// Ranges that show objects of ours.
fn ranges() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs is there");
    maps.lines().filter(|line| line.contains("coview")).count()
}

/// Numbers that are the same for the same seed (Vigna's splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.below(these.len() as u64) as usize]
    }
}

#[test]
fn threads_share_handles_that_others_close() {
    let _turn = turn();
    let before = (descriptors(), ranges());
    let shared: Vec<_> = (0..16).map(|_| std::sync::atomic::AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let shared = &shared;
            scope.spawn(move || {
                let mut random = Random(thread);
                for _ in 0..2000 {
                    let place = &shared[random.below(16) as usize];
                    // SAFETY: no pointer is passed that is not good for the call; a handle may be closed, and reused, by others
                    // at any time, which is what the test is about.
                    unsafe {
                        let made = create_mapping(nothing(), null(), READWRITE, 0, 4096, null());
                        assert!(!made.is_null());
                        let old = place.swap(made.addr(), std::sync::atomic::Ordering::AcqRel);
                        if old != 0 {
                            assert_eq!(close(handle(old)), 1, "whoever took it out is the only one to close it");
                        }
                        let other =
                            handle(shared[random.below(16) as usize].load(std::sync::atomic::Ordering::Acquire));
                        let view = map_view(other, 2, 0, 0, 0, null_mut());
                        if !view.is_null() {
                            view.cast::<u8>().write_volatile(1);
                            assert_eq!(unmap_view(view), 1);
                        }
                    }
                }
            });
        }
    });
    for place in shared {
        // SAFETY: nobody else has them any more.
        assert_eq!(unsafe { close(handle(place.into_inner())) }, 1);
    }
    assert_eq!((descriptors(), ranges()), before);
}

/// What a random run has: to be given back at its end.
#[derive(Default)]
struct Having {
    handles: Vec<usize>,
    views: Vec<usize>,
}

/// A handle of ours, or a number that is none.
fn some_handle(random: &mut Random, having: &Having) -> Handle {
    let odd = [0, 1, 2, 3, 5, 0xffff_fffc, usize::MAX - 1, usize::MAX - 2, 1 << 40];
    match random.below(4) {
        0 => handle(random.of(&odd)),
        _ if having.handles.is_empty() => null_mut(),
        _ => handle(random.of(&having.handles)),
    }
}

/// An address in a view of ours, or anywhere.
fn some_view(random: &mut Random, having: &Having) -> *mut c_void {
    match random.below(3) {
        0 => handle(random.of(&[0, 1, 4096, 0xdead_beef, usize::MAX, usize::MAX - 4095])),
        _ if having.views.is_empty() => null_mut(),
        _ => std::ptr::with_exposed_provenance_mut(random.of(&having.views) + random.of(&[0, 0, 1, 4096])),
    }
}

const ACCESSES: [u32; 10] = [0, 1, 2, 4, 6, 0x20, 0x000f_001f, 0x001f_0003, 0x8000_0000, u32::MAX];
const SIZES: [u32; 8] = [0, 1, 4095, 4096, 65536, 65537, 1 << 20, u32::MAX];

/// Makes, opens or duplicates something, with arguments that are mostly, or not at all, good.
fn random_make(random: &mut Random, having: &mut Having, names: &[CString]) {
    let protects = [0, 1, 2, 4, 8, 0x10, 0x40, 0x0400_0004, 0x0800_0004, 0x1000_0004, 0x8000_0004, u32::MAX];
    let name = match random.below(3) {
        0 => null(),
        _ => names[random.below(names.len() as u64) as usize].as_ptr(),
    };
    // SAFETY: every pointer is null, a text, or a place to write to.
    let made = unsafe {
        match random.below(6) {
            0 => {
                let (high, number) = (random.of(&[0, 0, 0, 0, 0x7fff_ffff]), random.of(&SIZES));
                // Not gigabytes at once: only what cannot be had at all.
                let low = if high == 0 { number.min(1 << 20) } else { number };
                let file = if random.below(8) == 0 { some_handle(random, having) } else { nothing() };
                create_mapping(file, null(), random.of(&protects), high, low, name)
            }
            1 => open_mapping(random.of(&ACCESSES), 0, name),
            2 => create_mutex(null(), random.below(2) as i32, name),
            3 => create_event(null(), random.below(2) as i32, random.below(2) as i32, name),
            4 => create_semaphore(null(), random.of(&[-1, 0, 1]), random.of(&[-1, 0, 1, i32::MAX]), name),
            _ => {
                let mut target = null_mut();
                let from = if random.below(8) == 0 { some_handle(random, having) } else { nothing() };
                let (source, moves) = (some_handle(random, having), random.of(&[0, 2, 2, 3]));
                let done = duplicate(from, source, nothing(), &raw mut target, random.of(&ACCESSES), 0, moves);
                if done != 0 && moves & 1 != 0 {
                    having.handles.retain(|had| had & !3 != source.addr() & !3);
                }
                target
            }
        }
    };
    if !made.is_null() {
        having.handles.push(made.addr());
    }
}

/// Maps, unmaps and asks about views.
fn random_view(random: &mut Random, having: &mut Having) {
    let view = some_view(random, having);
    // SAFETY: the addresses are for the calls to check; nothing is read or written through views.
    unsafe {
        match random.below(4) {
            0 => {
                let (at, offset) = (random.of(&[0, 0, 0, 1, 0x7000_0000_0000]), random.of(&[0, 0, 65536, 4096]));
                let len = random.of(&[0, 1, 4096, 65536, usize::MAX]);
                let view = map_view(some_handle(random, having), random.of(&ACCESSES), 0, offset, len, handle(at));
                if !view.is_null() {
                    having.views.push(view.expose_provenance());
                }
            }
            1 => {
                let base = base_of(view, &having.views);
                if unmap_view(view) != 0 {
                    having.views.retain(|had| *had != base);
                }
            }
            2 => {
                flush_view(view, random.of(&[0, 1, 4096, usize::MAX]));
                virtual_alloc(view, random.of(&SIZES) as usize & 0xf_ffff, 0x1000, random.of(&[0, 2, 4]));
            }
            _ => {
                let mut room = [0; 64];
                virtual_query(view, room.as_mut_ptr(), random.of(&[0, 48, 64]));
            }
        }
    }
}

/// Changes, waits for and closes handles.
fn random_use(random: &mut Random, having: &mut Having) {
    let object = some_handle(random, having);
    // SAFETY: the arguments are numbers, but for a list of handles; waits have an end.
    unsafe {
        match random.below(4) {
            0 => {
                release_mutex(object);
                set_event(object);
                release_semaphore(object, random.of(&[-1, 0, 1, i32::MAX]), null_mut());
            }
            1 => {
                let several: Vec<Handle> = (0..random.below(4)).map(|_| some_handle(random, having)).collect();
                wait_for(several.len() as u32, several.as_ptr(), random.below(2) as i32, random.of(&[0, 1]));
            }
            2 => _ = set_information(object, random.of(&[0, 1, 4]), random.of(&[0, 1])),
            _ => {
                // A mutex that is closed while it is owned keeps its page until the thread ends: that is no leak, but counts.
                while release_mutex(object) != 0 {}
                if object.addr() < usize::MAX - 1 && close(object) != 0 {
                    having.handles.retain(|had| had & !3 != object.addr() & !3);
                }
            }
        }
    }
}

/// The view that an address which was inside one belonged to: the nearest base below.
fn base_of(address: *mut c_void, views: &[usize]) -> usize {
    views.iter().copied().filter(|base| *base <= address.addr()).max().unwrap_or(0)
}

#[test]
fn random_calls_neither_crash_nor_leak() {
    let _turn = turn();
    let seed = std::env::var("COVIEW_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed} (COVIEW_SEED={seed} repeats it)");
    let tag = std::process::id();
    let texts = ["a", "b", "c", r"Local\a", r"Global\d", r"no\such", "", r"\", "Local", &"n".repeat(300)];
    let names: Vec<CString> = texts
        .iter()
        .map(|text| {
            CString::new(if text.len() > 1 { (*text).to_owned() } else { format!("random-{tag}-{text}") }).unwrap()
        })
        .collect();
    let before = (descriptors(), ranges());
    for round in 0..20 {
        let run = || {
            let (mut random, mut having) = (Random(seed + round), Having::default());
            for _ in 0..500 {
                match random.below(3) {
                    0 => random_make(&mut random, &mut having, &names),
                    1 => random_view(&mut random, &mut having),
                    _ => random_use(&mut random, &mut having),
                }
            }
            for view in having.views {
                // SAFETY: it is the test's, or gone.
                unsafe { unmap_view(std::ptr::with_exposed_provenance(view)) };
            }
            for had in having.handles {
                // SAFETY: nothing else uses the handle; mutexes are given back before, as often as they were taken.
                unsafe {
                    while release_mutex(handle(had)) != 0 {}
                    close(handle(had));
                }
            }
        };
        std::thread::scope(|scope| scope.spawn(run).join()).expect("no panic crosses to the caller");
    }
    assert_eq!((descriptors(), ranges()), before, "descriptors and ranges");
}

/// The median of some rounds, in nanoseconds a call.
fn median(mut round: impl FnMut()) -> f64 {
    const CALLS: u32 = 200;
    let mut times: Vec<f64> = (0..31)
        .map(|_| {
            let begun = Instant::now();
            (0..CALLS).for_each(|_| round());
            begun.elapsed().as_nanos() as f64 / f64::from(CALLS)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// `cargo test --release -p coview-capi --test win32_stress -- --ignored --nocapture cost`
#[test]
#[ignore = "a measurement"]
fn cost_of_a_mapping() {
    let _turn = turn();
    let name = format!("cost-{}", std::process::id());
    let text = CString::new(name.clone()).unwrap();
    for size in [4096_u32, 1 << 20] {
        let rust = || {
            let mapping = MappingOptions::new().size(size.into()).open_or_create(&name).unwrap().0;
            drop((mapping.view(Access::ReadWrite).unwrap(), mapping));
        };
        let win32 = || {
            // SAFETY: the name is a text, and nothing uses the view.
            unsafe {
                let made = create_mapping(nothing(), null(), READWRITE, 0, size, text.as_ptr());
                let view = map_view(made, 2, 0, 0, 0, null_mut());
                assert_eq!((unmap_view(view), close(made)), (1, 1));
            }
        };
        median(rust);
        let (rust, win32) = (median(rust), median(win32));
        println!(
            "{size} bytes: create, map, unmap, close: Rust {rust:.0} ns, Win32 {win32:.0} ns, ratio {:.2}",
            win32 / rust
        );
    }
}
