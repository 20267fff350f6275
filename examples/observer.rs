//! hebra inside another program, which observes it: it subscribes to events, keeps statistics of its own, and pushes to
//! its clients from another thread.
//!
//!     cargo run --example observer

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use hebra::{ClientHandle, Event, Handler, LogMessages, Next, Server, ServerConfig, Session};

/// Echoes in capitals, and says hello by a handle that any thread may keep.
struct Shouter {
    handle: ClientHandle,
}

impl Handler for Shouter {
    fn open(&mut self, _reply: &mut dyn Write) -> io::Result<Next> {
        let handle = self.handle.clone();
        // A push never blocks. It fails once the client has left, which is no error here.
        thread::spawn(move || handle.push(b"hello from another thread\n"));
        Ok(Next::Continue)
    }

    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        reply.write_all(&message.to_ascii_uppercase())?;
        Ok(Next::Continue)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Without log_messages no message is reported.
    let config = ServerConfig::default().listen(["127.0.0.1:0"]).workers(16).log_messages(LogMessages::All);
    let factory = |session: &Session| Shouter { handle: session.handle() };
    let server = Server::bind(config, factory)?.start()?;
    let events = server.subscribe();
    // The events end when the server has stopped, and with them this thread.
    let observer = thread::spawn(move || {
        let mut reasons = BTreeMap::new();
        for event in events {
            match event {
                Event::Disconnected { reason, .. } => *reasons.entry(reason.to_string()).or_insert(0) += 1,
                Event::Message { client, excerpt } => {
                    let _ = writeln!(io::stdout(), "{} says {excerpt}", client.peer);
                }
                _ => {}
            }
        }
        reasons
    });
    writeln!(io::stdout(), "try telnet on {}; Enter stops", server.local_addrs()[0])?;
    io::stdin().read_line(&mut String::new())?;
    let stats = server.shutdown(Duration::from_secs(10)).stats;
    let reasons = observer.join().map_err(|_| "the observer panicked")?;
    writeln!(io::stdout(), "{} clients, {} messages; why they left: {reasons:?}", stats.finished, stats.messages)?;
    Ok(())
}
