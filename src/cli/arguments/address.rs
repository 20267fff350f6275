//! Addresses and networks as they are typed: what is malformed, and what would be right.
//!
//! Only the form is checked here. Whether a host exists is for the resolver to say.

use std::net::Ipv6Addr;

use hebra::Network;

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
