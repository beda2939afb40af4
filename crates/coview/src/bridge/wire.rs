//! What the two ends of a bridge say to each other: lines of words.
//!
//! A request is `ID VERB WORD…`; its answer any number of rows `ID row WORD…`, then `ID ok WORD…` or `ID error CODE DETAIL`, where
//! CODE is an [`ErrorKind`]'s. Answers to requests that wait come when they come. In a word `%XX` stands for a byte that would end it.

use std::collections::VecDeque;

use crate::error::ErrorKind;

/// The words of an answer, taken one after the other. What is missing or is no number counts as absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words(VecDeque<String>);

impl Words {
    pub(super) fn of(line: &str) -> Words {
        Words(line.trim_end().split(' ').map(decode).collect())
    }

    pub(super) fn text(&mut self) -> String {
        self.0.pop_front().unwrap_or_default()
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        self.0.pop_front()?.parse().ok()
    }

    /// A number or `-`, as `option` writes it.
    pub(super) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    pub(super) fn rest(self) -> impl Iterator<Item = String> {
        self.0.into_iter()
    }
}

/// A line of these words, its end included.
pub(super) fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(encode).collect();
    words.join(" ") + "\n"
}

pub(super) fn option(number: Option<impl ToString>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn encode(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    for c in word.chars() {
        match c {
            c if c <= ' ' || c == '%' || c == '\u{7f}' => out.push_str(&format!("%{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn decode(word: &str) -> String {
    let mut parts = word.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(u8::is_ascii);
        out.push(byte.map_or(char::REPLACEMENT_CHARACTER, char::from));
        out.push_str(part.get(2..).unwrap_or_default());
    }
    out
}

/// The kind with this number; those that this version does not know are the system's.
pub(super) fn kind_of(code: Option<u64>) -> ErrorKind {
    use ErrorKind::*;
    let known = [NotFound, AlreadyExists, AccessDenied, WrongKind, TimedOut, InvalidName, InvalidInput, OutOfRange];
    let known = known.into_iter().chain([OutOfMemory, Vanished, Corrupt, Unsupported]);
    known.into_iter().find(|kind| Some(u64::from(kind.code())) == code).unwrap_or(Os)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_were() {
        let words = [r"Local\a b", "100%", "", "Ü\n\t", "%20"];
        let line = line(words);
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(Words::of(&line).rest().collect::<Vec<_>>(), words);
    }

    #[test]
    fn nonsense_is_absent() {
        let mut words = Words::of("x% %zz%ff 7 -1 99999999999");
        assert_eq!((words.text().as_str(), words.text().as_str()), ("x\u{fffd}", "\u{fffd}\u{fffd}"));
        assert_eq!((words.small(), words.number(), words.small(), words.number()), (Some(7), None, None, None));
        assert_eq!(kind_of(Some(4)), ErrorKind::WrongKind);
        assert_eq!((kind_of(Some(400)), kind_of(None)), (ErrorKind::Os, ErrorKind::Os));
    }
}
