//! The live screen of `coview top`: a table, and below it the ends of the channel that is chosen.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Cell, Paragraph, Row as TableRow, Sparkline, Table, TableState};

use super::super::terminal::{Input, Terminal, quits};
use super::{HEADING, Row, Sampler, Stop, cells, policy, sort};
use crate::cli::{SortBy, TopArgs};
use crate::failure::Failure;
use crate::output;

/// Samples that the line of a channel's past can show.
const PAST: usize = 400;
/// From this column on there are numbers, which stand at the right.
const NUMBERS: usize = 2;
/// The columns that go first on a narrow screen: size, holders, use, memory, kind.
const SPARE: [usize; 5] = [2, 4, 7, 3, 1];
/// Of a name, at least so much is shown; between columns, so much is free.
const SHORT: u16 = 20;
const GAP: u16 = 2;
const KEYS: &str = " q quit   \u{2191}\u{2193} choose   sort by: n name  s size  m memory  r messages/s  b bytes/s  l lag  d drops   again: reverse ";

/// Shows samples until somebody quits.
pub(super) fn run(args: &TopArgs, interval: Duration, stop: &Stop) -> Result<(), Failure> {
    let mut sampler = Sampler::new(args.all);
    let mut screen = Screen::new(args.sort);
    let mut terminal = Terminal::take()?;
    while !stop.is_asked() {
        screen.show(sampler.sample()?);
        let next = Instant::now() + interval;
        loop {
            terminal.draw(|frame| screen.draw(frame))?;
            match terminal.input(next, stop)? {
                Input::Nothing => break,
                Input::Key(key) if quits(key) => return Ok(()),
                Input::Key(key) => screen.press(key.code),
                Input::Other => {}
            }
        }
    }
    Ok(())
}

/// The columns that a screen has room for, when a name may be cut.
fn columns_for(widths: &[u16], room: u16) -> Vec<usize> {
    let mut columns: Vec<usize> = (0..widths.len()).collect();
    for spare in SPARE {
        let needed = columns.iter().map(|column| if *column == 0 { SHORT } else { widths[*column] } + GAP).sum::<u16>();
        if needed <= room + GAP {
            break;
        }
        columns.retain(|column| *column != spare);
    }
    columns
}

/// What is shown, and how.
struct Screen {
    rows: Vec<Row>,
    by: SortBy,
    reverse: bool,
    /// The name of the chosen object: rows move.
    chosen: Option<String>,
    /// Bytes a second of each channel, the last ones at the end.
    past: HashMap<String, VecDeque<u64>>,
    table: TableState,
}

impl Screen {
    fn new(by: SortBy) -> Screen {
        let (rows, past) = (Vec::new(), HashMap::new());
        Screen { rows, by, reverse: false, chosen: None, past, table: TableState::default() }
    }

    fn show(&mut self, rows: Vec<Row>) {
        self.rows = rows;
        self.past.retain(|name, _| self.rows.iter().any(|row| row.entry.name == *name));
        for row in &self.rows {
            let Some(bytes) = row.bytes else { continue };
            let past = self.past.entry(row.entry.name.clone()).or_default();
            past.push_back(bytes as u64);
            if past.len() > PAST {
                past.pop_front();
            }
        }
        self.order();
    }

    fn order(&mut self) {
        sort(&mut self.rows, self.by, self.reverse);
        let chosen = self.rows.iter().position(|row| Some(&row.entry.name) == self.chosen.as_ref());
        self.table.select(chosen.or((!self.rows.is_empty()).then_some(0)));
    }

    fn press(&mut self, key: KeyCode) {
        let by = match key {
            KeyCode::Down | KeyCode::Char('j') => return self.choose(1),
            KeyCode::Up | KeyCode::Char('k') => return self.choose(-1),
            KeyCode::Char('n') => SortBy::Name,
            KeyCode::Char('s') => SortBy::Size,
            KeyCode::Char('m') => SortBy::Memory,
            KeyCode::Char('r') => SortBy::Messages,
            KeyCode::Char('b') => SortBy::Bytes,
            KeyCode::Char('l') => SortBy::Lag,
            KeyCode::Char('d') => SortBy::Drops,
            _ => return,
        };
        self.reverse = by == self.by && !self.reverse;
        self.by = by;
        self.order();
    }

