//! The checks on Linux.

use std::{fs, io};

use rustix::io::Errno;
use rustix::process::Resource;

use super::{Check, Verdict};
use crate::sys::mapping::available_memory;
use crate::sys::namespace;

/// Below this a /dev/shm is a container's default and not somebody's choice.
const SMALL_SHM: u64 = 64 << 20;

/// All checks.
pub(crate) fn checks() -> Vec<Check> {
    let mut all = vec![kernel(), shm_place()];
    all.extend(shm_space());
    all.push(make_and_remove());
    all.extend(memory());
    all.extend(limits());
    all.push(huge_pages());
    all.extend(remove_ipc());
    all.push(leftovers());
    all.push(open_to_all());
    all.push(sight());
    all
}

/// The limit that an error of the system speaks of.
pub(crate) fn limit(error: &io::Error) -> Option<&'static str> {
    Some(match Errno::from_io_error(error)? {
        Errno::MFILE => "this process may have no more descriptors (`ulimit -n`)",
        Errno::NFILE => "this machine may have no more files open (sysctl fs.file-max)",
        Errno::AGAIN => {
            "this user may have no more threads or locked memory (`ulimit -u`, `ulimit -l`, pids.max of the cgroup)"
        }
        Errno::NOLCK => "the kernel has no memory for more locks",
        Errno::NOMEM => {
            "this process may have no more mappings or addresses (sysctl vm.max_map_count, `ulimit -v`), or the machine no memory"
        }
        Errno::NOSPC => "/dev/shm has no room, or no inodes, for another object; run `coview gc` or make it larger",
        _ => return None,
    })
}

fn kernel() -> Check {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match version {
        v if v >= (5, 14) => Check::good("kernel", format!("Linux {release}")),
        v if v >= (3, 17) => Check::poor(
            "kernel",
            Verdict::Note,
            format!("Linux {release}"),
            "before 5.14 prefault touches pages one by one; everything else works",
        ),
        _ => Check::poor("kernel", Verdict::Bad, format!("Linux {release}"), "memfd_create and file locks need 3.17"),
    }
}

