//! Cases in Python, each of which shows one behaviour of the program from outside: `tests/interop/cases/`.
//!
//! A case prints one line. It fails its test unless the line begins with PASS. One that lacks a tool fails too, and one
//! that needs root is skipped for others.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::run;
use crate::tool;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/cases");

/// The exit code of a case that was skipped.
const SKIPPED: i32 = 77;

/// Declares a test for each case.
macro_rules! cases {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                assert_passes(stringify!($name));
            }
        )*
    };
}

cases! {
    are_you_there
    blocked_signals
    bye_cr_nul
    bye_of_real_clients
    bye_padded_with_nul
    carriage_return_in_a_usage_error
    character_in_two_reads
    chat_at_the_memory_limit
    chat_with_a_nonblocking_input
    combining_marks_are_shown
    connect_ends_in_the_background
    connect_is_suspended_and_resumed
    connect_prints_an_urgent_byte
    connect_sends_cr_lf
    connect_timeout_covers_the_name
    connect_to_a_slow_server
    connect_to_itself
    connect_tries_addresses_in_parallel
    connect_with_nonblocking_pipes
    ctrl_c_in_a_chat
    each_timing_mark_is_answered
    empty_variables
    escapes_in_logs_and_on_screens
    half_a_line_at_the_stop
    half_close_of_real_clients
    hangup_drains
    idle_timeout_of_a_slow_reader
    interface_name_in_an_address
    joiners_are_shown
    lifetime_of_a_slow_reader
    line_that_fills_a_row
    link_local_peers
    listen_on_a_mapped_address
    load_at_a_low_rate
    load_with_a_wrong_output_path
    log_after_a_full_disk
    log_at_the_file_size_limit
    long_datagram_in_the_log
    lost_log_lines_are_counted
    orphan_of_a_client_that_never_reads
    pasted_lines
    paused_server
    proxy_header_is_data
    room_in_a_burst
    room_without_input
    slow_reader_says_bye
    stop_as_process_1
    stop_with_a_slow_reader
    terminal_after_a_hangup
    terminal_after_a_second_signal
    terminal_is_gone
    two_signals_at_once
    udp_table_of_senders_is_full
    urgent_byte_is_echoed
    user_signals
}

#[test]
fn each_case_in_the_folder_has_a_test() {
    let files =
        fs::read_dir(FOLDER).expect("the cases are here").map(|entry| entry.expect("it is readable").path());
    let stem = |file: PathBuf| file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
    let is_case = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "py");
    let mut found: BTreeSet<String> = files.filter(is_case).filter_map(stem).collect();
    assert!(found.remove("lab"), "the helpers of the cases");
    assert_eq!(found, NAMES.iter().map(|name| (*name).to_owned()).collect());
}

#[track_caller]
fn assert_passes(name: &str) {
    let mut python = Command::new(tool("python3"));
    // Without files of bytecode beside the cases.
    let python =
        python.arg("-B").arg(format!("{FOLDER}/{name}.py")).arg(env!("CARGO_BIN_EXE_hebra")).arg(harness());
    let output = run(python, b"");
    let line = String::from_utf8_lossy(&output.stdout);
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if output.status.code() == Some(SKIPPED) && line.contains("needs root") && !is_root {
        // Written past the capture of the test harness, which hides what a passing test prints.
        let _ = write!(io::stderr(), "{line}");
        return;
    }
    assert!(output.status.success(), "{line}{}", String::from_utf8_lossy(&output.stderr));
}

/// Builds the load harness, and the library as a file beside the program. Returns the path of the harness.
fn harness() -> &'static Path {
    static HARNESS: OnceLock<PathBuf> = OnceLock::new();
    HARNESS.get_or_init(|| {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.args(["build", "--locked", "--lib", "--bench", "load", "--message-format", "json"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        // Those of this test, so that the library is not built a second time.
        if cfg!(feature = "load") {
            cargo.args(["--features", "load"]);
        }
        let output = cargo.output().expect("cargo runs the tests");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = String::from_utf8_lossy(&output.stdout);
        let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let executable = |message: Value| {
            let is_harness = message["target"]["name"] == "load" && message["target"]["kind"][0] == "bench";
            message["executable"].as_str().filter(|_| is_harness).map(PathBuf::from)
        };
        messages.filter_map(executable).next().expect("cargo has built it")
    })
}
