//! The root of a file, and what belongs to no subgraph.

use crate::{OpInfo, OpKind};

use super::Subgraph;
use super::error::{Field, ViewError, ViewErrorKind};
use super::flatbuffer::{List, Table, Tables};
use crate::view::fields::{
    buffer, external_buffer, external_buffer_group, metadata, model, operator_code, signature_def,
    tensor_map,
};

/// What bytes 4 to 8 of a file are.
pub const IDENTIFIER: &[u8; 4] = b"TFL3";

/// The version of the format that such files have.
pub const VERSION: u32 = 3;

/// A file.
///
/// Entries are asked for by number; a number past the end is an error of the kind
/// [`ViewErrorKind::NoEntry`], since such numbers come from the file itself.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    table: Table<'a>,
    /// How many there are of each.
    operator_codes: usize,
    subgraphs: usize,
    buffers: usize,
}

impl<'a> Model<'a> {
    /// Looks at the header of `file`.
    ///
    /// # Errors
    /// When the file does not begin as a `.tflite` file of version 3 does.
    pub fn new(file: &'a [u8]) -> Result<Self, ViewError> {
        let error = |kind| model::VERSION.error(kind);
        let header = file
            .first_chunk::<8>()
            .ok_or(error(ViewErrorKind::TooShort))?;
        if !header.ends_with(IDENTIFIER) {
            return Err(error(ViewErrorKind::NotTflite));
        }
        let table = Table::root(file, model::VERSION)?;
        let version = table.scalar_or(model::VERSION, 0)?;
        if version != VERSION {
            return Err(error(ViewErrorKind::Version(version)));
        }
        Ok(Self {
            table,
            operator_codes: table.count(model::OPERATOR_CODES)?,
            subgraphs: table.count(model::SUBGRAPHS)?,
            buffers: table.count(model::BUFFERS)?,
        })
    }

    /// The table itself.
    pub const fn table(&self) -> &Table<'a> {
        &self.table
    }

    /// The bytes that the view is of.
    #[inline]
    pub const fn file(&self) -> &'a [u8] {
        self.table.file()
    }

    /// What the maker of the file says of it.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn description(&self) -> Result<Option<&'a [u8]>, ViewError> {
        self.table.bytes(model::DESCRIPTION)
    }

    /// How many subgraphs there are.
    #[inline]
    pub const fn subgraph_count(&self) -> usize {
        self.subgraphs
    }

    /// Subgraph `index`; 0 is the main one.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn subgraph(&self, index: usize) -> Result<Subgraph<'a>, ViewError> {
        Subgraph::new(self.table.entry(model::SUBGRAPHS, index)?)
    }

    /// How many operator codes there are.
    #[inline]
    pub const fn operator_code_count(&self) -> usize {
        self.operator_codes
    }

    /// Operator code `index`.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn operator_code(&self, index: usize) -> Result<OperatorCode<'a>, ViewError> {
        OperatorCode::new(self.table.entry(model::OPERATOR_CODES, index)?)
    }

    /// How many buffers there are.
    #[inline]
    pub const fn buffer_count(&self) -> usize {
        self.buffers
    }

    /// The bytes of buffer `index`; buffer 0 is empty and means "no data".
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn buffer(&self, index: usize) -> Result<&'a [u8], ViewError> {
        let table = self.table.entry(model::BUFFERS, index)?;
        match table.scalar_or(buffer::OFFSET, 0u64)? {
            // Files beyond 2 GB have their constants behind the flatbuffer.
            offset @ 2.. => {
                let size = table.scalar_or(buffer::SIZE, 0)?;
                self.behind(buffer::OFFSET, offset, size)
            }
            _ => Ok(table.bytes(buffer::DATA)?.unwrap_or_default()),
        }
    }

    /// The `size` bytes at `offset` in the file, for which `field` asks.
    pub fn behind(&self, field: Field, offset: u64, size: u64) -> Result<&'a [u8], ViewError> {
        self.table.beside(field, offset, size)
    }

    /// How many pieces of metadata there are.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn metadata_count(&self) -> Result<usize, ViewError> {
        Ok(self.table.tables(model::METADATA)?.len())
    }

    /// Piece `index` of metadata.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn metadata(&self, index: usize) -> Result<Metadata<'a>, ViewError> {
        let table = self.table.tables(model::METADATA)?.get(index)?;
        Ok(Metadata {
            name: table.bytes(metadata::NAME)?,
            buffer: table.scalar_or(metadata::BUFFER, 0)?,
        })
    }

    /// The bytes of the first metadata of this name, such as `OfflineMemoryAllocation`.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn find_metadata(&self, name: &[u8]) -> Result<Option<&'a [u8]>, ViewError> {
        for index in 0..self.metadata_count()? {
            let metadata = self.metadata(index)?;
            if metadata.name == Some(name) {
                return self.buffer(metadata.buffer as usize).map(Some);
            }
        }
        Ok(None)
    }

    /// Numbers of buffers, as old files list them in place of metadata.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn metadata_buffers(&self) -> Result<List<'a, i32>, ViewError> {
        self.table.list_or_empty(model::METADATA_BUFFER)
    }

    /// How many signatures there are.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn signature_count(&self) -> Result<usize, ViewError> {
        Ok(self.table.tables(model::SIGNATURE_DEFS)?.len())
    }

    /// Signature `index`.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn signature(&self, index: usize) -> Result<Signature<'a>, ViewError> {
        let table = self.table.tables(model::SIGNATURE_DEFS)?.get(index)?;
        Ok(Signature {
            inputs: table.tables(signature_def::INPUTS)?,
            outputs: table.tables(signature_def::OUTPUTS)?,
            table,
        })
    }

    /// How many files beside the model hold constants.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn external_buffer_group_count(&self) -> Result<usize, ViewError> {
        Ok(self.table.tables(model::EXTERNAL_BUFFER_GROUPS)?.len())
    }

    /// The name or URI of such a file.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn external_buffer_group(&self, index: usize) -> Result<Option<&'a [u8]>, ViewError> {
        let groups = self.table.tables(model::EXTERNAL_BUFFER_GROUPS)?;
        groups.get(index)?.bytes(external_buffer_group::NAME)
    }

    /// How many slices of such files there are.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn external_buffer_count(&self) -> Result<usize, ViewError> {
        Ok(self.table.tables(model::EXTERNAL_BUFFERS)?.len())
    }

    /// Such a slice.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn external_buffer(&self, index: usize) -> Result<ExternalBuffer<'a>, ViewError> {
        let table = self.table.tables(model::EXTERNAL_BUFFERS)?.get(index)?;
        Ok(ExternalBuffer {
            id: table.scalar_or(external_buffer::ID, 0)?,
            group: table.scalar_or(external_buffer::GROUP, 0)?,
            offset: table.scalar_or(external_buffer::OFFSET, 0)?,
            length: table.scalar_or(external_buffer::LENGTH, 0)?,
            packing: table.bytes(external_buffer::PACKING)?,
        })
    }
}

