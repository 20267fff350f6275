//! Why a server cannot be set up: the field, address or limit that is wrong, and the cause.

use std::{fmt, io};

/// Why a server could not be bound or started.
///
/// Once a server runs, what clients and the network do is reported by [events](crate::Event), and never by this type.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A field of [`ServerConfig`](crate::ServerConfig) or [`UdpConfig`](crate::UdpConfig) has a value that
    /// cannot work.
    Config {
        /// The name of the field.
        field: &'static str,
        /// What is wrong with its value.
        problem: &'static str,
    },
    /// An address is malformed, or its name cannot be resolved.
    Resolve {
        /// The address as it was given.
        address: String,
        /// The cause.
        cause: io::Error,
    },
    /// An address cannot be listened on.
    Listen {
        /// The address, resolved.
        address: String,
        /// The cause.
        cause: io::Error,
    },
    /// The worker threads cannot be started.
    Workers {
        /// How many were asked for.
        workers: usize,
        /// The limit that was hit, or the cause.
        cause: String,
    },
    /// One of the server's other threads cannot be started.
    Thread {
        /// The name of the thread.
        name: String,
        /// The cause.
        cause: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { field, problem } => write!(f, "{field} {problem}"),
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
