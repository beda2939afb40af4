//! Which rooms may ask for the platform, and which may say `unsafe`.

use proc_macro2::{Ident, TokenStream, TokenTree};

use super::Violation;

/// The sources these laws are for, and the rooms in them (a folder or a file) that are excused.
struct Rooms {
    below: &'static str,
    platform: &'static [&'static str],
    unsafety: &'static [&'static str],
}

const ROOMS: &[Rooms] = &[
    Rooms {
        below: "crates/coview/src/",
        platform: &["sys", "os"],
        unsafety: &["sys", "shared", "sync", "view", "region", "channel"],
    },
    Rooms { below: "crates/coview-cli/src/", platform: &["os"], unsafety: &["os"] },
    // Linux alone, so far: `main` says so elsewhere.
    Rooms { below: "crates/coview-bench/src/", platform: &["main", "lib"], unsafety: &["bare", "pair", "rival"] },
    Rooms { below: "crates/coview-capi/src/", platform: &["lib", "win32"], unsafety: &["model", "win32"] },
    Rooms { below: "crates/coview-python/src/", platform: &["awaiting", "os"], unsafety: &["buffer"] },
    Rooms { below: "xtask/src/", platform: &[], unsafety: &[] },
];

const ASKS: &[&str] = &["cfg", "cfg_attr", "cfg_select", "cfg_match"];
const PLATFORM: &[&str] = &["unix", "windows", "target_os", "target_family", "target_env", "target_vendor"];

pub(super) fn check(file: &str, tokens: TokenStream) -> Vec<Violation> {
    let Some((rooms, inside)) = ROOMS.iter().find_map(|r| Some((r, file.strip_prefix(r.below)?))) else {
        return Vec::new();
    };
    let room = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
    let mut scan = Scan {
        platform: !rooms.platform.contains(&room),
        unsafety: !rooms.unsafety.contains(&room),
        found: Vec::new(),
    };
    scan.stream(tokens);
    scan.found
}

/// Walks tokens, so that comments and strings never count and the insides of macros always do.
struct Scan {
    platform: bool,
    unsafety: bool,
    found: Vec<Violation>,
}

impl Scan {
    fn stream(&mut self, tokens: TokenStream) {
        let mut asked: Option<Ident> = None;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    self.word(&ident);
                    asked = Some(ident);
                }
                // `cfg!(…)` asks as `#[cfg(…)]` does.
                TokenTree::Punct(punct) if punct.as_char() == '!' => {}
                TokenTree::Group(group) => {
                    if let Some(ident) = asked.take().filter(|i| ASKS.iter().any(|ask| i == ask)) {
                        self.question(&ident, group.stream());
                    }
                    self.stream(group.stream());
                }
                _ => asked = None,
            }
        }
    }

    fn word(&mut self, ident: &Ident) {
        if self.unsafety && ident == "unsafe" {
            let says = "`unsafe` in a room that has none: the rooms that have it are listed in xtask/src/tidy/rooms.rs";
            self.found.push(Violation::new(ident.span().start().line, says));
        }
    }

    fn question(&mut self, ask: &Ident, predicate: TokenStream) {
        if let Some(word) = platform_word(predicate).filter(|_| self.platform) {
            let message = format!("`{ask}` on `{word}`: only `sys/` and `os/` know the platform");
            self.found.push(Violation::new(ask.span().start().line, message));
        }
    }
}

fn platform_word(predicate: TokenStream) -> Option<String> {
    predicate.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) => PLATFORM.iter().any(|p| ident == p).then(|| ident.to_string()),
        TokenTree::Group(group) => platform_word(group.stream()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str, content: &str) -> Vec<usize> {
        let tokens = content.parse().expect("the snippet lexes");
        check(file, tokens).iter().map(|v| v.line).collect()
    }

    #[test]
    fn platform_questions_are_for_sys_and_os() {
        let asks = [
            "#[cfg(windows)]\nfn f() {}",
            "#![cfg(not(unix))]",
            "const X: bool = cfg!(target_os = \"linux\");",
            "#[cfg_attr(all(test, target_family = \"unix\"), ignore)] fn f() {}",
            "cfg_if! { if #[cfg(windows)] { } }",
            "#[cfg(test)] mod tests { #[cfg(windows)] fn f() {} }",
        ];
        for ask in asks {
            assert_eq!(lines("crates/coview/src/name.rs", ask), [1], "{ask}");
            assert_eq!(lines("crates/coview/src/lib.rs", ask), [1], "{ask}");
            assert_eq!(lines("crates/coview-cli/src/commands/list.rs", ask), [1], "{ask}");
            assert_eq!(lines("crates/coview/src/sys/lock/mod.rs", ask), [0; 0], "{ask}");
            assert_eq!(lines("crates/coview/src/os/mod.rs", ask), [0; 0], "{ask}");
            assert_eq!(lines("crates/coview-cli/src/os/mod.rs", ask), [0; 0], "{ask}");
            assert_eq!(lines("crates/coview/tests/processes.rs", ask), [0; 0], "{ask}");
        }
    }

    #[test]
    fn other_questions_and_words_in_comments_are_free() {
        let free = [
            "#[cfg(test)] mod tests {}",
            "#[cfg(target_has_atomic = \"64\")] fn f() {}",
            "/// `#[cfg(windows)]` and unsafe { }\nfn f() {}",
            "// cfg(windows), unsafe\nfn f() { g(\"cfg(unix) unsafe\") }",
            "use crate::sys::windows;",
        ];
        for text in free {
            assert_eq!(lines("crates/coview/src/name.rs", text), [0; 0], "{text}");
        }
    }

    #[test]
    fn unsafe_is_for_the_rooms_that_have_it() {
        let says = ["fn f() {\n unsafe { g() } }", "\nunsafe impl Send for S {}", "m! {\n unsafe { g() } }"];
        for text in says {
            for room in ["name.rs", "mapping.rs", "inspect/mod.rs", "named/mutex.rs", "lib.rs"] {
                assert_eq!(lines(&format!("crates/coview/src/{room}"), text), [2], "{room}: {text}");
            }
            for room in ["sys/mapping/linux.rs", "shared.rs", "view.rs", "sync/mutex.rs", "region/mod.rs"] {
                assert_eq!(lines(&format!("crates/coview/src/{room}"), text), [0; 0], "{room}: {text}");
            }
            assert_eq!(lines("crates/coview-cli/src/main.rs", text), [2]);
            assert_eq!(lines("crates/coview/tests/processes.rs", text), [0; 0]);
        }
    }

    #[test]
    fn allowing_the_lint_is_not_saying_it() {
        assert_eq!(lines("crates/coview/src/lib.rs", "#[allow(unsafe_code)] mod sys;"), [0; 0]);
    }
}
