//! A file as a graph: everything that is in it, or an error.

mod error;
mod node;
mod tensor;

use core::cell::Cell;

use larun_graph::{
    Buffer, BufferId, ExternalBuffer, Graph, Metadata, Signature, SignatureTensor, Subgraph,
    SubgraphId, TensorId,
};

pub use error::{Place, ReadError, ReadErrorKind};

use crate::view::fields::{model, sub_graph};
use crate::view::{self, Field, List, Model, Scalar, Table, ViewError};

type Result<T, E = ReadErrorKind> = core::result::Result<T, E>;

/// Reads a `.tflite` file.
///
/// The graph holds all that the file does: operators that the operator table lacks stay as they
/// are, unknown metadata too. Only what no runtime can see is not kept: the layout of the
/// flatbuffer, operator codes that no operator uses, and whether an absent vector is absent or
/// empty. Names that are not UTF-8 have their bad bytes replaced.
///
/// The graph says what the file says, right or wrong: [`Graph::validate`] tells whether it makes
/// sense.
///
/// # Errors
/// A damaged file, or one with parts that came into the format later and would be lost. Memory
/// taken is bounded by the size of the file.
pub fn read(file: &[u8]) -> Result<Graph, ReadError> {
    let view = Model::new(file).map_err(|error| Place::Model.error(error.into()))?;
    let reader = Reader {
        model: view,
        budget: Budget::for_file(file),
    };
    let mut graph = reader
        .model_parts()
        .map_err(|kind| Place::Model.error(kind))?;
    for index in 0..view.subgraph_count() {
        graph.subgraphs.push(reader.subgraph(index)?);
    }
    Ok(graph)
}

/// How much may still be read. In a flatbuffer many offsets may lead to one place: without a
/// bound, a small file could ask for a graph of any size.
struct Budget {
    limit: usize,
    left: Cell<usize>,
}

impl Budget {
    /// What a table counts beside its contents.
    const TABLE: usize = 32;

    fn for_file(file: &[u8]) -> Self {
        // A table takes 4 bytes and more, so even a file of nothing else stays within this.
        let limit = file.len().saturating_mul(16).saturating_add(1024);
        Self {
            limit,
            left: Cell::new(limit),
        }
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let left = self.left.get().checked_sub(bytes);
        let left = left.ok_or(ReadErrorKind::Overlap { limit: self.limit })?;
        self.left.set(left);
        Ok(())
    }
}

/// What every part of reading needs.
struct Reader<'a> {
    model: Model<'a>,
    budget: Budget,
}

impl<'a> Reader<'a> {
    /// All but the subgraphs.
    fn model_parts(&self) -> Result<Graph> {
        let view = &self.model;
        self.enter(view.table(), model::VERSION)?;
        Ok(Graph {
            description: self.text(view.description()?)?,
            subgraphs: Vec::new(),
            buffers: self.several(view.buffer_count(), |i| self.buffer(i))?,
            metadata: self.several(view.metadata_count()?, |i| self.metadata(i))?,
            metadata_buffers: self.list(view.metadata_buffers()?)?,
            signatures: self.several(view.signature_count()?, |i| self.signature(i))?,
            external_files: self.several(view.external_buffer_group_count()?, |i| {
                self.text(view.external_buffer_group(i)?)
            })?,
            external_buffers: self
                .several(view.external_buffer_count()?, |i| self.external_buffer(i))?,
        })
    }

    fn buffer(&self, index: usize) -> Result<Buffer> {
        let data = self.bytes(self.model.buffer(index)?)?;
        Ok(Buffer { data })
    }

    fn metadata(&self, index: usize) -> Result<Metadata> {
        let metadata = self.model.metadata(index)?;
        Ok(Metadata {
            name: self.text(metadata.name)?,
            buffer: BufferId(metadata.buffer),
        })
    }

    fn external_buffer(&self, index: usize) -> Result<ExternalBuffer> {
        let buffer = self.model.external_buffer(index)?;
        Ok(ExternalBuffer {
            id: buffer.id,
            file: buffer.group,
            offset: buffer.offset,
            length: buffer.length,
            packing: self.text(buffer.packing)?,
        })
    }

    fn signature(&self, index: usize) -> Result<Signature> {
        let signature = self.model.signature(index)?;
        let input = |i| self.signature_tensor(signature.input(i)?);
        let output = |i| self.signature_tensor(signature.output(i)?);
        Ok(Signature {
            key: self.text(signature.key()?)?,
            subgraph: SubgraphId(signature.subgraph()?),
            inputs: self.several(signature.input_count(), input)?,
            outputs: self.several(signature.output_count(), output)?,
            tag: self.text(signature.retired_tag()?)?,
        })
    }

