//! What each target does with a file. A panic is a find, and so is an error that a model which loaded must not give.

use core::cell::RefCell;

use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::kernels::{self, InvokeError};
use larun_micro::view::{Model, Operator, Quantization, Signature, Subgraph, Tensor, ViewError};
use larun_micro::{Interpreter, LoadError, OpKind, Options, RunError};

use crate::mutate::Random;

/// Bytes of the largest arena that a run gets: what is larger takes long and shows nothing more.
const MOST_ARENA: usize = 48 << 10;
/// Most entries of a list, and most tables below the lists of a file: lists may share their entries.
const MOST_ENTRIES: usize = 64;

thread_local! {
    /// Memory to load in, which keeps what the last model left.
    static ARENA: RefCell<AlignedBytes> = RefCell::new(AlignedBytes::zeroed(MOST_ARENA));
}

/// Looks at all that the view shows.
pub fn view(file: &[u8]) {
    let file = AlignedBytes::copy_of(file);
    // What is damaged ends one look only.
    let _ = Model::new(&file).map(|model| Look { left: 2_000 }.model(&model));
}

/// A walk through a file, with what is left of the tables that it may visit.
struct Look {
    left: usize,
}

impl Look {
    fn count(&mut self, len: usize) -> core::ops::Range<usize> {
        let count = len.min(MOST_ENTRIES).min(self.left);
        self.left -= count;
        0..count
    }

    fn model(&mut self, model: &Model<'_>) {
        let _ = model.description();
        for i in self.count(model.operator_code_count()) {
            let _ = model.operator_code(i).map(|code| code.kind());
        }
        for i in self.count(model.buffer_count()) {
            let _ = model.buffer(i).map(sum);
        }
        for i in self.count(model.subgraph_count()) {
            let _ = model.subgraph(i).map(|it| self.subgraph(model, &it));
        }
        for i in self.count(model.metadata_count().unwrap_or_default()) {
            let _ = model.metadata(i).map(|it| sum(it.name.unwrap_or_default()));
        }
        let _ = model.find_metadata(b"min_runtime_version");
        let _ = model.metadata_buffers().map(|list| list.iter().count());
        for i in self.count(model.signature_count().unwrap_or_default()) {
            let _ = model.signature(i).map(|it| self.signature(&it));
        }
        let groups = model.external_buffer_group_count();
        for i in self.count(groups.unwrap_or_default()) {
            let _ = model.external_buffer_group(i);
        }
        let buffers = model.external_buffer_count();
        for i in self.count(buffers.unwrap_or_default()) {
            let _ = model.external_buffer(i);
        }
        for i in [model.buffer_count(), usize::MAX, 1 << 30] {
            assert!(model.buffer(i).is_err());
        }
    }

    fn signature(&mut self, signature: &Signature<'_>) {
        let _ = signature.key();
        let _ = signature.retired_tag();
        let _ = signature.subgraph();
        for i in self.count(signature.input_count()) {
            let _ = signature.input(i);
        }
        for i in self.count(signature.output_count()) {
            let _ = signature.output(i);
        }
    }

    fn subgraph(&mut self, model: &Model<'_>, subgraph: &Subgraph<'_>) {
        let _ = subgraph.name();
        let _ = subgraph.debug_metadata_index();
        let _ = subgraph.inputs().map(|list| list.iter().count());
        let _ = subgraph.outputs().map(|list| list.iter().count());
        for i in self.count(subgraph.tensor_count()) {
            let _ = subgraph.tensor(i).map(|it| self.tensor(&it));
        }
        for i in self.count(subgraph.operator_count()) {
            let _ = subgraph.operator(i).map(|it| operator(model, &it));
        }
    }

    fn tensor(&mut self, tensor: &Tensor<'_>) {
        let _ = tensor.name();
        let _ = tensor.shape().map(|shape| format!("{shape:?}"));
        let _ = tensor.shape_signature().map(|it| format!("{it:?}"));
        let _ = tensor.has_rank();
        let _ = tensor.element_type();
        let _ = tensor.buffer();
        let _ = tensor.external_buffer();
        let _ = tensor.is_variable();
        let _ = tensor.quantization().map(|it| it.map(quantization));
        if let Ok(Some(sparsity)) = tensor.sparsity() {
            let _ = sparsity.traversal_order();
            let _ = sparsity.block_map();
            for i in self.count(sparsity.dimension_count()) {
                let _ = sparsity.dimension(i);
            }
        }
        for i in self.count(tensor.variant_count().unwrap_or_default()) {
            let _ = tensor.variant(i);
        }
    }
}

fn quantization(quantization: Quantization<'_>) {
    let _ = quantization.scales().map(|list| list.iter().count());
    let _ = quantization.zero_points().map(|list| list.iter().count());
    let _ = quantization.axis();
    let _ = quantization.min();
    let _ = quantization.max();
    let _ = quantization.details();
}

