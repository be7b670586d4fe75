//! The typed options of every operator, with the field ids that they have in the file.
//!
//! Each field names its id in the option table of the format. Readers and writers come from that: a
//! source answers for a field id, a sink takes one, and neither knows any operator.

use crate::{Activation, ElementType, IntList, Padding, WeightsFormat};

/// Where options are read from: a table of numbered fields.
pub trait OptionsSource {
    /// What can go wrong when a field is read.
    type Error;

    /// The byte of field `id`, or `None` when the field is absent.
    ///
    /// # Errors
    /// When the table is malformed.
    fn byte(&self, id: u16) -> Result<Option<i8>, Self::Error>;

    /// The 32-bit integer of field `id`, or `None` when the field is absent.
    ///
    /// # Errors
    /// When the table is malformed.
    fn int(&self, id: u16) -> Result<Option<i32>, Self::Error>;

    /// The single-precision number of field `id`, or `None` when the field is absent.
    ///
    /// # Errors
    /// When the table is malformed.
    fn float(&self, id: u16) -> Result<Option<f32>, Self::Error>;

    /// The vector of 32-bit integers of field `id`, or `None` when the field is absent.
    ///
    /// # Errors
    /// When the table is malformed or the vector is longer than an [`IntList`].
    fn ints(&self, id: u16) -> Result<Option<IntList>, Self::Error>;

    /// The error for a number that the field's enumeration does not define.
    fn unknown_value(&self, id: u16, value: i8) -> Self::Error;
}

/// Where options are written to. A value equal to its default may be left out.
pub trait OptionsSink {
    /// Writes a byte.
    fn byte(&mut self, id: u16, value: i8, default: i8);
    /// Writes a 32-bit integer.
    fn int(&mut self, id: u16, value: i32, default: i32);
    /// Writes a single-precision number.
    fn float(&mut self, id: u16, value: f32, default: f32);
    /// Writes a vector of 32-bit integers; an empty one may be left out.
    fn ints(&mut self, id: u16, values: &[i32]);
}

/// The options of one operator.
pub trait Options: Copy + Default + PartialEq + core::fmt::Debug {
    /// The number of the option table in the format's union, 0 where the operator has none.
    const TABLE: u8;
    /// The name of the option table.
    const TABLE_NAME: &'static str;

    /// Reads the options; an absent field has its default.
    ///
    /// # Errors
    /// When a field is malformed or holds an unknown number.
    fn read<S: OptionsSource>(source: &S) -> Result<Self, S::Error>;

    /// Writes the options.
    fn write<K: OptionsSink>(&self, sink: &mut K);

    /// The activation that the operator applies to its result, `None` for one that cannot.
    fn activation(&self) -> Option<Activation>;

    /// The same, to change.
    fn activation_mut(&mut self) -> Option<&mut Activation>;
}

/// A type that one option field can have.
trait Field: Copy {
    fn read<S: OptionsSource>(source: &S, id: u16, default: Self) -> Result<Self, S::Error>;
    fn write<K: OptionsSink>(self, sink: &mut K, id: u16, default: Self);

    /// The field itself where it is a fused activation.
    fn as_activation(&mut self) -> Option<&mut Activation> {
        None
    }
}

impl Field for i32 {
    fn read<S: OptionsSource>(source: &S, id: u16, default: Self) -> Result<Self, S::Error> {
        Ok(source.int(id)?.unwrap_or(default))
    }

    fn write<K: OptionsSink>(self, sink: &mut K, id: u16, default: Self) {
        sink.int(id, self, default);
    }
}

impl Field for f32 {
    fn read<S: OptionsSource>(source: &S, id: u16, default: Self) -> Result<Self, S::Error> {
        Ok(source.float(id)?.unwrap_or(default))
    }

    fn write<K: OptionsSink>(self, sink: &mut K, id: u16, default: Self) {
        sink.float(id, self, default);
    }
}

impl Field for bool {
    fn read<S: OptionsSource>(source: &S, id: u16, default: Self) -> Result<Self, S::Error> {
        Ok(source.byte(id)?.map_or(default, |byte| byte != 0))
    }

