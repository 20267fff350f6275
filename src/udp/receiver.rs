//! The receive loop: one thread for each socket. It counts each datagram, reports it and, if the server echoes or has a
//! service, answers it.
//!
//! It waits for nothing but the next datagram, and nothing but the shutdown token ends it.

use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::answers::{longest_answer, may_answer, may_copy};
use super::faulty::{FaultyAnswers, transmit};
use super::payload::{MAX_HELD, Payload};
use super::senders::SenderRates;
use super::service::{Datagram, Service};
use super::stats::UdpCounters;
use super::{UdpConfig, UdpEvent, UdpStats};
use crate::events::{EventSink, Excerpt};
use crate::net::backoff::{Backoff, concerns_one_peer};
use crate::shutdown::ShutdownToken;

/// No datagram is longer: its length has 16 bits.
const LONGEST: usize = u16::MAX as usize;

/// How often answers that were too long are reported, at most. Strangers can cause as many as they like.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What the receivers share.
pub(super) struct Shared {
    pub(super) config: UdpConfig,
    /// What answers in place of the echo.
    pub(super) service: Option<Service>,
    /// Where the server listens.
    pub(super) addresses: Vec<SocketAddr>,
    /// `None` if senders have no limit.
    pub(super) rates: Option<Mutex<SenderRates>>,
    pub(super) token: ShutdownToken,
    pub(super) counters: Arc<UdpCounters>,
    pub(super) sink: EventSink<UdpEvent>,
    /// Bytes of datagrams that events hold.
    pub(super) held: Arc<AtomicUsize>,
}

/// Receives until the token is set. Without faults on purpose, `faulty` is `None`.
pub(super) fn run(socket: &UdpSocket, address: SocketAddr, shared: &Shared, faulty: Option<FaultyAnswers>) {
    let mut backoff = Backoff::default();
    let mut buffer = vec![0; LONGEST];
    let mut receiver = Receiver { socket, address, shared, answer: Vec::new(), faulty, last_too_long: None };
    loop {
        let received = socket.recv_from(&mut buffer);
        if shared.token.is_set() {
            return;
        }
        let now = Instant::now();
        match received {
            Ok((length, sender)) => {
                if let Some(failures) = backoff.succeed(now) {
                    shared.sink.send(UdpEvent::ReceiveRecovered { address, failures });
                }
                let peer = SocketAddr::new(sender.ip().to_canonical(), sender.port());
                receiver.receive(Sender { address: sender, peer }, &buffer[..length], now);
            }
            // Some systems report that an answer did not arrive.
            Err(error) if concerns_one_peer(&error) => {}
            Err(error) => {
                if backoff.is_first() {
                    shared.sink.send(UdpEvent::ReceiveFailing { address, cause: error.to_string() });
                }
                // A stop ends the pause.
                thread::park_timeout(backoff.next_pause(now));
            }
        }
    }
}

/// Where a datagram comes from.
#[derive(Clone, Copy)]
struct Sender {
    /// As the socket says it: where answers go.
    address: SocketAddr,
    /// In canonical form.
    peer: SocketAddr,
}

/// One socket and what its thread keeps from one datagram to the next.
struct Receiver<'a> {
    socket: &'a UdpSocket,
    address: SocketAddr,
    shared: &'a Shared,
    /// What the service writes to.
    answer: Vec<u8>,
    faulty: Option<FaultyAnswers>,
    /// When an answer that was too long was last reported.
    last_too_long: Option<Instant>,
}

