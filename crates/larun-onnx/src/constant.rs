//! Constants: read from the file, computed while importing, and written into the graph.

use std::path::Path;

use ndarray::{ArrayD, IxDyn};

use crate::error::{OnnxError, Refusal};
use crate::proto::TensorProto;

/// The most elements of a constant that is computed and not stored: shape arithmetic needs few, and a file of a few bytes
/// shall not ask for gigabytes.
const MAX_COMPUTED: usize = 1 << 22;

/// A constant: real numbers, or integers (truth values are 0 and 1).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constant {
    Float(ArrayD<f32>),
    Int(ArrayD<i64>),
}

impl Constant {
    /// Floats of a shape; `None` where the shape has another number of elements.
    pub(crate) fn floats(dims: &[usize], values: Vec<f32>) -> Option<Self> {
        Some(Self::Float(
            ArrayD::from_shape_vec(IxDyn(dims), values).ok()?,
        ))
    }

    /// Integers of a shape; `None` where the shape has another number of elements.
    pub(crate) fn ints(dims: &[usize], values: Vec<i64>) -> Option<Self> {
        Some(Self::Int(ArrayD::from_shape_vec(IxDyn(dims), values).ok()?))
    }

    /// A list of integers.
    pub(crate) fn list(values: impl IntoIterator<Item = usize>) -> Self {
        let values: Vec<i64> = values.into_iter().map(|v| v as i64).collect();
        Self::Int(ArrayD::from_shape_vec(IxDyn(&[values.len()]), values).unwrap_or_default())
    }

    pub(crate) fn dims(&self) -> &[usize] {
        match self {
            Self::Float(array) => array.shape(),
            Self::Int(array) => array.shape(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.dims().iter().product()
    }

    /// The values as real numbers.
    pub(crate) fn to_floats(&self) -> ArrayD<f32> {
        match self {
            Self::Float(array) => array.clone(),
            Self::Int(array) => array.mapv(|v| v as f32),
        }
    }

    /// The integers, in order of the elements.
    pub(crate) fn to_ints(&self) -> Result<Vec<i64>, Refusal> {
        match self {
            Self::Int(array) => Ok(array.iter().copied().collect()),
            Self::Float(_) => Err("integers are expected, real numbers are given".to_owned()),
        }
    }

    /// The single value, where there is one.
    pub(crate) fn scalar(&self) -> Option<f32> {
        match self {
            Self::Float(array) if array.len() == 1 => array.first().copied(),
            Self::Int(array) if array.len() == 1 => array.first().map(|&v| v as f32),
            _ => None,
        }
    }

    /// The same elements under another shape.
    pub(crate) fn reshaped(&self, dims: &[usize]) -> Result<Self, Refusal> {
        let error = |_| {
            format!(
                "a constant of shape {:?} cannot take the shape {dims:?}",
                self.dims()
            )
        };
        match self {
            Self::Float(array) => {
                let array = array.as_standard_layout().into_owned();
                Ok(Self::Float(
                    array.into_shape_with_order(IxDyn(dims)).map_err(error)?,
                ))
            }
            Self::Int(array) => {
                let array = array.as_standard_layout().into_owned();
                Ok(Self::Int(
                    array.into_shape_with_order(IxDyn(dims)).map_err(error)?,
                ))
            }
        }
    }

    /// Axis `i` of the result is axis `permutation[i]`.
    pub(crate) fn transposed(&self, permutation: &[usize]) -> Result<Self, Refusal> {
        let mut sorted = permutation.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..self.dims().len()) {
            return Err(format!(
                "{permutation:?} is no order of the axes of {:?}",
                self.dims()
            ));
        }
        Ok(match self {
            Self::Float(array) => Self::Float(
                array
                    .view()
                    .permuted_axes(permutation)
                    .as_standard_layout()
                    .into_owned(),
            ),
            Self::Int(array) => Self::Int(
                array
                    .view()
                    .permuted_axes(permutation)
                    .as_standard_layout()
                    .into_owned(),
            ),
        })
    }

    /// The elements stretched to a shape, as element-wise operators do.
    pub(crate) fn broadcast(&self, dims: &[usize]) -> Result<Self, Refusal> {
        check_size(dims)?;
        let error = || {
            format!(
                "a constant of shape {:?} does not stretch to {dims:?}",
                self.dims()
            )
        };
        Ok(match self {
            Self::Float(array) => {
                Self::Float(array.broadcast(IxDyn(dims)).ok_or_else(error)?.to_owned())
            }
            Self::Int(array) => {
                Self::Int(array.broadcast(IxDyn(dims)).ok_or_else(error)?.to_owned())
            }
        })
    }
}

/// The shape that both stretch to.
pub(crate) fn stretched(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Refusal> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], axis: usize| {
        (axis + dims.len())
            .checked_sub(rank)
            .and_then(|i| dims.get(i).copied())
            .unwrap_or(1)
    };
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (a, b) if a == b || b == 1 => Ok(a),
            (1, b) => Ok(b),
            _ => Err(format!(
                "operands of shapes {a:?} and {b:?} do not go together"
            )),
        })
        .collect()
}

