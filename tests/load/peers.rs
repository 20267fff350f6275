//! The servers that hebra is compared with echo correctly.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::Instant;

use crate::harness::comparison::build::{hebra, results};
use crate::harness::comparison::peers::{bare, pool, tokio};
use crate::harness::server::process::Process;
use crate::harness::traffic::load::Load;
use crate::support::FUSE;
use crate::{load, run};

#[track_caller]
fn assert_echoes(address: SocketAddr) {
    let outcome = run(&Load { connections: 20, depth: 4, ..load(address) });
    assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
    assert!(outcome.tally.total_answers > 0);
}

/// Serves on a thread until the test process ends.
fn serve(peer: impl FnOnce(TcpListener) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || peer(listener));
    address
}

#[test]
fn the_bare_loop_echoes() {
    assert_echoes(serve(|listener| bare::serve(&listener).expect("accepting works")));
}

#[test]
fn the_pool_echoes() {
    assert_echoes(serve(|listener| pool::serve(&listener, 20).expect("accepting works")));
}

#[test]
fn the_tokio_echo_echoes() {
    assert_echoes(serve(|listener| tokio::serve(listener).expect("a runtime")));
}

#[test]
fn a_started_server_is_killed_when_it_is_dropped() {
    let log = results().expect("a directory").join("test.log");
    let server = hebra(20, &[], &log).expect("hebra starts");
    let (address, id) = (server.address, server.id());
    assert_echoes(address);
    let outcome = crate::harness::traffic::run::run(&load(address), Some(id), &mut |_| ())
        .expect("the client gets its descriptors");
    let side = outcome.server.expect("the process id is known");
    assert!(side.threads >= 20 && side.descriptors > 3 && side.resident > 1024 * 1024, "{side:?}");
    drop(server);
    assert!(std::net::TcpStream::connect(address).is_err());
}

/// As two programs do that run at once.
#[test]
fn two_servers_with_one_log_have_their_own_addresses() {
    let log = results().expect("a directory").join("test-one-log.log");
    let folder = log.with_extension("d");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("it can be written");
    let start = |script: &str| {
        let mut command = Command::new("sh");
        Process::announced(command.args(["-c", script]).env("FOLDER", &folder), &log).expect("it announces")
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            start(
                "touch $FOLDER/runs; until [ -e $FOLDER/go ]; do sleep 0.01; done; echo listening on 127.0.0.1:1; \
                 exec sleep 60",
            )
        });
        let fuse = Instant::now() + FUSE;
        while !folder.join("runs").exists() {
            assert!(Instant::now() < fuse, "the first server does not start");
            thread::yield_now();
        }
        let second = start("echo listening on 127.0.0.1:2; exec sleep 60");
        fs::write(folder.join("go"), "").expect("it can be written");
        assert_eq!(first.join().expect("no panic").address.port(), 1);
        assert_eq!(second.address.port(), 2);
    });
}

#[test]
fn a_server_that_does_not_start_is_an_error() {
    let log = results().expect("a directory").join("test-no-server.log");
    let error = Process::announced(Command::new("false").arg("x"), &log).expect_err("`false` does not listen");
    assert!(error.to_string().contains("does not listen"), "{error}");
}
