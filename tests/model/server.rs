//! A server without sockets around the real admission and the real token: acceptors, workers, a reaper and the stop
//! order. Each step is as in `src/server/`, and the fate of every client is recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::SeqCst};
use std::time::Duration;

use shuttle::sync::mpsc::{Sender, channel};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread::{self, JoinHandle, yield_now};

use crate::admission::{Admission, Admitted};
use crate::shutdown::ShutdownToken;
use crate::sync::{Instant, NEVER, Semaphore};

const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
const YIELD_AFTER: Duration = Duration::from_secs(60);
const REST: Duration = Duration::from_millis(10);

/// A server and its clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) workers: usize,
    pub(crate) max_pending: usize,
    pub(crate) acceptors: usize,
    /// How many clients each acceptor accepts.
    pub(crate) clients: usize,
    /// Which clients send nothing until their session is ended.
    pub(crate) silent: Silent,
    /// Whether an acceptor waits for a place instead of refusing.
    pub(crate) wait_for_place: bool,
    /// Whether there is a queue timeout.
    pub(crate) expire: bool,
    /// Whether silent sessions have to give up their workers.
    pub(crate) take_workers: bool,
    /// How many fates the stop waits for. With 0 it may come at any moment.
    pub(crate) stop_after: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silent {
    None,
    Half,
    All,
}

/// What became of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Served,
    /// The client waited for too long.
    Expired,
    /// No place was free.
    Refused,
    /// The server stopped first.
    Dismissed,
}

/// What acceptors, workers and the reaper share, which is `Core` without sockets.
struct Core {
    scenario: Scenario,
    admission: Arc<Admission<Client>>,
    token: ShutdownToken,
    registry: Mutex<Vec<Arc<Session>>>,
    /// Set once admission has closed.
    closed: AtomicBool,
    /// Clients that were admitted, and those that are served. Both are counted up after the step and down before it, so
    /// that they never exceed the real numbers.
    inside: AtomicIsize,
    running: AtomicIsize,
}

struct Client {
    number: usize,
    silent: bool,
    /// Receives the client's fate, once.
    fates: Sender<(usize, Fate)>,
}

/// The read side of a client's connection.
#[derive(Default)]
struct Session {
    number: usize,
    state: Mutex<SessionState>,
    changed: Condvar,
}

#[derive(Default)]
struct SessionState {
    ended: bool,
    asked: bool,
}

impl Client {
    fn record(self, fate: Fate) {
        self.fates.send((self.number, fate)).expect("the receiver outlives the clients");
    }
}

impl Session {
    fn half_close(&self) {
        self.state.lock().expect("no panic").ended = true;
        self.changed.notify_all();
    }

    fn read_to_end(&self) {
        let state = self.state.lock().expect("no panic");
        drop(self.changed.wait_while(state, |state| !state.ended).expect("no panic"));
    }
}

impl Core {
    fn places(&self) -> isize {
        (self.scenario.workers + self.scenario.max_pending) as isize
    }

    /// As `Core::arrive`.
    fn arrive(&self, mut client: Client) {
        loop {
            let closed = self.closed.load(SeqCst);
            let admitted = self.admission.admit(client);
            assert!(!closed || matches!(admitted, Admitted::Closed(_)), "a client was admitted after the close");
            if matches!(admitted, Admitted::Waits) {
                assert!(
                    self.inside.fetch_add(1, SeqCst) < self.places(),
                    "more clients are admitted than there are places"
                );
            }
            match admitted {
                Admitted::Waits => return,
                Admitted::Full(client) if self.token.is_set() => return client.record(Fate::Dismissed),
                Admitted::Full(back) if self.scenario.wait_for_place => {
                    self.admission.wait_for_place();
                    client = back;
                }
                Admitted::Full(client) => return client.record(Fate::Refused),
                Admitted::Closed(client) => return client.record(Fate::Dismissed),
            }
        }
    }

    /// As `Core::work` and `Core::serve`.
    fn work(&self) {
        while let Some((client, permit)) = self.admission.next() {
            let running = self.running.fetch_add(1, SeqCst);
            assert!(running < self.scenario.workers as isize, "more clients are served than there are workers");
            self.serve(&client);
            self.running.fetch_sub(1, SeqCst);
            self.inside.fetch_sub(1, SeqCst);
            drop(permit);
            client.record(Fate::Served);
        }
    }

    fn serve(&self, client: &Client) {
        let session = Arc::new(Session { number: client.number, ..Session::default() });
        self.registry.lock().expect("no panic").push(Arc::clone(&session));
        if self.token.is_set() {
            session.half_close();
        }
        if client.silent {
            session.read_to_end();
        }
        self.registry.lock().expect("no panic").retain(|other| other.number != session.number);
    }

