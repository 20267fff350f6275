//! Why a client failed: one line, and an exit code that scripts can tell apart.

use std::fmt::Display;
use std::io::{self, ErrorKind};

use super::{DRAINED, FAILED, complain};

/// The name has no address, or it cannot be looked up.
pub(crate) const UNRESOLVED: u8 = 4;
/// No server listens there.
pub(crate) const REFUSED: u8 = 5;
/// No answer came in time.
pub(crate) const TIMED_OUT: u8 = 6;
/// The connection broke.
pub(crate) const RESET: u8 = 7;

/// A failure as it is reported.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: u8,
    /// One line that names what was tried, and the cause.
    pub(crate) message: String,
}

impl Failure {
    /// A failure to do what `attempt` says, such as `cannot connect to 127.0.0.1:1234`.
    pub(crate) fn new(attempt: impl Display, cause: &io::Error) -> Self {
        let failure = |code, words: &str| Self { code, message: format!("{attempt}: {words}") };
        match cause.kind() {
            ErrorKind::ConnectionRefused => failure(REFUSED, "connection refused"),
            ErrorKind::TimedOut => failure(TIMED_OUT, "timed out"),
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => failure(RESET, "connection reset"),
            _ => failure(FAILED, &cause.to_string()),
        }
    }

    /// The system refuses a thread: a limit of this machine, whatever kind of error that is.
    pub(crate) fn no_thread(name: &str, cause: &io::Error) -> Self {
        Self { code: FAILED, message: format!("cannot start thread {name}: {cause}") }
    }

    /// Returns this failure or the one at a later address of the same name: the last that says something about the
    /// peer and not about this machine (which may lack IPv6).
    pub(crate) fn or_later(self, later: Self) -> Self {
        if later.code != FAILED || self.code == FAILED { later } else { self }
    }
}

/// Returns the exit code of a client. A failure is reported.
pub(crate) fn exit_code(outcome: Result<(), Failure>) -> u8 {
    match outcome {
        Ok(()) => DRAINED,
        Err(Failure { code, message }) => {
            complain(message);
            code
        }
    }
}

/// Decides what it means that standard output cannot be written to.
///
/// # Errors
///
/// What the system says; but a reader of our output who closes it has seen enough.
pub(crate) fn not_printed(cause: &io::Error) -> Result<(), Failure> {
    match cause.kind() {
        ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure { code: FAILED, message: format!("cannot write to standard output: {cause}") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_of_failure_has_its_exit_code_and_words() {
        for (kind, code, message) in [
            (ErrorKind::ConnectionRefused, 5, "cannot sing: connection refused"),
            (ErrorKind::TimedOut, 6, "cannot sing: timed out"),
            (ErrorKind::ConnectionReset, 7, "cannot sing: connection reset"),
            (ErrorKind::AddrNotAvailable, 1, "cannot sing: address not available"),
        ] {
            let failure = Failure::new("cannot sing", &kind.into());
            assert_eq!((failure.code, failure.message.as_str()), (code, message));
        }
    }

    #[test]
    fn a_thread_that_the_system_refuses_is_no_time_limit() {
        let failure = Failure::no_thread("hebra-input", &ErrorKind::WouldBlock.into());
        assert_eq!(
            (failure.code, failure.message.as_str()),
            (1, "cannot start thread hebra-input: operation would block")
        );
    }
}
