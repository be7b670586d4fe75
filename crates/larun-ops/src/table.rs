//! The operator table: one row an operator, and the types that are made from the rows.
//!
//! To add an operator, add its row to [`for_each_op!`](crate::for_each_op), its option struct to
//! `options.rs` where it has options of its own, and its shape rule to `rules/`. The enums, the
//! markers, reading and writing of options, and the description of operands follow; every other
//! crate expands the same rows or matches [`Op`] exhaustively, so the compiler names what is missing.

use crate::options::*;
use crate::rules::{self, Operands, ShapeError};
use crate::shape::Shape;

/// Calls a macro with the whole operator table.
///
/// The callback receives `wire { rows } training { rows }`: operators that a `.tflite` file can
/// hold, then those that exist during training only. A row reads
///
/// ```text
/// /// What it computes.
/// Marker {
///     code: number in the file, name: "NAME", options: OptionStruct, int8_version: of an INT8 node,
///     inputs: [operands], outputs: [operands],
///     shape: rule in `rules`, macs: rule in `rules`,
///     quantization: how the output's parameters are chosen, in_place: may the output take over the input's memory
/// }
/// ```
///
/// A callback that needs only the names matches `$($name:ident { $($row:tt)* })*`.
#[macro_export]
macro_rules! for_each_op {
    ($callback:path) => {
        $callback! {
            wire {
                /// Element-wise sum with broadcasting.
                Add {
                    code: 0, name: "ADD", options: AddOptions, int8_version: 2,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Mean of each window.
                AveragePool2D {
                    code: 1, name: "AVERAGE_POOL_2D", options: Pool2DOptions, int8_version: 2,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: pool2d, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Inputs joined along an axis.
                Concatenation {
                    code: 2, name: "CONCATENATION", options: ConcatenationOptions, int8_version: 2,
                    inputs: [Operand::activation("inputs").variadic()],
                    outputs: [Operand::activation("output")],
                    shape: concatenation, macs: none,
                    quantization: OutputQuantization::SharedWithInputs, in_place: InPlace::Never
                }
                /// 2-D convolution: input `[N, H, W, C]`, filter `[O, KH, KW, C / groups]`.
                Conv2D {
                    code: 3, name: "CONV_2D", options: Conv2DOptions, int8_version: 3,
                    inputs: [Operand::activation("input"), Operand::weights("filter", 0), Operand::bias("bias").optional()],
                    outputs: [Operand::activation("output")],
                    shape: conv2d, macs: conv2d,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// Depthwise 2-D convolution: input `[N, H, W, C]`, filter `[1, KH, KW, C * multiplier]`.
                DepthwiseConv2D {
                    code: 4, name: "DEPTHWISE_CONV_2D", options: DepthwiseConv2DOptions, int8_version: 3,
                    inputs: [Operand::activation("input"), Operand::weights("filter", 3), Operand::bias("bias").optional()],
                    outputs: [Operand::activation("output")],
                    shape: depthwise_conv2d, macs: depthwise_conv2d,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// Real values of a quantised tensor.
                Dequantize {
                    code: 6, name: "DEQUANTIZE", options: DequantizeOptions, int8_version: 2,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// A dense layer: input `[..., I]`, weights `[O, I]`.
                FullyConnected {
                    code: 9, name: "FULLY_CONNECTED", options: FullyConnectedOptions, int8_version: 4,
                    inputs: [Operand::activation("input"), Operand::weights("weights", 0), Operand::bias("bias").optional()],
                    outputs: [Operand::activation("output")],
                    shape: fully_connected, macs: fully_connected,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// `1 / (1 + exp(-x))`.
                Logistic {
                    code: 14, name: "LOGISTIC", options: NoOptions, int8_version: 2,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::UNIT_INTERVAL, in_place: InPlace::Elementwise
                }
                /// Largest value of each window.
                MaxPool2D {
                    code: 17, name: "MAX_POOL_2D", options: Pool2DOptions, int8_version: 2,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: pool2d, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Element-wise product with broadcasting.
                Mul {
                    code: 18, name: "MUL", options: MulOptions, int8_version: 2,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// `max(x, 0)`.
                Relu {
                    code: 19, name: "RELU", options: NoOptions, int8_version: 2,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// `min(max(x, 0), 6)`.
                Relu6 {
                    code: 21, name: "RELU6", options: NoOptions, int8_version: 2,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// The same elements under another shape.
                Reshape {
                    code: 22, name: "RESHAPE", options: ReshapeOptions, int8_version: 1,
                    inputs: [Operand::activation("input"), Operand::parameter("shape").optional()],
                    outputs: [Operand::activation("output")],
                    shape: reshape, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::View
                }
                /// `exp(beta x) / sum(exp(beta x))` along the innermost axis.
                Softmax {
                    code: 25, name: "SOFTMAX", options: SoftmaxOptions, int8_version: 2,
                    inputs: [Operand::activation("logits")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::UNIT_INTERVAL, in_place: InPlace::Never
                }
                /// Zeros (the zero point) added around the input.
                Pad {
                    code: 34, name: "PAD", options: PadOptions, int8_version: 2,
                    inputs: [Operand::activation("input"), Operand::parameter("paddings")],
                    outputs: [Operand::activation("output")],
                    shape: pad, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Mean over axes.
                Mean {
                    code: 40, name: "MEAN", options: ReducerOptions, int8_version: 2,
                    inputs: [Operand::activation("input"), Operand::parameter("axes")],
                    outputs: [Operand::activation("output")],
                    shape: reduce, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// The input without some axes of size 1.
                Squeeze {
                    code: 43, name: "SQUEEZE", options: SqueezeOptions, int8_version: 1,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: squeeze, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::View
                }
                /// The input with one more axis of size 1.
                ExpandDims {
                    code: 70, name: "EXPAND_DIMS", options: ExpandDimsOptions, int8_version: 1,
                    inputs: [Operand::activation("input"), Operand::parameter("axis")],
                    outputs: [Operand::activation("output")],
                    shape: expand_dims, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::View
                }
                /// A tensor in other quantisation parameters.
                Quantize {
                    code: 114, name: "QUANTIZE", options: QuantizeOptions, int8_version: 1,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
            }
            training {
                /// Batch normalisation over all axes but the last; folded into its neighbour before writing.
                BatchNorm {
                    name: "BATCH_NORM", options: BatchNormOptions,
                    inputs: [
                        Operand::activation("input"), Operand::scale("gamma"), Operand::bias("beta"),
                        Operand::statistic("mean"), Operand::statistic("variance")
                    ],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
            }
        }
    };
}

/// What an operand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A value that is computed for every inference.
    Activation,
    /// A trained constant, quantised per channel along the given axis.
    Weights {
        /// The axis of the output channels.
        channel_axis: u8,
    },
    /// A trained constant added to every output position, one value a channel.
    Bias,
    /// A trained constant multiplied with every position, one value a channel.
    Scale,
    /// A constant measured from data during training, not trained.
    Statistic,
    /// Integers that shape the computation, such as axes or paddings; never quantised.
    Parameter,
}

/// One input or output of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// What the operand is called in messages.
    pub name: &'static str,
    /// What it is for.
    pub role: Role,
    /// Whether it may be absent.
    pub optional: bool,
    /// Whether any number of operands may stand in its place.
    pub variadic: bool,
}

impl Operand {
    const fn new(name: &'static str, role: Role) -> Self {
        Self {
            name,
            role,
            optional: false,
            variadic: false,
        }
    }

    const fn activation(name: &'static str) -> Self {
        Self::new(name, Role::Activation)
    }

    const fn weights(name: &'static str, channel_axis: u8) -> Self {
        Self::new(name, Role::Weights { channel_axis })
    }

    const fn bias(name: &'static str) -> Self {
        Self::new(name, Role::Bias)
    }

    const fn scale(name: &'static str) -> Self {
        Self::new(name, Role::Scale)
    }

    const fn statistic(name: &'static str) -> Self {
        Self::new(name, Role::Statistic)
    }

    const fn parameter(name: &'static str) -> Self {
        Self::new(name, Role::Parameter)
    }

    const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    const fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }
}

/// How the quantisation parameters of an output are chosen (the INT8 specification's rule).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutputQuantization {
    /// From the range seen during calibration.
    Calibrated,
    /// Those of the first input: the operator moves or selects values.
    SameAsInput,
    /// One set for the output and every input, from the union of their ranges.
    SharedWithInputs,
    /// Fixed by the specification: `(scale, zero point)` for INT8 and for INT16.
    Fixed {
        /// For an INT8 output.
        int8: (f32, i32),
        /// For an INT16 output.
        int16: (f32, i32),
    },
    /// None: the output is real.
    Unquantized,
}

impl OutputQuantization {
    /// Outputs in `[0, 1)`: LOGISTIC and SOFTMAX.
    const UNIT_INTERVAL: Self = Self::Fixed {
        int8: (1.0 / 256.0, -128),
        int16: (1.0 / 32768.0, 0),
    };
}

/// Whether an output may take over the memory of the first input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InPlace {
    /// An output element may be written before the last read of an input element at or after it.
    Never,
    /// Output element `i` depends on input element `i` alone, where sizes agree.
    Elementwise,
    /// The bytes do not change at all.
    View,
}

/// What the table says of an operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpInfo {
    /// The name in the file format, such as `CONV_2D`.
    pub name: &'static str,
    /// The builtin code, or `None` for an operator that no file can hold.
    pub code: Option<i32>,
    /// The number of its option table in the format's union, 0 for none.
    pub options_table: u8,
    /// The name of its option table.
    pub options_table_name: &'static str,
    /// The version that the format gives the operator with INT8 operands; 1 with FLOAT32 ones.
    pub int8_version: i32,
    /// Its inputs in order.
    pub inputs: &'static [Operand],
    /// Its outputs in order.
    pub outputs: &'static [Operand],
    /// How its outputs are quantised.
    pub quantization: OutputQuantization,
    /// Whether an output may overwrite the first input.
    pub in_place: InPlace,
}

impl OpInfo {
    /// The operand at input `index`, a variadic last one standing for all that follow.
    pub fn input(&self, index: usize) -> Option<&'static Operand> {
        operand(self.inputs, index)
    }

    /// The operand at output `index`, a variadic last one standing for all that follow.
    pub fn output(&self, index: usize) -> Option<&'static Operand> {
        operand(self.outputs, index)
    }

    /// Whether a node may have `count` inputs.
    pub fn accepts_inputs(&self, count: usize) -> bool {
        let required = self.inputs.iter().filter(|o| !o.optional).count();
        let variadic = self.inputs.iter().any(|o| o.variadic);
        count >= required && (variadic || count <= self.inputs.len())
    }
}

fn operand(operands: &'static [Operand], index: usize) -> Option<&'static Operand> {
    let variadic = operands.last().filter(|o| o.variadic);
    operands.get(index).or(variadic)
}

/// An operator as a type: what a program names to say which kernels it links.
pub trait Operator {
    /// The operator.
    const KIND: OpKind;
    /// Its options.
    type Options: Options;
}

/// Makes the enums, markers and dispatch from the rows.
macro_rules! define_ops {
    (
        wire {$(
            $(#[$wmeta:meta])*
            $wname:ident {
                code: $wcode:literal, name: $wtext:literal, options: $woptions:ident, int8_version: $wversion:literal,
                inputs: [$($winput:expr),*], outputs: [$($woutput:expr),*],
                shape: $wshape:ident, macs: $wmacs:ident,
                quantization: $wquant:expr, in_place: $wplace:expr
            }
        )*}
        training {$(
            $(#[$tmeta:meta])*
            $tname:ident {
                name: $ttext:literal, options: $toptions:ident,
                inputs: [$($tinput:expr),*], outputs: [$($toutput:expr),*],
                shape: $tshape:ident, macs: $tmacs:ident,
                quantization: $tquant:expr, in_place: $tplace:expr
            }
        )*}
    ) => {
        /// An operator of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum OpKind {
            $($(#[$wmeta])* $wname,)*
            $($(#[$tmeta])* $tname,)*
        }

        /// An operator with its options.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Op {
            $($(#[$wmeta])* $wname($woptions),)*
            $($(#[$tmeta])* $tname($toptions),)*
        }

        /// The operators as types.
        pub mod op {
            $($(#[$wmeta])* #[derive(Clone, Copy, Debug)] pub struct $wname;)*
            $($(#[$tmeta])* #[derive(Clone, Copy, Debug)] pub struct $tname;)*
        }

        $(impl Operator for op::$wname {
            const KIND: OpKind = OpKind::$wname;
            type Options = $woptions;
        })*
        $(impl Operator for op::$tname {
            const KIND: OpKind = OpKind::$tname;
            type Options = $toptions;
        })*

        impl OpKind {
            /// Every operator of the table, those for training last.
            pub const ALL: &'static [Self] = &[$(Self::$wname,)* $(Self::$tname,)*];

            /// The row of the operator.
            pub const fn info(self) -> &'static OpInfo {
                match self {
                    $(Self::$wname => { const ROW: OpInfo = OpInfo {
                        name: $wtext,
                        code: Some($wcode),
                        options_table: <$woptions as Options>::TABLE,
                        options_table_name: <$woptions as Options>::TABLE_NAME,
                        int8_version: $wversion,
                        inputs: &[$($winput),*],
                        outputs: &[$($woutput),*],
                        quantization: $wquant,
                        in_place: $wplace,
                    }; &ROW })*
                    $(Self::$tname => { const ROW: OpInfo = OpInfo {
                        name: $ttext,
                        code: None,
                        options_table: 0,
                        options_table_name: "",
                        int8_version: 1,
                        inputs: &[$($tinput),*],
                        outputs: &[$($toutput),*],
                        quantization: $tquant,
                        in_place: $tplace,
                    }; &ROW })*
                }
            }

            /// The operator with a builtin code, or `None` for one that the table lacks.
            pub const fn from_code(code: i32) -> Option<Self> {
                match code {
                    $($wcode => Some(Self::$wname),)*
                    _ => None,
                }
            }

            /// The operator with its default options.
            pub fn with_default_options(self) -> Op {
                match self {
                    $(Self::$wname => Op::$wname(Default::default()),)*
                    $(Self::$tname => Op::$tname(Default::default()),)*
                }
            }
        }

        impl Op {
            /// The operator without its options.
            pub const fn kind(&self) -> OpKind {
                match self {
                    $(Self::$wname(_) => OpKind::$wname,)*
                    $(Self::$tname(_) => OpKind::$tname,)*
                }
            }

            /// Reads the options of `kind` from a table of fields.
            ///
            /// # Errors
            /// When a field is malformed or holds an unknown number.
            pub fn read<S: OptionsSource>(kind: OpKind, source: &S) -> Result<Self, S::Error> {
                Ok(match kind {
                    $(OpKind::$wname => Self::$wname(Options::read(source)?),)*
                    $(OpKind::$tname => Self::$tname(Options::read(source)?),)*
                })
            }

            /// Writes the options as a table of fields.
            pub fn write<K: OptionsSink>(&self, sink: &mut K) {
                match self {
                    $(Self::$wname(options) => options.write(sink),)*
                    $(Self::$tname(options) => options.write(sink),)*
                }
            }

            /// The activation that the operator applies to its result, `None` for one that cannot.
            pub fn activation(&self) -> Option<$crate::Activation> {
                match self {
                    $(Self::$wname(options) => options.activation(),)*
                    $(Self::$tname(options) => options.activation(),)*
                }
            }

            /// The same, to change.
            pub fn activation_mut(&mut self) -> Option<&mut $crate::Activation> {
                match self {
                    $(Self::$wname(options) => options.activation_mut(),)*
                    $(Self::$tname(options) => options.activation_mut(),)*
                }
            }

            /// The shape of an output that follows from the operands.
            ///
            /// # Errors
            /// When the operands do not fit the operator, or the shape depends on values that are
            /// not constant ([`ShapeError::Unknown`]).
            pub fn infer_shape(&self, operands: &dyn Operands, output: usize) -> Result<Shape, ShapeError> {
                if output >= self.kind().info().outputs.len() {
                    return Err(ShapeError::NoSuchOutput { output });
                }
                match self {
                    $(Self::$wname(options) => rules::$wshape(options, operands),)*
                    $(Self::$tname(options) => rules::$tshape(options, operands),)*
                }
            }

            /// Multiply-accumulate operations for an output of the given shape, saturating.
            pub fn macs(&self, operands: &dyn Operands, output: &Shape) -> u64 {
                match self {
                    $(Self::$wname(_) => rules::macs::$wmacs(operands, output),)*
                    $(Self::$tname(_) => rules::macs::$tmacs(operands, output),)*
                }
            }
        }
    };
}

for_each_op!(define_ops);

impl core::fmt::Display for OpKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.info().name)
    }
}
