//! Views: any range, coherence, atomics between processes, windows, and what is refused.

mod common;

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use common::agent::Agent;
use common::place::Place;
use common::{Child, say};
use coview::{Access, Advice, ErrorKind, Mapping, MappingOptions, View};
use proptest::prelude::{Just, ProptestConfig as Config, Strategy};
use proptest::{prop_assert, prop_assert_eq, proptest};

#[test]
fn child() {
    common::child(&[("adder", adder)]);
}

fn kind<T>(result: coview::Result<T>) -> ErrorKind {
    result.err().expect("this should have been refused").kind()
}

fn unnamed(size: u64) -> Mapping {
    MappingOptions::new().size(size).exact(true).create_unnamed().expect("there is memory")
}

fn all(view: &View) -> Vec<u8> {
    let mut bytes = vec![0; view.len()];
    view.read(0, &mut bytes).expect("all of a view can be read");
    bytes
}

/// Bytes that tell where they stand.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

#[test]
fn any_offset_and_any_length() {
    let mapping = unnamed(300_000);
    let bytes = pattern(300_000);
    mapping.view(Access::ReadWrite).unwrap().write(0, &bytes).unwrap();
    for offset in [0, 1, 7, 4095, 4096, 4097, 65_535, 65_536, 65_537, 262_144, 299_999] {
        for len in [1, 2, 4095, 4096, 65_536, 100_001] {
            let range = offset..offset + len;
            match mapping.view_range(Access::Read, range.clone()) {
                Ok(view) => {
                    assert_eq!((view.range(), view.len() as u64, view.is_empty()), (range, len, false));
                    assert_eq!(all(&view), &bytes[offset as usize..(offset + len) as usize]);
                }
                Err(error) => {
                    assert!(range.end > 300_000);
                    assert_eq!(error.kind(), ErrorKind::OutOfRange);
                }
            }
        }
    }
    let view = mapping.view_range(Access::Read, 5..=9).unwrap();
    assert_eq!((view.range(), view.access()), (5..10, Access::Read));
    assert_eq!(mapping.view_range(Access::Read, 299_990..).unwrap().len(), 10);
}

#[test]
fn ranges_outside_are_refused() {
    let mapping = unnamed(10_000);
    for (start, end) in [(0, 10_001), (10_000, 10_001), (10_001, 10_002), (9_999, u64::MAX), (u64::MAX - 1, u64::MAX)] {
        let error = mapping.view_range(Access::Read, start..end).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
        assert!(error.to_string().contains("10000"), "{error}");
    }
    for empty in [0..0, 5..5, 10_000..10_000] {
        assert_eq!(kind(mapping.view_range(Access::Read, empty)), ErrorKind::OutOfRange);
    }
    assert_eq!(kind(mapping.view_range(Access::Read, ..=u64::MAX)), ErrorKind::OutOfRange);
    let view = mapping.view_range(Access::ReadWrite, 100..200).unwrap();
    for (offset, len) in [(0, 101), (100, 1), (99, 2), (usize::MAX, 1), (usize::MAX, usize::MAX), (101, 0)] {
        let mut room = vec![0; len.min(101)];
        if room.len() == len {
            assert_eq!(kind(view.read(offset, &mut room)), ErrorKind::OutOfRange, "{offset} {len}");
            assert_eq!(kind(view.write(offset, &room)), ErrorKind::OutOfRange, "{offset} {len}");
        }
        assert_eq!(kind(view.atomic::<AtomicU8>(offset.max(100))), ErrorKind::OutOfRange);
    }
    view.read(100, &mut []).unwrap();
    view.write(100, &[]).unwrap();
    for range in [0..101, 101..101, 100..u64::MAX] {
        assert_eq!(kind(view.flush(range.clone())), ErrorKind::OutOfRange);
        assert_eq!(kind(view.flush_async(range.clone())), ErrorKind::OutOfRange);
        assert_eq!(kind(view.prefault(range.clone())), ErrorKind::OutOfRange);
        assert_eq!(kind(view.advise(range, Advice::WillNeed)), ErrorKind::OutOfRange);
    }
}

