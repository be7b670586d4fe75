//! What the loader reads of a subgraph, each part checked when it is read.

use larun_ops::ElementType;
use larun_ops::view::{List, Model, OfflinePlan, OperatorCode, Subgraph, ViewError};

use crate::activations::Span;
use crate::error::{LoadError, Name};
use crate::layout::{ABSENT, MOST_WORDS, Place, TABLE_WORDS};
use crate::load::{EXPLAIN, LOOKS_AHEAD, OFFLINE_PLANS, Request, STATE, Stop};
use crate::node::{FileNode, Node, UNKNOWN, describe};

/// A subgraph of a file.
#[derive(Clone, Copy)]
pub(crate) struct Source<'r, 'm> {
    pub(crate) request: &'r Request<'m>,
    pub(crate) subgraph: Subgraph<'m>,
    /// Its number.
    pub(crate) number: usize,
    pub(crate) tensors: usize,
    pub(crate) nodes: usize,
}

impl<'r, 'm> Source<'r, 'm> {
    pub(crate) fn new(request: &'r Request<'m>, number: usize) -> Result<Self, Stop> {
        let subgraph = request.view(request.model.subgraph(number))?;
        let (tensors, nodes) = (subgraph.tensor_count(), subgraph.operator_count());
        let source = Self {
            request,
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

    /// A part of the file, where it is not damaged.
    #[inline]
    pub(crate) fn view<T>(&self, part: Result<T, ViewError>) -> Result<T, Stop> {
        self.request.view(part)
    }

    /// The plan that the file brings for the main subgraph's activations.
    pub(crate) fn offline_plan(&self) -> Result<Option<OfflinePlan<'m>>, Stop> {
        if self.number != 0 || !OFFLINE_PLANS {
            return Ok(None);
        }
        let model = &self.request.model;
        let plan = self.view(model.offline_plan())?;
        let mut tensors = self.tensors;
        for other in 1..model.subgraph_count() {
            let other = self.view(model.subgraph(other))?;
            tensors = tensors.saturating_add(other.tensor_count());
        }
        match plan {
            Some(plan) if plan.tensors() != tensors => {
                let planned = plan.tensors();
                Err(self
                    .request
                    .stop(LoadError::OfflinePlan { planned, tensors }))
            }
            plan => Ok(plan),
        }
    }

    /// The numbers of the subgraph's inputs.
    pub(crate) fn inputs(&self) -> Result<List<'m, i32>, Stop> {
        self.view(self.subgraph.inputs())
    }

