# What people and CI run. `just` alone lists it; a red job is repeated by its name.

_default:
    @just --list --unsorted

# Format, lints, laws of the house, dependencies
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo xtask tidy
    @if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; else echo "deny: cargo-deny is not installed, skipped"; fi

# Every test of the library, the program and the pages, then those of the chores
test *args:
    cargo test {{ args }}
    cargo test -p xtask

# The same tests, built for Windows and run under Wine
windows *args:
    cargo xtask windows {{ args }}

# Clippy over the Windows sources
windows-lint:
    cargo xtask windows --lint

# What the program shows to somebody new
demo:
    cargo run --release -- demo

# Kills a process after every so many instructions of each operation; POINTS=0 is every one, and takes an hour
crash POINTS="400":
    COVIEW_STEP_POINTS={{ POINTS }} cargo test --release -p coview --test stepper

# The storm: processes that are killed at random, for minutes
soak *args:
    cargo test --release -p coview --test storm -- --ignored --nocapture {{ args }}

# How fast
bench *args:
    cargo bench -p coview {{ args }}

# The reference, with every warning an error
doc *args:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked {{ args }}

# Known holes in what we depend on; fetches the database, so not part of `check`
advisories:
    cargo deny check advisories
