//! Quantisation parameters and sparsity of a tensor, as the file format holds them.

use larun_quant::affine::Affine;

/// `real = scale * (quantised - zero_point)`, per tensor or per channel along an axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantization {
    /// One scale, or one for each index along `axis`.
    pub scale: Vec<f32>,
    /// One zero point, or as many as scales.
    pub zero_point: Vec<i64>,
    /// Smallest real value seen, informative only.
    pub min: Vec<f32>,
    /// Largest real value seen, informative only.
    pub max: Vec<f32>,
    /// The axis of the channels where there are several scales.
    pub axis: i32,
    /// Schemes beyond one affine map.
    pub details: Option<QuantizationDetails>,
}

impl Quantization {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(parameters: Affine) -> Self {
        Self {
            scale: vec![parameters.scale],
            zero_point: vec![i64::from(parameters.zero_point)],
            ..Self::default()
        }
    }

    /// Symmetric parameters, one scale for each index along `axis`.
    pub fn per_channel(scale: Vec<f32>, axis: i32) -> Self {
        Self {
            zero_point: vec![0; scale.len()],
            scale,
            axis,
            ..Self::default()
        }
    }

    /// The parameters where there is exactly one set of them that fits 32 bits.
    pub fn as_per_tensor(&self) -> Option<Affine> {
        let (&[scale], zero_point) = (self.scale.as_slice(), self.zero_point.first()) else {
            return None;
        };
        let zero_point = zero_point.map_or(Ok(0), |&z| i32::try_from(z)).ok()?;
        Some(Affine { scale, zero_point })
    }

    /// Whether the parameters say nothing that computes: a range at most.
    pub fn is_trivial(&self) -> bool {
        self.scale.is_empty() && self.details.is_none()
    }
}

/// Quantisation schemes beyond one affine map.
#[derive(Clone, Debug, PartialEq)]
pub enum QuantizationDetails {
    /// Bytes of a scheme that only its author knows.
    Custom(Vec<u8>),
    /// One scale for each block of elements along the innermost axis.
    Blockwise {
        /// Index of the tensor that holds the scales.
        scales: i32,
        /// Index of the tensor that holds the zero points, -1 where they are all zero.
        zero_points: i32,
        /// Elements in a block.
        block_size: i32,
    },
    /// A scheme that this crate does not model: the option table as a flatbuffer of its own.
    Opaque {
        /// Its number in the format's union.
        kind: u8,
        /// The table.
        table: Vec<u8>,
    },
}

/// A sparse constant in TACO's terms: which dimensions are dense and which compressed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sparsity {
    /// The order in which dimensions, then block dimensions, are stored.
    pub traversal_order: Vec<i32>,
    /// The dimension that each block dimension divides.
    pub block_map: Vec<i32>,
    /// One entry for each stored dimension.
    pub dimensions: Vec<DimensionMetadata>,
}

/// How one stored dimension of a sparse constant is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct DimensionMetadata {
    /// Dense or compressed.
    pub format: DimensionFormat,
    /// The size of a dense dimension.
    pub dense_size: i32,
    /// Segments of a compressed dimension: the option table's number and the values.
    pub segments: Option<(u8, Vec<i32>)>,
    /// Indices of a compressed dimension: the option table's number and the values.
    pub indices: Option<(u8, Vec<i32>)>,
}

/// The storage of one dimension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DimensionFormat {
    /// Every index is stored.
    #[default]
    Dense,
    /// Segments and indices say which are.
    SparseCsr,
}
