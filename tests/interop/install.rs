//! `make install` and `make static`: what they install is used from where it is.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;

use crate::support::{Program, lines, run, signal, terminal};
use crate::{Folder, pipe, tool};

/// Runs make in the repository, as a person does, and expects success.
fn make(arguments: &[&str]) {
    let Output { status, stderr, .. } = make_output(arguments);
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
}

fn make_output(arguments: &[&str]) -> Output {
    let mut command = Command::new(tool("make"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    // A build takes longer than the fuse of other programs.
    command.output().expect("make runs")
}

/// Returns the files below a folder, as paths from there.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).expect("below it").to_str().expect("text").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Serves with a program, and probes it with the same one.
fn serve_and_probe(program: &Path) {
    let mut command = Command::new(program);
    let server = Program::spawn(command.args(["serve", "--listen", "127.0.0.1:0"]).stdin(Stdio::null()), 1);
    let address = server.address().to_string();
    let answer = pipe(Command::new(program).args(["probe", &address]), b"");
    assert!(answer.starts_with(format!("{address} answered in ").as_bytes()), "{}", answer.escape_ascii());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.finish().0, Some(0));
}

#[test]
fn a_package_has_the_program_its_pages_and_completions_and_all_of_them_work() {
    // A space must not make two paths of one.
    let package = Folder::new("a package");
    let state = Folder::new("state");
    let destination = format!("DESTDIR={}", package.0.display());
    make(&["install", "PREFIX=/usr", &destination]);
    let installed = files(&package.0);
    let pages = [
        "",
        "-completions",
        "-connect",
        "-load",
        "-load-completions",
        "-load-man",
        "-load-merge",
        "-man",
        "-probe",
        "-serve",
        "-udp",
        "-udp-send",
        "-udp-serve",
    ];
    let pages: Vec<String> = pages.iter().map(|page| format!("usr/share/man/man1/hebra{page}.1")).collect();
    let mut expected = pages.clone();
    expected.extend(
        [
            "usr/bin/hebra",
            "usr/bin/hebra-load",
            "usr/lib/systemd/system/hebra.service",
            "usr/lib/systemd/system/hebra.socket",
            "usr/share/bash-completion/completions/hebra",
            "usr/share/bash-completion/completions/hebra-load",
            "usr/share/fish/vendor_completions.d/hebra-load.fish",
            "usr/share/fish/vendor_completions.d/hebra.fish",
            "usr/share/zsh/site-functions/_hebra",
            "usr/share/zsh/site-functions/_hebra-load",
        ]
        .map(str::to_owned),
    );
    expected.sort();
    assert_eq!(installed, expected);
    for file in &installed {
        let mode = fs::metadata(package.join(file)).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode, if file.starts_with("usr/bin/") { 0o755 } else { 0o644 }, "{file}");
    }
    let program = package.join("usr/bin/hebra");
    let load = package.join("usr/bin/hebra-load");
    for program in [&program, &load] {
        let size = fs::metadata(program).expect("it is there").len();
        assert!(size < 6 << 20, "{size} bytes are not stripped");
    }
    serve_and_probe(&program);
    // It starts the hebra beside it.
    let short = ["--connections", "2", "--duration", "100ms", "--warmup", "0s"];
    let result = pipe(Command::new(&load).args(short).env("XDG_STATE_HOME", &state.0), b"");
    assert!(result.starts_with(b"echo: 2 connections"), "{}", result.escape_ascii());
    for page in &pages {
        let page = package.join(page);
        assert_eq!(pipe(Command::new(tool("mandoc")).arg("-Tlint").arg(&page), b""), b"", "{}", page.display());
        pipe(Command::new(tool("lexgrog")).arg(&page), b"");
        let shown = pipe(Command::new(tool("man")).env("MANWIDTH", "80").arg("-l").arg(&page), b"");
        assert!(shown.windows(11).any(|word| word == b"EXIT STATUS"), "{}", page.display());
    }
    let completions = |name: &str| package.join("usr/share").join(name);
    assert_completed("bash", &completions("bash-completion/completions/hebra"));
    assert_completed_by_zsh(&completions("zsh/site-functions/_hebra"));
    assert_completed("fish", &completions("fish/vendor_completions.d/hebra.fish"));
    for (shell, script) in [
        ("bash", "bash-completion/completions/hebra-load"),
        ("zsh", "zsh/site-functions/_hebra-load"),
        ("fish", "fish/vendor_completions.d/hebra-load.fish"),
    ] {
        assert_eq!(pipe(Command::new(tool(shell)).arg("-n").arg(completions(script)), b""), b"", "{shell}");
    }
    let unit = fs::read_to_string(package.join("usr/lib/systemd/system/hebra.service")).expect("it is there");
    assert!(unit.contains("\nExecStart=/usr/bin/hebra serve"), "{unit}");
    make(&["uninstall", "PREFIX=/usr", &destination]);
    assert_eq!(files(&package.0), Vec::<String>::new());
}

#[test]
fn a_prefix_that_the_units_cannot_name_is_refused() {
    for prefix in ["", "usr", "/a b", "/a&b", "/a|b", "/a\"b"] {
        let output = make_output(&["install", &format!("PREFIX={prefix}"), "DESTDIR=/nowhere"]);
        assert!(!output.status.success(), "{prefix}");
        assert!(output.stdout.starts_with(b"PREFIX: "), "{prefix}: {}", output.stdout.escape_ascii());
    }
}

