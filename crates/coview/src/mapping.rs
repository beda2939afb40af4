//! The mapping object: a piece of memory that processes share, by name, by inheritance or by passing it on.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::explain::{absent, exists, explain};
use crate::name::{Name, Namespace, SysV, parse_sysv};
pub use crate::sys::mapping::{Access, Protection, Share};
use crate::sys::mapping::{FileSpec, Section, Spec};

/// A mapping object (Win32: a *file mapping object*): memory that several processes map views of.
///
/// It lives until its last handle *and* view in any process is gone, whatever ended them. Then its name is free,
/// its memory is given back, and a new object of that name starts zeroed. A [`View`](crate::View) keeps the
/// mapping it was made from open, so the name lives as long as somebody has either.
///
/// | | Linux | Windows |
/// | --- | --- | --- |
/// | named, in memory | a file in `/dev/shm`, committed before its name exists | a section on the paging file |
/// | unnamed, in memory | a memfd, sealed: nobody can resize it | the same |
/// | on a file | that file; the name is a record in `/dev/shm` | a section on that file |
///
/// # Examples
///
/// ```
/// use coview::{Access, Mapping};
///
/// let name = format!("doc-mapping-{}", std::process::id());
/// let writer = Mapping::create(&name, 2048)?;
/// writer.view(Access::ReadWrite)?.write(0, b"This is a share memory\0")?;
///
/// // … in another process:
/// let reader = Mapping::open(&name, Access::Read)?;
/// let mut text = [0; 22];
/// reader.view(Access::Read)?.read(0, &mut text)?;
/// assert_eq!(&text, b"This is a share memory");
/// # Ok::<(), coview::Error>(())
/// ```
#[doc(alias = "CreateFileMapping")]
#[doc(alias = "shm_open")]
pub struct Mapping {
    pub(crate) object: Arc<Object>,
}

/// What a mapping and its views hold on to.
pub(crate) struct Object {
    pub(crate) section: Section,
    name: Option<Name>,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => name.fmt(f),
            None => f.write_str("an unnamed mapping"),
        }
    }
}

/// Whether [`MappingOptions::open_or_create`] made the object or found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It is new and zeroed (or shows its file).
    Created,
    /// It was there, with its old size, protection and contents (Win32: `ERROR_ALREADY_EXISTS`).
    Opened,
}

/// How a mapping is made: size, protection, what backs it, who may open it.
///
/// # Examples
///
/// ```
/// use coview::{MappingOptions, Protection};
///
/// let path = std::env::temp_dir().join(format!("doc-options-{}.bin", std::process::id()));
/// let mapping = MappingOptions::new().size(10_000).file(&path).create_unnamed()?;
/// assert_eq!((mapping.size(), mapping.protection()), (10_000, Protection::ReadWrite));
/// # drop(mapping); let _ = std::fs::remove_file(path);
/// # Ok::<(), coview::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MappingOptions {
    spec: Spec,
}

impl Default for MappingOptions {
    fn default() -> MappingOptions {
        MappingOptions::new()
    }
}

impl MappingOptions {
    /// Read-write, committed memory for its owner alone; the size must be given.
    pub fn new() -> MappingOptions {
        MappingOptions { spec: Spec::new(0) }
    }

    /// The size in bytes. Memory is had in whole pages and [`Mapping::size`] says how much it became; the size
    /// of a mapping on a file is exact. Without a size, a mapping on a file is as large as the file.
    pub fn size(mut self, bytes: u64) -> Self {
        self.spec.size = bytes;
        self
    }

    /// The most any view may do. Read-write unless said otherwise.
    pub fn protection(mut self, protection: Protection) -> Self {
        self.spec.protection = protection;
        self
    }

    /// Only reserves address space; ranges get memory by [`Mapping::commit`] (Win32: `SEC_RESERVE`). Checked
    /// reads and writes of other ranges are refused. On a file: the part by which it grows stays sparse.
    pub fn reserve(mut self, reserve: bool) -> Self {
        self.spec.reserve = reserve;
        self
    }

