//! A graph as a file.

mod error;
pub(crate) mod flexbuffer;
mod node;
mod parts;
mod size;
mod tensor;

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};
use larun_graph::{Graph, Subgraph, TensorId};

pub use error::WriteError;

use crate::generated::schema;
use crate::view::{IDENTIFIER, VERSION};
use node::Codes;

/// The alignment of every buffer's bytes in the file: kernels read constants where they lie.
const ALIGNMENT: usize = 16;

/// Bytes of a file before its root table: the offset of the root and the identifier.
const HEADER: usize = 8;

type Builder = FlatBufferBuilder<'static>;

/// An offset to a vector of tables.
type Tables<T> = WIPOffset<Vector<'static, ForwardsUOffset<T>>>;

/// Writes a `.tflite` file. The same graph gives the same bytes.
///
/// Buffers are written as they are, in order and each aligned to 16 bytes: tensors that share one
/// go on sharing it, and none are merged. The version of an operator is what its node says.
///
/// # Errors
/// A graph that the format cannot hold: an operator for training alone, opaque parts that are
/// damaged, sizes beyond what a flatbuffer allows.
pub fn write(graph: &Graph) -> Result<Vec<u8>, WriteError> {
    let size = size::bound(graph);
    if size > flatbuffers::FLATBUFFERS_MAX_BUFFER_SIZE {
        return Err(WriteError::FileTooLarge { bytes: size });
    }
    let mut writer = Writer {
        fbb: FlatBufferBuilder::with_capacity(size),
        codes: Codes::default(),
    };
    writer.model(graph)?;
    Ok(writer.fbb.finished_data().to_vec())
}

/// A file in the making. Flatbuffers are built from the end: what is written first lies last.
struct Writer {
    fbb: Builder,
    codes: Codes,
}

impl Writer {
    fn model(&mut self, graph: &Graph) -> Result<(), WriteError> {
        let buffers = self.buffers(&graph.buffers);
        let subgraphs = self.each(&graph.subgraphs, Self::subgraph)?;
        let subgraphs = self.fbb.create_vector(&subgraphs);
        let operator_codes = self.operator_codes();
        let description = self.text(graph.description.as_deref());
        let metadata_buffer = self.vector(&graph.metadata_buffers);
        let metadata = self.metadata(&graph.metadata);
        let signature_defs = self.signatures(&graph.signatures);
        let external_buffer_groups = self.external_files(&graph.external_files);
        let external_buffers = self.external_buffers(&graph.external_buffers);
        let root = schema::Model::create(
            &mut self.fbb,
            &schema::ModelArgs {
                version: VERSION,
                operator_codes: Some(operator_codes),
                subgraphs: Some(subgraphs),
                description,
                buffers: Some(buffers),
                metadata_buffer,
                metadata,
                signature_defs,
                external_buffer_groups,
                external_buffers,
            },
        );
        // Alignment counts from the end: with a whole number of blocks it counts from the start.
        self.align_for(HEADER);
        let identifier = core::str::from_utf8(IDENTIFIER).ok();
        self.fbb.finish(root, identifier);
        Ok(())
    }

    fn subgraph(
        &mut self,
        number: usize,
        subgraph: &Subgraph,
    ) -> Result<WIPOffset<schema::SubGraph<'static>>, WriteError> {
        let tensors = self.each(&subgraph.tensors, |writer, index, tensor| {
            writer.tensor(number, index, tensor)
        })?;
        let tensors = self.fbb.create_vector(&tensors);
        let operators = self.each(&subgraph.nodes, |writer, index, node| {
            writer.node(number, index, node)
        })?;
        let operators = self.fbb.create_vector(&operators);
        let inputs = self.tensor_ids(subgraph.inputs.iter().copied().map(Some))?;
        let outputs = self.tensor_ids(subgraph.outputs.iter().copied().map(Some))?;
        let name = self.text(subgraph.name.as_deref());
        let args = schema::SubGraphArgs {
            tensors: Some(tensors),
            inputs: Some(inputs),
            outputs: Some(outputs),
            operators: Some(operators),
            name,
            debug_metadata_index: subgraph.debug_metadata,
        };
        Ok(schema::SubGraph::create(&mut self.fbb, &args))
    }

    /// Writes every item, by its number.
    fn each<T, O>(
        &mut self,
        items: &[T],
        mut one: impl FnMut(&mut Self, usize, &T) -> Result<O, WriteError>,
    ) -> Result<Vec<O>, WriteError> {
        let items = items.iter().enumerate();
        items.map(|(index, item)| one(self, index, item)).collect()
    }

    /// Numbers of tensors, -1 for one that is absent.
    fn tensor_ids(
        &mut self,
        ids: impl Iterator<Item = Option<TensorId>>,
    ) -> Result<WIPOffset<Vector<'static, i32>>, WriteError> {
        let number = |id: Option<TensorId>| match id {
            Some(id) => i32::try_from(id.0).map_err(|_| WriteError::TooLarge {
                what: "tensor number",
                number: id.0.into(),
                limit: i32::MAX as u64,
            }),
            None => Ok(-1),
        };
        let numbers = ids.map(number).collect::<Result<Vec<i32>, _>>()?;
        Ok(self.fbb.create_vector(&numbers))
    }

    /// A vector of numbers, left out where it is empty.
    fn vector<T: flatbuffers::Push + Copy + 'static>(
        &mut self,
        values: &[T],
    ) -> Option<WIPOffset<Vector<'static, T::Output>>> {
        (!values.is_empty()).then(|| self.fbb.create_vector(values))
    }

    fn text(&mut self, text: Option<&str>) -> Option<WIPOffset<&'static str>> {
        text.map(|text| self.fbb.create_string(text))
    }

    /// Fills up with zeros so that what follows, of `len` bytes, begins aligned.
    fn align_for(&mut self, len: usize) {
        let end = self.fbb.unfinished_data().len() + len;
        for _ in 0..end.next_multiple_of(ALIGNMENT) - end {
            self.fbb.push(0u8);
        }
    }
}
