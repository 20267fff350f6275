//! The files of `examples/deploy/`: what systemd, YAML and Docker say about them, and whether hebra takes what they pass.
//! That of HAProxy is in `rolling`.

use std::collections::BTreeSet;
use std::env::temp_dir;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
#[cfg(feature = "load")]
use std::process::{Output, Stdio};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{FUSE, Program, connect, exchange, free_address, run, say_bye, send_and_finish};
use crate::{Folder, pipe, tool};

fn text(name: &str) -> String {
    let path = format!("{}/examples/deploy/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs hebra with the arguments of a file, on free ports and without a delay of the drain.
fn serve(arguments: &[String], environment: &[(String, String)]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebra"));
    command.args(on_free_ports(arguments)).env_remove("RUST_LOG").envs(environment.iter().cloned());
    Program::spawn(&mut command, 1)
}

fn on_free_ports(arguments: &[String]) -> impl Iterator<Item = String> {
    arguments.iter().map(|argument| {
        let argument = argument.replace(":1234", ":0").replace(":9090", ":0");
        if argument.starts_with("--drain-delay") { "--drain-delay=0s".to_owned() } else { argument }
    })
}

#[track_caller]
fn stop(program: Program) {
    program.signal(Signal::SIGTERM);
    let (code, log) = program.finish();
    assert_eq!(code, Some(0), "{log:?}");
}

/// Returns the values of a setting of the unit.
fn settings(unit: &str, name: &str) -> Vec<String> {
    let values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.map(str::to_owned).collect()
}

/// Returns the arguments of the program in the unit.
fn unit_arguments(unit: &str) -> Vec<String> {
    let starts = settings(unit, "ExecStart");
    let [start] = &starts[..] else { panic!("{starts:?}") };
    let arguments = start.strip_prefix("/usr/local/bin/hebra ").expect("where make install puts it");
    arguments.split(' ').map(str::to_owned).collect()
}

fn seconds(time: &str) -> u64 {
    time.strip_suffix('s').and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{time}"))
}

/// Asserts that a time for a stop is longer than the drain that the arguments ask for, and its last few seconds.
#[track_caller]
fn assert_longer_than_the_drain(limit: u64, arguments: &[String]) {
    let words: Vec<&str> = arguments.iter().flat_map(|argument| argument.split('=')).collect();
    let time = |flag: &str, default: &'static str| {
        let at = words.iter().position(|word| *word == flag);
        seconds(at.map_or(default, |at| words[at + 1]))
    };
    assert!(time("--drain-delay", "0s") + time("--drain-timeout", "10s") + 5 <= limit, "{arguments:?}");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let folder = Folder::new("units");
    let unit = text("hebra.service");
    // The program is not installed where the unit expects it.
    fs::write(folder.join("hebra.service"), unit.replace("/usr/local/bin/hebra", env!("CARGO_BIN_EXE_hebra")))
        .and_then(|()| fs::write(folder.join("hebra.socket"), text("hebra.socket")))
        .expect("a temporary directory");
    for name in ["hebra.service", "hebra.socket"] {
        let found = run(Command::new(tool("systemd-analyze")).arg("verify").arg(folder.join(name)), b"");
        let printed = [found.stdout, found.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(found.status.success() && printed == ["", ""], "{name}: {printed:?}");
    }
    let mut analyze = Command::new(tool("systemd-analyze"));
    // In tenths.
    analyze.args(["security", "--offline=true", "--threshold=15", "--no-pager"]).arg(folder.join("hebra.service"));
    pipe(&mut analyze, b"");

    let arguments = unit_arguments(&unit);
    assert_longer_than_the_drain(seconds(&settings(&unit, "TimeoutStopSec")[0]), &arguments);
    assert_eq!(settings(&unit, "SuccessExitStatus"), ["3"]);
    stop(serve(&[&arguments[..], &["--listen=127.0.0.1:0".to_owned()]].concat(), &[]));
}

/// Returns the system calls of a set such as `@system-service`.
fn system_calls(set: &str) -> BTreeSet<String> {
    let listed = pipe(Command::new(tool("systemd-analyze")).args(["syscall-filter", set]), b"");
    let listed = String::from_utf8(listed).expect("text");
    let words = listed.lines().skip(1).map(str::trim).filter(|word| !word.is_empty() && !word.starts_with('#'));
    words
        .flat_map(|word| if word.starts_with('@') { system_calls(word) } else { [word.to_owned()].into() })
        .collect()
}

/// Returns the system calls that the unit allows.
fn allowed(unit: &str) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for filter in settings(unit, "SystemCallFilter") {
        let (is_denied, sets) = filter.strip_prefix('~').map_or((false, &filter[..]), |sets| (true, sets));
        for call in sets.split(' ').flat_map(system_calls) {
            if is_denied {
                allowed.remove(&call)
            } else {
                allowed.insert(call)
            };
        }
    }
    allowed
}

/// The filter itself needs a systemd that is process 1.
#[test]
fn the_unit_allows_every_system_call_that_hebra_makes() {
    let unit = text("hebra.service");
    let address = free_address("127.0.3.12");
    let trace = format!("{}/unit.txt", env!("CARGO_TARGET_TMPDIR"));
    let path: PathBuf = temp_dir().join(format!("hebra-unit-{}.sock", std::process::id()));
    let manager = UnixDatagram::bind(&path).expect("a temporary directory");
    manager.set_read_timeout(Some(FUSE)).expect("a valid timeout");
    let mut command = Command::new(tool("strace"));
    command.args(["-D", "-f", "-qq", "-c", "-o", &trace]).arg(tool("systemd-socket-activate"));
    command.args(["-l", &address.to_string(), "-E", &format!("NOTIFY_SOCKET={}", path.display())]);
    command.args(["-E", "WATCHDOG_USEC=100000", "-E", "JOURNAL_STREAM=1:1", env!("CARGO_BIN_EXE_hebra")]);
    let program = Program::spawn(command.args(on_free_ports(&unit_arguments(&unit))), 0);
    program.wait_for("Listening on ");

    let mut client = connect(address);
    assert_eq!(exchange(&mut client, b"hello\n"), b"hello\n");
    assert_eq!(program.next_shown(), format!("listening on {address}"));
    let admin = program.next_shown();
    let admin = admin.trim_start_matches("admin on http://").trim_end_matches('/').parse().expect("an address");
    let sessions = send_and_finish(&connect(admin), b"GET /sessions HTTP/1.0\r\n\r\n");
    assert!(sessions.starts_with(b"HTTP/1.1 200 OK\r\n"), "{:?}", String::from_utf8_lossy(&sessions));
    program.signal(Signal::SIGUSR1);
    program.wait_for("is connected");
    let mut buffer = [0; 256];
    // As the watchdog wants it.
    while manager.recv(&mut buffer).map(|count| !buffer[..count].starts_with(b"WATCHDOG=1")).expect("it reports") {}
    say_bye(&mut client);
    program.signal(Signal::SIGTERM);
    let (_, log) = program.finish();
    let refused = log.iter().any(|line| line.contains("ptrace("));
    assert!(!refused, "strace must be allowed to trace (ptrace): {log:#?}");
    let _ = fs::remove_file(&path);

    let made = fs::read_to_string(&trace).expect("strace wrote it");
    let made: BTreeSet<String> = made
        .lines()
        .skip(2)
        .filter_map(|line| line.split_whitespace().last())
        .filter(|call| !call.starts_with('-') && *call != "total")
        .map(str::to_owned)
        .collect();
    assert!(made.contains("accept4") && made.contains("sendto"), "{made:?}");
    let denied: Vec<String> = (&made - &allowed(&unit)).into_iter().collect();
    assert!(denied.is_empty(), "{denied:?}");
}

/// Returns the instructions of a Dockerfile with what follows them.
fn instructions(file: &str) -> Vec<(String, String)> {
    let text = text(file).replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = |line: &str| line.split_once(' ').map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()));
    lines.map(|line| split(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// Returns the words of an instruction in JSON.
fn words(rest: &str) -> Vec<String> {
    serde_json::from_str::<Vec<String>>(&rest[rest.find('[').expect("JSON")..]).expect("an array of texts")
}

#[test]
fn the_image_holds_the_static_program_which_takes_its_arguments_and_is_healthy() {
    let instructions = instructions("Dockerfile");
    let only = |name: &str| {
        let found: Vec<&str> =
            instructions.iter().filter(|(found, _)| found == name).map(|(_, rest)| &rest[..]).collect();
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        found[0]
    };
    assert_eq!(instructions[0], ("FROM".to_owned(), "scratch".to_owned()));
    let known =
        ["FROM", "LABEL", "COPY", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"].map(only);
    assert_eq!(known.len(), instructions.len(), "{instructions:?}");
    let ids: Vec<u32> = only("USER").split(':').map(|id| id.parse().expect("a number")).collect();
    assert!(ids.len() == 2 && !ids.contains(&0), "{ids:?}");
    // What `make static` builds, and where the entry point expects it.
    let makefile = concat!(env!("CARGO_MANIFEST_DIR"), "/Makefile");
    assert!(fs::read_to_string(makefile).expect("it exists").contains("\nstatic: "));
    assert_eq!(only("COPY"), "target/static/hebra /hebra");
    let check = words(only("HEALTHCHECK"));
    assert_eq!((words(only("ENTRYPOINT")), &check[0][..]), (vec!["/hebra".to_owned()], "/hebra"));

    let arguments = words(only("CMD"));
    // Docker kills after 10 seconds.
    let drain: Vec<&String> = arguments.iter().skip_while(|word| *word != "--drain-timeout").collect();
    assert!(seconds(drain[1]) < 10, "{drain:?}");
    let program = serve(&arguments, &[]);
    let own = format!("localhost:{}", program.address().port());
    let probe: Vec<String> = check[1..].iter().map(|word| word.replace("localhost:1234", &own)).collect();
    pipe(Command::new(env!("CARGO_BIN_EXE_hebra")).args(probe).env_remove("HEBRA_SERVICE"), b"");
    stop(program);
}

/// Returns the Kubernetes objects in a file.
fn objects(file: &str) -> Vec<Value> {
    let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let json = pipe(Command::new(tool("python3")).args(["-c", script]), text(file).as_bytes());
    serde_json::from_slice(&json).expect("Python wrote it")
}

/// Returns the Kubernetes object of this kind.
fn object<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "two {kind}s");
    object
}

#[test]
fn the_objects_of_kubernetes_fit_together_and_hebra_takes_their_arguments() {
    let objects = objects("kubernetes.yaml");
    let [deployment, service, budget, policy] =
        ["Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"].map(|kind| object(&objects, kind));
    assert_eq!(objects.len(), 4);

    let template = &deployment["spec"]["template"];
    let (labels, pod) = (&template["metadata"]["labels"], &template["spec"]);
    for selector in [
        &deployment["spec"]["selector"]["matchLabels"],
        &service["spec"]["selector"],
        &budget["spec"]["selector"]["matchLabels"],
        &policy["spec"]["podSelector"]["matchLabels"],
        &pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    let container = &pod["containers"][0];
    let ports: Vec<&Value> =
        container["ports"].as_array().expect("ports").iter().map(|port| &port["name"]).collect();
    let opened = policy["spec"]["ingress"].as_array().expect("rules").iter().map(|rule| &rule["ports"][0]["port"]);
    assert_eq!(opened.collect::<Vec<_>>(), ports);
    assert_eq!((&service["spec"]["ports"][0]["targetPort"], ports[1]), (ports[0], &json!("admin")));

    let [own, security] = [&container["securityContext"], &pod["securityContext"]];
    assert_eq!((&own["readOnlyRootFilesystem"], &own["capabilities"]["drop"]), (&json!(true), &json!(["ALL"])));
    assert_eq!((&own["allowPrivilegeEscalation"], &security["runAsNonRoot"]), (&json!(false), &json!(true)));
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault");
    // The user of the image.
    let user = instructions("Dockerfile").into_iter().find(|(name, _)| name == "USER").expect("it has one").1;
    assert_eq!(format!("{}:{}", security["runAsUser"], security["runAsGroup"]), user);

    let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).expect("texts");
    assert_longer_than_the_drain(pod["terminationGracePeriodSeconds"].as_u64().expect("a number"), &arguments);
    let environment = environment(&container["env"]);
    let program = serve(&arguments, &environment);
    let client = connect(([127, 0, 0, 1], program.address().port()).into());
    let answer = send_and_finish(&client, b"who?\n");
    let answer: Value = serde_json::from_slice(&answer).expect("one line of JSON");
    let known =
        json!({"pod": "the metadata.name", "namespace": "the metadata.namespace", "node": "the spec.nodeName"});
    assert_eq!(answer["labels"], known);

    let admin = program.next_shown();
    let admin = admin.trim_start_matches("admin on ").trim_end_matches('/').replace("[::]", "127.0.0.1");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], "admin");
        let page = format!("{admin}{}", get["path"].as_str().expect("a path"));
        let answer = pipe(Command::new(tool("curl")).args(["--silent", "--fail", "--max-time", "60", &page]), b"");
        assert_eq!(answer, b"ok\n", "{probe}");
    }
    stop(program);
}

