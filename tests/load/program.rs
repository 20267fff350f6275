//! The program `hebra-load`: it starts the hebra beside it or in `PATH`, its errors are one line, and it brings its
//! manual pages and completions along.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{address, config, run, start};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_hebra-load");

/// Returns a new empty folder for files of one test.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hebra-load").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target directory can be written");
    folder
}

/// Returns the command that runs a hebra-load, which keeps its files in a folder.
pub(crate) fn program(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("XDG_STATE_HOME", folder);
    command
}

/// A short run on two connections.
const SHORT: [&str; 6] = ["--connections", "2", "--duration", "100ms", "--warmup", "0s"];

#[track_caller]
fn assert_measured(command: &mut Command) {
    let Output { status, stdout, stderr } = run(command.args(SHORT), b"");
    let output = String::from_utf8_lossy(&stdout);
    assert!(status.success(), "{output}{}", String::from_utf8_lossy(&stderr));
    assert!(
        output.starts_with("echo: 2 connections, 512 B messages, 1 in flight each\n  against     127.0.0.1:"),
        "{output}"
    );
}

#[test]
fn it_loads_a_server_that_runs() {
    let server = start(config());
    let folder = folder("running");
    let mut command = program(Path::new(PROGRAM), &folder);
    assert_measured(command.args(["--addr", &address(&server).to_string()]));
    assert!(!folder.join("hebra-load").exists(), "nothing is kept");
}

#[test]
fn without_an_address_it_starts_the_hebra_beside_it() {
    let folder = folder("beside");
    assert_measured(&mut program(Path::new(PROGRAM), &folder));
    let printed = fs::read_to_string(folder.join("hebra-load/hebra.log")).expect("the server has printed");
    assert!(printed.starts_with("listening on 127.0.0.1:"), "{printed}");
}

#[test]
fn it_starts_the_hebra_in_the_path_if_there_is_none_beside_it_and_says_so_if_there_is_none_at_all() {
    let folder = folder("alone");
    let alone = folder.join("program");
    // A copy could be busy: a process that another test starts meanwhile may have it open for writing.
    fs::hard_link(PROGRAM, &alone).expect("both are in the target directory");
    let none = run(program(&alone, &folder).env("PATH", &folder).args(SHORT), b"");
    let problem =
        "hebra-load: there is no hebra to start beside this program or in PATH; --addr loads a server that runs\n";
    assert_eq!((none.status.code(), String::from_utf8_lossy(&none.stderr).as_ref()), (Some(1), problem));
    let beside = Path::new(env!("CARGO_BIN_EXE_hebra")).parent().expect("it is in a folder").to_owned();
    let path = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let path: OsString = env::join_paths([beside].into_iter().chain(path)).expect("no folder has a colon");
    assert_measured(program(&alone, &folder).env("PATH", path));
}

#[test]
fn a_baseline_is_kept_in_the_directory_of_state() {
    let server = start(config());
    let address = address(&server).to_string();
    let folder = folder("baseline");
    let command = || {
        let mut command = program(Path::new(PROGRAM), &folder);
        command.args(["--addr", &address]);
        command
    };
    assert_measured(command().args(["--save-baseline", "before"]));
    assert!(folder.join("hebra-load/baselines/before.json").is_file());
    assert_measured(command().args(["--baseline", "before"]));
}

#[test]
fn a_wrong_command_line_is_one_line_and_exit_code_2() {
    for (line, named) in [
        ("--connections 0", "--connections"),
        ("--addr x", "--addr x: "),
        ("--baseline never-saved", "--baseline never-saved: "),
        ("--suite", "--suite"),
        ("--growth", "--growth"),
        ("--bench", "--bench"),
        ("--seed 1 man", "man"),
        ("x", "x"),
        ("man --dir", "--dir"),
        ("completions", "SHELL"),
        ("completions x", "x"),
        ("merge", "FILE"),
        ("--start-at 2020-01-01T00:00:00Z", "--start-at"),
        ("\u{1b}[2J", "\\u{1b}[2J"),
    ] {
        let folder = folder("wrong");
        let Output { status, stdout, stderr } =
            run(program(Path::new(PROGRAM), &folder).args(line.split_whitespace()), b"");
        let problem = String::from_utf8_lossy(&stderr);
        assert_eq!((status.code(), stdout.as_slice()), (Some(2), &b""[..]), "{line}: {problem}");
        assert!(problem.starts_with("hebra-load: ") && problem.contains(named), "{line}: {problem}");
        assert_eq!(problem.lines().count(), 1, "{line}: {problem}");
    }
}

#[test]
fn it_writes_a_page_for_itself_and_each_command() {
    let folder = folder("pages");
    let Output { status, stderr, .. } = run(Command::new(PROGRAM).args(["man", "--dir"]).arg(&folder), b"");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    for name in ["hebra-load", "hebra-load-merge", "hebra-load-man", "hebra-load-completions"] {
        let page = fs::read_to_string(folder.join(format!("{name}.1"))).expect(name);
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "EXAMPLES", "\"SEE ALSO\""]
        {
            assert!(page.contains(&format!(".SH {section}\n")), "{name} lacks {section}");
        }
    }
    let printed = run(Command::new(PROGRAM).arg("man"), b"").stdout;
    assert_eq!(printed, fs::read(folder.join("hebra-load.1")).expect("it was written"));
    let nowhere = run(Command::new(PROGRAM).args(["man", "--dir", "/nonexistent"]), b"");
    let problem = String::from_utf8_lossy(&nowhere.stderr);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(problem.starts_with("hebra-load: cannot write \"/nonexistent/hebra-load.1\": "), "{problem}");
}

#[test]
fn it_completes_its_flags_in_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let Output { status, stdout, .. } = run(Command::new(PROGRAM).args(["completions", shell]), b"");
        let script = String::from_utf8_lossy(&stdout);
        assert!(status.success() && script.contains("hebra-load") && script.contains("connections"), "{shell}");
        assert!(!script.contains("growth"), "{shell}: only the benchmark compares");
    }
}