/// Asserts that zsh can read the script, and completes a command and a value with it. It completes on terminals only.
fn assert_completed_by_zsh(script: &Path) {
    assert_eq!(pipe(Command::new(tool("zsh")).arg("-n").arg(script), b""), b"");
    let mut command = Command::new(tool("zsh"));
    command.arg("-fi").env("TERM", "dumb").env("FOLDER", script.parent().expect("it has a folder"));
    let mut zsh = terminal(command);
    zsh.send_line("fpath=($FOLDER $fpath); autoload -U compinit; compinit -u -D; print rea''dy").expect("it runs");
    zsh.exp_string("ready").expect("it loads its completions");
    zsh.send("hebra comp\t").expect("it runs");
    zsh.flush().expect("it runs");
    zsh.exp_string("hebra completions").expect("the command is completed");
    zsh.send_control('u').expect("it runs");
    zsh.send("hebra serve --service ec\t").expect("it runs");
    zsh.flush().expect("it runs");
    zsh.exp_string("--service echo").expect("the value is completed");
    zsh.send_control('u').expect("it runs");
    zsh.send_line("exit").expect("it runs");
    zsh.exp_eof().expect("it ends");
}

/// Asserts that a shell can read its script, and completes a command and a value with it.
fn assert_completed(shell: &str, script: &Path) {
    let path = script.to_str().expect("text");
    assert_eq!(pipe(Command::new(tool(shell)).args(["-n", path]), b""), b"", "{shell}");
    let complete = match shell {
        "bash" => {
            "source \"$1\"
             complete_words() {
                 COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) COMPREPLY=()
                 _hebra hebra \"${@: -1}\" \"${@: -2:1}\"
                 printf '%s\\n' \"${COMPREPLY[@]}\"
             }
             complete_words hebra ser
             complete_words hebra serve --service ''
             complete_words hebra completions ''"
        }
        _ => {
            "source $argv[1]; complete -C 'hebra ser'; complete -C 'hebra serve --service '
              complete -C 'hebra completions '"
        }
    };
    let mut command = Command::new(tool(shell));
    let separator = if shell == "fish" { vec![] } else { vec![shell] };
    command.args(["-c", complete]).args(separator).arg(path).env("HOME", env::temp_dir());
    let completed = String::from_utf8(pipe(&mut command, b"")).expect("text");
    let completed: Vec<&str> = completed.split_whitespace().collect();
    for word in ["serve", "echo", "fish"] {
        assert!(completed.contains(&word), "{shell}: {completed:?}");
    }
}

#[test]
fn units_name_the_program_under_its_prefix_and_systemd_accepts_them() {
    let prefix = Folder::new("prefix");
    make(&["install", "DESTDIR=", &format!("PREFIX={}", prefix.0.display())]);
    serve_and_probe(&prefix.join("bin/hebra"));
    let units = ["hebra.service", "hebra.socket"].map(|unit| prefix.join("lib/systemd/system").join(unit));
    let Output { status, stderr, .. } = run(Command::new(tool("systemd-analyze")).arg("verify").args(units), b"");
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
}

#[test]
fn the_static_program_serves_and_probes_in_an_empty_root() {
    make(&["static"]);
    let root = Folder::new("root");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/static/hebra");
    fs::copy(&program, root.join("hebra")).expect("it is built");
    let inside = |arguments: &[&str]| {
        let mut command = Command::new(tool("chroot"));
        command.arg(&root.0).arg("/hebra").args(arguments).env_clear().stdin(Stdio::null());
        command
    };
    let Output { status, stderr, .. } = run(&mut inside(&["--version"]), b"");
    if !status.success() {
        // The stream is not captured, so that the line is seen.
        let problem = String::from_utf8_lossy(&stderr);
        writeln!(io::stderr(), "skipped: the static program, because chroot takes root: {problem}")
            .expect("it is open");
        return;
    }
    let listen = ["serve", "--listen", "localhost:0", "--listen", "udp://localhost:0", "--listen", "unix:/socket"];
    let mut server = inside(&listen).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (output, _) = lines(server.stdout.take().expect("piped"));
    let (_log, _) = lines(server.stderr.take().expect("piped"));
    let listening: Vec<String> = output.iter().take(5).collect();
    let name = |at: usize| listening[at].strip_prefix("listening on ").expect("that is what it prints").to_owned();
    let port = |at: usize| name(at).rsplit(':').next().expect("a port").to_owned();
    let probe = |arguments: &[&str]| {
        let Output { status, stdout, stderr } = run(&mut inside(&[&["probe"], arguments].concat()), b"");
        (status.code(), String::from_utf8([stdout, stderr].concat()).expect("text"))
    };
    for address in [
        format!("localhost:{}", port(0)),
        format!("any.localhost:{}", port(0)),
        name(0),
        name(1),
        name(2),
        format!("udp://localhost:{}", port(2)),
        name(4),
    ] {
        let (code, line) = probe(&[&address]);
        assert!(code == Some(0) && line.contains(" answered in "), "{address}: {code:?} {line}");
    }
    for (arguments, expected, words) in [
        (&["nowhere.invalid:1"][..], 4, "cannot resolve \"nowhere.invalid:1\": "),
        (&["127.0.0.1:1"], 5, "cannot connect to 127.0.0.1:1: connection refused"),
        (&["unix:/other"], 5, "cannot connect to unix:/other: there is no such socket"),
        (&["127.0.0.1"], 2, "lacks its port"),
    ] {
        let (code, line) = probe(arguments);
        assert!(code == Some(expected) && line.contains(words), "{arguments:?}: {code:?} {line}");
    }
    signal(&server, Signal::SIGTERM);
    assert_eq!(server.wait().expect("it was started").code(), Some(0));
    assert_eq!(files(&root.0), ["hebra"]);
}
