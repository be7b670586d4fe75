//! The operations on arrays against those on slices.

#![cfg(feature = "ndarray")]

use larun_quant::fake_quant::FakeQuant;
use larun_quant::measure;
use larun_quant::rounding::Gram;
use larun_quant::weights::{QuantizedWeights, ScaleMethod};
use larun_quant::{Affine, ChannelAxis, IntegerRange, MinMax, Observer, QuantError, array};
use ndarray::{Array3, ArrayD, Axis, array};

fn reals() -> Array3<f32> {
    Array3::from_shape_fn((2, 3, 4), |(i, j, k)| {
        (i * 12 + j * 4 + k) as f32 / 7.0 - 1.5
    })
}

#[test]
fn arrays_of_any_layout_give_what_their_values_give() {
    let standard = reals();
    let transposed = standard.t();
    let sliced = standard.slice(ndarray::s![.., ..;2, 1..3]);
    let affine = Affine::from_range(-1.5, 2.0).expect("a range");
    for view in [standard.view(), transposed, sliced] {
        let quantized = array::quantize_i8(&view, affine).expect("finite");
        assert_eq!(quantized.shape(), view.shape());
        assert!(
            quantized
                .iter()
                .zip(&view)
                .all(|(&q, &real)| q == affine.quantize_i8(real))
        );
        let back = array::dequantize_i8(&quantized, affine);
        assert!(
            back.iter()
                .zip(&view)
                .all(|(a, b)| (a - b).abs() <= affine.scale * 0.5001)
        );

        let values: Vec<f32> = view.iter().copied().collect();
        let mut observer = MinMax::new();
        array::observe(&mut observer, &view).expect("finite");
        assert_eq!(observer, MinMax::of(&values).expect("finite"));
        for axis in 0..3 {
            let channels = ChannelAxis::new(view.shape(), axis).expect("an axis");
            let expected = QuantizedWeights::per_channel(&values, channels).expect("finite");
            let (weights, scales) = array::quantize_weights(&view, Axis(axis)).expect("finite");
            assert_eq!(weights.iter().copied().collect::<Vec<_>>(), expected.values);
            assert_eq!(scales, expected.scales);
            let ranges = array::min_max_per_channel(&view, Axis(axis)).expect("finite");
            for (lane, range) in view.axis_iter(Axis(axis)).zip(ranges) {
                let lane: Vec<f32> = lane.iter().copied().collect();
                assert_eq!(range, MinMax::of(&lane).expect("finite"));
            }
        }
    }
}

#[test]
fn weights_of_any_range_and_their_errors() {
    let (standard, method) = (reals(), ScaleMethod::LeastSquares);
    let int4 = IntegerRange::INT4_NARROW;
    for view in [standard.view(), standard.t()] {
        let values: Vec<f32> = view.iter().copied().collect();
        for axis in 0..3 {
            let channels = ChannelAxis::new(view.shape(), axis).expect("an axis");
            let expected =
                QuantizedWeights::<i16>::quantize(&values, channels, int4, method).expect("finite");
            let (weights, scales) =
                array::quantize_weights_by::<i16, _>(&view, Axis(axis), int4, method)
                    .expect("finite");
            assert_eq!(weights.iter().copied().collect::<Vec<_>>(), expected.values);
            assert_eq!(scales, expected.scales);
            let back = array::dequantize_weights(&weights, Axis(axis), &scales).expect("scales");
            let reals = expected.dequantize(channels).expect("the same axis");
            assert_eq!(back.iter().copied().collect::<Vec<_>>(), reals);
            assert_eq!(
                array::measures(&view, &back),
                measure::measures(&values, &reals)
            );
        }
        let blocks = ChannelAxis::blocks(view.shape(), 2).expect("whole blocks");
        let expected =
            QuantizedWeights::<i8>::quantize(&values, blocks, int4, method).expect("finite");
        let (weights, scales) = array::quantize_weights_in_blocks::<i8, _>(&view, 2, int4, method)
            .expect("whole blocks");
        assert_eq!(weights.iter().copied().collect::<Vec<_>>(), expected.values);
        assert_eq!(scales, expected.scales);
        let affine = Affine::new(0.01, 3);
        let wide = array::quantize::<i16, _>(&view, affine, IntegerRange::INT16).expect("finite");
        assert!(
            wide.iter()
                .zip(&view)
                .all(|(&q, &real)| q == affine.quantize_i16(real))
        );
        let narrow = array::dequantize(&wide, affine);
        assert!(
            narrow
                .iter()
                .zip(&view)
                .all(|(a, b)| (a - b).abs() <= 0.005_01)
        );
    }
}

#[test]
fn training_and_rounding_on_views() {
    let inputs = reals();
    let fake_quant = FakeQuant::new(-1.0, 1.0, 4, false).expect("a range");
    let outputs = array::fake_quantize(fake_quant, &inputs.t());
    assert!(
        outputs
            .iter()
            .zip(&inputs.t())
            .all(|(&y, &x)| y == fake_quant.apply(x))
    );
    let ones = Array3::ones(inputs.t().raw_dim());
    let (gradients, of_range) =
        array::fake_quantize_gradient(fake_quant, &inputs.t(), &ones).expect("one shape");
    assert_eq!(gradients.sum() + of_range.min + of_range.max, 24.0);
    let turned = array::fake_quantize_gradient(fake_quant, &inputs, &ones);
    assert!(matches!(
        turned,
        Err(QuantError::LengthMismatch {
            expected: 2,
            found: 4,
            ..
        })
    ));
    let (flat, deep) = (
        ArrayD::<f32>::zeros(vec![2]),
        ArrayD::<f32>::zeros(vec![2, 1]),
    );
    assert!(array::measures(&flat, &deep).is_err());

    let rows = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let mut gram = Gram::new(2).expect("a size");
    array::add_rows(&mut gram, &rows.t()).expect("two columns");
    assert_eq!(gram.mean(), Ok(vec![2.0, 5.0]));
    assert!(array::add_rows(&mut gram, &rows).is_err());
}

#[test]
fn bad_values_are_named_in_logical_order() {
    let reals = array![[1.0, 2.0], [f32::INFINITY, 4.0]];
    let named = |index| QuantError::NotFinite {
        index,
        value: f32::INFINITY,
    };
    let affine = Affine::new(1.0, 0);
    assert_eq!(array::quantize_i8(&reals, affine), Err(named(2)));
    assert_eq!(array::quantize_i8(&reals.t(), affine), Err(named(1)));
    assert_eq!(array::quantize_weights(&reals.t(), Axis(0)), Err(named(1)));
    let mut observer = MinMax::new();
    assert_eq!(array::observe(&mut observer, &reals), Err(named(2)));
    assert_eq!(observer.bounds(), None);
    assert!(matches!(
        array::min_max_per_channel(&reals, Axis(2)),
        Err(QuantError::BadAxis { axis: 2, rank: 2 })
    ));
}
