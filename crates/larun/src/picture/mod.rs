//! Pictures as SVG: the shapes that plots and memory maps are drawn with, and plots.
//!
//! A picture stands alone as a file, with a light ground. In a page, whose style sheet names the [`Ink`]s by their classes, it takes the
//! page's colours, dark ones too.

mod axis;
mod plot;

use core::fmt::{Arguments, Write};

pub use axis::Axis;
pub use plot::{Line, Plot, Point, staircase};

/// What a shape is drawn with: a class for style sheets, and a colour where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// The ground of the picture.
    Ground,
    /// Lines to read values by.
    Grid,
    /// Words and numbers.
    Text,
    /// Words and numbers that are not looked at first.
    Faint,
    /// Words on a coloured shape.
    OnShape,
    /// What the picture is about.
    Main,
    /// What it is compared with.
    Other,
    /// One of many.
    Many,
    /// One of many that stands out.
    Chosen,
    /// A limit or a border between parts.
    Limit,
}

impl Ink {
    /// The class and the colour that a line of it has.
    const fn line(self) -> (&'static str, &'static str) {
        (self.class(), self.colour())
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Ground => "ground",
            Self::Grid => "grid",
            Self::Text => "text",
            Self::Faint => "faint",
            Self::OnShape => "on-shape",
            Self::Main => "main",
            Self::Other => "other",
            Self::Many => "many",
            Self::Chosen => "chosen",
            Self::Limit => "limit",
        }
    }

    const fn colour(self) -> &'static str {
        match self {
            Self::Ground => "#ffffff",
            Self::Grid => "#dddddd",
            Self::Text | Self::OnShape => "#000000",
            Self::Faint => "#666666",
            Self::Main => "#1d5fd1",
            Self::Other => "#c2540a",
            Self::Many => "#8888aa",
            Self::Chosen => "#cc3333",
            Self::Limit => "#cc0000",
        }
    }
}

/// Where a text stands beside its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// An SVG picture that is being drawn. Coordinates go right and down from the upper left corner; texts are escaped.
#[derive(Clone, Debug)]
pub struct Svg {
    text: String,
}

impl Svg {
    /// An empty picture with a ground. `about` is what a program says that reads pages aloud.
    #[must_use]
    pub fn new([width, height]: [f64; 2], font_size: f64, about: &str) -> Self {
        let mut svg = Self {
            text: String::new(),
        };
        let about = escaped(about);
        svg.put(format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="{font_size}" role="img" aria-label="{about}">"#
        ));
        svg.rect([0.0, 0.0], [width, height], Ink::Ground);
        svg
    }

    /// A rectangle without a border.
    pub fn rect(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], ink: Ink) {
        let (class, colour) = ink.line();
        self.put(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
        ));
    }

    /// A line.
    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], ink: Ink) {
        let (class, colour) = ink.line();
        let dashes = match ink {
            Ink::Limit => r#" stroke-dasharray="6 4""#,
            _ => "",
        };
        self.put(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}"{dashes}/>"#
        ));
    }

    /// A line through several points.
    pub fn polyline(&mut self, points: &[[f64; 2]], ink: Ink) {
        let (class, colour) = ink.line();
        let points: Vec<String> = points
            .iter()
            .map(|[x, y]| format!("{x:.1},{y:.1}"))
            .collect();
        self.put(format_args!(
            r#"<polyline class="{class}" points="{}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>"#,
            points.join(" ")
        ));
    }

    /// A disc; `title` is shown where a pointer rests on it.
    pub fn circle(&mut self, [x, y]: [f64; 2], radius: f64, ink: Ink, title: &str) {
        let (class, colour) = ink.line();
        let title = escaped(title);
        self.put(format_args!(
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{colour}"><title>{title}</title></circle>"#
        ));
    }

    /// A rectangle of its own hue, in degrees, with a border; `title` is shown where a pointer rests on it.
    pub fn block(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], hue: f64, title: &str) {
        let title = escaped(title);
        self.put(format_args!(
            r#"<rect class="block" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="hsl({hue:.0},60%,75%)" stroke="black" stroke-width="0.5"><title>{title}</title></rect>"#
        ));
    }

    /// A text whose base line goes through the point.
    pub fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, ink: Ink, text: &str) {
        let (class, colour) = ink.line();
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let text = escaped(text);
        self.put(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}"{anchor} fill="{colour}">{text}</text>"#
        ));
    }

    /// The picture: an `<svg>` element that stands alone as a file, and fits into an HTML page.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn put(&mut self, element: Arguments<'_>) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.text, "{element}");
    }
}

/// Text for XML and HTML: markup escaped, control characters left out.
pub(crate) fn escaped(text: &str) -> String {
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
    use super::{Anchor, Ink, Svg};

    #[test]
    fn texts_cannot_break_a_picture() {
        let mut svg = Svg::new([10.0, 10.0], 12.0, "a\"b");
        svg.text([0.0, 0.0], Anchor::Start, Ink::Text, "<script>&\u{1}");
        svg.circle([0.0, 0.0], 1.0, Ink::Main, "</title>");
        let text = svg.finish();
        assert!(text.contains("aria-label=\"a&quot;b\""), "{text}");
        assert!(text.contains("&lt;script&gt;&amp;<"), "{text}");
        assert!(text.contains("<title>&lt;/title&gt;</title>"), "{text}");
        assert!(text.ends_with("</svg>\n"));
    }
}
