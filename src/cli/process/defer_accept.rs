//! `TCP_DEFER_ACCEPT`: the kernel keeps a connection back until its client has sent something.
//!
//! A worker then finds the first message when it takes the connection, and need not sleep and be woken for it. Neither std
//! nor socket2 has the option.

use hebra::{Error, Server};

/// Keeps silent clients of the server back for a second.
///
/// # Errors
///
/// [`Error::Config`] on a system without the option.
#[cfg(target_os = "linux")]
pub(in crate::cli) fn defer(server: &Server) -> Result<(), Error> {
    use nix::sys::socket::setsockopt;
    let set = |listener| setsockopt(&listener, linux::DeferAccept, &linux::SECOND);
    server.tcp_listeners().try_for_each(set).map_err(|_| UNKNOWN)
}

#[cfg(not(target_os = "linux"))]
pub(in crate::cli) fn defer(_server: &Server) -> Result<(), Error> {
    Err(UNKNOWN)
}

const UNKNOWN: Error = Error::Config { field: "defer_accept", problem: "is not known to this system" };

#[cfg(target_os = "linux")]
mod linux {
    // The macros expect these names.
    use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};

    sockopt_impl!(
        /// The seconds for which a silent client is kept back, rounded to retransmissions of its SYN-ACK.
        DeferAccept,
        Both,
        libc::IPPROTO_TCP,
        libc::TCP_DEFER_ACCEPT,
        u32
    );

    /// The shortest time that the kernel knows: it sends one more SYN-ACK, and takes the answer to that.
    pub(super) const SECOND: u32 = 1;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use hebra::{Echo, ServerConfig};
    use nix::sys::socket::getsockopt;

    use super::*;

    #[test]
    fn every_tcp_listener_defers() {
        let config = ServerConfig::default().listen(["localhost:0", "unix:@hebra-defer-accept"]).workers(1);
        let server = Server::bind(config, |_| Echo).expect("it listens");
        defer(&server).expect("Linux has the option");
        let seconds: Vec<_> = server
            .tcp_listeners()
            .map(|listener| getsockopt(&listener, linux::DeferAccept).expect("it can be read"))
            .collect();
        assert_eq!(seconds, vec![1; server.local_addrs().len()]);
    }
}
