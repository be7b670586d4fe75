//! The types that are made from the rows of the operator table.

use crate::options::*;
use crate::rules::{self, Operands, ShapeError};
use crate::shape::Shape;

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
    /// A value that the operator itself keeps from one inference to the next.
    State,
    /// Integers that shape the computation, such as axes or paddings; never quantised.
    Parameter,
}

/// A name that is there for messages alone: a program without them has the feature `names` off.
const fn kept(name: &'static str) -> &'static str {
    match cfg!(feature = "names") {
        true => name,
        false => "",
    }
}

/// One input or output of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// What the operand is called in messages; empty without the feature `names`.
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
            name: kept(name),
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

    const fn state(name: &'static str) -> Self {
        Self::new(name, Role::State)
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
    /// Those of the input with this number.
    SameAs(u8),
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
    /// Outputs in `[-1, 1]`: TANH and L2_NORMALIZATION.
    const SYMMETRIC_UNIT: Self = Self::Fixed {
        int8: (1.0 / 128.0, 0),
        int16: (1.0 / 32768.0, 0),
    };
    /// Outputs in `[-16, 0]`: LOG_SOFTMAX.
    const LOG_PROBABILITY: Self = Self::Fixed {
        int8: (16.0 / 256.0, 127),
        int16: (16.0 / 65536.0, 32767),
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
    /// The name in the file format, such as `CONV_2D`; empty without the feature `names`, but for custom operators, which
    /// have no number.
    pub name: &'static str,
    /// The builtin code, or `None` for an operator that the format does not number.
    pub code: Option<i32>,
    /// Whether a file holds it as a custom operator of this name.
    pub is_custom: bool,
    /// Each option's field id and name, for a custom operator: it finds them by name.
    pub option_fields: &'static [(u16, &'static str)],
    /// The number of its option table in the format's union, 0 for none.
    pub options_table: u8,
    /// The name of its option table; empty without the feature `names`.
    pub options_table_name: &'static str,
    /// The version that the format gives the operator with INT8 activations, at least; `None` where no runtime but TFLM computes on
    /// them or their integers would not mean the same. With FLOAT32 ones the version is 1 unless options ask for more.
    pub int8_version: Option<i32>,
    /// The same for INT16 activations.
    pub int16_version: Option<i32>,
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
    /// An operator that the format does not number, but for what every row says.
    const fn unnumbered() -> Self {
        Self {
            name: "",
            code: None,
            is_custom: false,
            option_fields: &[],
            options_table: 0,
            options_table_name: "",
            int8_version: None,
            int16_version: None,
            inputs: &[],
            outputs: &[],
            quantization: OutputQuantization::Calibrated,
            in_place: InPlace::Never,
        }
    }

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
        accepts(self.inputs, count)
    }

    /// Whether a node may have `count` outputs.
    pub fn accepts_outputs(&self, count: usize) -> bool {
        accepts(self.outputs, count)
    }
}

/// A row's version, 0 for none.
const fn version(of_row: i32) -> Option<i32> {
    match of_row {
        0 => None,
        version => Some(version),
    }
}

#[inline(never)]
fn accepts(operands: &[Operand], count: usize) -> bool {
    // Trailing operands may be left out where they are optional, and a variadic one may stand for none.
    let (mut needed, mut most) = (0, operands.len());
    for (operand, number) in operands.iter().zip(1..) {
        if operand.variadic {
            most = usize::MAX;
        } else if !operand.optional {
            needed = number;
        }
    }
    (needed..=most).contains(&count)
}

