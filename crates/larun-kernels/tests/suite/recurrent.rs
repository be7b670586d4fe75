//! Operators that remember: LSTM, SVDF and CIRCULAR_BUFFER.

use larun_kernels::InvokeError;
use larun_ops::{
    Activation, CircularBufferOptions, ElementType, Op, SvdfOptions,
    UnidirectionalSequenceLstmOptions,
};
use larun_quant::fixed_point::FixedMultiplier;
use proptest::prelude::*;

use crate::support::{Node, State, Tensor};

/// Values that look random, the same for a seed.
fn noise(seed: u32) -> impl FnMut() -> i8 {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 9) as i8
    }
}

fn tensor(element_type: ElementType, dims: &[usize], mut value: impl FnMut() -> i8) -> Tensor {
    let bytes = (0..dims.iter().product()).flat_map(|_| {
        let value = value();
        match element_type {
            ElementType::Int8 => vec![value as u8],
            ElementType::Int16 => i16::from(value).to_le_bytes().to_vec(),
            ElementType::Int32 => i32::from(value).to_le_bytes().to_vec(),
            ElementType::Int64 => i64::from(value).to_le_bytes().to_vec(),
            _ => (f32::from(value) / 100.0).to_le_bytes().to_vec(),
        }
    });
    Tensor::new(element_type, dims, bytes.collect())
}

/// Types of activations, weights, bias and cell state.
const LSTM_TYPES: [[ElementType; 4]; 4] = {
    use ElementType::{Float32, Int8, Int16, Int32, Int64};
    [
        [Float32, Float32, Float32, Float32],
        [Float32, Int8, Float32, Float32],
        [Int8, Int8, Int32, Int16],
        [Int16, Int8, Int64, Int16],
    ]
};

fn lstm(
    types: [ElementType; 4],
    [batch, steps, inputs, units]: [usize; 4],
    time_major: bool,
    seed: u32,
) -> Node {
    let [of_values, of_weights, of_bias, of_cell] = types;
    let mut value = noise(seed);
    let outer = if time_major {
        [steps, batch]
    } else {
        [batch, steps]
    };
    let zero_point = i64::from(of_values == ElementType::Int8) * 3;
    let values = |last: usize, value: &mut dyn FnMut() -> i8| {
        let dims = [outer[0], outer[1], last];
        tensor(of_values, &dims, value).quantized(&[1.0 / 64.0], &[zero_point])
    };
    let mut node_inputs = vec![None; 24];
    node_inputs[0] = Some(values(inputs, &mut value));
    for gate in 0..4 {
        for (index, dims) in [(1 + gate, [units, inputs]), (5 + gate, [units, units])] {
            let weights = tensor(of_weights, &dims, &mut value).quantized(&[0.01], &[0]);
            node_inputs[index] = Some(weights.constant());
        }
        node_inputs[12 + gate] = Some(tensor(of_bias, &[units], &mut value).constant());
    }
    let mut zero = || zero_point as i8;
    let hidden =
        tensor(of_values, &[batch, units], &mut zero).quantized(&[1.0 / 64.0], &[zero_point]);
    let cell = tensor(of_cell, &[batch, units], || 0).quantized(&[1.0 / 2048.0], &[0]);
    node_inputs[18] = Some(if of_values == ElementType::Float32 {
        tensor(of_values, &[batch, units], || 0).variable()
    } else {
        hidden.variable()
    });
    node_inputs[19] = Some(cell.variable());
    Node {
        op: Op::UnidirectionalSequenceLstm(UnidirectionalSequenceLstmOptions {
            activation: Activation::Tanh,
            cell_clip: 0.9,
            time_major,
            ..UnidirectionalSequenceLstmOptions::default()
        }),
        inputs: node_inputs,
        outputs: vec![values(units, &mut zero)],
    }
}

fn input(node: &mut Node, index: usize) -> &mut Tensor {
    node.inputs[index].as_mut().unwrap()
}

