//! Plots as inline SVG.

use std::fmt::Write;

use super::escape;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 300.0;
const EDGE: f64 = 46.0;
/// Most dots a plot: beyond that they hide each other.
const MOST_DOTS: usize = 1500;

/// What an axis spans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Axis {
    /// Spans values with a little room; `None` without a finite one.
    pub(super) fn over(values: impl Iterator<Item = f64>) -> Option<Self> {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) =
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (value.min(low), value.max(high)));
        let room = 0.03 * (high - low).max(1e-9 + high.abs() * 0.01);
        (low <= high).then_some(Self { low: low - room, high: high + room })
    }

    fn share(self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
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
        for step in 0..=4 {
            let share = f64::from(step) / 4.0;
            let (at_x, at_y) = (x.low + share * (x.high - x.low), y.low + share * (y.high - y.low));
            let (px, py) = chart.place(at_x, at_y);
            let bottom = HEIGHT - EDGE;
            let _ = write!(
                chart.body,
                "<line x1=\"{EDGE}\" x2=\"{WIDTH}\" y1=\"{py:.1}\" y2=\"{py:.1}\" stroke=\"#eee\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                 <text x=\"{px:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                EDGE - 4.0,
                py + 4.0,
                short(at_y),
                bottom + 14.0,
                short(at_x)
            );
        }
        let _ = write!(
            chart.body,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(10 {:.0}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(EDGE, WIDTH),
            HEIGHT - 14.0,
            escape(x_name),
            (HEIGHT - EDGE) / 2.0,
            escape(y_name)
        );
        chart
    }

    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        (EDGE + self.x.share(x) * (WIDTH - EDGE - 8.0), 8.0 + (1.0 - self.y.share(y)) * (HEIGHT - EDGE - 8.0))
    }

    pub(super) fn line(&mut self, points: &[(f64, f64)], colour: &str) {
        let places = points.iter().map(|(x, y)| self.place(*x, *y)).map(|(x, y)| format!("{x:.1},{y:.1}"));
        let places: Vec<String> = places.collect();
        let _ = write!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            places.join(" ")
        );
    }

    pub(super) fn dots(&mut self, points: &[(f64, f64)], colour: &str) {
        let step = points.len().div_ceil(MOST_DOTS).max(1);
        for (x, y) in points.iter().step_by(step) {
            let (x, y) = self.place(*x, *y);
            let _ = write!(
                self.body,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.4\" fill=\"{colour}\" fill-opacity=\"0.55\"/>"
            );
        }
    }

    pub(super) fn figure(&self, caption: &str) -> String {
        format!(
            "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"{caption}\">{}</svg>\
             <figcaption>{caption}</figcaption></figure>",
            self.body
        )
    }
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}
