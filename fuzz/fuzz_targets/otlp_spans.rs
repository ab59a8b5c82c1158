//! Any bytes as OTLP spans in protobuf and JSON: what is read comes back from a block, without a panic.
//!
//!     cargo +nightly fuzz run otlp_spans
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    wattle_collector::probe::otlp_spans(data);
});
