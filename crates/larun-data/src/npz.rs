//! NumPy's `.npz` files: zip archives of `.npy` files, one for each named array.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::files::write_beside;
use crate::npy::{self, NpyArray, NpyFault};

/// The most that deflate can expand: 258 bytes from 2 bits, a little less than 1032 to 1.
const MAX_EXPANSION: u64 = 1032;
/// What an entry may hold beyond that bound, for the block headers of very short ones.
const EXPANSION_SLACK: u64 = 1024;

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpzFault {
    /// The file could not be opened, read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is not a zip archive, or a damaged one.
    #[error("not a .npz file (a zip archive of .npy files): {0}")]
    NotZip(ZipError),
    /// There is no array of that name.
    #[error("no array {array:?}: the file has {}", list(present))]
    Missing {
        /// The array asked for.
        array: String,
        /// The arrays that are there.
        present: Vec<String>,
    },
    /// An array is there but cannot be read.
    #[error("array {array:?}: {fault}")]
    Array {
        /// The array.
        array: String,
        /// What is wrong with it.
        fault: NpyFault,
    },
}

/// What is wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", file.display())]
pub struct NpzError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub fault: Box<NpzFault>,
}

/// An open archive.
#[derive(Debug)]
pub struct NpzReader<R> {
    archive: ZipArchive<R>,
    names: Vec<String>,
}

impl NpzReader<BufReader<File>> {
    /// Opens a file.
    ///
    /// # Errors
    /// [`NpzFault::Io`] or [`NpzFault::NotZip`].
    pub fn open(path: &Path) -> Result<Self, NpzFault> {
        Self::new(BufReader::new(File::open(path)?))
    }
}

impl<R: Read + Seek> NpzReader<R> {
    /// Reads an archive's directory.
    ///
    /// # Errors
    /// [`NpzFault::NotZip`].
    pub fn new(reader: R) -> Result<Self, NpzFault> {
        let archive = ZipArchive::new(reader).map_err(NpzFault::NotZip)?;
        let files = archive.file_names_raw().map(String::from_utf8_lossy);
        let names = files
            .filter_map(|name| name.strip_suffix(".npy").map(str::to_owned))
            .collect();
        Ok(Self { archive, names })
    }

    /// The names of the arrays, in the order of the archive.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether there is an array of that name.
    #[must_use]
    pub fn contains(&self, array: &str) -> bool {
        self.names.iter().any(|name| name == array)
    }

    /// Reads an array of numbers.
    ///
    /// # Errors
    /// [`NpzFault::Missing`] with the names that are there, or [`NpzFault::Array`].
    pub fn array(&mut self, array: &str) -> Result<NpyArray, NpzFault> {
        self.read(array, |reader, len| NpyArray::read_from(reader, len))
    }

    /// Reads an array of strings (`<U..` or `|S..`) of one axis.
    ///
    /// # Errors
    /// As [`NpzReader::array`].
    pub fn strings(&mut self, array: &str) -> Result<Vec<String>, NpzFault> {
        self.read(array, |reader, len| npy::read_strings(reader, len))
    }

    fn read<T>(
        &mut self,
        array: &str,
        read: impl FnOnce(&mut dyn Read, u64) -> Result<T, NpyFault>,
    ) -> Result<T, NpzFault> {
        if !self.contains(array) {
            return Err(NpzFault::Missing {
                array: array.to_owned(),
                present: self.names.clone(),
            });
        }
        let of_array = |fault| NpzFault::Array {
            array: array.to_owned(),
            fault,
        };
        let mut entry = self
            .archive
            .by_name(&format!("{array}.npy"))
            .map_err(|error| of_array(damaged(error)))?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        if size
            > packed
                .saturating_mul(MAX_EXPANSION)
                .saturating_add(EXPANSION_SLACK)
        {
            let message =
                format!("the archive claims {size} bytes in {packed}, which no compression gives");
            return Err(of_array(NpyFault::Io(io::Error::new(
                io::ErrorKind::InvalidData,
                message,
            ))));
        }
        read(&mut entry, size).map_err(of_array)
    }
}

fn damaged(error: ZipError) -> NpyFault {
    NpyFault::Io(io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes an archive: the arrays of `write` in order, compressed, with no times or anything else that would make equal contents differ.
///
/// The file is written beside its name and renamed when complete.
///
/// # Errors
/// [`NpzError`] naming the file.
pub fn write(
    path: &Path,
    write: impl FnOnce(&mut NpzWriter<'_>) -> io::Result<()>,
) -> Result<(), NpzError> {
    let written = write_beside(path, |file| {
        let mut writer = NpzWriter {
            archive: ZipWriter::new(file),
        };
        write(&mut writer)?;
        writer.archive.finish()?;
        Ok(())
    });
    written.map_err(|error| NpzError {
        file: path.to_owned(),
        fault: Box::new(NpzFault::Io(error)),
    })
}

/// An archive being written, see [`write()`].
pub struct NpzWriter<'f> {
    archive: ZipWriter<&'f mut io::BufWriter<File>>,
}

impl NpzWriter<'_> {
    /// Adds an array of numbers.
    ///
    /// # Errors
    /// What the file system says, or that the name is taken.
    pub fn array(&mut self, name: &str, array: &NpyArray) -> io::Result<()> {
        self.start(name, array.bytes().len())?;
        array.write_to(&mut self.archive)
    }

    /// Adds an array of strings, one axis.
    ///
    /// # Errors
    /// As [`NpzWriter::array`].
    pub fn strings(&mut self, name: &str, strings: &[String]) -> io::Result<()> {
        self.start(name, 0)?;
        let mut bytes = Vec::new();
        npy::write_strings(strings, &mut bytes)?;
        self.archive.write_all(&bytes)
    }

    fn start(&mut self, name: &str, bytes: usize) -> io::Result<()> {
        // The classic format cannot say sizes from 4 GiB on; leave room for the header.
        let large = bytes as u64 > u64::from(u32::MAX) - (1 << 20);
        let options = SimpleFileOptions::default()
            .last_modified_time(zip::DateTime::default())
            .large_file(large);
        Ok(self.archive.start_file(format!("{name}.npy"), options)?)
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        _ => names.join(", "),
    }
}
