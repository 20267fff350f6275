//! Compares the message framing with the reference, for any reads. Asserts that it never allocates.

#![no_main]

#[path = "../../support/reference.rs"]
mod reference;

use std::alloc::System;

use cap::Cap;
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fuzz_target!(|input: &[u8]| {
    reference::check_bye(input);

    let reads = reference::reads(input);
    let before = ALLOCATOR.total_allocated();
    reference::found_bye(&reads);
    assert_eq!(ALLOCATOR.total_allocated(), before);
});
