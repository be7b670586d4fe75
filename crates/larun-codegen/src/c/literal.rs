//! Constants as C99 writes them.

use core::fmt::{Display, Write};

use larun_ops::ElementType;

const PER_LINE: usize = 16;

/// Words as an initialiser.
pub(super) fn words(words: &[u32]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("{word:#x}u")).collect();
    match words.len() {
        0 => "0".to_owned(),
        _ => words.join(", "),
    }
}

/// Bytes as an initialiser.
pub(super) fn bytes(bytes: &[u8]) -> String {
    list(bytes.iter())
}

/// The elements of a constant, how many there are and the initialiser.
pub(super) fn values(bytes: &[u8], element_type: ElementType) -> (usize, String) {
    fn of<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
        bytes.as_chunks::<N>().0.iter().copied()
    }
    let text = match element_type {
        ElementType::Float32 => list(of::<4>(bytes).map(f32::from_le_bytes).map(real)),
        ElementType::Int8 => list(bytes.iter().map(|&byte| byte as i8)),
        ElementType::Int16 => list(of::<2>(bytes).map(i16::from_le_bytes)),
        ElementType::UInt16 => list(of::<2>(bytes).map(u16::from_le_bytes)),
        ElementType::Int32 => list(of::<4>(bytes).map(i32::from_le_bytes).map(int32)),
        ElementType::UInt32 => {
            list(of::<4>(bytes).map(|word| format!("{}u", u32::from_le_bytes(word))))
        }
        ElementType::Int64 => list(of::<8>(bytes).map(i64::from_le_bytes).map(int64)),
        ElementType::UInt64 => {
            list(of::<8>(bytes).map(|word| format!("UINT64_C({})", u64::from_le_bytes(word))))
        }
        _ => list(bytes.iter()),
    };
    let size = match element_type.bits() {
        Some(bits @ (16 | 32 | 64)) => bits / 8,
        _ => 1,
    };
    let count = (bytes.len() / size).max(1);
    (
        count,
        if text.is_empty() {
            "    0,\n".to_owned()
        } else {
            text
        },
    )
}

fn list<T: Display>(values: impl Iterator<Item = T>) -> String {
    let mut text = String::new();
    let mut in_line = 0;
    for value in values {
        text.push_str(if in_line == 0 { "    " } else { " " });
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{value},");
        in_line = (in_line + 1) % PER_LINE;
        if in_line == 0 {
            text.push('\n');
        }
    }
    if in_line != 0 {
        text.push('\n');
    }
    text
}

/// The least integers have no literals of their own.
fn int32(value: i32) -> String {
    match value {
        i32::MIN => "INT32_MIN".to_owned(),
        value => value.to_string(),
    }
}

fn int64(value: i64) -> String {
    match value {
        i64::MIN => "INT64_MIN".to_owned(),
        value => format!("INT64_C({value})"),
    }
}

/// A real number with all of its bits: hexadecimal.
fn real(value: f32) -> String {
    if value.is_nan() {
        return "(0.0f / 0.0f)".to_owned();
    }
    if value.is_infinite() {
        let sign = if value < 0.0 { "-" } else { "" };
        return format!("({sign}1.0f / 0.0f)");
    }
    let bits = value.to_bits();
    let (sign, exponent, fraction) = (bits >> 31, (bits >> 23) & 0xFF, bits & 0x7F_FFFF);
    let sign = if sign == 1 { "-" } else { "" };
    match exponent {
        0 if fraction == 0 => format!("{sign}0.0f"),
        0 => format!("{sign}0x0.{:06x}p-126f", fraction << 1),
        _ => format!("{sign}0x1.{:06x}p{}f", fraction << 1, exponent as i32 - 127),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_c() {
        assert_eq!(real(1.5), "0x1.800000p0f");
        assert_eq!(real(-0.1), "-0x1.99999ap-4f");
        assert_eq!(real(f32::from_bits(1)), "0x0.000002p-126f");
        assert_eq!(real(f32::NEG_INFINITY), "(-1.0f / 0.0f)");
        assert_eq!(int32(i32::MIN), "INT32_MIN");
        assert_eq!(
            values(&[255, 1], ElementType::Int8),
            (2, "    -1, 1,\n".to_owned())
        );
        assert_eq!(values(&[], ElementType::Int32).0, 1);
    }
}
