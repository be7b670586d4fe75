//! What a linked image holds.

use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, elf};

use super::Error;

/// Bytes of the image that lie in flash: code, constants, and the initial values of variables.
pub(super) fn flash_bytes(path: &Path) -> Result<u64, Error> {
    with_image(path, |image| {
        let in_flash = image.sections().filter(|section| {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                return false;
            };
            sh_flags & u64::from(elf::SHF_ALLOC) != 0
                && section.kind() != SectionKind::UninitializedData
        });
        in_flash.map(|section| section.size()).sum()
    })
}

/// The symbols of the core library's panics, each once.
pub(super) fn panic_symbols(path: &Path) -> Result<Vec<String>, Error> {
    with_image(path, |image| {
        let names = image.symbols().filter_map(|symbol| symbol.name().ok());
        let mut panics: Vec<_> = names
            .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
            .filter(|name| name.contains("core::panicking"))
            .collect();
        panics.sort();
        panics.dedup();
        panics
    })
}

fn with_image<T>(path: &Path, look: impl FnOnce(&object::File<'_>) -> T) -> Result<T, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    let image = object::File::parse(bytes.as_slice()).map_err(|error| Error::Malformed {
        what: path.display().to_string(),
        detail: error.to_string(),
    })?;
    Ok(look(&image))
}
