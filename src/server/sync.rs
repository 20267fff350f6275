//! The locks and the clock of admission: those of std.
//!
//! They have a module of their own because `tests/model` builds `admission` with others, whose scheduler chooses which
//! thread runs next and when a timeout comes.

pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
pub(crate) use std::time::Instant;

pub(crate) use super::semaphore::Semaphore;
