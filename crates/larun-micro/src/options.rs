//! What a program may choose when it loads a model.

use larun_kernels::{Processor, Rounding};

/// Choices for loading and running a model. The defaults are those of TensorFlow Lite for Microcontrollers.
///
/// ```
/// use larun_micro::Options;
///
/// let options = Options { max_calls: 1000, ..Options::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How requantised values are rounded. Only with the feature `roundings` has a choice effect.
    pub rounding: Rounding,
    /// How many subgraphs IF, WHILE and CALL_ONCE may run in one inference, so that a loop without end is an error
    /// ([`RunError::TooManyCalls`](crate::RunError::TooManyCalls)). Every turn of a WHILE runs two.
    pub max_calls: u32,
    /// Whether dense layers read weights as TFLM_DECODE keeps them encoded, multiplying while they are decoded, where that
    /// decodes no weight twice: the decoded weights then take no memory of the arena. TFLM_DECODE runs these layers, and its
    /// output stays empty; without, it can be looked at. The results are the same bytes. Needs the feature `encoded`.
    pub reads_encoded: bool,
    /// Whose kernels the model is prepared for. Only with the feature `processors`, and only for
    /// [`host::Prepared`](crate::host::Prepared), has a choice other than the program's own a use.
    pub processor: Processor,
}

impl Options {
    /// The default choices.
    pub const DEFAULT: Self = Self {
        rounding: Rounding::TflmDouble,
        max_calls: 1 << 20,
        reads_encoded: true,
        processor: Processor::Own,
    };
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}
