//! Element by element: sums, products, means, activations and conversions.

use larun_ops::{
    Activation, AddOptions, ElementType, MulOptions, Op, OpKind, ReducerOptions, SoftmaxOptions,
};
use proptest::prelude::*;

use crate::reference::{Noise, requantize};
use crate::support::{Node, Tensor};

/// Two shapes that broadcast, and what they become.
pub(crate) fn shapes() -> impl Strategy<Value = (Vec<usize>, Vec<usize>, Vec<usize>)> {
    let dims = prop::collection::vec((1..6usize, 0..4u8), 0..6);
    (dims, 0..4usize, 0..4usize).prop_map(|(dims, drop_a, drop_b)| {
        let whole: Vec<usize> = dims.iter().map(|&(dim, _)| dim).collect();
        let side = |stretched: u8, dropped: usize| -> Vec<usize> {
            let dims = dims.iter();
            let dims = dims.map(|&(dim, how)| if how == stretched { 1 } else { dim });
            let leading = dropped.min(whole.len());
            dims.skip(leading).collect()
        };
        let (a, b) = (side(1, drop_a), side(2, drop_b));
        let rank = a.len().max(b.len());
        let dim =
            |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
        let output = (0..rank).map(|i| dim(&a, i).max(dim(&b, i))).collect();
        (a, b, output)
    })
}

/// The element of a stretched operand that belongs to element `index` of the output.
pub(crate) fn stretched(shape: &[usize], output: &[usize], mut index: usize) -> usize {
    let (mut at, mut stride) = (0, 1);
    for i in (0..output.len()).rev() {
        let position = index % output[i];
        index /= output[i];
        if let Some(i) = (i + shape.len()).checked_sub(output.len()) {
            at += if shape[i] == 1 { 0 } else { position * stride };
            stride *= shape[i];
        }
    }
    at
}

pub(crate) fn product(dims: &[usize]) -> usize {
    dims.iter().product()
}

