//! Parameters adjusted to those beside them, where fixed-point arithmetic would lose its precision or refuse.

use std::collections::HashMap;

use larun_graph::Node;
use larun_graph::ops::OpKind;
use larun_quant::{Affine, IntegerRange, MinMax, Observer, QuantError};

use super::super::at_tensor;
use super::super::scheme::Activations;
use super::{Builder, Sharing, Value};
use crate::PassError;

impl Builder<'_> {
    /// Gives what was always 0 the scale of the result that it goes into: any scale holds 0, but one that is far from those beside
    /// it costs fixed-point arithmetic its precision, or is refused. What goes into that has its scale in turn.
    pub(super) fn scale_zeros(&self, values: &mut [Value], zeros: &[bool], sharing: &mut Sharing) {
        let mut zeros = zeros.to_vec();
        loop {
            let scales = self.scales_beside(values, &zeros, sharing);
            if scales.is_empty() {
                return;
            }
            // Those that have a scale now are no longer among the zeros: there is an end.
            for (at, (value, zero)) in values.iter_mut().zip(&mut zeros).enumerate() {
                if let (true, Some(&scale)) = (*zero, scales.get(&sharing.groups.find(at))) {
                    value.affine = Affine::new(scale, 0);
                    *zero = false;
                }
            }
        }
    }

    /// The scales that groups of zeros find beside them.
    fn scales_beside(
        &self,
        values: &[Value],
        zeros: &[bool],
        sharing: &mut Sharing,
    ) -> HashMap<usize, f32> {
        let is_zero = |value: usize| zeros.get(value) == Some(&true);
        let mut scales: HashMap<usize, f32> = HashMap::new();
        for (id, node, outputs) in self.integer_nodes() {
            let inputs = (0..node.inputs.len()).filter_map(|i| self.inputs.get(&(id, i)).copied());
            let inputs: Vec<_> = inputs.collect();
            let mut beside = outputs
                .iter()
                .chain(&inputs)
                .filter(|&&value| !is_zero(value));
            let scale = beside.find_map(|&value| Some(values.get(value)?.affine.scale));
            for &input in inputs.iter().filter(|&&input| is_zero(input)) {
                let group = sharing.groups.find(input);
                if let Some(scale) = scale {
                    scales.entry(group).or_insert(scale);
                }
            }
        }
        scales
    }

    /// Widens the scale of results that are far smaller than what they are made of: a difference of large and nearly equal numbers.
    /// Kernels compute with multipliers below 1 and refuse, or abort, where the scales ask for more.
    pub(super) fn widen_results(
        &self,
        values: &mut [Value],
        unions: &HashMap<usize, MinMax>,
        sharing: &mut Sharing,
    ) -> Result<(), PassError> {
        for (id, node, outputs) in self.integer_nodes() {
            let inputs = (0..node.inputs.len()).filter_map(|i| self.inputs.get(&(id, i)));
            let scales = inputs.filter_map(|&input| Some(values.get(input)?.affine.scale));
            let largest = scales.fold(0.0, f32::max);
            let least = least_scale(node, self.activations(id), largest);
            let Some(&output) = outputs.first() else {
                continue;
            };
            let found = values.get(output).map(|value| value.affine.scale);
            if sharing.fixed(output).is_some() || found.is_none_or(|found| found >= least) {
                continue;
            }
            let group = sharing.groups.find(output);
            let range = unions.get(&group).and_then(Observer::bounds);
            for (at, value) in values.iter_mut().enumerate() {
                if sharing.groups.find(at) == group {
                    value.affine = widened(value.activations, range.unwrap_or_default(), least)
                        .map_err(|source| at_tensor(self.subgraph, value.tensor, source))?;
                }
            }
        }
        Ok(())
    }
}

/// The smallest scale that the result of a node may have beside inputs of which `largest` is the largest scale.
///
/// ADD and SUB shift their inputs left by 20 bits (INT16: 15) and multiply the sum with `2 largest / (2^20 scale)`,
/// SQUARED_DIFFERENCE by 7 bits and with `(2 largest)^2 / (2^14 scale)`: both must stay below 1.
fn least_scale(node: &Node, activations: Activations, largest: f32) -> f32 {
    // A hair more than the bound itself.
    const MARGIN: f32 = 1.001;
    let twice = 2.0 * largest;
    match (node.kind(), activations) {
        (Some(OpKind::Add | OpKind::Sub), Activations::Int16) => MARGIN * twice / 32_768.0,
        (Some(OpKind::Add | OpKind::Sub), _) => MARGIN * twice / 1_048_576.0,
        (Some(OpKind::SquaredDifference), _) => MARGIN * twice * twice / 16_384.0,
        _ => 0.0,
    }
}

/// Parameters for a range, of a scale that is not below `least`.
fn widened(
    activations: Activations,
    (min, max): (f32, f32),
    least: f32,
) -> Result<Affine, QuantError> {
    let (min, max) = (min.min(0.0), max.max(0.0));
    match activations {
        Activations::Int16 => {
            let most = least * IntegerRange::INT16.max as f32;
            Affine::symmetric(min.min(-most), max.max(most), IntegerRange::INT16)
        }
        _ => Affine::from_range(min, max.max(min + least * 255.0)),
    }
}
