//! Samples for inputs that are integers and stay so: indices, counts.

/// The bytes of real values as elements of an integer type whose values are whole numbers; the first value that is none.
pub(crate) fn elements<T: TryFrom<i64>>(
    values: &[f32],
    bytes: impl Fn(T) -> Vec<u8>,
) -> Result<Vec<u8>, f32> {
    let mut all = Vec::with_capacity(size_of_val(values));
    for &value in values {
        // 2^62 is beyond every index, and a float of that size is a whole number that an i64 holds.
        let whole = value.trunc() == value && value.abs() < 4.611_686e18;
        let element = whole.then_some(value as i64).map(T::try_from);
        match element {
            Some(Ok(element)) => all.extend(bytes(element)),
            _ => return Err(value),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::elements;

    #[test]
    fn whole_numbers_alone() {
        let i32s = |values: &[f32]| elements::<i32>(values, |x| x.to_le_bytes().to_vec());
        assert_eq!(i32s(&[-2.0, 7.0]), Ok(vec![254, 255, 255, 255, 7, 0, 0, 0]));
        assert_eq!(i32s(&[1.0, 0.5]), Err(0.5));
        assert_eq!(i32s(&[3e9]), Err(3e9));
        assert!(i32s(&[f32::NAN]).is_err());
        let i64s = |values: &[f32]| elements::<i64>(values, |x| x.to_le_bytes().to_vec());
        assert_eq!(i64s(&[3e9]).map(|bytes| bytes.len()), Ok(8));
        assert!(i64s(&[f32::INFINITY]).is_err());
    }
}
