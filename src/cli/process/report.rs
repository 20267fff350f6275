//! What a server reports on request, in the log.

use std::fmt;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use hebra::{DatagramFaults, Faults, SessionInfo, Stats, UdpStats};
use log::kv::{Error, Source, Value, VisitSource};
use log::{Level, Record};

use super::{logging, threads};

/// A line of a report.
#[derive(Debug)]
pub(in crate::cli) enum Line {
    /// The totals of a server, boxed because they are larger than the other lines.
    Totals(Box<Stats>),
    /// The totals of a UDP server.
    UdpTotals(UdpStats),
    /// A live session.
    Session(SessionInfo),
    /// A stop was asked for, and the server accepts for so long more.
    Delayed(Duration),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Totals(stats) => write!(f, "totals: {stats}"),
            Self::UdpTotals(stats) => write!(f, "totals: {stats}"),
            Self::Delayed(delay) => write!(f, "a stop was asked for; clients are accepted for {delay:?} more"),
            Self::Session(SessionInfo { client, age, silence, messages, bytes_in, bytes_out, faults, .. }) => {
                write!(
                    f,
                    "{client} is connected; age={age:.1?} silence={silence:.1?} messages={messages} \
                     bytes_in={bytes_in} bytes_out={bytes_out}"
                )?;
                if *faults > 0 { write!(f, " faults={faults}") } else { Ok(()) }
            }
        }
    }
}

/// The fields of a structured log.
impl Source for Line {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        let session = match self {
            Self::Totals(stats) => return stats.visit(visitor),
            Self::UdpTotals(stats) => return stats.visit(visitor),
            Self::Delayed(delay) => {
                visitor.visit_pair("event".into(), "stop_delayed".into())?;
                return visitor.visit_pair("delay_s".into(), seconds(*delay).into());
            }
            Self::Session(session) => session,
        };
        let proxy = session.client.proxied_by.as_ref().map(|proxy| ("proxied_by", Value::from_display(proxy)));
        let fields = [
            ("event", "session".into()),
            ("client", session.client.id.into()),
            ("peer", Value::from_display(&session.client.peer)),
        ];
        let numbers = [
            ("age_s", seconds(session.age).into()),
            ("silence_s", seconds(session.silence).into()),
            ("messages", session.messages.into()),
            ("bytes_in", session.bytes_in.into()),
            ("bytes_out", session.bytes_out.into()),
        ];
        let faults = (session.faults > 0).then(|| ("faults", session.faults.into()));
        let mut fields = fields.into_iter().chain(proxy).chain(numbers).chain(faults);
        fields.try_for_each(|(key, value)| visitor.visit_pair(key.into(), value))
    }
}

/// Warns, before the first client comes, that the server makes faults on purpose, so that nobody takes it for a broken one.
/// What the server does not have is `None`.
pub(in crate::cli) fn warn_of_faults(streams: Option<&Faults>, datagrams: Option<&DatagramFaults>) {
    let streams = streams.filter(|faults| faults.are_any());
    let datagrams = datagrams.filter(|faults| faults.are_any());
    if let Some(faults) = streams {
        log::warn!(event = "faults_on_purpose"; "faults on purpose: {faults}");
    }
    if let Some(faults) = datagrams {
        log::warn!(event = "faults_on_purpose"; "faults on purpose: {faults} (datagrams)");
    }
    if streams.is_some() || datagrams.is_some() {
        log::logger().flush();
    }
}

/// Returns a duration in seconds, to the microsecond, as the library's events have it.
fn seconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}

/// Logs the lines that `report` makes, on a thread of its own, because the log may be stalled and the caller has signals
/// to wait for. While the report before is still being logged, it does nothing. `last` is that report's thread.
pub(super) fn report(last: &mut Option<Receiver<()>>, report: impl Fn() -> Vec<Line>) {
    let is_running = |ended: &Receiver<()>| ended.try_recv() == Err(TryRecvError::Empty);
    if last.as_ref().is_some_and(is_running) {
        return;
    }
    let lines = report();
    let log = move || {
        lines.iter().for_each(log_line);
        log::logger().flush();
    };
    // Without a thread there is no report; the next signal asks again.
    *last = threads::spawn("hebra-report", log).ok();
}

fn log_line(line: &Line) {
    let mut record = Record::builder();
    record.level(Level::Info).target(logging::REPORTS).key_values(line);
    log::logger().log(&record.args(format_args!("{line}")).build());
}
