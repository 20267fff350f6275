//! An echo server of datagrams with faults at chosen datagrams.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What happens to an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Drop,
    Double,
    /// It follows the next answer to the same client.
    Swap,
    /// This byte is altered.
    Alter(usize),
    /// Its last bytes are missing, so many.
    Cut(usize),
    /// It comes after this time, and the others do not wait.
    Delay(Duration),
    /// Another client gets it too.
    Misdirect,
}

/// Starts the server on a thread. The `n`th datagram that it receives has the faults of the number `n`. Sets the flag that is
/// returned after `last` datagrams, and when the delayed answers are sent.
pub(crate) fn serve(faults: &[(usize, Fault)], last: usize) -> (SocketAddr, Arc<AtomicBool>) {
    let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"));
    let address = socket.local_addr().expect("it is bound");
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&stop);
    let faults: HashMap<usize, Fault> = faults.iter().copied().collect();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        let mut held: HashMap<SocketAddr, Vec<u8>> = HashMap::new();
        let mut delayed = Vec::new();
        let mut clients = HashSet::new();
        for number in 1.. {
            let (length, client) = socket.recv_from(&mut buffer).expect("a datagram");
            clients.insert(client);
            let answer = &mut buffer[..length];
            let send = |answer: &[u8]| {
                socket.send_to(answer, client).expect("loopback takes it");
            };
            match faults.get(&number) {
                Some(Fault::Drop) => {}
                Some(Fault::Swap) => drop(held.insert(client, answer.to_vec())),
                Some(Fault::Delay(time)) => {
                    let (socket, answer, time) = (Arc::clone(&socket), answer.to_vec(), *time);
                    delayed.push(thread::spawn(move || {
                        thread::sleep(time);
                        socket.send_to(&answer, client).expect("loopback takes it");
                    }));
                }
                Some(Fault::Double) => {
                    send(answer);
                    send(answer);
                }
                Some(Fault::Alter(at)) => {
                    answer[*at] ^= 1;
                    send(answer);
                }
                Some(Fault::Cut(count)) => send(&answer[..length - count]),
                Some(Fault::Misdirect) => {
                    send(answer);
                    let other = clients.iter().find(|other| **other != client).expect("there are two clients");
                    socket.send_to(answer, *other).expect("loopback takes it");
                }
                None => {
                    send(answer);
                    held.remove(&client).iter().for_each(|held| send(held));
                }
            }
            if number >= last && delayed.iter().all(thread::JoinHandle::is_finished) {
                done.store(true, Ordering::Relaxed);
            }
        }
    });
    (address, stop)
}
