//! Typed indices: a graph holds ids, never references.

use core::fmt;

/// An index into one of a graph's vectors.
macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        impl $name {
            /// The id of position `index`. Vectors of a graph never grow past `u32::MAX`.
            pub const fn new(index: usize) -> Self {
                debug_assert!(index <= u32::MAX as usize);
                Self(index as u32)
            }

            /// The position in the vector.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A tensor of a subgraph.
    TensorId
);
id!(
    /// A node of a subgraph.
    NodeId
);
id!(
    /// A buffer of a graph.
    BufferId
);
id!(
    /// A subgraph of a graph.
    SubgraphId
);
