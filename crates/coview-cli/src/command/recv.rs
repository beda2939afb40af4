//! `coview recv`: receives frames, into files or to standard output.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use coview::ErrorKind;
use coview::frames::{Frame, Policy, Subscriber};
use serde_json::json;

use super::channel;
use super::stop::{Stop, Waited};
use crate::cli::{Keep, RecvArgs};
use crate::failure::Failure;
use crate::output;

/// So much of a frame that is text is shown on a terminal.
const SHOWN: usize = 60;

pub(crate) fn run(args: &RecvArgs) -> Result<(), Failure> {
    let sink = Sink::open(args)?;
    let channel = channel::open(&args.channel, &args.new, args.lines, 0)?;
    let stop = Stop::watch()?;
    let subscriber = channel.subscriber(match args.policy {
        Keep::Every => Policy::EveryFrame,
        Keep::DropOldest => Policy::DropOldest,
        Keep::Newest => Policy::NewestOnly,
    })?;
    if io::stderr().is_terminal() {
        eprintln!("subscribed to {}", args.channel);
    }
    let mut senders = Senders::default();
    let mut received = 0;
    while args.count.is_none_or(|count| received < count) {
        let waited = stop.wait(args.timeout, |left| match subscriber.receive_timeout(left) {
            Ok(Some(frame)) => Ok(Some(Some(frame))),
            Ok(None) if args.end && senders.have_gone(&subscriber) => {
                Ok(subscriber.try_receive()?.map(Some).or(Some(None)))
            }
            Ok(None) => Ok(None),
            Err(error) if error.kind() == ErrorKind::PeerDied => {
                senders.one_died(&args.channel);
                Ok(None)
            }
            Err(error) => Err(error),
        })?;
        match waited {
            Waited::Found(Some(frame)) => {
                received += 1;
                senders.seen = true;
                sink.take(args, received, &frame, &subscriber)?;
            }
            Waited::Found(None) => break,
            Waited::TimedOut => return Err(timed_out(args, received)),
            // The usual end, unless a number of frames was asked for.
            Waited::Stopped => return args.count.map_or(Ok(()), |_| Err(Failure::interrupted())),
        }
    }
    match args.end && senders.died {
        true => Err(Failure::new(format!("a sender of {} died: what came may not be all", args.channel))),
        false => Ok(()),
    }
}

fn timed_out(args: &RecvArgs, received: u64) -> Failure {
    let time = humantime::format_duration(args.timeout.unwrap_or_default());
    Failure::timed_out(format!("no frame came from {} for {time}; {received} had come", args.channel))
}

/// What is known of those who send.
#[derive(Default)]
struct Senders {
    seen: bool,
    died: bool,
}

impl Senders {
    fn have_gone(&mut self, subscriber: &Subscriber<[u8]>) -> bool {
        let none = subscriber.publishers().is_empty();
        self.seen |= !none;
        none && self.seen
    }

    fn one_died(&mut self, channel: &str) {
        (self.seen, self.died) = (true, true);
        eprintln!("coview: warning: a sender of {channel} died; what it had sent was received");
    }
}

/// Where frames go.
enum Sink {
    Folder(PathBuf),
    Output,
    /// Each is told of in a line.
    Told,
}

impl Sink {
    fn open(args: &RecvArgs) -> Result<Sink, Failure> {
        let is_output = args.output.as_deref() == Some(Path::new("-"));
        match &args.output {
            Some(_) if is_output && args.json => {
                Err(Failure::usage("--json and the frames cannot both go to standard output; give -o a DIR"))
            }
            Some(path) if !is_output => {
                let refused = |error| Failure::new(format!("cannot make the folder {}: {error}", path.display()));
                fs::create_dir_all(path).map_err(refused)?;
                Ok(Sink::Folder(path.clone()))
            }
            None if args.json || io::stdout().is_terminal() && !args.lines => Ok(Sink::Told),
            _ => Ok(Sink::Output),
        }
    }

    fn take(
        &self,
        args: &RecvArgs,
        count: u64,
        frame: &Frame<'_, [u8]>,
        from: &Subscriber<[u8]>,
    ) -> Result<(), Failure> {
        let mut file = None;
        match self {
            Sink::Folder(folder) => file = Some(write_new(folder, count, frame)?),
            Sink::Output => {
                let mut out = io::stdout().lock();
                out.write_all(frame)?;
                if args.lines {
                    out.write_all(b"\n")?;
                }
                out.flush()?;
            }
            Sink::Told => {}
        }
        if args.json {
            let senders: Vec<u32> = from.publishers().iter().map(|peer| peer.process).collect();
            let (sequence, size, lost) = (frame.number(), frame.len(), frame.lost());
            let line = json!({ "sequence": sequence, "size": size, "lost": lost, "senders": senders, "file": file });
            return Ok(writeln!(io::stdout(), "{line}")?);
        }
        if frame.lost() > 0 && args.policy != Keep::Newest {
            eprintln!("coview: note: {} frames were lost before frame {}", frame.lost(), frame.number());
        }
        match self {
            Sink::Told => Ok(writeln!(io::stdout(), "{}", describe(frame.number(), frame))?),
            Sink::Folder(_) if io::stdout().is_terminal() => {
                Ok(writeln!(io::stdout(), "{}  {}", file.unwrap_or_default(), output::bytes(frame.len() as u64))?)
            }
            _ => Ok(()),
        }
    }
}

/// Writes a frame to a file that bears its name only when it is whole, and never over another.
fn write_new(folder: &Path, count: u64, frame: &[u8]) -> Result<String, Failure> {
    let path = folder.join(format!("{count:06}.bin"));
    let shown = path.display().to_string();
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::exists(format!("{shown} is there already; give -o an empty folder")),
        _ => Failure::new(format!("cannot write {shown}: {error}")),
    };
    let begun = tempfile::Builder::new().prefix(".coview-").make_in(folder, |path| File::create_new(path));
    let mut begun = begun.map_err(refused)?;
    begun.write_all(frame).map_err(refused)?;
    begun.persist_noclobber(&path).map_err(|error| refused(error.error))?;
    Ok(shown)
}

/// A frame in a line: its number and size, and what it says if that is text.
fn describe(number: u64, frame: &[u8]) -> String {
    let mut line = format!("frame {number}  {}", output::bytes(frame.len() as u64));
    // Some more bytes than are shown, and never half a character.
    let start = &frame[..frame.len().min(4 * SHOWN)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && start.len() < frame.len() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => "",
    };
    // A terminal should not be steered by what is sent.
    if !text.is_empty() && !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        let mut shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if shown.len() < frame.len() {
            shown.push('…');
        }
        line += &format!("  {shown}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_and_nothing_else_is() {
        assert_eq!(describe(7, b"hello\n"), "frame 7  6 B  hello ");
        assert_eq!(describe(1, &[0xff; 2048]), "frame 1  2.0 KiB");
        assert_eq!(describe(1, b"\x1b[2J"), "frame 1  4 B");
        assert_eq!(describe(1, b""), "frame 1  0 B");
        let long = "é".repeat(3000);
        assert_eq!(describe(2, long.as_bytes()), format!("frame 2  5.9 KiB  {}…", "é".repeat(60)));
    }
}
