//! A plot: lines and points over two axes.

use super::{Anchor, Axis, Ink, Svg};

/// Small enough that text can be read where a phone shows the picture.
const SIZE: [f64; 2] = [480.0, 300.0];
const FONT: f64 = 13.0;
/// About the width of a character.
const CHARACTER: f64 = 7.0;
/// Room for labels.
const LEFT: f64 = 48.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 46.0;
const RADIUS: f64 = 4.0;

/// A line with a name, which the legend has.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// How it is drawn.
    pub ink: Ink,
    /// Its points; those that are not finite are left out.
    pub points: Vec<[f64; 2]>,
}

/// A point.
#[derive(Clone, Debug)]
pub struct Point {
    /// Where it is.
    pub at: [f64; 2],
    /// How it is drawn.
    pub ink: Ink,
    /// What is written beside it.
    pub label: Option<String>,
    /// What is said of it where a pointer rests on it.
    pub about: String,
}

/// Lines and points over two axes.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What a program says that reads pages aloud.
    pub about: String,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
    pub y: Axis,
    /// Lines.
    pub lines: Vec<Line>,
    /// Points, over the lines; later ones over earlier ones.
    pub points: Vec<Point>,
    /// Upright lines: where, and what is written beside.
    pub rules: Vec<(f64, String)>,
}

impl Plot {
    /// The plot as a picture of 480 by 300.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut svg = Svg::new(SIZE, FONT, &self.about);
        self.draw_axes(&mut svg);
        self.draw_rules(&mut svg);
        for line in &self.lines {
            let points: Vec<_> = line
                .points
                .iter()
                .filter_map(|&at| self.place(at))
                .collect();
            svg.polyline(&points, line.ink);
        }
        self.draw_legend(&mut svg);
        self.draw_points(&mut svg);
        svg.finish()
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (SIZE[0] - LEFT - RIGHT) * self.x.share(value)
    }

    fn y(&self, value: f64) -> f64 {
        SIZE[1] - BOTTOM - (SIZE[1] - TOP - BOTTOM) * self.y.share(value)
    }

    /// Where a point is drawn, `None` for one that is not finite.
    fn place(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        (x.is_finite() && y.is_finite()).then(|| [self.x(x), self.y(y)])
    }

    fn draw_axes(&self, svg: &mut Svg) {
        let [width, height] = SIZE;
        for (tick, text) in self.y.ticks() {
            let y = self.y(tick);
            svg.line([LEFT, y], [width - RIGHT, y], Ink::Grid);
            let at = [LEFT - 6.0, y + 4.5];
            svg.text(at, Anchor::End, Ink::Faint, &text);
        }
        let bottom = height - BOTTOM;
        for (tick, text) in self.x.ticks() {
            let x = self.x(tick);
            svg.line([x, bottom], [x, bottom + 4.0], Ink::Grid);
            let at = [x, bottom + 18.0];
            svg.text(at, Anchor::Middle, Ink::Faint, &text);
        }
        let middle = LEFT.midpoint(width - RIGHT);
        let at = [middle, height - 8.0];
        svg.text(at, Anchor::Middle, Ink::Text, &self.x.label);
        svg.text([4.0, 16.0], Anchor::Start, Ink::Text, &self.y.label);
    }

    fn draw_rules(&self, svg: &mut Svg) {
        for (value, label) in &self.rules {
            let x = self.x(*value);
            svg.line([x, TOP], [x, SIZE[1] - BOTTOM], Ink::Limit);
            // To the side that has more room.
            let (x, anchor) = match x < SIZE[0] / 2.0 {
                true => (x + 4.0, Anchor::Start),
                false => (x - 4.0, Anchor::End),
            };
            svg.text([x, TOP + 12.0], anchor, Ink::Faint, label);
        }
    }

    /// The names of the lines, from the right end.
    fn draw_legend(&self, svg: &mut Svg) {
        let mut end = SIZE[0] - RIGHT;
        for line in self.lines.iter().rev().filter(|line| !line.name.is_empty()) {
            svg.text([end, 16.0], Anchor::End, Ink::Text, &line.name);
            end -= CHARACTER * line.name.chars().count() as f64 + 6.0;
            svg.polyline(&[[end - 18.0, 12.0], [end, 12.0]], line.ink);
            end -= 34.0;
        }
    }

    fn draw_points(&self, svg: &mut Svg) {
        let places: Vec<_> = self
            .points
            .iter()
            .filter_map(|point| Some((point, self.place(point.at)?)))
            .collect();
        for (point, at) in &places {
            let radius = match point.label.is_some() {
                true => RADIUS + 2.0,
                false => RADIUS,
            };
            svg.circle(*at, radius, point.ink, &point.about);
        }
        // Labels keep clear of each other and of the points that have one.
        let labelled = places.iter().filter(|(point, _)| point.label.is_some());
        let mut taken: Vec<Area> = labelled.map(|(_, at)| Area::around(*at, RADIUS)).collect();
        // The last point, which lies over the others, has the first choice.
        for (point, at) in places.iter().rev() {
            let Some(label) = &point.label else { continue };
            let (area, base) = free_place(*at, label, &taken);
            svg.text(base, Anchor::Start, Ink::Text, label);
            taken.push(area);
        }
    }
}

