//! Admission and the shutdown under schedules that no machine would choose by itself.
//!
//! The source of admission is built here a second time, with locks and a clock whose every order of events a
//! scheduler picks: at random, and by priorities that change at a few places (PCT), which finds what needs a
//! thread to be held up for long. A deadlock, which is what a lost notification becomes, fails the test, and
//! the schedule that led there is printed for `shuttle::replay`.

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

/// Schedules of each kind for each scenario.
const SCHEDULES: usize = 1000;

/// Places at which PCT changes priorities.
const CHANGES: usize = 3;

/// Two acceptors with three clients each, and everything on.
const CROWD: Scenario = Scenario {
    workers: 2,
    max_pending: 1,
    acceptors: 2,
    clients: 3,
    silent: Silent::Some,
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
    // The places are taken by sessions that only the stop ends, after the acceptors that wait for one.
    let held = Scenario { max_pending: 0, silent: Silent::Everybody, wait_for_place: true, ..CROWD };
    check(move || drop(run(Scenario { expire: false, take_workers: false, ..held })));
}

#[test]
fn the_places_are_never_exceeded_and_all_who_got_one_are_served() {
    for (workers, max_pending) in [(1, 0), (1, 1), (2, 1)] {
        let scenario =
            Scenario { workers, max_pending, silent: Silent::Nobody, expire: false, stop_after: 6, ..CROWD };
        check(move || {
            let fates = run(scenario);
            assert!(fates.iter().all(|fate| matches!(fate, Fate::Served | Fate::Refused)), "{fates:?}");
        });
        check(move || assert_eq!(run(Scenario { wait_for_place: true, ..scenario }), [Fate::Served; 6]));
    }
}

#[test]
fn a_worker_is_taken_from_the_silent_for_each_client_that_waits() {
    for (workers, max_pending) in [(1, 1), (2, 2)] {
        let scenario = Scenario { workers, max_pending, silent: Silent::Everybody, expire: false, ..CROWD };
        // Nobody who waits asks the last ones for their workers: the stop ends them, or comes before them.
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
fn all_who_wait_for_too_long_expire_and_others_are_served() {
    let scenario = Scenario {
        workers: 1,
        max_pending: 1,
        silent: Silent::Everybody,
        wait_for_place: true,
        take_workers: false,
        stop_after: 5,
        ..CROWD
    };
    // Workers that were called for somebody who waits no more sleep again until they are needed.
    check(move || drop(run(Scenario { silent: Silent::Nobody, stop_after: 6, ..scenario })));
    check(move || {
        let fates = run(scenario);
        let expired = fates.iter().filter(|fate| **fate == Fate::Expired).count();
        assert!(expired >= scenario.stop_after, "{fates:?}");
    });
}

#[test]
fn a_place_that_becomes_free_wakes_whoever_waits_for_that() {
    check(|| {
        let gate = Arc::new(Admission::new(1, 0, Semaphore::default()));
        let woken = Arc::new(AtomicBool::new(false));
        let waiter = {
            let (gate, woken) = (Arc::clone(&gate), Arc::clone(&woken));
            thread::spawn(move || {
                assert!(gate.wait_freed(NEVER));
                woken.store(true, SeqCst);
            })
        };
        while !woken.load(SeqCst) {
            gate.admit(());
            drop(gate.next());
            yield_now();
        }
        waiter.join().expect("it did not panic");
    });
}

#[test]
fn a_place_that_becomes_free_wakes_all_who_wait_for_that() {
    check(|| {
        let gate = Arc::new(Admission::new(1, 0, Semaphore::default()));
        gate.admit(());
        let (_, permit) = gate.next().expect("it waits");
        let sleepers: [fn(&Admission<()>); 2] =
            [|gate| gate.wait_for_place(), |gate| assert!(gate.wait_idle(NEVER))];
        let sleepers = sleepers.map(|sleep| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || sleep(&gate))
        });
        drop(permit);
        for sleeper in sleepers {
            sleeper.join().expect("it did not panic");
        }
    });
}

#[test]
fn whoever_sleeps_at_the_gate_is_woken_by_its_closing() {
    check(|| {
        let gate = Arc::new(Admission::new(1, 0, Semaphore::default()));
        gate.admit(());
        let sleepers: [fn(&Admission<()>); 4] = [
            |gate| assert!(gate.wait_freed(NEVER)),
            |gate| gate.wait_for_place(),
            |gate| assert!(gate.wait_idle(NEVER)),
            |gate| while gate.wait_for_news(None) {},
        ];
        let sleepers = sleepers.map(|sleep| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || sleep(&gate))
        });
        assert_eq!(gate.close().len(), 1);
        for sleeper in sleepers {
            sleeper.join().expect("it did not panic");
        }
    });
}

#[test]
fn idle_means_that_nobody_runs_and_nobody_waits() {
    check(|| {
        let gate = Arc::new(Admission::new(1, 1, Semaphore::default()));
        let served = Arc::new(AtomicUsize::new(0));
        gate.admit(());
        gate.admit(());
        let waiter = {
            let (gate, served) = (Arc::clone(&gate), Arc::clone(&served));
            thread::spawn(move || {
                assert!(gate.wait_idle(NEVER));
                assert_eq!(served.load(SeqCst), 2);
            })
        };
        for _ in 0..2 {
            let (_, permit) = gate.next().expect("it waits");
            served.fetch_add(1, SeqCst);
            drop(permit);
        }
        waiter.join().expect("it did not panic");
    });
}

#[test]
fn the_reaper_sleeps_until_the_first_of_its_times() {
    // One thread has one schedule.
    let model = || {
        let (soon, late) = (Duration::from_secs(10), Duration::from_secs(60));
        let gate = Arc::new(Admission::new(1, 2, Semaphore::default()));
        let start = Instant::now();
        gate.admit(1);
        let (_, _permit) = gate.next().expect("it waits");
        gate.admit(2);
        assert!(gate.wait_for_news(None), "the second client has to wait");
        assert!(gate.wait_for_news(Some(start + soon)));
        assert_eq!(Instant::now(), start + soon);
        assert_eq!(gate.take_overdue(late), Err(Some(start + late)));
        assert!(gate.wait_for_news(Some(start + late)));
        assert_eq!((gate.take_overdue(late), Instant::now()), (Ok(2), start + late));
    };
    shuttle::check_random(model, 1);
}

fn check(model: impl Fn() + Clone + Send + Sync + 'static) {
    shuttle::check_random(model.clone(), SCHEDULES);
    shuttle::check_pct(model, SCHEDULES, CHANGES);
}
