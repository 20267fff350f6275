//! `hebra connect` in a pipe, and with each kind of failure.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hebra::Framing;
use socket2::{Domain, SockRef, Socket, Type};

use crate::support::{
    address, assert_same, config, connect_command, free_address, listen, random_bytes, run, start,
};

/// Runs the client in a pipe, and returns its exit code, standard output and standard error.
fn talk(arguments: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let Output { status, stdout, stderr } = run(&mut connect_command(arguments), input);
    (status.code(), stdout, String::from_utf8(stderr).expect("text"))
}

/// Runs a client that must fail, and returns its exit code and the line that it prints.
fn failure(arguments: &[&str]) -> (Option<i32>, String) {
    let (code, stdout, stderr) = talk(arguments, b"hello\n");
    assert!(stdout.is_empty(), "{}", stdout.escape_ascii());
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    (code, stderr.trim_end().to_owned())
}

#[test]
fn sixteen_mebibytes_pass_through_a_pipe_unchanged() {
    let server = start(config().framing(Framing::Raw));
    let input = random_bytes(16 << 20);
    let (code, output, stderr) = talk(&[&address(&server).to_string()], &input);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_same(&output, &input);
}

#[test]
fn a_server_that_half_closes_and_reads_nothing_ends_the_client() {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client connects");
        stream.shutdown(Shutdown::Write).expect("it is connected");
        stream
    });
    // This is more than the kernels of both sides buffer.
    let (code, output, line) = talk(&[&address.to_string()], &vec![b'x'; 32 << 20]);
    let expected = format!("hebra: input was lost: {address} closed its side and took nothing for 5 seconds\n");
    assert_eq!((code, output, line), (Some(6), vec![], expected));
    drop(server.join().expect("it only waits"));
}

#[test]
fn a_server_that_half_closes_and_reads_slowly_gets_all_input() {
    // Longer than a server may take nothing.
    const SLOW: Duration = Duration::from_secs(6);
    let (listener, address) = listen();
    // It is inherited. With a small window the client's kernel waits long before it lets the client write again.
    SockRef::from(&listener).set_recv_buffer_size(4096).expect("a socket");
    let input = random_bytes(8 << 20);
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client connects");
        client.shutdown(Shutdown::Write).expect("it is connected");
        let (mut received, begun) = (vec![0; 2048], Instant::now());
        let mut count = 0;
        while begun.elapsed() < SLOW {
            received.resize(count + 2048, 0);
            count += client.read(&mut received[count..]).expect("it sends");
            thread::sleep(Duration::from_millis(250));
        }
        received.truncate(count);
        client.read_to_end(&mut received).expect("a clean end of stream");
        received
    });
    assert_eq!(talk(&[&address.to_string()], &input), (Some(0), vec![], String::new()));
    assert_same(&server.join().expect("it only reads"), &input);
}

#[test]
fn input_that_a_half_closed_server_does_not_take_is_never_exit_code_0() {
    let (listener, address) = listen();
    SockRef::from(&listener).set_recv_buffer_size(4096).expect("a socket");
    let server = thread::spawn(move || {
        let (client, _) = listener.accept().expect("a client connects");
        client.shutdown(Shutdown::Write).expect("it is connected");
        client
    });
    // The client's kernel takes it all, so that no write of the client's waits.
    let (code, _, line) = talk(&[&address.to_string()], &[b'x'; 100_000]);
    let expected = format!("hebra: input was lost: {address} closed its side and took nothing for 5 seconds\n");
    assert_eq!((code, line), (Some(6), expected));
    // A server that goes takes nothing any more either.
    let (listener, address) = listen();
    SockRef::from(&listener).set_recv_buffer_size(4096).expect("a socket");
    drop(server.join().expect("it only waits"));
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client connects");
        client.shutdown(Shutdown::Write).expect("it is connected");
        client.read_exact(&mut [0; 1000]).expect("it sends");
    });
    let (code, _, line) = talk(&[&address.to_string()], &[b'x'; 100_000]);
    assert_eq!(code, Some(7), "{line}");
    server.join().expect("it only reads");
}