    /// Keeps the size exact to the byte instead of rounding it up to whole pages, so that a reader knows where
    /// the contents end. Costs nothing on Linux; Windows backs it by a temporary file that it deletes itself.
    pub fn exact(mut self, exact: bool) -> Self {
        self.spec.exact = exact;
        self
    }

    /// Who may open it by name. A `Local\` name is reached by one user only, whatever is said here.
    pub fn share(mut self, share: Share) -> Self {
        self.spec.share = share;
        self
    }

    /// Lets every child process inherit the handle. To hand it to one child, see [`Mapping::hand_to`].
    pub fn inheritable(mut self, inheritable: bool) -> Self {
        self.spec.inheritable = inheritable;
        self
    }

    /// Stands the mapping on a file, which is made if it is absent and grows if it is smaller than the size
    /// (read-write mappings only). Others may have the file open.
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.spec.file = Some(FileSpec { path: path.as_ref().to_owned(), exclusive: false });
        self
    }

    /// As [`file`](Self::file), but refused if the file is open elsewhere, and kept from being opened again. On
    /// Linux this is between programs that ask for it (`flock`), on Windows between all.
    pub fn file_exclusive(mut self, path: impl AsRef<Path>) -> Self {
        self.spec.file = Some(FileSpec { path: path.as_ref().to_owned(), exclusive: true });
        self
    }

    /// Makes a mapping of that name.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if a live mapping has the name, [`ErrorKind::WrongKind`] if an object of
    /// another kind has it, [`ErrorKind::OutOfMemory`] if the memory cannot be had now, to the last byte.
    pub fn create(&self, name: &str) -> Result<Mapping> {
        let (mapping, disposition) = self.make("create", name)?;
        match disposition {
            Disposition::Created => Ok(mapping),
            Disposition::Opened => Err(exists("create", &mapping.object)),
        }
    }

    /// Makes a mapping of that name or opens the live one; says which.
    ///
    /// # Errors
    /// As [`create`](Self::create), less `AlreadyExists`; [`ErrorKind::AccessDenied`] if the live one does not
    /// allow the access that the protection asks for.
    pub fn open_or_create(&self, name: &str) -> Result<(Mapping, Disposition)> {
        self.make("open or create", name)
    }

    /// Makes a mapping without a name, to be inherited or passed on.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`], and the file's own.
    pub fn create_unnamed(&self) -> Result<Mapping> {
        self.check("create")?;
        let (section, _) =
            Section::create(None, &self.spec).map_err(|error| explain("create", "an unnamed mapping", error))?;
        Ok(Mapping::of(section, None))
    }

    fn make(&self, operation: &'static str, name: &str) -> Result<(Mapping, Disposition)> {
        let name = Name::parse(name)?;
        let slot = name.slot(operation)?;
        self.check(operation).map_err(|error| error.on(&name))?;
        let (section, new) =
            Section::create(Some(&slot), &self.spec).map_err(|error| explain(operation, &name, error))?;
        let disposition = if new { Disposition::Created } else { Disposition::Opened };
        Ok((Mapping::of(section, Some(name)), disposition))
    }

    fn check(&self, operation: &'static str) -> Result<()> {
        let refuse = |why: &str| Err(Error::new(ErrorKind::InvalidInput, operation, why));
        match &self.spec {
            Spec { size: 0, file: None, .. } => refuse("size 0 holds nothing; say how many bytes are wanted"),
            Spec { reserve: true, exact: true, .. } => refuse("reserved memory comes in whole pages; leave out exact"),
            Spec { exact: true, file: Some(_), .. } => refuse("a mapping on a file is exact already; leave out exact"),
            _ => Ok(()),
        }
    }
}

impl Mapping {
    fn of(section: Section, name: Option<Name>) -> Mapping {
        Mapping { object: Arc::new(Object { section, name }) }
    }

    /// What options there are.
    pub fn options() -> MappingOptions {
        MappingOptions::new()
    }