    fn choose(&mut self, by: isize) {
        let last = self.rows.len().saturating_sub(1);
        let to = self.table.selected().unwrap_or(0).saturating_add_signed(by).min(last);
        self.chosen = self.rows.get(to).map(|row| row.entry.name.clone());
        self.order();
    }

    fn draw(&mut self, frame: &mut Frame) {
        let ends = self.ends().len() as u16;
        let below = if self.chosen_channel().is_some() { (ends + 2).clamp(3, 12) } else { 0 };
        let parts = [Constraint::Length(1), Constraint::Min(3), Constraint::Length(below), Constraint::Length(1)];
        let [title, table, detail, keys] = Layout::vertical(parts).areas(frame.area());
        let channels = self.rows.iter().filter(|row| row.channel.is_some()).count();
        let memory: u64 = self.rows.iter().filter_map(|row| row.entry.resident).sum();
        let all = format!(" coview  {} objects, {channels} channels, {}", self.rows.len(), output::bytes(memory));
        frame.render_widget(Line::from(all).style(Modifier::BOLD), title);
        self.draw_table(frame, table);
        self.draw_chosen(frame, detail);
        frame.render_widget(Line::from(KEYS).style(Modifier::DIM), keys);
    }

    fn draw_table(&mut self, frame: &mut Frame, area: Rect) {
        let shown: Vec<[String; 11]> = self.rows.iter().map(cells).collect();
        let width = |column: usize| {
            let cells = shown.iter().map(|cells| cells[column].chars().count());
            cells.chain([HEADING[column].len()]).max().unwrap_or(0) as u16
        };
        let widths: Vec<u16> = (0..HEADING.len()).map(width).collect();
        let columns = columns_for(&widths, area.width);
        let cell = |column: usize, text: &str| {
            let at = if column >= NUMBERS { Alignment::Right } else { Alignment::Left };
            Cell::from(Text::from(text.to_owned()).alignment(at))
        };
        let sorted = self.by.column();
        let heading = columns.iter().map(|column| {
            let style = if *column == sorted { Modifier::UNDERLINED } else { Modifier::empty() };
            cell(*column, HEADING[*column]).style(style)
        });
        let row = |cells: &[String; 11]| TableRow::new(columns.iter().map(|column| cell(*column, &cells[*column])));
        let constraints = columns.iter().map(|column| match column {
            0 => Constraint::Min(SHORT),
            _ => Constraint::Length(widths[*column]),
        });
        let table = Table::new(shown.iter().map(row), constraints)
            .header(TableRow::new(heading).style(Modifier::BOLD))
            .column_spacing(GAP)
            .row_highlight_style(Style::from(Modifier::REVERSED));
        frame.render_stateful_widget(table, area, &mut self.table);
    }

    fn chosen_channel(&self) -> Option<&Row> {
        self.rows.get(self.table.selected()?).filter(|row| row.channel.is_some())
    }

    /// A line for each end of the chosen channel.
    fn ends(&self) -> Vec<String> {
        let Some(channel) = self.chosen_channel().and_then(|row| row.channel.as_ref()) else { return Vec::new() };
        let senders = channel.senders.iter().map(|peer| format!("sends      {}", peer.process));
        let receivers = channel.receivers.iter().map(|one| {
            let (process, policy) = (one.peer.process, policy(one.policy));
            format!("receives   {process:<9} {policy:<12} {} behind, {} dropped", one.lag, one.lost)
        });
        senders.chain(receivers).collect()
    }

