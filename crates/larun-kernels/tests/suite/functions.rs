//! Functions of one operand, reductions and searches, against plain definitions; what their `prepare` refuses.

use larun_ops::{
    Activation, CumSumOptions, ElementType, GeluOptions, L2NormOptions, LeakyReluOptions, Op,
    OpKind, ReducerOptions,
};
use proptest::prelude::*;

use crate::reference::Noise;
use crate::support::{Node, Tensor};

fn node(op: Op, inputs: Vec<Tensor>, output: Tensor) -> Node {
    Node {
        op,
        inputs: inputs.into_iter().map(Some).collect(),
        outputs: vec![output],
    }
}

fn plain(kind: OpKind, inputs: Vec<Tensor>, output: Tensor) -> Node {
    node(kind.with_default_options(), inputs, output)
}

fn every_byte() -> Vec<i8> {
    (i8::MIN..=i8::MAX).collect()
}

/// An operator with the real function and the output's scale and zero point.
type ByteFunction = (Op, fn(f64) -> f64, f32, i64);

/// An operator with what the first element is combined with, and how.
type PlainReduction = (Op, i32, fn(i32, i32) -> i32);

fn byte_functions() -> Vec<ByteFunction> {
    let of = OpKind::with_default_options;
    let gelu = |approximate| Op::Gelu(GeluOptions { approximate });
    let leaky = Op::LeakyRelu(LeakyReluOptions { alpha: 0.25 });
    let elu = |x: f64| if x < 0.0 { x.exp() - 1.0 } else { x };
    let swish = |x: f64| x * (x + 3.0).clamp(0.0, 6.0) / 6.0;
    let by_tanh = |x: f64| {
        let inner = (2.0 / core::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
        0.5 * x * (1.0 + inner.tanh())
    };
    vec![
        (
            of(OpKind::Logistic),
            |x| 1.0 / (1.0 + (-x).exp()),
            1.0 / 256.0,
            -128,
        ),
        (of(OpKind::Tanh), f64::tanh, 1.0 / 128.0, 0),
        (of(OpKind::Exp), f64::exp, 0.125, -128),
        (of(OpKind::Elu), elu, 0.03, -90),
        (of(OpKind::HardSwish), swish, 0.03, -100),
        (gelu(false), by_tanh, 0.03, -100),
        (gelu(true), by_tanh, 0.03, -100),
        (of(OpKind::Abs), f64::abs, 0.03, -128),
        (of(OpKind::Relu), |x| x.max(0.0), 0.03, -128),
        (of(OpKind::Relu6), |x| x.clamp(0.0, 6.0), 0.05, -128),
        (leaky, |x| x.max(0.25 * x), 0.03, -60),
    ]
}

#[test]
fn functions_of_a_byte_are_near_the_real_ones_and_the_same_by_table() {
    let (scale, zero_point) = (0.031, -7);
    let bytes = every_byte();
    for (op, function, to_scale, to_zero) in byte_functions() {
        let of = |values: &[i8]| {
            let input = Tensor::int8(&[values.len()], values, scale, zero_point);
            let output = Tensor::int8(&[values.len()], &[], to_scale, to_zero);
            node(op, vec![input], output).run_i8().unwrap()
        };
        let whole = of(&bytes);
        let halves = bytes.chunks(128).flat_map(of).collect::<Vec<_>>();
        assert_eq!(whole, halves, "{}", op.kind());
        for (&x, &found) in bytes.iter().zip(&whole) {
            let real = f64::from(scale) * (f64::from(x) - zero_point as f64);
            let expected = function(real) / f64::from(to_scale) + to_zero as f64;
            let off = f64::from(found) - expected.clamp(-128.0, 127.0);
            assert!(off.abs() <= 1.0, "{} of {real}: off by {off}", op.kind());
        }
    }
}

#[test]
fn numbers_without_reciprocal_root_give_the_largest_output() {
    let input = Tensor::int8(&[4], &[-128, -5, 3, 127], 0.1, -5);
    let root = plain(
        OpKind::Rsqrt,
        vec![input],
        Tensor::int8(&[4], &[], 0.02, -20),
    );
    // 1 / sqrt(0.8) and 1 / sqrt(13.2), in steps of 0.02.
    assert_eq!(root.run_i8().unwrap(), [127, 127, 36, -6]);
}

#[test]
fn ties_are_rounded_to_the_even_number() {
    let values = [0.5, 1.5, -0.5, -2.5, 2.499, f32::INFINITY];
    let input = Tensor::float(&[6], &values);
    let round = plain(OpKind::Round, vec![input], Tensor::float(&[6], &[]));
    let expected = [0.0, 2.0, 0.0, -2.0, 2.0, f32::INFINITY];
    assert_eq!(round.run_f32().unwrap(), expected);
}

/// A shape, which of its axes are reduced, and noise.
fn reductions() -> impl Strategy<Value = (Vec<usize>, Vec<bool>, bool, u64)> {
    let axes = prop::collection::vec((1..5usize, any::<bool>()), 1..5);
    (axes, any::<bool>(), any::<u64>()).prop_map(|(axes, keep_dims, seed)| {
        let (dims, reduced) = axes.into_iter().unzip();
        (dims, reduced, keep_dims, seed)
    })
}

/// Where the element at `index` of a tensor goes when axes are reduced.
fn place(dims: &[usize], reduced: &[bool], mut index: usize) -> usize {
    let (mut at, mut stride) = (0, 1);
    for (&dim, &reduced) in dims.iter().zip(reduced).rev() {
        if !reduced {
            at += index % dim * stride;
            stride *= dim;
        }
        index /= dim;
    }
    at
}

fn kept(dims: &[usize], reduced: &[bool], keep_dims: bool) -> Vec<usize> {
    let both = dims.iter().zip(reduced);
    let kept = both.filter(|&(_, &reduced)| keep_dims || !reduced);
    kept.map(|(&dim, &reduced)| if reduced { 1 } else { dim })
        .collect()
}

proptest! {
    #[test]
    fn reductions_are_those_of_a_plain_loop((dims, reduced, keep_dims, seed) in reductions()) {
        let mut noise = Noise::new(seed);
        let values: Vec<i32> = (0..dims.iter().product()).map(|_| noise.next() as i32).collect();
        let axes: Vec<i32> = (0..dims.len()).filter(|&i| reduced[i]).map(|i| i as i32).collect();
        let out = kept(&dims, &reduced, keep_dims);
        let options = ReducerOptions { keep_dims };
        let reduced_by = |start: i32, combine: fn(i32, i32) -> i32| {
            let mut sums = vec![start; out.iter().product()];
            for (index, &x) in values.iter().enumerate() {
                let sum = &mut sums[place(&dims, &reduced, index)];
                *sum = combine(*sum, x);
            }
            sums
        };
        let cases: [PlainReduction; 3] = [
            (Op::Sum(options), 0, i32::wrapping_add),
            (Op::ReduceMax(options), i32::MIN, i32::max),
            (Op::ReduceMin(options), i32::MAX, i32::min),
        ];
        for (op, start, combine) in cases {
            let inputs = vec![Tensor::int32(&dims, &values), Tensor::int32(&[axes.len()], &axes).constant()];
            let found = node(op, inputs, Tensor::int32(&out, &[])).run().unwrap().swap_remove(0);
            prop_assert_eq!(found, Tensor::int32(&out, &reduced_by(start, combine)).bytes);
        }
    }

    #[test]
    fn searches_and_running_sums_are_those_of_a_plain_loop(
        (dims, _, exclusive, seed) in reductions(), axis: prop::sample::Index, reverse: bool,
    ) {
        let axis = axis.index(dims.len());
        let mut noise = Noise::new(seed);
        let values: Vec<i32> = (0..dims.iter().product()).map(|_| noise.below(4) as i32).collect();
        let inputs = || {
            let axis = Tensor::int32(&[1], &[axis as i32]).constant();
            vec![Tensor::int32(&dims, &values), axis]
        };
        let rest: Vec<usize> = (0..dims.len()).filter(|&i| i != axis).map(|i| dims[i]).collect();
        let along: Vec<bool> = (0..dims.len()).map(|i| i == axis).collect();
        let mut lines = vec![Vec::new(); rest.iter().product()];
        for index in 0..values.len() {
            lines[place(&dims, &along, index)].push(index);
        }

        let first = |line: &Vec<usize>| {
            let largest = line.iter().map(|&i| values[i]).max();
            line.iter().position(|&i| Some(values[i]) == largest).unwrap() as i32
        };
        let expected: Vec<i32> = lines.iter().map(first).collect();
        let search = plain(OpKind::ArgMax, inputs(), Tensor::int32(&rest, &[]));
        prop_assert_eq!(search.run().unwrap().swap_remove(0), Tensor::int32(&rest, &expected).bytes);
        let wide = Tensor::new(ElementType::Int64, &rest, Vec::new());
        let expected: Vec<u8> = expected.iter().flat_map(|&i| i64::from(i).to_le_bytes()).collect();
        prop_assert_eq!(plain(OpKind::ArgMax, inputs(), wide).run().unwrap().swap_remove(0), expected);

        let mut sums = vec![0; values.len()];
        for line in &mut lines {
            if reverse {
                line.reverse();
            }
            let mut sum = 0;
            for &i in &*line {
                sums[i] = if exclusive { sum } else { sum + values[i] };
                sum += values[i];
            }
        }
        let running = Op::CumSum(CumSumOptions { exclusive, reverse });
        let found = node(running, inputs(), Tensor::int32(&dims, &[])).run().unwrap();
        prop_assert_eq!(&found[0], &Tensor::int32(&dims, &sums).bytes);
    }
}

#[test]
fn what_is_refused() {
    let said = |node: Node| node.prepare().unwrap_err().to_string();
    let x = || Tensor::int8(&[2, 3], &[1; 6], 0.1, 0);
    let y = |scale| Tensor::int8(&[2, 3], &[], scale, 0);
    let scale = "output 0: scale must be 0.0078125, is 0.1";
    assert_eq!(said(plain(OpKind::Tanh, vec![x()], y(0.1))), scale);
    assert_eq!(
        said(plain(OpKind::L2Normalization, vec![x()], y(0.1))),
        scale
    );

    let activation = Op::L2Normalization(L2NormOptions {
        activation: Activation::Relu,
    });
    let refused = said(node(activation, vec![x()], y(1.0 / 128.0)));
    assert!(
        refused.starts_with("options: the fused activation"),
        "{refused}"
    );

    let coarse = Tensor::int8(&[2, 3], &[1; 6], 10.0, 0);
    let refused = said(plain(OpKind::HardSwish, vec![coarse], y(0.001)));
    assert!(refused.contains("too far apart"), "{refused}");

    let inputs = vec![x(), Tensor::int32(&[1], &[0])];
    let refused = said(plain(OpKind::ArgMax, inputs, Tensor::int32(&[3], &[])));
    assert_eq!(refused, "input 1: must be a constant");

    let inputs = vec![x(), Tensor::float(&[3], &[0.5; 3])];
    let refused = said(plain(OpKind::Prelu, inputs, y(0.1)));
    assert_eq!(refused, "input 1: element type must be INT8, is FLOAT32");

    let wide = |zero| Tensor::new(ElementType::Int16, &[2], vec![0; 4]).quantized(&[0.1], &[zero]);
    let refused = said(plain(OpKind::Softmax, vec![wide(3)], wide(0)));
    assert_eq!(refused, "input 0: zero point must be 0, is 3");
}
