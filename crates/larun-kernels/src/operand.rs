//! Checks that `prepare` makes of single operands.

use larun_ops::{
    Activation, ElementType, IntList, MAX_RANK, OpKind, Operator, Padding, Shape, ShapeError,
};
use larun_quant::fixed_point::FixedMultiplier;
use larun_quant::{Affine, activation_range};

use crate::axes::row_major;
use crate::integer::range_of;
use crate::kernel::check_shape;
use crate::requantize::{Clamp, ClampI32, OutputStage};
use crate::window::{ImageWindow, WindowAxis};
use crate::{NodeView, Reason, Refusal, Site, TensorInfo};

/// The types that most kernels compute with.
pub(crate) const INT8_OR_FLOAT32: &[ElementType] = &[ElementType::Int8, ElementType::Float32];

/// The types that are moved as whole bytes.
const BYTE_SIZED: &[ElementType] = &[
    ElementType::Bool,
    ElementType::Int8,
    ElementType::UInt8,
    ElementType::Int16,
    ElementType::UInt16,
    ElementType::Float16,
    ElementType::Int32,
    ElementType::UInt32,
    ElementType::Float32,
    ElementType::Int64,
    ElementType::UInt64,
    ElementType::Float64,
];

/// How far apart two scales may be, relative to one, that were written for the same numbers.
const SAME_SCALE: f32 = 1e-6;

/// A tensor and which operand it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand<'m> {
    at: Site,
    pub(crate) info: TensorInfo<'m>,
}

/// Declares operands, looked at where they were found: they are large, and `?` would copy each.
macro_rules! operands {
    ($($name:ident = $found:expr;)+) => {$(
        let $name = $found;
        let $name = match &$name {
            Ok(operand) => operand,
            Err(refusal) => return Err(*refusal),
        };
    )+};
}

pub(crate) use operands;

impl<'m> Operand<'m> {
    #[inline(never)]
    pub(crate) fn input(node: &'m dyn NodeView, index: usize) -> Result<Self, Refusal> {
        match node.input(index) {
            Some(info) => Ok(Self {
                at: Site::input(index),
                info,
            }),
            None => Err(Refusal::input(index, Reason::Missing)),
        }
    }

    pub(crate) fn optional_input(node: &'m dyn NodeView, index: usize) -> Option<Self> {
        let at = Site::input(index);
        node.input(index).map(|info| Self { at, info })
    }

    #[inline(never)]
    pub(crate) fn output(node: &'m dyn NodeView, index: usize) -> Result<Self, Refusal> {
        match node.output(index) {
            Some(info) => Ok(Self {
                at: Site::output(index),
                info,
            }),
            None => Err(Refusal::output(index, Reason::Missing)),
        }
    }

    #[inline(always)]
    pub(crate) fn refuse(&self, reason: Reason) -> Refusal {
        Refusal::new(self.at, reason)
    }

    /// The values of integers that must be constant.
    pub(crate) fn constant_ints(&self) -> Result<IntList, Refusal> {
        self.info.ints().ok_or(self.refuse(Reason::NotConstant))
    }

    /// How far apart neighbours along each axis are, in elements.
    pub(crate) fn strides(&self) -> Result<[usize; MAX_RANK], Refusal> {
        row_major(self.info.shape.dims()).ok_or(self.refuse(Reason::TooLarge))
    }

    /// The number of elements; the interpreter's entry has checked that it fits.
    pub(crate) fn elements(&self) -> Result<usize, Refusal> {
        let elements = self.info.shape.elements();
        elements.ok_or(self.refuse(Reason::TooLarge))
    }

    /// The elements of the axes from `axis` on.
    pub(crate) fn inner_len(&self, axis: usize) -> Result<usize, Refusal> {
        let mut dims = self.info.shape.dims().iter().skip(axis);
        let len = dims.try_fold(1usize, |len, &dim| len.checked_mul(dim));
        len.ok_or(self.refuse(Reason::TooLarge))
    }

    /// The bytes of one element, where elements are not packed.
    pub(crate) fn element_len(&self) -> Result<usize, Refusal> {
        let found = self.info.element_type;
        let bytes = found.bits().filter(|bits| *bits >= 8).map(|bits| bits / 8);
        let supported = BYTE_SIZED;
        bytes.ok_or(self.refuse(Reason::ElementType { found, supported }))
    }

