//! What `prepare` checks and writes for layers with weights.

use larun_ops::{Activation, ElementType};
use larun_quant::Affine;

use super::Roles;
use super::scheme::{BiasType, Finish, Mixed, Scheme, Values};
use crate::operand::{Operand, clamp, operands, output_stage_of, scale_ratio};
use crate::plan::Record;
use crate::types::{FLOAT32, INT4, INT16, MIXED};
use crate::{NodeView, PlanWriter, Reason, Refusal};

const VALUES: &[ElementType] = &[ElementType::Int8, ElementType::Int16, ElementType::Float32];
const INT8: &[ElementType] = &[ElementType::Int8];
const INT8_OR_INT4: &[ElementType] = &[ElementType::Int8, ElementType::Int4];
const REAL_OR_INTEGER: &[ElementType] =
    &[ElementType::Float32, ElementType::Int8, ElementType::Int4];
const WIDE_BIASES: &[ElementType] = &[ElementType::Int64, ElementType::Int32, ElementType::Int16];

/// The largest shift of TFLM's 64-bit requantisation.
const MOST_WIDE_SHIFT: i32 = 7;

/// A node with weights, as `prepare` sees it.
pub(crate) struct Layer<'n> {
    pub(crate) node: &'n dyn NodeView,
    pub(crate) roles: Roles,
    /// The axis of the weights along which the output's channels lie.
    pub(crate) channel_axis: usize,
    pub(crate) channels: usize,
    pub(crate) activation: Activation,
    /// What the options say of the type of a quantised bias.
    pub(crate) bias_type: ElementType,
    /// Whether a real input is quantised asymmetrically for integer weights.
    pub(crate) asymmetric: bool,
    /// Whether a real output multiplies the scales of input and weights first, before the sum. The order is that of
    /// LiteRT's kernels: a last bit may tip the rounding of the next layer.
    pub(crate) scales_first: bool,
    /// Whether this is FULLY_CONNECTED, whose INT4 weights per channel only LiteRT computes.
    pub(crate) dense: bool,
}

