//! The addresses of a name raced for the first that answers, in the spirit of RFC 8305 (*Happy Eyeballs*).
//!
//! Otherwise an address that swallows packets costs the whole time limit although the next one would answer at once. One
//! thread waits for all attempts, so none is left behind when one succeeds.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use socket2::{Domain, Protocol, Socket, Type};

use crate::cli::process::FAILED;
use crate::cli::process::deadline::Deadline;
use crate::cli::process::failure::Failure;

/// How long an address is tried alone before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to the first of `addresses` that answers.
///
/// # Errors
///
/// One failure for all addresses, as [`Failure::or_later`] chooses it.
pub(super) fn connect(addresses: &[SocketAddr], deadline: Deadline) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut waiting = alternating(addresses);
    let mut attempts = Vec::new();
    let mut failures = Vec::new();
    // When the next attempt is due.
    let mut next = Deadline::after(Some(Duration::ZERO));
    loop {
        while next.is_over() {
            let Some(address) = waiting.pop_front() else { break };
            match begin(address) {
                Ok(socket) => {
                    attempts.push((address, socket));
                    next = Deadline::after(Some(HEAD_START));
                }
                Err(cause) => failures.push((address, cause)),
            }
        }
        if attempts.is_empty() || deadline.is_over() {
            break;
        }
        let until = if waiting.is_empty() { deadline } else { deadline.or_sooner(next) };
        let ready = wait(&attempts, until).map_err(|cause| Failure::new("cannot wait for a connection", &cause))?;
        for ((address, socket), is_ready) in mem::take(&mut attempts).into_iter().zip(ready) {
            if !is_ready {
                attempts.push((address, socket));
                continue;
            }
            match finish(socket) {
                Ok(stream) => return Ok((stream, address)),
                Err(cause) => {
                    failures.push((address, cause));
                    next = Deadline::after(Some(Duration::ZERO));
                }
            }
        }
    }
    failures.extend(attempts.into_iter().map(|(address, _)| (address, ErrorKind::TimedOut.into())));
    Err(summary(addresses, &failures))
}

/// Returns addresses of both families in turn, beginning with that of the first (RFC 8305, section 4), so that a network
/// that lacks one family costs one head start.
fn alternating(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let is_first = |address: &SocketAddr| address.is_ipv4() == addresses[0].is_ipv4();
    let (first, second): (VecDeque<SocketAddr>, VecDeque<SocketAddr>) =
        addresses.iter().copied().partition(is_first);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = VecDeque::new();
    while order.len() < addresses.len() {
        order.extend(first.next());
        order.extend(second.next());
    }
    order
}

/// Begins to connect.
fn begin(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Urgent data stays in the stream (RFC 6093). Without these two options less works, but the rest does.
    let _ = socket.set_out_of_band_inline(true);
    // A line goes out as it is typed.
    let _ = socket.set_tcp_nodelay(true);
    match socket.connect(&address.into()) {
        Err(cause) if cause.raw_os_error() == Some(Errno::EINPROGRESS as i32) => Ok(socket),
        result => result.map(|()| socket),
    }
}

/// Waits until an attempt has ended or the deadline is over. Returns which attempts have ended.
fn wait(attempts: &[(SocketAddr, Socket)], until: Deadline) -> io::Result<Vec<bool>> {
    let mut descriptors: Vec<PollFd<'_>> =
        attempts.iter().map(|(_, socket)| PollFd::new(socket.as_fd(), PollFlags::POLLOUT)).collect();
    match poll(&mut descriptors, until.poll_timeout()) {
        Ok(_) => Ok(descriptors.iter().map(|descriptor| descriptor.any() == Some(true)).collect()),
        Err(Errno::EINTR) => Ok(vec![false; attempts.len()]),
        Err(error) => Err(error.into()),
    }
}

/// Returns the stream of an attempt that has ended well.
fn finish(socket: Socket) -> io::Result<TcpStream> {
    if let Some(cause) = socket.take_error()? {
        return Err(cause);
    }
    // The system may choose the port that is asked for as the socket's own, if nobody has it. Then the two sides of the
    // handshake are the same socket (RFC 9293, section 3.5: simultaneous open), and nobody listens there.
    if socket.local_addr()?.as_socket() == socket.peer_addr()?.as_socket() {
        // Without a linger time another program can listen on the port at once.
        socket.set_linger(Some(Duration::ZERO))?;
        return Err(ErrorKind::ConnectionRefused.into());
    }
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}

