//! The header of a `.npy` file: a Python dictionary with element type, order and shape.

use std::io::{self, Read, Write};

use larun_ops::ElementType;

use super::NpyFault;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy's own limit for headers it has not been told to trust.
const MAX_HEADER: u64 = 10_000;
const NUMBERS: &str = "bool, int8..64, uint8..64, float16..64 or complex64..128";

/// What the letter of an element type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Int,
    UInt,
    Float,
    Complex,
    /// Strings of four-byte code points.
    Unicode,
    /// Strings of bytes.
    Bytes,
}

/// What an array is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Bytes of one element.
    pub(crate) size: usize,
    pub(crate) shape: Vec<usize>,
    big_endian: bool,
    fortran_order: bool,
}

impl Header {
    pub(crate) fn new(element_type: ElementType, shape: &[usize]) -> Result<Self, NpyFault> {
        let (kind, size) = match element_type {
            ElementType::Bool => (Kind::Bool, 1),
            ElementType::Int8 => (Kind::Int, 1),
            ElementType::Int16 => (Kind::Int, 2),
            ElementType::Int32 => (Kind::Int, 4),
            ElementType::Int64 => (Kind::Int, 8),
            ElementType::UInt8 => (Kind::UInt, 1),
            ElementType::UInt16 => (Kind::UInt, 2),
            ElementType::UInt32 => (Kind::UInt, 4),
            ElementType::UInt64 => (Kind::UInt, 8),
            ElementType::Float16 => (Kind::Float, 2),
            ElementType::Float32 => (Kind::Float, 4),
            ElementType::Float64 => (Kind::Float, 8),
            ElementType::Complex64 => (Kind::Complex, 8),
            ElementType::Complex128 => (Kind::Complex, 16),
            other => {
                return Err(NpyFault::ElementType {
                    found: other.name().to_owned(),
                    expected: NUMBERS,
                });
            }
        };
        Ok(Self::in_order(kind, size, shape.to_vec()))
    }

    /// The header of `count` strings of up to `longest` code points.
    pub(crate) fn strings(longest: usize, count: usize) -> Self {
        Self::in_order(Kind::Unicode, 4 * longest, vec![count])
    }

    fn in_order(kind: Kind, size: usize, shape: Vec<usize>) -> Self {
        Self {
            kind,
            size,
            shape,
            big_endian: false,
            fortran_order: false,
        }
    }

    /// Reads the header of a file of `len` bytes; also how many bytes of data follow.
    pub(crate) fn read(reader: &mut dyn Read, len: u64) -> Result<(Self, u64), NpyFault> {
        let mut start = [0; 8];
        fill(reader, &mut start, NpyFault::NotNpy)?;
        let too_short = || NpyFault::Header("the file ends within it".to_owned());
        let (prefix, text_len) = match start {
            [magic @ .., 1, 0] if &magic == MAGIC => {
                let mut bytes = [0; 2];
                fill(reader, &mut bytes, too_short())?;
                (10, u64::from(u16::from_le_bytes(bytes)))
            }
            [magic @ .., 2 | 3, 0] if &magic == MAGIC => {
                let mut bytes = [0; 4];
                fill(reader, &mut bytes, too_short())?;
                (12, u64::from(u32::from_le_bytes(bytes)))
            }
            _ => return Err(NpyFault::NotNpy),
        };
        if text_len > MAX_HEADER {
            return Err(NpyFault::Header(format!(
                "it claims {text_len} bytes, the most accepted is {MAX_HEADER}"
            )));
        }
        let mut text = vec![0; text_len as usize];
        fill(reader, &mut text, too_short())?;
        let data = len.checked_sub(prefix + text_len).ok_or_else(too_short)?;
        let text = String::from_utf8_lossy(&text);
        Ok((parse(&text)?, data))
    }

