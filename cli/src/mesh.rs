//! Mesh resources from files: read, read again when they change, compiled for each workload.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wattle_contract::{RouteTable, WorkloadIdentity};
use wattle_mesh_config::{Documents, Finding, Severity, SourceText};

/// How often files are looked at.
const POLL: Duration = Duration::from_millis(500);
/// Folders deeper than this are not followed.
const MAX_DEPTH: usize = 8;

/// Size and time of change of every file, by which a change is noticed.
type Fingerprint = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// The resources as they were last read whole.
#[derive(Debug, Clone)]
pub(crate) struct Mesh {
    documents: watch::Receiver<Arc<Documents>>,
    shutdown: CancellationToken,
}

impl Mesh {
    /// Reads all files and keeps looking at them until `shutdown`.
    ///
    /// # Errors
    /// A file cannot be read, or a document in it is in error: at the start there is no last good state to keep.
    pub(crate) async fn watch(paths: Vec<PathBuf>, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let fingerprint = look(&paths)?;
        let (documents, findings) = parse(&read(&fingerprint)?);
        refuse(&findings)?;
        let (sender, receiver) = watch::channel(Arc::new(documents));
        tokio::spawn(follow(paths, fingerprint, sender, shutdown.clone()));
        Ok(Self { documents: receiver, shutdown })
    }

    /// Gives the table of one workload, compiled again whenever the resources change.
    ///
    /// # Errors
    /// The resources cannot be compiled for it.
    pub(crate) fn table(&self, identity: WorkloadIdentity) -> anyhow::Result<watch::Receiver<Arc<RouteTable>>> {
        let mut documents = self.documents.clone();
        let first = documents.borrow_and_update().clone();
        let table = match wattle_mesh_config::compile(&first, &identity) {
            Ok(table) => Arc::new(table),
            Err(findings) => return Err(refuse(&findings).err().unwrap_or_else(|| anyhow::anyhow!("not compiled"))),
        };
        let (sender, receiver) = watch::channel(table);
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = sender.closed() => return,
                    changed = documents.changed() => if changed.is_err() { return },
                }
                let current = documents.borrow_and_update().clone();
                recompile(&current, &identity, &sender);
            }
        });
        Ok(receiver)
    }
}

fn recompile(documents: &Documents, identity: &WorkloadIdentity, sender: &watch::Sender<Arc<RouteTable>>) {
    match wattle_mesh_config::compile(documents, identity) {
        Ok(table) => {
            sender.send_if_modified(|current| {
                let changed = current.version != table.version;
                if changed {
                    *current = Arc::new(table);
                }
                changed
            });
        }
        Err(findings) => {
            let first = findings.first().map(line).unwrap_or_default();
            tracing::error!(
                workload = %identity.workload,
                problems = findings.len(),
                first,
                "mesh resources are not taken; the last good ones stay"
            );
        }
    }
}

async fn follow(
    paths: Vec<PathBuf>,
    mut last: Fingerprint,
    sender: watch::Sender<Arc<Documents>>,
    shutdown: CancellationToken,
) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(POLL) => {}
        }
        let Ok(now) = look(&paths) else { continue };
        if now == last {
            continue;
        }
        // A file that vanished between the look and the read is looked at again in the next round.
        let Ok(sources) = read(&now) else { continue };
        last = now;
        let (documents, findings) = parse(&sources);
        match refuse(&findings) {
            Ok(()) => {
                sender.send_replace(Arc::new(documents));
            }
            Err(error) => tracing::error!(%error, "mesh resources are not taken; the last good ones stay"),
        }
    }
}

/// Reads files and folders as sources; used by `wattle check` as well.
///
/// # Errors
/// A path is not there or cannot be read.
pub(crate) fn sources(paths: &[PathBuf]) -> anyhow::Result<Vec<SourceText>> {
    read(&look(paths)?)
}

fn parse(sources: &[SourceText]) -> (Documents, Vec<Finding>) {
    Documents::parse(sources)
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

fn read(files: &Fingerprint) -> anyhow::Result<Vec<SourceText>> {
    files
        .keys()
        .map(|path| {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", path.display()))?;
            Ok(SourceText { name: path.display().to_string(), text })
        })
        .collect()
}
