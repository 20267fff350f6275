//! Listening sockets, TCP and Unix, and their options.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

use super::addresses;
use crate::client::{ListenAddress, Peer};
use crate::config::ServerConfig;
use crate::error::Error;

/// How long a connection may be silent before the kernel probes whether the peer is still there, and the time between
/// its probes. They find peers that vanished without a word when there is no idle timeout.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// The addresses of names to listen on that this machine lacks.
pub(crate) type Skipped = Vec<(SocketAddr, ErrorKind)>;

/// How long an accept on a listener that was passed in may block: nothing can wake it, because it must not be shut.
const LOOK_UP: Duration = Duration::from_millis(100);

/// A listening socket. One that made its socket file removes it on drop.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) address: Arc<ListenAddress>,
    socket: Socket,
    /// Device and inode of the socket file that was made.
    file: Option<(u64, u64)>,
    write_timeout: Option<Duration>,
    /// After how long an accept ends, if it does.
    patience: Option<Duration>,
    /// Whether it was passed in. Another process may have it too, and go on with it.
    is_kept: bool,
    /// Whether it did not block when it was passed in.
    was_nonblocking: bool,
}

/// Listens on every address that every name of `config` resolves to. Returns the listeners, each with the
/// position of its name and in the order of the names, and the addresses that this machine lacks.
///
/// # Errors
///
/// Those of [`addresses::bind`], and [`Error::Listen`] for a Unix socket on which another program listens.
pub(crate) fn bind(config: &ServerConfig) -> Result<(Vec<(usize, Listener)>, Skipped), Error> {
    let (mut listeners, mut skipped) = (Vec::new(), Vec::new());
    let (mut numbers, mut names) = (Vec::new(), Vec::new());
    for (name, text) in config.listen.iter().enumerate() {
        if let Some(unix) = text.strip_prefix("unix:") {
            let failed = |cause| Error::Listen { address: ListenAddress::Unix(unix.to_owned()).to_string(), cause };
            listeners.push((name, listen_unix(unix, config).map_err(failed)?));
        } else {
            numbers.push(name);
            names.push(text.strip_prefix("tcp://").unwrap_or(text));
        }
    }
    let open = |address, only_v6| listen_tcp(address, only_v6, config);
    for (name, sockets) in numbers.into_iter().zip(addresses::bind(&names, &open)?) {
        listeners.extend(sockets.bound.into_iter().map(|(_, listener)| (name, listener)));
        skipped.extend(sockets.skipped);
    }
    listeners.sort_by_key(|(name, _)| *name);
    Ok((listeners, skipped))
}

/// Opens a TCP listener. Returns it with the address that it really has.
fn listen_tcp(address: SocketAddr, only_v6: bool, config: &ServerConfig) -> io::Result<(SocketAddr, Listener)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    socket.set_reuse_address(true)?;
    set_options(&socket, config.write_timeout)?;
    socket.bind(&address.into())?;
    socket.listen(backlog(config))?;
    let address = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok((address, Listener::new(ListenAddress::Tcp(address), socket, config)))
}

/// Opens a Unix listener: on a path, or after `@` on a name without a file.
fn listen_unix(name: &str, config: &ServerConfig) -> io::Result<Listener> {
    let address = SockAddr::unix(name.strip_prefix('@').map_or(name.to_owned(), |name| format!("\0{name}")))?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Until it is dropped, no other server takes this file for a stale one because it does not listen yet.
    let _lock = if name.starts_with('@') { None } else { Some(lock_folder(name)?) };
    if let Err(error) = socket.bind(&address) {
        if error.kind() != ErrorKind::AddrInUse || name.starts_with('@') || !is_stale(name, &address)? {
            return Err(error);
        }
        fs::remove_file(name)?;
        socket.bind(&address)?;
    }
    let mut listener = Listener::new(ListenAddress::Unix(name.to_owned()), socket, config);
    if !name.starts_with('@') {
        listener.file = fs::symlink_metadata(name).ok().map(|file| (file.dev(), file.ino()));
        // No client can connect before `listen`, so there is no moment with other permissions.
        fs::set_permissions(name, fs::Permissions::from_mode(config.unix_mode))?;
    }
    listener.socket.listen(backlog(config))?;
    Ok(listener)
}

