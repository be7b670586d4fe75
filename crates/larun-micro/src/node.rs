//! A node of a file as a kernel sees it while preparing.

use larun_kernels::{
    NodeView, PlanWriter, QuantizationView, Reason, Refusal, Registration, Site, TensorInfo,
};
use larun_ops::view::{List, Model, Operator, Subgraph, Tensor, ViewError};
use larun_ops::{ElementType, Op, Role, Shape};

use crate::encoded::{ENCODED, Taker};
use crate::error::{LoadError, Name};
use crate::layout::Header;
use crate::load::{STATE, SUBGRAPHS, Stop};
use crate::source::Source;

/// One operator of a file.
pub(crate) struct FileNode<'s, 'r, 'm> {
    source: &'s Source<'r, 'm>,
    op: Op,
    pub(crate) inputs: List<'m, i32>,
    pub(crate) outputs: List<'m, i32>,
    intermediates: List<'m, i32>,
}

impl<'s, 'r, 'm> FileNode<'s, 'r, 'm> {
    pub(crate) fn new(
        source: &'s Source<'r, 'm>,
        operator: &Operator<'m>,
        kernel: &Registration,
    ) -> Result<Self, ViewError> {
        Ok(Self {
            source,
            op: operator.op_by(kernel.info, kernel.read)?,
            inputs: operator.inputs()?,
            outputs: operator.outputs()?,
            intermediates: operator.intermediates()?,
        })
    }

    /// The tensor with a number. The loader has read every tensor once before: what fails here is
    /// a number without a tensor.
    fn tensor(&self, number: Option<i32>) -> Option<TensorInfo<'m>> {
        tensor_of(&self.source.request.model, &self.source.subgraph, number)
    }

    /// A port of another subgraph.
    fn port(&self, subgraph: u32, list: Ports<'m>, index: usize) -> Option<TensorInfo<'m>> {
        if !SUBGRAPHS {
            return None;
        }
        let model = &self.source.request.model;
        let subgraph = model.subgraph(subgraph as usize).ok()?;
        let list = list(&subgraph).ok()?;
        tensor_of(model, &subgraph, list.get(index))
    }
}

/// Inputs or outputs.
type Ports<'m> = fn(&Subgraph<'m>) -> Result<List<'m, i32>, ViewError>;

/// The tensor of a subgraph with a number.
pub(crate) fn tensor_of<'m>(
    model: &Model<'m>,
    subgraph: &Subgraph<'m>,
    number: Option<i32>,
) -> Option<TensorInfo<'m>> {
    let index = usize::try_from(number?).ok()?;
    let tensor = subgraph.tensor(index).ok()?;
    let mut info = UNKNOWN;
    describe(model, &tensor, &mut info).ok()?;
    Some(info)
}

/// A tensor before it is described.
pub(crate) const UNKNOWN: TensorInfo<'static> = TensorInfo {
    element_type: ElementType::Int8,
    shape: Shape::SCALAR,
    quantization: QuantizationView::NONE,
    constant: None,
    is_variable: false,
};

/// Writes what kernels and callers want to know of a tensor to where they want it: a description is large.
#[inline(never)]
pub(crate) fn describe<'m>(
    model: &Model<'m>,
    tensor: &Tensor<'m>,
    info: &mut TensorInfo<'m>,
) -> Result<(), ViewError> {
    let data = model.buffer(tensor.buffer()? as usize)?;
    if let Some(quantization) = tensor.quantization()? {
        info.quantization = QuantizationView::new(
            quantization.scales()?.bytes(),
            quantization.zero_points()?.bytes(),
            usize::try_from(quantization.axis()?).unwrap_or(usize::MAX),
        );
    }
    tensor.write_shape(&mut info.shape)?;
    info.element_type = tensor.element_type()?;
    info.is_variable = tensor.is_variable()?;
    if !info.is_variable && (!data.is_empty() || info.shape.elements() == Some(0)) {
        info.constant = Some(data);
    }
    Ok(())
}

impl NodeView for FileNode<'_, '_, '_> {
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
        self.tensor(self.inputs.get(index))
    }

    fn output(&self, index: usize) -> Option<TensorInfo<'_>> {
        self.tensor(self.outputs.get(index))
    }

    fn intermediate(&self, index: usize) -> Option<TensorInfo<'_>> {
        self.tensor(self.intermediates.get(index))
    }

    fn subgraph_ports(&self, subgraph: u32) -> Option<[usize; 2]> {
        if !SUBGRAPHS {
            return None;
        }
        let model = &self.source.request.model;
        let subgraph = model.subgraph(subgraph as usize).ok()?;
        Some([
            subgraph.inputs().ok()?.len(),
            subgraph.outputs().ok()?.len(),
        ])
    }

    fn subgraph_input(&self, subgraph: u32, index: usize) -> Option<TensorInfo<'_>> {
        self.port(subgraph, Subgraph::inputs, index)
    }

    fn subgraph_output(&self, subgraph: u32, index: usize) -> Option<TensorInfo<'_>> {
        self.port(subgraph, Subgraph::outputs, index)
    }
}

