//! The bridge: programs in a Wine or Proton prefix and native ones share memory by name, live, without copies.
//!
//! A section in a prefix is an ordinary file, mapped by ordinary processes. A helper in the prefix, the Windows build of the program
//! `coview`, opens a name there and says at which address it has it; /proc says which file that is, and from then on both sides
//! have the same pages. The other way round the helper gives a native mapping its name in the prefix. `docs/bridge.md` has the whole.
//!
//! # Examples
//!
//! ```no_run
//! use coview::{Access, bridge::Bridge};
//!
//! let physics = Bridge::attach(r"Local\acpmf_physics")?; // in the prefix of WINEPREFIX, or ~/.wine
//! let view = physics.mapping().view(Access::Read)?;
//! while physics.is_there()? {
//!     let mut packet = [0; 4];
//!     view.read(0, &mut packet)?;
//!     println!("packet {}", u32::from_le_bytes(packet));
//!     std::thread::sleep(std::time::Duration::from_millis(16));
//! }
//! # Ok::<(), coview::Error>(())
//! ```

mod far;
mod helper;
mod link;
mod wire;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

pub use far::{FarEvent, FarGuard, FarMutex};
#[doc(hidden)]
pub use helper::serve;

use crate::error::{Error, ErrorKind, Result};
use crate::explain::explain;
use crate::mapping::{Access, Mapping, Protection};
use crate::name::Name;
use crate::sys::namespace::{Entry, Kind, Origin};
use crate::sys::object::SyncState;
use crate::sys::process::Holder;
use crate::sys::wine::{self, Found, Place};
use link::{Link, Refused};
use wire::Words;

/// The hidden command of `coview.exe` that [`serve`]s.
const HELPER: &str = "wine-helper";

/// Which prefix, which Wine, which helper.
#[derive(Debug, Clone, Default)]
pub struct PrefixOptions {
    prefix: Option<PathBuf>,
    wine: Option<Vec<OsString>>,
    helper: Option<PathBuf>,
    /// Of the process whose prefix it is.
    environment: HashMap<String, String>,
    start: bool,
}

/// A Wine prefix that we have a helper in; the helper ends with the last of this and of what was opened by it.
#[derive(Debug, Clone)]
pub struct Prefix {
    link: Arc<Link>,
    path: PathBuf,
}

/// One piece of memory that a prefix and this system share.
#[derive(Debug)]
pub struct Bridge {
    mapping: Mapping,
    prefix: Prefix,
    name: Name,
    /// What stands under the name in the prefix; nothing if it was put there by us.
    place: Option<Place>,
}

impl PrefixOptions {
    /// The prefix of `WINEPREFIX`, or `~/.wine`; the Wine of `WINELOADER`, or `wine` in `PATH`; the helper of `COVIEW_HELPER`, or
    /// `coview.exe` beside this program.
    pub fn new() -> PrefixOptions {
        PrefixOptions::default()
    }

