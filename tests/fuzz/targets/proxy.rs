//! Compares the parser of PROXY headers with the reference, for any bytes. Asserts that it never allocates.

#![no_main]

#[path = "../../support/proxy_reference.rs"]
mod proxy_reference;

use std::alloc::System;
use std::hint::black_box;

use cap::Cap;
use hebra::proxy::parse;
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

fuzz_target!(|input: &[u8]| {
    proxy_reference::check_proxy(input);

    let before = ALLOCATOR.total_allocated();
    black_box(parse(input));
    assert_eq!(ALLOCATOR.total_allocated(), before);
});