/// Refuses what shape arithmetic has no need of.
pub(crate) fn check_size(dims: &[usize]) -> Result<(), Refusal> {
    let elements = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    match elements {
        Some(elements) if elements <= MAX_COMPUTED => Ok(()),
        _ => Err(format!(
            "a computed constant of shape {dims:?} is too large: {MAX_COMPUTED} elements at most"
        )),
    }
}

/// Numbers of the element types in `onnx.proto`.
mod data_type {
    pub(super) const FLOAT: i32 = 1;
    pub(super) const UINT8: i32 = 2;
    pub(super) const INT8: i32 = 3;
    pub(super) const UINT16: i32 = 4;
    pub(super) const INT16: i32 = 5;
    pub(super) const INT32: i32 = 6;
    pub(super) const INT64: i32 = 7;
    pub(super) const BOOL: i32 = 9;
    pub(super) const FLOAT16: i32 = 10;
    pub(super) const DOUBLE: i32 = 11;
    pub(super) const UINT32: i32 = 12;
    pub(super) const UINT64: i32 = 13;
    pub(super) const BFLOAT16: i32 = 16;
}

/// Reads a constant of the file; `folder` is where files of external data lie.
pub(crate) fn read(tensor: &TensorProto, folder: Option<&Path>) -> Result<Constant, OnnxError> {
    let name = tensor.name.clone().unwrap_or_default();
    let error = |reason: String| OnnxError::Constant {
        name: name.clone(),
        reason,
    };
    let dims = tensor
        .dims
        .iter()
        .map(|&d| usize::try_from(d).ok())
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| error(format!("a dimension of {:?} is negative", tensor.dims)))?;
    let external;
    let raw = match &tensor.raw_data {
        Some(raw) if !raw.is_empty() => Some(raw.as_slice()),
        _ if tensor.data_location == Some(1) => {
            external = read_external(tensor, folder).map_err(error)?;
            Some(external.as_slice())
        }
        _ => None,
    };
    let constant = match raw {
        Some(raw) => from_raw(tensor.data_type.unwrap_or_default(), &dims, raw),
        None => from_fields(tensor, &dims),
    };
    constant.map_err(error)?.ok_or_else(|| {
        error(format!(
            "it does not hold as many values as its shape {dims:?} asks for"
        ))
    })
}