    pub(crate) fn write(&self, writer: &mut dyn Write) -> io::Result<()> {
        let mut shape: String = self.shape.iter().map(|dim| format!("{dim}, ")).collect();
        if self.shape.len() > 1 {
            shape.truncate(shape.len() - 2);
        }
        let mut text = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
            self.descr(),
            shape.trim_end()
        );
        // The data begin at a multiple of 64 bytes, after a line end.
        let unpadded = MAGIC.len() + 4 + text.len() + 1;
        text.extend(core::iter::repeat_n(
            ' ',
            unpadded.next_multiple_of(64) - unpadded,
        ));
        text.push('\n');
        let len = u16::try_from(text.len()).map_err(io::Error::other)?;
        writer.write_all(MAGIC)?;
        writer.write_all(&[1, 0])?;
        writer.write_all(&len.to_le_bytes())?;
        writer.write_all(text.as_bytes())
    }

    /// The element type as NumPy writes it, such as `<f4`.
    pub(crate) fn descr(&self) -> String {
        let order = match (self.kind, self.size) {
            (Kind::Bytes, _) => '|',
            (Kind::Unicode, _) | (_, 2..) if self.big_endian => '>',
            (Kind::Unicode, _) | (_, 2..) => '<',
            _ => '|',
        };
        let letter = match self.kind {
            Kind::Bool => 'b',
            Kind::Int => 'i',
            Kind::UInt => 'u',
            Kind::Float => 'f',
            Kind::Complex => 'c',
            Kind::Unicode => 'U',
            Kind::Bytes => 'S',
        };
        let size = if self.kind == Kind::Unicode {
            self.size / 4
        } else {
            self.size
        };
        format!("{order}{letter}{size}")
    }

    pub(crate) fn element_type(&self) -> Result<ElementType, NpyFault> {
        Ok(match (self.kind, self.size) {
            (Kind::Bool, 1) => ElementType::Bool,
            (Kind::Int, 1) => ElementType::Int8,
            (Kind::Int, 2) => ElementType::Int16,
            (Kind::Int, 4) => ElementType::Int32,
            (Kind::Int, 8) => ElementType::Int64,
            (Kind::UInt, 1) => ElementType::UInt8,
            (Kind::UInt, 2) => ElementType::UInt16,
            (Kind::UInt, 4) => ElementType::UInt32,
            (Kind::UInt, 8) => ElementType::UInt64,
            (Kind::Float, 2) => ElementType::Float16,
            (Kind::Float, 4) => ElementType::Float32,
            (Kind::Float, 8) => ElementType::Float64,
            (Kind::Complex, 8) => ElementType::Complex64,
            (Kind::Complex, 16) => ElementType::Complex128,
            _ => {
                return Err(NpyFault::ElementType {
                    found: self.descr(),
                    expected: NUMBERS,
                });
            }
        })
    }

    /// The bytes of data, which must be as many as are there.
    pub(crate) fn data_len(&self, found: u64) -> Result<usize, NpyFault> {
        let elements = self
            .shape
            .iter()
            .try_fold(1usize, |product, &dim| product.checked_mul(dim));
        match elements.and_then(|elements| elements.checked_mul(self.size)) {
            Some(expected) if expected as u64 == found => Ok(expected),
            Some(expected) => Err(self.length_error(expected.to_string(), found)),
            None => Err(self.length_error("too many".to_owned(), found)),
        }
    }

    pub(crate) fn length_error(&self, expected: String, found: u64) -> NpyFault {
        NpyFault::Length {
            shape: self.shape.clone(),
            element: self.descr(),
            expected,
            found,
        }
    }

    /// Reads the data that follow the header, little-endian and with the last axis varying fastest.
    pub(crate) fn read_data(
        &self,
        reader: &mut dyn Read,
        available: u64,
    ) -> Result<Vec<u8>, NpyFault> {
        let expected = self.data_len(available)?;
        // Grown as the bytes come, because an archive can claim a size that it does not have.
        let mut bytes = Vec::new();
        let found = reader.take(available).read_to_end(&mut bytes)?;
        if found != expected {
            return Err(self.length_error(expected.to_string(), found as u64));
        }
        if self.big_endian {
            self.swap_bytes(&mut bytes);
        }
        Ok(if self.fortran_order {
            self.transposed(&bytes)
        } else {
            bytes
        })
    }

    fn swap_bytes(&self, bytes: &mut [u8]) {
        let unit = match self.kind {
            Kind::Complex => self.size / 2,
            Kind::Unicode => 4,
            Kind::Bytes => 1,
            _ => self.size,
        };
        bytes
            .chunks_exact_mut(unit.max(1))
            .for_each(<[u8]>::reverse);
    }

    /// The elements with the last axis varying fastest, given with the first varying fastest.
    fn transposed(&self, bytes: &[u8]) -> Vec<u8> {
        let mut index = vec![0usize; self.shape.len()];
        let mut strides = Vec::with_capacity(self.shape.len());
        let mut stride = self.size;
        for &dim in &self.shape {
            strides.push(stride);
            stride = stride.saturating_mul(dim);
        }
        let mut ordered = Vec::with_capacity(bytes.len());
        while ordered.len() < bytes.len() {
            let at: usize = index
                .iter()
                .zip(&strides)
                .map(|(i, stride)| i * stride)
                .sum();
            ordered.extend_from_slice(bytes.get(at..at + self.size).unwrap_or_default());
            for (i, &dim) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < dim {
                    break;
                }
                *i = 0;
            }
        }
        ordered
    }
}

fn fill(reader: &mut dyn Read, bytes: &mut [u8], at_end: NpyFault) -> Result<(), NpyFault> {
    reader
        .read_exact(bytes)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => at_end,
            _ => NpyFault::Io(error),
        })
}

