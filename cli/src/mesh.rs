//! Mesh resources from files: read, read again when they change, compiled for each workload.

mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wattle_mesh_config::{Documents, Finding, MAX_FILE_BYTES, Severity, SourceText};
use wattle_scheduler::steer::Steering;

/// How often files are looked at.
const POLL: Duration = Duration::from_millis(500);
/// Folders deeper than this are not followed.
const MAX_DEPTH: usize = 8;

/// Size and time of change of a file.
type About = (u64, Option<SystemTime>);

/// Every file, and by what a change of it is noticed.
type Fingerprint = BTreeMap<PathBuf, About>;

/// The resources as they were last read whole.
#[derive(Debug, Clone)]
pub(crate) struct Mesh {
    documents: watch::Receiver<Arc<Documents>>,
    /// Weights of endpoints by their node; without, those of the resources hold alone.
    steering: Option<watch::Receiver<Arc<Steering>>>,
    shutdown: CancellationToken,
}

impl Mesh {
    /// Reads all files and keeps looking at them until `shutdown`.
    ///
    /// # Errors
    /// A file cannot be read, or a document in it is in error: at the start there is no last good state to keep.
    pub(crate) async fn watch(
        paths: Vec<PathBuf>,
        steering: Option<watch::Receiver<Arc<Steering>>>,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let fingerprint = look(&paths)?;
        let (read, faults) = read(&fingerprint)?;
        refuse(&faults)?;
        let (documents, findings) = Documents::parse(&read);
        refuse(&findings)?;
        let documents = Arc::new(documents);
        let (sender, receiver) = watch::channel(Arc::clone(&documents));
        let followed = Followed { fingerprint, documents, told: String::new() };
        tokio::spawn(follow(paths, followed, sender, shutdown.clone()));
        Ok(Self { documents: receiver, steering, shutdown })
    }
}

/// What was last read, good or not: the next change is read on top of it.
struct Followed {
    fingerprint: Fingerprint,
    documents: Arc<Documents>,
    /// The last reason why a change was not taken, so that it is told once.
    told: String,
}

async fn follow(
    paths: Vec<PathBuf>,
    mut followed: Followed,
    sender: watch::Sender<Arc<Documents>>,
    shutdown: CancellationToken,
) {
    let paths: Arc<[PathBuf]> = paths.into();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(POLL) => {}
        }
        // Reading thousands of files takes a while: not on a thread that serves others.
        let paths = Arc::clone(&paths);
        let Ok((now, fresh)) = tokio::task::spawn_blocking(move || {
            let fresh = followed.look_again(&paths);
            (followed, fresh)
        })
        .await
        else {
            return;
        };
        followed = now;
        if let Some(documents) = fresh {
            sender.send_replace(documents);
        }
    }
}

impl Followed {
    /// Reads what changed; gives the resources when they are good.
    fn look_again(&mut self, paths: &[PathBuf]) -> Option<Arc<Documents>> {
        match self.update(paths) {
            Ok(fresh) => {
                if fresh.is_some() {
                    self.told.clear();
                }
                fresh
            }
            Err(error) => {
                let reason = format!("{error:#}");
                if reason != self.told {
                    tracing::error!(error = reason, "mesh resources are not taken; the last good ones stay");
                    self.told = reason;
                }
                None
            }
        }
    }

    fn update(&mut self, paths: &[PathBuf]) -> anyhow::Result<Option<Arc<Documents>>> {
        let now = look(paths)?;
        if now == self.fingerprint {
            return Ok(None);
        }
        let is_new = |(path, about): &(&PathBuf, &About)| self.fingerprint.get(*path) != Some(about);
        let changed: Fingerprint = now.iter().filter(is_new).map(|(path, about)| (path.clone(), *about)).collect();
        // A file that vanished between the look and the read is looked at again in the next round.
        let (changed, faults) = read(&changed)?;
        refuse(&faults)?;
        let gone: Vec<String> = self
            .fingerprint
            .keys()
            .filter(|path| !now.contains_key(*path))
            .map(|path| path.display().to_string())
            .collect();
        let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
        let (documents, findings) = self.documents.update(&changed, &gone);
        (self.fingerprint, self.documents) = (now, Arc::new(documents));
        refuse(&findings)?;
        Ok(Some(Arc::clone(&self.documents)))
    }
}

/// Reads files and folders as sources, with what cannot be read as text told; used by `wattle check`.
///
/// # Errors
/// A path is not there or cannot be read.
pub(crate) fn sources(paths: &[PathBuf]) -> anyhow::Result<(Vec<SourceText>, Vec<Finding>)> {
    read(&look(paths)?)
}

fn refuse(findings: &[Finding]) -> anyhow::Result<()> {
    let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let Some(first) = errors.first() else { return Ok(()) };
    match errors.len() - 1 {
        0 => anyhow::bail!("{}", line(first)),
        more => anyhow::bail!("{} (and {more} more; `wattle check` lists them all)", line(first)),
    }
}

