//! Plots as inline SVG that the page's style colours, in the light and in the dark.

use std::fmt::Write as _;

use crate::statistics::Mean;

/// Left edge, right edge and top of the plotting area of rows and of curves.
const ROWS: (f64, f64, f64) = (204.0, 460.0, 8.0);
const CURVES: (f64, f64, f64) = (58.0, 456.0, 26.0);
/// Height of a row.
const ROW: f64 = 24.0;
/// Bottom of the plotting area of curves.
const FLOOR: f64 = 250.0;

/// What an axis spans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Axis {
    /// Spans values from tick to tick.
    pub(super) fn over(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values);
        // Nothing but zeros has an axis to 1.
        let high = if low == 0.0 && high == 0.0 { 1.0 } else { high };
        let step = step((high - low).max(high.abs() * 0.1).max(1e-9));
        let least = (low / step).floor() * step;
        Self { low: least, high: ((high / step).ceil() * step).max(least + step), is_log: false }
    }

    /// Spans values above zero on a logarithmic scale.
    pub(super) fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(values.filter(|value| *value > 0.0));
        if high <= 0.0 {
            return Self { low: 1.0, high: 10.0, is_log: true };
        }
        Self { low: low / 1.5, high: high * 1.5, is_log: true }
    }

    fn share(self, value: f64) -> f64 {
        let at = |value: f64| if self.is_log { value.max(1e-9).ln() } else { value };
        ((at(value) - at(self.low)) / (at(self.high) - at(self.low))).clamp(0.0, 1.0)
    }

    fn ticks(self) -> Vec<f64> {
        if self.is_log {
            let digits = if self.high / self.low > 100.0 { [1.0, 1.0, 1.0] } else { [1.0, 2.0, 5.0] };
            let mut ticks: Vec<f64> =
                (-6..=9).flat_map(|power| digits.map(|digit| digit * 10_f64.powi(power))).collect();
            ticks.dedup();
            return ticks.into_iter().filter(|tick| (self.low..=self.high).contains(tick)).collect();
        }
        let step = step(self.high - self.low);
        let first = (self.low / step - 1e-9).ceil() as i64;
        (first..).map(|at| at as f64 * step).take_while(|tick| *tick <= self.high + step * 1e-6).take(20).collect()
    }
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let ends = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if ends.0 > ends.1 { (0.0, 0.0) } else { ends }
}

/// Gives the round step (1, 2 or 5 times a power of ten) that cuts a span into five or fewer.
fn step(span: f64) -> f64 {
    let power = 10_f64.powf((span / 5.0).log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|digit| digit * power).find(|step| *step >= span / 5.0).unwrap_or(10.0 * power)
}

fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A plot of named rows: bars or dots with intervals along one axis.
#[derive(Debug)]
pub(super) struct Rows {
    axis: Axis,
    count: usize,
    body: String,
}

