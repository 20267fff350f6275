//! How the session of a connection ends when it is the server that ends it: with a failure, or, if `--reconnect` or
//! `--expect-faults` were given, with a count and a new session.

use std::io::{self, ErrorKind};

use super::super::payload::Position;
use super::{Connection, Context, Failure, State};

impl Connection {
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

    pub(super) fn may_resume(&self, context: &Context<'_>) -> bool {
        context.load.reconnect && self.state == State::Open
    }

    /// Goes on in a new session after the server has ended this one.
    pub(super) fn resume(&mut self, is_reset: bool, context: &mut Context<'_>) {
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
