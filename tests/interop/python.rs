//! Clients that use Python's socket module: that of textbooks, and fifty at once.

use std::process::Command;

use crate::support::Program;
use crate::{pipe, tool};

/// Returns the command `python3` with `script`, and with the host and port of the server as its arguments.
pub(crate) fn python(script: &[&str], server: &Program) -> Command {
    let address = server.address();
    let mut command = Command::new(tool("python3"));
    command.args(script).args([address.ip().to_string(), address.port().to_string()]);
    command
}

#[test]
fn the_textbook_client_is_answered_without_a_newline() {
    let server = Program::serve(&[]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/textbook_client.py");
    let printed = pipe(&mut python(&[script], &server), b"");
    assert_eq!(printed, b"received: Hola, servidor!\nend of stream\n");
}

/// Fifty threads, each with a connection and a hundred messages that no other thread sends.
const FIFTY: &str = r#"
import concurrent.futures, socket, sys

def talk(client):
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60) as server:
        for number in range(100):
            message = f"client {client}, message {number}".encode()
            server.sendall(message)
            echo = b""
            while len(echo) < len(message):
                piece = server.recv(4096)
                assert piece, "the server closed"
                echo += piece
            assert echo == message, (echo, message)
    return 100

with concurrent.futures.ThreadPoolExecutor(50) as threads:
    print(sum(threads.map(talk, range(50))))
"#;

#[test]
fn fifty_python_threads_get_their_own_messages_back() {
    let server = Program::serve(&["--log-messages", "off"]);
    assert_eq!(pipe(&mut python(&["-c", FIFTY], &server), b""), b"5000\n");
}
