//! The messages of one connection: those that may begin, those that are in flight, and how far they are written and
//! verified.
//!
//! A pipeline touches no socket and stores no payload. It keeps two positions in the stream of messages and the times
//! of those in flight; the bytes are generated from [`Payloads`] whenever they are needed.

use std::collections::VecDeque;
use std::time::Instant;

use super::alignment::{Finding, LOOKAHEAD, judge};
use super::context::{BUFFER, Context, Request};
use super::payload::{Payloads, Position};
use super::tally::Failure;

/// How many bytes of an unexpected text an error message quotes.
const EXCERPT: usize = 60;

/// The messages of one connection.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// The connection's index within its event loop.
    slot: usize,
    /// The connection's number among those of all event loops.
    number: u64,
    /// Requests that may have begun by now.
    due: u64,
    begun: u64,
    written: Position,
    verified: Position,
    in_flight: VecDeque<Request>,
    /// Received bytes of which it is not clear yet what they stand for. Only if faults are expected.
    unclear: Vec<u8>,
    /// Whether a byte of the answer that is being received was corrupted or is missing.
    is_damaged: bool,
}

impl Pipeline {
    pub(crate) fn new(slot: usize, number: u64) -> Self {
        Self {
            slot,
            number,
            due: 0,
            begun: 0,
            written: Position::default(),
            verified: Position::default(),
            in_flight: VecDeque::new(),
            unclear: Vec::new(),
            is_damaged: false,
        }
    }

    /// Returns the connection's number among those of all event loops.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Allows `requests` more to begin.
    pub(crate) fn allow(&mut self, requests: u64) {
        self.due = self.due.saturating_add(requests);
    }

    /// Returns `true` if a request is due and the window is not over.
    pub(crate) fn may_begin(&self, context: &Context<'_>) -> bool {
        self.begun < self.due && context.now < context.window.to
    }

    /// Begins the next request.
    pub(crate) fn begin(&mut self, context: &Context<'_>) {
        let intended = context.schedule.map_or(context.now, |schedule| schedule.intended(self.slot, self.begun));
        self.in_flight.push_back(Request { intended, begun: context.now });
        self.begun += 1;
    }

    /// Skips what was not written or verified: a new session begins with the next message.
    pub(crate) fn skip_to_next(&mut self) {
        self.written = Position { message: self.begun, offset: 0 };
        self.verified = self.written;
    }

    /// Returns the oldest request in flight.
    pub(crate) fn oldest(&self) -> Option<&Request> {
        self.in_flight.front()
    }

    /// Counts the service time of the oldest request from `now` on, because it waited for its connect until now.
    pub(crate) fn restart_oldest(&mut self, now: Instant) {
        if let Some(request) = self.in_flight.front_mut() {
            request.begun = now;
        }
    }

    /// The number of requests in flight.
    pub(crate) fn depth(&self) -> usize {
        self.in_flight.len()
    }

    /// Returns `true` if every message that began has been echoed.
    pub(crate) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Forgets the requests in flight. Their connection is lost.
    pub(crate) fn clear(&mut self) {
        self.in_flight.clear();
    }

    /// Returns the position of the first byte that has not come back.
    pub(crate) fn verified(&self) -> Position {
        self.verified
    }

    /// Returns `true` if every message that began has been written.
    pub(crate) fn is_written(&self) -> bool {
        self.written.message == self.begun
    }

    /// Replaces the content of `buffer` with the next bytes to write, [`BUFFER`] at most.
    pub(crate) fn fill(&self, payloads: &Payloads, buffer: &mut Vec<u8>) {
        buffer.clear();
        let mut next = self.written;
        while next.message < self.begun && buffer.len() < BUFFER {
            next = payloads.append(self.number, next, buffer, BUFFER);
        }
    }

    /// Notes that `count` bytes of messages of `size` bytes were written.
    pub(crate) fn advance_written(&mut self, count: usize, size: usize) {
        self.written.advance(count, size);
    }

    /// Compares the first `count` incoming bytes with what was sent, and counts each complete answer.
    ///
    /// # Errors
    ///
    /// Returns what is wrong, in words, if a byte differs or was never sent.
    pub(crate) fn verify(&mut self, count: usize, context: &mut Context<'_>) -> Result<(), (Failure, String)> {
        if context.load.expect_faults {
            self.unclear.extend_from_slice(&context.incoming[..count]);
            return self.align(false, context);
        }
        let mut taken = 0;
        while taken < count {
            let received = &context.incoming[taken..count];
            // What was not sent cannot be an echo.
            if self.verified.message >= self.begun {
                return Err(self.unexpected(received, "received more than was sent"));
            }
            match context.payloads.verify(self.number, self.verified, received) {
                Ok(equal) => {
                    taken += equal;
                    context.tally.verified_bytes += equal as u64;
                    self.verified.advance(equal, context.payloads.size());
                    if self.verified.offset == 0
                        && let Some(request) = self.in_flight.pop_front()
                    {
                        context.count_answer(request);
                    }
                }
                Err(mismatch) => {
                    let Position { message, offset } = mismatch.position;
                    let problem = format!("message {message}, byte {offset} is wrong, received");
                    return Err(self.unexpected(received, &problem));
                }
            }
        }
        Ok(())
    }

