//! Bars beside names, one colour a series.

use super::svg::{Anchor, COLOURS, Svg};

/// A series of values, one for each label.
pub(super) struct Series {
    pub(super) name: String,
    /// `None` where there is no value.
    pub(super) values: Vec<Option<f64>>,
}

/// A chart of horizontal bars.
pub(super) struct Bars {
    pub(super) title: String,
    pub(super) unit: String,
    pub(super) labels: Vec<String>,
    pub(super) series: Vec<Series>,
}

const WIDTH: f64 = 720.0;
const BAR: f64 = 12.0;
const GAP: f64 = 8.0;
const TOP: f64 = 34.0;
const LEGEND: f64 = 20.0;
/// The room for a value behind its bar.
const VALUE: f64 = 78.0;
/// What a letter of a label takes.
const LETTER: f64 = 6.6;

impl Bars {
    pub(super) fn svg(&self) -> String {
        let longest = self.labels.iter().map(|label| label.chars().count()).max();
        let left = 16.0 + LETTER * longest.unwrap_or(0) as f64;
        let group = BAR * self.series.len() as f64 + GAP;
        let legend = if self.series.len() > 1 { LEGEND } else { 0.0 };
        let height = TOP + legend + group * self.labels.len() as f64 + 8.0;
        let mut svg = Svg::new(WIDTH, height);
        let title = match self.unit.as_str() {
            "" => self.title.clone(),
            unit => format!("{}, {unit}", self.title),
        };
        svg.text(WIDTH / 2.0, 20.0, Anchor::Middle, 14, &title);
        self.legend(&mut svg, left);
        let scale = (WIDTH - left - VALUE) / self.largest();
        for (row, label) in self.labels.iter().enumerate() {
            let y = TOP + legend + group * row as f64;
            svg.text(
                left - 6.0,
                y + (group - GAP) / 2.0 + 4.0,
                Anchor::End,
                12,
                label,
            );
            self.bars(&mut svg, row, left, y, scale);
        }
        svg.line((left, TOP + legend - 2.0), (left, height - 8.0), "#888");
        svg.finish()
    }

    fn legend(&self, svg: &mut Svg, left: f64) {
        if self.series.len() < 2 {
            return;
        }
        let mut x = left;
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            svg.bar(x, TOP - 4.0, 10.0, 10.0, colour);
            svg.text(x + 14.0, TOP + 5.0, Anchor::Start, 11, &series.name);
            x += 30.0 + LETTER * series.name.chars().count() as f64;
        }
    }

    fn bars(&self, svg: &mut Svg, row: usize, left: f64, y: f64, scale: f64) {
        for (index, (series, colour)) in self.series.iter().zip(COLOURS.iter().cycle()).enumerate()
        {
            let y = y + BAR * index as f64;
            let Some(value) = series.values.get(row).copied().flatten() else {
                continue;
            };
            let width = value.max(0.0) * scale;
            svg.bar(left, y, width, BAR - 2.0, colour);
            svg.text(
                left + width + 4.0,
                y + BAR - 3.0,
                Anchor::Start,
                10,
                &shown(value),
            );
        }
    }

    /// The largest value, which sets the scale.
    fn largest(&self) -> f64 {
        let values = self
            .series
            .iter()
            .flat_map(|series| series.values.iter().flatten());
        values.copied().fold(f64::MIN_POSITIVE, f64::max)
    }
}

/// A value as a table has it: whole numbers in groups of three digits.
fn shown(value: f64) -> String {
    if value.fract() != 0.0 || value.abs() >= 1e15 {
        return format!("{value}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match value < 0.0 {
        true => format!("-{grouped}"),
        false => grouped,
    }
}
