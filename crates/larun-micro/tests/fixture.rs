//! The fixture `fixtures/transit.tflite` is what `support::transit` builds.
//!
//! `LARUN_UPDATE_FIXTURES=1 cargo test -p larun-micro --test fixture` writes it anew.

mod support;

use std::path::Path;

#[test]
fn the_fixture_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/transit.tflite");
    let built = support::transit_file();
    if std::env::var_os("LARUN_UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, &*built).unwrap();
    }
    let found = std::fs::read(&path).unwrap();
    assert!(
        found == *built,
        "{} is stale: see the head of this file",
        path.display()
    );
}
