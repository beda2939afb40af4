//! An agent: a process that opens, maps, reads and writes as it is told, line by line.

use std::path::Path;
use std::process::Command;

use coview::{Access, ErrorKind, Mapping, MappingOptions, Protection, Result, View};

use super::{Child, command, hear, say};

/// Between the fields of a line.
const FIELD: char = '\x1f';

/// What an agent was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The [`ErrorKind`] as text.
    pub(crate) kind: String,
    pub(crate) message: String,
}

pub(crate) type Answer = std::result::Result<String, Refused>;

/// Fails unless the answer is a refusal of this kind; returns its message.
#[track_caller]
pub(crate) fn refused(answer: Answer, kind: ErrorKind) -> String {
    let refusal = answer.expect_err("this should have been refused");
    assert_eq!(refusal.kind, format!("{kind:?}"), "{}", refusal.message);
    refusal.message
}

/// The test's end of an agent. Mappings are a stack: operations are about the newest.
pub(crate) struct Agent(pub(crate) Child);

impl Agent {
    pub(crate) fn start() -> Agent {
        Agent::spawn(command("agent", &[]))
    }

    /// From a command made by [`command`] for the role `agent`.
    pub(crate) fn spawn(command: Command) -> Agent {
        Agent(Child::spawn(command))
    }

    pub(crate) fn ask(&mut self, fields: &[&str]) -> Answer {
        assert!(!fields.iter().any(|field| field.contains(['\n', FIELD])), "{fields:?} cannot be said in one line");
        self.0.send(&fields.join(&FIELD.to_string()));
        let line = self.0.line();
        if let Some(result) = line.strip_prefix('=') {
            return Ok(result.to_owned());
        }
        let (kind, message) = line.trim_start_matches('!').split_once(FIELD).expect("an answer has two fields");
        Err(Refused { kind: kind.to_owned(), message: message.to_owned() })
    }

    /// Makes an object; its size.
    pub(crate) fn create(&mut self, name: &str, size: u64) -> Answer {
        self.ask(&["create", name, &size.to_string()])
    }

    /// Makes an object or joins the live one: `"Created"` or `"Opened"`.
    pub(crate) fn join(&mut self, name: &str, size: u64) -> Answer {
        self.ask(&["join", name, &size.to_string()])
    }

    pub(crate) fn create_on(&mut self, name: &str, size: u64, file: &Path) -> Answer {
        self.ask(&["create_on", name, &size.to_string(), &file.to_string_lossy()])
    }

    /// Opens an object; its size.
    pub(crate) fn open(&mut self, name: &str, access: Access) -> Answer {
        self.ask(&["open", name, word(access)])
    }

    pub(crate) fn inherited(&mut self, key: &str) -> Answer {
        self.ask(&["inherited", key])
    }

    pub(crate) fn view(&mut self, access: Access) -> Answer {
        self.ask(&["view", word(access)])
    }

    /// Drops the view.
    pub(crate) fn unview(&mut self) {
        self.ask(&["unview"]).expect("a view can be dropped");
    }

    /// Drops the newest mapping.
    pub(crate) fn close(&mut self) {
        self.ask(&["close"]).expect("a mapping can be dropped");
    }

    pub(crate) fn write(&mut self, offset: usize, text: &str) -> Answer {
        self.ask(&["write", &offset.to_string(), text])
    }

    /// The text from `offset` to its NUL, at most `len` bytes.
    pub(crate) fn read(&mut self, offset: usize, len: usize) -> Answer {
        self.ask(&["read", &offset.to_string(), &len.to_string()])
    }

    pub(crate) fn kill(mut self) {
        self.0.kill();
    }

    /// Lets it end by itself, with whatever it has open.
    pub(crate) fn quit(self) {
        self.0.wait();
    }
}

pub(crate) fn word(access: Access) -> &'static str {
    match access {
        Access::Read => "r",
        Access::ReadWrite => "w",
        Access::CopyOnWrite => "c",
    }
}

fn access(word: &str) -> Access {
    match word {
        "r" => Access::Read,
        "w" => Access::ReadWrite,
        _ => Access::CopyOnWrite,
    }
}

/// The role `agent`: obeys until the test hangs up.
pub(crate) fn serve(_: &[String]) {
    let (mut mappings, mut view) = (Vec::new(), None);
    while let Some(line) = hear() {
        let fields: Vec<&str> = line.split(FIELD).collect();
        match obey(&fields, &mut mappings, &mut view) {
            Ok(text) => say(&format!("={text}")),
            Err(error) => say(&format!("!{:?}{FIELD}{error}", error.kind())),
        }
    }
}

fn obey(fields: &[&str], mappings: &mut Vec<Mapping>, view: &mut Option<View>) -> Result<String> {
    let number = |text: &str| -> u64 { text.parse().expect("a number") };
    let describe = |mapping: &Mapping| format!("{} {}", mapping.size(), mapping.protection().word());
    let made = match *fields {
        ["create", name, size] => Mapping::create(name, number(size))?,
        ["create_on", name, size, file] => MappingOptions::new().size(number(size)).file(file).create(name)?,
        ["create_shared", name, size, mode] => {
            let mode = u32::from_str_radix(mode, 8).expect("an octal mode");
            MappingOptions::new().size(number(size)).share(coview::Share::Mode(mode)).create(name)?
        }
        ["create_shared_on", name, size, mode, file] => {
            let mode = u32::from_str_radix(mode, 8).expect("an octal mode");
            MappingOptions::new().size(number(size)).share(coview::Share::Mode(mode)).file(file).create(name)?
        }
        ["create_ro", name, size] => {
            MappingOptions::new().size(number(size)).protection(Protection::ReadOnly).create(name)?
        }
        ["reserve", name, size] => MappingOptions::new().size(number(size)).reserve(true).create(name)?,
        ["join", name, size] => {
            let (mapping, disposition) = MappingOptions::new().size(number(size)).open_or_create(name)?;
            mappings.push(mapping);
            return Ok(format!("{disposition:?}"));
        }
        ["open", name, how] => Mapping::open(name, access(how))?,
        ["inherited", key] => Mapping::inherited(key)?,
        ["clone"] => mappings.last().expect("a mapping").try_clone()?,
        _ => return touch(fields, mappings, view),
    };
    let text = describe(&made);
    mappings.push(made);
    Ok(text)
}

fn touch(fields: &[&str], mappings: &mut Vec<Mapping>, view: &mut Option<View>) -> Result<String> {
    let number = |text: &str| -> usize { text.parse().expect("a number") };
    match *fields {
        ["view", how] => *view = Some(mappings.last().expect("a mapping").view(access(how))?),
        ["unview"] => *view = None,
        ["close"] => drop(mappings.pop()),
        ["commit", offset, len] => {
            mappings.last().expect("a mapping").commit(number(offset) as u64, number(len) as u64)?;
        }
        ["write", offset, text] => view.as_ref().expect("a view").write(number(offset), text.as_bytes())?,
        ["read", offset, len] => {
            let mut bytes = vec![0; number(len)];
            view.as_ref().expect("a view").read(number(offset), &mut bytes)?;
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            return Ok(String::from_utf8_lossy(&bytes[..end]).into_owned());
        }
        ["fill"] => {
            let view = view.as_ref().expect("a view");
            let page = vec![0x5a; 1 << 20];
            for offset in (0..view.len()).step_by(page.len()) {
                view.write(offset, &page[..page.len().min(view.len() - offset)])?;
            }
        }
        _ => panic!("the agent does not understand {fields:?}"),
    }
    Ok(String::new())
}
