//! Models with inputs and the bytes that the interpreter makes of them.
#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::kernels::ALL;
use larun_micro::{ElementType, Interpreter};

/// Inferences one after the other, so that what a model keeps is seen.
pub(crate) const SETS: usize = 3;

/// A model, what goes in, and what comes out.
pub(crate) struct Sample {
    /// An identifier.
    pub(crate) name: String,
    /// The file's bytes.
    pub(crate) model: Vec<u8>,
    /// The element type and the number of elements of each input.
    pub(crate) inputs: Vec<(ElementType, usize)>,
    /// The same of each output.
    pub(crate) outputs: Vec<(ElementType, usize)>,
    /// The bytes of all inputs of all sets.
    pub(crate) input_bytes: Vec<u8>,
    /// The bytes of all outputs of all sets.
    pub(crate) output_bytes: Vec<u8>,
}

/// The repository's models, and those of the corpus where there is one.
pub(crate) fn samples() -> Vec<Sample> {
    let root = root();
    let mut files = vec![
        (
            "spectral".to_owned(),
            root.join("fixtures/models/spectral/model.tflite"),
        ),
        (
            "transit".to_owned(),
            root.join("crates/larun-micro/fixtures/transit.tflite"),
        ),
    ];
    match std::env::var_os("LARUN_CORPUS").map(PathBuf::from) {
        None => println!("skipped: LARUN_CORPUS is not set"),
        Some(corpus) => {
            let mut found = Vec::new();
            for family in folders(&corpus.join("models")) {
                found.extend(folders(&family));
            }
            for folder in found {
                let name = folder.file_name().unwrap().to_string_lossy().into_owned();
                files.push((name, folder.join("model.tflite")));
            }
        }
    }
    files.sort();
    let sample = |(name, file): &(String, PathBuf)| Sample::new(name, &fs::read(file).unwrap());
    files.iter().map(sample).collect()
}

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

impl Sample {
    /// What the interpreter makes of fixed pseudo-random inputs.
    pub(crate) fn new(name: &str, model: &[u8]) -> Self {
        let bytes = AlignedBytes::copy_of(model);
        let mut arena = arena_for(&bytes, ALL).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut interpreter = Interpreter::new(&bytes, ALL, &mut arena).unwrap();
        let port =
            |info: larun_micro::TensorInfo<'_>| (info.element_type, info.shape.elements().unwrap());
        let inputs: Vec<_> = (0..interpreter.input_count())
            .map(|index| port(interpreter.input_info(index).unwrap()))
            .collect();
        let outputs: Vec<_> = (0..interpreter.output_count())
            .map(|index| port(interpreter.output_info(index).unwrap()))
            .collect();
        let mut random = Random(0x9e37_79b9);
        let (mut input_bytes, mut output_bytes) = (Vec::new(), Vec::new());
        for _ in 0..SETS {
            for (index, &(element_type, len)) in inputs.iter().enumerate() {
                let values = random.values(element_type, len);
                interpreter
                    .input_bytes_mut(index)
                    .unwrap()
                    .copy_from_slice(&values);
                input_bytes.extend(values);
            }
            interpreter
                .invoke()
                .unwrap_or_else(|e| panic!("{name}: {e}"));
            for index in 0..outputs.len() {
                output_bytes.extend(interpreter.output_bytes(index).unwrap());
            }
        }
        Self {
            name: larun_codegen::c_identifier(name).to_ascii_lowercase(),
            model: model.to_vec(),
            inputs,
            outputs,
            input_bytes,
            output_bytes,
        }
    }
}

/// Xorshift (George Marsaglia, "Xorshift RNGs", 2003).
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn values(&mut self, element_type: ElementType, len: usize) -> Vec<u8> {
        match element_type {
            ElementType::Float32 => {
                let real = |_| (self.next() >> 8) as f32 / (1 << 23) as f32 - 1.0;
                (0..len).map(real).flat_map(f32::to_le_bytes).collect()
            }
            _ => {
                let bytes = element_type.byte_len(len).unwrap();
                (0..bytes).map(|_| (self.next() >> 24) as u8).collect()
            }
        }
    }
}

/// Runs a command that must end well; returns what it printed.
pub(crate) fn succeed(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Runs the compiled program on every sample and holds its bytes against the interpreter's.
pub(crate) fn check(program: &Path, folder: &Path, samples: &[&Sample]) {
    for sample in samples {
        let inputs = folder.join("inputs.bin");
        fs::write(&inputs, &sample.input_bytes).unwrap();
        let found = succeed(Command::new(program).arg(&sample.name).arg(&inputs));
        assert_eq!(found.len(), sample.output_bytes.len(), "{}", sample.name);
        let differing = found
            .iter()
            .zip(&sample.output_bytes)
            .filter(|(a, b)| a != b)
            .count();
        assert_eq!(
            differing,
            0,
            "{}: of {} bytes so many are other than the interpreter's",
            sample.name,
            found.len()
        );
    }
}
