//! An echo server for one client, with one fault.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

/// The fault, with the byte of the stream at which it occurs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Drop(usize),
    Alter(usize),
    Duplicate(usize),
    /// Exchanges the byte with one of the same read that differs from it.
    Reorder(usize),
    Close(usize),
    /// Pauses once before it answers.
    Stall(usize, Duration),
    /// Reads and never answers.
    Mute,
    /// Sends one byte more after the last echo.
    Extra,
}

/// Starts the server on a thread, which ends when its client leaves.
pub(crate) fn serve(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client connects");
        let mut seen = 0;
        let mut buffer = vec![0; 64 * 1024];
        // A client that has detected the fault resets the connection, which ends this loop too.
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let mut reply = buffer[..count].to_vec();
            let here = |at: usize| at.checked_sub(seen).filter(|at| *at < count);
            match fault {
                Fault::Drop(at) => drop(here(at).map(|at| reply.remove(at))),
                Fault::Alter(at) => here(at).into_iter().for_each(|at| reply[at] ^= 1),
                Fault::Duplicate(at) => here(at).into_iter().for_each(|at| reply.insert(at, reply[at])),
                Fault::Reorder(at) => {
                    if let Some(at) = here(at) {
                        let other = (0..count).find(|other| reply[*other] != reply[at]).expect("not all are equal");
                        reply.swap(at, other);
                    }
                }
                Fault::Close(at) if here(at).is_some() => {
                    // Only the write side: what the client still sends would otherwise make this a reset.
                    let _ = stream.shutdown(Shutdown::Write);
                    let _ = std::io::copy(&mut stream, &mut std::io::sink());
                    return;
                }
                Fault::Stall(at, time) if here(at).is_some() => thread::sleep(time),
                Fault::Mute => reply.clear(),
                _ => {}
            }
            seen += count;
            if stream.write_all(&reply).is_err() {
                return;
            }
        }
        if let Fault::Extra = fault {
            // Fails if the client is gone.
            let _ = stream.write_all(b"!");
        }
    });
    address
}
