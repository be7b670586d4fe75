//! The operations on arrays against those on slices.

#![cfg(feature = "ndarray")]

use larun_quant::weights::QuantizedWeights;
use larun_quant::{Affine, ChannelAxis, MinMax, Observer, QuantError, array};
use ndarray::{Array3, Axis, array};

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
