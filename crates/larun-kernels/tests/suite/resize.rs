//! Images of another size.

use larun_ops::{ElementType, Op, ResizeBilinearOptions, ResizeNearestNeighborOptions};
use proptest::prelude::*;

use crate::reference::Noise;
use crate::support::{Node, Tensor};

fn bilinear(align_corners: bool, half_pixel_centers: bool) -> Op {
    Op::ResizeBilinear(ResizeBilinearOptions {
        align_corners,
        half_pixel_centers,
        ..Default::default()
    })
}

fn nearest(align_corners: bool, half_pixel_centers: bool) -> Op {
    Op::ResizeNearestNeighbor(ResizeNearestNeighborOptions {
        align_corners,
        half_pixel_centers,
    })
}

fn node(op: Op, input: Tensor, output: Tensor) -> Node {
    let [_, height, width, _] = output.shape.nhwc().unwrap();
    let size = Tensor::int32(&[2], &[height as i32, width as i32]).constant();
    Node {
        op,
        inputs: vec![Some(input), Some(size)],
        outputs: vec![output],
    }
}

/// The place in the input that an output position stands for.
fn place(at: usize, input: usize, output: usize, align: bool, half: bool) -> f64 {
    let (at, input, output) = (at as f64, input as f64, output as f64);
    match (align && output > 1.0, half) {
        (true, _) => at * (input - 1.0) / (output - 1.0),
        (_, true) => (at + 0.5) * input / output - 0.5,
        _ => at * input / output,
    }
}

proptest! {
    #[test]
    fn bilinear_lies_between_pixels(
        from in (1..6usize, 1..6usize), to in (1..9usize, 1..9usize), channels in 1..4usize, mode in 0..3u8, seed: u64
    ) {
        let mut noise = Noise::new(seed);
        let (align, half) = (mode == 1, mode == 2);
        let (input, output) = ([2, from.0, from.1, channels], [2, to.0, to.1, channels]);
        let values = noise.int8s(input.iter().product());
        let reals: Vec<f32> = values.iter().map(|&v| f32::from(v)).collect();
        let words: Vec<u8> = values.iter().flat_map(|&v| i16::from(v).to_le_bytes()).collect();
        let op = bilinear(align, half);
        let real = node(op, Tensor::float(&input, &reals), Tensor::float(&output, &[])).run_f32().unwrap();
        let codes = node(op, Tensor::int8(&input, &values, 0.5, 3), Tensor::int8(&output, &[], 0.5, 3));
        let codes = codes.run_i8().unwrap();
        let wide = |dims: &[usize], bytes| Tensor::new(ElementType::Int16, dims, bytes);
        let wide = node(op, wide(&input, words), wide(&output, Vec::new())).run().unwrap().swap_remove(0);
        for (i, &real) in real.iter().enumerate() {
            let (c, x, y, n) = (i % channels, i / channels % to.1, i / channels / to.1 % to.0, i / channels / to.1 / to.0);
            let at = [place(y, from.0, to.0, align, half), place(x, from.1, to.1, align, half)];
            let expected: f64 = (0..from.0 * from.1).map(|pixel| {
                let (row, column) = (pixel / from.1, pixel % from.1);
                let weight = |at: f64, len: usize, pixel: usize| {
                    let at = at.clamp(0.0, len as f64 - 1.0);
                    (1.0 - (at - pixel as f64).abs()).max(0.0)
                };
                let value = values[((n * from.0 + row) * from.1 + column) * channels + c];
                weight(at[0], from.0, row) * weight(at[1], from.1, column) * f64::from(value)
            }).sum();
            prop_assert!((f64::from(real) - expected).abs() < 1e-3, "{} is {} but {}", i, expected, real);
            // Ten bits of the scale leave an error that grows with the distance.
            prop_assert!((f64::from(codes[i]) - expected).abs() < 5.0);
            prop_assert_eq!(i16::from(codes[i]).to_le_bytes(), [wide[2 * i], wide[2 * i + 1]]);
        }
    }

    #[test]
    fn nearest_takes_pixels(
        from in (1..6usize, 1..6usize), to in (1..9usize, 1..9usize), align: bool, half: bool, seed: u64
    ) {
        let mut noise = Noise::new(seed);
        let (input, output) = ([2, from.0, from.1, 3], [2, to.0, to.1, 3]);
        let values = noise.floats(input.iter().product());
        let found = node(nearest(align, half), Tensor::float(&input, &values), Tensor::float(&output, &[]));
        let found = found.run_f32().unwrap();
        let pick = |at: usize, input: usize, output: usize| {
            let last = input - 1;
            let offset = if half { 0.5f32 } else { 0.0 };
            let (span, steps) = if align && output > 1 { (last, output - 1) } else { (input, output) };
            let at = (at as f32 + offset) * (span as f32 / steps as f32);
            (if align { at.round() } else { at.floor() } as usize).min(last)
        };
        for (i, &found) in found.iter().enumerate() {
            let (c, x, y, n) = (i % 3, i / 3 % to.1, i / 3 / to.1 % to.0, i / 3 / to.1 / to.0);
            let (y, x) = (pick(y, from.0, to.0), pick(x, from.1, to.1));
            prop_assert_eq!(found, values[((n * from.0 + y) * from.1 + x) * 3 + c]);
        }
    }
}

#[test]
fn far_enlargements_stay_inside() {
    // The scale in ten bits is rounded up to 1, so that positions run past the image.
    let codes = node(
        bilinear(false, false),
        Tensor::int8(&[1, 1, 2, 1], &[10, 20], 0.5, 0),
        Tensor::int8(&[1, 1, 3000, 1], &[], 0.5, 0),
    );
    let codes = codes.run_i8().unwrap();
    assert_eq!((codes[0], codes[2047]), (10, 20));
}

#[test]
fn refusals() {
    let image = || Tensor::float(&[1, 1, 1, 1], &[1.0]);
    let both = node(bilinear(true, true), image(), image());
    let refusal = both.prepare().unwrap_err().to_string();
    assert!(refusal.starts_with("options: half-pixel centres"));
    let empty = Tensor::float(&[1, 0, 1, 1], &[]);
    let none = node(nearest(false, false), empty, image());
    assert_eq!(
        none.prepare().unwrap_err().to_string(),
        "input 0: has no elements"
    );
    let words = || Tensor::int32(&[1, 1, 1, 1], &[1]);
    assert!(
        node(bilinear(false, false), words(), words())
            .prepare()
            .is_err()
    );
    assert!(
        node(nearest(false, false), words(), words())
            .prepare()
            .is_ok()
    );
}
