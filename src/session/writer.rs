//! The second thread of a session whose client is pushed to: it sends, while the worker reads.

use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::{self, Builder};
use std::time::Duration;

use super::client_thread::{ClientThread, Surroundings};
use super::closing::LINGER;
use super::outbox::Outbox;
use super::slots::Places;
use super::{BothWays, Session};
use crate::net::limits;
use crate::{CloseReason, Handler, ServerConfig};

/// The writers of a server.
#[derive(Debug)]
pub(crate) struct Writers {
    /// How many more may be started before the system's limit on mappings aborts the process.
    free: Places,
}

impl Writers {
    /// What `workers` workers leave.
    pub(crate) fn new(workers: usize) -> Self {
        let most = limits::max_threads().unwrap_or(u64::MAX);
        Self { free: Places::new(most.saturating_sub(workers as u64)) }
    }

    /// Runs a session with a writer, which has ended when this returns.
    ///
    /// Not inlined: sessions without a writer would keep its frame too, [`Core::converse`](Core::converse).
    #[inline(never)]
    pub(crate) fn converse(
        &self,
        session: &Session,
        outbox: &Outbox,
        mut handler: Box<dyn Handler>,
        config: &ServerConfig,
        surroundings: &Surroundings<'_>,
    ) -> CloseReason {
        thread::scope(|scope| {
            let place = self.free.take();
            let writer = Builder::new().name("hebra-writer".to_owned()).stack_size(config.stack_size);
            let started = match place {
                Some(_) => {
                    writer.spawn_scoped(scope, || session.send_queued(outbox, config.write_timeout)).map(drop)
                }
                None => Err(std::io::ErrorKind::OutOfMemory.into()),
            };
            if let Err(error) = started {
                outbox.end();
                let reason = CloseReason::ServiceFailed(error.kind());
                handler.closed(reason);
                return reason;
            }
            // A panic is passed on when the writer has ended.
            let ending = catch_unwind(AssertUnwindSafe(|| {
                let stream = BothWays { stream: &session.stream, outbox };
                ClientThread::new(stream, handler, config).run_in(surroundings)
            }));
            outbox.end();
            if !outbox.wait_sent(patience(&ending)) {
                session.shut(Shutdown::Both);
            }
            ending.unwrap_or_else(|panic| resume_unwind(panic))
        })
    }
}

/// How long a client may take for what is still queued for it when its session ends.
fn patience(ending: &thread::Result<CloseReason>) -> Option<Duration> {
    match ending {
        // Nobody waits for this client any more.
        Ok(CloseReason::TooSlow | CloseReason::WriteTimeout | CloseReason::CutOff | CloseReason::Failed(_)) => {
            Some(Duration::ZERO)
        }
        Ok(CloseReason::IdleTimeout | CloseReason::Yielded | CloseReason::Expired) => Some(LINGER),
        // As long as the write timeout lets it.
        _ => None,
    }
}
