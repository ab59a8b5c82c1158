//! Any text as an exposition: what the parser takes has labels, and nothing panics.
//!
//!     cargo +nightly fuzz run exposition
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        wattle_collector::probe::exposition(text);
    }
});
