//! The space of networks: which there are, and how one is drawn, changed and built.

use larun::graph::ops::Activation;
use larun::graph::{Graph, GraphError, TensorId};
use larun::zoo::networks::blocks::NetworkBuilder;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::SearchError;

/// The choices for each part of a network. In JSON, a part that is left out has the choices of the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Space {
    /// Points, or pixels of a side, of which a pool before the first layer keeps the mean; 1 for no such pool.
    pub shrink: Vec<usize>,
    /// Convolutions.
    pub layers: Vec<usize>,
    /// Channels of a convolution.
    pub filters: Vec<usize>,
    /// Points, or pixels of a side, that a convolution sees.
    pub kernels: Vec<usize>,
    /// Points, or pixels of a side, of which a layer keeps one; 1 to keep all.
    pub pooling: Vec<usize>,
    /// Whether convolutions after the first are depthwise-separable.
    pub separable: Vec<bool>,
    /// Whether a convolution itself steps over what its pool would drop, which takes less time.
    pub strided: Vec<bool>,
    /// What becomes of the last layer's features.
    pub heads: Vec<Head>,
    /// Units of the dense layer; 0 for no such layer.
    pub dense: Vec<usize>,
}

impl Default for Space {
    /// 2 to 4 layers of 8, 16 or 32 filters with kernels of 3, 5, 7 or 11, pools of 2 or 4, and 8, 16 or 32 dense units.
    fn default() -> Self {
        Self {
            shrink: vec![1],
            layers: vec![2, 3, 4],
            filters: vec![8, 16, 32],
            kernels: vec![3, 5, 7, 11],
            pooling: vec![2, 4],
            separable: vec![true, false],
            strided: vec![false],
            heads: vec![Head::Average],
            dense: vec![8, 16, 32],
        }
    }
}

/// What becomes of the features of the last layer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// The mean of each, over all places.
    #[default]
    Average,
    /// The mean and the greatest value of each: what goes on all the time, and what happens once.
    AverageAndPeak,
    /// All as they are: the place counts.
    Flatten,
}

/// A network of the space: convolution, batch normalisation, ReLU and a maximum pool for each layer; a head; a dense layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Architecture {
    /// Points, or pixels of a side, of which a pool before the first layer keeps the mean.
    #[serde(default = "one")]
    pub shrink: usize,
    /// The convolutions, from the input on.
    pub layers: Vec<Layer>,
    /// What becomes of the last layer's features.
    #[serde(default)]
    pub head: Head,
    /// Units of the dense layer; 0 for none.
    pub dense: usize,
}

/// Nothing is dropped: what stores of before there was a choice leave out.
const fn one() -> usize {
    1
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
    /// Whether it steps by `pool` itself, and no pool follows.
    #[serde(default)]
    pub strided: bool,
}

impl core::fmt::Display for Architecture {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.shrink > 1 {
            write!(f, "mean /{}, ", self.shrink)?;
        }
        for layer in &self.layers {
            write!(f, "{layer}, ")?;
        }
        match self.head {
            Head::Average => {}
            Head::AverageAndPeak => f.write_str("average and peak, ")?,
            Head::Flatten => f.write_str("flatten, ")?,
        }
        match self.dense {
            0 => f.write_str("no dense layer"),
            units => write!(f, "dense {units}"),
        }
    }
}

impl core::fmt::Display for Layer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let kind = if self.separable { "sep" } else { "conv" };
        write!(f, "{kind} {}x{}", self.filters, self.kernel)?;
        match (self.pool, self.strided) {
            (1, _) => Ok(()),
            (pool, true) => write!(f, " step {pool}"),
            (pool, false) => write!(f, " /{pool}"),
        }
    }
}

impl Space {
    /// Checks that there is something to choose for every part.
    ///
    /// # Errors
    /// [`SearchError::Usage`], naming the part.
    pub fn check(&self) -> Result<(), SearchError> {
        let parts: [(&str, &[usize]); 5] = [
            ("shrink", &self.shrink),
            ("layers", &self.layers),
            ("filters", &self.filters),
            ("kernels", &self.kernels),
            ("pooling", &self.pooling),
        ];
        for (name, choices) in parts {
            if choices.is_empty() || choices.contains(&0) {
                return Err(SearchError::Usage(format!(
                    "the space's {name} are {choices:?}: give one choice or more, none of them 0"
                )));
            }
        }
        let others = [
            ("separable", self.separable.len()),
            ("strided", self.strided.len()),
            ("heads", self.heads.len()),
            ("dense", self.dense.len()),
        ];
        match others.iter().find(|(_, choices)| *choices == 0) {
            Some((name, _)) => Err(SearchError::Usage(format!(
                "the space's {name} are empty: give one choice or more"
            ))),
            None => Ok(()),
        }
    }

    /// Draws a network, every choice alike.
    pub fn draw(&self, random: &mut ChaCha8Rng) -> Architecture {
        let layers = (0..choose(&self.layers, random))
            .map(|index| self.draw_layer(index, random))
            .collect();
        Architecture {
            layers,
            dense: choose(&self.dense, random),
            head: choose(&self.heads, random),
            shrink: choose(&self.shrink, random),
        }
    }

