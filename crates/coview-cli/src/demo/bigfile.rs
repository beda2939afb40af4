//! System S4's large file: one process plants records, another finds them window by window in little memory.

use coview::{Access, Mapping, Protection};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Part, Stage};
use crate::failure::Failure;
use crate::output;

const RECORD: &[u8; 48] = b"coview: this record was planted to be found here";
/// Window of the search; one record straddles one of its borders.
const WINDOW: u64 = 16 << 20;
/// What is copied out of a window at a time.
const PIECE: usize = 256 << 10;
/// The most memory the search may have had: views of one window, buffers, the program itself.
const ALLOWED: u64 = 64 << 20;

/// Where the records are: beyond 5 GiB if the file is so large, and across a border between windows.
fn places(size: u64) -> [u64; 2] {
    let far = if size > (5 << 30) + (1 << 20) { (5 << 30) + 54_321 } else { size / 4 * 3 + 54_321 };
    [size / 2 / WINDOW * WINDOW - RECORD.len() as u64 / 2, far]
}

pub(super) fn run(stage: &mut Stage) -> Result<(), Failure> {
    let size = stage.size;
    if size < 4 * WINDOW {
        return Err(Failure::usage(format!("bigfile needs a --size of at least {}", output::bytes(4 * WINDOW))));
    }
    let path = stage.scratch().join("big.bin").to_string_lossy().into_owned();
    let planted = Part::run("plant", "bigfile-plant", &[&path, &size.to_string()])?;
    stage.verdict(&format!("two records stand in a sparse file of {}", output::bytes(size)), planted.code == Some(0));
    let found = Part::run("find", "bigfile-find", &[&path])?;
    let [border, far] = places(size).map(|at| found.said(&format!("found a record at {at} ")));
    stage.verdict("the record far behind is found", far);
    stage.verdict("the record that straddles two windows is found", border);
    let once = found.said.iter().filter(|line| line.starts_with("found a record")).count() == 2;
    stage.verdict("each is found once", found.code == Some(0) && once);
    if found.said("peak memory") {
        stage.verdict(
            &format!("peak memory stays under {}", output::bytes(ALLOWED)),
            found.said("peak memory was small"),
        );
    }
    std::fs::remove_file(path)?;
    Ok(())
}

pub(super) fn plant(path: &str, size: &str) -> Result<(), Failure> {
    let size = size.parse().map_err(|_| Failure::usage("the size is no number"))?;
    let mapping = Mapping::options().size(size).file(path).reserve(true).create_unnamed()?;
    for at in places(size) {
        let view = mapping.view_range(Access::ReadWrite, at..at + RECORD.len() as u64)?;
        view.write(0, RECORD)?;
        println!("planted a record at {at} ({})", output::bytes(at));
    }
    Ok(())
}

pub(super) fn find(path: &str) -> Result<(), Failure> {
    let mapping = Mapping::options().file(path).protection(Protection::ReadOnly).create_unnamed()?;
    let bar = ProgressBar::new(mapping.size());
    if let Ok(style) = ProgressStyle::with_template("  {bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec}") {
        bar.set_style(style);
    }
    let finder = memchr::memmem::Finder::new(RECORD);
    let overlap = RECORD.len() - 1;
    let mut buffer = vec![0; PIECE];
    for window in mapping.windows(Access::Read, WINDOW as usize).overlap(overlap) {
        let window = window?;
        let last = window.len().saturating_sub(overlap).max(1);
        for start in (0..last).step_by(PIECE - overlap) {
            let piece = &mut buffer[..PIECE.min(window.len() - start)];
            window.read(start, piece)?;
            for hit in finder.find_iter(piece) {
                let at = window.range().start + (start + hit) as u64;
                bar.suspend(|| println!("found a record at {at} ({})", output::bytes(at)));
            }
        }
        bar.set_position(window.range().end);
    }
    bar.finish_and_clear();
    if let Some(peak) = peak_memory() {
        let verdict = if peak < ALLOWED { "small" } else { "LARGE" };
        println!("peak memory was {verdict}: {}", output::bytes(peak));
    }
    Ok(())
}

/// The most memory this process ever had, where the system says so in a file.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}
