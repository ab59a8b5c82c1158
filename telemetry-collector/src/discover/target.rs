//! From what is discovered to what is scraped: defaults of the job, relabelling, then the address and the labels.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Uri;
use promql_parser::util::display_duration;

use super::relabel::{Labelled, relabel};
use crate::config::{ScrapeJob, duration};

/// The labels that say where and how a target is scraped.
const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const PATH: &str = "__metrics_path__";
const PARAM: &str = "__param_";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";

/// A target, ready to be scraped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    /// Where it is read.
    pub(crate) url: String,
    /// What every sample of it gets; `job` and `instance` among them.
    pub(crate) labels: Labelled,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// What was known of it before relabelling.
    pub(crate) discovered: Labelled,
}

/// What became of discovered labels.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// A target.
    Target(Box<Target>),
    /// The rules drop it.
    Dropped(Labelled),
    /// It cannot be scraped.
    Invalid(Labelled, String),
}

/// Makes a target of discovered labels.
pub(crate) fn target_of(job: &ScrapeJob, mut discovered: Labelled) -> Made {
    let mut set = |name: &str, value: String| {
        discovered.entry(name.to_owned()).or_insert(value);
    };
    set("job", job.name.clone());
    set(SCHEME, job.scheme.name().to_owned());
    set(PATH, job.path.clone());
    set(INTERVAL, display_duration(&job.interval));
    set(TIMEOUT, display_duration(&job.timeout));
    for (name, value) in &job.params {
        set(&format!("{PARAM}{name}"), value.clone());
    }
    let mut labels = discovered.clone();
    if !relabel(&job.relabel, &mut labels) {
        return Made::Dropped(discovered);
    }
    match checked(job, labels, &discovered) {
        Ok(target) => Made::Target(Box::new(target)),
        Err(reason) => Made::Invalid(discovered, reason),
    }
}

fn checked(job: &ScrapeJob, mut labels: Labelled, discovered: &Labelled) -> Result<Target, String> {
    let Some(address) = labels.get(ADDRESS).cloned() else { return Err("it has no address".to_owned()) };
    if address.contains('/') {
        return Err(format!("{address:?} is a URL or path, not host:port"));
    }
    let scheme = labels.get(SCHEME).map_or("http", String::as_str);
    if !matches!(scheme, "http" | "https") {
        return Err(format!("scheme {scheme:?} is neither http nor https"));
    }
    let path = labels.get(PATH).map_or("", String::as_str);
    let url =
        format!("{scheme}://{address}{}{path}{}", if path.starts_with('/') { "" } else { "/" }, query(job, &labels));
    url.parse::<Uri>().map_err(|error| format!("{url:?} is no URL: {error}"))?;
    let time = |name: &str, of_job: Duration| match labels.get(name) {
        Some(text) => duration(text, name),
        None => Ok(of_job),
    };
    let (interval, timeout) = (time(INTERVAL, job.interval)?, time(TIMEOUT, job.timeout)?);
    if timeout > interval {
        return Err(format!("its timeout of {timeout:?} is longer than its interval of {interval:?}"));
    }
    labels.entry("instance".to_owned()).or_insert(address);
    labels.retain(|name, _| !name.starts_with("__"));
    Ok(Target { url, labels, interval, timeout, discovered: discovered.clone() })
}

/// Gives the query of a URL: the job's parameters, the first of a name as the labels have it.
fn query(job: &ScrapeJob, labels: &Labelled) -> String {
    let mut first: BTreeMap<&str, &str> =
        labels.iter().filter_map(|(name, value)| Some((name.strip_prefix(PARAM)?, value.as_str()))).collect();
    let mut pairs = Vec::new();
    for (name, value) in &job.params {
        // The first value of a parameter is a label, so that rules can change it; others stay.
        let is_first = pairs.iter().all(|(seen, _)| seen != name);
        let value = if is_first { first.remove(name.as_str()).unwrap_or("") } else { value.as_str() };
        pairs.push((name.clone(), value.to_owned()));
    }
    pairs.extend(first.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    pairs.retain(|(_, value)| !value.is_empty());
    let encoded: Vec<_> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    if encoded.is_empty() { String::new() } else { format!("?{}", encoded.join("&")) }
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Relabel;
    use super::*;

    fn labels(of: &[(&str, &str)]) -> Labelled {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn job(rules: &serde_json::Value) -> ScrapeJob {
        let rules = rules.as_array().expect("a list").iter().cloned();
        ScrapeJob {
            name: "pods".to_owned(),
            params: vec![("module".to_owned(), "a b".to_owned()), ("module".to_owned(), "c".to_owned())],
            relabel: rules.map(|rule| Relabel::read(rule).expect("a rule")).collect(),
            ..ScrapeJob::default()
        }
    }

    #[test]
    fn labels_say_where_and_how_a_target_is_scraped() {
        let job = job(&json!([
            {"source_labels": ["__meta_port"], "target_label": "__address__", "regex": "(.+)", "replacement": "10.0.0.1:$1"},
            {"source_labels": ["__meta_path"], "target_label": "__metrics_path__", "regex": "(.+)"},
            {"target_label": "__scheme__", "replacement": "https"},
            {"target_label": "__scrape_interval__", "replacement": "30s"},
            {"source_labels": ["__meta_app"], "target_label": "app"},
        ]));

        let made = target_of(
            &job,
            labels(&[
                ("__address__", "10.0.0.1"),
                ("__meta_port", "9102"),
                ("__meta_path", "/m"),
                ("__meta_app", "shop"),
            ]),
        );

        let Made::Target(target) = made else { panic!("a target: {made:?}") };
        assert_eq!(target.url, "https://10.0.0.1:9102/m?module=a%20b&module=c");
        assert_eq!(target.labels, labels(&[("app", "shop"), ("instance", "10.0.0.1:9102"), ("job", "pods")]));
        assert_eq!((target.interval, target.timeout), (Duration::from_secs(30), Duration::from_secs(10)));
        assert_eq!(target.discovered["__meta_port"], "9102");
    }

    #[test]
    fn what_cannot_be_scraped_is_said_with_the_reason() {
        let reason = |rules: serde_json::Value, of: &[(&str, &str)]| match target_of(&job(&rules), labels(of)) {
            Made::Invalid(_, reason) => reason,
            other => panic!("refused: {other:?}"),
        };

        assert!(reason(json!([]), &[]).contains("no address"));
        assert!(reason(json!([]), &[("__address__", "http://a:1")]).contains("URL"));
        assert!(reason(json!([]), &[("__address__", "a:1"), ("__scheme__", "ftp")]).contains("ftp"));
        assert!(reason(json!([]), &[("__address__", "a:1"), ("__scrape_timeout__", "1h")]).contains("longer"));
        assert!(reason(json!([]), &[("__address__", "a b:1")]).contains("no URL"));
        let dropped = json!([{"source_labels": ["__address__"], "action": "drop"}]);
        assert!(matches!(target_of(&job(&dropped), labels(&[("__address__", "a:1")])), Made::Dropped(_)));
    }
}
