//! A result is compared with a saved one.

use serde_json::{Value, json};

use crate::harness::baseline::compare;

fn result(rate: f64, requested: Option<f64>, p99: f64) -> Value {
    json!({
        "mode": "echo", "connections": 5, "size": 512, "depth": 1, "end": "close", "threads": 1,
        "requested_rate": requested, "achieved_rate": rate, "response_us": { "p99": p99 }, "noise_pct": 3.0,
    })
}

#[test]
fn a_closed_loop_is_judged_by_its_rate() {
    let baseline = result(1000.0, None, 10.0).to_string();
    let slower = compare(&baseline, &result(900.0, None, 10.0)).expect("the loads are equal");
    assert!((slower.worse - 10.0).abs() < 1e-6 && slower.regressed(9.0) && !slower.regressed(11.0));
    let verdict = slower.verdict("main", Some(9.0));
    assert_eq!(verdict, "main: the rate is 10.0 % worse; noise 3.0 %, REGRESSION (limit 9 %)");
    let faster = compare(&baseline, &result(1100.0, None, 99.0)).expect("the loads are equal");
    assert!(!faster.regressed(0.0));
    assert!(faster.verdict("main", Some(1.0)).contains("the noise is above the limit"));
}

#[test]
fn an_open_loop_is_judged_by_its_latency() {
    let baseline = result(1000.0, Some(1000.0), 10.0).to_string();
    let slower = compare(&baseline, &result(1000.0, Some(1000.0), 15.0)).expect("the loads are equal");
    assert!((slower.worse - 50.0).abs() < 1e-6);
}

#[test]
fn results_of_different_loads_are_not_compared() {
    let baseline = result(1000.0, None, 10.0).to_string();
    let error = compare(&baseline, &result(1000.0, Some(1000.0), 10.0)).expect_err("one is an open loop");
    assert_eq!(error, "its requested_rate is null and not 1000.0");
    assert!(compare("no JSON", &result(1000.0, None, 10.0)).is_err());
}
