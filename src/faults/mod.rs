//! Faults on purpose: a wrapper of any handler that makes its answers late, slow, wrong or incomplete, and ends its
//! sessions.
//!
//! [`Faults`] is what is asked for, and [`Faulty`] the wrapper. [`DatagramFaults`] is the same for datagrams, which the
//! UDP server applies. What is random, and when a byte is due, is decided by parts that know neither sessions nor sockets.

mod random;
mod noise;
mod pace;
mod handler;
mod datagrams;

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::{MAX_TIMEOUT, require, setters};
use crate::error::Error;
use crate::service::Handler;
use crate::session::Session;

pub use datagrams::DatagramFaults;
pub(crate) use datagrams::{AnswerChance, Fate};
pub use handler::Faulty;

/// Faults to make on purpose, for tests of clients. By default there are none.
///
/// ```
/// use std::time::Duration;
///
/// use hebra::{Echo, Faults, Server, ServerConfig};
///
/// let faults = Faults::default()
///     .delay(Duration::from_millis(50)..=Duration::from_millis(80))
///     .corrupt(0.01)
///     .seed(7);
/// faults.validate()?;
/// assert_eq!(faults.to_string(), "delay=50ms..80ms corrupt=0.01 seed=7");
///
/// let config = ServerConfig::default().listen(["127.0.0.1:0"]).workers(4);
/// let server = Server::bind(config, move |session| faults.wrap(session, Echo))?.start()?;
/// # drop(server);
/// # Ok::<(), hebra::Error>(())
/// ```
///
/// # What is the same in every run
///
/// Chance is a generator of numbers which starts from the seed, the number of the client
/// ([`Client::id`](crate::Client)) and the kind of the fault. So the client with the same number sees the same faults in
/// every run and on every machine, and one kind of fault does not change when another is switched on.
///
/// Whether a byte is corrupted or dropped depends on its position among all bytes that the handler writes in the session,
/// and not on how they were cut into reads and writes. `close_after`, `reset_after` and the delays go by messages. In
/// [`Framing::Message`](crate::Framing) and [`Framing::Raw`](crate::Framing) the number of messages depends on how the
/// network cuts the stream; in the line framings it does not.
///
/// # What is not touched
///
/// What the client sends; what is pushed to it ([`ClientHandle`](crate::ClientHandle)); what hebra itself says: farewell
/// lines, `busy:` lines, answers to telnet commands.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// How long each answer waits before its first byte is sent, drawn anew from this range for each. A message without
    /// an answer does not wait, nor does an answer for which zero is drawn. Answers come one after the other, so the delays
    /// of messages that arrive together add up. Default: `None`.
    pub delay: Option<RangeInclusive<Duration>>,
    /// The session is closed after so many messages and their answers; with 0 before anything is read. Default: `None`.
    pub close_after: Option<u64>,
    /// The connection is reset after so many messages. Their answers are written first, but those that have not arrived
    /// when the reset is sent are lost. The client of a Unix socket sees a reset only if something that it had sent was
    /// still unread, and otherwise the end of the stream. Default: `None`.
    pub reset_after: Option<u64>,
    /// The bytes a second at which the answers of each session are sent. Default: `None`, as fast as the client takes them.
    pub rate: Option<u64>,
    /// The probability with which each byte of an answer is changed to another one. Default: 0.
    pub corrupt: f64,
    /// The probability with which each byte of an answer is left out. Default: 0.
    pub drop: f64,
    /// Where chance begins: see above. Default: 0.
    pub seed: u64,
}

setters!(Faults {
    delay: impl Into<Option<RangeInclusive<Duration>>>,
    close_after: impl Into<Option<u64>>,
    reset_after: impl Into<Option<u64>>,
    rate: impl Into<Option<u64>>,
    corrupt: f64,
    drop: f64,
    seed: u64,
});

impl Faults {
    /// The smallest probability but 0, for connections and for datagrams. Chance has 53 bits, so smaller ones would be
    /// inexact, and then impossible.
    pub const LEAST_PROBABILITY: f64 = 1e-15;

    /// Wraps the handler of a session. The factory given to [`Server::bind`](crate::Server::bind) calls it.
    ///
    /// It does not check the fields; [`validate`](Self::validate) does.
    #[must_use]
    pub fn wrap<H: Handler>(&self, session: &Session, handler: H) -> Faulty<H> {
        Faulty::new(self, session, handler)
    }

