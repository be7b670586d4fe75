//! Every value that an inference computes, node by node.

use larun_micro::{ElementType, NodeId, NodeOutputs, Observer};
use larun_quant::Affine;

use crate::{Error, Model};

/// What a node of the main subgraph gave.
#[derive(Clone, Debug, PartialEq)]
pub struct TracedTensor {
    /// The node's number.
    pub node: usize,
    /// Its operator.
    pub op: &'static str,
    /// The tensor's number.
    pub tensor: usize,
    /// Its name.
    pub name: String,
    /// Its elements.
    pub element_type: ElementType,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How its integers stand for real numbers, where they do.
    pub affine: Option<Affine>,
    /// Its bytes, little endian.
    pub bytes: Vec<u8>,
}

impl TracedTensor {
    /// The real numbers that the elements stand for, `None` for elements that are no numbers.
    pub fn real_values(&self) -> Option<Vec<f64>> {
        real_values(self.element_type, self.affine, &self.bytes)
    }
}

/// The real numbers that elements stand for, `None` for elements that are no numbers.
pub fn real_values(
    element_type: ElementType,
    affine: Option<Affine>,
    bytes: &[u8],
) -> Option<Vec<f64>> {
    let real = |integer: i64| match affine {
        Some(affine) => f64::from(affine.scale) * (integer - i64::from(affine.zero_point)) as f64,
        None => integer as f64,
    };
    fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes
            .as_chunks()
            .0
            .iter()
            .map(|&chunk| read(chunk))
            .collect()
    }
    Some(match element_type {
        ElementType::Float32 => each(bytes, |b| f64::from(f32::from_le_bytes(b))),
        ElementType::Int8 => each(bytes, |b| real(i8::from_le_bytes(b).into())),
        ElementType::UInt8 | ElementType::Bool => each(bytes, |[b]| real(b.into())),
        ElementType::Int16 => each(bytes, |b| real(i16::from_le_bytes(b).into())),
        ElementType::Int32 => each(bytes, |b| real(i32::from_le_bytes(b).into())),
        ElementType::UInt32 => each(bytes, |b| real(u32::from_le_bytes(b).into())),
        ElementType::Int64 => each(bytes, |b| real(i64::from_le_bytes(b))),
        _ => return None,
    })
}

/// What the tensors of a model are called and how they are quantised, to make sense of what nodes give.
#[derive(Clone, Debug)]
pub struct Tracer {
    tensors: Vec<TracedTensor>,
    seen: Vec<TracedTensor>,
}

impl Tracer {
    /// For the main subgraph of a model.
    ///
    /// # Errors
    /// When the model cannot be read.
    pub fn new(model: &Model) -> Result<Self, Error> {
        let graph = model.graph()?;
        let tensors = graph.subgraphs.first().map(|subgraph| &subgraph.tensors);
        let describe = |(tensor, description): (usize, &larun_graph::Tensor)| TracedTensor {
            node: 0,
            op: "",
            tensor,
            name: description.name.clone(),
            element_type: description.element_type,
            shape: description.shape.dims().to_vec(),
            affine: affine(description),
            bytes: Vec::new(),
        };
        let tensors = tensors.into_iter().flatten().enumerate().map(describe);
        Ok(Self {
            tensors: tensors.collect(),
            seen: Vec::new(),
        })
    }

    /// What the nodes have given since the last call, in order.
    pub fn take(&mut self) -> Vec<TracedTensor> {
        core::mem::take(&mut self.seen)
    }
}

fn affine(tensor: &larun_graph::Tensor) -> Option<Affine> {
    let quantization = tensor.quantization.as_ref()?;
    match (&*quantization.scale, &*quantization.zero_point) {
        (&[scale], &[zero_point]) => Some(Affine::new(scale, i32::try_from(zero_point).ok()?)),
        (&[scale], []) => Some(Affine::new(scale, 0)),
        _ => None,
    }
}

impl Observer for Tracer {
    fn after(&mut self, node: NodeId, outputs: NodeOutputs<'_>) {
        if node.subgraph != 0 {
            return;
        }
        for (tensor, bytes) in (0..outputs.len()).filter_map(|index| outputs.get(index)) {
            if let Some(description) = self.tensors.get(tensor) {
                self.seen.push(TracedTensor {
                    node: node.index,
                    op: node.kind.info().name,
                    bytes: bytes.to_vec(),
                    ..description.clone()
                });
            }
        }
    }
}
