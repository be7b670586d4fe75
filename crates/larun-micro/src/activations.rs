//! When each value is alive, and whose memory a planned buffer is.

use crate::encoded::ENCODED;
use crate::load::SUBGRAPHS;

/// Alignment of every tensor in the arena, in bytes.
pub(crate) const ALIGNMENT: usize = 16;

/// What a planned buffer is for.
#[cfg_attr(
    not(feature = "alloc"),
    allow(unreachable_pub, reason = "`host` exports it")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The value of a tensor, and of all that are views of it.
    Tensor(usize),
    /// The scratch memory of a node, or the activations of the subgraphs that it runs.
    Scratch(usize),
}

impl Owner {
    const SCRATCH: u32 = 1 << 16;

    pub(crate) const fn pack(self) -> u32 {
        match self {
            Self::Tensor(tensor) => tensor as u32,
            Self::Scratch(node) => node as u32 | Self::SCRATCH,
        }
    }

    pub(crate) const fn unpack(word: u32) -> Self {
        match word & Self::SCRATCH {
            0 => Self::Tensor(word as usize),
            _ => Self::Scratch((word & !Self::SCRATCH) as usize),
        }
    }
}

/// When the value of a tensor is alive. Nodes are numbered below [`Span::MOST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// From one node to another, both included; from a later to an earlier one where no node has touched it.
    Alive { first: u16, last: u16 },
    /// It lies in the file, or is kept from one inference to the next.
    Elsewhere,
    /// It is a handle of the resource variable with this number.
    Handle(u16),
    /// It is a view of another tensor.
    View(u16),
    /// Nodes read it as the node with this number keeps it encoded.
    Encoded(u16),
}

impl Span {
    /// No node has touched the value.
    pub(crate) const NEVER: Self = Self::Alive {
        first: Self::ELSEWHERE,
        last: 0,
    };
    /// More nodes than this are not numbered.
    pub(crate) const MOST: u16 = Self::ENCODED;

    const ENCODED: u16 = u16::MAX - 3;
    const VIEW: u16 = u16::MAX - 2;
    const HANDLE: u16 = u16::MAX - 1;
    const ELSEWHERE: u16 = u16::MAX;

    /// First and last node.
    pub(crate) fn alive(self) -> Option<(u32, u32)> {
        match self {
            Self::Alive { first, last } if first <= last => Some((first.into(), last.into())),
            _ => None,
        }
    }

    /// Longer, so that the value is alive at a node.
    pub(crate) fn with(self, at: u16) -> Self {
        match self {
            Self::Alive { first, last } => Self::Alive {
                first: first.min(at),
                last: last.max(at),
            },
            other => other,
        }
    }

    pub(crate) const fn pack(self) -> u32 {
        let (first, last) = match self {
            Self::Alive { first, last } => (first, last),
            Self::Elsewhere => (Self::ELSEWHERE, u16::MAX),
            Self::Handle(number) => (Self::HANDLE, number),
            Self::View(tensor) => (Self::VIEW, tensor),
            Self::Encoded(node) => (Self::ENCODED, node),
        };
        first as u32 | (last as u32) << 16
    }

    pub(crate) const fn unpack(word: u32) -> Self {
        let (first, last) = (word as u16, (word >> 16) as u16);
        match first {
            Self::VIEW => Self::View(last),
            Self::HANDLE if SUBGRAPHS => Self::Handle(last),
            Self::ENCODED if ENCODED && last < Self::MOST => Self::Encoded(last),
            Self::ELSEWHERE if last > 0 => Self::Elsewhere,
            _ => Self::Alive { first, last },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_what_was_packed() {
        let spans = [
            Span::NEVER,
            Span::Alive { first: 0, last: 0 },
            Span::Alive {
                first: 7,
                last: Span::MOST,
            },
            Span::Elsewhere,
            Span::Handle(0),
            Span::Handle(u16::MAX),
            Span::View(0),
            Span::View(u16::MAX - 1),
            Span::Encoded(0),
            Span::Encoded(Span::MOST - 1),
        ];
        for span in spans {
            assert_eq!(Span::unpack(span.pack()), span);
        }
        assert_eq!(Span::NEVER.alive(), None);
        assert_eq!(Span::NEVER.with(3).alive(), Some((3, 3)));
        assert_eq!(Span::NEVER.with(3).with(1).alive(), Some((1, 3)));
        assert_eq!(Span::Elsewhere.with(1), Span::Elsewhere);
    }
}
