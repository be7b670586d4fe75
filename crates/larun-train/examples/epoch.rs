//! Times epochs of training: `epoch 1d|2d [epochs] [threads]` prints one line an epoch, seconds by the clock and of the processor.
//!
//! The networks are those that `cargo xtask bench train` gives to Keras too, on 2048 samples of noise in batches of 64 with Adam.

#[path = "../tests/networks/mod.rs"]
mod networks;

use core::error::Error;
use core::ops::ControlFlow;
use std::time::Instant;

use larun_graph::ops::{
    Activation, BatchNormOptions, Conv2DOptions, DepthwiseConv2DOptions, ElementType,
    FullyConnectedOptions, NoOptions, Op, Padding, Pool2DOptions, ReducerOptions, SoftmaxOptions,
};
use larun_graph::{Graph, GraphBuilder, GraphError, TensorId};
use larun_train::{
    BatchEvent, EpochMetrics, Observer, Schedule, TrainConfig, Trainer, TrainingData, initialise,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SAMPLES: usize = 2048;
const CLASSES: usize = 6;

/// Layers on images.
struct Image {
    net: GraphBuilder,
    at: TensorId,
    layers: usize,
}

impl Image {
    fn constant(&mut self, name: &str, shape: &[usize]) -> Result<TensorId, GraphError> {
        let name = format!("{}/{name}", self.layers);
        let zeros = vec![0.0f32; shape.iter().product()];
        self.net.constant(&name, shape, &zeros)
    }

    fn channels(&self) -> usize {
        self.net.shape(self.at).map_or(0, |shape| shape.last())
    }

    fn push(&mut self, op: Op, operands: &[TensorId]) -> Result<(), GraphError> {
        self.layers += 1;
        let inputs = [&[self.at], operands].concat();
        self.at = self.net.node(&format!("{}", self.layers), op, &inputs)?;
        Ok(())
    }

    fn norm_relu(&mut self) -> Result<(), GraphError> {
        let shape = [self.channels()];
        let operands =
            ["gamma", "beta", "mean", "variance"].map(|name| self.constant(name, &shape));
        let operands = operands.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.push(Op::BatchNorm(BatchNormOptions::default()), &operands)?;
        self.push(Op::Relu(NoOptions {}), &[])
    }

    fn conv(&mut self, filters: usize, size: usize) -> Result<(), GraphError> {
        let w = self.constant("w", &[filters, size, size, self.channels()])?;
        let b = self.constant("b", &[filters])?;
        let options = Conv2DOptions {
            stride_w: 1,
            stride_h: 1,
            ..Conv2DOptions::default()
        };
        self.push(Op::Conv2D(options), &[w, b])?;
        self.norm_relu()
    }

    fn separable(&mut self, filters: usize) -> Result<(), GraphError> {
        let channels = self.channels();
        let w = self.constant("w", &[1, 3, 3, channels])?;
        let b = self.constant("b", &[channels])?;
        let options = DepthwiseConv2DOptions {
            stride_w: 1,
            stride_h: 1,
            depth_multiplier: 1,
            ..DepthwiseConv2DOptions::default()
        };
        self.push(Op::DepthwiseConv2D(options), &[w, b])?;
        self.norm_relu()?;
        self.conv(filters, 1)?;
        self.pool()
    }

    fn pool(&mut self) -> Result<(), GraphError> {
        let options = Pool2DOptions {
            padding: Padding::Valid,
            stride_w: 2,
            stride_h: 2,
            filter_w: 2,
            filter_h: 2,
            ..Pool2DOptions::default()
        };
        self.push(Op::MaxPool2D(options), &[])
    }
}

/// Convolution 8 of 3 x 3, three separable blocks of 16, 32 and 64, each with batch normalisation, RELU and pool 2, the mean over
/// the image, a dense layer.
fn image_network() -> Result<Graph, GraphError> {
    let mut net = GraphBuilder::new("image");
    let at = net.input("image", &[1, 64, 64, 1], ElementType::Float32)?;
    let mut image = Image { net, at, layers: 0 };
    image.conv(8, 3)?;
    image.pool()?;
    for filters in [16, 32, 64] {
        image.separable(filters)?;
    }
    let axes = image.net.constant("axes", &[2], &[1i32, 2])?;
    image.push(Op::Mean(ReducerOptions { keep_dims: false }), &[axes])?;
    let w = image.constant("w", &[CLASSES, 64])?;
    let b = image.constant("b", &[CLASSES])?;
    let dense = FullyConnectedOptions {
        activation: Activation::None,
        ..FullyConnectedOptions::default()
    };
    image.push(Op::FullyConnected(dense), &[w, b])?;
    image.push(Op::Softmax(SoftmaxOptions { beta: 1.0 }), &[])?;
    image.net.output(image.at);
    image.net.finish()
}

/// Seconds that all threads of this process have computed, in hundredths, where the system says it.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

/// Notes how long the batches of each epoch took.
struct Clock {
    wall: Instant,
    processor: f64,
}

impl Observer for Clock {
    fn epoch_started(&mut self, _: usize, _: usize, _: usize) {
        *self = Self {
            wall: Instant::now(),
            processor: processor_seconds(),
        };
    }

    fn batch_finished(&mut self, event: BatchEvent<'_>) -> ControlFlow<()> {
        if event.batch == event.batches {
            let wall = self.wall.elapsed().as_secs_f64();
            println!("{wall:.4} {:.2}", processor_seconds() - self.processor);
        }
        ControlFlow::Continue(())
    }

    fn epoch_finished(&mut self, _: &EpochMetrics, _: bool) {}
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let which = arguments.next().unwrap_or_else(|| "1d".to_owned());
    let epochs = arguments.next().map_or(Ok(4), |text| text.parse())?;
    let threads = arguments.next().map_or(Ok(2), |text| text.parse())?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()?;
    let (mut graph, sample_len) = match which.as_str() {
        "2d" => (image_network()?, 64 * 64),
        _ => (networks::spectral(1024, CLASSES)?, 1024),
    };
    initialise(&mut graph, 1)?;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let x: Vec<f32> = (0..(SAMPLES + 1) * sample_len)
        .map(|_| rng.random::<f32>() - 0.5)
        .collect();
    let y: Vec<u32> = (0..=SAMPLES as u32).map(|i| i % CLASSES as u32).collect();
    let train: Vec<usize> = (0..SAMPLES).collect();
    let data = TrainingData {
        x: &x,
        sample_len,
        y: &y,
        train: &train,
        validation: &[SAMPLES],
        ..TrainingData::default()
    };
    let config = TrainConfig {
        epochs,
        batch_size: 64,
        learning_rate: 1e-3,
        schedule: Schedule::Constant,
        patience: None,
        measured_batches: 0,
        ..TrainConfig::default()
    };
    let mut clock = Clock {
        wall: Instant::now(),
        processor: 0.0,
    };
    Trainer::new(&graph, data, config)?.run(&mut clock)?;
    Ok(())
}
