//! `cargo xtask tidy`: the laws of the house that a program can check, one file each below `tidy/`.

mod floors;
mod links;
mod rooms;
mod text;

use std::path::Path;
use std::process::{Command, ExitCode};

/// One broken law: where, and what to do about it.
#[derive(Debug, PartialEq)]
struct Violation {
    line: usize,
    message: String,
}

impl Violation {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// Checks every file that git knows or would add, and prints `file:line: message` for each broken law.
pub(crate) fn run(root: &Path) -> ExitCode {
    let files = match listed(root) {
        Ok(files) => files,
        Err(why) => {
            eprintln!("tidy: cannot list the files with git: {why}");
            return ExitCode::from(2);
        }
    };
    let (mut checked, mut violations) = (0, 0);
    for file in files {
        // Deleted but still in the index, or not text: nothing to read.
        let Ok(content) = std::fs::read_to_string(root.join(&file)) else {
            continue;
        };
        checked += 1;
        for Violation { line, message } in check(root, &file, &content) {
            println!("{file}:{line}: {message}");
            violations += 1;
        }
    }
    println!("tidy: {checked} files checked, {violations} violations");
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Paths below `root`, with `/`, of the kinds we write by hand.
fn listed(root: &Path) -> Result<Vec<String>, String> {
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|e| e.to_string())?;
    if !git.status.success() {
        return Err(String::from_utf8_lossy(&git.stderr).trim().to_owned());
    }
    let names = String::from_utf8_lossy(&git.stdout);
    let mut files: Vec<String> = names.split('\0').filter(|f| by_hand(f)).map(str::to_owned).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

fn by_hand(file: &str) -> bool {
    let kinds = [".rs", ".md", ".toml", ".c", ".h", ".py", ".pyi", ".yml", ".sh", "justfile", ".ci/run"];
    kinds.iter().any(|kind| file.ends_with(kind))
}

fn check(root: &Path, file: &str, content: &str) -> Vec<Violation> {
    let mut found = text::whitespace(content);
    if file.ends_with(".md") {
        found.extend(links::check(root, file, content));
    }
    let ours = file.starts_with("crates/") || file.starts_with("xtask/");
    if file.ends_with(".rs") && ours {
        found.extend(rust(file, content));
    }
    found.sort_by_key(|v| v.line);
    found
}

fn rust(file: &str, content: &str) -> Vec<Violation> {
    let mut found: Vec<Violation> = text::opening(content).into_iter().collect();
    found.extend(text::file_length(content));
    match (syn::parse_file(content), content.parse()) {
        (Ok(syntax), Ok(tokens)) => {
            found.extend(text::function_lengths(&syntax));
            found.extend(floors::check(file, &syntax));
            found.extend(rooms::check(file, tokens));
        }
        (Err(why), _) => found.push(Violation::new(why.span().start().line, format!("does not parse: {why}"))),
        (_, Err(why)) => found.push(Violation::new(why.span().start().line, format!("does not lex: {why}"))),
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_breaks_several_laws_in_the_order_of_its_lines() {
        let content = "use crate::view::View; \nfn f() { unsafe {} }\n";
        let found = check(Path::new("/"), "crates/coview/src/name.rs", content);
        let lines: Vec<_> = found.iter().map(|v| v.line).collect();
        assert_eq!(lines, [1, 1, 1, 2], "{found:#?}");
    }

    #[test]
    fn a_file_that_does_not_parse_is_named() {
        let found = rust("crates/coview/src/name.rs", "//! Names.\n\nfn f( {\n");
        assert!(found.iter().any(|v| v.message.starts_with("does not parse")), "{found:#?}");
    }

    #[test]
    fn only_files_written_by_hand_are_read() {
        for file in ["a.rs", "docs/b.md", "justfile", ".ci/run", "Cargo.toml"] {
            assert!(by_hand(file), "{file}");
        }
        for file in ["Cargo.lock", "golden.bin", "LICENSE-MIT", "out.txt"] {
            assert!(!by_hand(file), "{file}");
        }
    }
}
