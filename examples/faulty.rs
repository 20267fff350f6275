//! A service of your own with faults on purpose, to see what its clients make of them.
//!
//!     cargo run --example faulty

use std::io::{self, Write};
use std::time::Duration;

use hebra::{Faults, Framing, Handler, Next, Server, ServerConfig, Session};

/// Answers each line with its length, and knows nothing of faults.
struct Length;

impl Handler for Length {
    fn message(&mut self, line: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        writeln!(reply, "{} bytes", line.trim_ascii_end().len())?;
        Ok(Next::Continue)
    }
}

/// Answers that are late and sometimes wrong, and a reset after ten of them.
fn faults() -> Faults {
    let delay = Duration::from_millis(50)..=Duration::from_millis(80);
    Faults::default().delay(delay).corrupt(0.05).reset_after(10).seed(7)
}

fn config() -> ServerConfig {
    ServerConfig::default().listen(["127.0.0.1:0"]).framing(Framing::PlainLine)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let faults = faults();
    faults.validate()?;
    writeln!(io::stdout(), "faults on purpose: {faults}")?;
    let server = Server::bind(config(), move |session: &Session| faults.wrap(session, Length))?.start()?;
    writeln!(io::stdout(), "try telnet on {}; Enter stops", server.local_addrs()[0])?;
    io::stdin().read_line(&mut String::new())?;
    let report = server.shutdown(Duration::from_secs(10));
    let kinds: Vec<String> = report.stats.faults_by_kind().map(|(kind, count)| format!("{kind}={count}")).collect();
    writeln!(io::stdout(), "{}", kinds.join(" "))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use hebra::CloseReason;
    use hebra::testing::{Outcome, Script};

    use super::*;

    /// Runs a session without a server.
    fn talk(faults: &Faults) -> Outcome {
        Script::reads(["one line\n".repeat(20)]).run(&config(), |session| faults.wrap(session, Length))
    }

    #[test]
    fn a_seed_repeats_its_faults() {
        let faults = faults().delay(None);
        let outcome = talk(&faults);
        assert_eq!((outcome.written.len(), outcome.reason), (10 * "8 bytes\n".len(), CloseReason::FaultReset));
        assert_ne!(outcome.written, b"8 bytes\n".repeat(10));
        assert_eq!(outcome, talk(&faults));
        assert_ne!(outcome.written, talk(&faults.seed(8)).written);
    }
}
