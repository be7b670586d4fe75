//! Nodes and plans without sense: a typed error or a result, never a panic.

use larun_kernels::{ALL, InvokeError, Io, Locate, Location, PlanReader};
use larun_ops::{ElementType, IntList, Op, OpKind, OptionsSource, Shape};
use proptest::prelude::*;

use crate::reference::Noise;
use crate::support::{Node, Tensor};

/// Options at random, small numbers mostly.
struct RandomOptions(core::cell::RefCell<Noise>);

impl OptionsSource for RandomOptions {
    type Error = ();

    fn byte(&self, _: u16) -> Result<Option<i8>, ()> {
        Ok(Some(self.0.borrow_mut().below(4) as i8))
    }

    fn int(&self, _: u16) -> Result<Option<i32>, ()> {
        Ok(Some(integer(&mut self.0.borrow_mut())))
    }

    fn float(&self, _: u16) -> Result<Option<f32>, ()> {
        Ok(Some(real(&mut self.0.borrow_mut())))
    }

    fn ints(&self, _: u16) -> Result<Option<IntList>, ()> {
        let noise = &mut self.0.borrow_mut();
        let values: Vec<i32> = (0..noise.below(4)).map(|_| integer(noise)).collect();
        Ok(IntList::new(&values))
    }

    fn unknown_value(&self, _: u16, _: i8) -> Result<(), ()> {
        Err(())
    }
}

fn integer(noise: &mut Noise) -> i32 {
    match noise.below(12) {
        0 => i32::MIN,
        1 => i32::MAX,
        2 => noise.next() as i32,
        _ => noise.below(5) as i32 - 1,
    }
}

fn real(noise: &mut Noise) -> f32 {
    match noise.below(8) {
        0 => f32::from_bits(noise.next() as u32),
        1 => f32::MIN_POSITIVE,
        2 => 1.0 / 256.0,
        _ => noise.scale(),
    }
}

fn dim(noise: &mut Noise) -> usize {
    match noise.below(60) {
        0 => usize::MAX,
        1 => 1 << 31,
        2 => 1 << 20,
        _ => noise.below(5),
    }
}

fn tensor(noise: &mut Noise) -> Tensor {
    let element_type = match noise.below(8) {
        0 => ElementType::ALL[noise.below(ElementType::ALL.len())],
        1 | 2 => ElementType::Float32,
        3 => ElementType::Int32,
        _ => ElementType::Int8,
    };
    let dims: Vec<usize> = (0..noise.below(6)).map(|_| dim(noise)).collect();
    let shape = Shape::new(&dims).unwrap();
    let len = shape.elements().and_then(|n| element_type.byte_len(n));
    let len = len.filter(|&len| len < 1 << 16).unwrap_or(0);
    let bytes = (0..len).map(|_| noise.int8() as u8 & 7).collect();
    let mut tensor = Tensor::new(element_type, &dims, bytes);
    let scales: Vec<f32> = (0..noise.below(3)).map(|_| real(noise)).collect();
    let zero_points = (0..noise.below(3)).map(|_| match noise.below(8) {
        0 => noise.next() as i64,
        _ => i64::from(noise.int8()) / 100 * 128,
    });
    let zero_points: Vec<i64> = zero_points.collect();
    tensor = tensor
        .quantized(&scales, &zero_points)
        .along(noise.below(4));
    tensor
        .scales
        .truncate(tensor.scales.len() - noise.below(2).min(tensor.scales.len()));
    tensor.constant = noise.below(3) == 0;
    tensor
}

