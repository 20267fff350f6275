//! One measured client: it connects, sends messages, verifies their echoes, and closes.

mod state;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::time::Instant;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Token};

pub(crate) use state::Connection;
use state::State;

use super::address::Address;
use super::client::Client;
use super::context::{BUFFER, Context, Request};
use super::load::{End, Mode};
use super::proxy;
use super::source;
use super::tally::{Failure, record};

impl Client for Connection {
    const BURST: usize = usize::MAX;

    fn new(slot: usize, number: u64) -> Self {
        Self::vacant(slot, number)
    }

    fn connect(&mut self, context: &mut Context<'_>) {
        context.now = Instant::now();
        self.set(State::Connecting, context);
        self.begin_connect(context);
    }

    fn allow(&mut self, requests: u64) {
        self.pipeline.allow(requests);
    }

    fn handle(&mut self, event: &Event, context: &mut Context<'_>) {
        if self.state == State::Connecting {
            context.now = Instant::now();
            self.finish_connect(context);
        }
        // Reads even after the event that completed the connect: a server that refuses may have said so already, and
        // no other event would report it.
        let is_connected = matches!(self.state, State::Open | State::Leaving);
        if is_connected && (event.is_readable() || event.is_error()) {
            self.receive(event.is_read_closed(), context);
        }
        self.proceed(context);
    }

    fn proceed(&mut self, context: &mut Context<'_>) {
        let churns = context.load.mode == Mode::Churn;
        match self.state {
            State::Vacant if churns && self.pipeline.may_begin(context) => {
                self.pipeline.skip_to_next();
                self.pipeline.begin(context);
                self.connect(context);
            }
            State::Vacant
                if context.load.reconnect && (!self.pipeline.is_empty() || self.pipeline.may_begin(context)) =>
            {
                self.connect(context);
            }
            State::Open => {
                while !churns && self.pipeline.depth() < context.load.depth && self.pipeline.may_begin(context) {
                    self.pipeline.begin(context);
                }
                self.write(context);
                if self.state == State::Vacant {
                    self.proceed(context);
                }
            }
            _ => {}
        }
    }

    /// Fails the connection if it has waited for longer than the timeout. A churning client whose last session failed
    /// begins its next one here and not at once, so that it does not try a dead server a million times.
    fn check_timeout(&mut self, context: &mut Context<'_>) {
        let oldest = match self.state {
            State::Failed => None,
            State::Connecting | State::Leaving => Some(self.since),
            State::Vacant | State::Pausing | State::Open => self.pipeline.oldest().map(|request| request.begun),
        };
        if oldest.is_some_and(|since| context.now.saturating_duration_since(since) > context.load.timeout) {
            let doing = match self.state {
                State::Connecting => "connecting",
                State::Leaving => "waiting for the end of the stream",
                _ => "waiting for an answer",
            };
            if self.state == State::Open && context.load.expect_faults {
                self.give_up_oldest(context);
            } else {
                let missing = self.pipeline.verified();
                self.fail(Failure::TimedOut, context, || format!("{doing}, message {}", missing.message));
            }
        }
        if self.state == State::Connecting && self.stream.is_none() {
            self.begin_connect(context);
        }
        let is_failed_churn = self.state == State::Failed && context.load.mode == Mode::Churn;
        if is_failed_churn || self.state == State::Pausing {
            self.set(State::Vacant, context);
        }
        self.proceed(context);
    }

    fn close(&mut self, context: &mut Context<'_>) {
        self.leave(End::Close, context);
    }

    /// The server owes a connect, an answer, or the end of a churned session.
    fn is_waiting(&self, context: &Context<'_>) -> bool {
        !self.pipeline.is_empty()
            || self.state == State::Connecting
            || (self.state == State::Leaving && context.load.mode == Mode::Churn)
    }

    fn is_leaving(&self) -> bool {
        self.state == State::Leaving
    }

    fn has_failed(&self) -> bool {
        self.state == State::Failed
    }

    fn begun(&self) -> u64 {
        self.pipeline.begun()
    }

    fn unanswered(&self) -> impl Iterator<Item = &Request> {
        self.pipeline.in_flight()
    }
}

impl Connection {
    fn begin_connect(&mut self, context: &mut Context<'_>) {
        context.connects += 1;
        let connecting = source::connect(context.load, context.connects).and_then(|stream| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            context.registry.register(&mut SourceFd(&stream.as_raw_fd()), Token(self.slot), interest)?;
            Ok(stream)
        });
        match connecting {
            Ok(stream) => self.stream = Some(stream),
            // The queue of a Unix socket is full. It is tried again at each check of timeouts.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => self.fail_with(&error, context),
        }
    }

    /// Ends the session: closes the sending side or says `bye`, then waits for the end of the stream.
    fn leave(&mut self, end: End, context: &mut Context<'_>) {
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

    fn finish_connect(&mut self, context: &mut Context<'_>) {
        let churns = context.load.mode == Mode::Churn;
        let session = if churns { self.sessions * context.load.connections as u64 } else { 0 };
        let header = context.load.header(proxy::Client::Measured(self.pipeline.number() + session));
        let Some(stream) = &mut self.stream else { return };
        let connected = match stream.take_error() {
            Ok(None) => stream.peer_addr().and_then(|_| {
                if let Address::Tcp(_) = context.load.address {
                    stream.set_tcp_nodelay(true)?;
                }
                // A new socket has room for it.
                stream.write_all(&header)
            }),
            Ok(Some(error)) | Err(error) => Err(error),
        };
        match connected {
            Ok(()) => {
                let intended = self.pipeline.oldest().map(|request| request.intended);
                if intended.is_none_or(|intended| context.window.contains(intended)) {
                    record(&mut context.tally.connect, context.now - self.since);
                }
                if churns {
                    // Its message is sent only now. One that is sent again has waited since it was sent first.
                    self.pipeline.restart_oldest(context.now);
                }
                self.first = self.pipeline.verified().message;
                context.tally.sessions.reconnected += u64::from(self.sessions > 0 && context.load.reconnect);
                self.sessions += 1;
                self.is_broken = false;
                self.set(State::Open, context);
            }
            // The connect is not complete yet.
            Err(error) if error.kind() == ErrorKind::NotConnected => {}
            Err(error) => self.fail_with(&error, context),
        }
    }

    fn write(&mut self, context: &mut Context<'_>) {
        let Some(stream) = &mut self.stream else { return };
        let error = loop {
            if self.pipeline.is_written() {
                return;
            }
            self.pipeline.fill(context.payloads, &mut context.outgoing);
            match stream.write(&context.outgoing) {
                Ok(count) => self.pipeline.advance_written(count, context.payloads.size()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
        };
        // What arrived before a reset may give the reason, such as `busy`.
        self.is_broken = true;
        self.receive(true, context);
        if self.state == State::Open {
            self.lose(&error, context);
        }
    }

    /// Reads what has arrived: until a short read, or until the end of the stream if that is known to be near.
    fn receive(&mut self, is_end_near: bool, context: &mut Context<'_>) {
        while let Some(stream) = &mut self.stream {
            match stream.read(&mut context.incoming) {
                Ok(0) => return self.end_of_stream(context),
                Ok(count) => {
                    context.now = Instant::now();
                    if let Err((failure, problem)) = self.pipeline.verify(count, context) {
                        self.fail(failure, context, || problem);
                    }
                    if context.load.mode == Mode::Churn && self.pipeline.is_empty() {
                        self.leave(context.load.end, context);
                    }
                    // A short read has emptied the socket; what arrives later makes another event.
                    if count < BUFFER && !is_end_near {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.lose(&error, context),
            }
        }
    }
}
