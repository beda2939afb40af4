//! Handing handles down to a child, by value: descriptors stay open, and one environment variable says what they are.

use std::collections::BTreeSet;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use coview::os::linux::{Passable, Passed, adopt, ticket};

use super::file::File;
use super::mapping::Section;
use super::object::{Entry, Object};
use super::table::{Table, table};
use super::text::of_bytes;

pub(super) const VARIABLE: &str = "COVIEW_WIN32_HANDLES";

/// What a child is handed: its environment variable, the descriptors to leave open, and what keeps them open until then.
pub(super) struct Legacy {
    pub(super) variable: String,
    pub(super) fds: Vec<i32>,
    pub(super) _kept: Vec<std::sync::Arc<Entry>>,
}

/// All inheritable handles. Threads and processes are not handed down.
pub(super) fn bequeath() -> Legacy {
    let mut legacy = Legacy { variable: String::new(), fds: Vec::new(), _kept: Vec::new() };
    for (handle, entry) in table().all() {
        let Some((text, fds)) = entry.is_inherited().then(|| describe(&entry.object)).flatten() else { continue };
        let Some(marks) = fds.iter().map(|fd| mark(*fd)).collect::<Option<Vec<_>>>() else { continue };
        let (value, access) = (handle.addr(), entry.access);
        legacy.variable += &format!("{value:x} {access:x} {} {}\n", marks.join(","), escape(&text));
        legacy.fds.extend(fds);
        legacy._kept.push(entry);
    }
    legacy
}

fn describe(object: &Object) -> Option<(String, Vec<i32>)> {
    let passable = match object {
        Object::Section(section) => Passable::Mapping(&section.mapping),
        Object::Mutex(mutex) => Passable::Waitable(mutex.into()),
        Object::Event(event) => Passable::Waitable(event.into()),
        Object::Semaphore(semaphore) => Passable::Waitable(semaphore.into()),
        Object::File(file) => return Some(("file".into(), vec![file.descriptor().as_raw_fd()])),
        _ => return None,
    };
    ticket(passable).ok().map(|ticket| (ticket.text, ticket.fds))
}

/// A descriptor and the file it must lead to: a process further down may have something else under the number.
fn mark(fd: i32) -> Option<String> {
    let found = std::fs::metadata(format!("/proc/self/fd/{fd}")).ok()?;
    Some(format!("{fd}:{:x}:{:x}", found.dev(), found.ino()))
}

/// Fills the table of a process that has just begun with what its parent handed down.
pub(super) fn take_over(table: &Table) {
    let Ok(variable) = std::env::var(VARIABLE) else { return };
    let mut done = BTreeSet::new();
    for line in variable.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [value, access, marks, text] = fields[..] else { continue };
        let (Ok(value), Ok(access)) = (usize::from_str_radix(value, 16), u32::from_str_radix(access, 16)) else {
            continue;
        };
        let fds: Option<Vec<i32>> = marks.split(',').map(checked).collect();
        let Some(fds) = fds else { continue };
        if let Some(object) = rebuild(&unescape(text), &fds) {
            table.put(value, Entry::new(object, access, true));
        }
        done.extend(fds);
    }
    for fd in done {
        // SAFETY: the parent left it open for this alone, and the file behind it was checked; copies were made.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}

fn checked(theirs: &str) -> Option<i32> {
    let fd: i32 = theirs.split(':').next()?.parse().ok().filter(|fd| *fd > 2)?;
    (mark(fd)? == theirs).then_some(fd)
}

fn rebuild(text: &str, fds: &[i32]) -> Option<Object> {
    if text == "file" {
        // SAFETY: it was found open a moment ago, and nobody else runs yet who could close it.
        let theirs = unsafe { BorrowedFd::borrow_raw(*fds.first()?) };
        return Some(Object::File(File::from(theirs.try_clone_to_owned().ok()?)));
    }
    Some(match adopt(text).ok()? {
        Passed::Mapping(mapping) => Object::Section(Section::of(mapping)),
        Passed::Mutex(mutex) => Object::Mutex(mutex),
        Passed::Event(event) => Object::Event(event),
        Passed::Semaphore(semaphore) => Object::Semaphore(semaphore),
        _ => return None,
    })
}

fn escape(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'%';
    text.bytes().map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02x}") }).collect()
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let hex = others.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match hex.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    of_bytes(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_fits_into_a_line() {
        for text in ["mapping 3;0;4096;rw|Local\\a b\n%41 ü", "", "%", "%4"] {
            let line = escape(text);
            assert!(!line.contains([' ', '\n']));
            assert_eq!(unescape(&line), text);
        }
    }

    #[test]
    fn descriptors_of_somebody_else_are_left_alone() {
        assert_eq!(checked("9999:1:1"), None);
        assert_eq!(checked("1:1:1"), None);
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let fd = file.as_raw_fd();
        assert_eq!(checked(&mark(fd).unwrap()), Some(fd));
        assert_eq!(checked(&format!("{fd}:0:0")), None);
    }
}
