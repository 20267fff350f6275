//! The reaper: the one thread that owns time. It ends what has lasted too long, so that no session needs a
//! timer or a thread of its own.
//!
//! It sleeps until somebody has waited too long for a worker, a worker is needed from a silent client, a client
//! has been silent for too long or a session has reached its age; in between it looks at nobody.

use std::time::{Duration, Instant};

use super::admission::Watch;
use super::registry::Candidate;
use super::worker::Core;
use crate::RefuseReason;
use crate::session::Order;

/// Runs until the gate closes.
pub(crate) fn run(core: &Core) {
    let config = &core.config;
    let mut yield_from = config.yield_after.map(|_| Instant::now());
    let mut end_at = config.idle_timeout.or(config.max_lifetime).map(|_| Instant::now());
    loop {
        match core.admission.watch(config.queue_timeout, yield_from, end_at) {
            Watch::Closed => return,
            Watch::Expired(arrival) => core.refuse(arrival, RefuseReason::QueueTimeout),
            Watch::NeedsWorker => {
                yield_from =
                    config.yield_after.map(|limit| match core.registry.order_silent(limit, Order::Yield) {
                        Candidate::Ordered => Instant::now(),
                        Candidate::NotBefore(time) => {
                            core.admission.expect_no_worker();
                            time
                        }
                    });
            }
            Watch::Time => {
                let idle = config.idle_timeout.map(|limit| end_idle(core, limit));
                let expired = config.max_lifetime.map(|limit| core.registry.order_expired(limit));
                end_at = idle.into_iter().chain(expired).min();
            }
        }
    }
}

/// Ends the sessions whose clients have been silent for longer than `limit`; when the next one will have been.
fn end_idle(core: &Core, limit: Duration) -> Instant {
    loop {
        if let Candidate::NotBefore(time) = core.registry.order_silent(limit, Order::Idle) {
            return time;
        }
    }
}
