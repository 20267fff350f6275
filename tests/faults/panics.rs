//! Handlers that panic.

use std::io::{self, Read, Write};
use std::{panic, thread};

use hebra::{Handler, Next, Server};

use crate::stop_and_balance;
use crate::support::{FUSE, address, config, connect, exchange, read_to_end};

const WORKERS: usize = 4;
const PANICS: u64 = 10_000;

/// Panics if it is asked to, and echoes otherwise.
struct Touchy;

impl Handler for Touchy {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        assert!(message != b"panic", "as asked");
        reply.write_all(message)?;
        Ok(Next::Continue)
    }
}

/// Panics, and does so again when the panic is dropped.
struct Bomb;

impl Handler for Bomb {
    fn message(&mut self, _message: &[u8], _reply: &mut dyn Write) -> io::Result<Next> {
        panic::panic_any(Again)
    }
}

/// A panic whose message panics again when it is dropped.
struct Again;

impl Drop for Again {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic::panic_any(Self);
        }
    }
}

#[test]
fn a_panic_that_panics_again_takes_no_worker_away() {
    let config = config().workers(1);
    let server = Server::bind(config, |_client| Bomb).expect("it binds").start().expect("it starts");
    for _ in 0..3 {
        let mut client = connect(address(&server));
        client.write_all(b"panic").expect("it is sent");
        // It may be reset: this panic has nothing that could close it with care.
        let _ = client.read(&mut [0]);
    }
    assert_eq!(server.shutdown(FUSE).stats.panicked, 3);
}

#[test]
fn ten_thousand_panics_leave_the_pool_at_full_strength() {
    // The default hook prints each one, with a backtrace if the environment asks for it.
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() != Some("hebra-worker") {
            tell(info);
        }
    }));
    let config = config().workers(WORKERS);
    let server = Server::bind(config, |_client| Touchy).expect("it binds").start().expect("it starts");
    for _ in 0..PANICS {
        let mut client = connect(address(&server));
        client.write_all(b"panic").expect("it is sent");
        assert_eq!(read_to_end(&mut client), b"");
    }
    // As many sessions at once as there are workers.
    let mut clients: Vec<_> = (0..WORKERS).map(|_| connect(address(&server))).collect();
    for client in &mut clients {
        assert_eq!(exchange(client, b"here"), b"here");
    }
    drop(clients);
    let stats = stop_and_balance(server);
    assert_eq!((stats.panicked, stats.finished), (PANICS, PANICS + WORKERS as u64));
}