proptest! {
    #[test]
    fn sums_and_products_broadcast((a, b, output) in shapes(), seed: u64) {
        let mut noise = Noise::new(seed);
        let (x, y) = (noise.int8s(product(&a)), noise.int8s(product(&b)));
        let (p, q) = (noise.floats(product(&a)), noise.floats(product(&b)));
        let scales = [noise.scale(), noise.scale(), noise.scale()];
        let zeros = [0; 3].map(|_| i64::from(noise.int8()));
        let node = |op: Op| Node {
            op,
            inputs: vec![
                Some(Tensor::int8(&a, &x, scales[0], zeros[0])),
                Some(Tensor::int8(&b, &y, scales[1], zeros[1])),
            ],
            outputs: vec![Tensor::int8(&output, &[], scales[2], zeros[2])],
        };
        let sums = node(Op::Add(AddOptions::default())).run_i8().unwrap();
        let products = node(Op::Mul(MulOptions::default())).run_i8().unwrap();
        let real = |op: Op| Node {
            op,
            inputs: vec![Some(Tensor::float(&a, &p)), Some(Tensor::float(&b, &q))],
            outputs: vec![Tensor::float(&output, &[])],
        };
        let real_sums = real(Op::Add(AddOptions::default())).run_f32().unwrap();
        let real_products = real(Op::Mul(MulOptions::default())).run_f32().unwrap();
        prop_assert_eq!(sums.len(), product(&output));
        for i in 0..sums.len() {
            let (at_a, at_b) = (stretched(&a, &output, i), stretched(&b, &output, i));
            let (x, y) = (i64::from(x[at_a]) - zeros[0], i64::from(y[at_b]) - zeros[1]);
            let sum = f64::from(scales[0]) * x as f64 + f64::from(scales[1]) * y as f64;
            let sum = (sum / f64::from(scales[2])).round() + zeros[2] as f64;
            let off = f64::from(sums[i]) - sum.clamp(-128.0, 127.0);
            prop_assert!(off.abs() <= 1.0, "sum {} is off by {}", i, off);
            let ratio = f64::from(scales[0]) * f64::from(scales[1]) / f64::from(scales[2]);
            prop_assert_eq!(products[i], requantize(x * y, ratio, zeros[2], -128, 127));
            prop_assert_eq!(real_sums[i], p[at_a] + q[at_b]);
            prop_assert_eq!(real_products[i], p[at_a] * q[at_b]);
        }
    }

    #[test]
    fn means_over_any_axes(
        dims in prop::collection::vec((1..6usize, any::<bool>()), 1..6),
        keep_dims: bool,
        negative: bool,
        seed: u64,
    ) {
        let mut noise = Noise::new(seed);
        let shape: Vec<usize> = dims.iter().map(|&(dim, _)| dim).collect();
        let rank = dims.len() as i32;
        let axes: Vec<i32> = (0..rank)
            .filter(|&i| dims[i as usize].1)
            .map(|i| if negative { i - rank } else { i })
            .collect();
        let kept = |&(dim, reduced): &(usize, bool)| match (reduced, keep_dims) {
            (false, _) => Some(dim),
            (true, true) => Some(1),
            (true, false) => None,
        };
        let output: Vec<usize> = dims.iter().filter_map(kept).collect();
        let aligned: Vec<usize> = dims.iter().map(|&(dim, reduced)| if reduced { 1 } else { dim }).collect();
        let (x, real) = (noise.int8s(product(&shape)), noise.floats(product(&shape)));
        let (from, to) = ((noise.scale(), i64::from(noise.int8())), (noise.scale(), i64::from(noise.int8())));
        let op = Op::Mean(ReducerOptions { keep_dims });
        let axes = Some(Tensor::int32(&[axes.len()], &axes).constant());
        let means = Node {
            op,
            inputs: vec![Some(Tensor::int8(&shape, &x, from.0, from.1)), axes.clone()],
            outputs: vec![Tensor::int8(&output, &[], to.0, to.1)],
        };
        let real_means = Node {
            op,
            inputs: vec![Some(Tensor::float(&shape, &real)), axes],
            outputs: vec![Tensor::float(&output, &[])],
        };
        let outputs = product(&aligned);
        let count = x.len() / outputs;
        let (mut sums, mut real_sums) = (vec![0.0; outputs], vec![0f32; outputs]);
        for i in 0..x.len() {
            let at = stretched(&aligned, &shape, i);
            sums[at] += f64::from(x[i]) - from.1 as f64;
            real_sums[at] += real[i];
        }
        real_sums.iter_mut().for_each(|sum| *sum /= count as f32);
        prop_assert_eq!(real_means.run_f32().unwrap(), real_sums);
        let ratio = f64::from(from.0) / f64::from(to.0);
        for (found, sum) in means.run_i8().unwrap().into_iter().zip(sums) {
            let expected = (sum / count as f64 * ratio).round() + to.1 as f64;
            prop_assert!((f64::from(found) - expected.clamp(-128.0, 127.0)).abs() <= 1.0);
        }
    }

    #[test]
    fn relu_rescales(scale: [u8; 2], zero_points: [i8; 2], seed: u64, six: bool) {
        let [from, to] = scale.map(|s| 0.01 + f32::from(s) / 1000.0);
        let x = Noise::new(seed).int8s(40);
        let kind = if six { OpKind::Relu6 } else { OpKind::Relu };
        let node = Node {
            op: kind.with_default_options(),
            inputs: vec![Some(Tensor::int8(&[40], &x, from, zero_points[0].into()))],
            outputs: vec![Tensor::int8(&[40], &[], to, zero_points[1].into())],
        };
        for (found, x) in node.run_i8().unwrap().into_iter().zip(x) {
            let real = from * (f32::from(x) - f32::from(zero_points[0]));
            let real = real.clamp(0.0, if six { 6.0 } else { f32::MAX });
            let expected = (real / to).round() + f32::from(zero_points[1]);
            prop_assert!((f32::from(found) - expected.clamp(-128.0, 127.0)).abs() <= 1.0);
        }
    }

    #[test]
    fn logistic_is_near_the_function_with_and_without_table(scale in 0.001f32..0.5, zero_point: i8, seed: u64) {
        let x = Noise::new(seed).int8s(300);
        let node = |len: usize| Node {
            op: OpKind::Logistic.with_default_options(),
            inputs: vec![Some(Tensor::int8(&[len], &x[..len], scale, zero_point.into()))],
            outputs: vec![Tensor::int8(&[len], &[], 1.0 / 256.0, -128)],
        };
        let (long, short) = (node(300).run_i8().unwrap(), node(100).run_i8().unwrap());
        prop_assert_eq!(&long[..100], &short[..]);
        for (found, x) in long.into_iter().zip(x) {
            let real = f64::from(scale) * (f64::from(x) - f64::from(zero_point));
            let expected = (256.0 / (1.0 + (-real).exp())).round() - 128.0;
            prop_assert!((f64::from(found) - expected.min(127.0)).abs() <= 1.0);
        }
    }

    #[test]
    fn softmax_is_near_the_function(rows in 1..4usize, depth in 1..40usize, scale in 0.001f32..0.5, beta in 0.2f32..2.0, seed: u64) {
        let mut noise = Noise::new(seed);
        let shape = [rows, depth];
        let (x, real) = (noise.int8s(rows * depth), noise.floats(rows * depth));
        let op = Op::Softmax(SoftmaxOptions { beta });
        let shares = Node {
            op,
            inputs: vec![Some(Tensor::int8(&shape, &x, scale, 3))],
            outputs: vec![Tensor::int8(&shape, &[], 1.0 / 256.0, -128)],
        };
        let real_shares = Node {
            op,
            inputs: vec![Some(Tensor::float(&shape, &real))],
            outputs: vec![Tensor::float(&shape, &[])],
        };
        let (shares, real_shares) = (shares.run_i8().unwrap(), real_shares.run_f32().unwrap());
        let exp = |x: f64| (x * f64::from(beta)).exp();
        for i in 0..x.len() {
            let row = i / depth * depth..(i / depth + 1) * depth;
            let value = |x: i8| exp(f64::from(x) * f64::from(scale));
            let sum: f64 = x[row.clone()].iter().map(|&x| value(x)).sum();
            let expected = (256.0 * value(x[i]) / sum).round() - 128.0;
            prop_assert!((f64::from(shares[i]) - expected.min(127.0)).abs() <= 1.0);
            let sum: f64 = real[row].iter().map(|&x| exp(f64::from(x))).sum();
            let expected = exp(f64::from(real[i])) / sum;
            prop_assert!((f64::from(real_shares[i]) - expected).abs() <= 1e-5);
        }
    }

    #[test]
    fn quantised_values_come_back(scale in 0.001f32..10.0, zero_point: i8, seed: u64) {
        let x = Noise::new(seed).int8s(50);
        let dequantize = Node {
            op: OpKind::Dequantize.with_default_options(),
            inputs: vec![Some(Tensor::int8(&[50], &x, scale, zero_point.into()))],
            outputs: vec![Tensor::float(&[50], &[])],
        };
        let quantize = Node {
            op: OpKind::Quantize.with_default_options(),
            inputs: vec![Some(Tensor::float(&[50], &dequantize.run_f32().unwrap()))],
            outputs: vec![Tensor::int8(&[50], &[], scale, zero_point.into())],
        };
        prop_assert_eq!(quantize.run_i8().unwrap(), x);
    }
}