#[inline(never)]
fn operand(operands: &'static [Operand], index: usize) -> Option<&'static Operand> {
    let variadic = operands.last().filter(|o| o.variadic);
    operands.get(index).or(variadic)
}

/// An operator as a type: what a program names to say which kernels it links.
///
/// What is reached through it, and not through [`OpKind`], links nothing of any other operator.
pub trait Operator {
    /// The operator.
    const KIND: OpKind;
    /// Its row.
    const INFO: &'static OpInfo;
    /// Its options.
    type Options: Options;

    /// The operator with these options.
    fn with_options(options: Self::Options) -> Op;

    /// The options of an operator of this kind, `None` for another.
    fn options(op: &Op) -> Option<&Self::Options>;

    /// As [`Op::infer_shape`].
    ///
    /// # Errors
    /// As there.
    fn infer_shape(
        options: &Self::Options,
        operands: &dyn Operands,
        output: usize,
    ) -> Result<Shape, ShapeError>;
}

/// What the marker type of an operator says of it.
macro_rules! operator {
    ($name:ident, $options:ident, $shape:ident, $info:expr) => {
        impl Operator for op::$name {
            const KIND: OpKind = OpKind::$name;
            const INFO: &'static OpInfo = &$info;
            type Options = $options;

            fn with_options(options: Self::Options) -> Op {
                Op::$name(options)
            }

            fn options(op: &Op) -> Option<&Self::Options> {
                match op {
                    Op::$name(options) => Some(options),
                    _ => None,
                }
            }

            fn infer_shape(
                options: &Self::Options,
                operands: &dyn Operands,
                output: usize,
            ) -> Result<Shape, ShapeError> {
                if Self::INFO.output(output).is_none() {
                    return Err(ShapeError::NoSuchOutput { output });
                }
                rules::$shape(options, operands, output)
            }
        }
    };
}

/// Makes the enums, markers and dispatch from the rows.
macro_rules! define_ops {
    (
        wire {$(
            $(#[$wmeta:meta])*
            $wname:ident {
                code: $wcode:literal, name: $wtext:literal, options: $woptions:ident, int8_version: $wint8:literal, int16_version: $wint16:literal,
                inputs: [$($winput:expr),* $(,)?], outputs: [$($woutput:expr),*],
                shape: $wshape:ident, macs: $wmacs:ident,
                quantization: $wquant:expr, in_place: $wplace:expr
            }
        )*}
        custom {$(
            $(#[$cmeta:meta])*
            $cname:ident {
                name: $ctext:literal, options: $coptions:ident,
                inputs: [$($cinput:expr),* $(,)?], outputs: [$($coutput:expr),*],
                shape: $cshape:ident, macs: $cmacs:ident,
                quantization: $cquant:expr, in_place: $cplace:expr
            }
        )*}
        training {$(
            $(#[$tmeta:meta])*
            $tname:ident {
                name: $ttext:literal, options: $toptions:ident,
                inputs: [$($tinput:expr),* $(,)?], outputs: [$($toutput:expr),*],
                shape: $tshape:ident, macs: $tmacs:ident,
                quantization: $tquant:expr, in_place: $tplace:expr
            }
        )*}
    ) => {
        /// An operator of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum OpKind {
            $($(#[$wmeta])* $wname,)*
            $($(#[$cmeta])* $cname,)*
            $($(#[$tmeta])* $tname,)*
        }

        /// An operator with its options.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Op {
            $($(#[$wmeta])* $wname($woptions),)*
            $($(#[$cmeta])* $cname($coptions),)*
            $($(#[$tmeta])* $tname($toptions),)*
        }

        /// The operators as types.
        pub mod op {
            $($(#[$wmeta])* #[derive(Clone, Copy, Debug)] pub struct $wname;)*
            $($(#[$cmeta])* #[derive(Clone, Copy, Debug)] pub struct $cname;)*
            $($(#[$tmeta])* #[derive(Clone, Copy, Debug)] pub struct $tname;)*
        }

        $(operator! {
            $wname, $woptions, $wshape,
            OpInfo {
                name: kept($wtext),
                code: Some($wcode),
                options_table: <$woptions as Options>::TABLE,
                options_table_name: kept(<$woptions as Options>::TABLE_NAME),
                int8_version: version($wint8),
                int16_version: version($wint16),
                inputs: &[$($winput),*],
                outputs: &[$($woutput),*],
                quantization: $wquant,
                in_place: $wplace,
                ..OpInfo::unnumbered()
            }
        })*
        $(operator! {
            $cname, $coptions, $cshape,
            OpInfo {
                name: $ctext,
                is_custom: true,
                option_fields: <$coptions as Options>::FIELDS,
                inputs: &[$($cinput),*],
                outputs: &[$($coutput),*],
                quantization: $cquant,
                in_place: $cplace,
                ..OpInfo::unnumbered()
            }
        })*
        $(operator! {
            $tname, $toptions, $tshape,
            OpInfo {
                name: $ttext,
                inputs: &[$($tinput),*],
                outputs: &[$($toutput),*],
                quantization: $tquant,
                in_place: $tplace,
                ..OpInfo::unnumbered()
            }
        })*

        impl OpKind {
            /// Every operator of the table, those for training last.
            pub const ALL: &'static [Self] =
                &[$(Self::$wname,)* $(Self::$cname,)* $(Self::$tname,)*];

            /// The row of the operator.
            pub const fn info(self) -> &'static OpInfo {
                match self {
                    $(Self::$wname => <op::$wname as Operator>::INFO,)*
                    $(Self::$cname => <op::$cname as Operator>::INFO,)*
                    $(Self::$tname => <op::$tname as Operator>::INFO,)*
                }
            }

            /// The operator with a builtin code, or `None` for one that the table lacks.
            pub const fn from_code(code: i32) -> Option<Self> {
                match code {
                    $($wcode => Some(Self::$wname),)*
                    _ => None,
                }
            }

            /// The operator that a file holds as the custom operator `name`, or `None` for one that the table lacks.
            pub fn from_custom_name(name: &[u8]) -> Option<Self> {
                $(if name == $ctext.as_bytes() {
                    return Some(Self::$cname);
                })*
                None
            }

            /// The operator with its default options.
            pub fn with_default_options(self) -> Op {
                match self {
                    $(Self::$wname => Op::$wname(Default::default()),)*
                    $(Self::$cname => Op::$cname(Default::default()),)*
                    $(Self::$tname => Op::$tname(Default::default()),)*
                }
            }
        }

        impl Op {
            /// The operator without its options.
            pub const fn kind(&self) -> OpKind {
                match self {
                    $(Self::$wname(_) => OpKind::$wname,)*
                    $(Self::$cname(_) => OpKind::$cname,)*
                    $(Self::$tname(_) => OpKind::$tname,)*
                }
            }

            /// Reads the options of `kind` from a table of fields.
            ///
            /// # Errors
            /// When a field is malformed or holds an unknown number.
            pub fn read<S: OptionsSource + ?Sized>(kind: OpKind, source: &S) -> Result<Self, S::Error> {
                Ok(match kind {
                    $(OpKind::$wname => Self::$wname(Options::read(source)?),)*
                    $(OpKind::$cname => Self::$cname(Options::read(source)?),)*
                    $(OpKind::$tname => Self::$tname(Options::read(source)?),)*
                })
            }

            /// Writes the options as a table of fields.
            pub fn write<K: OptionsSink>(&self, sink: &mut K) {
                match self {
                    $(Self::$wname(options) => options.write(sink),)*
                    $(Self::$cname(options) => options.write(sink),)*
                    $(Self::$tname(options) => options.write(sink),)*
                }
            }

            /// The activation that the operator applies to its result, `None` for one that cannot.
            pub fn activation(&self) -> Option<$crate::Activation> {
                match self {
                    $(Self::$wname(options) => options.activation(),)*
                    $(Self::$cname(options) => options.activation(),)*
                    $(Self::$tname(options) => options.activation(),)*
                }
            }

            /// The same, to change.
            pub fn activation_mut(&mut self) -> Option<&mut $crate::Activation> {
                match self {
                    $(Self::$wname(options) => options.activation_mut(),)*
                    $(Self::$cname(options) => options.activation_mut(),)*
                    $(Self::$tname(options) => options.activation_mut(),)*
                }
            }

            /// The shape of an output that follows from the operands.
            ///
            /// # Errors
            /// When the operands do not fit the operator, or the shape depends on values that are
            /// not constant ([`ShapeError::Unknown`]).
            pub fn infer_shape(&self, operands: &dyn Operands, output: usize) -> Result<Shape, ShapeError> {
                match self {
                    $(Self::$wname(options) => <op::$wname as Operator>::infer_shape(options, operands, output),)*
                    $(Self::$cname(options) => <op::$cname as Operator>::infer_shape(options, operands, output),)*
                    $(Self::$tname(options) => <op::$tname as Operator>::infer_shape(options, operands, output),)*
                }
            }

            /// Multiply-accumulate operations for an output of the given shape, saturating.
            pub fn macs(&self, operands: &dyn Operands, output: &Shape) -> u64 {
                match self {
                    $(Self::$wname(_) => rules::macs::$wmacs(operands, output),)*
                    $(Self::$cname(_) => rules::macs::$cmacs(operands, output),)*
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
