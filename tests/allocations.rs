//! A message costs no allocation: neither in the session nor anywhere else in a running server.
//!
//! A binary of its own, with one test, because the allocator counts for the whole process.

mod support;

use std::io::{Read, Write};

use dhat::{Alloc, HeapStats, Profiler};
use hebra::{Framing, LogMessages, ServerConfig};

use support::{address, config, connect, start};

#[global_allocator]
static ALLOCATOR: Alloc = Alloc;

const MESSAGES: usize = 10_000;
const ROUNDS: usize = 5;

#[test]
fn a_message_is_echoed_without_allocating() {
    let _profiler = Profiler::builder().testing().build();
    for framing in [Framing::Message, Framing::Line, Framing::Raw] {
        let server = start(ServerConfig { framing, log_messages: LogMessages::Off, ..config() });
        let mut client = connect(address(&server));
        let message = [[b'x'; 63].as_slice(), b"\n"].concat();
        let mut echo = vec![0; message.len()];
        let mut blocks_allocated = || {
            let before = HeapStats::get().total_blocks;
            for _ in 0..MESSAGES {
                client.write_all(&message).expect("it is sent");
                client.read_exact(&mut echo).expect("it is echoed");
            }
            HeapStats::get().total_blocks - before
        };
        // While the first messages are exchanged the session's buffers grow, and the server's other threads
        // may still be starting. Any round without a single block shows that a message needs none.
        let free = (0..ROUNDS).any(|_| blocks_allocated() == 0);
        assert!(free, "{framing:?}: each of {ROUNDS} rounds allocated");
    }
}
