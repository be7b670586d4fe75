//! What quantising a layer's weights to fewer bits costs, on ndarray arrays.

use larun_quant::weights::ScaleMethod;
use larun_quant::{IntegerRange, array};
use ndarray::{Array2, Axis};

fn main() -> Result<(), Box<dyn core::error::Error>> {
    // A kernel as Keras has it: inputs along the first axis, outputs along the last, here of very different sizes.
    let kernel = Array2::from_shape_fn((64, 16), |(input, output)| {
        ((input * 31 + output * 17) % 29) as f32 / 29.0 * (1 + output) as f32 - 0.5
    });
    let mut noise = Vec::new();
    for (name, range) in [
        ("INT8", IntegerRange::INT8_NARROW),
        ("INT4", IntegerRange::INT4_NARROW),
    ] {
        // A transposed view: the outputs are the channels, and nothing is copied.
        let weights = kernel.t();
        let (integers, scales) =
            array::quantize_weights_by::<i8, _>(&weights, Axis(0), range, ScaleMethod::Max)?;
        let back = array::dequantize_weights(&integers, Axis(0), &scales)?;
        let measures = array::measures(&weights, &back)?;
        println!(
            "{name}: {} scales, squared error {:.2e}, largest {:.4}",
            scales.len(),
            measures.mse,
            measures.largest
        );
        noise.push(measures.mse);
    }
    match noise[0] < noise[1] {
        true => Ok(()),
        false => Err("eight bits are not nearer than four".into()),
    }
}
