//! The command line: what there is to say, and the help that goes with it.

mod wine;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use coview::{Protection, Share};

use crate::failure::Failure;
use crate::parse;
pub(crate) use wine::*;

const NAMES: &str = "\
Names:
  x, Local\\x          an object of this user (Linux) or session (Windows)
  Global\\x            an object of the machine
  posix:/x  sysv:KEY  sysv:id=N  file:PATH    memory that others made, as it is
  (quote the backslash in a shell: 'Global\\x')

Exit codes:
  0 done   1 failed   2 usage   3 not found   4 exists already   5 access denied
  6 another kind of object has the name   7 timed out   130 interrupted before it was done
  create -- COMMAND ends with COMMAND's own code; doctor and demo end with 1 if something is wrong";

/// Shared memory with names, on Windows and Linux: make it, fill it, read it, see who has it.
#[derive(Parser)]
#[command(name = "coview", version, after_help = NAMES, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make an object and hold it until the time is up, COMMAND ends, or Ctrl-C
    Create(CreateArgs),
    /// Copy bytes into an object
    Write(WriteArgs),
    /// Copy an object's bytes out, raw or decoded
    Read(ReadArgs),
    /// Show an object's fields or bytes again and again, and mark what changes
    Watch(WatchArgs),
    /// List objects: name, kind, size, owner, holders
    Ls(LsArgs),
    /// Watch objects and channels live: rates, who sends and receives, lag, drops, memory
    Top(TopArgs),
    /// Show one object in full: how each holder has it open, which fields a region has
    Info(InfoArgs),
    /// Publish files or standard input as frames of a channel
    Send(SendArgs),
    /// Receive the frames of a channel, into files or to standard output
    Recv(RecvArgs),
    /// Run COMMAND while holding a mutex, as flock(1) does with a file
    Lock(LockArgs),
    /// Set, reset or wait for an event
    Event(EventArgs),
    /// Run COMMAND with one of a number of permits: limits how many run at once
    Semaphore(SemaphoreArgs),
    /// Share memory, live and without copies, with the programs in a Wine or Proton prefix
    #[command(subcommand)]
    Wine(WineCommand),
    /// The end in the prefix of what `wine` does
    #[command(hide = true)]
    WineHelper {
        /// By which its process is found
        cookie: String,
    },
    /// Give back what dead processes left
    Gc(GcArgs),
    /// Check limits, space and permissions; say what to do
    Doctor(DoctorArgs),
    /// Run whole systems of cooperating processes, each with a verdict
    Demo(DemoArgs),
    /// One process of a demo
    #[command(hide = true)]
    Part(PartArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  coview completions bash > /etc/bash_completion.d/coview")]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command into DIR
    #[command(after_help = "Example:\n  coview man > coview.1 && man ./coview.1")]
    Man {
        /// Where to write the pages
        dir: Option<PathBuf>,
    },
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview create ShareMemory --size 2KiB            hold 2 KiB of zeros until Ctrl-C
  coview create pic --from photo.jpg --for 20s     a picture, for twenty seconds
  coview create 'Global\\cam' --size 3MiB --share group
  coview create log --file log.bin --size 1GiB     backed by a file, which keeps the bytes
  coview create job --size 64KiB -- ./worker       until ./worker ends; it finds the name in COVIEW_NAME")]
#[command(group(clap::ArgGroup::new("what").args(["size", "from", "file"]).multiple(true).required(true)))]
pub(crate) struct CreateArgs {
    /// Name of the new object
    pub name: String,
    /// How many bytes; memory is had in whole pages [units: KiB MiB GiB TiB KB MB GB TB]
    #[arg(long, value_parser = parse::size)]
    pub size: Option<u64>,
    /// Fill it from FILE, or from standard input (-); without --size it gets exactly that size
    #[arg(long, value_name = "FILE|-")]
    pub from: Option<PathBuf>,
    /// Stand it on a file, which is made or grows as needed
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// The most anybody may do: rw, ro or wc (private copies)
    #[arg(long, default_value = "rw", value_parser = parse::protection)]
    pub protect: Protection,
    /// Who may open it: owner, group, all, a mode such as 0640, or a security descriptor (SDDL)
    #[arg(long, default_value = "owner", value_parser = parse::share)]
    pub share: Share,
    /// Reserve the size only; programs commit ranges as they need them
    #[arg(long, conflicts_with = "from")]
    pub reserve: bool,
    /// How long to hold it, such as 20s or 5min
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub time: Option<Duration>,
    /// Run this and hold the object until it ends
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview write ShareMemory --text 'This is a share memory'
  coview write pic photo.jpg
  producer | coview write buffer --offset 4KiB -")]
pub(crate) struct WriteArgs {
    /// Name of the object
    pub name: String,
    /// Where to begin, in bytes
    #[arg(long, default_value = "0", value_parser = parse::size)]
    pub offset: u64,
    /// The file to copy in; - is standard input
    #[arg(value_name = "FILE|-", required_unless_present = "text", conflicts_with = "text")]
    pub file: Option<PathBuf>,
    /// Copy this text in instead, with a terminating zero byte
    #[arg(long, value_name = "STRING")]
    pub text: Option<String>,
}

/// How bytes are shown.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// As they are
    Raw,
    /// Offset, hexadecimal and characters
    Hex,
    /// Text up to the first zero byte; fields, of a region or with --layout
    Text,
    /// One JSON value
    Json,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview read pic > copy.jpg
  coview read ShareMemory --as text
  coview read TestMemShare --layout 'struct { i32 id; char name[20]; }'
  coview read sysv:0x1234 --as hex --len 256
A region is shown by its own description, unless bytes are asked for (raw, hex, --offset, --len). The layout is a C declaration: fixed-width and plain C types of this platform, arrays, nested structs and
unions, #pragma pack.")]
pub(crate) struct ReadArgs {
    /// Name of the object
    pub name: String,
    /// Where to begin, in bytes
    #[arg(long, default_value = "0", value_parser = parse::size)]
    pub offset: u64,
    /// How many bytes [default: to the end, or the layout's size]
    #[arg(long, value_parser = parse::size)]
    pub len: Option<u64>,
    /// How to show them [default: text of a region or with --layout; else hex on a terminal, raw elsewhere]
    #[arg(long = "as", value_enum)]
    pub form: Option<Form>,
    /// Decode fields by this C struct declaration, or by presets:NAME (`coview wine presets`)
    #[arg(long, value_name = "STRUCT")]
    pub layout: Option<String>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview watch Robot                         a region or a latest value, by its own description
  coview watch Telemetry --layout 'struct { float speed; int32_t gear; }'
  coview watch buffer --offset 4KiB --len 256
  coview watch Robot --json | jq .pose       a line each time that something has changed
Without a terminal the lines that have changed are printed as they come. It keeps nothing alive: what goes away may come again.")]
pub(crate) struct WatchArgs {
    /// Name of the object
    pub name: String,
    /// Decode fields by this C struct declaration, or by presets:NAME (`coview wine presets`)
    #[arg(long, value_name = "STRUCT")]
    pub layout: Option<String>,
    /// Where to begin, in bytes
    #[arg(long, default_value = "0", value_parser = parse::size)]
    pub offset: u64,
    /// How many bytes to show without a layout [default: 512]
    #[arg(long, value_parser = parse::size, conflicts_with = "layout")]
    pub len: Option<u64>,
    /// How long from look to look
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = humantime::parse_duration)]
    pub interval: Duration,
    /// A line of JSON at first, and each time that something has changed
    #[arg(long)]
    pub json: bool,
    /// End after so many changes
    #[arg(short = 'n', long = "changes", value_name = "N")]
    pub count: Option<u64>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview ls
  coview ls --all --json | jq '.[] | select(.stale)'")]
pub(crate) struct LsArgs {
    /// Also memory of other programs: POSIX and System V segments, memory without a name
    #[arg(long)]
    pub all: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What the rows of `top` are in the order of.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortBy {
    Name,
    Size,
    Memory,
    /// Messages a second
    Messages,
    /// Bytes a second
    Bytes,
    Lag,
    Drops,
}

impl SortBy {
    /// Of `top`'s table.
    pub(crate) fn column(self) -> usize {
        match self {
            SortBy::Name => 0,
            SortBy::Size => 2,
            SortBy::Memory => 3,
            SortBy::Messages => 5,
            SortBy::Bytes => 6,
            SortBy::Lag => 9,
            SortBy::Drops => 10,
        }
    }
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview top
  coview top --once --sort lag
  coview top --once --json | jq '.[] | select(.channel.bytes_per_second > 1e6) | .name'
Keys: q quits, the arrows choose a channel whose ends are shown, n s m r b l d sort (again: reverse).
A ring does not count its records: only its bytes have a rate. Bytes of frames are the newest frames' average times their number.")]
pub(crate) struct TopArgs {
    /// Print one sample, taken over one interval, and end; works without a terminal
    #[arg(long)]
    pub once: bool,
    /// As JSON
    #[arg(long, requires = "once")]
    pub json: bool,
    /// How long from sample to sample
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    pub interval: Duration,
    /// The largest of what comes first
    #[arg(long, value_enum, default_value = "messages")]
    pub sort: SortBy,
    /// Also memory of other programs: POSIX and System V segments, memory without a name
    #[arg(long)]
    pub all: bool,
}

#[derive(Args)]
#[command(after_help = "Example:\n  coview info ShareMemory --json")]
pub(crate) struct InfoArgs {
    /// Name of the object
    pub name: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What a channel is made with, by whichever of `send` and `recv` comes first.
#[derive(Args)]
#[command(next_help_heading = "If this makes the channel")]
pub(crate) struct ChannelArgs {
    /// Bytes of the largest frame [default: 4MiB, or as many as the largest FILE has; 64KiB with --lines]
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    pub slot_size: Option<u64>,
    /// Bytes for all frames that wait or are in use [default: 8 of the largest]
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    pub memory: Option<u64>,
    /// How many frames from before it came a new subscriber gets, as far as there is room
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=32768))]
    pub history: u32,
    /// Who may open it: owner, group, all, a mode such as 0640, or a security descriptor (SDDL)
    #[arg(long, default_value = "owner", value_parser = parse::share)]
    pub share: Share,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview send pics --wait *.jpg             each file is a frame; the first waits for a subscriber
  producer | coview send results            all of standard input is one frame
  tail -f app.log | coview send log --lines
  coview send 'Global\\cam' frame.raw --slot-size 8MiB --memory 64MiB
A frame goes to all who subscribe when it is sent. The channel lives while somebody has it open.")]
pub(crate) struct SendArgs {
    /// Name of the channel; it is made if there is none
    pub channel: String,
    /// The files, each of which is one frame; - or none is standard input
    #[arg(value_name = "FILE|-")]
    pub files: Vec<PathBuf>,
    /// Send each line of standard input as a frame, without its end, as it comes
    #[arg(long, conflicts_with = "files")]
    pub lines: bool,
    /// Wait until somebody subscribes before sending
    #[arg(long)]
    pub wait: bool,
    /// How long to wait for a subscriber, or for room for a frame, such as 5s [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub new: ChannelArgs,
}

/// What happens when this is slower than those who send.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keep {
    /// They wait: every frame is received
    Every,
    /// The oldest frames are dropped, and how many is told
    DropOldest,
    /// Only the newest frame counts
    Newest,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview recv pics -o pictures                      pictures/000001.bin, pictures/000002.bin, …
  coview recv results -n 1 > result.bin
  coview recv log --lines --policy drop-oldest
  coview recv pics -o - --end | sha256sum           until the last sender has gone
  coview recv cam --policy newest --json --timeout 5s
Without -n it goes on until Ctrl-C, --end or --timeout.")]
pub(crate) struct RecvArgs {
    /// Name of the channel; it is made if there is none
    pub channel: String,
    /// How many frames to receive
    #[arg(short = 'n', long = "frames", value_name = "N")]
    pub count: Option<u64>,
    /// Write each frame to a new file in DIR, or all to standard output (-) [default: -; on a terminal they are described]
    #[arg(short, long, value_name = "DIR|-")]
    pub output: Option<PathBuf>,
    /// End each frame on standard output with a line feed
    #[arg(long)]
    pub lines: bool,
    /// What happens when this is slower than those who send
    #[arg(long, value_enum, default_value = "every")]
    pub policy: Keep,
    /// Give up when no frame comes for so long, such as 5s [default: never]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// End when the last sender has gone; with exit code 1 if one of them died
    #[arg(long)]
    pub end: bool,
    /// A line of JSON for each frame: its sequence number, its size, how many were lost before it, who sends now
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub new: ChannelArgs,
}

/// What to do when the last owner died with the mutex.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnAbandoned {
    /// Warn and run
    Run,
    /// Give it back and fail
    Fail,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview lock backup -- rsync -a src/ dst/
  coview lock 'Global\\deploy' --timeout 5s -- ./deploy || echo 'somebody else deploys'")]
pub(crate) struct LockArgs {
    /// Name of the mutex; it is made if there is none
    pub name: String,
    /// How long to wait for it, such as 5s [default: for ever]
    #[arg(long, value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// What to do if its last owner died with it
    #[arg(long, value_enum, default_value = "run")]
    pub on_abandoned: OnAbandoned,
    /// What to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// What to do with an event.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Action {
    /// Let waiters through
    Set,
    /// Hold them again
    Reset,
    /// Wait until it is set
    Wait,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview event ready wait --timeout 1min && ./client    in one terminal
  coview event ready set                                in another
An event lives while somebody has it open, so `set` needs a waiter or another holder.")]
pub(crate) struct EventArgs {
    /// Name of the event; `wait` makes it if there is none
    pub name: String,
    /// What to do
    #[arg(value_enum)]
    pub action: Action,
    /// How long to wait, such as 5s [default: for ever]
    #[arg(long, value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// If `wait` makes it: let everybody through until it is reset
    #[arg(long)]
    pub manual: bool,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  ls *.wav | xargs -P 16 -I{} coview semaphore encoders --count 3 -- flac {}
The permit of a `coview semaphore` that is itself killed is lost until all have let go of the semaphore.")]
pub(crate) struct SemaphoreArgs {
    /// Name of the semaphore; it is made if there is none
    pub name: String,
    /// How many may run at once
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=0x7fff_ffff))]
    pub count: u32,
    /// How long to wait for a permit, such as 5s [default: for ever]
    #[arg(long, value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// What to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview gc --dry-run    what is there to give back?
  coview gc")]
pub(crate) struct GcArgs {
    /// Only say what would be given back
    #[arg(long)]
    pub dry_run: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(after_help = "Example:\n  coview doctor || echo 'something will fail'")]
pub(crate) struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// The systems of the demo.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// One process leaves a text, another reads it
    Text,
    /// A message in the machine's name space
    Message,
    /// A mapping on a file, its three protections, and more than 4 GiB
    File,
    /// A typed record; a reader with another layout is refused
    Student,
    /// A file too large to map at once, window by window
    Bigfile,
    /// Pictures of 3 MiB between two processes, both ways, each of them acknowledged
    Frames,
    /// All of them
    All,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview demo
  coview demo frames --input photo.jpg
  prlimit --as=268435456 coview demo bigfile")]
pub(crate) struct DemoArgs {
    /// Which one
    #[arg(value_enum, default_value = "all")]
    pub system: System,
    /// Size of the file of `bigfile`; it is sparse
    #[arg(long, default_value = "8GiB", value_parser = parse::size)]
    pub size: u64,
    /// The picture of `frames` [default: one is made up]
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct PartArgs {
    pub role: String,
    pub args: Vec<String>,
}

/// Prints a completion script.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "coview", &mut script);
    Ok(std::io::Write::write_all(&mut std::io::stdout(), &script)?)
}

/// Prints the main manual page or writes all of them into a folder.
pub(crate) fn man(dir: Option<&Path>) -> Result<(), Failure> {
    match dir {
        Some(dir) => Ok(clap_mangen::generate_to(Cli::command(), dir)?),
        None => Ok(clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
