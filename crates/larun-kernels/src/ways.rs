//! Which of the ways to compute a layer a program links.
//!
//! On Armv7E-M convolutions, pools and sums have faster versions, each for layers of some form, and their definition
//! for what is left. A program whose model is known needs few of them: `ops![Conv2D<Narrow, Patches>]`. A layer whose way
//! is not linked is computed by the definition or, where that is not linked either, refused when it is prepared.
//! Other processors have one way for all layers, and link that.

use core::fmt;
use core::marker::PhantomData;

use larun_ops::{Op, OpInfo, OpKind, Operands, Operator, Shape, ShapeError};

use crate::weighted::Scheme;
use crate::{
    InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal,
    WeightedQuantization,
};

/// A way to compute an INT8 layer on Armv7E-M.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Way {
    /// The portable definition, which computes any layer.
    Definition,
    /// Pools: four channels side by side.
    FourChannels,
    /// DEPTHWISE_CONV_2D with windows of one row of taps, a step apart.
    Line,
    /// CONV_2D and DEPTHWISE_CONV_2D over few channels: a row of a window is a short run of values.
    Narrow,
    /// ADD: INT8 operands of one shape.
    OneShape,
    /// CONV_2D: windows are gathered, four at a time.
    Patches,
    /// CONV_2D with filters of one by one, where pixels of the input are those of the output.
    Pointwise,
    /// DEPTHWISE_CONV_2D: four channels, tap by tap.
    Taps,
    /// DEPTHWISE_CONV_2D with filters of three by three.
    ThreeByThree,
}

