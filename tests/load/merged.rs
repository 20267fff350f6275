//! The results of several processes are added as if one process had measured them, and all begin at one time.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use hebra::{Handler, Next, Server};
use serde_json::{Value, json};

use crate::harness::results::json;
use crate::harness::traffic::datagrams::DatagramFault;
use crate::harness::traffic::load::{Load, Mode};
use crate::harness::traffic::run::{self, Outcome};
use crate::harness::traffic::tally::{Failure, Tally, record};
use crate::harness::traffic::timeline::{Point, Step, Timeline, Times};
use crate::support::{FUSE, address, config, run};
use crate::{load, program};

const NOWHERE: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 1));
const SECOND: Duration = Duration::from_secs(1);

/// Returns the outcome of a run of one second in which the answers took these times.
fn outcome(times: &[Duration]) -> Outcome {
    let mut tally = Tally { answers: times.len() as u64, elapsed: SECOND, ..Tally::new() };
    tally.total_answers = tally.answers;
    for time in times {
        record(&mut tally.response, *time);
        record(&mut tally.service, *time);
    }
    let begun = SystemTime::UNIX_EPOCH + 1_000_000 * SECOND;
    Outcome { tally, points: Vec::new(), timeline: Timeline::default(), server: None, begun }
}

/// A folder with the results of a test.
struct Results(PathBuf);

impl Results {
    fn new(name: &str) -> Self {
        Self(program::folder(&format!("merge-{name}")))
    }

    fn write(&self, name: &str, load: &Load, outcome: &Outcome) -> &Self {
        let result = json::join(json::environment(), json::result(load, outcome));
        self.write_json(name, &result)
    }

    fn write_json(&self, name: &str, json: &Value) -> &Self {
        fs::write(self.0.join(name), json.to_string()).expect("the folder can be written");
        self
    }

    /// Merges all files that were written.
    fn merge(&self, names: &[&str]) -> Output {
        let mut command = program::program(Path::new(program::PROGRAM), &self.0);
        run(command.current_dir(&self.0).arg("merge").args(names).args(["--json", "sum"]), b"")
    }

    /// Merges files without an error. Returns the sum, and what was printed on standard error.
    #[track_caller]
    fn sum(&self, names: &[&str]) -> (Value, String) {
        let Output { status, stdout, stderr } = self.merge(names);
        let errors = String::from_utf8_lossy(&stderr).into_owned();
        assert_eq!(status.code(), Some(0), "{}{errors}", String::from_utf8_lossy(&stdout));
        let text = fs::read_to_string(self.0.join("sum")).expect("it was written");
        (serde_json::from_str(&text).expect("it is JSON"), errors)
    }
}

fn milliseconds(times: impl IntoIterator<Item = u64>) -> Vec<Duration> {
    times.into_iter().map(Duration::from_millis).collect()
}

#[track_caller]
fn assert_near(value: &Value, expected: f64) {
    let value = value.as_f64().expect("a number");
    // The histograms have three significant digits.
    assert!((value / expected - 1.0).abs() <= 0.001, "{value} {expected}");
}

#[test]
fn percentiles_are_those_of_all_answers_and_not_an_average() {
    let results = Results::new("union");
    let load = load(NOWHERE);
    results.write("fast", &load, &outcome(&milliseconds([1; 970])));
    results.write("slow", &load, &outcome(&milliseconds([100; 30])));
    let (sum, _) = results.sum(&["fast", "slow"]);
    for (name, time, average) in [("p50", 1.0, 50.5), ("p90", 1.0, 50.5), ("p99", 100.0, 50.5)] {
        assert_near(&sum["response_us"][name], 1000.0 * time);
        assert!((sum["response_us"][name].as_f64().expect("a number") / (1000.0 * average) - 1.0).abs() > 0.9);
    }
    assert_near(&sum["response_us"]["mean"], 1000.0 * 3.97);
}

#[test]
fn the_sum_of_two_processes_is_what_one_process_measures() {
    let results = Results::new("one");
    let load = load(NOWHERE);
    // Times from 50 us to 2 s, most of them short.
    let times: Vec<Duration> = (1..=20_000).map(|number| Duration::from_micros(50 + 40_000_000 / number)).collect();
    let (some, others): (Vec<Duration>, Vec<Duration>) = times.iter().partition(|time| time.as_nanos() % 3 == 0);
    results.write("all", &Load { connections: 2, threads: 2, ..load.clone() }, &outcome(&times));
    results.write("some", &load, &outcome(&some)).write("others", &load, &outcome(&others));
    let (all, _) = results.sum(&["all"]);
    let (sum, errors) = results.sum(&["some", "others"]);
    assert_eq!(errors, "");
    for field in ["response_us", "service_us", "connect_us", "histograms", "messages", "connections", "threads"] {
        assert_eq!(sum[field], all[field], "{field}");
    }
    assert_near(&sum["achieved_rate"], 20_000.0);
    assert_eq!(sum["merged"], json!(["some", "others"]));
    // The sum is a result like any other.
    fs::rename(results.0.join("sum"), results.0.join("both")).expect("the folder can be written");
    let (twice, _) = results.sum(&["both", "both"]);
    assert_eq!((&twice["messages"], &twice["response_us"]["p99"]), (&json!(40_000), &all["response_us"]["p99"]));
}

