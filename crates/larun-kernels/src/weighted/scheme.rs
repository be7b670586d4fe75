//! The arithmetic that a layer with weights was prepared for.

use crate::plan::{Record, record};
use crate::types::{FLOAT32, MIXED};
use crate::{InvokeError, PlanReader, PlanWriter};

/// The types of a layer's operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scheme {
    /// INT8 throughout, with an INT32 bias.
    Int8,
    /// FLOAT32 throughout.
    Float32,
    /// Integer weights otherwise.
    Mixed(Mixed),
}

impl Scheme {
    /// The same, where the compiler knows that no other is linked.
    pub(crate) const fn linked(self) -> Self {
        match MIXED {
            true => self,
            false => Self::Int8,
        }
    }

    /// The same without a special case for INT8 throughout; `None` where the weights are real.
    pub(crate) fn integer_weights(&self) -> Option<Mixed> {
        match self {
            Self::Int8 => Some(Mixed {
                values: Values::Int8,
                finish: Finish::Narrow,
                bias: BiasType::Int32,
                nibbles: false,
            }),
            Self::Float32 => None,
            Self::Mixed(mixed) => Some(*mixed),
        }
    }

    /// Whether some rows of the output can be computed without the others: not where the whole input is quantised first.
    #[cfg(feature = "processors")]
    pub(crate) const fn takes_rows(&self) -> bool {
        !matches!(
            self,
            Self::Mixed(Mixed {
                values: Values::Float32,
                ..
            })
        )
    }

    /// Whether sums become outputs in fixed point.
    pub(crate) fn is_fixed_point(&self) -> bool {
        match self {
            Self::Int8 => true,
            Self::Float32 => false,
            Self::Mixed(mixed) => matches!(mixed.finish, Finish::Narrow | Finish::Wide),
        }
    }
}

impl Record for Scheme {
    fn write(&self, plan: &mut PlanWriter<'_>) {
        // Where a type is left out, no layer has it.
        match self {
            Self::Float32 if FLOAT32 => plan.push_u32(1),
            Self::Mixed(mixed) if MIXED => {
                plan.push_u32(2);
                mixed.write(plan);
            }
            _ => plan.push_u32(0),
        }
    }

    fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
        match plan.read_u32()? {
            0 => Ok(Self::Int8),
            1 if FLOAT32 => Ok(Self::Float32),
            2 if MIXED => Mixed::read(plan).map(Self::Mixed),
            _ => Err(InvokeError::Plan),
        }
    }
}

record! {
    /// A layer whose weights are INT8, or INT4 with two in a byte.
    pub(crate) struct Mixed {
        pub(crate) values: Values,
        pub(crate) finish: Finish,
        pub(crate) bias: BiasType,
        /// Whether the weights are INT4.
        pub(crate) nibbles: bool,
    }
}

/// Declares an enum that goes to a plan by its number.
macro_rules! numbered {
    ($(#[$meta:meta])* enum $name:ident { $($(#[$vmeta:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$vmeta])* $variant,)*
        }

        impl Record for $name {
            fn write(&self, plan: &mut PlanWriter<'_>) {
                plan.push_u32(*self as u32);
            }

            fn read(plan: &mut PlanReader<'_>) -> Result<Self, InvokeError> {
                let found = plan.read_u32()?;
                let all = [$(Self::$variant),*];
                let at = usize::try_from(found).map_err(|_| InvokeError::Plan)?;
                all.get(at).copied().ok_or(InvokeError::Plan)
            }
        }
    };
}

numbered! {
    /// The type of input and output.
    enum Values {
        Int8,
        Int16,
        Float32,
    }
}

numbered! {
    /// How a sum becomes an output.
    enum Finish {
        /// In fixed point, from sums that wrap at 32 bits.
        Narrow,
        /// In fixed point, from sums of 64 bits.
        Wide,
        /// In double precision.
        Exact,
        /// As a real number; the input is quantised symmetrically while the layer runs.
        Symmetric,
        /// As a real number; the input is quantised asymmetrically while the layer runs.
        Asymmetric,
    }
}

numbered! {
    /// The type of the bias, where there is one.
    enum BiasType {
        Int16,
        Int32,
        Int64,
        Float32,
    }
}
