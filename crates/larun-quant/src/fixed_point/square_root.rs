//! Square roots of integers, found bit by bit.

macro_rules! rounded_root {
    ($(#[$meta:meta])* $name:ident: $type:ty) => {
        $(#[$meta])*
        fn $name(x: $type) -> $type {
            // The highest power of four that is not above x.
            let mut bit: $type = match x.checked_ilog2() {
                Some(log) => 1 << (log & !1),
                None => return 0,
            };
            let (mut rest, mut root) = (x, 0);
            while bit != 0 {
                let next = root | bit;
                root >>= 1;
                if rest >= next {
                    rest -= next;
                    root |= bit;
                }
                bit >>= 2;
            }
            // x is root^2 + rest: above (root + 1/2)^2 where the rest is above the root.
            root + <$type>::from(rest > root)
        }
    };
}

rounded_root! {
    /// The root, rounded, which may take 17 bits.
    rounded_root_u32: u32
}

rounded_root! {
    /// The root, rounded, which may take 33 bits.
    rounded_root_u64: u64
}

/// `sqrt(x)`, rounded and at most 65,535 for an `x` below 2^32, at most `u32::MAX` for others.
#[doc(alias = "Sqrt64")]
#[must_use]
pub fn square_root(x: u64) -> u32 {
    match u32::try_from(x) {
        Ok(x) => rounded_root_u32(x).min(u32::from(u16::MAX)),
        Err(_) => u32::try_from(rounded_root_u64(x)).unwrap_or(u32::MAX),
    }
}
