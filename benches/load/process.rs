//! Servers in processes of their own: started on a free loopback port, and killed by their id when they are
//! no longer needed - even if this process dies, because a watchdog waits for that.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Of the servers whose backlog can be chosen.
pub(crate) const BACKLOG: i32 = 4096;

/// How long a server may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(5);

/// A running server, and all processes that it starts: they are a group of their own.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
    watchdog: Child,
}

impl Process {
    /// Starts a server that prints `listening on ADDRESS` as its first line. All that it prints goes to `log`,
    /// as when people run a server, so that nobody is kept busy here by reading it.
    pub(crate) fn announced(command: &mut Command, log: &Path) -> io::Result<Self> {
        Self::start(command, log, || {
            let printed = fs::read_to_string(log).ok()?;
            let (first, _) = printed.split_once('\n')?;
            first.strip_prefix("listening on ")?.parse().ok()
        })
    }

    /// Starts a server that has to be told its port and does not say when it listens.
    pub(crate) fn silent(command: impl FnOnce(SocketAddr) -> Command, log: &Path) -> io::Result<Self> {
        // Whoever else takes this port in between makes the start fail, and nothing worse.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        Self::start(&mut command(address), log, || TcpStream::connect(address).ok().map(|_| address))
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn start(command: &mut Command, log: &Path, listening: impl Fn() -> Option<SocketAddr>) -> io::Result<Self> {
        let (output, errors) = (File::create(log)?, File::create(log.with_extension("err"))?);
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0).spawn()?;
        let mut process = Self::watched(child)?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(address) = listening() {
                process.address = address;
                return Ok(process);
            }
            if process.child.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(io::Error::other(format!("it does not listen, see {} and .err", log.display())));
            }
            thread::sleep(LOOK);
        }
    }

    /// A child with a watchdog, whose input ends when this process does, however that comes.
    fn watched(mut child: Child) -> io::Result<Self> {
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", "read -r _; kill -KILL -- \"-$0\" 2>/dev/null", &child.id().to_string()]);
        // In a group of its own too, so that Ctrl-C does not end it before it has done its work.
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
        // The watchdog first: once the server is reaped, its id may be another's.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// A hebra with a worker for each of so many clients. `flags` are added.
pub(crate) fn hebra(clients: usize, flags: &[&str], log: &Path) -> io::Result<Process> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebra"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--max-pending", "4096"]);
    command.args(["--backlog", &BACKLOG.to_string(), "--workers", &clients.to_string()]);
    command.args(flags).env_remove("RUST_LOG");
    Process::announced(&mut command, log)
}

/// Where results go: `bench` in cargo's target directory.
pub(crate) fn results() -> io::Result<PathBuf> {
    // cargo gives benchmarks a folder of their own in the target directory.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new(".")).join("bench");
    fs::create_dir_all(&directory)?;
    Ok(directory)
}
