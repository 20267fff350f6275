//! Services of one's own for datagrams: what they see, what they send, and what bounds their answers.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Instant;

use hebra::{Datagram, RunningUdpServer, UdpConfig, UdpEvent, UdpServer};

use crate::support::FUSE;
use crate::support::udp::{client, receive, wait_until};

/// The largest payload of a datagram over IPv4.
const LARGEST: usize = 65_507;

fn start(
    config: UdpConfig,
    service: impl Fn(&Datagram<'_>, &mut Vec<u8>) -> bool + Send + Sync + 'static,
) -> RunningUdpServer {
    UdpServer::bind(config).expect("it binds").answer_with(service).start().expect("it starts")
}

fn loopback() -> UdpConfig {
    UdpConfig::default().listen(["127.0.0.1:0"])
}

/// A service that answers with as many bytes as the question says.
fn as_long_as_asked(datagram: &Datagram<'_>, answer: &mut Vec<u8>) -> bool {
    let length = std::str::from_utf8(datagram.payload).expect("digits").parse().expect("a number");
    answer.resize(length, b'x');
    true
}

#[test]
fn a_service_sees_the_datagram_and_its_way_and_may_stay_silent() {
    let server = start(loopback(), |datagram, answer| {
        assert!(answer.is_empty(), "the buffer has an earlier answer");
        answer.extend(format!("{} {}", datagram.peer, datagram.listener).bytes());
        datagram.payload != b"hush"
    });
    let client = client(server.local_addrs()[0]);
    for question in ["hush", "who?", "hush", "who?"] {
        client.send(question.as_bytes()).expect("it is sent");
    }
    let expected = format!("{} {}", client.local_addr().expect("bound"), server.local_addrs()[0]);
    for _ in 0..2 {
        assert_eq!(receive(&client), expected.as_bytes());
    }
    let stats = server.shutdown();
    assert_eq!((stats.datagrams, stats.answers, stats.bytes_out), (4, 2, 2 * expected.len() as u64));
    assert_eq!((stats.withheld, stats.too_long, stats.rate_limited, stats.unsent), (0, 0, 0, 0));
    assert_eq!(stats.declined, 2);
    assert!(stats.to_string().ends_with(" declined=2"), "{stats}");
}

#[test]
fn an_answer_may_be_ten_times_its_question_on_the_wire_and_not_a_byte_more() {
    for (host, headers) in [("127.0.0.1", 28), ("[::1]", 48)] {
        let server = start(loopback().listen([format!("{host}:0")]), as_long_as_asked);
        let events = server.subscribe();
        let client = client(server.local_addrs()[0]);
        let longest = 10 * (3 + headers) - headers;
        for length in [longest + 1, longest] {
            client.send(length.to_string().as_bytes()).expect("it is sent");
        }
        assert_eq!(receive(&client).len(), longest);
        let event = events.next_timeout(FUSE).expect("it is reported");
        let UdpEvent::AnswerTooLong { peer, question, answer, longest: allowed } = event else {
            panic!("{event}");
        };
        assert_eq!(peer, client.local_addr().expect("bound"));
        assert_eq!((question, answer, allowed), (3, longest + 1, longest));
        let stats = server.shutdown();
        assert_eq!((stats.datagrams, stats.answers, stats.withheld, stats.too_long), (2, 1, 1, 1));
        assert!(stats.to_string().ends_with(" withheld_too_long=1"), "{stats}");
    }
}

#[test]
fn the_bound_can_be_chosen_and_no_answer_is_longer_than_a_datagram() {
    let one = start(loopback().amplification(1), as_long_as_asked);
    let socket = client(one.local_addrs()[0]);
    for question in ["5", "1"] {
        socket.send(question.as_bytes()).expect("it is sent");
    }
    assert_eq!(receive(&socket), b"x");
    assert_eq!(one.shutdown().too_long, 1);

    let any = start(loopback().amplification(usize::MAX), as_long_as_asked);
    let socket = client(any.local_addrs()[0]);
    for length in [LARGEST + 1, LARGEST] {
        socket.send(length.to_string().as_bytes()).expect("it is sent");
    }
    assert_eq!(receive(&socket).len(), LARGEST);
    let stats = any.shutdown();
    assert_eq!((stats.answers, stats.too_long, stats.unsent), (1, 1, 0));
}

#[test]
fn answers_that_are_too_long_are_all_counted_and_seldom_reported() {
    const SENT: u64 = 500;
    let server = start(loopback().rate(None), as_long_as_asked);
    let events = server.subscribe();
    let client = client(server.local_addrs()[0]);
    let began = Instant::now();
    for number in 1..=SENT {
        client.send(b"60000").expect("it is sent");
        wait_until(&server, |stats| stats.too_long == number);
    }
    let seconds = began.elapsed().as_secs();
    assert_eq!(server.shutdown().withheld, SENT);
    let reports = events.filter(|event| matches!(event, UdpEvent::AnswerTooLong { .. })).count() as u64;
    assert!((1..=seconds + 2).contains(&reports), "{reports} in {seconds} s");
}

#[test]
fn senders_that_look_forged_are_not_served() {
    let server = start(loopback().listen(["127.0.0.1:0", "127.0.0.2:0"]), |_, answer| {
        answer.push(b'x');
        true
    });
    let target = server.local_addrs()[0];
    let forge = |host, port| UdpSocket::bind((Ipv4Addr::new(127, 0, 1, host), port)).ok();
    // The port of the server's other socket, and that of memcached, on addresses where they are free.
    let mut forged = 0;
    for port in [server.local_addrs()[1].port(), 11211] {
        let sender = (30..60).find_map(|host| forge(host, port)).expect("a free port");
        sender.send_to(b"?", target).expect("it is sent");
        forged += 1;
    }
    // Binding such a port may need a privilege. Without it, only the unit test of the rule remains.
    if let Some(service) = (512..1024).find_map(|port| forge(32, port)) {
        service.send_to(b"?", target).expect("it is sent");
        forged += 1;
    }
    wait_until(&server, |stats| stats.withheld == forged);
    let stats = server.shutdown();
    assert_eq!((stats.datagrams, stats.answers, stats.too_long), (forged, 0, 0));
}

#[test]
fn the_rate_of_a_sender_counts_before_the_service_is_called() {
    const SENT: u64 = 30;
    let server = start(loopback().rate(Some(3)), as_long_as_asked);
    let client = client(server.local_addrs()[0]);
    for number in 0..SENT {
        // Every other answer is too long.
        client.send(if number % 2 == 0 { b"9999" } else { b"0001" }).expect("it is sent");
    }
    wait_until(&server, |stats| stats.answers + stats.too_long + stats.rate_limited == SENT);
    let stats = server.shutdown();
    assert!(stats.rate_limited > 0 && stats.too_long > 0 && stats.answers > 0, "{stats}");
    assert_eq!((stats.datagrams, stats.withheld), (SENT, stats.too_long));
}

#[test]
fn a_panic_of_the_service_costs_one_answer() {
    let server = start(loopback(), as_long_as_asked);
    let events = server.subscribe();
    let client = client(server.local_addrs()[0]);
    for question in ["many", "4"] {
        client.send(question.as_bytes()).expect("it is sent");
    }
    assert_eq!(receive(&client), b"xxxx");
    let event = events.next_timeout(FUSE).expect("it is reported");
    let UdpEvent::Panicked { peer, .. } = &event else { panic!("{event}") };
    assert_eq!(*peer, client.local_addr().expect("bound"));
    assert!(event.to_string().contains(": the service panicked: \"a number: "), "{event}");
    let stats = server.shutdown();
    assert_eq!((stats.datagrams, stats.answers, stats.panicked), (2, 1, 1));
}
