//! A result is compared with a saved one.

use serde_json::{Value, json};

use crate::harness::comparison::build::results;
use crate::harness::results::baseline::{Baseline, Comparison};

fn result(rate: f64, requested: Option<f64>, p99: f64) -> Value {
    json!({
        "mode": "echo", "connections": 5, "size": 512, "depth": 1, "end": "close", "threads": 1,
        "requested_rate": requested, "achieved_rate": rate, "response_us": { "p99": p99 }, "noise_pct": 3.0,
    })
}

fn compare(baseline: &Value, result: &Value) -> Result<Comparison, String> {
    Baseline::parse("main", &baseline.to_string(), result)?.compare(result)
}

#[test]
fn a_closed_loop_is_judged_by_its_rate() {
    let baseline = result(1000.0, None, 10.0);
    let slower = compare(&baseline, &result(900.0, None, 10.0)).expect("the loads are equal");
    assert!((slower.worse - 10.0).abs() < 1e-6 && slower.regressed(9.0) && !slower.regressed(11.0));
    let verdict = slower.verdict(Some(9.0));
    assert_eq!(verdict, "main: the rate is 10.0 % worse; noise 3.0 %, REGRESSION (limit 9 %)");
    let faster = compare(&baseline, &result(1100.0, None, 99.0)).expect("the loads are equal");
    assert!(!faster.regressed(0.0));
    assert!(faster.verdict(Some(1.0)).contains("the noise is above the limit"));
}

#[test]
fn an_open_loop_is_judged_by_its_latency() {
    let baseline = result(1000.0, Some(1000.0), 10.0);
    let slower = compare(&baseline, &result(1000.0, Some(1000.0), 15.0)).expect("the loads are equal");
    assert!((slower.worse - 50.0).abs() < 1e-6);
}

#[test]
fn results_of_different_loads_are_not_compared() {
    let baseline = result(1000.0, None, 10.0);
    let error = compare(&baseline, &result(1000.0, Some(1000.0), 10.0)).expect_err("one is an open loop");
    assert_eq!(error, "its requested_rate is null and not 1000.0");
}

#[test]
fn a_baseline_that_cannot_be_compared_is_reported_before_the_run() {
    let load = result(1000.0, None, 10.0);
    assert!(Baseline::parse("main", "no JSON", &load).is_err());
    let empty = result(0.0, None, 0.0).to_string();
    assert_eq!(Baseline::parse("main", &empty, &load).expect_err("it has no rate"), "it has no answers");
    let error = Baseline::read(&results().expect("a directory"), "never-saved", &load).expect_err("there is none");
    assert_eq!(error, "never-saved: no such baseline, see --save-baseline");
}
