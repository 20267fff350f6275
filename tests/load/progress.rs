//! What `hebra-load` shows while it runs, where standard error is no terminal.

use std::process::{Command, Output};

use crate::support::{address, config, run, start};

/// Runs for two seconds, and returns what was printed on standard output and standard error.
fn run_for_two_seconds(flags: &[&str]) -> [String; 2] {
    let server = start(config());
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebra-load"));
    let id = std::process::id().to_string();
    command.args(["--addr", &address(&server).to_string(), "--pid", &id, "--connections", "1"]);
    command.args(["--rate", "100", "--warmup", "1s", "--duration", "1200ms"]).args(flags);
    let Output { status, stdout, stderr } = run(&mut command, b"");
    let texts = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(status.success(), "{texts:?}");
    texts
}

#[test]
fn a_pipe_gets_a_plain_line_each_second_and_the_result_alone_on_standard_output() {
    let [result, lines] = run_for_two_seconds(&[]);
    assert!(result.starts_with("echo: 1 connection, "), "{result}");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("  1 s of warm-up: ") && lines[1].starts_with("  2 s: "), "{lines:?}");
    for line in lines {
        assert!(!line.contains(char::is_control), "{line:?}");
        for part in [" answers/s, p50 ", ", p99 ", ", p99.9 ", ", no errors, server ", " % of a core, ", " MiB"] {
            assert!(line.contains(part), "{line}: {part}");
        }
    }
}

#[test]
fn without_progress_standard_error_stays_empty() {
    let [result, lines] = run_for_two_seconds(&["--no-progress"]);
    assert!(result.starts_with("echo: 1 connection, "), "{result}");
    assert_eq!(lines, "");
}
