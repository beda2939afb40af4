//! `coview watch`: an object's fields or bytes, again and again, with what has changed.

use std::cell::Cell;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use coview::{Access, ErrorKind, Mapping};
use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Layout as Split};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use serde_json::{Value, json};

use super::read;
use super::stop::{Stop, Waited};
use super::terminal::{Input, Terminal, quits};
use crate::cli::WatchArgs;
use crate::failure::Failure;
use crate::layout::Layout;
use crate::output::HexDump;
use crate::preset;

/// Without a layout, so many bytes are shown.
const BYTES: u64 = 512;
/// What changed is marked for so long.
const MARKED: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(1);
const KEYS: &str = " q quit   \u{2191}\u{2193} scroll   * changed within the last second ";

pub(crate) fn run(args: &WatchArgs) -> Result<(), Failure> {
    let layout = args.layout.as_deref().map(preset::layout).transpose()?;
    let described = Cell::new(false);
    let look = || look(args, layout.as_ref(), &described);
    // What cannot be shown at all is an error; what goes away later may come again.
    let first = look()?.ok_or_else(|| absent(args))?;
    let stop = Stop::watch()?;
    match Terminal::is_there() && !args.json && args.count.is_none() {
        true => on_screen(args, first, look, &stop),
        false => in_lines(args, &first, look, &stop),
    }
}

/// What is there at one moment.
#[derive(PartialEq)]
struct Shown {
    /// A field or sixteen bytes each.
    lines: Vec<String>,
    json: Value,
}

fn absent(args: &WatchArgs) -> Failure {
    Failure::not_found(format!("cannot watch {}: no live object has this name; see `coview ls`", args.name))
}

/// Looks, and lets go of it: who watches keeps nothing alive. `None`: it is not there now, or, if it was `described` before,
/// does not describe itself yet: its maker begins anew.
fn look(args: &WatchArgs, layout: Option<&Layout>, described: &Cell<bool>) -> Result<Option<Shown>, Failure> {
    let mapping = match Mapping::open(&args.name, Access::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        mapping => mapping?,
    };
    let room = mapping.size().saturating_sub(args.offset);
    if let Some(layout) = layout {
        if layout.size() > room {
            let (name, size) = (&args.name, layout.size());
            return Err(Failure::new(format!(
                "cannot watch {name} by this layout: it has {size} bytes, the memory {room}"
            )));
        }
        return fields(layout, &mapping, args.offset..args.offset + layout.size()).map(Some);
    }
    if args.len.is_none() && args.offset == 0 {
        if let Some((layout, content)) = read::layout_of_region(&args.name, &mapping)? {
            described.set(true);
            return fields(&layout, &mapping, content).map(Some);
        }
        if described.get() {
            return Ok(None);
        }
    }
    let len = args.len.unwrap_or(BYTES.min(room));
    if len > room || len == 0 {
        let (name, offset, size) = (&args.name, args.offset, mapping.size());
        let why = format!("cannot watch {name}: {len} bytes from offset {offset} do not lie inside its {size} bytes");
        return Err(Failure::new(why));
    }
    let bytes = copy(&mapping, args.offset..args.offset + len)?;
    let line = |(index, piece): (usize, &[u8])| -> Result<String, Failure> {
        let mut line = Vec::new();
        HexDump::new().write(&mut line, args.offset + index as u64 * 16, piece)?;
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    };
    let lines = bytes.chunks(16).enumerate().map(line).collect::<Result<_, Failure>>()?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(Shown { lines, json: json!({ "offset": args.offset, "bytes": hex }) }))
}

fn copy(mapping: &Mapping, range: std::ops::Range<u64>) -> Result<Vec<u8>, Failure> {
    let view = mapping.view_range(Access::Read, range)?;
    let mut bytes = vec![0; view.len()];
    view.read(0, &mut bytes)?;
    Ok(bytes)
}

fn fields(layout: &Layout, mapping: &Mapping, range: std::ops::Range<u64>) -> Result<Shown, Failure> {
    let bytes = copy(mapping, range)?;
    let lines = layout.to_text(&bytes).lines().map(str::to_owned).collect();
    Ok(Shown { lines, json: layout.to_json(&bytes) })
}

/// For scripts: all of it at first, then the lines that have changed, or all of it as JSON.
fn in_lines(
    args: &WatchArgs,
    first: &Shown,
    look: impl Fn() -> Result<Option<Shown>, Failure>,
    stop: &Stop,
) -> Result<(), Failure> {
    let mut last: Vec<String> = Vec::new();
    let mut value = None;
    let mut tell = |shown: &Shown| -> io::Result<bool> {
        let mut out = io::stdout().lock();
        if args.json {
            if value.replace(shown.json.clone()).as_ref() == Some(&shown.json) {
                return Ok(false);
            }
            writeln!(out, "{}", shown.json)?;
            return out.flush().map(|()| true);
        }
        let new: Vec<&String> = shown
            .lines
            .iter()
            .enumerate()
            .filter(|(at, line)| last.get(*at) != Some(line))
            .map(|(_, line)| line)
            .collect();
        new.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        let changed = !new.is_empty();
        last.clone_from(&shown.lines);
        out.flush().map(|()| changed)
    };
    tell(first)?;
    let (mut changes, mut there) = (0, true);
    while args.count.is_none_or(|count| changes < count) {
        if let Waited::Stopped = pause(args.interval, stop)? {
            return args.count.map_or(Ok(()), |_| Err(Failure::interrupted()));
        }
        // What cannot be read is as good as gone: its maker may have begun anew.
        let shown = look().ok().flatten();
        if there && shown.is_none() {
            eprintln!("coview: note: {} is gone; waiting for it to come again", args.name);
        }
        there = shown.is_some();
        changes += match shown {
            Some(shown) => u64::from(tell(&shown)?),
            None => 0,
        };
    }
    Ok(())
}

