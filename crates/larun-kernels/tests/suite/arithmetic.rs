//! Two operands element by element, selections and conversions between element types.

use larun_ops::{AddOptions, DivOptions, ElementType, MulOptions, Op, OpKind, SubOptions};
use proptest::prelude::*;

use crate::elementwise::{product, shapes, stretched};
use crate::reference::Noise;
use crate::support::{Node, Tensor};

fn int16s(dims: &[usize], values: &[i16], scale: f32) -> Tensor {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Tensor::new(ElementType::Int16, dims, bytes).quantized(&[scale], &[0])
}

fn bools(dims: &[usize], values: &[u8]) -> Tensor {
    Tensor::new(ElementType::Bool, dims, values.to_vec())
}

fn node(op: impl Into<Op>, inputs: Vec<Tensor>, output: Tensor) -> Node {
    Node {
        op: op.into(),
        inputs: inputs.into_iter().map(Some).collect(),
        outputs: vec![output],
    }
}

fn plain(kind: OpKind, inputs: Vec<Tensor>, output: Tensor) -> Node {
    node(kind.with_default_options(), inputs, output)
}

fn run(node: &Node) -> Vec<u8> {
    node.run().unwrap().swap_remove(0)
}

fn run_i32(node: &Node) -> Vec<i32> {
    let bytes = run(node);
    let words = bytes.chunks_exact(4);
    words
        .map(|w| i32::from_le_bytes(w.try_into().unwrap()))
        .collect()
}

/// What an operator computes of two real numbers, and of two integers.
type Definition = (OpKind, fn(f32, f32) -> f32, fn(i32, i32) -> i32);

const ARITHMETIC: [Definition; 9] = [
    (OpKind::Add, |a, b| a + b, i32::wrapping_add),
    (OpKind::Sub, |a, b| a - b, i32::wrapping_sub),
    (OpKind::Mul, |a, b| a * b, i32::wrapping_mul),
    (OpKind::Div, |a, b| a / b, i32::wrapping_div),
    (OpKind::Maximum, f32::max, i32::max),
    (OpKind::Minimum, f32::min, i32::min),
    (
        OpKind::SquaredDifference,
        |a, b| (a - b) * (a - b),
        |a, b| a.wrapping_sub(b).wrapping_pow(2),
    ),
    (
        OpKind::FloorDiv,
        |a, b| (f64::from(a) / f64::from(b)).floor() as f32,
        |a, b| (f64::from(a) / f64::from(b)).floor() as i32,
    ),
    (
        OpKind::FloorMod,
        |a, b| {
            if a % b != 0.0 && (a < 0.0) != (b < 0.0) {
                a % b + b
            } else {
                a % b
            }
        },
        |a, b| (i64::from(a) - i64::from(b) * (f64::from(a) / f64::from(b)).floor() as i64) as i32,
    ),
];

type Comparison = (OpKind, fn(f32, f32) -> bool);

const COMPARISONS: [Comparison; 6] = [
    (OpKind::Equal, |a, b| a == b),
    (OpKind::NotEqual, |a, b| a != b),
    (OpKind::Less, |a, b| a < b),
    (OpKind::LessEqual, |a, b| a <= b),
    (OpKind::Greater, |a, b| a > b),
    (OpKind::GreaterEqual, |a, b| a >= b),
];

