//! Everything an operator may set for UDP, with its default, and the check of it.

use std::time::Duration;

use crate::config::{require, require_addresses, require_limit};
use crate::{Error, LogMessages};

/// What a [`UdpServer`](crate::UdpServer) listens on, and what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpConfig {
    /// Addresses to listen on, each `HOST:PORT`; every address a name resolves to is used. Port 0 takes a
    /// free one. Broadcast and multicast addresses are refused. Default: `localhost:1234`.
    pub listen: Vec<String>,
    /// Whether each datagram is sent back (RFC 862). Default: no.
    pub echo: bool,
    /// Answers a second that one sender gets, and as many at once: one IPv4 address, or one IPv6 network of
    /// 64 bits. A loop with another echo server goes on if it is slower; without a limit (`None`), any does.
    /// Default: 1,000.
    pub rate: Option<usize>,
    /// How many datagrams are logged. Default: [`LogMessages::PerSecond`] of 1,000.
    pub log_messages: LogMessages,
    /// How often totals are logged. Default: `None`, at the end only.
    pub stats_interval: Option<Duration>,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self {
            listen: vec!["localhost:1234".to_owned()],
            echo: false,
            rate: Some(1000),
            log_messages: LogMessages::PerSecond(1000),
            stats_interval: None,
        }
    }
}

impl UdpConfig {
    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first field that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        require_addresses(&self.listen)?;
        require(self.rate != Some(0), "rate", "must be at least 1, or off")?;
        require(self.rate.is_none_or(|rate| rate <= 1_000_000_000), "rate", "must be at most 10^9, or off")?;
        require_limit("stats-interval", self.stats_interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_each_bad_value_is_named() {
        assert!(UdpConfig::default().validate().is_ok());
        type Spoil = fn(&mut UdpConfig);
        let cases: [(&str, Spoil); 4] = [
            ("listen needs", |config| config.listen.clear()),
            ("rate must be at least", |config| config.rate = Some(0)),
            ("rate must be at most", |config| config.rate = Some(usize::MAX)),
            ("stats-interval must be at least", |config| config.stats_interval = Some(Duration::ZERO)),
        ];
        for (problem, spoil) in cases {
            let mut config = UdpConfig::default();
            spoil(&mut config);
            let told = config.validate().expect_err(problem).to_string();
            assert!(told.starts_with(problem), "{told}");
        }
    }
}