impl Way {
    /// The way as a set, for [`Only`].
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Whether a set has it.
    #[inline(always)]
    #[must_use]
    pub const fn is_in(self, ways: u32) -> bool {
        ways & self.bit() != 0
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The set of all ways.
pub(crate) const EVERY_WAY: u32 = u32::MAX;

/// Whether this processor has ways to choose from.
pub(crate) const CHOOSES: bool = cfg!(larun_arch = "armv7em");

/// Whether the definition is linked.
#[inline(always)]
pub(crate) const fn links_definition(ways: u32) -> bool {
    !CHOOSES || Way::Definition.is_in(ways)
}

/// An operator whose kernel links some ways only: the [bits](Way::bit) of `WAYS`.
#[derive(Clone, Copy, Debug)]
pub struct Only<K, const WAYS: u32>(PhantomData<K>);

/// An operator whose kernel has ways to choose from.
pub trait ByWays: Operator {
    /// As [`Kernel::prepare`], for a program that links `WAYS`.
    ///
    /// # Errors
    /// As there, and where no way is linked that computes the node.
    fn prepare_by<const WAYS: u32>(
        node: &dyn NodeView,
        plan: &mut PlanWriter<'_>,
    ) -> Result<(), Refusal>;

    /// As [`Kernel::invoke`].
    ///
    /// # Errors
    /// As there.
    fn invoke_by<const WAYS: u32>(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError>;
}

impl<K: Operator, const WAYS: u32> Operator for Only<K, WAYS> {
    const KIND: OpKind = K::KIND;
    const INFO: &'static OpInfo = K::INFO;
    type Options = K::Options;

    fn with_options(options: Self::Options) -> Op {
        K::with_options(options)
    }

    fn options(op: &Op) -> Option<&Self::Options> {
        K::options(op)
    }

    fn infer_shape(
        options: &Self::Options,
        operands: &dyn Operands,
        output: usize,
    ) -> Result<Shape, ShapeError> {
        K::infer_shape(options, operands, output)
    }
}

impl<K: ByWays, const WAYS: u32> Kernel for Only<K, WAYS> {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        K::prepare_by::<WAYS>(node, plan)
    }

    fn invoke(plan: PlanReader<'_>, io: Io<'_>) -> Result<(), InvokeError> {
        K::invoke_by::<WAYS>(plan, io)
    }
}

/// Operators are kernels with every way linked.
macro_rules! every_way {
    ($($op:ty),+ $(,)?) => {$(
        impl $crate::Kernel for $op {
            fn prepare(
                node: &dyn $crate::NodeView,
                plan: &mut $crate::PlanWriter<'_>,
            ) -> Result<(), $crate::Refusal> {
                <Self as $crate::ways::ByWays>::prepare_by::<{ $crate::ways::EVERY_WAY }>(node, plan)
            }

            fn invoke(
                plan: $crate::PlanReader<'_>,
                io: $crate::Io<'_>,
            ) -> Result<(), $crate::InvokeError> {
                <Self as $crate::ways::ByWays>::invoke_by::<{ $crate::ways::EVERY_WAY }>(plan, io)
            }
        }
    )+};
}

pub(crate) use every_way;

/// Checks that a way is linked.
pub(crate) fn linked(ways: u32, way: Way) -> Result<(), Refusal> {
    match way.is_in(ways) {
        true => Ok(()),
        false => Err(Refusal::options(Reason::Way { way })),
    }
}

/// Checks that a way is linked that computes a layer with weights, whose quantisation begins at word `start` of the plan.
/// `way` gives the layer's, from its quantisation and its bias.
#[inline(always)]
pub(crate) fn check<const WAYS: u32>(
    scheme: Scheme,
    node: &dyn NodeView,
    plan: &PlanWriter<'_>,
    start: usize,
    way: impl FnOnce(&WeightedQuantization<'_>, Option<&[i32]>) -> Way,
) -> Result<(), Refusal> {
    if links_definition(WAYS) || scheme != Scheme::Int8 {
        return Ok(());
    }
    // A plan that does not fit is written again, or never runs.
    let Some(mut plan) = plan.written_from(start) else {
        return Ok(());
    };
    let Ok(quantization) = WeightedQuantization::read(&mut plan) else {
        return linked(WAYS, Way::Definition);
    };
    let bias = node.input(2);
    let bias = match &bias {
        None => None,
        Some(bias) => {
            let bytes = bias.constant.unwrap_or_default();
            match bytemuck::try_cast_slice(bytes) {
                Ok(words) if bias.constant.is_some() => Some(words),
                // What is added is not known before the layer runs.
                _ => return linked(WAYS, Way::Definition),
            }
        }
    };
    linked(WAYS, way(&quantization, bias))
}

/// The way of an INT8 layer on Armv7E-M, from the plan that its kernel's `prepare` wrote; `None` for a layer of other types,
/// and for operators without a choice. `bias` is what the layer adds, where that is a constant or absent.
#[cfg(feature = "processors")]
#[must_use]
pub fn way(kind: OpKind, plan: &[u32], bias: Option<Option<&[i32]>>) -> Option<Way> {
    use crate::arch::armv7em::ways;
    use crate::plan::Record;
    use crate::{ConvGeometry, ImageWindow};

    let mut plan = PlanReader::new(plan);
    if kind == OpKind::Add {
        return crate::binary::way_of_add(&mut plan);
    }
    if matches!(kind, OpKind::AveragePool2D | OpKind::MaxPool2D) {
        let element_type = larun_ops::ElementType::read(&mut plan).ok()?;
        let window = ImageWindow::read(&mut plan).ok()?;
        let averages = kind == OpKind::AveragePool2D;
        return (element_type == larun_ops::ElementType::Int8)
            .then(|| ways::of_pool(&window, averages));
    }
    if !matches!(kind, OpKind::Conv2D | OpKind::DepthwiseConv2D)
        || Scheme::read(&mut plan).ok()? != Scheme::Int8
    {
        return None;
    }
    let Some(bias) = bias else {
        return Some(Way::Definition);
    };
    Some(match kind {
        OpKind::Conv2D => {
            let geometry = ConvGeometry::read(&mut plan).ok()?;
            ways::of_conv(
                &geometry,
                &WeightedQuantization::read(&mut plan).ok()?,
                bias,
            )
        }
        _ => {
            let window = ImageWindow::read(&mut plan).ok()?;
            ways::of_depthwise(&window, &WeightedQuantization::read(&mut plan).ok()?, bias)
        }
    })
}
