//! The terminal is given back, whatever ends or stops a program that edits lines, and is left alone in the background.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::sys::wait::WaitStatus;
use rexpect::session::PtySession;

use crate::support::{
    chat_command, chat_on_terminal, connect, connect_command, connect_on_terminal, listen, terminal,
};

/// The keys that suspend a program.
const CTRL_Z: &str = "\x1a";

/// Returns whether the terminal edits lines and makes signals of keys, as a shell leaves it to a program.
fn is_cooked(terminal: &PtySession) -> bool {
    let wanted = LocalFlags::ICANON | LocalFlags::ISIG;
    let handle = terminal.process().get_file_handle().expect("a terminal");
    tcgetattr(handle).expect("a terminal").local_flags.contains(wanted)
}

/// Waits for the end of the program. Asserts that the terminal is as it was, marks around pasted text included.
fn given_back(terminal: &mut PtySession) -> WaitStatus {
    let last = terminal.exp_eof().expect("it ends");
    assert!(is_cooked(terminal), "{last:?}");
    assert!(last.contains("\x1b[?2004l"), "{last:?}");
    terminal.process().wait().expect("it was started")
}

/// Starts a shell with job control, which runs `script` with `command` as `"$@"`. It goes on when Ctrl-C ends the command.
fn shell(script: &str, command: &Command) -> PtySession {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("set -m; trap : INT; {script}"), "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    shell.env("TERM", "xterm");
    terminal(shell)
}

/// Returns the command of a client, which edits lines as a chat does.
fn client(server: SocketAddr) -> Command {
    connect_command(&[&server.to_string()])
}

fn type_keys(terminal: &mut PtySession, keys: &str) {
    terminal.send(keys).expect("it runs");
    terminal.flush().expect("it runs");
}

#[test]
fn every_signal_that_ends_the_client_gives_the_terminal_back_first() {
    let (_listener, address) = listen();
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGALRM,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGPROF,
    ] {
        let mut terminal = connect_on_terminal(address);
        assert!(!is_cooked(&terminal));
        terminal.process_mut().signal(signal).expect("it runs");
        match given_back(&mut terminal) {
            WaitStatus::Signaled(_, ended_by, _) => assert_eq!(ended_by as i32, signal as i32),
            other => panic!("{signal}: {other:?}"),
        }
    }
}

#[test]
fn a_server_that_closes_and_a_bye_give_the_terminal_back() {
    let (listener, address) = listen();
    let mut terminal = connect_on_terminal(address);
    drop(listener.accept().expect("it connects"));
    assert!(matches!(given_back(&mut terminal), WaitStatus::Exited(_, 0)));
    let (mut terminal, _) = chat_on_terminal(&[]);
    terminal.send_line("bye").expect("it runs");
    assert!(matches!(given_back(&mut terminal), WaitStatus::Exited(_, 0)));
}

