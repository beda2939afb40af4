//! Child processes: CreateProcess with handles inherited by value, waiting for their ends, their exit codes.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use coview::{Event, EventOptions};

use super::error::{Code, Outcome};
use super::file::path_of;
use super::inherit::{VARIABLE, bequeath};
use super::object::{Entry, Object, STANDARD_RIGHTS, THIS_PROCESS};
use super::table::{Handle, table};
use super::thread::STILL_ACTIVE;

const CREATE_SUSPENDED: u32 = 4;
const ACCESS: u32 = STANDARD_RIGHTS | 0xffff;

pub(super) struct Process {
    id: u32,
    ended: Event,
    code: AtomicU32,
    /// What TerminateProcess wants to be found.
    wanted: AtomicU32,
    /// Names the child and nobody after it; `None` for this process.
    fd: Option<OwnedFd>,
}

impl Process {
    fn of(id: u32, fd: Option<OwnedFd>) -> Outcome<Process> {
        let ended = EventOptions::new().manual_reset(true).create_unnamed()?;
        Ok(Process { id, ended, code: AtomicU32::new(STILL_ACTIVE), wanted: AtomicU32::new(STILL_ACTIVE), fd })
    }

    pub(super) fn this() -> Outcome<Process> {
        Process::of(std::process::id(), None)
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn ended(&self) -> &Event {
        &self.ended
    }

    fn has_ended(&self, status: Option<ExitStatus>) {
        let wanted = self.wanted.load(Ordering::Relaxed);
        let code = match status.map(|status| (status.code(), status.signal())) {
            Some((Some(code), _)) => code.cast_unsigned(),
            Some((_, Some(libc::SIGKILL))) if wanted != STILL_ACTIVE => wanted,
            Some((_, Some(libc::SIGSEGV | libc::SIGBUS))) => 0xc000_0005,
            Some((_, Some(libc::SIGILL))) => 0xc000_001d,
            Some((_, Some(libc::SIGFPE))) => 0xc000_0094,
            Some((_, Some(libc::SIGABRT))) => 3,
            Some((_, Some(signal))) => 128 + signal.cast_unsigned(),
            _ => 0, // somebody else has waited for it
        };
        // Release: pairs with the Acquire in `exit_code`.
        self.code.store(code, Ordering::Release);
        let _ = self.ended.set();
    }
}

/// What CreateProcess asks for.
pub(super) struct Request {
    pub(super) program: Option<String>,
    pub(super) line: Option<String>,
    pub(super) inherit: bool,
    pub(super) flags: u32,
    pub(super) environment: Option<Vec<String>>,
    pub(super) folder: Option<String>,
    /// STARTF_USESTDHANDLES: input, output, errors.
    pub(super) standard: Option<[Handle; 3]>,
}

/// The handles of a new process and of its first thread (which stands for the process), and their number.
pub(super) fn create(request: &Request) -> Outcome<(Handle, Handle, u32)> {
    if request.flags & CREATE_SUSPENDED != 0 {
        return Err(Code::CALL_NOT_IMPLEMENTED);
    }
    let words = words(request.line.as_deref().or(request.program.as_deref()).ok_or(Code::INVALID_PARAMETER)?);
    let program = request.program.as_ref().or(words.first()).ok_or(Code::FILE_NOT_FOUND)?;
    let mut command = Command::new(find(program).ok_or(Code::FILE_NOT_FOUND)?);
    command.arg0(words.first().unwrap_or(program)).args(words.iter().skip(1));
    if let Some(variables) = &request.environment {
        let pairs = variables.iter().filter_map(|variable| variable.split_once('='));
        command.env_clear().envs(pairs.filter(|(key, _)| !key.is_empty()));
    }
    if let Some(folder) = &request.folder {
        command.current_dir(path_of(folder)?);
    }
    command.env_remove(VARIABLE);
    let legacy = request.inherit.then(bequeath);
    if let Some(legacy) = &legacy {
        command.env(VARIABLE, &legacy.variable);
        leave_open(&mut command, legacy.fds.clone());
    }
    if let Some(handles) = request.standard {
        command.stdin(stream(handles[0])?).stdout(stream(handles[1])?).stderr(stream(handles[2])?);
    }
    start(command)
}

/// Lets the child keep descriptors of these numbers.
fn leave_open(command: &mut Command, fds: Vec<i32>) {
    let open = move || {
        for fd in &fds {
            // SAFETY: the parent keeps it open until the child has begun.
            let flags = unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) };
            if flags == -1 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec it only calls fcntl, which is async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(open) };
}

fn stream(handle: Handle) -> Outcome<Stdio> {
    if handle.is_null() || handle.addr() == THIS_PROCESS {
        return Ok(Stdio::null());
    }
    let entry = table().get(handle)?;
    let Object::File(file) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
    Ok(file.descriptor().try_clone_to_owned()?.into())
}

