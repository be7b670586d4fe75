//! A model as the interpreter prepares it, with its ports: what all source code is made from.

use larun_arena::{Budget, Exact, Planner};
use larun_graph::{Graph, Quantization, Tensor};
use larun_kernels::{ALL, Processor};
use larun_micro::Options;
use larun_micro::host::{AlignedBytes, Prepared, PreparedSubgraph, PreparedTensor};
use larun_ops::{ElementType, OpKind};

use crate::CodegenError;
use crate::stretch::{self, ALIGNMENT, PLAN_STEPS, Piece, Placed, Rows};

/// The bytes of a model, aligned, and what is written in them.
pub(crate) struct Model {
    bytes: AlignedBytes,
    graph: Graph,
}

/// A model that is prepared for a processor.
pub(crate) struct Compiled<'m> {
    pub(crate) prepared: Prepared<'m>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    /// The processor that is to run it.
    pub(crate) processor: Processor,
    /// Nodes that are run some rows at a time, in their order.
    pub(crate) stretches: Vec<Placed>,
    /// The buffers of the activations with their offsets.
    pub(crate) pieces: Vec<(Piece, u32)>,
    graph: &'m Graph,
}

/// An input or output of the model.
pub(crate) struct Port {
    /// Its tensor.
    pub(crate) tensor: usize,
    /// What it is called.
    pub(crate) name: String,
    pub(crate) element_type: ElementType,
    pub(crate) dims: Vec<usize>,
    /// How many elements, or bytes where elements are no whole bytes.
    pub(crate) len: usize,
    /// Scale and zero point, where one pair serves all elements.
    pub(crate) quantization: Option<(f32, i64)>,
}

impl Model {
    /// The model in the bytes of a `.tflite` file.
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, CodegenError> {
        if bytes.is_empty() {
            return Err(CodegenError::EmptyModel);
        }
        Ok(Self {
            bytes: AlignedBytes::copy_of(bytes),
            graph: larun_tflite::read(bytes)
                .map_err(|error| CodegenError::Model(error.to_string()))?,
        })
    }

    /// The file's bytes, aligned.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The operators of all subgraphs by their names in the file format, as often as they are used.
    pub(crate) fn operators(&self) -> impl Iterator<Item = String> {
        let nodes = self.graph.subgraphs.iter().flat_map(|it| &it.nodes);
        nodes.map(larun_graph::Node::op_name)
    }

    /// Prepares every node for a processor, and plans the activations.
    pub(crate) fn compile(
        &self,
        processor: Processor,
        rows: Rows,
    ) -> Result<Compiled<'_>, CodegenError> {
        let options = Options {
            processor,
            ..Options::default()
        };
        let mut prepared = Prepared::new(&self.bytes, ALL, options)
            .map_err(|error| CodegenError::Model(error.to_string()))?;
        plan(&mut prepared);
        let main = prepared.main();
        let main = main.ok_or_else(|| CodegenError::Model("no subgraph".to_owned()))?;
        let ports = |tensors: &[usize]| -> Vec<Port> {
            let described = self.graph.main().map_or(&[][..], |main| &main.tensors);
            let port = |&tensor| Some(Port::new(tensor, described.get(tensor)?));
            tensors.iter().filter_map(port).collect()
        };
        let mut compiled = Compiled {
            inputs: ports(&main.inputs),
            outputs: ports(&main.outputs),
            prepared,
            processor,
            stretches: Vec::new(),
            pieces: Vec::new(),
            graph: &self.graph,
        };
        stretch::apply(&mut compiled, rows);
        Ok(compiled)
    }
}

/// Searches for the smallest plan of the activations, and takes it where it is smaller than the interpreter's.
fn plan(prepared: &mut Prepared<'_>) {
    let planner = Exact {
        budget: Budget::steps(PLAN_STEPS),
        ..Exact::default()
    };
    let found = planner.plan(&prepared.problem(), ALIGNMENT);
    let before = prepared.main().map_or(0, |main| main.activation_bytes);
    if let Ok(plan) = found
        && (plan.peak as usize) < before
    {
        prepared.place(&plan.offsets, plan.peak as usize);
    }
}

impl<'m> Compiled<'m> {
    pub(crate) fn main(&self) -> Option<&PreparedSubgraph<'m>> {
        self.prepared.main()
    }

    /// The subgraphs that are run, with their numbers.
    pub(crate) fn subgraphs(&self) -> impl Iterator<Item = (usize, &PreparedSubgraph<'m>)> {
        let all = self.prepared.subgraphs.iter().enumerate();
        all.filter_map(|(number, subgraph)| Some((number, subgraph.as_ref()?)))
    }

    /// What the file says of a tensor.
    pub(crate) fn tensor(&self, subgraph: usize, tensor: usize) -> Option<&'m Tensor> {
        self.graph.subgraphs.get(subgraph)?.tensors.get(tensor)
    }

    /// What the model is, in the file's words.
    pub(crate) fn description(&self) -> &str {
        self.graph.description.as_deref().unwrap_or_default()
    }

    /// Bytes of the activations.
    pub(crate) fn activation_bytes(&self) -> usize {
        self.main().map_or(0, |main| main.activation_bytes)
    }

    /// Whether an inference can fail or end early on some values of its inputs: indices out of range, loops without
    /// end, and operators that wait for more of a stream.
    pub(crate) fn depends_on_values(&self) -> bool {
        let mut nodes = self.subgraphs().flat_map(|(_, subgraph)| &subgraph.nodes);
        nodes.any(|node| {
            matches!(
                node.kind,
                OpKind::If
                    | OpKind::While
                    | OpKind::CallOnce
                    | OpKind::Gather
                    | OpKind::GatherNd
                    | OpKind::EmbeddingLookup
                    | OpKind::BroadcastArgs
                    | OpKind::BroadcastTo
                    | OpKind::Fill
                    | OpKind::DynamicUpdateSlice
                    | OpKind::ReadVariable
                    | OpKind::AssignVariable
                    | OpKind::CircularBuffer
            )
        })
    }
}

impl Port {
    fn new(tensor: usize, described: &Tensor) -> Self {
        let whole_bytes = described.element_type.bits().is_some_and(|bits| bits >= 8);
        let len = match whole_bytes {
            true => described.shape.elements(),
            false => described.byte_len(),
        };
        let quantization = described.quantization.as_ref().and_then(per_tensor);
        Self {
            tensor,
            name: described.name.clone(),
            element_type: described.element_type,
            dims: described.shape.dims().to_vec(),
            len: len.unwrap_or(0),
            quantization,
        }
    }

    /// A line about the port: its name, type and shape, and what its integers stand for.
    pub(crate) fn describe(&self) -> String {
        let shape: Vec<_> = self.dims.iter().map(usize::to_string).collect();
        let mut text = format!(
            "`{}`, {} [{}]",
            self.name,
            self.element_type,
            shape.join(", ")
        );
        if let Some((scale, zero_point)) = self.quantization {
            text.push_str(&format!("; real = {scale:e} * (q - {zero_point})"));
        }
        text
    }
}

fn per_tensor(quantization: &Quantization) -> Option<(f32, i64)> {
    match (&quantization.scale[..], &quantization.zero_point[..]) {
        (&[scale], &[zero_point]) => Some((scale, zero_point)),
        (&[scale], []) => Some((scale, 0)),
        _ => None,
    }
}

/// Where a tensor lies, nothing where there is no such tensor.
pub(crate) fn place<'m>(
    subgraph: &PreparedSubgraph<'m>,
    tensor: usize,
) -> Option<PreparedTensor<'m>> {
    subgraph.tensors.get(tensor).copied()
}