#[test]
fn views_show_the_same_bytes() {
    let here = Place::new("coherence");
    let name = here.name("x");
    let mapping = Mapping::create(&name, 200_000).unwrap();
    let (first, second) =
        (mapping.view(Access::ReadWrite).unwrap(), mapping.view_range(Access::Read, 70_001..).unwrap());
    assert_ne!(first.as_ptr(), second.as_ptr());
    let mut other = Agent::start();
    other.open(&name, Access::ReadWrite).unwrap();
    other.view(Access::ReadWrite).unwrap();
    first.write(70_001, b"here").unwrap();
    assert_eq!(all(&second)[..4], b"here"[..]);
    assert_eq!(other.read(70_001, 10).unwrap(), "here");
    other.write(70_001, "there").unwrap();
    assert_eq!(all(&second)[..5], b"there"[..]);
}

#[test]
fn slices_and_streams() {
    let mapping = unnamed(600_000);
    let bytes = pattern(600_000);
    let mut view = mapping.view(Access::ReadWrite).unwrap();
    view.write(0, &bytes).unwrap();
    let mut out = Vec::new();
    view.write_to(&mut out).unwrap();
    assert!(out == bytes, "a stream gets it all");
    slices(&mapping, &mut view, &bytes);
    let mut reader = mapping.view(Access::Read).unwrap();
    assert_eq!(refused_slice(&mut reader), ErrorKind::AccessDenied);
}

#[allow(unsafe_code)]
fn slices(mapping: &Mapping, view: &mut View, bytes: &[u8]) {
    // SAFETY: (1) the mapping is unnamed and this thread alone uses it. (2) It is committed memory, not a file.
    assert!(unsafe { view.as_slice() } == bytes);
    // SAFETY: as above.
    unsafe { view.as_mut_slice() }.expect("the view may write")[599_999] = 0x77;
    let last = mapping.view_range(Access::Read, 599_999..).expect("a byte can be mapped");
    assert_eq!(all(&last), [0x77]);
}

#[allow(unsafe_code)]
fn refused_slice(view: &mut View) -> ErrorKind {
    // SAFETY: no slice comes of it.
    kind(unsafe { view.as_mut_slice() })
}

/// Adds to the number at an offset, once it is told to.
fn adder(args: &[String]) {
    let [name, offset, times] = args else { panic!("three arguments") };
    let mapping = Mapping::open(name, Access::ReadWrite).expect("the object is there");
    let view = mapping.view(Access::ReadWrite).expect("it can be mapped");
    let number = view.atomic::<AtomicU64>(offset.parse().expect("a number")).expect("it is aligned");
    say("ready");
    common::hear();
    for _ in 0..times.parse().expect("a number") {
        number.fetch_add(1, Ordering::Relaxed);
    }
    say("done");
}

#[test]
fn atomics_lose_nothing_between_processes() {
    let here = Place::new("atomics");
    let name = here.name("x");
    let mapping = Mapping::create(&name, 8192).unwrap();
    let mut adders: Vec<Child> = (0..2).map(|_| Child::start("adder", &[&name, "4088", "100000"])).collect();
    adders.iter_mut().for_each(|adder| adder.expect("ready"));
    adders.iter_mut().for_each(|adder| adder.send("go"));
    let view = mapping.view_range(Access::ReadWrite, 4088..).unwrap();
    let number = view.atomic::<AtomicU64>(0).unwrap();
    for _ in 0..100_000 {
        number.fetch_add(1, Ordering::Relaxed);
    }
    adders.iter_mut().for_each(|adder| adder.expect("done"));
    assert_eq!(number.load(Ordering::Relaxed), 300_000);
    let reader = Mapping::open(&name, Access::Read).unwrap().view(Access::Read).unwrap();
    assert_eq!(reader.load::<AtomicU64>(4088, Ordering::Relaxed).unwrap(), 300_000);
}

