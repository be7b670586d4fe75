//! The networks of LARUN and of MLPerf Tiny by name.
//!
//! | name | network | for samples of |
//! |---|---|---|
//! | `spectral` | LarunNet-Spectral: classes of light curves | `[1024, 1]` |
//! | `galaxy` | LarunNet-Galaxy: morphology of galaxies | `[64, 64, 3]` |
//! | `transit` | LarunNet-Transit: transits in folded light curves, global and local view as two channels | `[201, 2]` |
//! | `star` | LarunNet-Star: types of stars from spectra | `[1024, 1]` |
//! | `spectral-small` | the same task with a third of the parameters | `[1024, 1]` |
//! | `spectral-wide` | the same task with seven times the parameters, and the peaks of its features beside their means | `[1024, 1]` |
//! | `galaxy-wide` | the task of `galaxy` with three times the operations | `[64, 64, 3]` |
//! | `student` | a plain network to distil a larger one into | `[1024, 1]` |
//! | `galaxy-student` | the same for images | `[64, 64, 3]` |
//! | `ds-cnn` | MLPerf Tiny's keyword spotting | `[49, 10, 1]` |
//! | `resnet8` | MLPerf Tiny's image classification | `[32, 32, 3]` |
//! | `mobilenet-v1` | MLPerf Tiny's person detection, width 0.25 | `[96, 96, 3]` |
//! | `autoencoder` | MLPerf Tiny's anomaly detection: gives its input back | `[640]` |
//!
//! The shapes are those that the networks are made for; each takes others, down to [`Takes`]. [`transit_views`] is LarunNet-Transit with
//! an input of its own for each view. Parameters, operations and memory of each are in `docs/models.md`.
//!
//! ```
//! use larun_zoo::networks;
//!
//! let spectral = networks::find("spectral")?;
//! let graph = spectral.build(&[1024, 1], 6, 42)?;
//! assert_eq!(graph.stats()?.macs, 167_568);
//! assert!(networks::find("spectrum").unwrap_err().to_string().contains("spectral, galaxy"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod blocks;
mod larun;
mod mlperf;

use larun_graph::ops::Activation;
use larun_graph::{Graph, GraphError, TensorId};

use blocks::NetworkBuilder;

pub use larun::transit_views;

/// A network that can be built for any size of input and number of classes.
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
    /// The samples it takes.
    pub takes: Takes,
    /// The shape of the samples it is made for.
    pub made_for: &'static [usize],
    /// The changes of training samples that leave their class as it is, as `larun_train::Augmentation` reads them.
    pub augment: &'static str,
    /// What follows the body.
    pub head: Head,
    body: fn(&mut NetworkBuilder, TensorId) -> Result<TensorId, GraphError>,
}

/// The samples that a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Signals `[W]` or `[W, C]` of at least so many points, enough to leave something after every pool.
    Signal {
        /// The fewest points.
        min_points: usize,
    },
    /// Images `[H, W]` or `[H, W, C]`, each side of at least so many pixels.
    Image {
        /// The fewest pixels of a side.
        min_side: usize,
    },
    /// A row of any numbers, `[N]`.
    Row,
}

impl core::fmt::Display for Takes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Signal { .. } => "[W] or [W, C] (W points, C channels)",
            Self::Image { .. } => "[H, W] or [H, W, C] (H rows and W columns of C channels)",
            Self::Row => "[N] (N numbers)",
        })
    }
}

/// What a network's output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A probability for each class, `[1, classes]`, from a dense layer and softmax.
    Classes,
    /// Its input again, `[1, N]`: what it cannot give back is an anomaly.
    Reconstruction,
}

/// Every network.
pub const NETWORKS: &[Network] = &[
    larun::SPECTRAL,
    larun::GALAXY,
    larun::TRANSIT,
    larun::STAR,
    larun::SPECTRAL_SMALL,
    larun::SPECTRAL_WIDE,
    larun::GALAXY_WIDE,
    larun::STUDENT,
    larun::GALAXY_STUDENT,
    mlperf::DS_CNN,
    mlperf::RESNET8,
    mlperf::MOBILENET_V1,
    mlperf::AUTOENCODER,
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
    #[error("network {network} takes samples of shape {takes}, not {found:?}")]
    SampleShape {
        /// The network.
        network: &'static str,
        /// What it takes.
        takes: Takes,
        /// The shape of a sample.
        found: Vec<usize>,
    },
    /// The samples are too short for the pools.
    #[error(
        "network {network} needs samples of {min} points or more along each axis, these have {found}"
    )]
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
    /// The network for samples of a shape that it [takes](Takes), ready to train: input `[1, 1, W, C]` for signals, `[1, H, W, C]` for
    /// images, `[1, N]` for rows; output as the [head](Head) says; all FLOAT32. A reconstruction takes no notice of `classes`.
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
        let shape = self.input_shape(sample_shape)?;
        if self.head == Head::Classes && classes < 2 {
            return Err(NetworkError::TooFewClasses {
                network: self.name,
                found: classes,
            });
        }
        let mut net = NetworkBuilder::new(self.title, seed);
        let input = net.named_input("input", &shape)?;
        let features = (self.body)(&mut net, input)?;
        Ok(match self.head {
            Head::Classes => finish_classes(net, features, classes)?,
            Head::Reconstruction => {
                let units = shape.last().copied().unwrap_or(0);
                let output = net.dense("reconstruction", features, units, Activation::None)?;
                net.finish(output)?
            }
        })
    }

    /// The shape of the input tensor for samples of that shape.
    fn input_shape(&self, sample_shape: &[usize]) -> Result<Vec<usize>, NetworkError> {
        let (sides, channels) = match (self.takes, sample_shape) {
            (Takes::Signal { .. }, &[points]) => (vec![points], 1),
            (Takes::Signal { .. }, &[points, channels]) => (vec![points], channels),
            (Takes::Image { .. }, &[height, width]) => (vec![height, width], 1),
            (Takes::Image { .. }, &[height, width, channels]) => (vec![height, width], channels),
            (Takes::Row, &[points]) => (Vec::new(), points),
            _ => (Vec::new(), 0),
        };
        if channels == 0 {
            return Err(NetworkError::SampleShape {
                network: self.name,
                takes: self.takes,
                found: sample_shape.to_vec(),
            });
        }
        let min = self.takes.least();
        if let Some(&found) = sides.iter().find(|&&side| side < min) {
            return Err(NetworkError::TooShort {
                network: self.name,
                min,
                found,
            });
        }
        Ok(match sides[..] {
            [points] => vec![1, 1, points, channels],
            [height, width] => vec![1, height, width, channels],
            _ => vec![1, channels],
        })
    }
}

impl Takes {
    /// The fewest points along each axis.
    #[must_use]
    pub const fn least(self) -> usize {
        match self {
            Self::Signal { min_points } => min_points,
            Self::Image { min_side } => min_side,
            Self::Row => 1,
        }
    }
}

/// Logits and probabilities.
fn finish_classes(
    mut net: NetworkBuilder,
    features: TensorId,
    classes: usize,
) -> Result<Graph, GraphError> {
    let logits = net.dense("logits", features, classes, Activation::None)?;
    let probabilities = net.softmax("probabilities", logits)?;
    net.finish(probabilities)
}
