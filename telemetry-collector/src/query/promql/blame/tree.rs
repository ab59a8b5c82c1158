//! What is kept of a query to check its types.

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Scalar,
    Vector,
    Matrix,
    Text,
}

impl Type {
    /// Names it as Prometheus's documentation does.
    pub(super) const fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::Text => "string",
        }
    }

    /// Names it as Prometheus's code does.
    pub(super) const fn plain(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::Text => "string",
        }
    }
}

/// An expression: where it begins, what it gives, and what it is made of.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) at: usize,
    pub(super) of: Type,
    pub(super) kind: Node,
}

/// What an expression is made of.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A number or a text.
    Literal,
    Selector(Selector),
    /// A selector over a range.
    Range(Selector),
    Subquery(Box<Tree>, Placed),
    Paren(Box<Tree>),
    Unary(Box<Tree>),
    Binary(Operator, Box<[Tree; 2]>),
    Call(String, Vec<Tree>),
    /// The last is what is aggregated, the one before a parameter.
    Aggregate(String, Vec<Tree>),
}

/// Which of the modifiers `offset` and `@` an expression has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Placed {
    pub(super) has_offset: bool,
    pub(super) has_at: bool,
}

/// A selector, as far as errors go.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    pub(super) name: Option<String>,
    /// Names among the matchers.
    pub(super) second_name: Option<String>,
    /// One of the matchers matches no empty label.
    pub(super) is_narrow: bool,
    pub(super) placed: Placed,
}

/// An operator and what stands between it and its right side.
#[derive(Clone, Debug)]
pub(super) struct Operator {
    pub(super) name: String,
    pub(super) at: usize,
    pub(super) has_bool: bool,
    pub(super) matching: Option<Matching>,
}

/// `on` or `ignoring`, and `group_left` or `group_right`.
#[derive(Clone, Debug)]
pub(super) struct Matching {
    pub(super) is_on: bool,
    pub(super) labels: Vec<String>,
    pub(super) is_grouped: bool,
    pub(super) taken: Vec<String>,
}
