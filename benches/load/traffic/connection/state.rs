//! The state of a connection, and how its session ends when it is the server that ends it: with a failure, or, if
//! `--reconnect` or `--expect-faults` were given, with a count and a new session.

use std::io::{self, ErrorKind};
use std::time::Instant;

use socket2::Socket;

use super::super::context::Context;
use super::super::payload::Position;
use super::super::pipeline::Pipeline;
use super::super::tally::Failure;

/// One measured client.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) slot: usize,
    pub(super) stream: Option<Socket>,
    pub(super) state: State,
    /// When it came into this state.
    pub(super) since: Instant,
    pub(super) pipeline: Pipeline,
    /// Number of sessions that it has had.
    pub(super) sessions: u64,
    /// The first message of this session.
    pub(super) first: u64,
    /// A write has failed, so that the end of the stream is that of a connection that was reset.
    pub(super) is_broken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Without a socket: at first, between two sessions, or at the end.
    Vacant,
    /// Its session ended without an answer. It connects again at the next check of timeouts, and not at once, so that
    /// it does not ask a server without a service a million times.
    Pausing,
    /// Without a socket while the queue of a Unix socket is full.
    Connecting,
    Open,
    /// It has closed its sending side or said `bye`, and waits for the end of the stream.
    Leaving,
    /// Its connection was lost.
    Failed,
}

impl Connection {
    /// A client in `slot` of its event loop, with a `number` among the clients of all event loops.
    pub(super) fn vacant(slot: usize, number: u64) -> Self {
        Self {
            slot,
            stream: None,
            state: State::Vacant,
            since: Instant::now(),
            pipeline: Pipeline::new(slot, number),
            sessions: 0,
            first: 0,
            is_broken: false,
        }
    }

    pub(super) fn set(&mut self, state: State, context: &mut Context<'_>) {
        let count = |state| (usize::from(state == State::Connecting), usize::from(state == State::Open));
        let (before, after) = (count(self.state), count(state));
        context.connecting = context.connecting + after.0 - before.0;
        context.open = context.open + after.1 - before.1;
        (self.state, self.since) = (state, context.now);
    }

    pub(super) fn end_of_stream(&mut self, context: &mut Context<'_>) {
        if self.state == State::Leaving && self.pipeline.is_empty() {
            self.set(State::Vacant, context);
            self.stream = None;
        } else if self.is_broken && context.load.reconnect {
            self.lose(&ErrorKind::ConnectionReset.into(), context);
        } else if self.may_resume(context) && (self.pipeline.is_between_answers() || context.load.expect_faults) {
            self.resume(false, context);
        } else {
            let Position { message, offset } = self.pipeline.verified();
            self.fail(Failure::Eof, context, || format!("the stream ended at message {message}, byte {offset}"));
        }
    }

    pub(super) fn fail_with(&mut self, error: &io::Error, context: &mut Context<'_>) {
        self.fail(Failure::from(error), context, || error.to_string());
    }

    /// Counts a failure and closes the connection.
    pub(super) fn fail(&mut self, failure: Failure, context: &mut Context<'_>, what: impl FnOnce() -> String) {
        context.tally.failures.add(failure, what);
        self.set(State::Failed, context);
        self.stream = None;
        self.pipeline.clear();
    }

    /// The connection is broken.
    pub(super) fn lose(&mut self, error: &io::Error, context: &mut Context<'_>) {
        let is_reset = Failure::from(error) == Failure::Reset;
        if is_reset && context.load.expect_faults && self.may_resume(context) {
            self.resume(true, context);
        } else if is_reset && context.load.expect_faults && self.state == State::Leaving {
            self.set(State::Vacant, context);
            self.stream = None;
        } else {
            self.fail_with(error, context);
        }
    }

    fn may_resume(&self, context: &Context<'_>) -> bool {
        context.load.reconnect && self.state == State::Open
    }

    /// Goes on in a new session after the server has ended this one.
    fn resume(&mut self, is_reset: bool, context: &mut Context<'_>) {
        if !self.pipeline.is_between_answers() {
            self.give_up_oldest(context);
        }
        if self.state == State::Failed {
            return;
        }
        let answered = self.pipeline.verified().message - self.first;
        let resent = self.pipeline.rewind();
        context.tally.sessions.count(is_reset, answered, resent);
        self.stream = None;
        self.set(if answered == 0 { State::Pausing } else { State::Vacant }, context);
    }

    /// Counts what is missing of the oldest answer, and begins to wait for the next.
    pub(super) fn give_up_oldest(&mut self, context: &mut Context<'_>) {
        match self.pipeline.give_up_oldest(context) {
            Ok(()) => self.pipeline.restart_oldest(context.now),
            Err((failure, problem)) => self.fail(failure, context, || problem),
        }
    }
}
