//! What the object model costs, as ratios to the bare system calls, measured side by side in one run (Linux).
//!
//! Every figure is the median over rounds; in each round ours and the bare one take turns, so that what the
//! machine does meanwhile meets both. Ends with one `bar` line a figure. Not criterion or divan: neither takes
//! turns within a round, and ratios are what is asked.

#![allow(unsafe_code, missing_docs)]

#[cfg(target_os = "linux")]
mod linux {
    use std::hint::black_box;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::time::Instant;

    use coview::{Access, Mapping, MappingOptions, Protection};
    use rustix::fs::{FallocateFlags, Mode, OFlags};
    use rustix::mm::{MapFlags, ProtFlags};

    const ROUNDS: usize = 31;

    /// Median nanoseconds a call of ours and of the bare one, taking turns.
    fn duel(calls: u32, mut ours: impl FnMut(), mut bare: impl FnMut()) -> (f64, f64) {
        let time = |work: &mut dyn FnMut()| {
            let start = Instant::now();
            (0..calls).for_each(|_| work());
            start.elapsed().as_nanos() as f64 / f64::from(calls)
        };
        ours();
        bare();
        let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (time(&mut ours), time(&mut bare))).collect();
        (median(rounds.iter().map(|r| r.0)), median(rounds.iter().map(|r| r.1)))
    }

    fn median(values: impl Iterator<Item = f64>) -> f64 {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    fn bar(name: &str, value: f64, at_most: bool, bound: f64, note: &str) {
        let good = if at_most { value <= bound } else { value >= bound };
        let (sign, word) = (if at_most { "<=" } else { ">=" }, if good { "ok" } else { "… short" });
        println!("bar {name} {value:.2} {sign} {bound} {word}   ({note})");
    }

    fn bare_map(fd: &OwnedFd, size: usize, prot: ProtFlags) -> *mut u8 {
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        unsafe { rustix::mm::mmap(std::ptr::null_mut(), size, prot, MapFlags::SHARED, fd, 0) }.unwrap().cast()
    }

    fn bare_unmap(base: *mut u8, size: usize) {
        // SAFETY: the range came from `bare_map` and is not used again.
        unsafe { rustix::mm::munmap(base.cast(), size) }.unwrap();
    }

    fn create(size: u64, bound: f64) {
        let name = format!("bench-create-{}", std::process::id());
        let path = format!("/dev/shm/bare-{}", std::process::id());
        let ours = || {
            let view = Mapping::create(&name, size).unwrap().view(Access::ReadWrite).unwrap();
            view.write(0, &[1]).unwrap();
        };
        let bare = || {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
            let fd = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).unwrap();
            rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, size).unwrap();
            let base = bare_map(&fd, size as usize, ProtFlags::READ | ProtFlags::WRITE);
            // SAFETY: the first byte of a fresh read-write mapping.
            unsafe { base.write_volatile(1) };
            bare_unmap(base, size as usize);
            drop(fd);
            rustix::fs::unlink(&path).unwrap();
        };
        let (ours, bare) = duel(400, ours, bare);
        let what = format!("create_{}KiB", size >> 10);
        bar(&what, ours / bare, true, bound, &format!("{ours:.0} ns, bare system calls {bare:.0} ns"));
    }

    fn bare_open(path: &str, size: usize) {
        let fd = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty()).unwrap();
        bare_unmap(bare_map(&fd, size, ProtFlags::READ | ProtFlags::WRITE), size);
    }

    fn open() {
        let size = 1 << 20;
        let name = format!("bench-open-{}", std::process::id());
        let _held = Mapping::create(&name, size).unwrap();
        let path = format!("/dev/shm/coview.{}.{name}", rustix::process::geteuid().as_raw());
        let ours = || drop(Mapping::open(&name, Access::ReadWrite).unwrap().view(Access::ReadWrite).unwrap());
        let (ours, bare) = duel(2000, ours, || bare_open(&path, size as usize));
        let note = format!("{ours:.0} ns, bare shm_open + mmap + munmap {bare:.0} ns");
        bar("open", ours / bare, true, 2.5, &note);
    }

    fn copy() {
        for size in [4 << 10, 64 << 10, 1 << 20] {
            let mapping = MappingOptions::new().size(size as u64).create_unnamed().unwrap();
            let view = mapping.view(Access::ReadWrite).unwrap();
            view.write(0, &vec![7; size]).unwrap();
            // One target for both: copies differ by how source and target lie to each other.
            let target = std::cell::RefCell::new(vec![0; size]);
            let source = view.as_ptr();
            let (ours, bare) = duel(
                (64 << 20 >> size.ilog2()) as u32 / 4,
                || view.read(0, black_box(&mut target.borrow_mut()[..])).unwrap(),
                // SAFETY: both are `size` bytes long and apart; nobody writes meanwhile.
                || unsafe {
                    std::ptr::copy_nonoverlapping(black_box(source), black_box(target.borrow_mut().as_mut_ptr()), size)
                },
            );
            let note = format!("{:.1} GB/s, memcpy {:.1} GB/s", size as f64 / ours, size as f64 / bare);
            bar(&format!("copy_{}KiB", size >> 10), bare / ours, false, 0.95, &note);
        }
    }

    /// What it costs that somebody else may truncate a file: checked reads of it, against those of a sealed one and bare copies;
    /// mapping it; and one time that somebody does.
    fn guard() {
        let file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
        for size in [8_usize, 1 << 20] {
            file.as_file().set_len(1 << 20).unwrap();
            let guarded = MappingOptions::new().file(file.path()).create_unnamed().unwrap();
            let sealed = MappingOptions::new().size(1 << 20).create_unnamed().unwrap();
            let views = [guarded, sealed].map(|mapping| mapping.view(Access::ReadWrite).unwrap());
            views.iter().for_each(|view| view.write(0, &vec![7; 1 << 20]).unwrap());
            let target = std::cell::RefCell::new(vec![0; size]);
            let calls = if size == 8 { 200_000 } else { 16 };
            let read = |view: &coview::View| view.read(0, black_box(&mut target.borrow_mut()[..])).unwrap();
            let (ours, bare) = duel(calls, || read(&views[0]), || read(&views[1]));
            let note = format!("{ours:.2} ns where somebody may truncate, {bare:.2} ns where nobody may");
            bar(&format!("guarded_read_{size}"), ours / bare, true, 1.05, &note);
            let source = views[0].as_ptr();
            let (ours, bare) = duel(
                calls,
                || read(&views[0]),
                || {
                    // SAFETY: both have `size` bytes and are apart; nobody writes or truncates meanwhile.
                    unsafe {
                        std::ptr::copy_nonoverlapping(
                            black_box(source),
                            black_box(target.borrow_mut().as_mut_ptr()),
                            size,
                        )
                    }
                },
            );
            let note = format!("{ours:.2} ns, a bare copy {bare:.2} ns");
            println!("     guarded_read_{size} to a bare copy: {:.2}   ({note})", ours / bare);
        }
        let recover = || {
            file.as_file().set_len(1 << 20).unwrap();
            let mapping = MappingOptions::new().file(file.path()).create_unnamed().unwrap();
            let view = mapping.view(Access::Read).unwrap();
            file.as_file().set_len(0).unwrap();
            let start = Instant::now();
            let refused = view.read(0, &mut [0]).is_err();
            (start.elapsed().as_nanos() as f64, refused)
        };
        let times = (0..1000).map(|_| recover()).filter(|(_, refused)| *refused).map(|(time, _)| time);
        println!("     the first read of what somebody truncated: {:.0} ns", median(times));
    }

    fn sum(bytes: &[u8]) -> u64 {
        bytes.as_chunks::<8>().0.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le_bytes(*word)))
    }

    fn scan_windows(path: &Path, window: usize) -> u64 {
        let mapping = MappingOptions::new().file(path).protection(Protection::ReadOnly).create_unnamed().unwrap();
        mapping.windows(Access::Read, window).fold(0, |all: u64, view| {
            let view = view.unwrap();
            // SAFETY: the file belongs to this benchmark, and nobody writes to it meanwhile.
            all.wrapping_add(sum(unsafe { view.as_slice() }))
        })
    }

    fn scan_whole(path: &Path) -> u64 {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let size = rustix::fs::fstat(&fd).unwrap().st_size as usize;
        let base = bare_map(&fd, size, ProtFlags::READ);
        // SAFETY: all of the mapping; nobody writes to the file meanwhile.
        let all = sum(unsafe { std::slice::from_raw_parts(base, size) });
        bare_unmap(base, size);
        all
    }

    fn scan_read(path: &Path) -> u64 {
        let mut file = std::fs::File::open(path).unwrap();
        let mut buffer = vec![0; 1 << 20];
        let mut all = 0u64;
        loop {
            match file.read(&mut buffer).unwrap() {
                0 => return all,
                n => all = all.wrapping_add(sum(&buffer[..n])),
            }
        }
    }

    fn scan() {
        let size: usize = 1 << 30;
        let file = tempfile::NamedTempFile::new_in(".").unwrap();
        let piece: Vec<u8> = (0..1 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for _ in 0..size >> 20 {
            std::io::Write::write_all(&mut file.as_file(), &piece).unwrap();
        }
        let path = file.path();
        assert_eq!(scan_windows(path, 16 << 20), scan_whole(path));
        assert_eq!(scan_whole(path), scan_read(path));
        let mut times = [vec![], vec![], vec![]];
        for _ in 0..9 {
            let works: [&dyn Fn() -> u64; 3] =
                [&|| scan_windows(path, 16 << 20), &|| scan_whole(path), &|| scan_read(path)];
            for (work, times) in works.iter().zip(&mut times) {
                let start = Instant::now();
                black_box(work());
                times.push(start.elapsed().as_secs_f64());
            }
        }
        let [windows, whole, read] = times.map(|t| median(t.into_iter()));
        let speed = |t: f64| format!("{:.1} GB/s", size as f64 / t / 1e9);
        bar(
            "scan_windows_to_whole",
            whole / windows,
            false,
            0.95,
            &format!("{}, one mmap {}", speed(windows), speed(whole)),
        );
        bar("scan_windows_to_read", read / windows, false, 1.0, &format!("{}, read() {}", speed(windows), speed(read)));
    }

    /// Median nanoseconds of one open and one create while `others` further objects live.
    fn among(others: usize) -> (f64, f64) {
        let id = std::process::id();
        let _crowd: Vec<Mapping> =
            (0..others).map(|i| Mapping::create(&format!("bench-crowd-{id}-{i}"), 1).unwrap()).collect();
        let start = Instant::now();
        coview::inspect::sweep(true).unwrap();
        println!("     a look at all of {others}: {:.0} µs", start.elapsed().as_secs_f64() * 1e6);
        let name = format!("bench-among-{id}");
        let held = Mapping::create(&name, 4096).unwrap();
        let mut opens = Vec::new();
        let mut creates = Vec::new();
        for i in 0..4000 {
            let start = Instant::now();
            drop(Mapping::open(&name, Access::ReadWrite).unwrap());
            opens.push(start.elapsed().as_nanos() as f64);
            let fresh = format!("bench-fresh-{id}-{i}");
            let start = Instant::now();
            drop(Mapping::create(&fresh, 4096).unwrap());
            creates.push(start.elapsed().as_nanos() as f64);
        }
        drop(held);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        println!(
            "     among {others}: mean open {:.0} ns, mean create {:.0} ns, sweeps included",
            mean(&opens),
            mean(&creates)
        );
        (median(opens.into_iter()), median(creates.into_iter()))
    }

    fn flat() {
        rustix::process::setrlimit(
            rustix::process::Resource::Nofile,
            rustix::process::Rlimit { current: Some(20_000), maximum: Some(20_000) },
        )
        .unwrap_or_else(|error| println!("     cannot raise the limit on descriptors: {error}"));
        let (open_few, create_few) = among(10);
        let (open_many, create_many) = among(10_000);
        bar(
            "flat_open",
            open_many / open_few,
            true,
            1.5,
            &format!("{open_few:.0} ns among 10, {open_many:.0} ns among 10,000"),
        );
        let note = format!("{create_few:.0} ns among 10, {create_many:.0} ns among 10,000");
        bar("flat_create", create_many / create_few, true, 1.5, &note);
    }

    pub(super) fn main() {
        create(4 << 10, 3.0);
        create(1 << 20, 1.5);
        open();
        copy();
        guard();
        scan();
        flat();
    }
}

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
}
