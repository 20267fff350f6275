//! The second thread of a session whose client is pushed to: it sends, while the worker reads.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use super::leaving::LINGER;
use super::replies::{is_timeout, write_whole};
use super::slots::{Slot, Slots};
use super::transport::{QueuedStream, SocketStream};
use super::{ClientThread, Outbox, Session};
use crate::config::ServerConfig;
use crate::events::{CloseReason, Event, EventSink, Patience};
use crate::net::limits;
use crate::service::Handler;
use crate::shutdown::ShutdownToken;

/// Returns how many threads the process may have beside `workers` workers before the system's limit on mappings aborts
/// it.
pub(crate) fn spare_threads(workers: usize) -> Slots {
    let most = limits::max_threads().unwrap_or(u64::MAX);
    Slots::new(most.saturating_sub(workers as u64))
}

/// Runs a session with a writer, which has ended when this returns. Without a `slot` no writer is started, and the
/// session ends at once.
///
/// It is not inlined: sessions without a writer would keep its frame too (ARCHITECTURE.md, *The stack page*).
#[inline(never)]
pub(crate) fn run_with_writer(
    (session, outbox): (&Session, &Outbox),
    slot: Option<Slot<'_>>,
    mut handler: Box<dyn Handler>,
    config: &ServerConfig,
    sink: &EventSink<Event>,
    token: &ShutdownToken,
) -> CloseReason {
    thread::scope(|scope| {
        let writer = Builder::new().name("hebra-writer".to_owned()).stack_size(config.stack_size);
        let started = match (&slot, SocketStream::new(session)) {
            (Some(_), Some(socket)) => {
                writer.spawn_scoped(scope, || send_queued(session, outbox, config.write_timeout)).map(|_| socket)
            }
            _ => Err(ErrorKind::OutOfMemory.into()),
        };
        let socket = match started {
            Ok(socket) => socket,
            Err(error) => {
                outbox.end();
                let reason = CloseReason::ServiceFailed(error.kind());
                handler.closed(reason);
                return reason;
            }
        };
        // A panic is passed on when the writer has ended.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let stream = QueuedStream { socket, outbox };
            ClientThread::new(stream, handler, config).run_in(session, sink, token)
        }));
        outbox.end();
        let patience = match outcome.as_ref().map_or(Patience::WriteTimeout, |reason| reason.patience()) {
            Patience::None => Some(Duration::ZERO),
            Patience::Short => Some(LINGER),
            Patience::WriteTimeout => None,
        };
        if !outbox.wait_sent(patience) {
            session.shut(Shutdown::Both);
        }
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The writer: sends what is queued until the queue is closed.
fn send_queued(session: &Session, outbox: &Outbox, write_timeout: Option<Duration>) {
    let Some(mut socket) = SocketStream::new(session) else { return };
    let sent = outbox.run(|batch| {
        let began = Instant::now();
        write_whole(&mut socket, batch, || write_timeout.is_some_and(|limit| began.elapsed() >= limit))
    });
    match sent {
        // The worker ends, and what was sent is given the time to arrive when the connection is closed.
        Ok(true) => session.shut(Shutdown::Read),
        Ok(false) => {}
        Err(error) if is_timeout(&error) => session.break_off(CloseReason::WriteTimeout),
        Err(_) => session.break_off(CloseReason::Failed(ErrorKind::BrokenPipe)),
    }
}