/// Values of one element type from their little-endian bytes.
fn from_raw(data_type: i32, dims: &[usize], raw: &[u8]) -> Result<Option<Constant>, Refusal> {
    macro_rules! ints {
        ($type:ty) => {{
            let (chunks, rest) = raw.as_chunks::<{ size_of::<$type>() }>();
            let values = chunks
                .iter()
                .map(|&bytes| <$type>::from_le_bytes(bytes) as i64)
                .collect();
            rest.is_empty()
                .then(|| Constant::ints(dims, values))
                .flatten()
        }};
    }
    macro_rules! floats {
        ($size:literal, $read:expr) => {{
            let (chunks, rest) = raw.as_chunks::<$size>();
            let values = chunks.iter().map(|&bytes| $read(bytes)).collect();
            rest.is_empty()
                .then(|| Constant::floats(dims, values))
                .flatten()
        }};
    }
    Ok(match data_type {
        data_type::FLOAT => floats!(4, f32::from_le_bytes),
        data_type::DOUBLE => floats!(8, |bytes| f64::from_le_bytes(bytes) as f32),
        data_type::FLOAT16 => floats!(2, |bytes| half::f16::from_le_bytes(bytes).to_f32()),
        data_type::BFLOAT16 => floats!(2, |bytes| half::bf16::from_le_bytes(bytes).to_f32()),
        data_type::UINT8 | data_type::BOOL => ints!(u8),
        data_type::INT8 => ints!(i8),
        data_type::UINT16 => ints!(u16),
        data_type::INT16 => ints!(i16),
        data_type::INT32 => ints!(i32),
        data_type::UINT32 => ints!(u32),
        data_type::INT64 => ints!(i64),
        data_type::UINT64 => ints!(u64),
        other => return Err(unreadable(other)),
    })
}

/// Values from the fields that the specification gives each element type.
fn from_fields(tensor: &TensorProto, dims: &[usize]) -> Result<Option<Constant>, Refusal> {
    let words = || tensor.int32_data.iter();
    let halves = |read: fn(u16) -> f32| words().map(|&word| read(word as u16)).collect();
    Ok(match tensor.data_type.unwrap_or_default() {
        data_type::FLOAT => Constant::floats(dims, tensor.float_data.clone()),
        data_type::DOUBLE => {
            Constant::floats(dims, tensor.double_data.iter().map(|&v| v as f32).collect())
        }
        data_type::FLOAT16 => {
            Constant::floats(dims, halves(|word| half::f16::from_bits(word).to_f32()))
        }
        data_type::BFLOAT16 => {
            Constant::floats(dims, halves(|word| half::bf16::from_bits(word).to_f32()))
        }
        data_type::UINT8
        | data_type::INT8
        | data_type::UINT16
        | data_type::INT16
        | data_type::INT32
        | data_type::BOOL => Constant::ints(dims, words().map(|&v| i64::from(v)).collect()),
        data_type::INT64 => Constant::ints(dims, tensor.int64_data.clone()),
        data_type::UINT32 | data_type::UINT64 => {
            Constant::ints(dims, tensor.uint64_data.iter().map(|&v| v as i64).collect())
        }
        other => return Err(unreadable(other)),
    })
}

fn unreadable(data_type: i32) -> Refusal {
    format!(
        "element type {data_type} of ONNX is not read: give real numbers or integers of 8 to 64 bits"
    )
}

/// The bytes of a constant that lies in a file of its own, beside the model's.
fn read_external(tensor: &TensorProto, folder: Option<&Path>) -> Result<Vec<u8>, Refusal> {
    let entry = |key: &str| {
        let found = tensor
            .external_data
            .iter()
            .find(|e| e.key.as_deref() == Some(key));
        found.and_then(|e| e.value.as_deref())
    };
    let location = entry("location").ok_or("its external data names no file")?;
    let folder = folder.ok_or_else(|| {
        format!(
            "its values lie in the file {location}: import the model from its path, not from bytes"
        )
    })?;
    let relative = Path::new(location);
    let inside = relative.components().all(|part| {
        matches!(
            part,
            std::path::Component::Normal(_) | std::path::Component::CurDir
        )
    });
    if !inside {
        return Err(format!(
            "its values lie in {location}, which is outside the model's folder"
        ));
    }
    let number = |key: &str| {
        entry(key)
            .map(|v| {
                v.parse::<usize>()
                    .map_err(|e| format!("its external data's {key}: {e}"))
            })
            .transpose()
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    let bytes =
        std::fs::read(folder.join(relative)).map_err(|e| format!("its file {location}: {e}"))?;
    let end = length.map_or(Some(bytes.len()), |length| offset.checked_add(length));
    let part = end.and_then(|end| bytes.get(offset..end));
    part.map(<[u8]>::to_vec)
        .ok_or_else(|| format!("its file {location} is too short"))
}
