//! Generated C, compiled and run: its bytes are the interpreter's.

mod support;

use core::fmt::Write;
use std::fs;
use std::process::Command;

use larun_codegen::{CodegenError, c_source};
use larun_micro::ElementType;
use support::{SETS, Sample, check, root, samples, succeed};

/// What there is no C form of, and why.
const REFUSED: [(&str, &str); 2] = [
    ("audio_preprocessor_float", "SignalWindow"),
    ("audio_preprocessor_int8", "SignalWindow"),
];

/// A C compiler, where there is one.
fn compiler() -> Option<String> {
    let named = std::env::var("CC").ok();
    let candidates = named
        .into_iter()
        .chain(["cc", "gcc", "clang"].map(str::to_owned));
    candidates.into_iter().find(|cc| {
        let version = Command::new(cc).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    })
}

#[test]
fn outputs_are_the_interpreters() {
    let Some(cc) = compiler() else {
        println!("skipped: there is no C compiler");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut compiled = Vec::new();
    for sample in samples() {
        match c_source(&sample.name, &sample.model) {
            Ok(source) => {
                fs::write(path.join(format!("{}.c", source.stem)), source.source).unwrap();
                fs::write(path.join(format!("{}.h", source.stem)), source.header).unwrap();
                compiled.push(sample);
            }
            Err(error) => {
                let refused = REFUSED.iter().find(|(name, _)| *name == sample.name);
                let (_, operator) = refused.unwrap_or_else(|| panic!("{}: {error}", sample.name));
                assert!(error.to_string().contains(operator), "{error}");
            }
        }
    }
    fs::write(path.join("main.c"), program(&compiled)).unwrap();
    let program = path.join("program");
    let mut command = Command::new(cc);
    command.args([
        "-std=c99",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        "-o",
    ]);
    command.arg(&program).arg("main.c");
    command.args(compiled.iter().map(|sample| format!("{}.c", sample.name)));
    succeed(command.current_dir(path));
    check(&program, path, &compiled.iter().collect::<Vec<_>>());
}

/// A program that runs a model by its name on the bytes of a file.
fn program(samples: &[Sample]) -> String {
    let mut text = String::from("#include <stdio.h>\n#include <string.h>\n");
    for sample in samples {
        writeln!(text, "#include \"{}.h\"", sample.name).unwrap();
    }
    text.push_str("int main(int argc, char **argv) {\n    FILE *file = argc > 2 ? fopen(argv[2], \"rb\") : NULL;\n    int set;\n    if (!file) return 2;\n");
    for sample in samples {
        let name = &sample.name;
        writeln!(text, "    if (!strcmp(argv[1], \"{name}\")) {{\n        {name}_reset();\n        for (set = 0; set < {SETS}; ++set) {{").unwrap();
        for (index, (element_type, len)) in sample.inputs.iter().enumerate() {
            let port = numbered("input", index, sample.inputs.len());
            writeln!(
                text,
                "            if (fread({name}_{port}(), {}, {len}, file) != {len}) return 3;",
                size(*element_type)
            )
            .unwrap();
        }
        writeln!(text, "            {name}_invoke();").unwrap();
        for (index, (element_type, len)) in sample.outputs.iter().enumerate() {
            let port = numbered("output", index, sample.outputs.len());
            writeln!(
                text,
                "            if (fwrite({name}_{port}(), {}, {len}, stdout) != {len}) return 4;",
                size(*element_type)
            )
            .unwrap();
        }
        text.push_str("        }\n    }\n");
    }
    text + "    fclose(file);\n    return 0;\n}\n"
}

fn numbered(port: &str, index: usize, count: usize) -> String {
    match count {
        1 => port.to_owned(),
        _ => format!("{port}_{index}"),
    }
}

fn size(element_type: ElementType) -> usize {
    element_type.bits().unwrap() / 8
}

#[test]
fn only_kernels_of_the_model_are_written() {
    let model = fs::read(root().join("crates/larun-micro/fixtures/transit.tflite")).unwrap();
    let source = c_source("Transit 2", &model).unwrap();
    assert_eq!(source.stem, "transit_2");
    assert!(source.source.contains("static void larun_conv_i8"));
    assert!(!source.source.contains("larun_depthwise") && !source.source.contains("_f32("));
    assert!(source.header.contains("int8_t *transit_2_input(void);"));
    assert_eq!(source, c_source("Transit 2", &model).unwrap());
    assert!(matches!(
        c_source("x", b"nothing"),
        Err(CodegenError::Model(_))
    ));
}
