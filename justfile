# What people and CI run. `just` alone lists it; a red job is repeated by its name.

_default:
    @just --list --unsorted

# Format, lints, laws of the house, dependencies
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo xtask tidy
    cargo xtask header --check
    @if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; else echo "deny: cargo-deny is not installed, skipped"; fi

# Every test of the library, the program and the pages, then those of the chores
test *args:
    cargo test {{ args }}
    cargo test -p xtask

# The same tests, built for Windows and run under Wine
windows *args:
    cargo xtask windows {{ args }}

# These two choose by --test alone, as `test` does: with -p the features differ, and libcoview_capi.so is made anew under tests that
# load it meanwhile.

# The Win32 programs of the C face, built for Windows by mingw and run under Wine: what they do on Linux must be that
windows-programs:
    COVIEW_TEST_WINE=1 cargo test --test win32_programs under_wine

# The bridge: programs under Wine and native ones share memory, as an ordinary user; prints how long a word takes
bridge:
    cargo xtask windows --build --dev
    COVIEW_TEST_WINE=1 cargo test --test wine -- --nocapture

# Clippy over the Windows sources
windows-lint:
    cargo xtask windows --lint

# What the program shows to somebody new; FLAGS are cargo's, such as --release
demo *flags:
    cargo run {{ flags }} -- demo

# Kills processes after every so many instructions of each operation, and at every system call, without the back-stop; runs the models; and
# must catch the broken variants of both. POINTS=0 is every instruction, and takes hours
crash POINTS="60":
    COVIEW_STEP_POINTS={{ POINTS }} RUSTFLAGS="--cfg coview_step" CARGO_TARGET_DIR=target/step CARGO_PROFILE_RELEASE_LTO=off \
        cargo test --release --locked -p coview --test model --test stepper

# Uses everything and kills at random, for a DURATION (`90`, `10m`, `8h`); the same SEED decides the same
soak DURATION="10m" SEED="1":
    COVIEW_SOAK={{ DURATION }} COVIEW_SEED={{ SEED }} cargo test --release --locked -p coview --test soak -- --nocapture

# Scribbles over the memory of TARGET, or of each, for so many SECONDS, led by what the tapes reach; needs cargo-fuzz and a nightly
# toolchain. `just test` plays some random tapes
fuzz TARGET="" SECONDS="60":
    #!/usr/bin/env bash
    set -euo pipefail
    mkdir -p fuzz/artifacts && cd fuzz
    for target in {{ if TARGET == "" { "$(cargo +nightly fuzz list --fuzz-dir .)" } else { TARGET } }}; do
        cargo +nightly fuzz run --fuzz-dir . "$target" -- -max_total_time={{ SECONDS }} -timeout=20 -print_final_stats=1 2>&1 |
            tee "artifacts/$target.log" | awk -v target="$target" '
                /panicked|SUMMARY|ERROR|deadly|Test unit written/ { print }
                /^stat::number_of_executed_units/ { print "count fuzz executions: " target " " $2 }'
    done

# The table of docs/reliability.md: what tries to break the library, in its short form, or with `--long POINTS SECONDS DURATION`
reliability *args:
    cargo xtask reliability {{ args }}

# How fast: the library's calls (`cargo bench -p coview`), then two processes beside their peers, who get ARGS
bench *args:
    cargo bench -p coview
    cargo run --release -p coview-bench -- {{ args }}

target := env("CARGO_TARGET_DIR", "target")

# The wheel for Python, into target/wheels; FLAGS are maturin's, such as --release
wheel *flags:
    test -x {{ target }}/maturin/bin/maturin || python3 -m venv {{ target }}/maturin
    {{ target }}/maturin/bin/pip install --quiet 'maturin>=1.9,<2'
    rm -f {{ target }}/wheels/coview-*.whl
    {{ target }}/maturin/bin/maturin build --quiet --locked -m crates/coview-python/Cargo.toml --out {{ target }}/wheels {{ flags }}

# The wheel in a fresh virtual environment, and its tests; ARGS are pytest's
python *args: wheel
    rm -rf {{ target }}/python
    python3 -m venv {{ target }}/python
    {{ target }}/python/bin/pip install --quiet numpy pytest {{ target }}/wheels/coview-*.whl
    {{ target }}/python/bin/python -m pytest crates/coview-python/tests {{ args }}

# The reference, with every warning an error
doc *args:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --exclude coview-bench --exclude coview-python --no-deps --locked {{ args }}

# Known holes in what we depend on; fetches the database, so not part of `check`
advisories:
    cargo deny check advisories
