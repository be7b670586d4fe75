//! Nodes made in tests, run as an interpreter runs them: measured, prepared, placed in an arena, invoked.

use larun_kernels::{
    ALL, InvokeError, Io, Locate, Location, NodeView, PlanReader, PlanWriter, QuantizationView,
    Refusal, Registration, TensorInfo,
};
use larun_ops::{ElementType, Op, Shape};

/// An operand with its value.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub(crate) element_type: ElementType,
    pub(crate) shape: Shape,
    pub(crate) scales: Vec<u8>,
    pub(crate) zero_points: Vec<u8>,
    pub(crate) axis: usize,
    pub(crate) constant: bool,
    /// Whether the value is kept from one inference to the next.
    pub(crate) variable: bool,
    /// The value: of an output, the one expected or nothing.
    pub(crate) bytes: Vec<u8>,
}

impl Tensor {
    pub(crate) fn new(element_type: ElementType, dims: &[usize], bytes: Vec<u8>) -> Self {
        Self {
            element_type,
            shape: Shape::new(dims).unwrap(),
            scales: Vec::new(),
            zero_points: Vec::new(),
            axis: 0,
            constant: false,
            variable: false,
            bytes,
        }
    }

    pub(crate) fn int8(dims: &[usize], values: &[i8], scale: f32, zero_point: i64) -> Self {
        let bytes = values.iter().map(|&v| v as u8).collect();
        Self::new(ElementType::Int8, dims, bytes).quantized(&[scale], &[zero_point])
    }

    pub(crate) fn int32(dims: &[usize], values: &[i32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::new(ElementType::Int32, dims, bytes)
    }

    pub(crate) fn float(dims: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::new(ElementType::Float32, dims, bytes)
    }

    pub(crate) fn quantized(mut self, scales: &[f32], zero_points: &[i64]) -> Self {
        self.scales = scales.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.zero_points = zero_points.iter().flat_map(|v| v.to_le_bytes()).collect();
        self
    }

    pub(crate) fn along(mut self, axis: usize) -> Self {
        self.axis = axis;
        self
    }

    pub(crate) fn constant(mut self) -> Self {
        self.constant = true;
        self
    }

    /// A tensor whose value is kept from one inference to the next, and begins with its bytes.
    #[allow(dead_code, reason = "for operators with state")]
    pub(crate) fn variable(mut self) -> Self {
        self.variable = true;
        self
    }

    fn info(&self) -> TensorInfo<'_> {
        TensorInfo {
            element_type: self.element_type,
            shape: self.shape,
            quantization: QuantizationView::new(&self.scales, &self.zero_points, self.axis),
            constant: self.constant.then_some(&self.bytes),
            is_variable: self.variable,
        }
    }
}

/// An operator with its operands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) inputs: Vec<Option<Tensor>>,
    pub(crate) outputs: Vec<Tensor>,
}

/// What a node keeps from one inference to the next: its variables and what its `prepare` asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct State(pub(crate) Vec<u128>);

impl NodeView for Node {
    fn op(&self) -> &Op {
        &self.op
    }

    fn input_count(&self) -> usize {
        self.inputs.len()
    }

    fn output_count(&self) -> usize {
        self.outputs.len()
    }

    fn input(&self, index: usize) -> Option<TensorInfo<'_>> {
        self.inputs.get(index)?.as_ref().map(Tensor::info)
    }

    fn output(&self, index: usize) -> Option<TensorInfo<'_>> {
        self.outputs.get(index).map(Tensor::info)
    }
}

