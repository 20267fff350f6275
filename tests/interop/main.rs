//! Tests with real programs, used as people use them: telnet on a terminal, ncat, socat, Python and make. strace
//! counts the system calls of the server, and network namespaces have bad links. `make test-interop` runs these tests.

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "only the load under which servers are restarted")]
#[path = "../../benches/load/bench.rs"]
mod harness;

mod admin;
mod cases;
mod chat;
mod connect;
mod deploy;
mod greet;
mod haproxy;
mod install;
mod make;
mod namespace;
mod ncat;
mod network;
mod python;
mod report;
mod rolling;
mod service_manager;
mod socat;
mod strace;
mod telnet;
mod udp;
mod vanishing;
mod whoami;

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};

use support::run;

/// Returns the path of the program `name`. Panics if it is not installed, because a skipped test shows nothing.
fn tool(name: &str) -> PathBuf {
    let package = if name == "telnet" { "inetutils-telnet" } else { name };
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{name} is missing: apt-get install {package}"))
}

/// Returns the command `name HOST PORT`, which is how ncat is called.
fn client(name: &str, address: SocketAddr) -> Command {
    let mut command = Command::new(tool(name));
    command.args([address.ip().to_string(), address.port().to_string()]);
    command
}

/// Runs a client to its end with `input` on its standard input, and returns its standard output. Panics if the client
/// fails or does not end.
fn pipe(client: &mut Command, input: &[u8]) -> Vec<u8> {
    let Output { status, stdout, stderr } = run(client, input);
    assert!(status.success(), "{client:?}: {status}: {}", String::from_utf8_lossy(&stderr));
    stdout
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("hebra-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a temporary directory");
        Self(path)
    }

    fn join(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a failed test can be looked at.
        let _ = fs::remove_dir_all(&self.0);
    }
}
