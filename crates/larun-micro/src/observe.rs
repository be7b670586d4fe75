//! Watching an inference node by node.

use larun_kernels::{Locate, Location};
use larun_ops::OpKind;

use crate::layout::Record;

/// Is told of every node of an inference. The methods do nothing by default, and an observer of
/// type `()` costs nothing.
pub trait Observer {
    /// Node `index` is about to run.
    #[inline]
    fn before(&mut self, index: usize, kind: OpKind) {
        let _ = (index, kind);
    }

    /// Node `index` has run.
    #[inline]
    fn after(&mut self, index: usize, kind: OpKind, outputs: NodeOutputs<'_>) {
        let _ = (index, kind, outputs);
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

    /// The tensor number and the bytes of output `index`.
    pub fn get(&self, index: usize) -> Option<(usize, &'a [u8])> {
        let tensor = self.record.output_tensor(index)?;
        match self.record.output(index) {
            Location::Arena { offset, len } => {
                let bytes = self.activations.get(offset..)?.get(..len)?;
                Some((tensor, bytes))
            }
            _ => None,
        }
    }
}
