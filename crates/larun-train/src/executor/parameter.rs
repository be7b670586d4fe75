//! Trained constants of a graph as candle variables.

use core::cell::RefCell;

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Storage, Var};
use larun_graph::TensorId;
use larun_graph::ops::Role;

use crate::TrainError;

/// What a parameter is in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// One of its constants.
    Constant,
    /// The learnt scales of placed weights, by their number.
    Scales(usize),
    /// The learnt upper end of a placed value, by its number.
    Threshold(usize),
}

/// What is trained: a constant of a graph (weights, bias or scale), or a parameter of its quantisation.
#[derive(Clone, Debug)]
pub struct Parameter {
    tensor: TensorId,
    name: String,
    role: Role,
    kind: ParameterKind,
    var: Var,
}

impl Parameter {
    pub(super) fn new(
        tensor: TensorId,
        name: &str,
        role: Role,
        kind: ParameterKind,
        shape: &[usize],
        values: Vec<f32>,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            tensor,
            name: name.to_owned(),
            role,
            kind,
            var: Var::from_vec(values, shape, &Device::Cpu)?,
        })
    }

    /// What it is in the graph.
    pub fn kind(&self) -> ParameterKind {
        self.kind
    }

    /// The constant in the graph; for a parameter of quantisation, the tensor that it is about.
    pub fn tensor(&self) -> TensorId {
        self.tensor
    }

    /// The name of the constant in the graph.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the constant is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The candle variable that holds the values, in the shape of the constant.
    pub fn var(&self) -> &Var {
        &self.var
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.var.elem_count()
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the values.
    pub fn values(&self) -> Vec<f32> {
        let (storage, layout) = self.var.storage_and_layout();
        slice(&storage, layout).to_vec()
    }

    /// Changes the values in place. All executors and tensors that share the variable see it.
    ///
    /// # Errors
    /// When the variable was replaced by one that is not a float tensor on the CPU.
    pub fn update(&self, f: impl FnOnce(&mut [f32])) -> Result<(), TrainError> {
        self.var.inplace_op1(&Update(RefCell::new(Some(f))))?;
        Ok(())
    }
}

/// Calls `f` with the values of all parameters, in order, on a thread of the current pool: there the many
/// small parallel loops of a pass start without waking another thread first.
pub(super) fn with_values<R: Send>(
    parameters: &[Parameter],
    f: impl FnOnce(&[&[f32]]) -> R + Send,
) -> R {
    rayon::scope(|_| {
        let guards: Vec<_> = parameters
            .iter()
            .map(|p| p.var.storage_and_layout())
            .collect();
        let values: Vec<&[f32]> = guards
            .iter()
            .map(|(storage, layout)| slice(storage, layout))
            .collect();
        f(&values)
    })
}

fn slice<'a>(storage: &'a Storage, layout: &Layout) -> &'a [f32] {
    match storage {
        Storage::Cpu(CpuStorage::F32(values)) => {
            &values[layout.start_offset()..][..layout.shape().elem_count()]
        }
        _ => &[],
    }
}

/// A change in place as a candle operator: the only way to a variable's own memory.
struct Update<F>(RefCell<Option<F>>);

impl<F: FnOnce(&mut [f32])> InplaceOp1 for Update<F> {
    fn name(&self) -> &'static str {
        "parameter update"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            return Err(candle_core::Error::Msg(
                "a parameter must be a contiguous float tensor".to_owned(),
            ));
        };
        if let Some(f) = self.0.take() {
            f(&mut values[start..end]);
        }
        Ok(())
    }
}