/// The points that no other beats in being small and great, from the smallest on, joined by steps: what is to the right of one is no
/// greater before the next.
#[must_use]
pub fn staircase(points: impl IntoIterator<Item = [f64; 2]>) -> Vec<[f64; 2]> {
    let mut points: Vec<[f64; 2]> = points.into_iter().collect();
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(b[1].total_cmp(&a[1])));
    let mut best = f64::NEG_INFINITY;
    let mut corners = Vec::new();
    for [x, y] in points {
        if y > best {
            if !corners.is_empty() {
                corners.push([x, best]);
            }
            corners.push([x, y]);
            best = y;
        }
    }
    corners
}

/// The first place around a point where a label overlaps nothing and stays within the picture, and where its text begins.
fn free_place([x, y]: [f64; 2], label: &str, taken: &[Area]) -> (Area, [f64; 2]) {
    let width = CHARACTER * label.chars().count() as f64;
    let gap = RADIUS + 5.0;
    let base = |index: usize| {
        let row = (index / 4) as f64 * (FONT + 2.0);
        match index % 4 {
            0 => [x + gap, y + 4.5 + row],
            1 => [x - gap - width, y + 4.5 + row],
            2 => [x - width / 2.0, y - gap - row],
            _ => [x - width / 2.0, y + gap + FONT - 2.0 + row],
        }
    };
    let area = |[x, y]: [f64; 2]| Area {
        low: [x - 1.0, y - FONT + 2.0],
        high: [x + width + 1.0, y + 3.0],
    };
    let bases = (0..24).map(base);
    let mut free = bases.filter(|&base| {
        let area = area(base);
        area.is_within(SIZE) && !taken.iter().any(|other| area.overlaps(other))
    });
    let found = free.next().unwrap_or_else(|| {
        // Nowhere: within the picture at least.
        [x.min(SIZE[0] - width - 2.0).max(2.0), y - gap]
    });
    (area(found), found)
}

/// A rectangle that is taken.
struct Area {
    low: [f64; 2],
    high: [f64; 2],
}

impl Area {
    fn around([x, y]: [f64; 2], by: f64) -> Self {
        Self {
            low: [x - by, y - by],
            high: [x + by, y + by],
        }
    }

    fn is_within(&self, [width, height]: [f64; 2]) -> bool {
        self.low[0] >= 0.0
            && self.low[1] >= TOP - FONT
            && self.high[0] <= width
            && self.high[1] <= height - BOTTOM
    }

    fn overlaps(&self, other: &Self) -> bool {
        (0..2).all(|axis| self.low[axis] < other.high[axis] && other.low[axis] < self.high[axis])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        Plot {
            about: "a plot".to_owned(),
            x: Axis::log("KB", [4.0, 140.0]),
            y: Axis::linear("%", [80.0, 95.0]),
            lines: Vec::new(),
            points: Vec::new(),
            rules: Vec::new(),
        }
    }

    #[test]
    fn stairs_go_up() {
        let points = [[3.0, 1.0], [1.0, 2.0], [2.0, 2.0], [4.0, 3.0]];
        let corners = [[1.0, 2.0], [4.0, 2.0], [4.0, 3.0]];
        assert_eq!(staircase(points), corners);
        assert!(staircase([]).is_empty());
    }

    #[test]
    fn labels_of_equal_points_do_not_overlap() {
        let mut taken = Vec::new();
        for _ in 0..6 {
            let (area, _) = free_place([460.0, 60.0], "INT8, QAT", &taken);
            assert!(!taken.iter().any(|other| area.overlaps(other)));
            taken.push(area);
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let mut plot = plot();
        plot.lines.push(Line {
            name: "<b>".to_owned(),
            ink: Ink::Main,
            points: vec![[5.0, f64::NAN], [10.0, 90.0], [f64::INFINITY, 90.0]],
        });
        plot.points.push(Point {
            at: [f64::NAN, 1.0],
            ink: Ink::Many,
            label: Some("nowhere".to_owned()),
            about: String::new(),
        });
        let text = plot.svg();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(!text.contains("nowhere") && text.contains("&lt;b&gt;"));
    }
}