    /// The folder of the prefix.
    pub fn path(mut self, prefix: impl Into<PathBuf>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// The prefix, and the Wine, of a running process.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such process, [`ErrorKind::AccessDenied`] if it is another user's.
    pub fn process(mut self, pid: u32) -> Result<Self> {
        let found = wine::environment(pid);
        self.environment = found.map_err(|error| explain("look into", format_args!("process {pid}"), error))?;
        Ok(self)
    }

    /// The command that runs a Windows program in the prefix: `wine`, a path, or a launcher with its arguments, such as
    /// `steam-runtime-launch-client … -- wine`.
    pub fn wine(mut self, command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.wine = Some(command.into_iter().map(Into::into).collect());
        self
    }

    /// The helper: `coview.exe`.
    pub fn helper(mut self, path: impl Into<PathBuf>) -> Self {
        self.helper = Some(path.into());
        self
    }

    /// Starts Wine in the prefix if nothing runs there yet. Otherwise [`open`](Self::open) refuses that.
    pub fn start(mut self, start: bool) -> Self {
        self.start = start;
        self
    }

    /// Starts the helper.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such prefix, no Wine, no helper, or nothing runs there;
    /// [`ErrorKind::AccessDenied`] if the prefix is another user's; [`ErrorKind::Unsupported`] on Windows.
    pub fn open(&self) -> Result<Prefix> {
        let path = self.prefix_path();
        let refuse = |refused: Refused| refused.to("reach", format_args!("the prefix {}", path.display()));
        wine::check_prefix(&path).map_err(|error| explain("reach", "a Wine prefix", error))?;
        let path = std::path::absolute(&path).unwrap_or(path.clone());
        let helper = self.helper_path().map_err(refuse)?;
        let wine = self.wine_command().map_err(refuse)?;
        if !self.start && self.wine.is_none() && !self.is_running(&wine[0], &path) {
            let why = "nothing runs there; start the program first, or export before it starts";
            return Err(refuse(Refused::new(ErrorKind::NotFound, why)));
        }
        let mut command = Command::new(&wine[0]);
        command.args(&wine[1..]).arg(helper).arg(HELPER);
        self.dress(&mut command, &path);
        let link = Link::start(command).map_err(refuse)?;
        Ok(Prefix { link: Arc::new(link), path })
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        match self.environment.is_empty() {
            true => std::env::var_os(name),
            false => self.environment.get(name).map(OsString::from),
        }
        .filter(|value| !value.is_empty())
    }

    fn prefix_path(&self) -> PathBuf {
        let home = || PathBuf::from(self.variable("HOME").unwrap_or_default()).join(".wine");
        self.prefix.clone().or_else(|| self.variable("WINEPREFIX").map(PathBuf::from)).unwrap_or_else(home)
    }

    fn helper_path(&self) -> std::result::Result<PathBuf, Refused> {
        let named = self.helper.clone().or_else(|| std::env::var_os("COVIEW_HELPER").map(PathBuf::from));
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("coview.exe"));
        let path = named.or_else(beside).unwrap_or_else(|| "coview.exe".into());
        if path.is_file() {
            return Ok(std::path::absolute(&path).unwrap_or(path));
        }
        Err(Refused::new(
            ErrorKind::NotFound,
            format!(
                "its helper, the Windows build of this program, is not at {}; `cargo xtask windows --build` makes it: put it there, \
                 or name it by --helper or COVIEW_HELPER",
                path.display()
            ),
        ))
    }

    fn wine_command(&self) -> std::result::Result<Vec<OsString>, Refused> {
        if let Some(command) = self.wine.clone().filter(|command| !command.is_empty()) {
            return Ok(command);
        }
        let loader = self.variable("WINELOADER").filter(|path| Path::new(path).is_file());
        let found = loader.or_else(|| in_path(&["wine", "wine64"]));
        found.map(|wine| vec![wine]).ok_or_else(|| {
            let why = "Wine is not installed: there is no `wine` in PATH; install it, or name it by --wine";
            Refused::new(ErrorKind::NotFound, why)
        })
    }

    /// Whether a wineserver serves the prefix; asking starts none. If there is none to ask: perhaps.
    fn is_running(&self, wine: &std::ffi::OsStr, prefix: &Path) -> bool {
        let beside = |name: &str| Some(Path::new(wine).with_file_name(name)).filter(|path| path.is_file());
        let server = self.variable("WINESERVER").map(PathBuf::from).or_else(|| beside("wineserver"));
        let Some(server) = server.or_else(|| in_path(&["wineserver"]).map(PathBuf::from)) else { return true };
        let mut command = Command::new(server);
        command.arg("-k0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.dress(&mut command, prefix);
        command.status().map_or(true, |status| status.success())
    }

    fn dress(&self, command: &mut Command, prefix: &Path) {
        for name in
            ["WINELOADER", "WINESERVER", "WINEDLLPATH", "LD_LIBRARY_PATH", "WINEESYNC", "WINEFSYNC", "WINENTSYNC"]
        {
            if let Some(value) = self.environment.get(name) {
                command.env(name, value);
            }
        }
        command.env("WINEPREFIX", prefix);
        if std::env::var_os("WINEDEBUG").is_none() {
            command.env("WINEDEBUG", "-all");
        }
    }
}

/// The first of these programs that is in `PATH`.
fn in_path(programs: &[&str]) -> Option<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |program: &&str| std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file());
    programs.iter().find_map(found).map(PathBuf::into_os_string)
}

impl Prefix {
    /// The prefix of `WINEPREFIX`, or `~/.wine`. For any other see [`PrefixOptions`].
    ///
    /// # Errors
    /// As [`PrefixOptions::open`].
    pub fn open() -> Result<Prefix> {
        PrefixOptions::new().open()
    }

