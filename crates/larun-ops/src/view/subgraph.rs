//! A function of the model: its tensors and its operators in order.

use super::error::ViewError;
use super::flatbuffer::{List, Table};
use super::{Operator, Tensor};
use crate::view::fields::sub_graph;

/// A subgraph.
#[derive(Clone, Copy)]
pub struct Subgraph<'a> {
    table: Table<'a>,
    /// How many there are of each.
    tensors: usize,
    operators: usize,
}

impl<'a> Subgraph<'a> {
    pub(super) fn new(table: Table<'a>) -> Result<Self, ViewError> {
        Ok(Self {
            tensors: table.count(sub_graph::TENSORS)?,
            operators: table.count(sub_graph::OPERATORS)?,
            table,
        })
    }

    /// The table itself.
    pub const fn table(&self) -> &Table<'a> {
        &self.table
    }

    /// Its name.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn name(&self) -> Result<Option<&'a [u8]>, ViewError> {
        self.table.bytes(sub_graph::NAME)
    }

    /// How many tensors there are.
    #[inline]
    pub const fn tensor_count(&self) -> usize {
        self.tensors
    }

    /// Tensor `index`.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn tensor(&self, index: usize) -> Result<Tensor<'a>, ViewError> {
        self.table.entry(sub_graph::TENSORS, index).map(Tensor::new)
    }

    /// How many operators there are.
    #[inline]
    pub const fn operator_count(&self) -> usize {
        self.operators
    }

    /// Operator `index` in order of execution.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn operator(&self, index: usize) -> Result<Operator<'a>, ViewError> {
        self.table
            .entry(sub_graph::OPERATORS, index)
            .map(Operator::new)
    }

    /// The numbers of the tensors that a caller sets.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn inputs(&self) -> Result<List<'a, i32>, ViewError> {
        self.table.list_or_empty(sub_graph::INPUTS)
    }

    /// The numbers of the tensors that a caller reads.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn outputs(&self) -> Result<List<'a, i32>, ViewError> {
        self.table.list_or_empty(sub_graph::OUTPUTS)
    }

    /// Its entry in the debug metadata, -1 for none.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn debug_metadata_index(&self) -> Result<i32, ViewError> {
        self.table.scalar_or(sub_graph::DEBUG_METADATA_INDEX, -1)
    }
}