proptest! {
    #[test]
    fn pairs_of_stretched_operands((a, b, output) in shapes(), at in 0..9usize, seed: u64) {
        let mut noise = Noise::new(seed);
        let (p, q) = (noise.floats(product(&a)), noise.floats(product(&b)));
        let whole = |noise: &mut Noise, len: usize| -> Vec<i32> {
            // Divisors are not 0; the sums of all but products stay small.
            (0..len).map(|_| (noise.next() as i32 >> (noise.below(4) * 8)) | 1).collect()
        };
        let (x, y) = (whole(&mut noise, product(&a)), whole(&mut noise, product(&b)));
        let (kind, real, integer) = ARITHMETIC[at];
        let reals = plain(kind, vec![Tensor::float(&a, &p), Tensor::float(&b, &q)], Tensor::float(&output, &[]));
        let reals = reals.run_f32().unwrap();
        let integers = plain(kind, vec![Tensor::int32(&a, &x), Tensor::int32(&b, &y)], Tensor::int32(&output, &[]));
        let integers = run_i32(&integers);
        let (comparison, holds) = COMPARISONS[at % 6];
        let truths = plain(comparison, vec![Tensor::float(&a, &p), Tensor::float(&b, &q)], bools(&output, &[]));
        let truths = run(&truths);
        prop_assert_eq!(reals.len(), product(&output));
        for i in 0..reals.len() {
            let (at_a, at_b) = (stretched(&a, &output, i), stretched(&b, &output, i));
            prop_assert_eq!(reals[i], real(p[at_a], q[at_b]), "{}", kind);
            if (x[at_a], y[at_b]) != (i32::MIN, -1) {
                prop_assert_eq!(integers[i], integer(x[at_a], y[at_b]), "{}", kind);
            }
            prop_assert_eq!(truths[i], u8::from(holds(p[at_a], q[at_b])), "{}", comparison);
        }
    }

    #[test]
    fn quantised_results_are_near_the_real_ones(seed: u64) {
        let mut noise = Noise::new(seed);
        let x: Vec<i16> = (0..50).map(|_| noise.next() as i16).collect();
        let y: Vec<i16> = (0..50).map(|_| noise.next() as i16).collect();
        let [s, t, u] = [0; 3].map(|_| noise.scale());
        let op = [
            Op::Add(AddOptions::default()),
            Op::Sub(SubOptions::default()),
            Op::Mul(MulOptions::default()),
            OpKind::SquaredDifference.with_default_options(),
        ];
        let exact: [fn(f64, f64) -> f64; 4] = [|a, b| a + b, |a, b| a - b, |a, b| a * b, |a, b| (a - b).powi(2)];
        for (op, exact) in op.into_iter().zip(exact) {
            let wide = node(op, vec![int16s(&[50], &x, s), int16s(&[50], &y, t)], int16s(&[50], &[], u));
            let wide = run(&wide);
            let (zero_a, zero_b) = (i64::from(noise.int8()), i64::from(noise.int8()));
            let (a, b): (Vec<i8>, Vec<i8>) = x.iter().zip(&y).map(|(&x, &y)| (x as i8, y as i8)).unzip();
            let narrow = node(
                op,
                vec![Tensor::int8(&[50], &a, s, zero_a), Tensor::int8(&[50], &b, t, zero_b)],
                Tensor::int8(&[50], &[], u, -3),
            );
            let narrow = narrow.run_i8().unwrap();
            for i in 0..50 {
                let real = exact(f64::from(s) * f64::from(x[i]), f64::from(t) * f64::from(y[i]));
                let expected = (real / f64::from(u)).round().clamp(-32768.0, 32767.0);
                let found = i16::from_le_bytes([wide[2 * i], wide[2 * i + 1]]);
                // The inputs of a square are INT16 as well: of their scale, halved, little is left.
                let coarse = op.kind() == OpKind::SquaredDifference;
                prop_assert!(
                    coarse || (f64::from(found) - expected).abs() <= 1.0,
                    "{}",
                    op.kind()
                );
                let (a, b) = (f64::from(a[i]) - zero_a as f64, f64::from(b[i]) - zero_b as f64);
                let real = exact(f64::from(s) * a, f64::from(t) * b);
                let expected = ((real / f64::from(u)).round() - 3.0).clamp(-128.0, 127.0);
                prop_assert!((f64::from(narrow[i]) - expected).abs() <= 1.0, "{}", op.kind());
            }
        }
    }

    #[test]
    fn quotients_of_int8(a: i8, b: i8, scale in 0.005f32..0.1) {
        let divide = node(
            Op::Div(DivOptions::default()),
            vec![Tensor::int8(&[1], &[a], 0.05, 0), Tensor::int8(&[1], &[b], 0.02, 0)],
            Tensor::int8(&[1], &[], scale, 0),
        );
        let found = f64::from(divide.run_i8().unwrap()[0]);
        let real = f64::from(a) * 0.05 / (f64::from(b) * 0.02 * f64::from(scale));
        // Quotients that round to 0 may be anything: see the kernel.
        if b != 0 && real.abs() >= 1.0 {
            prop_assert!((found - real.round().clamp(-128.0, 127.0)).abs() <= 1.0);
        }
    }

    #[test]
    fn selections((a, b, output) in shapes(), seed: u64) {
        let mut noise = Noise::new(seed);
        let condition: Vec<u8> = (0..product(&a)).map(|_| noise.next() as u8 & 1).collect();
        let (x, y) = (noise.floats(product(&b)), noise.floats(product(&output)));
        let inputs = vec![bools(&a, &condition), Tensor::float(&b, &x), Tensor::float(&output, &y)];
        let found = plain(OpKind::SelectV2, inputs, Tensor::float(&output, &[])).run_f32().unwrap();
        for (i, found) in found.into_iter().enumerate() {
            let chosen = condition[stretched(&a, &output, i)] != 0;
            prop_assert_eq!(found, if chosen { x[stretched(&b, &output, i)] } else { y[i] });
        }
    }
}

