//! `make run`, from the first line to Ctrl-C.

use std::process::Command;
use std::time::Duration;

use rexpect::process::{Signal, WaitStatus};
use rexpect::session::spawn_command;

use crate::support::{connect, exchange, read_to_end, say_bye};
use crate::tool;

/// The first run builds the program.
const BUILD_FUSE: Duration = Duration::from_secs(600);

#[test]
fn make_run_serves_until_ctrl_c_and_drains() {
    let mut command = Command::new(tool("make"));
    command.args(["run", "ARGS=--listen 127.0.0.1:0"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    // A make that runs the tests would pass these on, and a person's make has none of them.
    for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "RUST_LOG"] {
        command.env_remove(name);
    }
    let mut terminal = spawn_command(command, Some(BUILD_FUSE.as_millis() as u64)).expect("a terminal");
    terminal.exp_string("\nlistening on ").expect("it builds and starts");
    let address = terminal.read_line().expect("the rest of the line").parse().expect("an address");
    let mut client = connect(address);
    assert_eq!(exchange(&mut client, b"hello"), b"hello");
    let mut leaver = connect(address);
    assert_eq!(exchange(&mut leaver, b"hola"), b"hola");
    say_bye(&mut leaver);
    terminal.send_control('c').expect("it runs");
    assert_eq!(read_to_end(&mut client), b"");
    let rest = terminal.exp_eof().expect("it ends");
    assert!(rest.contains("totals: accepted=2"), "{rest}");
    // If the server had failed, make would print `make: *** [Makefile:15: run] Error 3`.
    assert!(!rest.contains("***"), "{rest}");
    // make ends by the signal, so that the shell knows of the Ctrl-C.
    let end = terminal.process().wait().expect("it was started");
    assert!(matches!(end, WaitStatus::Signaled(_, Signal::SIGINT, _)), "{end:?}");
}
