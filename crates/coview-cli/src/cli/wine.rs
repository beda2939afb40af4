//! The command line of `coview wine`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::parse;

#[derive(Subcommand)]
pub(crate) enum WineCommand {
    /// List the named objects of a prefix: kind, size, state, holders
    Ls(WineLsArgs),
    /// Make what a program in the prefix has made a native object as well: the same pages
    Attach(AttachArgs),
    /// Give a native object its name in the prefix, before a program there asks for it
    Export(ExportArgs),
    /// Let two prefixes share one section
    Link(LinkArgs),
    /// Carry an event from one side to the other
    Relay(RelayArgs),
    /// Run COMMAND while holding a mutex of the prefix
    Lock(WineLockArgs),
    /// Show what the programs in the prefix say by OutputDebugString, live
    Debug(DebugArgs),
    /// List the programs whose objects are known, or show the objects of one
    Presets(PresetsArgs),
}

/// Where it is.
#[derive(Args, Clone)]
#[command(next_help_heading = "Which Wine")]
pub(crate) struct PlaceArgs {
    /// The folder of the prefix [default: WINEPREFIX, or ~/.wine]
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PathBuf>,
    /// The prefix, and the Wine, of this running process
    #[arg(long, value_name = "PID", conflicts_with = "prefix")]
    pub pid: Option<u32>,
    #[command(flatten)]
    pub with: WithArgs,
}

/// By which programs.
#[derive(Args, Clone)]
#[command(next_help_heading = "Which Wine")]
pub(crate) struct WithArgs {
    /// The command that runs a Windows program there, with its arguments [default: WINELOADER, or wine]
    #[arg(long, value_name = "COMMAND")]
    pub wine: Option<String>,
    /// The Windows build of this program [default: COVIEW_HELPER, or coview.exe beside this one]
    #[arg(long, value_name = "PATH")]
    pub helper: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview wine ls
  coview wine ls --pid $(pgrep -f acs.exe) --json
Holders of a section are processes of this system; of another object, processes as Wine numbers them.")]
pub(crate) struct WineLsArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview wine attach acpmf_physics &
  coview watch acpmf_physics --layout presets:acpmf_physics
  coview wine attach 'Local\\IRSDKMemMapFileName' --as iracing --follow
It copies nothing, writes nothing, and does not keep the name alive in the prefix: when the programs there have let go of it, this ends.")]
pub(crate) struct AttachArgs {
    /// Its name in the prefix
    pub name: String,
    /// Its name here [default: the same]
    #[arg(long = "as", value_name = "LOCALNAME")]
    pub local: Option<String>,
    /// Programs here may write to it
    #[arg(long)]
    pub writable: bool,
    /// Refuse it if it has fewer bytes
    #[arg(long, value_parser = parse::size)]
    pub size: Option<u64>,
    /// Wait until a program makes it, and go on when it is made again
    #[arg(long)]
    pub follow: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview wine export acpmf_physics --size 2048 &    and start the game then
  coview wine export --preset assetto-corsa         all its sections
The size is what the largest program asks for, or more; memory is had in whole pages.")]
#[command(group(clap::ArgGroup::new("what").args(["name", "preset"]).required(true)))]
pub(crate) struct ExportArgs {
    /// Its name in the prefix
    pub name: Option<String>,
    /// All sections of a preset (`coview wine presets`)
    #[arg(long, value_name = "PRESET")]
    pub preset: Option<String>,
    /// How many bytes [default: the preset's, or those of the native object, if it is there]
    #[arg(long, value_parser = parse::size, conflicts_with = "preset")]
    pub size: Option<u64>,
    /// Its name here; the object is made if there is none [default: the same]
    #[arg(long = "as", value_name = "LOCALNAME", conflicts_with = "preset")]
    pub local: Option<String>,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview wine link acpmf_physics --prefix ~/game --prefix ~/tools             the game has made it
  coview wine link acpmf_physics --prefix ~/game --prefix ~/tools --size 2048 before both")]
pub(crate) struct LinkArgs {
    /// The name in both
    pub name: String,
    /// The two prefixes
    #[arg(long = "prefix", value_name = "DIR", required = true, num_args = 1)]
    pub prefixes: Vec<PathBuf>,
    /// How many bytes, if neither has it yet
    #[arg(long, value_parser = parse::size)]
    pub size: Option<u64>,
    #[command(flatten)]
    pub with: WithArgs,
}

/// The side that is told.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    /// The native event is set when that of the prefix is
    Native,
    /// The event of the prefix is set when the native one is
    Windows,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview wine relay 'Local\\IRSDKDataValidEvent' --to native &
  coview event IRSDKDataValidEvent wait
An automatic-reset event lets one waiter through, and this would be it: use --take only if no program on that side waits for it.")]
pub(crate) struct RelayArgs {
    /// Its name in the prefix
    pub name: String,
    /// Who is told
    #[arg(long, value_enum)]
    pub to: Side,
    /// Its name here [default: the same]
    #[arg(long = "as", value_name = "LOCALNAME")]
    pub local: Option<String>,
    /// If this makes it: it stays set until it is reset
    #[arg(long)]
    pub manual: bool,
    /// Take an automatic-reset event from whoever else waits for it
    #[arg(long)]
    pub take: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Args)]
#[command(
    after_help = "Example:\n  coview wine lock 'Global\\HWiNFO_SM2_MUTEX' -- coview read 'Global\\HWiNFO_SENS_SM2'"
)]
pub(crate) struct WineLockArgs {
    /// Its name in the prefix
    pub name: String,
    /// How long to wait for it, such as 5s [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub place: PlaceArgs,
    /// What to run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview wine debug
  coview wine debug --pid $(pgrep -f game.exe) --json
It is the protocol of DebugView: while it runs, no other debug viewer can in that prefix.")]
pub(crate) struct DebugArgs {
    #[command(flatten)]
    pub place: PlaceArgs,
    /// A line of JSON for each text
    #[arg(long)]
    pub json: bool,
    /// End after so many texts
    #[arg(short = 'n', value_name = "N")]
    pub count: Option<u64>,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  coview wine presets
  coview wine presets assetto-corsa
A preset is a file: put your own into ~/.config/coview/presets (or COVIEW_PRESETS); docs/bridge.md says what stands in one.")]
pub(crate) struct PresetsArgs {
    /// Which one, or the name of one of its objects
    pub name: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}
