//! Running a group: its queries in turn, what they give stored, its alerts moved on and told.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wattle_contract::{Labels, METRIC_NAME, Sample, Timestamp};

use super::Groups;
use super::alert::{self, Alert, Seen, State};
use super::file::What;
use super::notify::{AGAIN, Notifier};
use super::template::fill;
use crate::config::QueryLimits;
use crate::query::promql::{self, Budget, Grid, QueryError, Run, Value};
use crate::receive::intake::{Intake, now};
use crate::receive::scrape::STALE;

/// What a rule's query gives: labels and a value.
type Result1 = Vec<(Labels, f64)>;

/// Evaluates one group.
pub(super) struct Evaluator {
    pub(super) groups: Groups,
    pub(super) at: usize,
    pub(super) intake: Intake,
    pub(super) limits: QueryLimits,
    pub(super) budget: Arc<Budget>,
    pub(super) notifier: Option<Notifier>,
}

impl Evaluator {
    /// Evaluates every interval until told to stop.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let interval = self.groups[self.at].read().interval;
        let step = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        loop {
            // Times are whole intervals: evaluations of the same rule meet whoever starts when.
            let wait = step - now().0.rem_euclid(step);
            let wait = Duration::from_millis(wait.unsigned_abs());
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            let time = Timestamp(now().0.div_euclid(step) * step);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.evaluate(time) => {}
            }
        }
    }

    async fn evaluate(&self, time: Timestamp) {
        let begun = Instant::now();
        let rules = self.groups[self.at].read().rules.len();
        for at in 0..rules {
            let started = Instant::now();
            let outcome = self.rule(at, time).await;
            let mut group = self.groups[self.at].write();
            let name = group.name.clone();
            let rule = &mut group.rules[at];
            (rule.took, rule.last) = (started.elapsed(), time);
            rule.error = outcome.err().map(|error| error.to_string());
            if let Some(error) = &rule.error {
                self.intake.metrics.rule_failures.inc();
                tracing::warn!(group.name = name, rule.name = rule.name(), error, "a rule failed");
            }
        }
        self.intake.metrics.rule_evaluations.inc_by(rules as u64);
        {
            let mut group = self.groups[self.at].write();
            (group.took, group.last) = (begun.elapsed(), time);
        }
        self.tell(time).await;
    }

    async fn rule(&self, at: usize, time: Timestamp) -> Result<(), QueryError> {
        let (expr, asked, limit, is_new_alert) = {
            let group = self.groups[self.at].read();
            let rule = &group.rules[at];
            let is_new = rule.last == Timestamp::default() && matches!(rule.what, What::Alert { .. });
            (rule.expr.clone(), time.minus(group.query_offset), group.limit, is_new)
        };
        let result = self.query(expr, asked).await?;
        if limit > 0 && result.len() > limit {
            return Err(QueryError::Execution(format!("exceeded limit of {limit} with {} series", result.len())));
        }
        let before = if is_new_alert { self.active_before(at, asked).await } else { HashMap::new() };
        let samples = self.take(at, result, &before, time)?;
        let outcome = self.intake.samples("rule", samples).await.map_err(QueryError::Store)?;
        match outcome.first {
            None => Ok(()),
            Some((reason, labels)) => {
                let series = crate::store::outcome::describe(&labels);
                Err(QueryError::Execution(format!("{series} was not stored: {}", reason.message())))
            }
        }
    }

    async fn query(&self, expr: Arc<promql_parser::parser::Expr>, time: Timestamp) -> Result<Result1, QueryError> {
        let grid = Grid { start: time.0, step: 1, count: 1 };
        let run = Run { limits: self.limits, timeout: self.limits.timeout, budget: self.budget.clone() };
        let (value, _) = promql::evaluate(&self.intake.samples, expr, grid, run).await?;
        match value {
            Value::Vector(series) => {
                let first = |series: promql::Series| (series.labels, series.values.first().copied());
                let there = series.into_iter().map(first).filter_map(|(labels, value)| Some((labels, value?)));
                Ok(there.filter(|(_, value)| !promql::is_absent(*value)).collect())
            }
            Value::Scalar(numbers) => Ok(vec![(Labels::default(), numbers.first().copied().unwrap_or(f64::NAN))]),
            _ => Err(QueryError::Execution("rule result is not a vector or scalar".to_owned())),
        }
    }

    /// Gives since when alerts of a rule were active before a restart, by their labels.
    async fn active_before(&self, at: usize, time: Timestamp) -> HashMap<Labels, Timestamp> {
        /// Longest time without evaluations that the state is taken over (as in Prometheus).
        const OUTAGE: &str = "1h";
        let name = self.groups[self.at].read().rules[at].name().to_owned();
        let query = format!("last_over_time(ALERTS_FOR_STATE{{alertname={name:?}}}[{OUTAGE}])");
        let Ok(expr) = promql::parse(&query) else { return HashMap::new() };
        let found = self.query(Arc::new(expr), time).await.unwrap_or_default();
        let bare =
            |labels: &Labels| Labels::new(labels.pairs().iter().filter(|(n, _)| n.as_ref() != METRIC_NAME).cloned());
        found.into_iter().map(|(labels, since)| (bare(&labels), Timestamp((since * 1000.0) as i64))).collect()
    }

    /// Takes a result over; gives the samples to store, stale markers of what is gone included.
    fn take(
        &self,
        at: usize,
        result: Result1,
        before: &HashMap<Labels, Timestamp>,
        time: Timestamp,
    ) -> Result<Vec<Sample>, QueryError> {
        let mut group = self.groups[self.at].write();
        let rule = &mut group.rules[at];
        let fixed = rule.labels.clone();
        let mut samples: Vec<(Labels, f64)> = Vec::new();
        match &mut rule.what {
            What::Record(name) => {
                for (labels, value) in result {
                    samples.push((with(&labels, &[(METRIC_NAME, name.clone())], &fixed), value));
                }
            }
            What::Alert { name, pending, keep_firing, annotations, alerts } => {
                let mut seen = BTreeMap::new();
                for (labels, value) in result {
                    let filled = |text: &String| fill(text, &labels, value);
                    let own = fixed.iter().map(|(name, text)| (name.clone(), filled(text))).collect();
                    let bare = with(&labels, &[(METRIC_NAME, String::new())], &BTreeMap::new());
                    let of_alert = with(&with(&bare, &[], &own), &[("alertname", name.clone())], &BTreeMap::new());
                    let told = annotations.iter().map(|(name, text)| (name.clone(), filled(text))).collect();
                    let since = before.get(&of_alert).copied();
                    let one = Seen { labels: of_alert.clone(), annotations: told, value, since };
                    if seen.insert(of_alert, one).is_some() {
                        let message = "vector contains metrics with the same labelset after applying alert labels";
                        return Err(QueryError::Execution(message.to_owned()));
                    }
                }
                alert::advance(alerts, seen, time, *pending, *keep_firing);
                alerts.values().filter(|alert| alert.state != State::Resolved).for_each(|a| samples.extend(series(a)));
            }
        }
        let given: HashSet<Labels> = samples.iter().map(|(labels, _)| labels.clone()).collect();
        if given.len() < samples.len() {
            let message = "vector contains metrics with the same labelset after applying rule labels";
            return Err(QueryError::Execution(message.to_owned()));
        }
        let gone = std::mem::replace(&mut rule.given, given);
        let gone = gone.into_iter().filter(|labels| !rule.given.contains(labels));
        samples.extend(gone.map(|labels| (labels, f64::from_bits(STALE))));
        let sample = |(labels, value)| Sample { labels, timestamp: time, value };
        Ok(samples.into_iter().map(sample).collect())
    }

    /// Tells Alertmanager what fires, again every minute, and what has ended.
    async fn tell(&self, time: Timestamp) {
        let Some(notifier) = &self.notifier else { return };
        let (mut due, interval) = (Vec::new(), self.groups[self.at].read().interval);
        for rule in &self.groups[self.at].read().rules {
            if let What::Alert { alerts, .. } = &rule.what {
                due.extend(alerts.values().filter(|alert| is_due(alert, time)).cloned());
            }
        }
        if due.is_empty() || !notifier.send(&due, time, interval).await {
            return;
        }
        for rule in &mut self.groups[self.at].write().rules {
            if let What::Alert { alerts, .. } = &mut rule.what {
                alerts.values_mut().filter(|alert| is_due(alert, time)).for_each(|alert| alert.sent = Some(time));
            }
        }
    }
}