impl Node {
    pub(crate) fn registration(&self) -> &'static Registration {
        let kind = self.op.kind();
        ALL.iter().find(|row| row.kind == kind).unwrap()
    }

    /// The plan's words and the bytes of scratch memory.
    pub(crate) fn prepare(&self) -> Result<(Vec<u32>, usize), Refusal> {
        let row = self.registration();
        let mut measure = PlanWriter::new(&mut []);
        row.prepare(self, &mut measure)?;
        let mut words = vec![u32::MAX; measure.words_needed()];
        let scratch = measure.scratch_bytes();
        let mut writer = PlanWriter::new(&mut words);
        row.prepare(self, &mut writer)?;
        assert!(writer.fits(), "measured and written plans differ");
        assert_eq!(writer.words_needed(), measure.words_needed());
        assert_eq!(writer.scratch_bytes(), scratch);
        Ok((words, scratch))
    }

    /// The bytes of state that the node asks for.
    pub(crate) fn state_bytes(&self) -> Result<usize, Refusal> {
        let mut measure = PlanWriter::new(&mut []);
        self.registration().prepare(self, &mut measure)?;
        Ok(measure.state_bytes())
    }

    /// The bytes of every output.
    pub(crate) fn run(&self) -> Result<Vec<Vec<u8>>, Refusal> {
        let (words, scratch) = self.prepare()?;
        Ok(self.invoke(&words, scratch).unwrap())
    }

    pub(crate) fn invoke(
        &self,
        words: &[u32],
        scratch: usize,
    ) -> Result<Vec<Vec<u8>>, InvokeError> {
        self.invoke_with(words, scratch, &mut State::default())
    }

    /// Runs once and goes on from `state`; an empty one begins with the variables' own bytes.
    pub(crate) fn invoke_with(
        &self,
        words: &[u32],
        scratch: usize,
        state: &mut State,
    ) -> Result<Vec<Vec<u8>>, InvokeError> {
        let mut layout = Layout::default();
        let mut variables = Vec::new();
        for input in &self.inputs {
            let place = match input {
                None => Place::Absent,
                Some(tensor) if tensor.constant => aligned(&tensor.bytes),
                Some(tensor) if tensor.variable => {
                    variables.resize(variables.len().next_multiple_of(16), 0);
                    variables.extend(&tensor.bytes);
                    Place::State(variables.len() - tensor.bytes.len(), tensor.bytes.len())
                }
                Some(tensor) => layout.place(tensor.bytes.len()),
            };
            layout.inputs.push(place);
        }
        for output in &self.outputs {
            let place = layout.place(output.info().byte_len().unwrap());
            layout.outputs.push(place);
        }
        layout.scratch = layout.place(scratch);
        let kept = self.state_bytes().unwrap_or(0);
        let start = variables.len().next_multiple_of(16);
        layout.node_state = Place::State(start, kept);
        if state.0.is_empty() {
            state.0 = vec![0; (start + kept).div_ceil(16)];
            bytemuck::cast_slice_mut(&mut state.0)[..variables.len()].copy_from_slice(&variables);
        }
        // Memory holds what earlier nodes left.
        let mut arena = vec![0xA5A5_A5A5_A5A5_A5A5_A5A5_A5A5_A5A5_A5A5_u128; layout.end / 16 + 1];
        let arena: &mut [u8] = bytemuck::cast_slice_mut(&mut arena);
        for (place, input) in layout.inputs.iter().zip(&self.inputs) {
            if let (&Place::Arena(at, len), Some(tensor)) = (place, input) {
                arena[at..at + len].copy_from_slice(&tensor.bytes);
            }
        }
        let io = Io::with_state(arena, bytemuck::cast_slice_mut(&mut state.0), &layout);
        (self.registration().invoke)(PlanReader::new(words), io)?;
        let outputs = layout.outputs.iter().map(|place| match *place {
            Place::Arena(at, len) => arena[at..at + len].to_vec(),
            _ => Vec::new(),
        });
        Ok(outputs.collect())
    }

    pub(crate) fn run_i8(&self) -> Result<Vec<i8>, Refusal> {
        let bytes = self.run()?.swap_remove(0);
        Ok(bytes.into_iter().map(|byte| byte as i8).collect())
    }

    pub(crate) fn run_f32(&self) -> Result<Vec<f32>, Refusal> {
        let bytes = self.run()?.swap_remove(0);
        Ok(bytes
            .chunks_exact(4)
            .map(|word| f32::from_le_bytes(word.try_into().unwrap()))
            .collect())
    }
}

enum Place {
    Absent,
    Arena(usize, usize),
    State(usize, usize),
    Constant(Vec<u128>, usize),
}

fn aligned(bytes: &[u8]) -> Place {
    let mut blocks = vec![0u128; bytes.len().div_ceil(16)];
    bytemuck::cast_slice_mut(&mut blocks)[..bytes.len()].copy_from_slice(bytes);
    Place::Constant(blocks, bytes.len())
}

/// Operands one behind the other, each at a multiple of 16.
struct Layout {
    inputs: Vec<Place>,
    outputs: Vec<Place>,
    scratch: Place,
    node_state: Place,
    end: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            outputs: Vec::new(),
            scratch: Place::Absent,
            node_state: Place::Absent,
            end: 0,
        }
    }
}

impl Layout {
    fn place(&mut self, len: usize) -> Place {
        let at = self.end;
        self.end += len.next_multiple_of(16);
        Place::Arena(at, len)
    }
}

impl Place {
    fn location(&self) -> Location<'_> {
        match *self {
            Self::Absent => Location::Absent,
            Self::Arena(offset, len) => Location::Arena { offset, len },
            Self::State(offset, len) => Location::State { offset, len },
            Self::Constant(ref blocks, len) => {
                let bytes: &[u8] = bytemuck::cast_slice(blocks);
                Location::Constant(&bytes[..len])
            }
        }
    }
}

impl Locate for Layout {
    fn input(&self, index: usize) -> Location<'_> {
        let place = self.inputs.get(index);
        place.map_or(Location::Absent, Place::location)
    }

    fn output(&self, index: usize) -> Location<'_> {
        let place = self.outputs.get(index);
        place.map_or(Location::Absent, Place::location)
    }

    fn scratch(&self) -> Location<'_> {
        self.scratch.location()
    }

    fn node_state(&self) -> Location<'_> {
        self.node_state.location()
    }
}
