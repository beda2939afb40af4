//! How things are shown: sizes, tables, marks, JSON. Colours go to terminals only (`anstream` sees to it).

use std::fmt::Write as _;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const RED: Style = AnsiColor::Red.on_default();

/// Bytes in the unit people think in: `4.0 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// Writes a table with a heading; columns are as wide as their widest cell.
pub(crate) fn table(out: &mut impl Write, heading: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            let _ = write!(text, "{cell:<width$}  ");
        }
        text.trim_end().to_owned()
    };
    writeln!(out, "{BOLD}{}{BOLD:#}", line(&mut heading.iter().copied()))?;
    for row in rows {
        writeln!(out, "{}", line(&mut row.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// From here on copying shows its progress on a terminal.
const LONG: u64 = 256 << 20;

/// Shows on a terminal how far copying so many bytes is, if it takes long.
pub(crate) fn progress(bytes: u64) -> ProgressBar {
    let shown = if bytes >= LONG { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(bytes), shown);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}") {
        bar.set_style(style);
    }
    bar
}

/// Heights as a line of blocks, the highest of them full.
pub(crate) fn sparkline(heights: &[u64]) -> String {
    let most = heights.iter().copied().max().unwrap_or(0).max(1);
    let level = |height: u64| (u128::from(height) * 7).div_ceil(u128::from(most)) as u32;
    heights.iter().filter_map(|height| char::from_u32('▁' as u32 + level(*height))).collect()
}

/// Writes a value as indented JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), crate::failure::Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Sixteen bytes a line: offset, hexadecimal, text. Repeated lines are folded into one `*`.
pub(crate) struct HexDump {
    last: Vec<u8>,
    folding: bool,
}

impl HexDump {
    pub(crate) fn new() -> HexDump {
        HexDump { last: Vec::new(), folding: false }
    }

    /// Writes the lines of `data`, which begins at `offset`. All pieces but the last are multiples of 16 long.
    pub(crate) fn write(&mut self, out: &mut impl Write, offset: u64, data: &[u8]) -> io::Result<()> {
        for (line, chunk) in data.chunks(16).enumerate() {
            if chunk == self.last.as_slice() {
                if !self.folding {
                    writeln!(out, "*")?;
                }
                self.folding = true;
                continue;
            }
            self.folding = false;
            self.last = chunk.to_vec();
            let mut text = String::new();
            for (i, byte) in chunk.iter().enumerate() {
                let gap = if i == 8 { " " } else { "" };
                let _ = write!(text, "{gap}{byte:02x} ");
            }
            let shown: String =
                chunk.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
            writeln!(out, "{:08x}  {text:<49} |{shown}|", offset + line as u64 * 16)?;
        }
        Ok(())
    }

    /// Ends the dump with the offset behind it.
    pub(crate) fn end(&self, out: &mut impl Write, offset: u64) -> io::Result<()> {
        writeln!(out, "{offset:08x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_goes_from_nothing_to_the_highest() {
        assert_eq!(sparkline(&[0, 1, 4, 7]), "▁▂▅█");
        assert_eq!(
            (sparkline(&[0, 0]).as_str(), sparkline(&[u64::MAX]).as_str(), sparkline(&[]).as_str()),
            ("▁▁", "█", "")
        );
    }

    #[test]
    fn sizes_and_dumps() {
        assert_eq!((bytes(12).as_str(), bytes(4096).as_str(), bytes(5 << 30).as_str()), ("12 B", "4.0 KiB", "5.0 GiB"));
        let mut out = Vec::new();
        let mut dump = HexDump::new();
        let mut data = vec![0; 64];
        data[..5].copy_from_slice(b"hello");
        dump.write(&mut out, 0x100, &data).unwrap();
        dump.end(&mut out, 0x140).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("00000100  68 65 6c 6c 6f 00") && lines[0].ends_with("|hello...........|"));
        assert_eq!((lines.len(), lines[2], lines[3]), (4, "*", "00000140"));
    }
}
