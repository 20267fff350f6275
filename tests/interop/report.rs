//! The report of the load harness in a browser.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::harness::results::{html, json};
use crate::harness::traffic::load::{Adversaries, End, Load, Mode};
use crate::harness::traffic::run;
use crate::support::Program;
use crate::{Folder, pipe, tool};

#[test]
fn a_browser_shows_the_values_of_the_json_under_the_pointer_and_asks_nobody() {
    let server = Program::serve(&["--workers", "10"]);
    let load = Load {
        address: server.address().into(),
        proxy: None,
        mode: Mode::Echo,
        connections: 5,
        duration: Duration::from_secs(2),
        warmup: Duration::from_millis(500),
        size: 512,
        depth: 1,
        rate: Some(2000.0),
        end: End::Close,
        threads: 1,
        timeout: Duration::from_secs(60),
        seed: 1,
        reconnect: false,
        expect_faults: false,
        start_at: None,
        stop: None,
        adversaries: Adversaries::default(),
    };
    let outcome = run::run(&load, Some(server.id()), &mut |_| ()).expect("the client gets its descriptors");
    let folder = Folder::new("report");
    let (page, result) = (folder.join("report.html"), folder.join("result.json"));
    fs::write(&page, html::page(&load, &outcome, &json::environment())).expect("there is room");
    fs::write(&result, json::result(&load, &outcome).to_string()).expect("there is room");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/report.py");
    let mut browser = Command::new(tool("python3"));
    // Without files of bytecode beside the script.
    pipe(browser.args(["-B", script]).arg(tool("chromium")).arg(&page).arg(&result), b"");
}
