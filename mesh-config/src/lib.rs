//! Istio's and the Gateway API's resources: read, checked, understood, compiled.
//!
//! Pure: texts come in, findings and a [`RouteTable`](wattle_contract::RouteTable) go out. No file, no socket, no clock.
//!
//! ```text
//! SourceText ─► YAML trees with positions ─► typed resources ─► Documents ─┬─► analyse ─► Finding
//!                     └ syntax findings          └ schema and rules         └─► compile ─► RouteTable
//! ```
//!
//! A resource that is refused is told with file, line, column and path, and nothing is compiled until it is mended: a
//! configuration is taken whole or not at all. What refers to something that is not there is compiled as Istio does, to
//! a route that answers 503, and told by the analysis.

mod analyse;
mod compile;
mod decode;
mod diff;
mod documents;
mod explain;
mod finding;
pub mod gateway_api;
mod hosts;
mod identities;
mod kinds;
mod registry;
pub mod report;
mod resource;
mod settings;
pub mod support;
mod validate;
mod yaml;

pub use analyse::analyse;
pub use compile::compile;
pub use diff::{Change, diff};
pub use documents::{Documents, SourceText};
pub use explain::{Considered, Destination, Explanation, RequestDescription, explain};
pub use finding::{Finding, Severity};
pub use settings::MeshSettings;
pub use yaml::MAX_FILE_BYTES;

/// Reads the first document of a YAML text as JSON, with the limits and checks that resources are read with.
///
/// # Errors
///
/// Says line, column and reason when it is not YAML.
pub fn yaml_to_json(text: &str) -> Result<serde_json::Value, String> {
    let told = |fault: yaml::Fault| format!("line {}, column {}: {}", fault.line, fault.column, fault.message);
    let parts = yaml::parts(text).map_err(told)?;
    let Some((line, part)) = parts.first() else { return Ok(serde_json::Value::Null) };
    let root = yaml::document(part, *line).map_err(told)?;
    Ok(root.map_or(serde_json::Value::Null, |root| decode::to_json(&root)))
}