/// Returns one failure for all addresses. Those that were not tried in time do not count.
fn summary(addresses: &[SocketAddr], failures: &[(SocketAddr, io::Error)]) -> Failure {
    let failure =
        |address: &SocketAddr, cause: &io::Error| Failure::new(format_args!("cannot connect to {address}"), cause);
    let in_order = addresses.iter().filter_map(|address| failures.iter().find(|(failed, _)| failed == address));
    let failures = in_order.map(|(address, cause)| failure(address, cause));
    failures
        .reduce(Failure::or_later)
        .unwrap_or_else(|| Failure { code: FAILED, message: "there is no address to connect to".to_owned() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::cli::process::failure::{REFUSED, TIMED_OUT};

    const FUSE: Duration = Duration::from_secs(60);

    fn after(limit: Duration) -> Deadline {
        Deadline::after(Some(limit))
    }

    /// A listener that took a free port, and an address at which nobody listens.
    fn listener_and_nobody() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback exists");
        let nobody = ([127, 0, 3, 7], listener.local_addr().expect("a socket").port()).into();
        (listener, nobody)
    }

    /// A listener whose queue is full, so that the kernel leaves further clients without an answer, and what fills it.
    fn silent() -> (Socket, SocketAddr, Vec<TcpStream>) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&SocketAddr::from(([127, 0, 3, 9], 0)).into()).expect("a free port");
        listener.listen(0).expect("it listens");
        let address = listener.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
        let mut queued = Vec::new();
        while let Ok(client) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            queued.push(client);
        }
        (listener, address, queued)
    }

    #[test]
    fn a_refusal_starts_the_next_address_at_once() {
        let (listener, nobody) = listener_and_nobody();
        let address = listener.local_addr().expect("a socket");
        // Less than a head start.
        let (stream, server) =
            connect(&[nobody, nobody, address], after(HEAD_START / 2)).expect("the last answers");
        assert_eq!((server, stream.peer_addr().expect("it is connected")), (address, address));
    }

    #[test]
    fn an_address_that_does_not_answer_costs_a_head_start_and_not_the_whole_time() {
        let (_full, dead, _queued) = silent();
        let (listener, _) = listener_and_nobody();
        let address = listener.local_addr().expect("a socket");
        let (_stream, server) = connect(&[dead, address], after(FUSE)).expect("the second answers");
        assert_eq!(server, address);
        let failure = connect(&[dead], after(Duration::from_millis(20))).expect_err("it does not answer");
        assert_eq!((failure.code, failure.message), (TIMED_OUT, format!("cannot connect to {dead}: timed out")));
    }

    #[test]
    fn the_failure_that_is_reported_says_something_of_the_server() {
        let (_listener, nobody) = listener_and_nobody();
        // For documentation (RFC 3849): nobody has it, and there is no way there.
        let unreachable = "[2001:db8::1]:1".parse().expect("an address");
        for addresses in [[nobody, unreachable], [unreachable, nobody]] {
            let failure = connect(&addresses, after(HEAD_START * 2)).expect_err("nobody answers");
            // Where packets to it vanish, silence is the last answer.
            if failure.code != TIMED_OUT {
                assert_eq!(failure.message, format!("cannot connect to {nobody}: connection refused"));
                assert_eq!(failure.code, REFUSED);
            }
        }
    }

    #[test]
    fn a_socket_that_is_connected_to_itself_is_a_refusal_and_frees_its_port() {
        for host in ["127.0.3.10:0", "[::1]:0"] {
            let host: SocketAddr = host.parse().expect("an address");
            let socket = Socket::new(Domain::for_address(host), Type::STREAM, None).expect("a socket");
            socket.bind(&host.into()).expect("loopback exists");
            let address = socket.local_addr().expect("it is bound");
            socket.connect(&address).expect("both sides of the handshake are here");
            assert_eq!(finish(socket).expect_err("nobody listens").kind(), ErrorKind::ConnectionRefused);
            TcpListener::bind(address.as_socket().expect("an address")).expect("the port is free");
        }
    }

    #[test]
    fn the_families_take_turns() {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect::<Vec<_>>();
        let order = alternating(&parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]));
        assert_eq!(order, parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
    }
}
