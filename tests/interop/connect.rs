//! `hebra connect` with ncat and with hebra as the server, on a terminal and in a pipe.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rexpect::session::PtySession;

use crate::support::{
    Program, assert_same, connect_command, connect_on_terminal, free_address, random_bytes, terminal,
};
use crate::{pipe, tool};

const LENGTH: usize = 16 << 20;

/// Starts ncat as a server whose standard output is piped, and waits until it listens. Each test passes a host of its
/// own, so that the free port stays free until ncat binds it.
fn ncat(host: &str, flags: &[&str], input: impl Into<Stdio>) -> (Child, SocketAddr) {
    let address = free_address(host);
    let mut command = Command::new(tool("ncat"));
    command.args(["-v", "-l", host, &address.port().to_string()]).args(flags);
    let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it exists");
    let errors = BufReader::new(child.stderr.take().expect("piped"));
    // ncat goes on to report its client. The pipe is read to the end, so that it never blocks.
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
    // Without a prompt the terminal would not pass Ctrl-D on.
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

/// Starts `hebra connect` in a shell on a terminal, and types half a line. The shell prints the settings of the terminal
/// when `hebra connect` has ended. Returns the terminal, and the process id of the shell.
fn type_half_a_line(server: &Program) -> (PtySession, u32) {
    let connect = connect_command(&[&server.address().to_string()]);
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$; \"$0\" \"$@\"; stty -a"]).arg(connect.get_program()).args(connect.get_args());
    command.env("TERM", "xterm");
    let mut terminal = terminal(command);
    let shell = terminal.read_line().expect("it prints its id").trim().parse().expect("a process id");
    terminal.exp_string("> ").expect("a prompt");
    terminal.send("half a l").expect("it runs");
    terminal.flush().expect("it runs");
    terminal.exp_string("half a l").expect("the typed text is shown");
    (terminal, shell)
}

#[test]
fn the_settings_of_the_terminal_are_restored_after_a_signal() {
    let server = Program::serve(&[]);
    let (mut terminal, shell) = type_half_a_line(&server);
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).expect("it runs");
    let connect = Pid::from_raw(children.trim().parse().expect("one process"));
    kill(connect, Signal::SIGTERM).expect("it runs");
    let settings = terminal.exp_eof().expect("it ends");
    assert!(settings.contains(" icanon"), "{settings}");
}

#[test]
fn the_settings_of_the_terminal_are_restored_when_the_server_closes_while_a_line_is_typed() {
    let server = Program::serve(&["--idle-timeout", "100ms"]);
    let (mut terminal, _) = type_half_a_line(&server);
    let settings = terminal.exp_eof().expect("it ends");
    assert!(settings.contains("idle: "), "{settings}");
    assert!(settings.contains(" icanon"), "{settings}");
}
