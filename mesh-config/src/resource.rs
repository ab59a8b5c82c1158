//! One resource: its fields, its metadata, and where it stands.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::decode::{Cursor, Decode};
use crate::finding::{Finding, Problem, Severity, rules};
use crate::kinds::kubernetes::ObjectMeta;
use crate::kinds::{Fields, Kind, Spec};
use crate::yaml::{Node, Places};

/// A resource that was read.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) meta: ObjectMeta,
    pub(crate) spec: Spec,
    /// It could not be read as a whole: it is known to exist, and nothing is said of what it means.
    pub(crate) broken: bool,
    api_version: Box<str>,
    places: Places,
    file: Arc<str>,
}

/// What a document turned out to be.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A resource that is understood, and its tree.
    Resource(Box<Resource>, Node, Vec<Problem>),
    /// A resource that concerns the mesh in no way.
    Foreign,
    /// Not a resource.
    Refused(Node, Vec<Problem>),
}

impl Resource {
    /// Reads a document.
    pub(crate) fn decode(root: Node, file: &Arc<str>) -> Outcome {
        let mut problems = Vec::new();
        let mut cursor = Cursor::new("", true, &mut problems);
        if cursor.mapping(&root).is_none() {
            return Outcome::Refused(root, problems);
        }
        let name = root.get("kind").and_then(Node::text).unwrap_or_default();
        let api_version = root.get("apiVersion").and_then(Node::text).unwrap_or_default();
        for (field, text) in [("kind", name), ("apiVersion", api_version)] {
            if text.is_empty() {
                cursor.missing(field);
            }
        }
        if name.is_empty() || api_version.is_empty() {
            return Outcome::Refused(root, problems);
        }
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let Some(kind) = Kind::find(group, name) else {
            return match unknown_kind(group, name) {
                Some(problem) => Outcome::Refused(root, vec![problem]),
                None => Outcome::Foreign,
            };
        };
        if !kind.versions().contains(&version) {
            let message = format!("{name} has no version {version:?} that is read");
            let remedy = format!("use one of {}", kind.versions().join(", "));
            problems.push(Problem::new(rules::UNKNOWN_KIND, "apiVersion", message).remedy(remedy));
        }
        let (meta, spec) = fields(kind, &root, &mut problems);
        let broken = problems.iter().any(|problem| problem.rule.severity == Severity::Error);
        let (api_version, places) = (api_version.into(), Places::of(&root));
        let resource = Self { kind, meta, spec, broken, api_version, places, file: file.clone() };
        Outcome::Resource(Box::new(resource), root, problems)
    }

    /// Gives the fields when the resource is of this kind.
    pub(crate) fn get<T: Fields>(&self) -> Option<&T> {
        T::of(&self.spec)
    }

    pub(crate) fn name(&self) -> &str {
        &self.meta.name
    }