#[test]
fn division_by_zero_is_defined() {
    let (a, b) = ([7, -7, 0, i32::MIN], [0, 0, 0, -1]);
    let whole = |kind: OpKind| {
        let inputs = vec![Tensor::int32(&[4], &a), Tensor::int32(&[4], &b)];
        run_i32(&plain(kind, inputs, Tensor::int32(&[4], &[])))
    };
    assert_eq!(whole(OpKind::Div), [i32::MAX, i32::MIN, 0, i32::MIN]);
    assert_eq!(whole(OpKind::FloorDiv), [i32::MAX, i32::MIN, 0, i32::MIN]);
    assert_eq!(whole(OpKind::FloorMod), [0; 4]);
    let (a, b) = ([10, -10, 5], [3; 3]);
    let inputs = vec![
        Tensor::int8(&[3], &a, 0.1, 5),
        Tensor::int8(&[3], &b, 0.1, 3),
    ];
    let divide = plain(OpKind::Div, inputs, Tensor::int8(&[3], &[], 0.1, -20));
    assert_eq!(divide.run_i8().unwrap(), [127, -128, -20]);
    let real = |kind: OpKind| {
        let inputs = vec![
            Tensor::float(&[3], &[7.0, -7.0, 0.0]),
            Tensor::float(&[3], &[0.0; 3]),
        ];
        plain(kind, inputs, Tensor::float(&[3], &[]))
            .run_f32()
            .unwrap()
    };
    let found = real(OpKind::FloorDiv);
    assert!(found[..2] == [f32::INFINITY, f32::NEG_INFINITY] && found[2].is_nan());
    assert!(real(OpKind::FloorMod).into_iter().all(f32::is_nan));
}

#[test]
fn nan_is_in_no_order() {
    for (kind, holds) in COMPARISONS {
        let inputs = vec![
            Tensor::float(&[2], &[f32::NAN, 1.0]),
            Tensor::float(&[2], &[1.0, f32::NAN]),
        ];
        let expected = u8::from(holds(f32::NAN, 1.0));
        assert_eq!(
            run(&plain(kind, inputs, bools(&[2], &[]))),
            [expected; 2],
            "{kind}"
        );
    }
}

#[test]
fn int8_is_compared_by_its_real_value() {
    let a = || Tensor::int8(&[4], &[2, 4, 6, 127], 0.5, 0);
    let b = || Tensor::int8(&[], &[2], 0.25, -6);
    let compare = |kind| run(&plain(kind, vec![a(), b()], bools(&[4], &[])));
    assert_eq!(compare(OpKind::Less), [1, 0, 0, 0]);
    assert_eq!(compare(OpKind::Equal), [0, 1, 0, 0]);
    assert_eq!(compare(OpKind::GreaterEqual), [0, 1, 1, 1]);
    // Of an operand whose scale is 1 or more, LiteRT sees the sign.
    let coarse = Tensor::int8(&[2], &[0, -1], 1.5, 0);
    let compare = plain(
        OpKind::Equal,
        vec![coarse, Tensor::int8(&[], &[0], 0.5, 0)],
        bools(&[2], &[]),
    );
    assert_eq!(run(&compare), [0, 0]);
}

