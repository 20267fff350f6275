//! Admission and the stop of the server, in orders of events that a machine would seldom choose.
//!
//! The source of admission is compiled here a second time, with locks and a clock that belong to a scheduler. The
//! scheduler chooses the order of events at random, or by priorities that change at a few places (PCT), which finds
//! faults that need one thread to be delayed for long. A lost notification ends in a deadlock, and a deadlock fails the
//! test. The failing schedule is printed for `shuttle::replay`.

#[path = "../../src/server/admission.rs"]
#[allow(dead_code, unreachable_pub, reason = "the library uses all of it")]
mod admission;
#[path = "../../src/shutdown.rs"]
#[allow(dead_code, unreachable_pub, reason = "the library uses all of it")]
mod shutdown;
mod server;
mod sync;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use shuttle::thread::{self, yield_now};

use admission::Admission;
use server::{Fate, Scenario, Silent, run};
use sync::{Instant, NEVER, Semaphore};

/// How many schedules of each kind are tried for each scenario.
const SCHEDULES: usize = 1000;

/// How often PCT changes priorities in a schedule.
const CHANGES: usize = 3;

/// Two acceptors with three clients each. Clients may expire, and idle sessions give up their workers.
const CROWD: Scenario = Scenario {
    workers: 2,
    max_pending: 1,
    acceptors: 2,
    clients: 3,
    silent: Silent::Half,
    wait_for_place: false,
    expire: true,
    take_workers: true,
    stop_after: 0,
};

#[test]
fn each_client_has_one_fate_whenever_the_server_stops() {
    for stop_after in [0, 1, 3] {
        for wait_for_place in [false, true] {
            check(move || drop(run(Scenario { stop_after, wait_for_place, ..CROWD })));
        }
    }
    // Sessions that only the stop ends have all places, and the acceptors wait for a place.
    let held = Scenario { max_pending: 0, silent: Silent::All, wait_for_place: true, ..CROWD };
    check(move || drop(run(Scenario { expire: false, take_workers: false, ..held })));
}

#[test]
fn the_places_are_never_exceeded_and_every_admitted_client_is_served() {
    for (workers, max_pending) in [(1, 0), (1, 1), (2, 1)] {
        let scenario =
            Scenario { workers, max_pending, silent: Silent::None, expire: false, stop_after: 6, ..CROWD };
        check(move || {
            let fates = run(scenario);
            assert!(fates.iter().all(|fate| matches!(fate, Fate::Served | Fate::Refused)), "{fates:?}");
        });
        check(move || assert_eq!(run(Scenario { wait_for_place: true, ..scenario }), [Fate::Served; 6]));
    }
}

#[test]
fn a_silent_session_gives_up_its_worker_for_each_client_that_waits() {
    for (workers, max_pending) in [(1, 1), (2, 2)] {
        let scenario = Scenario { workers, max_pending, silent: Silent::All, expire: false, ..CROWD };
        // No client waits for the workers of the last sessions. The stop ends these, or comes before them.
        let stop_after = 6 - workers;
        let scenario = Scenario { wait_for_place: true, stop_after, ..scenario };
        check(move || {
            let fates = run(scenario);
            let served = fates.iter().filter(|fate| **fate == Fate::Served).count();
            assert!(served >= stop_after, "{fates:?}");
        });
    }
}

#[test]
fn clients_that_wait_for_too_long_expire_and_the_others_are_served() {
    let scenario = Scenario {
        workers: 1,
        max_pending: 1,
        silent: Silent::All,
        wait_for_place: true,
        take_workers: false,
        stop_after: 5,
        ..CROWD
    };
    // A worker that is woken for a client that has expired sleeps again until it is needed.
    check(move || drop(run(Scenario { silent: Silent::None, stop_after: 6, ..scenario })));
    check(move || {
        let fates = run(scenario);
        let expired = fates.iter().filter(|fate| **fate == Fate::Expired).count();
        assert!(expired >= scenario.stop_after, "{fates:?}");
    });
}

#[test]
fn a_place_that_becomes_free_wakes_the_acceptor_that_waits_for_one() {
    check(|| {
        let admission = Arc::new(Admission::new(1, 0, Semaphore::default()));
        let woken = Arc::new(AtomicBool::new(false));
        let waiter = {
            let (admission, woken) = (Arc::clone(&admission), Arc::clone(&woken));
            thread::spawn(move || {
                assert!(admission.wait_freed(NEVER));
                woken.store(true, SeqCst);
            })
        };
        while !woken.load(SeqCst) {
            admission.admit(());
            drop(admission.next());
            yield_now();
        }
        waiter.join().expect("it did not panic");
    });
}

