//! `hebra serve`: bind, print where, accept, wait for a signal, drain.

use std::iter;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use hebra::{Echo, Error, Faults, Handler, Monitor, RunningUdpServer, Server, ServerConfig, Session, UdpServer};
use log::LevelFilter;

use super::admin::{self, BoundAdmin};
use super::arguments::{ServeArguments, Service};
use super::chat::{Operator, Room, Seats};
use super::greet::Greet;
use super::prefix::PrefixedEcho;
use super::process::passed::{self, Passed, Served};
use super::process::report::{self, Line};
use super::process::service_manager::{self, ServiceManager, Subject};
use super::process::signals::{self, Signals};
use super::process::{CUT_OFF, DRAINED, address_space, defer_accept, logging, server};
use super::terminal;
use super::whoami::{Identity, Whoami};

/// Serves until a signal. Returns the exit code.
pub(super) fn run(arguments: &ServeArguments) -> u8 {
    let level = match arguments.service.kind {
        // The operator's screen shows the same.
        Service::Chat => LevelFilter::Warn,
        Service::Echo | Service::Whoami | Service::Greet => LevelFilter::Info,
    };
    logging::init(level, arguments.log.log_format);
    server::exit_code(serve(arguments))
}

fn serve(arguments: &ServeArguments) -> Result<u8, Error> {
    let config = arguments.config().heartbeat(service_manager::heartbeat());
    address_space::check_server(&config, arguments.service.kind == Service::Chat, arguments.admin.is_some())?;
    // Before any thread is started, and so are the handlers of the terminal.
    let sockets = Sockets::of(arguments)?;
    if arguments.service.kind == Service::Chat {
        let failed = |cause| Error::Thread { name: "hebra-terminal".to_owned(), cause };
        terminal::guard(&signals::HANDLED).map_err(failed)?;
    }
    // Before anything is printed: a program that waits for the first line may answer it with a signal.
    let signals = Signals::install()?;
    // As far as the hard limit allows. If that is not enough, the server warns.
    let admin_descriptors = arguments.admin.as_deref().map_or(0, |address| admin::config(address).descriptors());
    let _ = rlimit::increase_nofile_limit(config.descriptors() + admin_descriptors);
    let workers = config.workers;
    let faults = arguments.faults.faults();
    let identity = Arc::new(Identity::new(&arguments.service.label));
    let Sockets { listeners, listener_positions, datagrams, datagram_positions } = sockets;
    // The options of sockets that are passed in are their owner's.
    let are_ours = listeners.is_none();
    let (bound, chat) = match arguments.service.kind {
        Service::Echo => match arguments.service.prefix().map(PrefixedEcho::text) {
            Some(prefix) => (bind(config, listeners, &faults, move |_| PrefixedEcho::new(&prefix))?, None),
            None => (bind(config, listeners, &faults, |_| Echo)?, None),
        },
        Service::Whoami => {
            let identity = Arc::clone(&identity);
            (bind(config, listeners, &faults, move |session| Whoami::new(&identity, session))?, None)
        }
        Service::Greet => {
            let greeting = arguments.service.greeting.as_str().into();
            (bind(config, listeners, &faults, move |_| Greet::new(&greeting))?, None)
        }
        Service::Chat => {
            let seats = if arguments.service.room { Seats::Many } else { Seats::One };
            let (room, notices) = Room::new(seats, &config);
            let entrance = Arc::clone(&room);
            (bind(config, listeners, &faults, move |session| entrance.enter(session))?, Some((room, notices)))
        }
    };
    if arguments.defers_accept() && are_ours {
        defer_accept::defer(&bound)?;
    }
    let bound_admin = match &arguments.admin {
        Some(address) => Some(BoundAdmin::bind(address, workers, signals.stop())?),
        None => None,
    };
    let udp = match datagrams {
        Some(passed) => Some(UdpServer::from_sockets(arguments.udp_config(), passed)?),
        None if datagram_positions.is_empty() => None,
        None => Some(UdpServer::bind(arguments.udp_config())?),
    };
    let udp = match arguments.service.kind {
        Service::Whoami => {
            udp.map(|udp| udp.answer_with(move |datagram, answer| identity.answer(datagram, answer)))
        }
        _ => udp,
    };
    let datagram_faults = arguments.faults.datagram_faults();
    let udp = udp.map(|udp| udp.with_faults(datagram_faults.clone()));
    let streams = bound.addresses().iter().map(|(name, address)| (listener_positions[*name], address.to_string()));
    let udp_addresses = udp.iter().flat_map(UdpServer::addresses);
    let udp_addresses =
        udp_addresses.map(|(name, address)| (datagram_positions[*name], format!("udp://{address}")));
    let has_streams = !bound.addresses().is_empty();
    report::warn_of_faults(has_streams.then_some(&faults), udp.as_ref().map(|_| &datagram_faults));
    server::announce(streams.chain(udp_addresses).collect());
    server::announce_admin(bound_admin.iter().flat_map(BoundAdmin::addresses));
    let running = bound.start()?;
    let udp = udp.map(UdpServer::start).transpose()?;
    let admin = bound_admin.map(|admin| admin.start(running.monitor())).transpose()?;
    let operator = match chat {
        Some((room, notices)) => Some(Operator::start(&room, notices, &signals)?),
        None => None,
    };
    let manager = ServiceManager::ready(Serving(running.monitor()))?;
    let lines = || {
        let udp_totals = udp.as_ref().map(|udp| Line::UdpTotals(udp.stats()));
        let sessions = running.monitor().sessions().into_iter().map(Line::Session);
        iter::once(Line::Totals(Box::new(running.stats()))).chain(udp_totals).chain(sessions).collect()
    };
    signals.wait(arguments.drain_delay, || manager.stopping(), lines);
    udp.map(RunningUdpServer::shutdown);
    let report = running.shutdown(arguments.drain_timeout);
    if let Some(operator) = operator {
        operator.end();
    }
    manager.end();
    if let Some(admin) = admin {
        // Last, so that it answers until all else has ended.
        admin.end(report.stats);
    }
    Ok(if report.cut_off == 0 { DRAINED } else { CUT_OFF })
}

