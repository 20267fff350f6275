//! Values with units on the command line: durations, sizes, and "no limit".

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;

/// A time limit: a duration such as `250ms` or `5m`, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<Duration>);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            _ => duration(text).map(|duration| Self(Some(duration))),
        }
    }
}

/// A number, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) Option<usize>);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            _ => text.parse().map(|count| Self(Some(count))).map_err(|_| "a number, or off".to_owned()),
        }
    }
}

/// A time limit that a socket can have: not zero.
pub(crate) fn timeout(text: &str) -> Result<Limit, String> {
    match text.parse()? {
        Limit(Some(Duration::ZERO)) => Err("a timeout must be longer than zero, or off".to_owned()),
        limit => Ok(limit),
    }
}

/// A duration such as `250ms` or `5m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    // That would be months, where sizes have M and m for the same.
    if text.contains('M') {
        return Err("a minute is m, and months are written out".to_owned());
    }
    humantime::parse_duration(text).map_err(|_| "a duration looks like 250ms, 10s or 5m".to_owned())
}

/// How long `--wait` waits. Written without a time it takes the next word for one.
pub(crate) fn wait(text: &str) -> Result<Duration, String> {
    let duration = duration(text).map_err(|reason| format!("{reason}; without one, --wait comes last"))?;
    if duration.is_zero() { Err("no time is too short".to_owned()) } else { Ok(duration) }
}

/// A size in bytes such as `65536` or `64KiB`.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let bytes = text.parse::<ByteSize>().map_err(|_| "a size looks like 65536 or 64KiB".to_owned())?;
    usize::try_from(bytes.as_u64()).map_err(|_| "a size must fit the address space".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_units_and_limits_can_be_off() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!("5m".parse(), Ok(Limit(Some(Duration::from_secs(300)))));
        assert_eq!("off".parse(), Ok(Limit(None)));
        for wrong in ["", "5", "fast", "-1s", "5 parsecs", "5M", "5M 30s"] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_take_units() {
        assert_eq!(size("65536"), Ok(65536));
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("64KB"), Ok(64000));
        for wrong in ["", "big", "-1", "64 furlongs"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
