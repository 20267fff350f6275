//! The receive loop: one thread for each socket. It counts each datagram, reports it and, if the server echoes,
//! answers it.
//!
//! It waits for nothing but the next datagram, and nothing but the shutdown token ends it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::answers::may_answer;
use super::payload::{MAX_HELD, Payload};
use super::senders::SenderRates;
use super::stats::UdpCounters;
use super::{UdpConfig, UdpEvent, UdpStats};
use crate::events::EventSink;
use crate::net::backoff::{Backoff, concerns_one_peer};
use crate::shutdown::ShutdownToken;

/// No datagram is longer: its length has 16 bits.
const LONGEST: usize = u16::MAX as usize;

/// What the receivers share.
pub(super) struct Shared {
    pub(super) config: UdpConfig,
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

/// Receives until the token is set.
pub(super) fn run(socket: &UdpSocket, address: SocketAddr, shared: &Shared) {
    let mut backoff = Backoff::default();
    let mut buffer = vec![0; LONGEST];
    loop {
        let received = socket.recv_from(&mut buffer);
        if shared.token.is_set() {
            return;
        }
        let now = Instant::now();
        match received {
            Ok((length, peer)) => {
                if let Some(failures) = backoff.succeed(now) {
                    shared.sink.send(UdpEvent::ReceiveRecovered { address, failures });
                }
                shared.receive(socket, peer, &buffer[..length], now);
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

impl Shared {
    pub(super) fn stats(&self) -> UdpStats {
        self.counters.totals(self.sink.counts().dropped(), &self.addresses)
    }

    fn receive(&self, socket: &UdpSocket, sender: SocketAddr, datagram: &[u8], now: Instant) {
        let peer = SocketAddr::new(sender.ip().to_canonical(), sender.port());
        let is_let_in = self.config.lets_in(peer.ip());
        if is_let_in {
            self.report(peer, datagram);
        } else {
            count(&self.counters.not_allowed, 1);
        }
        // Only now, so that the logging thread, when it sees the count, finds the event in the channel or never will.
        self.counters.datagrams.fetch_add(1, Release);
        count(&self.counters.bytes_in, datagram.len());
        if !is_let_in || self.config.echo && !may_answer(peer, &self.addresses) {
            count(&self.counters.withheld, 1);
        } else if self.config.echo {
            self.answer(socket, (sender, peer), datagram, now);
        }
    }

    /// Answers a datagram of `sender`, whose canonical form is `peer`, if the rate allows.
    fn answer(&self, socket: &UdpSocket, (sender, peer): (SocketAddr, SocketAddr), datagram: &[u8], now: Instant) {
        if !self.is_within_rate(peer, now) {
            count(&self.counters.rate_limited, 1);
        } else if socket.send_to(datagram, sender).is_ok() {
            count(&self.counters.answers, 1);
            count(&self.counters.bytes_out, datagram.len());
        } else {
            count(&self.counters.unsent, 1);
        }
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
