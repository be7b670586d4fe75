//! A memory plan as a picture: lifetimes from left to right, offsets from bottom to top.

use super::PlanReport;
use crate::picture::{Anchor, Ink, Svg};

/// The size of a picture that stands alone.
const WIDE: [f64; 2] = [960.0, 480.0];
/// The size of one in a page, whose text can be read on a phone.
const SMALL: [f64; 2] = [480.0, 320.0];

/// Draws a plan. The result is an `<svg>` element that stands alone as a file, and fits into an HTML page.
///
/// Each buffer is a rectangle from its first operator to its last, at its offset; a dashed line is the lower bound. A title on every
/// rectangle says its name, bytes, operators and offset.
pub fn svg(report: &PlanReport) -> String {
    Frame::new(report, WIDE, 11.0).draw(report)
}

/// As [`svg`], smaller, with larger letters.
pub fn small_svg(report: &PlanReport) -> String {
    Frame::new(report, SMALL, 13.0).draw(report)
}

/// Where operators and offsets are in a picture.
struct Frame {
    size: [f64; 2],
    font: f64,
    steps: f64,
    bytes: f64,
}

impl Frame {
    fn new(report: &PlanReport, size: [f64; 2], font: f64) -> Self {
        let steps = report.buffers.iter().map(|b| u64::from(b.last) + 1).max();
        let bytes = report.peak_bytes.max(report.lower_bound_bytes).max(1);
        Self {
            size,
            font,
            steps: steps.unwrap_or(1) as f64,
            bytes: bytes as f64,
        }
    }

    /// Room for the labels of offsets.
    fn left(&self) -> f64 {
        5.0 * self.font
    }

    fn right(&self) -> f64 {
        self.size[0] - self.font
    }

    fn top(&self) -> f64 {
        3.0 * self.font
    }

    fn bottom(&self) -> f64 {
        self.size[1] - 3.5 * self.font
    }

    fn x(&self, step: f64) -> f64 {
        self.left() + (self.right() - self.left()) * step / self.steps
    }

    fn y(&self, offset: f64) -> f64 {
        self.bottom() - (self.bottom() - self.top()) * offset / self.bytes
    }

    fn draw(&self, report: &PlanReport) -> String {
        let optimal = if report.optimal { ", optimal" } else { "" };
        let title = format!(
            "{} bytes ({}{optimal}), lower bound {}",
            report.peak_bytes, report.planner, report.lower_bound_bytes
        );
        let mut svg = Svg::new(self.size, self.font, &format!("memory plan: {title}"));
        let at = [self.left(), 1.8 * self.font];
        svg.text(at, Anchor::Start, Ink::Text, &title);
        self.draw_axes(&mut svg);
        for (index, buffer) in report.buffers.iter().enumerate() {
            let (first, end) = (f64::from(buffer.first), f64::from(buffer.last) + 1.0);
            let (offset, size) = (f64::from(buffer.offset), f64::from(buffer.size));
            let [x, top, base] = [self.x(first), self.y(offset + size), self.y(offset)];
            let (width, height) = (self.x(end) - x, base - top);
            // Neighbours by number differ by the golden angle.
            let hue = (index as f64 * 137.508) % 360.0;
            let about = format!(
                "{}: {} bytes at {}, operators {} to {}",
                buffer.name, buffer.size, buffer.offset, buffer.first, buffer.last
            );
            svg.block([x, top], [width, height], hue, &about);
            // A label is drawn where its rectangle has room for it.
            let room = ((width - 6.0) / (0.58 * self.font)) as usize;
            if height >= 1.1 * self.font && room >= 4 {
                let at = [x + 3.0, top.midpoint(base) + 0.35 * self.font];
                let label = shortened(&buffer.name, room);
                svg.text(at, Anchor::Start, Ink::OnShape, &label);
            }
        }
        let bound = self.y(report.lower_bound_bytes as f64);
        svg.line([self.left(), bound], [self.right(), bound], Ink::Limit);
        svg.finish()
    }

    fn draw_axes(&self, svg: &mut Svg) {
        let (left, right, bottom) = (self.left(), self.right(), self.bottom());
        for tick in 0..=4 {
            let offset = self.bytes * f64::from(tick) / 4.0;
            let y = self.y(offset);
            svg.line([left, y], [right, y], Ink::Grid);
            let at = [left - 6.0, y + 0.35 * self.font];
            svg.text(at, Anchor::End, Ink::Faint, &format!("{offset:.0}"));
        }
        let every = (self.steps / 16.0).ceil().max(1.0);
        let mut step = 0.0;
        while step < self.steps {
            let at = [self.x(step + 0.5), bottom + 1.4 * self.font];
            svg.text(at, Anchor::Middle, Ink::Faint, &format!("{step:.0}"));
            step += every;
        }
        let at = [right, bottom + 2.9 * self.font];
        svg.text(at, Anchor::End, Ink::Text, "operator");
        let at = [left - 6.0, 1.8 * self.font];
        svg.text(at, Anchor::End, Ink::Text, "offset");
    }
}

/// The end of a name says most.
fn shortened(name: &str, room: usize) -> String {
    let count = name.chars().count();
    match count > room {
        true => {
            let end = name.chars().skip(count + 1 - room);
            core::iter::once('…').chain(end).collect()
        }
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::PlacedBuffer;
    use super::*;

    #[test]
    fn names_cannot_break_the_picture() {
        let buffer = PlacedBuffer {
            name: "a<b>&\"c\u{1}".to_owned(),
            size: 16,
            first: 0,
            last: u32::MAX,
            offset: 0,
        };
        let report = PlanReport {
            peak_bytes: 16,
            lower_bound_bytes: 16,
            optimal: true,
            buffers: vec![buffer],
            ..PlanReport::default()
        };
        for text in [svg(&report), small_svg(&report)] {
            let title = "a&lt;b&gt;&amp;&quot;c: 16 bytes at 0";
            assert!(text.contains(title), "{text}");
        }
        assert!(svg(&PlanReport::default()).ends_with("</svg>\n"));
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("model/conv/Relu", 5), "…Relu");
        assert_eq!(shortened("conv", 5), "conv");
    }
}
