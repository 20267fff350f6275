//! The server of a run: that of the command line, or one that is started here.

use std::net::{Ipv4Addr, SocketAddr};

use super::super::server::process::{self, Process};
use super::super::server::usage::Snapshot;
use super::super::traffic::load::{Load, Mode};
use super::arguments::{self, Arguments};
use super::installation::Installation;
use super::problem::Problem;
use super::values;

/// A server, and the load against it. A server that was started here is killed when this is dropped.
pub(crate) struct Target {
    pub(crate) load: Load,
    /// The process of the server, if it is known.
    pub(crate) id: Option<u32>,
    _own: Option<Process>,
}

/// Returns the load that the command line describes. Its address is unspecified if the server is to be started.
pub(crate) fn load(arguments: &Arguments) -> Result<Load, Problem> {
    let given = arguments.addr.as_deref().map(values::resolve).transpose();
    let given = given.map_err(|error| Problem::flag("addr", error))?;
    if let Some(id) = arguments.pid {
        Snapshot::take(id).map_err(|error| Problem::flag("pid", format_args!("{id}: {error}")))?;
    }
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let load = arguments.load(given.unwrap_or(unknown.into()));
    arguments.check_mode(&load).and_then(|()| arguments::check(&load)).map_err(Problem::Usage)?;
    Ok(load)
}

impl Target {
    /// Starts a server if the command line names none.
    pub(crate) fn start(installation: &Installation, arguments: &Arguments, load: Load) -> Result<Self, Problem> {
        if arguments.addr.is_some() {
            return Ok(Self { load, id: arguments.pid, _own: None });
        }
        let log = (installation.results)()?.join("hebra.log");
        let program = (installation.hebra)()?;
        let own = match load.mode {
            Mode::Udp => process::hebra_udp(&program, &[], &log)?,
            _ => process::hebra(&program, arguments.clients(), arguments.server_flags(), &log)?,
        };
        let load = Load { address: own.address.into(), ..load };
        Ok(Self { load, id: Some(own.id()), _own: Some(own) })
    }
}
