//! One measured client: it connects, sends, compares what comes back, and tells how long it took.
//!
//! It never blocks. Its event loop tells it when something can be done; all it keeps for its messages is how
//! far it has come and when the unanswered ones were begun.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Instant;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::load::{End, Load, Mode};
use super::payload::{Payloads, Position};
use super::sample::Recent;
use super::schedule::Schedule;
use super::source;
use super::tally::{Failure, Tally, Window, record};

/// What is sent in one system call at most, and read.
const BUFFER: usize = 64 * 1024;

/// How much of an unexpected text is told.
const EXCERPT: usize = 60;

/// What the connections of one event loop share.
pub(crate) struct Context<'a> {
    pub(crate) load: &'a Load,
    pub(crate) payloads: &'a Payloads,
    pub(crate) registry: Registry,
    /// The latest look at the clock: before a wait, and after each read.
    pub(crate) now: Instant,
    pub(crate) window: Window,
    /// When requests are due; none in a closed loop.
    pub(crate) schedule: Option<Schedule>,
    pub(crate) tally: Tally,
    pub(crate) recent: Recent,
    /// Connections begun so far.
    pub(crate) connects: u64,
    /// Connections on their way to the server.
    pub(crate) connecting: usize,
    /// Connections that are open.
    pub(crate) open: usize,
    buffer: Vec<u8>,
}

/// One measured client.
#[derive(Debug)]
pub(crate) struct Connection {
    slot: usize,
    /// Its number among those of all event loops.
    number: u64,
    stream: Option<TcpStream>,
    state: State,
    since: Instant,
    /// Requests that may have begun by now.
    due: u64,
    begun: u64,
    written: Position,
    verified: Position,
    in_flight: VecDeque<Request>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not connected: not yet, between two sessions, or at the end.
    Vacant,
    Connecting,
    Open,
    /// It has said that it leaves, and waits for the end of the stream.
    Leaving,
    /// Its connection was lost.
    Failed,
}

/// A message whose answer is not complete.
#[derive(Clone, Copy, Debug)]
struct Request {
    intended: Instant,
    begun: Instant,
}

impl<'a> Context<'a> {
    pub(crate) fn new(load: &'a Load, payloads: &'a Payloads, registry: Registry) -> Self {
        let now = Instant::now();
        Self {
            load,
            payloads,
            registry,
            now,
            window: Window { from: now, to: now },
            schedule: None,
            tally: Tally::new(),
            recent: Recent::new(now),
            connects: 0,
            connecting: 0,
            open: 0,
            buffer: vec![0; BUFFER],
        }
    }

    /// Counts an answer that was complete just now.
    fn answered(&mut self, request: Request) {
        let response = self.now - request.intended;
        self.tally.total_answers += 1;
        self.recent.add(response);
        if self.window.contains(self.now) {
            self.tally.answers += 1;
        }
        if self.window.contains(request.begun) {
            record(&mut self.tally.service, self.now - request.begun);
        }
        if self.window.contains(request.intended) {
            record(&mut self.tally.response, response);
        }
    }
}

impl Connection {
    pub(crate) fn new(slot: usize, number: u64) -> Self {
        Self {
            slot,
            number,
            stream: None,
            state: State::Vacant,
            since: Instant::now(),
            due: 0,
            begun: 0,
            written: Position::default(),
            verified: Position::default(),
            in_flight: VecDeque::new(),
        }
    }

    /// Begins to connect.
    pub(crate) fn connect(&mut self, context: &mut Context<'_>) {
        context.now = Instant::now();
        context.connects += 1;
        let connecting = source::connect(context.load.address, context.connects).and_then(|stream| {
            let mut stream = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            context.registry.register(&mut stream, Token(self.slot), interest)?;
            Ok(stream)
        });
        match connecting {
            Ok(stream) => {
                self.stream = Some(stream);
                self.set(State::Connecting, context);
            }
            Err(error) => self.fail_with(&error, context),
        }
    }

    /// Lets it begin `requests` more.
    pub(crate) fn allow(&mut self, requests: u64) {
        self.due = self.due.saturating_add(requests);
    }