/// Locks the folder of a socket file against other servers that start there. None of them needs more than a moment.
fn lock_folder(name: &str) -> io::Result<File> {
    const ATTEMPTS: u32 = 200;
    const PAUSE: Duration = Duration::from_millis(10);
    let folder = Path::new(name).parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new(".")))?;
    for _ in 0..ATTEMPTS {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(ErrorKind::ResourceBusy, "another program locks its folder"))
}

/// Returns whether nobody answers on a socket file, so that it may be replaced.
fn is_stale(path: &str, address: &SockAddr) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    // A server whose backlog is full would let a blocking connect wait.
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    Ok(probe.connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused))
}

/// Takes over listeners that the caller has bound.
///
/// # Errors
///
/// [`Error::Listen`] if a socket does not listen, or refuses an option.
pub(crate) fn adopt(descriptors: Vec<OwnedFd>, config: &ServerConfig) -> Result<Vec<(usize, Listener)>, Error> {
    let failed = |cause| Error::Listen { address: "a listener that was passed in".to_owned(), cause };
    let adopt = |descriptor| adopt_one(Socket::from(descriptor), config).map_err(failed);
    descriptors
        .into_iter()
        .map(adopt)
        .collect::<Result<Vec<_>, _>>()
        .map(|all| all.into_iter().enumerate().collect())
}

fn adopt_one(socket: Socket, config: &ServerConfig) -> io::Result<Listener> {
    let local = socket.local_addr()?;
    if socket.r#type()? != Type::STREAM || !is_listening(&socket) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no socket that listens"));
    }
    let address = match local.as_socket() {
        Some(address) => {
            set_options(&socket, config.write_timeout)?;
            ListenAddress::Tcp(address)
        }
        None if local.is_unix() => {
            ListenAddress::Unix(match (local.as_pathname(), local.as_abstract_namespace()) {
                (Some(path), _) => path.to_string_lossy().into_owned(),
                (None, Some(name)) => format!("@{}", String::from_utf8_lossy(name)),
                (None, None) => return Err(ErrorKind::InvalidInput.into()),
            })
        }
        None => return Err(ErrorKind::InvalidInput.into()),
    };
    let (was_nonblocking, found) = (socket.nonblocking()?, socket.read_timeout()?);
    socket.set_nonblocking(false)?;
    let mut listener = Listener::new(address, socket, config);
    (listener.is_kept, listener.was_nonblocking) = (true, was_nonblocking);
    let limit = config.heartbeat.map_or(LOOK_UP, |heartbeat| heartbeat.min(LOOK_UP));
    listener.limit_accepts(Some(unlike(found, limit)));
    // As the kernel has rounded it, so that it is known again.
    listener.patience = listener.socket.read_timeout()?;
    Ok(listener)
}

/// Returns a limit of about `limit` that differs from the one that was `found`. That may be the one of a server that stops
/// at this moment, and by the difference it sees that the limit is no longer its own to remove.
fn unlike(found: Option<Duration>, limit: Duration) -> Duration {
    /// More than the kernel's rounding.
    const STEP: Duration = Duration::from_millis(20);
    match found {
        Some(found) if (limit..limit + LOOK_UP).contains(&found) => found + STEP,
        _ => limit,
    }
}

/// Returns whether a socket listens, as far as the system says so.
fn is_listening(socket: &Socket) -> bool {
    !cfg!(target_os = "linux") || socket.is_listener().unwrap_or(true)
}

/// Sets the options that accepted sockets inherit, so that they need not be set for each connection.
fn set_options(socket: &Socket, write_timeout: Option<Duration>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    // Urgent data stays in the stream (RFC 6093): nothing vanishes, and a telnet Synch is read where it was sent.
    socket.set_out_of_band_inline(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL))?;
    // The kernel keeps nothing for longer than that for a client that takes nothing, even when its session is over
    // (RFC 5482).
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(write_timeout)?;
    socket.set_write_timeout(write_timeout)
}

fn backlog(config: &ServerConfig) -> i32 {
    i32::try_from(config.backlog).unwrap_or(i32::MAX)
}

impl Listener {
    fn new(address: ListenAddress, socket: Socket, config: &ServerConfig) -> Self {
        let (address, write_timeout) = (Arc::new(address), config.write_timeout);
        let (file, patience, is_kept, was_nonblocking) = (None, None, false, false);
        let mut listener = Self { address, socket, file, write_timeout, patience, is_kept, was_nonblocking };
        listener.limit_accepts(config.heartbeat);
        listener
    }

