//! `hebra connect` against ncat as the server, and against hebra: on a terminal and in a pipe.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rexpect::session::{PtySession, spawn_command};

use crate::support::{FUSE, Program, assert_same, connect_command, connect_on_terminal, random_bytes};
use crate::{pipe, tool};

const LENGTH: usize = 16 << 20;

/// ncat that listens, as a child whose standard output is piped, once it does. Each test has an address of its
/// own, so that the free port stays free until ncat takes it.
fn ncat(host: &str, flags: &[&str], input: impl Into<Stdio>) -> (Child, SocketAddr) {
    let address = TcpListener::bind((host, 0)).and_then(|listener| listener.local_addr()).expect("a free port");
    let mut command = Command::new(tool("ncat"));
    command.args(["-v", "-l", host, &address.port().to_string()]).args(flags);
    let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it exists");
    let errors = BufReader::new(child.stderr.take().expect("piped"));
    // It goes on to tell of its client, and is let do so.
    let mut lines = errors.lines().map_while(Result::ok);
    lines.find(|line| line.contains("Listening on")).expect("it listens");
    std::thread::spawn(move || lines.for_each(drop));
    (child, address)
}

#[test]
fn sixteen_mebibytes_reach_ncat_unchanged() {
    let (mut server, address) = ncat("127.0.2.1", &["--recv-only"], Stdio::null());
    let input = random_bytes(LENGTH);
    let mut stdout = server.stdout.take().expect("piped");
    let received = std::thread::spawn(move || {
        let mut received = Vec::new();
        stdout.read_to_end(&mut received).map(|_| received)
    });
    assert_eq!(pipe(&mut connect_command(&[&address.to_string()]), &input), b"");
    assert_same(&received.join().expect("it only reads").expect("a pipe"), &input);
    server.wait().expect("it was started");
}

#[test]
fn sixteen_mebibytes_come_from_ncat_unchanged() {
    let file = format!("{}/connect-input", env!("CARGO_TARGET_TMPDIR"));
    let input = random_bytes(LENGTH);
    fs::write(&file, &input).expect("it is written");
    let (mut server, address) = ncat("127.0.2.2", &["--send-only"], File::open(&file).expect("it exists"));
    assert_same(&pipe(&mut connect_command(&[&address.to_string()]), b""), &input);
    server.wait().expect("it was started");
}

#[test]
fn sixteen_mebibytes_come_back_from_hebra_unchanged() {
    let server = Program::serve(&["--framing", "raw"]);
    let input = random_bytes(LENGTH);
    assert_same(&pipe(&mut connect_command(&[&server.address().to_string()]), &input), &input);
    server.wait_for("disconnected: end of stream");
}

#[test]
fn a_line_comes_back_from_ncat_on_a_terminal_and_ctrl_d_ends() {
    let (mut server, address) = ncat("127.0.2.3", &["--exec", "/bin/cat"], Stdio::null());
    let mut terminal = connect_on_terminal(address);
    terminal.send_line("hola").expect("it runs");
    terminal.exp_string("hola").expect("the line");
    terminal.exp_string("hola\r\n").expect("its echo");
    // Between two lines the terminal would take Ctrl-D for itself.
    terminal.exp_string("> ").expect("a prompt");
    terminal.send_control('d').expect("it runs");
    terminal.exp_eof().expect("it ends");
    server.wait().expect("it was started");
}

#[test]
fn a_line_comes_back_from_hebra_on_a_terminal_and_bye_ends() {
    let server = Program::serve(&[]);
    let mut terminal = connect_on_terminal(server.address());
    terminal.send_line("hola").expect("it runs");
    terminal.exp_string("hola").expect("the line");
    terminal.exp_string("hola\r\n").expect("its echo");
    terminal.send_line("bye").expect("it runs");
    terminal.exp_eof().expect("it ends");
    server.wait_for("disconnected: bye");
}

/// Half a line typed at connect's prompt, on a terminal that tells its settings afterwards; and the process that
/// connect is the child of.
fn type_half_a_line(server: &Program) -> (PtySession, u32) {
    let connect = connect_command(&[&server.address().to_string()]);
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$; \"$0\" \"$@\"; stty -a"]).arg(connect.get_program()).args(connect.get_args());
    command.env("TERM", "xterm");
    let mut terminal = spawn_command(command, Some(FUSE.as_millis() as u64)).expect("a terminal");
    let shell = terminal.read_line().expect("it tells").trim().parse().expect("a process id");
    terminal.exp_string("> ").expect("a prompt");
    terminal.send("half a l").expect("it runs");
    terminal.flush().expect("it runs");
    terminal.exp_string("half a l").expect("it shows what is typed");
    (terminal, shell)
}

#[test]
fn a_terminal_has_its_settings_back_after_a_signal() {
    let server = Program::serve(&[]);
    let (mut terminal, shell) = type_half_a_line(&server);
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).expect("it runs");
    let connect = Pid::from_raw(children.trim().parse().expect("one process"));
    kill(connect, Signal::SIGTERM).expect("it runs");
    let settings = terminal.exp_eof().expect("it ends");
    assert!(settings.contains(" icanon"), "{settings}");
}

#[test]
fn a_terminal_has_its_settings_back_when_the_server_closes_while_a_line_is_typed() {
    let server = Program::serve(&["--idle-timeout", "100ms"]);
    let (mut terminal, _) = type_half_a_line(&server);
    let settings = terminal.exp_eof().expect("it ends");
    assert!(settings.contains("idle: "), "{settings}");
    assert!(settings.contains(" icanon"), "{settings}");
}
