//! `hebra man` and `hebra completions`, without the programs that read what they print. `make test-interop` has those.

use std::fs;
use std::process::{Command, Output};

use crate::support::run;

/// Runs `hebra` with `arguments`. Returns its exit code, standard output and standard error.
fn hebra(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebra"));
    let Output { status, stdout, stderr } = run(command.args(arguments).env_remove("HEBRA_DIR"), b"");
    (status.code(), String::from_utf8(stdout).expect("text"), String::from_utf8(stderr).expect("text"))
}

#[test]
fn a_page_is_printed_by_the_name_of_its_command_and_all_are_written() {
    let folder = format!("{}/man-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    fs::create_dir(&folder).expect("a temporary directory");
    assert_eq!(hebra(&["man", "--dir", &folder]), (Some(0), String::new(), String::new()));
    for (command, page) in [(&[][..], "hebra"), (&["serve"], "hebra-serve"), (&["udp", "send"], "hebra-udp-send")] {
        let (code, printed, errors) = hebra(&[&["man"], command].concat());
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        assert!(printed.contains(&format!(".TH {} 1 ", page.to_uppercase())), "{printed}");
        assert_eq!(fs::read_to_string(format!("{folder}/{page}.1")).expect("it is written"), printed);
    }
    let (_, page, _) = hebra(&["man", "serve"]);
    let (_, help, _) = hebra(&["serve", "--help"]);
    let flags = help.split_whitespace().filter(|word| word.starts_with("--"));
    for flag in flags {
        let flag = flag.trim_matches(|character: char| !character.is_ascii_alphanumeric());
        assert!(page.contains(&flag.replace('-', "\\-")), "the page lacks {flag}");
    }
    fs::remove_dir_all(&folder).expect("it is there");
    let (code, _, line) = hebra(&["man", "--dir", &folder]);
    assert_eq!(code, Some(1));
    assert!(line.starts_with(&format!("hebra: cannot write \"{folder}/hebra")), "{line}");
}

#[test]
fn what_is_not_there_is_wrong_usage() {
    for (arguments, line) in [
        (&["man", "send"][..], "COMMAND: \"send\" is no command (see hebra man --help)"),
        (&["man", "udp", "x\u{1b}"], "COMMAND: \"x\\u{1b}\" is no command (see hebra man --help)"),
        (
            &["completions", "tcsh"],
            "SHELL: \"tcsh\" is none of bash, zsh, fish; did you mean zsh? (see hebra completions --help)",
        ),
        (&["completions"], "missing: SHELL (see hebra completions --help)"),
    ] {
        assert_eq!(hebra(arguments), (Some(2), String::new(), format!("hebra: {line}\n")));
    }
}

#[test]
fn completions_are_printed_for_each_shell() {
    for (shell, text) in [("bash", "complete -F _hebra"), ("zsh", "#compdef hebra"), ("fish", "complete -c hebra")]
    {
        let (code, script, errors) = hebra(&["completions", shell]);
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        assert!(script.contains(text) && script.contains("whoami"), "{shell}");
    }
}