    /// A network one choice away: a layer more or less, or one part of one layer drawn anew.
    pub fn mutate(&self, parent: &Architecture, random: &mut ChaCha8Rng) -> Architecture {
        let mut child = parent.clone();
        let count = child.layers.len();
        match random.random_range(0..8u8) {
            0 => child.dense = choose(&self.dense, random),
            1 => child.head = choose(&self.heads, random),
            2 => child.shrink = choose(&self.shrink, random),
            3 => {
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
                    match random.random_range(0..5u8) {
                        0 => layer.filters = drawn.filters,
                        1 => layer.kernel = drawn.kernel,
                        2 => layer.pool = drawn.pool,
                        3 => layer.strided = drawn.strided,
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
        if random.random() {
            child.head = second.head;
        }
        if random.random() {
            child.shrink = second.shrink;
        }
        child
    }

    fn draw_layer(&self, index: usize, random: &mut ChaCha8Rng) -> Layer {
        let layer = Layer {
            filters: choose(&self.filters, random),
            kernel: choose(&self.kernels, random),
            pool: choose(&self.pooling, random),
            separable: choose(&self.separable, random),
            strided: choose(&self.strided, random),
        };
        Layer {
            separable: layer.separable && index > 0,
            ..layer
        }
    }

    /// How many networks there are; a float, for it soon is beyond whole numbers.
    #[must_use]
    pub fn size(&self) -> f64 {
        let windows = self.kernels.len() * self.pooling.len() * self.strided.len();
        let first = (self.filters.len() * windows) as f64;
        let other = first * self.separable.len() as f64;
        let layers = self.layers.iter();
        let networks: f64 = layers
            .map(|&count| first * other.powi(count.saturating_sub(1) as i32))
            .sum();
        networks * (self.shrink.len() * self.heads.len() * self.dense.len()) as f64
    }
}

fn choose<T: Copy + Default>(choices: &[T], random: &mut ChaCha8Rng) -> T {
    match *choices {
        [] => T::default(),
        // Where nothing is to choose, no number is drawn: a part that is fixed changes no other.
        [only] => only,
        _ => choices
            .get(random.random_range(0..choices.len()))
            .copied()
            .unwrap_or_default(),
    }
}

impl Architecture {
    /// The graph for samples `[W]`, `[W, C]` or `[H, W, C]`, ready to train; its weights are drawn from `seed`.
    ///
    /// A pool or a step that would leave nothing is left out.
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
        let mut net = NetworkBuilder::new("searched", seed);
        let x = net.named_input("input", &[1, area[0], area[1], channels])?;
        let mut body = Body {
            net,
            area,
            is_image: area[0] > 1,
        };
        let mut x = body.shrink(x, self.shrink)?;
        for (index, layer) in self.layers.iter().enumerate() {
            x = body.layer(&format!("layer{}", index + 1), x, layer)?;
        }
        let mut net = body.net;
        x = match self.head {
            Head::Average => net.global_average("average", x)?,
            Head::AverageAndPeak => {
                let average = net.global_average("average", x)?;
                let peak = net.global_peak("peak", x)?;
                net.concatenate("summary", &[average, peak])?
            }
            Head::Flatten => net.flatten("flat", x)?,
        };
        if self.dense > 0 {
            x = net.dense("dense", x, self.dense, Activation::Relu)?;
        }
        let x = net.dense("logits", x, classes, Activation::None)?;
        let x = net.softmax("probabilities", x)?;
        net.finish(x)
    }
}

/// A network while its layers are put on, and the height and width that they have left.
struct Body {
    net: NetworkBuilder,
    area: [usize; 2],
    is_image: bool,
}

impl Body {
    /// Whether a window of that size finds something to keep.
    fn has_room_for(&self, size: usize) -> bool {
        let [height, width] = self.area;
        let smallest = match self.is_image {
            true => height.min(width),
            false => width,
        };
        size > 1 && smallest >= size
    }

    /// The mean of every `size` points, or pixels of a side.
    fn shrink(&mut self, input: TensorId, size: usize) -> Result<TensorId, GraphError> {
        if !self.has_room_for(size) {
            return Ok(input);
        }
        let window = match self.is_image {
            true => [size; 2],
            false => [1, size],
        };
        self.area = [self.area[0] / window[0], self.area[1] / window[1]];
        self.net.average_pool2d("shrink", input, window)
    }

    /// A convolution, and its pool where it does not step itself.
    fn layer(
        &mut self,
        name: &str,
        input: TensorId,
        layer: &Layer,
    ) -> Result<TensorId, GraphError> {
        let keeps_one_of = match self.has_room_for(layer.pool) {
            true => layer.pool,
            false => 1,
        };
        let (step, pool) = match layer.strided {
            true => (keeps_one_of, 1),
            false => (1, keeps_one_of),
        };
        let x = self.convolution(name, input, layer, step)?;
        let [height, width] = self.area.map(|side| side.div_ceil(step) / pool);
        // A signal's height is 1, which no pool takes away.
        self.area = [height.max(1), width];
        match (pool, self.is_image) {
            (1, _) => Ok(x),
            (_, true) => self.net.max_pool2d(&format!("{name}/pool"), x, pool),
            (_, false) => self.net.max_pool1d(&format!("{name}/pool"), x, pool),
        }
    }

    fn convolution(
        &mut self,
        name: &str,
        input: TensorId,
        layer: &Layer,
        step: usize,
    ) -> Result<TensorId, GraphError> {
        let Layer {
            filters, kernel, ..
        } = *layer;
        let net = &mut self.net;
        match (self.is_image, layer.separable) {
            (true, true) => net.separable_conv2d(name, input, filters, kernel, step),
            (true, false) => net.conv2d_bn_relu(name, input, filters, [kernel; 2], [step; 2]),
            (false, true) => net.strided_separable_conv1d(name, input, filters, kernel, step),
            (false, false) => net.strided_conv1d_bn_relu(name, input, filters, kernel, step),
        }
    }
}
