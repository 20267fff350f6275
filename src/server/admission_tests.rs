//! The gate step by step, with std's locks. `tests/model` holds it against thousands of orders of events.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{iter, thread};

use super::admission::{Admission, Admitted, Watch};
use super::semaphore::Semaphore;

const FUSE: Duration = Duration::from_secs(600);

fn gate(workers: usize, max_pending: usize) -> Arc<Admission<u32>> {
    Arc::new(Admission::new(workers, max_pending, Semaphore::new().expect("two descriptors are free")))
}

/// The next one to have waited for no time at all.
fn expired(gate: &Admission<u32>) -> Watch<u32> {
    gate.watch(Some(Duration::ZERO), None, None)
}

#[test]
fn the_waiting_run_in_the_order_of_arrival_and_the_rest_is_turned_away() {
    let gate = gate(1, 2);
    for item in 1..=3 {
        assert_eq!(gate.admit(item), Admitted::Waits);
    }
    assert_eq!(gate.admit(4), Admitted::Full(4));
    let (first, permit) = gate.next().expect("the first waits");
    assert_eq!(first, 1);
    assert_eq!(gate.admit(4), Admitted::Full(4));
    drop(permit);
    assert_eq!(gate.admit(4), Admitted::Waits);
    let order: Vec<u32> = iter::from_fn(|| gate.next().map(|(item, _)| item)).take(3).collect();
    assert_eq!(order, [2, 3, 4]);
    assert!(gate.wait_idle(Duration::ZERO));
}

#[test]
fn without_a_queue_there_are_as_many_places_as_workers() {
    let gate = gate(2, 0);
    assert_eq!(gate.admit(1), Admitted::Waits);
    assert_eq!(gate.admit(2), Admitted::Waits);
    assert_eq!(gate.admit(3), Admitted::Full(3));
}

#[test]
fn a_worker_sleeps_until_somebody_waits_or_the_gate_closes() {
    let gate = gate(1, 0);
    thread::scope(|scope| {
        let worker = scope.spawn(|| iter::from_fn(|| gate.next().map(|(item, _)| item)).collect::<Vec<_>>());
        for item in 0..100 {
            assert_eq!(gate.admit(item), Admitted::Waits);
            assert!(gate.wait_idle(FUSE));
        }
        assert_eq!(gate.close(), []);
        assert!(worker.join().is_ok_and(|items| items.into_iter().eq(0..100)));
    });
}

#[test]
fn whoever_wants_a_place_or_an_idle_gate_is_woken() {
    let gate = gate(1, 0);
    gate.admit(1);
    let (_, permit) = gate.next().expect("it waits");
    thread::scope(|scope| {
        let placed = scope.spawn(|| gate.wait_for_place());
        let idle = scope.spawn(|| gate.wait_idle(FUSE));
        drop(permit);
        assert!(idle.join().is_ok_and(|idle| idle));
        assert!(placed.join().is_ok());
    });
}

#[test]
fn whoever_watches_the_gate_is_woken_by_those_for_whom_no_worker_is_free() {
    let gate = gate(1, 1);
    gate.admit(1);
    let (_, _permit) = gate.next().expect("it waits");
    thread::scope(|scope| {
        let expired = scope.spawn(|| expired(&gate));
        gate.admit(2);
        assert!(expired.join().is_ok_and(|watch| watch == Watch::Expired(2)));
    });
    thread::scope(|scope| {
        let expired = scope.spawn(|| gate.watch(Some(FUSE), None, None));
        gate.admit(3);
        let placed = scope.spawn(|| gate.wait_for_place());
        assert_eq!(gate.close(), [3]);
        assert!(expired.join().is_ok_and(|watch| watch == Watch::Closed));
        assert!(placed.join().is_ok());
    });
    assert_eq!(gate.admit(4), Admitted::Closed(4));
}

#[test]
fn a_worker_is_asked_for_once_for_each_that_waits() {
    let gate = gate(1, 3);
    let watch = || gate.watch(None, Some(Instant::now()), Some(Instant::now()));
    gate.admit(1);
    let (_, first) = gate.next().expect("it waits");
    assert_eq!(watch(), Watch::Time);
    gate.admit(2);
    assert_eq!(watch(), Watch::NeedsWorker);
    assert_eq!(watch(), Watch::Time);
    gate.admit(3);
    assert_eq!(watch(), Watch::NeedsWorker);
    // The worker that was asked for comes free and takes up the second; the third still has its own.
    drop(first);
    let (_, second) = gate.next().expect("it waits");
    assert_eq!(watch(), Watch::Time);
    drop(second);
    let (_, _third) = gate.next().expect("it waits");
    // Nobody is expected any more, so the next one who waits needs a worker again.
    gate.admit(4);
    assert_eq!(watch(), Watch::NeedsWorker);
}

#[test]
fn a_worker_that_comes_free_at_once_is_not_expected_for_ever() {
    let gate = gate(1, 1);
    let watch = || gate.watch(None, Some(Instant::now()), Some(Instant::now()));
    gate.admit(1);
    let (_, first) = gate.next().expect("it waits");
    gate.admit(2);
    assert_eq!(watch(), Watch::NeedsWorker);
    // Before the reaper has done anything with that answer.
    drop(first);
    let (_, _second) = gate.next().expect("it waits");
    gate.admit(3);
    assert_eq!(watch(), Watch::NeedsWorker);
    gate.expect_no_worker();
    assert_eq!(watch(), Watch::NeedsWorker);
}
