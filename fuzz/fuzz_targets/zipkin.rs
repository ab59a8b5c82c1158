//! Any bytes as spans of both versions of Zipkin's JSON: what is read comes back from a block, without a panic.
//!
//!     cargo +nightly fuzz run zipkin
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    wattle_collector::probe::zipkin_spans(data);
});