/// Returns the variables of a container as Kubernetes sets them: `$(NAME)` is the value of a variable before it.
fn environment(variables: &Value) -> Vec<(String, String)> {
    let mut set: Vec<(String, String)> = Vec::new();
    for variable in variables.as_array().expect("variables") {
        let name = variable["name"].as_str().expect("a name").to_owned();
        let value = match &variable["valueFrom"]["fieldRef"]["fieldPath"] {
            Value::String(field) => format!("the {field}"),
            _ => {
                set.iter().fold(variable["value"].as_str().expect("a value").to_owned(), |value, (name, known)| {
                    value.replace(&format!("$({name})"), known)
                })
            }
        };
        assert!(!value.contains("$("), "{value}");
        set.push((name, value));
    }
    set
}

/// As in a cluster, the pods write to pipes.
#[cfg(feature = "load")]
#[test]
fn the_pods_of_the_job_load_a_server_at_the_same_time_and_their_results_are_added() {
    let load = env!("CARGO_BIN_EXE_hebra-load");
    let image = instructions("Dockerfile.load");
    let said = |name: &str| image.iter().find(|(found, _)| found == name).map(|(_, rest)| &rest[..]);
    assert_eq!(said("COPY"), Some("target/static/hebra-load /hebra-load"));
    assert_eq!(said("ENTRYPOINT").map(words), Some(vec!["/hebra-load".to_owned()]));

    let objects = objects("load-job.yaml");
    let job = &object(&objects, "Job")["spec"];
    let pod = &job["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!((&job["completionMode"], &job["completions"]), (&json!("Indexed"), &job["parallelism"]));
    assert_eq!((&pod["restartPolicy"], &job["backoffLimit"]), (&json!("Never"), &json!(0)));
    let ids = format!("{}:{}", pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]);
    assert_eq!(said("USER"), Some(&*ids));
    let variables: Vec<&Value> = container["env"].as_array().expect("variables").iter().collect();
    assert_eq!(variables.iter().map(|variable| &variable["name"]).collect::<Vec<_>>(), ["START", "INDEX"]);

    let server = Program::serve(&["--workers", "400"]);
    let arguments: Vec<String> = serde_json::from_value(container["args"].clone()).expect("texts");
    let start = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    let start = humantime::format_rfc3339_seconds(start).to_string();
    let pods = job["completions"].as_u64().expect("a number");
    let running: Vec<_> = (0..pods)
        .map(|index| {
            let arguments = arguments.iter().map(|argument| {
                let argument = argument.replace("$(START)", &start).replace("$(INDEX)", &index.to_string());
                argument.replace("hebra:1234", &server.address().to_string()).replace("=30s", "=500ms")
            });
            let mut command = Command::new(load);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            command.spawn().expect("it is built")
        })
        .collect();
    let folder = Folder::new("job");
    let mut merge = Command::new(load);
    merge.arg("merge");
    for (index, pod) in running.into_iter().enumerate() {
        let output = pod.wait_with_output().expect("it was started");
        let logged = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success(), "{logged}");
        // As sed does it.
        let json = logged.find("\n{\n").map(|at| &logged[at..]).expect("it has the JSON");
        let path = folder.join(&format!("{index}.json"));
        fs::write(&path, json).expect("a temporary directory");
        merge.arg(path);
    }
    let Output { status, stdout, stderr } = run(&mut merge, b"");
    let [printed, warnings] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(status.success() && warnings.is_empty(), "{printed}{warnings}");
    assert!(
        printed.starts_with(&format!(
            "echo: {} connections, 512 B messages, 1 in flight each, {}/s\n",
            100 * pods,
            1000 * pods
        )),
        "{printed}"
    );
    drop(server);
}
