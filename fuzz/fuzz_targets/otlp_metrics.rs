//! Any bytes as OTLP metrics in protobuf and JSON, without a panic; deltas taken back leave nothing behind.
//!
//!     cargo +nightly fuzz run otlp_metrics
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = wattle_collector::probe::otlp_metrics(data);
});
