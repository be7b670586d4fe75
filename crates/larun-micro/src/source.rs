//! What the loader reads of a subgraph, each part checked when it is read.

use larun_kernels::Registration;
use larun_ops::ElementType;
use larun_tflite::view::{List, Model, OperatorCode, Subgraph};

use crate::activations::Span;
use crate::error::{LoadError, Name};
use crate::layout::{ABSENT, MOST_WORDS, Place, TABLE_WORDS};
use crate::node::{FileNode, Node, describe};

/// A subgraph of a file.
#[derive(Clone, Copy)]
pub(crate) struct Source<'m> {
    pub(crate) model: Model<'m>,
    pub(crate) subgraph: Subgraph<'m>,
    /// Its number.
    pub(crate) number: usize,
    pub(crate) tensors: usize,
    pub(crate) nodes: usize,
}

impl<'m> Source<'m> {
    pub(crate) fn new(model: Model<'m>, number: usize) -> Result<Self, LoadError<'m>> {
        let subgraph = model.subgraph(number)?;
        let (tensors, nodes) = (subgraph.tensor_count(), subgraph.operator_count());
        let source = Self {
            model,
            subgraph,
            number,
            tensors,
            nodes,
        };
        let most_nodes = usize::from(Span::MOST);
        if tensors >= usize::from(ABSENT) || nodes > most_nodes || number > most_nodes {
            return Err(source.too_large());
        }
        Ok(source)
    }

    /// The header of the subgraph's table.
    pub(crate) fn header(&self) -> Result<[u32; TABLE_WORDS], LoadError<'m>> {
        let (inputs_at, inputs) = self.list(self.subgraph.inputs()?)?;
        let (outputs_at, outputs) = self.list(self.subgraph.outputs()?)?;
        Ok([
            self.tensors as u32 | (self.nodes as u32) << 16,
            inputs_at,
            outputs_at,
            u32::from(inputs) | u32::from(outputs) << 16,
        ])
    }

    /// Where in the file a list begins, and how long it is.
    fn list(&self, list: List<'m, i32>) -> Result<(u32, u16), LoadError<'m>> {
        let at = self.position(list.bytes()).ok_or(self.too_large())?;
        let len = u16::try_from(list.len()).map_err(|_| self.too_large())?;
        Ok((at, len))
    }

    /// Where in the file some of its bytes are. The view hands out parts of the file only.
    fn position(&self, bytes: &[u8]) -> Option<u32> {
        if bytes.is_empty() {
            return Some(0);
        }
        let at = (bytes.as_ptr() as usize).wrapping_sub(self.model.file().as_ptr() as usize);
        u32::try_from(at).ok()
    }

    /// Checks a tensor and says where it is, and whether it is a variable; the offset of a value is not known yet.
    pub(crate) fn place(&self, index: usize) -> Result<(Place, bool), LoadError<'m>> {
        let tensor = self.subgraph.tensor(index)?;
        let info = describe(&self.model, &tensor)?;
        if tensor.sparsity()?.is_some() {
            return Err(self.sparse(index));
        }
        let len = match info.byte_len() {
            Some(len) => len,
            // Strings and the like: no kernel computes with them, so they take no memory.
            None if info.element_type.bits().is_none() => 0,
            None => return Err(self.tensor_size(index)),
        };
        let len = i32::try_from(len).map_err(|_| self.tensor_size(index))? as u32;
        if info.is_variable && !self.model.buffer(tensor.buffer()? as usize)?.is_empty() {
            return Err(self.variable_with_data(index));
        }
        let Some(data) = info.constant else {
            return Ok((Place::value(0, len), info.is_variable));
        };
        if data.len() != len as usize {
            return Err(self.tensor_size(index));
        }
        self.check_alignment(index, data, info.element_type)?;
        let at = self.position(data).ok_or(self.tensor_size(index))?;
        Ok((Place::constant(at, len), false))
    }

    /// Whether a tensor is a variable.
    pub(crate) fn is_variable(&self, index: usize) -> Result<bool, LoadError<'m>> {
        Ok(self.subgraph.tensor(index)?.is_variable()?)
    }

    fn check_alignment(
        &self,
        index: usize,
        data: &[u8],
        element_type: ElementType,
    ) -> Result<(), LoadError<'m>> {
        // Files in the wild align 64-bit constants to 4 only; kernels read those as pairs of words.
        let align = element_type.bits().map_or(1, |bits| (bits / 8).clamp(1, 4));
        if data.is_empty() || (data.as_ptr() as usize).is_multiple_of(align) {
            return Ok(());
        }
        Err(LoadError::Misaligned {
            subgraph: self.number,
            tensor: index,
            name: self.name(index),
            element_type,
        })
    }

    /// A node with its kernel.
    pub(crate) fn node<'s>(
        &'s self,
        kernels: &'m [Registration],
        index: usize,
    ) -> Result<Node<'s, 'm>, LoadError<'m>> {
        let operator = self.subgraph.operator(index)?;
        let code = self.model.operator_code(operator.code_index()? as usize)?;
        let mut linked = (0..=u8::MAX).zip(kernels);
        let (number, kernel) = linked
            .find(|(_, kernel)| code.is(kernel.info))
            .ok_or_else(|| self.not_linked(index, &code))?;
        let file = FileNode::new(self, &operator, kernel)?;
        Ok(Node {
            source: self,
            index,
            number,
            kernel,
            file,
        })
    }

    /// Checks the number of a tensor; `index` is the operator that names it.
    pub(crate) fn tensor_number(
        &self,
        index: Option<usize>,
        number: i32,
    ) -> Result<usize, LoadError<'m>> {
        let count = self.tensors;
        let tensor = usize::try_from(number).ok().filter(|&t| t < count);
        tensor.ok_or(LoadError::NoSuchTensor {
            subgraph: self.number,
            index,
            tensor: number,
            count,
        })
    }

    #[cold]
    pub(crate) fn name(&self, tensor: usize) -> Name<'m> {
        let tensor = self.subgraph.tensor(tensor);
        let name = tensor.and_then(|tensor| tensor.name()).ok().flatten();
        Name(name.unwrap_or_default())
    }
}