/// Where a server listens. What was passed in takes the place of the names.
struct Sockets {
    listeners: Option<Vec<OwnedFd>>,
    /// The position of each listener among all flags or descriptors.
    listener_positions: Vec<usize>,
    datagrams: Option<Vec<OwnedFd>>,
    datagram_positions: Vec<usize>,
}

impl Sockets {
    fn of(arguments: &ServeArguments) -> Result<Self, Error> {
        let served = Served { listeners: true, datagrams: arguments.service.serves_datagrams() };
        let Some(Passed { listeners, datagrams }) = passed::take(served)? else {
            let positions = |is_udp| arguments.named(is_udp).map(|(position, _)| position).collect::<Vec<_>>();
            // A server for datagrams alone has no listener.
            let listener_positions = positions(false);
            let listeners = listener_positions.is_empty().then(Vec::new);
            return Ok(Self {
                listeners,
                listener_positions,
                datagrams: None,
                datagram_positions: positions(true),
            });
        };
        let (listener_positions, listeners) = listeners.into_iter().unzip();
        let (datagram_positions, datagrams): (Vec<_>, Vec<_>) = datagrams.into_iter().unzip();
        let datagrams = (!datagrams.is_empty()).then_some(datagrams);
        Ok(Self { listeners: Some(listeners), listener_positions, datagrams, datagram_positions })
    }
}

/// Binds a server to what was passed in, or to the names of `config`. Without faults its handlers run bare.
fn bind<H: Handler + 'static>(
    config: ServerConfig,
    listeners: Option<Vec<OwnedFd>>,
    faults: &Faults,
    factory: impl Fn(&Session) -> H + Send + Sync + 'static,
) -> Result<Server, Error> {
    if faults.are_any() {
        let faults = faults.clone();
        let faulty = move |session: &Session| faults.wrap(session, factory(session));
        return bind_handlers(config, listeners, faulty);
    }
    bind_handlers(config, listeners, factory)
}

fn bind_handlers<H: Handler + 'static>(
    config: ServerConfig,
    listeners: Option<Vec<OwnedFd>>,
    factory: impl Fn(&Session) -> H + Send + Sync + 'static,
) -> Result<Server, Error> {
    match listeners {
        Some(listeners) => Server::from_listeners(config, listeners, factory),
        None => Server::bind(config, factory),
    }
}

/// The server as its service manager sees it.
struct Serving(Monitor);

impl Subject for Serving {
    fn status(&self) -> String {
        let stats = self.0.stats().unwrap_or_default();
        format!("live={} waiting={}", stats.live, stats.waiting)
    }

    fn stalled_for(&self) -> Option<Duration> {
        self.0.stalled_for()
    }
}
