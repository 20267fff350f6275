//! The forms of a line of the log: text for people, JSON for programs, and what the journal of systemd reads.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;
use std::{env, fmt};

use clap::ValueEnum;
use env_logger::fmt::Formatter;
use env_logger::fmt::style::Style;
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use log::{Level, Record};

use super::{ADMIN, EVENTS};
use crate::cli::json::Text;

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Time, level and what happened.
    Text,
    /// An object of JSON on each line.
    Json,
    /// A priority and what happened, without a time, because the journal has its own (sd-daemon(3)).
    Journal,
}

impl LogFormat {
    /// Returns the form for where standard error goes.
    pub(super) fn of_stderr() -> Self {
        if is_journal() { Self::Journal } else { Self::Text }
    }

    /// Writes a record as a line. Only a text can have colours.
    pub(super) fn write(self, buffer: &mut Formatter, record: &Record<'_>, is_coloured: bool) -> io::Result<()> {
        match self {
            Self::Text => text(buffer, record, is_coloured),
            Self::Json => json(buffer, record),
            Self::Journal => journal(buffer, record),
        }
    }

    /// Returns the line that reports lost lines.
    pub(super) fn lost_lines(self, lines: u64) -> String {
        let now = SystemTime::now();
        match self {
            Self::Text => {
                format!("[{} WARN  hebra] log lines lost: {lines}\n", humantime::format_rfc3339_seconds(now))
            }
            Self::Json => format!(
                "{{\"ts\":\"{}\",\"level\":\"warn\",\"event\":\"log_lines_lost\",\"lines\":{lines}}}\n",
                humantime::format_rfc3339_millis(now)
            ),
            Self::Journal => format!("<4>log lines lost: {lines}\n"),
        }
    }

    /// Returns the line that reports why the program fails. It is no line of the log: no filter hides it, and people read it
    /// as that of any command.
    pub(super) fn failure(self, message: &str) -> String {
        match self {
            Self::Text => format!("hebra: {message}\n"),
            Self::Json => {
                let now = humantime::format_rfc3339_millis(SystemTime::now());
                let mut json = format!("{{\"ts\":\"{now}\",\"level\":\"error\",\"event\":\"failed\",\"text\":");
                push_text(&mut json, message);
                json + "}\n"
            }
            Self::Journal => format!("<3>hebra: {message}\n"),
        }
    }
}

/// Returns whether standard error goes to the journal: `JOURNAL_STREAM` names its device and inode (systemd.exec(5)).
fn is_journal() -> bool {
    let stderr = || File::from(io::stderr().as_fd().try_clone_to_owned().ok()?).metadata().ok();
    let journal = env::var("JOURNAL_STREAM").unwrap_or_default();
    journal
        .split_once(':')
        .zip(stderr())
        .is_some_and(|((device, inode), file)| device.parse() == Ok(file.dev()) && inode.parse() == Ok(file.ino()))
}

/// Returns the target that is shown. The modules of the program are no concern of its reader.
fn target<'a>(record: &Record<'a>) -> &'a str {
    let target = record.target();
    if target.starts_with("hebra::") && target != ADMIN { EVENTS } else { target }
}

fn text(buffer: &mut Formatter, record: &Record<'_>, is_coloured: bool) -> io::Result<()> {
    let (time, level, target) = (buffer.timestamp(), record.level(), target(record));
    let style = if is_coloured { buffer.default_level_style(level) } else { Style::new() };
    writeln!(buffer, "[{time} {style}{level:<5}{style:#} {target}] {}", record.args())
}

fn journal(buffer: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    // syslog(3).
    let priority = match record.level() {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    match target(record) {
        EVENTS => writeln!(buffer, "<{priority}>{}", record.args()),
        target => writeln!(buffer, "<{priority}>{target}: {}", record.args()),
    }
}

fn json(buffer: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let level = record.level().as_str().to_ascii_lowercase();
    let mut object = Object {
        json: format!("{{\"ts\":\"{}\",\"level\":\"{level}\"", buffer.timestamp_millis()),
        fields: 0,
        has_text: false,
    };
    // Only a visitor's own error is returned, and this one has none.
    let _ = record.key_values().visit(&mut object);
    if object.fields == 0 {
        object.add("event", format_args!("log"));
        object.add("target", format_args!("{}", target(record)));
    }
    // What has no fields is a sentence.
    if object.fields <= 2 && !object.has_text {
        object.add("text", record.args());
    }
    object.json.push_str("}\n");
    buffer.write_all(object.json.as_bytes())
}

/// An object of JSON that is being written, without its last brace.
struct Object {
    json: String,
    fields: usize,
    has_text: bool,
}

impl Object {
    fn add(&mut self, key: &str, text: impl fmt::Display) {
        self.add_key(key);
        push_text(&mut self.json, &text.to_string());
    }

    fn add_key(&mut self, key: &str) {
        self.fields += 1;
        self.has_text |= key == "text";
        self.json.push(',');
        push_text(&mut self.json, key);
        self.json.push(':');
    }
}

impl<'kvs> VisitSource<'kvs> for Object {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.add_key(key.as_str());
        value.visit(Written(&mut self.json))
    }
}

/// Writes a value.
struct Written<'a>(&'a mut String);

impl<'v> VisitValue<'v> for Written<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        push_text(self.0, &value.to_string());
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        Ok(write!(self.0, "{value}")?)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        Ok(write!(self.0, "{value}")?)
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        // A number that is none, or is infinite, is no number of JSON.
        if value.is_finite() {
            write!(self.0, "{value}")?;
        } else {
            self.0.push_str("null");
        }
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        Ok(write!(self.0, "{value}")?)
    }
}

/// Appends a text in quotes. What a terminal would obey is escaped too.
fn push_text(json: &mut String, text: &str) {
    // It cannot fail on a string.
    let _ = write!(json, "{}", Text(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbers_or_texts() {
        let mut object = Object { json: "{\"a\":1".to_owned(), fields: 0, has_text: false };
        for (key, value) in [
            ("u", Value::from(u64::MAX)),
            ("i", Value::from(-1)),
            ("f", Value::from(1.5)),
            ("n", Value::from(f64::NAN)),
            ("b", Value::from(true)),
            ("s", Value::from("x\"y")),
            ("d", Value::from_display(&format_args!("1.2.3.4:5"))),
        ] {
            object.visit_pair(Key::from_str(key), value).expect("it is written");
        }
        let expected =
            r#"{"a":1,"u":18446744073709551615,"i":-1,"f":1.5,"n":null,"b":true,"s":"x\"y","d":"1.2.3.4:5""#;
        assert_eq!((object.json.as_str(), object.fields), (expected, 7));
    }

    #[test]
    fn lost_lines_are_reported_in_the_form_of_the_others() {
        assert!(LogFormat::Text.lost_lines(3).ends_with("Z WARN  hebra] log lines lost: 3\n"));
        assert_eq!(LogFormat::Journal.lost_lines(3), "<4>log lines lost: 3\n");
        let json: serde_json::Value = serde_json::from_str(&LogFormat::Json.lost_lines(3)).expect("it is JSON");
        assert_eq!((json["event"].as_str(), json["lines"].as_u64()), (Some("log_lines_lost"), Some(3)));
    }
}