#[test]
fn any_byte_but_zero_is_true() {
    let (a, b) = ([0, 0, 2, 4], [0, 8, 0, 2]);
    let both = |kind| {
        run(&plain(
            kind,
            vec![bools(&[4], &a), bools(&[4], &b)],
            bools(&[4], &[]),
        ))
    };
    assert_eq!(both(OpKind::LogicalAnd), [0, 0, 0, 1]);
    assert_eq!(both(OpKind::LogicalOr), [0, 1, 1, 1]);
    assert_eq!(both(OpKind::Equal), [1, 0, 0, 1]);
    assert_eq!(
        run(&plain(
            OpKind::LogicalNot,
            vec![bools(&[4], &a)],
            bools(&[4], &[])
        )),
        [1, 1, 0, 0]
    );
}

#[test]
fn casts_saturate_truncate_and_wrap() {
    use ElementType::{Bool, Float16, Float32, Int8, Int16, Int32, Int64, UInt8, UInt32};
    let cast = |from: ElementType, to: ElementType, bytes: &[u8]| {
        let count = bytes.len() / from.byte_len(1).unwrap();
        let input = Tensor::new(from, &[count], bytes.to_vec());
        run(&plain(
            OpKind::Cast,
            vec![input],
            Tensor::new(to, &[count], Vec::new()),
        ))
    };
    let real = |x: f32, to| cast(Float32, to, &x.to_le_bytes());
    assert_eq!(real(-2.9, Int8), [0xFE]);
    assert_eq!(real(300.7, Int8), [0x7F]);
    assert_eq!(real(-300.7, UInt8), [0]);
    assert_eq!(real(f32::NAN, Int16), i16::MAX.to_le_bytes());
    assert_eq!(real(-3e9, Int32), i32::MIN.to_le_bytes());
    assert_eq!(real(3e9, UInt32), 3_000_000_000u32.to_le_bytes());
    assert_eq!(real(f32::INFINITY, Int64), i64::MAX.to_le_bytes());
    assert_eq!(real(f32::NAN, Bool), [1]);
    assert_eq!(real(-0.0, Bool), [0]);
    assert_eq!(real(1.5, Float16), [0x00, 0x3E]);
    assert_eq!(cast(Int16, Int8, &(-23286i16).to_le_bytes()), [10]);
    assert_eq!(cast(Int8, UInt32, &[0xFF]), [0xFF; 4]);
    assert_eq!(cast(UInt8, Int64, &[0xFF]), 255i64.to_le_bytes());
    assert_eq!(cast(Bool, Float32, &[7]), 1f32.to_le_bytes());
    assert_eq!(cast(Float16, Int32, &[0x00, 0xC5]), (-5i32).to_le_bytes());
    assert_eq!(
        cast(UInt32, Float32, &[0xFF; 4]),
        4_294_967_296f32.to_le_bytes()
    );
}

#[test]
fn quantize_to_other_types() {
    let bytes = |values: &[u8]| Tensor::new(ElementType::UInt8, &[values.len()], values.to_vec());
    let reals = Tensor::float(&[4], &[-9.0, 0.0, 0.75, 990.0]);
    let quantize = plain(
        OpKind::Quantize,
        vec![reals],
        bytes(&[0; 4]).quantized(&[0.5], &[3]),
    );
    assert_eq!(run(&quantize), [0, 3, 5, 255]);
    let stored = bytes(&[0, 200]).quantized(&[0.5], &[100]);
    let wide = Tensor::int32(&[2], &[]).quantized(&[0.125], &[7]);
    assert_eq!(
        run_i32(&plain(OpKind::Quantize, vec![stored], wide)),
        [-393, 407]
    );
}

#[test]
fn half_precision_becomes_real_exactly() {
    let halves = [0x3C00u16, 0xC500, 0x0001, 0x7C00];
    let bytes = halves.iter().flat_map(|v| v.to_le_bytes()).collect();
    let input = Tensor::new(ElementType::Float16, &[4], bytes);
    let found = plain(OpKind::Dequantize, vec![input], Tensor::float(&[4], &[])).run_f32();
    assert_eq!(
        found.unwrap(),
        [1.0, -5.0, 1.0 / 16_777_216.0, f32::INFINITY]
    );
}

