//! Finding and running flatc, the compiler of flatbuffer schemas.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

use super::{Error, header, read};

/// The release whose output fits the crate `flatbuffers` of the workspace.
const VERSION: &str = "25.12.19";

/// The Rust bindings of `schema`, with the object API.
pub(super) fn bindings(schema: &Path) -> Result<String, Error> {
    let flatc = find()?;
    let folder = tempfile::tempdir().map_err(|source| Error::Io {
        path: env::temp_dir(),
        source,
    })?;
    let output = run(
        &flatc,
        Command::new(&flatc)
            .args(["--rust", "--gen-object-api", "-o"])
            .arg(folder.path())
            .arg(schema),
    )?;
    if !output.status.success() {
        return Err(Error::Flatc {
            message: said(&output),
        });
    }
    let code = read(&folder.path().join("tflite_generated.rs"))?;
    Ok(header(&format!(" with flatc {VERSION}")) + &code)
}

/// The program, once its version is known to be the right one.
fn find() -> Result<OsString, Error> {
    let flatc = env::var_os("FLATC").unwrap_or_else(|| "flatc".into());
    let said = said(&run(&flatc, Command::new(&flatc).arg("--version"))?);
    let found = said.lines().next().unwrap_or_default();
    if found == format!("flatc version {VERSION}") {
        Ok(flatc)
    } else {
        Err(Error::FlatcVersion {
            path: flatc.display().to_string(),
            found: found.to_owned(),
            wanted: VERSION,
        })
    }
}

fn run(flatc: &OsString, command: &mut Command) -> Result<Output, Error> {
    command.output().map_err(|error| Error::FlatcMissing {
        tried: format!("{}: {error}", flatc.display()),
    })
}

/// What a program printed, on either stream.
fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}
