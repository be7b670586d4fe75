//! Dense layers that multiply weights as they are decoded, so that these take no memory.

use larun_ops::{ElementType, OpKind};

use super::prepare::write_encoding;
use super::{Decoder, Encoding, TAKEN_OVER, values_of};
use crate::dot::dot_row;
use crate::requantize::WeightedQuantization;
use crate::{
    DenseGeometry, InvokeError, Io, Memory, NodeView, PlanReader, PlanWriter, check_bias, check_len,
};

/// Rows of the input, at most: so many are multiplied with a weight while it is there, and no weight is decoded twice.
const MOST_ROWS: usize = 4;
/// Weights that are decoded at a time.
const PIECE: usize = 32;
/// The input that holds the weights.
const WEIGHTS: usize = 1;
/// The input that holds the bias, where the layer has so many.
const BIAS: usize = 2;

/// As [`TakeOver`](crate::TakeOver): INT8 layers with INT8 weights and few rows of the input.
///
/// The plan goes on with the layer's own.
pub(super) fn take_over(
    decoder: &dyn NodeView,
    output: usize,
    node: &dyn NodeView,
    input: usize,
    plan: &mut PlanWriter<'_>,
) -> bool {
    let is_int8 = |element_type| element_type == ElementType::Int8;
    let weights = node
        .input(WEIGHTS)
        .filter(|weights| is_int8(weights.element_type));
    let values = node.input(0).filter(|values| is_int8(values.element_type));
    let (Some(weights), Some(values)) = (weights, values) else {
        return false;
    };
    let rows = |of: &[usize]| Some(values.shape.elements()? / of.last().copied()?.max(1));
    if node.op().kind() != OpKind::FullyConnected
        || input != WEIGHTS
        || rows(weights.shape.dims()).is_none_or(|rows| rows > MOST_ROWS)
    {
        return false;
    }
    plan.push_u32(TAKEN_OVER);
    plan.push_usize(node.input_count());
    write_encoding(decoder, output, plan).is_ok()
}

/// Runs a layer that was taken over, whose inputs are followed by the encoded weights and their description.
pub(super) fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
    let encoded = plan.read_usize()?;
    let encoding = Encoding::read(&mut plan)?;
    let _element_len = plan.read_usize()?;
    let (geometry, quantization) = crate::fully_connected::read_int8(&mut plan)?;
    let output = io.output(0)?;
    let io = io.freeze();
    let input = io.input(0)?;
    let bias = match encoded > BIAS {
        true => io.optional_input(BIAS)?,
        false => None,
    };
    let weights = [io.input(encoded)?, io.input(encoded.saturating_add(1))?];
    fully_connected_encoded(
        &geometry,
        &quantization,
        &encoding,
        input,
        weights,
        bias,
        output,
    )
}

/// INT8 dense layer with encoded weights: input `[N, I]`, weights `[O, I]` once they are decoded, bias `[O]`, output
/// `[N, O]`. `weights` are the encoded tensor and its description, as [`decode`](super::decode) takes them.
///
/// The bytes are those of [`fully_connected_i8`](crate::fully_connected_i8) with the decoded weights. `N` is 4 at most.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the geometry says, or the description is shorter than its
/// header; [`InvokeError::Plan`] when there are more rows.
pub fn fully_connected_encoded(
    geometry: &DenseGeometry,
    quantization: &WeightedQuantization<'_>,
    encoding: &Encoding<'_>,
    input: &[i8],
    [encoded, description]: [&[u8]; 2],
    bias: Option<&[i32]>,
    output: &mut [i8],
) -> Result<(), InvokeError> {
    let &DenseGeometry {
        batch,
        inputs,
        units,
    } = geometry;
    let len = |a: usize, b: usize| a.checked_mul(b).ok_or(InvokeError::Plan);
    check_len(Memory::input(0), input.len(), len(batch, inputs)?)?;
    check_len(Memory::output(0), output.len(), len(batch, units)?)?;
    check_bias(bias, units)?;
    if batch > MOST_ROWS {
        return Err(InvokeError::Plan);
    }
    let mut decoder = Decoder::<1>::new(encoding, encoded, values_of(description)?);
    let bias = bias.unwrap_or_default();
    let zero_point = quantization.input_zero_point as i16;
    for unit in 0..units {
        let mut sums = [bias.get(unit).copied().unwrap_or(0); MOST_ROWS];
        let mut start = 0;
        while start < inputs {
            let mut weights = [[0; 1]; PIECE];
            let count = PIECE.min(inputs - start);
            let weights = weights.get_mut(..count).unwrap_or_default();
            decoder.fill(weights);
            let weights = bytemuck::cast_slice(weights);
            for (row, sum) in sums.iter_mut().enumerate().take(batch) {
                let values = input.get(row * inputs + start..).unwrap_or_default();
                let values = values.get(..count).unwrap_or_default();
                *sum = sum.wrapping_add(dot_row(values, zero_point, weights));
            }
            start += count;
        }
        for (row, sum) in sums.into_iter().enumerate().take(batch) {
            if let Some(place) = output.get_mut(row * units + unit) {
                *place = quantization.finish(unit, sum);
            }
        }
    }
    Ok(())
}