/// Gives a finding as one line.
pub(crate) fn line(finding: &Finding) -> String {
    let Finding { code, file, line, column, path, object, message, remedy, .. } = finding;
    let about =
        [object.as_str(), path.as_str()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
    let remedy = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
    format!("{file}:{line}:{column}: {code} {about}: {message}{remedy}")
}

fn look(paths: &[PathBuf]) -> anyhow::Result<Fingerprint> {
    let mut found = Fingerprint::new();
    for path in paths {
        look_at(path, true, MAX_DEPTH, &mut found)?;
    }
    Ok(found)
}

fn look_at(path: &Path, named: bool, depth: usize, found: &mut Fingerprint) -> anyhow::Result<()> {
    let about =
        std::fs::metadata(path).with_context(|| format!("cannot read mesh resources from {}", path.display()))?;
    if about.is_dir() {
        if depth == 0 {
            return Ok(());
        }
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", path.display()))?;
            // A mounted ConfigMap holds its files a second and third time in folders that begin with dots.
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            look_at(&entry.path(), false, depth - 1, found)?;
        }
        return Ok(());
    }
    let is_resource = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml" || ending == "json");
    if named || is_resource {
        found.insert(path.to_owned(), (about.len(), about.modified().ok()));
    }
    Ok(())
}

fn read(files: &Fingerprint) -> anyhow::Result<(Vec<SourceText>, Vec<Finding>)> {
    let (mut texts, mut faults) = (Vec::with_capacity(files.len()), Vec::new());
    for (path, (length, _)) in files {
        let name = path.display().to_string();
        if *length > MAX_FILE_BYTES as u64 {
            let message =
                format!("the file has {} MiB, more than the {} MiB that are read", length >> 20, MAX_FILE_BYTES >> 20);
            faults.push(fault(name, 1, message, "split it into several files"));
            continue;
        }
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
        match String::from_utf8(bytes) {
            Ok(text) => texts.push(SourceText { name, text }),
            Err(error) => {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
                faults.push(fault(name, line, "this is not UTF-8 text".to_owned(), "save the file as UTF-8"));
            }
        }
    }
    Ok((texts, faults))
}

/// Makes a finding of a file that is no text.
fn fault(file: String, line: usize, message: String, remedy: &str) -> Finding {
    Finding {
        file,
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: 1,
        code: "WAT0001".to_owned(),
        rule: "syntax".to_owned(),
        severity: Severity::Error,
        path: String::new(),
        object: String::new(),
        message,
        effect: "the file is left out".to_owned(),
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str =
        "apiVersion: v1\nkind: Service\nmetadata: {name: NAME, namespace: n}\nspec: {ports: [{port: 80}]}\n";

    fn followed(folder: &Path) -> Followed {
        let paths = [folder.to_owned()];
        let fingerprint = look(&paths).unwrap();
        let (documents, _) = Documents::parse(&read(&fingerprint).unwrap().0);
        Followed { fingerprint, documents: Arc::new(documents), told: String::new() }
    }

    #[test]
    fn a_change_is_read_on_top_of_what_was_read_before() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned()];
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put("a.yaml", &SERVICE.replace("NAME", "a"));
        put("b.yaml", &SERVICE.replace("NAME", "b"));
        let mut followed = followed(folder.path());
        assert!(followed.look_again(&paths).is_none(), "nothing changed");

        put("c.yaml", &SERVICE.replace("NAME", "longer"));
        std::fs::remove_file(folder.path().join("a.yaml")).unwrap();
        let fresh = followed.look_again(&paths).expect("taken");

        let names: Vec<_> = fresh.normal_form().iter().map(|object| object["metadata"]["name"].to_string()).collect();
        assert_eq!(names, ["\"b\"", "\"longer\""]);
    }

    #[test]
    fn a_broken_file_is_not_taken_and_its_mending_is() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().to_owned()];
        let put = |text: &[u8]| std::fs::write(folder.path().join("a.yaml"), text).unwrap();
        put(SERVICE.as_bytes());
        let mut followed = followed(folder.path());

        put(b"kind: [unclosed");
        assert!(followed.look_again(&paths).is_none());
        assert!(followed.told.contains("not YAML"), "{}", followed.told);
        put(b"\xff\xfe not text");
        assert!(followed.look_again(&paths).is_none());
        assert!(followed.told.contains("UTF-8"), "{}", followed.told);

        put(SERVICE.replace("NAME", "mended").as_bytes());
        let fresh = followed.look_again(&paths).expect("taken");
        assert_eq!(fresh.len(), 1);
        assert_eq!(followed.told, "");
    }

    #[test]
    fn hidden_copies_in_a_mounted_configmap_are_not_read_twice() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("..2026_01_01");
        std::fs::create_dir(&real).unwrap();
        std::fs::write(real.join("a.yaml"), SERVICE).unwrap();
        std::os::unix::fs::symlink(&real, folder.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.yaml", folder.path().join("a.yaml")).unwrap();

        assert_eq!(look(&[folder.path().to_owned()]).unwrap().len(), 1);
    }

    #[test]
    fn a_file_beyond_the_bound_is_told_and_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big.yaml");
        std::fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
        std::fs::write(folder.path().join("small.yaml"), SERVICE).unwrap();

        let (texts, faults) = sources(&[folder.path().to_owned()]).unwrap();

        assert_eq!(texts.len(), 1, "the rest is still analysed");
        assert!(faults[0].message.contains("100 MiB"), "{faults:?}");
    }
}
