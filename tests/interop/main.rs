//! The tests with real clients, as people use them: telnet on a terminal, ncat, socat, Python, make, and
//! strace as a witness of what the server asks of the kernel. Run by `make test-interop`.

#[path = "../support/mod.rs"]
mod support;

mod chat;
mod connect;
mod greet;
mod make;
mod ncat;
mod python;
mod socat;
mod strace;
mod telnet;
mod udp;

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};

use support::run;

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
    let Output { status, stdout, stderr } = run(client, input);
    assert!(status.success(), "{client:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    stdout
}