    /// The numbers of its outputs.
    pub(crate) fn outputs(&self) -> Result<List<'m, i32>, Stop> {
        self.view(self.subgraph.outputs())
    }

    /// The header of the subgraph's table.
    pub(crate) fn header(&self) -> Result<[u32; TABLE_WORDS], Stop> {
        let (inputs_at, inputs) = self.list(self.inputs()?)?;
        let (outputs_at, outputs) = self.list(self.outputs()?)?;
        Ok([
            self.tensors as u32 | (self.nodes as u32) << 16,
            inputs_at,
            outputs_at,
            u32::from(inputs) | u32::from(outputs) << 16,
        ])
    }

    /// Where in the file a list begins, and how long it is.
    fn list(&self, list: List<'m, i32>) -> Result<(u32, u16), Stop> {
        match (self.position(list.bytes()), u16::try_from(list.len())) {
            (Some(at), Ok(len)) => Ok((at, len)),
            _ => Err(self.too_large()),
        }
    }

    /// Where in the file some of its bytes are. The view hands out parts of the file only.
    fn position(&self, bytes: &[u8]) -> Option<u32> {
        if bytes.is_empty() {
            return Some(0);
        }
        let at =
            (bytes.as_ptr() as usize).wrapping_sub(self.request.model.file().as_ptr() as usize);
        u32::try_from(at).ok()
    }

    /// Checks a tensor and says where it is, and whether it is a variable; the offset of a value is not known yet.
    pub(crate) fn place(&self, index: usize) -> Result<(Place, bool), Stop> {
        let model = &self.request.model;
        let tensor = self.view(self.subgraph.tensor(index))?;
        let mut info = UNKNOWN;
        self.view(describe(model, &tensor, &mut info))?;
        if info.is_variable && !STATE {
            return Err(self.variable(index));
        }
        if self.view(tensor.sparsity())?.is_some() {
            return Err(self.sparse(index));
        }
        let len = match info.byte_len() {
            Some(len) => len,
            // Strings and the like: no kernel computes with them, so they take no memory.
            None if info.element_type.bits().is_none() => 0,
            None => return Err(self.tensor_size(index)),
        };
        let len = i32::try_from(len).map_err(|_| self.tensor_size(index))? as u32;
        if info.is_variable && STATE {
            let buffer = self.view(tensor.buffer())? as usize;
            if !self.view(model.buffer(buffer))?.is_empty() {
                return Err(self.variable_with_data(index));
            }
        }
        let Some(data) = info.constant else {
            return Ok((Place::value(0, len), info.is_variable && STATE));
        };
        if data.len() != len as usize {
            return Err(self.tensor_size(index));
        }
        self.check_alignment(index, data, info.element_type)?;
        let at = self.position(data).ok_or_else(|| self.tensor_size(index))?;
        Ok((Place::constant(at, len), false))
    }

    /// Whether a tensor is a variable.
    pub(crate) fn is_variable(&self, index: usize) -> Result<bool, Stop> {
        let tensor = self.view(self.subgraph.tensor(index))?;
        self.view(tensor.is_variable())
    }

    fn check_alignment(
        &self,
        index: usize,
        data: &[u8],
        element_type: ElementType,
    ) -> Result<(), Stop> {
        // Files in the wild align 64-bit constants to 4 only; kernels read those as pairs of words.
        let align = element_type.bits().map_or(1, |bits| (bits / 8).clamp(1, 4));
        if data.is_empty() || (data.as_ptr() as usize).is_multiple_of(align) {
            return Ok(());
        }
        Err(self.misaligned(index, element_type))
    }

    /// A node with its kernel.
    #[inline(never)]
    pub(crate) fn node<'s>(&'s self, index: usize) -> Result<Node<'s, 'r, 'm>, Stop> {
        let operator = self.view(self.subgraph.operator(index))?;
        let code = self.view(operator.code_index())? as usize;
        let code = self.view(self.request.model.operator_code(code))?;
        let mut linked = (0..=u8::MAX).zip(self.request.kernels);
        let (number, kernel) = linked
            .find(|(_, kernel)| code.is(kernel.info))
            .ok_or_else(|| self.no_kernel(index, &code))?;
        let file = self.view(FileNode::new(self, &operator, kernel))?;
        Ok(Node {
            source: self,
            index,
            number,
            kernel,
            file,
            added: None,
        })
    }

    /// Checks the number of a tensor; `index` is the operator that names it.
    pub(crate) fn tensor_number(&self, index: Option<usize>, number: i32) -> Result<usize, Stop> {
        let tensor = usize::try_from(number).ok().filter(|&t| t < self.tensors);
        tensor.ok_or_else(|| self.no_such_tensor(index, number))
    }

    /// The name of a tensor, for a message.
    #[inline]
    pub(crate) fn name(&self, tensor: usize) -> Name<'m> {
        match EXPLAIN {
            true => self.found_name(tensor),
            false => Name(&[]),
        }
    }

    #[cold]
    #[inline(never)]
    fn found_name(&self, tensor: usize) -> Name<'m> {
        let tensor = self.subgraph.tensor(tensor);
        let name = tensor.and_then(|tensor| tensor.name()).ok().flatten();
        Name(name.unwrap_or_default())
    }
}

