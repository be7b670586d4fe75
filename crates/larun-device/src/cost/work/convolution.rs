//! Convolutions and pooling.

use larun_ops::{Conv2DOptions, DepthwiseConv2DOptions, Pool2DOptions, TransposeConvOptions};

use super::Term;
use super::view::{Finish, View, count};
use super::window::{Axis, Image};
use crate::cost::Kernels;

type Way = (&'static str, Vec<Term>);

pub(super) fn conv2d(view: &View<'_>, options: &Conv2DOptions, kernels: Kernels) -> Option<Way> {
    let [batch, height, width, depth] = view.input_nhwc()?;
    let [outputs, filter_h, filter_w, filter_depth] = view.input(1)?.shape.nhwc()?;
    let padding = options.padding;
    let image = Image::new(
        batch,
        Axis::new(
            height,
            filter_h,
            options.stride_h,
            options.dilation_h,
            padding,
        )?,
        Axis::new(
            width,
            filter_w,
            options.stride_w,
            options.dilation_w,
            padding,
        )?,
    );
    let layer = Conv {
        image,
        outputs,
        filter_depth,
        groups: depth.checked_div(filter_depth)?,
        finish: view.finish(options.activation),
    };
    Some(match kernels {
        Kernels::Dsp if view.is_int8() => layer.dsp(),
        Kernels::Portable if view.is_int8() => layer.portable(),
        _ => layer.mixed(),
    })
}

struct Conv {
    image: Image,
    outputs: usize,
    filter_depth: usize,
    groups: usize,
    finish: Finish,
}

impl Conv {
    const fn patch(&self) -> usize {
        let taps = self
            .image
            .rows
            .filter
            .saturating_mul(self.image.columns.filter);
        taps.saturating_mul(self.filter_depth)
    }

    /// Pieces of a window that lie in one piece in the image, all pixels and groups together.
    fn runs(&self) -> f64 {
        let together = self.groups == 1 && self.image.columns.dilation == 1;
        let pieces = match together {
            true => self.image.tap_rows(),
            false => self.image.taps(),
        };
        pieces * self.groups as f64
    }

    /// Values that are copied from the image, all pixels and groups together.
    fn gathered(&self) -> f64 {
        self.image.taps() * self.filter_depth as f64 * self.groups as f64
    }

    /// Four pixels side by side, four weights at a time.
    fn dsp(&self) -> Way {
        if self.groups == 1
            && !self.filter_depth.is_multiple_of(4)
            && let Some(way) =
                few_channels(&self.image, self.filter_depth, self.outputs, self.finish)
        {
            return way;
        }
        let (pixels, outputs) = (self.image.pixels(), self.outputs as f64);
        let words = self.patch().div_ceil(4) as f64;
        let (fours, rest) = ((pixels / 4.0).floor(), pixels % 4.0);
        let sums = pixels * outputs;
        let mut terms = vec![
            ("words of weights, four pixels", fours * outputs * words),
            ("words of weights, one pixel", rest * outputs * words),
            ("outputs of four pixels", 4.0 * fours * outputs),
            ("outputs of one pixel", rest * outputs),
            ("signed outputs", sums * self.finish.is(Finish::Signed)),
            ("clamped outputs", sums * self.finish.is(Finish::Clamped)),
            ("channels", outputs),
        ];
        let groups = self.groups as f64;
        let blocks = (fours + rest) * groups;
        let in_words = self.filter_depth.is_multiple_of(4);
        let Image { rows, columns, .. } = self.image;
        if in_words && self.groups == 1 && rows.is_point() && columns.is_point() {
            terms.extend([("words of values", pixels * words), ("pixels", pixels)]);
            terms.push(("blocks of pixels", blocks));
            return ("1x1", terms);
        }
        let border = self.image.border() * groups;
        terms.extend([
            ("blocks of pixels", blocks),
            ("patches", pixels * groups),
            ("runs", self.runs()),
        ]);
        if in_words {
            terms.extend([
                ("words of values", self.gathered() / 4.0),
                ("words of patches at a border", border * words),
            ]);
            return ("kxk", terms);
        }
        terms.extend([
            ("bytes of values", self.gathered()),
            ("words of patches", pixels * groups * words),
            ("words of patches at a border", border * words),
        ]);
        ("kxk, odd depth", terms)
    }

    /// Two pixels of a row and two filters side by side, or what is left of a row and four.
    fn portable(&self) -> Way {
        let Image { rows, columns, .. } = self.image;
        let groups = self.groups as f64;
        let in_group = self.outputs as f64 / groups.max(1.0);
        let patch = self.patch() as f64;
        let of_rows = |pixels: usize| self.image.output_rows() * pixels as f64;
        let (pairs, singles) = (of_rows(columns.output / 2), of_rows(columns.output % 2));
        let in_pairs = 2.0 * pairs / self.image.pixels().max(1.0);
        let border = self.image.border() * groups * patch;
        let filter_pairs = (in_group / 2.0).ceil() * groups;
        let fours = (in_group / 4.0).ceil() * groups;
        let outputs = self.image.pixels() * self.outputs as f64;
        let terms = vec![
            ("outputs", outputs),
            ("clamped outputs", outputs * self.finish.is(Finish::Clamped)),
            ("pairs of pixels", pairs * groups),
            ("values, pairs of pixels", self.gathered() * in_pairs),
            (
                "values of patches at a border, pairs of pixels",
                border * in_pairs,
            ),
            ("two filters, pairs of pixels", pairs * filter_pairs),
            ("weights, pairs of pixels", pairs * filter_pairs * patch),
            ("single pixels", singles * groups),
            ("values, single pixels", self.gathered() * (1.0 - in_pairs)),
            (
                "values of patches at a border, single pixels",
                border * (1.0 - in_pairs),
            ),
            ("four filters, single pixels", singles * fours),
            (
                "quads of weights, single pixels",
                singles * fours * (patch / 4.0).floor(),
            ),
            (
                "odd weights, single pixels",
                singles * fours * (patch % 4.0),
            ),
            ("runs", self.runs()),
            ("rows", self.image.output_rows()),
        ];
        let point = rows.filter == 1 && columns.filter == 1;
        (if point { "1x1" } else { "kxk" }, terms)
    }

    /// Other types than INT8: one pixel and up to four filters.
    fn mixed(&self) -> Way {
        let groups = self.groups as f64;
        let in_group = self.outputs as f64 / groups.max(1.0);
        let fours = (in_group / 4.0).ceil();
        let (pixels, gathered) = (self.image.pixels(), self.gathered());
        let border = self.image.border() * groups * self.patch() as f64;
        let terms = vec![
            ("outputs", pixels * self.outputs as f64),
            ("patches", pixels * groups),
            ("pixels", pixels),
            ("values", gathered),
            ("values of patches at a border", border),
            ("four filters", pixels * fours * groups),
            ("weights, four filters", gathered * fours),
            ("multiplications", gathered * in_group),
            ("runs", self.runs()),
            ("runs by four filters", self.runs() * fours),
            ("rows", self.image.output_rows()),
        ];
        ("", terms)
    }
}

/// The way of convolutions over few channels.
pub(super) const FEW_CHANNELS: &str = "few channels";

/// Four windows of few values side by side; `None` where the kernel leaves them to others.
fn few_channels(image: &Image, depth: usize, outputs: usize, finish: Finish) -> Option<Way> {
    let Image { rows, columns, .. } = *image;
    let run = columns.filter.checked_mul(depth)?;
    let patch = rows.filter.checked_mul(run)?;
    let row_lanes = 2 * (run / 4) + (run % 4).div_ceil(2);
    let lanes = rows
        .filter
        .checked_mul(row_lanes)?
        .checked_next_multiple_of(2)?;
    let pixels = rows.output.checked_mul(columns.output)?;
    let small = patch <= 1 << 16 && lanes.checked_add(4)?.checked_mul(outputs)? <= 1024;
    if !small || pixels < 4 || rows.dilation != 1 || columns.dilation != 1 {
        return None;
    }
    let blocks = image.batch as f64 * pixels.div_ceil(4) as f64;
    let (windows, outputs) = (4.0 * blocks, outputs as f64);
    let (sums, border) = (windows * outputs, image.border());
    let window_rows = rows.filter as f64;
    let terms = vec![
        (
            "words of weights, four pixels",
            blocks * outputs * lanes as f64 / 2.0,
        ),
        ("outputs of four pixels", sums),
        ("signed outputs", sums * finish.is(Finish::Signed)),
        ("clamped outputs", sums * finish.is(Finish::Clamped)),
        ("blocks of pixels", blocks),
        // Four windows inside of a row are widened together, others one by one.
        (
            "windows by themselves",
            windows - 4.0 * image.whole_blocks(4),
        ),
        ("rows of windows", windows * window_rows),
        ("words of values", windows * window_rows * (run / 4) as f64),
        ("patches at a border", border),
        ("rows of windows at a border", border * window_rows),
        ("words at a border", border * window_rows * (run / 4) as f64),
        ("channels", outputs),
        ("weights", outputs * patch as f64),
    ];
    Some((FEW_CHANNELS, terms))
}

pub(super) fn depthwise(
    view: &View<'_>,
    options: &DepthwiseConv2DOptions,
    kernels: Kernels,
) -> Option<Way> {
    let [batch, height, width, depth] = view.input_nhwc()?;
    let [_, filter_h, filter_w, outputs] = view.input(1)?.shape.nhwc()?;
    let padding = options.padding;
    let image = Image::new(
        batch,
        Axis::new(
            height,
            filter_h,
            options.stride_h,
            options.dilation_h,
            padding,
        )?,
        Axis::new(
            width,
            filter_w,
            options.stride_w,
            options.dilation_w,
            padding,
        )?,
    );
    let finish = view.finish(options.activation);
    let in_fours = depth >= 4 && outputs == depth;
    if kernels == Kernels::Dsp && view.is_int8() && in_fours {
        return Some(depthwise_dsp(&image, depth, finish));
    }
    if kernels == Kernels::Dsp
        && view.is_int8()
        && depth == 1
        && let Some(way) = few_channels(&image, 1, outputs, finish)
    {
        return Some(way);
    }
    let multiplier = outputs.checked_div(depth)?;
    Some(depthwise_portable(&image, depth, multiplier, kernels))
}

fn depthwise_dsp(image: &Image, depth: usize, finish: Finish) -> Way {
    let Image { rows, columns, .. } = *image;
    let (groups, pixels) = (depth.div_ceil(4) as f64, image.pixels());
    let windows = groups * pixels;
    let mut terms = vec![
        ("windows of four channels", windows),
        ("signed windows", windows * finish.is(Finish::Signed)),
        ("clamped windows", windows * finish.is(Finish::Clamped)),
        ("groups of four channels", groups),
    ];
    if rows.filter == 3 && columns.filter == 3 && columns.dilation == 1 {
        let packed = columns.input.min(columns.met().saturating_sub(columns.pad)) as f64;
        let bands = groups * image.output_rows();
        terms.extend([
            ("columns packed", bands * packed),
            ("rows of windows", bands),
            ("rows", image.output_rows()),
            ("columns", columns.met() as f64),
        ]);
        return ("3x3", terms);
    }
    if let Some(way) = depthwise_line(image, groups, finish) {
        return way;
    }
    terms.extend([
        ("taps of four channels", groups * image.taps()),
        ("rows of taps", groups * image.tap_rows()),
        ("pixels", pixels),
        ("rows", image.output_rows()),
    ]);
    ("kxk", terms)
}

/// Windows of one row of taps a step apart, four of a channel side by side; `None` for others.
fn depthwise_line(image: &Image, groups: f64, finish: Finish) -> Option<Way> {
    const STRETCH: usize = 128;
    let Image { rows, columns, .. } = *image;
    let plain = columns.stride == 1 && columns.dilation == 1 && rows.pad == 0;
    let (windows, taps) = (columns.output, columns.filter);
    let several = windows >= 4 && windows.saturating_mul(taps) >= 100;
    if !plain || !several || rows.filter != 1 || taps > 11 {
        return None;
    }
    let bands = groups * image.output_rows();
    let fours = bands * 4.0 * columns.output.div_ceil(4) as f64;
    let steps = (columns.filter / 2 + 1) as f64;
    let stretches = columns.output.div_ceil(STRETCH) as f64;
    let terms = vec![
        ("four windows", fours),
        ("steps of four windows", fours * steps),
        ("signed windows", fours * finish.is(Finish::Signed)),
        ("clamped windows", fours * finish.is(Finish::Clamped)),
        (
            "pairs of columns",
            fours / 2.0 + bands * stretches * (steps - 1.0),
        ),
        ("stretches", bands * stretches),
        (
            "rows that are no whole fours",
            bands * f64::from(u8::from(!columns.output.is_multiple_of(4))),
        ),
        ("groups of four channels", groups),
        ("pairs of weights", groups * steps),
    ];
    Some(("1xk", terms))
}

/// Channels side by side in blocks, the widest that fit.
fn depthwise_portable(image: &Image, depth: usize, multiplier: usize, kernels: Kernels) -> Way {
    let (pixels, taps) = (image.pixels(), image.taps());
    let outputs = depth.saturating_mul(multiplier);
    let split = |channels: usize| {
        let (eights, rest) = (channels / 8, channels % 8);
        [eights, rest / 4, rest % 4].map(|n| n as f64)
    };
    let (way, [eights, fours, ones]) = match (kernels, multiplier) {
        (Kernels::Dsp, 1) => ("", [0.0, outputs.div_ceil(4) as f64, 0.0]),
        (Kernels::Dsp, _) => ("multiplier", [0.0, outputs.div_ceil(4) as f64, 0.0]),
        (Kernels::Portable, 1) => ("", split(outputs)),
        (Kernels::Portable, _) => ("multiplier", split(multiplier).map(|n| n * depth as f64)),
    };
    let outputs = pixels * outputs as f64;
    let terms = vec![
        ("taps of eight channels", taps * eights),
        ("taps of four channels", taps * fours),
        ("taps of one channel", taps * ones),
        ("rows of taps", image.tap_rows() * (eights + fours + ones)),
        ("blocks of channels", pixels * (eights + fours + ones)),
        ("outputs", outputs),
        ("pixels", pixels),
        ("rows", image.output_rows()),
    ];
    (way, terms)
}

/// A pool; where its sums are of 16 bits, `most` says of how many taps.
pub(super) fn pool(
    view: &View<'_>,
    options: &Pool2DOptions,
    kernels: Kernels,
    most: usize,
) -> Option<Way> {
    let [batch, height, width, depth] = view.input_nhwc()?;
    let size = |value: i32| usize::try_from(value).ok();
    let padding = options.padding;
    let image = Image::new(
        batch,
        Axis::new(
            height,
            size(options.filter_h)?,
            options.stride_h,
            1,
            padding,
        )?,
        Axis::new(width, size(options.filter_w)?, options.stride_w, 1, padding)?,
    );
    let (pixels, taps) = (image.pixels(), image.taps());
    let few = image.rows.filter.saturating_mul(image.columns.filter) <= most;
    if kernels == Kernels::Dsp && view.is_int8() && depth >= 4 && few {
        let groups = depth.div_ceil(4) as f64;
        let mut terms = vec![
            ("taps of four channels", taps * groups),
            ("rows of taps", image.tap_rows() * groups),
            ("windows of four channels", pixels * groups),
            ("pixels", pixels),
        ];
        if most == usize::MAX {
            // Windows that stick out of a row come one by one, the others together; so do those of the last channels.
            let columns = image.columns;
            let alone = columns.output as f64 - columns.whole();
            let together = f64::from(u8::from(columns.whole() > 0.0));
            let parts = if depth.is_multiple_of(4) { 1.0 } else { 2.0 };
            let runs = image.output_rows() * (alone + together);
            terms.extend([("runs", runs), ("runs of channels", runs * parts)]);
            return Some(("rows of windows", terms));
        }
        return Some(("four channels", terms));
    }
    let (eights, rest) = ((depth / 8) as f64, (depth % 8) as f64);
    let (fours, ones) = ((rest / 4.0).floor(), rest % 4.0);
    let terms = vec![
        ("taps of eight channels", taps * eights),
        ("taps of four channels", taps * fours),
        ("taps of one channel", taps * ones),
        ("rows of taps", image.tap_rows() * (eights + fours + ones)),
        ("outputs", pixels * depth as f64),
        ("pixels", pixels),
    ];
    Some(("", terms))
}

pub(super) fn transpose_conv(view: &View<'_>, _: &TransposeConvOptions) -> Option<Way> {
    let filter = view.input(1)?.shape.nhwc()?;
    let [outputs, filter_h, filter_w, depth] = filter.map(|n| n as f64);
    let values = count(view.input(2)?);
    let pixels = values / depth.max(1.0);
    let taps = pixels * filter_h * filter_w;
    let terms = vec![
        ("multiplications", taps * outputs * depth),
        ("products added", taps * outputs),
        ("taps", taps),
        ("pixels", pixels),
        ("outputs", count(view.output)),
    ];
    Some(("", terms))
}
