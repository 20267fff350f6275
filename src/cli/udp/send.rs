//! `hebra udp send`: one datagram to a connected socket, and its answer.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use hebra::text::EscapedStream;

use crate::cli::arguments::SendArguments;
use crate::cli::process::failure::{self, Failure, TIMED_OUT};
use crate::cli::process::{FAILED, USAGE, complain};

/// What a datagram holds at most over IPv4: 65,535 bytes less the headers of IP (20) and UDP (8).
const LONGEST: usize = 65_507;

/// Sends; the exit code.
pub(in crate::cli) fn run(arguments: &SendArguments) -> u8 {
    let text = arguments.text.join(" ");
    if text.len() > LONGEST {
        complain(format_args!("TEXT has {} bytes, and a datagram holds at most 65,507", text.len()));
        return USAGE;
    }
    let sent = failure::resolve(&arguments.address)
        .and_then(|targets| send(&targets, text.as_bytes(), arguments.wait))
        .and_then(|answer| print(answer).or_else(|cause| failure::not_printed(&cause)));
    failure::exit_code(sent)
}

/// Tries `targets` until one is not known to have failed; the answer, if one was waited for.
///
/// # Errors
///
/// The failure that is told of them all, as [`Failure::or_later`] has it.
fn send(targets: &[SocketAddr], text: &[u8], wait: Option<Duration>) -> Result<Option<Vec<u8>>, Failure> {
    let mut told = Failure { code: FAILED, message: "there is no address to send to".to_owned() };
    for target in targets {
        match exchange(*target, text, wait) {
            Err(failure) if failure.code != TIMED_OUT => told = told.or_later(failure),
            result => return result,
        }
    }
    Err(told)
}

/// Sends `text` to `target` and waits for the answer if asked to.
fn exchange(target: SocketAddr, text: &[u8], wait: Option<Duration>) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |cause| Failure::new(format_args!("cannot send to {target}"), &cause);
    let socket = open(target).map_err(failed)?;
    socket.send(text).map_err(failed)?;
    match wait {
        // On this machine it has been told by now that nobody listens there.
        None => socket.take_error().and_then(|cause| cause.map_or(Ok(None), Err)).map_err(failed),
        Some(wait) => match receive(&socket, wait) {
            Ok(answer) => Ok(Some(answer)),
            Err(cause) => Err(Failure::new(format_args!("no answer from {target}"), &cause)),
        },
    }
}

/// A socket that sends to `target` and gets answers from there only, and is told when nobody listens there.
fn open(target: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(target)?;
    Ok(socket)
}

/// The next datagram, if it comes in time.
fn receive(socket: &UdpSocket, wait: Duration) -> io::Result<Vec<u8>> {
    let began = Instant::now();
    let mut buffer = vec![0; u16::MAX.into()];
    loop {
        let left = wait.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            // A signal came, such as one that continues a stopped process.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Prints an answer on a line of its own: as it came, or made safe for a terminal.
fn print(answer: Option<Vec<u8>>) -> io::Result<()> {
    let Some(mut answer) = answer else { return Ok(()) };
    let mut output = io::stdout().lock();
    if output.is_terminal() {
        let mut escaped = EscapedStream::default();
        answer = [escaped.feed(&answer), escaped.finish()].concat().into_bytes();
    }
    if answer.last() != Some(&b'\n') {
        answer.push(b'\n');
    }
    output.write_all(&answer)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::process::failure::REFUSED;

    #[test]
    fn what_is_told_is_the_failure_that_says_something_of_the_peer() {
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
}
