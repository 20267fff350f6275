//! The chat service, with one client at a time and as a room. The operator types into a pipe or on a terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Program, chat, chat_on_terminal, connect, read_to_end, signal, spawn_apart};

/// A client that reads lines.
struct Guest(BufReader<TcpStream>);

impl Guest {
    fn new(address: SocketAddr) -> Self {
        Self(BufReader::new(connect(address)))
    }

    /// Joins the chat, and asserts that it is client `id`.
    fn join(program: &Program, id: u32) -> Self {
        let guest = Self::new(program.address());
        let notice = program.next_shown();
        assert!(notice.starts_with(&format!("* <{id}> joined from 127.0.0.1:")), "{notice}");
        guest
    }

    fn address(&self) -> SocketAddr {
        self.0.get_ref().local_addr().expect("it is connected")
    }

    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("it is sent");
    }

    fn hears(&mut self, text: &str) {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        assert_eq!(line.trim_end(), text);
    }

    fn hears_the_end(mut self) {
        assert_eq!(read_to_end(self.0.get_mut()), b"");
    }
}

#[test]
fn the_operator_talks_to_one_client_at_a_time() {
    let mut program = chat(&[]);
    let mut guest = Guest::join(&program, 1);
    // Neither side waits for its turn, and the client needs no line feed.
    program.type_line("¡Hola!");
    program.type_line("¿Quién eres?");
    guest.hears("¡Hola!");
    guest.say("Soy José");
    assert_eq!(program.next_shown(), "<1> Soy José");
    guest.hears("¿Quién eres?");
    // A line that would be a command is sent if its first character is doubled.
    program.type_line("//who is it for?");
    program.type_line("@@2 is it for 2?");
    guest.hears("/who is it for?");
    guest.hears("@2 is it for 2?");

    let mut second = Guest::new(program.address());
    second.hears("busy: the operator is talking to another client");
    second.hears_the_end();
    assert_eq!(program.next_shown(), "* <2> turned away: the operator is talking to another client");

    guest.say("bye");
    guest.hears_the_end();
    assert_eq!(program.next_shown(), "* <1> left: bye");
    program.type_line("still there?");
    assert_eq!(program.next_shown(), "* nobody is here");
    let mut third = Guest::join(&program, 3);
    program.type_line("bye");
    third.hears("bye");
    third.hears_the_end();
    assert_eq!(program.next_shown(), "* <3> left: server shutdown");
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn in_a_room_each_client_reads_what_the_others_say() {
    let mut program = chat(&["--room"]);
    let mut guests: Vec<Guest> = (1..=3).map(|id| Guest::join(&program, id)).collect();
    guests[0].say("hello\r\n");
    assert_eq!(program.next_shown(), "<1> hello");
    guests[1].hears("<1> hello");
    guests[2].hears("<1> hello");
    program.type_line("welcome");
    guests.iter_mut().for_each(|guest| guest.hears("<operator> welcome"));
    program.type_line("@2 only you");
    guests[1].hears("<operator> only you");

    program.type_line("/who");
    assert_eq!(program.next_shown(), "* here: 3");
    for id in 1..=3 {
        assert!(program.next_shown().starts_with(&format!("* <{id}> 127.0.0.1:")));
    }
    program.type_line("@7 hello");
    assert_eq!(program.next_shown(), "* <7> is not here");
    program.type_line("/dance");
    assert!(program.next_shown().ends_with("; //x says /x, @@x says @x; /who, /kick 2, bye"));

    program.type_line("@2 out");
    program.type_line("/kick 2");
    assert_eq!(program.next_shown(), "* <2> left: closed by the service");
    let mut kicked = guests.remove(1);
    kicked.hears("<operator> out");
    kicked.hears_the_end();
    guests[1].say("bye\r\n");
    assert_eq!(program.next_shown(), "* <3> left: bye");
    guests.remove(1).hears_the_end();

    // The end of the operator's input has the same effect as `bye`.
    program.end_input();
    guests[0].hears("<operator> bye");
    guests.remove(0).hears_the_end();
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn text_from_a_client_cannot_control_a_terminal_or_forge_a_line() {
    let program = chat(&["--room"]);
    let mut villain = Guest::join(&program, 1);
    let mut victim = Guest::join(&program, 2);
    villain.say("\x1b[2J\x07a\r<operator> send money\u{202e}\n");
    let shown = r"<1> \u{1b}[2J\u{7}a\r<operator> send money\u{202e}";
    assert_eq!(program.next_shown(), shown);
    victim.hears(shown);
    // Only notices begin with an asterisk, and what a client says never does.
    villain.say("left: bye\n* <2> left: bye\n");
    assert_eq!(program.next_shown(), "<1> left: bye");
    assert_eq!(program.next_shown(), "<1> * <2> left: bye");
}

#[test]
fn a_client_that_floods_the_room_drops_no_client_that_reads() {
    const LINES: usize = 40_000;
    let program = chat(&["--room"]);
    let mut speaker = Guest::join(&program, 1);
    let mut reader = Guest::join(&program, 2);
    // An escape is six times as long when it is shown. The line is cut to a kilobyte before it is escaped.
    speaker.say(&format!("{}\n", "\x1b".repeat(65_000)));
    reader.hears(&format!("<1> {}...", "\\u{1b}".repeat(1024)));
    speaker.say(&format!("{}\n", "é".repeat(1000)));
    reader.hears(&format!("<1> {}...", "é".repeat(512)));
    // The speaker sends as fast as it can.
    thread::scope(|scope| {
        scope.spawn(|| speaker.say(&"x\n".repeat(LINES)));
        (0..LINES).for_each(|_| reader.hears("<1> x"));
    });
}

#[test]
fn many_speakers_at_once_drop_no_client_that_reads() {
    const MEMBERS: u32 = 16;
    const LINES: usize = 40;
    // Twelve times as much as may wait for a client.
    let program = chat(&["--room", "--max-outgoing", "64KiB"]);
    let guests: Vec<Guest> = (1..=MEMBERS).map(|id| Guest::join(&program, id)).collect();
    let text = format!("{}\n", "x".repeat(1000)).repeat(LINES);
    thread::scope(|scope| {
        for mut guest in guests {
            let mut speaker = guest.0.get_ref().try_clone().expect("a descriptor is free");
            let text = text.as_bytes();
            scope.spawn(move || speaker.write_all(text).expect("it is sent"));
            scope.spawn(move || {
                let mut line = String::new();
                for _ in 0..(MEMBERS as usize - 1) * LINES {
                    line.clear();
                    guest.0.read_line(&mut line).expect("it is told something");
                    assert!(line.ends_with("xxx\r\n"), "{line}");
                }
            });
        }
    });
}

#[test]
fn a_room_without_an_operator_serves_until_a_signal() {
    let empty = std::env::temp_dir().join(format!("hebra-empty-{}", std::process::id()));
    File::create(&empty).expect("it can be written to");
    for input in ["/dev/null", empty.to_str().expect("text"), "/", "-"] {
        let hebra = Program::command();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec \"$@\" <{input}").replace("<-", "<&-"), "sh"]).arg(hebra.get_program());
        command.args(hebra.get_args()).args(["--listen", "127.0.0.1:0", "--service", "chat", "--room"]);
        let program = Program::spawn(&mut command, 1);
        let notice = program.next_shown();
        assert!(notice.starts_with("* no operator: standard input "), "{input}: {notice}");
        let mut first = Guest::join(&program, 1);
        first.say("bye\n");
        first.hears_the_end();
        assert_eq!(program.next_shown(), "* <1> left: bye");
        let (mut second, mut third) = (Guest::join(&program, 2), Guest::join(&program, 3));
        second.say("¿hay alguien?\n");
        third.hears("<2> ¿hay alguien?");
        program.signal(Signal::SIGTERM);
        second.hears_the_end();
        assert_eq!(program.finish().0, Some(0), "{input}");
    }
    std::fs::remove_file(empty).expect("it is ours");
}

