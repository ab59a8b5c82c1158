//! Finds the recorded data that some tests compare with.

use std::path::PathBuf;

/// Reads a file of the corpus; says so and gives `None` where there is no corpus.
pub(crate) fn read(path: &str) -> Option<String> {
    let root = std::env::var_os("WATTLE_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")), PathBuf::from);
    let file = root.join(path);
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) => {
            println!("no corpus here, {} is not compared: {error}", file.display());
            None
        }
    }
}