/// An operator that occurs in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatorCode<'a> {
    /// Its number in the format.
    pub code: i32,
    /// The name of a custom operator.
    pub custom_name: Option<&'a [u8]>,
    /// The version of its semantics.
    pub version: i32,
}

impl<'a> OperatorCode<'a> {
    /// The number of custom operators, which their name tells apart.
    pub const CUSTOM: i32 = 32;

    fn new(table: Table<'a>) -> Result<Self, ViewError> {
        // Numbers above 127 came later, in a field of their own; writers fill either or both.
        let old = table.byte_or(operator_code::DEPRECATED_BUILTIN_CODE, 0)? as i8;
        let new: i32 = table.scalar_or(operator_code::BUILTIN_CODE, 0)?;
        Ok(Self {
            code: new.max(i32::from(old)),
            custom_name: table.bytes(operator_code::CUSTOM_CODE)?,
            version: table.scalar_or(operator_code::VERSION, 1)?,
        })
    }

    /// Whether it is the code of the operator with this row.
    pub fn is(&self, info: &OpInfo) -> bool {
        match self.custom_name {
            Some(name) if self.code == Self::CUSTOM => {
                info.is_custom && info.name.as_bytes() == name
            }
            _ => info.code == Some(self.code),
        }
    }

    /// The operator, or `None` for one that the operator table lacks.
    #[inline]
    pub fn kind(&self) -> Option<OpKind> {
        match self.code {
            Self::CUSTOM => OpKind::from_custom_name(self.custom_name?),
            code => OpKind::from_code(code),
        }
    }
}

/// A named blob.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metadata<'a> {
    /// Its name.
    pub name: Option<&'a [u8]>,
    /// The number of the buffer that holds it.
    pub buffer: u32,
}

/// A slice of a file beside the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExternalBuffer<'a> {
    /// What tensors call it by.
    pub id: u32,
    /// The number of the file's name.
    pub group: u32,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
    /// How elements are packed.
    pub packing: Option<&'a [u8]>,
}

/// Names for the inputs and outputs of a subgraph.
#[derive(Clone, Copy)]
pub struct Signature<'a> {
    table: Table<'a>,
    inputs: Tables<'a>,
    outputs: Tables<'a>,
}

impl<'a> Signature<'a> {
    /// The name of the signature.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn key(&self) -> Result<Option<&'a [u8]>, ViewError> {
        self.table.bytes(signature_def::SIGNATURE_KEY)
    }

    /// A tag that the format has retired.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn retired_tag(&self) -> Result<Option<&'a [u8]>, ViewError> {
        self.table.bytes(signature_def::DEPRECATED_TAG)
    }

    /// The number of the subgraph.
    ///
    /// # Errors
    /// When the file is damaged there.
    pub fn subgraph(&self) -> Result<u32, ViewError> {
        self.table.scalar_or(signature_def::SUBGRAPH_INDEX, 0)
    }

    /// How many named inputs there are.
    pub const fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// Named input `index`.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn input(&self, index: usize) -> Result<TensorName<'a>, ViewError> {
        TensorName::new(self.inputs.get(index)?)
    }

    /// How many named outputs there are.
    pub const fn output_count(&self) -> usize {
        self.outputs.len()
    }

    /// Named output `index`.
    ///
    /// # Errors
    /// When there is none, or the file is damaged there.
    pub fn output(&self, index: usize) -> Result<TensorName<'a>, ViewError> {
        TensorName::new(self.outputs.get(index)?)
    }
}

/// A tensor and what a signature calls it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorName<'a> {
    /// The name.
    pub name: Option<&'a [u8]>,
    /// The number of the tensor in the signature's subgraph.
    pub tensor: u32,
}

impl<'a> TensorName<'a> {
    fn new(table: Table<'a>) -> Result<Self, ViewError> {
        Ok(Self {
            name: table.bytes(tensor_map::NAME)?,
            tensor: table.scalar_or(tensor_map::TENSOR_INDEX, 0)?,
        })
    }
}
