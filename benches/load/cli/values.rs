//! What each kind of value on the command line looks like.

use std::net::ToSocketAddrs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytesize::ByteSize;

use super::super::traffic::address::Address;
use super::super::traffic::payload::MAX_SIZE;

/// The longest window, warm-up or timeout.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Returns the first address of `HOST:PORT`, or the Unix socket of `unix:/path` or `unix:@name`.
pub(crate) fn resolve(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path).map_err(|problem| format!("{text}: {problem}"));
    }
    let mut addresses = text.to_socket_addrs().map_err(|error| format!("{text}: {error}"))?;
    addresses.next().map(Address::Tcp).ok_or_else(|| format!("{text}: no address"))
}

fn unix(path: &str) -> Result<Address, String> {
    let address = Address::Unix(path.into());
    if !path.starts_with('@') {
        let file = Path::new(path).metadata().map_err(|error| error.to_string())?;
        if !file.file_type().is_socket() {
            return Err("it is not a socket".to_owned());
        }
    }
    address.to_socket().map_err(|error| error.to_string())?;
    Ok(address)
}

/// Accepts durations that can be added to the present time, and whose points of each tenth of a second fit in memory.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err("must be at most 7days".to_owned()),
        Err(_) => Err("a duration looks like 250ms, 10s or 5m".to_owned()),
    }
}

pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text)
        .and_then(|duration| if duration.is_zero() { Err("must be positive".into()) } else { Ok(duration) })
}

/// Accepts a time, or how long from now it is.
pub(crate) fn future(text: &str) -> Result<SystemTime, String> {
    let now = SystemTime::now();
    let time = match text.strip_prefix('+') {
        Some(delay) => now + duration(delay)?,
        None => humantime::parse_rfc3339(text)
            .map_err(|_| "a time looks like 2030-01-31T12:00:00Z, in UTC, or +5s from now".to_owned())?,
    };
    match time.duration_since(now) {
        Ok(wait) if wait <= LONGEST => Ok(time),
        Ok(_) => Err("must be within 7days".to_owned()),
        Err(_) => Err("it has passed".to_owned()),
    }
}

pub(crate) fn size(text: &str) -> Result<usize, String> {
    let bytes = text.parse::<ByteSize>().map_err(|_| "a size looks like 512 or 16KiB")?.as_u64();
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    if (1..=MAX_SIZE).contains(&size) { Ok(size) } else { Err(format!("must be from 1 to {MAX_SIZE}")) }
}

pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.01..=1e8).contains(&rate) => Ok(rate),
        _ => Err("a rate is a number of messages per second, from 0.01 to 100000000".to_owned()),
    }
}

/// Accepts only names that are plain file names: a baseline is stored under its name.
pub(crate) fn baseline_name(text: &str) -> Result<String, String> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let plain = text.chars().all(fits) && text.starts_with(|first: char| first != '.');
    if plain {
        Ok(text.to_owned())
    } else {
        Err("a name consists of letters, digits, dashes, underscores and dots".to_owned())
    }
}

pub(crate) fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..=1000.0).contains(&percent) => Ok(percent),
        _ => Err("a limit is a number from 0 to 1000, in percent".to_owned()),
    }
}
