//! Where an installed `hebra-load` finds a hebra to start, and keeps its files.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::super::cli::installation::Installation;
use super::super::output::named;

/// The installed program.
pub(super) const INSTALLED: Installation = Installation { name: "hebra-load", hebra, results };

/// Returns the hebra beside this program, or else the first one in `PATH`.
fn hebra() -> io::Result<PathBuf> {
    let beside = env::current_exe().ok().and_then(|own| Some(own.parent()?.to_owned()));
    let path = env::var_os("PATH").unwrap_or_default();
    let found = beside.into_iter().chain(env::split_paths(&path)).map(|folder| folder.join("hebra"));
    found.into_iter().find(|program| program.is_file()).ok_or_else(|| {
        let problem = "there is no hebra to start beside this program or in PATH; --addr loads a server that runs";
        io::Error::new(ErrorKind::NotFound, problem)
    })
}

/// Returns `hebra-load` in the user's directory of state, or in that of temporary files for a user without one. Creates
/// it.
fn results() -> io::Result<PathBuf> {
    let given = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let state = given.or_else(|| env::home_dir().map(|home| home.join(".local/state")));
    let directory = state.unwrap_or_else(env::temp_dir).join("hebra-load");
    fs::create_dir_all(&directory).map_err(|error| named(&directory, &error))?;
    Ok(directory)
}
