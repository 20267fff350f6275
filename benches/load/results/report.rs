//! The result of one run as text for people.

use std::fmt::Write;

use super::super::server::usage::ServerSide;
use super::super::traffic::datagrams::{DatagramFault, Datagrams};
use super::super::traffic::faults::{Faults, Sessions};
use super::super::traffic::load::{Load, Mode};
use super::super::traffic::run::Outcome;
use super::super::traffic::tally::{Failure, Tally};
use super::figures::{self, MIB, PERCENTILES, microseconds, throughput};

/// Returns the result as a table.
pub(crate) fn table(load: &Load, outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_table(&mut text, load, outcome);
    text
}

fn write_table(text: &mut String, load: &Load, outcome: &Outcome) -> std::fmt::Result {
    let tally = &outcome.tally;
    let unit = match load.mode {
        Mode::Echo | Mode::Stream => "messages/s",
        Mode::Churn => "sessions/s",
        Mode::Udp => "datagrams/s",
    };
    writeln!(
        text,
        "{} against {}, {:.1} s after {:.1} s of warm-up",
        load.title(),
        load.address,
        tally.elapsed.as_secs_f64(),
        load.warmup.as_secs_f64(),
    )?;
    let rate = figures::rate(outcome.rate());
    write!(text, "  rate        {rate:>12} {unit}  {:.1} MiB/s each way", throughput(load, outcome))?;
    match load.rate {
        Some(rate) if outcome.saturated() => {
            writeln!(
                text,
                "\n  SATURATED   {:>12} {unit} were requested; of {} messages that were due, {} were never sent and {} \
                 were overdue",
                figures::rate(rate),
                tally.due,
                tally.unsent,
                outcome.overdue()
            )?;
        }
        Some(rate) => writeln!(text, " of {} requested", figures::rate(rate))?,
        None => writeln!(text)?,
    }
    writeln!(text, "  noise       {:12.1} % variation between tenths of a second", outcome.noise(load))?;
    writeln!(text, "  verified    {:12} bytes in {} messages", tally.verified_bytes, tally.total_answers)?;
    write!(text, "  {:<10}", "us")?;
    for (name, _) in PERCENTILES {
        write!(text, "{name:>11}")?;
    }
    writeln!(text, "{:>11}", "max")?;
    let rows = [("service", &tally.service), ("response", &tally.response), ("connect", &tally.connect)];
    for (name, histogram) in rows.into_iter().filter(|(_, histogram)| !histogram.is_empty()) {
        write!(text, "  {name:<10}")?;
        for (_, quantile) in PERCENTILES {
            write!(text, "{:11.1}", microseconds(histogram, quantile))?;
        }
        writeln!(text, "{:11.1}", histogram.max() as f64 / 1000.0)?;
    }
    write!(text, "  errors     ")?;
    for failure in Failure::ALL {
        write!(text, " {} {}", failure.name(), tally.failures.count(failure))?;
    }
    writeln!(text)?;
    if let Some(first) = &tally.failures.first {
        writeln!(text, "  first error {first}")?;
    }
    if load.reconnect {
        write_sessions(text, &tally.sessions)?;
    }
    if load.mode == Mode::Udp {
        write_datagrams(text, &tally.datagrams)?;
    } else if load.expect_faults {
        write_faults(text, tally)?;
    }
    if let Some(server) = &outcome.server {
        write_server(text, server)?;
    }
    let busy = outcome.client_busy();
    let verdict = if busy > 0.9 { ": the client is the limit" } else { "" };
    writeln!(text, "  client      {:.0} % of {} core(s){verdict}", busy * 100.0, load.threads)
}

fn write_sessions(text: &mut String, sessions: &Sessions) -> std::fmt::Result {
    let Sessions { ended, reset, reconnected, resent, least_messages, most_messages } = sessions;
    write!(
        text,
        "  sessions     ended {ended} reset {reset} reconnected {reconnected}, {resent} messages sent again"
    )?;
    if sessions.lost() > 0 {
        write!(text, ", {least_messages} to {most_messages} answers in each")?;
    }
    writeln!(text)
}

fn write_faults(text: &mut String, tally: &Tally) -> std::fmt::Result {
    let Faults { corrupted_bytes, missing_bytes, damaged_messages, unfinished_messages } = tally.faults;
    let bytes = tally.verified_bytes + corrupted_bytes + missing_bytes;
    let share = |count: u64| count as f64 / bytes.max(1) as f64;
    writeln!(text, "  corrupted   {corrupted_bytes:12} bytes of {bytes} ({:.6})", share(corrupted_bytes))?;
    writeln!(text, "  missing     {missing_bytes:12} bytes of {bytes} ({:.6})", share(missing_bytes))?;
    let messages = tally.total_answers + unfinished_messages;
    writeln!(text, "  damaged     {damaged_messages:12} messages of {messages}, {unfinished_messages} unfinished")
}

fn write_datagrams(text: &mut String, datagrams: &Datagrams) -> std::fmt::Result {
    let Datagrams { sent, received, timed_out, .. } = datagrams;
    writeln!(
        text,
        "  datagrams   {sent:12} sent, {received} received, {timed_out} without an answer at the timeout"
    )?;
    for fault in DatagramFault::ALL {
        let count = datagrams.count(fault);
        if count == 0 && fault != DatagramFault::Lost {
            continue;
        }
        write!(text, "  {:<11} {count:12}", fault.name())?;
        if fault == DatagramFault::Lost {
            let (here, server, elsewhere) = datagrams.losses();
            write!(text, " ({here} dropped by this client's sockets, ")?;
            if let Some(server) = server {
                write!(text, "{server} by the server's socket, ")?;
            }
            write!(text, "{elsewhere} elsewhere)")?;
        }
        if let Some((client, number)) = datagrams.first(fault) {
            write!(text, ", first datagram {number} of connection {client}")?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn write_server(text: &mut String, server: &ServerSide) -> std::fmt::Result {
    let seconds = server.elapsed.as_secs_f64().max(1e-9);
    writeln!(
        text,
        "  server      {:.0} % of a core, {:.1} MiB resident, {} threads, {} descriptors, \
         {:.0} voluntary and {:.0} involuntary context switches/s",
        100.0 * server.cpu.as_secs_f64() / seconds,
        server.resident as f64 / MIB,
        server.threads,
        server.descriptors,
        server.voluntary_switches as f64 / seconds,
        server.involuntary_switches as f64 / seconds,
    )
}
