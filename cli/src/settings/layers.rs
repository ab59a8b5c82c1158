//! The layers: a file, the environment, flags.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Given, Layers, Problem, Problems, Settings};

/// File that is read when none is named.
const DEFAULT_FILE: &str = "wattle.yaml";
/// What the names of environment variables begin with.
const PREFIX: &str = "WATTLE__";
/// A settings file larger than this is refused unread.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where settings come from.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// Settings file named on the command line; without one `wattle.yaml` is read if it is there.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// What a role or the demo puts in place of the defaults: `(section.key, value)`.
    pub presets: Vec<(String, String)>,
    /// Flags: `(section.key, value, flag as written)`.
    pub flags: Vec<(String, Value, String)>,
}

/// Reads all layers into settings.
///
/// # Errors
/// Every problem found in any layer.
pub(crate) fn load(sources: Sources) -> Result<Settings, Problems> {
    let mut layers = Layers::new();
    let mut problems = Vec::new();
    for (key, value) in sources.presets {
        layers.insert(key, Given { value: Value::from(value), origin: "preset of this command".to_owned() });
    }
    match &sources.file {
        Some(path) => read_file(path, &mut layers, &mut problems),
        None if Path::new(DEFAULT_FILE).exists() => read_file(Path::new(DEFAULT_FILE), &mut layers, &mut problems),
        None => {}
    }
    for (name, text) in sources.environment {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let key = path.to_ascii_lowercase().replace("__", ".");
        layers.insert(key, Given { value: Value::from(text), origin: name });
    }
    for (key, value, flag) in sources.flags {
        layers.insert(key, Given { value, origin: flag });
    }
    match Settings::read(&layers) {
        Ok(settings) if problems.is_empty() => Ok(settings),
        Ok(_) => Err(Problems(problems)),
        Err(Problems(more)) => {
            problems.extend(more);
            Err(Problems(problems))
        }
    }
}

fn read_file(path: &Path, layers: &mut Layers, problems: &mut Vec<Problem>) {
    let name = path.display().to_string();
    let text = match read_bounded(path) {
        Ok(text) => text,
        Err(what) => {
            problems.push(Problem::new(&name, "(file)", what));
            return;
        }
    };
    let tree: Value = match serde_saphyr::from_str(&text) {
        Ok(tree) => tree,
        Err(e) => {
            let first_line = e.to_string().lines().next().unwrap_or_default().to_owned();
            problems.push(Problem::new(&name, "(file)", format!("not YAML: {first_line}")));
            return;
        }
    };
    let Value::Object(sections) = tree else {
        if !tree.is_null() {
            problems.push(Problem::new(&name, "(file)", "expected a mapping of sections"));
        }
        return;
    };
    for (section, content) in sections {
        let origin = format!("{name}:{}", line_of(&text, &section, None));
        match content {
            Value::Object(keys) => {
                for (key, value) in keys {
                    let origin = format!("{name}:{}", line_of(&text, &section, Some(&key)));
                    layers.insert(format!("{section}.{key}"), Given { value, origin });
                }
            }
            Value::Null => {}
            _ => problems.push(Problem::new(&origin, &section, "expected a mapping of keys")),
        }
    }
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("is {size} bytes long; a settings file has at most {MAX_FILE_BYTES}"));
    }
    std::fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}"))
}

/// Finds the line, counted from 1, that a key of a block-style file stands on; the section's line when it is written
/// otherwise.
fn line_of(text: &str, section: &str, key: Option<&str>) -> usize {
    let names = |line: &str, name: &str| {
        line.trim_start().trim_matches('"').strip_prefix(name).is_some_and(|rest| rest.starts_with([':', '"', ' ']))
    };
    let mut lines = text.lines().enumerate();
    let Some((at, _)) = lines.find(|(_, line)| !line.starts_with(' ') && names(line, section)) else { return 1 };
    let inside = lines.take_while(|(_, line)| line.is_empty() || line.starts_with([' ', '#']));
    let found = key.and_then(|key| inside.into_iter().find(|(_, line)| names(line, key)));
    found.map_or(at, |(at, _)| at) + 1
}
