//! Random layers, extremes included, for tests that hold faster versions against the definitions. Without `std` or an
//! allocator, so that tests on a board can include these files; the names are those at the root of `larun-kernels`.

mod layer;
mod noise;

use larun_ops::Shape;

pub(crate) use self::layer::Weighted;
use self::layer::{Layer, ROOM};
use crate::{
    AddQuantization, Broadcast, ConvGeometry, DenseGeometry, ImageWindow, OutputStage, portable,
};

/// Another way to compute layers than the definitions. Each method says whether it computed the layer; scratch memory is
/// longer than it needs to be, at an odd place.
pub(crate) trait Faster {
    fn conv2d_i8(
        &self,
        geometry: &ConvGeometry,
        layer: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool;

    fn depthwise_conv2d_i8(
        &self,
        window: &ImageWindow,
        layer: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool;

    fn fully_connected_i8(
        &self,
        geometry: &DenseGeometry,
        layer: &Weighted<'_>,
        output: &mut [i8],
        scratch: &mut [i16],
    ) -> bool;

    /// Operands of one shape.
    fn add_i8(&self, quantization: &AddQuantization, a: &[i8], b: &[i8], output: &mut [i8])
    -> bool;

    fn average_pool_i8(
        &self,
        _: &ImageWindow,
        _: &OutputStage,
        _input: &[i8],
        _output: &mut [i8],
    ) -> bool {
        false
    }

    fn max_pool_i8(
        &self,
        _: &ImageWindow,
        _: &OutputStage,
        _input: &[i8],
        _output: &mut [i8],
    ) -> bool {
        false
    }
}

/// The layers of which there are faster versions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Conv,
    Depthwise,
    Dense,
    Add,
    AveragePool,
    MaxPool,
}

/// What both ways write, and what they work in.
pub(crate) struct Memory {
    scratch: [i16; 2 * ROOM],
    expected: [i8; ROOM],
    found: [i8; ROOM],
}

impl Memory {
    pub(crate) const NEW: Self = Self {
        scratch: [0; 2 * ROOM],
        expected: [0; ROOM],
        found: [0; ROOM],
    };

    /// Whether both ways give the same bytes for a random layer; `None` where the seed gives none, or the faster way leaves
    /// it to the definition.
    pub(crate) fn agrees(&mut self, kind: Kind, seed: u64, faster: &impl Faster) -> Option<bool> {
        let layer = &mut Layer::new(seed);
        match kind {
            Kind::Conv => self.conv(layer, faster),
            Kind::Depthwise => self.depthwise(layer, faster),
            Kind::Dense => self.dense(layer, faster),
            Kind::Add => self.add(layer, faster),
            Kind::AveragePool => {
                let (window, stage, input) = layer.pool()?;
                let (expected, found) = self.pooled(&window)?;
                let done = portable::average_pool_i8(&window, &stage, input, expected);
                let computed = faster.average_pool_i8(&window, &stage, input, found);
                computed.then_some(done.is_ok() && expected == found)
            }
            Kind::MaxPool => {
                let (window, stage, input) = layer.pool()?;
                let (expected, found) = self.pooled(&window)?;
                let done = portable::max_pool_i8(&window, &stage, input, expected);
                let computed = faster.max_pool_i8(&window, &stage, input, found);
                computed.then_some(done.is_ok() && expected == found)
            }
        }
    }

    /// Memory for so many outputs both ways, and scratch memory.
    fn lend(&mut self, outputs: usize) -> Option<(&mut [i8], &mut [i8], &mut [i16])> {
        Some((
            self.expected.get_mut(..outputs)?,
            self.found.get_mut(..outputs)?,
            self.scratch.get_mut(1..)?,
        ))
    }

    fn pooled(&mut self, window: &ImageWindow) -> Option<(&mut [i8], &mut [i8])> {
        let (expected, found, _) = self.lend(Layer::sizes(window).1)?;
        Some((expected, found))
    }

    fn conv(&mut self, layer: &mut Layer, faster: &impl Faster) -> Option<bool> {
        let (geometry, w) = layer.conv()?;
        let (expected, found, scratch) = self.lend(w.outputs)?;
        let (q, input, filter) = (&w.quantization, w.input, w.filter);
        let done = portable::conv2d_i8(&geometry, q, input, filter, w.bias, expected, scratch);
        let computed = faster.conv2d_i8(&geometry, &w, found, scratch);
        computed.then_some(done.is_ok() && expected == found)
    }

    fn depthwise(&mut self, layer: &mut Layer, faster: &impl Faster) -> Option<bool> {
        let (window, w) = layer.depthwise()?;
        let (expected, found, scratch) = self.lend(w.outputs)?;
        let (q, input, filter) = (&w.quantization, w.input, w.filter);
        let done = portable::depthwise_conv2d_i8(&window, q, input, filter, w.bias, expected);
        let computed = faster.depthwise_conv2d_i8(&window, &w, found, scratch);
        computed.then_some(done.is_ok() && expected == found)
    }

    fn dense(&mut self, layer: &mut Layer, faster: &impl Faster) -> Option<bool> {
        let (geometry, w) = layer.dense()?;
        let (expected, found, scratch) = self.lend(w.outputs)?;
        let (q, input, weights) = (&w.quantization, w.input, w.filter);
        let done = portable::fully_connected_i8(&geometry, q, input, weights, w.bias, expected);
        let computed = faster.fully_connected_i8(&geometry, &w, found, scratch);
        computed.then_some(done.is_ok() && expected == found)
    }

    fn add(&mut self, layer: &mut Layer, faster: &impl Faster) -> Option<bool> {
        let (quantization, a, b) = layer.add();
        let shape = Shape::new(&[a.len()])?;
        let broadcast = Broadcast::new(&shape, &shape)?;
        let (expected, found, _) = self.lend(a.len())?;
        let done = portable::add_i8(&broadcast, &quantization, a, b, expected);
        let computed = faster.add_i8(&quantization, a, b, found);
        computed.then_some(done.is_ok() && expected == found)
    }
}

/// Compares both ways on many layers, of which the faster one must compute so many that it is no accident.
#[cfg(test)]
pub(crate) fn on_many(kind: Kind, faster: &impl Faster) {
    on_many_at_least(kind, faster, 800);
}

/// As [`on_many`], of which so many must be computed.
#[cfg(test)]
pub(crate) fn on_many_at_least(kind: Kind, faster: &impl Faster, least: usize) {
    let (mut memory, mut computed) = (Memory::NEW, 0);
    for seed in 0..3_000 {
        let agrees = memory.agrees(kind, seed, faster);
        assert_ne!(agrees, Some(false), "{kind:?} of seed {seed}");
        computed += usize::from(agrees.is_some());
    }
    assert!(computed > least, "only {computed} layers were computed");
}
