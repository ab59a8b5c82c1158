//! What many rules need: where a problem is put, and the shape of names.

use std::collections::BTreeMap;

use crate::decode::Time;
use crate::finding::{Problem, RuleId, rules};

/// Longest regular expression that Istio takes.
const MAX_REGEX_BYTES: usize = 1024;
/// Memory of one compiled expression: `(a{1000}){1000}` and its like are refused instead of compiled.
const MAX_REGEX_PROGRAM: usize = 1 << 20;

/// Collects problems.
#[derive(Debug)]
pub(super) struct Check<'a> {
    problems: &'a mut Vec<Problem>,
}

impl<'a> Check<'a> {
    pub(super) fn new(problems: &'a mut Vec<Problem>) -> Self {
        Self { problems }
    }

    /// Refuses the resource.
    pub(super) fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(rules::SCHEMA, path, message));
    }

    /// Refuses the resource and says what to do.
    pub(super) fn error_with(&mut self, path: impl Into<String>, message: impl Into<String>, remedy: &str) {
        self.problems.push(Problem::new(rules::SCHEMA, path, message).remedy(remedy));
    }

    /// Warns.
    pub(super) fn warn(&mut self, rule: RuleId, path: impl Into<String>, message: impl Into<String>, remedy: &str) {
        self.problems.push(Problem::new(rule, path, message).remedy(remedy));
    }

    /// Warns in general.
    pub(super) fn advise(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(rules::ADVICE, path, message));
    }

    /// Checks a port's number.
    pub(super) fn port(&mut self, path: impl Into<String>, number: u32) {
        if !(1..=65535).contains(&number) {
            self.error(path, format!("Invalid value: {number}: port must be between 1-65535"));
        }
    }

    /// Checks a percentage.
    pub(super) fn percent(&mut self, path: impl Into<String>, value: f64) {
        let path = path.into();
        if !(0.0..=100.0).contains(&value) {
            self.error(path, format!("Invalid value: {value}: a percentage must be in range 0..100"));
        } else if value > 0.0 && value < 0.0001 {
            self.error(path, format!("Invalid value: {value}: a percentage must be 0 or at least 0.0001"));
        }
    }

    /// Checks that a number is not negative.
    pub(super) fn natural(&mut self, path: impl Into<String>, value: i32) {
        if value < 0 {
            let path = path.into();
            let message = format!("Invalid value: {value}: {path} in body should be greater than or equal to 0");
            self.error(path, message);
        }
    }

    /// Checks that a time, when given, is at least a millisecond.
    pub(super) fn millisecond(&mut self, path: impl Into<String>, time: Option<Time>) {
        if let Some(time) = time
            && !time.0.is_zero()
            && time.0.as_millis() == 0
        {
            self.error(path, format!("Invalid value: {time}: must be a valid duration greater than 1ms"));
        }
    }

    /// The same, where zero is no time either.
    pub(super) fn positive_time(&mut self, path: impl Into<String>, time: Option<Time>) {
        if let Some(time) = time
            && time.0.as_millis() == 0
        {
            self.error(path, format!("Invalid value: {time}: must be a valid duration greater than 1ms"));
        }
    }

    /// Checks a regular expression as Envoy's RE2 would take it, in bounded time and memory.
    pub(super) fn regex(&mut self, path: impl Into<String>, text: &str) {
        let path = path.into();
        if text.is_empty() {
            self.error(path, "Invalid value: an empty regular expression matches nothing useful");
        } else if text.len() > MAX_REGEX_BYTES {
            self.error(
                path,
                format!("Invalid value: a regular expression of {} bytes, more than {MAX_REGEX_BYTES}", text.len()),
            );
        } else if text != "*"
            && let Err(error) = regex::RegexBuilder::new(text).size_limit(MAX_REGEX_PROGRAM).nest_limit(64).build()
        {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
            self.error_with(
                path,
                format!("Invalid value: {text:?} is not a valid RE2 expression: {last}"),
                "RE2 has no look-around and no back-references",
            );
        }
    }

    /// Checks labels of a selector.
    pub(super) fn selector(&mut self, path: &str, labels: &BTreeMap<String, String>) {
        for (name, value) in labels {
            if name.is_empty() {
                self.error(path, "Invalid value: key must not be empty");
            } else if name.contains('*') || value.contains('*') {
                self.error(path, format!("Invalid value: \"{name}: {value}\": wildcard is not supported in selector"));
            } else if value.len() > 63 {
                self.error(path, format!("Invalid value: the value of {name} is longer than 63 characters"));
            }
        }
    }

    /// Checks labels that are given, not selected by.
    pub(super) fn labels(&mut self, path: &str, labels: &BTreeMap<String, String>) {
        for (name, value) in labels {
            let plain = |text: &str| {
                text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/'))
            };
            if name.is_empty() || !plain(name) || value.len() > 63 || !plain(value) {
                self.error(path, format!("Invalid value: {name:?}: {value:?} is not a label"));
            }
        }
    }

    /// Checks `exportTo`.
    pub(super) fn export_to(&mut self, path: &str, scopes: &[String], may_hide: bool) {
        for (index, scope) in scopes.iter().enumerate() {
            let at = format!("{path}[{index}]");
            match scope.as_str() {
                "*" | "." => {}
                "~" if may_hide => {}
                "~" => self.error(at, "Invalid value: \"~\" is not taken here"),
                name if !is_dns_label(name) => self.error(at, format!("Invalid value: {name:?} is no namespace")),
                _ => {}
            }
            if scopes[..index].contains(scope) {
                self.error(format!("{path}[{index}]"), format!("Duplicate value: {scope:?}"));
            }
        }
        if scopes.len() > 1 && scopes.iter().any(|scope| scope == "*" || scope == "~") {
            self.error(path, "Invalid value: \"*\" and \"~\" stand alone");
        }
    }
}

/// Says whether a text is a DNS label.
pub(super) fn is_dns_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Says whether a text is a host name without wildcard.
pub(super) fn is_name(text: &str) -> bool {
    let labels = text.strip_suffix('.').unwrap_or(text);
    !labels.is_empty() && text.len() <= 255 && labels.split('.').all(|label| is_dns_label(&label.replace('_', "-")))
}

/// Says whether a text is a host name, `*`, or a wildcard: a star and an ending.
pub(super) fn is_host(text: &str) -> bool {
    match text.strip_prefix('*') {
        Some("") => true,
        Some(rest) => is_name(rest.trim_start_matches(['.', '-'])),
        None => is_name(text),
    }
}

/// Says whether a text is an IP address.
pub(super) fn is_ip(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

/// Says whether a text is an IP address or a network in CIDR notation.
pub(super) fn is_network(text: &str) -> bool {
    match text.split_once('/') {
        None => is_ip(text),
        Some((address, length)) => match (address.parse::<std::net::IpAddr>(), length.parse::<u8>()) {
            (Ok(address), Ok(length)) => length <= if address.is_ipv4() { 32 } else { 128 },
            _ => false,
        },
    }
}

/// Says whether a text can be a header's name.
pub(super) fn is_header_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
