//! Wrong arguments: the program prints one line that names the mistake and says what would be right, and exits with the
//! documented code. It does not panic, and prints no backtrace.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output};

use crate::support::{Program, config, start};

/// Runs a command that must be refused in one line. Returns the exit code and the line.
fn refuse(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.env("RUST_BACKTRACE", "1").output().expect("it is built");
    assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
    let stderr = String::from_utf8(stderr).expect("text");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let line = stderr.strip_suffix('\n').and_then(|line| line.strip_prefix("hebra: ")).expect("that is its form");
    assert!(!line.contains(char::is_control), "{line:?}");
    (status.code(), line.to_owned())
}

fn hebra(arguments: &[&str]) -> Command {
    let mut command = Command::new(Program::command().get_program());
    command.args(arguments);
    command
}

/// Asserts that `hebra serve` with these flags is wrong usage.
fn assert_wrong(flags: &[&str], problem: &str) {
    assert_wrong_usage(Program::command().args(flags), problem, "hebra serve");
}

fn assert_wrong_usage(command: &mut Command, problem: &str, helpful: &str) {
    let (code, line) = refuse(command);
    assert_eq!((code, line), (Some(2), format!("{problem} (see {helpful} --help)")));
}

#[test]
fn a_wrong_value_is_named_with_its_flag_and_what_would_be_right() {
    for (flags, problem) in [
        (&["--workers", "0"][..], "--workers must be at least 1"),
        (&["--workers", "-1"], "--workers: \"-1\" is negative; a number is at least 0"),
        (&["--workers", "many"], "--workers: \"many\" is not a whole number"),
        (
            &["--workers", "99999999999999999999"],
            "--workers: \"99999999999999999999\" is too large; the largest number is 2147483647",
        ),
        (&["--max-per-ip", "0"], "--max-per-ip must be at least 1, or off"),
        (&["--max-per-ip", "few"], "--max-per-ip: \"few\" is not a whole number, or off"),
        (
            &["--deny", "10.0.0.0/8,10.0.0/8"],
            "--deny: \"10.0.0/8\" is not a network; a network looks like 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1",
        ),
        (
            &["--allow", "10.0.0.0/33"],
            "--allow: \"10.0.0.0/33\" is not a network; a network looks like 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1",
        ),
        (
            &["--proxy-protocol", "haproxy"],
            "--proxy-protocol: \"haproxy\" is not a network; a network looks like 192.0.2.0/24, 2001:db8::/32 or \
             192.0.2.1",
        ),
        (&["--backlog", "0"], "--backlog must be at least 1"),
        (&["--log-messages", "few"], "--log-messages: \"few\" is not a whole number, or all, or off"),
        (&["--log-sessions", "few"], "--log-sessions: \"few\" is not a whole number, or all, or off"),
        (&["--log-format", "yaml"], "--log-format: \"yaml\" is none of text, json, journal"),
        (
            &["--listen", "unix:"],
            "--listen: \"unix:\" lacks its name; a Unix socket looks like unix:/run/hebra.sock or unix:@hebra",
        ),
        (
            &["--listen", "http://localhost:80"],
            "--listen: \"http://localhost:80\" has an unknown scheme; \
             use HOST:PORT, udp://HOST:PORT, unix:/path or unix:@name",
        ),
        (
            &["--listen", "udp://localhost:0", "--service", "chat"],
            "--listen takes udp:// only with --service echo or whoami",
        ),
        (
            &["--listen", "udp://localhost:0", "--service", "greet"],
            "--listen takes udp:// only with --service echo or whoami",
        ),
        (&["--service", "whoami", "--framing", "message"], "--framing must be line with --service whoami"),
        (&["--service", "whoami", "--framing", "raw"], "--framing must be line with --service whoami"),
        (
            &["--label", "zone"],
            "--label: \"zone\" lacks its =; a label looks like zone=eu-1, and a comma separates labels",
        ),
        (
            &["--label", "a=1,=2"],
            "--label: \"=2\" lacks its key; a label looks like zone=eu-1, and a comma separates labels",
        ),
        (&["--label", "a=\n"], "--label: \"a=\\n\" contains a control character, \\n"),
        (&["--service", "whoami", "--label", "a=1", "--label", "a=2"], "--label must not have a key twice"),
        (&["--service", "whoami", "--label", "a=1,a=1"], "--label must not have a key twice"),
        (
            &["--service", "whoami", "--label", &format!("a={}", "x".repeat(4096))],
            "--label must have at most 4096 bytes, all labels together",
        ),
        (&["--prefix", ""], "--prefix: \"\" is empty; leave it out for no prefix"),
        (&["--prefix", "a\rb"], "--prefix: \"a\\rb\" contains a control character, \\r"),
        (&["--listen", "udp://localhost:0", "--prefix", "one"], "--prefix cannot be used with udp:// listeners"),
        (
            &["--listen", "unix:/tmp/x", "--unix-mode", "rw"],
            "--unix-mode: \"rw\" is not a file mode; it has octal digits, at most 0777",
        ),
        (&["--unix-mode", "0600"], "--unix-mode has no effect without --listen unix:/path"),
        (&["--listen", "unix:@x", "--deny", "::/0"], "--deny has no effect with Unix sockets alone"),
        (&["--listen", "unix:@x", "--allow", "::1"], "--allow has no effect with Unix sockets alone"),
        (&["--listen", "unix:@x", "--max-per-ip", "1"], "--max-per-ip has no effect without a TCP listener"),
        (
            &["--listen", "udp://127.0.0.1:0", "--proxy-protocol", "::1"],
            "--proxy-protocol has no effect without a TCP listener",
        ),
        (&["--framing", "json"], "--framing: \"json\" is none of message, line, raw"),
        (&["--framing", "lines"], "--framing: \"lines\" is none of message, line, raw; did you mean line?"),
        (
            &["--idle-timeout", "fast"],
            "--idle-timeout: \"fast\" is not a time; a time looks like 250ms, 10s or 5m, or off",
        ),
        (
            &["--idle-timeout", "5"],
            "--idle-timeout: \"5\" lacks its unit; a time looks like 250ms, 10s or 5m, or off",
        ),
        (
            &["--idle-timeout", "-5s"],
            "--idle-timeout: \"-5s\" is negative; a time looks like 250ms, 10s or 5m, or off",
        ),
        (&["--drain-timeout=-5s"], "--drain-timeout: \"-5s\" is negative; a time looks like 250ms, 10s or 5m"),
        (&["--drain-timeout", "2y"], "--drain-timeout: \"2y\" is too long; the longest time is 365d"),
        (&["--admin", "localhost"], "--admin: \"localhost\" lacks its port; an address looks like localhost:1234"),
        (&["--drain-delay", "5"], "--drain-delay: \"5\" lacks its unit; a time looks like 250ms, 10s or 5m"),
        (&["--idle-timeout", "0s"], "--idle-timeout must be at least 1 ms, or off"),
        (&["--idle-timeout", "--workers", "4"], "--idle-timeout needs a value: --idle-timeout <TIME>"),
        (&["--max-line", "0", "--framing", "line"], "--max-line must be at least 1 byte"),
        (&["--stack-size", "big"], "--stack-size: \"big\" is not a size; a size looks like 65536 or 64KiB"),
        (&["--stack-size", "1"], "--stack-size must be at least 32 KiB"),
        (&["--stack-size", "2GiB"], "--stack-size must be at most 1 GiB"),
        (
            &["--max-line", "18446744073709551616B"],
            "--max-line: \"18446744073709551616B\" is too large; the largest size is 1TiB",
        ),
        (&["--max-line", "1e30"], "--max-line: \"1e30\" is not a size; a size looks like 65536 or 64KiB"),
        (&["--service", "chat", "--max-outgoing", "1KiB"], "--max-outgoing must be at least 8 KiB in a chat"),
        (&["--greeting", "-x"], "--greeting: \"-x\" begins with -; write --greeting=\"-x\""),
        (&["--room=yes"], "--room takes no value, but was given \"yes\""),
        (&["--workers", "4", "--workers", "5"], "--workers is given twice"),
        (
            &["--fault-corrupt", "1.5"],
            "--fault-corrupt: \"1.5\" is not a probability; a probability is a number from 0 to 1, such as 0.01",
        ),
        (
            &["--fault-drop", "NaN"],
            "--fault-drop: \"NaN\" is not a probability; a probability is a number from 0 to 1, such as 0.01",
        ),
        (
            &["--fault-drop", "-0.1"],
            "--fault-drop: \"-0.1\" is not a probability; a probability is a number from 0 to 1, such as 0.01",
        ),
        (
            &["--fault-delay", "80ms..50ms"],
            "--fault-delay: \"80ms..50ms\" ends before it begins; a range looks like 50ms..80ms",
        ),
        (
            &["--fault-delay", "50"],
            "--fault-delay: \"50\" lacks its unit; a time looks like 250ms, 10s or 5m, and a range like 50ms..80ms",
        ),
        (&["--fault-delay", "366d"], "--fault-delay: \"366d\" is too long; the longest time is 365d"),
        (&["--fault-delay", "0ms"], "--fault-delay: \"0ms\" is too short; a delay is longer than zero"),
        (
            &["--fault-corrupt", "1e-300"],
            "--fault-corrupt: \"1e-300\" is too small; the smallest probability but 0 is 1e-15",
        ),
        (
            &["--service", "whoami", "--label", "msg=Hello, world"],
            "--label: \" world\" lacks its =; a label looks like zone=eu-1, and a comma separates labels",
        ),
        (&["--fault-rate", "0"], "--fault-rate must be at least 1 byte a second"),
        (&["--fault-close-after", "-1"], "--fault-close-after: \"-1\" is negative; a number is at least 0"),
        (
            &["--fault-close-after", "1", "--fault-reset-after", "2"],
            "--fault-reset-after cannot be combined with --fault-close-after",
        ),
        (
            &["--fault-delay", "50ms", "--fault-seed", "1"],
            "--fault-seed has no effect without a fault by chance, such as --fault-drop",
        ),
        (
            &["--fault-duplicate", "0.5", "--listen", "localhost:0"],
            "--fault-duplicate has no effect without a udp:// listener",
        ),
        (&["--fault-reorder", "0.5"], "--fault-reorder has no effect without a udp:// listener"),
        (
            &["--fault-reorder", "2"],
            "--fault-reorder: \"2\" is not a probability; a probability is a number from 0 to 1, such as 0.01",
        ),
        (
            &["--listen", "udp://127.0.0.1:0", "--fault-close-after", "1"],
            "--fault-close-after has no effect without a TCP or Unix listener",
        ),
        (
            &["--listen", "udp://127.0.0.1:0", "--fault-reset-after", "1"],
            "--fault-reset-after has no effect without a TCP or Unix listener",
        ),
        (
            &["--listen", "udp://127.0.0.1:0", "--fault-delay", "1s", "--fault-seed", "1"],
            "--fault-seed has no effect without a fault by chance, such as --fault-drop",
        ),
        (
            &["--listen", "udp://127.0.0.1:0", "--fault-rate", "1KiB"],
            "--fault-rate has no effect without a TCP or Unix listener",
        ),
    ] {
        assert_wrong(flags, problem);
    }
}