    fn signature_tensor(&self, tensor: view::TensorName<'_>) -> Result<SignatureTensor> {
        Ok(SignatureTensor {
            name: self.text(tensor.name)?,
            tensor: TensorId(tensor.tensor),
        })
    }

    fn subgraph(&self, index: usize) -> Result<Subgraph, ReadError> {
        let at = |kind: ReadErrorKind| Place::Subgraph(index).error(kind);
        let view = self
            .model
            .subgraph(index)
            .map_err(|error| at(error.into()))?;
        let mut subgraph = self.subgraph_parts(&view).map_err(at)?;
        for i in 0..view.tensor_count() {
            let tensor = self.tensor(&view, i);
            let place = |kind| tensor::place(&view, index, i).error(kind);
            subgraph.tensors.push(tensor.map_err(place)?);
        }
        for i in 0..view.operator_count() {
            let node = self.node(&view, i);
            let place = |kind| self.node_place(&view, index, i).error(kind);
            subgraph.nodes.push(node.map_err(place)?);
        }
        Ok(subgraph)
    }

    /// A subgraph without its tensors and nodes.
    fn subgraph_parts(&self, view: &view::Subgraph<'_>) -> Result<Subgraph> {
        self.enter(view.table(), sub_graph::TENSORS)?;
        Ok(Subgraph {
            name: self.text(view.name()?)?,
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: self.tensor_ids(view.inputs()?, "input")?,
            outputs: self.tensor_ids(view.outputs()?, "output")?,
            debug_metadata: view.debug_metadata_index()?,
        })
    }

    /// Counts a table, and refuses one with fields that came later. `field` is any of its own.
    fn enter(&self, table: &Table<'_>, field: Field) -> Result<()> {
        self.budget.take(Budget::TABLE)?;
        let known = field.siblings().len();
        match table.present().find(|id| *id >= known) {
            Some(id) => Err(ReadErrorKind::NewerField {
                table: field.table_name(),
                id,
            }),
            None => Ok(()),
        }
    }

    /// `count` entries of a vector of tables.
    fn several<T>(&self, count: usize, get: impl Fn(usize) -> Result<T>) -> Result<Vec<T>> {
        self.budget.take(count.saturating_mul(Budget::TABLE))?;
        (0..count).map(get).collect()
    }

    fn bytes(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.budget.take(bytes.len())?;
        Ok(bytes.to_vec())
    }

    fn list<T: Scalar>(&self, list: List<'a, T>) -> Result<Vec<T>> {
        self.budget.take(list.bytes().len())?;
        Ok(list.iter().collect())
    }

    fn text(&self, bytes: Option<&[u8]>) -> Result<Option<String>> {
        let Some(bytes) = bytes else { return Ok(None) };
        self.budget.take(bytes.len())?;
        Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
    }

    /// Tensors that must be there.
    fn tensor_ids(&self, list: List<'_, i32>, what: &str) -> Result<Vec<TensorId>> {
        self.budget.take(list.bytes().len())?;
        let id = |(i, number): (usize, i32)| {
            let id = u32::try_from(number).map(TensorId);
            id.map_err(|_| ReadErrorKind::Absent {
                what: format!("{what} {i}"),
                number,
            })
        };
        list.iter().enumerate().map(id).collect()
    }

    /// Tensors of which -1 stands for an absent one.
    fn optional_tensor_ids(
        &self,
        list: List<'_, i32>,
        what: &str,
    ) -> Result<Vec<Option<TensorId>>> {
        self.budget.take(list.bytes().len())?;
        let id = |(i, number): (usize, i32)| match u32::try_from(number) {
            Ok(number) => Ok(Some(TensorId(number))),
            Err(_) if number == -1 => Ok(None),
            Err(_) => Err(ReadErrorKind::Absent {
                what: format!("{what} {i}"),
                number,
            }),
        };
        list.iter().enumerate().map(id).collect()
    }
}

/// A name for a message.
fn name_or_unknown(name: core::result::Result<Option<&[u8]>, ViewError>) -> String {
    let name = name.ok().flatten().unwrap_or(b"?");
    // Enough to know it by: a damaged file may call anything a name.
    let name = name.get(..200).unwrap_or(name);
    String::from_utf8_lossy(name).into_owned()
}
