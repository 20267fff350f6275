//! The answers: which page a path is, and how an answer is written.

use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use super::Source;
use super::history::History;
use super::metrics::Metrics;
use super::{page, sessions};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// All pages of the server.
pub(super) struct Pages {
    source: Arc<Source>,
    history: Arc<History>,
    metrics: Metrics,
}

impl Pages {
    pub(super) fn new(source: Arc<Source>, history: Arc<History>) -> Self {
        Self { metrics: Metrics::new(Arc::clone(&source)), source, history }
    }

    /// Returns whether other clients wait for an answer.
    pub(super) fn is_busy(&self) -> bool {
        self.source.is_busy()
    }

    /// Returns the page at `path`.
    pub(super) fn answer(&self, path: &str) -> Answer {
        match path {
            "/" => page::answer(),
            "/metrics" => Answer::ok(Metrics::TYPE, self.metrics.text()),
            "/sessions" => Answer::ok(JSON, sessions::json(self.source.service.get())),
            "/history" => Answer::ok(JSON, self.history.json()),
            "/livez" => Answer::ok(TEXT, "ok\n".to_owned()),
            "/readyz" if self.source.is_ready() => Answer::ok(TEXT, "ok\n".to_owned()),
            "/readyz" => Answer::new(Status::Unavailable, TEXT, "stopping\n".to_owned()),
            _ => Answer::failure(Status::NotFound),
        }
    }
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Misdirected,
    HeadTooLarge,
    Unavailable,
    VersionNotSupported,
}

impl Status {
    /// Returns its number and its words.
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::RequestTimeout => "408 Request Timeout",
            Self::Misdirected => "421 Misdirected Request",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
            Self::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}

/// An answer to one request.
pub(super) struct Answer {
    status: Status,
    content_type: &'static str,
    /// What the page may load, for a page that browsers show.
    policy: Option<String>,
    body: String,
}

impl Answer {
    pub(super) fn ok(content_type: &'static str, body: String) -> Self {
        Self::new(Status::Ok, content_type, body)
    }

    fn new(status: Status, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, policy: None, body }
    }

    /// Only says what is wrong.
    pub(super) fn failure(status: Status) -> Self {
        let hint = match status {
            Status::Misdirected => ": the host must be localhost or an IP address",
            _ => "",
        };
        Self::new(status, TEXT, format!("{}{hint}\n", status.line()))
    }

    /// Sets the Content-Security-Policy.
    pub(super) fn policy(self, policy: String) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// Returns it as it is sent.
    pub(super) fn encode(&self, with_body: bool) -> Vec<u8> {
        let Self { status, content_type, policy, body } = self;
        let mut out = String::with_capacity(512 + body.len());
        let mut field = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string cannot fail.
            let _ = write!(out, "{name}: {value}\r\n");
        };
        field("Date", &httpdate::fmt_http_date(SystemTime::now()));
        field("Content-Type", content_type);
        field("Content-Length", &body.len());
        field("Connection", &"close");
        field("Cache-Control", &"no-store");
        field("X-Content-Type-Options", &"nosniff");
        field("Cross-Origin-Resource-Policy", &"same-origin");
        if *status == Status::MethodNotAllowed {
            field("Allow", &"GET, HEAD");
        }
        if let Some(policy) = policy {
            field("Content-Security-Policy", policy);
            field("Referrer-Policy", &"no-referrer");
        }
        out.push_str("\r\n");
        if with_body {
            out.push_str(body);
        }
        format!("HTTP/1.1 {}\r\n{out}", status.line()).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_its_body_still_says_how_long_it_is() {
        let answer = Answer::failure(Status::MethodNotAllowed);
        let text = |with_body| String::from_utf8(answer.encode(with_body)).expect("text");
        let whole = text(true);
        assert!(whole.starts_with("HTTP/1.1 405 Method Not Allowed\r\nDate: "), "{whole}");
        assert!(whole.contains("\r\nAllow: GET, HEAD\r\n"), "{whole}");
        assert!(whole.ends_with("\r\n\r\n405 Method Not Allowed\n"), "{whole}");
        assert!(text(false).ends_with("\r\n\r\n") && text(false).contains("\r\nContent-Length: 23\r\n"));
    }
}
