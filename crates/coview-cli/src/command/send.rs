//! `coview send`: publishes files or standard input as frames.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use coview::frames::{Frames, Publisher};
use indicatif::ProgressBar;

use super::channel;
use super::source::Source;
use super::stop::{Stop, Waited};
use crate::cli::SendArgs;
use crate::failure::Failure;
use crate::output;

/// Pieces in which a file is read, so that Ctrl-C is noticed.
const PIECE: usize = 1 << 20;
/// How often is looked whether somebody has subscribed.
const LOOK: Duration = Duration::from_millis(5);
/// Lines that are read ahead.
const AHEAD: usize = 256;

pub(crate) fn run(args: &SendArgs) -> Result<(), Failure> {
    // Until we are in the channel Ctrl-C may just end us.
    let frames = frames(args)?;
    let largest = frames.iter().map(Frame::len).max().unwrap_or(0);
    let channel = channel::open(&args.channel, &args.new, args.lines, largest)?;
    if let Some(frame) = frames.iter().find(|frame| frame.len() > channel.slot() as u64) {
        return Err(too_large(args, &frame.shown(), frame.len(), &channel));
    }
    let stop = Stop::watch()?;
    let publisher = channel.publisher()?;
    let bar = output::progress(frames.iter().map(Frame::len).sum());
    let mut sending =
        Sending { args, channel: &channel, publisher: &publisher, stop, bar, sent: 0, bytes: 0, subscribers: 0 };
    if args.wait {
        sending.wait_for_subscriber()?;
    }
    if args.lines {
        sending.lines()?;
    }
    for frame in frames {
        sending.frame(frame)?;
    }
    sending.report();
    Ok(())
}

/// What becomes a frame.
enum Frame {
    File(PathBuf, u64),
    Input(Source),
}

impl Frame {
    fn len(&self) -> u64 {
        match self {
            Frame::File(_, len) => *len,
            Frame::Input(source) => source.len,
        }
    }

    fn shown(&self) -> String {
        match self {
            Frame::File(path, _) => path.display().to_string(),
            Frame::Input(source) => source.shown.clone(),
        }
    }
}

/// All that is to be sent. Files are only measured, so that one that cannot be had or is too large stops us before anything
/// was sent; standard input is read to its end.
fn frames(args: &SendArgs) -> Result<Vec<Frame>, Failure> {
    let input = [PathBuf::from("-")];
    let paths = match (&args.files[..], args.lines) {
        ([], true) => &[],
        ([], false) => &input[..],
        (files, _) => files,
    };
    if paths.iter().filter(|path| *path == Path::new("-")).count() > 1 {
        return Err(Failure::usage("standard input (-) can be sent once only"));
    }
    let measured = |path: &PathBuf| {
        if path == Path::new("-") {
            return Ok(Frame::Input(Source::open(path)?));
        }
        let refused = |why: String| Failure::new(format!("cannot send {}: {why}", path.display()));
        let about = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
        match about.is_dir() {
            true => Err(refused("it is a folder; name the files in it".into())),
            false => Ok(Frame::File(path.clone(), about.len())),
        }
    };
    paths.iter().map(measured).collect()
}

struct Sending<'a> {
    args: &'a SendArgs,
    channel: &'a Frames<[u8]>,
    publisher: &'a Publisher<[u8]>,
    stop: Stop,
    bar: ProgressBar,
    sent: u64,
    bytes: u64,
    /// When the last frame was published.
    subscribers: usize,
}

