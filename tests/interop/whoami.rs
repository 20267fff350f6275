//! `--service whoami` with the clients and the JSON reader that scripts use: nc, socat and jq.

use std::process::Command;
use std::{env, process};

use crate::support::Program;
use crate::{pipe, tool};

/// Reads answers with jq, and returns what `filter` makes of them.
fn jq(filter: &str, answers: &[u8]) -> String {
    let mut jq = Command::new(tool("jq"));
    String::from_utf8(pipe(jq.args(["-r", filter]), answers)).expect("text")
}

#[test]
fn jq_reads_the_answers_over_tcp_unix_sockets_and_udp() {
    let unix = env::temp_dir().join(format!("hebra-{}-whoami.sock", process::id()));
    let listen = format!("127.0.0.1:0,udp://127.0.0.1:0,unix:{}", unix.display());
    let mut command = Program::command();
    command.args(["--service", "whoami", "--label", "zone=eu-1,pod=a b", "--listen", &listen]);
    let program = Program::spawn(&mut command, 0);
    let listening: Vec<String> =
        (0..3).map(|_| program.next_shown().strip_prefix("listening on ").expect("its form").to_owned()).collect();
    let address = |listening: &str| listening.trim_start_matches("udp://").to_owned();
    let port = |listening: &str| address(listening).rsplit(':').next().expect("a port").to_owned();
    let command = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(tool(name));
        command.args(arguments);
        command
    };
    let (tcp, udp) = (address(&listening[0]), address(&listening[1]));
    let socat = |target: String| command("socat", &["-t", "1", "-", &target]);
    for (listener, mut client) in [
        (0, socat(format!("TCP:{tcp}"))),
        (1, socat(format!("UDP:{udp}"))),
        (2, socat(format!("UNIX-CONNECT:{}", unix.display()))),
        (0, command("nc", &["-N", "127.0.0.1", &port(&tcp)])),
        (1, command("nc", &["-u", "-w", "1", "127.0.0.1", &port(&udp)])),
        (2, command("nc", &["-N", "-U", &unix.display().to_string()])),
    ] {
        let answers = pipe(&mut client, "¿\"quién\"?\n".as_bytes());
        let filter = "[.service, .listener, .labels.zone, .labels.pod, .message, (keys_unsorted | join(\",\"))] \
                      | join(\"|\")";
        let fields = "service,version,host,listener,client,peer,proxied_by,labels,message";
        let expected = format!("whoami|{}|eu-1|a b|¿\"quién\"?|{fields}\n", listening[listener]);
        assert_eq!(jq(filter, &answers), expected, "{client:?}");
    }
}
