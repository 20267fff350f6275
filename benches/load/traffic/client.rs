//! What the event loop asks of the clients that it runs: connections ([`connection`](super::connection)) and senders of
//! datagrams ([`udp`](super::udp)).

use mio::event::Event;

use super::context::{Context, Request};

/// A measured client. It never blocks: its event loop calls it when its socket is ready, when a request is due, and every
/// tenth of a second for timeouts.
pub(crate) trait Client {
    /// The most requests that begin in one turn of the loop.
    const BURST: usize;

    /// A client in `slot` of its event loop, with a `number` among the clients of all event loops.
    fn new(slot: usize, number: u64) -> Self;

    /// Begins to connect.
    fn connect(&mut self, context: &mut Context<'_>);

    /// Allows `requests` more to begin.
    fn allow(&mut self, requests: u64);

    /// Begins the requests that may begin, and writes what the socket takes.
    fn proceed(&mut self, context: &mut Context<'_>);

    /// Handles an event of its socket.
    fn handle(&mut self, event: &Event, context: &mut Context<'_>);

    /// Acts on what has waited for longer than the timeout.
    fn check_timeout(&mut self, context: &mut Context<'_>);

    /// Ends the client at the end of the run.
    fn close(&mut self, context: &mut Context<'_>);

    /// Returns `true` while the server owes something.
    fn is_waiting(&self, context: &Context<'_>) -> bool;

    /// Returns `true` while something may come after the end of the client.
    fn is_leaving(&self) -> bool;

    /// Returns `true` if it sends nothing more because of a failure.
    fn has_failed(&self) -> bool;

    /// Returns how many requests have begun.
    fn begun(&self) -> u64;

    /// Iterates over the requests without an answer.
    fn unanswered(&self) -> impl Iterator<Item = &Request>;

    /// Counts what only the end of the run shows.
    fn finish(_clients: &[Self], _context: &mut Context<'_>)
    where
        Self: Sized,
    {
    }
}
