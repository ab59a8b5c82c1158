//! All resources together: read once, shared by every compilation.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use crate::compile::{Cache, Plan};
use crate::finding::{Finding, Problem, Severity, rules};
use crate::kinds::{Fields, Kind};
use crate::registry::Registry;
use crate::resource::{self, Outcome, Resource};
use crate::settings::MeshSettings;
use crate::{validate, yaml};

/// A file with resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// Path as it is shown to people.
    pub name: String,
    /// Its content: YAML with any number of documents, or JSON.
    pub text: String,
}

/// Resources from any number of files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Documents(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: MeshSettings,
    files: Vec<Arc<ParsedFile>>,
    index: Index,
    registry: OnceLock<Arc<Registry>>,
    /// What was known before the last update, to be used again where it still holds.
    before: Option<Arc<Registry>>,
    cache: Arc<Cache>,
    plan: OnceLock<Plan>,
}

/// Changes of more resources than this are put into a new index.
const MAX_FRESH: usize = 64;

/// The resources by kind, oldest first, and those that are one another's doubles.
#[derive(Debug, Default)]
struct Index {
    by_kind: HashMap<Kind, Arc<Vec<Arc<Resource>>>>,
    duplicates: Vec<Finding>,
}

/// One file, read and validated.
#[derive(Debug)]
struct ParsedFile {
    name: Arc<str>,
    parts: Vec<Arc<Part>>,
}

/// One document of a file.
#[derive(Debug, Default)]
struct Part {
    /// Hash, length and first line of its text: what is the same need not be read again.
    text: (u64, usize, u32),
    resources: Vec<Arc<Resource>>,
    findings: Vec<Finding>,
}

impl Documents {
    /// Reads and validates files under Istio's default mesh settings; what is broken is left out and told.
    #[must_use]
    pub fn parse(sources: &[SourceText]) -> (Self, Vec<Finding>) {
        Self::parse_with(MeshSettings::default(), sources)
    }

    /// Reads and validates files.
    #[must_use]
    pub fn parse_with(settings: MeshSettings, sources: &[SourceText]) -> (Self, Vec<Finding>) {
        let files = sources.iter().map(|source| Arc::new(ParsedFile::read(source, None))).collect();
        let documents = Self::assemble(settings, files, None, None, Arc::default());
        let findings = documents.findings();
        (documents, findings)
    }

    /// Replaces, adds and removes files by name; what did not change is not read again.
    #[must_use]
    pub fn update(&self, changed: &[SourceText], removed: &[&str]) -> (Self, Vec<Finding>) {
        let is_removed = |file: &&Arc<ParsedFile>| removed.contains(&&*file.name);
        let mut files: Vec<_> = self.0.files.iter().filter(|file| !is_removed(file)).cloned().collect();
        let mut gone: HashMap<usize, Kind> = HashMap::new();
        let mut fresh: Vec<Arc<Resource>> = Vec::new();
        for file in self.0.files.iter().filter(is_removed) {
            gone.extend(file.resources().map(|resource| (id(resource), resource.kind)));
        }
        for source in changed {
            let place = files.iter().position(|file| *file.name == *source.name);
            let before = place.map(|place| files[place].clone());
            let file = Arc::new(ParsedFile::read(source, before.as_deref()));
            gone.extend(before.iter().flat_map(|file| file.resources()).map(|resource| (id(resource), resource.kind)));
            fresh.extend(file.resources().filter(|resource| gone.remove(&id(resource)).is_none()).cloned());
            match place {
                Some(place) => files[place] = file,
                None => files.push(file),
            }
        }
        fresh.retain(|resource| !gone.contains_key(&id(resource)));
        let index = self.0.index.changed(&gone, &fresh);
        let before = self.0.registry.get().cloned();
        let documents = Self::assemble(self.0.settings.clone(), files, index, before, self.0.cache.clone());
        let findings = documents.findings();
        (documents, findings)
    }

