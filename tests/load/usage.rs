//! The command line, and the JSON that scripts read.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use clap::Parser;

use crate::harness::cli::arguments::check;
use crate::harness::cli::problem::Problem;
use crate::harness::cli::single;
use crate::harness::comparison::arguments::Bench;
use crate::harness::comparison::build::BENCH;
use crate::harness::output::Output;
use crate::harness::results::json;
use crate::harness::traffic::load::{Adversaries, Mode};
use crate::support::{address, config, start};
use crate::{load, run};

/// Nothing listens there.
const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));

#[test]
fn the_flags_mean_what_scripts_expect() {
    let line = "load --addr 127.0.0.1:1 --connections 7 --duration 3s --warmup 1s --size 16KiB --depth 2 \
                --rate 1000 --mode churn --json file --idle 1 --slow-writers 2 --slow-readers 3 --resetters 4 --bench";
    let arguments = Bench::try_parse_from(line.split_whitespace()).expect("the command line is valid");
    let load = arguments.single.load(NOWHERE.into());
    assert_eq!((load.connections, load.size, load.depth, load.rate), (7, 16 * 1024, 2, Some(1000.0)));
    assert_eq!((load.duration, load.warmup), (Duration::from_secs(3), Duration::from_secs(1)));
    assert_eq!(load.mode, Mode::Churn);
    assert_eq!(load.adversaries, Adversaries { idle: 1, slow_writers: 2, slow_readers: 3, resetters: 4 });
}

