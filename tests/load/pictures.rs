//! What people see of a run: the live view, the result, the report, and the file for plotters of histograms.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::json;

use crate::harness::cli::live::sparkline::{Scale, draw};
use crate::harness::cli::live::view::View;
use crate::harness::results::figures::{microseconds, time};
use crate::harness::results::{hgrm, html, json, report};
use crate::harness::server::usage::Reading;
use crate::harness::traffic::load::{Adversaries, Load, Mode};
use crate::harness::traffic::run;
use crate::harness::traffic::tally::{Counts, Failure, record_many};
use crate::harness::traffic::timeline::{Point, Update};
use crate::support::{address, config, start};
use crate::{load, run as measure};

/// Shows ten points for each second, with answers that took 50 µs, and some that took 2 ms.
fn show(view: &mut View<'_>, seconds: u64, failures: Counts) {
    let mut latencies = Histogram::new_with_bounds(1, 120_000_000_000, 2).expect("the bounds are valid");
    record_many(&mut latencies, Duration::from_micros(50), 990);
    record_many(&mut latencies, Duration::from_millis(2), 11);
    for tenth in 1..=10 * seconds {
        let at = Duration::from_millis(100 * tenth);
        let point = Point { at, rate: 20_011.0, p99_us: 50.0, failures: 0, open: 50 };
        let server = (tenth % 10 == 0).then_some(Reading { cores: 0.62, resident: 12 << 20 });
        view.add(&Update { point, latencies: &latencies, failures, server });
    }
}

fn shown_load() -> Load {
    let (warmup, duration) = (Duration::from_secs(1), Duration::from_secs(10));
    Load { connections: 50, rate: Some(20_000.0), warmup, duration, ..load(([127, 0, 0, 1], 4000).into()) }
}

