//! Names through the API and between processes: what may be written, what is the same object, what is refused.

mod common;

use common::agent::{Agent, refused};
use common::place::Place;
use coview::{Access, ErrorKind, Mapping, MappingOptions, Name, inspect};

#[test]
fn child() {
    common::child(&[]);
}

/// Two processes: one makes `name` and writes, the other sees it, and it goes with the first.
fn travels(name: &str, maker: &mut Agent, guest: &mut Agent) {
    maker.create(name, 4096).unwrap_or_else(|e| panic!("{name:?}: {}", e.message));
    maker.view(Access::ReadWrite).unwrap();
    maker.write(0, name).unwrap();
    guest.open(name, Access::Read).unwrap_or_else(|e| panic!("{name:?}: {}", e.message));
    guest.view(Access::Read).unwrap();
    assert_eq!(guest.read(0, 4096).unwrap(), name);
    guest.unview();
    guest.close();
    maker.unview();
    maker.close();
    // On Windows, who lists the objects holds each for a moment, and a test here does.
    common::until(&format!("{name:?} is gone"), || match guest.open(name, Access::Read) {
        Ok(_) => {
            guest.close();
            false
        }
        gone => !refused(gone, ErrorKind::NotFound).is_empty(),
    });
}

#[test]
fn every_script_and_every_odd_character() {
    let here = Place::new("scripts");
    let (mut maker, mut guest) = (Agent::start(), Agent::start());
    for text in [
        "Ünïcödé ß",
        "имя",
        "όνομα",
        "名前",
        "이름",
        "اسم",
        "שם",
        "ชื่อ",
        "नाम",
        "სახელი",
        "አምሓርኛ",
        "😀🏳️‍🌈",
        "e\u{301}",
        "\u{e9}",
        "/",
        "//x/../y",
        ":*?\"<>|",
        "$pcars2$",
        "%2F",
        "%25",
        "%",
        "{a} [b] (c)",
        "trailing dot.",
        "~",
        "trailing space ",
        "'\"`;&#!^=,+",
        "a\u{a0}b",
        "\u{202e}evil",
        "CON",
        "nul.txt",
        "-rf",
    ] {
        travels(&here.name(text), &mut maker, &mut guest);
        travels(&format!(r"Local\{}", here.name(text)), &mut maker, &mut guest);
        travels(&here.global(text), &mut maker, &mut guest);
    }
    maker.quit();
    guest.quit();
}

#[test]
fn composed_and_decomposed_letters_are_two_names() {
    let here = Place::new("normal-forms");
    let first = Mapping::create(&here.name("\u{e9}"), 1).unwrap();
    let second = Mapping::create(&here.name("e\u{301}"), 1).unwrap();
    assert_ne!(first.name(), second.name());
}

#[test]
fn up_to_259_units_of_utf_16() {
    let here = Place::new("long");
    let (mut maker, mut guest) = (Agent::start(), Agent::start());
    for unit in ["x", "/", "%", "ü", "名", "😀", "e\u{301}"] {
        let mut name = here.name("");
        while Name::parse(&(name.clone() + unit)).is_ok() {
            name += unit;
        }
        let units = name.encode_utf16().count();
        assert_eq!(units, Name::MAX_LEN - (Name::MAX_LEN - units) % unit.encode_utf16().count());
        assert!(units > Name::MAX_LEN - 2);
        travels(&name, &mut maker, &mut guest);
        travels(&format!(r"Global\{name}"), &mut maker, &mut guest);
        let long = name + unit;
        assert_eq!(Mapping::create(&long, 1).unwrap_err().kind(), ErrorKind::InvalidName);
        assert_eq!(Mapping::open(&long, Access::Read).unwrap_err().kind(), ErrorKind::InvalidName);
    }
}

#[test]
fn long_names_that_differ_in_their_last_letter_are_two_objects() {
    let here = Place::new("tails");
    let head = here.name("");
    let fill = "名".repeat(Name::MAX_LEN - 1 - head.len());
    let (first, second) = (format!("{head}{fill}a"), format!("{head}{fill}b"));
    let (one, two) = (Mapping::create(&first, 1).unwrap(), Mapping::create(&second, 1).unwrap());
    one.view(Access::ReadWrite).unwrap().write(0, b"one").unwrap();
    two.view(Access::ReadWrite).unwrap().write(0, b"two").unwrap();
    for (name, text) in [(first, b"one"), (second, b"two")] {
        let mut bytes = [0; 3];
        Mapping::open(&name, Access::Read).unwrap().view(Access::Read).unwrap().read(0, &mut bytes).unwrap();
        assert_eq!(&bytes, text);
    }
}

#[test]
fn inspect_finds_names_of_any_length() {
    let here = Place::new("find");
    let head = here.name("");
    for unit in ["x", "/", "%", "名"] {
        for len in [1, 100, Name::MAX_LEN - head.len()] {
            let name = format!("{head}{}", unit.repeat(len));
            let _mapping = Mapping::create(&name, 1).unwrap();
            let found = inspect::find(&name).unwrap().unwrap_or_else(|| panic!("{name:?} is not found"));
            assert!(!found.stale);
            assert!(format!(r"Local\{name}").starts_with(&found.name), "{:?}", found.name);
            assert!(found.name_is_cut || found.name.ends_with(&name));
        }
    }
    assert!(inspect::find(&here.name("nobody made this")).unwrap().is_none());
}