#[test]
fn the_defaults_are_those_of_the_mode() {
    let load = |line: &str| {
        let arguments = Bench::try_parse_from(line.split_whitespace()).expect("the command line is valid");
        arguments.single.load(NOWHERE.into())
    };
    let echo = load("load");
    assert_eq!((echo.size, echo.depth, echo.rate, echo.duration), (512, 1, None, Duration::from_secs(10)));
    assert!(!echo.reconnect && !echo.expect_faults);
    assert!(load("load --reconnect").reconnect && load("load --expect-faults").reconnect);
    assert!(!load("load --mode udp --expect-faults").reconnect);
    assert_eq!((load("load --mode stream").size, load("load --mode stream").depth), (64 * 1024, 16));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for line in [
        "--connections 0",
        "--connections 10001",
        "--duration 0s",
        "--duration 1000000years",
        "--duration 8days",
        "--warmup 1000000years",
        "--timeout 0s",
        "--timeout 1000000years",
        "--size 0",
        "--size 1EiB",
        "--depth 0",
        "--rate 0",
        "--rate -1",
        "--rate NaN",
        "--rate inf",
        "--rate 1e9",
        "--idle 10001",
        "--slow-readers 65535",
        "--save-baseline ../x",
        "--save-baseline ",
        "--mode x",
        "--proxy v3",
        "--start-at 2020-01-01T00:00:00Z",
        "--start-at +8days",
        "--start-at 12:00",
        "--start-at +",
        "x",
    ] {
        let error = Bench::try_parse_from(["load"].into_iter().chain(line.split_whitespace())).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn a_window_of_a_week_is_computed_without_overflow() {
    let line = "load --duration 7days --warmup 7days --timeout 7days --rate 0.01";
    let arguments = Bench::try_parse_from(line.split_whitespace()).expect("the command line is valid");
    assert_eq!(check(&arguments.single.load(NOWHERE.into())), Ok(()));
}

/// Nothing listens at any of the addresses, so a run would fail with another error.
#[test]
fn what_is_wrong_with_a_command_line_is_reported_before_the_run() {
    for (flags, problem) in [
        ("--json /nonexistent/x.json", "--json /nonexistent/x.json: No such file or directory"),
        ("--json /", "--json /: "),
        ("--plots /nonexistent", "--plots /nonexistent/latency.svg: No such file or directory"),
        ("--baseline never-saved", "--baseline never-saved: no such baseline"),
        ("--pid 4194305", "--pid 4194305: No such file or directory"),
        ("--rate 0.5 --duration 500ms", "--rate 0.5: no message is due within 500ms after 1s of warm-up"),
        ("--mode churn --reconnect", "--reconnect: not with --mode churn"),
        ("--mode churn --expect-faults", "--expect-faults: not with --mode churn"),
        ("--mode udp --reconnect", "--reconnect: not with --mode udp, which has no sessions"),
        ("--mode udp --end close", "--end: not with --mode udp"),
        ("--mode udp --idle 1", "--idle: not with --mode udp"),
        ("--mode udp --slow-writers 1", "--slow-writers: not with --mode udp"),
        ("--mode udp --slow-readers 1", "--slow-readers: not with --mode udp"),
        ("--mode udp --resetters 1", "--resetters: not with --mode udp"),
        ("--mode udp --rate 10 --depth 2", "--depth: not with --mode udp and --rate"),
        ("--mode udp --size 31", "--size 31: with --mode udp from 32 to 65507"),
        ("--mode udp --size 64KiB", "--size 65536: with --mode udp from 32 to 65507"),
        ("--connections 10000 --depth 100000", "--depth 100000: with 10000 connections, at most 1000"),
        ("--addr x", "--addr x: "),
        ("--addr unix:/nonexistent", "--addr unix:/nonexistent: No such file or directory"),
        ("--addr unix:/dev/null", "--addr unix:/dev/null: it is not a socket"),
        ("--addr unix:", "--addr unix:: No such file or directory"),
    ] {
        let address = if flags.starts_with("--addr") { "" } else { "--addr 127.0.0.1:1 " };
        let line = format!("load {address}{flags}");
        let arguments = Bench::try_parse_from(line.split_whitespace()).expect("each flag alone is valid");
        match single::run(&BENCH, &arguments.single) {
            Err(Problem::Usage(found)) => assert!(found.starts_with(problem), "{found}"),
            other => panic!("{flags}: {other:?}"),
        }
    }
}

#[test]
fn an_output_keeps_its_content_until_it_is_written() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("output.txt");
    let _ = fs::remove_file(&path);
    drop(Output::open(&path).expect("the directory exists"));
    assert!(!path.exists(), "a file without a result is removed");
    let write = |text| Output::open(&path).and_then(|output| output.write(text));
    write("a long result").expect("there is room");
    drop(Output::open(&path).expect("it exists"));
    assert_eq!(fs::read_to_string(&path).expect("it is kept"), "a long result");
    write("short").expect("there is room");
    assert_eq!(fs::read_to_string(&path).expect("it is text"), "short");
    let full = Output::open(Path::new("/dev/full")).and_then(|output| output.write("x"));
    assert!(full.expect_err("it is full").to_string().starts_with("/dev/full: "));
}

#[test]
fn the_json_has_what_scripts_read() {
    let server = start(config());
    let load = load(address(&server));
    let json = json::join(json::environment(), json::result(&load, &run(&load)));
    assert!(json["achieved_rate"].as_f64().is_some_and(|rate| rate > 0.0));
    assert!(json["requested_rate"].is_null());
    assert_eq!(json["saturated"], false);
    for kind in ["refused", "timed_out", "reset", "eof", "busy", "mismatch", "other"] {
        assert_eq!(json["errors"][kind], 0, "{kind}");
    }
    assert!(json["verified_bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    for times in ["service_us", "response_us"] {
        for name in ["p50", "p90", "p99", "p999", "p9999", "max"] {
            assert!(json[times][name].as_f64().is_some_and(|time| time > 0.0), "{times} {name}");
        }
    }
    for (object, counts) in [
        ("sessions", &["ended", "reset", "reconnected", "resent", "least_messages", "most_messages"][..]),
        ("faults", &["corrupted_bytes", "missing_bytes", "damaged_messages", "unfinished_messages"]),
    ] {
        assert!(counts.iter().all(|count| json[object][count] == 0), "{}", json[object]);
    }
    for name in ["version", "arguments", "seed", "kernel", "cores"] {
        assert!(!json[name].is_null(), "{name}");
    }
}

#[test]
fn flags_of_the_suite_need_the_suite() {
    let parse = |line: &str| Bench::try_parse_from(line.split_whitespace());
    let part = parse("load --suite --rounds 9 --only 500 --only churning --peer tokio")
        .expect("the command line is valid")
        .comparison;
    assert_eq!((part.rounds, part.only.len(), part.peer), (Some(9), 2, vec!["tokio".to_owned()]));
    assert!(parse("load --growth --rounds 5").is_ok_and(|arguments| arguments.comparison.growth));
    for wrong in [
        "load --only 500",
        "load --peer tokio",
        "load --suite --rounds 0",
        "load --suite --growth",
        "load --suite --peer nobody",
        "load --suite --only nothing",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
