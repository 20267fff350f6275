//! Servers come and go in one process and leave nothing behind.
//!
//! A binary of its own, with one test, because threads and descriptors are counted for the whole process.

mod support;

use std::fs;
use std::io::Write;
use std::time::Instant;

use hebra::{UdpConfig, UdpServer};

use support::{FUSE, address, config, connect, connect_served, read_to_end, start};

/// What is in a folder of `/proc/self`.
fn count(folder: &str) -> usize {
    fs::read_dir(format!("/proc/self/{folder}")).expect("Linux tells it").count()
}

#[test]
fn two_hundred_servers_leave_no_thread_and_no_descriptor() {
    let server = || start(config().workers(8).max_pending(1));
    let (threads, descriptors) = (count("task"), count("fd"));
    for round in 0..200 {
        let datagrams = UdpConfig::default().listen(["127.0.0.1:0"]);
        let datagrams = UdpServer::bind(datagrams).expect("it binds").start().expect("it starts");
        let server = server();
        let address = address(&server);
        let mut leaver = connect_served(address);
        leaver.write_all(b"bye").expect("it is sent");
        assert_eq!(read_to_end(&mut leaver), b"");
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
    // A worker ends on its own once the pool is gone; nothing but its absence tells that it has.
    let asked = Instant::now();
    while count("task") > threads && asked.elapsed() < FUSE {
        std::thread::yield_now();
    }
    assert_eq!((count("task"), count("fd")), (threads, descriptors));
}
