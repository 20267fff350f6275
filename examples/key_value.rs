//! A line protocol of its own: a key-value store whose clients can watch keys.
//!
//!     cargo run --example key_value
//!
//! `SET KEY VALUE` answers `OK`. `GET KEY` answers `VALUE ...` or `NONE`. `WATCH KEY` answers `OK`, and from then on every
//! change of the key is pushed to the client as `CHANGED KEY VALUE`. Nothing else is special: `bye` is just an unknown
//! command here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hebra::{ClientHandle, CloseReason, Framing, Handler, Next, Server, ServerConfig, Session};

/// What all sessions share.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<HashMap<String, Entry>>>);

#[derive(Default)]
struct Entry {
    value: Option<String>,
    watchers: Vec<ClientHandle>,
}

impl Store {
    /// The handler of one session.
    fn client(&self, session: &Session) -> KeyValue {
        KeyValue { store: self.clone(), handle: session.handle() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &str) -> Option<String> {
        self.lock().get(key).and_then(|entry| entry.value.clone())
    }

    /// A push never blocks, so it may be made under the lock. One that fails is to a client that has left.
    fn set(&self, key: &str, value: &str) {
        let mut entries = self.lock();
        let entry = entries.entry(key.to_owned()).or_default();
        entry.value = Some(value.to_owned());
        let line = format!("CHANGED {key} {value}\n");
        entry.watchers.retain(|watcher| watcher.push(line.as_bytes()).is_ok());
    }

    fn watch(&self, key: &str, handle: &ClientHandle) {
        self.lock().entry(key.to_owned()).or_default().watchers.push(handle.clone());
    }
}

/// One client's session.
struct KeyValue {
    store: Store,
    handle: ClientHandle,
}

impl Handler for KeyValue {
    fn message(&mut self, line: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        let Ok(line) = std::str::from_utf8(line) else {
            return writeln!(reply, "ERROR not UTF-8").map(|()| Next::Continue);
        };
        let mut words = line.trim_end().splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("GET"), Some(key), None) => match self.store.get(key) {
                Some(value) => writeln!(reply, "VALUE {value}")?,
                None => writeln!(reply, "NONE")?,
            },
            (Some("SET"), Some(key), Some(value)) => {
                self.store.set(key, value);
                writeln!(reply, "OK")?;
            }
            (Some("WATCH"), Some(key), None) => {
                self.store.watch(key, &self.handle);
                writeln!(reply, "OK")?;
            }
            (Some("QUIT"), None, None) => return Ok(Next::Close),
            _ => writeln!(reply, "ERROR commands are GET KEY, SET KEY VALUE, WATCH KEY, QUIT")?,
        }
        Ok(Next::Continue)
    }

    /// The reasons in the words of this protocol.
    fn farewell(&mut self, reason: CloseReason, usual: Option<Cow<'static, str>>) -> Option<Cow<'static, str>> {
        usual.map(|_| format!("ERROR {reason}").into())
    }
}

fn config() -> ServerConfig {
    ServerConfig::default().listen(["127.0.0.1:0"]).framing(Framing::PlainLine).max_line(1024)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::default();
    let server = Server::bind(config(), move |session| store.client(session))?.start()?;
    writeln!(io::stdout(), "try telnet on {}; Enter stops", server.local_addrs()[0])?;
    io::stdin().read_line(&mut String::new())?;
    server.shutdown(Duration::from_secs(10));
    Ok(())
}

#[cfg(test)]
mod tests {
    use hebra::testing::{Script, pushed, session};

    use super::*;

    /// The answers to `lines`, which may come in any pieces.
    fn talk(store: &Store, lines: &str) -> String {
        let outcome = Script::reads(lines.as_bytes().chunks(7)).run(&config(), |session| store.client(session));
        assert_eq!(outcome.reason, CloseReason::EndOfStream);
        String::from_utf8(outcome.written).expect("the answers are text")
    }

    #[test]
    fn what_was_set_is_got() {
        let store = Store::default();
        assert_eq!(talk(&store, "GET color\nSET color deep blue\nGET color\n"), "NONE\nOK\nVALUE deep blue\n");
        assert_eq!(talk(&store, "GET color"), "VALUE deep blue\n");
    }

    #[test]
    fn watchers_are_told_of_each_change_of_their_key() {
        let store = Store::default();
        let watcher = session(1);
        store.client(&watcher).message(b"WATCH color\n", &mut Vec::new()).expect("it answers");
        talk(&store, "SET color blue\nSET size 7\nSET color red\n");
        assert_eq!(pushed(&watcher), b"CHANGED color blue\nCHANGED color red\n");
        drop(watcher);
        assert_eq!(talk(&store, "SET color green\n"), "OK\n");
        assert!(store.lock()["color"].watchers.is_empty(), "a client that has left is forgotten");
    }

    #[test]
    fn nothing_but_the_line_feed_is_special_and_errors_are_in_the_words_of_the_protocol() {
        let store = Store::default();
        let help = "ERROR commands are GET KEY, SET KEY VALUE, WATCH KEY, QUIT\n";
        assert_eq!(talk(&store, "bye\n"), help);
        let outcome = Script::reads([vec![b'x'; 2000]]).run(&config(), |session| store.client(session));
        assert_eq!(outcome.reason, CloseReason::LineTooLong);
        assert_eq!(outcome.written, b"ERROR line too long\r\n");
    }
}