    /// Finds out what the received bytes stand for, and counts those that are corrupted or missing.
    ///
    /// # Errors
    ///
    /// Returns what is wrong, in words, if more was received than was sent, or if the server refuses.
    fn align(&mut self, is_final: bool, context: &mut Context<'_>) -> Result<(), (Failure, String)> {
        let size = context.payloads.size();
        let mut taken = 0;
        while taken < self.unclear.len() {
            let received = &self.unclear[taken..];
            if self.verified.message >= self.begun {
                return Err(self.unexpected(received, "received more than was sent"));
            }
            let equal = match context.payloads.verify(self.number, self.verified, received) {
                Ok(equal) => equal,
                Err(mismatch) => mismatch.position.offset - self.verified.offset,
            };
            if equal > 0 {
                taken += equal;
                context.tally.verified_bytes += equal as u64;
                self.advance_verified(equal, false, context);
                continue;
            }
            if self.verified.offset == 0 && received.starts_with(b"busy") {
                return Err(self.unexpected(received, "refused"));
            }
            context.outgoing.clear();
            let mut next = self.verified;
            while next.message < self.begun && context.outgoing.len() < LOOKAHEAD {
                next = context.payloads.append(self.number, next, &mut context.outgoing, LOOKAHEAD);
            }
            let outstanding = (self.begun - self.verified.message) as usize * size - self.verified.offset;
            match judge(&context.outgoing, received, outstanding, is_final) {
                Finding::Altered => {
                    taken += 1;
                    context.tally.faults.corrupted_bytes += 1;
                    self.advance_verified(1, true, context);
                }
                Finding::Missing(count) => {
                    context.tally.faults.missing_bytes += count as u64;
                    self.advance_verified(count, true, context);
                }
                Finding::Unclear => break,
            }
        }
        self.unclear.drain(..taken);
        Ok(())
    }

    /// Goes `count` bytes on, and counts each answer that is complete.
    fn advance_verified(&mut self, mut count: usize, is_faulty: bool, context: &mut Context<'_>) {
        let size = context.payloads.size();
        while count > 0 {
            let step = count.min(size - self.verified.offset);
            count -= step;
            self.is_damaged |= is_faulty;
            self.verified.advance(step, size);
            if self.verified.offset == 0 {
                context.tally.faults.damaged_messages += u64::from(std::mem::take(&mut self.is_damaged));
                if let Some(request) = self.in_flight.pop_front() {
                    context.count_answer(request);
                }
            }
        }
    }

    /// Counts the bytes of the oldest answer that have not arrived as missing. Does nothing if faults are not expected.
    ///
    /// # Errors
    ///
    /// Those of `verify`.
    pub(crate) fn give_up_oldest(&mut self, context: &mut Context<'_>) -> Result<(), (Failure, String)> {
        let before = self.verified.message;
        self.align(true, context)?;
        if self.verified.message == before && self.in_flight.pop_front().is_some() {
            let missing = context.payloads.size() - self.verified.offset;
            let faults = &mut context.tally.faults;
            faults.missing_bytes += missing as u64;
            faults.damaged_messages += 1;
            faults.unfinished_messages += 1;
            self.is_damaged = false;
            self.verified.advance(missing, context.payloads.size());
        }
        Ok(())
    }

    /// Returns `true` between two answers.
    pub(crate) fn is_between_answers(&self) -> bool {
        self.verified.offset == 0 && self.unclear.is_empty()
    }

    /// Makes what has not been answered be sent again, in a new session. Returns the number of these messages.
    pub(crate) fn rewind(&mut self) -> u64 {
        self.verified.offset = 0;
        self.written = self.verified;
        self.begun - self.verified.message
    }

    /// Describes bytes that are not the expected echo. A text that begins with `busy` where a message should begin is
    /// a refusal.
    fn unexpected(&self, received: &[u8], problem: &str) -> (Failure, String) {
        let busy = self.verified.offset == 0 && received.starts_with(b"busy");
        let failure = if busy { Failure::Busy } else { Failure::Mismatch };
        let text = received[..received.len().min(EXCERPT)].escape_ascii();
        (failure, format!("connection {}: {problem}: \"{text}\"", self.number))
    }

    /// Returns how many requests have begun.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// Iterates over the requests in flight.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &Request> {
        self.in_flight.iter()
    }
}
