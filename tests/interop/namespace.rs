//! Two hosts, each a network namespace, with a link between them that tests can spoil.
//!
//! A namespace has no name: it lives as long as the process that holds it, which ends with the test process, however
//! that ends. Nothing outside the two namespaces changes.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;

use crate::support::{FUSE, Program};
use crate::tool;

const SERVER: &str = "10.9.8.1";
const CLIENT: &str = "10.9.8.2";

/// The state of a listener in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Two hosts with one link.
pub(crate) struct Network {
    pub(crate) server: Host,
    pub(crate) client: Host,
}

/// A network namespace, with an interface `eth0`.
pub(crate) struct Host {
    holder: Child,
}

impl Network {
    /// Makes the hosts and the link. Returns `None` where that is not allowed, after one line that says so.
    pub(crate) fn new() -> Option<Self> {
        static MAY: OnceLock<bool> = OnceLock::new();
        let may = || {
            let probe = "ip link add eth0 type veth peer name eth1; nft add table ip probe";
            let output =
                Command::new("unshare").args(["-n", "sh", "-ec", probe]).output().expect("util-linux has it");
            // Written past the capture of the test harness, which hides what a passing test prints.
            let problem = String::from_utf8_lossy(&output.stderr);
            let line = format!("skipped: the tests of a bad network, which take root: {}", problem.trim());
            if !output.status.success() {
                drop(writeln!(io::stderr(), "{line}"));
            }
            output.status.success()
        };
        if !MAY.get_or_init(may) {
            return None;
        }
        let network = Self { server: Host::new(), client: Host::new() };
        let peer = network.client.holder.id();
        network.server.sh(&format!("ip link add eth0 type veth peer name eth0 netns {peer}"));
        for (host, address) in [(&network.server, SERVER), (&network.client, CLIENT)] {
            // Otherwise the kernel passes 64 KiB at once from one end to the other, whatever the link's MTU.
            host.sh(&format!("ip link set eth0 gso_max_segs 1 up; ip address add {address}/24 dev eth0"));
        }
        Some(network)
    }

    /// Starts `hebra` with these arguments, such as `serve`, on a free port of the server's host.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Program {
        let mut command = self.server.command(env!("CARGO_BIN_EXE_hebra"));
        let command = command.args(arguments).args(["--listen", &format!("{SERVER}:0")]);
        Program::spawn(command.env_remove("RUST_LOG").stdin(Stdio::null()), 1)
    }

    /// Waits until packets pass in both directions. For a moment after a link comes up, the kernel still reports that
    /// there is no route.
    pub(crate) fn wait_until_linked(&self) {
        let fuse = Instant::now() + FUSE;
        // Nothing listens on this port, and the server's host answers so.
        let probe = || self.client.run(|| TcpStream::connect((SERVER, 1)).expect_err("nothing listens"));
        while probe().kind() != ErrorKind::ConnectionRefused {
            assert!(Instant::now() < fuse, "{}", probe());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the server, which must not have to cut anything off. Returns its totals.
    pub(crate) fn stop(&self, server: &Program) -> String {
        self.wait_until_closed(server);
        server.signal(Signal::SIGINT);
        server.wait_for("stopping");
        server.wait_for("totals: ")
    }

    /// Waits until the server's host has no connection of the server.
    fn wait_until_closed(&self, server: &Program) {
        let fuse = Instant::now() + FUSE;
        while !self.server.sockets(server.address()).is_empty() {
            assert!(Instant::now() < fuse, "{:#?}", self.server.sockets(server.address()));
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Host {
    fn new() -> Self {
        let mut unshare = Command::new(tool("unshare"));
        let script = "ip link set lo up && echo ready && read -r end";
        let unshare = unshare.args(["--net", "sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = unshare.spawn().expect("unshare is installed");
        let mut line = String::new();
        let printed = holder.stdout.take().expect("piped");
        BufReader::new(printed).read_line(&mut line).expect("a pipe");
        // Owned from here on, so that it is killed if the assertion fails.
        let host = Self { holder };
        assert_eq!(line, "ready\n", "root must be allowed to make network namespaces");
        host
    }

    /// Returns a command that runs in the namespace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(tool("nsenter"));
        command.args([&format!("--net={}", self.namespace()), "--", program]);
        command
    }

    /// Runs a script in the namespace.
    pub(crate) fn sh(&self, script: &str) {
        let output = self.command("sh").args(["-ec", script]).output().expect("nsenter is installed");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs `work` on a thread in the namespace. A socket that it opens stays there, whichever thread uses it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(self.namespace()).expect("its holder runs");
        let enter = || setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter");
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Loses each packet that arrives with this probability, in percent.
    pub(crate) fn lose(&self, percent: u32) {
        self.sh(&format!(
            "nft add table inet loss; \
             nft 'add chain inet loss input {{ type filter hook input priority 0; }}'; \
             nft 'add rule inet loss input iifname eth0 numgen random mod 100 < {percent} drop'"
        ));
    }

    /// Takes the interface down or up. The other end notices that the carrier is gone, and gets no packet.
    pub(crate) fn set_link(&self, state: &str) {
        self.sh(&format!("ip link set eth0 {state}"));
    }

    /// Drops every packet, as if the host had lost its power, until [`Host::answer_again`].
    pub(crate) fn fall_silent(&self) {
        self.sh("nft add table inet silence; \
             nft 'add chain inet silence input { type filter hook input priority 0; policy drop; }'; \
             nft 'add chain inet silence output { type filter hook output priority 0; policy drop; }'");
    }

    pub(crate) fn answer_again(&self) {
        self.sh("nft delete table inet silence");
    }

    /// Returns the rows of `/proc/net/tcp` for connections of a local port that a process has open, or for which the
    /// kernel keeps data. After a clean end it keeps the addresses alone for a minute, as TCP asks for (TIME-WAIT).
    pub(crate) fn sockets(&self, address: SocketAddr) -> Vec<String> {
        let table = fs::read_to_string(format!("/proc/{}/net/tcp", self.holder.id())).expect("its holder runs");
        let port = format!(":{:04X}", address.port());
        let is_left = |row: &&str| {
            let fields: Vec<&str> = row.split_whitespace().collect();
            let [local, state, queues, inode] = [1, 3, 4, 9].map(|index| fields[index]);
            local.ends_with(&port) && state != LISTEN && (inode != "0" || queues != "00000000:00000000")
        };
        table.lines().skip(1).filter(is_left).map(str::to_owned).collect()
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It has ended if the namespace could not be made.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
