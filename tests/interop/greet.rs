//! The greeting, read by ncat and by Python.

use crate::python::python;
use crate::support::Program;
use crate::{client, pipe};

#[test]
fn ncat_and_python_are_greeted() {
    let server = Program::serve(&["--service", "greet"]);
    assert_eq!(pipe(&mut client("ncat", server.address()), b"Hola"), b"Un saludo crack!\n");
    // This is more than the server reads. The unread rest does not destroy the greeting.
    assert_eq!(pipe(&mut client("ncat", server.address()), &[b'x'; 1 << 20]), b"Un saludo crack!\n");
    let script = "import socket, sys\n\
                  client = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60)\n\
                  client.sendall(b'bye')\n\
                  print(client.makefile().read(), end='')";
    assert_eq!(pipe(&mut python(&["-c", script], &server), b""), b"Un saludo crack!\n");
    server.wait_for("says \"bye\" (3 bytes)");
}
