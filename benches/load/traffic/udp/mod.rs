//! One measured client of `--mode udp`: a connected socket that sends numbered datagrams and judges what comes back.
//!
//! In a closed loop a datagram that is answered, or has no answer at the timeout, makes room for the next one. In an open
//! loop a datagram is sent when it is due, however many have no answer.

mod datagram;
mod drops;
pub(crate) mod ledger;

use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::UdpSocket;
use mio::{Interest, Token};
use socket2::{Protocol, Socket, Type};

pub(crate) use datagram::{HEADER, LONGEST, SHORTEST};
pub(crate) use drops::{dropped, server_drops};

use super::address::Address;
use super::client::Client;
use super::context::{Context, Request};
use super::datagrams::DatagramFault;
use super::tally::Failure;
use datagram::{Header, different};
use ledger::{Answer, Ledger};

/// The receive buffer that each socket asks for. The kernel gives as much of it as `net.core.rmem_max` allows.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// The most datagrams that are received from one socket before the other clients have their turns.
const MOST_AT_ONCE: usize = 1024;

/// How many datagrams all clients of a run remember, if some have no answer.
const REMEMBERED: usize = 4_000_000;

/// How many each client remembers at least.
const LEAST_REMEMBERED: usize = 1000;

/// How many of the datagrams that wait are compared with one whose header is damaged.
const CANDIDATES: usize = 1000;

/// One measured client.
#[derive(Debug)]
pub(crate) struct UdpClient {
    slot: usize,
    number: u64,
    /// `None` before it connects, and after a failure.
    socket: Option<UdpSocket>,
    run: u32,
    /// Datagrams that may have been sent by now.
    due: u64,
    ledger: Ledger,
    has_answer: bool,
    has_failed: bool,
    is_leaving: bool,
}

impl Client for UdpClient {
    /// In between, answers are received, so that at a rate out of reach they do not fill the receive buffers.
    const BURST: usize = 64;

    fn new(slot: usize, number: u64) -> Self {
        Self {
            slot,
            number,
            socket: None,
            run: RandomState::new().hash_one(number) as u32,
            due: 0,
            ledger: Ledger::default(),
            has_answer: false,
            has_failed: false,
            is_leaving: false,
        }
    }

    fn connect(&mut self, context: &mut Context<'_>) {
        let connecting = open(&context.load.address).and_then(|mut socket| {
            context.registry.register(&mut socket, Token(self.slot), Interest::READABLE)?;
            Ok(socket)
        });
        match connecting {
            Ok(socket) => {
                self.socket = Some(socket);
                context.open += 1;
            }
            Err(error) => {
                context.tally.failures.add(Failure::from(&error), || error.to_string());
                self.has_failed = true;
            }
        }
    }

    fn allow(&mut self, requests: u64) {
        self.due = self.due.saturating_add(requests);
    }

    fn proceed(&mut self, context: &mut Context<'_>) {
        while self.ledger.sent() < self.due && context.now < context.window.to && self.has_room(context) {
            let Some(socket) = &self.socket else { return };
            let sequence = self.ledger.sent();
            self.header(sequence).write(context.payloads, &mut context.outgoing);
            let begun = Instant::now();
            match socket.send(&context.outgoing) {
                Ok(_) => {
                    let intended =
                        context.schedule.map_or(begun, |schedule| schedule.intended(self.slot, sequence));
                    self.ledger.add(Request { intended, begun });
                    context.tally.datagrams.sent += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.wait(Interest::WRITABLE, context);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.count_failure(&error, context),
            }
            context.now = begun;
        }
    }

    fn handle(&mut self, _event: &Event, context: &mut Context<'_>) {
        self.receive(false, context);
        self.proceed(context);
    }

    fn check_timeout(&mut self, context: &mut Context<'_>) {
        self.receive(true, context);
        self.time_out(context.load.timeout, context);
        self.proceed(context);
    }

    fn close(&mut self, _context: &mut Context<'_>) {
        self.is_leaving = self.socket.is_some();
    }

    fn is_waiting(&self, _context: &Context<'_>) -> bool {
        self.ledger.waiting() > 0
    }

    /// A duplicate may follow the last answer.
    fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    fn has_failed(&self) -> bool {
        self.has_failed
    }

    fn begun(&self) -> u64 {
        self.ledger.sent()
    }

    fn unanswered(&self) -> impl Iterator<Item = &Request> {
        self.ledger.unanswered()
    }

    fn finish(clients: &[Self], context: &mut Context<'_>) {
        let datagrams = &mut context.tally.datagrams;
        for client in clients {
            if let (lost, Some(first)) = client.ledger.lost() {
                datagrams.add_many(DatagramFault::Lost, lost, client.number, first);
            }
        }
        let sockets = clients.iter().filter_map(|client| client.socket.as_ref()?.local_addr().ok());
        datagrams.dropped_here = dropped(&sockets.collect());
    }
}

impl UdpClient {
    fn header(&self, sequence: u64) -> Header {
        Header { run: self.run, client: self.number as u32, sequence }
    }