fn pause(interval: Duration, stop: &Stop) -> Result<Waited<()>, Failure> {
    stop.wait(Some(interval.max(SHORTEST)), |left| {
        std::thread::sleep(left);
        Ok(None)
    })
}

fn on_screen(
    args: &WatchArgs,
    first: Shown,
    look: impl Fn() -> Result<Option<Shown>, Failure>,
    stop: &Stop,
) -> Result<(), Failure> {
    let mut screen = Screen::new(&args.name);
    screen.show(Some(first), Instant::now());
    let mut terminal = Terminal::take()?;
    while !stop.is_asked() {
        let next = Instant::now() + args.interval.max(SHORTEST);
        loop {
            terminal.draw(|frame| screen.draw(frame, Instant::now()))?;
            match terminal.input(next, stop)? {
                Input::Nothing => break,
                Input::Key(key) if quits(key) => return Ok(()),
                Input::Key(key) => screen.press(key.code),
                Input::Other => {}
            }
        }
        // What cannot be read is as good as gone: its maker may have begun anew.
        screen.show(look().ok().flatten(), Instant::now());
    }
    Ok(())
}

/// The lines as they are, and when each has changed.
struct Screen<'a> {
    name: &'a str,
    lines: Vec<(String, Option<Instant>)>,
    there: bool,
    changes: u64,
    top: usize,
}

impl Screen<'_> {
    fn new(name: &str) -> Screen<'_> {
        Screen { name, lines: Vec::new(), there: false, changes: 0, top: 0 }
    }

    fn show(&mut self, shown: Option<Shown>, now: Instant) {
        self.there = shown.is_some();
        let Some(shown) = shown else { return };
        let fresh = self.lines.is_empty();
        let mut changed = false;
        self.lines.resize(shown.lines.len(), (String::new(), None));
        for ((line, since), new) in self.lines.iter_mut().zip(shown.lines) {
            if *line != new {
                *since = (!fresh).then_some(now);
                changed |= !fresh;
                *line = new;
            }
        }
        self.changes += u64::from(changed);
    }

    fn press(&mut self, key: KeyCode) {
        let last = self.lines.len().saturating_sub(1);
        self.top = match key {
            KeyCode::Down | KeyCode::Char('j') => self.top + 1,
            KeyCode::Up | KeyCode::Char('k') => self.top.saturating_sub(1),
            KeyCode::PageDown => self.top + 20,
            KeyCode::PageUp => self.top.saturating_sub(20),
            _ => self.top,
        }
        .min(last);
    }

    fn draw(&self, frame: &mut Frame, now: Instant) {
        let parts = [Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)];
        let [title, body, keys] = Split::vertical(parts).areas(frame.area());
        let gone = if self.there { "" } else { "  gone; waiting for it to come again" };
        let text = format!(" {}  {} changes{gone}", self.name, self.changes);
        frame.render_widget(Line::from(text).style(Modifier::BOLD), title);
        let line = |(line, since): &(String, Option<Instant>)| {
            let marked = since.is_some_and(|since| now.saturating_duration_since(since) < MARKED);
            let style = if marked { Style::from(Modifier::BOLD).fg(Color::Yellow) } else { Style::new() };
            Line::from(format!("{} {line}", if marked { '*' } else { ' ' })).style(style)
        };
        let lines: Vec<Line> = self.lines.iter().skip(self.top).take(body.height.into()).map(line).collect();
        frame.render_widget(Paragraph::new(lines), body);
        frame.render_widget(Line::from(KEYS).style(Modifier::DIM), keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::{Terminal, backend::TestBackend};

    fn shown(lines: &[&str]) -> Option<Shown> {
        Some(Shown { lines: lines.iter().map(|line| (*line).to_owned()).collect(), json: Value::Null })
    }

    fn drawn(screen: &Screen, now: Instant) -> String {
        let mut terminal = Terminal::new(TestBackend::new(60, 6)).unwrap();
        terminal.draw(|frame| screen.draw(frame, now)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn what_changed_is_marked_for_a_while() {
        let (mut screen, begin) = (Screen::new("pose"), Instant::now());
        screen.show(shown(&["x = 1", "y = 2"]), begin);
        assert!(!drawn(&screen, begin).contains("* x") && !drawn(&screen, begin).contains("* y"));
        screen.show(shown(&["x = 1", "y = 3"]), begin);
        let now = drawn(&screen, begin);
        assert!(now.contains("* y = 3") && now.contains("  x = 1") && now.contains("1 changes"), "{now}");
        assert!(!drawn(&screen, begin + MARKED).contains("* y"));
        screen.show(None, begin);
        assert!(drawn(&screen, begin).contains("gone") && drawn(&screen, begin).contains("y = 3"));
        (0..9).for_each(|_| screen.press(KeyCode::Down));
        assert!(!drawn(&screen, begin).contains("x = 1") && drawn(&screen, begin).contains("y = 3"));
        screen.show(shown(&["z"]), begin);
        drawn(&screen, begin);
    }
}
