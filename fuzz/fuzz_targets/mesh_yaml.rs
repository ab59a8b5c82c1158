//! Any text as mesh resources: read, analysed, compiled, printed and read again, without a panic.
//!
//!     cargo +nightly fuzz run mesh_yaml
#![no_main]

use libfuzzer_sys::fuzz_target;
use wattle_mesh_config::{Documents, SourceText, analyse, compile};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (documents, _) = Documents::parse(&[SourceText { name: "fuzz.yaml".to_owned(), text: text.to_owned() }]);
    let _ = analyse(&documents);
    for identity in documents.identities().iter().chain([&documents.identity("default", "client")]) {
        let _ = compile(&documents, identity);
    }
    for object in documents.normal_form() {
        let printed = SourceText { name: "printed.json".to_owned(), text: object.to_string() };
        let _ = Documents::parse(&[printed]);
    }
});
