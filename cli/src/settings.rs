//! Settings: defaults, then a file, then the environment, then flags; every problem is told at once.
//!
//! A layer gives values by `section.key`; a later layer replaces an earlier one. What is left over, unknown or out of
//! range becomes a [`Problem`]; with no problem the result is a [`Settings`] that cannot be wrong.

mod layers;
mod lists;
mod problem;
mod reference;
mod section;
mod sections;
mod value;

pub(crate) use layers::{Sources, load};
pub(crate) use problem::{Problem, Problems};
pub(crate) use reference::reference;
pub(crate) use section::{Given, Key, Layers};
pub(crate) use sections::{Collector, Demo, General, Model, Proxy, Scheduler};
pub(crate) use value::{Setting, parse_duration};

pub(crate) use section::read_key;

/// All settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// What concerns every role.
    pub general: General,
    /// The collector role.
    pub collector: Collector,
    /// The proxy role.
    pub proxy: Proxy,
    /// The scheduler role.
    pub scheduler: Scheduler,
    /// Learning.
    pub model: Model,
    /// The demo.
    pub demo: Demo,
}

impl Settings {
    /// Gives every key there is, section by section.
    pub(crate) fn keys() -> impl Iterator<Item = &'static Key> {
        [General::KEYS, Collector::KEYS, Proxy::KEYS, Scheduler::KEYS, Model::KEYS, Demo::KEYS].into_iter().flatten()
    }

    /// Reads all sections from the layers.
    ///
    /// # Errors
    /// Every problem found.
    pub(crate) fn read(layers: &Layers) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        for (path, given) in layers {
            if !Self::keys().any(|key| *path == format!("{}.{}", key.section, key.name)) {
                let known: Vec<String> = Self::keys().map(|key| format!("{}.{}", key.section, key.name)).collect();
                problems.push(Problem::unknown_key(&given.origin, path, known.iter().map(String::as_str)));
            }
        }
        let general = General::read(layers, &mut problems);
        let collector = Collector::read(layers, &mut problems);
        let proxy = Proxy::read(layers, &mut problems);
        let scheduler = Scheduler::read(layers, &mut problems);
        let model = Model::read(layers, &mut problems);
        let demo = Demo::read(layers, &mut problems);
        match (general, collector, proxy, scheduler, model, demo) {
            (Some(general), Some(collector), Some(proxy), Some(scheduler), Some(model), Some(demo))
                if problems.is_empty() =>
            {
                Ok(Self { general, collector, proxy, scheduler, model, demo })
            }
            _ => Err(Problems(problems)),
        }
    }

    /// Gives the store's address: the one set, or the embedded database in the data folder.
    pub(crate) fn store_url(&self) -> String {
        self.collector
            .store
            .clone()
            .unwrap_or_else(|| format!("sqlite://{}", self.general.data.join("wattle.db").display()))
    }

    /// Gives the artifact's path: the one set, or the one in the data folder.
    pub(crate) fn model_path(&self) -> std::path::PathBuf {
        self.model.path.clone().unwrap_or_else(|| self.general.data.join("model.wattle"))
    }
}
