//! Servers in processes of their own: started on a free loopback port, and killed by their id when they are
//! no longer needed - even if this process dies, because a watchdog waits for that.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a server may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
    watchdog: Child,
}

impl Process {
    /// Starts a server that prints `listening on ADDRESS` as its first line. Whatever else it prints, and its
    /// standard error, goes to `log`.
    pub(crate) fn announced(command: &mut Command, log: &Path) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(log)?).spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("standard output was piped"))?;
        let mut process = Self::watched(child, (Ipv4Addr::LOCALHOST, 0).into())?;
        let (sender, line) = mpsc::channel();
        let mut log = File::options().append(true).open(log)?;
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            let read = stdout.read_line(&mut line).map(|_| line);
            let _ = sender.send(read);
            // A server that prints must find a reader.
            let _ = io::copy(&mut stdout, &mut log);
        });
        let line = line.recv_timeout(START_TIMEOUT).map_err(|_| io::Error::other("it does not listen"))??;
        let address = line.trim().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        process.address = address.ok_or_else(|| io::Error::other(format!("it printed {line:?}")))?;
        Ok(process)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn watched(mut child: Child, address: SocketAddr) -> io::Result<Self> {
        // Its input ends when this process does, however that comes.
        let script = ["-c", "read -r _; kill \"$0\" 2>/dev/null"];
        let watchdog = Command::new("sh").args(script).arg(child.id().to_string()).stdin(Stdio::piped()).spawn();
        match watchdog {
            Ok(watchdog) => Ok(Self { address, child, watchdog }),
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
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A hebra with a worker for each of so many clients. `flags` are added.
pub(crate) fn hebra(clients: usize, flags: &[&str], log: &Path) -> io::Result<Process> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebra"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--backlog", "4096", "--max-pending", "4096", "--workers"]);
    command.arg(clients.to_string()).args(flags).env_remove("RUST_LOG");
    Process::announced(&mut command, log)
}

/// Where results go: `bench` in cargo's target directory.
pub(crate) fn results() -> io::Result<PathBuf> {
    // cargo gives benchmarks a folder of their own in the target directory.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new(".")).join("bench");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}