    /// Gives what reading and validation found, in the order of files and lines.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<_> = self.0.files.iter().flat_map(|file| file.findings().cloned()).collect();
        findings.extend(self.0.index.duplicates.iter().cloned());
        findings
    }

    /// Gives the number of resources.
    #[must_use]
    pub fn len(&self) -> usize {
        self.resources().count()
    }

    /// Says whether there is no resource at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the mesh settings.
    #[must_use]
    pub fn settings(&self) -> &MeshSettings {
        &self.0.settings
    }

    /// Gives every resource in its normal form, as JSON, in the order of the files: short spellings written out, defaults
    /// left out.
    #[must_use]
    pub fn normal_form(&self) -> Vec<serde_json::Value> {
        self.resources().map(|resource| resource.normal_form()).collect()
    }

    /// Gives the findings that forbid to compile.
    pub(crate) fn errors(&self) -> Vec<Finding> {
        let errors = self.0.files.iter().flat_map(|file| file.findings()).chain(&self.0.index.duplicates);
        errors.filter(|finding| finding.severity == Severity::Error).cloned().collect()
    }

    /// Gives the resources of a kind, oldest first.
    pub(crate) fn of<T: Fields + 'static>(&self) -> impl Iterator<Item = (&Arc<Resource>, &T)> {
        self.of_kind(T::KIND)
            .iter()
            .filter(|resource| !resource.broken)
            .filter_map(|resource| Some((resource, resource.get::<T>()?)))
    }

    /// Gives the resources of a kind, broken ones included, oldest first.
    pub(crate) fn of_kind(&self, kind: Kind) -> &[Arc<Resource>] {
        self.0.index.by_kind.get(&kind).map_or(&[], |resources| resources.as_slice())
    }

    /// Gives every resource in the order of the files.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.0.files.iter().flat_map(|file| file.resources())
    }

    /// Gives the services of the mesh, built when first asked for.
    pub(crate) fn registry(&self) -> &Registry {
        self.0.registry.get_or_init(|| Arc::new(Registry::build(self, self.0.before.as_deref())))
    }

    /// Gives what is prepared once for all proxies, built when first asked for.
    pub(crate) fn plan(&self) -> &Plan {
        self.0.plan.get_or_init(|| Plan::build(self))
    }

    /// Gives what was compiled before.
    pub(crate) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    fn assemble(
        settings: MeshSettings,
        files: Vec<Arc<ParsedFile>>,
        index: Option<Index>,
        before: Option<Arc<Registry>>,
        cache: Arc<Cache>,
    ) -> Self {
        let index = index.unwrap_or_else(|| Index::of(&files));
        Self(Arc::new(Inner {
            settings,
            files,
            index,
            registry: OnceLock::new(),
            before,
            cache,
            plan: OnceLock::new(),
        }))
    }
}

/// Gives the identity of a resource; it is not reused while anybody holds the resource.
fn id(resource: &Arc<Resource>) -> usize {
    Arc::as_ptr(resource).addr()
}

impl Index {
    fn of(files: &[Arc<ParsedFile>]) -> Self {
        let mut by_kind: HashMap<Kind, Vec<Arc<Resource>>> = HashMap::new();
        let mut duplicates = Vec::new();
        let count = files.iter().map(|file| file.resources().count()).sum();
        let mut seen: HashMap<(Kind, &str, &str), &Arc<Resource>> = HashMap::with_capacity(count);
        for resource in files.iter().flat_map(|file| file.resources()) {
            by_kind.entry(resource.kind).or_default().push(resource.clone());
            if resource.name().is_empty() {
                continue;
            }
            let identity = (resource.kind, resource.namespace(), resource.name());
            if let Some(first) = seen.insert(identity, resource) {
                duplicates.push(same_identity(first, resource));
            }
        }
        for resources in by_kind.values_mut() {
            resources.sort_by(|a, b| a.by_age(b));
        }
        Self { by_kind: by_kind.into_iter().map(|(kind, resources)| (kind, Arc::new(resources))).collect(), duplicates }
    }

