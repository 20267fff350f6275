//! Whom hebra is compared with, and how each is started. Who is missing is named and left out.

pub(crate) mod bare;
pub(crate) mod tokio;

use std::env;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use socket2::{Domain, Socket, Type};

use super::process::{self, Process};

/// Who the others are divided by.
pub(crate) const REFERENCE: &str = "bare";

/// The most connections of a comparison.
pub(crate) const MOST: usize = 2000;

/// The first argument that makes this program one of its own peers.
const SERVE: [&str; 2] = ["serve-bare", "serve-tokio"];

/// A server in a comparison.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// More connections are not for it: each costs it a process, or minutes.
    pub(crate) limit: usize,
    pub(crate) server: Process,
}

/// Starts everyone; also who is missing, and why.
pub(crate) fn start_all(directory: &Path) -> io::Result<(Vec<Peer>, Vec<String>)> {
    let log = |name: &str| directory.join(format!("{}.log", name.replace(' ', "-")));
    let hebra = |flags: &[&str], name| process::hebra(MOST + 100, flags, &log(name));
    let ours =
        |argument: &str, name| Process::announced(Command::new(env::current_exe()?).arg(argument), &log(name));
    let python = |manner: &str, name| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/peers/client_thread.py");
        Process::announced(Command::new("python3").arg(script).arg(manner), &log(name))
    };
    let mut peers = vec![
        Peer { name: REFERENCE, limit: MOST, server: ours(SERVE[0], REFERENCE)? },
        Peer { name: "hebra", limit: MOST, server: hebra(&[], "hebra")? },
        Peer { name: "hebra quiet", limit: MOST, server: hebra(&["--log-messages", "off"], "hebra quiet")? },
        Peer { name: "tokio", limit: MOST, server: ours(SERVE[1], "tokio")? },
    ];
    let mut missing = Vec::new();
    for (name, limit, server) in [
        ("python", 500, python("quiet", "python")),
        ("python printing", 50, python("printing", "python printing")),
        ("ncat", 50, Process::silent(ncat, &log("ncat"))),
        ("socat", 50, Process::silent(socat, &log("socat"))),
    ] {
        match server {
            Ok(server) => peers.push(Peer { name, limit, server }),
            Err(error) if error.kind() == ErrorKind::NotFound => missing.push(format!("{name}: not installed")),
            Err(error) => missing.push(format!("{name}: {error}")),
        }
    }
    Ok((peers, missing))
}

/// Becomes a peer, if the first argument says so; it serves until it is killed.
pub(crate) fn serve(argument: &str) -> Option<io::Result<()>> {
    let peer = SERVE.iter().position(|name| *name == argument)?;
    Some(listen().and_then(|listener| {
        println!("listening on {}", listener.local_addr()?);
        if peer == 0 {
            bare::serve(&listener);
            Ok(())
        } else {
            tokio::serve(listener)
        }
    }))
}

/// With a backlog like hebra's here, and not the 128 of std: a crowd that connects is not what is compared.
fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(process::BACKLOG)?;
    Ok(socket.into())
}

fn ncat(address: SocketAddr) -> Command {
    let mut command = Command::new("ncat");
    command.args(["-l", "-k", "-m", "1000", "-e", "/bin/cat"]);
    command.arg(address.ip().to_string()).arg(address.port().to_string());
    command
}

fn socat(address: SocketAddr) -> Command {
    let mut command = Command::new("socat");
    let options = "fork,reuseaddr,backlog=1024,nodelay";
    command.arg(format!("TCP-LISTEN:{},bind={},{options}", address.port(), address.ip())).arg("EXEC:cat");
    command
}