    /// Takes what the event loop has heard of it.
    pub(crate) fn hear(&mut self, event: &Event, context: &mut Context<'_>) {
        if self.state == State::Connecting {
            context.now = Instant::now();
            self.end_connect(context);
        }
        // A server that refuses may have said so already, and this is the only event that tells.
        let is_connected = matches!(self.state, State::Open | State::Leaving);
        if is_connected && (event.is_readable() || event.is_error()) {
            self.receive(event.is_read_closed(), context);
        }
        self.go_on(context);
    }

    /// Begins what may begin, and writes what can be written.
    pub(crate) fn go_on(&mut self, context: &mut Context<'_>) {
        let churns = context.load.mode == Mode::Churn;
        match self.state {
            State::Vacant if churns && self.may_begin(context) => {
                self.written = Position { message: self.begun, offset: 0 };
                self.verified = self.written;
                self.begin(context);
                self.connect(context);
            }
            State::Open => {
                while !churns && self.in_flight.len() < context.load.depth && self.may_begin(context) {
                    self.begin(context);
                }
                self.write(context);
            }
            _ => {}
        }
    }

    /// Gives up what takes too long. A churning client whose last session failed gets a new one here, and
    /// not at once, so that a dead server is not tried a million times.
    pub(crate) fn check_time(&mut self, context: &mut Context<'_>) {
        let oldest = match self.state {
            State::Vacant | State::Failed => None,
            State::Connecting | State::Leaving => Some(self.since),
            State::Open => self.in_flight.front().map(|request| request.begun),
        };
        if oldest.is_some_and(|since| context.now.saturating_duration_since(since) > context.load.timeout) {
            let doing = match self.state {
                State::Connecting => "connecting",
                State::Leaving => "waiting for the end of the stream",
                _ => "waiting for an answer",
            };
            let missing = self.verified;
            self.fail(Failure::TimedOut, context, || format!("{doing}, message {}", missing.message));
        }
        if self.state == State::Failed && context.load.mode == Mode::Churn {
            self.set(State::Vacant, context);
        }
        self.go_on(context);
    }

    /// Says that nothing more is sent.
    pub(crate) fn leave(&mut self, end: End, context: &mut Context<'_>) {
        let Some(stream) = self.stream.as_mut().filter(|_| self.state == State::Open) else { return };
        let said = match end {
            End::Close => stream.shutdown(Shutdown::Write),
            End::Bye => stream.write_all(b"bye\n"),
        };
        match said {
            Ok(()) => self.set(State::Leaving, context),
            Err(error) => self.fail_with(&error, context),
        }
    }

    /// Whether it waits for something that its server owes.
    pub(crate) fn is_waiting(&self, context: &Context<'_>) -> bool {
        !self.in_flight.is_empty()
            || self.state == State::Connecting
            || (self.state == State::Leaving && context.load.mode == Mode::Churn)
    }

    /// Whether it has said that it leaves and the stream has not ended.
    pub(crate) fn is_leaving(&self) -> bool {
        self.state == State::Leaving
    }