#[test]
fn an_unknown_word_is_named_with_the_one_that_was_meant() {
    for (arguments, problem, helpful) in [
        (&[][..], "a command is missing: serve, connect, probe, udp, man, completions", "hebra"),
        (&["udp"], "a command is missing: serve, send", "hebra udp"),
        (&["sing"], "unknown command \"sing\"", "hebra"),
        (&["serv"], "unknown command \"serv\"; did you mean serve?", "hebra"),
        (&["udp", "sned"], "unknown command \"sned\"; did you mean send?", "hebra udp"),
        (&["--workers", "4"], "unknown flag --workers; did you mean serve --workers?", "hebra"),
        (&["serve", "--colour"], "unknown flag --colour", "hebra serve"),
        (&["serve", "--worker", "4"], "unknown flag --worker; did you mean --workers?", "hebra serve"),
        (&["serve", "-workers", "4"], "unknown flag -workers; did you mean --workers?", "hebra serve"),
        (&["connect", "--tiemout=1s"], "unknown flag --tiemout; did you mean --timeout?", "hebra connect"),
        (&["udp", "serve", "--ecko"], "unknown flag --ecko; did you mean --echo?", "hebra udp serve"),
        (&["serve", "stray"], "unexpected argument \"stray\"", "hebra serve"),
        (
            &["serve", "[::1]:80"],
            "unexpected argument \"[::1]:80\"; did you mean --listen [::1]:80?",
            "hebra serve",
        ),
        (&["udp", "send"], "missing: ADDR, TEXT", "hebra udp send"),
        (
            &["udp", "send", "localhost:1", "-x"],
            "unknown flag -x; put -- before a word that begins with -",
            "hebra udp send",
        ),
    ] {
        assert_wrong_usage(&mut hebra(arguments), problem, helpful);
    }
}

