//! What can go wrong when a model is trained, read or asked.

/// Everything that this crate refuses, each with the figure that it refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Too little to learn from.
    #[error(
        "cannot train on {rows} usable {target} rows in {windows} windows: at least {least} windows are needed ({excluded})"
    )]
    TooLittle {
        /// What was to be predicted.
        target: &'static str,
        /// Usable rows.
        rows: usize,
        /// Windows they come from.
        windows: usize,
        /// Fewest windows that are enough.
        least: usize,
        /// Which rows were left out, and why.
        excluded: String,
    },
    /// A training option is outside its range.
    #[error("training option {option} = {value} is outside its range {range}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
    /// A row of the training part is not older than the held-out part.
    #[error(
        "the split leaks: a training row ends at {train_end} ms, after the held-out part begins at {test_start} ms"
    )]
    Leak {
        /// End of the newest training row, milliseconds since 1970.
        train_end: i64,
        /// Start of the oldest held-out row, milliseconds since 1970.
        test_start: i64,
    },
    /// A matrix for training holds something that is not a number.
    #[error("column {column}, row {row} is {value}: infinities cannot be learnt from (leave an unknown value empty)")]
    NotFinite {
        /// Name of the column.
        column: String,
        /// Index of the row.
        row: usize,
        /// What stood there.
        value: f64,
    },
    /// Rows and targets, or columns and names, do not fit together.
    #[error("{what}: expected {expected}, got {got}")]
    Shape {
        /// What was counted.
        what: &'static str,
        /// How many were expected.
        expected: usize,
        /// How many there were.
        got: usize,
    },
    /// The linear solver gave up.
    #[error("the linear layer could not be fitted: {0}")]
    Linear(#[from] linfa_linear::LinearError<f64>),
    /// The bytes are not a wattle model.
    #[error("not a wattle model: the file does not begin with the mark of one")]
    Foreign,
    /// The bytes end too early.
    #[error("the model file is cut short: {got} bytes of {expected}")]
    Truncated {
        /// Bytes there are.
        got: usize,
        /// Bytes there should be.
        expected: usize,
    },
    /// The bytes were changed after they were written.
    #[error("the model file is damaged: its checksum is {got}, it was written with {expected}")]
    Checksum {
        /// Checksum of what is there.
        got: String,
        /// Checksum it carries.
        expected: String,
    },
    /// The format is newer than this program.
    #[error(
        "the model file has format {major}.{minor}, this program reads up to {supported}.x: train again or use a newer wattle"
    )]
    Version {
        /// Major version of the file.
        major: u16,
        /// Minor version of the file.
        minor: u16,
        /// Newest major version read here.
        supported: u16,
    },
    /// The model was trained on other features.
    #[error("the model was trained on {target} features {found}, this program extracts {expected}: train again")]
    Schema {
        /// Which target's features.
        target: &'static str,
        /// Hash in the file.
        found: String,
        /// Hash of what this program extracts.
        expected: String,
    },
    /// The payload cannot be read or breaks a rule of the format.
    #[error("the model file cannot be read: {0}")]
    Malformed(String),
    /// A file of training data cannot be read.
    #[error("{name}, line {line}: {reason}")]
    Import {
        /// What was read.
        name: String,
        /// Line, counted from one.
        line: u64,
        /// What is wrong, and what is expected.
        reason: String,
    },
    /// There is no data set or split of that name.
    #[error("there is no {what} {name:?}: known are {known}")]
    UnknownName {
        /// Data set or split.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Reading failed.
    #[error("cannot read {name}: {source}")]
    Read {
        /// What was read.
        name: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    /// Gives the fixed word for metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TooLittle { .. } => "too_little",
            Self::Option { .. } => "option",
            Self::Leak { .. } => "leak",
            Self::NotFinite { .. } => "not_finite",
            Self::Shape { .. } => "shape",
            Self::Linear(_) => "linear",
            Self::Foreign => "foreign",
            Self::Truncated { .. } => "truncated",
            Self::Checksum { .. } => "checksum",
            Self::Version { .. } => "version",
            Self::Schema { .. } => "schema",
            Self::Malformed(_) => "malformed",
            Self::Import { .. } => "import",
            Self::UnknownName { .. } => "unknown_name",
            Self::Read { .. } => "read",
        }
    }
}
