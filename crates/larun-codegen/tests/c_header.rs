//! Headers as text, and as compilers see them.

use std::path::Path;
use std::process::Command;

use larun_codegen::{CodegenError, HeaderOptions, c_header, c_identifier};
use proptest::prelude::*;

fn options() -> HeaderOptions {
    HeaderOptions {
        description: "Classifies light curves.\nA trap: \\".into(),
        operators: vec![
            "CONV_2D".into(),
            "DEPTHWISE_CONV_2D".into(),
            "SOFTMAX".into(),
        ],
        arena_bytes: Some(20_480),
    }
}

#[test]
fn a_header_reads_as_expected() {
    let header = c_header("tiny", &[0, 1, 0xab], &HeaderOptions::default()).unwrap();
    let expected = "\
// tiny: a TensorFlow Lite model as a C array, made by LARUN. Do not edit.
//
// Size: 3 bytes

#ifndef TINY_H
#define TINY_H

#if defined(__cplusplus) && __cplusplus >= 201103L
#define TINY_ALIGN_16 alignas(16)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define TINY_ALIGN_16 _Alignas(16)
#elif defined(__GNUC__) || defined(__clang__)
#define TINY_ALIGN_16 __attribute__((aligned(16)))
#elif defined(_MSC_VER)
#define TINY_ALIGN_16 __declspec(align(16))
#else
#error \"tiny_data must be aligned to 16 bytes: define TINY_ALIGN_16 for this compiler\"
#endif

TINY_ALIGN_16 static const unsigned char tiny_data[] = {
    0x00, 0x01, 0xab,
};
static const int tiny_data_len = 3;

#endif  // TINY_H
";
    assert_eq!(header, expected);
}

#[test]
fn what_the_program_must_provide_is_in_the_comment() {
    let header = c_header("tiny", &[0; 100], &options()).unwrap();
    for line in [
        "// Classifies light curves.",
        "// A trap: /",
        "// Size: 100 bytes",
        "// Tensor arena: 20480 bytes",
        "// Operators: CONV_2D, DEPTHWISE_CONV_2D, SOFTMAX",
        "//   tflite::MicroMutableOpResolver<3> resolver;",
        "//   resolver.AddDepthwiseConv2D();",
        "static const int tiny_arena_bytes = 20480;",
    ] {
        assert!(
            header.lines().any(|found| found == line),
            "{line:?} is not in:\n{header}"
        );
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let empty = c_header("tiny", &[], &HeaderOptions::default());
    assert!(matches!(empty, Err(CodegenError::EmptyModel)));
    let arena = HeaderOptions {
        arena_bytes: Some(1 << 31),
        ..HeaderOptions::default()
    };
    let error = c_header("tiny", &[1], &arena).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the tensor arena is 2147483648 bytes, more than a C int holds (2147483647)"
    );
}

/// Includes the header twice and checks length, alignment and the bytes' sum.
const PROGRAM: &str = r#"
#include "model.h"
#include "model.h"

int main(void) {
    unsigned long sum = 0;
    int i;
    for (i = 0; i < LarunNet_Spectral_data_len; i++) sum += (unsigned long)(i + 1) * LarunNet_Spectral_data[i];
    if (sizeof(LarunNet_Spectral_data) != (unsigned long)LarunNet_Spectral_data_len) return 1;
    if ((unsigned long)(const void*)LarunNet_Spectral_data % 16 != 0) return 2;
    if (LarunNet_Spectral_arena_bytes != 20480) return 3;
    return sum == SUM ? 0 : 4;
}
"#;

#[test]
fn headers_compile_and_hold_the_bytes() {
    let model: Vec<u8> = (0..1000u32).map(|i| (i * i % 251) as u8).collect();
    let sum: u64 = model
        .iter()
        .zip(1..)
        .map(|(&byte, i)| i * u64::from(byte))
        .sum();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("model.h"),
        c_header("LarunNet-Spectral", &model, &options()).unwrap(),
    )
    .unwrap();

    let dialects = [
        ("cc", "c", "c11"),
        ("cc", "c", "gnu89"),
        ("cc", "c", "gnu99"),
        ("c++", "cpp", "c++11"),
        ("c++", "cpp", "c++17"),
    ];
    for (compiler, extension, standard) in dialects {
        let source = folder.path().join(format!("main.{extension}"));
        std::fs::write(&source, PROGRAM.replace("SUM", &format!("{sum}ul"))).unwrap();
        compile_and_run(compiler, standard, &source);
    }
}

fn compile_and_run(compiler: &str, standard: &str, source: &Path) {
    let program = source.with_extension("out");
    let flags = [
        &format!("-std={standard}")[..],
        "-Wall",
        "-Wextra",
        "-Werror",
        "-o",
    ];
    let mut command = Command::new(compiler);
    let compiled = match command.args(flags).arg(&program).arg(source).output() {
        Ok(output) => output,
        Err(_) => {
            println!("skipped: headers_compile_and_hold_the_bytes: no compiler {compiler}");
            return;
        }
    };
    let messages = String::from_utf8_lossy(&compiled.stderr);
    assert!(
        compiled.status.success(),
        "{compiler} -std={standard}: {messages}"
    );
    let status = Command::new(&program).status().unwrap();
    assert_eq!(status.code(), Some(0), "{compiler} -std={standard}");
}

proptest! {
    #[test]
    fn identifiers_are_valid_whatever_the_name(name in any::<String>()) {
        let identifier = c_identifier(&name);
        prop_assert!(identifier.starts_with(|c: char| c.is_ascii_alphabetic()));
        prop_assert!(identifier.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        prop_assert!(!identifier.contains("__") && !identifier.ends_with('_'));
        prop_assert_eq!(c_identifier(&identifier), identifier);
    }

    #[test]
    fn no_text_escapes_its_comment(name in any::<String>(), description in any::<String>(), operator in any::<String>()) {
        let options = HeaderOptions { description, operators: vec![operator], arena_bytes: None };
        let header = c_header(&name, &[1, 2], &options).unwrap();
        let (comments, code) = header.split_once("\n#ifndef ").unwrap();
        // A compiler ends a line at a line feed or a carriage return, and joins it to the next after a backslash.
        for line in comments.split(['\n', '\r']) {
            prop_assert!(line.is_empty() || line.starts_with("//"), "{line:?}");
            prop_assert!(!line.contains('\\') && !line.contains("??/"));
        }
        prop_assert!(code.is_ascii());
    }

    #[test]
    fn every_byte_is_written(model in prop::collection::vec(any::<u8>(), 1..200)) {
        let header = c_header("m", &model, &HeaderOptions::default()).unwrap();
        let (_, after) = header.split_once("= {").unwrap();
        let (inside, _) = after.split_once('}').unwrap();
        let bytes = inside.split(',').filter_map(|byte| u8::from_str_radix(byte.trim().strip_prefix("0x")?, 16).ok());
        prop_assert_eq!(bytes.collect::<Vec<_>>(), model);
    }
}