    /// The dimensions of a rank-4 tensor.
    pub(crate) fn nhwc(&self) -> Result<[usize; 4], Refusal> {
        let found = self.info.shape.rank();
        let rank = Reason::Rank { found, expected: 4 };
        self.info.shape.nhwc().ok_or(self.refuse(rank))
    }

    /// Checks the dimensions.
    pub(crate) fn has_dims(&self, expected: &[usize]) -> Result<(), Refusal> {
        let expected = Shape::new(expected).ok_or(self.refuse(Reason::TooLarge))?;
        check_shape(self.at, &self.info.shape, &expected)
    }

    /// Checks the number of elements, in whatever dimensions.
    pub(crate) fn has_elements(&self, expected: usize) -> Result<(), Refusal> {
        match self.elements()? {
            found if found == expected => Ok(()),
            found => Err(self.refuse(Reason::Elements { found, expected })),
        }
    }

    /// Checks the number of dimensions.
    pub(crate) fn has_rank(&self, expected: usize) -> Result<(), Refusal> {
        match self.info.shape.rank() {
            found if found == expected => Ok(()),
            found => Err(self.refuse(Reason::Rank { found, expected })),
        }
    }

    /// Checks the innermost dimension.
    pub(crate) fn has_last(&self, expected: usize) -> Result<(), Refusal> {
        let Some((&found, outer)) = self.info.shape.dims().split_last() else {
            return Err(self.refuse(Reason::Rank {
                found: 0,
                expected: 1,
            }));
        };
        let axis = outer.len();
        let wrong = Reason::Dimension {
            axis,
            found,
            expected,
        };
        if found == expected {
            Ok(())
        } else {
            Err(self.refuse(wrong))
        }
    }

