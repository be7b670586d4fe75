//! The interpreter: a loaded model in an arena.

use larun_kernels::{Element, InvokeError, Io, PlanReader, QuantizationView, Registration};
use larun_ops::ElementType;
use larun_tflite::view::{List, Model, Subgraph, ViewError};

use crate::activations::ALIGNMENT;
use crate::error::{ArenaTooSmall, LoadError, Name, RunError};
use crate::layout::{Place, Record};
use crate::load::load;
use crate::node::describe;
use crate::observe::{NodeOutputs, Observer};
use crate::tensor::TensorInfo;

/// A model ready to run.
///
/// The model's bytes are read where they lie, in flash; the arena holds what changes. Every check
/// is made when the model is loaded: an inference cannot fail on a model that loaded.
pub struct Interpreter<'m, 'a> {
    model: Model<'m>,
    subgraph: Subgraph<'m>,
    inputs: List<'m, i32>,
    outputs: List<'m, i32>,
    kernels: &'m [Registration],
    /// Tensor table and node records.
    words: &'a [u32],
    activations: &'a mut [u8],
    arena_bytes: usize,
}

impl<'m, 'a> Interpreter<'m, 'a> {
    /// Loads a `.tflite` model.
    ///
    /// `kernels` are the operators to use, from [`ops!`](crate::ops!) or
    /// [`kernels::ALL`](larun_kernels::ALL). The model's bytes must start at a multiple of 16 (or
    /// at least of its largest element); the arena may be any memory.
    ///
    /// # Errors
    /// When the file is damaged, holds what the kernels do not support, or needs a larger arena;
    /// the error names the operator and tensor, or the size needed.
    pub fn new(
        model: &'m [u8],
        kernels: &'m [Registration],
        arena: &'a mut [u8],
    ) -> Result<Self, LoadError<'m>> {
        let model = Model::new(model)?;
        if model.subgraph_count() == 0 {
            return Err(LoadError::NoSubgraph);
        }
        let subgraph = model.subgraph(0)?;
        let skipped = arena.as_ptr().align_offset(ALIGNMENT).min(arena.len());
        let arena = arena.get_mut(skipped..).unwrap_or_default();
        let whole_words = arena.len() / size_of::<u32>() * size_of::<u32>();
        let arena = arena.get_mut(..whole_words).unwrap_or_default();

