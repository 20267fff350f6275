//! `hebra udp serve`: bind, print where, receive, stop at a signal.

use std::sync::Arc;
use std::time::Duration;

use hebra::{Error, RunningUdpServer, UdpServer};
use log::LevelFilter;

use crate::cli::arguments::UdpServeArguments;
use crate::cli::process::passed::{self, Served};
use crate::cli::process::report::{self, Line};
use crate::cli::process::service_manager::{ServiceManager, Subject};
use crate::cli::process::signals::Signals;
use crate::cli::process::{DRAINED, address_space, logging, server};

/// Serves until a signal. Returns the exit code.
pub(in crate::cli) fn run(arguments: &UdpServeArguments) -> u8 {
    logging::init(LevelFilter::Info, arguments.log.log_format);
    server::exit_code(serve(arguments))
}

fn serve(arguments: &UdpServeArguments) -> Result<u8, Error> {
    address_space::check_udp()?;
    // Before any thread is started.
    let passed = passed::take(Served { listeners: false, datagrams: true })?;
    let signals = Signals::install()?;
    let bound = match passed {
        Some(passed) => {
            UdpServer::from_sockets(arguments.config(), passed.datagrams.into_iter().map(|(_, socket)| socket))?
        }
        None => UdpServer::bind(arguments.config())?,
    };
    let faults = arguments.faults.faults();
    report::warn_of_faults(None, arguments.echo.then_some(&faults));
    let bound = bound.with_faults(faults);
    server::announce(bound.addresses().iter().map(|(name, address)| (*name, address.to_string())).collect());
    let running = Arc::new(bound.start()?);
    let manager = ServiceManager::ready(Receiving(Arc::clone(&running)))?;
    signals.wait(Duration::ZERO, || manager.stopping(), || vec![Line::UdpTotals(running.stats())]);
    manager.end();
    // The manager has ended, or it is stuck and its view of the server goes with the process.
    if let Some(running) = Arc::into_inner(running) {
        running.shutdown();
    }
    Ok(DRAINED)
}

/// The server as its service manager sees it.
struct Receiving(Arc<RunningUdpServer>);

impl Subject for Receiving {
    fn status(&self) -> String {
        let stats = self.0.stats();
        format!("datagrams={} answers={}", stats.datagrams, stats.answers)
    }

    /// Receivers wait for nothing but a datagram.
    fn stalled_for(&self) -> Option<Duration> {
        None
    }
}