fn start(mut command: Command) -> Outcome<(Handle, Handle, u32)> {
    let mut child = command.spawn().map_err(|error| match error.raw_os_error() {
        Some(libc::ENOEXEC) => Code::BAD_EXE_FORMAT,
        _ => Code::of_io(&error),
    })?;
    let id = child.id();
    // SAFETY: it takes two numbers; the child was not waited for, so the number is its own.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id, 0) } as i32;
    // SAFETY: the call has just made it, unless it failed.
    let fd = (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) });
    let process = Arc::new(Process::of(id, fd)?);
    let watched = Arc::clone(&process);
    let wait = move || watched.has_ended(child.wait().ok());
    std::thread::Builder::new().name("coview-child".into()).stack_size(64 << 10).spawn(wait)?;
    let thread = table().add(Entry::new(Object::Process(Arc::clone(&process)), ACCESS, false))?;
    let process = table().add(Entry::new(Object::Process(process), ACCESS, false))?;
    Ok((process, thread, id))
}

/// Where the program is: here, beside this program, or in PATH; `.exe` may be missing here or there.
fn find(program: &str) -> Option<PathBuf> {
    let path = path_of(program).ok()?;
    let bare = path.to_str().and_then(|text| text.strip_suffix(".exe")).map(PathBuf::from);
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()));
    let search = std::env::var_os("PATH").unwrap_or_default();
    let absolute = path.parent().is_some_and(|folder| !folder.as_os_str().is_empty());
    let folders: Vec<PathBuf> = match absolute {
        true => vec![PathBuf::new()],
        false => beside.into_iter().chain([".".into()]).chain(std::env::split_paths(&search)).collect(),
    };
    let spellings: Vec<PathBuf> = [Some(path), bare].into_iter().flatten().collect();
    let all = folders.iter().flat_map(|folder| spellings.iter().map(move |name| folder.join(name)));
    all.into_iter().find(|candidate| candidate.is_file())
}

/// The words of a command line, by the rules of Microsoft's C library.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let (mut quoted, mut slashes) = (false, 0);
    for c in line.chars().chain(std::iter::once('\0')) {
        if c == '\\' {
            slashes += 1;
            continue;
        }
        // Backslashes are special before a quotation mark alone.
        let kept = if c == '"' { slashes / 2 } else { slashes };
        if slashes > 0 {
            word.get_or_insert_default().extend(std::iter::repeat_n('\\', kept));
        }
        let literal = c == '"' && slashes % 2 == 1;
        slashes = 0;
        match c {
            '"' if !literal => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !quoted => words.extend(word.take()),
            '\0' => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words
}

pub(super) fn exit_code(handle: Handle) -> Outcome<u32> {
    if handle.addr() == THIS_PROCESS {
        return Ok(STILL_ACTIVE);
    }
    let entry = table().get(handle)?;
    let Object::Process(process) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
    // Acquire: pairs with the Release in `has_ended`.
    Ok(process.code.load(Ordering::Acquire))
}

pub(super) fn id_of(handle: Handle) -> Outcome<u32> {
    if handle.addr() == THIS_PROCESS {
        return Ok(std::process::id());
    }
    let entry = table().get(handle)?;
    let Object::Process(process) = &*entry.object else { return Err(Code::INVALID_HANDLE) };
    Ok(process.id)
}

pub(super) fn open(inherit: bool, id: u32) -> Outcome<Handle> {
    match id == std::process::id() {
        true => table().add(Entry::new(Object::Process(Arc::new(Process::this()?)), ACCESS, inherit)),
        false => Err(Code::CALL_NOT_IMPLEMENTED),
    }
}

pub(super) fn terminate(handle: Handle, code: u32) -> Outcome<()> {
    let entry = if handle.addr() == THIS_PROCESS { None } else { Some(table().get(handle)?) };
    let process = match entry.as_ref().map(|entry| &*entry.object) {
        Some(Object::Process(process)) if process.id != std::process::id() => process,
        Some(Object::Process(_)) | None => {
            // SAFETY: it ends the process at once, which is what was asked for.
            unsafe { libc::_exit(code.cast_signed()) }
        }
        _ => return Err(Code::INVALID_HANDLE),
    };
    process.wanted.store(code, Ordering::Relaxed);
    let none = std::ptr::null::<libc::siginfo_t>();
    let sent = match &process.fd {
        // SAFETY: the descriptor is open and names the child, dead or alive; no information goes with the signal.
        Some(fd) => unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), libc::SIGKILL, none, 0) },
        // Before Linux 5.3. Acquire: pairs with the Release in `has_ended`, before which the number is the child's.
        None if process.code.load(Ordering::Acquire) == STILL_ACTIVE => {
            // SAFETY: it takes two numbers.
            unsafe { libc::kill(process.id.cast_signed(), libc::SIGKILL) }.into()
        }
        None => return Err(Code::ACCESS_DENIED),
    };
    if sent == 0 { Ok(()) } else { Err(Code::ACCESS_DENIED) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_cut_as_microsoft_does() {
        for (line, expected) in [
            (r#"a b  "c d" e"f g"h"#, vec!["a", "b", "c d", "ef gh"]),
            (r#""C:\x y\z.exe" 1c"#, vec![r"C:\x y\z.exe", "1c"]),
            (r#"a\\b "c\\" "d\"e" \"#, vec![r"a\\b", r"c\", r#"d"e"#, r"\"]),
            (r#"x "" y"#, vec!["x", "", "y"]),
            ("  ", vec![]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }
}