    /// Gives the namespace; `default` where none is named.
    pub(crate) fn namespace(&self) -> &str {
        if self.meta.namespace.is_empty() { "default" } else { &self.meta.namespace }
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Gives line and column of a path.
    pub(crate) fn locate(&self, path: &str) -> (u32, u32) {
        self.places.locate(path)
    }

    /// Gives the object as people write it: `VirtualService hotel/search`.
    pub(crate) fn object(&self) -> String {
        if self.meta.namespace.is_empty() {
            format!("{} {}", self.kind.name(), self.meta.name)
        } else {
            format!("{} {}/{}", self.kind.name(), self.meta.namespace, self.meta.name)
        }
    }

    /// Orders by age as Istio does: creation time, then name, then namespace.
    pub(crate) fn by_age(&self, other: &Self) -> Ordering {
        let (own, others) = (&self.meta.creation_timestamp, &other.meta.creation_timestamp);
        own.cmp(others)
            .then_with(|| self.name().cmp(other.name()))
            .then_with(|| self.namespace().cmp(other.namespace()))
    }

    /// Prints the resource as JSON.
    pub(crate) fn normal_form(&self) -> serde_json::Value {
        let mut object = serde_json::Map::new();
        object.insert("apiVersion".to_owned(), (&*self.api_version).into());
        object.insert("kind".to_owned(), self.kind.name().into());
        if let Some(meta) = self.meta.encode() {
            object.insert("metadata".to_owned(), meta);
        }
        let fields = self.spec.encode().unwrap_or_else(|| serde_json::json!({}));
        if self.kind.is_under_spec() {
            object.insert("spec".to_owned(), fields);
        } else if let serde_json::Value::Object(fields) = fields {
            for (name, value) in fields {
                object.entry(name).or_insert(value);
            }
        }
        serde_json::Value::Object(object)
    }

    /// Puts a problem into its place.
    pub(crate) fn finding(&self, problem: Problem) -> Finding {
        let place = self.locate(&problem.path);
        finding(&self.file, place, self.object(), problem)
    }
}

fn fields(kind: Kind, root: &Node, problems: &mut Vec<Problem>) -> (ObjectMeta, Spec) {
    let strict = kind.is_strict();
    if strict {
        let mut cursor = Cursor::new("", true, problems);
        for (key, _) in cursor.mapping(root).unwrap_or_default() {
            let key = key.text().unwrap_or_default();
            if !matches!(key, "apiVersion" | "kind" | "metadata" | "spec" | "status") {
                cursor.within(key, |cursor| {
                    let message = format!("{key:?} is not a field here");
                    cursor.report(
                        rules::UNKNOWN_FIELD,
                        message,
                        "the fields here are: apiVersion, kind, metadata, spec",
                    );
                });
            }
        }
    }
    let mut cursor = Cursor::new("", false, problems);
    let meta = root.get("metadata").filter(|meta| !meta.is_null());
    let meta = meta.and_then(|meta| cursor.within("metadata", |cursor| ObjectMeta::decode(meta, cursor)));
    let meta = meta.unwrap_or_default();
    if meta.name.is_empty() && meta.generate_name.is_empty() {
        cursor.within("metadata", |cursor| cursor.missing("name"));
    }
    let spec = kind.decode(root, &mut Cursor::new("", strict, problems));
    (meta, spec)
}

fn unknown_kind(group: &str, name: &str) -> Option<Problem> {
    if !Kind::is_mesh_group(group) {
        // A mesh kind under a group that does not exist, such as `networking.istio.com`.
        let meant = Kind::ALL.iter().find(|kind| kind.is_istio() && kind.name() == name && group.contains("istio"))?;
        let message = format!("there is no group {group:?}");
        let remedy = format!("{name} is in {}/{}", meant.group(), meant.versions()[0]);
        return Some(Problem::new(rules::UNKNOWN_KIND, "apiVersion", message).remedy(remedy));
    }
    if matches!(name, "UDPRoute" | "ListenerSet" | "XListenerSet" | "XMesh" | "XBackendTrafficPolicy") {
        let problem = Problem::new(rules::NOT_APPLIED, "kind", format!("{name} is not applied"));
        return Some(problem.effect("it has no effect on traffic"));
    }
    let elsewhere = Kind::ALL.iter().find(|kind| Kind::is_mesh_group(kind.group()) && kind.name() == name);
    let problem = Problem::new(rules::UNKNOWN_KIND, "kind", format!("{group} has no kind {name:?}"));
    if let Some(kind) = elsewhere {
        return Some(problem.remedy(format!("{name} is in {}/{}", kind.group(), kind.versions()[0])));
    }
    let names = Kind::ALL.iter().filter(|kind| kind.group() == group).map(|kind| kind.name());
    let nearest = names.max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
    Some(problem.remedy(nearest.map_or_else(String::new, |nearest| format!("did you mean {nearest}?"))))
}

/// Makes a finding of a problem in a document that is no resource.
pub(crate) fn finding(file: &str, (line, column): (u32, u32), object: String, problem: Problem) -> Finding {
    Finding {
        file: file.to_owned(),
        line,
        column,
        code: problem.rule.code.to_owned(),
        rule: problem.rule.word.to_owned(),
        severity: problem.rule.severity,
        path: problem.path,
        object,
        message: problem.message,
        effect: problem.effect,
        remedy: problem.remedy,
    }
}
