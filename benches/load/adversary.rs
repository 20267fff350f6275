//! Clients that are a burden: silent, slow, or rude. They run beside the measured ones on a thread that wakes
//! ten times a second, and nothing that happens to them is an error.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

use super::load::Adversaries;

const TICK: Duration = Duration::from_millis(100);

/// On loopback a connect takes so long only if the server's queue is full.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Their thread. It ends when this is dropped.
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
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Crowd {
    /// Connects them and lets them begin.
    pub(crate) fn start(address: SocketAddr, adversaries: Adversaries) -> Self {
        let Adversaries { idle, slow_writers, slow_readers, resetters } = adversaries;
        let mut crowd: Vec<Adversary> = [
            (Kind::Idle, idle),
            (Kind::SlowWriter, slow_writers),
            (Kind::SlowReader, slow_readers),
            (Kind::Resetter, resetters),
        ]
        .into_iter()
        .flat_map(|(kind, count)| (0..count).map(move |_| Adversary { kind, address, stream: None }))
        .collect();
        crowd.iter_mut().for_each(Adversary::act);
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                crowd.iter_mut().for_each(Adversary::act);
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it has panicked, the panic hook has told.
            let _ = thread.join();
        }
    }
}

impl Adversary {
    /// Does what its kind does every tenth of a second. One whose connection was lost makes another.
    fn act(&mut self) {
        let Some(mut stream) = self.stream.take().or_else(|| self.connect()) else { return };
        let mut bytes = [0; 4096];
        let lives = match self.kind {
            Kind::Idle => would_block(stream.read(&mut bytes)),
            Kind::SlowWriter => {
                let _ = would_block(stream.write(b"x"));
                would_block(stream.read(&mut bytes))
            }
            Kind::SlowReader => {
                while stream.write(&[b'x'; 4096]).is_ok() {}
                would_block(stream.read(&mut bytes[..1]))
            }
            Kind::Resetter => {
                let _ = stream.write(&[b'x'; 100]);
                // A close without lingering is a reset.
                let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                false
            }
        };
        self.stream = lives.then_some(stream);
    }

    fn connect(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, CONNECT_TIMEOUT).ok()?;
        stream.set_nonblocking(true).ok()?;
        if self.kind == Kind::SlowReader {
            SockRef::from(&stream).set_recv_buffer_size(4096).ok()?;
        }
        Some(stream)
    }
}

/// Whether the stream goes on after that.
fn would_block(result: std::io::Result<usize>) -> bool {
    match result {
        Ok(count) => count > 0,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}
