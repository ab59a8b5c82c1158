//! Compiling the present: whenever a snapshot or a model is new, a new view, off the request path.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use wattle_contract::ClusterSnapshot;
use wattle_model::Predictor;

use crate::drift::Drift;
use crate::extender::Shared;
use crate::memory::Memory;
use crate::view::{Compiled, Seen, View};

type Snapshots = watch::Receiver<Option<Arc<ClusterSnapshot>>>;
type Models = watch::Receiver<Option<Arc<Predictor>>>;

/// How often assumed pods are looked through and the age of the data is told.
const TICK: Duration = Duration::from_secs(1);
/// Time between two looks for nodes worth emptying.
const ADVISE: Duration = Duration::from_secs(60);

/// Keeps the view up to date until `shutdown`.
pub(crate) async fn keep_compiled(
    shared: Arc<Shared>,
    mut snapshots: Snapshots,
    mut models: Models,
    shutdown: CancellationToken,
) {
    let mut kept = Kept::default();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut snapshots_open, mut models_open) = (true, true);
    let mut is_new = true;
    loop {
        if is_new {
            let snapshot = snapshots.borrow_and_update().clone();
            let model = models.borrow_and_update().clone();
            kept = compile(&shared, kept, snapshot, model).await;
        }
        is_new = tokio::select! {
            () = shutdown.cancelled() => return,
            changed = snapshots.changed(), if snapshots_open => { snapshots_open = changed.is_ok(); changed.is_ok() }
            changed = models.changed(), if models_open => { models_open = changed.is_ok(); changed.is_ok() }
            _ = tick.tick() => false,
        };
        shared.tick();
    }
}

/// What is kept from one view to the next.
#[derive(Debug, Default)]
struct Kept {
    memory: Memory,
    drift: Drift,
}

async fn compile(
    shared: &Arc<Shared>,
    mut kept: Kept,
    snapshot: Option<Arc<ClusterSnapshot>>,
    model: Option<Arc<Predictor>>,
) -> Kept {
    let Some(snapshot) = snapshot else { return kept };
    let began = Instant::now();
    let keep = shared.config.stale_after;
    let known = Arc::clone(shared);
    let compiled = tokio::task::spawn_blocking(move || {
        let (mut completed, nodes) = kept.memory.complete(&snapshot, keep);
        known.cluster.read().complete(&mut completed);
        let model = model.map(|model| {
            let alarms = kept.drift.observe(&model, &snapshot.window, &known.metrics);
            Compiled { id: model.id().to_owned(), predictions: Box::new(model.compile_after(&completed, alarms)) }
        });
        let carbon = known.carbon.load_full();
        let seen = Seen {
            snapshot: &completed,
            measured: &nodes,
            model,
            cluster: &known.cluster.read(),
            power_caps: &known.config.power_caps,
            carbon: carbon.as_deref(),
            now: known.config.clock.now(),
        };
        let view = Arc::new(View::new(seen, &known.view.load().names));
        known.measured(&view, &snapshot.window);
        (view, kept)
    });
    match compiled.await {
        Ok((view, kept)) => {
            shared.view.store(view);
            shared.metrics.compile_seconds.observe(began.elapsed().as_secs_f64());
            kept
        }
        Err(error) => {
            tracing::error!(%error, "cannot compile predictions: the last good ones stay in use");
            Kept::default()
        }
    }
}

/// Looks for nodes worth emptying until `shutdown`, where it holds up nobody.
pub(crate) async fn keep_advising(shared: Arc<Shared>, shutdown: CancellationToken) {
    // The first look waits for the first view with predictions: without them no node is known.
    let mut pause = TICK;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if shared.view.load().model.is_none() {
            pause = TICK;
            continue;
        }
        let known = Arc::clone(&shared);
        pause = match tokio::task::spawn_blocking(move || known.advise()).await {
            // The model is there before the first measurements are, when it was read from a file.
            Ok(0) => TICK,
            Ok(_) => ADVISE,
            Err(error) => {
                tracing::error!(%error, "cannot look for nodes worth emptying");
                ADVISE
            }
        };
    }
}

impl Shared {
    /// Forgets assumed pods that the measurements include by now, and tells how old those are.
    fn tick(&self) {
        let now = self.config.clock.now();
        let view = self.view.load();
        let mut assumed = self.assumed.write();
        assumed.number(&view.names);
        assumed.reconcile(&view, now, self.config.assumed_ttl);
        self.metrics.assumed_pods.set(i64::try_from(assumed.len()).unwrap_or(i64::MAX));
        self.metrics.provisional_pods.set(i64::try_from(assumed.provisional()).unwrap_or(i64::MAX));
        drop(assumed);
        let age = view.measured_until.map(|until| now.since(until));
        self.metrics.data_age_seconds.set(age.map_or(-1.0, |age| age.as_secs_f64()));
        if age.is_some_and(|age| age > self.config.stale_after) {
            self.steer_nobody();
        }
    }
}
