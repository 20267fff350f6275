//! The locks and the clock of the gate: those of std.
//!
//! They have a module of their own because `tests/model` builds `admission` with others, whose scheduler
//! chooses who runs next and when a time-out comes.

pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
pub(crate) use std::time::Instant;

pub(crate) use super::semaphore::Semaphore;
