//! One connection of the admin server: the head of a request is gathered and parsed, answered, and the connection closed.
//!
//! Whatever a client does, it costs 8 KiB and what the limits of the server allow. One request for each connection keeps
//! the workers few: browsers hold idle connections.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Error, Request};

use hebra::{Handler, ListenAddress, Next};

use super::answer::{Answer, Pages, Status};

/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// The most fields that a head may have.
const MAX_FIELDS: usize = 64;

/// How long a client may take to send a head while others wait.
const HURRY: Duration = Duration::from_millis(100);

/// The handler of one connection.
pub(super) struct Exchange {
    pages: Arc<Pages>,
    is_local: bool,
    begun: Instant,
    head: Vec<u8>,
}

impl Exchange {
    /// An exchange on a connection to `listener`.
    pub(super) fn new(pages: Arc<Pages>, listener: &ListenAddress) -> Self {
        let is_local = listener.tcp().is_some_and(|address| address.ip().to_canonical().is_loopback());
        Self { pages, is_local, begun: Instant::now(), head: Vec::new() }
    }
}

impl Handler for Exchange {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        let room = MAX_HEAD - self.head.len();
        self.head.extend_from_slice(&message[..message.len().min(room)]);
        let (answer, with_body) = match parse(&self.head) {
            // A web page from elsewhere may have a name that leads to this machine (DNS rebinding). Its browser would
            // let it read the answer, and a browser says which name it asked for.
            Ok(Some(asked)) if self.is_local && !is_local_host(&asked.host) => {
                (Answer::failure(Status::Misdirected), !asked.is_head)
            }
            Ok(Some(asked)) => (self.pages.answer(&asked.path), !asked.is_head),
            Ok(None) if self.begun.elapsed() > HURRY && self.pages.is_busy() => {
                (Answer::failure(Status::RequestTimeout), true)
            }
            Ok(None) if self.head.len() < MAX_HEAD => return Ok(Next::Continue),
            Ok(None) => (Answer::failure(Status::HeadTooLarge), true),
            Err(status) => (Answer::failure(status), true),
        };
        reply.write_all(&answer.encode(with_body))?;
        // What else the client sends is discarded.
        Ok(Next::Close)
    }
}

/// What a client asks for.
#[derive(Debug, PartialEq)]
struct Asked {
    /// The name and the port of the server, as the client knows them. Empty if it says none.
    host: String,
    path: String,
    is_head: bool,
}

/// Parses the head of a request. Returns `None` while it is not complete.
///
/// # Errors
///
/// The status that says what is wrong with it.
fn parse(head: &[u8]) -> Result<Option<Asked>, Status> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut request = Request::new(&mut fields);
    match request.parse(head) {
        Ok(status) if status.is_partial() => return Ok(None),
        Ok(_) => {}
        Err(Error::TooManyHeaders) => return Err(Status::HeadTooLarge),
        Err(Error::Version) => return Err(Status::VersionNotSupported),
        Err(_) => return Err(Status::BadRequest),
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(Status::BadRequest);
    };
    // RFC 9112, section 3.2.
    let mut hosts = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("host"));
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => str::from_utf8(host.value).map_err(|_| Status::BadRequest)?.trim(),
        (None, _) if minor == 0 => "",
        _ => return Err(Status::BadRequest),
    };
    let is_head = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Err(Status::MethodNotAllowed),
    };
    let (named, path) = split(target);
    Ok(Some(Asked { host: named.unwrap_or(host).to_owned(), path: path.to_owned(), is_head }))
}

/// Returns the host and the path of a request target, which may have a query, and as for a proxy a scheme and a host.
fn split(target: &str) -> (Option<&str>, &str) {
    let scheme = |text: &str| text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let (host, target) = match target.split_at_checked(7) {
        Some((_, rest)) if scheme(target) => {
            let (host, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
            (Some(host), target)
        }
        _ => (None, target),
    };
    let mut path = target.split(['?', '#']).next().unwrap_or(target);
    // The address of the page ends with a slash, and so does what scripts join a path to.
    while path.starts_with("//") {
        path = &path[1..];
    }
    (host, if path.is_empty() { "/" } else { path })
}

/// Returns whether `host`, perhaps with a port, is `localhost` or an IP address, which no stranger can let lead here.
fn is_local_host(host: &str) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((address, rest)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok()
            && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let is_known = name.is_empty() || name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok();
    is_known && is_port(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_parsed_and_what_is_wrong_has_its_status() {
        let asked = |host: &str, path: &str, is_head| {
            Ok(Some(Asked { host: host.to_owned(), path: path.to_owned(), is_head }))
        };
        for (head, expected) in [
            ("GET / HTTP/1.0\r\n\r\n", asked("", "/", false)),
            ("\r\n\r\nHEAD /metrics?x=1 HTTP/1.1\r\nhOST: x\r\n\r\nGET /next", asked("x", "/metrics", true)),
            ("GET HTTP://host:1/livez HTTP/1.1\nHost: host:1\n\n", asked("host:1", "/livez", false)),
            ("GET http://host HTTP/1.1\r\nHost: host\r\n\r\n", asked("host", "/", false)),
            ("GET http://host?x=/livez HTTP/1.0\r\n\r\n", asked("host", "/", false)),
            ("GET http://host#/livez HTTP/1.0\r\n\r\n", asked("host", "/", false)),
            ("GET ?x=/livez HTTP/1.0\r\n\r\n", asked("", "/", false)),
            ("GET //sessions HTTP/1.0\r\n\r\n", asked("", "/sessions", false)),
            ("GET http://host///?x HTTP/1.0\r\n\r\n", asked("host", "/", false)),
            ("GET / HTTP/1.1\r\nHost: x\r\n", Ok(None)),
            ("", Ok(None)),
            ("GET / HTTP/1.1\r\n\r\n", Err(Status::BadRequest)),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Err(Status::BadRequest)),
            ("GET /\r\n", Err(Status::BadRequest)),
            ("\x16\x03\x01\x02", Err(Status::BadRequest)),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Err(Status::VersionNotSupported)),
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", Err(Status::MethodNotAllowed)),
        ] {
            assert_eq!(parse(head.as_bytes()), expected, "{head:?}");
        }
        let many = format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        assert_eq!(parse(many.as_bytes()), Err(Status::HeadTooLarge));
    }

    #[test]
    fn only_localhost_and_addresses_are_local_hosts() {
        for host in
            ["", "localhost", "LocalHost:9090", "127.0.0.1", "10.0.0.1:80", "[::1]", "[::1]:9090", "localhost:"]
        {
            assert!(is_local_host(host), "{host}");
        }
        for host in [
            "example.org",
            "example.org:9090",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "localhost:x",
            "localhost@example.org",
            "localhost:9090@example.org",
            "[::1].example.org",
            "[::1",
            "[example.org]",
            "::1",
        ] {
            assert!(!is_local_host(host), "{host}");
        }
    }
}
