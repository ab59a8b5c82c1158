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

#![allow(dead_code, reason = "the analysis that reads the rest comes next")]

mod analyse;
mod compile;
mod decode;
mod documents;
mod finding;
mod hosts;
mod kinds;
mod registry;
mod resource;
mod settings;
mod validate;
mod yaml;

pub use analyse::analyse;
pub use compile::compile;
pub use documents::{Documents, SourceText};
pub use finding::{Finding, Severity};
pub use settings::MeshSettings;
