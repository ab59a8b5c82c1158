//! Points of any bits come back from chunks and packs; any bytes are refused or read as either, without a panic.
//!
//!     cargo +nightly fuzz run store_codecs
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    wattle_collector::probe::codecs(data);
});
