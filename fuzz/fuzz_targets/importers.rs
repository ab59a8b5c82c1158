//! Any bytes as training data in each format: windows or a named refusal, and training on them never panics.
//!
//!     cargo +nightly fuzz run importers
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use wattle_model::import::{windows_from_csv, windows_from_kepler_json, windows_from_parquet};
use wattle_model::{Dataset, TrainOptions, train};

fuzz_target!(|data: &[u8]| {
    let Some((format, data)) = data.split_first() else { return };
    let windows = match format % 3 {
        0 => windows_from_csv("fuzz.csv", data),
        1 => windows_from_kepler_json("fuzz.json", data, &BTreeMap::new()),
        _ => windows_from_parquet("fuzz.parquet", data),
    };
    let Ok(windows) = windows else { return };
    let _ = train(&Dataset::from_windows(&windows), &TrainOptions::default(), &mut |_| ());
});
