//! The command line of the benchmark: that of the program, and the comparisons.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser};

use super::super::cli::arguments::Arguments;
use super::{peers, scenario};

/// Measures an echo server: rate, latency and errors. Verifies every byte.
///
/// Exit codes: 0 clean, 1 errors, wrong bytes, a regression or nothing measured, 2 usage.
#[derive(Clone, Debug, Parser)]
#[command(name = "load", bin_name = "cargo bench --bench load --", version)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) single: Arguments,

    #[command(flatten)]
    pub(crate) comparison: Comparisons,

    /// Cargo passes this to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

// As for `Arguments`, no comment for the documentation: the flags of the comparisons.
#[derive(Clone, Debug, Args)]
pub(crate) struct Comparisons {
    /// Compare hebra with other servers, all of them started here (make bench)
    #[arg(long, conflicts_with_all = ["addr", "json", "plots", "baseline", "save_baseline", "search"])]
    pub(crate) suite: bool,

    /// --suite, --growth: number of rounds [default: 3, or fewer if --suite would take more than three minutes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: Option<u16>,

    /// --suite: run only scenarios whose name contains TEXT, such as "500 x" (repeatable)
    #[arg(long, value_name = "TEXT", requires = "suite", value_parser = part_of_a_scenario)]
    pub(crate) only: Vec<String>,

    /// --suite: run only this peer and the reference (repeatable)
    #[arg(long, value_name = "NAME", requires = "suite", value_parser = PossibleValuesParser::new(peers::names()))]
    pub(crate) peer: Vec<String>,

    /// --suite: compare hebra with this hebra program alone, such as the one of the commit before
    #[arg(long, value_name = "PROGRAM", requires = "suite", conflicts_with = "peer")]
    pub(crate) before: Option<PathBuf>,

    /// Measure rate, latency and memory against the number of connections, and draw growth.svg (make growth)
    #[arg(long, conflicts_with_all = ["suite", "addr", "json", "plots", "baseline", "save_baseline", "search"])]
    pub(crate) growth: bool,
}

fn part_of_a_scenario(text: &str) -> Result<String, String> {
    let known = scenario::scenarios().iter().any(|scenario| scenario.name.contains(text));
    if known { Ok(text.to_owned()) } else { Err("no scenario has this text in its name".to_owned()) }
}