#[test]
fn a_server_that_closes_first_ends_the_client_although_its_input_is_open() {
    let server = start(config().workers(1).max_pending(0));
    let mut command = connect_command(&[&address(&server).to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is built");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"hello\n").expect("it runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("an echo");
    assert_eq!(line, "hello\n");
    // It occupies the only worker, so a second client is refused and ends.
    let refused =
        command.stdin(Stdio::piped()).spawn().and_then(|child| child.wait_with_output()).expect("it ends");
    assert!(refused.stdout.starts_with(b"busy: "), "{}", refused.stdout.escape_ascii());
    assert_eq!(refused.status.code(), Some(0));
    stdin.write_all(b"bye\n").expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    drop(stdin);
}

#[test]
fn output_of_the_server_is_printed_at_once_and_unchanged() {
    let (listener, address) = listen();
    let mut command = connect_command(&[&address.to_string()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is built");
    let (mut server, _) = listener.accept().expect("it connects");
    let mut stdout = child.stdout.take().expect("piped");
    for sent in [&b"hola"[..], b"\x1b[2J\xff\r\n\0"] {
        server.write_all(sent).expect("it is sent");
        let mut printed = vec![0; sent.len()];
        stdout.read_exact(&mut printed).expect("it is printed");
        assert_eq!(printed, sent);
    }
    drop(server);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn standard_streams_that_do_not_block_lose_nothing() {
    let (listener, address) = listen();
    let [(mut input, stdin), (mut output, stdout)] =
        [(); 2].map(|()| UnixStream::pair().expect("a pair of sockets"));
    for end in [&stdin, &stdout] {
        end.set_nonblocking(true).expect("a socket");
    }
    let mut command = connect_command(&[&address.to_string()]);
    let mut child = command.stdin(OwnedFd::from(stdin)).stdout(OwnedFd::from(stdout)).spawn().expect("it is built");
    // The command keeps its copies open.
    drop(command);
    let (mut server, _) = listener.accept().expect("it connects");
    // Nothing waits on standard input until standard output is full.
    server.set_write_timeout(Some(Duration::from_millis(200))).expect("a valid timeout");
    let piece = random_bytes(64 * 1024);
    let mut sent = 0;
    while let Ok(count) = server.write(&piece[sent % piece.len()..]) {
        sent += count;
    }
    server.shutdown(Shutdown::Write).expect("it is connected");
    let expected: Vec<u8> = piece.iter().copied().cycle().take(sent).collect();
    let mut received = vec![0; sent];
    output.read_exact(&mut received).expect("everything is printed");
    assert_same(&received, &expected);
    input.write_all(b"hello\n").expect("it runs");
    drop(input);
    let mut line = String::new();
    server.read_to_string(&mut line).expect("a clean end of stream");
    assert_eq!((line.as_str(), child.wait().expect("it ends").code()), ("hello\n", Some(0)));
}

#[test]
fn with_crlf_each_line_ends_in_cr_lf_on_the_wire() {
    let server = start(config().framing(Framing::Raw));
    let address = address(&server).to_string();
    let (input, sent) = (b"one\ntwo\r\n\nthree", b"one\r\ntwo\r\n\r\nthree");
    assert_eq!(talk(&["--crlf", &address], input), (Some(0), sent.to_vec(), String::new()));
    for (value, expected) in [("true", &sent[..]), ("0", &input[..]), ("", &input[..])] {
        let output = run(connect_command(&[&address]).env("HEBRA_CRLF", value), input);
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), expected), "{value}");
    }
}

#[test]
fn urgent_data_stays_in_the_stream() {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("it connects");
        client.write_all(b"abc").expect("it is sent");
        SockRef::from(&client).send_out_of_band(b"d").expect("it is sent");
        client.write_all(b"ef").expect("it is sent");
    });
    assert_eq!(talk(&[&address.to_string()], b""), (Some(0), b"abcdef".to_vec(), String::new()));
    server.join().expect("it only sends");
}

#[test]
#[cfg(target_os = "linux")]
fn the_zone_of_an_address_is_a_name_or_a_number() {
    let server = start(config().framing(Framing::Raw).listen(["[::1%lo]:0"]));
    let port = address(&server).port();
    for zone in ["lo", "1"] {
        let address = format!("[::1%{zone}]:{port}");
        assert_eq!(talk(&[&address], b"hello\n"), (Some(0), b"hello\n".to_vec(), String::new()), "{zone}");
    }
    let (code, line) = failure(&[&format!("[fe80::1%nowhere0]:{port}")]);
    assert_eq!(code, Some(4));
    assert!(line.ends_with(": this machine has no interface of that name"), "{line}");
}

#[test]
fn a_closed_standard_output_ends_the_client_quietly() {
    let (listener, address) = listen();
    let mut command = connect_command(&[&address.to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is built");
    let (mut server, _) = listener.accept().expect("it connects");
    drop(child.stdout.take());
    // A child that another test forks at this moment also holds the pipe until its exec, so one write is not enough.
    while server.write_all(b"hola\n").is_ok() {}
    let stdin = child.stdin.take();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    drop(stdin);
}

#[test]
fn a_refused_connection_is_exit_code_5() {
    let free = free_address("127.0.1.11");
    let expected = format!("hebra: cannot connect to {free}: connection refused");
    assert_eq!(failure(&[&free.to_string()]), (Some(5), expected));
}

#[test]
fn an_unknown_name_is_exit_code_4_and_an_address_without_a_port_is_2() {
    let (code, line) = failure(&["nowhere.invalid:1"]);
    assert_eq!(code, Some(4), "{line}");
    assert!(line.starts_with("hebra: cannot resolve \"nowhere.invalid:1\": "), "{line}");
    let expected = "hebra: ADDR: \"\\u{1b}[2J\" lacks its port; an address looks like localhost:1234";
    assert_eq!(failure(&["\u{1b}[2J"]), (Some(2), format!("{expected} (see hebra connect --help)")));
    for wrong in ["0s", "-1"] {
        let (code, line) = failure(&["--timeout", wrong]);
        assert_eq!(code, Some(2), "{line}");
        assert!(line.contains(&format!("--timeout: \"{wrong}\" is ")), "{line}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_exit_code_6() {
    // This listener accepts no client. Once its queue is full, the kernel does not answer further ones.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    listener.listen(0).expect("it listens");
    let address = listener.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    let mut queued = Vec::new();
    while let Ok(client) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queued.push(client);
    }
    let expected = format!("hebra: cannot connect to {address}: timed out");
    assert_eq!(failure(&["--timeout", "50ms", &address.to_string()]), (Some(6), expected));
}

#[test]
fn a_connection_that_is_reset_is_exit_code_7() {
    let (listener, address) = listen();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("it connects");
        client.read_exact(&mut [0; 6]).expect("it sends a line");
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("a socket");
    });
    let expected = format!("hebra: connection to {address} broke: connection reset");
    assert_eq!(failure(&[&address.to_string()]), (Some(7), expected));
    server.join().expect("it only resets");
}