    /// What there is to choose.
    pub fn options() -> PrefixOptions {
        PrefixOptions::new()
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The named objects in the prefix. Holders of a mapping are processes as this system numbers them, those of another object as
    /// Wine does.
    ///
    /// # Errors
    /// [`ErrorKind::PeerDied`] if the helper has ended.
    pub fn objects(&self) -> Result<Vec<Entry>> {
        let refuse = |refused: Refused| refused.to("list", format_args!("the prefix {}", self.path.display()));
        let answer = self.link.ask(&["list"]).map_err(refuse)?;
        let held = { answer.words }.text();
        let mut entries: Vec<(Entry, Option<u64>)> = answer.rows.into_iter().filter_map(entry).collect();
        let mut helper = Vec::new();
        let mut places = Vec::new();
        for (at, (_, address)) in entries.iter().enumerate() {
            if let Some(found) = address.and_then(|address| self.locate(address).ok()) {
                helper = vec![found.pid];
                places.push((at, found.place));
            }
        }
        self.link.ask(&["drop", &held]).map_err(refuse)?;
        let only: Vec<Place> = places.iter().map(|(_, place)| *place).collect();
        for ((at, _), holders) in places.iter().zip(wine::holders(&only, &helper)) {
            entries[*at].0.holders = holders;
        }
        Ok(entries.into_iter().map(|(entry, _)| entry).collect())
    }

    fn locate(&self, address: u64) -> std::io::Result<Found> {
        wine::locate(self.link.pid(), self.link.cookie(), address)
    }

    /// Maps what a program in the prefix has made under this name: the same pages, for reading unless `access` says more. The name
    /// is not held: it ends with the programs in the prefix, and then [`Bridge::is_there`] says so.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongKind`], [`ErrorKind::AccessDenied`], as in the prefix itself.
    pub fn attach(&self, name: &str, access: Access) -> Result<Bridge> {
        let name = Name::parse(name)?;
        name.slot("attach to")?; // foreign names mean nothing there
        let writable = access == Access::ReadWrite;
        let (held, size, found) = self.look(&name, writable).map_err(|refused| refused.to("attach to", &name))?;
        let section = wine::open(found, size, writable).map_err(|error| explain("attach to", &name, error));
        self.link.ask(&["drop", &held]).map_err(|refused| refused.to("attach to", &name))?;
        let mapping = Mapping::of_section(section?);
        Ok(Bridge { mapping, prefix: self.clone(), name, place: Some(found.place) })
    }

    /// Opens the name in the prefix: its number there, its size, and which file it is.
    fn look(&self, name: &Name, writable: bool) -> std::result::Result<(String, u64, Found), Refused> {
        let access = if writable { "rw" } else { "ro" };
        let answer = self.link.ask(&["look", &name.to_string(), access]).map_err(|refused| match refused.kind {
            ErrorKind::NotFound => Refused::new(
                ErrorKind::NotFound,
                "no program in the prefix has made it; start that first, or see `coview wine ls`",
            ),
            _ => refused,
        })?;
        let mut words = answer.words;
        let (held, address, size) = (words.text(), words.number().unwrap_or(0), words.number().unwrap_or(0));
        let found = self.locate(address);
        found.map(|found| (held.clone(), size, found)).map_err(|error| {
            // A helper that has been killed meanwhile is not seen in /proc either, and that is what is to be said.
            if let Err(ended) = self.link.ask(&["drop", &held]) {
                return ended;
            }
            let error = explain("attach to", name, error);
            Refused::new(error.kind(), error.detail())
        })
    }

    /// Gives a mapping of ours a name in the prefix, before a program there asks for it; held until the bridge is dropped.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if a program has made it already (Win32: 183): then attach to it.
    pub fn export(&self, name: &str, mapping: &Mapping) -> Result<Bridge> {
        let name = Name::parse(name)?;
        name.slot("export")?;
        let mapping = mapping.try_clone()?;
        let path = wine::path_of(&mapping.object.section).map_err(|error| explain("export", &name, error))?;
        let protection = if mapping.protection() == Protection::ReadWrite { "rw" } else { "ro" };
        let done = self.link.ask(&["name", &name.to_string(), &path, protection]);
        let mut words = done
            .map_err(|refused| match refused.kind {
                ErrorKind::AlreadyExists => Refused::new(
                    ErrorKind::AlreadyExists,
                    "it came too late (183): a program in the prefix has made it already; attach to that \
                     (`coview wine attach`), or end the program, export, and start it again",
                ),
                _ => refused,
            })
            .map_err(|refused| refused.to("export", &name))?
            .words;
        let (_held, size) = (words.text(), words.number());
        if size != Some(mapping.size()) {
            let why = format!("Wine gave the section {} bytes instead of {}", size.unwrap_or(0), mapping.size());
            return Err(Error::new(ErrorKind::Os, "export", why).on(name));
        }
        Ok(Bridge { mapping, prefix: self.clone(), name, place: None })
    }

    /// The event of that name, which a program in the prefix has made.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongKind`].
    pub fn event(&self, name: &str) -> Result<FarEvent> {
        FarEvent::of(&self.link, Name::parse(name)?, "open")
    }

    /// The event of that name; if there is none it is made, and stays as long as somebody has it.
    ///
    /// # Errors
    /// [`ErrorKind::WrongKind`].
    pub fn open_or_create_event(&self, name: &str, manual_reset: bool) -> Result<FarEvent> {
        FarEvent::of(&self.link, Name::parse(name)?, if manual_reset { "manual" } else { "auto" })
    }

    /// The mutex of that name, which a program in the prefix has made.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongKind`].
    pub fn mutex(&self, name: &str) -> Result<FarMutex> {
        FarMutex::of(&self.link, Name::parse(name)?, "open")
    }

    /// The mutex of that name; if there is none it is made.
    ///
    /// # Errors
    /// [`ErrorKind::WrongKind`].
    pub fn open_or_create_mutex(&self, name: &str) -> Result<FarMutex> {
        FarMutex::of(&self.link, Name::parse(name)?, "make")
    }
}

/// An object as the helper describes it, and at which address of its it has a mapping's first byte.
fn entry(mut words: Words) -> Option<(Entry, Option<u64>)> {
    let number = words.number()?;
    let kind = Kind::ALL.into_iter().find(|kind| *kind as u64 == number)?;
    let mut entry = Entry::bare(words.text(), Origin::Named(kind));
    entry.size = words.number();
    let protections = [Protection::ReadOnly, Protection::ReadWrite, Protection::WriteCopy].map(Protection::word);
    let protection = words.text();
    entry.protection = protections.into_iter().find(|word| *word == protection);
    let address = words.number();
    let flag = |number: Option<u64>| number.map(|number| number == 1);
    let state = SyncState {
        held: flag(words.number()),
        abandoned: words.number() == Some(1),
        count: words.small(),
        maximum: words.small(),
        manual: flag(words.number()),
        ..SyncState::default()
    };
    entry.sync = (kind != Kind::Mapping).then_some(state);
    entry.holders = words.rest().filter_map(|word| holder(&word)).collect();
    Some((entry, address))
}

fn holder(word: &str) -> Option<Holder> {
    let mut parts = word.splitn(3, ':');
    let (pid, handles) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Holder { pid, program: parts.next()?.to_owned(), handles, writable: false, views: None })
}

