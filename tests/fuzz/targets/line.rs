//! Compares the line framing and the text framing with the reference, for any limit and any reads. Asserts that the limit
//! bounds the memory of a line.

#![no_main]

#[path = "../../support/reference.rs"]
mod reference;

use std::alloc::System;

use cap::Cap;
use hebra::Framing;
use hebra::protocol::{Decoded, Decoder};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The capacity of a vector of bytes after its first allocation.
const LEAST_ALLOCATION: usize = 8;

fuzz_target!(|input: &[u8]| {
    reference::check_line(input);

    let (max_line, reads) = reference::cap_and_reads(input);
    let before = ALLOCATOR.allocated();
    let mut decoder = Decoder::new(Framing::Line, max_line);
    'reads: for mut read in reads {
        while let Some(decoded) = decoder.next(&mut read) {
            if matches!(decoded, Decoded::TooLong | Decoded::Bye) {
                break 'reads;
            }
        }
        assert!(ALLOCATOR.allocated() - before <= LEAST_ALLOCATION.max(2 * max_line), "cap {max_line}");
    }
});
