//! The shortest thread-per-connection echo server: the upper bound of this design, without anything else that a server
//! needs.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Serves until the process ends.
pub(crate) fn serve(listener: &TcpListener) -> io::Result<()> {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || echo(&stream));
    }
    Ok(())
}

/// Serves one client.
pub(super) fn echo(mut stream: &TcpStream) {
    // A failure means that the client is gone, which is not an error. Nagle's algorithm is off in all peers.
    let _ = stream.set_nodelay(true);
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
}
