//! Any bytes as write requests of both versions, without a panic.
//!
//!     cargo +nightly fuzz run remote_write
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = wattle_collector::probe::remote_write(data);
});
