//! The record in the named file of a file-backed mapping: which file holds the bytes (`docs/format.md`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

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
        let stat = rustix::fs::fstat(file)?;
        #[allow(clippy::unnecessary_cast)] // their widths differ between architectures
        Ok(Record { size, dev: stat.st_dev as u64, ino: stat.st_ino as u64, path: path.canonicalize()? })
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
        if magic != MAGIC || u32::from_le_bytes(*revision) != REVISION || path.first() != Some(&b'/') || path.contains(&0) {
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

    /// Opens the file behind the mapping: by its path or, if that leads elsewhere by now, from a process that has it.
    pub(super) fn open(&self, record: BorrowedFd<'_>, writable: bool) -> io::Result<OwnedFd> {
        let flags = if writable { OFlags::RDWR } else { OFlags::RDONLY } | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fits = |fd: &OwnedFd| {
            #[allow(clippy::unnecessary_cast)]
            rustix::fs::fstat(fd).is_ok_and(|s| (s.st_dev as u64, s.st_ino as u64) == (self.dev, self.ino))
        };
        let by_path = rustix::fs::open(&self.path, flags, Mode::empty());
        if let Err(denied @ (rustix::io::Errno::ACCESS | rustix::io::Errno::PERM)) = by_path {
            let shown = self.path.display();
            let text = format!("the file behind it, {shown}, does not let you open it so: {}", io::Error::from(denied));
            return Err(Refusal::Denied(text).into());
        }
        let elsewhere = || rustix::fs::open(process::find_descriptor(self.dev, self.ino)?, flags, Mode::empty()).ok();
        let fd = by_path.ok().filter(fits).or_else(|| elsewhere().filter(fits)).ok_or_else(|| {
            let shown = self.path.display();
            io::Error::from(Refusal::Vanished(format!("the file behind it, {shown}, was moved or removed")))
        })?;
        // A record must not lead a more powerful user into a file its writer could not have opened.
        let (writer, file) = (rustix::fs::fstat(record)?.st_uid, rustix::fs::fstat(&fd)?.st_uid);
        if writer != file && writer != rustix::process::geteuid().as_raw() && writer != 0 {
            return Err(Refusal::Denied(format!(
                "{} made the name, but the file behind it, {}, belongs to {}; open that file yourself if you mean it",
                process::user_name(writer),
                self.path.display(),
                process::user_name(file)
            ))
            .into());
        }
        Ok(fd)
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
