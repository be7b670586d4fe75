//! The space of networks: which there are, and how one is drawn, changed and built.

use larun::graph::ops::Activation;
use larun::graph::{Graph, GraphError, TensorId};
use larun::zoo::networks::blocks::NetworkBuilder;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::SearchError;

/// The choices for each part of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Convolutions.
    pub layers: Vec<usize>,
    /// Channels of a convolution.
    pub filters: Vec<usize>,
    /// Points, or pixels of a side, that a convolution sees.
    pub kernels: Vec<usize>,
    /// Points, or pixels of a side, of which a pool keeps one.
    pub pooling: Vec<usize>,
    /// Units of the dense layer.
    pub dense: Vec<usize>,
    /// Whether convolutions after the first are depthwise-separable.
    pub separable: Vec<bool>,
}

impl Default for Space {
    /// 2 to 4 layers of 8, 16 or 32 filters with kernels of 3, 5, 7 or 11, pools of 2 or 4, and 8, 16 or 32 dense units.
    fn default() -> Self {
        Self {
            layers: vec![2, 3, 4],
            filters: vec![8, 16, 32],
            kernels: vec![3, 5, 7, 11],
            pooling: vec![2, 4],
            dense: vec![8, 16, 32],
            separable: vec![true, false],
        }
    }
}

/// A network of the space: convolution, batch normalisation, ReLU and a maximum pool for each layer; a global average; a dense layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Architecture {
    /// The convolutions, from the input on.
    pub layers: Vec<Layer>,
    /// Units of the dense layer.
    pub dense: usize,
}

/// A convolution and its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Layer {
    /// Channels.
    pub filters: usize,
    /// Points, or pixels of a side, that it sees.
    pub kernel: usize,
    /// Points, or pixels of a side, of which one is kept.
    pub pool: usize,
    /// Whether it is depthwise-separable; the first never is, for one channel has nothing to separate.
    pub separable: bool,
}

impl core::fmt::Display for Architecture {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for layer in &self.layers {
            let kind = if layer.separable { "sep" } else { "conv" };
            write!(
                f,
                "{kind} {}x{} /{}, ",
                layer.filters, layer.kernel, layer.pool
            )?;
        }
        write!(f, "dense {}", self.dense)
    }
}

impl Space {
    /// Checks that there is something to choose for every part.
    ///
    /// # Errors
    /// [`SearchError::Usage`], naming the part.
    pub fn check(&self) -> Result<(), SearchError> {
        let parts: [(&str, &[usize]); 5] = [
            ("layers", &self.layers),
            ("filters", &self.filters),
            ("kernels", &self.kernels),
            ("pooling", &self.pooling),
            ("dense", &self.dense),
        ];
        for (name, choices) in parts {
            if choices.is_empty() || choices.contains(&0) {
                return Err(SearchError::Usage(format!(
                    "the space's {name} are {choices:?}: give one choice or more, none of them 0"
                )));
            }
        }
        if self.separable.is_empty() {
            return Err(SearchError::Usage(
                "the space's separable is empty: give true, false or both".to_owned(),
            ));
        }
        Ok(())
    }

    /// Draws a network, every choice alike.
    pub fn draw(&self, random: &mut ChaCha8Rng) -> Architecture {
        let layers = (0..choose(&self.layers, random))
            .map(|index| self.draw_layer(index, random))
            .collect();
        Architecture {
            layers,
            dense: choose(&self.dense, random),
        }
    }

    /// A network one choice away: a layer more or less, or one part of one layer drawn anew.
    pub fn mutate(&self, parent: &Architecture, random: &mut ChaCha8Rng) -> Architecture {
        let mut child = parent.clone();
        let count = child.layers.len();
        match random.random_range(0..4u8) {
            0 => child.dense = choose(&self.dense, random),
            1 => {
                let wanted = choose(&self.layers, random);
                child.layers.truncate(wanted);
                for index in count..wanted {
                    child.layers.push(self.draw_layer(index, random));
                }
            }
            _ => {
                let index = random.random_range(0..count.max(1));
                let drawn = self.draw_layer(index, random);
                if let Some(layer) = child.layers.get_mut(index) {
                    match random.random_range(0..4u8) {
                        0 => layer.filters = drawn.filters,
                        1 => layer.kernel = drawn.kernel,
                        2 => layer.pool = drawn.pool,
                        _ => layer.separable = drawn.separable,
                    }
                }
            }
        }
        child
    }

