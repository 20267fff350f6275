//! Values as they are typed: numbers, durations, sizes, and "no limit".
//!
//! The errors say what is wrong with the value and what would be right. They continue a line that names the flag and the
//! value: `--workers: "many" is not a whole number`.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use hebra::{Faults, LogMessages};

/// The largest number: sums of two fit every field, and nothing that is counted comes near it.
const MAX_NUMBER: usize = i32::MAX as usize;

/// The longest duration, which is also the library's.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The largest size: more than any field can use, and little enough that a typing error is reported as one.
const MAX_SIZE: u64 = 1 << 40;

/// A value, or `off`, which is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit<T = Duration>(pub(crate) Option<T>);

/// A time limit: a duration such as `250ms` or `5m`, or `off`.
pub(crate) fn limit(text: &str) -> Result<Limit, String> {
    or_off(text, duration)
}

/// A number, or `off`.
pub(crate) fn count(text: &str) -> Result<Limit<usize>, String> {
    or_off(text, number)
}

fn or_off<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Limit<T>, String> {
    match text {
        "off" => Ok(Limit(None)),
        _ => parse(text).map(|value| Limit(Some(value))).map_err(|problem| format!("{problem}, or off")),
    }
}

/// How many messages are logged: a number a second, `all` or `off`.
pub(crate) fn log_messages(text: &str) -> Result<LogMessages, String> {
    match text {
        "all" => Ok(LogMessages::All),
        "off" | "0" => Ok(LogMessages::Off),
        _ => small_number(text).map(LogMessages::PerSecond).map_err(|problem| format!("{problem}, or all, or off")),
    }
}

/// What a variable says that stands for a flag without a value.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err("is neither true nor false".to_owned()),
    }
}

/// A whole number.
pub(crate) fn number(text: &str) -> Result<usize, String> {
    require_digits(text)?;
    // Only a number that is too large for any type is left.
    let number = text.parse().ok().filter(|number| *number <= MAX_NUMBER);
    number.ok_or_else(|| format!("is too large; the largest number is {MAX_NUMBER}"))
}

/// A whole number for a field of 32 bits.
pub(crate) fn small_number(text: &str) -> Result<u32, String> {
    number(text)?.try_into().map_err(|_| format!("is too large; the largest number is {MAX_NUMBER}"))
}

/// A whole number of 64 bits.
pub(crate) fn large_number(text: &str) -> Result<u64, String> {
    require_digits(text)?;
    text.parse().map_err(|_| format!("is too large; the largest number is {}", u64::MAX))
}

fn require_digits(text: &str) -> Result<(), String> {
    if is_negative(text) {
        return Err("is negative; a number is at least 0".to_owned());
    }
    let are_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if are_digits { Ok(()) } else { Err("is not a whole number".to_owned()) }
}

/// A probability such as `0.01`.
pub(crate) fn probability(text: &str) -> Result<f64, String> {
    // `inf` and `NaN` are numbers to the parser, and no probability.
    match text.parse() {
        Ok(probability) if probability > 0.0 && probability < Faults::LEAST_PROBABILITY => {
            Err(format!("is too small; the smallest probability but 0 is {:e}", Faults::LEAST_PROBABILITY))
        }
        Ok(probability) if (0.0..=1.0).contains(&probability) => Ok(probability),
        _ => Err("is not a probability; a probability is a number from 0 to 1, such as 0.01".to_owned()),
    }
}

/// A time such as `50ms`, which is always the same, or a range such as `50ms..80ms`.
pub(crate) fn delay(text: &str) -> Result<RangeInclusive<Duration>, String> {
    let part = |text| {
        duration(text).map_err(|problem| match problem.ends_with(TIME_EXAMPLE) {
            true => format!("{problem}, and a range like 50ms..80ms"),
            false => problem,
        })
    };
    let (start, end) = match text.split_once("..") {
        Some((start, end)) => (part(start)?, part(end)?),
        None => (part(text)?, part(text)?),
    };
    if end.is_zero() {
        Err("is too short; a delay is longer than zero".to_owned())
    } else if start > end {
        Err("ends before it begins; a range looks like 50ms..80ms".to_owned())
    } else {
        Ok(start..=end)
    }
}