/// The errors of a subgraph.
impl<'m> Source<'_, 'm> {
    #[cold]
    #[inline(never)]
    pub(crate) fn too_large(&self) -> Stop {
        self.request.stop(LoadError::TooLarge {
            subgraph: self.number,
            tensors: self.tensors,
            operators: self.nodes,
        })
    }

    #[cold]
    #[inline(never)]
    fn no_kernel(&self, index: usize, operator: &OperatorCode<'m>) -> Stop {
        self.request.stop(LoadError::NoKernel {
            subgraph: self.number,
            index,
            operator: *operator,
        })
    }

    #[cold]
    #[inline(never)]
    fn no_such_tensor(&self, index: Option<usize>, tensor: i32) -> Stop {
        self.request.stop(LoadError::NoSuchTensor {
            subgraph: self.number,
            index,
            tensor,
            count: self.tensors,
        })
    }

    #[cold]
    #[inline(never)]
    fn sparse(&self, tensor: usize) -> Stop {
        self.request.stop(LoadError::Sparse {
            subgraph: self.number,
            tensor,
            name: self.name(tensor),
        })
    }

    #[cold]
    #[inline(never)]
    fn tensor_size(&self, tensor: usize) -> Stop {
        self.request.stop(LoadError::TensorSize {
            subgraph: self.number,
            tensor,
            name: self.name(tensor),
        })
    }

    #[cold]
    #[inline(never)]
    fn misaligned(&self, tensor: usize, element_type: ElementType) -> Stop {
        self.request.stop(LoadError::Misaligned {
            subgraph: self.number,
            tensor,
            name: self.name(tensor),
            element_type,
        })
    }

    #[cold]
    #[inline(never)]
    fn variable(&self, tensor: usize) -> Stop {
        self.request.stop(LoadError::Variable {
            subgraph: self.number,
            tensor,
            name: self.name(tensor),
        })
    }

    #[cold]
    #[inline(never)]
    fn variable_with_data(&self, tensor: usize) -> Stop {
        self.request.stop(LoadError::VariableWithData {
            subgraph: self.number,
            tensor,
            name: self.name(tensor),
        })
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn not_computed(&self, index: Option<usize>, tensor: usize) -> Stop {
        self.request.stop(LoadError::NotComputed {
            subgraph: self.number,
            index,
            tensor,
            name: self.name(tensor),
        })
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn written_twice(&self, index: usize, tensor: usize) -> Stop {
        self.request.stop(LoadError::WrittenTwice {
            subgraph: self.number,
            index,
            tensor,
            name: self.name(tensor),
        })
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn recursion(&self, index: usize, callee: usize) -> Stop {
        self.request.stop(LoadError::Recursion {
            subgraph: self.number,
            index,
            callee,
        })
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn too_deep(&self, index: usize) -> Stop {
        self.request.stop(LoadError::TooDeep {
            subgraph: self.number,
            index,
        })
    }

    #[cold]
    #[inline(never)]
    fn too_many_operands(&self, index: usize) -> Stop {
        self.request.stop(LoadError::TooManyOperands {
            subgraph: self.number,
            index,
        })
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

    /// Sees to it that no lists of this subgraph and those before share their bytes. Those of nodes that are looked at
    /// once only are left to [`spend_node`](Self::spend_node).
    pub(crate) fn spend(&mut self, source: &Source<'_, '_>) -> Result<(), Stop> {
        let left = self.entries.checked_sub(source.tensors);
        self.entries = left.ok_or_else(|| source.too_large())?;
        for index in (0..source.nodes).filter(|_| LOOKS_AHEAD) {
            let operator = source.view(source.subgraph.operator(index))?;
            let inputs = source.view(operator.inputs())?.len();
            let operands = inputs + source.view(operator.outputs())?.len();
            self.spend_node(source, index, operands)?;
        }
        Ok(())
    }

    /// The same of one node, with so many operands.
    pub(crate) fn spend_node(
        &mut self,
        source: &Source<'_, '_>,
        index: usize,
        operands: usize,
    ) -> Result<(), Stop> {
        let left = self.entries.checked_sub(operands.saturating_add(1));
        self.entries = left.ok_or_else(|| source.too_many_operands(index))?;
        Ok(())
    }

    /// Sees to it that the persistent memory so far is not more than any model in earnest takes.
    pub(crate) fn check_words(&self, source: &Source<'_, '_>, words: usize) -> Result<(), Stop> {
        match words <= self.words {
            true => Ok(()),
            false => Err(source.too_large()),
        }
    }
}
