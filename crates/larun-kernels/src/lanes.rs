//! Work on neighbouring channels side by side, in blocks whose sums stay in the processor's registers.

use core::ops::Range;

/// Channels of the widest block: 16 where there are vector registers, 8 on small processors: more than their registers hold
/// together with all else, but what it takes to get at a block counts more than what is kept on the stack. Each width is
/// a copy of the code.
const WIDEST: usize = if SMALL_DEFINITIONS {
    4
} else if FEW_REGISTERS {
    8
} else {
    16
};

/// Whether the processor is a small one: no vector registers, and few others, so that what is inlined into one another
/// ends up on the stack.
pub(crate) const FEW_REGISTERS: bool = cfg!(not(target_pointer_width = "64"));

/// Whether the processor has layers of its own, which leave odd ones alone to the definition: it had better be small
/// than fast.
pub(crate) const SMALL_DEFINITIONS: bool = cfg!(larun_arch = "armv7em");

/// A computation on `L` neighbouring channels that start at `channel`.
pub(crate) trait Block {
    fn run<const L: usize>(&mut self, channel: usize);
}

/// Runs a block on all channels of a range, the widest first.
#[inline]
pub(crate) fn for_each_block(channels: Range<usize>, block: &mut impl Block) {
    let mut at = channels.start;
    while at < channels.end {
        at += match channels.end - at {
            16.. if WIDEST >= 16 => step::<16>(block, at),
            8.. if WIDEST >= 8 => step::<8>(block, at),
            4.. => step::<4>(block, at),
            _ => step::<1>(block, at),
        };
    }
}

#[inline]
fn step<const L: usize>(block: &mut impl Block, at: usize) -> usize {
    block.run::<L>(at);
    L
}

/// The `L` elements from `at` on, or `None` past the end.
#[inline]
pub(crate) fn lanes<T, const L: usize>(elements: &[T], at: usize) -> Option<&[T; L]> {
    elements.get(at..)?.first_chunk()
}

/// The `L` elements from `at` on, to write.
#[inline]
pub(crate) fn lanes_mut<T, const L: usize>(elements: &mut [T], at: usize) -> Option<&mut [T; L]> {
    elements.get_mut(at..)?.first_chunk_mut()
}
