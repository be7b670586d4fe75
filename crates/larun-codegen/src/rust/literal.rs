//! Constants as Rust writes them.

use core::fmt::Write;

/// Bytes on a line of a byte string, before they are escaped.
const BYTES_PER_LINE: usize = 32;
const WORDS_PER_LINE: usize = 8;

/// Bytes as a dereferenced byte string, an array.
pub(super) fn byte_string(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 + 8);
    text.push_str("*b\"");
    for (index, line) in bytes.chunks(BYTES_PER_LINE).enumerate() {
        if index > 0 {
            // A backslash takes the end of the line and the blanks behind it out of the string.
            text.push_str("\\\n    ");
        }
        for byte in line {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text.push('"');
    text
}

/// Words as an array.
pub(super) fn words(words: &[u32]) -> String {
    let mut text = String::from("[");
    for (index, word) in words.iter().enumerate() {
        if words.len() > WORDS_PER_LINE && index % WORDS_PER_LINE == 0 {
            text.push_str("\n    ");
        } else if index > 0 {
            text.push(' ');
        }
        let _ = write!(text, "{word:#x},");
    }
    if words.len() > WORDS_PER_LINE {
        text.push('\n');
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_rust() {
        assert_eq!(byte_string(&[0, 255, b'"']), r#"*b"\x00\xff\x22""#);
        assert_eq!(byte_string(&[]), r#"*b"""#);
        assert_eq!(words(&[1, 0x10]), "[0x1, 0x10,]");
        assert!(byte_string(&[7; 33]).ends_with("\\x07\\\n    \\x07\""));
    }
}