#[test]
fn dequantize_per_channel() {
    let x = Tensor::int8(&[2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8], 1.0, 0);
    let node = Node {
        op: OpKind::Dequantize.with_default_options(),
        inputs: vec![Some(x.quantized(&[1.0, 10.0], &[0, 1]).along(1))],
        outputs: vec![Tensor::float(&[2, 2, 2], &[])],
    };
    let expected = [1.0, 2.0, 20.0, 30.0, 5.0, 6.0, 60.0, 70.0];
    assert_eq!(node.run_f32().unwrap(), expected);
}

#[test]
fn nan_passes_through_real_activations() {
    let values = [f32::NAN, -1.0, f32::INFINITY, -0.0];
    let node = |kind: OpKind| Node {
        op: kind.with_default_options(),
        inputs: vec![Some(Tensor::float(&[4], &values))],
        outputs: vec![Tensor::float(&[4], &[])],
    };
    let found = node(OpKind::Relu).run_f32().unwrap();
    assert!(found[0].is_nan() && found[1..] == [0.0, f32::INFINITY, 0.0]);
    let found = node(OpKind::Relu6).run_f32().unwrap();
    assert!(found[0].is_nan() && found[1..] == [0.0, 6.0, 0.0]);
}

#[test]
fn sums_saturate_and_unsupported_activations_are_refused() {
    let operand = || Some(Tensor::int8(&[2], &[127, -128], 1.0, 0));
    let node = |activation: Activation| Node {
        op: Op::Add(AddOptions {
            activation,
            ..AddOptions::default()
        }),
        inputs: vec![operand(), operand()],
        outputs: vec![Tensor::int8(&[2], &[], 1.0, 0)],
    };
    assert_eq!(node(Activation::None).run_i8().unwrap(), [127, -128]);
    let refusal = node(Activation::Tanh).run().unwrap_err();
    let message = "options: the fused activation Tanh is not supported here";
    assert_eq!(refusal.to_string(), message);
}

#[test]
fn integers_of_other_types_are_refused_by_name() {
    let operand = Tensor::new(ElementType::UInt16, &[1], vec![0, 0]).quantized(&[1.0], &[0]);
    let node = Node {
        op: Op::Add(AddOptions::default()),
        inputs: vec![Some(operand.clone()), Some(operand.clone())],
        outputs: vec![operand],
    };
    let message = "input 0: element type UINT16 is not supported here (supported: INT8, INT16, INT32, FLOAT32)";
    assert_eq!(node.run().unwrap_err().to_string(), message);
}
