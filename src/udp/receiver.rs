//! The receive loop: one thread for each socket. It counts, tells and, if asked to, answers each datagram.
//!
//! It waits for nothing but the next datagram, and nothing but the shutdown token ends it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::answers::may_answer;
use super::rate::RateLimit;
use crate::events::{EventSink, UdpCounters};
use crate::net::backoff::{Failures, is_about_one_peer};
use crate::shutdown::ShutdownToken;
use crate::{Event, UdpStats};

/// No datagram is longer: its length has 16 bits.
const LONGEST: usize = u16::MAX as usize;

/// What the receivers share.
pub(super) struct Shared {
    /// None if nobody is answered.
    pub(super) echo: Option<Echo>,
    pub(super) token: ShutdownToken,
    pub(super) counters: Arc<UdpCounters>,
    pub(super) sink: EventSink,
}

/// Which datagrams are answered.
pub(super) struct Echo {
    pub(super) own_ports: Vec<u16>,
    pub(super) rate_limit: Option<Mutex<RateLimit>>,
}

/// Receives until the token is set.
pub(super) fn run(socket: &UdpSocket, address: SocketAddr, shared: &Shared) {
    let mut failures = Failures::default();
    let mut buffer = vec![0; LONGEST];
    loop {
        let received = socket.recv_from(&mut buffer);
        if shared.token.is_set() {
            return;
        }
        let now = Instant::now();
        match received {
            Ok((length, peer)) => {
                if let Some(failures) = failures.end(now) {
                    shared.sink.send(Event::ReceiveRecovered { address, failures });
                }
                shared.receive(socket, peer, &buffer[..length], now);
            }
            // Some systems report that an answer did not arrive.
            Err(error) if is_about_one_peer(&error) => {}
            Err(error) => {
                if failures.is_first() {
                    shared.sink.send(Event::ReceiveFailing { address, cause: error.to_string() });
                }
                // A stop ends the pause.
                thread::park_timeout(failures.next_pause(now));
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
        self.sink.datagram(peer, datagram);
        // Only now: see `Reckoning::messages`.
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
    /// Whether the sender gets one more answer.
    fn has_share(&self, peer: SocketAddr, now: Instant) -> bool {
        self.rate_limit
            .as_ref()
            .is_none_or(|limit| limit.lock().unwrap_or_else(PoisonError::into_inner).takes(peer.ip(), now))
    }
}

fn count(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Relaxed);
}
