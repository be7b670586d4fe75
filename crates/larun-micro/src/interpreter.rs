//! The interpreter: a loaded model with memory for its activations.

use larun_kernels::{Element, Registration};
use larun_ops::ElementType;
use larun_ops::view::{Model, ViewError};

use crate::error::{ArenaTooSmall, LoadError, Name};
use crate::layout::{Home, Place, PortList, Table, part};
use crate::loaded::Loaded;
use crate::node::{UNKNOWN, describe};
use crate::observe::Observer;
use crate::options::Options;
use crate::run::{Ended, Run};
use crate::run_error::RunError;
use crate::tensor::TensorInfo;

/// A model ready to run.
///
/// The model's bytes are read where they lie, in flash; the arena holds what changes. Every check
/// is made when the model is loaded: an inference cannot fail on a model that loaded, but for loops
/// that do not end, indices out of range, and handles of resource variables that are computed.
pub struct Interpreter<'m, 'a> {
    pub(crate) loaded: Loaded<'m, 'a>,
    pub(crate) activations: &'a mut [u8],
    /// Whether the last inference ended early.
    pub(crate) waiting: bool,
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
        Self::with_options(model, kernels, arena, Options::default())
    }

    /// Loads a model with other [`Options`] than the default ones.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_options(
        model: &'m [u8],
        kernels: &'m [Registration],
        arena: &'a mut [u8],
        options: Options,
    ) -> Result<Self, LoadError<'m>> {
        let (loaded, rest) = Loaded::with_options(model, kernels, arena, options)?;
        let (needed, given) = (loaded.activation_bytes(), rest.len());
        let activations = rest.get_mut(..needed).ok_or(ArenaTooSmall {
            needed,
            given,
            exact: true,
        });
        let activations = activations.map_err(LoadError::Arena)?;
        // What the arena held before must not show in an input that is left unset.
        activations.fill(0);
        Ok(Self {
            loaded,
            activations,
            waiting: false,
        })
    }

    /// Clears what the model remembers of earlier inferences: the elements of variables become
    /// zero, quantised ones their zero point, and CALL_ONCE runs again.
    ///
    /// # Errors
    /// Never on a model that loaded.
    pub fn reset(&mut self) -> Result<(), ViewError> {
        self.loaded.reset()
    }

    /// Bytes of the smallest arena of this alignment in which the model loads and runs.
    ///
    /// Most often the persistent bytes and the activations; for a model of many tiny tensors, the
    /// notes that loading takes are more than its activations.
    pub const fn arena_bytes(&self) -> usize {
        self.loaded.arena_bytes()
    }

    /// Bytes of the arena that hold tensor places, prepared operators and state.
    pub fn persistent_bytes(&self) -> usize {
        self.loaded.persistent_bytes()
    }

    /// Bytes of the arena that operators share for their values.
    pub const fn activation_bytes(&self) -> usize {
        self.activations.len()
    }

    /// How many operators the main subgraph has.
    pub fn node_count(&self) -> usize {
        self.main().map_or(0, |table| table.nodes)
    }

    /// How many inputs the model has.
    pub fn input_count(&self) -> usize {
        self.main().map_or(0, |table| table.inputs.len.into())
    }

    /// How many outputs the model has.
    pub fn output_count(&self) -> usize {
        self.main().map_or(0, |table| table.outputs.len.into())
    }

    /// What input `index` is.
    ///
    /// # Errors
    /// When there is no such input.
    pub fn input_info(&self, index: usize) -> Result<TensorInfo<'m>, RunError> {
        self.info(self.port(|main| main.inputs, index)?.0)
    }

    /// What output `index` is.
    ///
    /// # Errors
    /// When there is no such output.
    pub fn output_info(&self, index: usize) -> Result<TensorInfo<'m>, RunError> {
        self.info(self.port(|main| main.outputs, index)?.0)
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
        let (_, place) = self.port(|main| main.inputs, index)?;
        let memory = match place.home() {
            Home::Activations => &mut *self.activations,
            Home::State => &mut *self.loaded.state,
            Home::File | Home::Handle => return Err(RunError::Constant),
        };
        let region = memory.get_mut(place.offset()..);
        region
            .and_then(|rest| rest.get_mut(..place.len()))
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
    /// When the model's loops run for longer than [`Options::max_calls`] allows, a resource
    /// variable is not what it is used as, or a value that is an index is out of range. Else never
    /// on a model that loaded; a fault inside the interpreter is reported, not panicked on.
    pub fn invoke(&mut self) -> Result<(), RunError> {
        self.invoke_observed(&mut ())
    }

    /// Runs the model once and tells `observer` of every node.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke).
    pub fn invoke_observed<O: Observer>(&mut self, observer: &mut O) -> Result<(), RunError> {
        let run = Run {
            tables: self.loaded.tables(),
            kernels: self.loaded.kernels,
            options: self.loaded.options,
            frames: self.loaded.frames,
            state: self.loaded.state,
            activations: self.activations,
        };
        let ended = run.run(observer);
        self.waiting = ended == Ok(Ended::Waiting);
        ended.map(|_| ())
    }

    /// Whether the last inference has no outputs yet: an operator that collects slices of a stream, CIRCULAR_BUFFER, needs
    /// more of them, and what comes after it did not run. What [`output`](Self::output) gives is then of no use, but for
    /// an output of that operator itself.
    pub const fn is_waiting(&self) -> bool {
        self.waiting
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
        let (_, place) = self.port(|main| main.outputs, index)?;
        let memory = match place.home() {
            Home::Activations => &*self.activations,
            Home::State => &*self.loaded.state,
            Home::File => self.loaded.file,
            Home::Handle => return Ok(&[]),
        };
        part(memory, place.offset(), place.len()).ok_or(RunError::Corrupt)
    }

    /// What is kept of the main subgraph.
    fn main(&self) -> Option<Table<'_>> {
        self.loaded.tables().get(0)
    }

    /// The tensor that an input or output is, and where it lies.
    fn port(
        &self,
        list: fn(&Table<'_>) -> PortList,
        index: usize,
    ) -> Result<(usize, Place), RunError> {
        let main = self.main().ok_or(RunError::Corrupt)?;
        let list = list(&main);
        let tensor = main.port(list, index).ok_or(RunError::NoSuchPort {
            index,
            count: list.len.into(),
        })?;
        let place = main.place(tensor).ok_or(RunError::Corrupt)?;
        Ok((tensor, place))
    }

    fn info(&self, index: usize) -> Result<TensorInfo<'m>, RunError> {
        self.read_info(index).map_err(|_| RunError::Corrupt)
    }

    fn read_info(&self, index: usize) -> Result<TensorInfo<'m>, ViewError> {
        let model = Model::new(self.loaded.file)?;
        let tensor = model.subgraph(0)?.tensor(index)?;
        let mut info = UNKNOWN;
        describe(&model, &tensor, &mut info)?;
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