#[test]
fn signals_that_end_a_chat_give_the_terminal_back() {
    for (signal, code) in [(Signal::SIGTERM, Some(0)), (Signal::SIGHUP, Some(0)), (Signal::SIGQUIT, None)] {
        let (mut terminal, _) = chat_on_terminal(&[]);
        assert!(!is_cooked(&terminal));
        terminal.process_mut().signal(signal).expect("it runs");
        match given_back(&mut terminal) {
            WaitStatus::Exited(_, ended) => assert_eq!(Some(ended), code),
            WaitStatus::Signaled(_, ended_by, _) => assert_eq!((ended_by as i32, code), (signal as i32, None)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_second_signal_gives_the_terminal_of_a_chat_back() {
    let (mut terminal, address) = chat_on_terminal(&["--room", "--drain-timeout", "1h"]);
    // A client that goes on sending holds up the stop.
    let mut client = connect(address);
    terminal.exp_string("<1> joined").expect("it is there");
    let sending = thread::spawn(move || while client.write_all(b"hola\n").is_ok() {});
    // Signals that come soon after the first are one request with it.
    let ended = loop {
        match terminal.process().status() {
            Some(WaitStatus::StillAlive) => {}
            ended => break ended,
        }
        // It may have ended meanwhile.
        let _ = terminal.process_mut().signal(Signal::SIGTERM);
        thread::sleep(Duration::from_millis(20));
    };
    let last = terminal.exp_eof().expect("it ends");
    assert!(is_cooked(&terminal) && last.contains("\x1b[?2004l"), "{last:?}");
    assert!(matches!(ended, Some(WaitStatus::Exited(_, 3))), "{ended:?}");
    sending.join().expect("it only sends");
}

#[test]
fn a_program_that_is_suspended_lends_the_terminal_and_redraws_its_line_when_it_continues() {
    let (listener, address) = listen();
    for command in [client(address), chat_command(&[])] {
        let mut shell =
            shell("\"$@\"; echo stopped; read line; fg; echo stopped; read line; fg; echo over", &command);
        shell.exp_string("> ").expect("a prompt");
        type_keys(&mut shell, "half");
        shell.exp_string("half").expect("it is shown");
        for _ in 0..2 {
            type_keys(&mut shell, CTRL_Z);
            shell.exp_string("stopped").expect("the shell goes on");
            assert!(is_cooked(&shell));
            type_keys(&mut shell, "\n");
            shell.exp_string("> half").expect("the line is drawn again");
            assert!(!is_cooked(&shell));
        }
        shell.send_control('c').expect("it runs");
        shell.exp_string("over").expect("the shell goes on");
        assert!(is_cooked(&shell));
    }
    drop(listener);
}

#[test]
fn a_suspended_program_ends_by_a_signal_without_touching_the_terminal() {
    let (listener, address) = listen();
    for command in [client(address), chat_command(&[])] {
        let mut shell = shell("\"$@\"; echo stopped; kill %1; bg; wait; echo over", &command);
        shell.exp_string("> ").expect("a prompt");
        type_keys(&mut shell, CTRL_Z);
        shell.exp_string("stopped").expect("the shell goes on");
        shell.exp_string("over").expect("it ends");
        assert!(is_cooked(&shell));
    }
    drop(listener);
}

#[test]
fn a_program_in_the_background_leaves_the_terminal_alone_until_it_is_in_the_foreground() {
    let (listener, address) = listen();
    for command in [client(address), chat_command(&[])] {
        let is_client = command.get_args().next().is_some_and(|name| name == "connect");
        let mut shell = shell("\"$@\" & read line; jobs; fg; echo over", &command);
        let server = if is_client {
            Some(listener.accept().expect("it connects in the background").0)
        } else {
            shell.exp_string("listening on ").expect("it listens in the background");
            None
        };
        // Long enough for a program that would set the terminal's modes.
        thread::sleep(Duration::from_millis(300));
        assert!(is_cooked(&shell));
        type_keys(&mut shell, "\n");
        shell.exp_string("Running").expect("it is not stopped");
        shell.exp_string("> ").expect("a prompt in the foreground");
        assert!(!is_cooked(&shell));
        shell.send_control('c').expect("it runs");
        shell.exp_string("over").expect("the shell goes on");
        assert!(is_cooked(&shell));
        drop(server);
    }
}

#[test]
fn a_suspended_program_that_continues_in_the_background_waits_for_the_foreground() {
    let (listener, address) = listen();
    for command in [client(address), chat_command(&[])] {
        let mut shell = shell("\"$@\"; bg; echo stopped; read line; jobs; fg; echo over", &command);
        shell.exp_string("> ").expect("a prompt");
        type_keys(&mut shell, "half");
        shell.exp_string("half").expect("it is shown");
        type_keys(&mut shell, CTRL_Z);
        shell.exp_string("stopped").expect("the shell goes on");
        // Long enough for a program that would read from the terminal.
        thread::sleep(Duration::from_millis(300));
        assert!(is_cooked(&shell));
        type_keys(&mut shell, "\n");
        shell.exp_string("Running").expect("it is not stopped");
        shell.exp_string("> half").expect("the line is drawn again");
        assert!(!is_cooked(&shell));
        shell.send_control('c').expect("it runs");
        shell.exp_string("over").expect("the shell goes on");
    }
    drop(listener);
}

#[test]
fn a_program_in_the_background_ends_by_a_signal() {
    let (listener, address) = listen();
    let mut shell = shell("\"$@\" & read line; kill %1; wait; echo over", &client(address));
    let _server = listener.accept().expect("it connects in the background");
    type_keys(&mut shell, "\n");
    shell.exp_string("over").expect("it ends");
    assert!(is_cooked(&shell));
}

#[test]
fn lines_pasted_by_an_operator_are_as_many_messages() {
    let (mut terminal, address) = chat_on_terminal(&["--room"]);
    let client = connect(address);
    terminal.exp_string("joined").expect("the client is there");
    type_keys(&mut terminal, "\x1b[200~one\rtwo\x1b[201~\r");
    let lines: Vec<String> = BufReader::new(client).lines().take(2).map_while(Result::ok).collect();
    assert_eq!(lines, ["<operator> one", "<operator> two"]);
}