#[test]
fn rates_errors_and_late_requests_are_added() {
    let results = Results::new("counts");
    let load = load(NOWHERE);
    let part = |due, unsent, refused| {
        let mut outcome = outcome(&milliseconds([1; 100]));
        (outcome.tally.due, outcome.tally.unsent, outcome.tally.elapsed) = (due, unsent, SECOND / 2);
        outcome.tally.failures.add_many(Failure::Refused, refused);
        outcome
    };
    results.write("one", &Load { rate: Some(150.0), seed: 1, ..load.clone() }, &part(75, 0, 1));
    results.write("two", &Load { rate: Some(250.0), seed: 2, connections: 5, ..load }, &part(125, 25, 2));
    let Output { status, stdout, stderr } = results.merge(&["one", "two"]);
    assert_eq!((status.code(), String::from_utf8_lossy(&stderr).as_ref()), (Some(1), ""));
    let printed = String::from_utf8_lossy(&stdout);
    assert!(printed.starts_with("echo: 6 connections, 512 B messages, 1 in flight each, 400/s\n"), "{printed}");
    assert!(printed.contains("SATURATED") && printed.ends_with("2 results: 200 + 200\n"), "{printed}");
    let sum: Value =
        serde_json::from_str(&fs::read_to_string(results.0.join("sum")).expect("it was written")).expect("JSON");
    assert_eq!((&sum["errors"]["refused"], &sum["due"], &sum["unsent"]), (&json!(3), &json!(200), &json!(25)));
    assert_eq!(sum["requested_rate"], json!(400.0));
    assert_near(&sum["achieved_rate"], 400.0);
}

#[test]
fn what_became_of_datagrams_is_added_and_the_sum_is_drawn() {
    let results = Results::new("datagrams");
    let load = Load { mode: Mode::Udp, rate: Some(10.0), ..load(NOWHERE) };
    let part = |delay, lost, server| {
        let mut outcome = outcome(&milliseconds([1; 10]));
        outcome.tally.datagrams.add_many(DatagramFault::Lost, lost, 3, 7);
        outcome.tally.datagrams.dropped_by_server = server;
        outcome.begun += Duration::from_millis(delay);
        for at in milliseconds([100, 205, 300]) {
            outcome.points.push(Point { at, rate: 5.0, p99_us: 9.0 + delay as f64, failures: 0, open: 2 });
            let times = Times::of(&outcome.tally.response);
            outcome.timeline.steps.push(Step { at, rate: 5.0, times, failures: 1, open: 2 });
        }
        outcome
    };
    results.write("one", &load, &part(0, 2, None)).write("two", &load, &part(20, 3, Some(4)));
    let files = ["one", "two", "--html", "page.html", "--hgrm", "times.hgrm", "--plots", "."];
    let Output { status, stderr, .. } = results.merge(&files);
    assert_eq!((status.code(), String::from_utf8_lossy(&stderr).as_ref()), (Some(0), ""));
    let sum: Value =
        serde_json::from_str(&fs::read_to_string(results.0.join("sum")).expect("it was written")).expect("JSON");
    let datagrams = &sum["datagrams"];
    let found = [&datagrams["lost"], &datagrams["dropped_by_server"], &datagrams["first"]["lost"]];
    assert_eq!(found, [&json!(5), &json!(4), &json!([3, 7])]);
    assert_eq!(datagrams["first"]["late"], Value::Null);
    let point = |at: f64| json!({ "at_s": at, "rate": 10.0, "p99_us": 29.0, "connections": 4 });
    assert_eq!(sum["points"], json!([point(0.1), point(0.2), point(0.3)]));
    let steps = sum["timeline"]["steps"].as_array().expect("steps");
    assert!(steps.len() == 3 && steps.iter().all(|step| step["errors"] == 2 && step["rate"] == 10.0), "{steps:?}");
    for file in ["page.html", "times.hgrm", "latency.svg", "rate.svg"] {
        assert!(fs::metadata(results.0.join(file)).is_ok_and(|file| file.len() > 100), "{file}");
    }
}

#[test]
fn windows_that_do_not_overlap_and_other_servers_are_named() {
    let results = Results::new("apart");
    let one = outcome(&milliseconds([1; 10]));
    let two = Outcome { begun: one.begun + Duration::from_millis(2500), ..one.clone() };
    results.write("one", &load(NOWHERE), &one).write("two", &load(NOWHERE), &two);
    let (_, errors) = results.sum(&["one", "two"]);
    assert_eq!(errors.lines().count(), 1, "{errors}");
    let expected =
        "hebra-load: two: 0 % of its window, 1970-01-12T13:46:42.500Z to 1970-01-12T13:46:43.500Z, is within";
    assert!(errors.starts_with(expected), "{errors}");
    results.write("other", &load(([127, 0, 0, 1], 2).into()), &one);
    let (_, errors) = results.sum(&["one", "other"]);
    assert_eq!(errors, "hebra-load: other: it loaded 127.0.0.1:2 and not 127.0.0.1:1 as one\n");
}

