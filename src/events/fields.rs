//! The fields of an event: the key-values of its log record, for loggers whose lines are read by programs.
//!
//! A logger that does not ask for them costs nothing.

use std::fmt;
use std::time::Duration;

use log::kv::{Error, Key, Source, Value, VisitSource};

use super::{CloseReason, Event, Stats};
use crate::client::Client;

/// Passes fields on to a visitor.
pub(crate) struct Fields<'a, 'kvs>(pub(crate) &'a mut dyn VisitSource<'kvs>);

impl<'kvs> Fields<'_, 'kvs> {
    /// Adds a number or a text.
    pub(crate) fn add(&mut self, key: &'static str, value: impl Into<Value<'kvs>>) -> Result<(), Error> {
        self.0.visit_pair(Key::from_str(key), value.into())
    }

    /// Adds something as it is shown.
    pub(crate) fn show(&mut self, key: &'static str, value: &'kvs impl fmt::Display) -> Result<(), Error> {
        self.0.visit_pair(Key::from_str(key), Value::from_display(value))
    }

    fn client(&mut self, client: &'kvs Client) -> Result<(), Error> {
        self.add("client", client.id)?;
        self.show("peer", &client.peer)?;
        client.proxied_by.as_ref().map_or(Ok(()), |proxy| self.show("proxied_by", proxy))
    }
}

/// Returns a duration in seconds, to the microsecond.
fn seconds(duration: Duration) -> f64 {
    // Fewer digits: nothing here is measured more precisely than that.
    duration.as_micros() as f64 / 1e6
}

/// The key-values are `event`, which names what happened in snake case, and what [`Display`](fmt::Display) shows of it:
/// `client`, `peer`, `reason`, `messages`, `bytes_in`, `bytes_out`, `duration_s`, `faults`, `waited_s`, and `text` for what has no
/// field of its own.
impl Source for Event {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        let mut fields = Fields(visitor);
        if let Self::Totals { stats } = self {
            return stats.visit(visitor);
        }
        fields.add("event", self.name())?;
        match self {
            Self::Connected { client, waited } => {
                fields.client(client)?;
                fields.add("waited_s", seconds(*waited))
            }
            Self::Message { client, excerpt } => {
                fields.client(client)?;
                fields.add("bytes", excerpt.message_len() as u64)?;
                fields.show("text", excerpt.text())
            }
            Self::Disconnected { client, reason, messages, bytes_in, bytes_out, duration, faults } => {
                fields.client(client)?;
                fields.add("reason", reason.label())?;
                if let CloseReason::Failed(kind) | CloseReason::ServiceFailed(kind) = reason {
                    fields.show("cause", kind)?;
                }
                fields.add("messages", *messages)?;
                fields.add("bytes_in", *bytes_in)?;
                fields.add("bytes_out", *bytes_out)?;
                fields.add("duration_s", seconds(*duration))?;
                if *faults > 0 { fields.add("faults", *faults) } else { Ok(()) }
            }
            Self::Refused { client, reason } => {
                fields.client(client)?;
                fields.add("reason", reason.label())
            }
            Self::HandlerFailed { client, error } => {
                fields.client(client)?;
                fields.add("text", error.as_str())
            }
            Self::Panicked { client, message } => {
                fields.client(client)?;
                fields.show("text", message.text())
            }
            Self::Draining { sessions } | Self::CutOff { sessions } => {
                fields.add("sessions", *sessions as u64)?;
                fields.show("text", self)
            }
            _ => fields.show("text", self),
        }
    }
}

/// The key-values are `event`, which is `totals`, and the totals by the names that [`Display`](fmt::Display) shows.
impl Source for Stats {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        let mut fields = Fields(visitor);
        fields.add("event", "totals")?;
        self.totals().try_for_each(|(name, total)| fields.add(name, total))
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::events::{Excerpt, FaultKind, RefuseReason};

    /// Returns the fields as a text: `name=value ...`.
    fn fields(source: &impl Source) -> String {
        struct Shown(String);

        impl<'kvs> VisitSource<'kvs> for Shown {
            fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
                self.0 += &format!(" {key}={value}");
                Ok(())
            }
        }

        let mut shown = Shown(String::new());
        source.visit(&mut shown).expect("the visitor does not fail");
        shown.0.trim_start().to_owned()
    }

    #[test]
    fn events_have_the_fields_that_their_lines_show() {
        let client = Client::new(7, ([127, 0, 0, 1], 5).into());
        let waited = Duration::from_millis(1500);
        let excerpt = Excerpt::new("¡Hola!\n".as_bytes());
        for (event, expected) in [
            (Event::Connected { client, waited }, "event=connected client=7 peer=127.0.0.1:5 waited_s=1.5"),
            (Event::Message { client, excerpt }, "event=message client=7 peer=127.0.0.1:5 bytes=8 text=¡Hola!\n"),
            (
                Event::Refused { client, reason: RefuseReason::QueueTimeout },
                "event=refused client=7 peer=127.0.0.1:5 reason=queue_timeout",
            ),
            (
                Event::Disconnected {
                    client,
                    reason: CloseReason::Failed(ErrorKind::ConnectionReset),
                    messages: 1,
                    bytes_in: 2,
                    bytes_out: 3,
                    duration: waited,
                    faults: 4,
                },
                "event=disconnected client=7 peer=127.0.0.1:5 reason=connection_failed cause=connection reset \
                 messages=1 bytes_in=2 bytes_out=3 duration_s=1.5 faults=4",
            ),
            (Event::Draining { sessions: 3 }, "event=draining sessions=3 text=stopping; sessions to end: 3"),
        ] {
            assert_eq!(fields(&event).trim_end_matches('\n'), expected.trim_end_matches('\n'));
        }
    }

    #[test]
    fn totals_have_the_fields_of_their_line() {
        let mut stats = Stats { accepted: 3, refused: 1, ..Stats::default() };
        stats.refused_by[RefuseReason::Full as usize] = 1;
        stats.finished_by[CloseReason::Bye.index()] = 2;
        assert_eq!(fields(&stats), format!("event=totals {stats}"));
        assert_eq!(fields(&Event::Totals { stats: Box::new(stats) }), format!("event=totals {stats}"));
    }

    #[test]
    fn counts_by_reason_have_the_names_of_the_reasons() {
        let stats = Stats::default();
        let refused = stats.refused_by_reason().map(|(label, _)| format!("refused_{label}"));
        assert!(refused.eq(RefuseReason::FIELDS));
        let finished = stats.finished_by_reason().map(|(label, _)| format!("finished_{label}"));
        assert!(finished.eq(CloseReason::FIELDS));
        let faults = stats.faults_by_kind().map(|(label, _)| format!("faults_{label}"));
        assert!(faults.eq(FaultKind::FIELDS));
    }
}
