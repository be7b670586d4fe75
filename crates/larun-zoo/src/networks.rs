//! The networks of LARUN by name.
//!
//! | name | network | parameters | MACs |
//! |---|---|---:|---:|
//! | `spectral` | LarunNet-Spectral, depthwise-separable | 1,734 in training, 1,494 deployed | 136,800 |
//! | `student` | the plain student for distillation | 1,094 | 217,360 |
//!
//! Counted for six classes of light curves with 1024 points. Training counts batch normalisation as Keras does, four values a channel,
//! of which a layer's bias is what is left after folding.
//!
//! ```
//! use larun_zoo::networks;
//!
//! let spectral = networks::find("spectral")?;
//! let graph = spectral.build(&[1024, 1], 6, 42)?;
//! assert_eq!(graph.stats()?.macs, 136_800);
//! assert!(networks::find("spectrum").unwrap_err().to_string().contains("spectral, student"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod blocks;

use larun_graph::ops::Activation;
use larun_graph::{Graph, GraphError, TensorId};

use blocks::NetworkBuilder;

/// A network that can be built for any length of input and number of classes.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// What the network is called on a command line.
    pub name: &'static str,
    /// What the network is called in a model card.
    pub title: &'static str,
    /// What it is for and how it is made, in a sentence.
    pub description: &'static str,
    /// The layers, in a few words.
    pub architecture: &'static str,
    /// The shortest input, in samples, that leaves something after every pool.
    pub min_samples: usize,
    body: fn(&mut NetworkBuilder, TensorId) -> Result<TensorId, GraphError>,
}

/// Every network.
pub const NETWORKS: &[Network] = &[
    Network {
        name: "spectral",
        title: "LarunNet-Spectral",
        description: "Classifies light curves and spectra with depthwise-separable convolutions and batch normalisation.",
        architecture: "conv 8x7, pool 4, separable 16x5, pool 4, separable 32x3, pool 4, global average, dense 16, softmax",
        min_samples: 64,
        body: spectral,
    },
    Network {
        name: "student",
        title: "LarunNet-Student",
        description: "The plain small network that learns from a larger teacher.",
        architecture: "conv 8x7, pool 4, conv 16x5, global average, dense 16, softmax",
        min_samples: 26,
        body: student,
    },
];

/// The network of that name.
///
/// # Errors
/// [`UnknownNetwork`], which lists the names there are.
pub fn find(name: &str) -> Result<&'static Network, UnknownNetwork> {
    NETWORKS
        .iter()
        .find(|network| network.name == name)
        .ok_or_else(|| UnknownNetwork {
            name: name.to_owned(),
        })
}

/// There is no network of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no network is called {name:?}: there are {}", known())]
pub struct UnknownNetwork {
    /// The name asked for.
    pub name: String,
}

fn known() -> String {
    let names: Vec<_> = NETWORKS.iter().map(|network| network.name).collect();
    names.join(", ")
}

/// Why a network cannot be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The samples have another shape than the network takes.
    #[error(
        "network {network} takes samples of shape [W] or [W, C] (W points, C channels), not {found:?}"
    )]
    SampleShape {
        /// The network.
        network: &'static str,
        /// The shape of a sample.
        found: Vec<usize>,
    },
    /// The samples are too short for the pools.
    #[error("network {network} needs samples of {min} points or more, these have {found}")]
    TooShort {
        /// The network.
        network: &'static str,
        /// The fewest points.
        min: usize,
        /// The points there are.
        found: usize,
    },
    /// A classifier needs something to tell apart.
    #[error("network {network} needs two classes or more, not {found}")]
    TooFewClasses {
        /// The network.
        network: &'static str,
        /// The classes asked for.
        found: usize,
    },
    /// The graph cannot be built, such as for sizes beyond the address space.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl Network {
    /// The network for samples of shape `[W]` or `[W, C]`, ready to train: input `[1, 1, W, C]`, output `[1, classes]`, both FLOAT32.
    ///
    /// Weights are drawn as Keras does by default (Glorot uniform, biases zero) from a generator seeded by `seed`: the same arguments
    /// give the same graph.
    ///
    /// # Errors
    /// [`NetworkError`], when the shape or the number of classes does not suit the network.
    pub fn build(
        &self,
        sample_shape: &[usize],
        classes: usize,
        seed: u64,
    ) -> Result<Graph, NetworkError> {
        let (samples, channels) = match *sample_shape {
            [samples] => (samples, 1),
            [samples, channels] if channels > 0 => (samples, channels),
            _ => {
                return Err(NetworkError::SampleShape {
                    network: self.name,
                    found: sample_shape.to_vec(),
                });
            }
        };
        if samples < self.min_samples {
            return Err(NetworkError::TooShort {
                network: self.name,
                min: self.min_samples,
                found: samples,
            });
        }
        if classes < 2 {
            return Err(NetworkError::TooFewClasses {
                network: self.name,
                found: classes,
            });
        }
        let mut net = NetworkBuilder::new(self.title, seed);
        let input = net.input(samples, channels)?;
        let features = (self.body)(&mut net, input)?;
        let logits = net.dense("logits", features, classes, Activation::None)?;
        let probabilities = net.softmax("probabilities", logits)?;
        Ok(net.finish(probabilities)?)
    }
}

fn spectral(net: &mut NetworkBuilder, input: TensorId) -> Result<TensorId, GraphError> {
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
