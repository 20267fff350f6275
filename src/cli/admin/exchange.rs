//! One connection of the admin server: the head of a request is gathered and parsed, answered, and the connection closed.
//!
//! Whatever a client does, it costs 8 KiB and what the limits of the server allow. One request for each connection keeps
//! the workers few: browsers hold idle connections.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use httparse::{EMPTY_HEADER, Error, Request};

use hebra::{Handler, Next};

use super::answer::{Answer, Pages, Status};

/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// The most fields that a head may have.
const MAX_FIELDS: usize = 64;

/// How long a client may take to send a head while others wait.
const HURRY: Duration = Duration::from_millis(200);

/// The handler of one connection.
pub(super) struct Exchange {
    pages: Arc<Pages>,
    begun: Instant,
    head: Vec<u8>,
}

impl Exchange {
    pub(super) fn new(pages: Arc<Pages>) -> Self {
        Self { pages, begun: Instant::now(), head: Vec::new() }
    }
}

impl Handler for Exchange {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> io::Result<Next> {
        let room = MAX_HEAD - self.head.len();
        self.head.extend_from_slice(&message[..message.len().min(room)]);
        let (answer, with_body) = match parse(&self.head) {
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
    let hosts = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("host")).count();
    if hosts > 1 || (minor == 1 && hosts == 0) {
        return Err(Status::BadRequest);
    }
    let is_head = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Err(Status::MethodNotAllowed),
    };
    Ok(Some(Asked { path: path(target).to_owned(), is_head }))
}

/// Returns the path of a request target, which may have a query, and as for a proxy a scheme and a host.
fn path(target: &str) -> &str {
    let scheme = |text: &str| text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let target = match target.split_at_checked(7) {
        Some((_, rest)) if scheme(target) => rest.find(['/', '?', '#']).map_or("/", |start| &rest[start..]),
        _ => target,
    };
    let mut path = target.split(['?', '#']).next().unwrap_or(target);
    // The address of the page ends with a slash, and so does what scripts join a path to.
    while path.starts_with("//") {
        path = &path[1..];
    }
    if path.is_empty() { "/" } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_parsed_and_what_is_wrong_has_its_status() {
        let asked = |path: &str, is_head| Ok(Some(Asked { path: path.to_owned(), is_head }));
        for (head, expected) in [
            ("GET / HTTP/1.0\r\n\r\n", asked("/", false)),
            ("\r\n\r\nHEAD /metrics?x=1 HTTP/1.1\r\nhOST: x\r\n\r\nGET /next", asked("/metrics", true)),
            ("GET HTTP://host:1/livez HTTP/1.1\nHost: host:1\n\n", asked("/livez", false)),
            ("GET http://host HTTP/1.1\r\nHost: host\r\n\r\n", asked("/", false)),
            ("GET http://host?x=/livez HTTP/1.0\r\n\r\n", asked("/", false)),
            ("GET http://host#/livez HTTP/1.0\r\n\r\n", asked("/", false)),
            ("GET ?x=/livez HTTP/1.0\r\n\r\n", asked("/", false)),
            ("GET //sessions HTTP/1.0\r\n\r\n", asked("/sessions", false)),
            ("GET http://host///?x HTTP/1.0\r\n\r\n", asked("/", false)),
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
}
