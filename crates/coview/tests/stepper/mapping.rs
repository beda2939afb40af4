//! Making, opening, closing and collecting a mapping, killed at every instruction.

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use coview::{Access, ErrorKind, Mapping, MappingOptions, inspect};

use crate::harness::*;

/// The only holder dies anywhere between making and removing: no dead name, nothing left, the next one is zeroed.
pub(crate) fn mapping_create_close() {
    let name = name("made");
    let victim = |begin: &dyn Fn()| {
        begin();
        let mapping = Mapping::create(&name, 4096).unwrap();
        mapping.view(Access::ReadWrite).unwrap().write(0, b"dirty").unwrap();
        drop(mapping);
    };
    sweep("mapping: create, write, close", &victim, |at, _| {
        let stale = inspect::find(&name).unwrap().is_some();
        let absent = Mapping::open(&name, Access::Read).map(|_| ()).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound, "killed after {at} instructions");
        let again = Mapping::create(&name, 4096).unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
        let mut bytes = [1; 5];
        again.view(Access::Read).unwrap().read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 5], "killed after {at} instructions");
        drop(again);
        assert!(inspect::find(&name).unwrap().is_none(), "killed after {at} instructions: something is left");
        stale
    });
}

/// A holder lives: whoever opens and dies, its name stays.
pub(crate) fn mapping_open_close_beside_a_holder() {
    let name = name("held");
    let held = Mapping::create(&name, 4096).unwrap();
    held.view(Access::ReadWrite).unwrap().write(0, b"alive").unwrap();
    let victim = |begin: &dyn Fn()| {
        begin();
        let mapping = Mapping::open(&name, Access::Read).unwrap();
        mapping.view(Access::Read).unwrap().read(0, &mut [0]).unwrap();
        drop(mapping);
    };
    sweep("mapping: open, read, close beside a holder", &victim, |at, _| {
        let again =
            Mapping::open(&name, Access::Read).unwrap_or_else(|e| panic!("killed after {at} instructions: {e}"));
        let mut bytes = [0; 5];
        again.view(Access::Read).unwrap().read(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"alive", "killed after {at} instructions: another object has the name");
        false
    });
}

/// A dead object is in the way: whoever removes it and dies in between, the next one finishes.
pub(crate) fn mapping_collect() {
    let name = name("dead");
    let leave_one = || {
        let maker = helper(&|| {
            std::mem::forget(Mapping::create(&name, 4096).unwrap());
            // SAFETY: ends the maker at once; the object stays behind without a holder.
            unsafe { libc::_exit(0) };
        });
        wait_for_stop(maker, None);
    };
    let victim = |begin: &dyn Fn()| {
        begin();
        let _ = Mapping::open(&name, Access::Read);
    };
    leave_one();
    sweep("mapping: open of a dead one", &victim, |at, _| {
        let stale = inspect::find(&name).unwrap().is_some();
        let absent = Mapping::open(&name, Access::Read).map(|_| ()).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound, "killed after {at} instructions");
        assert!(inspect::find(&name).unwrap().is_none(), "killed after {at} instructions: something is left");
        leave_one();
        stale
    });
    inspect::sweep(false).unwrap();
}

/// Somebody else makes the object, or joins it, at any moment of the making: there is one of that name.
pub(crate) fn mapping_create_while_others_do() {
    let name = name("raced");
    let victim = |begin: &dyn Fn()| {
        begin();
        let (mapping, _) = MappingOptions::new().size(4096).open_or_create(&name).unwrap();
        mapping.view(Access::ReadWrite).unwrap().write(0, b"victim").unwrap();
        std::mem::forget(mapping);
    };
    let ours = RefCell::new(None);
    // So that the victim has no remains to remove: paused in the middle of that it would hold up everybody (and says so).
    let prepare = || drop(inspect::sweep(false).unwrap());
    let interfere = || *ours.borrow_mut() = Some(MappingOptions::new().size(4096).open_or_create(&name).unwrap().0);
    sweep_pauses("mapping: create, while another does", &prepare, &victim, &interfere, &|at| {
        let mut bytes = [0; 6];
        let ours = ours.take().expect("made between");
        ours.view(Access::Read).unwrap().read(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"victim", "paused after {at} instructions: there are two of that name");
    });
}

/// The last holder lets go, and another makes a new one, at any moment of the opening: what is opened is what has the name.
pub(crate) fn mapping_open_while_it_goes() {
    let name = name("replaced");
    let held = RefCell::new(None);
    let make = |text: &[u8]| {
        let mapping = Mapping::create(&name, 4096).ok()?;
        mapping.view(Access::ReadWrite).unwrap().write(0, text).unwrap();
        Some(mapping)
    };
    let prepare = || {
        drop(held.take());
        inspect::sweep(false).unwrap();
        *held.borrow_mut() = make(b"old");
        assert!(held.borrow().is_some(), "the name is free");
    };
    let notes = Notes::new();
    let saw = notes.word(0);
    let victim = |begin: &dyn Fn()| {
        begin();
        let Ok(mapping) = Mapping::open(&name, Access::Read) else { return };
        let mut bytes = [0; 3];
        mapping.view(Access::Read).unwrap().read(0, &mut bytes).unwrap();
        saw.store(if &bytes == b"new" { 2 } else { 1 }, Ordering::SeqCst);
        // Whether it is the one that has the name is asked while it is open.
        std::mem::forget(mapping);
    };
    let interfere = || {
        saw.store(0, Ordering::SeqCst);
        drop(held.take());
        *held.borrow_mut() = make(b"new"); // not if the victim has the old one already
    };
    sweep_pauses("mapping: open, while it is replaced", &prepare, &victim, &interfere, &|at| {
        let replaced = held.borrow().is_some();
        let opened_old = saw.load(Ordering::SeqCst) == 1;
        assert!(!(replaced && opened_old), "paused after {at} instructions: it opened one that was gone");
    });
}