    /// As `reaper::run`, without idle timeouts and lifetimes.
    fn reap(&self) {
        let Scenario { expire, take_workers, .. } = self.scenario;
        let mut yield_from = take_workers.then(Instant::now);
        loop {
            let now = Instant::now();
            let overdue_at = if expire { self.refuse_overdue() } else { None };
            if yield_from.is_some_and(|time| time <= now)
                && let Some(mut expected) = self.admission.expect_workers()
            {
                let wanted = expected.workers();
                let asked = self.end_idle(wanted);
                expected.asked(asked);
                yield_from = Some(now + if asked == wanted { REST } else { YIELD_AFTER });
            }
            let yield_from = yield_from.filter(|_| self.admission.lacks_workers());
            if !self.admission.wait_for_news(overdue_at.into_iter().chain(yield_from).min()) {
                return;
            }
        }
    }

    /// As `reaper::refuse_overdue`.
    fn refuse_overdue(&self) -> Option<Instant> {
        loop {
            // A client that expires leaves in `take_overdue`, so it is counted down before.
            self.inside.fetch_sub(1, SeqCst);
            match self.admission.take_overdue(QUEUE_TIMEOUT) {
                Ok(client) => client.record(Fate::Expired),
                Err(due) => {
                    self.inside.fetch_add(1, SeqCst);
                    return due;
                }
            }
        }
    }

    /// As `Registry::end_idle`. Returns how many sessions were asked to end.
    fn end_idle(&self, most: usize) -> usize {
        let registry = self.registry.lock().expect("no panic");
        let is_asked = |session: &&Arc<Session>| session.state.lock().expect("no panic").asked;
        let to_ask: Vec<_> = registry.iter().filter(|session| !is_asked(session)).take(most).collect();
        for session in &to_ask {
            session.state.lock().expect("no panic").asked = true;
            session.half_close();
        }
        to_ask.len()
    }
}

/// Runs a server from its start to its end, and returns what became of its clients.
pub(crate) fn run(scenario: Scenario) -> Vec<Fate> {
    let core = Arc::new(Core {
        scenario,
        admission: Arc::new(Admission::new(scenario.workers, scenario.max_pending, Semaphore::default())),
        token: ShutdownToken::default(),
        registry: Mutex::default(),
        closed: AtomicBool::default(),
        inside: AtomicIsize::default(),
        running: AtomicIsize::default(),
    });
    let (sender, fates) = channel();

    let spawn = |run: Box<dyn FnOnce(&Core) + Send>| {
        let core = Arc::clone(&core);
        thread::spawn(move || run(&core))
    };
    let workers: Vec<_> = (0..scenario.workers).map(|_| spawn(Box::new(Core::work))).collect();
    let reaper = spawn(Box::new(Core::reap));
    let acceptors: Vec<_> = (0..scenario.acceptors)
        .map(|acceptor| {
            let sender = sender.clone();
            spawn(Box::new(move |core| {
                for number in acceptor * scenario.clients..(acceptor + 1) * scenario.clients {
                    let silent = match scenario.silent {
                        Silent::None => false,
                        Silent::Half => number % 2 == 0,
                        Silent::All => true,
                    };
                    core.arrive(Client { number, silent, fates: sender.clone() });
                }
            }))
        })
        .collect();
    drop(sender);

    let mut known: Vec<(usize, Fate)> = fates.iter().take(scenario.stop_after).collect();
    stop(&core, acceptors, reaper);
    workers.into_iter().for_each(join);

    known.extend(fates.iter());
    known.sort_unstable();
    let clients: Vec<usize> = known.iter().map(|(number, _)| *number).collect();
    assert!(
        clients.into_iter().eq(0..scenario.acceptors * scenario.clients),
        "a client has no fate or several: {known:?}"
    );
    known.into_iter().map(|(_, fate)| fate).collect()
}

/// As `Threads::stop`, up to the step that joins the workers.
fn stop(core: &Core, acceptors: Vec<JoinHandle<()>>, reaper: JoinHandle<()>) {
    // The scheduler switches threads at locks. The token has none, so the scheduler may switch here.
    yield_now();
    core.token.trigger();
    yield_now();
    core.admission.begin_stop();
    acceptors.into_iter().for_each(join);
    let waiting = core.admission.close();
    core.closed.store(true, SeqCst);
    join(reaper);
    waiting.into_iter().for_each(|client| client.record(Fate::Dismissed));
    core.registry.lock().expect("no panic").iter().for_each(|session| session.half_close());
    for limit in [Duration::ZERO, Duration::from_secs(1), NEVER] {
        if core.admission.wait_idle(limit) {
            assert_eq!(core.running.load(SeqCst), 0, "admission says idle while a client is served");
            break;
        }
        assert!(limit != NEVER, "admission says busy and no client is served");
    }
    assert_eq!(core.admission.waiting(), 0);
}

fn join(thread: JoinHandle<()>) {
    thread.join().expect("it did not panic");
}
