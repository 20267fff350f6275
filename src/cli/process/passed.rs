//! Sockets that a service manager passed to the process (sd_listen_fds(3)): `LISTEN_FDS` says how many, from descriptor 3 on,
//! and `LISTEN_PID` to which process.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::{env, process};

use hebra::Error;
use listenfd::ListenFd;
use socket2::SockRef;

/// The sockets that were passed in, each with its position.
#[derive(Debug, Default)]
pub(in crate::cli) struct Passed {
    /// Listeners, TCP and Unix.
    pub(in crate::cli) listeners: Vec<(usize, OwnedFd)>,
    /// UDP sockets.
    pub(in crate::cli) datagrams: Vec<(usize, OwnedFd)>,
}

/// What a program can serve of the sockets that are passed in.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Served {
    pub(in crate::cli) listeners: bool,
    pub(in crate::cli) datagrams: bool,
}

/// Returns whether sockets were passed to this process.
pub(in crate::cli) fn are_passed() -> bool {
    let is_for_us = match env::var("LISTEN_PID") {
        Ok(id) => id.is_empty() || id == process::id().to_string(),
        Err(_) => true,
    };
    is_for_us && env::var("LISTEN_FDS").is_ok_and(|count| count.parse::<i32>().is_ok_and(|count| count > 0))
}

/// Takes the sockets over, if there are any. It removes the variables, so it runs before any thread is started.
///
/// # Errors
///
/// [`Error::Listen`] with the first descriptor that is none of what is `served`.
pub(in crate::cli) fn take(served: Served) -> Result<Option<Passed>, Error> {
    if !are_passed() {
        return Ok(None);
    }
    let mut sockets = ListenFd::from_env();
    let mut passed = Passed::default();
    for position in 0..sockets.len() {
        if served.listeners
            && let Some(listener) = take_listener(&mut sockets, position)
        {
            passed.listeners.push((position, listener));
        } else if served.datagrams
            && let Ok(Some(socket)) = sockets.take_udp_socket(position)
            && is_unconnected(&socket)
        {
            passed.datagrams.push((position, socket.into()));
        } else {
            return Err(unusable(&mut sockets, position, served));
        }
    }
    Ok(Some(passed))
}

fn take_listener(sockets: &mut ListenFd, position: usize) -> Option<OwnedFd> {
    let tcp = sockets.take_tcp_listener(position).ok().flatten().map(OwnedFd::from);
    let listener = tcp.or_else(|| sockets.take_unix_listener(position).ok().flatten().map(OwnedFd::from))?;
    // A connection is a stream too. It stays open: the process ends.
    let listens = !cfg!(target_os = "linux") || SockRef::from(&listener).is_listener().unwrap_or(false);
    listens.then_some(listener)
}

fn is_unconnected(socket: &UdpSocket) -> bool {
    socket.peer_addr().is_err()
}

fn unusable(sockets: &mut ListenFd, position: usize, served: Served) -> Error {
    // A descriptor that was looked at is taken out.
    let descriptor = sockets.take_raw_fd(position).ok().flatten().unwrap_or(FIRST + position as i32);
    let problem = match served {
        Served { listeners: true, datagrams: true } => {
            "it is no TCP or Unix socket that listens, and no UDP socket"
        }
        Served { datagrams: false, .. } => "it is no TCP or Unix socket that listens",
        Served { listeners: false, .. } => "it is no UDP socket",
    };
    let cause = io::Error::new(ErrorKind::InvalidInput, problem);
    Error::Listen { address: format!("descriptor {descriptor}"), cause }
}

/// The first descriptor that is passed in.
const FIRST: i32 = 3;
