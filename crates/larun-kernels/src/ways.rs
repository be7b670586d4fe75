//! Which of the ways to compute a layer a program links.
//!
//! On Armv7E-M convolutions, pools and sums have faster versions, each for layers of some form, and their definition
//! for what is left. A program whose model is known needs few of them: `ops![Conv2D<Narrow, Patches>]`. A layer takes
//! the fastest way that is linked: fewer ways are less flash and more time. Where none computes it, it is refused when it is prepared.
//! Other processors have one way for all layers, and link that.

use core::fmt;
use core::marker::PhantomData;
use core::str::FromStr;

use larun_ops::{Op, OpInfo, OpKind, Operands, Operator, Shape, ShapeError};

use crate::weighted::Scheme;
use crate::{
    InvokeError, Io, Kernel, NodeView, PlanReader, PlanWriter, Reason, Refusal,
    WeightedQuantization,
};

/// The enumeration and the list of all its members.
macro_rules! all_ways {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// A way to compute an INT8 layer on Armv7E-M.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Way {
            $($(#[$doc])* $name,)+
        }

        impl Way {
            /// Every way.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name, as [`ops!`](https://docs.rs/larun-micro) takes it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

all_ways! {
    /// The portable definition, which computes any layer.
    Definition,
    /// CONV_2D and DEPTHWISE_CONV_2D, beside another way: channels whose filters are next to nothing, which have one or two outputs.
    Faint,
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
        f.write_str(self.name())
    }
}

impl FromStr for Way {
    type Err = NoSuchWay;

    fn from_str(name: &str) -> Result<Self, NoSuchWay> {
        let named = |way: &&Self| way.name().eq_ignore_ascii_case(name);
        Self::ALL.iter().find(named).copied().ok_or(NoSuchWay)
    }
}

/// There is no [`Way`] of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchWay;

impl fmt::Display for NoSuchWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ways are")?;
        let mut between = " ";
        for way in Way::ALL {
            write!(f, "{between}{way}")?;
            between = ", ";
        }
        Ok(())
    }
}

impl core::error::Error for NoSuchWay {}

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
    let quantization = WeightedQuantization::read(&mut plan);
    let Some(quantization) = quantization.ok().filter(|it| it.rounds_as_tflm()) else {
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

/// The ways of an INT8 layer on Armv7E-M, from the plan that its kernel's `prepare` wrote: the fastest that is not in `without`, and
/// perhaps [`Way::Faint`]; [`Way::Definition`] where no other computes it. `None` for a layer of other types, and for operators
/// without a choice. `bias` is what the layer adds, where that is a constant or absent.
#[cfg(feature = "processors")]
#[must_use]
pub fn ways(
    kind: OpKind,
    plan: &[u32],
    bias: Option<Option<&[i32]>>,
    without: &[Way],
) -> Option<impl Iterator<Item = Way> + use<>> {
    let linked = without.iter().fold(EVERY_WAY, |all, way| all & !way.bit());
    let of = |linked| {
        let way = way_of(kind, plan, bias, linked)?;
        Some(if way.is_in(linked) {
            way
        } else {
            Way::Definition
        })
    };
    let way = of(linked)?;
    let is_faint = of(linked & !Way::Faint.bit())? != way;
    Some(core::iter::once(way).chain(is_faint.then_some(Way::Faint)))
}

/// The way of a layer, of those that are linked.
#[cfg(feature = "processors")]
fn way_of(kind: OpKind, plan: &[u32], bias: Option<Option<&[i32]>>, linked: u32) -> Option<Way> {
    use crate::arch::armv7em::ways;
    use crate::plan::Record;
    use crate::{ConvGeometry, ImageWindow};

    let mut plan = PlanReader::new(plan);
    match kind {
        OpKind::Add => return crate::binary::way_of_add(&mut plan),
        OpKind::AveragePool2D | OpKind::MaxPool2D => {
            let element_type = larun_ops::ElementType::read(&mut plan).ok()?;
            let window = ImageWindow::read(&mut plan).ok()?;
            let averages = kind == OpKind::AveragePool2D;
            return (element_type == larun_ops::ElementType::Int8)
                .then(|| ways::of_pool(&window, averages));
        }
        OpKind::Conv2D | OpKind::DepthwiseConv2D => {}
        _ => return None,
    }
    if Scheme::read(&mut plan).ok()? != Scheme::Int8 {
        return None;
    }
    let Some(bias) = bias else {
        return Some(Way::Definition);
    };
    Some(match kind {
        OpKind::Conv2D => {
            let geometry = ConvGeometry::read(&mut plan).ok()?;
            let quantization = WeightedQuantization::read(&mut plan).ok()?;
            ways::of_conv(&geometry, &quantization, bias, linked)
        }
        _ => {
            let window = ImageWindow::read(&mut plan).ok()?;
            let quantization = WeightedQuantization::read(&mut plan).ok()?;
            ways::of_depthwise(&window, &quantization, bias, linked)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::{NoSuchWay, Way};

    #[test]
    fn ways_are_read_by_their_names() {
        for &way in Way::ALL {
            assert_eq!(way.to_string().to_lowercase().parse(), Ok(way));
        }
        assert_eq!("narow".parse::<Way>(), Err(NoSuchWay));
    }

    #[test]
    fn ways_are_told_apart_in_a_set() {
        let set = Way::Narrow.bit() | Way::Taps.bit();
        let inside: std::vec::Vec<_> = Way::ALL.iter().filter(|way| way.is_in(set)).collect();
        assert_eq!(inside, [&Way::Narrow, &Way::Taps]);
    }
}
