//! Helpers that several test binaries share: servers in this process, and clients that fail instead of hanging.
//! [`program`] has those for the `hebra` program in a process of its own, and [`udp`] those for datagrams.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test binary uses its own part of this")]

pub mod program;
pub mod udp;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use hebra::{
    CloseReason, Echo, Event, Handler, LogMessages, Network, Next, RunningServer, Server, ServerConfig,
    Subscription,
};
use socket2::{Domain, Socket, Type};

pub use program::{
    Program, chat, chat_command, chat_on_terminal, connect_command, connect_on_terminal, lines, run, serve_apart,
    signal, spawn_apart, status, terminal, udp_command,
};

/// How long a test waits for an event before it fails. It is a fuse: no test depends on its length.
pub const FUSE: Duration = Duration::from_secs(60);

/// Returns the configuration of a server on a free loopback port, which reports messages as the program does.
pub fn config() -> ServerConfig {
    let log_messages = LogMessages::PerSecond(1000);
    ServerConfig::default().listen(["127.0.0.1:0"]).workers(4).log_messages(log_messages)
}

/// Starts an echo server in this process.
pub fn start(config: ServerConfig) -> RunningServer {
    Server::bind(config, |_client| Echo).expect("it binds").start().expect("it starts")
}

/// A handler that is a function of each message.
pub struct Answer(pub fn(&[u8], &mut dyn Write) -> io::Result<Next>);

impl Handler for Answer {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        self.0(message, reply)
    }
}

/// Starts a server in this process whose handlers call `answer` for each message.
pub fn serve(config: ServerConfig, answer: fn(&[u8], &mut dyn Write) -> io::Result<Next>) -> RunningServer {
    Server::bind(config, move |_session| Answer(answer)).expect("it binds").start().expect("it starts")
}

/// Returns the first address that a server in this process listens on.
pub fn address(server: &RunningServer) -> SocketAddr {
    server.local_addrs()[0]
}

/// Returns a listener for a server that the test plays itself, and its address.
pub fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
    let address = listener.local_addr().expect("a socket");
    (listener, address)
}

/// Returns a TCP port of `host` that was free a moment ago. It stays free if no other test binds ports of `host`.
pub fn free_address(host: &str) -> SocketAddr {
    TcpListener::bind((host, 0)).and_then(|listener| listener.local_addr()).expect("a free port")
}

/// Waits for the next session that ends, and returns the reason.
pub fn next_reason(events: &Subscription) -> CloseReason {
    loop {
        if let Event::Disconnected { reason, .. } = events.next_timeout(FUSE).expect("a session ends") {
            return reason;
        }
    }
}

/// Connects a client whose reads and writes fail instead of hanging.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, FUSE).expect("it connects");
    stream.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    stream.set_write_timeout(Some(FUSE)).expect("a valid timeout");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// Does the same as [`connect`], from an address of this machine, such as any of 127.0.0.0/8.
pub fn connect_from(source: impl Into<IpAddr>, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a descriptor is free");
    socket.bind(&SocketAddr::new(source.into(), 0).into()).expect("an address of this machine");
    socket.connect_timeout(&address.into(), FUSE).expect("it connects");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    stream.set_write_timeout(Some(FUSE)).expect("a valid timeout");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// Returns networks as they are written.
pub fn networks<const N: usize>(texts: [&str; N]) -> Vec<Network> {
    texts.map(|text| text.parse().expect("a network")).to_vec()
}

/// Connects a client and exchanges a message, so that its session is on a worker.
pub fn connect_served(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    assert_eq!(exchange(&mut stream, b"ready?\n"), b"ready?\n");
    stream
}

/// Sends `message` and reads as many bytes back.
pub fn exchange(stream: &mut TcpStream, message: &[u8]) -> Vec<u8> {
    stream.write_all(message).expect("it is sent");
    let mut echo = vec![0; message.len()];
    stream.read_exact(&mut echo).expect("it is echoed");
    echo
}

/// Reads up to a clean end of stream. A reset fails.
pub fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("a clean end of stream");
    rest
}

/// Sends `bye`, and asserts that a clean end of stream is all that follows.
pub fn say_bye(stream: &mut TcpStream) {
    stream.write_all(b"bye").expect("it is sent");
    assert_eq!(read_to_end(stream), b"");
}

/// Sends all of `input`, closes the sending side, and returns everything that was received.
pub fn send_and_finish(stream: &TcpStream, input: &[u8]) -> Vec<u8> {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut sender = stream;
            // A server that ends the session first takes no more input. The output shows whether that was right.
            let _ = sender.write_all(input);
            let _ = sender.shutdown(Shutdown::Write);
        });
        let mut reader = stream;
        let mut output = Vec::new();
        reader.read_to_end(&mut output).expect("a clean end of stream");
        output
    })
}

/// Connects a client that sends until the connection takes no more, and never reads.
///
/// Returns once its session is stuck in a write. `totals` returns how many bytes the server has received and sent;
/// they differ while a reply is unsent.
pub fn clog(address: SocketAddr, mut totals: impl FnMut() -> (u64, u64)) -> TcpStream {
    // The kernel probes a closed window, which may let a little more through. It does so more often than this.
    const STILL: Duration = Duration::from_secs(1);
    let client = connect_served(address);
    client.set_write_timeout(None).expect("no timeout is valid");
    let sender = client.try_clone().expect("a descriptor is free");
    thread::spawn(move || while (&sender).write_all(&[b'x'; 64 * 1024]).is_ok() {});
    let (mut last, mut since) = ((0, 0), Instant::now());
    while last.0 <= last.1 || since.elapsed() < STILL {
        let now = totals();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    client
}

/// Does the same as [`clog`], to a server in this process.
pub fn clog_server(server: &RunningServer) -> TcpStream {
    let pace = crossbeam_channel::tick(Duration::from_millis(10));
    clog(address(server), || {
        pace.recv_timeout(FUSE).expect("it ticks");
        let stats = server.stats();
        (stats.bytes_in, stats.bytes_out)
    })
}

/// A generator of numbers that look random and are the same in every run (splitmix64).
pub struct Random(u64);

impl Random {
    /// Starts the sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Returns bytes that look random and are the same in every run.
pub fn random_bytes(length: usize) -> Vec<u8> {
    let mut random = Random::new(length as u64);
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}

/// Asserts that `output` equals `input`. A failure prints the first difference and not megabytes.
pub fn assert_same(output: &[u8], input: &[u8]) {
    assert_eq!(output.len(), input.len());
    assert!(output == input, "the bytes differ from {:?} on", output.iter().zip(input).position(|(a, b)| a != b));
}