    /// The bytes of a constant.
    pub(crate) fn constant(&self) -> Result<&'m [u8], Refusal> {
        self.info.constant.ok_or(self.refuse(Reason::NotConstant))
    }

    /// Checks that the value is kept from one inference to the next.
    pub(crate) fn is_variable(&self) -> Result<(), Refusal> {
        if self.info.is_variable {
            return Ok(());
        }
        Err(self.refuse(Reason::NotVariable))
    }

    /// The element type, where it is one of those that are supported.
    pub(crate) fn one_of(&self, supported: &'static [ElementType]) -> Result<ElementType, Refusal> {
        let found = self.info.element_type;
        if supported.contains(&found) {
            return Ok(found);
        }
        Err(self.refuse(Reason::ElementType { found, supported }))
    }

    /// Checks that the element type is the one that another operand fixes.
    pub(crate) fn has_type(&self, expected: ElementType) -> Result<(), Refusal> {
        let found = self.info.element_type;
        if found == expected {
            return Ok(());
        }
        Err(self.refuse(Reason::TypeDiffers { found, expected }))
    }

    /// Checks that all inputs and outputs are of one type.
    pub(crate) fn all_have_type(
        node: &'m dyn NodeView,
        expected: ElementType,
    ) -> Result<(), Refusal> {
        for index in 0..node.input_count() {
            if let Some(input) = Self::optional_input(node, index) {
                input.has_type(expected)?;
            }
        }
        for index in 0..node.output_count() {
            Self::output(node, index)?.has_type(expected)?;
        }
        Ok(())
    }

    /// Whether the tensor has a scale.
    pub(crate) fn is_quantized(&self) -> bool {
        self.info.quantization.channels() > 0
    }

    /// Per-tensor parameters: a positive finite scale and a zero point that the element type can hold.
    pub(crate) fn affine(&self) -> Result<Affine, Refusal> {
        if self.info.quantization.channels() > 1 {
            return Err(self.refuse(Reason::PerChannel));
        }
        self.channel_affine(0)
    }

    /// The parameters of a channel.
    pub(crate) fn channel_affine(&self, channel: usize) -> Result<Affine, Refusal> {
        let scale = self.scale(channel)?;
        let zero_point = self.zero_point(channel)?;
        let integers = range_of(self.info.element_type);
        match i32::try_from(zero_point) {
            Ok(zero_point) if (integers.min..=integers.max).contains(&zero_point) => {
                Ok(Affine::new(scale, zero_point))
            }
            _ => Err(self.refuse(Reason::ZeroPointRange {
                found: zero_point,
                element_type: self.info.element_type,
            })),
        }
    }

    /// Checks that an INT16 tensor is symmetric, where a kernel reads its values so; any other passes.
    pub(crate) fn is_symmetric_int16(&self) -> Result<(), Refusal> {
        match self.info.element_type {
            ElementType::Int16 => self.has_zero_point(0, 0),
            _ => Ok(()),
        }
    }

    /// The scale of a channel: positive and finite.
    #[inline(never)]
    pub(crate) fn scale(&self, channel: usize) -> Result<f32, Refusal> {
        let scale = self.info.quantization.scale(channel);
        let found = scale.ok_or(self.refuse(Reason::NotQuantized))?;
        // The bits of such numbers have an order: no comparison of real numbers is needed.
        if (1..f32::INFINITY.to_bits()).contains(&found.to_bits()) {
            return Ok(found);
        }
        Err(self.refuse(Reason::Scale { found }))
    }

    fn zero_point(&self, channel: usize) -> Result<i64, Refusal> {
        let zero_point = self.info.quantization.zero_point(channel);
        zero_point.ok_or(self.refuse(Reason::NotQuantized))
    }

    /// Checks symmetric weights: one scale, or one for each of the `channels` along `axis`; every zero point 0.
    ///
    /// Returns the number of scales.
    pub(crate) fn weight_scales(&self, axis: usize, channels: usize) -> Result<usize, Refusal> {
        let count = self.info.quantization.channels();
        if count > 1 {
            let found = self.info.quantization.axis();
            if found != axis {
                let expected = axis;
                return Err(self.refuse(Reason::ChannelAxis { found, expected }));
            }
            if count != channels {
                let (found, expected) = (count, channels);
                return Err(self.refuse(Reason::ChannelCount { found, expected }));
            }
        }
        for channel in 0..count.max(1) {
            self.scale(channel)?;
            self.has_zero_point(channel, 0)?;
        }
        Ok(count)
    }

    pub(crate) fn has_zero_point(&self, channel: usize, expected: i64) -> Result<(), Refusal> {
        match self.zero_point(channel)? {
            found if found == expected => Ok(()),
            found => Err(self.refuse(Reason::ZeroPoint { found, expected })),
        }
    }

    /// Checks the parameters that SOFTMAX and LOGISTIC fix: scale 1/256, zero point -128.
    pub(crate) fn is_unit_interval(&self) -> Result<(), Refusal> {
        self.has_affine(Affine::new(1.0 / 256.0, -128), 0.0)
    }

    /// Checks that elements that are moved here from `source` still stand for the same numbers.
    pub(crate) fn takes_from(&self, source: &Self) -> Result<(), Refusal> {
        self.has_type(source.info.element_type)?;
        if self.holds_codes() && source.holds_codes() {
            let expected = source.affine()?;
            return self.has_affine(expected, expected.scale * SAME_SCALE);
        }
        Ok(())
    }

    /// Whether elements are integers that stand for real numbers.
    pub(crate) fn holds_codes(&self) -> bool {
        let kinds = [ElementType::Int8, ElementType::UInt8, ElementType::Int16];
        self.is_quantized() && kinds.contains(&self.info.element_type)
    }

    /// Checks that values can be moved here from a tensor of these parameters without rescaling.
    pub(crate) fn has_affine(&self, expected: Affine, tolerance: f32) -> Result<(), Refusal> {
        let found = self.affine()?;
        if (found.scale - expected.scale).abs() > tolerance {
            let (found, expected) = (found.scale, expected.scale);
            return Err(self.refuse(Reason::FixedScale { found, expected }));
        }
        self.has_zero_point(0, i64::from(expected.zero_point))
    }
}

/// The clamp of a quantised output.
pub(crate) fn output_stage_of(
    activation: Activation,
    output: &Operand<'_>,
) -> Result<OutputStage, Refusal> {
    let (low, high) = clamp_range(activation)?;
    let (affine, integers) = (output.affine()?, range_of(output.info.element_type));
    let (min, max) = activation_range(finite(low), finite(high), affine, integers);
    Ok(OutputStage {
        zero_point: affine.zero_point,
        min,
        max,
    })
}

