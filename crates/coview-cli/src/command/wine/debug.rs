//! `coview wine debug`: what the programs in a prefix say by OutputDebugString, as DebugView shows it on Windows.
//!
//! Its protocol is four objects: the viewer makes a section of 4096 bytes and two events. Who has something to say takes the mutex,
//! waits for "buffer ready", writes its process number and the text, and sets "data ready".

use coview::bridge::Prefix;
use coview::{Access, ErrorKind, MappingOptions};
use serde_json::json;

use super::{options, say};
use crate::cli::DebugArgs;
use crate::command::stop::{Stop, Waited};
use crate::failure::Failure;

const SIZE: usize = 4096;
const BUFFER: &str = "DBWIN_BUFFER";
const READY: &str = "DBWIN_BUFFER_READY";
const DATA: &str = "DBWIN_DATA_READY";
const MUTEX: &str = "DBWinMutex";

pub(super) fn run(args: &DebugArgs) -> Result<(), Failure> {
    let prefix = options(&args.place)?.start(true).open()?;
    let stop = Stop::watch()?;
    let memory = MappingOptions::new().size(SIZE as u64).create_unnamed()?;
    let bridge = prefix.export(BUFFER, &memory).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::exists("another debug viewer runs in the prefix; end it first"),
        _ => error.into(),
    })?;
    let _mutex = prefix.open_or_create_mutex(MUTEX)?;
    let (ready, data) = (prefix.open_or_create_event(READY, false)?, prefix.open_or_create_event(DATA, false)?);
    let view = bridge.mapping().view(Access::Read)?;
    if !args.json {
        eprintln!("coview: listening in {}; Ctrl-C ends it", prefix.path().display());
    }
    let mut left = args.count;
    ready.set()?;
    while left != Some(0) {
        let Waited::Found(()) = stop.wait(None, |time| Ok::<_, Failure>(data.wait_timeout(time)?.then_some(())))?
        else {
            break;
        };
        let mut bytes = [0; SIZE];
        view.read(0, &mut bytes)?;
        ready.set()?;
        show(args, &prefix, &bytes)?;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

fn show(args: &DebugArgs, prefix: &Prefix, bytes: &[u8; SIZE]) -> Result<(), Failure> {
    let (pid, text) = bytes.split_at(4);
    let pid = pid.iter().rev().fold(0_u32, |pid, byte| pid << 8 | u32::from(*byte));
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    // Programs write in their own code page; what is not UTF-8 is shown as such.
    let text = String::from_utf8_lossy(&text[..end]);
    if args.json {
        let prefix = prefix.path().to_string_lossy();
        return say(&json!({ "wine_pid": pid, "text": text, "prefix": prefix }).to_string());
    }
    let clean = |c: char| if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
    let mut lines =
        text.trim_end().lines().map(|line| format!("[{pid:#x}] {}", line.chars().map(clean).collect::<String>()));
    lines.try_for_each(|line| say(&line))
}