fn shm_place() -> Check {
    let subject = "/dev/shm";
    let Ok(stat) = rustix::fs::stat("/dev/shm") else {
        let advice = "mount it: mount -t tmpfs -o mode=1777 tmpfs /dev/shm; names need it";
        return Check::poor(subject, Verdict::Bad, "there is none", advice);
    };
    let mode = stat.st_mode & 0o7777;
    if mode & 0o1000 == 0 && mode & 0o002 != 0 {
        let advice = "chmod 1777 /dev/shm: without the sticky bit every user can remove every object";
        return Check::poor(subject, Verdict::Bad, format!("mode {mode:04o}, not sticky"), advice);
    }
    if rustix::fs::access("/dev/shm", rustix::fs::Access::WRITE_OK).is_err() {
        return Check::poor(subject, Verdict::Bad, "you may not write to it", "chmod 1777 /dev/shm");
    }
    Check::good(subject, format!("mode {mode:04o}"))
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn shm_space() -> Option<Check> {
    let fs = rustix::fs::statvfs("/dev/shm").ok()?;
    let (size, free) = (fs.f_blocks * fs.f_frsize, fs.f_bavail * fs.f_frsize);
    let found = format!("{} free of {}", mib(free), mib(size));
    let subject = "space for names";
    Some(match () {
        () if size <= SMALL_SHM => Check::poor(
            subject,
            Verdict::Note,
            found,
            "a container's default; start it with a larger --shm-size (docker, podman) or an emptyDir with medium: Memory \
             (Kubernetes). A mapping that does not fit fails when it is created, never later",
        ),
        () if free < size / 20 => Check::poor(
            subject,
            Verdict::Bad,
            found,
            "nearly full: `coview gc`, then `coview ls --all` shows who has it",
        ),
        () => Check::good(subject, found),
    })
}

/// The proof of the pudding: one object, made, opened and removed.
fn make_and_remove() -> Check {
    use crate::sys::mapping::{Section, Spec};
    let subject = "objects";
    let slot = namespace::Slot::local(&format!("coview doctor {}", std::process::id()));
    let attempt = Section::create(Some(&slot), &Spec::new(1)).and_then(|(made, _)| {
        let opened = Section::open(&slot, true)?.is_some();
        drop(made);
        Ok(opened && Section::open(&slot, false)?.is_none())
    });
    let advice =
        "names need O_TMPFILE, linkat and open-file-description locks on /dev/shm; some sandboxes (gVisor) lack them";
    match attempt {
        Ok(true) => Check::good(subject, "made, opened and removed one"),
        Ok(false) => {
            Check::poor(subject, Verdict::Bad, "one was made but not found, or found when it was gone", advice)
        }
        Err(error) => Check::poor(subject, Verdict::Bad, format!("making one failed: {error}"), advice),
    }
}

fn memory() -> Option<Check> {
    let (bytes, whose) = available_memory()?;
    let found = format!("{} left to {whose}", mib(bytes));
    let advice = "a control group kills instead of refusing; larger mappings are refused by coview beforehand";
    Some(match bytes < 64 << 20 {
        true => Check::poor("memory", Verdict::Bad, found, advice),
        false => Check::good("memory", found),
    })
}

fn limits() -> Vec<Check> {
    let limit = |subject, resource, least: u64, flag: &str| {
        let current = rustix::process::getrlimit(resource).current;
        match current {
            Some(n) if n < least => {
                let advice = format!("raise it: `ulimit {flag}`, or LimitNOFILE=, LimitAS=, LimitFSIZE= of a service");
                Check::poor(subject, Verdict::Note, n.to_string(), advice)
            }
            Some(n) => Check::good(subject, n.to_string()),
            None => Check::good(subject, "unlimited"),
        }
    };
    let mut all = vec![
        limit("descriptors", Resource::Nofile, 1024, "-n"),
        limit("address space", Resource::As, 4 << 30, "-v"),
        limit("file size", Resource::Fsize, 4 << 30, "-f"),
    ];
    if let Some(count) = number("/proc/sys/vm/max_map_count") {
        all.push(match count < 65_530 {
            true => Check::poor("views a process", Verdict::Note, count.to_string(), "sysctl vm.max_map_count=65530"),
            false => Check::good("views a process", count.to_string()),
        });
    }
    all
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn huge_pages() -> Check {
    let subject = "huge pages";
    let Ok(text) = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled") else {
        return Check::good(subject, "this kernel has none for shared memory");
    };
    let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("?", |(word, _)| word);
    match chosen {
        "always" | "within_size" | "advise" | "force" => Check::good(subject, format!("{chosen} for shared memory")),
        _ => Check::poor(
            subject,
            Verdict::Note,
            format!("{chosen} for shared memory"),
            "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled lets Advice::HugePages work",
        ),
    }
}

/// logind deletes what a user has in /dev/shm when the last session of that user ends, unless told otherwise.
fn remove_ipc() -> Option<Check> {
    if !fs::exists("/run/systemd/system").unwrap_or(false) {
        return None;
    }
    let mut files = vec!["/etc/systemd/logind.conf".into()];
    for dir in ["/usr/lib/systemd/logind.conf.d", "/etc/systemd/logind.conf.d", "/run/systemd/logind.conf.d"] {
        files.extend(fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()));
    }
    let texts = files.iter().filter_map(|path: &std::path::PathBuf| fs::read_to_string(path).ok());
    let said =
        |text: String| text.lines().rev().find_map(|line| line.trim().strip_prefix("RemoveIPC=").map(str::to_owned));
    // Later files overrule earlier ones.
    let word = texts.filter_map(said).reduce(|_, later| later).unwrap_or_else(|| "yes (the default)".into());
    Some(match word.starts_with("no") || word.starts_with("false") || word.starts_with('0') {
        true => Check::good("systemd RemoveIPC", word),
        false => Check::poor(
            "systemd RemoveIPC",
            Verdict::Note,
            word,
            "at logout systemd deletes the user's objects under running services of that user: set RemoveIPC=no in \
             /etc/systemd/logind.conf, or run services as system users",
        ),
    })
}

fn leftovers() -> Check {
    match namespace::sweep(true) {
        Ok(found) if !found.objects.is_empty() => Check::poor(
            "leftovers",
            Verdict::Note,
            format!("{} stale objects hold {} bytes", found.objects.len(), found.bytes()),
            "`coview gc` gives that back; so does the next operation of any program of yours",
        ),
        Ok(_) => Check::good("leftovers", "none"),
        Err(error) => Check::poor("leftovers", Verdict::Bad, format!("cannot look: {error}"), "check /dev/shm"),
    }
}

fn open_to_all() -> Check {
    let subject = "too open";
    let Ok(entries) = namespace::list(false) else {
        return Check::good(subject, "cannot look");
    };
    let open: Vec<String> =
        entries.into_iter().filter(|e| e.mode.is_some_and(|mode| mode & 0o002 != 0)).map(|entry| entry.name).collect();
    match open.is_empty() {
        true => Check::good(subject, "no object can be written by all users"),
        false => Check::poor(
            subject,
            Verdict::Note,
            format!("all users can write to {}", open.join(", ")),
            "create it with --share group or a mode such as 0640 if that was not meant: who may write may also truncate",
        ),
    }
}

fn sight() -> Check {
    let hidden = fs::metadata("/proc/1/fd").is_ok_and(|_| fs::read_dir("/proc/1/fd").is_err());
    match hidden {
        true => Check::poor(
            "holders",
            Verdict::Note,
            "you see those of your own processes",
            "run `coview ls` as root to see the holders of all users",
        ),
        false => Check::good("holders", "you see those of all processes"),
    }
}