#[test]
fn atomics_must_be_aligned_and_inside() {
    let mapping = unnamed(8192);
    let view = mapping.view(Access::ReadWrite).unwrap();
    view.atomic::<AtomicU64>(8184).unwrap();
    for offset in [1, 2, 4, 7, 8185, 8188, 8192, usize::MAX - 7] {
        assert_eq!(kind(view.atomic::<AtomicU64>(offset)), ErrorKind::OutOfRange, "{offset}");
        assert_eq!(kind(view.load::<AtomicU64>(offset, Ordering::Relaxed)), ErrorKind::OutOfRange, "{offset}");
    }
    view.atomic::<AtomicU16>(8190).unwrap();
    assert_eq!(kind(view.atomic::<AtomicU32>(2)), ErrorKind::OutOfRange);
    // What counts is the place in memory, not in the view.
    let odd = mapping.view_range(Access::ReadWrite, 3..).unwrap();
    assert_eq!(kind(odd.atomic::<AtomicU32>(0)), ErrorKind::OutOfRange);
    odd.atomic::<AtomicU32>(1).unwrap().store(0x0102_0304, Ordering::Relaxed);
    assert_eq!(view.load::<AtomicU32>(4, Ordering::Relaxed).unwrap(), 0x0102_0304);
    let reader = mapping.view(Access::Read).unwrap();
    assert_eq!(kind(reader.atomic::<AtomicU32>(0)), ErrorKind::AccessDenied);
    view.write(16, &(-5i64).to_ne_bytes()).unwrap();
    assert_eq!(reader.load::<AtomicI64>(16, Ordering::Relaxed).unwrap(), -5);
}

#[test]
fn windows_cover_every_byte_and_find_what_straddles_a_border() {
    let mapping = unnamed(1_000_003);
    let record = b"<record>";
    for border in [100_000, 200_000, 999_000] {
        for lead in 0..=record.len() as u64 {
            let at = border - lead;
            mapping.view_range(Access::ReadWrite, at..at + 8).unwrap().write(0, record).unwrap();
            let find = |overlap: usize| {
                let windows = mapping.windows(Access::Read, 100_000 + overlap).overlap(overlap).map(Result::unwrap);
                let places = windows.flat_map(|window| {
                    let found: Vec<u64> =
                        (0u64..).zip(all(&window).windows(8)).filter(|w| w.1 == record).map(|w| w.0).collect();
                    found.into_iter().map(move |i| window.range().start + i)
                });
                places.collect::<Vec<u64>>()
            };
            assert_eq!(find(7), [at], "border {border}, lead {lead}");
            mapping.view_range(Access::ReadWrite, at..at + 8).unwrap().write(0, &[0; 8]).unwrap();
        }
    }
}

#[test]
fn windows_at_the_edges() {
    let mapping = unnamed(10_000);
    let ranges = |len: usize, overlap: usize, start: u64| -> Vec<(u64, u64)> {
        let windows = mapping.windows(Access::Read, len).overlap(overlap).starting_at(start);
        windows.map(|window| window.unwrap().range()).map(|range| (range.start, range.end)).collect()
    };
    assert_eq!(ranges(4000, 0, 0), [(0, 4000), (4000, 8000), (8000, 10_000)]);
    assert_eq!(ranges(5000, 0, 0), [(0, 5000), (5000, 10_000)]);
    assert_eq!(ranges(6000, 2000, 0), [(0, 6000), (4000, 10_000)]);
    assert_eq!(ranges(4000, 1, 9_000), [(9_000, 10_000)]);
    assert_eq!(ranges(usize::MAX, 0, 0), [(0, 10_000)]);
    assert_eq!(ranges(20_000, 15_000, 0), [(0, 10_000)], "an overlap larger than everything");
    assert_eq!(ranges(20_000, 15_000, 9_999), [(9_999, 10_000)]);
    assert_eq!(ranges(1000, 0, 10_000), []);
    assert_eq!(ranges(1000, 0, u64::MAX), []);
    // A writer's windows write; one that is not allowed says so once.
    for window in mapping.windows(Access::ReadWrite, 3333) {
        let window = window.unwrap();
        window.write(0, &vec![window.range().start as u8; window.len()]).unwrap();
    }
    let view = mapping.view(Access::Read).unwrap();
    assert_eq!((all(&view)[0], all(&view)[3333], all(&view)[9999]), (0, 3333u64 as u8, 9999u64 as u8));
    let here = Place::new("windows-edges");
    let name = here.name("x");
    let _made = Mapping::create(&name, 10_000).unwrap();
    let reader = Mapping::open(&name, Access::Read).unwrap();
    let refusals: Vec<_> = reader.windows(Access::ReadWrite, 1000).collect();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].as_ref().unwrap_err().kind(), ErrorKind::AccessDenied);
}

