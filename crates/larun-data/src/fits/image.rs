//! Images: arrays of pixels with a scale.

use super::{FitsFault, Unit};

/// An image as physical values, `NAXIS1` varying fastest; blank pixels are NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The lengths of the axes, `NAXIS1` first: columns, rows, planes.
    pub axes: Vec<usize>,
    /// The values: `BZERO + BSCALE * stored`.
    pub values: Vec<f32>,
    /// `BUNIT`.
    pub unit: Option<String>,
}

impl Image {
    pub(super) fn new(unit: &Unit, data: &[u8]) -> Result<Self, FitsFault> {
        let header = &unit.header;
        let scale = header.number("BSCALE").unwrap_or(1.0);
        let zero = header.number("BZERO").unwrap_or(0.0);
        let blank = header.integer("BLANK");
        let bitpix = header.integer("BITPIX").unwrap_or(0);
        let width = header.element_bytes(0)?;
        let value = |bytes: &[u8]| {
            let stored = match bitpix {
                -32 | -64 => real(bytes),
                _ => {
                    let whole = integer(bytes);
                    if Some(whole) == blank {
                        return f32::NAN;
                    }
                    whole as f64
                }
            };
            (zero + scale * stored) as f32
        };
        let axes = header.axes(0)?;
        // What PCOUNT or GCOUNT add is no part of the image.
        let pixels = axes
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis));
        let stored = data.chunks_exact(width).take(pixels.unwrap_or(0));
        Ok(Self {
            axes,
            values: stored.map(value).collect(),
            unit: header.text("BUNIT").map(str::to_owned),
        })
    }
}

/// A big-endian whole number: unsigned of one byte, else two's complement.
pub(super) fn integer(bytes: &[u8]) -> i64 {
    match *bytes {
        [a] => i64::from(a),
        [a, b] => i64::from(i16::from_be_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

/// A big-endian number of four or eight bytes.
pub(super) fn real(bytes: &[u8]) -> f64 {
    match *bytes {
        [a, b, c, d] => f64::from(f32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => f64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => f64::NAN,
    }
}
