//! Where the corpora are.

use std::path::PathBuf;

/// The test corpus, or `None` where `LARUN_CORPUS` is not set; `test` is then reported as skipped.
pub fn corpus_dir(test: &str) -> Option<PathBuf> {
    from_environment("LARUN_CORPUS", test)
}

/// The real data, or `None` where `LARUN_DATA` is not set; `test` is then reported as skipped.
pub fn data_dir(test: &str) -> Option<PathBuf> {
    from_environment("LARUN_DATA", test)
}

fn from_environment(variable: &str, test: &str) -> Option<PathBuf> {
    let dir = std::env::var_os(variable).filter(|dir| !dir.is_empty());
    if dir.is_none() {
        eprintln!("skipped: {test}: {variable} is not set");
    }
    dir.map(PathBuf::from)
}
