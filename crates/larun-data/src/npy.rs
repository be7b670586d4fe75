//! NumPy's `.npy` files: one array each, its element type kept.
//!
//! Format: "NEP 1" and the documentation of `numpy.lib.format`, versions 1.0 to 3.0,
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

mod element;
mod header;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use larun_ops::ElementType;

pub use element::Element;
pub(crate) use header::Header;
use header::Kind;

use crate::files::write_beside;

/// An array with its element type.
///
/// ```
/// use larun_data::npy::NpyArray;
///
/// let array = NpyArray::from_values(&[2, 3], &[1i8, 2, 3, 4, 5, 6])?;
/// let mut file = Vec::new();
/// array.write_to(&mut file)?;
/// assert_eq!(NpyArray::read_from(&mut &file[..], file.len() as u64)?, array);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NpyArray {
    element_type: ElementType,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// What is wrong with an array's file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpyFault {
    /// The file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file does not start as a `.npy` file does.
    #[error(
        "not a .npy file: it must start with the bytes \\x93NUMPY and a version from 1.0 to 3.0"
    )]
    NotNpy,
    /// The header is not the dictionary that the format asks for.
    #[error("malformed .npy header: {0}")]
    Header(String),
    /// The element type is none that is read here.
    #[error("the element type is {found:?}, expected {expected}")]
    ElementType {
        /// The type as the file names it, such as `<f4`.
        found: String,
        /// The types that would do.
        expected: &'static str,
    },
    /// There are more or fewer bytes than shape and element type ask for.
    #[error("shape {shape:?} of {element} asks for {expected} bytes of data, there are {found}")]
    Length {
        /// The shape.
        shape: Vec<usize>,
        /// The element type as the file names it.
        element: String,
        /// The bytes that the shape asks for; `too many` beyond the address space.
        expected: String,
        /// The bytes that are there.
        found: u64,
    },
}

/// What is wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", file.display())]
pub struct NpyError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Box<NpyFault>,
}

impl NpyArray {
    /// An array from the little-endian bytes of its elements, the last axis varying fastest.
    ///
    /// # Errors
    /// [`NpyFault::ElementType`] for a type that NumPy has no name for, [`NpyFault::Length`] when the bytes do not fill the shape.
    pub fn new(
        element_type: ElementType,
        shape: &[usize],
        bytes: Vec<u8>,
    ) -> Result<Self, NpyFault> {
        let header = Header::new(element_type, shape)?;
        header.data_len(bytes.len() as u64)?;
        Ok(Self {
            element_type,
            shape: shape.to_vec(),
            bytes,
        })
    }

    /// An array of these values, the last axis varying fastest.
    ///
    /// # Errors
    /// [`NpyFault::Length`] when there are more or fewer values than the shape holds.
    pub fn from_values<T: Element>(shape: &[usize], values: &[T]) -> Result<Self, NpyFault> {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Self::new(T::ELEMENT_TYPE, shape, bytes)
    }

    /// What one element is.
    #[must_use]
    pub fn element_type(&self) -> ElementType {
        self.element_type
    }

    /// The dimensions, outermost first; none for a single value.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements in little-endian bytes, the last axis varying fastest.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The elements' bytes alone.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The elements, or `None` where they are of another type.
    #[must_use]
    pub fn values<T: Element>(&self) -> Option<Vec<T>> {
        (T::ELEMENT_TYPE == self.element_type).then(|| T::read_all(&self.bytes).collect())
    }