impl Receiver<'_> {
    fn receive(&mut self, sender: Sender, datagram: &[u8], now: Instant) {
        let Shared { config, service, counters, .. } = self.shared;
        let is_let_in = config.lets_in(sender.peer.ip());
        if is_let_in {
            self.shared.report(sender.peer, datagram);
        } else {
            count(&counters.not_allowed, 1);
        }
        // Only now, so that the logging thread, when it sees the count, finds the event in the channel or never will.
        counters.datagrams.fetch_add(1, Release);
        count(&counters.bytes_in, datagram.len());
        let answers = config.echo || service.is_some();
        if !is_let_in || answers && !may_answer(sender.peer, &self.shared.addresses) {
            count(&counters.withheld, 1);
        } else if answers {
            self.answer(sender, datagram, now);
        }
    }

    /// Answers a datagram if the rate of its sender allows.
    fn answer(&mut self, sender: Sender, datagram: &[u8], now: Instant) {
        if !self.shared.is_within_rate(sender.peer, now) {
            count(&self.shared.counters.rate_limited, 1);
            return;
        }
        match &self.shared.service {
            None => self.send(sender, datagram.len(), datagram, now),
            Some(service) => self.serve(service, sender, datagram, now),
        }
    }

    /// Lets the service answer a datagram. A panic costs this answer only.
    fn serve(&mut self, service: &Service, sender: Sender, payload: &[u8], now: Instant) {
        let peer = sender.peer;
        let longest = longest_answer(payload.len(), peer, self.shared.config.amplification);
        let datagram = Datagram { payload, peer, listener: self.address, longest_answer: longest };
        let mut answer = mem::take(&mut self.answer);
        match catch_unwind(AssertUnwindSafe(|| service.answer(&datagram, &mut answer))) {
            Ok(true) if answer.len() <= longest => self.send(sender, payload.len(), &answer, now),
            Ok(true) => self.withhold(peer, (payload.len(), answer.len(), longest), now),
            Ok(false) => count(&self.shared.counters.declined, 1),
            Err(panic) => {
                count(&self.shared.counters.panicked, 1);
                let message = Excerpt::of_panic(&*panic);
                self.shared.sink.send(UdpEvent::Panicked { peer, message });
                // What the panic carries may panic when it is dropped, and again when that is.
                if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
                    mem::forget(again);
                }
            }
        }
        answer.clear();
        answer.shrink_to(LONGEST);
        self.answer = answer;
    }

    /// Counts an answer that is too long, and reports it once in a while.
    fn withhold(&mut self, peer: SocketAddr, (question, answer, longest): (usize, usize, usize), now: Instant) {
        count(&self.shared.counters.withheld, 1);
        count(&self.shared.counters.too_long, 1);
        if self.last_too_long.is_none_or(|last| now - last >= REPORT_INTERVAL) {
            self.last_too_long = Some(now);
            self.shared.sink.send(UdpEvent::AnswerTooLong { peer, question, answer, longest });
        }
    }

    /// Sends an answer to a datagram of `question` bytes. Every answer goes this way.
    fn send(&mut self, sender: Sender, question: usize, answer: &[u8], now: Instant) {
        let shared = self.shared;
        let Some(faulty) = &mut self.faulty else {
            transmit(self.socket, &shared.counters, sender.address, answer, 1);
            return;
        };
        faulty.send(self.socket, &shared.counters, sender.address, answer, || {
            may_copy(question, answer.len(), sender.peer, shared.config.amplification)
                && shared.is_within_rate(sender.peer, now)
        });
    }
}

impl Shared {
    pub(super) fn stats(&self) -> UdpStats {
        self.counters.totals(self.sink.counts().dropped(), &self.addresses)
    }

    /// Reports a datagram if the budget and the memory for them allow.
    fn report(&self, peer: SocketAddr, datagram: &[u8]) {
        if self.held.load(Relaxed) + datagram.len() <= MAX_HELD {
            self.sink.sample(|| UdpEvent::Datagram { peer, payload: Payload::new(datagram, &self.held) });
        }
    }

    /// Returns whether the sender gets one more answer.
    fn is_within_rate(&self, peer: SocketAddr, now: Instant) -> bool {
        self.rates
            .as_ref()
            .is_none_or(|rates| rates.lock().unwrap_or_else(PoisonError::into_inner).take(peer.ip(), now))
    }
}

fn count(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Relaxed);
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::config::LogMessages;
    use crate::events::EventLog;

    #[test]
    fn datagrams_hold_no_more_memory_than_they_may_and_give_it_back() {
        let largest = vec![b'x'; 65_507];
        let (sink, log) = EventLog::new(LogMessages::All);
        sink.counts().renew_budget();
        let shared = Shared {
            config: UdpConfig::default(),
            service: None,
            addresses: Vec::new(),
            rates: None,
            token: ShutdownToken::default(),
            counters: Arc::default(),
            sink,
            held: Arc::default(),
        };
        let fill = || {
            let peer = ([127, 0, 0, 1], 5000).into();
            (0..1000).for_each(|_| shared.report(peer, &largest));
            iter::from_fn(|| log.next(Some(Instant::now())).ok()).collect::<Vec<UdpEvent>>()
        };
        let fitting = MAX_HELD / largest.len();
        let copies = fill();
        assert_eq!(copies.len(), fitting);
        // A subscriber that keeps a copy keeps the memory.
        assert_eq!(fill().len(), 0);
        drop(copies);
        assert_eq!(fill().len(), fitting);
    }
}
