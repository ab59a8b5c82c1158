//! Plots as inline SVG, coloured by the page's style so that they follow it in the dark.

use std::fmt::Write;

use super::escape;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 14.0;
/// Most dots a plot: beyond that they hide each other.
const MOST_DOTS: usize = 1500;
/// Ticks that an axis is to have, about.
const TICKS: f64 = 5.0;

/// What an axis spans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Axis {
    /// Spans values from tick to tick; `None` without a finite one.
    pub(super) fn over(values: impl Iterator<Item = f64>) -> Option<Self> {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (value.min(low), value.max(high)));
        if low > high {
            return None;
        }
        let room = 0.02 * (high - low).max(1e-9 + high.abs() * 0.02);
        let step = step(high - low + 2.0 * room);
        // What cannot be below zero has no axis below zero.
        let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        Some(Self::new((((low - room) / step).floor() * step).max(floor), ((high + room) / step).ceil() * step))
    }

    /// Spans values above zero on a logarithmic scale; `None` without one.
    pub(super) fn logarithmic(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, high) = values
            .filter(|value| value.is_finite() && *value > 0.0)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (value.min(low), value.max(high)));
        (low <= high).then_some(Self { low: low / 1.15, high: high * 1.15, is_log: true })
    }

    pub(super) const fn new(low: f64, high: f64) -> Self {
        Self { low, high, is_log: false }
    }

    /// Gives both ends.
    pub(super) const fn ends(self) -> (f64, f64) {
        (self.low, self.high)
    }

    fn share(self, value: f64) -> f64 {
        let at = |value: f64| if self.is_log { value.max(1e-12).ln() } else { value };
        ((at(value) - at(self.low)) / (at(self.high) - at(self.low))).clamp(0.0, 1.0)
    }

    fn ticks(self) -> Vec<f64> {
        if self.is_log {
            let decades = (self.low.log10().floor() as i32)..=(self.high.log10().ceil() as i32);
            let all: Vec<f64> =
                decades.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power))).collect();
            let inside: Vec<f64> = all.into_iter().filter(|tick| (self.low..=self.high).contains(tick)).collect();
            return if inside.len() > 8 { inside.into_iter().step_by(3).collect() } else { inside };
        }
        let step = step(self.high - self.low);
        let first = (self.low / step).ceil() as i64;
        (first..).map(|at| at as f64 * step).take_while(|tick| *tick <= self.high + step * 1e-6).take(20).collect()
    }
}

/// Gives the round step (1, 2 or 5 times a power of ten) that cuts a span into about [`TICKS`].
fn step(span: f64) -> f64 {
    let rough = (span / TICKS).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * power).find(|step| *step >= rough).unwrap_or(power)
}

/// What a mark stands for; the page's style gives each its colour.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ink {
    /// The line on which all is as it should be.
    Guide,
    /// Power.
    Power,
    /// Latency.
    Latency,
    /// What stands behind.
    Faint,
}

impl Ink {
    const fn class(self) -> &'static str {
        match self {
            Self::Guide => "guide",
            Self::Power => "power",
            Self::Latency => "latency",
            Self::Faint => "faint",
        }
    }
}

/// One plot.
#[derive(Debug)]
pub(super) struct Chart {
    x: Axis,
    y: Axis,
    body: String,
}

impl Chart {
    pub(super) fn new(x: Axis, y: Axis, x_name: &str, y_name: &str) -> Self {
        let mut chart = Self { x, y, body: String::new() };
        chart.down(&y.ticks().into_iter().map(|tick| (tick, short(tick))).collect::<Vec<_>>());
        chart.along(&x.ticks().into_iter().map(|tick| (tick, short(tick))).collect::<Vec<_>>());
        chart.names(x_name, y_name);
        chart
    }