    /// The elements as single-precision numbers: integers, booleans and floats, rounded to nearest; `None` for complex ones.
    #[must_use]
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        element::to_f32(self.element_type, &self.bytes)
    }

    /// The elements as wide integers: integers and booleans only, `None` for anything else.
    ///
    /// `i128`, because it holds what `int64` and `uint64` hold.
    #[must_use]
    pub fn to_integers(&self) -> Option<Vec<i128>> {
        element::to_integers(self.element_type, &self.bytes)
    }

    /// Reads a `.npy` file. Big-endian and Fortran-ordered arrays are put in order.
    ///
    /// # Errors
    /// [`NpyError`] naming the file: it cannot be read, is not a `.npy` file, has elements that are not plain numbers, or is shorter or
    /// longer than its header says.
    pub fn read(path: &Path) -> Result<Self, NpyError> {
        Self::open(path).map_err(|fault| NpyError {
            file: path.to_owned(),
            fault: Box::new(fault),
        })
    }

    fn open(path: &Path) -> Result<Self, NpyFault> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Self::read_from(&mut BufReader::new(file), len)
    }

    /// Reads a `.npy` file of `len` bytes. Nothing is allocated beyond what `len` justifies.
    ///
    /// # Errors
    /// As [`NpyArray::read`].
    pub fn read_from(reader: &mut dyn Read, len: u64) -> Result<Self, NpyFault> {
        let (header, data) = Header::read(reader, len)?;
        let element_type = header.element_type()?;
        let bytes = header.read_data(reader, data)?;
        Ok(Self {
            element_type,
            shape: header.shape,
            bytes,
        })
    }

    /// Writes a `.npy` file: beside its name first, then renamed, so that no half-written file is ever left under that name.
    ///
    /// # Errors
    /// [`NpyError`] naming the file when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), NpyError> {
        write_beside(path, |file| self.write_to(file)).map_err(|error| NpyError {
            file: path.to_owned(),
            fault: Box::new(NpyFault::Io(error)),
        })
    }

    /// Writes the bytes of a `.npy` file, version 1.0.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write_to(&self, writer: &mut dyn Write) -> io::Result<()> {
        let header = Header::new(self.element_type, &self.shape).map_err(io::Error::other)?;
        header.write(writer)?;
        writer.write_all(&self.bytes)
    }
}

/// Reads an array of strings (`<U..`, `|S..`) of one axis from a `.npy` file of `len` bytes.
pub(crate) fn read_strings(reader: &mut dyn Read, len: u64) -> Result<Vec<String>, NpyFault> {
    let (header, data) = Header::read(reader, len)?;
    let width = header.size;
    let wide = match header.kind {
        Kind::Unicode => true,
        Kind::Bytes => false,
        _ => {
            return Err(NpyFault::ElementType {
                found: header.descr(),
                expected: "strings (<U or |S)",
            });
        }
    };
    if header.shape.len() != 1 {
        let message = format!("strings of shape {:?}, expected one axis", header.shape);
        return Err(NpyFault::Header(message));
    }
    let count = header.shape.first().copied().unwrap_or(0);
    // Strings of no characters take no bytes, so that a header could ask for any number of them.
    if width == 0 && count as u64 > len {
        return Err(header.length_error("too many".to_owned(), data));
    }
    let bytes = header.read_data(reader, data)?;
    let text = |i: usize| bytes.get(i * width..(i + 1) * width).unwrap_or_default();
    Ok((0..count)
        .map(|i| if wide { utf32(text(i)) } else { latin(text(i)) })
        .collect())
}

/// Writes an array of strings as `<U..`.
pub(crate) fn write_strings(strings: &[String], writer: &mut dyn Write) -> io::Result<()> {
    let longest = strings
        .iter()
        .map(|text| text.chars().count())
        .max()
        .unwrap_or(0)
        .max(1);
    Header::strings(longest, strings.len()).write(writer)?;
    for text in strings {
        let padded = text.chars().map(u32::from).chain(core::iter::repeat(0));
        for code in padded.take(longest) {
            writer.write_all(&code.to_le_bytes())?;
        }
    }
    Ok(())
}

/// Code points in four bytes each, padded with zeros at the end.
fn utf32(bytes: &[u8]) -> String {
    let codes = bytes
        .chunks_exact(4)
        .map(|code| u32::from_le_bytes([code[0], code[1], code[2], code[3]]));
    let text: String = codes
        .map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    text.trim_end_matches('\0').to_owned()
}

fn latin(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .trim_end_matches('\0')
        .to_owned()
}

#[cfg(test)]
mod tests;