fn operator(model: &Model<'_>, operator: &Operator<'_>) {
    let _ = operator.inputs().map(|list| list.iter().count());
    let _ = operator.outputs().map(|list| list.iter().count());
    let _ = operator.intermediates();
    let _ = operator.mutating_variable_inputs();
    let _ = operator.custom_options().map(|it| it.map(sum));
    let _ = operator.custom_options_format();
    let _ = operator.large_custom_options();
    let _ = operator.debug_metadata_index();
    if let Ok(Some(options)) = operator.options() {
        for field in 0..8 {
            let _ = options.bytes(field);
        }
    }
    let kind = operator.code_index().and_then(|index| kind(model, index));
    if let Ok(Some(kind)) = kind {
        let _ = operator.op(kind);
    }
}

fn kind(model: &Model<'_>, index: u32) -> Result<Option<OpKind>, ViewError> {
    Ok(model.operator_code(index as usize)?.kind())
}

/// Touches every byte, for the address sanitizer.
fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().copied().map(u32::from).sum()
}

/// Loads, in the smallest arena, which is the size that the interpreter says.
pub fn load(file: &[u8]) {
    let model = AlignedBytes::copy_of(file);
    let needed = match needed(&model, Options::default()) {
        Ok(needed) => needed,
        Err(LoadError::Arena(error)) => {
            assert!(!error.to_string().is_empty());
            // Megabytes of zeros take long.
            if error.needed > 1 << 20 {
                return;
            }
            error.needed
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    match arena_for(&model, kernels::ALL) {
        Ok(arena) => assert!(arena.len() >= needed.min(MOST_ARENA)),
        Err(error) => assert!(needed > MOST_ARENA, "{error}"),
    }
}

/// The bytes of the smallest arena for a model that loads in [`MOST_ARENA`] bytes.
fn needed(model: &[u8], options: Options) -> Result<usize, LoadError<'_>> {
    ARENA.with_borrow_mut(|arena| {
        let loaded = Interpreter::with_options(model, kernels::ALL, arena, options);
        loaded.map(|interpreter| interpreter.arena_bytes())
    })
}

/// Loads, runs a few times with inputs that the end of the file chooses, starts anew and runs again.
pub fn run(file: &[u8]) {
    let model = AlignedBytes::copy_of(file);
    let options = Options {
        max_calls: 32,
        ..Options::default()
    };
    let Ok(needed) = needed(&model, options) else {
        return;
    };
    // Not a byte more, so that the address sanitizer sees a byte too far.
    let mut arena = AlignedBytes::zeroed(needed);
    let loaded = Interpreter::with_options(&model, kernels::ALL, &mut arena, options);
    let mut interpreter = loaded.expect("it loads in the arena that it asks for");
    let mut random = Random(file.last_chunk().map_or(0, |it| u64::from_le_bytes(*it)));
    for turn in 0..3 {
        fill_inputs(&mut interpreter, &mut random);
        if let Err(error) = interpreter.invoke() {
            check(error);
        }
        for i in 0..interpreter.output_count() {
            sum(interpreter.output_bytes(i).expect("an output has bytes"));
        }
        if turn == 1 {
            interpreter.reset().expect("a model that loaded resets");
        }
    }
}

/// Panics at an error that only a fault of the interpreter gives.
fn check(error: RunError) {
    let data = match error {
        RunError::TooManyCalls { .. } => true,
        RunError::Node { error, .. } => matches!(
            error,
            InvokeError::NoResource(_) | InvokeError::Length { .. } | InvokeError::OutOfRange(_)
        ),
        _ => false,
    };
    assert!(data, "{error}");
}

/// Sets the inputs to bytes, to zeros, to small numbers, or to special floats.
fn fill_inputs(interpreter: &mut Interpreter<'_, '_>, random: &mut Random) {
    const SPECIAL: [u32; 6] = [
        0x7fc0_0000,
        0x7f80_0000,
        0xff80_0000,
        0x7f7f_ffff,
        0x8000_0000,
        0x0000_0001,
    ];
    for i in 0..interpreter.input_count() {
        // A constant that a file calls an input cannot be set.
        let Ok(bytes) = interpreter.input_bytes_mut(i) else {
            continue;
        };
        match random.below(5) {
            0 => bytes.fill(0),
            1 => bytes.fill_with(|| random.next() as u8),
            way => {
                for word in bytes.chunks_mut(4) {
                    let value = match way {
                        2 => random.below(5) as u32,
                        3 => (random.below(2000) as f32 / 100.0 - 10.0).to_bits(),
                        _ => SPECIAL[random.below(SPECIAL.len())],
                    };
                    word.copy_from_slice(&value.to_le_bytes()[..word.len()]);
                }
            }
        }
    }
}