    /// Returns whether there are any faults.
    #[must_use]
    pub fn are_any(&self) -> bool {
        let ends = self.close_after.is_some() || self.reset_after.is_some();
        ends || self.delay.is_some() || self.rate.is_some() || self.corrupt > 0.0 || self.drop > 0.0
    }

    /// Returns whether any of them depend on chance, and so on the seed.
    #[must_use]
    pub fn are_random(&self) -> bool {
        varies(self.delay.as_ref()) || self.corrupt > 0.0 || self.drop > 0.0
    }

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with the first field that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        check_delay(self.delay.as_ref())?;
        let ends_once = self.close_after.is_none() || self.reset_after.is_none();
        require(ends_once, "reset_after", "cannot be combined with close_after")?;
        require(self.rate != Some(0), "rate", "must be at least 1 byte a second")?;
        check_probabilities([("corrupt", self.corrupt), ("drop", self.drop)])
    }
}

/// The fields that are set: `delay=50ms..80ms corrupt=0.01 seed=7`.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |name, count: Option<u64>| count.map(|count| format!("{name}={count}"));
        let fields = [
            shown_delay(self.delay.as_ref()),
            count("close_after", self.close_after),
            count("reset_after", self.reset_after),
            count("rate", self.rate),
            shown_chance("corrupt", self.corrupt),
            shown_chance("drop", self.drop),
            self.are_random().then(|| format!("seed={}", self.seed)),
        ];
        f.write_str(&fields.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

/// Returns whether a delay depends on chance.
fn varies(delay: Option<&RangeInclusive<Duration>>) -> bool {
    delay.is_some_and(|delay| delay.start() != delay.end())
}

fn check_delay(delay: Option<&RangeInclusive<Duration>>) -> Result<(), Error> {
    let Some(delay) = delay else { return Ok(()) };
    require(delay.start() <= delay.end(), "delay", "must not end before it begins")?;
    require(!delay.end().is_zero(), "delay", "must be longer than 0")?;
    require(*delay.end() <= MAX_TIMEOUT, "delay", "must be at most a year")
}

fn check_probabilities(fields: impl IntoIterator<Item = (&'static str, f64)>) -> Result<(), Error> {
    fields.into_iter().try_for_each(|(field, probability)| {
        require((0.0..=1.0).contains(&probability), field, "must be from 0 to 1")?;
        let is_possible = probability == 0.0 || probability >= Faults::LEAST_PROBABILITY;
        require(is_possible, field, "is too small; the smallest probability but 0 is 1e-15")
    })
}

fn shown_delay(delay: Option<&RangeInclusive<Duration>>) -> Option<String> {
    delay.map(|delay| match (delay.start(), delay.end()) {
        (start, end) if start == end => format!("delay={start:?}"),
        (start, end) => format!("delay={start:?}..{end:?}"),
    })
}

fn shown_chance(name: &str, probability: f64) -> Option<String> {
    (probability > 0.0).then(|| format!("{name}={probability}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    #[test]
    fn a_field_that_cannot_work_is_named() {
        for (faults, wrong) in [
            (Faults::default().delay(2 * TICK..=TICK), "delay"),
            (Faults::default().delay(TICK..=Duration::MAX), "delay"),
            (Faults::default().delay(Duration::ZERO..=Duration::ZERO), "delay"),
            (Faults::default().close_after(1).reset_after(1), "reset_after"),
            (Faults::default().rate(0), "rate"),
            (Faults::default().corrupt(1.1), "corrupt"),
            (Faults::default().corrupt(f64::NAN), "corrupt"),
            (Faults::default().drop(-0.1), "drop"),
            (Faults::default().corrupt(1e-16), "corrupt"),
            (Faults::default().drop(f64::MIN_POSITIVE), "drop"),
        ] {
            let error = faults.validate().expect_err(wrong);
            assert!(matches!(error, Error::Config { field, .. } if field == wrong), "{error}");
        }
        let faults = Faults::default().delay(TICK..=TICK).reset_after(0).rate(1).corrupt(1.0).drop(0.0);
        assert!(faults.validate().is_ok() && faults.are_any() && !Faults::default().are_any());
        let faults = Faults::default().delay(Duration::ZERO..=TICK).corrupt(Faults::LEAST_PROBABILITY).drop(-0.0);
        assert!(faults.validate().is_ok() && faults.are_random());
    }

    #[test]
    fn what_is_set_is_shown() {
        assert_eq!(Faults::default().to_string(), "");
        let faults = Faults::default().delay(TICK..=TICK).close_after(3).rate(1024);
        assert_eq!(faults.seed(7).to_string(), "delay=1ms close_after=3 rate=1024");
    }
}
