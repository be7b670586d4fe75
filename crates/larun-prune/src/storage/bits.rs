//! Numbers of a few bits each, packed the most significant bit first.

/// Packs numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that the last byte has room for.
    room: u32,
}

impl BitWriter {
    /// Appends the lowest `width` bits of a number.
    pub(super) fn push(&mut self, value: u32, width: u32) {
        for bit in (0..width).rev() {
            if self.room == 0 {
                self.bytes.push(0);
                self.room = 8;
            }
            self.room -= 1;
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> bit & 1) as u8) << self.room;
            }
        }
    }

    /// The bytes, the last one filled up with zeros.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads bits from any position. Past the end they are 0.
pub(super) fn read_bits(bytes: &[u8], position: usize, width: u32) -> u32 {
    (0..width as usize).fold(0, |value, offset| {
        let at = position + offset;
        let byte = bytes.get(at / 8).copied().unwrap_or(0);
        value << 1 | u32::from(byte >> (7 - at % 8) & 1)
    })
}
