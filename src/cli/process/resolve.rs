//! Names resolved within a time limit.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::thread;

use crossbeam_channel::{RecvTimeoutError, bounded};
use hebra::Error;

use super::USAGE;
use super::deadline::Deadline;
use super::failure::{Failure, TIMED_OUT, UNRESOLVED};

/// Returns the addresses of `name` (`HOST:PORT`), each once, in the resolver's order; at least one.
///
/// The resolver of the system has limits of its own and cannot be interrupted. With a deadline it runs on a thread that
/// is left behind if it takes longer.
///
/// # Errors
///
/// [`UNRESOLVED`], or [`TIMED_OUT`] at the deadline. A name without a port, or with a wrong one, is wrong [`USAGE`].
pub(in crate::cli) fn within(name: &str, deadline: Deadline) -> Result<Vec<SocketAddr>, Failure> {
    let Some(left) = deadline.left().filter(|_| name.parse::<SocketAddr>().is_err()) else {
        return hebra::resolve(name).map_err(failure);
    };
    let (sender, resolved) = bounded(1);
    let owned = name.to_owned();
    let run = move || {
        // Nobody listens any more after the deadline.
        let _ = sender.send(hebra::resolve(&owned));
    };
    thread::Builder::new()
        .name("hebra-resolve".to_owned())
        .spawn(run)
        .map_err(|cause| Failure::no_thread("hebra-resolve", &cause))?;
    match resolved.recv_timeout(left) {
        Ok(resolved) => resolved.map_err(failure),
        Err(RecvTimeoutError::Timeout) => {
            Err(Failure { code: TIMED_OUT, message: format!("cannot resolve {name:?}: timed out") })
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(Failure { code: UNRESOLVED, message: format!("cannot resolve {name:?}: the resolver failed") })
        }
    }
}

fn failure(error: Error) -> Failure {
    let is_malformed = matches!(&error, Error::Resolve { cause, .. } if cause.kind() == ErrorKind::InvalidInput);
    Failure { code: if is_malformed { USAGE } else { UNRESOLVED }, message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_address_without_a_port_is_wrong_usage_and_a_name_of_nobody_is_unresolved() {
        for (name, code) in [("localhost", USAGE), ("localhost:65536", USAGE), ("nowhere.invalid:1", UNRESOLVED)] {
            for limit in [None, Some(Duration::from_secs(60))] {
                assert_eq!(within(name, Deadline::after(limit)).expect_err(name).code, code, "{name}");
            }
        }
    }

    #[test]
    fn a_literal_address_needs_no_time() {
        let now = Deadline::after(Some(Duration::ZERO));
        assert_eq!(within("127.0.0.1:5", now).expect("an address"), ["127.0.0.1:5".parse().expect("an address")]);
    }
}