    /// Makes a read-write mapping in memory, for this user alone. For anything else see [`MappingOptions`].
    ///
    /// # Errors
    /// As [`MappingOptions::create`].
    pub fn create(name: &str, size: u64) -> Result<Mapping> {
        MappingOptions::new().size(size).create(name)
    }

    /// Opens the live mapping of that name, or foreign memory (see [`Name`]). Views of it can do what `access`
    /// says and less.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::WrongKind`] (says what has the name), [`ErrorKind::AccessDenied`],
    /// [`ErrorKind::Vanished`] if the file behind it was removed.
    #[doc(alias = "OpenFileMapping")]
    pub fn open(name: &str, access: Access) -> Result<Mapping> {
        let name = Name::parse(name)?;
        let writable = access == Access::ReadWrite;
        let found = match name.namespace() {
            Namespace::Local | Namespace::Global => Section::open(&name.slot("open")?, writable).transpose(),
            Namespace::Posix => Some(Section::open_posix(name.text(), writable)),
            Namespace::SysV => parse_sysv(name.text()).map(|segment| match segment {
                SysV::Key(key) => Section::open_sysv(key, false, writable),
                SysV::Id(id) => Section::open_sysv(id, true, writable),
            }),
            Namespace::File => Some(Section::open_file(Path::new(name.text()), writable)),
        };
        match found {
            Some(Ok(section)) => Ok(Mapping::of(section, Some(name))),
            Some(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(absent("open", &name).with_source(error))
            }
            Some(Err(error)) => Err(explain("open", &name, error)),
            None => Err(absent("open", &name)),
        }
    }

    /// Another handle on the same object.
    ///
    /// # Errors
    /// The system's limit on handles or descriptors.
    #[doc(alias = "DuplicateHandle")]
    pub fn try_clone(&self) -> Result<Mapping> {
        let section = self.object.section.try_clone().map_err(|error| explain("clone", &self.object, error))?;
        Ok(Mapping::of(section, self.object.name.clone()))
    }

    /// The size in bytes: whole pages for memory, exact for files.
    pub fn size(&self) -> u64 {
        self.object.section.size()
    }

    /// The name it was made or opened by.
    pub fn name(&self) -> Option<&Name> {
        self.object.name.as_ref()
    }

    /// The most any view may do. Windows does not tell it: of a mapping that another process made it is
    /// [`Protection::ReadWrite`] if this user may write it, else [`Protection::ReadOnly`].
    pub fn protection(&self) -> Protection {
        self.object.section.protection()
    }

    /// What views made through this handle can do at most.
    pub fn access(&self) -> Access {
        if self.object.section.is_writable() { Access::ReadWrite } else { Access::Read }
    }

    /// Whether memory is committed range by range.
    pub fn is_reserved(&self) -> bool {
        self.object.section.is_reserved()
    }

    /// Commits `len` bytes from `offset` of a reserved mapping, in whole pages, for every view of every process.
    /// Committing twice changes nothing; what is committed stays so.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`], [`ErrorKind::OutOfRange`].
    #[doc(alias = "VirtualAlloc")]
    pub fn commit(&self, offset: u64, len: u64) -> Result<()> {
        let object = &self.object;
        if len == 0 || offset.checked_add(len).is_none_or(|end| end > self.size()) {
            return Err(out_of_range("commit", object, offset, len, self.size()));
        }
        if !self.object.section.is_writable() {
            let why = "the mapping was opened for reading; committing needs read-write access";
            return Err(Error::new(ErrorKind::AccessDenied, "commit", why).on(object));
        }
        self.object.section.commit(offset, len).map_err(|error| explain("commit", object, error))
    }

