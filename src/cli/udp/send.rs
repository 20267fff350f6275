//! `hebra udp send`: one datagram to a connected socket, and its answer.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use hebra::text::EscapedStream;

use crate::cli::arguments::SendArguments;
use crate::cli::process::deadline::{Deadline, is_passing};
use crate::cli::process::failure::{self, Failure, TIMED_OUT};
use crate::cli::process::{FAILED, USAGE, resolve};
use crate::cli::stdio;

/// Bytes that a datagram holds at most over IPv4: 65,535 less the headers of IP (20) and UDP (8).
const LONGEST: usize = 65_507;

/// Sends the datagram. Returns the exit code.
pub(in crate::cli) fn run(arguments: &SendArguments) -> u8 {
    let text = arguments.text.join(" ");
    let answer = arguments.wait.map(|wait| Deadline::after(Some(wait)));
    let sent = require_fit("TEXT", &text)
        .and_then(|()| resolve::within(&arguments.address, answer.unwrap_or(Deadline::after(None))))
        .and_then(|targets| send(&targets, text.as_bytes(), answer))
        .and_then(|(_, answer)| print(answer).or_else(|cause| failure::not_printed(&cause)));
    failure::exit_code(sent)
}

/// Fails if `text`, which the command line calls `name`, is too long for a datagram.
pub(in crate::cli) fn require_fit(name: &str, text: &str) -> Result<(), Failure> {
    if text.len() <= LONGEST {
        return Ok(());
    }
    let message = format!("{name} has {} bytes, and a datagram holds at most 65,507", text.len());
    Err(Failure { code: USAGE, message })
}

/// Sends to the first of `targets` that is not known to fail. Returns it, and the answer if one is waited for.
///
/// # Errors
///
/// One failure for all targets, as [`Failure::or_later`] chooses it.
pub(in crate::cli) fn send(
    targets: &[SocketAddr],
    text: &[u8],
    wait: Option<Deadline>,
) -> Result<(SocketAddr, Option<Vec<u8>>), Failure> {
    let mut failed = Failure { code: FAILED, message: "there is no address to send to".to_owned() };
    for target in targets {
        match exchange(*target, text, wait) {
            Err(failure) if failure.code != TIMED_OUT => failed = failed.or_later(failure),
            result => return result.map(|answer| (*target, answer)),
        }
    }
    Err(failed)
}

/// Sends `text` to `target`. Returns the answer, if one is waited for.
fn exchange(target: SocketAddr, text: &[u8], wait: Option<Deadline>) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |cause| Failure::new(format_args!("cannot send to {target}"), &cause);
    let socket = open(target).map_err(failed)?;
    socket.send(text).map_err(failed)?;
    match wait {
        // If nobody listens there on this machine, the socket knows by now.
        None => socket.take_error().and_then(|cause| cause.map_or(Ok(None), Err)).map_err(failed),
        Some(wait) => match receive(&socket, wait) {
            Ok(answer) => Ok(Some(answer)),
            Err(cause) => Err(Failure::new(format_args!("no answer from {target}"), &cause)),
        },
    }
}

/// Returns a socket that sends to `target`, receives from there only, and learns when nobody listens there.
fn open(target: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    connect(UdpSocket::bind(any)?, target)
}

fn connect(socket: UdpSocket, target: SocketAddr) -> io::Result<UdpSocket> {
    socket.connect(target)?;
    // The system may choose the target's port, if nobody has it. The socket would send to itself, and nobody listens.
    if socket.local_addr()? == socket.peer_addr()? {
        return Err(ErrorKind::ConnectionRefused.into());
    }
    Ok(socket)
}

/// Returns the next datagram, if it comes in time.
fn receive(socket: &UdpSocket, until: Deadline) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; u16::MAX.into()];
    loop {
        socket.set_read_timeout(until.socket_timeout()?)?;
        match socket.recv(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Prints an answer on a line of its own: as it came, or made safe for a terminal.
fn print(answer: Option<Vec<u8>>) -> io::Result<()> {
    let Some(mut answer) = answer else { return Ok(()) };
    if io::stdout().is_terminal() {
        let mut escaped = EscapedStream::default();
        answer = [escaped.feed(&answer), escaped.finish()].concat().into_bytes();
    }
    if answer.last() != Some(&b'\n') {
        answer.push(b'\n');
    }
    stdio::output().write_all(&answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::process::failure::REFUSED;

    #[test]
    fn the_failure_that_is_reported_says_something_of_the_peer() {
        let nobody =
            UdpSocket::bind("127.0.3.8:0").and_then(|socket| socket.local_addr()).expect("loopback exists");
        // This machine may not send to everyone at once.
        let forbidden = (Ipv4Addr::BROADCAST, 9).into();
        for targets in [[nobody, forbidden], [forbidden, nobody]] {
            let failure = send(&targets, b"anybody?", None).expect_err("nobody is there");
            assert_eq!(failure.code, REFUSED, "{}", failure.message);
            assert_eq!(failure.message, format!("cannot send to {nobody}: connection refused"));
        }
    }

    #[test]
    fn a_socket_that_would_send_to_itself_is_a_refusal() {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
        let itself = ([127, 0, 0, 1], socket.local_addr().expect("it is bound").port()).into();
        let error = connect(socket, itself).expect_err("nobody else is there");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
