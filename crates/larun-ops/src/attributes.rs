//! Small enumerations that operator options share, with their numbers in the file format.

/// An enumeration whose variants have fixed numbers in a `.tflite` file.
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(i8)]
        pub enum $name {
            $($(#[$vmeta])* $variant = $code,)+
        }

        impl $name {
            /// Every variant, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The number in the file.
            pub const fn code(self) -> i8 {
                self as i8
            }

            /// The variant of a number, or `None` for one that the format does not define.
            pub const fn from_code(code: i8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use wire_enum;

wire_enum! {
    /// How a sliding window treats the border of its input.
    Padding {
        /// Zeros are added so that every input position is covered: `out = ceil(in / stride)`.
        #[default]
        Same = 0,
        /// The window never leaves the input.
        Valid = 1,
    }
}

wire_enum! {
    /// The activation that an operator applies to its own result.
    Activation {
        /// The result as it is.
        #[default]
        None = 0,
        /// `max(x, 0)`.
        Relu = 1,
        /// `min(max(x, -1), 1)`.
        ReluN1To1 = 2,
        /// `min(max(x, 0), 6)`.
        Relu6 = 3,
        /// Hyperbolic tangent.
        Tanh = 4,
        /// The sign as a bit; no runtime implements it.
        SignBit = 5,
    }
}

wire_enum! {
    /// How MIRROR_PAD treats the border.
    MirrorPadMode {
        /// The border element is not repeated.
        #[default]
        Reflect = 0,
        /// The border element is repeated.
        Symmetric = 1,
    }
}

impl Activation {
    /// The interval `(low, high)` of real values that the activation clamps to, an open end being
    /// infinite, or `None` for an activation that is not a clamp.
    pub const fn clamp_range(self) -> Option<(f32, f32)> {
        match self {
            Self::None => Some((f32::NEG_INFINITY, f32::INFINITY)),
            Self::Relu => Some((0.0, f32::INFINITY)),
            Self::ReluN1To1 => Some((-1.0, 1.0)),
            Self::Relu6 => Some((0.0, 6.0)),
            Self::Tanh | Self::SignBit => None,
        }
    }
}

wire_enum! {
    /// How the weights of FULLY_CONNECTED are laid out.
    WeightsFormat {
        /// Rows of `[units, inputs]`.
        #[default]
        Default = 0,
        /// Shuffled in blocks of 4 x 16, a layout of LiteRT's INT16 kernels alone.
        Shuffled4x16Int8 = 1,
    }
}
