//! What a client experiences: echo, `bye`, line and raw framing, half-close.

use std::io::Write;

use hebra::{Framing, ServerConfig};

use crate::support::{address, config, connect, exchange, read_to_end, send_and_finish, start};

#[test]
fn a_message_needs_no_newline_to_be_echoed() {
    let server = start(config());
    let mut client = connect(address(&server));
    assert_eq!(exchange(&mut client, b"Hola, servidor!"), b"Hola, servidor!");
    client.write_all(b"bye").expect("it is sent");
    assert_eq!(read_to_end(&mut client), b"");
}