    fn limit_accepts(&mut self, patience: Option<Duration>) {
        self.patience = patience;
        // It cannot fail on an open socket.
        let _ = self.socket.set_read_timeout(patience);
    }

    /// Returns whether an accept ended because no client came within its limit. Then the next one can begin at once.
    pub(crate) fn has_timed_out(&self, error: &io::Error) -> bool {
        let has_timed_out = self.patience.is_some() && error.kind() == ErrorKind::WouldBlock;
        if has_timed_out && self.is_kept {
            // That belongs to the open file, so another process which has it may have changed it.
            let _ = self.socket.set_nonblocking(false);
        }
        has_timed_out
    }

    /// Blocks until a client connects, or for a [heartbeat](ServerConfig::heartbeat) if there is one. Returns its
    /// connection: std reads, writes and shuts a TCP and a Unix socket by the same calls, so one type serves both.
    pub(crate) fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (socket, peer) = self.socket.accept()?;
        // Neither call can fail on an open socket.
        let _: io::Result<()> = match *self.address {
            // Unix sockets inherit nothing.
            ListenAddress::Unix(_) => socket.set_write_timeout(self.write_timeout),
            ListenAddress::Tcp(_) if self.patience.is_some() => socket.set_read_timeout(None),
            ListenAddress::Tcp(_) => Ok(()),
        };
        Ok((socket.into(), peer.as_socket().map_or(Peer::Unix, Peer::from)))
    }

    /// Ends a blocked [`accept`](Self::accept). No client can connect after it, unless the listener was passed in.
    pub(crate) fn wake(&self) {
        if self.is_kept {
            // The accept ends by itself. What connects from now on waits for the next server on this socket.
        } else if cfg!(target_os = "linux") {
            // Linux ends the wait with an error. It cannot fail on a listening socket.
            let _ = self.socket.shutdown(Shutdown::Both);
        } else if let Ok(address) = self.socket.local_addr() {
            // Elsewhere a connection must come. If it is refused, no thread waits.
            let target = address.as_socket().map_or(address, |address| addresses::reachable(address).into());
            let wake = Socket::new(target.domain(), Type::STREAM, None);
            let _ = wake.and_then(|socket| socket.connect_timeout(&target, Duration::from_secs(1)));
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Both belong to the open file, and the program that goes on with it expects neither. If the limit is another one,
        // a server that has taken over already relies on it. Neither call can fail on an open socket.
        if self.is_kept && self.socket.read_timeout().is_ok_and(|limit| limit == self.patience) {
            let _ = self.socket.set_read_timeout(None);
            let _ = self.socket.set_nonblocking(self.was_nonblocking);
        }
        let ListenAddress::Unix(path) = &*self.address else { return };
        let is_ours = |file: fs::Metadata| self.file == Some((file.dev(), file.ino()));
        // Another server may have replaced it.
        if fs::symlink_metadata(path).is_ok_and(is_ours) {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;

    use socket2::SockRef;

    use super::*;

    fn config(listen: &str) -> ServerConfig {
        ServerConfig::default().listen([listen]).write_timeout(Duration::from_secs(7))
    }

    fn only(listen: &str) -> Result<Listener, Error> {
        bind(&config(listen)).map(|(mut listeners, _)| listeners.pop().expect("one name, one listener").1)
    }

    /// A path for a socket file that no other test uses.
    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("hebra-{}-{name}.sock", std::process::id()))
    }

    #[test]
    fn accepted_sockets_inherit_their_options() {
        let listener = only("tcp://127.0.0.1:0").expect("loopback exists");
        let _client = TcpStream::connect(listener.address.tcp().expect("TCP")).expect("it listens");
        let (accepted, _) = listener.accept().expect("a client came");
        let limit = Some(Duration::from_secs(7));
        assert!(accepted.nodelay().expect("readable"));
        assert!(SockRef::from(&accepted).keepalive().expect("readable"));
        assert!(SockRef::from(&accepted).out_of_band_inline().expect("readable"));
        assert_eq!(accepted.write_timeout().expect("readable"), limit);
        #[cfg(target_os = "linux")]
        assert_eq!(SockRef::from(&accepted).tcp_user_timeout().expect("readable"), limit);
    }

    #[test]
    fn a_unix_socket_is_served_its_stale_file_replaced_and_its_own_removed() {
        let path = path("stale");
        let name = format!("unix:{}", path.display());
        // A server that was killed leaves its file.
        let killed = only(&name).expect("nobody listens");
        fs::hard_link(&path, path.with_extension("kept")).expect("the same directory");
        drop(killed);
        fs::rename(path.with_extension("kept"), &path).expect("the same directory");
        let listener = only(&name).expect("nobody answers on it");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o660);
        assert_eq!(listener.address.to_string(), name);
        let in_use = only(&name).expect_err("somebody answers").to_string();
        assert!(in_use.starts_with(&format!("cannot listen on {name}: ")), "{in_use}");
        let _client = UnixStream::connect(&path).expect("it listens");
        let (accepted, peer) = listener.accept().expect("a client came");
        assert_eq!((accepted.write_timeout().expect("readable"), peer), (Some(Duration::from_secs(7)), Peer::Unix));
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_server_that_is_starting_is_not_taken_for_a_stale_file() {
        let path = path("starting");
        let name = format!("unix:{}", path.display());
        // It has its file and does not listen yet.
        let starting = lock_folder(&path.to_string_lossy()).expect("nobody else starts");
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        socket.bind(&SockAddr::unix(&path).expect("a short name")).expect("nobody has it");
        thread::scope(|scope| {
            let second = scope.spawn(|| only(&name).map(drop));
            socket.listen(1).expect("it is bound");
            drop(starting);
            second.join().expect("it ends").expect_err("the first one listens");
        });
        fs::remove_file(&path).expect("it is ours");
    }

    #[test]
    fn a_file_that_is_no_socket_and_a_socket_of_another_are_left_alone() {
        let path = path("file");
        let name = format!("unix:{}", path.display());
        fs::write(&path, "precious").expect("a temporary directory");
        only(&name).expect_err("a file is in the way");
        assert_eq!(fs::read(&path).expect("it is there"), b"precious");
        fs::remove_file(&path).expect("it is ours");
        let first = only(&name).expect("nobody listens");
        fs::remove_file(&path).expect("it is ours");
        let second = only(&name).expect("nobody listens");
        drop(first);
        assert!(path.exists(), "the second one's");
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_name_without_a_file_and_a_socket_that_was_passed_in() {
        use std::os::linux::net::SocketAddrExt;

        let name = format!("hebra-{}", std::process::id());
        let listener = only(&format!("unix:@{name}")).expect("nobody has it");
        assert_eq!(listener.address.to_string(), format!("unix:@{name}"));
        let passed =
            adopt(vec![listener.socket.try_clone().expect("a descriptor is free").into()], &config("unused"));
        let (_, passed) = &passed.expect("it listens")[0];
        assert_eq!(passed.address, listener.address);
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name).expect("a short name");
        let mut client = UnixStream::connect_addr(&address).expect("it listens");
        drop(passed.accept().expect("a client came"));
        assert_eq!(client.read(&mut [0]).expect("it was closed"), 0);
        // What ends a blocked accept.
        passed.wake();
        passed.accept().expect_err("it no longer accepts");
    }

    #[test]
    fn a_listener_that_was_passed_in_is_given_back_as_it_was() {
        for is_nonblocking in [false, true] {
            let socket = only("127.0.0.1:0").expect("loopback exists");
            let owner = &socket.socket;
            let adopt = || {
                let descriptor = owner.try_clone().expect("a descriptor is free").into();
                adopt(vec![descriptor], &config("unused")).expect("it listens").pop().expect("one").1
            };
            let state = || (owner.read_timeout().expect("readable"), owner.nonblocking().expect("readable"));
            owner.set_nonblocking(is_nonblocking).expect("a socket");
            let before = state();
            assert_eq!(before, (None, is_nonblocking));
            let first = adopt();
            assert!(state().0.is_some() && !state().1);
            drop(first);
            assert_eq!(state(), before);
            // Many restarts at each of which the next server takes over before the last one stops.
            let mut server = adopt();
            for _ in 0..20 {
                let next = adopt();
                drop(std::mem::replace(&mut server, next));
                assert_eq!(state(), (server.patience, false), "the next accept must end");
                assert!(server.patience.is_some_and(|patience| patience <= 3 * LOOK_UP), "{:?}", server.patience);
            }
            drop(server);
            assert_eq!(state().0, None);
        }
    }
}