/// The permissions of a file, in octal digits.
pub(crate) fn mode(text: &str) -> Result<u32, String> {
    let is_octal = !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
    mode.ok_or_else(|| "is not a file mode; it has octal digits, at most 0777".to_owned())
}

/// A time limit that a socket can have: not zero.
pub(crate) fn timeout(text: &str) -> Result<Limit, String> {
    match limit(text)? {
        Limit(Some(Duration::ZERO)) => Err("is too short; a timeout is longer than zero, or off".to_owned()),
        limit => Ok(limit),
    }
}

const TIME_EXAMPLE: &str = "a time looks like 250ms, 10s or 5m";

/// A duration such as `250ms` or `5m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if is_negative(text) {
        return Err(format!("is negative; {TIME_EXAMPLE}"));
    }
    // That would be months, where sizes have M and m for the same.
    if text.contains('M') && text.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(format!("is ambiguous: a minute is m, and a month is month; {TIME_EXAMPLE}"));
    }
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= MAX_DURATION => Ok(duration),
        Ok(_) => Err("is too long; the longest time is 365d".to_owned()),
        Err(humantime::DurationError::NumberOverflow) => {
            Err("has too many digits; the longest time is 365d, and the shortest 1ns".to_owned())
        }
        Err(humantime::DurationError::UnknownUnit { unit, .. }) if unit.is_empty() => {
            Err(format!("lacks its unit; {TIME_EXAMPLE}"))
        }
        Err(_) => Err(format!("is not a time; {TIME_EXAMPLE}")),
    }
}

/// How long `--wait` waits. Written without a time it takes the next word for one.
pub(crate) fn wait(text: &str) -> Result<Duration, String> {
    let duration = duration(text).map_err(|problem| format!("{problem}; without a time, --wait comes last"))?;
    if duration.is_zero() { Err("is too short; a wait is longer than zero".to_owned()) } else { Ok(duration) }
}

/// A size in bytes such as `65536` or `64KiB`.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    const EXAMPLE: &str = "a size looks like 65536 or 64KiB";
    if is_negative(text) {
        return Err(format!("is negative; {EXAMPLE}"));
    }
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let bytes = match text.parse::<ByteSize>() {
        // A number with a unit that is too large for the type is the largest value of the type.
        Ok(size) => size.as_u64(),
        Err(_) if is_number => u64::MAX,
        Err(_) => return Err(format!("is not a size; {EXAMPLE}")),
    };
    let size = usize::try_from(bytes).ok().filter(|_| bytes <= MAX_SIZE);
    size.ok_or_else(|| "is too large; the largest size is 1TiB".to_owned())
}

