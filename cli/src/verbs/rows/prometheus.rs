//! Windows from a Prometheus server's samples, asked for a quarter of an hour at a time.
//!
//! A selector with a range (`/api/v1/query`) gives the samples as they were scraped; a server that does not answer that is
//! asked for `/api/v1/query_range`, which gives the last sample before each step.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use wattle_collector::history::{self, History};
use wattle_contract::{Labels, Timestamp, Window};
use wattle_model::Progress;

use crate::http::{Exchange, fetch};
use crate::progress::Bar;
use crate::settings::Settings;

/// Time that is asked for at once: 1,000 nodes send some 10 MiB in it.
const CHUNK: Duration = Duration::from_secs(900);
const EXCHANGE: Exchange = Exchange { authorization: None, timeout: Duration::from_secs(120), max_bytes: 512 << 20 };

/// A server to ask.
pub(super) struct Prometheus {
    base: String,
    exchange: Exchange,
}

/// The form of question that the server answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Samples,
    Steps,
}

impl Prometheus {
    /// Takes an address; a user and password in it become a header.
    ///
    /// # Errors
    /// It is none of http or https, or the token cannot be read.
    pub(super) fn new(url: &str, token: Option<&Path>) -> anyhow::Result<Self> {
        let (base, exchange) = EXCHANGE.with(url, token)?;
        Ok(Self { base, exchange })
    }

    /// Reads the windows between two points in time.
    ///
    /// # Errors
    /// The server does not answer, or with what is no matrix of samples.
    pub(super) async fn windows(
        &self,
        (since, until): (Timestamp, Timestamp),
        settings: &Settings,
    ) -> anyhow::Result<Vec<Window>> {
        let length = settings.collector.window;
        let chunk = i64::try_from(CHUNK.max(length).as_millis()).unwrap_or(i64::MAX);
        let total = until.0.saturating_sub(since.0).max(0).div_euclid(chunk).unsigned_abs() + 1;
        let bar = Bar::start("reading");
        let (mut windows, mut form, mut from) = (Vec::new(), Form::Samples, since);
        while from < until {
            let to = Timestamp(from.0.saturating_add(chunk).min(until.0));
            let done = (from.0 - since.0).div_euclid(chunk).unsigned_abs();
            bar.show(&Progress { step: "from Prometheus", done, total });
            let mut answer = self.series(form, (from, to), length).await;
            if form == Form::Samples && answer.as_ref().is_err_and(Refusal::may_be_the_form) {
                form = Form::Steps;
                answer = self.series(form, (from, to), length).await;
            }
            let series =
                answer.map_err(|refusal| refusal.why).with_context(|| format!("cannot read from {}", self.base))?;
            let machines = settings.collector.machines.0.clone();
            let computed =
                tokio::task::spawn_blocking(move || history::windows(series, (from, to), length, &machines)).await;
            windows.extend(computed.context("computing windows was cut off")?);
            from = to;
        }
        Ok(windows)
    }

    async fn series(
        &self,
        form: Form,
        (from, to): (Timestamp, Timestamp),
        window: Duration,
    ) -> Result<Vec<History>, Refusal> {
        // The last window may end after `to`: windows are on the collector's grid.
        let (first, last) = (from.minus(history::reach(window)), to.plus(window));
        let seconds = |at: Timestamp| format!("{:.3}", at.0 as f64 / 1000.0);
        let selector = history::selector();
        let address = match form {
            Form::Samples => format!(
                "{}/api/v1/query?query={}&time={}",
                self.base,
                encoded(&format!("{selector}[{}ms]", last.0 - first.0)),
                seconds(last)
            ),
            Form::Steps => format!(
                "{}/api/v1/query_range?query={}&start={}&end={}&step={}",
                self.base,
                encoded(&selector),
                seconds(first),
                seconds(last),
                (window.as_secs_f64() / 3.0).max(1.0)
            ),
        };
        let (status, body) = fetch(&address, &self.exchange).await.map_err(|why| Refusal { why, status: None })?;
        if !status.is_success() {
            let said: String = String::from_utf8_lossy(&body).chars().take(300).collect();
            return Err(Refusal { why: anyhow::anyhow!("it answers {status}: {said}"), status: Some(status.as_u16()) });
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| Refusal {
            why: anyhow::anyhow!("its answer is no matrix of samples: {error}"),
            status: Some(200),
        })?;
        Ok(answer.data.result.into_iter().map(Series::history).collect())
    }
}

/// Why there are no series.
struct Refusal {
    why: anyhow::Error,
    status: Option<u16>,
}

impl Refusal {
    /// Tells whether asking in another form may help: somebody answered, and it is not about who asks or how often.
    fn may_be_the_form(&self) -> bool {
        self.status.is_some_and(|status| !matches!(status, 401 | 403 | 429 | 502..=504))
    }
}

#[derive(Deserialize)]
struct Answer {
    data: Matrix,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", rename_all = "lowercase")]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Series {
    /// A value that is no number is no sample; Prometheus writes `NaN` and `+Inf`, which are.
    fn history(self) -> History {
        let point = |(seconds, value): (f64, String)| Some(((seconds * 1000.0).round() as i64, value.parse().ok()?));
        History { labels: Labels::new(self.metric), points: self.values.into_iter().filter_map(point).collect() }
    }
}

/// Writes text so that it can stand in a query (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(3 * text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Prometheus, encoded};

    #[test]
    fn an_address_is_taken_apart() {
        let server = Prometheus::new("https://me:p@ss@prom.example/prom/", None).expect("an address");

        assert_eq!(server.base, "https://prom.example/prom");
        assert_eq!(server.exchange.authorization.as_deref(), Some("Basic bWU6cEBzcw=="));
        assert!(Prometheus::new("prom:9090", None).is_err());
        assert_eq!(encoded("{a=~\"b\"}[5m]"), "%7Ba%3D~%22b%22%7D%5B5m%5D");
    }
}
