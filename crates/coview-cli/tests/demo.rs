//! The demo is a promise of the README: every verdict must be good, and nothing may stay.

mod common;

use common::{run, text};

#[test]
fn all_systems_pass() {
    let output = run(&["demo", "--size", "256MiB"]);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", text(&output.stderr));
    for system in ["text:", "message:", "file:", "student:", "bigfile:"] {
        assert!(shown.contains(system), "{system} is missing:\n{shown}");
    }
    assert!(!shown.contains("WRONG") && shown.contains(" 0 failed"), "{shown}");
    assert!(shown.contains("MemRead] id   = 99041232"), "{shown}");
}

#[test]
fn a_failed_verdict_fails_the_demo() {
    let output = run(&["demo", "bigfile", "--size", "1MiB"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("1 failed"));
}
