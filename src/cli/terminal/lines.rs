//! Text that comes in pieces made lines, for what is printed above a prompt.

use std::mem;
use std::time::{Duration, Instant};

/// How long a line may be, in bytes, before it is cut: one that has no end is not to fill the memory.
const MAX_LINE: usize = 1024 * 1024;

/// How long a line may take to come before it is cut: somebody may be watching dots that tell of progress.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Makes whole lines of text, however it is cut.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: String,
    /// Since when, if something is.
    since: Option<Instant>,
    /// Whether the beginning of this line was taken as a line of its own.
    is_cut: bool,
}

impl Lines {
    /// The lines that end in `text`, or else what is too long or takes too long for one.
    pub(crate) fn feed(&mut self, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        // Of a line that was cut only its end may be left, which is no line.
        let text = if mem::take(&mut self.is_cut) { text.strip_prefix('\n').unwrap_or(text) } else { text };
        let (lines, rest) = text.rfind('\n').map_or(("", text), |end| text.split_at(end + 1));
        let mut output = String::new();
        if !lines.is_empty() {
            output = mem::take(&mut self.begun) + lines;
            self.since = None;
        }
        self.begun.push_str(rest);
        if !self.begun.is_empty() {
            let since = *self.since.get_or_insert_with(Instant::now);
            if self.begun.len() > MAX_LINE || since.elapsed() >= MAX_AGE {
                output.push_str(&self.finish());
            }
        }
        output
    }

    /// Whether the text so far ends within a line, of which the end is waited for.
    pub(crate) fn is_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// What is left of a line.
    pub(crate) fn finish(&mut self) -> String {
        self.is_cut = self.is_begun();
        self.since = None;
        mem::take(&mut self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_unless_they_are_too_long() {
        let mut lines = Lines::default();
        assert_eq!(lines.feed("one\ntwo\nthr"), "one\ntwo\n");
        assert_eq!(lines.feed("e"), "");
        assert!(lines.is_begun());
        assert_eq!(lines.feed("e\n"), "three\n");
        assert!(!lines.is_begun());
        lines.feed("> ");
        assert_eq!(lines.finish(), "> ");
        let long = "x".repeat(MAX_LINE);
        assert_eq!(lines.feed(&long), "");
        assert_eq!(lines.feed("x"), format!("{long}x"));
    }

    #[test]
    fn a_line_that_takes_too_long_is_cut_and_its_end_is_no_line() {
        let mut lines = Lines::default();
        assert_eq!(lines.feed("."), "");
        lines.since = lines.since.and_then(|since| since.checked_sub(MAX_AGE));
        assert_eq!(lines.feed("."), "..");
        assert!(!lines.is_begun());
        assert_eq!(lines.feed(""), "");
        assert_eq!(lines.feed("\nnext\n"), "next\n");
        lines.feed("begun");
        assert_eq!(lines.finish(), "begun");
        assert_eq!(lines.feed(" and ended\n\n"), " and ended\n\n");
        assert_eq!(lines.feed("\n"), "\n");
    }
}
