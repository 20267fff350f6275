//! Handlers that panic.

use std::io::{self, Read, Write};
use std::{panic, thread};

use hebra::Next;

use crate::stop_and_balance;
use crate::support::{FUSE, address, config, connect, exchange, read_to_end, serve};

const WORKERS: usize = 4;
const PANICS: u64 = 10_000;

/// Panics if the message is `panic`, and echoes any other.
fn touchy(message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
    assert!(message != b"panic", "the client has sent `panic`");
    reply.write_all(message)?;
    Ok(Next::Continue)
}

/// The payload of a panic, which panics again when it is dropped.
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
    let server = serve(config().workers(1), |_message, _reply| panic::panic_any(Again));
    for _ in 0..3 {
        let mut client = connect(address(&server));
        client.write_all(b"panic").expect("it is sent");
        // The connection may be reset, because nothing closes it with care after such a panic.
        let _ = client.read(&mut [0]);
    }
    assert_eq!(server.shutdown(FUSE).stats.panicked, 3);
}

#[test]
fn ten_thousand_panics_cost_the_pool_no_worker() {
    // The default hook would print each panic, with a backtrace if the environment asks for one.
    let default_hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name() != Some("hebra-worker") {
            default_hook(info);
        }
    }));
    let server = serve(config().workers(WORKERS), touchy);
    for _ in 0..PANICS {
        let mut client = connect(address(&server));
        client.write_all(b"panic").expect("it is sent");
        assert_eq!(read_to_end(&mut client), b"");
    }
    // There are still as many sessions at once as workers.
    let mut clients: Vec<_> = (0..WORKERS).map(|_| connect(address(&server))).collect();
    for client in &mut clients {
        assert_eq!(exchange(client, b"here"), b"here");
    }
    drop(clients);
    let stats = stop_and_balance(server);
    assert_eq!((stats.panicked, stats.finished), (PANICS, PANICS + WORKERS as u64));
}
