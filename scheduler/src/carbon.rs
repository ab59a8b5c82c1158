//! Carbon intensity of the grid, hour by hour and zone by zone.
//!
//! Where it is known, a watt in a zone counts as much as that zone's intensity over the mean of the zones that have
//! candidates: cheap power in a dirty zone is no bargain. A zone without a value counts as the mean.

mod read;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use wattle_contract::{NodeName, Timestamp};

pub(crate) use read::keep_carbon;

use crate::view::{HOSTNAME, ZONE};

const HOUR_MS: i64 = 3_600_000;
/// No grid has ever been dirtier: lignite alone is about 1,200. Units: gCO2eq per kWh.
const MOST: f64 = 10_000.0;

/// Intensities as they were read, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Carbon {
    label: String,
    /// First hour of the values, in hours since 1970; `None`: each list is a day from 00:00 UTC, every day.
    first_hour: Option<i64>,
    zones: BTreeMap<String, Vec<f64>>,
}

/// Why intensities cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// Not JSON, or of another shape.
    #[error("carbon intensities are not {{\"zones\": {{ZONE: [gCO2eq/kWh an hour, …]}}}}: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A start that is no whole hour.
    #[error("start_ms {0} is not a whole hour in milliseconds since 1970")]
    Start(i64),
    /// A zone without values.
    #[error("zone {0} has no values")]
    Empty(String),
    /// Without a start, a list is a day.
    #[error("zone {zone} has {values} values where a day has 24 (set start_ms for another span)")]
    NoDay {
        /// The zone.
        zone: String,
        /// How many values it has.
        values: usize,
    },
    /// A value that no grid has.
    #[error("zone {zone} has the intensity {value}; it lies between 0 and 10000 gCO2eq/kWh")]
    Absurd {
        /// The zone.
        zone: String,
        /// The value.
        value: f64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    start_ms: Option<i64>,
    zones: BTreeMap<String, Vec<f64>>,
}

impl Carbon {
    /// Reads `{"start_ms": …, "zones": {ZONE: [value an hour, …]}}`; zones are values of a node label.
    ///
    /// Without `start_ms` each list has 24 values, from 00:00 UTC, for every day.
    ///
    /// # Errors
    /// [`Unusable`] says what is wrong.
    pub fn parse(text: &[u8], label: &str) -> Result<Self, Unusable> {
        let raw: Raw = serde_json::from_slice(text)?;
        let first_hour = match raw.start_ms {
            Some(ms) if ms % HOUR_MS != 0 => return Err(Unusable::Start(ms)),
            start => start.map(|ms| ms / HOUR_MS),
        };
        for (zone, values) in &raw.zones {
            if values.is_empty() {
                return Err(Unusable::Empty(zone.clone()));
            }
            if first_hour.is_none() && values.len() != 24 {
                return Err(Unusable::NoDay { zone: zone.clone(), values: values.len() });
            }
            if let Some(value) = values.iter().find(|value| !(0.0..=MOST).contains(*value)) {
                return Err(Unusable::Absurd { zone: zone.clone(), value: *value });
            }
        }
        let label = if label.is_empty() { ZONE } else { label };
        Ok(Self { label: label.to_owned(), first_hour, zones: raw.zones })
    }

    /// Gives a zone's intensity; `None` for a zone or an hour that is not there. Units: gCO2eq per kWh.
    #[must_use]
    pub fn at(&self, zone: &str, now: Timestamp) -> Option<f64> {
        let values = self.zones.get(zone)?;
        let hour = now.0.div_euclid(HOUR_MS);
        let at = match self.first_hour {
            Some(first) => hour - first,
            None => hour.rem_euclid(24),
        };
        values.get(usize::try_from(at).ok()?).copied()
    }

    /// Gives, for each node, the intensity of its zone over the mean of the nodes' zones; 1 where it is unknown.
    pub fn relative(
        &self,
        nodes: &[NodeName],
        now: Timestamp,
        label: &dyn Fn(&NodeName, &str) -> Option<Arc<str>>,
    ) -> Vec<f64> {
        let own_name = |node: &NodeName| (self.label == HOSTNAME).then(|| node.as_str().into());
        let of_node = |node| self.at(&label(node, &self.label).or_else(|| own_name(node))?, now);
        let known: Vec<Option<f64>> = nodes.iter().map(of_node).collect();
        #[expect(clippy::cast_precision_loss, reason = "a count of nodes is small")]
        let count = known.iter().flatten().count() as f64;
        let mean = known.iter().flatten().sum::<f64>() / count;
        let share = |intensity: Option<f64>| intensity.filter(|_| mean > 0.0).map_or(1.0, |intensity| intensity / mean);
        known.into_iter().map(share).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(value: impl Fn(usize) -> f64) -> String {
        let hours: Vec<String> = (0..24).map(|hour| value(hour).to_string()).collect();
        format!("[{}]", hours.join(","))
    }

    #[test]
    fn a_day_holds_for_every_day_and_a_span_for_itself() {
        let daily = format!(r#"{{"zones":{{"n":{}}}}}"#, day(|hour| 100.0 + hour as f64));
        let daily = Carbon::parse(daily.as_bytes(), "").expect("well-formed");
        assert_eq!(daily.at("n", Timestamp(26 * HOUR_MS + 5)), Some(102.0));
        assert_eq!(daily.at("s", Timestamp(0)), None);

        let span = Carbon::parse(br#"{"start_ms":7200000,"zones":{"n":[50,60]}}"#, "").expect("well-formed");
        let hours = [1, 2, 3, 4].map(|hour| span.at("n", Timestamp(hour * HOUR_MS)));
        assert_eq!(hours, [None, Some(50.0), Some(60.0), None]);
    }

    #[test]
    fn a_node_counts_by_its_zone_over_the_mean_and_an_unknown_one_as_the_mean() {
        let carbon =
            Carbon::parse(br#"{"start_ms":0,"zones":{"clean":[100],"dirty":[300]}}"#, "").expect("well-formed");
        let nodes = ["a", "b", "c"].map(NodeName::from);
        let label = |node: &NodeName, label: &str| match (node.as_str(), label) {
            ("a", ZONE) => Some("clean".into()),
            ("b", ZONE) => Some("dirty".into()),
            _ => None,
        };

        assert_eq!(carbon.relative(&nodes, Timestamp(0), &label), [0.5, 1.5, 1.0]);
        assert_eq!(carbon.relative(&nodes, Timestamp(HOUR_MS), &label), [1.0; 3]);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for (text, word) in [
            ("", "not {\"zones\""),
            (r#"{"zones":{"n":[1]}}"#, "has 1 values where a day has 24"),
            (r#"{"start_ms":1,"zones":{}}"#, "not a whole hour"),
            (r#"{"start_ms":0,"zones":{"n":[]}}"#, "zone n has no values"),
            (r#"{"start_ms":0,"zones":{"n":[-1]}}"#, "the intensity -1"),
            (r#"{"start_ms":0,"zone":{"n":[1]}}"#, "unknown field"),
        ] {
            let error = Carbon::parse(text.as_bytes(), "").expect_err(text);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
