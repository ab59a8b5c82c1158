//! Scrape jobs as they are written: with Prometheus's own words, and the short ones of `wattle.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Authorization, Scheme, ScrapeJob, ScrapeTarget, ScrapeTls};
use crate::discover::{FileDiscovery, KubernetesDiscovery, Relabel, Role, Selector};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(alias = "job_name")]
    name: String,
    #[serde(alias = "scrape_interval")]
    interval: Option<String>,
    #[serde(alias = "scrape_timeout")]
    timeout: Option<String>,
    #[serde(default)]
    scheme: Scheme,
    #[serde(alias = "metrics_path")]
    path: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    honor_labels: bool,
    honor_timestamps: Option<bool>,
    #[serde(default)]
    sample_limit: usize,
    #[serde(default)]
    label_limit: usize,
    body_limit_bytes: Option<usize>,
    body_size_limit: Option<String>,
    #[serde(default)]
    targets: Vec<RawTarget>,
    #[serde(default)]
    static_configs: Vec<RawStatic>,
    #[serde(default)]
    file_sd_configs: Vec<RawFiles>,
    #[serde(default)]
    kubernetes_sd_configs: Vec<RawKubernetes>,
    #[serde(default)]
    relabel_configs: Vec<Value>,
    #[serde(default)]
    metric_relabel_configs: Vec<Value>,
    authorization: Option<RawAuthorization>,
    bearer_token_file: Option<PathBuf>,
    basic_auth: Option<RawBasic>,
    #[serde(default)]
    tls_config: ScrapeTls,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    address: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatic {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFiles {
    files: Vec<String>,
    /// Files are looked at more often than anybody sets this to.
    #[serde(default, rename = "refresh_interval")]
    _refresh_interval: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKubernetes {
    role: Role,
    #[serde(default)]
    namespaces: RawNamespaces,
    #[serde(default)]
    selectors: Vec<Selector>,
    kubeconfig_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNamespaces {
    #[serde(default)]
    own_namespace: bool,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAuthorization {
    #[serde(rename = "type")]
    scheme: Option<String>,
    credentials: Option<String>,
    credentials_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBasic {
    username: String,
    password: Option<String>,
    password_file: Option<PathBuf>,
}

/// A Prometheus configuration, of which the scrape jobs are taken.
#[derive(Deserialize)]
struct RawFile {
    #[serde(default)]
    global: RawGlobal,
    #[serde(default)]
    scrape_configs: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct RawGlobal {
    scrape_interval: Option<String>,
    scrape_timeout: Option<String>,
}

impl ScrapeJob {
    /// Reads a job as it is written in `wattle.yaml` or in a Prometheus configuration.
    ///
    /// Errors: an unknown key, a value of another kind, a rule that cannot work; each named.
    pub fn read(value: Value) -> Result<Self, String> {
        Self::read_within(value, &RawGlobal::default())
    }

    fn read_within(value: Value, global: &RawGlobal) -> Result<Self, String> {
        let raw: Raw = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let told = |reason: String| format!("job {:?}: {reason}", raw.name);
        let or = |own: &Option<String>, of_all: &Option<String>, default| match own.as_ref().or(of_all.as_ref()) {
            Some(text) => Ok((duration(text, "a time")?, true)),
            None => Ok::<_, String>((default, false)),
        };
        let default = Self::default();
        let (interval, _) = or(&raw.interval, &global.scrape_interval, default.interval).map_err(told)?;
        let (timeout, is_told) = or(&raw.timeout, &global.scrape_timeout, default.timeout).map_err(told)?;
        let rules = |rules: &[Value], of: &str| {
            let read = rules.iter().cloned().enumerate().map(|(at, rule)| {
                Relabel::read(rule).map_err(|reason| told(format!("{of}, rule {}: {reason}", at + 1)))
            });
            read.collect::<Result<Vec<_>, _>>()
        };
        let own = raw.targets.iter().map(|target| (target.address.clone(), &target.labels));
        let of_static =
            raw.static_configs.iter().flat_map(|of| of.targets.iter().map(|address| (address.clone(), &of.labels)));
        let targets = own.chain(of_static).map(|(address, labels)| ScrapeTarget {
            address,
            labels: labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        });
        let each = |(name, values): (&String, &Vec<String>)| {
            values.iter().map(|value| (name.clone(), value.clone())).collect::<Vec<_>>()
        };
        let body_limit = match (&raw.body_size_limit, raw.body_limit_bytes) {
            (Some(text), None) => size(text).map_err(told)?,
            (None, given) => given.unwrap_or(default.body_limit_bytes),
            (Some(_), Some(_)) => return Err(told("body_size_limit and body_limit_bytes mean the same".to_owned())),
        };
        Ok(Self {
            interval,
            // A short interval that names no timeout gets one that fits.
            timeout: if is_told { timeout } else { timeout.min(interval) },
            scheme: raw.scheme,
            path: raw.path.clone().unwrap_or(default.path),
            params: raw.params.iter().flat_map(each).collect(),
            honor_labels: raw.honor_labels,
            honor_timestamps: raw.honor_timestamps.unwrap_or(true),
            sample_limit: raw.sample_limit,
            label_limit: raw.label_limit,
            body_limit_bytes: body_limit,
            targets: targets.collect(),
            files: raw.file_sd_configs.iter().map(|of| FileDiscovery { files: of.files.clone() }).collect(),
            kubernetes: raw.kubernetes_sd_configs.iter().map(kubernetes).collect(),
            relabel: rules(&raw.relabel_configs, "relabel_configs")?,
            metric_relabel: rules(&raw.metric_relabel_configs, "metric_relabel_configs")?,
            authorization: authorization(&raw).map_err(told)?,
            tls: raw.tls_config.clone(),
            name: raw.name,
        })
    }
}

fn kubernetes(raw: &RawKubernetes) -> KubernetesDiscovery {
    KubernetesDiscovery {
        role: raw.role,
        namespaces: raw.namespaces.names.clone(),
        own_namespace: raw.namespaces.own_namespace,
        selectors: raw.selectors.clone(),
        kubeconfig: raw.kubeconfig_file.clone(),
    }
}

fn authorization(raw: &Raw) -> Result<Option<Authorization>, String> {
    let count = [raw.authorization.is_some(), raw.bearer_token_file.is_some(), raw.basic_auth.is_some()];
    if count.iter().filter(|is_there| **is_there).count() > 1 {
        return Err("only one of authorization, bearer_token_file and basic_auth may be there".to_owned());
    }
    let bearer = || "Bearer".to_owned();
    if let Some(path) = &raw.bearer_token_file {
        return Ok(Some(Authorization::File(bearer(), path.clone())));
    }
    if let Some(given) = &raw.authorization {
        let scheme = given.scheme.clone().unwrap_or_else(bearer);
        return match (&given.credentials, &given.credentials_file) {
            (Some(text), None) => Ok(Some(Authorization::Given(scheme, text.clone()))),
            (None, Some(path)) => Ok(Some(Authorization::File(scheme, path.clone()))),
            _ => Err("authorization needs credentials or credentials_file".to_owned()),
        };
    }
    let Some(basic) = &raw.basic_auth else { return Ok(None) };
    let password = match (&basic.password, &basic.password_file) {
        (Some(text), None) => Ok(text.clone()),
        (None, Some(path)) => Err(path.clone()),
        (None, None) => Ok(String::new()),
        (Some(_), Some(_)) => return Err("basic_auth has both password and password_file".to_owned()),
    };
    Ok(Some(Authorization::Basic(basic.username.clone(), password)))
}

/// Reads a duration as Prometheus writes it, such as `1m30s`.
pub(crate) fn duration(text: &str, of: &str) -> Result<Duration, String> {
    match promql_parser::util::parse_duration(text) {
        Ok(found) if !found.is_zero() => Ok(found),
        _ => Err(format!("{of}: {text:?} is no duration such as 15s or 1m30s")),
    }
}

/// Reads a size as Prometheus writes it, such as `10MB`; its units are powers of 1024.
fn size(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &text[digits..] {
        "B" => Some(1),
        "KB" | "KiB" => Some(1 << 10),
        "MB" | "MiB" => Some(1 << 20),
        "GB" | "GiB" => Some(1 << 30),
        _ => None,
    };
    let number = text[..digits].parse::<usize>().ok().filter(|number| *number > 0);
    number
        .zip(unit)
        .and_then(|(number, unit): (usize, usize)| number.checked_mul(unit))
        .ok_or_else(|| format!("body_size_limit: {text:?} is no size such as 10MB"))
}

/// Reads the scrape jobs of a Prometheus configuration (`scrape_configs`, with the times of `global`).
///
/// Errors: the file cannot be read or is no YAML, or a job is not understood; the file and the job are named.
pub fn scrape_configs_of(path: &Path) -> Result<Vec<ScrapeJob>, String> {
    let told = |reason: String| format!("{}: {reason}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
    let file: RawFile = serde_saphyr::from_str(&text).map_err(|error| told(error.to_string()))?;
    let mut jobs = Vec::new();
    for (at, job) in file.scrape_configs.into_iter().enumerate() {
        let read = ScrapeJob::read_within(job, &file.global);
        jobs.push(read.map_err(|reason| told(format!("scrape_configs, entry {}: {reason}", at + 1)))?);
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prometheus_configuration_is_read_as_it_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("prometheus.yml");
        std::fs::write(
            &path,
            "global: {scrape_interval: 30s, evaluation_interval: 1m}\nrule_files: [a.yml]\nscrape_configs:\n\
             - job_name: kubelet\n  scheme: https\n  metrics_path: /metrics/cadvisor\n  scrape_timeout: 20s\n  \
             bearer_token_file: /var/run/token\n  tls_config: {insecure_skip_verify: true}\n  \
             kubernetes_sd_configs:\n  - role: node\n  relabel_configs:\n  - action: labelmap\n    \
             regex: __meta_kubernetes_node_label_(.+)\n\
             - job_name: blackbox\n  body_size_limit: 10MB\n  params: {module: [http_2xx]}\n  static_configs:\n  \
             - {targets: ['a:1', 'b:1'], labels: {env: x}}\n  file_sd_configs:\n  - {files: ['/t/*.json'], refresh_interval: 5m}\n",
        )
        .expect("written");

        let jobs = scrape_configs_of(&path).expect("two jobs");

        assert_eq!((jobs[0].interval.as_secs(), jobs[0].timeout.as_secs(), jobs[0].scheme), (30, 20, Scheme::Https));
        assert_eq!(jobs[0].kubernetes[0].role, Role::Node);
        assert_eq!(jobs[0].authorization, Some(Authorization::File("Bearer".to_owned(), "/var/run/token".into())));
        assert_eq!((jobs[1].targets.len(), jobs[1].timeout.as_secs()), (2, 10));
        assert_eq!(jobs[1].targets[1].labels, [("env".to_owned(), "x".to_owned())]);
        assert_eq!(jobs[1].params, [("module".to_owned(), "http_2xx".to_owned())]);
        assert_eq!(jobs[1].files[0].files, ["/t/*.json"]);
        assert_eq!(jobs[1].body_limit_bytes, 10 << 20);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let read = |text: &str| ScrapeJob::read(serde_json::from_str(text).expect("JSON")).expect_err("refused");

        assert!(read(r#"{"name": "a", "intervall": "5s"}"#).contains("intervall"));
        assert!(read(r#"{"name": "a", "interval": "soon"}"#).contains("soon"));
        assert!(read(r#"{"name": "a", "kubernetes_sd_configs": [{"role": "ingress"}]}"#).contains("ingress"));
        let error = read(r#"{"name": "a", "relabel_configs": [{"target_label": "x"}, {"regex": "("}]}"#);
        assert!(error.contains("\"a\"") && error.contains("rule 2"), "{error}");
        assert!(read(r#"{"name": "a", "body_size_limit": "10 apples"}"#).contains("10 apples"));
        let both = r#"{"name": "a", "bearer_token_file": "t", "basic_auth": {"username": "u"}}"#;
        assert!(read(both).contains("only one"));
    }
}
