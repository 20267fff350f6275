//! Servers that start and stop in one process leave no thread and no descriptor.
//!
//! This is a binary of its own with one test, because threads and descriptors are counted for the whole process.

mod support;

use std::fs;
use std::time::Instant;

use hebra::{DatagramFaults, UdpConfig, UdpServer};

use support::{FUSE, address, config, connect, connect_served, say_bye, start};

/// Counts the entries of a folder of `/proc/self`.
fn count(folder: &str) -> usize {
    fs::read_dir(format!("/proc/self/{folder}")).expect("Linux has the folder").count()
}

#[test]
fn two_hundred_servers_leave_no_thread_and_no_descriptor() {
    let server = || start(config().workers(8).max_pending(1));
    let (threads, descriptors) = (count("task"), count("fd"));
    for round in 0..200 {
        let datagrams = UdpConfig::default().listen(["127.0.0.1:0"]);
        let faults = DatagramFaults::default().reorder(0.5);
        let datagrams = UdpServer::bind(datagrams).expect("it binds").with_faults(faults);
        let datagrams = datagrams.start().expect("it starts");
        let server = server();
        let address = address(&server);
        let mut leaver = connect_served(address);
        say_bye(&mut leaver);
        let idle = connect_served(address);
        let fresh = connect(address);
        drop((leaver, datagrams));
        match round % 3 {
            0 => drop(server),
            1 => drop((idle, fresh, server)),
            _ => {
                drop((idle, fresh));
                assert_eq!(server.shutdown(FUSE).cut_off, 0);
            }
        }
    }
    // The workers end by themselves once the pool is dropped, and nothing waits for them.
    let dropped = Instant::now();
    while count("task") > threads && dropped.elapsed() < FUSE {
        std::thread::yield_now();
    }
    assert_eq!((count("task"), count("fd")), (threads, descriptors));
}