    fn write<K: OptionsSink>(self, sink: &mut K, id: u16, default: Self) {
        sink.byte(id, i8::from(self), i8::from(default));
    }
}

impl Field for IntList {
    fn read<S: OptionsSource>(source: &S, id: u16, default: Self) -> Result<Self, S::Error> {
        Ok(source.ints(id)?.unwrap_or(default))
    }

    fn write<K: OptionsSink>(self, sink: &mut K, id: u16, _default: Self) {
        sink.ints(id, self.as_slice());
    }
}

/// Enumerations are stored as a byte.
macro_rules! byte_field {
    ($($name:ty $({ $($extra:tt)* })?),+) => {$(
        impl Field for $name {
            fn read<S: OptionsSource>(source: &S, id: u16, default: Self) -> Result<Self, S::Error> {
                match source.byte(id)? {
                    Some(code) => {
                        Self::from_code(code).ok_or_else(|| source.unknown_value(id, code))
                    }
                    None => Ok(default),
                }
            }

            fn write<K: OptionsSink>(self, sink: &mut K, id: u16, default: Self) {
                sink.byte(id, self.code(), default.code());
            }

            $($($extra)*)?
        }
    )+};
}

byte_field!(
    Padding,
    ElementType,
    WeightsFormat,
    Activation {
        fn as_activation(&mut self) -> Option<&mut Activation> {
            Some(self)
        }
    }
);

