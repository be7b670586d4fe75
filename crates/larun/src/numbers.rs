//! Numbers as people read them.

/// Bytes in units of 1024.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{} B", group(bytes)),
        _ => format!("{:.1} KB", bytes as f64 / 1024.0),
    }
}

/// A whole number with a comma before every three digits.
pub fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A share of 1 in percent.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::{bytes, group};

    #[test]
    fn numbers_are_readable() {
        assert_eq!(group(1), "1");
        assert_eq!(group(1_234_567), "1,234,567");
        assert_eq!(group(123_456), "123,456");
        assert_eq!(bytes(9_999), "9,999 B");
        assert_eq!(bytes(102_400), "100.0 KB");
    }
}
