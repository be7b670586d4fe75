//! Generated Rust as a program that runs every model on its inputs.

use core::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use larun_micro::ElementType;

use super::{SETS, Sample, check, root, succeed};

/// Compiles sources of models to a program, runs it on every sample and holds its bytes against the interpreter's.
pub(crate) fn outputs_are_the_interpreters(name: &str, sources: &[(&Sample, String)]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("src")).unwrap();
    fs::write(path.join("Cargo.toml"), manifest(name)).unwrap();
    fs::copy(root().join("Cargo.lock"), path.join("Cargo.lock")).unwrap();
    let mut main = PROGRAM.to_owned();
    for (sample, source) in sources {
        fs::write(path.join(format!("src/{}.rs", sample.name)), source).unwrap();
        main.push_str(&glue(sample));
    }
    let arms: String = sources
        .iter()
        .map(|(sample, _)| format!("        {0:?} => run_{0},\n", sample.name))
        .collect();
    writeln!(main, "fn find(name: &str) -> fn(&[u8]) {{\n    match name {{\n{arms}        _ => panic!(\"no such model\"),\n    }}\n}}").unwrap();
    fs::write(path.join("src/main.rs"), main).unwrap();

    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--offline", "--target-dir"])
        .arg(&target);
    succeed(cargo.current_dir(path).env_remove("RUSTFLAGS"));
    let samples: Vec<&Sample> = sources.iter().map(|(sample, _)| *sample).collect();
    check(&target.join("debug").join(name), path, &samples);
}

/// The program's crate, which depends on what generated code needs and on nothing else.
fn manifest(name: &str) -> String {
    let kernels = root().join("crates/larun-kernels");
    format!(
        "[package]\nname = {name:?}\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         larun-kernels = {{ path = {kernels:?} }}\nbytemuck = \"1\"\n\n[profile.dev]\nopt-level = 1\ndebug = false\n\n\
         [lints.rust]\nwarnings = \"deny\"\nunsafe_code = \"forbid\"\n"
    )
}

const PROGRAM: &str = r#"//! Runs a model: its name, a file with the bytes of its inputs; the bytes of its outputs go to standard output.

use std::io::Write;

fn main() {
    let mut args = std::env::args().skip(1);
    let (name, inputs) = (args.next().unwrap(), args.next().unwrap());
    find(&name)(&std::fs::read(inputs).unwrap());
}

fn take<T: bytemuck::AnyBitPattern, const N: usize>(bytes: &mut &[u8]) -> Box<[T; N]> {
    let (own, rest) = bytes.split_at(N * size_of::<T>());
    *bytes = rest;
    let values: Vec<T> = own.chunks(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect();
    match values.try_into() {
        Ok(values) => values,
        Err(_) => unreachable!(),
    }
}

fn put<T: bytemuck::NoUninit>(values: &[T]) {
    std::io::stdout().write_all(bytemuck::cast_slice(values)).unwrap();
}
"#;

/// The function that runs a model on every set.
fn glue(sample: &Sample) -> String {
    let name = &sample.name;
    let mut text = format!(
        "#[allow(dead_code)]\nmod {name};\nfn run_{name}(mut inputs: &[u8]) {{\n    let mut model = Box::new({name}::Model::default());\n    for _ in 0..{SETS} {{\n"
    );
    let mut arguments = Vec::new();
    for (index, &(element_type, len)) in sample.inputs.iter().enumerate() {
        let element = element(element_type);
        writeln!(
            text,
            "        let input_{index} = take::<{element}, {len}>(&mut inputs);"
        )
        .unwrap();
        arguments.push(format!("&input_{index}"));
    }
    let names: Vec<_> = (0..sample.outputs.len())
        .map(|i| format!("output_{i}"))
        .collect();
    let outputs = match &names[..] {
        [only] => only.clone(),
        _ => format!("({})", names.join(", ")),
    };
    writeln!(
        text,
        "        let {outputs} = model.predict({});",
        arguments.join(", ")
    )
    .unwrap();
    for output in names {
        writeln!(text, "        put({output});").unwrap();
    }
    text + "    }\n}\n"
}

fn element(element_type: ElementType) -> &'static str {
    match element_type {
        ElementType::Float32 => "f32",
        ElementType::Int8 => "i8",
        ElementType::Int16 => "i16",
        ElementType::Int32 => "i32",
        ElementType::UInt32 => "u32",
        ElementType::UInt64 => "u64",
        other => panic!("no model of the corpus has inputs or outputs of {other}"),
    }
}
