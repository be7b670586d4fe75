//! LARUN's own networks: light curves, galaxies, transits, stars.

use larun_graph::ops::Activation;
use larun_graph::{Graph, GraphError, TensorId};

use super::blocks::NetworkBuilder;
use super::{Head, Network, NetworkError, Takes, finish_classes};

pub(super) const SPECTRAL_WIDE: Network = Network {
    name: "spectral-wide",
    title: "LarunNet-Spectral-Wide",
    description: "Tells classes of light curves apart; sees what happens once beside what goes on all the time.",
    architecture: "conv 16x9/2, pool 2, separable 32x5, pool 4, separable 48x5, pool 4, separable 64x3, global average and peak, dense 32, softmax",
    takes: Takes::Signal { min_points: 64 },
    made_for: &[1024, 1],
    augment: "roll,reverse",
    head: Head::Classes,
    body: spectral_wide,
};

pub(super) const GALAXY: Network = Network {
    name: "galaxy",
    title: "LarunNet-Galaxy",
    description: "Tells the shapes of galaxies apart, from colour images.",
    architecture: "conv 12x5x5/4, separable 32, 48/2, 64, 96/2, global average, softmax",
    takes: Takes::Image { min_side: 16 },
    made_for: &[64, 64, 3],
    augment: "reverse,flip,rotate,shift=4,zoom=0.1",
    head: Head::Classes,
    body: galaxy,
};

pub(super) const GALAXY_WIDE: Network = Network {
    name: "galaxy-wide",
    title: "LarunNet-Galaxy-Wide",
    description: "The same task with three times the operations: what LarunNet-Galaxy learns from.",
    architecture: "conv 16x3x3/2, separable 32/2, 48, 64/2, 96, 128/2, global average, softmax",
    takes: Takes::Image { min_side: 16 },
    made_for: &[64, 64, 3],
    augment: "reverse,flip,rotate,shift=4,zoom=0.1",
    head: Head::Classes,
    body: galaxy_wide,
};

pub(super) const GALAXY_STUDENT: Network = Network {
    name: "galaxy-student",
    title: "LarunNet-Galaxy-Student",
    description: "The plain small network for images that learns from a larger teacher.",
    architecture: "conv 8x5x5/4, separable 24/2, 32, 48/2, global average, softmax",
    takes: Takes::Image { min_side: 16 },
    made_for: &[64, 64, 3],
    augment: "reverse,flip,rotate,shift=4,zoom=0.1",
    head: Head::Classes,
    body: galaxy_student,
};

pub(super) const TRANSIT: Network = Network {
    name: "transit",
    title: "LarunNet-Transit",
    description: "Tells transits from everything else, in light curves folded at the period: the whole turn and the event itself as two channels.",
    architecture: "conv 16x9/2, pool 2, separable 32x5, pool 2, separable 48x5, pool 2, separable 64x3, global average and peak, dense 24, softmax",
    takes: Takes::Signal { min_points: 16 },
    made_for: &[201, 2],
    augment: "reverse",
    head: Head::Classes,
    body: transit,
};

pub(super) const STAR: Network = Network {
    name: "star",
    title: "LarunNet-Star",
    description: "Tells the spectral types of stars apart, from spectra on one grid of wavelengths.",
    architecture: "conv 24x7/4, separable 8x7/4, flatten, softmax",
    takes: Takes::Signal { min_points: 64 },
    made_for: &[1024, 1],
    augment: "shift=2,noise=0.1,scale=0.2,blend=0.7",
    head: Head::Classes,
    body: star,
};

pub(super) const SPECTRAL: Network = Network {
    name: "spectral",
    title: "LarunNet-Spectral",
    description: "Tells classes of light curves apart; its first layer steps, which is where the time goes.",
    architecture: "conv 12x9/4, pool 2, separable 24x5, pool 4, separable 48x5, pool 2, separable 64x3, global average and peak, dense 24, softmax",
    takes: Takes::Signal { min_points: 64 },
    made_for: &[1024, 1],
    augment: "roll,reverse",
    head: Head::Classes,
    body: spectral,
};

