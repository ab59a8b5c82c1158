//! The rules that a resource must keep by itself, as Istio's schema and webhook hold them.

use crate::finding::Problem;
use crate::resource::Resource;

/// Checks one resource.
pub(crate) fn validate(_resource: &Resource, _problems: &mut Vec<Problem>) {}
