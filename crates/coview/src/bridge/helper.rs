//! The end in the prefix: does with the library's own calls what it is asked for, and says where in its memory it has it.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::link::REVISION;
use super::wire::{self, Words, option};
use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::mapping::{Access, Disposition, Mapping, MappingOptions, Protection};
use crate::named::{self, Event, EventOptions};
use crate::sys::namespace::{self, Entry, Origin};
use crate::sys::wine;
use crate::view::View;

/// Serves requests until `input` ends; who waits for something then waits in vain.
///
/// # Errors
/// Those of `input` and `output`.
pub fn serve(input: impl BufRead, output: impl Write + Send + 'static) -> std::io::Result<()> {
    let mut desk = Desk { out: Out(Arc::new(Mutex::new(output))), held: HashMap::new(), next: 0 };
    for line in input.lines() {
        let mut words = Words::of(&line?);
        let Some(id) = words.number() else { continue };
        match desk.answer(id, words) {
            Ok(Some(answer)) => desk.out.ok(id, &answer)?,
            Ok(None) => {} // a worker will answer
            Err(error) => desk.out.error(id, &error)?,
        }
    }
    Ok(())
}

struct Out<W>(Arc<Mutex<W>>);

impl<W> Clone for Out<W> {
    fn clone(&self) -> Self {
        Out(Arc::clone(&self.0))
    }
}

impl<W: Write> Out<W> {
    fn say(&self, id: u64, verb: &str, words: &[String]) -> std::io::Result<()> {
        let id = id.to_string();
        let line = wire::line([id.as_str(), verb].into_iter().chain(words.iter().map(String::as_str)));
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(line.as_bytes())?;
        out.flush()
    }

    fn ok(&self, id: u64, words: &[String]) -> std::io::Result<()> {
        self.say(id, "ok", words)
    }

    fn error(&self, id: u64, error: &Error) -> std::io::Result<()> {
        self.say(id, "error", &[error.kind().code().to_string(), error.detail().to_owned()])
    }
}

/// What stays until it is dropped, by number.
enum Held {
    /// The views keep the sections, and their files, open.
    Views { _views: Vec<View> },
    /// A section under a name that it was given.
    Named { _mapping: Mapping },
    /// Something to wait for, by a thread of its own.
    Worked { event: Option<Arc<Event>>, jobs: Sender<Job> },
}

/// What a worker is to do.
struct Job {
    id: u64,
    what: Work,
}

enum Work {
    /// Wait for the event or take the mutex.
    Take(Option<Duration>),
    /// Give the mutex back.
    Give,
}

struct Desk<W> {
    out: Out<W>,
    held: HashMap<u64, Held>,
    next: u64,
}

