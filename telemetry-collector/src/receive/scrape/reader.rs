//! Expositions of one target, one after the other: what was there before is known by its text.

use std::borrow::Cow;

use hashbrown::HashMap;
use wattle_contract::{Labels, METRIC_NAME};

use super::super::exposition::{Format, Item, ParseError, Parser, exemplar_of, labels_of};
use super::super::known::{AsItIs, Key, Keys};
use crate::discover::{Relabel, relabel};
use crate::store::batch::{Batch, Which};
use crate::store::exemplars::Exemplar;
use crate::store::head::SeriesRef;

/// The bits by which Prometheus marks the end of a series (`model/value`, `StaleNaN`).
pub(crate) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// How the samples of a target are read.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// `job`, `instance` and the configured labels.
    pub(crate) target: Vec<(String, String)>,
    pub(crate) honor_labels: bool,
    pub(crate) honor_timestamps: bool,
    /// Most samples of one scrape; zero for any number.
    pub(crate) sample_limit: usize,
    /// Most labels of one series; zero for any number.
    pub(crate) label_limit: usize,
    /// What becomes of each series.
    pub(crate) relabel: Vec<Relabel>,
}

struct Seen {
    /// Where the store has it; nowhere where the rules drop it.
    at: Option<SeriesRef>,
    /// The scrape that showed it last.
    round: u64,
    /// The target gives its times: it is not ended by us.
    is_timed: bool,
}

/// Why an exposition is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the answer is no exposition: {0}")]
    Parse(#[from] ParseError),
    #[error("the answer has more than {0} samples")]
    Samples(usize),
    #[error("a series has more than {0} labels")]
    Labels(usize),
}

/// Keyword, metric and text of a metadata line.
pub(crate) type Described<'a> = (&'a str, &'a str, Cow<'a, str>);

/// What a scrape brought.
#[derive(Default)]
pub(crate) struct Reading<'a> {
    pub(crate) batch: Batch,
    pub(crate) scraped: usize,
    /// Metadata, when it is not that of the scrape before.
    pub(crate) metadata: Vec<Described<'a>>,
    /// Exemplars, each with the series of its sample.
    pub(crate) exemplars: Vec<(Which, Exemplar)>,
    /// Key of each label set of the batch, and whether the target gives its times.
    new: Vec<(Key, bool)>,
    /// Keys of new series that the rules drop.
    dropped: Vec<Key>,
}

impl Reading<'_> {
    /// Counts the series that were not there before.
    pub(crate) fn added(&self) -> usize {
        self.new.len()
    }
}

/// Reads the expositions of one target.
pub(crate) struct Reader {
    rules: Rules,
    keys: Keys,
    known: HashMap<Key, Seen, AsItIs>,
    round: u64,
    described: Key,
}

