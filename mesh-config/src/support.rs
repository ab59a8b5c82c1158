//! Which fields of which kinds are applied: the completeness test and `docs/istio-support.md` are made of this.

use std::fmt::Write;

use crate::decode::{Schema, Support};
use crate::kinds::Kind;
use crate::validate::HOST_OF_ONE_DESTINATION;

/// One field of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSupport {
    /// The kind.
    pub kind: &'static str,
    /// Its API group.
    pub group: &'static str,
    /// Path below `spec`, with `[]` for the items of a list and `{}` for the values of a map.
    pub path: String,
    /// Whether it has the effect that Istio gives it. What is not applied is told wherever it is written.
    pub applied: bool,
    /// What happens instead.
    pub note: &'static str,
    /// Whether any field may stand below it.
    pub opaque: bool,
}

/// Gives every field of every kind of Istio and the Gateway API that is read.
#[must_use]
pub fn fields() -> Vec<FieldSupport> {
    let mut found = Vec::new();
    for kind in Kind::ALL.iter().copied().filter(|kind| Kind::is_mesh_group(kind.group())) {
        let support = kind.unapplied().map_or(Support::Applied, Support::NotApplied);
        walk(kind, &kind.schema(), &mut String::new(), support, &mut found);
    }
    found
}

fn walk(kind: Kind, schema: &Schema, path: &mut String, support: Support, found: &mut Vec<FieldSupport>) {
    let (applied, note) = match support {
        Support::Applied => (true, ""),
        Support::NotApplied(note) => (false, note),
    };
    let opaque = matches!(schema, Schema::Any);
    if !path.is_empty() || opaque {
        found.push(FieldSupport { kind: kind.name(), group: kind.group(), path: path.clone(), applied, note, opaque });
    }
    let length = path.len();
    match schema {
        Schema::List(item) => {
            path.push_str("[]");
            walk(kind, item, path, support, found);
        }
        Schema::Map(item) => {
            path.push_str("{}");
            walk(kind, item, path, support, found);
        }
        Schema::Object(fields) => {
            for field in *fields {
                // What lies below a field that is not applied is not applied either.
                let inner = if support == Support::Applied { field.support } else { support };
                for name in std::iter::once(&field.json).chain(field.aliases) {
                    if length > 0 {
                        path.push('.');
                    }
                    path.push_str(name);
                    walk(kind, &(field.schema)(), path, inner, found);
                    path.truncate(length);
                }
            }
        }
        Schema::Text | Schema::Plain(_) | Schema::Choice(_) | Schema::Any => {}
    }
    path.truncate(length);
}

/// Writes `docs/istio-support.md`.
#[must_use]
pub fn markdown() -> String {
    let all = fields();
    let mut text = String::from(
        "# Which fields are applied\n\n\
         Generated from the declarations of the kinds; do not edit. Every field of Istio's resources is read and checked. Most have\n\
         the effect that Istio gives them. What is *accepted, not applied* is listed here, and `wattle check` names it with its place\n\
         wherever it is written (rule `not-applied`). Unknown fields are errors.\n\n\
         | kind | fields | applied | accepted, not applied |\n| --- | ---: | ---: | ---: |\n",
    );
    let kinds: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| Kind::is_mesh_group(kind.group())).collect();
    let of = |kind: Kind| all.iter().filter(move |field| field.kind == kind.name() && field.group == kind.group());
    for kind in &kinds {
        let (total, applied) = (of(*kind).count(), of(*kind).filter(|field| field.applied).count());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} ({}) | {total} | {applied} | {} |", kind.name(), kind.group(), total - applied);
    }
    for kind in &kinds {
        let _ = writeln!(text, "\n## {} ({}/{})\n", kind.name(), kind.group(), kind.versions().join(", "));
        if let Some(note) = kind.unapplied() {
            let _ = writeln!(text, "Accepted, not applied: {note}.");
            continue;
        }
        let missing: Vec<&FieldSupport> = of(*kind).filter(|field| !field.applied).collect();
        if missing.is_empty() {
            let _ = writeln!(text, "All fields are applied.");
            continue;
        }
        let _ = writeln!(text, "| accepted, not applied | instead |\n| --- | --- |");
        // The topmost field says it for those below.
        let mut shown: Vec<&str> = Vec::new();
        for field in missing {
            let below = shown
                .iter()
                .any(|top| field.path.strip_prefix(top).is_some_and(|rest| rest.starts_with(['.', '[', '{'])));
            if !below {
                let _ = writeln!(text, "| `{}` | {} |", field.path, field.note);
                shown.push(&field.path);
            }
        }
        if *kind == Kind::VirtualService {
            let _ =
                writeln!(text, "| `http[].route[].headers.request.set{{}}` of `Host` | {HOST_OF_ONE_DESTINATION} |");
        }
    }
    text
}
