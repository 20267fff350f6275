//! Sockets that a service manager passed to the process (sd_listen_fds(3)): `LISTEN_FDS` says how many, from descriptor 3 on,
//! and `LISTEN_PID` to which process.

use std::env::{self, VarError};
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::process;

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
    is_any().is_ok_and(|is_any| is_any)
}

/// Returns whether the variables say that there are sockets for this process.
///
/// # Errors
///
/// What is wrong with a variable that is for this process. The crate listenfd would set memory aside for any number, and
/// would take standard input for a socket that was passed in.
fn is_any() -> Result<bool, String> {
    let is_for_us = match env::var("LISTEN_PID") {
        Ok(id) => id.is_empty() || id.parse() == Ok(process::id()),
        Err(error) => error == VarError::NotPresent,
    };
    let count = env::var_os("LISTEN_FDS").filter(|count| is_for_us && !count.is_empty());
    let Some(count) = count else { return Ok(false) };
    let count = match count.to_str().and_then(|count| count.parse().ok()) {
        Some(0) => return Ok(false),
        Some(count @ 1..=MOST) => count,
        _ => return Err(format!("LISTEN_FDS is {count:?}, which is no number from 0 to {MOST}")),
    };
    let first = env::var("LISTEN_FDS_FIRST_FD").ok().and_then(|first| first.parse().ok()).unwrap_or(FIRST);
    if first < FIRST || first.checked_add(count).is_none() {
        return Err(format!(
            "LISTEN_FDS_FIRST_FD is {first}, and the first descriptor that can be passed in is {FIRST}"
        ));
    }
    Ok(true)
}

/// Takes the sockets over, if there are any. It removes the variables, so it runs before any thread is started.
///
/// # Errors
///
/// [`Error::Listen`] with the first descriptor that is none of what is `served`, or with the variable that makes no sense.
pub(in crate::cli) fn take(served: Served) -> Result<Option<Passed>, Error> {
    let senseless = |problem| Error::Listen {
        address: "what was passed in".to_owned(),
        cause: io::Error::new(ErrorKind::InvalidInput, problem),
    };
    if !is_any().map_err(senseless)? {
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

/// More sockets than any service manager passes.
const MOST: i32 = 65_536;
