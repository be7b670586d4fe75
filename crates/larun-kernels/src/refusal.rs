//! Why a kernel will not run a node: small, so that it travels in a register.

use core::fmt;

use crate::reason::{Kept, Reason, ReasonKind};

/// The part of a node that is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// An input, by its index; 255 stands for all from there on.
    Input(u8),
    /// An output, by its index; 255 stands for all from there on.
    Output(u8),
    /// The options, or the node as a whole.
    Options,
}

impl Site {
    /// Input `index`.
    #[inline]
    pub const fn input(index: usize) -> Self {
        Self::Input(byte(index))
    }

    /// Output `index`.
    #[inline]
    pub const fn output(index: usize) -> Self {
        Self::Output(byte(index))
    }
}

const fn byte(index: usize) -> u8 {
    if index < u8::MAX as usize {
        index as u8
    } else {
        u8::MAX
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operand, index) = match self {
            Self::Input(index) => ("input", index),
            Self::Output(index) => ("output", index),
            Self::Options => return f.write_str("options"),
        };
        let further = if *index == u8::MAX { " or further" } else { "" };
        write!(f, "{operand} {index}{further}")
    }
}

/// A node that a kernel refuses: what is at fault and why.
///
/// The caller knows the operator's index and the tensors' names and adds them to the message. What was found and what
/// was expected is kept with the feature `explain` alone: without it a refusal takes three bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refusal {
    at: Site,
    reason: Kept,
}

impl Refusal {
    /// Something wrong with a part.
    #[inline(always)]
    pub const fn new(at: Site, reason: Reason) -> Self {
        Self {
            at,
            reason: reason.kept(),
        }
    }

    /// Something wrong with input `index`.
    #[inline(always)]
    pub const fn input(index: usize, reason: Reason) -> Self {
        Self::new(Site::input(index), reason)
    }

    /// Something wrong with output `index`.
    #[inline(always)]
    pub const fn output(index: usize, reason: Reason) -> Self {
        Self::new(Site::output(index), reason)
    }

    /// Something wrong with the options or the whole.
    #[inline(always)]
    pub const fn options(reason: Reason) -> Self {
        Self::new(Site::Options, reason)
    }

    /// The part at fault.
    pub const fn at(&self) -> Site {
        self.at
    }

    /// What is wrong with it, as a text of as much as is kept.
    pub fn reason(&self) -> impl fmt::Display + use<> {
        self.reason
    }

    /// Which reason it is.
    pub const fn kind(&self) -> ReasonKind {
        #[cfg(feature = "explain")]
        return self.reason.kind();
        #[cfg(not(feature = "explain"))]
        return self.reason;
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.reason)
    }
}

impl core::error::Error for Refusal {}
