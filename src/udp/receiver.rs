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
use super::{UdpEvent, UdpStats};
use crate::events::EventSink;
use crate::net::backoff::{Backoff, concerns_one_peer};
use crate::shutdown::ShutdownToken;

/// No datagram is longer: its length has 16 bits.
const LONGEST: usize = u16::MAX as usize;

/// What the receivers share.
pub(super) struct Shared {
    /// `None` if no datagram is answered.
    pub(super) echo: Option<Echo>,
    pub(super) token: ShutdownToken,
    pub(super) counters: Arc<UdpCounters>,
    pub(super) sink: EventSink<UdpEvent>,
    /// Bytes of datagrams that events hold.
    pub(super) held: Arc<AtomicUsize>,
}

/// Which datagrams are answered.
pub(super) struct Echo {
    pub(super) own_ports: Vec<u16>,
    pub(super) rates: Option<Mutex<SenderRates>>,
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
        self.counters.totals(self.sink.counts().dropped())
    }

    fn receive(&self, socket: &UdpSocket, sender: SocketAddr, datagram: &[u8], now: Instant) {
        let peer = SocketAddr::new(sender.ip().to_canonical(), sender.port());
        if self.held.load(Relaxed) + datagram.len() <= MAX_HELD {
            self.sink.sample(|| UdpEvent::Datagram { peer, payload: Payload::new(datagram, &self.held) });
        }
        // Counted after the event is sent: when the logging thread sees the count, the event is in the channel or was
        // dropped.
        self.counters.datagrams.fetch_add(1, Release);
        count(&self.counters.bytes_in, datagram.len());
        let Some(echo) = &self.echo else { return };
        if !may_answer(peer, &echo.own_ports) {
            count(&self.counters.withheld, 1);
        } else if !echo.has_share(peer, now) {
            count(&self.counters.rate_limited, 1);
        } else if socket.send_to(datagram, sender).is_ok() {
            count(&self.counters.answers, 1);
            count(&self.counters.bytes_out, datagram.len());
        } else {
            count(&self.counters.unsent, 1);
        }
    }
}

impl Echo {
    /// Returns whether the sender gets one more answer.
    fn has_share(&self, peer: SocketAddr, now: Instant) -> bool {
        self.rates
            .as_ref()
            .is_none_or(|limit| limit.lock().unwrap_or_else(PoisonError::into_inner).take(peer.ip(), now))
    }
}

fn count(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Relaxed);
}
