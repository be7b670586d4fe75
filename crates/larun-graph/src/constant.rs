//! Constants as numbers: typed reading and writing of buffers.

use larun_ops::{ElementType, IntList};
use ndarray::{ArrayD, IxDyn};

use crate::error::{GraphError, Place};
use crate::graph::{Graph, Subgraph, Tensor};
use crate::ids::{BufferId, TensorId};

/// A Rust type that is the element of a tensor.
pub trait Element: Copy + 'static {
    /// The element type it stands for.
    const TYPE: ElementType;

    /// Reads one element from its little-endian bytes; `None` when there are not enough.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;

    /// Appends the element's little-endian bytes.
    fn push_bytes(self, bytes: &mut Vec<u8>);
}

macro_rules! element {
    ($($type:ty = $element:ident),+ $(,)?) => {$(
        impl Element for $type {
            const TYPE: ElementType = ElementType::$element;

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }

            fn push_bytes(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        }
    )+};
}

element!(
    f32 = Float32,
    f64 = Float64,
    i8 = Int8,
    u8 = UInt8,
    i16 = Int16,
    u16 = UInt16,
    i32 = Int32,
    u32 = UInt32,
    i64 = Int64,
    u64 = UInt64,
);

/// The little-endian bytes of values.
fn to_bytes<T: Element>(values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(values));
    for &value in values {
        value.push_bytes(&mut bytes);
    }
    bytes
}

impl Graph {
    /// The values of a constant of subgraph 0, in the order of its elements.
    ///
    /// # Errors
    /// When the tensor does not exist, is no constant, has other elements, or its buffer does not
    /// hold exactly as many bytes as its shape asks for.
    pub fn values<T: Element>(&self, id: TensorId) -> Result<Vec<T>, GraphError> {
        let subgraph = self.main().ok_or(GraphError::NoSubgraph)?;
        self.values_of(subgraph, id)
    }

    /// The values of a constant of any subgraph.
    ///
    /// # Errors
    /// As [`Graph::values`].
    pub fn values_of<T: Element>(
        &self,
        subgraph: &Subgraph,
        id: TensorId,
    ) -> Result<Vec<T>, GraphError> {
        let place = || Place::tensor(subgraph, id);
        let tensor = subgraph
            .tensor(id)
            .ok_or_else(|| GraphError::NoSuchTensor { place: place() })?;
        if tensor.element_type != T::TYPE {
            return Err(GraphError::ElementType {
                place: place(),
                expected: T::TYPE,
                found: tensor.element_type,
            });
        }
        let bytes = self.data(tensor);
        if bytes.is_empty() || Some(bytes.len()) != tensor.byte_len() {
            return Err(GraphError::ConstantSize {
                place: place(),
                expected: tensor.byte_len(),
                found: bytes.len(),
            });
        }
        Ok(bytes
            .chunks_exact(size_of::<T>())
            .filter_map(T::from_bytes)
            .collect())
    }

    /// The values of a constant of subgraph 0 as an array of its shape.
    ///
    /// # Errors
    /// As [`Graph::values`].
    pub fn array<T: Element>(&self, id: TensorId) -> Result<ArrayD<T>, GraphError> {
        let subgraph = self.main().ok_or(GraphError::NoSubgraph)?;
        let values = self.values_of(subgraph, id)?;
        let dims = subgraph.tensor(id).map_or(&[][..], |t| t.shape.dims());
        ArrayD::from_shape_vec(IxDyn(dims), values).map_err(|_| GraphError::ConstantSize {
            place: Place::tensor(subgraph, id),
            expected: None,
            found: 0,
        })
    }

    /// Replaces the values of a constant of subgraph 0 in a buffer of its own; the element type
    /// becomes that of the values.
    ///
    /// # Errors
    /// When the tensor does not exist or its shape has another number of elements.
    pub fn set_values<T: Element>(&mut self, id: TensorId, values: &[T]) -> Result<(), GraphError> {
        let subgraph = self.main().ok_or(GraphError::NoSubgraph)?;
        let place = Place::tensor(subgraph, id);
        let tensor = subgraph
            .tensor(id)
            .ok_or_else(|| GraphError::NoSuchTensor {
                place: place.clone(),
            })?;
        if tensor.shape.elements() != Some(values.len()) {
            return Err(GraphError::ConstantSize {
                place,
                expected: tensor.shape.elements(),
                found: values.len(),
            });
        }
        let buffer = self.own_buffer(tensor.buffer, to_bytes(values));
        if let Some(tensor) = self.main_mut().and_then(|s| s.tensor_mut(id)) {
            tensor.buffer = buffer;
            tensor.element_type = T::TYPE;
        }
        Ok(())
    }

    /// Puts bytes into `buffer` where only one tensor uses it, else into a new one.
    fn own_buffer(&mut self, buffer: BufferId, data: Vec<u8>) -> BufferId {
        let users = self
            .subgraphs
            .iter()
            .flat_map(|s| &s.tensors)
            .filter(|t| t.buffer == buffer)
            .count();
        match self.buffers.get_mut(buffer.index()) {
            Some(slot) if users == 1 && buffer.index() > 0 => {
                slot.data = data;
                buffer
            }
            _ => self.add_buffer(data),
        }
    }

    /// Adds a constant to subgraph 0.
    pub(crate) fn add_constant<T: Element>(&mut self, mut tensor: Tensor, values: &[T]) -> Tensor {
        tensor.element_type = T::TYPE;
        tensor.buffer = self.add_buffer(to_bytes(values));
        tensor
    }

    /// The integers of a constant (INT32 or INT64 values that fit 32 bits), where it is short.
    pub(crate) fn int_list(&self, tensor: &Tensor) -> Option<IntList> {
        let bytes = self.data(tensor);
        if bytes.is_empty() || tensor.byte_len() != Some(bytes.len()) {
            return None;
        }
        let mut list = IntList::default();
        match tensor.element_type {
            ElementType::Int32 => {
                for chunk in bytes.chunks_exact(4) {
                    list.push(i32::from_bytes(chunk)?)?;
                }
            }
            ElementType::Int64 => {
                for chunk in bytes.chunks_exact(8) {
                    list.push(i32::try_from(i64::from_bytes(chunk)?).ok()?)?;
                }
            }
            _ => return None,
        }
        Some(list)
    }
}