    fn draw_chosen(&self, frame: &mut Frame, area: Rect) {
        let Some(row) = self.chosen_channel().filter(|_| !area.is_empty()) else { return };
        let name = &cells(row)[0];
        let [left, right] = Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(area);
        let ends = self.ends().into_iter().map(Line::from).collect::<Vec<Line>>();
        frame.render_widget(Paragraph::new(ends).block(Block::bordered().title(format!(" {name} "))), left);
        let past = self.past.get(&row.entry.name).cloned().unwrap_or_default();
        let room = right.width.saturating_sub(2) as usize;
        let newest: Vec<u64> = past.iter().skip(past.len().saturating_sub(room)).copied().collect();
        let most = output::bytes(newest.iter().copied().max().unwrap_or(0));
        let block = Block::bordered().title(format!(" bytes/s, at most {most} "));
        frame.render_widget(Sparkline::default().data(newest).block(block), right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coview::frames::{Frames, Policy};
    use ratatui::{Terminal, backend::TestBackend};

    fn drawn(screen: &mut Screen, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    fn places_after(screen: &mut Screen, key: char, places: impl Fn(&Screen) -> Vec<usize>) -> Vec<usize> {
        screen.press(KeyCode::Char(key));
        places(screen)
    }

    #[test]
    fn a_channel_is_shown_with_its_ends_in_any_order_and_size() {
        let name = |text: &str| format!("screen-{text}-{}", std::process::id());
        let busy = Frames::<[u8]>::create(&name("busy")).unwrap();
        let _idle = Frames::<[u8]>::create(&name("idle")).unwrap();
        let (publisher, _slow) = (busy.publisher().unwrap(), busy.subscriber(Policy::DropOldest).unwrap());
        let mut sampler = Sampler::new(false);
        sampler.sample().unwrap();
        (0..7).for_each(|_| publisher.send(&[1; 5000]).unwrap());
        let mut screen = Screen::new(SortBy::Lag);
        screen.show(sampler.sample().unwrap());
        let shown = drawn(&mut screen, 160, 40);
        let line = shown.lines().find(|line| line.contains(&name("busy"))).unwrap_or_else(|| panic!("{shown}"));
        assert!(line.contains("frames") && line.contains("1>1"), "{shown}");
        screen.chosen = Some(format!(r"Local\{}", name("busy")));
        screen.order();
        let shown = drawn(&mut screen, 160, 40);
        assert!(shown.contains("7 behind, 0 dropped") && shown.contains("bytes/s, at most"), "{shown}");
        assert!(shown.contains(&format!("sends      {}", std::process::id())), "{shown}");

        let places = |screen: &Screen| -> Vec<usize> {
            let place = |text| screen.rows.iter().position(|row| row.entry.name.ends_with(&name(text))).unwrap();
            vec![place("busy"), place("idle")]
        };
        assert!(places_after(&mut screen, 'n', places).is_sorted());
        assert!(!places_after(&mut screen, 'n', places).is_sorted(), "the same key again reverses");
        assert!(places_after(&mut screen, 'b', places).is_sorted());
        assert!(screen.table.selected() == Some(places(&screen)[0]), "the chosen one stays chosen");
        for (width, height) in [(1, 1), (20, 3), (80, 4), (300, 100)] {
            drawn(&mut screen, width, height);
        }
    }

    #[test]
    fn a_narrow_screen_shows_what_matters() {
        let widths = [30, 6, 9, 9, 7, 6, 9, 6, 4, 5, 5];
        assert_eq!(columns_for(&widths, 200).len(), 11);
        assert_eq!(columns_for(&widths, 80), [0, 1, 3, 5, 6, 8, 9, 10]);
        assert_eq!(columns_for(&widths, 10), [0, 5, 6, 8, 9, 10]);
    }

    #[test]
    fn choosing_stops_at_both_ends() {
        let mut screen = Screen::new(SortBy::Name);
        screen.show(Vec::new());
        screen.choose(1);
        screen.choose(-1);
        assert!(screen.table.selected().is_none());
        drawn(&mut screen, 80, 24);
    }
}
