//! Handles apart from their names, and as descriptors that a child inherits: for faces with a handle model of their own.

use std::fmt;
use std::os::fd::AsRawFd;

use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::mapping::Mapping;
use crate::name::Name;
use crate::named::{Event, Handle, Mutex, Semaphore, Waitable};
use crate::sys::mapping::Section;
use crate::sys::namespace::Kind;
use crate::sys::object::Object;

/// Another handle, on the memory alone: views of it keep the bytes and not the name, as those of Win32 do.
///
/// # Errors
/// The system's limit on descriptors.
///
/// # Examples
///
/// ```
/// use coview::{Access, ErrorKind, Mapping};
///
/// let name = format!("doc-nameless-{}", std::process::id());
/// let mapping = Mapping::create(&name, 4096)?;
/// let view = coview::os::linux::nameless(&mapping)?.view(Access::ReadWrite)?;
/// drop(mapping);
/// assert_eq!(Mapping::open(&name, Access::Read).unwrap_err().kind(), ErrorKind::NotFound);
/// view.write(0, b"still here")?;
/// # Ok::<(), coview::Error>(())
/// ```
pub fn nameless(mapping: &Mapping) -> Result<Mapping> {
    let section = mapping.object.section.nameless();
    section.map(Mapping::of_section).map_err(|error| explain("clone", &mapping.object, error))
}

/// What can be passed to a child by its descriptors.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Passable<'a> {
    /// A mapping.
    Mapping(&'a Mapping),
    /// A mutex, an event or a semaphore.
    Waitable(Waitable<'a>),
}

/// The descriptors that a child must inherit, and what it must know of them.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// For [`adopt`]; one line unless the name has several.
    pub text: String,
    /// Their numbers, here and in the child. They are open for as long as the handle is, and close on `exec` unless
    /// that is changed between `fork` and `exec`.
    pub fds: Vec<i32>,
}

/// What [`adopt`] found.
#[derive(Debug)]
#[non_exhaustive]
pub enum Passed {
    /// A mapping.
    Mapping(Mapping),
    /// A mutex.
    Mutex(Mutex),
    /// An event.
    Event(Event),
    /// A semaphore.
    Semaphore(Semaphore),
}

/// The ticket by which a child that inherits the descriptors has the handle too.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for System V segments.
pub fn ticket(object: Passable<'_>) -> Result<Ticket> {
    match object {
        Passable::Mapping(mapping) => {
            let section = &mapping.object.section;
            let fds: Vec<i32> = section.fds().iter().map(AsRawFd::as_raw_fd).collect();
            if fds.is_empty() {
                let why = "a System V segment is passed on by its id: hand over its name";
                return Err(Error::new(ErrorKind::Unsupported, "pass on", why).on(&mapping.object));
            }
            Ok(Ticket { text: format!("mapping {}", mapping.with_name(&section.ticket())), fds })
        }
        Passable::Waitable(waitable) => {
            let handle = waitable.handle();
            let fd = handle.object.fd().as_raw_fd();
            let name = handle.name.as_ref().map(Name::to_string).unwrap_or_default();
            Ok(Ticket { text: format!("{} {fd}|{name}", handle.object.kind().word()), fds: vec![fd] })
        }
    }
}

/// Takes over what a ticket stands for, with copies of the inherited descriptors. What it says is checked, not trusted.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for what is no ticket, [`ErrorKind::Vanished`] and [`ErrorKind::Corrupt`] if the descriptors are
/// something else.
pub fn adopt(text: &str) -> Result<Passed> {
    let refuse = || Error::new(ErrorKind::InvalidInput, "inherit", format!("{text:?} is no ticket"));
    let (kind, rest) = text.split_once(' ').ok_or_else(refuse)?;
    if kind == "mapping" {
        return Mapping::from_ticket(rest, Section::adopt).map(Passed::Mapping);
    }
    let kinds = [Kind::Mutex, Kind::Event, Kind::Semaphore];
    let kind = kinds.into_iter().find(|k| k.word() == kind).ok_or_else(refuse)?;
    let (fd, name) = rest.split_once('|').ok_or_else(refuse)?;
    let name = if name.is_empty() { None } else { Some(Name::parse(name)?) };
    let slot = name.as_ref().map(|name| name.slot("inherit")).transpose()?;
    let fd = fd.parse::<i32>().ok().filter(|fd| *fd >= 0).ok_or_else(refuse)?;
    let object = Object::adopt(fd, kind, slot);
    let handle = Handle::of(object.map_err(|error| explain("inherit", Shown(&name), error))?, name);
    Ok(match kind {
        Kind::Mutex => Passed::Mutex(Mutex { handle }),
        Kind::Event => Passed::Event(Event { handle }),
        _ => Passed::Semaphore(Semaphore { handle }),
    })
}

struct Shown<'a>(&'a Option<Name>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => name.fmt(f),
            None => f.write_str("an unnamed object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Access, EventOptions, MappingOptions, MutexOptions, SemaphoreOptions};

    #[test]
    fn tickets_lead_to_the_same_objects() {
        let name = format!("passed-{}", std::process::id());
        let event = crate::Event::create(&name).unwrap();
        let passed = adopt(&ticket(Passable::Waitable((&event).into())).unwrap().text).unwrap();
        let Passed::Event(other) = passed else { panic!("{passed:?}") };
        drop(event);
        other.set().unwrap();
        assert!(Event::open(&name).unwrap().try_wait().unwrap());

        let (mutex, semaphore) =
            (MutexOptions::new().create_unnamed().unwrap(), SemaphoreOptions::new(0, 2).create_unnamed().unwrap());
        let text = ticket(Passable::Waitable((&semaphore).into())).unwrap().text;
        let Passed::Semaphore(other) = adopt(&text).unwrap() else { panic!("{text}") };
        assert_eq!(other.release(2).unwrap(), Ok(0));
        assert!(semaphore.try_acquire().unwrap() && mutex.name().is_none());
        assert!(adopt(&text.replace("semaphore", "mapping")).is_err());

        let mapping = MappingOptions::new().size(4096).create_unnamed().unwrap();
        let Passed::Mapping(other) = adopt(&ticket(Passable::Mapping(&mapping)).unwrap().text).unwrap() else {
            panic!()
        };
        other.view(Access::ReadWrite).unwrap().write(0, b"x").unwrap();
        let mut byte = [0];
        mapping.view(Access::Read).unwrap().read(0, &mut byte).unwrap();
        assert_eq!(byte, *b"x");
    }

    #[test]
    fn unnamed_events_are_events() {
        let event = EventOptions::new().create_unnamed().unwrap();
        assert!(!event.try_wait().unwrap());
        event.set().unwrap();
        assert!(event.try_wait().unwrap() && !event.try_wait().unwrap());
        for text in ["", "event", "event x|", "event -1|", "event 999999|", "timer 3|", "mapping 3"] {
            assert!(adopt(text).is_err(), "{text}");
        }
    }
}
