//! Kubernetes quantities (`100m`, `1.5`, `16Mi`, `1e3`), read exactly.
//!
//! Source: k8s.io/apimachinery `resource.Quantity`: a decimal number with a binary suffix (Ki to Ei), a decimal suffix
//! (n to E) or a decimal exponent; asked for in whole thousandths or units, a fraction is rounded up.

/// To what a quantity is rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounded {
    /// Thousandths: processor time.
    Milli,
    /// Units: bytes.
    Unit,
}

/// Reads a quantity as a whole number of thousandths or units.
///
/// Range: `None` for text that is no quantity, for a negative one and for one that does not fit into 63 bits.
#[must_use]
pub fn parse_quantity(text: &str, to: Rounded) -> Option<u64> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let number_end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(number_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let (binary_power, decimal_power) = powers(suffix)?;
    let mut decimal_power = decimal_power - i32::try_from(fraction.len()).ok()?;
    if to == Rounded::Milli {
        decimal_power += 3;
    }

    let mut value: u128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        value = value.checked_mul(10)?.checked_add(u128::from(digit - b'0'))?;
    }
    value = value.checked_mul(1 << binary_power)?;
    let scale = 10_u128.checked_pow(decimal_power.unsigned_abs());
    value = match (decimal_power < 0, scale) {
        (false, Some(scale)) => value.checked_mul(scale)?,
        (true, Some(scale)) => value.div_ceil(scale),
        (true, None) => u128::from(value > 0),
        (false, None) if value == 0 => 0,
        (false, None) => return None,
    };
    u64::try_from(value).ok().filter(|value| i64::try_from(*value).is_ok())
}

/// Sums what the parts of a pod ask for of one resource, as kube-scheduler sums it; `None` when nobody asks for any.
///
/// `init` tells of each init container, in their order, what it asks for and whether it is a sidecar (it goes on running).
/// formula: max(sum of containers and sidecars, greatest init container with the sidecars started before it), replaced
/// by the pod-level value where there is one, plus the runtime class's overhead.
/// Source: k8s.io/component-helpers/resource `PodRequests`.
pub fn pod_total(
    containers: impl IntoIterator<Item = Option<u64>>,
    init: impl IntoIterator<Item = (Option<u64>, bool)>,
    of_pod: Option<u64>,
    overhead: Option<u64>,
) -> Option<u64> {
    let running = containers.into_iter().fold(None, add);
    let (mut sidecars, mut starting) = (None, None);
    for (own, is_sidecar) in init {
        let needed = add(sidecars, own);
        if is_sidecar {
            sidecars = needed;
        }
        starting = starting.max(needed);
    }
    let of_containers = add(running, sidecars).max(starting);
    add(Some(of_pod.or(of_containers)?), overhead)
}

const fn add(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (Some(known), None) | (None, Some(known)) => Some(known),
        (None, None) => None,
    }
}

/// Gives the powers of two and of ten of a suffix.
fn powers(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            (0, exponent.parse::<i16>().ok()?.into())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_exact() {
        for (text, milli) in [
            ("100m", 100),
            ("1.5", 1500),
            ("7", 7000),
            ("7950m", 7950),
            ("0.1", 100),
            (".5", 500),
            ("5.", 5000),
            ("+2", 2000),
            ("1e3", 1_000_000),
            ("1E-1", 100),
            ("100n", 1),
            ("1000001n", 2),
            ("0", 0),
            ("1e-400", 1),
        ] {
            assert_eq!(parse_quantity(text, Rounded::Milli), Some(milli), "{text}");
        }
        for (text, units) in [
            ("16Mi", 16 << 20),
            ("1.5Gi", 3 << 29),
            ("128974848", 128_974_848),
            ("129e6", 129_000_000),
            ("129M", 129_000_000),
            ("128974848000m", 128_974_848),
            ("1m", 1),
            ("5E", 5_000_000_000_000_000_000),
        ] {
            assert_eq!(parse_quantity(text, Rounded::Unit), Some(units), "{text}");
        }
    }

    #[test]
    fn init_containers_run_one_by_one_and_sidecars_stay() {
        let of = |containers: &[u64], init: &[(u64, bool)]| {
            let init = init.iter().map(|(asked, is_sidecar)| (Some(*asked), *is_sidecar));
            pod_total(containers.iter().map(|asked| Some(*asked)), init, None, None)
        };
        assert_eq!(of(&[1_000], &[(500, false), (3_000, false)]), Some(3_000));
        assert_eq!(of(&[1_000], &[(200, true), (500, false)]), Some(1_200));
        assert_eq!(of(&[1_000], &[(200, true), (2_000, false)]), Some(2_200));
        assert_eq!(pod_total([Some(3)], [], Some(4), Some(1)), Some(5), "the pod's own value counts, and the overhead");
        assert_eq!(pod_total([None], [], None, Some(1)), None, "overhead alone asks for nothing");
    }

    #[test]
    fn what_is_no_quantity_is_none() {
        for text in [
            "", "m", ".", "-1", "1.2.3", "1 ", " 1", "1mi", "1KI", "1e", "1e+", "1e1.5", "0x10", "NaN", "1e999", "9Ei",
            "１",
        ] {
            assert_eq!(parse_quantity(text, Rounded::Unit), None, "{text:?}");
        }
        let long = "9".repeat(100_000);
        assert_eq!(parse_quantity(&long, Rounded::Unit), None);
    }
}
