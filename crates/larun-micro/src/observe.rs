//! Watching an inference node by node.

use larun_kernels::{Locate, Location};
use larun_ops::OpKind;

use crate::layout::{Record, part};

/// A node of a model that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId {
    /// Its subgraph, 0 for the main one.
    pub subgraph: usize,
    /// Its number in the subgraph.
    pub index: usize,
    /// Its operator, or TFLM_DECODE where that runs a layer in its place
    /// ([`Options::reads_encoded`](crate::Options::reads_encoded)).
    pub kind: OpKind,
}

/// Is told of every node of an inference. The methods do nothing by default, and an observer of
/// type `()` costs nothing.
///
/// What a node that runs subgraphs has them do comes between its own [`before`](Self::before) and
/// [`after`](Self::after).
pub trait Observer {
    /// A node is about to run.
    #[inline]
    fn before(&mut self, node: NodeId) {
        let _ = node;
    }

    /// A node has run.
    #[inline]
    fn after(&mut self, node: NodeId, outputs: NodeOutputs<'_>) {
        let _ = (node, outputs);
    }
}

impl Observer for () {}

/// The results of a node, until the next one runs.
pub struct NodeOutputs<'a> {
    record: &'a Record<'a>,
    activations: &'a [u8],
}

impl<'a> NodeOutputs<'a> {
    pub(crate) const fn new(record: &'a Record<'a>, activations: &'a [u8]) -> Self {
        Self {
            record,
            activations,
        }
    }

    /// How many outputs the node has.
    pub fn len(&self) -> usize {
        usize::from(self.record.header.outputs)
    }

    /// Whether the node has no outputs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor number and the bytes of output `index`; `None` where it has no bytes here: it is kept between inferences,
    /// nodes read it encoded, or it has no elements.
    pub fn get(&self, index: usize) -> Option<(usize, &'a [u8])> {
        let tensor = self.record.output_tensor(index)?;
        match self.record.output(index) {
            Location::Arena { len: 0, .. } => None,
            Location::Arena { offset, len } => Some((tensor, part(self.activations, offset, len)?)),
            Location::Constant(bytes) => Some((tensor, bytes)),
            Location::State { .. } | Location::Absent => None,
        }
    }
}