fn is_due(alert: &Alert, now: Timestamp) -> bool {
    let is_told_lately = |sent: Timestamp| now.0 - sent.0 < i64::try_from(AGAIN.as_millis()).unwrap_or(i64::MAX);
    match (alert.state, alert.sent) {
        (State::Pending, _) => false,
        (_, None) => true,
        (State::Resolved, Some(sent)) if alert.resolved.is_some_and(|resolved| resolved > sent) => true,
        (_, Some(sent)) => !is_told_lately(sent),
    }
}

/// Gives the series that tell of an alert.
fn series(alert: &Alert) -> [(Labels, f64); 2] {
    let name = |name: &str| (METRIC_NAME, name.to_owned());
    let none = BTreeMap::new();
    let state = ("alertstate", alert.state.label().to_owned());
    [
        (with(&alert.labels, &[name("ALERTS"), state], &none), 1.0),
        (with(&alert.labels, &[name("ALERTS_FOR_STATE")], &none), alert.active.0.div_euclid(1000) as f64),
    ]
}

/// Gives labels with others set, of which empty ones go.
fn with(labels: &Labels, first: &[(&str, String)], then: &BTreeMap<String, String>) -> Labels {
    let own = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let first = first.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let then = then.iter().map(|(name, value)| (name.clone(), value.clone()));
    // Of a name given twice the last value stays.
    Labels::new(own.chain(first).chain(then))
}
