//! The whole terminal, for commands that refresh it: given back whatever happens.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Frame};

use super::stop::Stop;
use crate::failure::Failure;

/// How soon a signal is noticed.
const TICK: Duration = Duration::from_millis(100);

/// The terminal is as it was when this goes; `ratatui` sees to panics itself.
pub(super) struct Terminal(DefaultTerminal);

/// What ended waiting.
pub(super) enum Input {
    Key(KeyEvent),
    /// The time is over, or a signal came.
    Nothing,
    /// The window may have another size.
    Other,
}

impl Terminal {
    /// Whether there is one.
    pub(super) fn is_there() -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    pub(super) fn take() -> Result<Terminal, Failure> {
        Ok(Terminal(ratatui::try_init()?))
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame)) -> Result<(), Failure> {
        self.0.draw(draw)?;
        Ok(())
    }

    pub(super) fn input(&self, until: Instant, stop: &Stop) -> Result<Input, Failure> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || stop.is_asked() {
                return Ok(Input::Nothing);
            }
            if !event::poll(left.min(TICK))? {
                continue;
            }
            return Ok(match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => Input::Key(key),
                _ => Input::Other,
            });
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Whether a key means the end, also where Ctrl-C is no signal.
pub(super) fn quits(key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        KeyCode::Char('q') | KeyCode::Esc => true,
        _ => false,
    }
}
