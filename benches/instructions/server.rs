//! A hebra with one worker under valgrind, whose tool callgrind counts instructions.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longest wait for the server.
const FUSE: Duration = Duration::from_secs(60);

/// Interval between two looks at the threads: more than the millisecond for which the logging thread rests.
const PAUSE: Duration = Duration::from_millis(3);

pub(crate) struct Server {
    valgrind: Child,
    address: String,
    /// What callgrind writes at the end.
    profile: PathBuf,
}

impl Server {
    /// Starts a server and waits until it listens. The instructions of `function` are counted, with those of all that it
    /// calls. The start and end of a thread are not: they differ by thousands from run to run.
    pub(crate) fn start(function: &str, flags: &[&str]) -> io::Result<Self> {
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("instructions-{}", process::id()));
        let mut command = Command::new("valgrind");
        command.arg("--tool=callgrind").arg(format!("--toggle-collect={function}"));
        command.arg(format!("--callgrind-out-file={}", profile.display())).arg(env!("CARGO_BIN_EXE_hebra"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--workers", "1"]).args(flags);
        // No variable changes what hebra or valgrind does.
        command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let valgrind = command.spawn().map_err(|error| io::Error::other(format!("valgrind: {error}")))?;
        let mut server = Self { valgrind, address: String::new(), profile };
        let mut line = String::new();
        server.valgrind.stdout.take().map(|output| BufReader::new(output).read_line(&mut line)).transpose()?;
        let Some(address) = line.trim_end().strip_prefix("listening on ") else {
            return Err(io::Error::other(format!("it does not listen: {command:?}")));
        };
        server.address.push_str(address);
        Ok(server)
    }

    /// Connects a client, and waits until the server waits for its first message.
    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        let client = TcpStream::connect(&self.address)?;
        client.set_read_timeout(Some(FUSE))?;
        self.settle()?;
        Ok(client)
    }

    /// Waits until all threads sleep, and none ran between two looks. So each repetition finds them in the same state,
    /// however busy the machine is: a thread that is still awake would spare others the work of waking it.
    pub(crate) fn settle(&self) -> io::Result<()> {
        let began = Instant::now();
        let mut before = String::new();
        while began.elapsed() < FUSE {
            let now = self.threads()?;
            let mut states = now.lines().filter(|line| line.starts_with("State:"));
            if now == before && states.all(|state| state.contains("S (sleeping)")) {
                return Ok(());
            }
            before = now;
            thread::sleep(PAUSE);
        }
        Err(io::Error::other("the threads of the server do not fall asleep"))
    }

    /// Returns the state of each thread, and how often it was on a core.
    fn threads(&self) -> io::Result<String> {
        let mut threads = String::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.valgrind.id()))? {
            let status = fs::read_to_string(task?.path().join("status"))?;
            let lines = status.lines().filter(|line| line.starts_with("State:") || line.contains("ctxt_switches:"));
            lines.for_each(|line| threads.extend([line, "\n"]));
        }
        Ok(threads)
    }

    /// Stops the server. Returns how many instructions it executed in the function.
    pub(crate) fn stop(mut self) -> io::Result<u64> {
        // A session that has not ended yet would end in another way.
        self.settle()?;
        kill(Pid::from_raw(self.valgrind.id().cast_signed()), Signal::SIGTERM)?;
        self.valgrind.wait()?;
        let profile = fs::read_to_string(&self.profile)?;
        let totals = profile.lines().find_map(|line| line.strip_prefix("totals: ")?.parse().ok());
        totals.ok_or_else(|| io::Error::other("callgrind has counted nothing"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.valgrind.kill();
        let _ = self.valgrind.wait();
        let _ = fs::remove_file(&self.profile);
    }
}

/// Sends lines of 64 bytes, `size` bytes in all, and waits for their echo.
pub(crate) fn exchange(client: &mut TcpStream, size: usize) -> io::Result<()> {
    let message = [[b'x'; 63].as_slice(), b"\n"].concat().repeat(size / 64);
    client.write_all(&message)?;
    let mut echo = vec![0; size];
    client.read_exact(&mut echo)?;
    if echo == message { Ok(()) } else { Err(io::Error::other("a message came back altered")) }
}