pub(super) const SPECTRAL_SMALL: Network = Network {
    name: "spectral-small",
    title: "LarunNet-Spectral-Small",
    description: "The same task with a third of the parameters: looks at every point, and takes longer.",
    architecture: "conv 8x7, pool 4, separable 16x5, pool 4, separable 32x3, pool 4, global average, dense 16, softmax",
    takes: Takes::Signal { min_points: 64 },
    made_for: &[1024, 1],
    augment: "roll,reverse",
    head: Head::Classes,
    body: spectral_small,
};

pub(super) const STUDENT: Network = Network {
    name: "student",
    title: "LarunNet-Student",
    description: "The plain small network that learns from a larger teacher.",
    architecture: "conv 8x7, pool 4, conv 16x5, global average, dense 16, softmax",
    takes: Takes::Signal { min_points: 26 },
    made_for: &[1024, 1],
    augment: "roll,reverse",
    head: Head::Classes,
    body: student,
};

fn spectral_wide(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let x = net.strided_conv1d_bn_relu("conv", input, 16, 9, 2)?;
    let x = net.max_pool1d("conv/pool", x, 2)?;
    let x = net.separable_conv1d("separable1", x, 32, 5)?;
    let x = net.max_pool1d("separable1/pool", x, 4)?;
    let x = net.separable_conv1d("separable2", x, 48, 5)?;
    let x = net.max_pool1d("separable2/pool", x, 4)?;
    let x = net.separable_conv1d("separable3", x, 64, 3)?;
    let x = summary(net, x)?;
    net.dense("dense", x, 32, Activation::Relu)
}

fn galaxy(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let x = net.conv2d_bn_relu("conv", input, 12, [5, 5], [4, 4])?;
    let x = net.separable_conv2d("separable1", x, 32, 3, 1)?;
    let x = net.separable_conv2d("separable2", x, 48, 3, 2)?;
    let x = net.separable_conv2d("separable3", x, 64, 3, 1)?;
    let x = net.separable_conv2d("separable4", x, 96, 3, 2)?;
    net.global_average("average", x)
}

fn galaxy_student(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let x = net.conv2d_bn_relu("conv", input, 8, [5, 5], [4, 4])?;
    let x = net.separable_conv2d("separable1", x, 24, 3, 2)?;
    let x = net.separable_conv2d("separable2", x, 32, 3, 1)?;
    let x = net.separable_conv2d("separable3", x, 48, 3, 2)?;
    net.global_average("average", x)
}

fn galaxy_wide(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let x = net.conv2d_bn_relu("conv", input, 16, [3, 3], [2, 2])?;
    let x = net.separable_conv2d("separable1", x, 32, 3, 2)?;
    let x = net.separable_conv2d("separable2", x, 48, 3, 1)?;
    let x = net.separable_conv2d("separable3", x, 64, 3, 2)?;
    let x = net.separable_conv2d("separable4", x, 96, 3, 1)?;
    let x = net.separable_conv2d("separable5", x, 128, 3, 2)?;
    net.global_average("average", x)
}

fn transit(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let x = net.strided_conv1d_bn_relu("conv", input, 16, 9, 2)?;
    let x = net.max_pool1d("conv/pool", x, 2)?;
    let x = net.separable_conv1d("separable1", x, 32, 5)?;
    let x = net.max_pool1d("separable1/pool", x, 2)?;
    let x = net.separable_conv1d("separable2", x, 48, 5)?;
    let x = net.max_pool1d("separable2/pool", x, 2)?;
    let x = net.separable_conv1d("separable3", x, 64, 3)?;
    let x = summary(net, x)?;
    net.dense("dense", x, 24, Activation::Relu)
}

/// The mean and the peak of every feature: what goes on all the time, and what happens once.
fn summary(net: &mut NetworkBuilder, features: TensorId) -> Result<TensorId, GraphError> {
    let average = net.global_average("average", features)?;
    let peak = net.global_peak("peak", features)?;
    net.concatenate("summary", &[average, peak])
}

