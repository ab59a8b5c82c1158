//! A server's data sheet as numbers, and the servers next to it.

use crate::Error;
use crate::csv::Csv;
use crate::score::quantile;

/// Load levels: idle, 10 ... 100 %.
pub(super) const LEVELS: usize = 11;

/// One published result.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) number: usize,
    pub(super) year: f64,
    pub(super) watts: [f64; LEVELS],
    /// Thermal design power of all sockets, watts.
    pub(super) design: f64,
    cores: f64,
    chips: f64,
    threads: f64,
    mhz: f64,
    turbo: f64,
    memory: f64,
    supplies: f64,
    supply_rating: f64,
    cache: f64,
    intel: f64,
    low_power: f64,
    small: f64,
    vendor: f64,
    arch: f64,
    form: f64,
}

/// Reads the machines; an unknown number is the median over all of them, as the split rules say.
pub(super) fn machines(csv: &Csv) -> Result<Vec<Machine>, Error> {
    let number = |name: &str| -> Result<Vec<f64>, Error> {
        let column = csv.numbers(name)?;
        let median = quantile(column.iter().copied().filter(|value| value.is_finite()).collect(), 0.5).unwrap_or(0.0);
        Ok(column.into_iter().map(|value| if value.is_nan() { median } else { value }).collect())
    };
    let (ids, makes, names) = (csv.text("machine_id")?, csv.text("cpu_make")?, csv.text("cpu_name")?);
    let codes = |name: &str| csv.text(name).map(|column| coded(&column));
    let (vendors, archs, forms) = (codes("vendor")?, codes("cpu_arch")?, codes("form_factor")?);
    let mut levels = vec![csv.numbers("w_idle")?];
    for level in 1..LEVELS {
        levels.push(csv.numbers(&format!("w_{level}0"))?);
    }
    let (year, cores, chips, threads) = (number("hw_year")?, number("cores")?, number("chips")?, number("threads")?);
    let (mhz, turbo, tdp, memory) = (number("base_mhz")?, number("turbo_ghz")?, number("tdp_w")?, number("mem_gb")?);
    let (supplies, rating, cache) = (number("psu_count")?, number("psu_rating_w")?, number("l3_kb")?);
    let machine = |at: usize| Machine {
        number: ids[at].trim_start_matches('m').parse().unwrap_or(at),
        year: year[at],
        watts: std::array::from_fn(|level| levels[level][at]),
        design: tdp[at] * chips[at],
        cores: cores[at],
        chips: chips[at],
        threads: threads[at],
        mhz: mhz[at],
        turbo: turbo[at],
        memory: memory[at],
        supplies: supplies[at],
        supply_rating: rating[at],
        cache: cache[at],
        intel: f64::from(u8::from(makes[at] == "intel")),
        low_power: f64::from(u8::from(has_low_power_number(names[at]))),
        small: f64::from(u8::from(names[at].contains("E3") || names[at].contains("X34"))),
        vendor: vendors[at],
        arch: archs[at],
        form: forms[at],
    };
    Ok((0..csv.len()).map(machine).collect())
}

/// Numbers the distinct words of a column in their order.
fn coded(column: &[&str]) -> Vec<f64> {
    let mut words = column.to_vec();
    words.sort_unstable();
    words.dedup();
    column.iter().map(|word| words.binary_search(word).unwrap_or(0) as f64).collect()
}

/// Tells a part number such as L5640.
fn has_low_power_number(name: &str) -> bool {
    let letters: Vec<char> = name.chars().collect();
    letters.windows(5).any(|five| five[0] == 'L' && five[1..].iter().all(char::is_ascii_digit))
}

impl Machine {
    /// Gives the columns for trees.
    pub(super) fn sheet(&self) -> Vec<f64> {
        let Self { year, design, cores, chips, threads, mhz, turbo, memory, supplies, supply_rating, cache, .. } = self;
        let Self { intel, low_power, small, vendor, arch, form, .. } = self;
        vec![
            *year,
            *cores,
            *chips,
            *threads,
            *mhz,
            design / chips,
            *memory,
            *supplies,
            *supply_rating,
            *cache,
            *turbo,
            *design,
            cores / chips,
            threads / cores,
            memory / cores,
            design / cores,
            supply_rating / design,
            *intel,
            *low_power,
            *small,
            *vendor,
            *arch,
            *form,
        ]
    }

    /// Gives the columns for a trend.
    pub(super) fn logarithms(&self) -> Vec<f64> {
        let since = self.year - 2012.0;
        let [design, memory, cores, chips, mhz] =
            [self.design, self.memory, self.cores, self.chips, self.mhz].map(f64::ln);
        vec![design, memory, cores, chips, since, mhz, since.max(0.0), self.intel, (self.threads / self.cores).ln()]
    }

    /// Gives where the machine stands among others; the factors say how much a difference of each column counts.
    pub(super) fn place(&self) -> Vec<f64> {
        vec![
            (self.year - 2012.0) / 2.0,
            (self.cores / self.chips).ln() * 1.5,
            self.chips.ln() * 2.0,
            (self.design / self.chips).ln() * 2.0,
            (self.memory / self.cores).ln() * 0.7,
            self.mhz.ln() * 1.5,
            self.intel * 1.5,
            self.cache.ln() * 0.5,
        ]
    }
}

impl Machine {
    /// Gives the same, with what else the sheet tells, for a regression that takes all machines into account.
    pub(super) fn full_place(&self) -> Vec<f64> {
        let mut place = self.place();
        place.extend([
            (self.threads / self.cores).ln(),
            self.supply_rating.ln() * 0.7,
            self.supplies * 0.4,
            self.low_power * 0.7,
            self.small * 0.5,
        ]);
        place
    }
}

/// Gives the mean target of the five known machines next to this one, nearer ones counting more, and their distance.
pub(super) fn nearest(
    machines: &[Machine],
    known: &[usize],
    at: usize,
    place: &dyn Fn(&Machine) -> Vec<f64>,
    target: &dyn Fn(&Machine) -> Vec<f64>,
) -> Vec<f64> {
    let here = place(&machines[at]);
    let mut others: Vec<(f64, usize)> = known
        .iter()
        .filter(|other| **other != at)
        .map(|other| {
            let there = place(&machines[*other]);
            (here.iter().zip(there).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt(), *other)
        })
        .collect();
    others.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    others.truncate(5);
    let total: f64 = others.iter().map(|(distance, _)| 1.0 / (distance + 0.05)).sum();
    let mut columns = vec![0.0; target(&machines[at]).len()];
    for (distance, other) in &others {
        for (column, value) in columns.iter_mut().zip(target(&machines[*other])) {
            *column += value / (distance + 0.05) / total;
        }
    }
    columns.push(others.iter().map(|(distance, _)| distance).sum::<f64>() / others.len().max(1) as f64);
    columns
}