/// The errors of a subgraph.
impl<'m> Source<'m> {
    #[cold]
    pub(crate) const fn too_large(&self) -> LoadError<'m> {
        LoadError::TooLarge {
            subgraph: self.number,
            tensors: self.tensors,
            operators: self.nodes,
        }
    }

    #[cold]
    fn not_linked(&self, index: usize, code: &OperatorCode<'m>) -> LoadError<'m> {
        let subgraph = self.number;
        match code.kind() {
            Some(kind) => LoadError::NotLinked {
                subgraph,
                index,
                kind,
            },
            None => LoadError::UnsupportedOperator {
                subgraph,
                index,
                code: code.code,
                name: Name(code.custom_name.unwrap_or_default()),
            },
        }
    }

    #[cold]
    fn sparse(&self, tensor: usize) -> LoadError<'m> {
        LoadError::Sparse {
            subgraph: self.number,
            tensor,
            name: self.name(tensor),
        }
    }

    #[cold]
    fn tensor_size(&self, tensor: usize) -> LoadError<'m> {
        LoadError::TensorSize {
            subgraph: self.number,
            tensor,
            name: self.name(tensor),
        }
    }

    #[cold]
    fn variable_with_data(&self, tensor: usize) -> LoadError<'m> {
        LoadError::VariableWithData {
            subgraph: self.number,
            tensor,
            name: self.name(tensor),
        }
    }

    #[cold]
    pub(crate) fn not_computed(&self, index: Option<usize>, tensor: usize) -> LoadError<'m> {
        LoadError::NotComputed {
            subgraph: self.number,
            index,
            tensor,
            name: self.name(tensor),
        }
    }

    #[cold]
    pub(crate) fn written_twice(&self, index: usize, tensor: usize) -> LoadError<'m> {
        LoadError::WrittenTwice {
            subgraph: self.number,
            index,
            tensor,
            name: self.name(tensor),
        }
    }

    #[cold]
    pub(crate) const fn recursion(&self, index: usize, callee: usize) -> LoadError<'m> {
        LoadError::Recursion {
            subgraph: self.number,
            index,
            callee,
        }
    }

    #[cold]
    pub(crate) const fn too_deep(&self, index: usize) -> LoadError<'m> {
        LoadError::TooDeep {
            subgraph: self.number,
            index,
        }
    }
}

/// What a file of its size can still hold, so that a small one whose parts share bytes cannot keep the loader busy.
pub(crate) struct Spared {
    /// Entries of lists, of 4 bytes each.
    entries: usize,
    /// Words of persistent memory, which take time to work out.
    words: usize,
}

impl Spared {
    pub(crate) fn of(model: &Model<'_>) -> Self {
        let bytes = model.file().len();
        // A table of 256 entries for a node of some hundred bytes is much; 8 words a byte are never needed.
        let words = bytes.saturating_mul(8).saturating_add(1 << 16);
        Self {
            entries: bytes / size_of::<i32>(),
            words: words.min(MOST_WORDS),
        }
    }

    /// Sees to it that no lists of this subgraph and those before share their bytes.
    pub(crate) fn spend<'m>(&mut self, source: &Source<'m>) -> Result<(), LoadError<'m>> {
        let (subgraph, tensors) = (source.number, source.tensors);
        let left = self.entries.checked_sub(tensors);
        self.entries = left.ok_or(source.too_large())?;
        for index in 0..source.nodes {
            let operator = source.subgraph.operator(index)?;
            let operands = operator.inputs()?.len() + operator.outputs()?.len();
            let left = self.entries.checked_sub(operands.saturating_add(1));
            self.entries = left.ok_or(LoadError::TooManyOperands { subgraph, index })?;
        }
        Ok(())
    }

    /// Sees to it that the persistent memory so far is not more than any model in earnest takes.
    pub(crate) fn check_words<'m>(
        &self,
        source: &Source<'m>,
        words: usize,
    ) -> Result<(), LoadError<'m>> {
        match words <= self.words {
            true => Ok(()),
            false => Err(source.too_large()),
        }
    }
}
