//! Parts of a date, in UTC.

/// Gives the part of the time (seconds since 1970) that a function names; `None` when it names none.
pub(super) fn part(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "minute" => |time| second_of_day(time).map_or(f64::NAN, |second| (second / 60 % 60) as f64),
        "hour" => |time| second_of_day(time).map_or(f64::NAN, |second| (second / 3600) as f64),
        // 1970-01-01 was a Thursday.
        "day_of_week" => |time| day(time).map_or(f64::NAN, |day| (day + 4).rem_euclid(7) as f64),
        "day_of_month" => |time| civil(time).map_or(f64::NAN, |date| date.2 as f64),
        "month" => |time| civil(time).map_or(f64::NAN, |date| date.1 as f64),
        "year" => |time| civil(time).map_or(f64::NAN, |date| date.0 as f64),
        "day_of_year" => |time| {
            let first = civil(time).map(|date| days_from_civil(date.0, 1, 1));
            first.zip(day(time)).map_or(f64::NAN, |(first, day)| (day - first + 1) as f64)
        },
        "days_in_month" => |time| {
            civil(time).map_or(f64::NAN, |(year, month, _)| {
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                (days_from_civil(next.0, next.1, 1) - days_from_civil(year, month, 1)) as f64
            })
        },
        _ => return None,
    })
}

fn seconds(time: f64) -> Option<i64> {
    // Farther than any calendar is asked for; keeps the arithmetic exact.
    (time.abs() < 1e14).then_some(time.floor() as i64)
}

fn second_of_day(time: f64) -> Option<i64> {
    seconds(time).map(|seconds| seconds.rem_euclid(86_400))
}

fn day(time: f64) -> Option<i64> {
    seconds(time).map(|seconds| seconds.div_euclid(86_400))
}

/// Gives year, month and day of month. Source: H. Hinnant, "chrono-compatible low-level date algorithms".
fn civil(time: f64) -> Option<(i64, i64, i64)> {
    let z = day(time)? + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some((year, month, of_year - (153 * shifted + 2) / 5 + 1))
}

/// Gives the days from 1970-01-01. Source: as [`civil`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}