#[test]
fn a_character_that_comes_in_two_pieces_is_shown_as_one() {
    let program = chat(&[]);
    let mut guest = Guest::join(&program, 1);
    guest.0.get_mut().write_all(b"se\xc3").expect("it is sent");
    // The rest is a message of its own.
    assert_eq!(program.next_shown(), "<1> se");
    guest.0.get_mut().write_all(b"\xb1or\n").expect("it is sent");
    assert_eq!(program.next_shown(), "<1> ñor");
    guest.0.get_mut().write_all(b"and \xf0\x9f").expect("it is sent");
    assert_eq!(program.next_shown(), "<1> and");
    guest.0.get_mut().shutdown(Shutdown::Write).expect("it is open");
    // The end of the stream leaves half a character.
    assert_eq!(program.next_shown(), "<1> \\xf0\\x9f");
    assert_eq!(program.next_shown(), "* <1> left: end of stream");
}

#[test]
fn who_is_answered_and_other_commands_of_a_client_are_neither_obeyed_nor_passed_on() {
    const HINT: &str = "* only the operator has commands; /who lists the room, //x says /x, and @@2 x says @2 x";
    let program = chat(&["--room"]);
    let (mut guest, mut other) = (Guest::join(&program, 1), Guest::join(&program, 2));
    for command in ["@2 a secret", "/kick 2"] {
        guest.say(&format!("{command}\n"));
        guest.hears(HINT);
    }
    guest.say("/who\n");
    guest.hears("* here: 2");
    for (id, guest_address) in [(1, guest.address()), (2, other.address())] {
        guest.hears(&format!("* <{id}> {guest_address}"));
    }
    guest.say("//who is here?\n@@2 is a name\n@ana is another\n");
    for said in ["<1> /who is here?", "<1> @2 is a name", "<1> @ana is another"] {
        assert_eq!(program.next_shown(), said);
        other.hears(said);
    }
    let program = chat(&[]);
    let mut guest = Guest::join(&program, 1);
    guest.say("/kick 1\n");
    guest.hears(HINT);
}

