//! A memory plan as a picture: lifetimes from left to right, offsets from bottom to top.

use core::fmt::Write;

use super::PlanReport;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 480.0;
/// Room for the axes' labels.
const LEFT: f64 = 84.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;
/// A label is drawn where its rectangle has room for it.
const CHARACTER: f64 = 6.2;
const LINE: f64 = 12.0;

/// Draws a plan. The result is an `<svg>` element that stands alone as a file, and fits into an HTML page.
///
/// Each buffer is a rectangle from its first operator to its last, at its offset; a dashed line is the lower bound. A title on every
/// rectangle says its name, bytes, operators and offset.
pub fn svg(report: &PlanReport) -> String {
    let steps = report
        .buffers
        .iter()
        .map(|b| u64::from(b.last) + 1)
        .max()
        .unwrap_or(1);
    let bytes = report.peak_bytes.max(report.lower_bound_bytes).max(1);
    let frame = Frame {
        steps: steps as f64,
        bytes: bytes as f64,
    };
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = frame.write(&mut text, report);
    text
}

struct Frame {
    steps: f64,
    bytes: f64,
}

impl Frame {
    fn x(&self, step: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * step / self.steps
    }

    fn y(&self, offset: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * offset / self.bytes
    }

    fn write(&self, text: &mut String, report: &PlanReport) -> core::fmt::Result {
        writeln!(
            text,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">"#
        )?;
        writeln!(
            text,
            r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#
        )?;
        let optimal = if report.optimal { ", optimal" } else { "" };
        writeln!(
            text,
            r#"<text x="{LEFT}" y="22" font-size="14">{} bytes ({}{optimal}), lower bound {}</text>"#,
            report.peak_bytes, report.planner, report.lower_bound_bytes
        )?;
        self.write_axes(text)?;
        for (index, buffer) in report.buffers.iter().enumerate() {
            let (x, end) = (
                self.x(buffer.first.into()),
                self.x(f64::from(buffer.last) + 1.0),
            );
            let offset = f64::from(buffer.offset);
            let (top, base) = (self.y(offset + f64::from(buffer.size)), self.y(offset));
            let (width, height) = (end - x, base - top);
            // Neighbours by number differ by the golden angle.
            let hue = (index as f64 * 137.508) % 360.0;
            let name = escaped(&buffer.name);
            writeln!(
                text,
                r#"<g><title>{name}: {} bytes at {}, operators {} to {}</title><rect x="{x:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}" fill="hsl({hue:.0},60%,75%)" stroke="black" stroke-width="0.5"/>"#,
                buffer.size, buffer.offset, buffer.first, buffer.last
            )?;
            let room = (width / CHARACTER) as usize;
            if height >= LINE && room >= 4 {
                let label = shortened(&buffer.name, room);
                let (x, y) = (x + 3.0, top.midpoint(base) + 4.0);
                write!(
                    text,
                    r#"<text x="{x:.1}" y="{y:.1}">{}</text>"#,
                    escaped(&label)
                )?;
            }
            text.push_str("</g>\n");
        }
        let bound = self.y(report.lower_bound_bytes as f64);
        writeln!(
            text,
            r#"<line x1="{LEFT}" x2="{}" y1="{bound:.1}" y2="{bound:.1}" stroke="red" stroke-dasharray="6 4"/>"#,
            WIDTH - RIGHT
        )?;
        text.push_str("</svg>\n");
        Ok(())
    }

    fn write_axes(&self, text: &mut String) -> core::fmt::Result {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in 0..=4 {
            let offset = self.bytes * f64::from(tick) / 4.0;
            let y = self.y(offset);
            writeln!(
                text,
                r##"<line x1="{LEFT}" x2="{right}" y1="{y:.1}" y2="{y:.1}" stroke="#ddd"/><text x="{}" y="{:.1}" text-anchor="end">{offset:.0}</text>"##,
                LEFT - 6.0,
                y + 4.0
            )?;
        }
        let every = (self.steps / 16.0).ceil().max(1.0);
        let mut step = 0.0;
        while step < self.steps {
            let x = self.x(step + 0.5);
            writeln!(
                text,
                r#"<text x="{x:.1}" y="{}" text-anchor="middle">{step:.0}</text>"#,
                bottom + 16.0
            )?;
            step += every;
        }
        writeln!(
            text,
            r#"<text x="{right}" y="{}" text-anchor="end">operator</text>"#,
            bottom + 32.0
        )
    }
}

/// The end of a name says most.
fn shortened(name: &str, room: usize) -> String {
    let count = name.chars().count();
    match count > room {
        true => name
            .chars()
            .skip(count - room + 1)
            .fold("…".to_owned(), |mut label, c| {
                label.push(c);
                label
            }),
        false => name.to_owned(),
    }
}

/// Text for XML: markup escaped, control characters left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
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
        let text = svg(&report);
        assert!(
            text.contains("a&lt;b&gt;&amp;&quot;c: 16 bytes at 0"),
            "{text}"
        );
        assert!(svg(&PlanReport::default()).ends_with("</svg>\n"));
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("model/conv/Relu", 5), "…Relu");
        assert_eq!(shortened("conv", 5), "conv");
    }
}
