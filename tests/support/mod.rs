//! Helpers that more than one test binary uses: servers in this process, servers in one of their own, and
//! clients that give up instead of hanging.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hebra::{Echo, LogMessages, RunningServer, Server, ServerConfig};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rexpect::session::{PtySession, spawn_command};

/// How long a test waits for what must happen before it fails. Never what decides.
pub const FUSE: Duration = Duration::from_secs(60);

/// The configuration of a server on a free loopback port. Messages are reported, as the program does.
pub fn config() -> ServerConfig {
    let log_messages = LogMessages::PerSecond(1000);
    ServerConfig::default().listen(["127.0.0.1:0"]).workers(4).log_messages(log_messages)
}

/// An echo server in this process.
pub fn start(config: ServerConfig) -> RunningServer {
    Server::bind(config, |_client| Echo).expect("it binds").start().expect("it starts")
}

/// Where a server in this process listens.
pub fn address(server: &RunningServer) -> SocketAddr {
    server.local_addrs()[0]
}

/// A client that fails rather than hangs.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, FUSE).expect("it connects");
    stream.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    stream.set_write_timeout(Some(FUSE)).expect("a valid timeout");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// A client whose session is on a worker: it has been echoed.
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

/// All that still comes, up to a clean end of stream: a reset fails.
pub fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("a clean end of stream");
    rest
}

/// Sends all of `input`, closes the sending side, and returns all that comes back.
pub fn send_and_finish(stream: &TcpStream, input: &[u8]) -> Vec<u8> {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut sender = stream;
            // A server that ends the session first takes no more; what came back tells.
            let _ = sender.write_all(input);
            let _ = sender.shutdown(Shutdown::Write);
        });
        let mut reader = stream;
        let mut output = Vec::new();
        reader.read_to_end(&mut output).expect("a clean end of stream");
        output
    })
}

/// A client that sends for as long as the connection takes it, and never reads.
///
/// Returns once the session is stuck in a write: `totals` samples the bytes it has received and sent, which
/// differ for as long as a reply is not out.
pub fn clog(address: SocketAddr, mut totals: impl FnMut() -> (u64, u64)) -> TcpStream {
    // Longer than the kernel takes to probe a closed window, which may let a little more through.
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

/// Numbers that look random and are the same in every run (splitmix64).
pub struct Random(u64);

impl Random {
    /// A sequence for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Bytes that look random and are the same in every run.
pub fn random_bytes(length: usize) -> Vec<u8> {
    let mut random = Random::new(length as u64);
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}

/// Asserts that `output` is `input`, without printing megabytes if it is not.
pub fn assert_same(output: &[u8], input: &[u8]) {
    assert_eq!(output.len(), input.len());
    assert!(output == input, "the bytes differ from {:?} on", output.iter().zip(input).position(|(a, b)| a != b));
}

/// Runs a program in a pipe, with `input` and then an end of file. One that does not end is killed.
pub fn run(program: &mut Command, input: &[u8]) -> Output {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let id = Pid::from_raw(child.id().try_into().expect("a process id"));
    let mut stdin = child.stdin.take().expect("piped");
    thread::scope(|scope| {
        let (ended, end) = mpsc::channel::<()>();
        scope.spawn(move || {
            if end.recv_timeout(FUSE) == Err(RecvTimeoutError::Timeout) {
                kill(id, Signal::SIGKILL).expect("it runs");
            }
        });
        scope.spawn(move || {
            // A client that was told goodbye takes no more; what it printed tells.
            let _ = stdin.write_all(input);
        });
        let output = child.wait_with_output().expect("it was started");
        drop(ended);
        output
    })
}

/// `hebra connect` with further arguments, and nothing of the environment that would change its defaults.
pub fn connect_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebra"));
    command.arg("connect").args(arguments).env_remove("HEBRA_TIMEOUT").env("TERM", "xterm");
    command
}

/// `hebra connect` on a terminal, connected and at its prompt.
pub fn connect_on_terminal(server: SocketAddr) -> PtySession {
    let command = connect_command(&[&server.to_string()]);
    let mut terminal = spawn_command(command, Some(FUSE.as_millis() as u64)).expect("a terminal");
    terminal.exp_string(&format!("connected to {server}; Ctrl-D ends")).expect("a connection");
    terminal.exp_string("> ").expect("a prompt");
    terminal
}

/// `hebra serve` on a free loopback port, whose standard error is the caller's to read or not. Returns its
/// standard output too, of which the first line was read, and where it listens.
pub fn serve_apart(flags: &[&str], stderr: impl Into<Stdio>) -> (Child, BufReader<ChildStdout>, SocketAddr) {
    spawn_apart(Program::command().args(["--listen", "127.0.0.1:0"]).args(flags), stderr)
}

/// A server that `command` starts, like [`serve_apart`].
pub fn spawn_apart(command: &mut Command, stderr: impl Into<Stdio>) -> (Child, BufReader<ChildStdout>, SocketAddr) {
    let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("it is built");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it listens");
    (child, stdout, listening(line.trim_end()))
}

/// A number that Linux tells of a process, such as `VmRSS` in KiB.
pub fn status(id: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("Linux tells it");
    value.split_whitespace().next().and_then(|value| value.parse().ok()).expect("a number")
}

/// Sends a process that was started here a signal.
pub fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().expect("a process id")), signal).expect("it runs");
}

