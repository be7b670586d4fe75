//! Generated Rust, compiled and run: its bytes are the interpreter's.

mod support;

use std::fs;

use larun_codegen::{CodegenError, Rows, RustOptions, Stream, rust};
use support::{Sample, program, root, samples};

fn source(sample: &Sample, rows: Rows) -> String {
    let mut options = RustOptions::default();
    options.rows = rows;
    rust(&sample.name, &sample.model, &options)
        .unwrap_or_else(|error| panic!("{}: {error}", sample.name))
}

#[test]
fn outputs_are_the_interpreters() {
    let samples = samples();
    let sources: Vec<_> = samples
        .iter()
        .map(|sample| (sample, source(sample, Rows::default())))
        .collect();
    program::outputs_are_the_interpreters("generated", &sources);
}

/// Computes rows wherever that needs less memory, and checks that some model does.
fn by_rows(name: &str, rows: Rows) {
    let samples = samples();
    let sources: Vec<_> = samples
        .iter()
        .map(|sample| (sample, source(sample, rows)))
        .filter(|(_, source)| source.contains("row by row"))
        .collect();
    assert!(!sources.is_empty());
    for (sample, source) in &sources {
        let before = activation_bytes(&self::source(sample, Rows::default()));
        let after = activation_bytes(source);
        println!("{}: {before} -> {after} bytes", sample.name);
        assert!(after < before, "{}: {after} of {before}", sample.name);
    }
    program::outputs_are_the_interpreters(name, &sources);
}

fn activation_bytes(source: &str) -> usize {
    let (_, rest) = source.split_once("ACTIVATION_BYTES: usize = ").unwrap();
    rest.split_once(';').unwrap().0.parse().unwrap()
}

#[test]
fn layers_in_place_give_the_same_bytes() {
    by_rows(
        "in_place",
        Rows {
            in_place: true,
            stream: Stream::Never,
        },
    );
}

#[test]
fn streamed_layers_give_the_same_bytes() {
    by_rows(
        "streamed",
        Rows {
            in_place: false,
            stream: Stream::Always,
        },
    );
}

#[test]
fn streamed_layers_in_place_give_the_same_bytes() {
    by_rows(
        "streamed_in_place",
        Rows {
            in_place: true,
            stream: Stream::Always,
        },
    );
}

#[test]
fn equal_models_give_equal_source() {
    let model = fs::read(root().join("crates/larun-micro/fixtures/transit.tflite")).unwrap();
    let [first, second] =
        [(), ()].map(|()| rust("transit", &model, &RustOptions::default()).unwrap());
    assert_eq!(first, second);
    assert!(first.contains("pub fn predict(&mut self, input: &[i8; 32]) -> &[i8; 2]"));
    // None of the file's own bytes but those of constants.
    assert!(!first.contains("TFL3"));
}

#[test]
fn what_is_no_model_is_refused() {
    let options = RustOptions::default();
    assert!(matches!(
        rust("x", &[], &options),
        Err(CodegenError::EmptyModel)
    ));
    assert!(matches!(
        rust("x", b"not a model at all", &options),
        Err(CodegenError::Model(_))
    ));
    let mut model = fs::read(root().join("crates/larun-micro/fixtures/transit.tflite")).unwrap();
    model.truncate(model.len() / 2);
    assert!(matches!(
        rust("x", &model, &options),
        Err(CodegenError::Model(_))
    ));
}
