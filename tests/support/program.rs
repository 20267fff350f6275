//! The `hebra` program in a process of its own: started, typed at, signalled and waited for.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rexpect::session::{PtySession, spawn_command};

use super::FUSE;

/// A running `hebra` program, which is killed when this is dropped.
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

    /// Returns the command `hebra serve`, without the environment variables that would change its defaults.
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

    /// Returns the first address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Returns all addresses that it listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns a number from its `/proc/PID/status`, such as `VmRSS` in KiB.
    pub fn status(&self, name: &str) -> u64 {
        status(self.id(), name)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self::signal(&self.child, signal);
    }

    /// Waits for a line of its standard error that contains `text`, and returns the line.
    pub fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.errors.recv_timeout(FUSE).unwrap_or_else(|_| panic!("no line has {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Types a line at its standard input, which must be piped.
    pub fn type_line(&mut self, line: &str) {
        self.type_bytes(format!("{line}\n").as_bytes());
    }

    /// Types any bytes at its standard input, which must be piped.
    pub fn type_bytes(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().expect("it is piped and open").write_all(bytes).expect("it reads");
    }

    /// Closes its standard input.
    pub fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// Waits for the next line of its standard output, and returns it.
    pub fn next_shown(&self) -> String {
        self.output.recv_timeout(FUSE).expect("it prints a line")
    }

    /// Waits for the next line of totals, and returns its counts of bytes received and sent.
    pub fn next_totals(&self) -> (u64, u64) {
        let line = self.wait_for("totals: ");
        let field = |name| {
            let value = line.split(' ').find_map(|field: &str| field.strip_prefix(name));
            value.expect("the line has the field").parse().expect("a number")
        };
        (field("bytes_in="), field("bytes_out="))
    }

    /// Waits for its end, and returns the exit code and the rest of its standard error.
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
        // Most programs have ended by now, and cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `hebra serve` on a free loopback port, and waits until it listens. Standard error is left to the caller.
///
/// Returns the process, the rest of its standard output, and the address that it listens on.
pub fn serve_apart(flags: &[&str], stderr: impl Into<Stdio>) -> (Child, BufReader<ChildStdout>, SocketAddr) {
    spawn_apart(Program::command().args(["--listen", "127.0.0.1:0"]).args(flags), stderr)
}

/// Starts a server with `command`, and returns the same as [`serve_apart`].
pub fn spawn_apart(command: &mut Command, stderr: impl Into<Stdio>) -> (Child, BufReader<ChildStdout>, SocketAddr) {
    let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("it is built");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it listens");
    (child, stdout, listening(line.trim_end()))
}

/// Returns the command `hebra udp` with `arguments`, without the environment variables that would change its
/// defaults.
pub fn udp_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebra"));
    command.arg("udp").args(arguments).env_remove("RUST_LOG");
    command
}

/// Returns the command `hebra connect` with `arguments`, without the environment variables that would change its
/// defaults.
pub fn connect_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebra"));
    command.arg("connect").args(arguments);
    command.env_remove("HEBRA_TIMEOUT").env_remove("HEBRA_CRLF").env("TERM", "xterm");
    command
}

/// Starts `hebra connect` on a terminal, and waits until it is connected and shows its prompt.
pub fn connect_on_terminal(server: SocketAddr) -> PtySession {
    let mut terminal = terminal(connect_command(&[&server.to_string()]));
    terminal.exp_string(&format!("connected to {server}; Ctrl-D ends")).expect("a connection");
    terminal.exp_string("> ").expect("a prompt");
    terminal
}

/// Starts a chat whose operator is the test: its standard input is piped.
pub fn chat(flags: &[&str]) -> Program {
    Program::spawn(chat_command(flags).stdin(Stdio::piped()), 1)
}

/// Starts a chat whose operator is at a terminal, and waits for the prompt. Returns the terminal, and the address that
/// the chat listens on.
pub fn chat_on_terminal(flags: &[&str]) -> (PtySession, SocketAddr) {
    let mut command = chat_command(flags);
    command.env("TERM", "xterm").stdin(Stdio::inherit());
    let mut terminal = terminal(command);
    let (_, address) = terminal.exp_regex(r"127\.0\.0\.1:\d+\r").expect("it listens");
    terminal.exp_string("> ").expect("a prompt");
    (terminal, address.trim_end().parse().expect("an address"))
}

/// Returns the command of a chat on a free loopback port, whose standard input is not set.
pub fn chat_command(flags: &[&str]) -> Command {
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0", "--service", "chat"]).args(flags);
    command
}

/// Starts `command` on a terminal whose reads fail instead of hanging.
pub fn terminal(command: Command) -> PtySession {
    spawn_command(command, Some(FUSE.as_millis() as u64)).expect("a terminal")
}

/// Runs `program` to its end with `input` on its standard input, and returns its output. A program that does not end
/// is killed.
pub fn run(program: &mut Command, input: &[u8]) -> Output {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program:?}: {error}"));
    let id = pid(&child);
    let mut stdin = child.stdin.take().expect("piped");
    thread::scope(|scope| {
        let (ended, end) = mpsc::channel::<()>();
        scope.spawn(move || {
            if end.recv_timeout(FUSE) == Err(RecvTimeoutError::Timeout) {
                kill(id, Signal::SIGKILL).expect("it runs");
            }
        });
        scope.spawn(move || {
            // A client takes no more input once its server has closed. The output shows whether that was right.
            let _ = stdin.write_all(input);
        });
        let output = child.wait_with_output().expect("it was started");
        drop(ended);
        output
    })
}

/// Sends a signal to a child that has not been waited for.
pub fn signal(child: &Child, signal: Signal) {
    kill(pid(child), signal).expect("it is not waited for yet");
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().expect("a process id"))
}

/// Returns a number from `/proc/ID/status`, such as `VmRSS` in KiB.
pub fn status(id: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("Linux has the field");
    value.split_whitespace().next().and_then(|value| value.parse().ok()).expect("a number")
}

/// Returns the address in a `listening on` line.
fn listening(line: &str) -> SocketAddr {
    line.strip_prefix("listening on ").expect("that is what it prints").parse().expect("an address")
}

/// Reads a pipe on a thread of its own, so that its writer never blocks, and returns the lines.
pub fn lines(pipe: impl Read + Send + 'static) -> (Receiver<String>, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    (receiver, reader)
}