/// LarunNet-Transit with two inputs: `global`, the whole turn `[1, 1, global_points, 1]`, and `local`, the event
/// `[1, 1, local_points, 1]`; output `[1, classes]`. After the convolutions the two meet in one dense layer (Shallue and Vanderburg 2018,
/// AJ 155, 94, who call this AstroNet).
///
/// # Errors
/// [`NetworkError`], for views of fewer than 16 and 8 points or fewer than two classes.
pub fn transit_views(
    global_points: usize,
    local_points: usize,
    classes: usize,
    seed: u64,
) -> Result<Graph, NetworkError> {
    const NAME: &str = "transit with two views";
    for (found, min) in [(global_points, 16), (local_points, 8)] {
        if found < min {
            let network = NAME;
            return Err(NetworkError::TooShort {
                network,
                min,
                found,
            });
        }
    }
    if classes < 2 {
        return Err(NetworkError::TooFewClasses {
            network: NAME,
            found: classes,
        });
    }
    let mut net = NetworkBuilder::new("LarunNet-Transit-Views", seed);
    let global = net.named_input("global", &[1, 1, global_points, 1])?;
    let local = net.named_input("local", &[1, 1, local_points, 1])?;
    let x = view(&mut net, "global", global, 4)?;
    let y = view(&mut net, "local", local, 2)?;
    let x = net.concatenate("views", &[x, y])?;
    let x = net.dense("dense", x, 24, Activation::Relu)?;
    Ok(finish_classes(net, x, classes)?)
}

/// The convolutions of one view.
fn view(
    net: &mut NetworkBuilder,
    name: &str,
    input: TensorId,
    pool: usize,
) -> Result<TensorId, GraphError> {
    let x = net.conv1d_bn_relu(&format!("{name}/conv"), input, 16, 5)?;
    let x = net.max_pool1d(&format!("{name}/pool1"), x, 2)?;
    let x = net.separable_conv1d(&format!("{name}/separable1"), x, 32, 5)?;
    let x = net.max_pool1d(&format!("{name}/pool2"), x, pool)?;
    let x = net.separable_conv1d(&format!("{name}/separable2"), x, 32, 3)?;
    let x = net.max_pool1d(&format!("{name}/pool3"), x, 2)?;
    net.flatten(&format!("{name}/flat"), x)
}

fn star(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let x = net.strided_conv1d_bn_relu("conv", input, 24, 7, 4)?;
    let x = net.strided_separable_conv1d("separable", x, 8, 7, 4)?;
    // Flattened, not averaged: a line is known by its wavelength.
    net.flatten("flat", x)
}

fn spectral(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let x = net.strided_conv1d_bn_relu("conv", input, 12, 9, 4)?;
    let x = net.max_pool1d("conv/pool", x, 2)?;
    let x = net.separable_conv1d("separable1", x, 24, 5)?;
    let x = net.max_pool1d("separable1/pool", x, 4)?;
    let x = net.separable_conv1d("separable2", x, 48, 5)?;
    let x = net.max_pool1d("separable2/pool", x, 2)?;
    let x = net.separable_conv1d("separable3", x, 64, 3)?;
    let x = summary(net, x)?;
    net.dense("dense", x, 24, Activation::Relu)
}

fn spectral_small(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let x = net.conv1d_bn_relu("conv", input, 8, 7)?;
    let x = net.max_pool1d("conv/pool", x, 4)?;
    let x = net.separable_conv1d("separable1", x, 16, 5)?;
    let x = net.max_pool1d("separable1/pool", x, 4)?;
    let x = net.separable_conv1d("separable2", x, 32, 3)?;
    let x = net.max_pool1d("separable2/pool", x, 4)?;
    let x = net.global_average("average", x)?;
    net.dense("dense", x, 16, Activation::Relu)
}

fn student(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
    let x = net.conv1d_relu("conv1", input, 8, 7)?;
    let x = net.max_pool1d("conv1/pool", x, 4)?;
    let x = net.conv1d_relu("conv2", x, 16, 5)?;
    let x = net.global_average("average", x)?;
    net.dense("dense", x, 16, Activation::Relu)
}
