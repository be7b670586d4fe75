//! The C header: a model as a constant array.

use core::fmt::Write;

use minijinja::context;

use crate::identifier::resolver_method;
use crate::text::{comment, render};
use crate::{CodegenError, c_identifier};

const TEMPLATE: &str = include_str!("templates/model.h.jinja");
const BYTES_PER_LINE: usize = 12;

/// What a header says beside the model itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderOptions {
    /// What the model is, in a line or more.
    pub description: String,
    /// The operators that the program must register, as the file format names them: `CONV_2D`.
    pub operators: Vec<String>,
    /// The size of the tensor arena in bytes.
    pub arena_bytes: Option<u64>,
}

/// The header `NAME.h` for a model: `NAME_data[]`, `NAME_data_len`, and `NAME_arena_bytes` where the arena's size is given.
///
/// `NAME` is `name` as a C identifier, see [`c_identifier`]; the include guard is `NAME_H` in capitals. `model` holds the bytes of the
/// `.tflite` file. The array is aligned to 16 bytes, which TensorFlow Lite Micro and LARUN's interpreter ask for, and constant, so that
/// it stays in flash. Equal arguments give an equal header.
///
/// # Errors
/// [`CodegenError`], when the model is empty or a size exceeds a C `int`.
pub fn c_header(name: &str, model: &[u8], options: &HeaderOptions) -> Result<String, CodegenError> {
    if model.is_empty() {
        return Err(CodegenError::EmptyModel);
    }
    let size = c_int("the model", model.len() as u64)?;
    let arena = options
        .arena_bytes
        .map(|bytes| c_int("the tensor arena", bytes))
        .transpose()?;
    let identifier = c_identifier(name);
    let methods: Vec<_> = options
        .operators
        .iter()
        .map(|operator| resolver_method(operator))
        .collect();

    let values = context! {
        title => comment(name).join(" "),
        description => comment(&options.description),
        guard => format!("{}_H", identifier.to_ascii_uppercase()),
        macro => format!("{}_ALIGN_16", identifier.to_ascii_uppercase()),
        name => identifier,
        size,
        arena,
        operators => comment(&options.operators.join(", ")).join(" "),
        methods,
        bytes => hexadecimal(model),
    };
    render(TEMPLATE, values)
}

fn c_int(what: &'static str, value: u64) -> Result<i32, CodegenError> {
    i32::try_from(value).map_err(|_| CodegenError::TooLarge { what, value })
}

/// The bytes as C writes them, several on a line.
fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 7);
    for line in bytes.chunks(BYTES_PER_LINE) {
        text.push_str("   ");
        for byte in line {
            // Writing to a `String` cannot fail.
            let _ = write!(text, " 0x{byte:02x},");
        }
        text.push('\n');
    }
    text
}