impl<W: Write + Send + 'static> Desk<W> {
    fn answer(&mut self, id: u64, mut words: Words) -> Result<Option<Vec<String>>> {
        match words.text().as_str() {
            "hello" => Ok(Some(vec![REVISION.to_string()])),
            "list" => self.list(id).map(Some),
            "look" => self.look(&words.text(), &words.text()).map(Some),
            "name" => self.name(&words.text(), &words.text(), &words.text()).map(Some),
            "event" => self.event(&words.text(), &words.text()).map(Some),
            "mutex" => self.mutex(&words.text(), &words.text()).map(Some),
            "drop" => {
                self.held.remove(&words.number().unwrap_or(u64::MAX));
                Ok(Some(Vec::new()))
            }
            verb => self.act(id, verb, words),
        }
    }

    /// What is done with something held.
    fn act(&mut self, id: u64, verb: &str, mut words: Words) -> Result<Option<Vec<String>>> {
        let refuse = || Error::new(ErrorKind::InvalidInput, "serve", format!("the helper knows no {verb} of that"));
        let Some(Held::Worked { event, jobs }) = words.number().and_then(|held| self.held.get(&held)) else {
            return Err(refuse());
        };
        let what = match (verb, event) {
            ("set", Some(event)) => return event.set().map(|()| Some(Vec::new())),
            ("reset", Some(event)) => return event.reset().map(|()| Some(Vec::new())),
            ("is-set", Some(event)) => return event.try_wait().map(|set| Some(vec![u8::from(set).to_string()])),
            ("take", _) => Work::Take(words.number().map(Duration::from_millis)),
            ("give", None) => Work::Give,
            _ => return Err(refuse()),
        };
        jobs.send(Job { id, what }).map(|()| None).map_err(|_| refuse())
    }

    fn keep(&mut self, held: Held) -> String {
        self.next += 1;
        self.held.insert(self.next, held);
        self.next.to_string()
    }

    fn list(&mut self, id: u64) -> Result<Vec<String>> {
        let entries = namespace::list(false).map_err(|error| explain("list", "the objects", error))?;
        let mut views = Vec::new();
        for entry in entries {
            // It may have gone meanwhile, or be another user's.
            let mapping = matches!(entry.origin, Origin::Named(namespace::Kind::Mapping));
            let view = mapping.then(|| first_byte(&entry.name, Access::Read).ok()).flatten();
            self.out.say(id, "row", &row(&entry, view.as_ref())).map_err(|error| explain("list", "", error))?;
            views.extend(view);
        }
        Ok(vec![self.keep(Held::Views { _views: views })])
    }

    fn look(&mut self, name: &str, access: &str) -> Result<Vec<String>> {
        let access = if access == "rw" { Access::ReadWrite } else { Access::Read };
        let mapping = Mapping::open(name, access)?;
        let view = mapping.view_range(Access::Read, 0..1)?;
        let address = view.as_ptr().addr().to_string();
        let held = self.keep(Held::Views { _views: vec![view] });
        Ok(vec![held, address, mapping.size().to_string()])
    }

    fn name(&mut self, name: &str, path: &str, protection: &str) -> Result<Vec<String>> {
        let protection = if protection == "rw" { Protection::ReadWrite } else { Protection::ReadOnly };
        let mapping = MappingOptions::new().file(wine::inward(path)).protection(protection).create(name)?;
        let size = mapping.size().to_string();
        Ok(vec![self.keep(Held::Named { _mapping: mapping }), size])
    }

    /// `how`: `open`, or with which reset it is made if there is none.
    fn event(&mut self, name: &str, how: &str) -> Result<Vec<String>> {
        let options = EventOptions::new().manual_reset(how == "manual");
        let (event, found) = match how {
            "open" => (Event::open(name)?, Disposition::Opened),
            _ => options.open_or_create(name)?,
        };
        let event = Arc::new(event);
        let (jobs, inbox) = mpsc::channel();
        let (worked, out) = (Arc::clone(&event), self.out.clone());
        std::thread::spawn(move || wait_for(&worked, inbox, &out));
        let held = self.keep(Held::Worked { event: Some(event), jobs });
        Ok(vec![held, u8::from(found == Disposition::Created).to_string()])
    }

    fn mutex(&mut self, name: &str, how: &str) -> Result<Vec<String>> {
        let mutex = match how {
            "open" => named::Mutex::open(name)?,
            _ => named::Mutex::open_or_create(name)?.0,
        };
        let (jobs, inbox) = mpsc::channel();
        let out = self.out.clone();
        std::thread::spawn(move || own(&mutex, inbox, &out));
        Ok(vec![self.keep(Held::Worked { event: None, jobs })])
    }
}

fn first_byte(name: &str, access: Access) -> Result<View> {
    Mapping::open(name, access)?.view_range(Access::Read, 0..1)
}

fn row(entry: &Entry, view: Option<&View>) -> Vec<String> {
    let kind = match entry.origin {
        Origin::Named(kind) => kind as u8,
        _ => 0,
    };
    let state = entry.sync.clone().unwrap_or_default();
    let mut row = vec![
        kind.to_string(),
        entry.name.clone(),
        option(entry.size),
        option(entry.protection),
        option(view.map(|view| view.as_ptr().addr())),
        option(state.held.map(u8::from)),
        u8::from(state.abandoned).to_string(),
        option(state.count),
        option(state.maximum),
        option(state.manual.map(u8::from)),
    ];
    row.extend(entry.holders.iter().map(|holder| format!("{}:{}:{}", holder.pid, holder.handles, holder.program)));
    row
}

/// The thread that waits for an event.
fn wait_for(event: &Event, inbox: Receiver<Job>, out: &Out<impl Write>) {
    for job in inbox {
        let Work::Take(timeout) = job.what else { continue };
        let taken = match timeout {
            Some(timeout) => event.wait_timeout(timeout),
            None => event.wait().map(|()| true),
        };
        let said = match taken {
            Ok(taken) => out.ok(job.id, &[u8::from(taken).to_string()]),
            Err(error) => out.error(job.id, &error),
        };
        if said.is_err() {
            return;
        }
    }
}

/// The thread that owns a mutex: only it can give it back, and when it ends without, the next owner is told.
fn own(mutex: &named::Mutex, inbox: Receiver<Job>, out: &Out<impl Write>) {
    for job in inbox {
        let done = match job.what {
            Work::Give => mutex.unlock().map(|()| vec![]),
            Work::Take(timeout) => {
                let lock = match timeout {
                    Some(timeout) => mutex.lock_timeout(timeout),
                    None => mutex.lock().map(Some),
                };
                lock.map(|lock| {
                    let word = match &lock {
                        None => "timeout",
                        Some(lock) if lock.is_abandoned() => "abandoned",
                        Some(_) => "clean",
                    };
                    std::mem::forget(lock); // given back by Give
                    vec![word.to_owned()]
                })
            }
        };
        let said = match done {
            Ok(words) => out.ok(job.id, &words),
            Err(error) => out.error(job.id, &error),
        };
        if said.is_err() {
            return;
        }
    }
}