#[test]
fn sums_of_many_tensors() {
    let input = || Tensor::float(&[3], &[1.0, 2.0, -4.0]);
    let sums = plain(
        OpKind::AddN,
        vec![input(), input(), input()],
        Tensor::float(&[3], &[]),
    );
    assert_eq!(sums.run_f32().unwrap(), [3.0, 6.0, -12.0]);
    // More than one block of elements; the zero point is 0, else TFLM's sum starts from it.
    let x = Noise::new(1).int8s(70);
    let input = || Tensor::int8(&[70], &x, 0.1, 0);
    let sums = plain(
        OpKind::AddN,
        vec![input(), input(), input()],
        Tensor::int8(&[70], &[], 0.3, 0),
    );
    assert_eq!(sums.run_i8().unwrap(), x);
    let other = vec![input(), Tensor::int8(&[70], &x, 0.2, 0)];
    let refusal = plain(OpKind::AddN, other, Tensor::int8(&[70], &[], 0.3, 0))
        .run()
        .unwrap_err();
    assert_eq!(refusal.to_string(), "input 1: scale must be 0.1, is 0.2");
}

#[test]
fn selection_along_the_first_axis() {
    let (a, b) = (
        Tensor::int32(&[2, 2], &[1, 2, 3, 4]),
        Tensor::int32(&[2, 2], &[5, 6, 7, 8]),
    );
    let select = |condition| vec![condition, a.clone(), b.clone()];
    let found = |condition| {
        run_i32(&plain(
            OpKind::Select,
            select(condition),
            Tensor::int32(&[2, 2], &[]),
        ))
    };
    assert_eq!(found(bools(&[2], &[1, 0])), [1, 2, 7, 8]);
    assert_eq!(found(bools(&[], &[0])), [5, 6, 7, 8]);
    assert_eq!(found(bools(&[2, 2], &[0, 1, 1, 0])), [5, 2, 3, 8]);
    let refusal = plain(
        OpKind::Select,
        select(bools(&[3], &[1; 3])),
        Tensor::int32(&[2, 2], &[]),
    );
    assert!(
        refusal
            .run()
            .unwrap_err()
            .to_string()
            .contains("expected 4, found 3")
    );
    // SELECT_V2 stretches along the last axis.
    let found = plain(
        OpKind::SelectV2,
        select(bools(&[2], &[1, 0])),
        Tensor::int32(&[2, 2], &[]),
    );
    assert_eq!(run_i32(&found), [1, 6, 3, 8]);
}

#[test]
fn values_that_are_stored_otherwise_are_not_compared_or_moved() {
    let (a, b) = (
        Tensor::int8(&[1], &[1], 0.5, 0),
        Tensor::int8(&[1], &[1], 0.25, 0),
    );
    let largest = plain(OpKind::Maximum, vec![a.clone(), b.clone()], a.clone());
    assert_eq!(
        largest.run().unwrap_err().to_string(),
        "output 0: scale must be 0.25, is 0.5"
    );
    let select = plain(OpKind::SelectV2, vec![bools(&[1], &[1]), a.clone(), b], a);
    assert_eq!(
        select.run().unwrap_err().to_string(),
        "output 0: scale must be 0.25, is 0.5"
    );
}

#[test]
fn zeros_are_stored_zeros() {
    let input = || Tensor::int8(&[2], &[5, 6], 0.5, 3);
    assert_eq!(
        plain(OpKind::ZerosLike, vec![input()], input())
            .run_i8()
            .unwrap(),
        [0, 0]
    );
}

#[test]
fn int16_products_are_symmetric() {
    let operand = || int16s(&[1], &[1], 0.5);
    let skewed = int16s(&[1], &[1], 0.5).quantized(&[0.5], &[1]);
    let multiply = plain(OpKind::Mul, vec![operand(), skewed], operand());
    assert_eq!(
        multiply.run().unwrap_err().to_string(),
        "input 1: zero point must be 0, is 1"
    );
}
