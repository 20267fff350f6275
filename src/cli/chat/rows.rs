//! Lines broken into rows that fit a terminal.

use std::io;

use terminal_size::{Width, terminal_size_of};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthChar;

/// What every row but the first begins with.
const INDENT: &str = "    ";

/// The narrowest screen for which rows are made: the indent and the widest character fit.
const NARROWEST: usize = 8;

/// How wide a terminal is if the system does not know.
const USUAL: usize = 80;

/// Returns how many columns the operator's screen has; `None` if it has none.
///
/// Standard output may be a pipe to `tee`, which the operator who types at a terminal sees there.
pub(super) fn columns() -> Option<usize> {
    let is_seen = io::IsTerminal::is_terminal(&io::stdout()) || io::IsTerminal::is_terminal(&io::stdin());
    let size = || terminal_size_of(io::stdout()).or_else(|| terminal_size_of(io::stdin()));
    is_seen.then(|| size().map_or(USUAL, |(Width(columns), _)| columns.into()))
}

/// Breaks a line into rows for a screen of so many columns.
///
/// Terminals disagree about the width of some characters, so each one counts as wide as any terminal shows it. Rows may
/// be shorter than necessary, and are never longer.
pub(super) fn break_line(line: &str, columns: usize) -> String {
    // Some terminals begin a row as soon as the last column is filled.
    let most = columns.max(NARROWEST) - 1;
    let mut rows = String::with_capacity(line.len());
    let mut column = 0;
    let mut push = |text: &str, width: usize| {
        if column + width > most && column > INDENT.len() {
            rows.push('\n');
            rows.push_str(INDENT);
            column = INDENT.len();
        }
        rows.push_str(text);
        column += width;
    };
    for cluster in line.graphemes(true) {
        let width = cluster.chars().map(widest).sum();
        if INDENT.len() + width <= most {
            push(cluster, width);
        } else {
            // A letter with more marks than fit a row.
            cluster.chars().for_each(|part| push(part.encode_utf8(&mut [0; 4]), widest(part)));
        }
    }
    rows
}

/// Returns the most columns that a terminal may take for a character. Marks, joiners and selectors have no width, but
/// terminals that do not know them show them in a column of their own, or widen the letter.
fn widest(character: char) -> usize {
    match character {
        '\t' => 8,
        // Symbols and emoji, which are wide or narrow by the terminal's version of Unicode.
        '\u{1f000}'.. => 2,
        _ => character.width().unwrap_or(0).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that nothing is lost and that each row fits and begins as it must. Returns how many rows there are. A tab
    /// never leaves its row.
    fn check(line: &str, columns: usize) -> usize {
        let rows = break_line(line, columns);
        assert_eq!(rows.replace(&format!("\n{INDENT}"), ""), line);
        for (number, row) in rows.split('\n').enumerate() {
            assert!(number == 0 || row.starts_with(INDENT), "{row}");
            let width: usize = row.trim_end_matches('\t').chars().map(widest).sum();
            assert!(width < columns.max(NARROWEST), "{row}");
        }
        rows.split('\n').count()
    }

    #[test]
    fn no_row_of_a_client_begins_with_what_it_chose_however_wide_the_screen_is() {
        let notice = "* <2> joined from 10.0.0.7:50220";
        for filler in
            ["x", " ", "漢", "ñ", "👍", "\t", "e\u{301}", "\u{200d}", "❤\u{fe0f}", "क्षि", "👩\u{200d}👧", "🇪🇸"]
        {
            for columns in [0, 1, 8, 9, 16, 40, 80, 81, 200] {
                for count in 0..100 {
                    check(&format!("<1> {}{notice}", filler.repeat(count)), columns);
                }
            }
        }
    }

    #[test]
    fn a_line_that_fits_is_not_broken_and_a_letter_keeps_its_marks() {
        let line = "<1> ".to_owned() + &"x".repeat(75);
        assert_eq!(break_line(&line, 80), line);
        assert_eq!(break_line(&format!("{line}y"), 80), format!("{line}\n    y"));
        let line = "<1> ".to_owned() + &"x".repeat(74);
        assert_eq!(break_line(&format!("{line}e\u{301}"), 80), format!("{line}\n    e\u{301}"));
        // A letter with more marks than a row has columns.
        assert!(check(&format!("<1> e{}", "\u{301}".repeat(300)), 80) > 3);
    }
}
