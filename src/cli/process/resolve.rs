//! Names resolved within a time limit.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

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
    match deadline.left() {
        Some(left) if name.parse::<SocketAddr>().is_err() => look_up_within(name, left, hebra::resolve),
        _ => hebra::resolve(name).map_err(failure),
    }
}

fn look_up_within(
    name: &str,
    left: Duration,
    look_up: impl FnOnce(&str) -> Result<Vec<SocketAddr>, Error> + Send + 'static,
) -> Result<Vec<SocketAddr>, Failure> {
    let (sender, resolved) = bounded(1);
    let owned = name.to_owned();
    let run = move || {
        // Nobody listens any more after the deadline.
        let _ = sender.send(look_up(&owned));
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
    fn a_resolver_that_does_not_answer_is_left_behind_at_the_deadline() {
        let (end, ended) = bounded::<()>(0);
        let hang = move |_: &str| {
            let _ = ended.recv();
            Ok(Vec::new())
        };
        let failure = look_up_within("name.example:1", Duration::from_millis(20), hang).expect_err("it hangs");
        assert_eq!(
            (failure.code, failure.message.as_str()),
            (TIMED_OUT, "cannot resolve \"name.example:1\": timed out")
        );
        drop(end);
    }

    #[test]
    fn a_literal_address_needs_no_time() {
        let now = Deadline::after(Some(Duration::ZERO));
        assert_eq!(within("127.0.0.1:5", now).expect("an address"), ["127.0.0.1:5".parse().expect("an address")]);
    }
}
