//! Files that are whole or not there: written beside and renamed.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;

/// Reads a whole file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(Error::io(path))
}

/// Writes a file under another name beside it and renames it, so that no reader ever sees half of it.
/// Missing folders are made.
///
/// # Errors
/// When the folder or file cannot be written; an older file of the name is then untouched.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut batch = Batch::default();
    batch.add(path, bytes)?;
    batch.commit()
}

/// Files that were written beside their places and not renamed yet, by this program's threads.
static STAGED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn staged() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A thread that panicked has left a set of paths all the same.
    STAGED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what was written beside its place and not renamed, and lets no file be written any more: for a program that is about to
/// end before its work is done. Waits for a batch that is being renamed.
pub fn abandon() {
    let staged = staged();
    for path in staged.iter() {
        // What is gone already need not go.
        let _ = std::fs::remove_file(path);
    }
    core::mem::forget(staged);
}

/// Several files that appear together: all are written beside their places first, then renamed.
#[derive(Debug, Default)]
pub struct Batch {
    staged: Vec<(tempfile::NamedTempFile, PathBuf)>,
}

impl Batch {
    /// Writes a file beside its place.
    ///
    /// # Errors
    /// When its folder cannot be made or written to.
    pub fn add(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(dir).map_err(Error::io(dir))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".larun-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any program would create the file, less what the user's mask takes away.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        // Held until the file is whole, so that it is known from the moment that it exists.
        let mut staged = staged();
        let mut file = builder.tempfile_in(dir).map_err(Error::io(dir))?;
        staged.insert(file.path().to_owned());
        file.write_all(bytes).map_err(Error::io(path))?;
        file.as_file().sync_all().map_err(Error::io(path))?;
        self.staged.push((file, path.to_owned()));
        Ok(())
    }

    /// Puts all files into their places.
    ///
    /// # Errors
    /// When one cannot be renamed; those before it are then in place, those after it are not.
    pub fn commit(self) -> Result<(), Error> {
        let mut staged = staged();
        for (file, path) in self.staged {
            staged.remove(file.path());
            file.persist(&path)
                .map_err(|error| Error::io(&path)(error.error))?;
        }
        Ok(())
    }
}