#[test]
fn a_wrong_variable_is_named() {
    for (variable, value, problem) in [
        ("HEBRA_WORKERS", "4\r", "HEBRA_WORKERS: \"4\\r\" is not a whole number"),
        ("HEBRA_WORKERS", "0", "HEBRA_WORKERS must be at least 1"),
        ("HEBRA_FRAMING", "json", "HEBRA_FRAMING: \"json\" is none of message, line, raw"),
        (
            "HEBRA_LABEL",
            "zone=eu-1,",
            "HEBRA_LABEL: \"\" lacks its =; a label looks like zone=eu-1, and a comma separates labels",
        ),
        ("HEBRA_PREFIX", "one\n", "HEBRA_PREFIX: \"one\\n\" contains a control character, \\n"),
        ("HEBRA_ROOM", "maybe", "HEBRA_ROOM: \"maybe\" is neither true nor false"),
        (
            "HEBRA_ALLOW",
            "10.0.0.0/8,",
            "HEBRA_ALLOW: \"\" is not a network; a network looks like 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1",
        ),
        (
            "HEBRA_LISTEN",
            "localhost:0,::1:80",
            "HEBRA_LISTEN: \"::1:80\" is ambiguous; an IPv6 address needs brackets and a port: [::1]:80",
        ),
    ] {
        assert_wrong_usage(Program::command().env(variable, value), problem, "hebra serve");
    }
    let wrong = OsStr::from_bytes(b"\xff");
    assert_wrong_usage(
        Program::command().env("HEBRA_WORKERS", wrong),
        "HEBRA_WORKERS: \"\\xff\" is not UTF-8",
        "hebra serve",
    );
    // Where the flag has the word, the flag is named.
    let command = &mut Program::command();
    assert_wrong_usage(
        command.env("HEBRA_WORKERS", "4").args(["--workers", "0"]),
        "--workers must be at least 1",
        "hebra serve",
    );
    assert_wrong_usage(
        hebra(&["connect"]).env("HEBRA_TIMEOUT", "soon"),
        "HEBRA_TIMEOUT: \"soon\" is not a time; a time looks like 250ms, 10s or 5m, or off",
        "hebra connect",
    );
}

