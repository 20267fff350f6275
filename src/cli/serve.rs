//! `hebra serve`: bind, say where, accept, wait for a signal, drain.

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use hebra::{Echo, Error, Greet, Room, Seats, Server};
use log::LevelFilter;

use super::arguments::{ServeArguments, Service};
use super::chat::Operator;
use super::signals::Signals;
use super::{CUT_OFF, DRAINED, FAILED, USAGE, complain, logging};

/// Serves until a signal; the exit code.
pub(crate) fn run(arguments: &ServeArguments) -> u8 {
    logging::init(match arguments.service {
        // The operator's screen shows the same.
        Service::Chat => LevelFilter::Warn,
        Service::Echo | Service::Greet => LevelFilter::Info,
    });
    exit_code(serve(arguments))
}

/// How a server ended, or why it could not run, which is told in one line.
pub(super) fn exit_code(outcome: Result<u8, Error>) -> u8 {
    match outcome {
        Ok(code) => code,
        Err(Error::Config { option, problem }) => {
            complain(format_args!("--{option} {problem}"));
            USAGE
        }
        Err(error) => {
            complain(&error);
            FAILED
        }
    }
}

fn serve(arguments: &ServeArguments) -> Result<u8, Error> {
    if arguments.room && arguments.service != Service::Chat {
        return Err(Error::Config { option: "room", problem: "is for --service chat" });
    }
    // Before anything is said: whoever waits for the first line may answer it with a signal.
    let signals = Signals::install()?;
    let config = arguments.config();
    // As far as the hard limit allows. If that is not enough, the server warns.
    let _ = rlimit::increase_nofile_limit(config.descriptors());
    let (server, chat) = match arguments.service {
        Service::Echo => (Server::bind(config, |_| Echo)?, None),
        Service::Greet => {
            let greet = Greet::new(&arguments.greeting);
            (Server::bind(config, move |_| greet.clone())?, None)
        }
        Service::Chat => {
            let (room, notices) = Room::new(if arguments.room { Seats::Many } else { Seats::One });
            let room = Arc::new(room);
            let entrance = Arc::clone(&room);
            (Server::bind(config, move |connection| entrance.enter(connection))?, Some((room, notices)))
        }
    };
    announce(server.local_addrs());
    let running = server.start()?;
    let operator = match chat {
        Some((room, notices)) => Some(Operator::start(&room, notices, signals.stop())?),
        None => None,
    };
    signals.wait();
    // Without a client the stop is soon over, and a signal that comes twice would only lose its last lines.
    let stats = running.stats();
    if stats.live + stats.waiting > 0 {
        signals.cut();
    }
    let report = running.shutdown(arguments.drain_timeout);
    if let Some(operator) = operator {
        operator.end();
    }
    Ok(if report.cut_off == 0 { DRAINED } else { CUT_OFF })
}

/// Prints a line for each socket. The kernel holds clients already, so whoever reads it can connect.
pub(super) fn announce(addresses: &[SocketAddr]) {
    let print = || {
        let mut output = io::stdout().lock();
        addresses.iter().try_for_each(|address| writeln!(output, "listening on {address}"))?;
        output.flush()
    };
    // A closed standard output is the reader's choice; the server serves all the same.
    if let Err(cause) = print()
        && cause.kind() != ErrorKind::BrokenPipe
    {
        complain(format_args!("cannot print where it listens: {cause}"));
    }
}
