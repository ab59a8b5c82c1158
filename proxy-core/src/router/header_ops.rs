//! Header operations, compiled: first removed, then set, then added.

use http::HeaderValue;
use wattle_contract::route::HeaderOperations;

use crate::head::{Fields, Known, Name};

/// Compiled header operations.
#[derive(Debug, Default)]
pub(crate) struct HeaderOps {
    remove: Vec<Name>,
    set: Vec<(Name, HeaderValue)>,
    add: Vec<(Name, HeaderValue)>,
    /// `Host` or `:authority` by `set` is a rewrite of the authority.
    pub(crate) authority: Option<HeaderValue>,
}

impl HeaderOps {
    pub(crate) fn compile(operations: &HeaderOperations) -> Result<Self, String> {
        let mut compiled = Self::default();
        for name in &operations.remove {
            compiled.remove.push(header_name(name)?);
        }
        for (name, value) in &operations.set {
            let value = header_value(name, value)?;
            if name.eq_ignore_ascii_case("host") || name == ":authority" {
                compiled.authority = Some(value);
            } else {
                compiled.set.push((header_name(name)?, value));
            }
        }
        for (name, value) in &operations.add {
            compiled.add.push((header_name(name)?, header_value(name, value)?));
        }
        Ok(compiled)
    }

    pub(crate) fn apply(&self, headers: &mut Fields) {
        for name in &self.remove {
            headers.remove_named(name);
        }
        for (name, value) in &self.set {
            headers.set_named(name, value.as_bytes());
        }
        for (name, value) in &self.add {
            headers.add_named(name, value.as_bytes());
        }
    }
}

/// Headers that frame the message are the proxy's own business: changing them would let messages be cut wrongly.
fn header_name(name: &str) -> Result<Name, String> {
    let parsed = Name::new(name).ok_or_else(|| format!("{name:?} is no header name"))?;
    if [Known::Host, Known::ContentLength, Known::TransferEncoding, Known::Connection].contains(&parsed.known()) {
        return Err(format!("header {name:?} cannot be changed by a route"));
    }
    Ok(parsed)
}

/// `%%` is a percent sign; Envoy's other `%COMMANDS%` are not known here, and sending them as text would be wrong.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    let literal = value.replace("%%", "\0");
    if literal.contains('%') {
        return Err(format!("value {value:?} of header {name:?} holds a % command, which this build does not know"));
    }
    HeaderValue::from_str(&literal.replace('\0', "%"))
        .map_err(|_| format!("value {value:?} of {name:?} cannot be sent"))
}
