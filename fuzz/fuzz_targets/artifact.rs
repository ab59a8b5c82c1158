//! Any bytes as a model: refused, or a model that writes back and predicts without a panic.
//!
//!     cargo +nightly fuzz run artifact
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use wattle_model::{Artifact, Predictor};

fn load(bytes: &[u8]) {
    let Ok(artifact) = Artifact::from_bytes(bytes) else { return };
    let _ = artifact.to_bytes();
    if let Ok(predictor) = Predictor::new(&artifact) {
        let _ = predictor.id();
    }
    let _ = wattle_model::report::show(&artifact);
}

fuzz_target!(|data: &[u8]| {
    load(data);
    // The payload behind a right head and checksum, where random bytes never come.
    let mut whole = b"WATTLEM\n\x01\x00\x00\x00".to_vec();
    whole.extend_from_slice(&(data.len() as u64).to_le_bytes());
    whole.extend_from_slice(data);
    let sum = Sha256::digest(&whole);
    whole.extend_from_slice(&sum);
    load(&whole);
});