/// Option structs: `Name = union number { field: type = id, default }`.
macro_rules! options {
    ($(
        $(#[$meta:meta])*
        $name:ident = $table:literal $table_name:literal {
            $($(#[$fmeta:meta])* $field:ident: $type:ty = $id:literal, $default:expr;)*
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name {
            $($(#[$fmeta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Options for $name {
            const TABLE: u8 = $table;
            const TABLE_NAME: &'static str = $table_name;

            fn read<S: OptionsSource>(source: &S) -> Result<Self, S::Error> {
                let _ = source;
                Ok(Self { $($field: <$type as Field>::read(source, $id, $default)?,)* })
            }

            fn write<K: OptionsSink>(&self, sink: &mut K) {
                let _ = sink;
                $(self.$field.write(sink, $id, $default);)*
            }

            fn activation(&self) -> Option<Activation> {
                let mut options = *self;
                options.activation_mut().copied()
            }

            fn activation_mut(&mut self) -> Option<&mut Activation> {
                $(if let Some(activation) = self.$field.as_activation() {
                    return Some(activation);
                })*
                None
            }
        }
    )+};
}

options! {
    /// An operator without options.
    NoOptions = 0 "" {}

    /// Options of CONV_2D.
    Conv2DOptions = 1 "Conv2DOptions" {
        /// Border treatment.
        padding: Padding = 0, Padding::Same;
        /// Step along the width.
        stride_w: i32 = 1, 0;
        /// Step along the height.
        stride_h: i32 = 2, 0;
        /// Activation of the result.
        activation: Activation = 3, Activation::None;
        /// Distance of neighbouring taps along the width.
        dilation_w: i32 = 4, 1;
        /// Distance of neighbouring taps along the height.
        dilation_h: i32 = 5, 1;
        /// Element type of the bias in a quantised model, FLOAT32 where unsaid.
        quantized_bias_type: ElementType = 6, ElementType::Float32;
    }

    /// Options of DEPTHWISE_CONV_2D.
    DepthwiseConv2DOptions = 2 "DepthwiseConv2DOptions" {
        /// Border treatment.
        padding: Padding = 0, Padding::Same;
        /// Step along the width.
        stride_w: i32 = 1, 0;
        /// Step along the height.
        stride_h: i32 = 2, 0;
        /// Output channels per input channel; runtimes take it from the shapes.
        depth_multiplier: i32 = 3, 0;
        /// Activation of the result.
        activation: Activation = 4, Activation::None;
        /// Distance of neighbouring taps along the width.
        dilation_w: i32 = 5, 1;
        /// Distance of neighbouring taps along the height.
        dilation_h: i32 = 6, 1;
    }

    /// Options of AVERAGE_POOL_2D and MAX_POOL_2D.
    Pool2DOptions = 5 "Pool2DOptions" {
        /// Border treatment.
        padding: Padding = 0, Padding::Same;
        /// Step along the width.
        stride_w: i32 = 1, 0;
        /// Step along the height.
        stride_h: i32 = 2, 0;
        /// Width of the window.
        filter_w: i32 = 3, 0;
        /// Height of the window.
        filter_h: i32 = 4, 0;
        /// Activation of the result.
        activation: Activation = 5, Activation::None;
    }

    /// Options of FULLY_CONNECTED.
    FullyConnectedOptions = 8 "FullyConnectedOptions" {
        /// Activation of the result.
        activation: Activation = 0, Activation::None;
        /// Layout of the weights.
        weights_format: WeightsFormat = 1, WeightsFormat::Default;
        /// Whether the result keeps the leading dimensions of the input.
        keep_num_dims: bool = 2, false;
        /// Whether a hybrid kernel quantises its input asymmetrically.
        asymmetric_quantize_inputs: bool = 3, false;
        /// Element type of the bias in a quantised model, FLOAT32 where unsaid.
        quantized_bias_type: ElementType = 4, ElementType::Float32;
    }

    /// Options of SOFTMAX.
    SoftmaxOptions = 9 "SoftmaxOptions" {
        /// Factor of the logits.
        beta: f32 = 0, 0.0;
    }

    /// Options of CONCATENATION.
    ConcatenationOptions = 10 "ConcatenationOptions" {
        /// The axis along which the inputs are joined, negative from the end.
        axis: i32 = 0, 0;
        /// Activation of the result.
        activation: Activation = 1, Activation::None;
    }

    /// Options of ADD.
    AddOptions = 11 "AddOptions" {
        /// Activation of the result.
        activation: Activation = 0, Activation::None;
        /// Whether INT16 scales are powers of two.
        pot_scale_int16: bool = 1, true;
    }

    /// Options of RESHAPE.
    ReshapeOptions = 17 "ReshapeOptions" {
        /// The shape asked for, where no second input gives it; -1 stands for what is left.
        new_shape: IntList = 0, IntList::default();
    }

    /// Options of MUL.
    MulOptions = 21 "MulOptions" {
        /// Activation of the result.
        activation: Activation = 0, Activation::None;
    }

    /// Options of PAD: none, its paddings are an input.
    PadOptions = 22 "PadOptions" {}

    /// Options of MEAN and the other reductions.
    ReducerOptions = 27 "ReducerOptions" {
        /// Whether reduced axes stay as ones.
        keep_dims: bool = 0, false;
    }

    /// Options of SQUEEZE.
    SqueezeOptions = 30 "SqueezeOptions" {
        /// The axes to drop, each of size 1; every such axis when empty.
        squeeze_dims: IntList = 0, IntList::default();
    }

    /// Options of DEQUANTIZE: none.
    DequantizeOptions = 38 "DequantizeOptions" {}

    /// Options of EXPAND_DIMS: none, its axis is an input.
    ExpandDimsOptions = 52 "ExpandDimsOptions" {}

    /// Options of QUANTIZE: none.
    QuantizeOptions = 89 "QuantizeOptions" {}
}

/// Options of batch normalisation, which exists during training only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormOptions {
    /// Added to the variance before its root is taken.
    pub epsilon: f32,
    /// Weight of the past in the running mean and variance.
    pub momentum: f32,
}

impl Default for BatchNormOptions {
    fn default() -> Self {
        Self {
            epsilon: 1e-3,
            momentum: 0.99,
        }
    }
}

impl Options for BatchNormOptions {
    const TABLE: u8 = 0;
    const TABLE_NAME: &'static str = "";

    fn read<S: OptionsSource>(_source: &S) -> Result<Self, S::Error> {
        Ok(Self::default())
    }

    fn write<K: OptionsSink>(&self, _sink: &mut K) {}

    fn activation(&self) -> Option<Activation> {
        None
    }

    fn activation_mut(&mut self) -> Option<&mut Activation> {
        None
    }
}
