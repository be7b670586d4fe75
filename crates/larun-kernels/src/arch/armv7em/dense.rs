//! INT8 dense layers: two units at a time over a chunk of the input that is widened to 16 bits once for many units.
//!
//! The chunk and the sums of a block of units lie in a little scratch memory, so that wide layers need no more than
//! narrow ones.

use super::channels::{self, Finish, Scale};
use super::dsp::lanes;
use super::moves::widen;
use super::rows;
use crate::window::{nonzero, piece_pairs};
use crate::{DenseGeometry, WeightedQuantization};

/// Values of the input that are widened at a time, a multiple of four.
const CHUNK: usize = 128;
/// Units whose sums are kept at a time, an even number.
const BLOCK: usize = 64;

const fn at_most(value: usize, bound: usize) -> usize {
    if value < bound { value } else { bound }
}

pub(crate) const fn fully_connected_i8_scratch_len(geometry: &DenseGeometry) -> usize {
    let units = at_most(geometry.units, BLOCK).next_multiple_of(2);
    // Half a word a value, a word a unit, and one more where the memory is aligned to a half-word only.
    at_most(geometry.inputs, CHUNK).next_multiple_of(4) + 2 * units + 1
}

pub(crate) fn fully_connected_i8(
    geometry: &DenseGeometry,
    quantization: &WeightedQuantization<'_>,
    input: &[i8],
    weights: &[i8],
    bias: Option<&[i32]>,
    output: &mut [i8],
    scratch: &mut [i16],
) -> bool {
    let (_, scratch, _) = bytemuck::pod_align_to_mut::<i16, u32>(scratch);
    let units = at_most(geometry.units, BLOCK).next_multiple_of(2);
    // There is as much: the hook's caller sees to it.
    let (sums, values) = scratch.split_at_mut_checked(units).unwrap_or_default();
    let mut layer = Layer {
        inputs: geometry.inputs,
        quantization,
        sums: bytemuck::cast_slice_mut(sums),
        values,
    };
    for (input, outputs) in piece_pairs((input, geometry.inputs), (output, geometry.units)) {
        let mut blocks = weights.chunks(nonzero(BLOCK * geometry.inputs));
        for (block, outputs) in outputs.chunks_mut(BLOCK).enumerate() {
            let weights = blocks.next().unwrap_or_default();
            let first = BLOCK * block;
            layer.start(first, bias, outputs.len());
            layer.multiply(input, weights);
            layer.finish(first, bias, outputs);
        }
    }
    true
}

struct Layer<'a> {
    inputs: usize,
    quantization: &'a WeightedQuantization<'a>,
    /// Sums of a block of units.
    sums: &'a mut [i32],
    /// A chunk of the input.
    values: &'a mut [u32],
}

impl Layer<'_> {
    /// Starts the sums of `count` units from `first` on with their biases.
    fn start(&mut self, first: usize, bias: Option<&[i32]>, count: usize) {
        let biases = bias.and_then(|bias| bias.get(first..first + count));
        match (biases, self.sums.get_mut(..count)) {
            (Some(biases), Some(sums)) => sums.copy_from_slice(biases),
            _ => self.sums.fill(0),
        }
    }

    /// Adds the products of the input with a block of units.
    fn multiply(&mut self, input: &[i8], weights: &[i8]) {
        let zero_point = self.quantization.input_zero_point;
        let offset = lanes(-zero_point, -zero_point);
        for (chunk, values) in input.chunks(CHUNK).enumerate() {
            let columns = weights.get(chunk * CHUNK..).unwrap_or(&[]);
            let (whole, rest) = values.split_at(values.len() / 4 * 4);
            if !whole.is_empty() {
                let patch = self.values.get_mut(..whole.len() / 2).unwrap_or_default();
                widen(whole, offset, patch, 1);
                rows::multiply(patch, columns, self.inputs, self.sums);
            }
            // Up to three values that are no whole word.
            for (place, &value) in (whole.len()..).zip(rest) {
                let value = i32::from(value) - zero_point;
                let column = columns.get(place..).unwrap_or(&[]).iter();
                let column = column.step_by(nonzero(self.inputs));
                for (sum, &weight) in self.sums.iter_mut().zip(column) {
                    *sum = sum.wrapping_add(value * i32::from(weight));
                }
            }
        }
    }

    /// How the sums of a unit are scaled, whose magnitude is up to `largest`.
    #[inline(never)]
    fn scale(&self, unit: usize, largest: u32) -> Option<Scale> {
        let stage = &self.quantization.output;
        let multiplier = self.quantization.multipliers.get(unit);
        Scale::new(multiplier, stage.zero_point, Finish::of(stage), largest)
    }

    /// Scales the sums to the outputs of units from `first` on.
    fn finish(&self, first: usize, bias: Option<&[i32]>, outputs: &mut [i8]) {
        let stage = &self.quantization.output;
        let finish = Finish::of(stage);
        let biases = bias.and_then(|bias| bias.get(first..)).unwrap_or(&[]);
        let biases = biases.get(..outputs.len()).unwrap_or(&[]);
        let bias = biases
            .iter()
            .fold(0, |most, bias| bias.unsigned_abs().max(most));
        let largest = channels::largest(self.inputs).saturating_add(bias);
        let scale = |unit| self.scale(unit, largest);
        let sums = outputs.iter_mut().zip(&*self.sums);
        // Most often one scale serves all.
        if self.quantization.multipliers.are_common()
            && let Some(scale) = scale(0)
        {
            for (output, &sum) in sums {
                *output = scale.apply(sum, finish, stage);
            }
            return;
        }
        for ((output, &sum), unit) in sums.zip(first..) {
            *output = match scale(unit) {
                Some(scale) => scale.apply(sum, finish, stage),
                None => self.quantization.finish(unit, sum),
            };
        }
    }
}