    /// A network of each layer from either parent, as many layers as the first has.
    pub fn cross(
        &self,
        first: &Architecture,
        second: &Architecture,
        random: &mut ChaCha8Rng,
    ) -> Architecture {
        let mut child = first.clone();
        for (layer, other) in child.layers.iter_mut().zip(&second.layers) {
            if random.random() {
                *layer = *other;
            }
        }
        if random.random() {
            child.dense = second.dense;
        }
        child
    }

    fn draw_layer(&self, index: usize, random: &mut ChaCha8Rng) -> Layer {
        let layer = Layer {
            filters: choose(&self.filters, random),
            kernel: choose(&self.kernels, random),
            pool: choose(&self.pooling, random),
            separable: choose(&self.separable, random),
        };
        Layer {
            separable: layer.separable && index > 0,
            ..layer
        }
    }

    /// How many networks there are; a float, for it soon is beyond whole numbers.
    #[must_use]
    pub fn size(&self) -> f64 {
        let first = (self.filters.len() * self.kernels.len() * self.pooling.len()) as f64;
        let other = first * self.separable.len() as f64;
        let layers = self.layers.iter();
        let networks: f64 = layers
            .map(|&count| first * other.powi(count.saturating_sub(1) as i32))
            .sum();
        networks * self.dense.len() as f64
    }
}

fn choose<T: Copy + Default>(choices: &[T], random: &mut ChaCha8Rng) -> T {
    match choices.len() {
        0 => T::default(),
        len => choices
            .get(random.random_range(0..len))
            .copied()
            .unwrap_or_default(),
    }
}

impl Architecture {
    /// The graph for samples `[W]`, `[W, C]` or `[H, W, C]`, ready to train; its weights are drawn from `seed`.
    ///
    /// A pool that would leave nothing is left out.
    ///
    /// # Errors
    /// [`SearchError::Usage`] for samples of another shape; what the graph says, for sizes beyond the address space.
    pub fn build(
        &self,
        sample_shape: &[usize],
        classes: usize,
        seed: u64,
    ) -> Result<Graph, SearchError> {
        let (height, width, channels) = match *sample_shape {
            [width] => (1, width, 1),
            [width, channels] => (1, width, channels),
            [height, width, channels] => (height, width, channels),
            _ => {
                return Err(SearchError::Usage(format!(
                    "samples of shape {sample_shape:?}: the space has networks for [W], [W, C] and [H, W, C]"
                )));
            }
        };
        Ok(self.graph([height, width], channels, classes, seed)?)
    }

    fn graph(
        &self,
        area: [usize; 2],
        channels: usize,
        classes: usize,
        seed: u64,
    ) -> Result<Graph, GraphError> {
        let is_image = area[0] > 1;
        let mut left = area;
        let mut net = NetworkBuilder::new("searched", seed);
        let mut x = net.named_input("input", &[1, area[0], area[1], channels])?;
        for (index, layer) in self.layers.iter().enumerate() {
            let name = format!("layer{}", index + 1);
            x = convolution(&mut net, &name, x, layer, is_image)?;
            let smallest = if is_image {
                left[0].min(left[1])
            } else {
                left[1]
            };
            if smallest >= layer.pool && layer.pool > 1 {
                let pool = format!("{name}/pool");
                x = match is_image {
                    true => net.max_pool2d(&pool, x, layer.pool)?,
                    false => net.max_pool1d(&pool, x, layer.pool)?,
                };
                left = left.map(|side| side / layer.pool);
            }
        }
        let x = net.global_average("average", x)?;
        let x = net.dense("dense", x, self.dense, Activation::Relu)?;
        let x = net.dense("logits", x, classes, Activation::None)?;
        let x = net.softmax("probabilities", x)?;
        net.finish(x)
    }
}

fn convolution(
    net: &mut NetworkBuilder,
    name: &str,
    input: TensorId,
    layer: &Layer,
    is_image: bool,
) -> Result<TensorId, GraphError> {
    let Layer {
        filters, kernel, ..
    } = *layer;
    match (is_image, layer.separable) {
        (true, true) => net.separable_conv2d(name, input, filters, kernel, 1),
        (true, false) => net.conv2d_bn_relu(name, input, filters, [kernel; 2], [1; 2]),
        (false, true) => net.separable_conv1d(name, input, filters, kernel),
        (false, false) => net.conv1d_bn_relu(name, input, filters, kernel),
    }
}
