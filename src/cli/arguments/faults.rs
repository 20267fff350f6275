//! The flags for faults on purpose.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use hebra::{DatagramFaults, Error, Faults};

use super::units;

/// Faults on purpose of `hebra serve`, which can have connections, datagrams, or both.
#[derive(Debug, Args)]
#[command(next_help_heading = "Faults on purpose, for tests of clients")]
pub(crate) struct FaultArguments {
    /// Close each session after so many messages
    #[arg(long, env = "HEBRA_FAULT_CLOSE_AFTER", value_name = "N", value_parser = units::large_number)]
    fault_close_after: Option<u64>,

    /// Reset each connection after so many messages
    #[arg(long, env = "HEBRA_FAULT_RESET_AFTER", value_name = "N", value_parser = units::large_number)]
    fault_reset_after: Option<u64>,

    /// Bytes a second at which the answers of each session are sent
    #[arg(long, env = "HEBRA_FAULT_RATE", value_name = "SIZE", value_parser = units::size)]
    fault_rate: Option<usize>,

    #[command(flatten)]
    common: DatagramFaultArguments,
}

/// Faults on purpose that datagrams have. Connections have some of them too.
#[derive(Debug, Args)]
#[command(next_help_heading = "Faults on purpose, for tests of clients")]
pub(crate) struct DatagramFaultArguments {
    /// How long each answer waits: 50ms, or a range as 50ms..80ms
    #[arg(long, env = "HEBRA_FAULT_DELAY", value_name = "TIME", value_parser = units::delay)]
    fault_delay: Option<RangeInclusive<Duration>>,

    /// Probability with which a byte of an answer is changed
    #[arg(long, env = "HEBRA_FAULT_CORRUPT", value_name = "P", value_parser = units::probability)]
    fault_corrupt: Option<f64>,

    /// Probability with which a byte of a stream, or a datagram, is lost
    #[arg(long, env = "HEBRA_FAULT_DROP", value_name = "P", value_parser = units::probability)]
    fault_drop: Option<f64>,

    /// Probability with which a datagram is sent twice
    #[arg(long, env = "HEBRA_FAULT_DUPLICATE", value_name = "P", value_parser = units::probability)]
    fault_duplicate: Option<f64>,

    /// Probability with which a datagram is sent after the next one
    #[arg(long, env = "HEBRA_FAULT_REORDER", value_name = "P", value_parser = units::probability)]
    fault_reorder: Option<f64>,

    /// Where chance begins: the same faults for the same seed
    #[arg(long, env = "HEBRA_FAULT_SEED", value_name = "N", value_parser = units::large_number, default_value = "0")]
    fault_seed: u64,
}

/// What `--fault-seed` needs.
const CHANCE: &str = "without a fault by chance, such as --fault-drop";

impl FaultArguments {
    /// Returns what the flags mean for connections.
    pub(crate) fn faults(&self) -> Faults {
        Faults::default()
            .delay(self.common.fault_delay.clone())
            .close_after(self.fault_close_after)
            .reset_after(self.fault_reset_after)
            .rate(self.fault_rate.map(|rate| rate as u64))
            .corrupt(self.common.fault_corrupt.unwrap_or_default())
            .drop(self.common.fault_drop.unwrap_or_default())
            .seed(self.common.fault_seed)
    }

    /// Returns what the flags mean for datagrams.
    pub(crate) fn datagram_faults(&self) -> DatagramFaults {
        self.common.faults()
    }

    /// Checks what the flags mean.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first value that cannot work. Its field is the name of the argument.
    pub(super) fn validate(&self) -> Result<(), Error> {
        self.faults().validate().map_err(|error| match error {
            Error::Config { field: "reset_after", .. } => {
                Error::Config { field: "fault_reset_after", problem: "cannot be combined with --fault-close-after" }
            }
            Error::Config { field: "rate", problem } => Error::Config { field: "fault_rate", problem },
            // The parsers have refused every other wrong value.
            error => error,
        })
    }

    /// Returns the flags that have an effect only together with others, as
    /// [`ServeArguments::dependent`](super::ServeArguments::dependent) does. `has_streams` and `has_datagrams` are whether
    /// there can be connections, and datagrams. There is always one of the two.
    pub(super) fn dependent(
        &self,
        has_streams: bool,
        has_datagrams: bool,
    ) -> Vec<(&'static str, bool, &'static str)> {
        const STREAMS: &str = "without a TCP or Unix listener";
        const DATAGRAMS: &str = "without a udp:// listener";
        let is_random =
            has_streams && self.faults().are_random() || has_datagrams && self.datagram_faults().are_random();
        vec![
            ("fault_close_after", has_streams, STREAMS),
            ("fault_reset_after", has_streams, STREAMS),
            ("fault_rate", has_streams, STREAMS),
            ("fault_duplicate", has_datagrams, DATAGRAMS),
            ("fault_reorder", has_datagrams, DATAGRAMS),
            ("fault_seed", is_random, CHANCE),
        ]
    }
}

impl DatagramFaultArguments {
    /// Returns what the flags mean. Their parsers have refused every wrong value.
    pub(crate) fn faults(&self) -> DatagramFaults {
        DatagramFaults::default()
            .delay(self.fault_delay.clone())
            .corrupt(self.fault_corrupt.unwrap_or_default())
            .drop(self.fault_drop.unwrap_or_default())
            .duplicate(self.fault_duplicate.unwrap_or_default())
            .reorder(self.fault_reorder.unwrap_or_default())
            .seed(self.fault_seed)
    }

    /// As [`FaultArguments::dependent`]. `has_answers` is whether datagrams are answered.
    pub(super) fn dependent(&self, has_answers: bool) -> Vec<(&'static str, bool, &'static str)> {
        const ECHO: &str = "without --echo";
        vec![
            ("fault_delay", has_answers, ECHO),
            ("fault_corrupt", has_answers, ECHO),
            ("fault_drop", has_answers, ECHO),
            ("fault_duplicate", has_answers, ECHO),
            ("fault_reorder", has_answers, ECHO),
            ("fault_seed", has_answers, ECHO),
            ("fault_seed", self.faults().are_random(), CHANCE),
        ]
    }
}
