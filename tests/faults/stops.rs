//! Stops at unusual moments.

use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::support::{Program, connect, connect_served, read_to_end};

#[test]
fn a_stop_finds_idle_waiting_and_lingering_clients_and_ends_them_all() {
    let program = Program::serve(&["--workers", "2", "--queue-timeout", "off", "--stats-interval", "20ms"]);
    let mut served: Vec<TcpStream> = (0..2).map(|_| connect_served(program.address())).collect();
    let mut waiting: Vec<TcpStream> = (0..5).map(|_| connect(program.address())).collect();
    for client in &mut waiting {
        client.write_all(b"hello").expect("it is sent");
    }
    // Connections that are not yet accepted would be reset by the kernel.
    while !program.wait_for("totals: ").contains("accepted=7 ") {}
    // This client says bye and does not close, so its connection lingers.
    served[0].write_all(b"bye").expect("it is sent");
    let lingering = served.remove(0);
    let mut next = waiting.remove(0);
    let mut echo = [0; 5];
    next.read_exact(&mut echo).expect("its turn came");
    program.signal(Signal::SIGTERM);
    for client in served.iter_mut().chain([&mut next]) {
        assert_eq!(read_to_end(client), b"");
    }
    for client in &mut waiting {
        assert_eq!(read_to_end(client), b"busy: the server is shutting down\r\n");
    }
    assert_eq!(program.finish().0, Some(0));
    drop(lingering);
}

#[test]
fn a_stop_neither_waits_for_silent_clients_that_do_not_close_nor_cuts_them_off() {
    for timeout in ["50ms", "550ms", "10s"] {
        let program = Program::serve(&["--workers", "100", "--drain-timeout", timeout]);
        let mut clients: Vec<TcpStream> = (0..100).map(|_| connect_served(program.address())).collect();
        program.signal(Signal::SIGTERM);
        let (code, lines) = program.finish();
        assert_eq!(code, Some(0), "{timeout}: {:?}", lines.last());
        for client in &mut clients {
            assert_eq!(read_to_end(client), b"");
        }
    }
}

#[test]
fn a_stop_in_a_storm_of_arrivals_ends() {
    for _ in 0..10 {
        let program = Program::serve(&["--workers", "8", "--max-pending", "8"]);
        let address = program.address();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                // Each thread goes on until the server no longer listens.
                scope.spawn(|| {
                    while let Ok(mut client) = TcpStream::connect(address) {
                        let _ = client.write_all(b"hello\nbye\n");
                        let _ = client.read_to_end(&mut Vec::new());
                    }
                });
            }
            program.wait_for("connected");
            program.signal(Signal::SIGTERM);
            let (code, lines) = program.finish();
            assert_eq!(code, Some(0), "{lines:#?}");
        });
    }
}