impl Bridge {
    /// Attaches, for reading, to what a program in the prefix of `WINEPREFIX` or `~/.wine` has made under this name. For anything
    /// else see [`PrefixOptions`] and [`Prefix::attach`].
    ///
    /// # Errors
    /// Those of [`PrefixOptions::open`] and [`Prefix::attach`].
    pub fn attach(name: &str) -> Result<Bridge> {
        Prefix::open()?.attach(name, Access::Read)
    }

    /// The memory, on this side.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The name it has in the prefix.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The prefix.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Whether the name in the prefix still stands for this memory. `false`: the programs there have let go of it, or begun anew
    /// with other memory; then attach again. What was exported is there as long as the helper is.
    ///
    /// # Errors
    /// [`ErrorKind::PeerDied`] if the helper has ended.
    pub fn is_there(&self) -> Result<bool> {
        let Some(place) = self.place else {
            let answer = self.prefix.link.ask(&["hello"]);
            return answer.map(|_| true).map_err(|refused| refused.to("look for", &self.name));
        };
        match self.prefix.look(&self.name, false) {
            Ok((held, _, found)) => {
                let dropped = self.prefix.link.ask(&["drop", &held]);
                dropped.map_err(|refused| refused.to("look for", &self.name))?;
                Ok(found.place == place)
            }
            Err(refused) if matches!(refused.kind, ErrorKind::NotFound | ErrorKind::WrongKind) => Ok(false),
            Err(refused) => Err(refused.to("look for", &self.name)),
        }
    }

    /// The same bridge by another helper, when that of the first has ended.
    pub fn through(self, prefix: Prefix) -> Bridge {
        Bridge { prefix, ..self }
    }

    /// Gives the memory a name here, so that any program of ours opens it as `local_name`. What opens it holds the name, but not the
    /// name in the prefix. New ones are led to the memory by the descriptor of this process, or of whoever else has it open.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if a live object here has the name; it may be held by one who opened it before the programs in
    /// the prefix began anew.
    pub fn publish(&self, local_name: &str) -> Result<Mapping> {
        self.mapping.give_name(local_name)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "helper {}", self.pid())
    }
}
