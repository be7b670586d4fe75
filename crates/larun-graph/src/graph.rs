//! The model in memory: subgraphs of nodes and tensors over shared buffers.

use larun_ops::{ElementType, Op, OpKind, Shape};

use crate::ids::{BufferId, NodeId, SubgraphId, TensorId};
use crate::quantization::{Quantization, Sparsity};

/// A whole model. The first subgraph is the one that an inference runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// What the model's author says of it.
    pub description: Option<String>,
    /// The subgraphs.
    pub subgraphs: Vec<Subgraph>,
    /// Constant data. Buffer 0 is empty by convention: tensors without data point to it.
    pub buffers: Vec<Buffer>,
    /// Named extra data.
    pub metadata: Vec<Metadata>,
    /// Buffers that an old form of metadata names by index alone.
    pub metadata_buffers: Vec<i32>,
    /// Named entry points.
    pub signatures: Vec<Signature>,
    /// Names or URIs of files beside the model that hold constants.
    pub external_files: Vec<Option<String>>,
    /// The constants in those files.
    pub external_buffers: Vec<ExternalBuffer>,
}

/// Constant bytes, little endian, shared by the tensors that name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buffer {
    /// The bytes.
    pub data: Vec<u8>,
}

/// A constant in a file beside the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalBuffer {
    /// What tensors call it by, above 0.
    pub id: u32,
    /// The index of the file.
    pub file: u32,
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
    /// How its elements are packed.
    pub packing: Option<String>,
}

/// Named extra data of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// What it is called.
    pub name: Option<String>,
    /// Where its bytes are.
    pub buffer: BufferId,
}

/// A named entry point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// What it is called.
    pub key: Option<String>,
    /// The subgraph it runs.
    pub subgraph: SubgraphId,
    /// Names of the inputs.
    pub inputs: Vec<SignatureTensor>,
    /// Names of the outputs.
    pub outputs: Vec<SignatureTensor>,
    /// A tag that the format has retired.
    pub tag: Option<String>,
}

/// The name of an input or output in a signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureTensor {
    /// What it is called.
    pub name: Option<String>,
    /// The tensor.
    pub tensor: TensorId,
}

/// Nodes in order of execution, and the tensors between them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subgraph {
    /// What it is called.
    pub name: Option<String>,
    /// The tensors.
    pub tensors: Vec<Tensor>,
    /// The nodes, in an order that can be executed once validated.
    pub nodes: Vec<Node>,
    /// Tensors that the caller sets.
    pub inputs: Vec<TensorId>,
    /// Tensors that the caller reads.
    pub outputs: Vec<TensorId>,
    /// Which debug record of the file belongs to it, -1 for none.
    pub debug_metadata: i32,
}

/// A tensor: a value, or a constant where its buffer has bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// What it is called.
    pub name: String,
    /// Its shape, `[N, H, W, C]` for images.
    pub shape: Shape,
    /// The shape with -1 for dimensions that may vary, where the file gives it.
    pub shape_signature: Vec<i32>,
    /// Whether the file says that an empty shape means a scalar.
    pub has_rank: bool,
    /// What its elements are.
    pub element_type: ElementType,
    /// Its constant bytes; an empty buffer for a value.
    pub buffer: BufferId,
    /// Its quantisation parameters.
    pub quantization: Option<Quantization>,
    /// Whether it keeps its value from one inference to the next.
    pub is_variable: bool,
    /// How a sparse constant is stored.
    pub sparsity: Option<Sparsity>,
    /// The id of an external buffer with its constant bytes, 0 for none.
    pub external_buffer: u32,
    /// What a VARIANT tensor holds.
    pub variants: Vec<VariantType>,
}

/// What a VARIANT tensor holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariantType {
    /// The shape of the value.
    pub shape: Shape,
    /// What its elements are.
    pub element_type: ElementType,
    /// Whether an empty shape means a scalar.
    pub has_rank: bool,
}

impl Tensor {
    /// Bytes of the whole tensor, or `None` where elements have no fixed size or the size overflows.
    pub fn byte_len(&self) -> Option<usize> {
        self.element_type.byte_len(self.shape.elements()?)
    }
}

/// One operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// What it computes.
    pub op: NodeOp,
    /// The version of the operator's semantics, which a file is given as it stands here.
    pub version: i32,
    /// Its inputs, `None` for an optional one that is absent.
    pub inputs: Vec<Option<TensorId>>,
    /// Its outputs.
    pub outputs: Vec<TensorId>,
    /// Tensors that hold an LSTM's inner results or quantisation.
    pub intermediates: Vec<Option<TensorId>>,
    /// Which inputs it changes, as the file says.
    pub mutating_variable_inputs: Vec<bool>,
    /// Which debug record of the file belongs to it, -1 for none.
    pub debug_metadata: i32,
}

