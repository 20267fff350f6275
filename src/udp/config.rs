//! Everything that can be set for a UDP server, with its defaults and its check.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::{LogMessages, require, require_addresses, require_limit, setters};
use crate::error::Error;
use crate::network::{self, Network};

/// What a [`UdpServer`](crate::UdpServer) listens on, and what it answers. As with
/// [`ServerConfig`](crate::ServerConfig), each field has a chainable method.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UdpConfig {
    /// The addresses to listen on, each `HOST:PORT`. Every address that a name resolves to is used. Port 0 takes a free
    /// port. Broadcast and multicast addresses are refused. Default: `localhost:1234`.
    pub listen: Vec<String>,
    /// Whether each datagram is sent back (RFC 862). A service of your own
    /// ([`UdpServer::answer_with`](crate::UdpServer::answer_with)) takes its place. Default: no.
    pub echo: bool,
    /// How many times as long as its question an answer may be, counted in bytes of IP packets: the payload and 28
    /// bytes of headers over IPv4, or 48 over IPv6. Of an answer that does not fit a packet of 1,500 bytes, the headers of
    /// each fragment count; a question counts as one packet. Longer answers are not sent, because a forged sender could use
    /// them against others. An echo is as long as its question. Default: 10.
    pub amplification: usize,
    /// Answers a second for one sender, and as many at once. A sender is one IPv4 address, or one IPv6 network of 64 bits.
    /// A loop with another echo server continues if it is slower than this; without a limit (`None`) any loop does.
    /// Default: 1,000.
    pub rate: Option<usize>,
    /// If any are given, only datagrams from these networks are logged and answered. Default: none.
    pub allow: Vec<Network>,
    /// Datagrams from these networks are neither logged nor answered, whatever `allow` says. Default: none.
    pub deny: Vec<Network>,
    /// How many datagrams are logged, whole. Default: [`LogMessages::Off`], because what clients send to a service of
    /// yours may not belong in a log.
    pub log_messages: LogMessages,
    /// How often totals are logged. Default: `None`, at the end only.
    pub stats_interval: Option<Duration>,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self {
            listen: vec!["localhost:1234".to_owned()],
            echo: false,
            amplification: 10,
            rate: Some(1000),
            allow: Vec::new(),
            deny: Vec::new(),
            log_messages: LogMessages::Off,
            stats_interval: None,
        }
    }
}

setters!(UdpConfig {
    listen,
    echo: bool,
    amplification: usize,
    rate: Option<usize>,
    allow: Vec<Network>,
    deny: Vec<Network>,
    log_messages: LogMessages,
    stats_interval: impl Into<Option<Duration>>,
});

impl UdpConfig {
    /// Returns whether `allow` and `deny` let in datagrams from `address`.
    pub(super) fn lets_in(&self, address: IpAddr) -> bool {
        network::lets_in(&self.allow, &self.deny, address)
    }

    /// Checks every field. [`UdpServer::bind`](crate::UdpServer::bind) does so too.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first field that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        require_addresses(&self.listen)?;
        self.validate_all_but_addresses()
    }

    /// Checks every field but `listen`, for a server that is given its sockets.
    pub(crate) fn validate_all_but_addresses(&self) -> Result<(), Error> {
        require(self.rate != Some(0), "rate", "must be at least 1, or off")?;
        require(self.rate.is_none_or(|rate| rate <= 1_000_000_000), "rate", "must be at most 10^9, or off")?;
        require(self.amplification > 0, "amplification", "must be at least 1")?;
        require_limit("stats_interval", self.stats_interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_each_bad_value_is_named() {
        assert!(UdpConfig::default().validate().is_ok());
        let cases = [
            ("listen needs", UdpConfig::default().listen([""; 0])),
            ("rate must be at least", UdpConfig::default().rate(Some(0))),
            ("rate must be at most", UdpConfig::default().rate(Some(usize::MAX))),
            ("amplification must be at least", UdpConfig::default().amplification(0)),
            ("stats_interval must be at least", UdpConfig::default().stats_interval(Duration::ZERO)),
        ];
        for (problem, config) in cases {
            let error = config.validate().expect_err(problem).to_string();
            assert!(error.starts_with(problem), "{error}");
        }
    }
}