#[test]
fn local_is_plain_and_global_is_another_place() {
    let here = Place::new("places");
    // On Windows, who lists the objects holds each for a moment, and a test here does: no name is used twice.
    for what in ["plain first", "local first"] {
        let (plain, local, global) = (here.name(what), format!(r"Local\{}", here.name(what)), here.global(what));
        let (first, second) = if what == "plain first" { (&plain, &local) } else { (&local, &plain) };
        let (mut maker, mut guest) = (Agent::start(), Agent::start());
        maker.create(first, 4096).unwrap();
        refused(guest.create(second, 4096), ErrorKind::AlreadyExists);
        guest.open(second, Access::ReadWrite).unwrap();
        refused(guest.open(&global, Access::Read), ErrorKind::NotFound);
        // It is free there.
        guest.create(&global, 8192).unwrap();
        assert_eq!(maker.open(&global, Access::Read).unwrap(), "8192 rw");
        maker.quit();
        guest.quit();
    }
}

#[test]
fn case_matters() {
    let here = Place::new("case");
    let lower = Mapping::create(&here.name("sensor"), 1).unwrap();
    assert_eq!(Mapping::open(&here.name("Sensor"), Access::Read).unwrap_err().kind(), ErrorKind::NotFound);
    let upper = Mapping::create(&here.name("Sensor"), 1).unwrap();
    assert_ne!(lower.name(), upper.name());
}

/// The reserved words are refused in either case of a letter only where Windows refuses them.
#[test]
fn refused_everywhere_with_the_rule_that_was_broken() {
    let bad = [
        ("", "empty"),
        (r"Local\", "empty"),
        (r"Global\", "empty"),
        (r"local\x", "no namespace"),
        (r"LOCAL\x", "no namespace"),
        (r"global\x", "no namespace"),
        (r"foo\x", "no namespace"),
        (r"x\", "no namespace"),
        (r"\x", "begin with a backslash"),
        (r"\", "begin with a backslash"),
        (r"Local\foo\x", "only one backslash"),
        (r"Global\foo\x", "only one backslash"),
        (r"Global\Local\x", "only one backslash"),
        (r"Session\1\x", "reserved"),
        ("Local", "reserved"),
        ("Global", "reserved"),
        ("Session", "reserved"),
        ("a\0b", "NUL"),
    ];
    for (name, why) in bad {
        let errors = [
            Mapping::create(name, 4096).unwrap_err(),
            Mapping::open(name, Access::Read).unwrap_err(),
            MappingOptions::new().size(4096).open_or_create(name).unwrap_err(),
            inspect::find(name).unwrap_err(),
            Name::parse(name).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidName, "{name:?}");
            assert!(error.to_string().contains(why), "{name:?}: {error}");
            assert_eq!(error.object(), Some(&*format!("{name:?}")));
        }
    }
}

#[test]
fn words_that_are_not_reserved() {
    let here = Place::new("words");
    let (mut maker, mut guest) = (Agent::start(), Agent::start());
    for text in ["posix:/x", "sysv:0x1", "file:x", "Local", "Global", "Session"] {
        // With the tag in front of them these are names like others; so they are behind `Local\`.
        travels(&here.name(text), &mut maker, &mut guest);
        let name: Name = format!(r"Local\{text}").parse().unwrap();
        assert_eq!((name.namespace(), name.text()), (coview::Namespace::Local, text));
    }
}

#[test]
fn foreign_memory_is_opened_and_never_made() {
    for name in ["posix:/coview-test-absent", "sysv:0x7f00dead", "file:/coview-test-absent/x"] {
        let error = Mapping::create(name, 4096).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(r"Local\"), "{error}");
        let error = Mapping::open(name, Access::Read).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported), "{error:?}");
        assert!(Name::parse(name).unwrap().namespace().is_foreign());
    }
}

#[test]
fn errors_say_what_who_and_what_next() {
    let here = Place::new("errors");
    let name = here.name("x");
    let absent = Mapping::open(&name, Access::Read).unwrap_err();
    assert_eq!((absent.kind(), absent.operation()), (ErrorKind::NotFound, "open"));
    assert_eq!(absent.object(), Some(&*format!(r"Local\{name}")));
    assert!(absent.to_string().starts_with(&format!(r"cannot open Local\{name}: ")), "{absent}");
    assert_eq!(std::io::Error::from(absent).kind(), std::io::ErrorKind::NotFound);

    let _mapping = Mapping::create(&name, 1).unwrap();
    let taken = Mapping::create(&name, 1).unwrap_err();
    assert_eq!((taken.kind(), taken.operation()), (ErrorKind::AlreadyExists, "create"));
    assert!(taken.to_string().contains("open_or_create"), "{taken}");
    assert_eq!(ErrorKind::AlreadyExists.code(), 2);
}
