//! The observers on heavy-tailed values: the error that their ranges leave, and what they cost.
//!
//! `cargo run --release --package larun-quant --example observers`

use std::time::Instant;

use larun_quant::fake_quant::quantize_dequantize;
use larun_quant::measure::sqnr_db;
use larun_quant::{IntegerRange, Observer, ObserverKind, QuantError};

/// As many values as a hundred samples of a small network's layer have.
const SAMPLES: usize = 100;
const VALUES: usize = 16 * 16 * 64;

fn main() -> Result<(), QuantError> {
    println!("| values | integers | observer | SQNR, dB | ns a value | ms for the range |");
    println!("|---|---|---|---|---|---|");
    for (name, of_bell) in DISTRIBUTIONS {
        let mut state = 1_u64;
        let samples: Vec<Vec<f32>> = (0..SAMPLES)
            .map(|_| (0..VALUES).map(|_| of_bell(bell(&mut state))).collect())
            .collect();
        for (integers_name, integers) in
            [("INT8", IntegerRange::INT8), ("INT4", IntegerRange::INT4)]
        {
            for kind in ObserverKind::ALL {
                let (sqnr, per_value, of_range) = measure(kind, integers, &samples)?;
                println!(
                    "| {name} | {integers_name} | {kind} | {sqnr:.2} | {per_value:.2} | {of_range:.2} |"
                );
            }
        }
    }
    Ok(())
}

type Distribution = (&'static str, fn(f32) -> f32);

const DISTRIBUTIONS: [Distribution; 4] = [
    ("bell", |x| x),
    ("bell after RELU", |x| x.max(0.0)),
    ("heavy tails", |x| x * x * x),
    ("SiLU", |x| 2.0 * x / (1.0 + (-2.0 * x).exp())),
];

fn measure(
    kind: ObserverKind,
    integers: IntegerRange,
    samples: &[Vec<f32>],
) -> Result<(f64, f64, f64), QuantError> {
    let mut observer = kind.observer(integers)?;
    let started = Instant::now();
    for sample in samples {
        observer.observe(sample)?;
    }
    let observed = started.elapsed();
    let started = Instant::now();
    let affine = observer.asymmetric(integers)?;
    let of_range = started.elapsed();
    let all = samples.concat();
    let mut outputs = vec![0.0; all.len()];
    quantize_dequantize(affine, integers, &all, &mut outputs)?;
    let per_value = observed.as_secs_f64() * 1e9 / all.len() as f64;
    Ok((
        sqnr_db(&all, &outputs)?,
        per_value,
        of_range.as_secs_f64() * 1e3,
    ))
}

/// The sum of twelve uniform numbers of a linear congruential generator, less its mean.
fn bell(state: &mut u64) -> f32 {
    let mut sum = -6.0;
    for _ in 0..12 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        sum += (*state >> 40) as f32 / (1_u32 << 24) as f32;
    }
    sum
}