/// Reads the dictionary. Only what NumPy writes is accepted: three keys, no nesting beyond the shape's tuple.
fn parse(text: &str) -> Result<Header, NpyFault> {
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    let mut rest = expect(text, '{')?;
    loop {
        if let Some(after) = rest.trim_start().strip_prefix('}') {
            rest = after;
            break;
        }
        let (key, after) = string(rest)?;
        let value = expect(after, ':')?;
        rest = match key {
            "descr" => store(&mut descr, key, string(value)?)?,
            "fortran_order" => store(&mut fortran_order, key, boolean(value)?)?,
            "shape" => store(&mut shape, key, dimensions(value)?)?,
            _ => return Err(NpyFault::Header(format!("unexpected key {key:?}"))),
        };
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    if !rest.trim().is_empty() {
        return Err(NpyFault::Header("text after the dictionary".to_owned()));
    }
    let missing = |key: &str| NpyFault::Header(format!("no key {key:?}"));
    let (kind, size, big_endian) = element(descr.ok_or_else(|| missing("descr"))?)?;
    Ok(Header {
        kind,
        size,
        shape: shape.ok_or_else(|| missing("shape"))?,
        big_endian,
        fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
    })
}

fn store<'t, T>(
    slot: &mut Option<T>,
    key: &str,
    (value, rest): (T, &'t str),
) -> Result<&'t str, NpyFault> {
    match slot.replace(value) {
        None => Ok(rest),
        Some(_) => Err(NpyFault::Header(format!("the key {key:?} comes twice"))),
    }
}

fn expect(text: &str, sign: char) -> Result<&str, NpyFault> {
    let malformed = || NpyFault::Header(format!("expected {sign:?} at {:?}", excerpt(text)));
    text.trim_start().strip_prefix(sign).ok_or_else(malformed)
}

fn string(text: &str) -> Result<(&str, &str), NpyFault> {
    let malformed = || {
        NpyFault::Header(format!(
            "expected a string at {:?} (records are not supported)",
            excerpt(text)
        ))
    };
    let text = text.trim_start();
    let quote = text
        .chars()
        .next()
        .filter(|c| matches!(c, '\'' | '"'))
        .ok_or_else(malformed)?;
    text.strip_prefix(quote)
        .and_then(|rest| rest.split_once(quote))
        .ok_or_else(malformed)
}

fn boolean(text: &str) -> Result<(bool, &str), NpyFault> {
    let text = text.trim_start();
    let no = || text.strip_prefix("False").map(|rest| (false, rest));
    let found = text
        .strip_prefix("True")
        .map(|rest| (true, rest))
        .or_else(no);
    found.ok_or_else(|| NpyFault::Header(format!("expected True or False at {:?}", excerpt(text))))
}

fn dimensions(text: &str) -> Result<(Vec<usize>, &str), NpyFault> {
    let malformed = || {
        NpyFault::Header(format!(
            "expected a shape such as (3, 4) at {:?}",
            excerpt(text)
        ))
    };
    let (inside, rest) = expect(text, '(')?.split_once(')').ok_or_else(malformed)?;
    let inside = inside.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Ok((Vec::new(), rest));
    }
    // Python 2 wrote long integers with an L.
    let dims = inside
        .split(',')
        .map(|dim| dim.trim().trim_end_matches('L').parse());
    Ok((
        dims.collect::<Result<_, _>>().map_err(|_| malformed())?,
        rest,
    ))
}

/// Kind, bytes of one element and whether they are in big-endian order, from a name such as `<f4`.
fn element(descr: &str) -> Result<(Kind, usize, bool), NpyFault> {
    let unknown = || NpyFault::ElementType {
        found: descr.to_owned(),
        expected: "numbers or strings",
    };
    let mut letters = descr.chars();
    let big_endian = match letters.next() {
        Some('<' | '|' | '=') => false,
        Some('>') => true,
        _ => return Err(unknown()),
    };
    let kind = match letters.next() {
        Some('b') => Kind::Bool,
        Some('i') => Kind::Int,
        Some('u') => Kind::UInt,
        Some('f') => Kind::Float,
        Some('c') => Kind::Complex,
        Some('U') => Kind::Unicode,
        Some('S' | 'a') => Kind::Bytes,
        _ => return Err(unknown()),
    };
    let size: usize = letters.as_str().parse().map_err(|_| unknown())?;
    let unit = if kind == Kind::Unicode { 4 } else { 1 };
    Ok((
        kind,
        size.checked_mul(unit).ok_or_else(unknown)?,
        big_endian,
    ))
}

fn excerpt(text: &str) -> String {
    text.trim_start().chars().take(24).collect()
}
