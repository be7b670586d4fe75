//! What a kernel may ask of the node it prepares: its operator, shapes, types, quantisation and constants.

use larun_ops::{ElementType, IntList, Op, Operands, Shape};

/// One node of a model, as the interpreter or the code generator shows it to a kernel.
pub trait NodeView {
    /// The operator with its options.
    fn op(&self) -> &Op;

    /// The number of inputs, absent ones included.
    fn input_count(&self) -> usize;

    /// The number of outputs.
    fn output_count(&self) -> usize;

    /// Input `index`, or `None` where there is none (an optional operand that is left out, or an index past the end).
    fn input(&self, index: usize) -> Option<TensorInfo<'_>>;

    /// Output `index`, or `None` past the end.
    fn output(&self, index: usize) -> Option<TensorInfo<'_>>;

    /// The tensor that describes value `index` inside the node, which has no memory, or `None` where the model does not
    /// say. LSTM has the scales of its gates there.
    fn intermediate(&self, index: usize) -> Option<TensorInfo<'_>> {
        let _ = index;
        None
    }

    /// How many inputs and outputs a subgraph has, or `None` where there is no such subgraph.
    fn subgraph_ports(&self, subgraph: u32) -> Option<[usize; 2]> {
        let _ = subgraph;
        None
    }

    /// Input `index` of a subgraph.
    fn subgraph_input(&self, subgraph: u32, index: usize) -> Option<TensorInfo<'_>> {
        let _ = (subgraph, index);
        None
    }

    /// Output `index` of a subgraph.
    fn subgraph_output(&self, subgraph: u32, index: usize) -> Option<TensorInfo<'_>> {
        let _ = (subgraph, index);
        None
    }
}

/// A tensor as the model describes it.
#[derive(Clone, Copy, Debug)]
pub struct TensorInfo<'m> {
    /// What one element is.
    pub element_type: ElementType,
    /// The dimensions, outermost first.
    pub shape: Shape,
    /// How integers stand for real numbers.
    pub quantization: QuantizationView<'m>,
    /// The bytes of a constant, little-endian, or `None` for a value computed at run time.
    pub constant: Option<&'m [u8]>,
    /// Whether the value is kept from one inference to the next.
    pub is_variable: bool,
}

impl TensorInfo<'_> {
    /// The number of bytes, or `None` where elements have no fixed size or the product overflows. A handle of a resource
    /// variable has four.
    pub fn byte_len(&self) -> Option<usize> {
        let elements = self.shape.elements()?;
        match self.element_type {
            ElementType::Resource => elements.checked_mul(size_of::<u32>()),
            element_type => element_type.byte_len(elements),
        }
    }

    /// Four bytes of elements that stand for the real number 0, the zero point of integers: what a variable begins with.
    pub fn zeros(&self) -> u32 {
        let zero_point = self.quantization.zero_point(0).unwrap_or(0) as u32;
        match self.element_type {
            ElementType::Int4 | ElementType::UInt4 => (zero_point & 0xF).wrapping_mul(0x1111_1111),
            ElementType::Int8 | ElementType::UInt8 => (zero_point & 0xFF).wrapping_mul(0x0101_0101),
            ElementType::Int16 | ElementType::UInt16 => {
                (zero_point & 0xFFFF).wrapping_mul(0x0001_0001)
            }
            ElementType::Int32 | ElementType::UInt32 => zero_point,
            _ => 0,
        }
    }

    /// The values of a constant INT32 or INT64 tensor; `None` for another, or when a value does not fit an `i32` or
    /// there are more than an [`IntList`] holds.
    #[inline(never)]
    pub fn ints(&self) -> Option<IntList> {
        let words = match self.element_type {
            ElementType::Int32 => 1,
            ElementType::Int64 => 2,
            _ => return None,
        };
        let bytes = self.constant?.get(..self.byte_len()?)?;
        let mut list = IntList::default();
        let mut numbers = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| i32::from_le_bytes(*word));
        while let Some(low) = numbers.next() {
            // The upper half of a number that fits is the sign of the lower one.
            if words == 2 && numbers.next() != Some(low >> 31) {
                return None;
            }
            list.push(low)?;
        }
        Some(list)
    }
}

/// Scales and zero points where they lie in the file: little-endian, at any alignment.
///
/// Empty for a tensor that is not quantised, one entry for per-tensor parameters, one a channel for per-channel ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuantizationView<'m> {
    scales: &'m [u8],
    zero_points: &'m [u8],
    axis: usize,
}

impl<'m> QuantizationView<'m> {
    /// Not quantised.
    pub const NONE: Self = Self {
        scales: &[],
        zero_points: &[],
        axis: 0,
    };

    /// Views the bytes of the format's `scale` (little-endian `f32`) and `zero_point` (little-endian `i64`) vectors and
    /// its `quantized_dimension`. A missing zero point counts as 0, as in the file format.
    pub const fn new(scales: &'m [u8], zero_points: &'m [u8], axis: usize) -> Self {
        Self {
            scales,
            zero_points,
            axis,
        }
    }

    /// The number of scales: 0 unquantised, 1 per tensor, more per channel.
    pub const fn channels(&self) -> usize {
        self.scales.len() / 4
    }

    /// The axis along which channels lie.
    pub const fn axis(&self) -> usize {
        self.axis
    }

    /// The scale of channel `index`.
    pub fn scale(&self, index: usize) -> Option<f32> {
        let at = index.checked_mul(4)?;
        let bytes = self.scales.get(at..at.checked_add(4)?)?;
        bytes.try_into().ok().map(f32::from_le_bytes)
    }

    /// The zero point of channel `index`: 0 where the vector is empty, the one value where it has a single one.
    pub fn zero_point(&self, index: usize) -> Option<i64> {
        let index = match self.zero_points.len() / 8 {
            0 => return (index < self.channels()).then_some(0),
            1 => 0,
            _ => index,
        };
        let at = index.checked_mul(8)?;
        let bytes = self.zero_points.get(at..at.checked_add(8)?)?;
        bytes.try_into().ok().map(i64::from_le_bytes)
    }
}

/// A node as the shape rules see it.
pub(crate) struct ShapeView<'n>(pub(crate) &'n dyn NodeView);

impl Operands for ShapeView<'_> {
    fn count(&self) -> usize {
        self.0.input_count()
    }

    fn shape(&self, index: usize) -> Option<Shape> {
        self.0.input(index).map(|tensor| tensor.shape)
    }

    #[inline(never)]
    fn ints(&self, index: usize) -> Option<IntList> {
        match &self.0.input(index) {
            Some(tensor) => tensor.ints(),
            None => None,
        }
    }
}
