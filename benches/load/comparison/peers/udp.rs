//! The servers of datagrams that hebra is compared with. Each has the name of a server of connections, whose column of
//! the tables it shares.

use std::env;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::super::super::server::process::{self, Process};
use super::super::build;
use super::{C, HEBRA, MAX_CONNECTIONS, Peer, QUIET, REFERENCE, SOCAT, Start, add_external, compiled, log};

/// The argument with which this program becomes the reference.
pub(super) const SERVE: &str = "serve-bare-udp";

/// Programs that may not be installed, with the most clients that each takes part with. socat starts a process for each
/// datagram.
const EXTERNAL: [(&str, usize, Start); 2] = [
    (C, MAX_CONNECTIONS, |log| Process::announced(&mut compiled("c_udp.c", &log.with_extension(""))?, log)),
    (SOCAT, 4, socat),
];

/// Starts the servers that are `wanted`. Also returns which of them did not start, and why.
pub(crate) fn start_all(directory: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<(Vec<Peer>, Vec<String>)> {
    let log = |name: &str| log(directory, &format!("{name} udp"));
    let mut peers = Vec::new();
    if wanted(REFERENCE) {
        let server = Process::announced(Command::new(env::current_exe()?).arg(SERVE), &log(REFERENCE))?;
        peers.push(peer(REFERENCE, server));
    }
    for (name, flags) in [(HEBRA, &[][..]), (QUIET, &["--log-messages", "off"])] {
        if wanted(name) {
            peers.push(peer(name, build::hebra_udp(flags, &log(name))?));
        }
    }
    let missing = add_external(&mut peers, EXTERNAL.into_iter().filter(|(name, ..)| wanted(name)), log);
    Ok((peers, missing))
}

/// Starts another hebra program, which is the reference, and the hebra of this build.
pub(crate) fn with_before(directory: &Path, program: &Path) -> io::Result<Vec<Peer>> {
    let before = process::hebra_udp(program, &[], &log(directory, "before udp"))?;
    let now = build::hebra_udp(&[], &log(directory, "hebra udp"))?;
    Ok(vec![peer("before", before), peer(HEBRA, now)])
}

fn peer(name: &'static str, server: Process) -> Peer {
    Peer { name, limit: MAX_CONNECTIONS, is_one_process: true, server }
}

/// The shortest echo server of datagrams. It serves until the process ends.
pub(crate) fn serve(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = [0; 64 * 1024];
    loop {
        let (count, client) = socket.recv_from(&mut buffer)?;
        // What the kernel does not take is lost, as datagrams may be.
        let _ = socket.send_to(&buffer[..count], client);
    }
}

/// Becomes the reference.
pub(super) fn become_bare() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("listening on {}", socket.local_addr()?);
    serve(&socket)
}

/// `UDP-LISTEN` starts a process for each client only, but it joins and cuts datagrams.
fn socat(log: &Path) -> io::Result<Process> {
    // As for servers of connections, another process may take the port in between.
    let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let mut command = Command::new("socat");
    command.args(["-b", "65536"]);
    command.arg(format!("UDP-RECVFROM:{},bind={},fork", address.port(), address.ip())).arg("PIPE");
    Process::start(&mut command, log, |_| is_echoed(address).ok().map(|()| address))
}

/// Sends a datagram and waits a little for its echo.
fn is_echoed(server: SocketAddr) -> io::Result<()> {
    let client = UdpSocket::bind((server.ip(), 0))?;
    client.set_read_timeout(Some(Duration::from_millis(100)))?;
    client.connect(server)?;
    client.send(b"?")?;
    let received = client.recv(&mut [0])?;
    if received == 1 { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
}
