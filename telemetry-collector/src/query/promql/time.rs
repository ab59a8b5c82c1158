//! Parts of a date, in UTC.

/// Gives the part of the time (seconds since 1970) that a function names; `None` when it names none.
pub(super) fn part(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "minute" => |time| (second_of_day(time) / 60 % 60) as f64,
        "hour" => |time| (second_of_day(time) / 3600) as f64,
        // 1970-01-01 was a Thursday.
        "day_of_week" => |time| (day(time) + 4).rem_euclid(7) as f64,
        "day_of_month" => |time| civil(time).2 as f64,
        "month" => |time| civil(time).1 as f64,
        "year" => |time| civil(time).0 as f64,
        "day_of_year" => |time| (day(time) - days_from_civil(civil(time).0, 1, 1) + 1) as f64,
        "days_in_month" => |time| {
            let (year, month, _) = civil(time);
            let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            (days_from_civil(next.0, next.1, 1) - days_from_civil(year, month, 1)) as f64
        },
        _ => return None,
    })
}

/// First year of Go's calendar, which its conversions of numbers that are no time lead to.
const FIRST_YEAR: i64 = -292_277_022_399;

/// Gives whole seconds since the first year, as Go does: cut towards zero, and around its end where there are too many.
fn since_first_year(time: f64) -> u64 {
    let is_in_range = time.abs() < 9.2e18;
    // What amd64 makes of NaN, infinity and all that is too large.
    let seconds = if is_in_range { time as i64 } else { i64::MIN };
    seconds.wrapping_sub(days_from_civil(FIRST_YEAR, 1, 1).wrapping_mul(86_400)).cast_unsigned()
}

fn second_of_day(time: f64) -> i64 {
    (since_first_year(time) % 86_400).cast_signed()
}

/// Gives the day since 1970-01-01.
fn day(time: f64) -> i64 {
    (since_first_year(time) / 86_400).cast_signed() + days_from_civil(FIRST_YEAR, 1, 1)
}

/// Gives year, month and day of month. Source: H. Hinnant, "chrono-compatible low-level date algorithms".
fn civil(time: f64) -> (i64, i64, i64) {
    let z = day(time) + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// Gives the days from 1970-01-01. Source: as [`civil`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}