impl Reader {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, keys: Keys::default(), known: HashMap::default(), round: 0, described: 0 }
    }

    /// Begins a scrape.
    pub(crate) const fn begin(&mut self) {
        self.round += 1;
    }

    /// Reads a whole exposition, or nothing of it.
    pub(crate) fn read<'a>(&mut self, body: &'a str, format: Format, time: i64) -> Result<Reading<'a>, Refused> {
        let mut reading = Reading::default();
        let mut described = 0;
        let mut parser = Parser::new(body, format);
        let mut failed = None;
        while let Some(item) = parser.next_unchecked() {
            let raw = match item {
                Ok(Item::Sample(raw)) => raw,
                Ok(Item::Metadata(keyword, metric, text)) => {
                    described ^= self.keys.of(&(keyword, metric, text.as_ref()));
                    reading.metadata.push((keyword, metric, text));
                    continue;
                }
                Err(error) => {
                    failed = Some(Refused::Parse(error));
                    break;
                }
            };
            reading.scraped += 1;
            let own_time = raw.time.filter(|_| self.rules.honor_timestamps);
            let key = self.keys.of(raw.series);
            let series = match self.series(key, raw.series, own_time.is_some(), &mut parser, &mut reading) {
                Ok(Some(series)) => series,
                Ok(None) => continue,
                Err(refused) => {
                    failed = Some(refused);
                    break;
                }
            };
            reading.batch.push(series, own_time.unwrap_or(time), raw.value);
            match raw.exemplar.map(|text| exemplar(text, time)).transpose() {
                Ok(found) => reading.exemplars.extend(found.map(|exemplar| (series, exemplar))),
                Err(reason) => {
                    failed = Some(Refused::Parse(parser.fail(reason)));
                    break;
                }
            }
            if self.rules.sample_limit > 0 && reading.batch.rows.len() > self.rules.sample_limit {
                failed = Some(Refused::Samples(self.rules.sample_limit));
                break;
            }
        }
        if let Some(refused) = failed {
            self.unsee();
            return Err(refused);
        }
        if described == self.described {
            reading.metadata.clear();
        }
        self.described = described;
        Ok(reading)
    }

    /// Gives the series of a sample, seen in this scrape; none where the rules drop it.
    fn series(
        &mut self,
        key: Key,
        text: &str,
        is_timed: bool,
        parser: &mut Parser<'_>,
        reading: &mut Reading<'_>,
    ) -> Result<Option<Which>, Refused> {
        if let Some(seen) = self.known.get_mut(&key) {
            (seen.round, seen.is_timed) = (self.round, is_timed);
            return Ok(seen.at.map(Which::Known));
        }
        let Some(labels) = self.labels(text, parser)? else {
            reading.dropped.push(key);
            return Ok(None);
        };
        reading.new.push((key, is_timed));
        Ok(Some(reading.batch.name(labels)))
    }

    /// Takes back that series were seen in this scrape: nothing of it counts.
    fn unsee(&mut self) {
        let round = self.round;
        for seen in self.known.values_mut().filter(|seen| seen.round == round) {
            seen.round = round - 1;
        }
    }

    /// Adds the ends of series that the scrape before showed and this one did not.
    pub(crate) fn end_missing(&self, batch: &mut Batch, time: i64) {
        let ended = self.known.values().filter(|seen| seen.round + 1 == self.round && !seen.is_timed);
        for at in ended.filter_map(|seen| seen.at) {
            batch.push(Which::Known(at), time, f64::from_bits(STALE));
        }
    }

    /// Remembers where the store put the label sets of a reading.
    pub(crate) fn settle(&mut self, reading: &Reading<'_>, refs: &[Option<SeriesRef>]) {
        for (&(key, is_timed), at) in reading.new.iter().zip(refs) {
            if at.is_some() {
                self.known.insert(key, Seen { at: *at, round: self.round, is_timed });
            }
        }
        for &key in &reading.dropped {
            self.known.insert(key, Seen { at: None, round: self.round, is_timed: false });
        }
        // Series come and go (a process each): what is known is bounded by what is there.
        if self.known.len() > 2 * reading.scraped + 1_000 {
            let round = self.round;
            self.known.retain(|_, seen| seen.round == round);
        }
    }

    /// The store took nothing: what has ended is to be ended at the next scrape.
    pub(crate) fn unsettle(&mut self) {
        let round = self.round;
        for seen in self.known.values_mut().filter(|seen| seen.round + 1 == round) {
            seen.round = round;
        }
    }

    /// Forgets series that are not there any more.
    pub(crate) fn purge(&mut self, is_there: impl Fn(SeriesRef) -> bool) {
        self.known.retain(|_, seen| seen.at.is_none_or(&is_there));
    }

    /// Puts the target's labels to those of a series; of two with one name the collector's wins unless told otherwise.
    /// Gives none where the rules drop the series.
    fn labels(&self, series: &str, parser: &mut Parser<'_>) -> Result<Option<Labels>, Refused> {
        let mut labels = labels_of(series).map_err(|reason| parser.fail(reason))?;
        for (name, value) in &self.rules.target {
            match labels.iter_mut().find(|(own, _)| own == name) {
                Some(_) if self.rules.honor_labels => continue,
                Some(own) => own.0 = format!("exported_{name}"),
                None => {}
            }
            labels.push((name.clone(), value.clone()));
        }
        if !self.rules.relabel.is_empty() {
            let mut changed = labels.into_iter().collect();
            if !relabel(&self.rules.relabel, &mut changed) {
                return Ok(None);
            }
            // Names that begin so are the rules' own, to put something by.
            labels =
                changed.into_iter().filter(|(name, _)| name == METRIC_NAME || !name.starts_with("__tmp")).collect();
        }
        if self.rules.label_limit > 0 && labels.len() > self.rules.label_limit {
            return Err(Refused::Labels(self.rules.label_limit));
        }
        Ok(Some(Labels::new(labels)))
    }
}

