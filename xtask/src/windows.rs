//! `cargo xtask windows`: the same tests, built for Windows with Debian's toolchain and run under Wine.

mod tools;
mod wine;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Args;

use tools::{LINKER, RUSTC, RUSTDOC, TARGET};
use wine::Wine;

/// The environment variable that tells the tests where the compiled C programs are.
const PROGRAMS: &str = "COVIEW_WIN32_PROGRAMS";

#[derive(Args)]
pub(crate) struct Options {
    /// Build the tests and the C programs, run nothing
    #[arg(long)]
    no_wine: bool,
    /// Only build the release program, which is the helper of `coview wine`, and print its path
    #[arg(long, conflicts_with_all = ["no_wine", "lint", "test", "args"])]
    build: bool,
    /// With --build: unoptimised, as the tests use it
    #[arg(long, requires = "build")]
    dev: bool,
    /// Only run clippy over the Windows sources
    #[arg(long, conflicts_with_all = ["no_wine", "test", "args"])]
    lint: bool,
    /// Only this file of tests/ (may be given several times)
    #[arg(long, value_name = "NAME")]
    test: Vec<String>,
    /// Handed to the test programs
    #[arg(last = true, value_name = "TEST ARGS")]
    args: Vec<OsString>,
}

/// What stopped the lane: tools that are not installed, or a step that said why itself.
enum Stop {
    Missing(String),
    Failed(String),
}

impl From<std::io::Error> for Stop {
    fn from(why: std::io::Error) -> Self {
        Self::Failed(why.to_string())
    }
}

pub(crate) fn run(root: &Path, options: &Options) -> ExitCode {
    let lane = Lane::new(root);
    let done = if options.build {
        lane.build(options.dev)
    } else if options.lint {
        lane.lint()
    } else {
        lane.test(options)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Missing(what)) => {
            eprintln!("windows: {what}");
            ExitCode::from(2)
        }
        Err(Stop::Failed(why)) => {
            eprintln!("windows: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace and the folder that everything for Windows is built into.
struct Lane {
    root: PathBuf,
    target: PathBuf,
}

impl Lane {
    fn new(root: &Path) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        Self { root: root.to_owned(), target: root.join(target).join("windows") }
    }

    /// The program alone.
    fn build(&self, dev: bool) -> Result<(), Stop> {
        tools::compiler()?;
        let profile = if dev { "dev" } else { "release" };
        run_to_end(self.cargo("build").args(["--profile", profile, "-p", "coview-cli"]))?;
        let folder = if dev { "debug" } else { "release" };
        println!("{}", self.target.join(TARGET).join(folder).join("coview.exe").display());
        Ok(())
    }

    /// Clippy of the same release as the compiler; it calls `cargo check` itself.
    fn lint(&self) -> Result<(), Stop> {
        tools::compiler()?;
        let clippy = tools::clippy()?;
        let mut lint = self.environment(clippy);
        lint.arg("clippy").args(target_arguments()).args(packages()).arg("--all-targets");
        lint.args(["--", "-D", "warnings"]).env("CARGO", cargo());
        run_to_end(&mut lint)
    }

    fn test(&self, options: &Options) -> Result<(), Stop> {
        tools::compiler()?;
        let wine = if options.no_wine { None } else { Some(Wine::find(self.target.join("wineprefix"))?) };
        let begun = Instant::now();
        let programs = self.compile_programs()?;
        let mut chosen: Vec<&str> = packages().to_vec();
        options.test.iter().for_each(|name| chosen.extend(["--test", name]));

        // All compiled before the first test, so that the wineserver never waits for the compiler.
        run_to_end(self.cargo("test").args(&chosen).arg("--no-run"))?;
        let built = begun.elapsed().as_secs();
        let Some(wine) = wine else {
            println!("windows: built in {built} s, nothing run (--no-wine)");
            return Ok(());
        };

        let begun = Instant::now();
        let server = wine.start()?;
        let mut tests = self.cargo("test");
        tests.args(&chosen).arg("--no-fail-fast").arg("--").args(&options.args);
        tests.env(PROGRAMS, wine::windows_path(&programs));
        wine.lend(&mut tests);
        let outcome = run_to_end(&mut tests);
        drop(server);
        let version = wine.version();
        println!("windows: built in {built} s, ran under {version} in {} s", begun.elapsed().as_secs());
        outcome
    }

    /// Every program of tests/win32, as a Windows programmer would have compiled it; the folder they are in.
    fn compile_programs(&self) -> Result<PathBuf, Stop> {
        let programs = self.target.join("c");
        if programs.exists() {
            std::fs::remove_dir_all(&programs)?;
        }
        std::fs::create_dir_all(&programs)?;
        let sources = self.root.join("crates/coview/tests/win32");
        let listed = if sources.exists() { std::fs::read_dir(&sources)?.collect::<Result<_, _>>()? } else { vec![] };
        for source in listed.iter().map(std::fs::DirEntry::path) {
            if source.extension().is_none_or(|kind| kind != "c") {
                continue;
            }
            let name = source.with_extension("exe");
            let program = programs.join(name.file_name().unwrap_or_default());
            let mut compile = Command::new(LINKER);
            compile.args(["-O1", "-Wall", "-Werror", "-o"]).arg(program).arg(source);
            run_to_end(&mut compile)?;
        }
        Ok(programs)
    }

    /// `cargo VERB` for the Windows target, with a standard library built from Debian's sources.
    fn cargo(&self, verb: &str) -> Command {
        let mut command = self.environment(cargo());
        command.arg(verb).args(target_arguments());
        command
    }

    fn environment(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_TARGET_X86_64_WIN7_WINDOWS_GNU_LINKER", LINKER)
            .env("RUSTC", RUSTC)
            .env("RUSTDOC", RUSTDOC)
            // The target and its standard library are behind the nightly gate; the language we use is not.
            .env("RUSTC_BOOTSTRAP", "1");
        command
    }
}

fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn target_arguments() -> [&'static str; 3] {
    ["--target", TARGET, "-Zbuild-std=std,panic_abort"]
}

fn packages() -> [&'static str; 6] {
    ["-p", "coview", "-p", "coview-capi", "-p", "coview-cli"]
}

/// Runs one step with its output shown as it comes; its own last lines say what went wrong.
fn run_to_end(command: &mut Command) -> Result<(), Stop> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let program = program.to_string_lossy().into_owned();
    let status = command.status().map_err(|why| Stop::Failed(format!("cannot run {program}: {why}")))?;
    if status.success() { Ok(()) } else { Err(Stop::Failed(format!("{program}: {status}"))) }
}