    /// Gives the index after a small change: sorting thousands of resources again would be a good part of it. `None`
    /// where the order or a double depends on more than the change.
    fn changed(&self, gone: &HashMap<usize, Kind>, fresh: &[Arc<Resource>]) -> Option<Self> {
        if !self.duplicates.is_empty() || fresh.len() > MAX_FRESH {
            return None;
        }
        let mut by_kind = self.by_kind.clone();
        for (kind, resources) in &mut by_kind {
            if gone.values().any(|one| one == kind) {
                Arc::make_mut(resources).retain(|resource| !gone.contains_key(&id(resource)));
            }
        }
        for resource in fresh {
            let resources = Arc::make_mut(by_kind.entry(resource.kind).or_default());
            let same =
                |other: &Arc<Resource>| other.name() == resource.name() && other.namespace() == resource.namespace();
            if resource.name().is_empty() || resources.iter().any(same) {
                return None;
            }
            let place = resources.partition_point(|other| other.by_age(resource).is_lt());
            resources.insert(place, resource.clone());
        }
        Some(Self { by_kind, duplicates: Vec::new() })
    }
}

fn same_identity(first: &Resource, second: &Resource) -> Finding {
    let (line, _) = first.locate("metadata.name");
    let message = format!("{} stands in {}:{line} too", second.object(), first.file());
    let problem = Problem::new(rules::SAME_IDENTITY, "metadata.name", message)
        .effect("the one that is applied later replaces the other")
        .remedy("give one of them another name, or merge them");
    second.finding(problem)
}

impl ParsedFile {
    fn read(source: &SourceText, before: Option<&Self>) -> Self {
        let name: Arc<str> = source.name.as_str().into();
        let parts = match yaml::parts(&source.text) {
            Ok(parts) => parts,
            Err(fault) => {
                let findings = vec![syntax(&name, fault)];
                return Self { name, parts: vec![Arc::new(Part { findings, ..Part::default() })] };
            }
        };
        let known: HashMap<_, _> =
            before.into_iter().flat_map(|file| &file.parts).map(|part| (part.text, part)).collect();
        let read = |(line, text): (u32, &str)| {
            let mut hasher = std::hash::DefaultHasher::new();
            text.hash(&mut hasher);
            let key = (hasher.finish(), text.len(), line);
            known.get(&key).map_or_else(|| Arc::new(Part::read(&name, key, text)), |part| Arc::clone(part))
        };
        let parts = parts.into_iter().map(read).collect();
        Self { name, parts }
    }

    fn resources(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.parts.iter().flat_map(|part| &part.resources)
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.parts.iter().flat_map(|part| &part.findings)
    }
}

fn syntax(file: &str, fault: yaml::Fault) -> Finding {
    let problem =
        Problem::new(rules::SYNTAX, "", fault.message).effect("the document is left out").remedy(fault.remedy);
    resource::finding(file, (fault.line, fault.column), String::new(), problem)
}

impl Part {
    fn read(file: &Arc<str>, key: (u64, usize, u32), text: &str) -> Self {
        let mut part = Self { text: key, ..Self::default() };
        match yaml::document(text, key.2) {
            Ok(None) => {}
            Ok(Some(root)) => part.take(file, root),
            Err(fault) => part.findings.push(syntax(file, fault)),
        }
        part
    }

    fn take(&mut self, file: &Arc<str>, root: yaml::Node) {
        if let Some(items) = list_items(&root) {
            items.into_iter().for_each(|item| self.take(file, item));
            return;
        }
        match Resource::decode(root, file) {
            Outcome::Foreign => {}
            Outcome::Refused(root, problems) => {
                let object = root.get("kind").and_then(yaml::Node::text).unwrap_or_default().to_owned();
                for problem in problems {
                    let place = yaml::Places::of(&root).locate(&problem.path);
                    self.findings.push(resource::finding(file, place, object.clone(), problem));
                }
            }
            Outcome::Resource(resource, root, mut problems) => {
                if !resource.broken {
                    validate::validate(&resource, &root, &mut problems);
                }
                problems.sort_by_key(|problem| resource.locate(&problem.path));
                self.findings.extend(problems.into_iter().map(|problem| resource.finding(problem)));
                self.resources.push(Arc::new(*resource));
            }
        }
    }
}

/// Gives the items of a `List`.
fn list_items(root: &yaml::Node) -> Option<Vec<yaml::Node>> {
    let kind = root.get("kind")?.text()?;
    if root.get("apiVersion")?.text()? != "v1" || !kind.ends_with("List") {
        return None;
    }
    match &root.get("items")?.value {
        yaml::Value::Sequence(items) => Some(items.clone()),
        _ => None,
    }
}
