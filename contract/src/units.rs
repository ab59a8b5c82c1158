//! Physical quantities as types, so that watts cannot be added to joules.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Brings the result of an operation on finite numbers back into the finite numbers.
const fn finite(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) }
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $unit:literal) => {
        $(#[$doc])*
        ///
        /// Range: every finite number; [`new`](Self::new) refuses NaN and the infinities, arithmetic saturates.
        #[derive(Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// No quantity at all: measured to be zero, which is not the same as not measured.
            pub const ZERO: Self = Self(0.0);

            /// Takes a finite number; `None` for NaN and the infinities.
            #[must_use]
            pub const fn new(value: f64) -> Option<Self> {
                if value.is_finite() { Some(Self(value)) } else { None }
            }

            /// Gives the plain number.
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }

            /// Gives the larger of two quantities.
            #[must_use]
            pub const fn max(self, other: Self) -> Self {
                if self.0 >= other.0 { self } else { other }
            }

            /// Gives the smaller of two quantities.
            #[must_use]
            pub const fn min(self, other: Self) -> Self {
                if self.0 <= other.0 { self } else { other }
            }
        }

        impl TryFrom<f64> for $name {
            type Error = NotFinite;

            fn try_from(value: f64) -> Result<Self, NotFinite> {
                Self::new(value).ok_or(NotFinite { value, unit: $unit })
            }
        }

        impl From<$name> for f64 {
            fn from(value: $name) -> f64 {
                value.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {}", self.0, $unit)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)?;
                write!(f, " {}", $unit)
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(finite(self.0 + other.0))
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(finite(self.0 - other.0))
            }
        }

        impl Mul<f64> for $name {
            type Output = Self;
            fn mul(self, factor: f64) -> Self {
                Self(finite(self.0 * factor))
            }
        }

        impl Div<f64> for $name {
            type Output = Self;
            fn div(self, divisor: f64) -> Self {
                Self(finite(self.0 / divisor))
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
                values.fold(Self::ZERO, Add::add)
            }
        }
    };
}

/// A number that should have been finite and was not.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("expected a finite number of {unit}, got {value}")]
pub struct NotFinite {
    value: f64,
    unit: &'static str,
}

quantity!(
    /// Power. Units: watts.
    Watts, "W"
);
quantity!(
    /// Energy. Units: joules.
    Joules, "J"
);
quantity!(
    /// A latency or another span of time. Units: milliseconds.
    Milliseconds, "ms"
);
quantity!(
    /// Processor time per time. Units: thousandths of a core.
    Millicores, "m"
);

impl Joules {
    /// Gives the mean power of this energy spent over `span`; `None` for an empty span.
    #[must_use]
    pub fn over(self, span: Duration) -> Option<Watts> {
        Watts::new(self.0 / span.as_secs_f64())
    }
}

impl Watts {
    /// Gives the energy that this power spends over `span`.
    #[must_use]
    pub fn during(self, span: Duration) -> Joules {
        Joules(finite(self.0 * span.as_secs_f64()))
    }
}

/// An amount of memory or data. Units: bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// A point in time. Units: milliseconds since 1970-01-01 UTC, as Prometheus counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Gives the time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Gives the point in time `span` after `self`.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Gives the point in time `span` before `self`.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_always_finite() {
        assert_eq!(Watts::new(f64::NAN), None);
        assert_eq!(Watts::new(f64::INFINITY), None);

        let most = Watts::new(f64::MAX).expect("finite");

        assert!((most + most).get().is_finite());
        assert!((most / 0.0).get().is_finite());
        assert!((Watts::ZERO / 0.0).get().is_finite());
    }

    #[test]
    fn energy_over_time_is_power_and_back() {
        let energy = Joules::new(300.0).expect("finite");
        let span = Duration::from_secs(15);

        let power = energy.over(span).expect("a span that is not empty");

        assert_eq!(power.get(), 20.0);
        assert_eq!(power.during(span), energy);
        assert_eq!(energy.over(Duration::ZERO), None);
    }

    #[test]
    fn a_quantity_read_from_json_is_checked() {
        assert_eq!(serde_json::from_str::<Watts>("12.5").expect("a number").get(), 12.5);
        assert!(serde_json::from_str::<Watts>("null").is_err());
    }
}
