//! The flags for faults on purpose.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use hebra::{Error, Faults};

use super::units;

/// Faults on purpose, for tests of clients.
#[derive(Debug, Args)]
#[command(next_help_heading = "Faults on purpose, for tests of clients")]
pub(crate) struct FaultArguments {
    /// How long each answer waits: 50ms, or a range as 50ms..80ms
    #[arg(long, env = "HEBRA_FAULT_DELAY", value_name = "TIME", value_parser = units::delay)]
    fault_delay: Option<RangeInclusive<Duration>>,

    /// Close each session after so many messages
    #[arg(long, env = "HEBRA_FAULT_CLOSE_AFTER", value_name = "N", value_parser = units::large_number)]
    fault_close_after: Option<u64>,

    /// Reset each connection after so many messages
    #[arg(long, env = "HEBRA_FAULT_RESET_AFTER", value_name = "N", value_parser = units::large_number)]
    fault_reset_after: Option<u64>,

    /// Bytes a second at which answers are sent
    #[arg(long, env = "HEBRA_FAULT_RATE", value_name = "SIZE", value_parser = units::size)]
    fault_rate: Option<usize>,

    /// Probability with which a byte of an answer is changed
    #[arg(long, env = "HEBRA_FAULT_CORRUPT", value_name = "P", value_parser = units::probability)]
    fault_corrupt: Option<f64>,

    /// Probability with which a byte of an answer is left out
    #[arg(long, env = "HEBRA_FAULT_DROP", value_name = "P", value_parser = units::probability)]
    fault_drop: Option<f64>,

    /// Where chance begins: the same faults for the same seed
    #[arg(long, env = "HEBRA_FAULT_SEED", value_name = "N", value_parser = units::large_number, default_value = "0")]
    fault_seed: u64,
}

impl FaultArguments {
    /// Returns what the flags mean.
    pub(crate) fn faults(&self) -> Faults {
        Faults::default()
            .delay(self.fault_delay.clone())
            .close_after(self.fault_close_after)
            .reset_after(self.fault_reset_after)
            .rate(self.fault_rate.map(|rate| rate as u64))
            .corrupt(self.fault_corrupt.unwrap_or_default())
            .drop(self.fault_drop.unwrap_or_default())
            .seed(self.fault_seed)
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
    /// [`ServeArguments::dependent`](super::ServeArguments::dependent) does. `has_streams` is whether there are
    /// connections.
    pub(super) fn dependent(&self, has_streams: bool) -> Vec<(&'static str, bool, &'static str)> {
        const STREAMS: &str = "without a TCP or Unix listener";
        vec![
            ("fault_delay", has_streams, STREAMS),
            ("fault_close_after", has_streams, STREAMS),
            ("fault_reset_after", has_streams, STREAMS),
            ("fault_rate", has_streams, STREAMS),
            ("fault_corrupt", has_streams, STREAMS),
            ("fault_drop", has_streams, STREAMS),
            (
                "fault_seed",
                self.faults().are_random(),
                "without --fault-corrupt, --fault-drop or a range of --fault-delay",
            ),
        ]
    }
}
