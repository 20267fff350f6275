//! What became of sessions, bytes and datagrams other than an answer in time, as rows of a name and a text.

use super::super::traffic::datagrams::{DatagramFault, Datagrams};
use super::super::traffic::faults::{Faults, Sessions};
use super::super::traffic::load::{Load, Mode};
use super::super::traffic::tally::Tally;
use super::figures::thousands;

/// Returns the rows that this load has.
pub(crate) fn rows(load: &Load, tally: &Tally) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if load.reconnect {
        rows.push(("sessions", sessions(&tally.sessions)));
    }
    if load.mode == Mode::Udp {
        rows.extend(datagrams(&tally.datagrams));
    } else if load.expect_faults {
        rows.extend(bytes(tally));
    }
    rows
}

fn sessions(sessions: &Sessions) -> String {
    let Sessions { ended, reset, reconnected, resent, least_messages, most_messages } = sessions;
    let mut text = format!("{ended} ended, {reset} reset, {reconnected} reconnected, {resent} messages sent again");
    if sessions.lost() > 0 {
        text += &format!(", {least_messages} to {most_messages} answers in each");
    }
    text
}

fn bytes(tally: &Tally) -> [(&'static str, String); 3] {
    let Faults { corrupted_bytes, missing_bytes, damaged_messages, unfinished_messages } = tally.faults;
    let bytes = tally.verified_bytes + corrupted_bytes + missing_bytes;
    let share = |count: u64| format!("{count} bytes of {bytes} ({:.6})", count as f64 / bytes.max(1) as f64);
    let messages = tally.total_answers + unfinished_messages;
    [
        ("corrupted", share(corrupted_bytes)),
        ("missing", share(missing_bytes)),
        ("damaged", format!("{damaged_messages} messages of {messages}, {unfinished_messages} unfinished")),
    ]
}

fn datagrams(datagrams: &Datagrams) -> Vec<(&'static str, String)> {
    let [sent, received, timed_out] =
        [datagrams.sent, datagrams.received, datagrams.timed_out].map(|count| thousands(count as f64));
    let all = format!("{sent} sent, {received} received, {timed_out} without an answer at the timeout");
    let mut rows = vec![("datagrams", all)];
    for fault in DatagramFault::ALL {
        let count = datagrams.count(fault);
        if count == 0 && fault != DatagramFault::Lost {
            continue;
        }
        let mut text = thousands(count as f64);
        if fault == DatagramFault::Lost && count > 0 {
            let (here, server, elsewhere) = datagrams.losses();
            text += &format!(" ({here} dropped by this client's sockets, ");
            if let Some(server) = server {
                text += &format!("{server} by the server's socket, ");
            }
            text += &format!("{elsewhere} elsewhere)");
        }
        if let Some((client, number)) = datagrams.first(fault) {
            text += &format!(", first datagram {number} of connection {client}");
        }
        rows.push((fault.name(), text));
    }
    rows
}