#[test]
fn a_variable_is_named_in_what_is_wrong_about_another_value() {
    for (variables, flags, problem) in [
        (
            &[("HEBRA_FAULT_CLOSE_AFTER", "1"), ("HEBRA_FAULT_RESET_AFTER", "1")][..],
            &[][..],
            "HEBRA_FAULT_RESET_AFTER cannot be combined with HEBRA_FAULT_CLOSE_AFTER",
        ),
        (
            &[("HEBRA_FAULT_CLOSE_AFTER", "1")],
            &["--fault-reset-after", "1"],
            "--fault-reset-after cannot be combined with HEBRA_FAULT_CLOSE_AFTER",
        ),
        (
            &[("HEBRA_FAULT_RESET_AFTER", "1")],
            &["--fault-close-after", "1"],
            "HEBRA_FAULT_RESET_AFTER cannot be combined with --fault-close-after",
        ),
        (
            &[("HEBRA_MAX_PENDING", "0")],
            &["--yield-after", "1s"],
            "--yield-after has no effect with HEBRA_MAX_PENDING=0 and --when-full busy",
        ),
    ] {
        let command = &mut Program::command();
        assert_wrong_usage(command.envs(variables.iter().copied()).args(flags), problem, "hebra serve");
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0", "--help"]);
    let help = String::from_utf8(command.output().expect("it is built").stdout).expect("text");
    let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--")?.split([' ', '<']).next());
    let variables: Vec<String> = flags
        .filter(|flag| *flag != "listen")
        .map(|flag| format!("HEBRA_{}", flag.to_uppercase().replace('-', "_")))
        .collect();
    assert!(variables.len() > 20, "{variables:?}");
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0"]).envs(variables.iter().map(|variable| (variable, "")));
    drop(Program::spawn(&mut command, 1));
    let output = Program::command().env("HEBRA_LISTEN", "").arg("--help").output().expect("it is built");
    assert_eq!(output.status.code(), Some(0));
    let mut command = hebra(&["udp", "serve"]);
    command.args(["--listen", "127.0.0.1:0"]).envs(["HEBRA_ECHO", "HEBRA_RATE"].map(|variable| (variable, "")));
    drop(Program::spawn(&mut command, 1));
}

#[test]
fn a_flag_without_effect_is_wrong_and_a_variable_without_effect_is_ignored() {
    for (flags, problem) in [
        (&["--greeting", "hi"][..], "--greeting has no effect without --service greet"),
        (&["--label", "a=b"], "--label has no effect without --service whoami"),
        (&["--prefix", "one", "--service", "whoami"], "--prefix has no effect without --service echo"),
        (&["--prefix", "one", "--framing", "raw"], "--prefix has no effect with --framing raw"),
        (&["--room"], "--room has no effect without --service chat"),
        (&["--max-outgoing", "1MiB"], "--max-outgoing has no effect without --service chat"),
        (&["--max-line", "1KiB"], "--max-line has no effect without --framing line"),
        (&["--max-line", "1KiB", "--service", "chat"], "--max-line has no effect without --framing line"),
        (&["--busy-poll", "50us", "--service", "chat"], "--busy-poll has no effect with --service chat"),
        (&["--defer-accept", "--service", "chat"], "--defer-accept has no effect with --service chat"),
        (&["--queue-timeout", "1s", "--max-pending", "0"], "--queue-timeout has no effect with --max-pending 0"),
        (
            &["--yield-after", "1s", "--max-pending", "0"],
            "--yield-after has no effect with --max-pending 0 and --when-full busy",
        ),
    ] {
        assert_wrong(flags, problem);
    }
    for (flags, problem) in [
        (&["--rate", "5"][..], "--rate has no effect without --echo"),
        (&["--fault-delay", "1s"], "--fault-delay has no effect without --echo"),
        (&["--fault-seed", "1"], "--fault-seed has no effect without --echo"),
        (
            &["--echo", "--fault-seed", "1"],
            "--fault-seed has no effect without a fault by chance, such as --fault-drop",
        ),
    ] {
        assert_wrong_usage(hebra(&["udp", "serve"]).args(flags), problem, "hebra udp serve");
    }
    for flags in [
        &["--max-line", "1KiB", "--framing", "line"][..],
        &["--max-line", "1KiB", "--service", "chat", "--room"],
        &["--yield-after", "1s", "--max-pending", "0", "--when-full", "wait"],
    ] {
        drop(Program::serve(flags));
    }
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0"]);
    for (variable, value) in [
        ("HEBRA_GREETING", "hi"),
        ("HEBRA_LABEL", "a=1,a=2"),
        ("HEBRA_ROOM", "true"),
        ("HEBRA_MAX_OUTGOING", "1MiB"),
        ("HEBRA_MAX_LINE", "1KiB"),
        ("HEBRA_RATE", "few"),
    ] {
        command.env(variable, value);
    }
    drop(Program::spawn(&mut command, 1));
}

#[test]
fn a_wrong_value_is_shown_escaped() {
    for (arguments, problem, helpful) in [
        (&["\x1b[2J"][..], "unknown command \"\\u{1b}[2J\"", "hebra"),
        (&["serve", "--x\x1b[2J"], "unknown flag --x\\u{1b}[2J", "hebra serve"),
        (&["serve", "a\u{202e}b"], "unexpected argument \"a\\u{202e}b\"", "hebra serve"),
        (&["serve", "--workers", "4\r\n"], "--workers: \"4\\r\\n\" is not a whole number", "hebra serve"),
        (
            &["serve", "--framing", "\u{9b}31m"],
            "--framing: \"\\u{9b}31m\" is none of message, line, raw",
            "hebra serve",
        ),
        (
            &["connect", "\u{1b}[2J"],
            "ADDR: \"\\u{1b}[2J\" lacks its port; an address looks like localhost:1234",
            "hebra connect",
        ),
    ] {
        assert_wrong_usage(&mut hebra(arguments), problem, helpful);
    }
    let mut command = hebra(&["serve"]);
    command.arg(OsStr::from_bytes(b"--room\xff"));
    assert_wrong_usage(&mut command, "an argument is not UTF-8: \"--room\\xff\"", "hebra serve");
}

#[test]
fn a_malformed_address_is_wrong_usage() {
    for (address, problem) in [
        ("127.0.0.1", "lacks its port; an address looks like 127.0.0.1:1234"),
        (":0", "lacks its host; an address looks like localhost:1234"),
        ("127.0.0.1:65536", "has a port that is too large; the largest is 65535"),
        ("::1:1234", "is ambiguous; an IPv6 address needs brackets and a port: [::1]:1234"),
        ("[::1]", "lacks its port; write [::1]:1234"),
    ] {
        assert_wrong(&["--listen", address], &format!("--listen: \"{address}\" {problem}"));
        let line = format!("ADDR: \"{address}\" {problem}");
        assert_wrong_usage(&mut hebra(&["connect", address]), &line, "hebra connect");
        assert_wrong_usage(&mut hebra(&["udp", "send", address, "x"]), &line, "hebra udp send");
        let line = format!("--listen: \"{address}\" {problem}");
        assert_wrong_usage(&mut hebra(&["udp", "serve", "--listen", address]), &line, "hebra udp serve");
    }
}

#[test]
fn an_address_that_cannot_be_used_is_named_with_exit_code_1() {
    let server = start(config());
    let taken = server.local_addrs()[0].to_string();
    for (address, named) in [
        (taken.as_str(), format!("cannot listen on {taken}: Address already in use")),
        ("no-such-name.invalid:1234", "cannot resolve \"no-such-name.invalid:1234\": ".to_owned()),
        ("\u{1b}[2J:1", "cannot resolve \"\\u{1b}[2J:1\": ".to_owned()),
        // An address for documentation (RFC 3849), which no host has.
        ("[2001:db8::1]:1234", "cannot listen on [2001:db8::1]:1234: ".to_owned()),
        ("224.0.0.1:0", "cannot listen on 224.0.0.1:0: a multicast address, not a host's".to_owned()),
        ("127.255.255.255:0", "cannot listen on 127.255.255.255:0: a broadcast address, not a host's".to_owned()),
    ] {
        let (code, line) = refuse(Program::command().args(["--listen", address]));
        assert_eq!(code, Some(1), "{line}");
        assert!(line.contains(&named), "{line} lacks {named}");
    }
}

#[test]
fn more_workers_than_the_system_allows_are_an_error() {
    let (code, line) = refuse(Program::command().args(["--listen", "127.0.0.1:0", "--workers", "100000000"]));
    assert_eq!(code, Some(1));
    assert!(line.contains("cannot start 100000000 workers: "), "{line}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    for flags in [&["--help"][..], &["-h"]] {
        let output = Program::command().args(flags).output().expect("it is built");
        assert_eq!(output.status.code(), Some(0));
        let help = String::from_utf8(output.stdout).expect("text");
        assert!(help.contains("--when-full") && help.contains("HEBRA_MAX_LINE"), "{help}");
        let widest = help.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{help}");
        assert!(output.stderr.is_empty());
    }
}
