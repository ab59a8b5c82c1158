//! What is wrong with the settings, one line each.

use std::fmt;

/// One problem: where it stands, which key, what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    origin: String,
    key: String,
    what: String,
}

impl Problem {
    /// Notes a problem with a key.
    pub(crate) fn new(origin: &str, key: &str, what: impl Into<String>) -> Self {
        Self { origin: origin.to_owned(), key: key.to_owned(), what: what.into() }
    }

    /// Notes a key that does not exist, with the known key most like it.
    pub(crate) fn unknown_key<'a>(origin: &str, key: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let nearest = known
            .map(|candidate| (strsim::normalized_damerau_levenshtein(key, candidate), candidate))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness > 0.5);
        let what = match nearest {
            Some((_, candidate)) => format!("unknown key; did you mean '{candidate}'?"),
            None => "unknown key; docs/config.md lists them all".to_owned(),
        };
        Self::new(origin, key, what)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.key, self.what)
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug)]
pub(crate) struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.0.len() == 1 { "problem" } else { "problems" };
        write!(f, "{} {noun} in the settings:", self.0.len())?;
        for problem in &self.0 {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
