//! The search for the highest rate at which an objective holds.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use clap::Parser;
use serde_json::Value;

use crate::harness::cli::problem::Problem;
use crate::harness::cli::single;
use crate::harness::comparison::arguments::Bench;
use crate::harness::comparison::build::BENCH;
use crate::harness::search::knee::{Found, Range, search};
use crate::harness::search::objective::{Objective, Verdict};
use crate::harness::traffic::load::Load;
use crate::harness::traffic::tally::{Failure, Tally, record_many};
use crate::support::{Program, address, config, start};
use crate::{load, run};

/// Nothing listens there.
const NOWHERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));

const RANGE: Range = Range { least: 1.0, first: 100.0, most: 1e8 };

/// A server whose runs hold or fail by chance, the more surely the farther the rate is from the knee: of the runs at a rate
/// 2 % below it 12 % fail.
struct Simulated {
    knee: f64,
    /// The share of runs that fail at any rate, because of something else on the machine.
    disturbed: f64,
    chance: u64,
    runs: u32,
}

impl Simulated {
    fn new(knee: f64, disturbed: f64, seed: u64) -> Self {
        Self { knee, disturbed, chance: seed, runs: 0 }
    }

    /// Returns a number from 0 to 1.
    fn draw(&mut self) -> f64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((number ^ (number >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn run(&mut self, rate: f64) -> bool {
        self.runs += 1;
        let holds = 1.0 / (1.0 + ((rate / self.knee).ln() / 0.01).exp());
        self.draw() >= self.disturbed && self.draw() < holds
    }

    fn search(&mut self) -> Found {
        search(RANGE, |rate| Ok::<_, ()>(self.run(rate))).expect("no run fails to run")
    }
}

#[test]
fn the_search_is_within_a_twentieth_of_the_knee_although_runs_fail_by_chance() {
    for (knee, disturbed) in [(41_234.0, 0.0), (97.3, 0.05), (1_900_000.0, 0.05)] {
        let mut far = 0;
        for seed in 0..500 {
            let mut server = Simulated::new(knee, disturbed, seed);
            let found = server.search();
            let [below, above] = [found.below, found.above].map(|tried| tried.expect("both are in the range"));
            assert!(found.is_settled && server.runs < 250, "{seed}: {found:?}, {} runs", server.runs);
            assert!(below.held >= 5 && above.held <= 4, "{seed}: {found:?}");
            let distance = (below.rate / knee - 1.0).abs();
            assert!(below.rate < above.rate && above.rate < 1.15 * below.rate, "{seed}: {found:?}");
            far += u32::from(distance > 0.05);
        }
        assert!(far <= 10, "{far} of 500 are farther away");
    }
}

#[test]
fn a_disturbance_of_twelve_runs_does_not_mislead_the_search() {
    for first in 0..40 {
        let mut server = Simulated::new(5000.0, 0.0, 1);
        let mut number = 0;
        let found = search(RANGE, |rate| {
            number += 1;
            Ok::<_, ()>(server.run(rate) && !(first..first + 12).contains(&number))
        });
        let found = found.expect("no run fails to run");
        let below = found.below.expect("it holds from time to time");
        assert!((below.rate / 5000.0 - 1.0).abs() < 0.05, "{first}: {found:?}");
    }
}

#[test]
fn a_search_ends_at_the_ends_of_its_range() {
    let always = search(RANGE, |_| Ok::<_, ()>(true)).expect("no run fails to run");
    assert_eq!((always.below.map(|below| below.rate), always.above), (Some(1e8), None));
    let never = search(RANGE, |_| Ok::<_, ()>(false)).expect("no run fails to run");
    assert_eq!((never.below, never.above.map(|above| above.rate)), (None, Some(1.0)));
    // The least rate is the quotient of times, which is seldom exact.
    for least in [199.999_999_999_999_9, 200.000_000_000_000_1, 333.333_333] {
        let mut runs = 0;
        let never = search(Range { least, first: 333.4, most: 1e8 }, |_| {
            runs += 1;
            if runs < 1000 { Ok(false) } else { Err("it does not end") }
        });
        assert!(never.is_ok_and(|never| never.below.is_none()), "{least}");
    }
    assert_eq!(search(RANGE, |rate| if rate > 1000.0 { Err("it broke") } else { Ok(true) }), Err("it broke"));
}

#[test]
fn a_search_that_chance_decides_does_not_go_on_for_ever() {
    for seed in 0..20 {
        let mut server = Simulated::new(5000.0, 0.5, seed);
        let _ = server.search();
        // The last round of the search may begin just before its end.
        assert!(server.runs < 300, "{}", server.runs);
    }
}

#[test]
fn an_objective_limits_a_percentile_and_allows_no_error_and_no_late_message() {
    let objective = |text| Objective::parse(text).expect(text);
    let server = start(config());
    let load = load(address(&server));
    let mut outcome = run(&load);
    outcome.tally = Tally::new();
    record_many(&mut outcome.tally.response, Duration::from_millis(1), 990);
    record_many(&mut outcome.tally.response, Duration::from_millis(100), 10);
    for (text, verdict) in [
        ("p50=2ms", Verdict::Held),
        ("p99=2ms", Verdict::Held),
        ("p99=900us", Verdict::TooLate),
        ("p99.9=99ms", Verdict::TooLate),
        ("p99.9=101ms", Verdict::Held),
        ("max=99ms", Verdict::TooLate),
        ("max=101ms", Verdict::Held),
    ] {
        assert_eq!(objective(text).judge(&load, &outcome), verdict, "{text}");
    }
    (outcome.tally.due, outcome.tally.unsent) = (1000, 11);
    assert_eq!(objective("p50=2ms").judge(&load, &outcome), Verdict::Saturated);
    outcome.tally.failures.add_many(Failure::Reset, 3);
    assert_eq!(objective("p50=2ms").judge(&load, &outcome), Verdict::Errors(3));
    for wrong in ["", "p99", "p99=", "p99=5", "p98=5ms", "p99=0s", "p99=101s", "p99=-5ms", "=5ms"] {
        assert!(Objective::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_search_needs_no_rate_and_writes_no_other_files() {
    let parse = |line: &str| Bench::try_parse_from(line.split_whitespace());
    let searching = parse("load --search p99=5ms").expect("the command line is valid").single;
    let load = |arguments: &str| -> Load {
        let line = format!("load {arguments}");
        parse(&line).expect("the command line is valid").single.load(NOWHERE.into())
    };
    assert!(searching.search.is_some());
    assert_eq!(load("--search p99=5ms").duration, Duration::from_secs(2));
    assert_eq!(load("--search p99=5ms --duration 7s").duration, Duration::from_secs(7));
    for wrong in ["--rate 5", "--start-at +5s", "--plots x", "--save-baseline x", "--baseline x", "--suite"] {
        assert!(parse(&format!("load --search p99=5ms {wrong}")).is_err(), "{wrong}");
    }
}

/// Four sessions of 50,000 bytes a second each have room for 390 messages of 512 bytes. On a busy machine the objective breaks
/// earlier.
#[test]
fn the_limit_of_a_server_with_a_byte_rate_is_found() {
    let server = Program::serve(&["--fault-rate", "50KB"]);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("search.json");
    let line = format!(
        "load --addr {} --search p90=100ms --connections 4 --duration 400ms --warmup 100ms --json {}",
        server.address(),
        path.display()
    );
    let arguments = Bench::try_parse_from(line.split_whitespace()).expect("the command line is valid");
    let found = single::run(&BENCH, &arguments.single).expect("it runs");
    let json: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("it was written")).expect("JSON");
    let below = json["search"]["below"]["rate"].as_f64().expect("a rate");
    assert!(found && (20.0..800.0).contains(&below), "{}", json["search"]);
    let runs = json["search"]["runs"].as_array().expect("all runs");
    assert!(runs.iter().any(|run| run["held"] == true) && runs.iter().any(|run| run["held"] == false));
}

#[test]
fn a_server_that_is_not_there_ends_the_search_at_once() {
    let line = format!("load --addr {NOWHERE} --search p99=5ms --connections 2 --duration 100ms --warmup 0s");
    let arguments = Bench::try_parse_from(line.split_whitespace()).expect("the command line is valid");
    match single::run(&BENCH, &arguments.single) {
        Err(Problem::Failed(problem)) => assert!(problem.to_string().starts_with("nothing answers: "), "{problem}"),
        other => panic!("{:?}", other.is_ok()),
    }
}
