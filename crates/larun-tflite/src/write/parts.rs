//! What belongs to no subgraph.

use flatbuffers::{Vector, WIPOffset};
use larun_graph::{Buffer, ExternalBuffer, Metadata, Signature, SignatureTensor};

use super::{Tables, Writer};
use crate::generated::schema;

impl Writer {
    /// The buffers, and the empty one that every file begins with where the graph has none.
    pub(super) fn buffers(&mut self, buffers: &[Buffer]) -> Tables<schema::Buffer<'static>> {
        let mut offsets: Vec<_> = buffers
            .iter()
            .map(|buffer| self.buffer(&buffer.data))
            .collect();
        if offsets.is_empty() {
            offsets.push(self.buffer(&[]));
        }
        self.fbb.create_vector(&offsets)
    }

    fn buffer(&mut self, data: &[u8]) -> WIPOffset<schema::Buffer<'static>> {
        let data = (!data.is_empty()).then(|| self.aligned(data));
        let args = schema::BufferArgs {
            data,
            ..Default::default()
        };
        schema::Buffer::create(&mut self.fbb, &args)
    }

    /// Bytes that begin aligned.
    pub(super) fn aligned(&mut self, bytes: &[u8]) -> WIPOffset<Vector<'static, u8>> {
        self.align_for(bytes.len());
        self.fbb.create_vector(bytes)
    }

    pub(super) fn metadata(
        &mut self,
        metadata: &[Metadata],
    ) -> Option<Tables<schema::Metadata<'static>>> {
        self.tables(metadata, |writer, metadata| {
            let args = schema::MetadataArgs {
                name: writer.text(metadata.name.as_deref()),
                buffer: metadata.buffer.0,
            };
            schema::Metadata::create(&mut writer.fbb, &args)
        })
    }

    pub(super) fn signatures(
        &mut self,
        signatures: &[Signature],
    ) -> Option<Tables<schema::SignatureDef<'static>>> {
        self.tables(signatures, |writer, signature| {
            let args = schema::SignatureDefArgs {
                inputs: writer.signature_tensors(&signature.inputs),
                outputs: writer.signature_tensors(&signature.outputs),
                signature_key: writer.text(signature.key.as_deref()),
                deprecated_tag: writer.text(signature.tag.as_deref()),
                subgraph_index: signature.subgraph.0,
            };
            schema::SignatureDef::create(&mut writer.fbb, &args)
        })
    }

    fn signature_tensors(
        &mut self,
        tensors: &[SignatureTensor],
    ) -> Option<Tables<schema::TensorMap<'static>>> {
        self.tables(tensors, |writer, tensor| {
            let args = schema::TensorMapArgs {
                name: writer.text(tensor.name.as_deref()),
                tensor_index: tensor.tensor.0,
            };
            schema::TensorMap::create(&mut writer.fbb, &args)
        })
    }

    pub(super) fn external_files(
        &mut self,
        files: &[Option<String>],
    ) -> Option<Tables<schema::ExternalBufferGroup<'static>>> {
        self.tables(files, |writer, name| {
            let name = writer.text(name.as_deref());
            let args = schema::ExternalBufferGroupArgs { name };
            schema::ExternalBufferGroup::create(&mut writer.fbb, &args)
        })
    }

    pub(super) fn external_buffers(
        &mut self,
        buffers: &[ExternalBuffer],
    ) -> Option<Tables<schema::ExternalBuffer<'static>>> {
        self.tables(buffers, |writer, buffer| {
            let args = schema::ExternalBufferArgs {
                id: buffer.id,
                group: buffer.file,
                offset: buffer.offset,
                length: buffer.length,
                packing: writer.text(buffer.packing.as_deref()),
            };
            schema::ExternalBuffer::create(&mut writer.fbb, &args)
        })
    }

    /// A vector of tables, left out where it is empty.
    pub(super) fn tables<I, T: 'static>(
        &mut self,
        items: &[I],
        mut one: impl FnMut(&mut Self, &I) -> WIPOffset<T>,
    ) -> Option<Tables<T>> {
        let offsets: Vec<_> = items.iter().map(|item| one(self, item)).collect();
        (!offsets.is_empty()).then(|| self.fbb.create_vector(&offsets))
    }
}
