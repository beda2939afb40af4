//! The house's own chores: laws, the C header, installing the C library, what was tried to break it, the tests under Wine.

mod header;
mod install;
mod reliability;
mod tidy;
mod windows;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the coview workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check the laws of the house: floors, platforms, unsafe, lengths, whitespace, links
    Tidy,
    /// Write coview.h from the functions behind it
    Header(header::Options),
    /// Build the C library and install it with its headers, for pkg-config and CMake
    Install(install::Options),
    /// Run what tries to break the library, and print the table of docs/reliability.md
    Reliability(reliability::Options),
    /// Build for Windows and run the tests under Wine
    Windows(windows::Options),
}

fn main() -> ExitCode {
    let root = root();
    match Cli::parse().chore {
        Chore::Tidy => tidy::run(&root),
        Chore::Header(options) => header::run(&root, &options),
        Chore::Install(options) => install::run(&root, &options),
        Chore::Reliability(options) => reliability::run(&root, &options),
        Chore::Windows(options) => windows::run(&root, &options),
    }
}

/// The workspace: the folder above this package, wherever it was cloned to.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    package.parent().map(PathBuf::from).unwrap_or(package)
}
