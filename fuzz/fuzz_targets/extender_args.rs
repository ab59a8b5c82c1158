//! Any bytes as a call of kube-scheduler: read or refused, scored and answered in JSON, without a panic.
//!
//!     cargo +nightly fuzz run extender_args
#![no_main]

use libfuzzer_sys::fuzz_target;
use wattle_contract::NodeName;
use wattle_scheduler::names::Names;
use wattle_scheduler::pod;
use wattle_scheduler::wire::{BindArgs, ExtenderArgs, PreemptArgs, filter_answer, preempt_answer, prioritize_answer};

fuzz_target!(|data: &[u8]| {
    let names = Names::new(["node-00000", "node-00001", "a"].map(NodeName::from));
    if let Ok(args) = ExtenderArgs::parse(data, &names) {
        let count = args.candidates.len();
        let refused: Vec<bool> = (0..count).map(|at| at % 2 == 0).collect();
        let answer = filter_answer(&names, &args.candidates, &refused, "no");
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("an answer is JSON");
        assert!(answer.is_object());
        let scores = prioritize_answer(&names, &args.candidates, |at| u32::try_from(at).unwrap_or(u32::MAX));
        let scores: serde_json::Value = serde_json::from_slice(&scores).expect("an answer is JSON");
        // The first scores 0 and is left out, unless it is the only one.
        assert_eq!(scores.as_array().map(Vec::len), Some(if count > 1 { count - 1 } else { count }));
        if let Some(raw) = args.pod {
            let _ = pod::read(raw.get(), "cluster.local");
        }
    }
    if let Ok(args) = PreemptArgs::parse(data) {
        assert!(serde_json::from_slice::<serde_json::Value>(&preempt_answer(&args.victims)).is_ok());
    }
    let _ = BindArgs::parse(data);
});