#[test]
fn the_view_on_a_terminal_names_each_figure_with_its_unit() {
    let load = shown_load();
    let mut view = View::new(&load);
    assert_eq!(view.text(80).lines().nth(1), Some("connecting"));
    show(&mut view, 3, Counts::default());
    let text = view.text(80);
    let curve = |levels: &str| format!("{levels:30}");
    let expected = [
        "127.0.0.1:4000: echo: 50 connections, 512 B messages, 1 in flight each, 20000/s".to_owned(),
        format!("measuring   {}{}  2 of 10 s", "█".repeat(8), "░".repeat(34)),
        format!("messages/s      20,011  {}  of 20,000/s requested", curve("███")),
        format!("p50              50 µs  {}  response time", curve("▁▁▁")),
        "p99             2.0 ms  ███".to_owned(),
        "p99.9           2.0 ms  ███".to_owned(),
        "errors            none".to_owned(),
        format!("server            62 %  {}  of a core", curve("▅▅▅")),
        format!("memory        12.0 MiB  {}  resident", curve("███")),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn the_view_names_only_the_errors_that_there_were_and_the_connections_that_are_missing() {
    let load = Load { connections: 60, ..shown_load() };
    let mut view = View::new(&load);
    let mut failures = Counts::default();
    failures[Failure::Reset as usize] = 1234;
    show(&mut view, 2, failures);
    let text = view.text(80);
    assert!(text.contains("reset            1,234  █▁") && text.contains("errors in all"), "{text}");
    assert!(!text.contains("refused") && !text.contains("none"), "{text}");
    assert!(text.ends_with("only 50 of 60 connections are open"), "{text}");
}

#[test]
fn the_view_fits_every_terminal() {
    let load = shown_load();
    let mut view = View::new(&load);
    show(&mut view, 40, Counts::default());
    for width in 0..200 {
        let text = view.text(width);
        assert_eq!(text.split('\n').count(), 9, "{text}");
        assert!(text.split('\n').all(|line| line.chars().count() < width.max(1)), "{width}: {text}");
    }
    assert!(view.text(60).contains("  50 µs  ▁▁▁▁▁"), "{}", view.text(60));
}

#[test]
fn a_curve_has_the_last_values_and_gaps() {
    let values = [9.0, 0.0, 1.0, 4.0, 8.0].map(Some);
    let values = values.into_iter().chain([None, Some(7.0)]);
    assert_eq!(draw(values, Scale::Linear(8.0), 6), "▁▂▅█ ▇");
    // The scale has a power of ten at least, so that noise looks like noise.
    let scale = Scale::logarithmic([50.0, 60.0].into_iter());
    assert_eq!(draw([50.0, 60.0].map(Some).into_iter(), scale, 9), "▇█");
}

#[test]
fn a_time_has_the_unit_that_suits_it() {
    for (us, two, three) in [
        (0.0, "0 µs", "0 µs"),
        (4.83, "4.8 µs", "4.83 µs"),
        (48.34, "48 µs", "48.3 µs"),
        (183.4, "180 µs", "183 µs"),
        (999.9, "1.0 ms", "1.00 ms"),
        (12_340.0, "12 ms", "12.3 ms"),
        (999_960.0, "1.0 s", "1.00 s"),
        (120e6, "120 s", "120 s"),
    ] {
        assert_eq!((time(us, 2).as_str(), time(us, 3).as_str()), (two, three), "{us}");
    }
}

#[test]
fn the_result_fits_eighty_columns_and_says_what_its_times_count_from() {
    let server = start(config().workers(60));
    let adversaries = Adversaries { idle: 2, ..Adversaries::default() };
    let load = Load { adversaries, ..load(address(&server)) };
    for (load, rows) in [
        (load.clone(), &["response: since it was sent"][..]),
        (Load { rate: Some(1000.0), ..load.clone() }, &["response: since it was due; service: since it was sent"]),
        (
            Load { mode: Mode::Churn, ..load },
            &["response: since the connect; service: since it was sent", "    connect "],
        ),
    ] {
        let outcome = run::run(&load, Some(std::process::id()), &mut |_| ()).expect("there are descriptors");
        let table = report::table(&load, &outcome);
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert!(rows.iter().all(|row| table.contains(row)), "{table}");
        assert!(table.contains("errors      none: every byte was right in "), "{table}");
        assert!(table.contains("beside it   2 idle"), "{table}");
        assert!(table.contains(" of a core, ") && table.contains(" MiB resident, "), "{table}");
    }
}

#[test]
fn the_result_says_who_did_not_keep_up() {
    let server = start(config());
    let load = Load { rate: Some(1e8), ..load(address(&server)) };
    let table = report::table(&load, &measure(&load));
    assert!(table.contains(" messages/s of 100,000,000 requested"), "{table}");
    let reason = table.lines().find(|line| line.starts_with("  SATURATED   ")).expect("the rate was missed");
    assert!(reason.contains("the server did not keep up") || reason.contains("this client did not"), "{table}");
}

#[test]
fn the_result_says_that_lost_connections_are_why_a_rate_was_missed() {
    let server = start(config().max_lifetime(Duration::from_millis(200)));
    let load =
        Load { rate: Some(1000.0), connections: 2, duration: Duration::from_secs(1), ..load(address(&server)) };
    let table = report::table(&load, &measure(&load));
    assert!(table.contains("  SATURATED   2 of the connections ended early: of 1,000 messages\n"), "{table}");
    assert!(table.contains("  ERRORS      2: 2 mismatch"), "{table}");
    let is_error = |line: &&str| line.starts_with("  first error ");
    assert!(table.lines().filter(|line| !is_error(line)).all(|line| line.chars().count() <= 80), "{table}");
}

/// Reads the file as HdrHistogram's `plotFiles.html` and PyPI's `hdr-plot` do.
#[test]
fn the_distribution_is_what_plotters_read() {
    let mut times = Histogram::new_with_bounds(1, 120_000_000_000, 3).expect("the bounds are valid");
    for (us, count) in [(50, 9_000), (60, 900), (1_000, 99), (119_000_000, 1)] {
        record_many(&mut times, Duration::from_micros(us), count);
    }
    let text = hgrm::distribution(&times, "Times");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a header").split_whitespace().collect();
    assert_eq!(names, ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]);
    let rows: Vec<Vec<f64>> = text
        .lines()
        .filter(|line| !line.starts_with('#') && line.starts_with(' '))
        .map(|line| line.split_whitespace().map_while(|number| number.parse().ok()).collect())
        .filter(|row: &Vec<f64>| row.len() >= 3)
        .collect();
    let is_ascending = |column: usize| rows.is_sorted_by(|before, after| before[column] <= after[column]);
    assert!((0..3).all(is_ascending), "{text}");
    for (quantile, us) in [(0.5, 50.0), (0.95, 60.0), (0.995, 1_000.0), (1.0, 119_000_000.0)] {
        let row = rows.iter().find(|row| row[1] >= quantile).expect("it reaches 100 %");
        assert!((row[0] / us - 1.0).abs() < 1e-3, "{quantile}: {row:?}");
        assert_eq!(row[0], (microseconds(&times, quantile) * 1000.0).round() / 1000.0);
    }
    for row in rows.iter().filter(|row| row.len() == 4) {
        assert!((row[3] - 1.0 / (1.0 - row[1])).abs() <= row[3] * 1e-2, "{row:?}");
    }
    let last = rows.last().expect("there are some");
    assert_eq!((last.len(), last[1], last[2]), (3, 1.0, 10_000.0));
    let notes: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    assert!(notes[0].starts_with("#[Mean    = ") && notes[0].contains(", StdDeviation   = "), "{text}");
    assert!(
        notes[1].starts_with("#[Max     = ") && notes[1].ends_with(", Total count    =        10000]"),
        "{text}"
    );
    assert_eq!(notes[2], "#[Buckets =           27, SubBuckets     =         2048]");
    assert_eq!(notes[3], "# Times, in microseconds");
}

#[test]
fn the_report_has_the_values_of_the_json_and_lets_nothing_of_others_run() {
    let server = start(config());
    let load = Load { rate: Some(500.0), duration: Duration::from_millis(1200), ..load(address(&server)) };
    let mut outcome = run::run(&load, Some(std::process::id()), &mut |_| ()).expect("there are descriptors");
    outcome
        .tally
        .failures
        .add(Failure::Other, || "</script><img src='http://x/' onerror=\"x\">{script}".to_owned());
    let environment = json!({ "arguments": ["<b>&"], "version": "1", "cpu": null });
    let page = html::page(&load, &outcome, &environment);
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert!(
        page.contains("&lt;/script&gt;&lt;img src=&#39;http://x/&#39; onerror=&quot;x&quot;&gt;{script}"),
        "{page}"
    );
    assert!(page.contains("&lt;b&gt;&amp;"), "{page}");
    let nonce = page.split("script-src 'nonce-").nth(1).and_then(|rest| rest.get(..32)).expect("a policy");
    assert_eq!(page.matches(nonce).count(), 4, "{page}");
    assert!(page.contains("default-src 'none'"), "{page}");
    let result = json::result(&load, &outcome);
    let steps = result["timeline"]["steps"].as_array().expect("there are steps");
    assert!((11..=13).contains(&steps.len()), "{steps:?}");
    for step in steps {
        let p99 = step["p99_us"].as_f64().expect("each tenth has answers");
        assert!(page.contains(&format!(">{}</td>", time(p99, 3))), "{p99} in {page}");
    }
    let server = &result["timeline"]["server"][0];
    assert!(server["resident_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{server}");
}

#[test]
fn a_report_of_a_run_without_an_answer_says_so() {
    let (_listener, silent) = crate::support::listen();
    let load = Load { timeout: Duration::from_millis(100), ..load(silent) };
    let outcome = measure(&load);
    let page = html::page(&load, &outcome, &json!({}));
    assert!(page.contains("1 timed_out") && page.contains("<h2>Errors over time"), "{page}");
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    let _ = hgrm::distribution(&outcome.tally.response, "Times");
}
