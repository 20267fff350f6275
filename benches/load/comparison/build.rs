//! What cargo tells a benchmark: where the hebra of this build is, and where results belong.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::cli::installation::Installation;
use super::super::output::named;
use super::super::server::process::{self, Process};

/// The benchmark, in the target directory of cargo.
pub(crate) const BENCH: Installation = Installation { name: "load", hebra: || Ok(HEBRA.into()), results };

/// The hebra of this build.
const HEBRA: &str = env!("CARGO_BIN_EXE_hebra");

/// Starts the hebra of this build with `clients` workers and additional `flags`.
pub(crate) fn hebra(clients: usize, flags: &[&str], log: &Path) -> io::Result<Process> {
    process::hebra(Path::new(HEBRA), clients, flags, log)
}

/// Starts the hebra of this build as an echo server of datagrams, with additional `flags`.
pub(crate) fn hebra_udp(flags: &[&str], log: &Path) -> io::Result<Process> {
    process::hebra_udp(Path::new(HEBRA), flags, log)
}

/// Returns the directory of results, `bench` in cargo's target directory. Creates it.
pub(crate) fn results() -> io::Result<PathBuf> {
    // The temporary directory that cargo provides is a child of the target directory.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new(".")).join("bench");
    fs::create_dir_all(&directory).map_err(|error| named(&directory, &error))?;
    Ok(directory)
}
