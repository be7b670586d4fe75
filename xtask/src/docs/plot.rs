//! Plots of files that the commands of a page left: `<!-- plot FILE.svg from FILE: TITLE; SUBTITLE -->`.
//!
//! A `.csv` of samples gives the first sample of each class below the others; a `.jsonl` log of a training the losses of its epochs.

use std::path::Path;

use serde_json::Value;

use super::svg::{Anchor, COLOURS, Svg};
use super::{Error, Made, Page, read};

const WIDTH: f64 = 720.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 44.0;

/// Draws what the lines of a page ask for, from the folder in which its commands ran. Files that no command left, because it is slow,
/// are passed over.
///
/// # Errors
/// When a request or a file cannot be read.
pub(super) fn draw(page: &Page, folder: &Path, made: &mut Made) -> Result<(), Error> {
    for (number, line) in page.lines.iter().enumerate() {
        let asked = line
            .trim()
            .strip_prefix("<!-- plot ")
            .and_then(|line| line.strip_suffix("-->"));
        let Some(asked) = asked else {
            continue;
        };
        let parts = asked.split_once(": ").and_then(|(files, titles)| {
            let (figure, file) = files.split_once(" from ")?;
            Some((figure.trim(), file.trim(), titles.trim()))
        });
        let Some((figure, file, titles)) = parts else {
            return Err(Error::page(
                page,
                number,
                "not `FILE.svg from FILE: TITLE; SUBTITLE`",
            ));
        };
        let path = folder.join(file);
        if !path.exists() {
            continue;
        }
        let titles = titles.split_once("; ").unwrap_or((titles, ""));
        let text = read(&path)?;
        let drawn = match file.ends_with(".csv") {
            true => samples(&text, titles),
            false => losses(&text, titles),
        };
        let drawn =
            drawn.ok_or_else(|| Error::page(page, number, format!("{file}: nothing to plot")))?;
        made.insert(format!("figures/{figure}"), drawn);
    }
    Ok(())
}

fn title(svg: &mut Svg, (title, subtitle): (&str, &str)) {
    svg.text(WIDTH / 2.0, 18.0, Anchor::Middle, 14, title);
    svg.text(WIDTH / 2.0, 34.0, Anchor::Middle, 11, subtitle);
}

/// The first sample of each class, one below the other.
fn samples(csv: &str, titles: (&str, &str)) -> Option<String> {
    const HEIGHT: f64 = 80.0;
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next()?.split(',').collect();
    let label = header.iter().position(|name| *name == "label")?;
    let mut shown: Vec<(&str, Vec<f64>)> = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let class = cells.get(label).copied()?;
        if shown.iter().any(|(name, _)| *name == class) {
            continue;
        }
        let numbers = cells
            .iter()
            .zip(&header)
            .filter(|(_, name)| !["label", "split"].contains(*name));
        shown.push((
            class,
            numbers.filter_map(|(cell, _)| cell.parse().ok()).collect(),
        ));
    }
    let mut svg = Svg::new(WIDTH, TOP + HEIGHT * shown.len() as f64 + 8.0);
    title(&mut svg, titles);
    for (index, (class, values)) in shown.iter().enumerate() {
        let top = TOP + HEIGHT * index as f64;
        svg.text(LEFT - 8.0, top + HEIGHT / 2.0, Anchor::End, 12, class);
        let frame = Frame::around(
            values.iter().copied(),
            values.len(),
            top + 4.0,
            HEIGHT - 8.0,
        );
        svg.curve(
            &frame.points(values),
            COLOURS.first().copied().unwrap_or_default(),
        );
    }
    Some(svg.finish())
}

/// The losses of the epochs in a training's log.
fn losses(log: &str, titles: (&str, &str)) -> Option<String> {
    const HEIGHT: f64 = 220.0;
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let of = |place: &str| {
        lines
            .iter()
            .filter_map(|line| line.pointer(place)?.as_f64())
            .collect::<Vec<_>>()
    };
    let series = [
        ("training", of("/train/loss")),
        ("validation", of("/validation/loss")),
    ];
    let longest = series
        .iter()
        .map(|(_, values)| values.len())
        .max()
        .filter(|&count| count > 1)?;
    let mut svg = Svg::new(WIDTH, TOP + HEIGHT + 34.0);
    title(&mut svg, titles);
    let all = series
        .iter()
        .flat_map(|(_, values)| values.iter().copied())
        .chain([0.0]);
    let frame = Frame::around(all, longest, TOP, HEIGHT);
    svg.line((LEFT, TOP), (LEFT, TOP + HEIGHT), "#888");
    svg.line((LEFT, TOP + HEIGHT), (WIDTH - RIGHT, TOP + HEIGHT), "#888");
    svg.text(
        LEFT - 8.0,
        TOP + 8.0,
        Anchor::End,
        11,
        &format!("{:.2}", frame.largest),
    );
    svg.text(LEFT - 8.0, TOP + HEIGHT, Anchor::End, 11, "0");
    svg.text(LEFT, TOP + HEIGHT + 16.0, Anchor::Middle, 11, "1");
    svg.text(
        WIDTH - RIGHT,
        TOP + HEIGHT + 16.0,
        Anchor::End,
        11,
        &format!("epoch {longest}"),
    );
    for (index, ((name, values), colour)) in series.iter().zip(COLOURS).enumerate() {
        svg.curve(&frame.points(values), colour);
        let x = LEFT + 120.0 * (index as f64 + 1.0);
        svg.bar(x, TOP + HEIGHT + 8.0, 10.0, 10.0, colour);
        svg.text(x + 14.0, TOP + HEIGHT + 17.0, Anchor::Start, 11, name);
    }
    Some(svg.finish())
}

/// Where values of a plot come to lie.
struct Frame {
    smallest: f64,
    largest: f64,
    /// Pixels from one value to the next.
    step: f64,
    top: f64,
    height: f64,
}

impl Frame {
    fn around(values: impl Iterator<Item = f64>, count: usize, top: f64, height: f64) -> Self {
        let (smallest, largest) = values.fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        Self {
            smallest,
            largest,
            step: (WIDTH - LEFT - RIGHT) / count.saturating_sub(1).max(1) as f64,
            top,
            height,
        }
    }

    fn points(&self, values: &[f64]) -> Vec<(f64, f64)> {
        let range = (self.largest - self.smallest).max(f64::MIN_POSITIVE);
        let point = |(index, value): (usize, &f64)| {
            let share = (value - self.smallest) / range;
            (
                LEFT + self.step * index as f64,
                self.top + self.height * (1.0 - share),
            )
        };
        values.iter().enumerate().map(point).collect()
    }
}
