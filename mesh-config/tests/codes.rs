//! A code of ours means one rule, everywhere.

use std::collections::BTreeMap;
use std::path::Path;

fn collect(folder: &Path, texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, texts);
        } else {
            texts.push(std::fs::read_to_string(path).expect("text"));
        }
    }
}

#[test]
fn a_code_of_ours_means_one_rule() {
    let mut texts = Vec::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut texts);
    let mut rules: BTreeMap<&str, &str> = BTreeMap::new();
    for part in texts.iter().flat_map(|text| text.split("\"WAT").skip(1)) {
        let (code, rest) = part.split_once('"').expect("closed");
        let Some(word) = rest.strip_prefix(", \"").and_then(|rest| rest.split('"').next()) else { continue };
        let known = rules.entry(code).or_insert(word);
        assert_eq!(*known, word, "WAT{code}");
    }
    assert!(rules.len() > 20, "{rules:?}");
}
