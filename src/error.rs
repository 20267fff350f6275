//! Why a server could not be set up: which option, address or limit, and the cause.

use std::{fmt, io};

/// Why a server could not be bound or started.
///
/// Once a server runs, nothing a client or the network does is an error of this type: that is told by
/// [events](crate::Event).
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A field of [`ServerConfig`](crate::ServerConfig) cannot work.
    Config {
        /// The field, spelt as the command line's option.
        option: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An address could not be understood or its name not be resolved.
    Resolve {
        /// The address as it was given.
        address: String,
        /// The cause.
        cause: io::Error,
    },
    /// An address could not be listened on.
    Listen {
        /// The address, resolved.
        address: String,
        /// The cause.
        cause: io::Error,
    },
    /// The worker threads could not be started.
    Workers {
        /// How many were asked for.
        workers: usize,
        /// The limit that stands in the way, or the cause.
        cause: String,
    },
    /// One of the server's own threads could not be started.
    Thread {
        /// The thread's name.
        name: String,
        /// The cause.
        cause: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { option, problem } => write!(f, "{option} {problem}"),
            Self::Resolve { address, cause } => write!(f, "cannot resolve {address:?}: {cause}"),
            Self::Listen { address, cause } => write!(f, "cannot listen on {address}: {cause}"),
            Self::Workers { workers, cause } => write!(f, "cannot start {workers} workers: {cause}"),
            Self::Thread { name, cause } => write!(f, "cannot start thread {name}: {cause}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve { cause, .. } | Self::Listen { cause, .. } | Self::Thread { cause, .. } => Some(cause),
            Self::Config { .. } | Self::Workers { .. } => None,
        }
    }
}