/// The clamp of an INT32 output that is not quantised.
pub(crate) fn clamp_i32(activation: Activation) -> Result<ClampI32, Refusal> {
    let (low, high) = clamp_range(activation)?;
    // Infinities saturate.
    Ok(ClampI32 {
        min: low as i32,
        max: high as i32,
    })
}

/// The clamp of a real output. Without a bound, infinities still become the largest finite number, as in TFLM.
pub(crate) fn clamp(activation: Activation) -> Result<Clamp, Refusal> {
    let (low, high) = clamp_range(activation)?;
    Ok(Clamp {
        min: finite(low).unwrap_or(f32::MIN),
        max: finite(high).unwrap_or(f32::MAX),
    })
}

/// The bounds of an activation, infinite where there is none.
pub(crate) fn clamp_range(activation: Activation) -> Result<(f32, f32), Refusal> {
    let unsupported = Refusal::options(Reason::Activation(activation));
    activation.clamp_range().ok_or(unsupported)
}

fn finite(bound: f32) -> Option<f32> {
    bound.is_finite().then_some(bound)
}

/// The fixed-point form of the ratio `a * b / divisor` of scales, as of one that is computed in double precision.
pub(crate) fn scale_ratio(product: [f32; 2], divisor: f32) -> Result<FixedMultiplier, Refusal> {
    let refusal = Refusal::options(Reason::ScaleRatio);
    FixedMultiplier::from_scales(product, divisor).ok_or(refusal)
}

/// The same, below 1 by the operator's definition.
pub(crate) fn scale_ratio_below_one(
    product: [f32; 2],
    divisor: f32,
) -> Result<FixedMultiplier, Refusal> {
    match scale_ratio(product, divisor)? {
        // What rounds up to 1 has a shift of 1, which the narrower operation cannot apply.
        fixed if fixed.shift <= 0 => Ok(fixed),
        _ => Err(Refusal::options(Reason::ScaleRatio)),
    }
}

/// The fixed-point form of a factor.
pub(crate) fn multiplier(real: f64) -> Result<FixedMultiplier, Refusal> {
    if real < f64::from(1u32 << 30) {
        return Ok(FixedMultiplier::from_real(real));
    }
    Err(Refusal::options(Reason::ScaleRatio))
}

/// The fixed-point form of a ratio of scales that is below 1 by the operator's definition.
pub(crate) fn smaller_than_one(real: f64) -> Result<FixedMultiplier, Refusal> {
    let refusal = Refusal::options(Reason::ScaleRatio);
    FixedMultiplier::from_real_smaller_than_one(real).ok_or(refusal)
}

/// What a `prepare` says of a node that is not of its operator.
pub(crate) fn wrong_op<K: Operator>(node: &dyn NodeView) -> Refusal {
    of_another(K::KIND, node.op().kind())
}

#[cold]
#[inline(never)]
pub(crate) const fn of_another(expected: OpKind, found: OpKind) -> Refusal {
    Refusal::options(Reason::Operator { expected, found })
}

/// The windows of an operator over images.
///
/// Images that are one pixel wide are taken as one pixel high, which changes nothing but the names of the axes: faster
/// versions compute neighbours along a row side by side.
pub(crate) fn image_window(
    [batch, height, width, channels]: [usize; 4],
    [filter_h, filter_w]: [usize; 2],
    [stride_h, stride_w]: [i32; 2],
    [dilation_h, dilation_w]: [i32; 2],
    padding: Padding,
    output_channels: usize,
) -> Result<ImageWindow, Refusal> {
    let axis = |input, filter, stride, dilation| {
        let (stride, dilation) = (usize::try_from(stride), usize::try_from(dilation));
        WindowAxis::new(input, filter, stride.ok()?, dilation.ok()?, padding)
    };
    let rows = axis(height, filter_h, stride_h, dilation_h);
    let columns = axis(width, filter_w, stride_w, dilation_w);
    let refusal = Refusal::options(Reason::Shape(ShapeError::Window));
    let (rows, columns) = rows.zip(columns).ok_or(refusal)?;
    let (rows, columns) = match (width, filter_w) {
        (1, 1) => (columns, rows),
        _ => (rows, columns),
    };
    ImageWindow::new(batch, rows, columns, channels, output_channels)
        .ok_or(Refusal::options(Reason::TooLarge))
}
