//! Targets from files that are read again when they change (`file_sd_configs`): JSON or YAML, a `*` in the name allowed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::relabel::Labelled;
use super::{Found, Source};
use crate::config::ScrapeTarget;

/// How often files are looked at; they are read only when they changed.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Files that name targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDiscovery {
    /// Paths; the last part may have a `*`.
    pub files: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Looks at the files until nobody wants to know.
pub(super) async fn watch(discovery: FileDiscovery, source: Source) {
    let mut known = Files::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        let patterns = discovery.files.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let changed = known.look(&patterns);
            (known, changed)
        });
        let Ok((back, changed)) = looked.await else { return };
        known = back;
        for problem in &changed.problems {
            source.failed("file", problem);
        }
        if changed.is_new && source.found(known.all()).await.is_err() {
            return;
        }
    }
}

/// What the files said the last time they could be read.
#[derive(Default)]
struct Files {
    read: BTreeMap<PathBuf, Read>,
}

#[derive(Default)]
struct Read {
    changed: Option<(SystemTime, u64)>,
    found: Vec<Labelled>,
}

#[derive(Default)]
struct Changed {
    is_new: bool,
    problems: Vec<String>,
}

impl Files {
    /// Reads what changed; a file that cannot be read keeps what it said before, one that is gone says nothing.
    fn look(&mut self, patterns: &[String]) -> Changed {
        let mut changed = Changed::default();
        let mut there = Vec::new();
        for pattern in patterns {
            match expand(pattern) {
                Ok(paths) => there.extend(paths),
                Err(error) => changed.problems.push(format!("cannot look for {pattern}: {error}")),
            }
        }
        let count = self.read.len();
        self.read.retain(|path, _| there.contains(path));
        changed.is_new = self.read.len() != count;
        for path in there {
            let stamp = std::fs::metadata(&path).and_then(|meta| Ok((meta.modified()?, meta.len()))).ok();
            let is_known = self.read.contains_key(&path);
            let entry = self.read.entry(path.clone()).or_default();
            if is_known && entry.changed == stamp {
                continue;
            }
            entry.changed = stamp;
            match read(&path) {
                Ok(found) => {
                    entry.found = found;
                    changed.is_new = true;
                }
                Err(reason) => changed.problems.push(format!("cannot read targets from {}: {reason}", path.display())),
            }
        }
        changed
    }

    fn all(&self) -> Found {
        self.read.values().flat_map(|read| read.found.iter().cloned()).collect()
    }
}

/// Gives the files that a pattern names, in order.
fn expand(pattern: &str) -> std::io::Result<Vec<PathBuf>> {
    let path = Path::new(pattern);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let Some((before, after)) = name.split_once('*') else { return Ok(vec![path.to_owned()]) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let fits = name.to_str().is_some_and(|name| {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        });
        if fits {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Vec<Labelled>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    // JSON is YAML, but its own reader says better what is wrong.
    let groups: Vec<Group> = if path.extension().is_some_and(|end| end == "json") {
        serde_json::from_str(&text).map_err(|error| error.to_string())?
    } else {
        serde_saphyr::from_str(&text).map_err(|error| error.to_string())?
    };
    let mut found = Vec::new();
    for group in groups {
        let labels: Vec<_> = group.labels.into_iter().collect();
        for address in group.targets {
            let mut target = super::labels_of(&ScrapeTarget { address, labels: labels.clone() });
            target.insert("__meta_filepath".to_owned(), path.display().to_string());
            found.push(target);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_when_they_change_and_a_broken_one_keeps_what_it_said() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        let patterns = [format!("{}/*.json", dir.path().display()), at("more.yml").display().to_string()];
        let mut files = Files::default();
        let addresses =
            |files: &Files| files.all().iter().map(|labels| labels["__address__"].clone()).collect::<Vec<_>>();

        assert_eq!(files.look(&patterns).problems.len(), 1, "more.yml is not there");
        std::fs::write(at("a.json"), r#"[{"targets": ["a:1", "b:1"], "labels": {"env": "x"}}]"#).expect("written");
        std::fs::write(at("more.yml"), "- targets: ['c:1']\n").expect("written");
        let changed = files.look(&patterns);
        assert!(changed.is_new && changed.problems.is_empty());
        assert_eq!(addresses(&files), ["a:1", "b:1", "c:1"]);
        assert_eq!(files.all()[0]["env"], "x");
        assert!(files.all()[0]["__meta_filepath"].ends_with("a.json"));
        assert!(!files.look(&patterns).is_new, "nothing changed");

        std::fs::write(at("a.json"), r#"[{"targets": "#).expect("written");
        let changed = files.look(&patterns);
        assert!(!changed.is_new && changed.problems[0].contains("a.json"), "{:?}", changed.problems);
        assert_eq!(addresses(&files), ["a:1", "b:1", "c:1"]);

        std::fs::remove_file(at("a.json")).expect("removed");
        assert!(files.look(&patterns).is_new);
        assert_eq!(addresses(&files), ["c:1"]);
    }
}