fn is_negative(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_units_and_limits_can_be_off() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(limit("5m"), Ok(Limit(Some(Duration::from_secs(300)))));
        assert_eq!(limit("off"), Ok(Limit(None)));
        for (wrong, problem) in [
            ("", "is not a time"),
            ("5", "lacks its unit"),
            ("fast", "is not a time"),
            ("-1s", "is negative"),
            ("5 parsecs", "is not a time"),
            ("5M", "is ambiguous: a minute is m"),
            ("5M 30s", "is ambiguous: a minute is m"),
            ("1e30s", "is not a time"),
            ("2y", "is too long; the longest time is 365d"),
            ("584942417356y", "has too many digits; the longest time is 365d"),
            ("99999999999999999999s", "has too many digits; the longest time is 365d"),
        ] {
            let message = limit(wrong).expect_err(wrong);
            assert!(message.starts_with(problem) && message.ends_with(", or off"), "{wrong} {message}");
        }
    }

    #[test]
    fn sizes_take_units() {
        assert_eq!(size("65536"), Ok(65536));
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("64KB"), Ok(64000));
        for (wrong, problem) in [
            ("", "is not a size"),
            ("big", "is not a size"),
            ("-1", "is negative"),
            ("64 furlongs", "is not a size"),
            ("1e30", "is not a size"),
            ("18446744073709551616B", "is too large; the largest size is 1TiB"),
            ("99999999999999999999", "is too large; the largest size is 1TiB"),
            ("16EiB", "is too large; the largest size is 1TiB"),
        ] {
            let message = size(wrong).expect_err(wrong);
            assert!(message.starts_with(problem), "{wrong} {message}");
        }
    }

    #[test]
    fn numbers_are_whole_and_bounded() {
        assert_eq!((number("0"), number("2147483647")), (Ok(0), Ok(MAX_NUMBER)));
        for (wrong, problem) in [
            ("", "is not a whole number"),
            ("1e30", "is not a whole number"),
            ("1.5", "is not a whole number"),
            ("+5", "is not a whole number"),
            ("4\r", "is not a whole number"),
            ("-1", "is negative"),
            ("2147483648", "is too large; the largest number is 2147483647"),
            ("99999999999999999999", "is too large; the largest number is 2147483647"),
        ] {
            let message = number(wrong).expect_err(wrong);
            assert!(message.starts_with(problem), "{wrong} {message}");
        }
        assert_eq!(small_number("2147483647"), Ok(2_147_483_647));
    }

    #[test]
    fn a_delay_is_a_time_or_a_range_of_times() {
        let millis = Duration::from_millis;
        assert_eq!(delay("50ms"), Ok(millis(50)..=millis(50)));
        assert_eq!(delay("50ms..1s"), Ok(millis(50)..=millis(1000)));
        for (wrong, problem) in [
            ("80ms..50ms", "ends before it begins"),
            ("50", "lacks its unit"),
            ("0s", "is too short; a delay is longer than zero"),
            ("0ms..0ms", "is too short"),
            ("50ms..0ms", "is too short"),
            ("50ms..", "is not a time"),
            ("50ms...80ms", "is not a time"),
            ("-1s..2s", "is negative"),
        ] {
            let message = delay(wrong).expect_err(wrong);
            assert!(message.starts_with(problem), "{wrong} {message}");
        }
        assert_eq!(delay("0ms..5ms"), Ok(Duration::ZERO..=millis(5)));
        assert_eq!(delay("366d").expect_err("a day more"), "is too long; the longest time is 365d");
    }

    #[test]
    fn a_probability_is_from_0_to_1() {
        assert_eq!((probability("0"), probability("1"), probability("1e-6")), (Ok(0.0), Ok(1.0), Ok(1e-6)));
        for wrong in ["", "1.01", "-0.1", "NaN", "inf", "1%", "often"] {
            assert!(probability(wrong).is_err(), "{wrong}");
        }
        assert_eq!(probability("1e-15"), Ok(Faults::LEAST_PROBABILITY));
        for small in ["9e-16", "1e-300"] {
            let message = probability(small).expect_err(small);
            assert_eq!(message, "is too small; the smallest probability but 0 is 1e-15");
        }
    }

    #[test]
    fn a_large_number_has_64_bits() {
        assert_eq!((large_number("0"), large_number("18446744073709551615")), (Ok(0), Ok(u64::MAX)));
        for (wrong, problem) in
            [("18446744073709551616", "is too large"), ("+1", "is not a whole number"), ("-1", "is negative")]
        {
            let message = large_number(wrong).expect_err(wrong);
            assert!(message.starts_with(problem), "{wrong} {message}");
        }
    }

    #[test]
    fn a_mode_is_octal() {
        assert_eq!((mode("0660"), mode("777"), mode("0")), (Ok(0o660), Ok(0o777), Ok(0)));
        for wrong in ["", "0o660", "0668", "1777", "+7", "rw"] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_switch_is_true_or_false() {
        for (text, expected) in [("Yes", true), ("on", true), ("1", true), ("FALSE", false), ("0", false)] {
            assert_eq!(switch(text), Ok(expected));
        }
        assert!(switch("maybe").is_err());
    }
}
