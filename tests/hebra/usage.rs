//! Wrong arguments: the program prints one line that names the mistake, and exits with the documented code. It does
//! not panic, and prints no backtrace.

use std::process::{Command, Output};

use crate::support::{Program, config, start};

/// Runs `hebra serve`, which must refuse `flags` in one line. Returns the exit code and the line.
fn refused(flags: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        Program::command().args(flags).env("RUST_BACKTRACE", "1").output().expect("it is built");
    assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
    let stderr = String::from_utf8(stderr).expect("text");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("hebra: "), "{stderr}");
    (status.code(), stderr)
}

#[test]
fn a_wrong_flag_is_named_with_exit_code_2() {
    for (flags, named) in [
        (&["--workers", "0"][..], "--workers must be at least 1"),
        (&["--workers", "-1"], "'-1' for '--workers <N>'"),
        (&["--stack-size", "1EiB"], "--stack-size must be at most 1 GiB"),
        (&["--max-per-ip", "0"], "--max-per-ip must be at least 1, or off"),
        (&["--workers", "many"], "'many' for '--workers <N>'"),
        (&["--colour"], "'--colour'"),
        (&["--framing", "json"], "'json' for '--framing <FRAMING>' [possible values: message, line, raw]"),
        (&["--idle-timeout", "fast"], "'fast' for '--idle-timeout <TIME>': a duration looks like"),
        (&["--idle-timeout", "--workers", "4"], "'--idle-timeout <TIME>'"),
        (&["--idle-timeout", "5M"], "'5M' for '--idle-timeout <TIME>': a minute is m"),
        (&["--idle-timeout", "0s"], "--idle-timeout must be at least 1 ms, or off"),
        (&["--max-line", "0"], "--max-line must be at least 1 byte"),
        (&["--max-line", "big"], "'big' for '--max-line <SIZE>': a size looks like"),
        (&["--stack-size", "1"], "--stack-size must be at least 32 KiB"),
        (&["--backlog", "0"], "--backlog must be at least 1"),
        (&["--log-messages", "few"], "'few' for '--log-messages <N|all|off>'"),
        (&["stray"], "'stray'"),
    ] {
        let (code, line) = refused(flags);
        assert_eq!(code, Some(2), "{line}");
        assert!(line.contains(named), "{line} lacks {named}");
    }
}

#[test]
fn a_missing_or_unknown_command_is_reported() {
    for (arguments, line) in
        [(&[][..], "hebra: a command is missing"), (&["sing"], "hebra: unrecognized subcommand 'sing'")]
    {
        let hebra = Program::command();
        let output = Command::new(hebra.get_program()).args(arguments).output().expect("it is built");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
        assert!(stderr.starts_with(line), "{stderr}");
    }
}

#[test]
fn a_wrong_environment_variable_is_named_by_its_flag() {
    let output = Program::command().env("HEBRA_MAX_PENDING", "lots").output().expect("it is built");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("'lots' for '--max-pending <N>'"), "{stderr}");
}

#[test]
fn an_address_that_cannot_be_used_is_named_with_exit_code_1() {
    let server = start(config());
    let taken = server.local_addrs()[0].to_string();
    for (address, named) in [
        (taken.as_str(), format!("cannot listen on {taken}: Address already in use")),
        ("127.0.0.1", "cannot resolve \"127.0.0.1\": an address looks like localhost:1234".to_owned()),
        (":0", "cannot resolve \":0\": an address looks like localhost:1234".to_owned()),
        ("127.0.0.1:65536", "cannot resolve \"127.0.0.1:65536\": ".to_owned()),
        ("no-such-name.invalid:1234", "cannot resolve \"no-such-name.invalid:1234\": ".to_owned()),
        ("\u{1b}[2J:1", "cannot resolve \"\\u{1b}[2J:1\": ".to_owned()),
        // An address for documentation (RFC 3849), which no host has.
        ("[2001:db8::1]:1234", "cannot listen on [2001:db8::1]:1234: ".to_owned()),
        ("224.0.0.1:0", "cannot listen on 224.0.0.1:0: a multicast address, not a host's".to_owned()),
        ("127.255.255.255:0", "cannot listen on 127.255.255.255:0: a broadcast address, not a host's".to_owned()),
    ] {
        let (code, line) = refused(&["--listen", address]);
        assert_eq!(code, Some(1), "{line}");
        assert!(line.contains(&named), "{line} lacks {named}");
    }
}

#[test]
fn more_workers_than_the_system_allows_are_an_error() {
    let (code, line) = refused(&["--listen", "127.0.0.1:0", "--workers", "100000000"]);
    assert_eq!(code, Some(1));
    assert!(line.contains("cannot start 100000000 workers: "), "{line}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    for flags in [&["--help"][..], &["-h"]] {
        let output = Program::command().args(flags).output().expect("it is built");
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).contains("--when-full"));
        assert!(output.stderr.is_empty());
    }
}
