//! Replays the corpus of the fuzzer with the checks of the fuzz targets. No fuzzer is needed.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use crate::proxy_reference::check_proxy;
use crate::reference::{check_bye, check_line};

/// The corpus has at least this many files. Finding fewer means that the wrong folder was read.
const LEAST_FILES: usize = 20;

#[test]
fn the_corpus_of_bye_agrees_with_the_reference() {
    replay("bye", check_bye);
}

#[test]
fn the_corpus_of_line_agrees_with_the_reference() {
    replay("line", check_line);
}

#[test]
fn the_corpus_of_proxy_agrees_with_the_reference() {
    replay("proxy", check_proxy);
}

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(&corpus).expect("the corpus is in the repository").collect();
    assert!(files.len() >= LEAST_FILES, "only {} files in {}", files.len(), corpus.display());
    for file in files {
        let file = file.expect("a readable directory").path();
        let input = fs::read(&file).expect("a readable file");
        assert!(catch_unwind(|| check(&input)).is_ok(), "{}", file.display());
    }
}