        let loaded = load(
            model,
            subgraph,
            kernels,
            bytemuck::try_cast_slice_mut(arena).unwrap_or_default(),
            |_, _, _| {},
        )
        .map_err(|error| with_skipped(error, skipped))?;
        let persistent = loaded.persistent_words * size_of::<u32>();
        let start = persistent.next_multiple_of(ALIGNMENT).min(arena.len());
        let corrupt = || {
            LoadError::Arena(ArenaTooSmall {
                needed: loaded.needed,
                given: whole_words,
                exact: true,
            })
        };
        let (words, activations) = arena.split_at_mut_checked(start).ok_or_else(corrupt)?;
        let words: &[u32] = bytemuck::try_cast_slice(words).unwrap_or_default();
        let mut interpreter = Self {
            model,
            subgraph,
            inputs: subgraph.inputs()?,
            outputs: subgraph.outputs()?,
            kernels,
            words,
            activations: activations
                .get_mut(..loaded.activation_bytes)
                .ok_or_else(corrupt)?,
            arena_bytes: skipped + loaded.needed,
        };
        // What the arena held before must not show in an input that is left unset.
        interpreter.activations.fill(0);
        interpreter.reset()?;
        Ok(interpreter)
    }

    /// Clears what variables remember of earlier inferences: each element becomes zero, a
    /// quantised one its zero point.
    ///
    /// # Errors
    /// Never on a model that loaded.
    pub fn reset(&mut self) -> Result<(), ViewError> {
        for index in 0..self.subgraph.tensor_count() {
            let tensor = self.subgraph.tensor(index)?;
            if tensor.is_variable()? {
                self.clear(index, describe(&self.model, &tensor)?.quantization);
            }
        }
        Ok(())
    }

    fn clear(&mut self, tensor: usize, quantization: QuantizationView<'_>) {
        let Some(place) = Place::read(self.words, tensor).filter(|place| !place.is_constant())
        else {
            return;
        };
        let bytes = self.activations.get_mut(place.at as usize..);
        let bytes = bytes.and_then(|rest| rest.get_mut(..place.len() as usize));
        // Only INT8 variables have a zero point other than 0.
        let zero = quantization.zero_point(0).unwrap_or(0) as u8;
        bytes.unwrap_or_default().fill(zero);
    }

    /// Bytes of the smallest arena of this alignment in which the model loads and runs.
    ///
    /// Most often the persistent bytes and the activations; for a model of many tiny tensors, the
    /// notes that loading takes are more than its activations.
    pub const fn arena_bytes(&self) -> usize {
        self.arena_bytes
    }

    /// Bytes of the arena that hold tensor places and prepared operators.
    pub const fn persistent_bytes(&self) -> usize {
        size_of_val(self.words)
    }

    /// Bytes of the arena that operators share for their values.
    pub const fn activation_bytes(&self) -> usize {
        self.activations.len()
    }

    /// How many operators an inference runs.
    pub const fn node_count(&self) -> usize {
        self.subgraph.operator_count()
    }

    /// How many inputs the model has.
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// How many outputs the model has.
    pub fn output_count(&self) -> usize {
        self.outputs.len()
    }

    /// What input `index` is.
    ///
    /// # Errors
    /// When there is no such input.
    pub fn input_info(&self, index: usize) -> Result<TensorInfo<'m>, RunError> {
        self.info(port(&self.inputs, index)?)
    }

    /// What output `index` is.
    ///
    /// # Errors
    /// When there is no such output.
    pub fn output_info(&self, index: usize) -> Result<TensorInfo<'m>, RunError> {
        self.info(port(&self.outputs, index)?)
    }

    /// The elements of input `index`, to be set before an inference, which may overwrite them.
    ///
    /// # Errors
    /// When there is no such input or its elements are not `T`.
    pub fn input_mut<T: Typed>(&mut self, index: usize) -> Result<&mut [T], RunError> {
        let info = self.input_info(index)?;
        check_type::<T>(info.element_type)?;
        let bytes = self.input_bytes_mut(index)?;
        bytemuck::try_cast_slice_mut(bytes).map_err(|_| RunError::Corrupt)
    }

    /// The bytes of input `index`, little endian.
    ///
    /// # Errors
    /// When there is no such input.
    pub fn input_bytes_mut(&mut self, index: usize) -> Result<&mut [u8], RunError> {
        let tensor = port(&self.inputs, index)?;
        let place = Place::read(self.words, tensor).ok_or(RunError::Corrupt)?;
        if place.is_constant() {
            return Err(RunError::Constant);
        }
        let at = place.at as usize;
        let region = self.activations.get_mut(at..);
        region
            .and_then(|rest| rest.get_mut(..place.len() as usize))
            .ok_or(RunError::Corrupt)
    }

    /// Sets input `index`.
    ///
    /// # Errors
    /// When there is no such input, its elements are not `T`, or there is another number of them.
    pub fn set_input<T: Typed>(&mut self, index: usize, values: &[T]) -> Result<(), RunError> {
        let input = self.input_mut::<T>(index)?;
        if input.len() != values.len() {
            return Err(RunError::Length {
                expected: input.len(),
                found: values.len(),
            });
        }
        input.copy_from_slice(values);
        Ok(())
    }

    /// Runs the model once.
    ///
    /// # Errors
    /// Never on a model that loaded; a fault inside the interpreter is reported, not panicked on.
    pub fn invoke(&mut self) -> Result<(), RunError> {
        self.invoke_observed(&mut ())
    }

    /// Runs the model once and tells `observer` of every node.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke).
    pub fn invoke_observed<O: Observer>(&mut self, observer: &mut O) -> Result<(), RunError> {
        let tensors = self.subgraph.tensor_count();
        for index in 0..self.node_count() {
            let record = Record::read(self.words, self.model.file(), tensors, index)
                .ok_or(RunError::Corrupt)?;
            let kernel = self
                .kernels
                .get(usize::from(record.header.kernel))
                .ok_or(RunError::Corrupt)?;
            observer.before(index, kernel.kind);
            let io = Io::new(self.activations, &record);
            (kernel.invoke)(PlanReader::new(record.plan), io)
                .map_err(|error: InvokeError| RunError::Node { index, error })?;
            let outputs = NodeOutputs::new(&record, self.activations);
            observer.after(index, kernel.kind, outputs);
        }
        Ok(())
    }

    /// The elements of output `index` of the last inference.
    ///
    /// # Errors
    /// When there is no such output or its elements are not `T`.
    pub fn output<T: Typed>(&self, index: usize) -> Result<&[T], RunError> {
        check_type::<T>(self.output_info(index)?.element_type)?;
        bytemuck::try_cast_slice(self.output_bytes(index)?).map_err(|_| RunError::Misaligned)
    }

    /// The bytes of output `index` of the last inference, little endian.
    ///
    /// # Errors
    /// When there is no such output.
    pub fn output_bytes(&self, index: usize) -> Result<&[u8], RunError> {
        let tensor = port(&self.outputs, index)?;
        let place = Place::read(self.words, tensor).ok_or(RunError::Corrupt)?;
        let memory = match place.is_constant() {
            true => self.model.file(),
            false => &*self.activations,
        };
        let bytes = memory.get(place.at as usize..);
        bytes
            .and_then(|rest| rest.get(..place.len() as usize))
            .ok_or(RunError::Corrupt)
    }

    fn info(&self, index: usize) -> Result<TensorInfo<'m>, RunError> {
        let tensor = self.subgraph.tensor(index).map_err(|_| RunError::Corrupt)?;
        let info = describe(&self.model, &tensor).map_err(|_| RunError::Corrupt)?;
        let name = tensor.name().ok().flatten().unwrap_or_default();
        Ok(TensorInfo {
            index,
            name: Name(name),
            element_type: info.element_type,
            shape: info.shape,
            quantization: info.quantization,
        })
    }
}