impl<'n> Layer<'n> {
    fn input(&self) -> Result<Operand<'n>, Refusal> {
        Operand::input(self.node, self.roles.input)
    }

    fn weights(&self) -> Result<Operand<'n>, Refusal> {
        Operand::input(self.node, self.roles.weights)
    }

    fn bias(&self) -> Option<Operand<'n>> {
        Operand::optional_input(self.node, self.roles.bias)
    }

    /// The arithmetic that the operands' types ask for.
    pub(crate) fn scheme(&self) -> Result<Scheme, Refusal> {
        self.found_scheme().map(Scheme::linked)
    }

    #[inline(never)]
    fn found_scheme(&self) -> Result<Scheme, Refusal> {
        operands! {
            input = self.input();
            weights = self.weights();
            output = Operand::output(self.node, 0);
        }
        let values = input.one_of(VALUES)?;
        output.has_type(values)?;
        if !MIXED {
            // Types that are left out are refused before a kernel is asked: this is INT8 throughout, if it is anything.
            weights.has_type(ElementType::Int8)?;
            if let Some(bias) = &self.bias() {
                bias.has_type(ElementType::Int32)?;
            }
            return match values {
                ElementType::Int8 => Ok(Scheme::Int8),
                _ => Err(input.refuse(Reason::Variant)),
            };
        }
        match values {
            ElementType::Int8 => self.int8(weights),
            ElementType::Int16 if INT16 => self.int16(weights),
            ElementType::Float32 if FLOAT32 => self.real(weights),
            _ => Err(input.refuse(Reason::Variant)),
        }
    }

    fn int8(&self, weights: &Operand<'_>) -> Result<Scheme, Refusal> {
        let nibbles = weights.one_of(INT8_OR_INT4)? == ElementType::Int4 && INT4;
        if let Some(bias) = &self.bias() {
            bias.has_type(ElementType::Int32)?;
        }
        if !nibbles {
            return Ok(Scheme::Int8);
        }
        // TFLM refuses these, so that LiteRT's answer stands.
        let exact = self.dense && weights.info.quantization.channels() > 1;
        Ok(Scheme::Mixed(Mixed {
            values: Values::Int8,
            finish: if exact { Finish::Exact } else { Finish::Narrow },
            bias: BiasType::Int32,
            nibbles,
        }))
    }

    fn int16(&self, weights: &Operand<'_>) -> Result<Scheme, Refusal> {
        let supported = if self.dense { INT8_OR_INT4 } else { INT8 };
        let nibbles = weights.one_of(supported)? == ElementType::Int4;
        let bias_type = match self.bias() {
            Some(bias) => bias.one_of(WIDE_BIASES)?,
            None => self.bias_type,
        };
        let bias = match bias_type {
            ElementType::Int16 => BiasType::Int16,
            ElementType::Int32 => BiasType::Int32,
            _ => BiasType::Int64,
        };
        Ok(Scheme::Mixed(Mixed {
            values: Values::Int16,
            finish: match bias {
                _ if nibbles => Finish::Exact,
                BiasType::Int32 => Finish::Narrow,
                _ => Finish::Wide,
            },
            bias,
            nibbles,
        }))
    }

    fn real(&self, weights: &Operand<'_>) -> Result<Scheme, Refusal> {
        let stored = weights.one_of(REAL_OR_INTEGER)?;
        if let Some(bias) = &self.bias() {
            bias.has_type(ElementType::Float32)?;
        }
        if stored == ElementType::Float32 {
            return Ok(Scheme::Float32);
        }
        Ok(Scheme::Mixed(Mixed {
            values: Values::Float32,
            finish: if self.asymmetric {
                Finish::Asymmetric
            } else {
                Finish::Symmetric
            },
            bias: BiasType::Float32,
            nibbles: stored == ElementType::Int4,
        }))
    }

    /// Checks the quantisation and writes what `invoke` needs of it.
    pub(crate) fn write_quantization(
        &self,
        scheme: Scheme,
        plan: &mut PlanWriter<'_>,
    ) -> Result<(), Refusal> {
        if !MIXED {
            return self.write_fixed_point(Finish::Narrow, plan);
        }
        let finish = match scheme {
            Scheme::Int8 => Finish::Narrow,
            Scheme::Float32 if FLOAT32 => {
                clamp(self.activation)?.write(plan);
                return Ok(());
            }
            Scheme::Mixed(mixed) if MIXED => mixed.finish,
            _ => return Err(Refusal::options(Reason::Variant)),
        };
        match finish {
            Finish::Narrow | Finish::Wide => self.write_fixed_point(finish, plan),
            Finish::Exact if INT4 => {
                let (input, output) = self.write_ends(plan)?;
                [input.scale, output.scale].write(plan);
                self.write_scales(plan)
            }
            Finish::Symmetric | Finish::Asymmetric if FLOAT32 => {
                clamp(self.activation)?.write(plan);
                self.scales_first.write(plan);
                self.write_scales(plan)
            }
            _ => Err(Refusal::options(Reason::Variant)),
        }
    }

    fn write_fixed_point(&self, finish: Finish, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        operands! { weights = self.weights(); }
        let count = weights.weight_scales(self.channel_axis, self.channels)?;
        let (input, output) = self.write_ends(plan)?;
        plan.push_usize(count);
        plan.push_multipliers(count, |channel| {
            let fixed = scale_ratio([input.scale, weights.scale(channel)?], output.scale)?;
            if finish == Finish::Wide && fixed.shift > MOST_WIDE_SHIFT {
                return Err(Refusal::options(Reason::ScaleRatio));
            }
            Ok(fixed)
        })
    }

    /// Writes the input's zero point and the end of the computation; returns the parameters of input and output.
    fn write_ends(&self, plan: &mut PlanWriter<'_>) -> Result<(Affine, Affine), Refusal> {
        operands! {
            input = self.input();
            output = Operand::output(self.node, 0);
        }
        if input.info.element_type == ElementType::Int16 && INT16 {
            // The format has them symmetric.
            input.has_zero_point(0, 0)?;
            output.has_zero_point(0, 0)?;
        }
        let stage = output_stage_of(self.activation, output)?;
        let (input, output) = (input.affine()?, output.affine()?);
        input.zero_point.write(plan);
        stage.write(plan);
        Ok((input, output))
    }

    fn write_scales(&self, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        operands! { weights = self.weights(); }
        let count = weights.weight_scales(self.channel_axis, self.channels)?;
        plan.push_usize(count);
        for channel in 0..count {
            plan.push_f32(weights.scale(channel)?);
        }
        Ok(())
    }
}

/// Whether some channel of input `index` has another scale than the first.
pub(crate) fn scales_differ(node: &dyn NodeView, index: usize) -> bool {
    node.input(index).is_some_and(|tensor| {
        let first = tensor.quantization.scale(0);
        (1..tensor.quantization.channels()).any(|i| tensor.quantization.scale(i) != first)
    })
}
