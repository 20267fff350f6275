//! A message or a datagram causes no allocation in a running server, and a session gives back large buffers when its client becomes
//! silent.
//!
//! This is a binary of its own whose tests run one at a time, because the allocator counts for the whole process.

mod support;

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dhat::{Alloc, HeapStats, Profiler};
use hebra::{Datagram, Framing, LogMessages, UdpConfig, UdpServer};

use support::{FUSE, address, config, connect, exchange, start};

#[global_allocator]
static ALLOCATOR: Alloc = Alloc;

/// Locked by the test that is running.
static TURN: Mutex<()> = Mutex::new(());

const MESSAGES: usize = 10_000;
const ROUNDS: usize = 5;

#[test]
fn a_message_is_echoed_without_allocating() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _profiler = Profiler::builder().testing().build();
    for framing in [Framing::Message, Framing::Line, Framing::Raw] {
        let server = start(config().framing(framing).log_messages(LogMessages::Off));
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
        // During the first messages the buffers of the session grow, and other threads of the server may still be
        // starting. One round without an allocation shows that a message needs none.
        let free = (0..ROUNDS).any(|_| blocks_allocated() == 0);
        assert!(free, "{framing:?}: each of {ROUNDS} rounds allocated");
    }
}

#[test]
fn a_datagram_is_answered_without_allocating() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _profiler = Profiler::builder().testing().build();
    let bind = || {
        let config = UdpConfig::default().listen(["127.0.0.1:0"]).echo(true).rate(None);
        UdpServer::bind(config).expect("it binds")
    };
    let service = |datagram: &Datagram<'_>, answer: &mut Vec<u8>| {
        answer.extend(datagram.payload);
        true
    };
    for server in [bind(), bind().answer_with(service)] {
        let server = server.start().expect("it starts");
        let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        client.connect(server.local_addrs()[0]).expect("a server");
        client.set_read_timeout(Some(FUSE)).expect("a valid timeout");
        let (message, mut answer) = ([b'x'; 64], [0; 64]);
        let mut blocks_allocated = || {
            let before = HeapStats::get().total_blocks;
            for _ in 0..MESSAGES {
                client.send(&message).expect("it is sent");
                client.recv(&mut answer).expect("it is answered");
            }
            HeapStats::get().total_blocks - before
        };
        // As for messages.
        let free = (0..ROUNDS).any(|_| blocks_allocated() == 0);
        assert!(free, "{server:?}: each of {ROUNDS} rounds allocated");
    }
}

#[test]
fn the_memory_for_a_flood_is_released_when_its_client_falls_silent() {
    const FLOOD: usize = 4 << 20;
    const LINE: usize = 50_000;
    /// How much the server and this test may hold beyond what they held before the flood.
    const LITTLE: usize = 32 * 1024;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let _profiler = Profiler::builder().testing().build();
    let held = || HeapStats::get().curr_bytes;
    for framing in [Framing::Message, Framing::Line, Framing::Raw] {
        let server = start(config().framing(framing).log_messages(LogMessages::Off));
        let mut client = connect(address(&server));
        assert_eq!(exchange(&mut client, b"little\n"), b"little\n");
        let line = [&[b'x'; LINE - 1][..], b"\n"].concat();
        let before = held();
        let most = thread::scope(|scope| {
            scope.spawn(|| (0..FLOOD / LINE).for_each(|_| (&client).write_all(&line).expect("it is sent")));
            let mut echo = vec![0; LINE];
            let echoes = (0..FLOOD / LINE).map(|_| {
                (&client).read_exact(&mut echo).expect("it is echoed");
                held()
            });
            echoes.max().expect("there are some")
        });
        assert!(most > before + 3 * LITTLE, "{framing:?}: the flood took no memory: {before} to {most}");
        let silent_since = Instant::now();
        while held() > before + LITTLE && silent_since.elapsed() < FUSE {
            thread::park_timeout(Duration::from_millis(10));
        }
        let left = held().saturating_sub(before);
        assert!(left <= LITTLE, "{framing:?}: {left} bytes are not released");
        assert_eq!(exchange(&mut client, b"more\n"), b"more\n");
    }
}
