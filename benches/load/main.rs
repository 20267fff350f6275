//! `hebra-load`: puts load on an echo server and verifies every byte.
//!
//! The same as the benchmark ([`bench.rs`](bench.rs)), without the comparisons, and with manual pages and completions.
#![forbid(unsafe_code)]

mod output;
mod server;
mod traffic;
mod results;
mod cli;
mod program;
#[path = "../../src/cli/describe.rs"]
mod describe;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::run()
}
