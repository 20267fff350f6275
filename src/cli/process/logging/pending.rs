//! Lines of the log on their way to a file, a pipe or a terminal that may not take them.
//!
//! A line that cannot be written is counted, and the count is logged as soon as a write succeeds. A line of which only the
//! beginning could be written is completed before the next one begins.

use std::io::Write;
use std::mem;
use std::time::SystemTime;

/// Lines that were logged and not written yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The rest of a line whose beginning is written.
    begun: Vec<u8>,
    /// How many lines were lost before those that follow.
    lost: u64,
    lines: Vec<u8>,
}

impl Pending {
    /// Adds whole lines.
    pub(super) fn push(&mut self, lines: &[u8]) {
        self.lines.extend_from_slice(lines);
    }

    /// Returns how many bytes of lines wait.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Writes everything. What `output` does not take is lost, but for the rest of a line that it took a part of.
    pub(super) fn write_to(&mut self, output: &mut impl Write) {
        let was_within_line = !self.begun.is_empty();
        let mut bytes = mem::take(&mut self.begun);
        let report = bytes.len();
        if self.lost > 0 {
            bytes.extend_from_slice(lost_lines(self.lost).as_bytes());
        }
        bytes.append(&mut self.lines);
        let Err(written) = write_lines(output, &bytes) else {
            self.lost = 0;
            // Its memory is used again.
            bytes.clear();
            self.lines = bytes;
            return;
        };
        let is_within_line = if written == 0 { was_within_line } else { bytes[written - 1] != b'\n' };
        let next_line = if is_within_line { written + first_line(&bytes[written..]) } else { written };
        self.begun = bytes[written..next_line].to_vec();
        let mut lost = bytes[next_line..].iter().filter(|byte| **byte == b'\n').count() as u64;
        if self.lost > 0 && next_line <= report {
            // The report itself is not a lost line.
            lost += self.lost - 1;
        }
        self.lost = lost;
    }
}

/// Returns the line that reports lost lines, in the form of the others.
fn lost_lines(lines: u64) -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    format!("[{now} WARN  hebra] log lines lost: {lines}\n")
}

/// Writes lines in pieces. An error is how many bytes were written.
fn write_lines(output: &mut impl Write, lines: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    while written < lines.len() {
        let end = written + piece(&lines[written..]);
        while written < end {
            match output.write(&lines[written..end]) {
                Ok(0) | Err(_) => return Err(written),
                Ok(count) => written += count,
            }
        }
    }
    Ok(())
}

/// Returns how many bytes of `lines` are written at once: whole lines, and no more than a pipe takes in one piece, so
/// that other processes that write to it cut none; more only if one line is longer.
fn piece(lines: &[u8]) -> usize {
    /// PIPE_BUF of Linux; POSIX asks for an eighth of it.
    const ATOMIC: usize = 4096;
    let fitting = &lines[..lines.len().min(ATOMIC)];
    fitting.iter().rposition(|byte| *byte == b'\n').map_or_else(|| first_line(lines), |end| end + 1)
}

/// Returns the length of the first line, including its line feed if it has one.
fn first_line(lines: &[u8]) -> usize {
    lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use super::*;

    /// A file that takes so many bytes and then none.
    struct Disk {
        room: usize,
        file: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.file.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_line_is_cut_and_a_pipe_takes_each_piece_whole() {
        let long = "x".repeat(5000);
        let text = format!("{}{long}\nlast\nno end", "a line\n".repeat(1000));
        let mut rest = text.as_bytes();
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (first, next) = rest.split_at(piece(rest));
            pieces.push(first);
            rest = next;
        }
        assert_eq!(pieces.concat(), text.as_bytes());
        let (whole, last) = (&pieces[..pieces.len() - 1], pieces[pieces.len() - 1]);
        assert!(whole.iter().all(|piece| piece.ends_with(b"\n") && (piece.len() <= 4096 || piece.len() == 5001)));
        assert_eq!((last, pieces.len()), (b"no end".as_slice(), 5));
    }

    #[test]
    fn what_is_lost_is_counted_and_each_line_begins_a_line_wherever_the_disk_is_full() {
        // The disk is full three times, after each number of bytes in turn.
        for room in 0..120 {
            let mut pending = Pending::default();
            let mut disk = Disk { room: 0, file: Vec::new() };
            for batch in 0..12 {
                disk.room = match batch % 4 {
                    3 => 1000,
                    _ => room,
                };
                pending.push(format!("line {batch}a\nline {batch}b\n").as_bytes());
                pending.write_to(&mut disk);
            }
            assert!(pending.begun.is_empty() && pending.lost == 0);
            let file = String::from_utf8(disk.file).expect("text");
            let (mut whole, mut lost) = (0, 0);
            for line in file.lines() {
                match line.split_once("] log lines lost: ") {
                    Some((_, lines)) => lost += lines.parse::<u64>().expect("a number"),
                    None => {
                        assert!(line.starts_with("line ") && (7..=8).contains(&line.len()), "{room}: {line}");
                        whole += 1;
                    }
                }
            }
            assert_eq!(whole + lost, 24, "{room}: {file}");
        }
    }
}
