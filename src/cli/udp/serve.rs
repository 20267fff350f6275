//! `hebra udp serve`: bind, say where, receive, stop at a signal.

use hebra::{Error, UdpServer};
use log::LevelFilter;

use super::arguments::ServeArguments;
use crate::cli::serve::{announce, exit_code};
use crate::cli::signals::Signals;
use crate::cli::{DRAINED, logging};

/// Serves until a signal; the exit code.
pub(super) fn run(arguments: ServeArguments) -> u8 {
    logging::init(LevelFilter::Info);
    exit_code(serve(&arguments))
}

fn serve(arguments: &ServeArguments) -> Result<u8, Error> {
    let signals = Signals::install()?;
    let server = UdpServer::bind(arguments.config())?;
    announce(server.local_addrs());
    let running = server.start()?;
    signals.wait();
    running.shutdown();
    Ok(DRAINED)
}
