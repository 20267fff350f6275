//! The tests with real clients, as people use them: telnet on a terminal, ncat, socat, Python, make, and
//! strace as a witness of what the server asks of the kernel. Run by `make test-interop`.

#[path = "../support/mod.rs"]
mod support;

mod make;
mod ncat;
mod python;
mod socat;
mod strace;
mod telnet;

use std::env;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use support::FUSE;

/// The program `name`, which must be installed: a client that was not tried has not been tested.
fn tool(name: &str) -> PathBuf {
    let package = if name == "telnet" { "inetutils-telnet" } else { name };
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: apt-get install {package}"))
}

/// A client called as `name HOST PORT`, which ncat and telnet are.
fn client(name: &str, address: SocketAddr) -> Command {
    let mut command = Command::new(tool(name));
    command.args([address.ip().to_string(), address.port().to_string()]);
    command
}

/// Runs a client in a pipe, with `input` and then an end of file, and returns what it printed. One that
/// fails or does not end fails the test.
fn pipe(client: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = client
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{client:?}: {error}"));
    let id = Pid::from_raw(child.id().try_into().expect("a process id"));
    let mut stdin = child.stdin.take().expect("piped");
    let Output { status, stdout, stderr } = thread::scope(|scope| {
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
    });
    assert!(status.success(), "{client:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    stdout
}

/// Asserts that `output` is `input`, without printing megabytes if it is not.
fn assert_same(output: &[u8], input: &[u8]) {
    assert_eq!(output.len(), input.len());
    assert!(output == input, "the bytes differ from {:?} on", output.iter().zip(input).position(|(a, b)| a != b));
}
