//! The demo is a promise of the README: every verdict must be good, and nothing may stay.

mod common;

use common::{run, text};

#[test]
fn all_systems_pass() {
    let output = run(&["demo", "--size", "256MiB"]);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", text(&output.stderr));
    for system in ["text:", "message:", "file:", "student:", "bigfile:", "frames:"] {
        assert!(shown.contains(system), "{system} is missing:\n{shown}");
    }
    assert!(!shown.contains("WRONG") && shown.contains(" 0 failed"), "{shown}");
    assert!(shown.contains("MemRead] id   = 99041232"), "{shown}");
}

#[test]
fn frames_are_made_from_a_file_that_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("photo.jpg");
    std::fs::write(&path, (0..70_001u64).map(|n| ((n * n) >> 7) as u8).collect::<Vec<u8>>()).unwrap();
    let output = run(&["demo", "frames", "--input", path.to_str().unwrap()]);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", text(&output.stderr));
    assert!(shown.contains(r#"B] the first picture says that it is "photo.jpg", 70001 bytes"#), "{shown}");
    for words in ["pictures of 68.4 KiB came: none lost, none torn", "pictures/s", "p50", "p99", "4 verdicts passed"] {
        assert!(shown.contains(words), "no {words:?} in {shown}");
    }
    let output = run(&["demo", "frames", "--input", "no such file"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
}

#[test]
fn a_failed_verdict_fails_the_demo() {
    let output = run(&["demo", "bigfile", "--size", "1MiB"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("1 failed"));
}
