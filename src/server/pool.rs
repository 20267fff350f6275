//! The thread pool, and the limit that it can run into.

use std::panic::catch_unwind;

use threadpool::ThreadPool;

use crate::error::Error;
use crate::net::limits::{self, MAPPINGS_PER_THREAD};

/// Starts the workers.
///
/// # Errors
///
/// [`Error::Workers`] with the limit that was hit.
pub(crate) fn start(workers: usize, stack_size: usize) -> Result<ThreadPool, Error> {
    let failed = |cause| Error::Workers { workers, cause };
    // A thread that starts just under this limit aborts the process when it cannot map its signal stack.
    if limits::max_threads().is_some_and(|most| workers as u64 > most) {
        let limit = limits::max_mappings().unwrap_or_default();
        return Err(failed(format!(
            "each needs {MAPPINGS_PER_THREAD} memory mappings, and vm.max_map_count is {limit}"
        )));
    }
    // The pool unwraps the result of each spawn, so a refusal is a panic. The unwinding drops the pool's half of the
    // job channel, which ends the threads that were started.
    catch_unwind(|| {
        threadpool::Builder::new()
            .num_threads(workers)
            .thread_name("hebra-worker".to_owned())
            .thread_stack_size(stack_size)
            .build()
    })
    .map_err(|_| failed("the system refuses so many threads".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_workers_are_an_error_that_names_the_limit() {
        let Some(limit) = limits::max_mappings() else { return };
        let error = start(limit as usize, 64 * 1024).expect_err("no thread fits");
        assert!(error.to_string().contains("vm.max_map_count"), "{error}");
    }
}
