//! Servers in processes of their own, on free loopback ports.
//!
//! Dropping a [`Process`] kills its process group. A watchdog does the same if this process dies first.

use std::env;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::super::output::named;

/// The backlog of all servers whose backlog can be chosen.
pub(crate) const BACKLOG: i32 = 4096;

/// Longest time from the start of a server until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The most bytes of a line that announces an address.
const LONGEST_LINE: usize = 256;

/// Interval between two checks that a server listens.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// A running server with all processes that it starts: they form one session, and so one process group.
///
/// A session is also a scheduling group of its own (autogroup), as a service manager's services and containers are. In
/// the group of the client a server that yields would look faster than it is.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
    watchdog: Child,
}

impl Process {
    /// Starts a server that prints `listening on ADDRESS` as its first line. Its output goes to the file `log`: a pipe
    /// would keep this process busy with reading it.
    pub(crate) fn announced(command: &mut Command, log: &Path) -> io::Result<Self> {
        Self::start(command, log, |output| {
            let mut printed = [0; LONGEST_LINE];
            let length = output.read_at(&mut printed, 0).ok()?;
            let (first, _) = str::from_utf8(&printed[..length]).ok()?.split_once('\n')?;
            first.strip_prefix("listening on ")?.parse().ok()
        })
    }

    /// Returns the process id of the server.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Starts a server and waits until `listening` returns its address, perhaps from its output so far, which goes to the
    /// file `log`.
    pub(crate) fn start(
        command: &mut Command,
        log: &Path,
        listening: impl Fn(&File) -> Option<SocketAddr>,
    ) -> io::Result<Self> {
        let (output, errors) = (replace(log)?, replace(&log.with_extension("err"))?);
        let mut command = in_session(command)?;
        let child = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(errors).spawn();
        let child = child.map_err(|error| named(Path::new(command.get_program()), &error))?;
        let mut process = Self::watched(child)?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(address) = listening(&output) {
                process.address = address;
                return Ok(process);
            }
            if process.child.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(io::Error::other(format!(
                    "the server does not listen, see {} and .err",
                    log.display()
                )));
            }
            thread::sleep(CHECK_INTERVAL);
        }
    }

    /// Adds a watchdog to a child. The watchdog's input ends when this process does, for whatever reason.
    fn watched(mut child: Child) -> io::Result<Self> {
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", "read -r _; kill -KILL -- \"-$0\" 2>/dev/null", &child.id().to_string()]);
        // It has a process group of its own, so that Ctrl-C does not end it before it has killed the server.
        let watchdog = watchdog.stdin(Stdio::piped()).process_group(0).spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self { address: (Ipv4Addr::LOCALHOST, 0).into(), child, watchdog }),
            Err(error) => {
                child.kill()?;
                Err(error)
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog ends first: once the server is reaped, its id may belong to another process.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        // If it has no session of its own yet, the group does not exist.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Creates a file in place of an older one. It is a file of its own, so that two programs which start servers with the
/// same log each read the address of their own server.
fn replace(path: &Path) -> io::Result<File> {
    let removed = fs::remove_file(path).or_else(|error| match error.kind() {
        ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    removed.and_then(|()| File::create_new(path)).map_err(|error| named(path, &error))
}

/// Returns the command that runs `command` in a session of its own. It keeps its process id.
///
/// # Errors
///
/// The program is not installed.
fn in_session(command: &Command) -> io::Result<Command> {
    let program = command.get_program();
    let is_file = |directory: PathBuf| directory.join(program).is_file();
    if !env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(is_file) {
        return Err(named(Path::new(program), &ErrorKind::NotFound.into()));
    }
    let mut wrapped = Command::new("setsid");
    wrapped.arg(program).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    Ok(wrapped)
}

/// Starts a hebra program that echoes datagrams, without a limit of answers, with additional `flags`.
pub(crate) fn hebra_udp(program: &Path, flags: &[&str], log: &Path) -> io::Result<Process> {
    let mut command = Command::new(program);
    command.args(["udp", "serve", "--listen", "127.0.0.1:0", "--echo", "--rate", "off"]);
    command.args(flags).env_remove("RUST_LOG");
    Process::announced(&mut command, log)
}

/// Starts a hebra program with `clients` workers and additional `flags`.
pub(crate) fn hebra(program: &Path, clients: usize, flags: &[&str], log: &Path) -> io::Result<Process> {
    let mut command = Command::new(program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--max-pending", "4096"]);
    command.args(["--backlog", &BACKLOG.to_string(), "--workers", &clients.to_string()]);
    command.args(flags).env_remove("RUST_LOG");
    Process::announced(&mut command, log)
}