#[test]
#[should_panic(expected = "0 bytes shows nothing")]
fn windows_of_nothing_are_a_mistake() {
    unnamed(1).windows(Access::Read, 0);
}

#[test]
#[should_panic(expected = "leaves no step")]
fn windows_that_do_not_advance_are_a_mistake() {
    let _ = unnamed(1).windows(Access::Read, 10).overlap(10);
}

#[test]
fn flush_prefault_advise() {
    let here = Place::new("flush");
    let path = here.path("bytes.bin");
    let on_file = MappingOptions::new().file(&path).size(100_000).create_unnamed().unwrap();
    for mapping in [&on_file, &unnamed(100_000), &Mapping::create(&here.name("x"), 100_000).unwrap()] {
        let view = mapping.view_range(Access::ReadWrite, 5_000..95_000).unwrap();
        view.prefault(..).unwrap();
        view.write(0, b"flushed").unwrap();
        view.flush(..).unwrap();
        view.flush(1..7).unwrap();
        view.flush(90_000..).unwrap(); // nothing
        view.flush_async(10..10_000).unwrap();
        for advice in [Advice::Normal, Advice::Sequential, Advice::Random, Advice::WillNeed] {
            view.advise(.., advice).unwrap();
            view.advise(77..78, advice).unwrap();
        }
        let _ = view.advise(.., Advice::HugePages); // the kernel may be built without
        mapping.view(Access::Read).unwrap().prefault(1..99_999).unwrap();
        let private = mapping.view(Access::CopyOnWrite).unwrap();
        private.prefault(..).unwrap();
        private.write(5_000, b"private").unwrap();
        private.flush(..).unwrap();
        assert_eq!(&all(&view)[..7], b"flushed");
    }
    assert_eq!(&std::fs::read(&path).unwrap()[5_000..5_007], b"flushed");
}

/// A size, and ranges that mostly lie inside.
fn sizes_and_ranges() -> impl Strategy<Value = (u64, Vec<(u64, u64, u8)>)> {
    let range = |size| (0..size + 10, 0..size + 10, 0..=255u8);
    (1u64..300_000).prop_flat_map(move |size| (Just(size), proptest::collection::vec(range(size), 1..12)))
}

proptest! {
    #![proptest_config(Config { cases: 200, failure_persistence: None, ..Config::default() })]

    /// Writes through views of random ranges, against a vector.
    #[test]
    fn ranges_behave_as_a_vector((size, writes) in sizes_and_ranges()) {
        let mapping = unnamed(size);
        let mut model = vec![0u8; size as usize];
        for (start, end, byte) in writes {
            let inside = start < end && end <= size;
            match mapping.view_range(Access::ReadWrite, start..end) {
                Ok(view) => {
                    prop_assert!(inside);
                    view.write(0, &vec![byte; view.len()]).unwrap();
                    model[start as usize..end as usize].fill(byte);
                }
                Err(error) => {
                    prop_assert!(!inside);
                    prop_assert_eq!(error.kind(), ErrorKind::OutOfRange);
                }
            }
        }
        prop_assert!(all(&mapping.view(Access::Read).unwrap()) == model);
    }

    /// Windows of random length, overlap and start, against the arithmetic of their contract.
    #[test]
    fn windows_behave_as_slices(size in 1u64..200_000, len in 1usize..50_000, cut in 0.0..1.0f64, start in 0u64..210_000) {
        let len = len.max(size as usize / 64); // some thousands of windows say no more than 64
        let overlap = (len as f64 * cut * cut) as usize;
        let (overlap, step) = (overlap.min(len - len.div_ceil(8)), len.div_ceil(8));
        prop_assert!(len - overlap >= step);
        let mapping = unnamed(size);
        let bytes = pattern(size as usize);
        mapping.view(Access::ReadWrite).unwrap().write(0, &bytes).unwrap();
        let mut next = start;
        for window in mapping.windows(Access::Read, len).overlap(overlap).starting_at(start) {
            let window = window.unwrap();
            let end = (next + len as u64).min(size);
            prop_assert_eq!(window.range(), next..end);
            prop_assert!(all(&window) == bytes[next as usize..end as usize]);
            next = if end == size { size.max(start) } else { end - overlap as u64 };
        }
        prop_assert_eq!(next, size.max(start));
    }
}
