//! What the loader reads of a file, each part checked when it is read.

use larun_kernels::{PlanWriter, Reason, Refusal, Registration, Site};
use larun_ops::ElementType;
use larun_tflite::view::{Model, Operator, OperatorCode, Subgraph};

use crate::error::{LoadError, Name};
use crate::layout::{ABSENT, Header, Place, RECORD_WORDS};
use crate::node::{FileNode, describe};

/// A gigabyte, so that every index fits a word.
const MOST_PERSISTENT_WORDS: usize = 1 << 28;

/// The main subgraph of a file.
pub(crate) struct Source<'m> {
    pub(crate) model: Model<'m>,
    pub(crate) subgraph: Subgraph<'m>,
    pub(crate) tensors: usize,
    pub(crate) nodes: usize,
}

/// What a node takes.
pub(crate) struct Needs {
    /// Words of its record.
    pub(crate) words: usize,
    /// Bytes of its scratch memory.
    pub(crate) scratch: u32,
}

impl<'m> Source<'m> {
    pub(crate) fn new(model: Model<'m>, subgraph: Subgraph<'m>) -> Result<Self, LoadError<'m>> {
        let (tensors, nodes) = (subgraph.tensor_count(), subgraph.operator_count());
        let source = Self {
            model,
            subgraph,
            tensors,
            nodes,
        };
        if tensors >= usize::from(ABSENT) || nodes >= usize::from(ABSENT) {
            return Err(source.too_large());
        }
        source.check_operands()?;
        Ok(source)
    }

    /// Sees to it that no operand lists share their bytes: a small file could otherwise hold enough
    /// of them to keep the loader busy for hours.
    fn check_operands(&self) -> Result<(), LoadError<'m>> {
        let mut room = self.model.file().len() / size_of::<i32>();
        for index in 0..self.nodes {
            let operator = self.subgraph.operator(index)?;
            let operands = operator.inputs()?.len() + operator.outputs()?.len();
            room = room
                .checked_sub(operands)
                .ok_or(LoadError::TooManyOperands { index })?;
        }
        Ok(())
    }

    /// Checks a tensor and says where it is; the offset of a value is not known yet.
    pub(crate) fn place(&self, index: usize) -> Result<Place, LoadError<'m>> {
        let tensor = self.subgraph.tensor(index)?;
        let info = describe(&self.model, &tensor)?;
        if tensor.sparsity()?.is_some() {
            let name = self.name(index);
            return Err(LoadError::Sparse {
                tensor: index,
                name,
            });
        }
        let size = || LoadError::TensorSize {
            tensor: index,
            name: self.name(index),
        };
        let len = match info.byte_len() {
            Some(len) => len,
            // A handle or a string: no kernel computes with it, so it takes no memory.
            None if info.element_type.bits().is_none() => 0,
            None => return Err(size()),
        };
        let len = i32::try_from(len).map_err(|_| size())? as u32;
        let Some(data) = info.constant else {
            return Ok(Place::value(0, len));
        };
        if data.len() != len as usize {
            return Err(size());
        }
        self.check_alignment(index, data, info.element_type)?;
        // The view hands out parts of the file only.
        let at = (data.as_ptr() as usize).wrapping_sub(self.model.file().as_ptr() as usize);
        let at = u32::try_from(if data.is_empty() { 0 } else { at }).map_err(|_| size())?;
        Ok(Place::constant(at, len))
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
            tensor: index,
            name: self.name(index),
            element_type,
        })
    }

    /// Writes the record of a node. Where it does not fit, nothing of use is written, but the needs are right.
    pub(crate) fn prepare_node(
        &self,
        kernels: &[Registration],
        index: usize,
        words: &mut [u32],
    ) -> Result<Needs, LoadError<'m>> {
        let operator = self.subgraph.operator(index)?;
        let (number, kernel) = self.kernel(kernels, index, &operator)?;
        let node = FileNode::new(self.model, self.subgraph, &operator, kernel)?;
        let refused = |refusal| self.refused(index, kernel, &node, refusal);
        let (Ok(inputs), Ok(outputs)) = (
            u16::try_from(node.inputs.len()),
            u8::try_from(node.outputs.len()),
        ) else {
            return Err(refused(Refusal::options(Reason::TooLarge)));
        };
        let header = Header {
            kernel: number,
            inputs,
            outputs,
        };
        let before_plan = RECORD_WORDS + header.operand_words();
        let (record, plan) = words
            .split_at_mut_checked(before_plan)
            .unwrap_or((&mut [], &mut []));
        let mut plan = PlanWriter::new(plan);
        (kernel.prepare)(&node, &mut plan).map_err(refused)?;
        let too_large = || refused(Refusal::options(Reason::TooLarge));
        let scratch = u32::try_from(plan.scratch_bytes()).map_err(|_| too_large())?;
        if let [head, at, len, operands @ ..] = record {
            (*head, *at, *len) = (header.pack(), 0, scratch);
            self.write_operands(index, &node, operands)?;
        }
        Ok(Needs {
            words: before_plan.saturating_add(plan.words_needed()),
            scratch,
        })
    }

    /// The kernel that runs an operator, and its number among those linked.
    fn kernel<'k>(
        &self,
        kernels: &'k [Registration],
        index: usize,
        operator: &Operator<'m>,
    ) -> Result<(u8, &'k Registration), LoadError<'m>> {
        let code = self.model.operator_code(operator.code_index()? as usize)?;
        let OperatorCode {
            code: number,
            custom_name,
            ..
        } = code;
        let mut linked = (0..=u8::MAX).zip(kernels);
        linked
            .find(|(_, kernel)| code.is(kernel.info))
            .ok_or(match code.kind() {
                Some(kind) => LoadError::NotLinked { index, kind },
                None => LoadError::UnsupportedOperator {
                    index,
                    code: number,
                    name: Name(custom_name.unwrap_or_default()),
                },
            })
    }

    fn write_operands(
        &self,
        index: usize,
        node: &FileNode<'m>,
        words: &mut [u32],
    ) -> Result<(), LoadError<'m>> {
        let numbers = node.inputs.iter().chain(node.outputs.iter());
        let slots: &mut [u16] = bytemuck::try_cast_slice_mut(words).unwrap_or_default();
        for (slot, number) in slots.iter_mut().zip(numbers) {
            *slot = match number {
                -1 => ABSENT,
                number => self.tensor_number(Some(index), number)? as u16,
            };
        }
        Ok(())
    }

    pub(crate) fn tensor_number(
        &self,
        index: Option<usize>,
        number: i32,
    ) -> Result<usize, LoadError<'m>> {
        let count = self.tensors;
        let tensor = usize::try_from(number).ok().filter(|&t| t < count);
        tensor.ok_or(LoadError::NoSuchTensor {
            index,
            tensor: number,
            count,
        })
    }

    /// The words, unless there are more than any model in earnest takes.
    pub(crate) fn checked_words(&self, words: usize) -> Result<usize, LoadError<'m>> {
        match words <= MOST_PERSISTENT_WORDS {
            true => Ok(words),
            false => Err(self.too_large()),
        }
    }

    #[cold]
    const fn too_large(&self) -> LoadError<'m> {
        LoadError::TooLarge {
            tensors: self.tensors,
            operators: self.nodes,
        }
    }

    #[cold]
    fn refused(
        &self,
        index: usize,
        kernel: &Registration,
        node: &FileNode<'m>,
        refusal: Refusal,
    ) -> LoadError<'m> {
        let number = match refusal.at {
            Site::Input(i) => node.inputs.get(i),
            Site::Output(i) => node.outputs.get(i),
            Site::Options => None,
        };
        let tensor = number.and_then(|number| self.tensor_number(None, number).ok());
        LoadError::Refused {
            index,
            kind: kernel.kind,
            refusal,
            tensor,
            name: tensor.map_or(Name(&[]), |tensor| self.name(tensor)),
        }
    }

    #[cold]
    pub(crate) fn name(&self, tensor: usize) -> Name<'m> {
        let tensor = self.subgraph.tensor(tensor);
        let name = tensor.and_then(|tensor| tensor.name()).ok().flatten();
        Name(name.unwrap_or_default())
    }
}
