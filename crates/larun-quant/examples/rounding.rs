//! The rounding methods on random correlated layers: the error that is left and the time that it takes.
//!
//! `cargo run --release --package larun-quant --example rounding --features rayon`

use core::time::Duration;
use std::time::Instant;

use larun_quant::rounding::{
    AdaRound, Descent, Gptq, Gram, Hessian, Layer, Rounded, RoundingMethod, ScaleRefinement,
};
use larun_quant::weights::{ScaleMethod, scales};
use larun_quant::{ChannelAxis, IntegerRange, QuantError};

/// A layer of `channels` channels of `size` weights, whose inputs are mixtures of `factors` others and a little noise.
struct Problem {
    name: &'static str,
    channels: usize,
    size: usize,
    factors: usize,
    rows: usize,
}

const PROBLEMS: [Problem; 4] = [
    Problem {
        name: "depthwise 3x3",
        channels: 64,
        size: 9,
        factors: 4,
        rows: 4_096,
    },
    Problem {
        name: "pointwise 64",
        channels: 64,
        size: 64,
        factors: 16,
        rows: 4_096,
    },
    Problem {
        name: "3x3 of 32",
        channels: 64,
        size: 288,
        factors: 60,
        rows: 8_192,
    },
    Problem {
        name: "3x3 of 128",
        channels: 32,
        size: 1_152,
        factors: 200,
        rows: 8_192,
    },
];

fn main() -> Result<(), QuantError> {
    println!("| layer | integers | method | output error, % of nearest | ms |");
    println!("|---|---|---|---|---|");
    for problem in &PROBLEMS {
        let mut random = Random(problem.size as u64);
        let (hessian, took) = problem.hessian(&mut random)?;
        let gram_ms = took.as_millis();
        println!(
            "| {} | | Gram of {} rows | | {gram_ms} |",
            problem.name, problem.rows
        );
        let weights: Vec<f32> = (0..problem.channels * problem.size)
            .map(|_| random.bell())
            .collect();
        for (name, integers) in [
            ("INT8", IntegerRange::INT8_NARROW),
            ("INT4", IntegerRange::INT4_NARROW),
        ] {
            problem.compare(name, integers, &weights, &hessian)?;
        }
    }
    Ok(())
}

impl Problem {
    fn hessian(&self, random: &mut Random) -> Result<(Hessian, Duration), QuantError> {
        let mixing: Vec<f32> = (0..self.size * self.factors)
            .map(|_| random.bell())
            .collect();
        let mut gram = Gram::new(self.size)?;
        let mut row = vec![0.0; self.size];
        let mut took = Duration::ZERO;
        for _ in 0..self.rows {
            let factors: Vec<f32> = (0..self.factors).map(|_| random.bell()).collect();
            for (x, mixing) in row.iter_mut().zip(mixing.chunks_exact(self.factors)) {
                let mixed: f32 = mixing.iter().zip(&factors).map(|(m, f)| m * f).sum();
                // As after RELU.
                *x = (mixed / (self.factors as f32).sqrt() + 0.1 * random.bell()).max(0.0);
            }
            let started = Instant::now();
            gram.add_rows(&row)?;
            took += started.elapsed();
        }
        Ok((gram.covariance()?, took))
    }

    fn compare(
        &self,
        name: &str,
        integers: IntegerRange,
        weights: &[f32],
        hessian: &Hessian,
    ) -> Result<(), QuantError> {
        let axis = ChannelAxis::new(&[self.channels, self.size], 0)?;
        let of_max = scales(weights, axis, integers, ScaleMethod::Max)?;
        let of_error = scales(weights, axis, integers, ScaleMethod::LeastSquares)?;
        let run = |method: &RoundingMethod, scales: &[f32]| -> Result<(f64, u128), QuantError> {
            let started = Instant::now();
            let layer = Layer {
                weights,
                hessians: hessian.into(),
                scales,
                integers,
            };
            let rounded: Rounded<i8> = layer.round(method)?;
            Ok((rounded.errors.iter().sum(), started.elapsed().as_millis()))
        };
        let nearest = run(&RoundingMethod::Nearest, &of_max)?.0;
        let descent = |pair_sweeps, scales| {
            RoundingMethod::Descent(Descent {
                pair_sweeps,
                scales,
                ..Descent::default()
            })
        };
        let gptq = |act_order| {
            RoundingMethod::Gptq(Gptq {
                act_order,
                ..Gptq::default()
            })
        };
        let fixed = ScaleRefinement::Fixed;
        let mut methods = vec![
            ("nearest", RoundingMethod::Nearest, &of_max),
            (
                "nearest, scale of least squares",
                RoundingMethod::Nearest,
                &of_error,
            ),
            ("GPTQ", gptq(false), &of_max),
            ("GPTQ, act order", gptq(true), &of_max),
            ("descent, singles", descent(0, fixed), &of_max),
            ("descent, pairs", descent(4, fixed), &of_max),
            (
                "descent, pairs, scale",
                descent(4, ScaleRefinement::Float32),
                &of_max,
            ),
            (
                "descent, pairs, scale from least squares",
                descent(4, ScaleRefinement::Float32),
                &of_error,
            ),
        ];
        // 10,000 iterations of a larger layer take minutes.
        if self.size <= 64 {
            methods.push((
                "AdaRound",
                RoundingMethod::AdaRound(AdaRound::default()),
                &of_max,
            ));
        }
        for (method_name, method, scales) in methods {
            let (error, ms) = run(&method, scales)?;
            println!(
                "| {} | {name} | {method_name} | {:.1} | {ms} |",
                self.name,
                100.0 * error / nearest
            );
        }
        Ok(())
    }
}

/// A linear congruential generator, so that the figures are the same everywhere.
struct Random(u64);

impl Random {
    /// Bell-shaped, with mean 0 and variance 1.
    fn bell(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }

    fn uniform(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u32 << 24) as f32
    }
}
