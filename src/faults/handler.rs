//! [`Faulty`]: a handler whose answers pass through the faults. It runs on the worker of its session.

use std::borrow::Cow;
use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Faults;
use super::noise::Noise;
use super::pace::Pace;
use super::random::Delays;
use crate::events::{CloseReason, FaultCounters, FaultKind};
use crate::service::{Handler, Next};
use crate::session::{Session, SessionEnded, Waiter};

/// The bytes that are changed at a time: what a session keeps for it.
const CHUNK: usize = 16 * 1024;

/// A handler with faults. [`Faults::wrap`] makes it.
#[derive(Debug)]
pub struct Faulty<H> {
    handler: H,
    injector: Injector,
}

impl<H: Handler> Faulty<H> {
    pub(super) fn new(faults: &Faults, session: &Session, handler: H) -> Self {
        Self { handler, injector: Injector::new(faults, session) }
    }
}

impl<H: Handler> Handler for Faulty<H> {
    fn open(&mut self, reply: &mut dyn Write) -> io::Result<Next> {
        self.injector.begin();
        let next = self.handler.open(&mut FaultyReply { injector: &mut self.injector, reply });
        self.injector.finish(next, reply)
    }

    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        self.injector.begin();
        self.injector.messages += 1;
        let next = self.handler.message(message, &mut FaultyReply { injector: &mut self.injector, reply });
        self.injector.finish(next, reply)
    }

    /// A session that is ended on purpose says nothing.
    fn farewell(&mut self, reason: CloseReason, usual: Option<Cow<'static, str>>) -> Option<Cow<'static, str>> {
        match reason {
            CloseReason::FaultClose | CloseReason::FaultReset => None,
            _ => self.handler.farewell(reason, usual),
        }
    }

    fn closed(&mut self, reason: CloseReason) {
        self.handler.closed(reason);
    }
}

/// The faults of one session.
#[derive(Debug)]
struct Injector {
    waiter: Waiter,
    counters: Arc<FaultCounters>,
    delay: Option<Delays>,
    noise: Option<Noise>,
    pace: Option<Pace>,
    /// After how many messages the session ends, and how.
    end: Option<(u64, Next)>,
    messages: u64,
    /// What is left of a chunk of an answer.
    chunk: Vec<u8>,
    /// Whether a part of the answer was sent.
    is_begun: bool,
    was_delayed: bool,
    was_paced: bool,
    /// The session has to end. The handler may have ignored it.
    ended: Option<SessionEnded>,
}

impl Injector {
    fn new(faults: &Faults, session: &Session) -> Self {
        let client = session.client().id;
        let close = faults.close_after.map(|messages| (messages, Next::FaultClose));
        let reset = faults.reset_after.map(|messages| (messages, Next::FaultReset));
        Self {
            waiter: session.waiter(),
            counters: Arc::clone(session.fault_counters()),
            delay: Delays::new(faults.delay.as_ref(), faults.seed, client),
            noise: Noise::new(faults.corrupt, faults.drop, faults.seed, client),
            pace: faults.rate.map(Pace::new),
            end: close.or(reset),
            messages: 0,
            chunk: Vec::new(),
            is_begun: false,
            was_delayed: false,
            was_paced: false,
            ended: None,
        }
    }

    /// Begins an answer.
    fn begin(&mut self) {
        (self.is_begun, self.was_delayed, self.was_paced) = (false, false, false);
        if let Some(pace) = &mut self.pace {
            pace.begin(Instant::now());
        }
    }

    /// Ends an answer, after which the handler wants `next`. A fault that ends the session is stronger.
    fn finish(&mut self, next: io::Result<Next>, reply: &mut dyn Write) -> io::Result<Next> {
        self.check()?;
        let next = next?;
        if self.was_delayed || self.was_paced {
            // Gathered answers would all be as late as the last one.
            reply.flush()?;
        }
        Ok(self.end.filter(|(after, _)| self.messages >= *after).map_or(next, |(_, end)| end))
    }

    fn check(&self) -> io::Result<()> {
        self.ended.map_or(Ok(()), |ended| Err(ended.into()))
    }

    /// Sends a part of an answer.
    fn send(&mut self, bytes: &[u8], reply: &mut dyn Write) -> io::Result<()> {
        self.check()?;
        if bytes.is_empty() {
            return Ok(());
        }
        if !mem::replace(&mut self.is_begun, true)
            && let Some(delay) = self.delay.as_mut().and_then(Delays::draw)
        {
            self.wait(delay, reply)?;
        }
        if self.noise.is_none() {
            return self.send_paced(bytes, reply);
        }
        for bytes in bytes.chunks(CHUNK) {
            let mut chunk = mem::take(&mut self.chunk);
            chunk.clear();
            if let Some(noise) = &mut self.noise {
                let damage = noise.pass(bytes, &mut chunk);
                self.counters.add(FaultKind::Corrupted, damage.corrupted);
                self.counters.add(FaultKind::Dropped, damage.dropped);
            }
            let sent = self.send_paced(&chunk, reply);
            self.chunk = chunk;
            sent?;
        }
        Ok(())
    }

    /// Lets an answer wait for its delay.
    fn wait(&mut self, delay: Duration, reply: &mut dyn Write) -> io::Result<()> {
        self.was_delayed = true;
        self.counters.add(FaultKind::Delayed, 1);
        reply.flush()?;
        let waited = self.waiter.wait(delay);
        self.note(waited)?;
        if let Some(pace) = &mut self.pace {
            pace.begin(Instant::now());
        }
        Ok(())
    }

    /// Sends `bytes` in pieces at the byte rate, if there is one.
    fn send_paced(&mut self, bytes: &[u8], reply: &mut dyn Write) -> io::Result<()> {
        let Some(pace) = &self.pace else { return reply.write_all(bytes) };
        for piece in bytes.chunks(pace.piece()) {
            let due = self.pace.as_mut().and_then(|pace| pace.add(piece.len(), Instant::now()));
            if let Some(due) = due {
                if !self.was_paced {
                    self.was_paced = true;
                    self.counters.add(FaultKind::Paced, 1);
                }
                // What was gathered was due before.
                reply.flush()?;
                let waited = self.waiter.wait_until(due);
                self.note(waited)?;
                if let Some(pace) = &mut self.pace {
                    pace.waited(Instant::now());
                }
            }
            reply.write_all(piece)?;
        }
        Ok(())
    }

    /// Remembers that the session has to end.
    fn note(&mut self, waited: Result<(), SessionEnded>) -> io::Result<()> {
        self.ended = waited.err();
        self.check()
    }
}

/// What the handler writes to.
struct FaultyReply<'a> {
    injector: &'a mut Injector,
    reply: &'a mut dyn Write,
}

impl Write for FaultyReply<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.injector.send(bytes, self.reply)
    }

    /// Formats first, so that an answer is not sent in pieces.
    fn write_fmt(&mut self, arguments: std::fmt::Arguments<'_>) -> io::Result<()> {
        self.write_all(arguments.to_string().as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.reply.flush()
    }
}
