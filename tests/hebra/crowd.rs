//! Many clients at once get every byte back.

use std::thread;

use hebra::Framing;

use crate::support::{FUSE, Random, address, config, connect, exchange, random_bytes, start};

/// Descriptors for both ends of each connection, and some for everything else.
const DESCRIPTORS: u64 = 2 * 1000 + 200;

#[test]
fn a_thousand_clients_at_once_get_every_byte_back() {
    const CLIENTS: usize = 1000;
    const MESSAGES: usize = 100;
    const LONGEST: usize = 64 * 1024;
    let limit = rlimit::increase_nofile_limit(DESCRIPTORS).expect("the soft limit can be raised");
    assert!(limit >= DESCRIPTORS, "this needs {DESCRIPTORS} descriptors, and the hard limit is {limit}");

    let server = start(config().workers(CLIENTS).framing(Framing::Raw));
    let address = address(&server);
    let bytes = &random_bytes(1024 * 1024);
    let all_connected = &std::sync::Barrier::new(CLIENTS);
    let total: u64 = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|seed| {
                let client = move || {
                    let mut random = Random::new(seed as u64);
                    let mut stream = connect(address);
                    all_connected.wait();
                    let mut total = 0;
                    for _ in 0..MESSAGES {
                        // Every order of magnitude from 1 B to 64 KiB is equally likely.
                        let length = (random.below(LONGEST) >> random.below(17)) + 1;
                        let start = random.below(bytes.len() - length);
                        let message = &bytes[start..start + length];
                        assert!(exchange(&mut stream, message) == *message, "a byte differs");
                        total += length as u64;
                    }
                    total
                };
                thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, client).expect("a thread")
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("no difference")).sum()
    });
    let stats = server.shutdown(FUSE).stats;
    assert_eq!((stats.accepted, stats.refused), (CLIENTS as u64, 0));
    assert_eq!((stats.bytes_in, stats.bytes_out), (total, total));
}
