//! `hebra serve`: bind, print where, accept, wait for a signal, drain.

use std::iter;
use std::sync::Arc;

use hebra::{Echo, Error, Server};
use log::LevelFilter;

use super::admin::{self, BoundAdmin};
use super::arguments::{ServeArguments, Service};
use super::chat::{Operator, Room, Seats};
use super::greet::Greet;
use super::process::signals::{self, Signals};
use super::process::{CUT_OFF, DRAINED, address_space, logging, server};
use super::terminal;

/// Serves until a signal. Returns the exit code.
pub(super) fn run(arguments: &ServeArguments) -> u8 {
    logging::init(match arguments.service {
        // The operator's screen shows the same.
        Service::Chat => LevelFilter::Warn,
        Service::Echo | Service::Greet => LevelFilter::Info,
    });
    server::exit_code(serve(arguments))
}

fn serve(arguments: &ServeArguments) -> Result<u8, Error> {
    let config = arguments.config();
    address_space::check_server(&config, arguments.service == Service::Chat, arguments.admin.is_some())?;
    if arguments.service == Service::Chat {
        // Before any thread is started.
        let failed = |cause| Error::Thread { name: "hebra-terminal".to_owned(), cause };
        terminal::guard(&signals::HANDLED).map_err(failed)?;
    }
    // Before anything is printed: a program that waits for the first line may answer it with a signal.
    let signals = Signals::install()?;
    // As far as the hard limit allows. If that is not enough, the server warns.
    let admin_descriptors = arguments.admin.as_deref().map_or(0, |address| admin::config(address).descriptors());
    let _ = rlimit::increase_nofile_limit(config.descriptors() + admin_descriptors);
    let workers = config.workers;
    let (bound, chat) = match arguments.service {
        Service::Echo => (Server::bind(config, |_| Echo)?, None),
        Service::Greet => {
            let greeting = arguments.greeting.as_str().into();
            (Server::bind(config, move |_| Greet::new(&greeting))?, None)
        }
        Service::Chat => {
            let seats = if arguments.room { Seats::Many } else { Seats::One };
            let (room, notices) = Room::new(seats, &config);
            let entrance = Arc::clone(&room);
            (Server::bind(config, move |session| entrance.enter(session))?, Some((room, notices)))
        }
    };
    let bound_admin = match &arguments.admin {
        Some(address) => Some(BoundAdmin::bind(address, workers, signals.stop())?),
        None => None,
    };
    server::announce(bound.addresses().iter().map(|(_, address)| address));
    server::announce_admin(bound_admin.iter().flat_map(BoundAdmin::addresses));
    let running = bound.start()?;
    let admin = bound_admin.map(|admin| admin.start(running.monitor())).transpose()?;
    let operator = match chat {
        Some((room, notices)) => Some(Operator::start(&room, notices, &signals)?),
        None => None,
    };
    signals.wait(arguments.drain_delay, || {
        let totals = format!("totals: {}", running.stats());
        let clients = running.clients();
        iter::once(totals).chain(clients.iter().map(|client| format!("{client} is connected"))).collect()
    });
    let report = running.shutdown(arguments.drain_timeout);
    if let Some(operator) = operator {
        operator.end();
    }
    if let Some(admin) = admin {
        // Last, so that it answers until all else has ended.
        admin.end(report.stats);
    }
    Ok(if report.cut_off == 0 { DRAINED } else { CUT_OFF })
}