impl Rows {
    pub(super) fn new(names: &[&str], axis: Axis, axis_name: &str) -> Self {
        let mut rows = Self { axis, count: names.len(), body: String::new() };
        let floor = rows.floor();
        for tick in axis.ticks() {
            let x = rows.x(tick);
            let _ = write!(
                rows.body,
                r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{}" y2="{floor:.1}"/><text x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"#,
                ROWS.2,
                floor + 15.0,
                short(tick)
            );
        }
        for (at, name) in names.iter().enumerate() {
            let y = middle(at) + 4.0;
            let _ = write!(rows.body, r#"<text x="{}" y="{y:.1}" text-anchor="end">{name}</text>"#, ROWS.0 - 8.0);
        }
        let _ = write!(
            rows.body,
            r#"<text class="name" x="{}" y="{:.1}" text-anchor="end">{axis_name}</text>"#,
            ROWS.1,
            floor + 33.0
        );
        rows
    }

    fn floor(&self) -> f64 {
        ROWS.2 + ROW * self.count as f64
    }

    fn x(&self, value: f64) -> f64 {
        ROWS.0 + self.axis.share(value) * (ROWS.1 - ROWS.0)
    }

    pub(super) fn bar(&mut self, at: usize, value: f64, class: &str) {
        let (left, right, y) = (self.x(0.0), self.x(value), middle(at) - 7.0);
        let width = right - left;
        let _ = write!(
            self.body,
            r#"<rect class="{class}" x="{left:.1}" y="{y:.1}" width="{width:.1}" height="14"><title>{value:.4}</title></rect>"#
        );
    }

    /// Draws an interval, `lift` above the middle of its row.
    pub(super) fn interval(&mut self, at: usize, of: Mean, lift: f64, class: &str) {
        let (left, right, y) = (self.x(of.mean - of.half), self.x(of.mean + of.half), middle(at) - lift);
        let _ = write!(self.body, r#"<line class="{class}" x1="{left:.1}" x2="{right:.1}" y1="{y:.1}" y2="{y:.1}"/>"#);
    }

    pub(super) fn dot(&mut self, at: usize, of: Mean, lift: f64, class: &str) {
        let (x, y) = (self.x(of.mean), middle(at) - lift);
        let _ = write!(
            self.body,
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="4"><title>{:.2} ± {:.2}</title></circle>"#,
            of.mean, of.half
        );
    }

    /// Draws a line across all rows.
    pub(super) fn rule(&mut self, value: f64, class: &str) {
        let (x, floor) = (self.x(value), self.floor());
        let _ = write!(self.body, r#"<line class="{class}" x1="{x:.1}" x2="{x:.1}" y1="{}" y2="{floor:.1}"/>"#, ROWS.2);
    }

    pub(super) fn figure(&self, title: &str, caption: &str) -> String {
        figure(title, caption, 480.0, self.floor() + 42.0, &self.body)
    }
}

fn middle(row: usize) -> f64 {
    ROWS.2 + ROW * (row as f64 + 0.5)
}

/// A plot of curves over a common axis.
#[derive(Debug)]
pub(super) struct Curves {
    x: Axis,
    y: Axis,
    body: String,
}

impl Curves {
    pub(super) fn new(x: Axis, y: Axis, x_name: &str, y_name: &str) -> Self {
        let mut curves = Self { x, y, body: String::new() };
        for tick in y.ticks() {
            let at = curves.place(x.low, tick).1;
            let _ = write!(
                curves.body,
                r#"<line class="grid" x1="{}" x2="{}" y1="{at:.1}" y2="{at:.1}"/><text x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
                CURVES.0,
                CURVES.1,
                CURVES.0 - 6.0,
                at + 4.0,
                short(tick)
            );
        }
        for tick in x.ticks() {
            let at = curves.place(tick, y.low).0;
            let _ = write!(
                curves.body,
                r#"<text x="{at:.1}" y="{}" text-anchor="middle">{}</text>"#,
                FLOOR + 16.0,
                short(tick)
            );
        }
        let _ = write!(
            curves.body,
            r#"<text class="name" x="4" y="14">{y_name}</text><text class="name" x="{}" y="{}" text-anchor="end">{x_name}</text>"#,
            CURVES.1,
            FLOOR + 34.0
        );
        curves
    }

    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let wide = CURVES.1 - CURVES.0;
        (CURVES.0 + self.x.share(x) * wide, CURVES.2 + (1.0 - self.y.share(y)) * (FLOOR - CURVES.2))
    }

    pub(super) fn line(&mut self, points: &[(f64, f64)], class: &str) {
        let places: Vec<(f64, f64)> = points.iter().map(|(x, y)| self.place(*x, *y)).collect();
        let text: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(self.body, r#"<polyline class="{class}" points="{}"/>"#, text.join(" "));
        for ((x, y), (_, value)) in places.iter().zip(points) {
            let _ = write!(
                self.body,
                r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="3"><title>{value:.2}</title></circle>"#
            );
        }
    }

    pub(super) fn figure(&self, title: &str, caption: &str) -> String {
        figure(title, caption, 480.0, FLOOR + 42.0, &self.body)
    }
}

fn figure(title: &str, caption: &str, wide: f64, high: f64, body: &str) -> String {
    format!(
        r#"<figure><h3>{title}</h3><svg viewBox="0 0 {wide} {high:.0}" role="img" aria-label="{title}">{body}</svg><figcaption>{caption}</figcaption></figure>"#
    )
}
