//! Changes to a model that leave it readable: other shapes, types, operators, options, scales and constants.

use crate::sites::{KINDS, Kind, Site, sites};

/// Changes a model of `size` bytes in `data`; the new size. `bytes` changes it as if it were any bytes.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    seed: u32,
    bytes: impl FnOnce(&mut [u8], usize) -> usize,
) -> usize {
    let mut random = Random(seed.into());
    let Some(model) = data.get_mut(..size) else {
        return size;
    };
    let sites = sites(model);
    if sites.is_empty() || random.below(16) == 0 {
        let len = data.len();
        return bytes(data, size).min(len);
    }
    for _ in 0..1 + random.below(4) / 2 {
        change_one(model, &sites, &mut random);
    }
    if random.below(4) == 0 {
        // What the inputs are set to.
        let start = model.len().saturating_sub(8);
        model[start..].fill_with(|| random.next() as u8);
    }
    size
}

/// Changes a site, or all of its kind that are equal to it, so that shapes and types still fit each other.
fn change_one(model: &mut [u8], sites: &[Site], random: &mut Random) {
    let kind = match random.below(64) {
        0 => Kind::Length,
        1 => Kind::ShortCode,
        _ => KINDS[random.below(KINDS.len())],
    };
    let alike: Vec<_> = sites.iter().filter(|site| site.kind == kind).collect();
    let Some(site) = alike.get(random.below(alike.len())) else {
        return;
    };
    let size = size_of_kind(kind);
    let Some(old) = read(model, site.at, size) else {
        return;
    };
    let new = match random.below(4) {
        0 => {
            let other = alike[random.below(alike.len())];
            read(model, other.at, size).unwrap_or(old)
        }
        _ => value(kind, old, random),
    };
    let together = matches!(
        kind,
        Kind::Dimension | Kind::ElementType | Kind::Float | Kind::Long
    );
    if together && random.below(4) != 0 {
        for site in alike {
            if read(model, site.at, size) == Some(old) {
                write(model, site.at, size, new);
            }
        }
    } else {
        write(model, site.at, size, new);
    }
}

fn size_of_kind(kind: Kind) -> usize {
    match kind {
        Kind::Byte | Kind::ElementType | Kind::ShortCode => 1,
        Kind::Entry => 2,
        Kind::Long => 8,
        _ => 4,
    }
}

fn read(model: &[u8], at: usize, size: usize) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes[..size].copy_from_slice(model.get(at..at.checked_add(size)?)?);
    Some(u64::from_le_bytes(bytes))
}

fn write(model: &mut [u8], at: usize, size: usize, value: u64) {
    if let Some(place) = model.get_mut(at..at + size) {
        place.copy_from_slice(&value.to_le_bytes()[..size]);
    }
}

const WORDS: [i32; 20] = [
    0,
    1,
    2,
    3,
    -1,
    -2,
    -128,
    127,
    128,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    1 << 24,
    1 << 30,
    i32::MAX - 1,
    i32::MAX,
    i32::MIN,
];
const FLOATS: [f32; 18] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    1e-3,
    1e-10,
    1e-30,
    1e10,
    1e30,
    1e-45,
    f32::MIN_POSITIVE,
    f32::MAX,
    f32::MIN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

/// Another value for a site of a kind.
fn value(kind: Kind, old: u64, random: &mut Random) -> u64 {
    match kind {
        Kind::ElementType => random.below(20) as u64,
        Kind::Code | Kind::ShortCode => random.below(212) as u64,
        Kind::Byte => match random.below(3) {
            0 => random.below(130) as u64,
            1 => old ^ (1 << random.below(8)),
            _ => random.next(),
        },
        Kind::Float => float(old, random),
        Kind::Entry => match random.below(2) {
            0 => 0,
            _ => random.below(40) as u64,
        },
        Kind::Option | Kind::Constant if random.below(4) == 0 => float(old, random),
        _ => word(old as i32, random) as u64,
    }
}

fn float(old: u64, random: &mut Random) -> u64 {
    let value = match random.below(4) {
        0 => f32::from_bits(old as u32) * [0.5, 2.0, 1.5, 1024.0, -1.0][random.below(5)],
        1 => f32::from_bits(random.next() as u32),
        _ => FLOATS[random.below(FLOATS.len())],
    };
    value.to_bits().into()
}

/// A sign-extended number.
fn word(old: i32, random: &mut Random) -> i64 {
    match random.below(8) {
        0 => old.wrapping_add(1).into(),
        1 => old.wrapping_sub(1).into(),
        2 => old.wrapping_mul(2).into(),
        3 | 4 => random.below(9) as i64,
        5 => random.next() as i64,
        _ => WORDS[random.below(WORDS.len())].into(),
    }
}

/// Numbers that a seed gives (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}