/// Reads an exemplar; one without a time has that of the scrape.
fn exemplar(text: &str, time: i64) -> Result<Exemplar, &'static str> {
    let (labels, value, own) = exemplar_of(text)?;
    Ok(Exemplar { time: own.unwrap_or(time), has_time: own.is_some(), value, labels: Labels::new(labels) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(honor_labels: bool) -> Reader {
        let target = [("job", "a"), ("instance", "x:1")].map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
        Reader::new(Rules {
            target,
            honor_labels,
            honor_timestamps: true,
            sample_limit: 3,
            label_limit: 5,
            relabel: Vec::new(),
        })
    }

    /// Reads and settles as a store would; gives the stale ones.
    fn scrape(reader: &mut Reader, body: &str) -> Result<(usize, usize), Refused> {
        reader.begin();
        let mut reading = reader.read(body, Format::Text, 1_000)?;
        reader.end_missing(&mut reading.batch, 1_000);
        let refs: Vec<_> = (0..100).map(|id| Some(SeriesRef { position: id, id: id.into() })).collect();
        reader.settle(&reading, &refs);
        let is_stale = |row: &&crate::store::batch::Row| row.value.to_bits() == STALE;
        Ok((reading.added(), reading.batch.rows.iter().filter(is_stale).count()))
    }

    #[test]
    fn a_series_that_is_gone_ends_and_one_that_was_there_is_known() {
        let mut reader = reader(false);

        assert_eq!(scrape(&mut reader, "a 1\nb 1\nc 1 5000\n"), Ok((3, 0)));
        assert_eq!(scrape(&mut reader, "a 1\n"), Ok((0, 1)), "b ends; c has times of its own");
        assert_eq!(scrape(&mut reader, "a 1\nb 2\n"), Ok((0, 0)));
        assert_eq!(scrape(&mut reader, "a 1\nb{ 2\n").map_err(|_| ()), Err(()));
        let mut ended = Batch::default();
        reader.end_missing(&mut ended, 1_000);
        assert_eq!(ended.rows.len(), 2, "a scrape that fails shows nothing");
        assert_eq!(scrape(&mut reader, "b 2\n"), Ok((0, 0)), "a has ended already");
    }

    #[test]
    fn limits_refuse_the_whole_scrape() {
        assert_eq!(scrape(&mut reader(false), "a 1\nb 1\nc 1\nd 1\n"), Err(Refused::Samples(3)));
        assert_eq!(scrape(&mut reader(false), "a{b=\"1\",c=\"2\",d=\"3\"} 1\n"), Err(Refused::Labels(5)));
    }

    #[test]
    fn labels_of_the_target_win_unless_told_otherwise() {
        let body = "a{job=\"own\"} 1\n";

        let read = |mut reader: Reader| reader.read(body, Format::Text, 0).expect("reads").batch.labels[0].clone();

        let (plain, honored) = (read(reader(false)), read(reader(true)));
        assert_eq!((plain.get("job"), plain.get("exported_job")), (Some("a"), Some("own")));
        assert_eq!((honored.get("job"), honored.get("exported_job")), (Some("own"), None));
    }
}
