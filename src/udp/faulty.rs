//! Answers with faults on purpose. It runs on the receiver of its socket, and leaves answers that wait to the thread of
//! [`late`](super::late).

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::late::{Late, LateAnswers};
use super::stats::{FaultKind, UdpCounters};
use crate::faults::{AnswerChance, Fate};

/// What makes the faults of one socket.
#[derive(Debug)]
pub(super) struct FaultyAnswers {
    chance: AnswerChance,
    /// `None` if no answer can wait.
    late: Option<Arc<LateAnswers>>,
    /// An answer with corrupted bytes.
    changed: Vec<u8>,
}

impl FaultyAnswers {
    pub(super) fn new(chance: AnswerChance, late: Option<Arc<LateAnswers>>) -> Self {
        Self { chance, late, changed: Vec::new() }
    }

    /// Sends an answer to `to`, or lets it wait. `may_copy` is asked whether the rules for answers allow a copy, and only
    /// if there is to be one.
    pub(super) fn send(
        &mut self,
        socket: &UdpSocket,
        counters: &UdpCounters,
        to: SocketAddr,
        answer: &[u8],
        may_copy: impl FnOnce() -> bool,
    ) {
        let Fate { is_lost, is_duplicated, is_reordered, delay } = self.chance.decide();
        let corrupted = self.chance.corrupt(answer, &mut self.changed);
        if is_lost {
            counters.add_faults(FaultKind::Lost, 1);
            return;
        }
        let answer = if corrupted.is_some() { &self.changed } else { answer };
        let is_duplicated = is_duplicated && may_copy();
        let copies = if is_duplicated { 2 } else { 1 };
        let count = || {
            counters.add_faults(FaultKind::Delayed, delay.is_some().into());
            counters.add_faults(FaultKind::Corrupted, corrupted.unwrap_or_default());
            counters.add_faults(FaultKind::Duplicated, is_duplicated.into());
            counters.add_faults(FaultKind::Reordered, is_reordered.into());
        };
        let Some(late) = &self.late else {
            count();
            transmit(socket, counters, to, answer, copies);
            return;
        };
        let due = Instant::now() + delay.unwrap_or_default();
        if late.add(Late { due, is_held: is_reordered, copies, to, answer: answer.into() }) {
            count();
        } else {
            counters.overflowed.fetch_add(1, Relaxed);
        }
    }
}

/// Sends an answer, and counts it. Every answer goes this way.
pub(super) fn transmit(socket: &UdpSocket, counters: &UdpCounters, to: SocketAddr, answer: &[u8], copies: usize) {
    for _ in 0..copies {
        counters.add_answer(answer.len(), socket.send_to(answer, to).is_ok());
    }
}
