//! How other threads end a session, and what they have to know for that: whether it owes its client something, and what
//! waits for it.

use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;
use std::time::Duration;

use super::Session;
use crate::events::{CloseReason, FaultKind};
use crate::net::outgoing::Outgoing;

impl Session {
    /// Returns whether something has arrived and was not read yet, as far as the system tells without waiting.
    pub(super) fn has_unread(&self) -> bool {
        const MSG_PEEK: i32 = 0x2;
        const MSG_DONTWAIT: i32 = 0x40;
        // The numbers are Linux's.
        cfg!(target_os = "linux")
            && self.socket_ref().is_some_and(|socket| {
                socket
                    .recv_with_flags(&mut [MaybeUninit::uninit()], MSG_PEEK | MSG_DONTWAIT)
                    .is_ok_and(|count| count > 0)
            })
    }

    /// Ends the session if its worker waits for the client and nothing has arrived. Returns whether it did.
    pub(crate) fn end_if_idle(&self, reason: CloseReason) -> bool {
        // If something has arrived, the worker is about to run, although it still counts as waiting.
        let ended = !self.has_unread() && self.state.end_if_idle(reason);
        if ended {
            self.shut(Shutdown::Read);
        }
        ended
    }

    /// Ends the session of a stopping server if it is idle, by telling the client the end: the client closes its side
    /// in turn, which ends the worker's read. A line that was begun is answered first. Returns whether the session owes
    /// its client nothing.
    pub(crate) fn half_close_if_idle(&self) -> bool {
        if !self.has_unread() && self.state.end_if_idle(CloseReason::Shutdown) {
            match self.outbox() {
                Some(outbox) => outbox.close(),
                None if self.state.owes_rest() => self.shut(Shutdown::Read),
                None => self.shut(Shutdown::Write),
            }
        }
        self.state.is_ended()
    }

    /// Asks the session to end: after its current message, or now if its worker waits for the client or in a handler's
    /// [`Waiter`].
    pub(crate) fn end(&self, reason: CloseReason) {
        if self.state.end(reason) {
            self.shut(Shutdown::Read);
        }
        self.end_due_waits();
    }

    /// Returns whether its handler must not wait any more. At a stop it still may: a line that was begun is answered.
    fn must_end(&self) -> bool {
        self.is_broken_off.load(Relaxed)
            || self.state.reason().is_some_and(|reason| reason != CloseReason::Shutdown)
    }

    /// Ends the waits of its handler if it must not wait any more.
    pub(super) fn end_due_waits(&self) {
        // Pairs with itself: of the thread that makes the waits and the one that ends the session, the second to come
        // here sees what the other has stored.
        fence(SeqCst);
        if self.must_end() {
            self.end_waits();
        }
    }

    pub(super) fn end_waits(&self) {
        if let Some(waits) = self.waits.get() {
            waits.end();
        }
    }

    /// Returns whether its handler was told while it waited that the session has to end.
    pub(super) fn was_wait_broken_off(&self) -> bool {
        self.waits.get().is_some_and(|waits| waits.was_broken_off())
    }

    /// Returns what the system reported of the connection while its handler waited.
    pub(super) fn failure_in_wait(&self) -> Option<ErrorKind> {
        self.waits.get()?.failure()
    }

    /// Returns how long the client has had for an answer to the message that arrived at `time`. The time in which the
    /// handler waited on purpose is not the client's.
    pub(super) fn time_for_answer(&self, time: u64) -> Duration {
        let waited = self.waits.get().and_then(|waits| waits.ended());
        let since_message = self.state.since(time);
        waited.map_or(since_message, |ended| since_message.min(ended.elapsed()))
    }

    /// Returns the error of the connection, if the client has reset it or the system has given the client up.
    pub(super) fn take_failure(&self) -> Option<ErrorKind> {
        self.socket()?.take_error().ok()?.map(|error| error.kind())
    }

    /// Ends the session at once: neither its worker nor its writer waits for the client any more.
    pub(crate) fn break_off(&self, reason: CloseReason) {
        self.state.give_reason(reason);
        self.shut(Shutdown::Both);
        self.end_due_waits();
    }

    /// Ends the session of a stopping server whose drain is over. Returns whether its client may not have received
    /// everything, as far as `outgoing` tells, which was read after the idle sessions were ended.
    pub(crate) fn cut(&self, outgoing: &Outgoing) -> bool {
        let owes = !self.state.is_ended()
            || self.outbox().is_some_and(|outbox| !outbox.is_sent())
            || !self.is_delivered(outgoing);
        self.shut(if owes { Shutdown::Both } else { Shutdown::Read });
        self.is_broken_off.store(true, Relaxed);
        self.end_due_waits();
        owes && self.is_first_cut()
    }

    /// Returns whether anything was sent to the client.
    pub(super) fn has_sent(&self) -> bool {
        self.counters.totals().bytes_out > 0
    }

    /// Returns whether the client's system had acknowledged everything at the time of the reading. What is not known
    /// counts as missing.
    pub(crate) fn is_delivered(&self, outgoing: &Outgoing) -> bool {
        !self.has_sent() || self.socket().is_none_or(|socket| outgoing.is_pending(socket) == Some(false))
    }

    /// Returns whether this is the first call, so that the session is counted once.
    pub(super) fn is_first_cut(&self) -> bool {
        !self.is_cut.swap(true, Relaxed)
    }

    /// Records why the session ends: nothing waits for it any more, and if that is a fault on purpose, it is counted.
    pub(crate) fn finish(&self, reason: CloseReason) {
        self.end_waits();
        if let Some(kind) = FaultKind::of(reason) {
            self.fault_counters().add(kind, 1);
        }
    }

    pub(super) fn is_read_shut(&self) -> bool {
        self.is_read_shut.load(Relaxed)
    }

    /// Shuts one or both directions. A connection that the peer has reset cannot be shut, and need not be.
    pub(crate) fn shut(&self, how: Shutdown) {
        if how != Shutdown::Write {
            self.is_read_shut.store(true, Relaxed);
        }
        if let Some(socket) = self.socket() {
            let _: io::Result<()> = socket.shutdown(how);
        }
    }
}
