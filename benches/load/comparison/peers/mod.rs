//! The servers that hebra is compared with, and how each is started. Servers that are not installed are reported and
//! left out.

pub(crate) mod bare;
pub(crate) mod pool;
pub(crate) mod tokio;
pub(crate) mod udp;

use std::env;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use socket2::{Domain, Socket, Type};

use super::super::server::process::{self, Process};
use super::build;

/// The peer whose figures the others are divided by.
pub(crate) const REFERENCE: &str = "bare";
pub(crate) const POOL: &str = "pool";
pub(crate) const TOKIO: &str = "tokio";
/// hebra with `--log-messages off`.
pub(crate) const QUIET: &str = "hebra quiet";
/// The same with `--busy-poll 50us`.
pub(crate) const POLLING: &str = "hebra polling";
/// hebra with `--defer-accept`.
pub(crate) const DEFERRING: &str = "hebra deferring";

/// The bare loop in C.
pub(crate) const C: &str = "c";
pub(crate) const HEBRA: &str = "hebra";
const SOCAT: &str = "socat";

/// Peers that are part of this repository.
const BUILT_IN: [&str; 7] = [REFERENCE, POOL, HEBRA, QUIET, POLLING, DEFERRING, TOKIO];

/// The peers whose response times and processor time are compared.
pub(crate) const COMPARED: [&str; 5] = [REFERENCE, C, HEBRA, QUIET, TOKIO];

/// Starts a program whose output goes to a log file.
type Start = fn(&Path) -> io::Result<Process>;

/// Programs that may not be installed, with the most connections that each takes part with.
const EXTERNAL: [(&str, usize, Start); 5] = [
    (C, MAX_CONNECTIONS, c_loop),
    ("python", 500, |log| python("quiet", log)),
    ("python printing", 50, |log| python("printing", log)),
    ("ncat", 50, |log| silent(ncat, log)),
    (SOCAT, 50, |log| silent(socat, log)),
];

/// Those that start a process for each connection.
const PROCESS_EACH: [&str; 2] = ["ncat", SOCAT];

/// The most connections of any scenario.
pub(crate) const MAX_CONNECTIONS: usize = 2000;

/// Peers that this program itself becomes, with the first argument that makes it one.
const SERVE: [(&str, &str); 3] = [(REFERENCE, "serve-bare"), (POOL, "serve-pool"), (TOKIO, "serve-tokio")];

/// A server in a comparison.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The most connections that it takes part with. It needs a process for each, or minutes to connect more.
    pub(crate) limit: usize,
    /// Whether it serves all clients in one process, so that its processor time is known.
    pub(crate) is_one_process: bool,
    pub(crate) server: Process,
}

/// Iterates over the names of all peers.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.into_iter().chain(EXTERNAL.into_iter().map(|(name, ..)| name))
}

/// Starts the peers that are `wanted`. Also returns which of them did not start, and why.
pub(crate) fn start_all(directory: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<(Vec<Peer>, Vec<String>)> {
    let mut peers = Vec::new();
    for name in BUILT_IN.into_iter().filter(|name| wanted(name)) {
        // Busy polling is meant for few connections.
        let limit = if name == POLLING { 50 } else { MAX_CONNECTIONS };
        peers.push(Peer { name, limit, is_one_process: true, server: start(directory, name, limit)? });
    }
    let external = EXTERNAL.into_iter().filter(|(name, ..)| wanted(name));
    let missing = add_external(&mut peers, external, |name| log(directory, name));
    Ok((peers, missing))
}

/// Starts programs and adds them to `peers`, the loop in C beside the reference. Returns which of them did not start, and
/// why.
fn add_external(
    peers: &mut Vec<Peer>,
    external: impl Iterator<Item = (&'static str, usize, Start)>,
    log: impl Fn(&str) -> PathBuf,
) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, limit, start) in external {
        match start(&log(name)) {
            Ok(server) => {
                peers.push(Peer { name, limit, is_one_process: !PROCESS_EACH.contains(&name), server });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => missing.push(format!("{name}: not installed")),
            Err(error) => missing.push(format!("{name}: {error}")),
        }
    }
    peers.sort_by_key(|peer| peer.name != REFERENCE && peer.name != C);
    missing
}

/// Starts another hebra program, which is the reference, and the hebra of this build.
pub(crate) fn with_before(directory: &Path, program: &Path) -> io::Result<Vec<Peer>> {
    let clients = MAX_CONNECTIONS + 100;
    let before = process::hebra(program, clients, &[], &log(directory, "before"))?;
    let now = build::hebra(clients, &[], &log(directory, HEBRA))?;
    let peer = |name, server| Peer { name, limit: MAX_CONNECTIONS, is_one_process: true, server };
    Ok(vec![peer("before", before), peer(HEBRA, now)])
}

/// Starts a built-in peer for this number of clients.
pub(crate) fn start(directory: &Path, name: &str, clients: usize) -> io::Result<Process> {
    let log = log(directory, name);
    let quiet = ["--log-messages", "off", "--busy-poll", "50us"];
    if let Some((_, serve)) = SERVE.into_iter().find(|(peer, _)| *peer == name) {
        return Process::announced(Command::new(env::current_exe()?).arg(serve), &log);
    }
    let flags: &[&str] = match name {
        QUIET => &quiet[..2],
        POLLING => &quiet,
        DEFERRING => &["--defer-accept"],
        _ => &[],
    };
    build::hebra(clients + 100, flags, &log)
}

fn log(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{}.log", name.replace(' ', "-")))
}

/// Becomes a peer if `argument` names one, and serves until the process is killed. Returns `None` otherwise.
pub(crate) fn serve(argument: &str) -> Option<io::Result<()>> {
    if argument == udp::SERVE {
        return Some(udp::become_bare());
    }
    let (peer, _) = SERVE.into_iter().find(|(_, serve)| *serve == argument)?;
    Some(listen().and_then(|listener| {
        println!("listening on {}", listener.local_addr()?);
        match peer {
            POOL => pool::serve(&listener, MAX_CONNECTIONS),
            TOKIO => tokio::serve(listener),
            _ => bare::serve(&listener),
        }
    }))
}

/// Listens with the backlog that hebra has in the comparison. std would use 128, and bursts of connects would then
/// decide the result.
fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(process::BACKLOG)?;
    Ok(socket.into())
}

/// Compiles the loop in C and starts it.
fn c_loop(log: &Path) -> io::Result<Process> {
    let mut server = compiled("c_loop.c", &log.with_extension(""))?;
    Process::announced(server.arg(process::BACKLOG.to_string()), log)
}

/// Compiles a server in C to a program.
fn compiled(source: &str, program: &Path) -> io::Result<Command> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/comparison/peers").join(source);
    let mut compiler = Command::new("cc");
    let compiled = compiler.args(["-O2", "-pthread", "-o"]).arg(program).arg(source).status()?;
    if compiled.success() { Ok(Command::new(program)) } else { Err(io::Error::other("it does not compile")) }
}

fn python(manner: &str, log: &Path) -> io::Result<Process> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/load/comparison/peers/client_thread.py");
    Process::announced(Command::new("python3").arg(script).arg(manner), log)
}

/// Starts a server that must be given its port and does not print when it listens.
fn silent(command: impl FnOnce(SocketAddr) -> Command, log: &Path) -> io::Result<Process> {
    // If another process takes this port in between, the server fails to start and the error is reported.
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    Process::start(&mut command(address), log, |_| TcpStream::connect(address).ok().map(|_| address))
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
