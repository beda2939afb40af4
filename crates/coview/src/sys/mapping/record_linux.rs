//! The record in the named file of a file-backed mapping: which file holds the bytes (`docs/format.md`).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::sys::{Refusal, process};

const MAGIC: &[u8; 8] = b"coviewFB";
const REVISION: u32 = 1;
const HEAD: usize = 40;
const PATH_MAX: usize = 4096;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) size: u64,
    dev: u64,
    ino: u64,
    path: PathBuf,
}

impl Record {
    pub(super) fn of(file: &impl AsFd, path: &Path, size: u64) -> io::Result<Record> {
        Record::at(file, path.canonicalize()?, size)
    }

    /// A record of a file that is reached by this path, whatever it is called itself.
    pub(super) fn at(file: &impl AsFd, path: PathBuf, size: u64) -> io::Result<Record> {
        let stat = rustix::fs::fstat(file)?;
        #[allow(clippy::unnecessary_cast)] // their widths differ between architectures
        Ok(Record { size, dev: stat.st_dev as u64, ino: stat.st_ino as u64, path })
    }

    fn encode(&self) -> Vec<u8> {
        let path = self.path.as_os_str().as_bytes();
        let mut out = Vec::with_capacity(HEAD + path.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&REVISION.to_le_bytes());
        out.extend_from_slice(&(path.len() as u32).to_le_bytes());
        for number in [self.size, self.dev, self.ino] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(path);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Record> {
        let (head, path) = bytes.split_at_checked(HEAD)?;
        let (magic, head) = head.split_first_chunk::<8>()?;
        let (revision, head) = head.split_first_chunk::<4>()?;
        let (path_len, head) = head.split_first_chunk::<4>()?;
        let numbers: Vec<u64> = head.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
        let path = path.get(..u32::from_le_bytes(*path_len) as usize)?;
        if magic != MAGIC
            || u32::from_le_bytes(*revision) != REVISION
            || path.first() != Some(&b'/')
            || path.contains(&0)
        {
            return None;
        }
        let path = PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
        Some(Record { size: numbers[0], dev: numbers[1], ino: numbers[2], path })
    }

    pub(super) fn write(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let bytes = self.encode();
        super::commit_file(fd, 0, bytes.len() as u64)?;
        let mut done = 0;
        while done < bytes.len() {
            done += rustix::io::retry_on_intr(|| rustix::io::pwrite(fd, &bytes[done..], done as u64))?;
        }
        Ok(())
    }

    pub(crate) fn read(fd: BorrowedFd<'_>) -> io::Result<Record> {
        let mut bytes = vec![0; HEAD + PATH_MAX];
        let mut len = 0;
        loop {
            match rustix::io::retry_on_intr(|| rustix::io::pread(fd, &mut bytes[len..], len as u64))? {
                0 => break,
                more => len += more,
            }
        }
        Record::decode(&bytes[..len])
            .ok_or_else(|| Refusal::Corrupt("the record of the file behind it is damaged at offset 0".into()).into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The mode of a record that leads to `file`: who may not write the file may not turn the record elsewhere.
    pub(super) fn mode_for(file: &impl AsFd, mode: u32) -> io::Result<u32> {
        let file = rustix::fs::fstat(file)?;
        Ok(mode & !0o022 | mode & writers(&file, rustix::process::getegid().as_raw()))
    }

    /// Opens the file behind the mapping: by its path or, if that leads elsewhere by now, from a process that has it.
    pub(super) fn open(&self, record: BorrowedFd<'_>, writable: bool) -> io::Result<OwnedFd> {
        let found = self.find()?;
        self.check_trust(&rustix::fs::fstat(record)?, &rustix::fs::fstat(&found)?)?;
        let flags = if writable { OFlags::RDWR } else { OFlags::RDONLY } | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::open(format!("/proc/self/fd/{}", found.as_raw_fd()), flags, Mode::empty())
            .map_err(|e| self.denied(e))
    }

    /// The file, found but not opened: opening alone can have an effect if it is a device.
    fn find(&self) -> io::Result<OwnedFd> {
        let look = |path: &Path| rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let fits = |fd: &OwnedFd| {
            #[allow(clippy::unnecessary_cast)]
            rustix::fs::fstat(fd).is_ok_and(|s| (s.st_dev as u64, s.st_ino as u64) == (self.dev, self.ino))
        };
        let by_path = look(&self.path);
        // A process's descriptor: that number may be another user's process by now.
        let by_process = self.path.starts_with("/proc");
        if let Err(denied @ (Errno::ACCESS | Errno::PERM)) = by_path
            && !by_process
        {
            return Err(self.denied(denied));
        }
        let elsewhere = || look(&process::find_descriptor(self.dev, self.ino)?).ok();
        by_path.ok().filter(fits).or_else(|| elsewhere().filter(fits)).ok_or_else(|| {
            let shown = self.path.display();
            Refusal::Vanished(format!("the file behind it, {shown}, was moved or removed")).into()
        })
    }

    fn denied(&self, error: Errno) -> io::Error {
        match error {
            Errno::ACCESS | Errno::PERM => {
                let (shown, why) = (self.path.display(), io::Error::from(error));
                Refusal::Denied(format!("the file behind it, {shown}, does not let you open it so: {why}")).into()
            }
            other => other.into(),
        }
    }

    /// A record must not lead a more powerful user into a file that those who wrote it could not have opened.
    fn check_trust(&self, record: &Stat, file: &Stat) -> io::Result<()> {
        let shown = self.path.display();
        if FileType::from_raw_mode(file.st_mode) != FileType::RegularFile {
            return Err(Refusal::Corrupt(format!("its record leads to {shown}, which is not a regular file")).into());
        }
        let (writer, owner) = (record.st_uid, file.st_uid);
        if writer != owner && writer != rustix::process::geteuid().as_raw() && writer != 0 {
            return Err(Refusal::Denied(format!(
                "{} made the name, but the file behind it, {shown}, belongs to {}; open that file yourself if you mean it",
                process::user_name(writer),
                process::user_name(owner)
            ))
            .into());
        }
        if record.st_mode & 0o022 & !writers(file, record.st_gid) != 0 {
            return Err(Refusal::Denied(format!(
                "others than {} may have led the name to {shown}, which they may not write themselves; open that file \
                 yourself if you mean it",
                process::user_name(writer)
            ))
            .into());
        }
        Ok(())
    }
}

/// Which of the bits 022 of a record in this group go no further than those of the file it leads to.
fn writers(file: &Stat, group: u32) -> u32 {
    match file.st_mode {
        mode if mode & 0o002 != 0 => 0o022,
        mode if mode & 0o020 != 0 && file.st_gid == group => 0o020,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_round_trip_and_every_truncation() {
        let record = Record { size: 5 << 30, dev: 7, ino: 9, path: "/tmp/x y".into() };
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Some(record));
        for len in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes[..len]), None, "{len}");
        }
        for at in [0, 8, 12, HEAD] {
            let mut bad = bytes.clone();
            bad[at] ^= 0xff;
            assert_eq!(Record::decode(&bad), None, "byte {at}");
        }
    }
}
