//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::Result;
use crate::machine;
use crate::measure::Plan;

/// What coview costs between two processes on two CPUs, beside the hardware and other libraries, all in one run.
#[derive(Parser)]
#[command(
    name = "coview-bench",
    version,
    after_help = "\
Examples:
  cargo run --release -p coview-bench                        everything, a minute or two
  cargo run --release -p coview-bench -- --quick             everything, under 30 seconds
  cargo run --release -p coview-bench -- lock event          subjects whose names begin with lock or event
  cargo run --release -p coview-bench --features boost       beside Boost.Interprocess too: needs libboost-dev
  cargo run --release -p coview-bench -- --rounds 31 --ms 300 --save event

It ends with one line a figure:
  bar NAME VALUE <= BOUND ok|short   (details)
VALUE is the median of the rounds' ratios; of attach, of what it takes longer, in µs. Trust ratios of one run; what else the machine does moves the absolute figures.

Exit codes:
  0 done, short or not   1 a figure is short (--strict)   2 could not measure"
)]
pub(crate) struct Cli {
    /// Only subjects whose names begin with one of these
    #[arg(value_name = "SUBJECT")]
    pub subjects: Vec<String>,
    /// 5 rounds of 25 ms instead of 11 of 100 ms
    #[arg(long)]
    pub quick: bool,
    /// How many rounds; in each, every contender has one turn
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: Option<u32>,
    /// How long a turn takes, in milliseconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub ms: Option<u64>,
    /// The two CPUs to use [default: the first two this program may use]
    #[arg(long, value_name = "A,B", value_parser = pair_of_cpus)]
    pub cpus: Option<[usize; 2]>,
    /// Write everything into FILE
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw everything into FILE
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Write docs/bench/SUBJECT.json and .svg
    #[arg(long)]
    pub save: bool,
    /// End with 1 if a figure is short
    #[arg(long)]
    pub strict: bool,
    /// List the subjects and measure nothing
    #[arg(long)]
    pub list: bool,
}

impl Cli {
    /// How to measure.
    pub(crate) fn plan(&self) -> Result<Plan> {
        let (rounds, ms) = if self.quick { (5, 25) } else { (11, 100) };
        let cpus = self.cpus.map_or_else(machine::two_cpus, Ok)?;
        let (rounds, turn) = (self.rounds.unwrap_or(rounds), Duration::from_millis(self.ms.unwrap_or(ms)));
        Ok(Plan { rounds, turn, cpus })
    }
}

fn pair_of_cpus(text: &str) -> std::result::Result<[usize; 2], String> {
    let number = |text: &str| text.parse().ok().filter(|cpu| *cpu < rustix::thread::CpuSet::MAX_CPU);
    match text.split_once(',').map(|(near, far)| (number(near), number(far))) {
        Some((Some(near), Some(far))) if near != far => Ok([near, far]),
        _ => Err("two different CPUs are needed, such as 0,1".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn plan(args: &[&str]) -> Plan {
        let all = ["coview-bench", "--cpus", "0,1"].iter().chain(args);
        Cli::try_parse_from(all).unwrap().plan().unwrap()
    }

    #[test]
    fn quick_is_a_default_that_the_others_override() {
        Cli::command().debug_assert();
        assert_eq!((plan(&[]).rounds, plan(&[]).turn), (11, Duration::from_millis(100)));
        assert_eq!((plan(&["--quick"]).rounds, plan(&["--quick"]).turn), (5, Duration::from_millis(25)));
        assert_eq!(plan(&["--quick", "--rounds", "1", "lock"]).rounds, 1);
        assert_eq!(plan(&["--ms", "7"]).turn, Duration::from_millis(7));
    }

    #[test]
    fn nonsense_is_refused() {
        for args in ["--rounds 0", "--ms 0", "--nothing", "--cpus 1", "--cpus a,b", "--cpus 1,1", "--cpus 0,99999"] {
            assert!(Cli::try_parse_from(["coview-bench"].into_iter().chain(args.split(' '))).is_err(), "{args}");
        }
    }
}
