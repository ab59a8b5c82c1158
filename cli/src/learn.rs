//! The learning loop of `wattle up`, and the artifact on disk that every role follows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wattle_collector::store::Store;
use wattle_contract::Timestamp;
use wattle_model::{Artifact, Dataset, Evaluation, Predictor, TrainOptions};

use crate::progress;
use crate::settings::Settings;

/// What the roles share of the model: the loaded predictor and how it scored.
#[derive(Debug)]
pub(crate) struct Learned {
    /// The predictor in use; `None` before the first training.
    pub predictor: watch::Sender<Option<Arc<Predictor>>>,
    /// Its scores on held-out windows; `None` before the first training.
    pub evaluation: watch::Sender<Option<Evaluation>>,
}

impl Learned {
    /// Begins with the artifact at `path`, if there is one.
    ///
    /// # Errors
    /// The file is there and is not a whole artifact of this version.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let (predictor, evaluation) = match read_artifact(path)? {
            Some(artifact) => (Some(load(&artifact, path)?), Some(artifact.evaluation.clone())),
            None => (None, None),
        };
        Ok(Self { predictor: watch::Sender::new(predictor), evaluation: watch::Sender::new(evaluation) })
    }

    fn take(&self, artifact: &Artifact, path: &Path) -> anyhow::Result<()> {
        let predictor = load(artifact, path)?;
        self.evaluation.send_replace(Some(artifact.evaluation.clone()));
        self.predictor.send_replace(Some(predictor));
        Ok(())
    }
}

fn load(artifact: &Artifact, path: &Path) -> anyhow::Result<Arc<Predictor>> {
    let predictor = Predictor::new(artifact).with_context(|| format!("cannot use the model {}", path.display()))?;
    Ok(Arc::new(predictor))
}

/// Reads an artifact; `None` when there is no file.
///
/// # Errors
/// The file cannot be read, or is not a whole artifact of this version.
pub(crate) fn read_artifact(path: &Path) -> anyhow::Result<Option<Artifact>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("cannot read the model {}", path.display())),
    };
    let artifact = Artifact::from_bytes(&bytes).with_context(|| {
        format!("cannot load the model {}: remove the file to train a new one, or restore it", path.display())
    })?;
    Ok(Some(artifact))
}

/// Writes an artifact so that a reader sees the old one or the new one, never a part.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn write_artifact(artifact: &Artifact, path: &Path) -> anyhow::Result<()> {
    let about = || format!("cannot write the model {}", path.display());
    let draft = path.with_extension("wattle.new");
    let bytes = artifact.to_bytes().with_context(about)?;
    std::fs::write(&draft, bytes).with_context(about)?;
    std::fs::File::open(&draft).and_then(|file| file.sync_all()).with_context(about)?;
    std::fs::rename(&draft, path).with_context(about)
}

/// Trains as soon as enough windows were measured, then again and again, until `shutdown`.
pub(crate) async fn keep_learning(
    settings: Settings,
    store: Arc<Store>,
    learned: Arc<Learned>,
    shutdown: CancellationToken,
) {
    let mut wait = Duration::from_secs(1);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        wait = match learn_once(&settings, &store, &learned).await {
            Ok(true) => settings.model.retrain_every,
            Ok(false) => Duration::from_secs(1),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "no model was trained; the one in use stays");
                settings.model.retrain_every.min(Duration::from_secs(10))
            }
        };
    }
}

/// Trains one model and takes it into use; `false` when there is not enough to learn from yet.
async fn learn_once(settings: &Settings, store: &Store, learned: &Learned) -> anyhow::Result<bool> {
    let now = now();
    let windows = store.windows(now.minus(settings.model.lookback), now).await?;
    if u64::try_from(windows.len()).unwrap_or(u64::MAX) < settings.model.train_after {
        return Ok(false);
    }
    let options = TrainOptions { seed: settings.model.seed, ..TrainOptions::default() };
    let trained = tokio::task::spawn_blocking(move || {
        let data = Dataset::from_windows(&windows);
        let bar = progress::Bar::start("training");
        wattle_model::train(&data, &options, &mut |step| bar.show(&step))
    })
    .await
    .context("training was cut off")??;
    match trained.evaluation.worse_than_baseline() {
        Some("power") => anyhow::bail!(
            "power is predicted no better than by its baseline: {}",
            progress::scores(&trained.evaluation)
        ),
        // Short windows hold few requests: their p95 is mostly noise, and a constant is hard to beat.
        Some(target) => tracing::info!(target, "is predicted no better than by its baseline; power is"),
        None => {}
    }
    let path = settings.model_path();
    write_artifact(&trained.artifact, &path)?;
    learned.take(&trained.artifact, &path)?;
    progress::say(&format!("{} -> {}", progress::scores(&trained.evaluation), path.display()));
    Ok(true)
}

/// Follows the artifact on disk, for roles that do not train themselves, until `shutdown`.
pub(crate) async fn follow(path: PathBuf, every: Duration, learned: Arc<Learned>, shutdown: CancellationToken) {
    let mut seen = changed_at(&path);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
        let now = changed_at(&path);
        if now == seen || now.is_none() {
            continue;
        }
        seen = now;
        let taken = read_artifact(&path).and_then(|artifact| match artifact {
            Some(artifact) => learned.take(&artifact, &path),
            None => Ok(()),
        });
        match taken {
            Ok(()) => tracing::info!(model = %path.display(), "model loaded"),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the new model is not taken; the last one stays")
            }
        }
    }
}

fn changed_at(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|about| about.modified()).ok()
}

/// Gives the time by the wall clock.
pub(crate) fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}