#[test]
fn a_place_that_becomes_free_wakes_every_thread_that_waits_for_one() {
    check(|| {
        let admission = Arc::new(Admission::new(1, 0, Semaphore::default()));
        admission.admit(());
        let (_, permit) = admission.next().expect("it waits");
        let sleepers: [fn(&Admission<()>); 2] =
            [|admission| admission.wait_for_place(), |admission| assert!(admission.wait_idle(NEVER))];
        let sleepers = sleepers.map(|sleep| {
            let admission = Arc::clone(&admission);
            thread::spawn(move || sleep(&admission))
        });
        drop(permit);
        for sleeper in sleepers {
            sleeper.join().expect("it did not panic");
        }
    });
}

#[test]
fn closing_admission_wakes_every_thread_that_sleeps_there() {
    check(|| {
        let admission = Arc::new(Admission::new(1, 1, Semaphore::default()));
        admission.admit(());
        let (_, permit) = admission.next().expect("it waits");
        admission.admit(());
        let sleepers: [fn(&Admission<()>); 4] = [
            |admission| assert!(admission.wait_freed(NEVER)),
            |admission| admission.wait_for_place(),
            |admission| assert!(admission.wait_idle(NEVER)),
            |admission| while admission.wait_for_news(None) {},
        ];
        let sleepers = sleepers.map(|sleep| {
            let admission = Arc::clone(&admission);
            thread::spawn(move || sleep(&admission))
        });
        assert_eq!(admission.close().len(), 1);
        drop(permit);
        for sleeper in sleepers {
            sleeper.join().expect("it did not panic");
        }
    });
}

#[test]
fn a_client_for_which_a_worker_is_free_is_served_after_the_close() {
    check(|| {
        let admission = Arc::new(Admission::new(2, 2, Semaphore::default()));
        let serve = |admission: &Arc<Admission<u8>>| {
            let admission = Arc::clone(admission);
            thread::spawn(move || {
                std::iter::from_fn(|| admission.next()).map(|(client, _)| client).collect::<Vec<_>>()
            })
        };
        let workers = [serve(&admission), serve(&admission)];
        admission.admit(1);
        admission.admit(2);
        admission.begin_stop();
        let refused = admission.close();
        let served = workers.map(|worker| worker.join().expect("it did not panic")).concat();
        assert!(refused.is_empty() && served.len() == 2, "{served:?} {refused:?}");
    });
}

#[test]
fn idle_means_that_no_client_is_served_or_waits() {
    check(|| {
        let admission = Arc::new(Admission::new(1, 1, Semaphore::default()));
        let served = Arc::new(AtomicUsize::new(0));
        admission.admit(());
        admission.admit(());
        let waiter = {
            let (admission, served) = (Arc::clone(&admission), Arc::clone(&served));
            thread::spawn(move || {
                assert!(admission.wait_idle(NEVER));
                assert_eq!(served.load(SeqCst), 2);
            })
        };
        for _ in 0..2 {
            let (_, permit) = admission.next().expect("it waits");
            served.fetch_add(1, SeqCst);
            drop(permit);
        }
        waiter.join().expect("it did not panic");
    });
}

#[test]
fn the_reaper_sleeps_until_the_earliest_deadline() {
    // There is one thread, and therefore one schedule.
    let model = || {
        let (soon, late) = (Duration::from_secs(10), Duration::from_secs(60));
        let admission = Arc::new(Admission::new(1, 2, Semaphore::default()));
        let start = Instant::now();
        admission.admit(1);
        let (_, _permit) = admission.next().expect("it waits");
        admission.admit(2);
        assert!(admission.wait_for_news(None), "the second client has to wait");
        assert!(admission.wait_for_news(Some(start + soon)));
        assert_eq!(Instant::now(), start + soon);
        assert_eq!(admission.take_overdue(late), Err(Some(start + late)));
        assert!(admission.wait_for_news(Some(start + late)));
        assert_eq!((admission.take_overdue(late), Instant::now()), (Ok(2), start + late));
    };
    shuttle::check_random(model, 1);
}

/// Checks `model` in [`SCHEDULES`] orders of events of each kind.
fn check(model: impl Fn() + Clone + Send + Sync + 'static) {
    shuttle::check_random(model.clone(), SCHEDULES);
    shuttle::check_pct(model, SCHEDULES, CHANGES);
}
