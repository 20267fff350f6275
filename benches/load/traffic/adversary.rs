//! Misbehaving clients: silent, slow, or resetting. They run beside the measured clients on a thread that wakes ten
//! times per second. Whatever happens to them is not an error.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{SockAddr, Socket, Type};

use super::load::{Adversaries, Load};
use super::proxy::Client;

const TICK: Duration = Duration::from_millis(100);

/// How often a slow reader writes in one tick, at most.
const WRITES: u32 = 1000;

/// On loopback a connect takes this long only if the server's accept queue is full.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The thread that runs the adversaries. Dropping this value ends and joins it.
#[derive(Debug)]
pub(crate) struct Crowd {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Idle,
    SlowWriter,
    SlowReader,
    Resetter,
}

#[derive(Debug)]
struct Adversary {
    kind: Kind,
    address: SockAddr,
    /// What it sends first.
    header: Vec<u8>,
    stream: Option<Socket>,
}

impl Crowd {
    /// Connects the adversaries of a load and starts their thread.
    pub(crate) fn start(load: &Load) -> io::Result<Self> {
        let address = load.address.to_socket()?;
        let Adversaries { idle, slow_writers, slow_readers, resetters } = load.adversaries;
        let kinds = [
            (Kind::Idle, idle),
            (Kind::SlowWriter, slow_writers),
            (Kind::SlowReader, slow_readers),
            (Kind::Resetter, resetters),
        ];
        let kinds = kinds.into_iter().flat_map(|(kind, count)| (0..count).map(move |_| kind));
        let adversary = |(kind, number)| {
            let header = load.header(Client::Adversary(number));
            Adversary { kind, address: address.clone(), header, stream: None }
        };
        let mut crowd: Vec<Adversary> = kinds.zip(0..).map(adversary).collect();
        crowd.iter_mut().for_each(Adversary::act);
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                crowd.iter_mut().for_each(Adversary::act);
            }
        });
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // After a panic, the panic hook has printed the message.
            let _ = thread.join();
        }
    }
}

impl Adversary {
    /// Acts once, as its kind does every tenth of a second. Connects first if it has no connection.
    fn act(&mut self) {
        let Some(mut stream) = self.stream.take().or_else(|| self.connect()) else { return };
        let mut bytes = [0; 4096];
        let alive = match self.kind {
            Kind::Idle => is_alive(stream.read(&mut bytes)),
            Kind::SlowWriter => {
                let _ = is_alive(stream.write(b"x"));
                is_alive(stream.read(&mut bytes))
            }
            Kind::SlowReader => {
                // Bounded, because a server may discard what it receives as fast as this client sends.
                let _ = (0..WRITES).take_while(|_| stream.write(&[b'x'; 4096]).is_ok()).count();
                is_alive(stream.read(&mut bytes[..1]))
            }
            Kind::Resetter => {
                let _ = stream.write(&[b'x'; 100]);
                // With a linger time of zero, closing resets the connection.
                let _ = stream.set_linger(Some(Duration::ZERO));
                false
            }
        };
        self.stream = alive.then_some(stream);
    }

    fn connect(&self) -> Option<Socket> {
        let mut stream = Socket::new(self.address.domain(), Type::STREAM, None).ok()?;
        stream.connect_timeout(&self.address, CONNECT_TIMEOUT).ok()?;
        stream.write_all(&self.header).ok()?;
        stream.set_nonblocking(true).ok()?;
        if self.kind == Kind::SlowReader {
            stream.set_recv_buffer_size(4096).ok()?;
        }
        Some(stream)
    }
}

/// Returns `true` if the stream is still usable after this result of a read or a write.
fn is_alive(result: io::Result<usize>) -> bool {
    match result {
        Ok(count) => count > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