fn real(node: &Node) -> Vec<f32> {
    let bytes = node.run().unwrap().swap_remove(0);
    let zero_point = f32::from(i8::from(node.outputs[0].element_type == ElementType::Int8) * 3);
    let steps = |value: f32| (value - zero_point) / 64.0;
    match node.outputs[0].element_type {
        ElementType::Int8 => bytes.iter().map(|&b| steps(f32::from(b as i8))).collect(),
        ElementType::Int16 => bytes
            .chunks_exact(2)
            .map(|b| steps(f32::from(i16::from_le_bytes(b.try_into().unwrap()))))
            .collect(),
        _ => bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_lstm_goes_on_where_it_stopped(
        kind in 0usize..4, batch in 1usize..3, steps in 1usize..4, inputs in 1usize..6, units in 1usize..6, seed: u32,
    ) {
        let types = LSTM_TYPES[kind];
        let whole = lstm(types, [batch, steps, inputs, units], true, seed);
        let expected = whole.run().unwrap().swap_remove(0);

        let mut step = lstm(types, [batch, 1, inputs, units], true, seed);
        step.inputs[1..18].clone_from_slice(&whole.inputs[1..18]);
        let (words, scratch) = step.prepare().unwrap();
        let (mut state, mut found) = (State::default(), Vec::new());
        let sequence = whole.inputs[0].as_ref().unwrap().bytes.clone();
        for bytes in sequence.chunks_exact(sequence.len() / steps) {
            input(&mut step, 0).bytes = bytes.to_vec();
            found.extend(step.invoke_with(&words, scratch, &mut state).unwrap().swap_remove(0));
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_order_of_the_axes_changes_nothing(
        kind in 0usize..4, batch in 1usize..4, steps in 1usize..4, inputs in 1usize..6, units in 1usize..6, seed: u32,
    ) {
        let transposed = |bytes: &[u8], [outer, inner]: [usize; 2]| -> Vec<u8> {
            let len = bytes.len() / (outer * inner);
            let rows = (0..inner).flat_map(|i| (0..outer).map(move |o| o * inner + i));
            rows.flat_map(|row| bytes[row * len..(row + 1) * len].to_vec()).collect()
        };
        let time_major = lstm(LSTM_TYPES[kind], [batch, steps, inputs, units], true, seed);
        let mut batch_major = lstm(LSTM_TYPES[kind], [batch, steps, inputs, units], false, seed);
        let sequence = &time_major.inputs[0].as_ref().unwrap().bytes;
        input(&mut batch_major, 0).bytes = transposed(sequence, [steps, batch]);
        let expected = time_major.run().unwrap().swap_remove(0);
        let found = batch_major.run().unwrap().swap_remove(0);
        prop_assert_eq!(transposed(&found, [batch, steps]), expected);
    }

    #[test]
    fn an_integer_lstm_is_near_the_real_one(
        integer in 2usize..4, batch in 1usize..3, steps in 1usize..4, inputs in 1usize..6, units in 1usize..6, seed: u32,
    ) {
        let integers = lstm(LSTM_TYPES[integer], [batch, steps, inputs, units], false, seed);
        let mut reals = lstm(LSTM_TYPES[0], [batch, steps, inputs, units], false, seed);
        // The values that the integers stand for: weights in hundredths already, inputs and biases in other units.
        let zero_point = f32::from(i8::from(integer == 2) * 3);
        let rescale = |tensor: &mut Tensor, factor: f32, zero_point: f32| {
            for word in tensor.bytes.chunks_exact_mut(4) {
                let value = f32::from_le_bytes((&*word).try_into().unwrap()) * 100.0;
                word.copy_from_slice(&((value - zero_point) * factor).to_le_bytes());
            }
        };
        rescale(input(&mut reals, 0), 1.0 / 64.0, zero_point);
        (12..16).for_each(|index| rescale(input(&mut reals, index), 0.01 / 64.0, 0.0));
        for (found, expected) in real(&integers).into_iter().zip(real(&reals)) {
            prop_assert!((found - expected).abs() < 3.0 / 64.0, "{found} {expected}");
        }
    }

    #[test]
    fn an_svdf_filters_what_came_last(
        int16: bool, batch in 1usize..3, inputs in 1usize..6, units in 1usize..6, rank in 1usize..3, memory in 1usize..5, seed: u32,
    ) {
        // 0.5 * 0.25 / 4 and 4 * 0.125 / 16.
        let factor = FixedMultiplier::from_real(1.0 / 32.0);
        let scaled = |sum: i64| i64::from(factor.apply(sum as i32));
        let filters = units * rank;
        let of_state = if int16 { ElementType::Int16 } else { ElementType::Int8 };
        let mut value = noise(seed);
        let feature = tensor(ElementType::Int8, &[filters, inputs], &mut value);
        let time = tensor(of_state, &[filters, memory], &mut value);
        let bias = tensor(ElementType::Int32, &[units], &mut value);
        let weights = [&feature, &time, &bias].map(signed);
        let mut node = Node {
            op: Op::Svdf(SvdfOptions { rank: rank as i32, ..SvdfOptions::default() }),
            inputs: vec![
                Some(tensor(ElementType::Int8, &[batch, inputs], || 0).quantized(&[0.5], &[-4])),
                Some(feature.quantized(&[0.25], &[0]).constant()),
                Some(time.quantized(&[0.125], &[0]).constant()),
                Some(bias.quantized(&[0.5], &[0]).constant()),
                Some(tensor(of_state, &[batch, filters * memory], || 0).quantized(&[4.0], &[0]).variable()),
            ],
            outputs: vec![Tensor::int8(&[batch, units], &[], 16.0, 7)],
        };
        let (words, scratch) = node.prepare().unwrap();
        let mut state = State::default();
        let mut past = vec![vec![0i64; memory]; batch * filters];
        for _ in 0..memory + 2 {
            let row: Vec<i8> = (0..batch * inputs).map(|_| value()).collect();
            input(&mut node, 0).bytes = row.iter().map(|&x| x as u8).collect();
            let found = node.invoke_with(&words, scratch, &mut state).unwrap().swap_remove(0);
            for (at, past) in past.iter_mut().enumerate() {
                let (batch, filter) = (at / filters, at % filters);
                let products = (0..inputs).map(|i| {
                    weights[0][filter * inputs + i] * (i64::from(row[batch * inputs + i]) + 4)
                });
                let feature = scaled(products.sum());
                past.remove(0);
                past.push(if int16 { feature } else { feature.clamp(-128, 127) });
            }
            for (at, &found) in found.iter().enumerate() {
                let (batch, unit) = (at / units, at % units);
                let mut sum = weights[2][unit];
                for filter in unit * rank..(unit + 1) * rank {
                    let time = &weights[1][filter * memory..(filter + 1) * memory];
                    sum += past[batch * filters + filter].iter().zip(time).map(|(p, w)| p * w).sum::<i64>();
                }
                let expected = (scaled(sum) + 7).clamp(-128, 127);
                prop_assert_eq!(i64::from(found as i8), expected);
            }
        }
    }

    #[test]
    fn a_circular_buffer_holds_the_last_slices(
        slots in 1usize..5, len in 1usize..4, cycles in 1i32..4, slices in 1usize..12,
    ) {
        let zero_point = -3i8;
        let mut node = Node {
            op: Op::CircularBuffer(CircularBufferOptions { cycles_max: cycles }),
            inputs: vec![Some(Tensor::int8(&[1, 1, 1, len], &[], 0.5, zero_point.into()))],
            outputs: vec![Tensor::int8(&[1, slots, 1, len], &[], 0.5, zero_point.into())],
        };
        let (words, scratch) = node.prepare().unwrap();
        let mut state = State::default();
        let mut last = vec![vec![zero_point as u8; len]; slots];
        for slice in 0..slices {
            let bytes = vec![slice as u8 + 1; len];
            last.remove(0);
            last.push(bytes.clone());
            input(&mut node, 0).bytes = bytes;
            let found = node.invoke_with(&words, scratch, &mut state);
            if (slice + 1) % cycles as usize == 0 {
                prop_assert_eq!(found.unwrap().swap_remove(0), last.concat());
            } else {
                prop_assert_eq!(found.err(), Some(InvokeError::Waiting));
            }
        }
    }
}

/// The values of a tensor of integers.
fn signed(tensor: &Tensor) -> Vec<i64> {
    let width = tensor.element_type.bits().unwrap() / 8;
    let values = tensor.bytes.chunks_exact(width).map(|bytes| {
        let mut wide = [if bytes[width - 1] & 0x80 == 0 {
            0
        } else {
            0xFF
        }; 8];
        wide[..width].copy_from_slice(bytes);
        i64::from_le_bytes(wide)
    });
    values.collect()
}

#[test]
fn variants_of_lstm_are_refused_by_operand() {
    let sound = || lstm(LSTM_TYPES[2], [1, 2, 3, 4], false, 1);
    let said = |change: &dyn Fn(&mut Node)| {
        let mut node = sound();
        change(&mut node);
        node.prepare().unwrap_err().to_string()
    };
    assert!(sound().prepare().is_ok());
    let variant = "belongs to a variant of the operator that is not supported";
    for index in [9, 11, 16, 17, 20, 23] {
        let message = said(&|node| node.inputs[index] = node.inputs[12].clone());
        assert_eq!(message, format!("input {index}: {variant}"));
    }
    assert_eq!(
        said(&|node| node.inputs[1] = None),
        "input 1: it is required but absent"
    );
    assert_eq!(
        said(&|node| input(node, 18).variable = false),
        "input 18: must be a variable, which keeps its value"
    );
    assert_eq!(
        said(&|node| *input(node, 19) = input(node, 19).clone().quantized(&[0.001], &[0])),
        "input 19: scale must be 0.0009765625, is 0.001"
    );
    assert_eq!(
        said(&|node| node.outputs[0] = node.outputs[0].clone().quantized(&[0.5], &[3])),
        "output 0: scale must be 0.015625, is 0.5"
    );
    let other = Op::UnidirectionalSequenceLstm(UnidirectionalSequenceLstmOptions::default());
    assert_eq!(
        said(&|node| node.op = other),
        "options: the fused activation None is not supported here"
    );
}
