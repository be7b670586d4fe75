//! The four reference networks of MLPerf Tiny (Banbury et al. 2021), layer by layer as the benchmark's rules describe them.
//!
//! Dropout, which does nothing after training, is left out.

use larun_graph::{GraphError, TensorId};

use super::blocks::NetworkBuilder;
use super::{Head, Network, Takes};

pub(super) const DS_CNN: Network = Network {
    name: "ds-cnn",
    title: "DS-CNN",
    description: "MLPerf Tiny's keyword spotting, from 49 frames of 10 cepstral coefficients (Zhang et al. 2017).",
    architecture: "conv 64x10x4/2, four separable 64x3x3, average, softmax",
    takes: Takes::Image { min_side: 2 },
    made_for: &[49, 10, 1],
    augment: "none",
    head: Head::Classes,
    body: ds_cnn,
};

pub(super) const RESNET8: Network = Network {
    name: "resnet8",
    title: "ResNet-8",
    description: "MLPerf Tiny's image classification (He et al. 2016).",
    architecture: "conv 16x3x3, residual 16, residual 32/2, residual 64/2, average, softmax",
    takes: Takes::Image { min_side: 4 },
    made_for: &[32, 32, 3],
    augment: "none",
    head: Head::Classes,
    body: resnet8,
};

pub(super) const MOBILENET_V1: Network = Network {
    name: "mobilenet-v1",
    title: "MobileNetV1-0.25",
    description: "MLPerf Tiny's person detection, a quarter of the width (Howard et al. 2017).",
    architecture: "conv 8x3x3/2, thirteen separable 16 to 256, average, softmax",
    takes: Takes::Image { min_side: 32 },
    made_for: &[96, 96, 3],
    augment: "none",
    head: Head::Classes,
    body: mobilenet_v1,
};

pub(super) const AUTOENCODER: Network = Network {
    name: "autoencoder",
    title: "Autoencoder",
    description: "MLPerf Tiny's anomaly detection, from 5 frames of 128 mel bands (Koizumi et al. 2020).",
    architecture: "dense 128 four times, dense 8, dense 128 four times, dense as the input",
    takes: Takes::Row,
    made_for: &[640],
    augment: "none",
    head: Head::Reconstruction,
    body: autoencoder,
};

fn ds_cnn(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let mut x = net.conv2d_bn_relu("conv", input, 64, [10, 4], [2, 2])?;
    for block in 1..=4 {
        x = net.separable_conv2d(&format!("separable{block}"), x, 64, 3, 1)?;
    }
    net.flat_average("average", x)
}

fn resnet8(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let x = net.conv2d_bn_relu("conv", input, 16, [3, 3], [1, 1])?;
    let x = net.residual("stack1", x, |net, x| {
        let x = net.conv2d_bn_relu("stack1/conv1", x, 16, [3, 3], [1, 1])?;
        net.conv2d_bn("stack1/conv2", x, 16, [3, 3], [1, 1])
    })?;
    let x = halving(net, "stack2", x, 32)?;
    let x = halving(net, "stack3", x, 64)?;
    net.flat_average("average", x)
}

/// A residual block that halves the image; its shortcut is a strided pointwise convolution.
fn halving(
    net: &mut NetworkBuilder,
    name: &str,
    input: TensorId,
    filters: usize,
) -> Result<TensorId, GraphError> {
    let x = net.conv2d_bn_relu(&format!("{name}/conv1"), input, filters, [3, 3], [2, 2])?;
    let x = net.conv2d_bn(&format!("{name}/conv2"), x, filters, [3, 3], [1, 1])?;
    let shortcut = net.shortcut(&format!("{name}/shortcut"), input, filters, 2)?;
    net.add_relu(name, x, shortcut)
}

fn mobilenet_v1(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    const BLOCKS: [(usize, usize); 13] = [
        (16, 1),
        (32, 2),
        (32, 1),
        (64, 2),
        (64, 1),
        (128, 2),
        (128, 1),
        (128, 1),
        (128, 1),
        (128, 1),
        (128, 1),
        (256, 2),
        (256, 1),
    ];
    let mut x = net.conv2d_bn_relu("conv", input, 8, [3, 3], [2, 2])?;
    for (i, (filters, stride)) in BLOCKS.into_iter().enumerate() {
        x = net.separable_conv2d(&format!("separable{}", i + 1), x, filters, 3, stride)?;
    }
    net.flat_average("average", x)
}

fn autoencoder(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let mut x = input;
    for (i, units) in [128, 128, 128, 128, 8, 128, 128, 128, 128]
        .into_iter()
        .enumerate()
    {
        x = net.dense_bn_relu(&format!("dense{}", i + 1), x, units)?;
    }
    Ok(x)
}