    /// When the requests were to begin that never did.
    pub(crate) fn unsent<'s>(&self, schedule: &'s Schedule) -> impl Iterator<Item = Instant> + use<'s> {
        let slot = self.slot;
        (self.begun..self.due).map(move |request| schedule.intended(slot, request))
    }

    fn may_begin(&self, context: &Context<'_>) -> bool {
        self.begun < self.due && context.now < context.window.to
    }

    /// Notes that a request begins.
    fn begin(&mut self, context: &Context<'_>) {
        let intended = context.schedule.map_or(context.now, |schedule| schedule.intended(self.slot, self.begun));
        self.in_flight.push_back(Request { intended, begun: context.now });
        self.begun += 1;
    }

    fn end_connect(&mut self, context: &mut Context<'_>) {
        let Some(stream) = &self.stream else { return };
        let connected = match stream.take_error() {
            Ok(None) => stream.peer_addr().and_then(|_| stream.set_nodelay(true)),
            Ok(Some(error)) | Err(error) => Err(error),
        };
        match connected {
            Ok(()) => {
                let intended = self.in_flight.front().map(|request| request.intended);
                if intended.is_none_or(|intended| context.window.contains(intended)) {
                    record(&mut context.tally.connect, context.now - self.since);
                }
                // The message of a churning client is sent only now.
                if let Some(request) = self.in_flight.front_mut() {
                    request.begun = context.now;
                }
                self.set(State::Open, context);
            }
            // It is still on its way.
            Err(error) if error.kind() == ErrorKind::NotConnected => {}
            Err(error) => self.fail_with(&error, context),
        }
    }

    fn write(&mut self, context: &mut Context<'_>) {
        let size = context.payloads.size();
        let Some(stream) = &mut self.stream else { return };
        let error = loop {
            if self.written.message == self.begun {
                return;
            }
            context.buffer.clear();
            let mut next = self.written;
            while next.message < self.begun && context.buffer.len() < BUFFER {
                next = context.payloads.append(self.number, next, &mut context.buffer, BUFFER);
            }
            match stream.write(&context.buffer) {
                Ok(count) => self.written.advance(count, size),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
        };
        // What came before the reset may say why, `busy` for one.
        self.receive(true, context);
        if self.state == State::Open {
            self.fail_with(&error, context);
        }
    }

    /// Reads what there is; up to the end of the stream if that `is_near`.
    fn receive(&mut self, is_near: bool, context: &mut Context<'_>) {
        while let Some(stream) = &mut self.stream {
            context.buffer.resize(BUFFER, 0);
            match stream.read(&mut context.buffer) {
                Ok(0) => return self.end_of_stream(context),
                Ok(count) => {
                    context.now = Instant::now();
                    self.verify(count, context);
                    if context.load.mode == Mode::Churn && self.in_flight.is_empty() {
                        self.leave(context.load.end, context);
                    }
                    // A short read has emptied the socket, and what comes later makes another event.
                    if count < BUFFER && !is_near {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.fail_with(&error, context),
            }
        }
    }

    /// Compares the first `count` bytes of the buffer with what they should be.
    fn verify(&mut self, count: usize, context: &mut Context<'_>) {
        let mut taken = 0;
        while taken < count {
            let received = &context.buffer[taken..count];
            // What was not sent cannot be an echo.
            let verified = (self.verified.message < self.begun)
                .then(|| context.payloads.verify(self.number, self.verified, received).map_err(|at| at.position));
            match verified {
                Some(Ok(equal)) => {
                    taken += equal;
                    context.tally.verified_bytes += equal as u64;
                    self.verified.advance(equal, context.payloads.size());
                    if self.verified.offset == 0
                        && let Some(request) = self.in_flight.pop_front()
                    {
                        context.answered(request);
                    }
                }
                wrong => {
                    let busy = self.verified.offset == 0 && received.starts_with(b"busy");
                    let text = received[..received.len().min(EXCERPT)].escape_ascii().to_string();
                    let failure = if busy { Failure::Busy } else { Failure::Mismatch };
                    let number = self.number;
                    return self.fail(failure, context, || match wrong {
                        Some(Err(Position { message, offset })) => {
                            format!("connection {number}, message {message}, byte {offset}: received \"{text}\"")
                        }
                        _ => format!("connection {number}: received more than was sent: \"{text}\""),
                    });
                }
            }
        }
    }

    fn end_of_stream(&mut self, context: &mut Context<'_>) {
        if self.state == State::Leaving && self.in_flight.is_empty() {
            self.set(State::Vacant, context);
            self.stream = None;
        } else {
            let Position { message, offset } = self.verified;
            self.fail(Failure::Eof, context, || format!("the stream ended at message {message}, byte {offset}"));
        }
    }

    fn fail_with(&mut self, error: &io::Error, context: &mut Context<'_>) {
        self.fail(Failure::from(error), context, || error.to_string());
    }

    /// Counts what went wrong and gives the connection up.
    fn fail(&mut self, failure: Failure, context: &mut Context<'_>, what: impl FnOnce() -> String) {
        context.tally.failures.add(failure, what);
        self.set(State::Failed, context);
        self.stream = None;
        self.in_flight.clear();
    }

    fn set(&mut self, state: State, context: &mut Context<'_>) {
        let count = |state| (usize::from(state == State::Connecting), usize::from(state == State::Open));
        let (before, after) = (count(self.state), count(state));
        context.connecting = context.connecting + after.0 - before.0;
        context.open = context.open + after.1 - before.1;
        (self.state, self.since) = (state, context.now);
    }
}
