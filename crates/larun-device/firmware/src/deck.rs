//! The models that QEMU's loader has put into memory.
//!
//! A deck is little-endian words: a magic number, its length in bytes, how many models; then for each model the bytes of the model and of its
//! inputs, then the model and the inputs, each beginning at a multiple of 16 from the deck's start.
#![allow(
    unsafe_code,
    reason = "the deck lies at a fixed address that the linker knows nothing of"
)]

const MAGIC: u32 = 0x4b43_4544;
const ADDRESS: usize = if cfg!(target_arch = "riscv32") {
    0x8100_0000
} else {
    0x2100_0000
};
const LARGEST: usize = 16 << 20;

/// A model and its inputs, one after the other.
pub(crate) struct Card {
    pub(crate) model: &'static [u8],
    pub(crate) inputs: &'static [u8],
}

/// The cards; `None` where there is no deck.
pub(crate) fn cards() -> Option<impl Iterator<Item = Card>> {
    let at: *const u8 = core::ptr::with_exposed_provenance(ADDRESS);
    // SAFETY: the machine has 16 MB of memory there, which nobody writes once the program runs.
    let memory = unsafe { core::slice::from_raw_parts(at, LARGEST) };
    if word(memory, 0)? != MAGIC {
        return None;
    }
    let deck = memory.get(..word(memory, 4)? as usize)?;
    let mut place = 16;
    Some((0..word(deck, 8)?).map_while(move |_| {
        let lens = [word(deck, place)?, word(deck, place + 4)?];
        let mut take = |len: usize| {
            place = place.next_multiple_of(16);
            let bytes = deck.get(place..place.checked_add(len)?)?;
            place += len;
            Some(bytes)
        };
        take(8)?;
        let card = Card {
            model: take(lens[0] as usize)?,
            inputs: take(lens[1] as usize)?,
        };
        place = place.next_multiple_of(16);
        Some(card)
    }))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word))
}