impl Node {
    /// A node of the operator table.
    pub fn new(op: Op, inputs: &[TensorId], outputs: &[TensorId]) -> Self {
        Self {
            op: NodeOp::Known(op),
            version: 1,
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: outputs.to_vec(),
            debug_metadata: -1,
            ..Self::default()
        }
    }

    /// The input at `index`, `None` where it is absent.
    pub fn input(&self, index: usize) -> Option<TensorId> {
        self.inputs.get(index).copied().flatten()
    }

    /// The operator of the table, `None` for one it lacks.
    pub fn known(&self) -> Option<&Op> {
        match &self.op {
            NodeOp::Known(op) => Some(op),
            NodeOp::Opaque(_) => None,
        }
    }

    /// The kind of operator, `None` for one that the table lacks.
    pub fn kind(&self) -> Option<OpKind> {
        self.known().map(Op::kind)
    }

    /// The operator's name: the format's, or the custom code.
    pub fn op_name(&self) -> String {
        match &self.op {
            NodeOp::Known(op) => op.kind().info().name.to_owned(),
            NodeOp::Opaque(op) => match &op.custom_code {
                Some(code) => code.clone(),
                None => format!("BUILTIN {}", op.code),
            },
        }
    }
}

/// The operator of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeOp {
    /// One of the table.
    Known(Op),
    /// One that the table lacks, kept as it was read.
    Opaque(Box<OpaqueOp>),
}

impl Default for NodeOp {
    fn default() -> Self {
        Self::Opaque(Box::default())
    }
}

/// An operator that the table lacks: enough to write it back as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpaqueOp {
    /// The builtin code.
    pub code: i32,
    /// The name of a custom operator.
    pub custom_code: Option<String>,
    /// The typed options.
    pub options: Option<OpaqueOptions>,
    /// The bytes of a custom operator's options.
    pub custom_options: Option<Vec<u8>>,
    /// How those bytes are encoded; 0 is flexbuffers, the only way defined.
    pub custom_options_format: i8,
}

/// Typed options that the operator table does not describe.
#[derive(Clone, Debug, PartialEq)]
pub struct OpaqueOptions {
    /// Which of the format's unions they belong to.
    pub union: OptionsUnion,
    /// Their number in it.
    pub kind: u8,
    /// The table, as a flatbuffer of its own.
    pub table: Vec<u8>,
}

/// The file format's two unions of option tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionsUnion {
    /// `BuiltinOptions`.
    First,
    /// `BuiltinOptions2`.
    Second,
}

impl Graph {
    /// The subgraph that an inference runs.
    pub fn main(&self) -> Option<&Subgraph> {
        self.subgraphs.first()
    }

    /// The subgraph that an inference runs, to change.
    pub fn main_mut(&mut self) -> Option<&mut Subgraph> {
        self.subgraphs.first_mut()
    }

    /// The bytes of a tensor's buffer, empty for a value or a buffer that does not exist.
    pub fn data(&self, tensor: &Tensor) -> &[u8] {
        self.buffers
            .get(tensor.buffer.index())
            .map_or(&[], |buffer| buffer.data.as_slice())
    }

    /// Whether a tensor is a constant.
    pub fn is_constant(&self, tensor: &Tensor) -> bool {
        !self.data(tensor).is_empty()
    }

    /// Adds a buffer. Buffer 0 is made first where there is none.
    pub fn add_buffer(&mut self, data: Vec<u8>) -> BufferId {
        if self.buffers.is_empty() {
            self.buffers.push(Buffer::default());
        }
        self.buffers.push(Buffer { data });
        BufferId::new(self.buffers.len() - 1)
    }
}

impl Subgraph {
    /// A tensor by id.
    pub fn tensor(&self, id: TensorId) -> Option<&Tensor> {
        self.tensors.get(id.index())
    }

    /// A tensor by id, to change.
    pub fn tensor_mut(&mut self, id: TensorId) -> Option<&mut Tensor> {
        self.tensors.get_mut(id.index())
    }

    /// A node by id.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.index())
    }

    /// Adds a tensor.
    pub fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId::new(self.tensors.len() - 1)
    }

    /// Ids and nodes, in order.
    pub fn iter_nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        let ids = (0..).map(NodeId::new);
        ids.zip(&self.nodes)
    }

    /// For each tensor, the node that computes it.
    pub fn producers(&self) -> Vec<Option<NodeId>> {
        let mut producers = vec![None; self.tensors.len()];
        for (id, node) in self.iter_nodes() {
            for output in &node.outputs {
                if let Some(slot) = producers.get_mut(output.index()) {
                    *slot = Some(id);
                }
            }
        }
        producers
    }

    /// For each tensor, the nodes that read it, each once for every operand.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.tensors.len()];
        for (id, node) in self.iter_nodes() {
            for input in node.inputs.iter().flatten() {
                if let Some(slot) = consumers.get_mut(input.index()) {
                    slot.push(id);
                }
            }
        }
        consumers
    }
}
