//! Addresses and networks as they are typed: what is malformed, and what would be right.
//!
//! Only the form is checked here. Whether a host exists is for the resolver to say.

use std::net::Ipv6Addr;

use hebra::Network;

/// Bytes that the name of a Unix socket has at most: `sun_path` has 108, and ends with NUL.
const LONGEST_UNIX: usize = 107;

/// Returns what a server listens on: `HOST:PORT`, `tcp://HOST:PORT`, `udp://HOST:PORT`, `unix:/path` or `unix:@name`.
pub(crate) fn listener(text: &str) -> Result<String, String> {
    match scheme(text.trim()) {
        ("unix", name) => unix(name),
        ("udp", rest) => Ok(format!("udp://{}", address(rest)?)),
        ("tcp" | "", rest) => address(rest),
        _ => Err("has an unknown scheme; use HOST:PORT, udp://HOST:PORT, unix:/path or unix:@name".to_owned()),
    }
}

/// Returns what a client of a server connects to: `HOST:PORT`, `tcp://HOST:PORT`, `unix:/path` or `unix:@name`.
pub(crate) fn server(text: &str) -> Result<String, String> {
    match scheme(text.trim()) {
        ("unix", name) => unix(name),
        ("tcp" | "", rest) => address(rest),
        _ => Err("has a scheme that is none of tcp://, unix:".to_owned()),
    }
}

/// Returns where datagrams go: `HOST:PORT` or `udp://HOST:PORT`.
pub(crate) fn datagrams(text: &str) -> Result<String, String> {
    match scheme(text.trim()) {
        ("udp" | "", rest) => address(rest),
        _ => Err("is not for datagrams; write HOST:PORT or udp://HOST:PORT".to_owned()),
    }
}

/// Splits an address into its scheme, which may be missing, and the rest.
fn scheme(text: &str) -> (&str, &str) {
    match text.strip_prefix("unix:") {
        Some(name) => ("unix", name),
        None => text.split_once("://").unwrap_or(("", text)),
    }
}

fn unix(name: &str) -> Result<String, String> {
    if name.trim_start_matches('@').is_empty() {
        return Err("lacks its name; a Unix socket looks like unix:/run/hebra.sock or unix:@hebra".to_owned());
    }
    if name.len() > LONGEST_UNIX {
        return Err(format!("is too long; the name of a Unix socket has at most {LONGEST_UNIX} bytes"));
    }
    Ok(format!("unix:{name}"))
}

/// Returns the address, `HOST:PORT`, without the spaces around it.
pub(crate) fn address(text: &str) -> Result<String, String> {
    let address = text.trim();
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => {
            let port = rest.strip_prefix(':');
            (host, port.ok_or_else(|| format!("lacks its port; write [{host}]:1234"))?)
        }
        // The system would take the last group of a bare IPv6 address for the port.
        None if address.parse::<Ipv6Addr>().is_ok() => {
            return Err(format!("is ambiguous; an IPv6 address needs brackets and a port: {}", bracketed(address)));
        }
        None if address.matches(':').count() > 1 => {
            return Err("has too many colons; an IPv6 address needs brackets: [::1]:1234".to_owned());
        }
        None => address.split_once(':').ok_or_else(|| lacks_port(address))?,
    };
    if host.is_empty() {
        return Err("lacks its host; an address looks like localhost:1234".to_owned());
    }
    if port.is_empty() {
        return Err(lacks_port(host));
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("has a port that is not a number; an address looks like localhost:1234".to_owned());
    }
    port.parse::<u16>().map_err(|_| "has a port that is too large; the largest is 65535".to_owned())?;
    Ok(address.to_owned())
}

/// Returns the network, without the spaces around it.
pub(crate) fn network(text: &str) -> Result<Network, String> {
    text.trim().parse().map_err(|error| format!("is not a network; {error}"))
}

/// Returns how a bare IPv6 address with a port was probably meant: `::1:1234` is `[::1]:1234`.
fn bracketed(address: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    match (host.parse::<Ipv6Addr>(), port.parse::<u16>()) {
        (Ok(_), Ok(_)) => format!("[{host}]:{port}"),
        _ => format!("[{address}]:1234"),
    }
}

fn lacks_port(host: &str) -> String {
    let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let host = if is_plain && !host.is_empty() { host } else { "localhost" };
    format!("lacks its port; an address looks like {host}:1234")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_of_every_kind_are_taken() {
        for text in [
            "localhost:1234",
            " 127.0.0.1:0",
            "[::1]:65535",
            "[fe80::1%eth0]:80",
            "[::ffff:127.0.0.1]:1234",
            "bücher.example:1234",
        ] {
            assert_eq!(address(text).as_deref(), Ok(text.trim()));
        }
    }

    #[test]
    fn schemes_say_what_listens() {
        for (text, listens) in [
            ("localhost:1234", "localhost:1234"),
            (" tcp://[::1]:5", "[::1]:5"),
            ("udp://localhost:0", "udp://localhost:0"),
            ("unix:/run/hebra.sock", "unix:/run/hebra.sock"),
            ("unix:@hebra", "unix:@hebra"),
        ] {
            assert_eq!(listener(text).as_deref(), Ok(listens));
            assert_eq!(server(text).is_ok(), !text.contains("udp"), "{text}");
            assert_eq!(datagrams(text).is_ok(), !text.contains("unix") && !text.contains("tcp"), "{text}");
        }
        let longest = format!("unix:/{}", "x".repeat(LONGEST_UNIX - 1));
        assert_eq!(listener(&longest), Ok(longest.clone()));
        for (text, problem) in [
            ("unix:", "lacks its name"),
            ("unix:@", "lacks its name"),
            (&format!("{longest}x"), "is too long; the name of a Unix socket has at most 107 bytes"),
            ("http://localhost:80", "has an unknown scheme"),
            ("udp://localhost", "lacks its port"),
            ("tcp://", "lacks its port"),
        ] {
            let message = listener(text).expect_err(text);
            assert!(message.starts_with(problem), "{text}: {message}");
        }
    }

    #[test]
    fn what_is_malformed_is_named_with_what_would_be_right() {
        for (text, problem) in [
            ("", "lacks its port; an address looks like localhost:1234"),
            ("127.0.0.1", "lacks its port; an address looks like 127.0.0.1:1234"),
            ("localhost:", "lacks its port; an address looks like localhost:1234"),
            (":1234", "lacks its host; an address looks like localhost:1234"),
            ("[]:1234", "lacks its host; an address looks like localhost:1234"),
            ("localhost:http", "has a port that is not a number; an address looks like localhost:1234"),
            ("localhost:-1", "has a port that is not a number; an address looks like localhost:1234"),
            ("localhost:65536", "has a port that is too large; the largest is 65535"),
            ("[::1]", "lacks its port; write [::1]:1234"),
            ("::1", "is ambiguous; an IPv6 address needs brackets and a port: [::1]:1234"),
            ("::1:1234", "is ambiguous; an IPv6 address needs brackets and a port: [::1]:1234"),
            ("fe80::1%eth0:80", "has too many colons; an IPv6 address needs brackets: [::1]:1234"),
            ("\u{1b}[2J", "lacks its port; an address looks like localhost:1234"),
        ] {
            assert_eq!(address(text).as_ref().map_err(String::as_str), Err(problem), "{text}");
        }
    }
}