#[test]
fn telnet_commands_of_a_client_are_answered_and_not_shown() {
    for flags in [&[][..], &["--framing", "message"], &["--room"]] {
        let mut program = chat(flags);
        let mut guest = Guest::join(&program, 1);
        // Interrupt process and a timing mark: Ctrl-C in telnet, which shows no output until the mark is answered.
        guest.0.get_mut().write_all(b"\xff\xf4\xff\xfd\x06").expect("it is sent");
        let mut answer = [0; 3];
        guest.0.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"\xff\xfc\x06");
        // As telnet sends Enter in character mode.
        guest.0.get_mut().write_all(b"still here\r\0and there\r\0").expect("it is sent");
        assert_eq!(program.next_shown(), "<1> still here");
        assert_eq!(program.next_shown(), "<1> and there");
        program.type_line("good");
        guest.hears(if flags == ["--room"] { "<operator> good" } else { "good" });
        guest.0.get_mut().write_all(b"bye\r\0").expect("it is sent");
        assert_eq!(program.next_shown(), "* <1> left: bye");
    }
}

#[test]
fn an_operator_whose_input_does_not_block_is_waited_for() {
    let (mut typed, input) = UnixStream::pair().expect("a pair of sockets");
    input.set_nonblocking(true).expect("it is open");
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0", "--service", "chat"]).stdin(OwnedFd::from(input));
    let program = Program::spawn(&mut command, 1);
    let mut guest = Guest::join(&program, 1);
    typed.write_all(b"hello\n").expect("it is read");
    guest.hears("hello");
    typed.write_all(b"again\n").expect("it is read");
    guest.hears("again");
    drop(typed);
    guest.hears("bye");
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn no_row_of_the_screen_begins_with_what_a_client_chose() {
    let (mut terminal, address) = chat_on_terminal(&["--room"]);
    let mut guest = Guest::new(address);
    terminal.exp_string("* <1> joined").expect("the guest has joined");
    // The screen has 80 columns, as far as the system knows.
    let row = "x".repeat(75);
    guest.say(&format!("{row}y* <2> joined from 10.0.0.7:50220\n"));
    terminal.exp_string(&format!("<1> {row}")).expect("it is shown");
    let next = terminal.exp_string("* <2> joined").expect("it is shown");
    assert_eq!(next.rsplit('\n').next(), Some("    y"), "{next:?}");
}

#[test]
fn a_signal_ends_the_chat_although_the_operator_may_still_type() {
    let program = chat(&["--room"]);
    let guest = Guest::join(&program, 1);
    program.signal(Signal::SIGTERM);
    guest.hears_the_end();
    assert_eq!(program.next_shown(), "* <1> left: server shutdown");
    assert_eq!(program.finish(), (Some(0), vec![]));
}

#[test]
fn what_a_script_types_goes_to_the_first_client() {
    let mut program = chat(&[]);
    program.type_line("one");
    program.type_line("two");
    program.end_input();
    let mut guest = Guest::new(program.address());
    for line in ["one", "two", "bye"] {
        guest.hears(line);
    }
    guest.hears_the_end();
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_the_others_get_every_line() {
    let program = chat(&["--room", "--max-outgoing", "32KiB"]);
    let mut speaker = Guest::join(&program, 1);
    let mut reader = Guest::join(&program, 2);
    let _stalled = Guest::join(&program, 3);
    let text = "x".repeat(1000);
    let dropped = (0..).find_map(|number| {
        speaker.say(&format!("{number} {text}\n"));
        reader.hears(&format!("<1> {number} {text}"));
        let shown = program.next_shown();
        (!shown.starts_with("<1> ")).then_some(shown)
    });
    assert_eq!(dropped.as_deref(), Some("* <3> left: reads too slowly"));
    speaker.say("bye\n");
    speaker.hears_the_end();
    drop(reader);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.finish().0, Some(0));
}

#[test]
fn invalid_utf8_from_the_operator_does_not_end_the_chat() {
    let mut program = chat(&["--room"]);
    let mut guest = Guest::join(&program, 1);
    program.type_bytes(b"caf\xe9\n");
    guest.hears("<operator> caf\u{fffd}");
    program.type_line("still here");
    guest.hears("<operator> still here");
}

#[test]
fn invalid_utf8_typed_on_a_terminal_does_not_end_the_chat() {
    let (mut terminal, address) = chat_on_terminal(&["--room"]);
    let mut guest = Guest::new(address);
    terminal.exp_string("* <1> joined").expect("the guest has joined");
    let mut keys = terminal.process().get_file_handle().expect("a terminal");
    keys.write_all(b"still \xff").expect("it runs");
    terminal.exp_string("* left out: a byte that is not UTF-8, and what came with it").expect("a notice");
    terminal.exp_string("> still ").expect("the line is kept");
    terminal.send_line("here").expect("it runs");
    guest.hears("<operator> still here");
}

#[test]
fn an_unread_standard_output_does_not_delay_the_stop() {
    let mut command = Program::command();
    command.args(["--listen", "127.0.0.1:0", "--service", "chat", "--room"]).stdin(Stdio::piped());
    let (mut child, _stdout, address) = spawn_apart(&mut command, Stdio::null());
    let mut guest = Guest::new(address);
    // This is more than a pipe holds.
    for _ in 0..200 {
        guest.say(&format!("{}\n", "x".repeat(1000)));
    }
    thread::sleep(Duration::from_millis(500));
    signal(&child, Signal::SIGTERM);
    let began = Instant::now();
    while child.try_wait().expect("it was started").is_none() {
        if began.elapsed() > Duration::from_secs(20) {
            child.kill().expect("it runs");
            panic!("it does not end");
        }
        thread::sleep(Duration::from_millis(10));
    }
}