/// The address in the line that tells of a socket.
fn listening(line: &str) -> SocketAddr {
    line.strip_prefix("listening on ").expect("that is what it prints").parse().expect("an address")
}

/// The lines of a pipe, which is read whether anybody is interested or not.
pub fn lines(pipe: impl Read + Send + 'static) -> (Receiver<String>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    (receiver, reader)
}

/// The `hebra` program in a process of its own, killed when dropped.
pub struct Program {
    child: Child,
    addresses: Vec<SocketAddr>,
    output: Receiver<String>,
    errors: Receiver<String>,
    readers: Vec<JoinHandle<()>>,
}

impl Program {
    /// Starts `hebra serve` on a free loopback port with further flags, and waits until it listens.
    pub fn serve(flags: &[&str]) -> Self {
        Self::spawn(Self::command().args(["--listen", "127.0.0.1:0"]).args(flags), 1)
    }

    /// `hebra serve`, with nothing of the environment that would change its defaults.
    pub fn command() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hebra"));
        command.arg("serve").env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    /// Starts `command` and waits until it listens on `sockets` addresses.
    pub fn spawn(command: &mut Command, sockets: usize) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is built");
        let (errors, stderr) = lines(child.stderr.take().expect("piped"));
        let (output, stdout) = lines(child.stdout.take().expect("piped"));
        let addresses: Vec<SocketAddr> = std::iter::from_fn(|| output.recv_timeout(FUSE).ok())
            .take(sockets)
            .map(|line: String| listening(&line))
            .collect();
        let program = Self { child, addresses, output, errors, readers: vec![stdout, stderr] };
        assert_eq!(program.addresses.len(), sockets, "{:?}", program.errors.try_iter().collect::<Vec<_>>());
        program
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Everywhere it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A number that Linux tells of it, such as `VmRSS` in KiB.
    pub fn status(&self, name: &str) -> u64 {
        status(self.id(), name)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self::signal(&self.child, signal);
    }

    /// Waits for a line of its standard error that contains `text`.
    pub fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.errors.recv_timeout(FUSE).unwrap_or_else(|_| panic!("no line has {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Types a line at its standard input, which is to be piped.
    pub fn type_line(&mut self, line: &str) {
        self.type_bytes(format!("{line}\n").as_bytes());
    }

    /// Types anything at its standard input, which is to be piped.
    pub fn type_bytes(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().expect("it is piped and open").write_all(bytes).expect("it reads");
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// The next line of its standard output.
    pub fn next_shown(&self) -> String {
        self.output.recv_timeout(FUSE).expect("it shows something")
    }

    /// The bytes received and sent that the next line of totals tells.
    pub fn next_totals(&self) -> (u64, u64) {
        let line = self.wait_for("totals: ");
        let field = |name| {
            let value = line.split(' ').find_map(|field: &str| field.strip_prefix(name));
            value.expect("it is told").parse().expect("a number")
        };
        (field("bytes_in="), field("bytes_out="))
    }

    /// Waits for its end: the exit code and the rest of its standard error.
    pub fn finish(mut self) -> (Option<i32>, Vec<String>) {
        let status = self.child.wait().expect("it was started");
        for reader in std::mem::take(&mut self.readers) {
            reader.join().expect("it only reads");
        }
        (status.code(), self.errors.try_iter().collect())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has most often ended; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