/// A node with its kernel.
pub(crate) struct Node<'s, 'r, 'm> {
    pub(crate) source: &'s Source<'r, 'm>,
    pub(crate) index: usize,
    /// The kernel's index among those linked.
    pub(crate) number: u8,
    pub(crate) kernel: &'m Registration,
    pub(crate) file: FileNode<'s, 'r, 'm>,
    /// Inputs behind those of the file, where another operator's kernel runs the node.
    pub(crate) added: Option<[i32; 2]>,
}

impl Node<'_, '_, '_> {
    /// Has the kernel write its plan. Where it does not fit, nothing of use is written, but the needs are right.
    pub(crate) fn prepare<'w>(
        &self,
        words: &'w mut [u32],
        taker: Option<&Taker<'_, '_, '_>>,
    ) -> Result<PlanWriter<'w>, Stop> {
        let mut plan = PlanWriter::new(words)
            .with_rounding(self.source.request.rounding)
            .with_processor(self.source.request.processor);
        if let Some(taker) = taker {
            taker.write(self, &mut plan);
        }
        let prepared = self.kernel.prepare(&self.file, &mut plan);
        prepared.map_err(|refusal| self.refused(refusal))?;
        Ok(plan)
    }

    /// The first word of the node's record, but for what `prepare` asks for.
    pub(crate) fn header(&self) -> Result<Header, Stop> {
        let added = self.added.filter(|_| ENCODED);
        let added = added.map_or(0, |added| added.len());
        let (inputs, outputs) = (self.file.inputs.len() + added, self.file.outputs.len());
        if inputs > Header::MOST_INPUTS.into() || outputs > Header::MOST_OUTPUTS.into() {
            return Err(self.refused(Refusal::options(Reason::TooLarge)));
        }
        Ok(Header {
            kernel: self.number,
            inputs: inputs as u16,
            outputs: outputs as u16,
            scratch: false,
            state: false,
        })
    }

    /// Checks that what the node keeps between inferences is one operand only: it is changed while others are read.
    pub(crate) fn check_state(&self) -> Result<(), Stop> {
        if !STATE {
            return Ok(());
        }
        let info = self.kernel.info;
        let (inputs, outputs) = (self.file.inputs, self.file.outputs);
        for slot in 0..inputs.len() + outputs.len() {
            let (operand, number, site) = match slot.checked_sub(inputs.len()) {
                None => (info.input(slot), inputs.get(slot), Site::input(slot)),
                Some(output) => (
                    info.output(output),
                    outputs.get(output),
                    Site::output(output),
                ),
            };
            let is_state = operand.is_some_and(|operand| operand.role == Role::State);
            if is_state && number.is_some_and(|number| self.mentions(number) > 1) {
                return Err(self.refused(Refusal::new(site, Reason::Shared)));
            }
        }
        Ok(())
    }

    /// How many operands are the tensor with a number.
    #[inline(never)]
    fn mentions(&self, number: i32) -> usize {
        let [inputs, outputs] = [&self.file.inputs, &self.file.outputs];
        let count = |list: &List<'_, i32>| list.iter().filter(|&other| other == number).count();
        count(inputs) + count(outputs)
    }

    /// Calls `each` with every operand, counted through, and its tensor.
    pub(crate) fn operands(&self, mut each: impl FnMut(usize, Option<usize>)) -> Result<(), Stop> {
        let (inputs, outputs) = (self.file.inputs, self.file.outputs);
        let added = self.added.filter(|_| ENCODED);
        let added: &[i32] = added.as_ref().map_or(&[], |added| added);
        let own = inputs.len();
        let all = own + added.len();
        for slot in 0..all + outputs.len() {
            let number = if slot < own {
                inputs.get(slot)
            } else if slot < all {
                added.get(slot - own).copied()
            } else {
                outputs.get(slot - all)
            };
            let Some(number) = number else { break };
            each(
                slot,
                match number {
                    -1 => None,
                    number => Some(self.source.tensor_number(Some(self.index), number)?),
                },
            );
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn refused(&self, refusal: Refusal) -> Stop {
        let number = match refusal.at() {
            Site::Input(u8::MAX) | Site::Output(u8::MAX) | Site::Options => None,
            Site::Input(i) => self.file.inputs.get(i.into()),
            Site::Output(i) => self.file.outputs.get(i.into()),
        };
        let tensor = number.and_then(|number| usize::try_from(number).ok());
        let tensor = tensor.filter(|&tensor| tensor < self.source.tensors);
        self.source.request.stop(LoadError::Refused {
            subgraph: self.source.number,
            index: self.index,
            kind: self.kernel.kind,
            refusal,
            tensor,
            name: tensor.map_or(Name(&[]), |tensor| self.source.name(tensor)),
        })
    }
}
