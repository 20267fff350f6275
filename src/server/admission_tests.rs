//! Admission step by step, with std's locks. `tests/model` checks it in thousands of orders of events.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{iter, thread};

use super::admission::{Admission, Admitted};
use super::semaphore::Semaphore;

const FUSE: Duration = Duration::from_secs(600);

fn gate(workers: usize, max_pending: usize) -> Arc<Admission<u32>> {
    Arc::new(Admission::new(workers, max_pending, Semaphore::new().expect("two descriptors are free")))
}

#[test]
fn the_waiting_are_served_in_the_order_of_arrival_and_the_rest_is_refused() {
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
fn a_worker_sleeps_until_a_client_waits_or_admission_closes() {
    let gate = gate(1, 0);
    thread::scope(|scope| {
        let worker = scope.spawn(|| iter::from_fn(|| gate.next().map(|(item, _)| item)).collect::<Vec<_>>());
        for item in 0..100 {
            assert_eq!(gate.admit(item), Admitted::Waits);
            assert!(gate.wait_idle(FUSE));
        }
        assert_eq!(gate.close(), Vec::<u32>::new());
        assert!(worker.join().is_ok_and(|items| items.into_iter().eq(0..100)));
    });
    assert!(counts(&gate, "asleep: 0, woken: 0, watchers: 0, placeless: 0"), "{gate:?}");
}

/// Returns whether the private counters have these values.
fn counts(gate: &Admission<u32>, values: &str) -> bool {
    format!("{gate:?}").contains(values)
}

#[test]
fn a_thread_waits_until_a_client_leaves_or_the_time_is_over() {
    let gate = gate(1, 0);
    gate.admit(1);
    let (_, permit) = gate.next().expect("it waits");
    assert!(!gate.wait_freed(Duration::from_millis(1)));
    thread::scope(|scope| {
        let freed = scope.spawn(|| gate.wait_freed(FUSE));
        while !counts(&gate, "watchers: 1") {
            assert!(!freed.is_finished(), "no client has left yet");
            thread::yield_now();
        }
        drop(permit);
        assert!(freed.join().is_ok_and(|freed| freed));
    });
    assert!(counts(&gate, "watchers: 0, placeless: 0"), "{gate:?}");
    gate.close();
    assert!(gate.wait_freed(Duration::ZERO));
}

#[test]
fn a_thread_that_waits_for_a_place_or_for_idleness_is_woken() {
    let gate = gate(1, 0);
    gate.admit(1);
    let (_, permit) = gate.next().expect("it waits");
    thread::scope(|scope| {
        let idle = scope.spawn(|| gate.wait_idle(FUSE));
        let placed = scope.spawn(|| gate.wait_for_place());
        // The client that has no place needs a worker too.
        while !gate.lacks_workers() {
            assert!(!placed.is_finished(), "there is no place yet");
            thread::yield_now();
        }
        assert_eq!(gate.waiting(), 1);
        drop(permit);
        assert!(idle.join().is_ok_and(|idle| idle));
        assert!(placed.join().is_ok());
    });
    assert!(counts(&gate, "watchers: 0, placeless: 0"), "{gate:?}");
}

#[test]
fn the_reaper_is_woken_by_clients_for_which_no_worker_is_free() {
    let gate = gate(1, 1);
    gate.admit(1);
    let (_, _permit) = gate.next().expect("it waits");
    assert_eq!(gate.take_overdue(Duration::ZERO), Err(None));
    thread::scope(|scope| {
        let news = scope.spawn(|| gate.wait_for_news(None));
        gate.admit(2);
        assert!(news.join().is_ok_and(|is_open| is_open));
    });
    assert!(gate.take_overdue(FUSE).is_err_and(|due| due.is_some_and(|due| due > Instant::now())));
    assert_eq!(gate.take_overdue(Duration::ZERO), Ok(2));
    thread::scope(|scope| {
        gate.admit(3);
        // The news of the third client is there before anything waits for it.
        assert!(gate.wait_for_news(None));
        let reaper = scope.spawn(|| while gate.wait_for_news(Some(Instant::now() + FUSE)) {});
        let placed = scope.spawn(|| gate.wait_for_place());
        assert_eq!(gate.close(), [3]);
        assert!(reaper.join().is_ok() && placed.join().is_ok());
    });
    assert_eq!(gate.admit(4), Admitted::Closed(4));
}

#[test]
fn the_reaper_sleeps_while_a_worker_is_free_for_each_client() {
    let gate = gate(2, 1);
    gate.admit(1);
    gate.admit(2);
    let wake_at = Instant::now() + Duration::from_millis(20);
    assert!(gate.wait_for_news(Some(wake_at)));
    assert!(Instant::now() >= wake_at);
    assert!(!gate.lacks_workers());
}

#[test]
fn clients_for_which_no_worker_is_free_when_admission_closes_are_returned_in_their_order() {
    let gate = gate(1, 2);
    assert_eq!([1, 2, 3].map(|item| gate.admit(item)), [Admitted::Waits, Admitted::Waits, Admitted::Waits]);
    assert_eq!(gate.waiting(), 3);
    assert!(!gate.wait_idle(Duration::ZERO));
    assert_eq!(gate.close(), [2, 3]);
    let (served, permit) = gate.next().expect("a worker is free for the first");
    assert_eq!((served, gate.waiting()), (1, 0));
    drop(permit);
    assert!(gate.next().is_none());
    assert!(gate.wait_idle(Duration::ZERO));
    assert!(counts(&gate, "watchers: 0, placeless: 0"), "{gate:?}");
}

/// How many sessions must be asked for their workers. All of them are, if `asked`.
fn expect(gate: &Admission<u32>, asked: bool) -> usize {
    gate.expect_workers().map_or(0, |mut expected| {
        let workers = expected.workers();
        expected.asked(if asked { workers } else { 0 });
        workers
    })
}

#[test]
fn a_worker_is_asked_for_once_for_each_client_that_waits() {
    let gate = gate(1, 3);
    gate.admit(1);
    let (_, first) = gate.next().expect("it waits");
    assert!(gate.expect_workers().is_none());
    gate.admit(2);
    assert_eq!(expect(&gate, true), 1);
    assert!(!gate.lacks_workers());
    gate.admit(3);
    assert!(gate.lacks_workers());
    assert_eq!(expect(&gate, true), 1);
    // The worker that was asked for becomes free and serves the second; the third still has its own.
    drop(first);
    let (_, second) = gate.next().expect("it waits");
    assert_eq!(expect(&gate, true), 0);
    drop(second);
    let (_, _third) = gate.next().expect("it waits");
    // No worker is expected any more, so the next client that waits needs one again.
    gate.admit(4);
    assert_eq!(expect(&gate, true), 1);
}

#[test]
fn a_worker_for_which_no_session_was_asked_is_not_expected() {
    let gate = gate(1, 2);
    gate.admit(1);
    let (_, _first) = gate.next().expect("it waits");
    gate.admit(2);
    assert_eq!(expect(&gate, false), 1);
    assert_eq!(expect(&gate, false), 1);
    gate.admit(3);
    assert_eq!(expect(&gate, false), 2);
}

#[test]
fn a_worker_that_becomes_free_at_once_is_not_expected_for_ever() {
    let gate = gate(1, 1);
    gate.admit(1);
    let (_, first) = gate.next().expect("it waits");
    gate.admit(2);
    let expected = gate.expect_workers();
    assert!(expected.is_some());
    // Before any session was asked.
    drop(first);
    let (_, _second) = gate.next().expect("it waits");
    gate.admit(3);
    drop(expected);
    assert_eq!(expect(&gate, true), 1);
}
