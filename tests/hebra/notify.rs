//! What a service manager is told: ready, status, progress, stopping (`NOTIFY_SOCKET`).

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use nix::sys::signal::Signal;

use crate::support::{FUSE, Program, clog, connect_served};

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("hebra-{}-{name}.notify", process::id()));
        let socket = UnixDatagram::bind(&path).expect("a temporary directory");
        socket.set_read_timeout(Some(FUSE)).expect("a valid timeout");
        Self { socket, path }
    }

    fn serve(&self, flags: &[&str], watchdog: Option<Duration>) -> Program {
        let mut command = Program::command();
        command.args(["--listen", "127.0.0.1:0"]).args(flags).env("NOTIFY_SOCKET", &self.path);
        if let Some(interval) = watchdog {
            command.env("WATCHDOG_USEC", interval.as_micros().to_string());
        }
        Program::spawn(&mut command, 1)
    }

    /// Waits for a notification that has a line which begins with `start`, and returns the rest of the line.
    fn wait_for(&self, start: &str) -> String {
        loop {
            let mut buffer = [0; 1024];
            let length = self.socket.recv(&mut buffer).expect("a notification comes");
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if let Some(rest) = text.lines().find_map(|line| line.strip_prefix(start)) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns a port of 127.0.3.7 that is free.
fn free() -> SocketAddr {
    crate::support::free_address("127.0.3.7")
}

#[test]
fn a_server_is_ready_once_its_port_accepts_and_its_status_follows() {
    let manager = Manager::new("ready");
    // The port is known before, so that nothing but the notification says that it accepts.
    let address = free();
    let mut command = Program::command();
    command.args(["--listen", &address.to_string()]).env("NOTIFY_SOCKET", &manager.path);
    let program = Program::spawn(&mut command, 0);
    manager.wait_for("READY=1");
    let _client = connect_served(address);
    while manager.wait_for("STATUS=") != "live=1 waiting=0" {}
    program.signal(Signal::SIGTERM);
    manager.wait_for("STOPPING=1");
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn the_stop_is_reported_before_the_last_session_ends() {
    let manager = Manager::new("stopping");
    let program = manager.serve(&["--drain-timeout", "5s", "--stats-interval", "10ms"], None);
    let client = clog(program.address(), || program.next_totals());
    program.signal(Signal::SIGTERM);
    let began = Instant::now();
    manager.wait_for("STOPPING=1");
    // Nothing but the client or the deadline ends the session.
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(program.status("Threads").min(1), 1, "it runs");
    drop(client);
    program.finish();
}

#[test]
fn a_healthy_server_pings_the_watchdog_twice_in_each_interval() {
    let manager = Manager::new("watchdog");
    let program = manager.serve(&[], Some(Duration::from_millis(400)));
    let began = Instant::now();
    for _ in 0..5 {
        manager.wait_for("WATCHDOG=1");
    }
    // The first comes at once.
    assert!(began.elapsed() >= Duration::from_millis(600), "{:?}", began.elapsed());
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn a_manager_that_does_not_read_delays_no_stop() {
    let manager = Manager::new("deaf");
    let program = manager.serve(&[], Some(Duration::from_millis(4)));
    connect_served(program.address());
    // By now its pings fill the socket.
    std::thread::sleep(Duration::from_millis(200));
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, Some(0));
}
