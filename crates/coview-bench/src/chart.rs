//! The tables as a picture: a bar for each contender, as long as its figure.

use std::fmt::Write;

use crate::report::{Report, Table};
use crate::stats::Ratio;

const LINE: usize = 24;
const LABELS: usize = 230;
const LONGEST: usize = 320;
const WIDTH: usize = 760;

/// The picture of all tables, one under the other, as SVG.
pub(crate) fn draw(report: &Report) -> String {
    let mut body = String::new();
    let mut y = 12;
    for table in &report.tables {
        y = draw_table(&mut body, table, y);
    }
    for line in report.conditions().lines() {
        y += 16;
        let _ = writeln!(body, r#"<text class="quiet" x="16" y="{y}">{}</text>"#, escape(line.trim()));
    }
    let height = y + 16;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">
<style>
  text {{ fill: #1f2328 }}
  .quiet {{ fill: #57606a; font-size: 10px }}
  .bar {{ fill: #8c959f }}
  .ours {{ fill: #0969da }}
</style>
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
{body}</svg>
"##
    )
}

fn draw_table(body: &mut String, table: &Table, top: usize) -> usize {
    let longest = table.rows.iter().map(|row| row.median).fold(0.0, f64::max);
    let mut y = top + LINE;
    let better = table.unit.better();
    let title = format!("{}: {}", table.name, table.title);
    let _ = writeln!(body, r#"<text x="16" y="{y}" font-weight="bold">{}</text>"#, escape(&title));
    y += 16;
    let under = format!("{better}; × {}", table.yardstick);
    let _ = writeln!(body, r#"<text class="quiet" x="16" y="{y}">{}</text>"#, escape(&under));
    for row in &table.rows {
        y += LINE;
        let length = (row.median / longest * LONGEST as f64).max(1.0);
        let length = if length.is_finite() { length } else { 0.0 };
        let class = if row.contender.starts_with("coview") { "ours" } else { "bar" };
        let (text, bar, end) = (LABELS - 10, y - 14, LABELS as f64 + length + 8.0);
        let value = format!("{} ({} ×)", table.unit.show(row.median), Ratio(row.ratio));
        let _ = writeln!(body, r#"<text x="{text}" y="{y}" text-anchor="end">{}</text>"#, escape(row.contender));
        let _ = writeln!(body, r#"<rect class="{class}" x="{LABELS}" y="{bar}" width="{length:.1}" height="18"/>"#);
        let _ = writeln!(body, r#"<text x="{end:.1}" y="{y}">{}</text>"#, escape(&value));
    }
    y + LINE / 2
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_the_picture() {
        assert_eq!(escape("a < b & c > d"), "a &lt; b &amp; c &gt; d");
    }
}