/// A node that may have sense now and then: the output often has the shape that follows.
fn node(kind: OpKind, seed: u64) -> Node {
    let mut noise = Noise::new(seed);
    let options = RandomOptions(Noise::new(noise.next()).into());
    let op = Op::read(kind, &options).unwrap_or(kind.with_default_options());
    let wanted = kind.info().inputs.len();
    let count = if noise.below(6) == 0 {
        noise.below(5)
    } else {
        wanted
    };
    let mut inputs: Vec<_> = (0..count)
        .map(|_| (noise.below(10) > 0).then(|| tensor(&mut noise)))
        .collect();
    if noise.below(2) == 0 {
        // One element type throughout, and second operands like the first.
        let first = inputs.first().cloned().flatten();
        if let Some(first) = first {
            inputs.iter_mut().flatten().skip(1).for_each(|input| {
                if input.element_type == ElementType::Int8 {
                    *input = first.clone();
                }
            });
        }
    }
    let mut outputs: Vec<_> = (0..1 + noise.below(12) / 11)
        .map(|_| tensor(&mut noise))
        .collect();
    let probe = Node {
        op,
        inputs: inputs.clone(),
        outputs: Vec::new(),
    };
    let view = ShapeOf(&probe);
    if let Ok(shape) = op.infer_shape(&view, 0)
        && let Some(Some(first)) = inputs.first()
    {
        let like = first.clone();
        outputs[0] = Tensor { shape, ..like };
        outputs[0].constant = false;
    }
    Node {
        op,
        inputs,
        outputs,
    }
}

struct ShapeOf<'n>(&'n Node);

impl larun_ops::Operands for ShapeOf<'_> {
    fn count(&self) -> usize {
        self.0.inputs.len()
    }

    fn shape(&self, index: usize) -> Option<Shape> {
        self.0.inputs.get(index)?.as_ref().map(|t| t.shape)
    }

    fn ints(&self, index: usize) -> Option<IntList> {
        larun_kernels::NodeView::input(self.0, index)?.ints()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_node_is_refused_or_runs(row in 0..ALL.len(), seed: u64) {
        let node = node(ALL[row].kind, seed);
        match node.prepare() {
            Err(refusal) => prop_assert!(!refusal.to_string().is_empty()),
            Ok((words, scratch)) => {
                let tensors = node.inputs.iter().flatten();
                let run_time = tensors.filter(|t| !t.constant);
                let known = run_time.clone().all(|t| {
                    t.shape.elements().and_then(|n| t.element_type.byte_len(n)) == Some(t.bytes.len())
                });
                let output = &node.outputs[0];
                let bytes = output.shape.elements().and_then(|n| output.element_type.byte_len(n));
                if known && bytes.is_some_and(|len| len < 1 << 20) && scratch < 1 << 20 {
                    let result = node.invoke(&words, scratch);
                    // Indices and handles computed at run time may be anything.
                    let of_values = |error| matches!(error, InvokeError::OutOfRange(_) | InvokeError::NoResource(_));
                    let ran = result.as_ref().err().copied().is_none_or(of_values);
                    prop_assert!(ran, "{:?}: {:?}", result, node);
                }
            }
        }
    }

    #[test]
    fn any_plan_gives_a_result_or_an_error(
        row in 0..ALL.len(),
        words in prop::collection::vec(prop_oneof![6 => 0..5u32, 1 => any::<u32>()], 0..60),
        seed: u64,
    ) {
        let mut arena = vec![0u128; 32];
        let places = RandomPlaces(seed);
        let io = Io::new(bytemuck::cast_slice_mut(&mut arena), &places);
        if let Err(error) = (ALL[row].invoke)(PlanReader::new(&words), io) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

/// Operands of small sizes anywhere.
struct RandomPlaces(u64);

impl RandomPlaces {
    fn place(&self, which: u64) -> Location<'_> {
        let mut noise = Noise::new(self.0 ^ which);
        let (block, len) = (noise.below(30), noise.below(17));
        let offset = 16 * block;
        Location::Arena { offset, len }
    }
}

impl Locate for RandomPlaces {
    fn input(&self, index: usize) -> Location<'_> {
        self.place(index as u64)
    }

    fn output(&self, index: usize) -> Location<'_> {
        self.place(100 + index as u64)
    }

    fn scratch(&self) -> Location<'_> {
        self.place(1000)
    }
}

#[test]
fn most_operators_run_on_some_random_node() {
    // The random nodes are worth something only while some of them pass.
    let ran = |row: &larun_kernels::Registration| {
        (0..20_000).any(|seed| node(row.kind, seed).prepare().is_ok())
    };
    let count = ALL.iter().filter(|row| ran(row)).count();
    assert!(count >= 12, "only {count} operators were prepared");
}
