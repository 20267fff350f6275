//! A service of your own: counts the words of each line, and of all lines so far.
//!
//!     cargo run --example word_counter

use std::io::{self, Write};
use std::time::Duration;

use hebra::{Framing, Handler, Next, Server, ServerConfig};

/// One client's count: each session has a handler of its own.
#[derive(Default)]
struct WordCounter {
    total: usize,
}

impl Handler for WordCounter {
    fn message(&mut self, line: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count();
        self.total += words;
        writeln!(reply, "{words} words, {} so far", self.total)?;
        Ok(Next::Continue)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = ServerConfig::default().listen(["127.0.0.1:0"]).framing(Framing::Line);
    let server = Server::bind(config, |_session| WordCounter::default())?.start()?;
    writeln!(io::stdout(), "try telnet on {}; Enter stops", server.local_addrs()[0])?;
    io::stdin().read_line(&mut String::new())?;
    server.shutdown(Duration::from_secs(10));
    Ok(())
}