    /// Lets the child that `command` starts inherit this mapping, named or not, under `key`; the child calls
    /// [`Mapping::inherited`]. Keep the mapping open until the child has been started.
    ///
    /// On Linux only this child inherits it. On Windows the handle becomes inheritable, so children that are
    /// started at the same time in other ways inherit it too.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for System V segments, [`ErrorKind::InvalidInput`] for a key that is not
    /// letters, digits and `_`.
    pub fn hand_to(&self, command: &mut Command, key: &str) -> Result<()> {
        let variable = variable("hand over", key)?;
        let ticket = self.object.section.hand_to(command).map_err(|error| explain("hand over", &self.object, error))?;
        command.env(variable, self.with_name(&ticket));
        Ok(())
    }

    /// As [`hand_to`](Self::hand_to), for who starts the child in another way: the variable, and its value, that the child's
    /// environment must have. The mapping becomes inheritable: keep it open until the child has been started.
    ///
    /// # Errors
    /// As [`hand_to`](Self::hand_to).
    pub fn hand_over(&self, key: &str) -> Result<(String, String)> {
        let variable = variable("hand over", key)?;
        let ticket = self.object.section.hand_over().map_err(|error| explain("hand over", &self.object, error))?;
        Ok((variable, self.with_name(&ticket)))
    }

    /// The mapping that the parent handed over under `key`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it did not.
    pub fn inherited(key: &str) -> Result<Mapping> {
        let variable = variable("inherit", key)?;
        let why =
            format!("the parent process handed over nothing under the key {key} (no {variable} in the environment)");
        let Ok(text) = std::env::var(&variable) else {
            return Err(Error::new(ErrorKind::NotFound, "inherit", why));
        };
        Mapping::from_ticket(&text, Section::adopt)
    }

    /// The ticket followed by the name, which may contain any character.
    pub(crate) fn with_name(&self, ticket: &str) -> String {
        let name = self.name().map(Name::to_string).unwrap_or_default();
        format!("{ticket}|{name}")
    }

    /// The mapping that a ticket with a name stands for; `adopt` makes the section.
    pub(crate) fn from_ticket(
        text: &str,
        adopt: impl FnOnce(&str, Option<crate::sys::namespace::Slot>) -> std::io::Result<Section>,
    ) -> Result<Mapping> {
        let (ticket, name) = text.split_once('|').unwrap_or((text, ""));
        let name = if name.is_empty() { None } else { Some(Name::parse(name)?) };
        let ours = name.as_ref().filter(|name| !name.namespace().is_foreign());
        let slot = ours.map(|name| name.slot("inherit")).transpose()?;
        let section = adopt(ticket, slot).map_err(|error| explain("inherit", "a mapping", error))?;
        Ok(Mapping::of(section, name))
    }

    pub(crate) fn of_section(section: Section) -> Mapping {
        Mapping::of(section, None)
    }

    /// The same memory under a name of ours, for memory that arrived as a descriptor.
    pub(crate) fn give_name(&self, name: &str) -> Result<Mapping> {
        let name = Name::parse(name)?;
        let named = self.object.section.give_name(&name.slot("name")?);
        match named.map_err(|error| explain("name", &name, error))? {
            Some(section) => Ok(Mapping::of(section, Some(name))),
            None => Err(exists("name", &name)),
        }
    }
}

fn variable(operation: &'static str, key: &str) -> Result<String> {
    if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        let why = format!("the key {key:?} must be made of letters, digits and _");
        return Err(Error::new(ErrorKind::InvalidInput, operation, why));
    }
    Ok(format!("COVIEW_MAPPING_{}", key.to_ascii_uppercase()))
}

pub(crate) fn out_of_range(operation: &'static str, object: &Object, offset: u64, len: u64, size: u64) -> Error {
    let why = match len {
        0 => format!("a length of 0 at offset {offset} is nothing; the size is {size} bytes"),
        _ => format!("{len} bytes from offset {offset} do not lie inside its {size} bytes"),
    };
    Error::new(ErrorKind::OutOfRange, operation, why).on(object)
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping")
            .field("name", &self.name().map(Name::to_string))
            .field("size", &self.size())
            .field("protection", &self.protection())
            .finish_non_exhaustive()
    }
}