    /// Makes a plot of which the places along one axis have names.
    pub(super) fn of_names(names: &[String], values: Axis, value_name: &str) -> Self {
        let places = Axis::new(-0.5, names.len().max(1) as f64 - 0.5);
        let mut chart = Self { x: places, y: values, body: String::new() };
        chart.down(&values.ticks().into_iter().map(|tick| (tick, short(tick))).collect::<Vec<_>>());
        let every = names.len().div_ceil(8).max(1);
        let cut = |name: &String| match name.char_indices().nth(12) {
            Some((end, _)) if name.len() > end + 1 => format!("{}…", &name[..end]),
            _ => name.clone(),
        };
        let labels = names.iter().enumerate().step_by(every).map(|(at, name)| (at as f64, escape(&cut(name))));
        chart.along(&labels.collect::<Vec<_>>());
        chart.names("", value_name);
        chart
    }

    fn down(&mut self, ticks: &[(f64, String)]) {
        for (tick, label) in ticks {
            let y = self.place(0.0, *tick).1;
            let _ = write!(
                self.body,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0
            );
        }
    }

    fn along(&mut self, ticks: &[(f64, String)]) {
        for (tick, label) in ticks {
            let x = self.place(*tick, 0.0).0;
            let y = HEIGHT - BOTTOM + 16.0;
            let _ = write!(self.body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{label}</text>");
        }
    }

    fn names(&mut self, x_name: &str, y_name: &str) {
        let _ = write!(
            self.body,
            "<text class=\"name\" x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <text class=\"name\" transform=\"translate(12 {TOP}) rotate(-90)\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            HEIGHT - 8.0,
            escape(x_name),
            escape(y_name)
        );
    }

    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let (wide, high) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        (LEFT + self.x.share(x) * wide, TOP + (1.0 - self.y.share(y)) * high)
    }

    pub(super) fn line(&mut self, points: &[(f64, f64)], ink: Ink) {
        let places = points.iter().map(|(x, y)| self.place(*x, *y)).map(|(x, y)| format!("{x:.1},{y:.1}"));
        let places: Vec<String> = places.collect();
        let _ = write!(self.body, "<polyline class=\"{}\" points=\"{}\"/>", ink.class(), places.join(" "));
    }

    /// Draws a bar from zero over a place.
    pub(super) fn bar(&mut self, at: f64, value: f64, ink: Ink) {
        let ((left, top), (right, bottom)) = (self.place(at - 0.17, value), self.place(at + 0.17, 0.0));
        let _ = write!(
            self.body,
            "<rect class=\"{}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            ink.class(),
            right - left,
            (bottom - top).max(0.5)
        );
    }

    /// Draws a box from the lower to the upper quartile with lines to the outer values, and a stroke at the middle.
    pub(super) fn spread(&mut self, at: f64, [least, low, middle, high, most]: [f64; 5], ink: Ink, half: f64) {
        let ((left, top), (right, bottom)) = (self.place(at - half, high), self.place(at + half, low));
        let (x, centre) = self.place(at, middle);
        let (above, below) = (self.place(at, most).1, self.place(at, least).1);
        let class = ink.class();
        let _ = write!(
            self.body,
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{above:.1}\" y2=\"{below:.1}\"/>\
             <rect class=\"{class} box\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <line class=\"{class} middle\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{centre:.1}\" y2=\"{centre:.1}\"/>",
            right - left,
            (bottom - top).max(0.5)
        );
    }

    pub(super) fn dots(&mut self, points: &[(f64, f64)], ink: Ink) {
        let step = points.len().div_ceil(MOST_DOTS).max(1);
        for (x, y) in points.iter().step_by(step) {
            let (x, y) = self.place(*x, *y);
            let _ = write!(self.body, "<circle class=\"{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"/>", ink.class());
        }
    }

    /// Closes the plot as a figure; title and caption are HTML.
    pub(super) fn figure(&self, title: &str, caption: &str) -> String {
        format!(
            "<figure><h3>{title}</h3><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">{}</svg>\
             <figcaption>{caption}</figcaption></figure>",
            self.body
        )
    }
}

fn short(value: f64) -> String {
    let size = value.abs();
    if size >= 10_000.0 {
        format!("{:.0}k", value / 1000.0)
    } else if size >= 10.0 || value.fract().abs() < 1e-9 {
        format!("{value:.0}")
    } else if size >= 0.1 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}