impl Sending<'_> {
    fn wait_for_subscriber(&self) -> Result<(), Failure> {
        let name = &self.args.channel;
        let mut told = !io::stderr().is_terminal();
        let waited = self.stop.wait(self.args.timeout, |left| -> Result<_, Failure> {
            if !self.publisher.subscribers().is_empty() {
                return Ok(Some(()));
            }
            if !std::mem::replace(&mut told, true) {
                eprintln!("waiting for somebody to subscribe to {name}, such as `coview recv {name}`");
            }
            std::thread::sleep(left.min(LOOK));
            Ok(None)
        })?;
        self.found(waited, "nobody subscribed to")
    }

    fn frame(&mut self, frame: Frame) -> Result<(), Failure> {
        let Source { mut bytes, len, shown } = match frame {
            Frame::File(path, _) => Source::open(&path)?,
            Frame::Input(source) => source,
        };
        // It may have grown since it was measured.
        if len > self.channel.slot() as u64 {
            return Err(too_large(self.args, &shown, len, self.channel));
        }
        self.send(len as usize, |into, stop, bar| {
            let mut done = 0;
            while done < into.len() {
                let end = into.len().min(done + PIECE);
                let got = bytes.read(&mut into[done..end])?;
                if got == 0 {
                    let why = format!("it ended after {done} of {len} bytes; it changed while it was read");
                    return Err(Failure::new(why).while_doing(&format!("reading {shown}")));
                }
                if stop.is_asked() {
                    return Err(Failure::interrupted());
                }
                done += got;
                bar.inc(got as u64);
            }
            Ok(())
        })
    }

    /// Each line as it comes. It is read elsewhere: a read cannot be given up when Ctrl-C comes.
    fn lines(&mut self) -> Result<(), Failure> {
        let lines = read_lines();
        loop {
            let waited = self.stop.wait(None, |left| match lines.recv_timeout(left) {
                Ok(line) => line.map(|line| Some(Some(line))),
                Err(RecvTimeoutError::Timeout) => Ok(None),
                Err(RecvTimeoutError::Disconnected) => Ok(Some(None)),
            })?;
            match waited {
                Waited::Found(Some(line)) if line.len() > self.channel.slot() => {
                    return Err(too_large(self.args, "a line", line.len() as u64, self.channel));
                }
                Waited::Found(Some(line)) => self.send(line.len(), |into, _, _| {
                    into.copy_from_slice(&line);
                    Ok(())
                })?,
                Waited::Found(None) => return Ok(()),
                Waited::Stopped | Waited::TimedOut => return Err(Failure::interrupted()),
            }
        }
    }

    /// Fills a frame in place and publishes it. If it cannot be filled there is none.
    fn send(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8], &Stop, &ProgressBar) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let waited = self.stop.wait(self.args.timeout, |left| self.publisher.loan_timeout(len, left))?;
        let mut loan = self.found(waited, "there was no room for a frame in")?;
        fill(&mut loan, &self.stop, &self.bar)?;
        // Before it is published: who wants just this one leaves with it.
        self.subscribers = self.publisher.subscribers().len();
        let mut filled = Some(loan);
        let waited = self.stop.wait(self.args.timeout, |left| -> Result<_, Failure> {
            let Some(loan) = filled.take() else { return Ok(Some(())) };
            filled = loan.publish_timeout(left)?.err();
            Ok(filled.is_none().then_some(()))
        })?;
        self.found(waited, "a subscriber that is to get every frame took none from")?;
        (self.sent, self.bytes) = (self.sent + 1, self.bytes + len as u64);
        Ok(())
    }

    fn found<T>(&self, waited: Waited<T>, why: &str) -> Result<T, Failure> {
        let name = &self.args.channel;
        match waited {
            Waited::Found(found) => Ok(found),
            Waited::Stopped => Err(Failure::interrupted()),
            Waited::TimedOut => {
                let time = humantime::format_duration(self.args.timeout.unwrap_or_default());
                Err(Failure::timed_out(format!(
                    "{why} {name} within {time}; {} frames had been sent; `coview top` shows who is there",
                    self.sent
                )))
            }
        }
    }

    fn report(&self) {
        self.bar.finish_and_clear();
        let (name, subscribers) = (&self.args.channel, self.subscribers);
        let plural = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (sent, to) = (plural(self.sent, "frame"), plural(subscribers as u64, "subscriber"));
        println!("sent {sent}, {}, to {to} of {name}", output::bytes(self.bytes));
        if subscribers == 0 && self.sent > 0 {
            eprintln!(
                "coview: note: nobody subscribes to {name}: unless another program has it open, what was sent is gone; \
                 --wait waits for a subscriber"
            );
        }
    }
}

fn read_lines() -> Receiver<io::Result<Vec<u8>>> {
    let (sender, lines) = mpsc::sync_channel(AHEAD);
    std::thread::spawn(move || io::stdin().lock().split(b'\n').try_for_each(|line| sender.send(line)));
    lines
}

fn too_large(args: &SendArgs, what: &str, len: u64, channel: &Frames<[u8]>) -> Failure {
    let (name, slot) = (&args.channel, channel.slot());
    let advice = match args.new.slot_size {
        Some(slot_size) if slot_size == slot as u64 => "give",
        _ => "end all who have it open and begin again with",
    };
    Failure::new(format!(
        "cannot send {what}: it has {len} bytes, and the largest frame of {name} {slot}; {advice} --slot-size {len}"
    ))
}
