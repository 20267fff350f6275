//! `hebra serve`: bind, say where, accept, wait for a signal, drain.

use std::io::{self, Write};
use std::net::SocketAddr;

use hebra::{Echo, Error, RunningServer, Server};

use super::arguments::ServeArguments;
use super::signals::Signals;
use super::{CUT_OFF, DRAINED, FAILED, USAGE, complain, logging};

/// Serves until a signal; the exit code.
pub(crate) fn run(arguments: ServeArguments) -> u8 {
    logging::init();
    exit_code(serve(&arguments))
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
    // Before anything is said: whoever waits for the first line may answer it with a signal.
    let mut signals = Signals::install()?;
    let config = arguments.config();
    // As far as the hard limit allows. If that is not enough, the server warns.
    let _ = rlimit::increase_nofile_limit(config.descriptors());
    let server = Server::bind(config, |_client| Echo)?;
    announce(server.local_addrs());
    let running: RunningServer = server.start()?;
    signals.wait();
    let report = running.shutdown(arguments.drain_timeout);
    Ok(if report.cut_off == 0 { DRAINED } else { CUT_OFF })
}

/// Prints a line for each socket. The kernel holds clients already, so whoever reads it can connect.
pub(super) fn announce(addresses: &[SocketAddr]) {
    let mut output = io::stdout().lock();
    for address in addresses {
        // A closed standard output is the reader's choice; the server serves all the same.
        let _ = writeln!(output, "listening on {address}");
    }
    let _ = output.flush();
}