/// The error in terms of the whole arena, whose first bytes were skipped for alignment.
fn with_skipped(error: LoadError<'_>, skipped: usize) -> LoadError<'_> {
    match error {
        LoadError::Arena(arena) => LoadError::Arena(ArenaTooSmall {
            needed: arena.needed.saturating_add(skipped),
            given: arena.given + skipped,
            ..arena
        }),
        error => error,
    }
}

fn port(list: &List<'_, i32>, index: usize) -> Result<usize, RunError> {
    let tensor = list
        .get(index)
        .and_then(|tensor| usize::try_from(tensor).ok());
    tensor.ok_or(RunError::NoSuchPort {
        index,
        count: list.len(),
    })
}

/// A Rust type that is the element of some tensors.
pub trait Typed: Element {
    /// The element type it stands for.
    const TYPE: ElementType;
}

macro_rules! typed {
    ($($type:ty = $element:ident),+ $(,)?) => {
        $(impl Typed for $type {
            const TYPE: ElementType = ElementType::$element;
        })+
    };
}

typed!(
    f32 = Float32,
    i8 = Int8,
    u8 = UInt8,
    i16 = Int16,
    i32 = Int32,
    i64 = Int64,
);

fn check_type<T: Typed>(found: ElementType) -> Result<(), RunError> {
    match found == T::TYPE {
        true => Ok(()),
        false => Err(RunError::ElementType { found }),
    }
}
