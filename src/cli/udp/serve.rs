//! `hebra udp serve`: bind, print where, receive, stop at a signal.

use std::time::Duration;

use hebra::{Error, UdpServer};
use log::LevelFilter;

use crate::cli::arguments::UdpServeArguments;
use crate::cli::process::signals::Signals;
use crate::cli::process::{DRAINED, address_space, logging, server};

/// Serves until a signal. Returns the exit code.
pub(in crate::cli) fn run(arguments: &UdpServeArguments) -> u8 {
    logging::init(LevelFilter::Info);
    server::exit_code(serve(arguments))
}

fn serve(arguments: &UdpServeArguments) -> Result<u8, Error> {
    address_space::check_udp()?;
    let signals = Signals::install()?;
    let bound = UdpServer::bind(arguments.config())?;
    server::announce(bound.local_addrs());
    let running = bound.start()?;
    signals.wait(Duration::ZERO, || vec![format!("totals: {}", running.stats())]);
    running.shutdown();
    Ok(DRAINED)
}
