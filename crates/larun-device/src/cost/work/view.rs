//! A node's operands as the cost model sees them: shapes, types, and how results are finished.

use larun_graph::{Node, Subgraph, Tensor};
use larun_ops::{Activation, ElementType, Role};

/// A node with its operands.
pub(super) struct View<'g> {
    pub(super) node: &'g Node,
    pub(super) output: &'g Tensor,
    subgraph: &'g Subgraph,
}

/// What is left to do with a scaled sum: the faster kernels have a way for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// Saturate alone: what is below the zero point saturates.
    Rectified,
    /// Round negative ties down, saturate.
    Signed,
    /// Bring within bounds.
    Clamped,
}

impl<'g> View<'g> {
    pub(super) fn new(subgraph: &'g Subgraph, node: &'g Node) -> Option<Self> {
        let output = subgraph.tensor(*node.outputs.first()?)?;
        Some(Self {
            node,
            output,
            subgraph,
        })
    }

    pub(super) fn input(&self, index: usize) -> Option<&'g Tensor> {
        self.subgraph.tensor(self.node.input(index)?)
    }

    /// Input 0 as `[N, H, W, C]`.
    pub(super) fn input_nhwc(&self) -> Option<[usize; 4]> {
        self.input(0)?.shape.nhwc()
    }

    /// Elements of all inputs that are computed, and of constants that are operands like them.
    pub(super) fn input_elements(&self) -> f64 {
        let info = self.node.kind().map(larun_ops::OpKind::info);
        let mut elements = 0.0;
        for (index, id) in self.node.inputs.iter().enumerate() {
            let role = info.and_then(|info| info.input(index)).map(|o| o.role);
            let tensor = id.and_then(|id| self.subgraph.tensor(id));
            if let (Some(Role::Activation), Some(tensor)) = (role, tensor) {
                elements += count(tensor);
            }
        }
        elements
    }

    /// Elements of all outputs.
    pub(super) fn output_elements(&self) -> f64 {
        let outputs = self.node.outputs.iter();
        outputs
            .filter_map(|&id| self.subgraph.tensor(id))
            .map(count)
            .sum()
    }

    /// The element types that choose a kernel: `INT8`, `INT16xINT8` where weights have another than the input,
    /// `FLOAT32>INT8` where the output has.
    pub(super) fn types(&self) -> String {
        let role = |index| {
            let info = self.node.kind().map(larun_ops::OpKind::info)?;
            Some(info.input(index)?.role)
        };
        let count = self.node.inputs.len();
        let first = |wanted: fn(Role) -> bool| {
            (0..count)
                .find(|&index| role(index).is_some_and(wanted))
                .and_then(|index| self.input(index))
        };
        let value = first(|role| matches!(role, Role::Activation)).unwrap_or(self.output);
        let weights = first(|role| matches!(role, Role::Weights { .. }));
        let name = value.element_type.name();
        match (weights, self.output.element_type) {
            (Some(weights), _) if weights.element_type != value.element_type => {
                format!("{name}x{}", weights.element_type.name())
            }
            (_, output) if output != value.element_type => format!("{name}>{}", output.name()),
            _ => name.to_owned(),
        }
    }

    /// How an INT8 output is finished.
    pub(super) fn finish(&self, activation: Activation) -> Finish {
        let affine = self
            .output
            .quantization
            .as_ref()
            .and_then(larun_graph::Quantization::as_per_tensor);
        let Some(affine) = affine else {
            return Finish::Signed;
        };
        let quantised = |real: f32| {
            let steps = (real / affine.scale).round() as i32;
            steps.saturating_add(affine.zero_point)
        };
        let (min, max) = activation.clamp_range().map_or((-128, 127), |(min, max)| {
            (quantised(min).max(-128), quantised(max).min(127))
        });
        match (min, max, affine.zero_point) {
            (-128, 127, -128) => Finish::Rectified,
            (-128, 127, _) => Finish::Signed,
            _ => Finish::Clamped,
        }
    }

    /// The zero point of input 0, where it has one.
    pub(super) fn input_zero_point(&self) -> Option<i32> {
        let affine = self.input(0)?.quantization.as_ref()?.as_per_tensor()?;
        Some(affine.zero_point)
    }

    /// Whether the fast INT8 kernels are chosen: values and weights of INT8.
    pub(super) fn is_int8(&self) -> bool {
        let is_int8 = |tensor: &Tensor| tensor.element_type == ElementType::Int8;
        self.input(0).is_some_and(is_int8) && self.input(1).is_none_or(is_int8)
    }
}

impl Finish {
    /// 1 where it is `other`, else 0: to switch a term.
    pub(super) fn is(self, other: Self) -> f64 {
        if self == other { 1.0 } else { 0.0 }
    }
}

/// Elements of a tensor.
pub(super) fn count(tensor: &Tensor) -> f64 {
    tensor.shape.elements().unwrap_or(0) as f64
}