    fn has_room(&self, context: &Context<'_>) -> bool {
        context.load.depth_limit().is_none_or(|depth| self.ledger.waiting() < depth)
    }

    /// Receives what has arrived. If nothing waits, more is expected only if that is `thorough`: a datagram that nothing
    /// waits for is rare, and to look for it costs a system call.
    fn receive(&mut self, thorough: bool, context: &mut Context<'_>) {
        for _ in 0..MOST_AT_ONCE {
            let Some(socket) = &self.socket else { return };
            match socket.recv(&mut context.incoming) {
                Ok(length) => {
                    context.now = Instant::now();
                    context.tally.datagrams.received += 1;
                    self.time_out(context.load.timeout, context);
                    self.judge(length, context);
                    if self.ledger.waiting() == 0 && !thorough {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.count_failure(&error, context),
            }
        }
        // There is another event if more has arrived.
        self.wait(Interest::READABLE, context);
    }

    /// Counts what a received datagram is.
    fn judge(&mut self, length: usize, context: &mut Context<'_>) {
        let received = &context.incoming[..length];
        let header = Header::read(received);
        if let Some(header) = header.filter(|header| header.verify(context.payloads, received)) {
            let is_own = header == self.header(header.sequence);
            let answer = if is_own { self.ledger.answer(header.sequence) } else { Answer::Unknown };
            return self.count(answer, header.sequence, context);
        }
        // The payload tells whose it is if the header does not.
        let whose = match header {
            Some(header) if header == self.header(header.sequence) => Some(header.sequence),
            Some(Header { sequence, .. }) => return self.count(Answer::Unknown, sequence, context),
            None => self.most_similar(length, context),
        };
        context.tally.datagrams.add(DatagramFault::Corrupt, self.number, whose.unwrap_or_default());
        let Some(sequence) = whose else { return };
        if let Answer::First { .. } = self.ledger.settle(sequence) {
            self.header(sequence).write(context.payloads, &mut context.outgoing);
            let wrong = different(&context.outgoing, &context.incoming[..length]);
            context.tally.faults.corrupted_bytes += wrong as u64;
        }
    }

    fn count(&mut self, answer: Answer, sequence: u64, context: &mut Context<'_>) {
        let fault = match answer {
            Answer::First { request, is_late, is_reordered } => {
                self.has_answer = true;
                context.tally.verified_bytes += context.load.size as u64;
                if is_reordered {
                    context.tally.datagrams.add(DatagramFault::Reordered, self.number, sequence);
                }
                if !is_late {
                    return context.count_answer(request);
                }
                context.count_times(request);
                DatagramFault::Late
            }
            Answer::Duplicate => DatagramFault::Duplicate,
            Answer::Unknown => DatagramFault::Unexpected,
        };
        context.tally.datagrams.add(fault, self.number, sequence);
    }

    /// Returns the number of the datagram that waits and has most bytes in common with the received one, if these are more
    /// than half.
    fn most_similar(&self, length: usize, context: &mut Context<'_>) -> Option<u64> {
        let received = &context.incoming[..length];
        let differences = self.ledger.waiting_numbers().take(CANDIDATES).map(|sequence| {
            self.header(sequence).write(context.payloads, &mut context.outgoing);
            (different(&context.outgoing, received), sequence)
        });
        differences.min().filter(|(wrong, _)| 2 * wrong < context.load.size).map(|(_, sequence)| sequence)
    }

    /// Counts what has no answer after `timeout`.
    fn time_out(&mut self, timeout: Duration, context: &mut Context<'_>) {
        let kept = (REMEMBERED / context.load.connections).max(LEAST_REMEMBERED);
        context.tally.datagrams.timed_out += self.ledger.time_out(context.now, timeout, kept);
    }

    /// Asks for an event when the socket is ready, even if it is ready now.
    fn wait(&mut self, interest: Interest, context: &mut Context<'_>) {
        let Some(socket) = &mut self.socket else { return };
        let interest = Interest::READABLE | interest;
        if let Err(error) = context.registry.reregister(socket, Token(self.slot), interest) {
            self.count_failure(&error, context);
        }
    }

    /// Counts an error of the socket, which may be the answer of the server's machine to an earlier datagram. A client
    /// that is refused before its first answer sends nothing more, as one whose connect is refused.
    fn count_failure(&mut self, error: &io::Error, context: &mut Context<'_>) {
        context.tally.failures.add(Failure::from(error), || error.to_string());
        if !self.has_answer {
            self.has_failed = true;
            self.socket = None;
            context.open -= 1;
            context.now = Instant::now();
            self.time_out(Duration::ZERO, context);
        }
    }
}

/// Opens a socket that sends to `server` and receives from there only.
fn open(server: &Address) -> io::Result<UdpSocket> {
    let server = server.to_socket()?;
    let socket = Socket::new(server.domain(), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // With less, which a system may insist on, the drops of the socket are counted.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.connect(&server)?;
    Ok(UdpSocket::from_std(socket.into()))
}
