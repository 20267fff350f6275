//! Which of the bytes that were sent a received byte belongs to, if the server alters bytes or leaves bytes out.
//!
//! The next bytes decide. If they are those that follow the expected byte, that one was altered. If they are those that
//! come a little later, the bytes between were left out. The letters of a message look random, so most of eight are
//! hardly ever equal by chance. Where faults follow each other within eight bytes, a missing byte may at first be taken
//! for an altered one.

/// The most bytes in a row that are recognised as left out.
const MOST_MISSING: usize = 32;

/// The number of bytes that decide.
const EVIDENCE: usize = 8;

/// The number of expected bytes that [`judge`] looks at.
pub(crate) const LOOKAHEAD: usize = MOST_MISSING + EVIDENCE;

/// What became of the expected byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The received byte stands in its place.
    Altered,
    /// It is missing, and so are the bytes after it, this many in all.
    Missing(usize),
    /// The bytes that decide have not arrived yet.
    Unclear,
}

/// Compares what was received with the bytes that are expected next. The first bytes differ.
///
/// `outstanding` is the number of all expected bytes, of which `expected` may have only the first. Nothing more arrives
/// if the input `is_final`; the end of a line is taken for the end of what arrives for now.
pub(crate) fn judge(expected: &[u8], received: &[u8], outstanding: usize, is_final: bool) -> Finding {
    // Nothing is inserted, so if nothing can be missing, each byte is in its place.
    if received.len() >= outstanding {
        return Finding::Altered;
    }
    let is_short = received.len() <= EVIDENCE;
    let has_end = received.ends_with(b"\n");
    if is_short && !is_final && !has_end {
        return Finding::Unclear;
    }
    let equal = |expected: &[u8], received: &[u8]| {
        expected.iter().zip(received).take(EVIDENCE).filter(|(expected, received)| expected == received).count()
    };
    let altered = equal(&expected[1..], &received[1..]);
    // A single letter is often equal by chance, so most of them must be, and the end of a line must be one.
    let enough = received.len().min(EVIDENCE) / 2;
    let ends = |skip: usize| !is_short || !has_end || expected.get(skip + received.len() - 1) == Some(&b'\n');
    let skips = 1..expected.len().min(MOST_MISSING + 1);
    let missing = skips
        .filter(|skip| expected[*skip] == received[0] && ends(*skip))
        .map(|skip| (equal(&expected[skip..], received), skip))
        // Of those with the same evidence the first, which leaves out least.
        .max_by_key(|(equal, skip)| (*equal, MOST_MISSING - skip));
    match missing {
        Some((equal, skip)) if equal > altered.max(enough) => Finding::Missing(skip),
        _ => Finding::Altered,
    }
}