#[test]
fn results_of_another_kind_are_refused_in_one_line_that_names_the_file() {
    let results = Results::new("kinds");
    let load = load(NOWHERE);
    let outcome = outcome(&milliseconds([1; 10]));
    results.write("one", &load, &outcome);
    let valid = json::join(json::environment(), json::result(&load, &outcome));
    let with = |field: &str, value: Value| json::join(valid.clone(), json!({ field: value }));
    for (other, problem) in [
        (with("size", json!(64)), "its size is 64 and not 512 as in one"),
        (with("mode", json!("churn")), "its mode is \"churn\" and not \"echo\" as in one"),
        (with("warmup_s", json!(9.0)), "its warmup_s is 9.0 and not 0.0 as in one"),
        (
            with("requested_rate", json!(9.0)),
            "it has a requested_rate and is an open loop, not a closed one as in one",
        ),
        (with("schema", json!(2)), "its schema is 2 and not 4"),
        (with("histograms", json!({})), "it has no histograms.unanswered, or one of another kind"),
        (with("elapsed_s", json!(-1.0)), "it has no elapsed_s, or one of another kind"),
        (json!({}), "not a result: it has no schema"),
        (json!("x"), "not a result: it has no schema"),
    ] {
        results.write_json("other", &other);
        let Output { status, stdout, stderr } = results.merge(&["one", "other"]);
        assert_eq!((status.code(), stdout.as_slice()), (Some(2), &b""[..]), "{problem}");
        assert_eq!(String::from_utf8_lossy(&stderr), format!("hebra-load: other: {problem}\n"));
    }
    for (names, problem) in [
        (&["one", "none"][..], "hebra-load: none: No such file or directory (os error 2)\n"),
        (
            &[],
            "hebra-load: the following required arguments were not provided: <FILE>... (see hebra-load --help)\n",
        ),
    ] {
        let Output { status, stderr, .. } = results.merge(names);
        assert_eq!((status.code(), String::from_utf8_lossy(&stderr).as_ref()), (Some(2), problem));
    }
}

#[test]
fn a_real_result_is_read_back_as_it_was_written() {
    let server = crate::support::start(config().workers(20));
    for mode in [Mode::Echo, Mode::Churn] {
        let load = Load { mode, rate: Some(500.0), connections: 4, threads: 2, ..load(address(&server)) };
        let results = Results::new(&format!("real-{mode:?}"));
        let outcome =
            run::run(&load, Some(std::process::id()), &mut |_| ()).expect("the client gets its descriptors");
        results.write("one", &load, &outcome);
        let text = fs::read_to_string(results.0.join("one")).expect("it was written");
        let one: Value = serde_json::from_str(&text).expect("it is JSON");
        let (sum, errors) = results.sum(&["one"]);
        assert_eq!(errors, "");
        for (field, value) in one.as_object().expect("an object") {
            // The points are on a grid of tenths of a second, and the noise is computed from them.
            if !["arguments", "points", "timeline", "noise_pct", "elapsed_s", "client_busy"]
                .contains(&field.as_str())
            {
                let (found, value) = (&sum[field], value);
                let is_near =
                    found.as_f64().zip(value.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= 1e-6 * b.abs());
                assert!(found == value || is_near, "{field}: {found} {value}");
            }
        }
    }
}

/// Notes when its first message comes.
struct Notes(Arc<Mutex<Vec<SystemTime>>>);

impl Handler for Notes {
    fn message(&mut self, message: &[u8], reply: &mut dyn Write) -> std::io::Result<Next> {
        self.0.lock().expect("no thread panics").push(SystemTime::now());
        reply.write_all(message)?;
        Ok(Next::Continue)
    }
}

#[test]
fn a_load_begins_at_the_given_time_on_connections_that_are_open_before() {
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    let server = Server::bind(config(), move |_session| Notes(Arc::clone(&noted))).expect("it binds");
    let server = server.start().expect("it starts");
    let at = SystemTime::now() + SECOND;
    let load = Load { start_at: Some(at), connections: 3, ..load(address(&server)) };
    let outcome = crate::run(&load);
    assert_eq!(outcome.tally.failures.total(), 0, "{:?}", outcome.tally.failures);
    assert_eq!(server.shutdown(FUSE).stats.accepted, 3);
    let first = times.lock().expect("no thread panics").iter().min().copied();
    assert!(first.is_some_and(|first| first >= at), "{first:?} {at:?}");
    assert!(outcome.begun.duration_since(at).unwrap_or_else(|early| early.duration()) < SECOND / 2);
}

#[test]
fn a_load_whose_time_comes_before_its_connections_are_open_is_not_run() {
    let server = crate::support::start(config());
    let load = Load { start_at: Some(SystemTime::UNIX_EPOCH), ..load(address(&server)) };
    let late = run::run(&load, None, &mut |_| ()).expect_err("its time has passed").to_string();
    assert!(late.starts_with("--start-at: the connections were open "), "{late}");
}
