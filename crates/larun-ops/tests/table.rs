//! The operator table: codes, options by field id, shape rules.

use std::collections::BTreeMap;

use larun_ops::{
    Activation, BatchMatmulOptions, Conv2DOptions, DepthwiseConv2DOptions, ElementType,
    FullyConnectedOptions, GatherOptions, IntList, MAX_INTS, Op, OpKind, Operands, OptionsSink,
    OptionsSource, PackOptions, Padding, Pool2DOptions, ReducerOptions, Role, Shape, ShapeError,
    SpaceToDepthOptions, SplitOptions, SplitVOptions, SqueezeOptions, Window,
};
use proptest::prelude::*;

/// A table of fields in memory.
#[derive(Default)]
struct Fields {
    values: BTreeMap<u16, Value>,
}

enum Value {
    Byte(i8),
    Int(i32),
    Float(f32),
    Ints(Vec<i32>),
}

impl OptionsSink for Fields {
    fn byte(&mut self, id: u16, value: i8, default: i8) {
        if value != default {
            self.values.insert(id, Value::Byte(value));
        }
    }

    fn int(&mut self, id: u16, value: i32, default: i32) {
        if value != default {
            self.values.insert(id, Value::Int(value));
        }
    }

    fn float(&mut self, id: u16, value: f32, default: f32) {
        if value != default {
            self.values.insert(id, Value::Float(value));
        }
    }

    fn ints(&mut self, id: u16, values: &[i32]) {
        self.values.insert(id, Value::Ints(values.to_vec()));
    }
}

impl OptionsSource for Fields {
    type Error = String;

    fn byte(&self, id: u16) -> Result<Option<i8>, String> {
        match self.values.get(&id) {
            Some(Value::Byte(value)) => Ok(Some(*value)),
            None => Ok(None),
            Some(_) => Err(format!("field {id} is no byte")),
        }
    }

    fn int(&self, id: u16) -> Result<Option<i32>, String> {
        match self.values.get(&id) {
            Some(Value::Int(value)) => Ok(Some(*value)),
            None => Ok(None),
            Some(_) => Err(format!("field {id} is no integer")),
        }
    }

    fn float(&self, id: u16) -> Result<Option<f32>, String> {
        match self.values.get(&id) {
            Some(Value::Float(value)) => Ok(Some(*value)),
            None => Ok(None),
            Some(_) => Err(format!("field {id} is no number")),
        }
    }

    fn ints(&self, id: u16) -> Result<Option<IntList>, String> {
        match self.values.get(&id) {
            Some(Value::Ints(values)) => IntList::new(values)
                .map(Some)
                .ok_or_else(|| "too long".to_owned()),
            None => Ok(None),
            Some(_) => Err(format!("field {id} is no list")),
        }
    }

    fn unknown_value(&self, id: u16, value: i8) -> Result<(), String> {
        Err(format!("field {id} is {value}"))
    }
}

fn round_trip(op: Op) -> Result<Op, String> {
    let mut fields = Fields::default();
    op.write(&mut fields);
    Op::read(op.kind(), &fields)
}

/// A node of shapes and constant integers.
struct Node {
    shapes: Vec<Option<Shape>>,
    ints: Vec<Option<IntList>>,
}

impl Node {
    fn of(shapes: &[&[usize]]) -> Self {
        let shapes: Vec<_> = shapes.iter().map(|dims| Shape::new(dims)).collect();
        let ints = vec![None; shapes.len()];
        Self { shapes, ints }
    }

    fn with_ints(mut self, input: usize, values: &[i32]) -> Self {
        self.ints[input] = IntList::new(values);
        self
    }

    fn with_ints_everywhere(mut self, values: &[i32]) -> Self {
        self.ints.fill(IntList::new(values));
        self
    }
}

impl Operands for Node {
    fn count(&self) -> usize {
        self.shapes.len()
    }

    fn shape(&self, index: usize) -> Option<Shape> {
        *self.shapes.get(index)?
    }

    fn ints(&self, index: usize) -> Option<IntList> {
        *self.ints.get(index)?
    }
}

#[test]
fn every_code_finds_its_row_again() {
    let mut codes = Vec::new();
    for &kind in OpKind::ALL {
        let info = kind.info();
        assert_eq!(kind.to_string(), info.name);
        assert_eq!(kind.with_default_options().kind(), kind);
        // CALL_ONCE is run for what its subgraph does to variables.
        let has_operands = !info.inputs.is_empty() || !info.outputs.is_empty();
        assert!(has_operands || kind == OpKind::CallOnce, "{kind}");
        if let Some(code) = info.code {
            assert_eq!(OpKind::from_code(code), Some(kind));
            codes.push(code);
        }
    }
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count, "two operators share a code");
    assert_eq!(OpKind::from_code(-1), None);
}

#[test]
fn custom_operators_are_found_by_their_whole_name() {
    for &kind in OpKind::ALL {
        let info = kind.info();
        assert!(info.code.is_none() || !info.is_custom, "{kind}");
        let found = OpKind::from_custom_name(info.name.as_bytes());
        assert_eq!(found, info.is_custom.then_some(kind), "{kind}");
    }
    assert_eq!(OpKind::from_custom_name(b""), None);
    assert_eq!(OpKind::from_custom_name(b"SignalFram"), None);
}

/// Only what hands values over to other subgraphs, or keeps them for later, lacks inputs or outputs.
#[test]
fn operators_have_operands() {
    let lacking = |kind: &&OpKind| kind.info().inputs.is_empty() || kind.info().outputs.is_empty();
    let names: Vec<_> = OpKind::ALL
        .iter()
        .filter(lacking)
        .map(OpKind::to_string)
        .collect();
    assert_eq!(names, ["CALL_ONCE", "VAR_HANDLE", "ASSIGN_VARIABLE"]);
}

#[test]
fn every_operator_keeps_its_default_options() {
    for kind in OpKind::ALL {
        let op = kind.with_default_options();
        assert_eq!(round_trip(op), Ok(op));
        let mut fields = Fields::default();
        op.write(&mut fields);
        let only_lists = fields
            .values
            .values()
            .all(|value| matches!(value, Value::Ints(_)));
        assert!(only_lists, "{kind}: a default was written");
    }
}

#[test]
fn fields_have_the_ids_of_the_format() {
    let mut fields = Fields::default();
    let options = Conv2DOptions {
        padding: Padding::Valid,
        stride_w: 2,
        stride_h: 3,
        activation: Activation::Relu6,
        dilation_w: 4,
        dilation_h: 5,
        quantized_bias_type: ElementType::Int64,
    };
    Op::Conv2D(options).write(&mut fields);
    let ids: Vec<_> = fields.values.keys().copied().collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6]);
    assert!(matches!(fields.values[&2], Value::Int(3)));
    assert!(matches!(fields.values[&3], Value::Byte(3)));
}

#[test]
fn numbers_without_meaning_are_refused() {
    let mut fields = Fields::default();
    fields.values.insert(3, Value::Byte(77));
    assert_eq!(
        Op::read(OpKind::Conv2D, &fields),
        Err("field 3 is 77".to_owned())
    );
}

#[test]
fn the_fused_activation_is_found_wherever_it_is() {
    for &kind in OpKind::ALL {
        let mut op = kind.with_default_options();
        let fused = op.activation();
        if let Some(activation) = op.activation_mut() {
            *activation = Activation::Relu;
        }
        assert_eq!(op.activation(), fused.map(|_| Activation::Relu), "{kind}");
    }
    let pool = Op::MaxPool2D(Pool2DOptions::default());
    assert_eq!(pool.activation(), Some(Activation::None));
}

#[test]
fn shapes_follow_from_operands() {
    let conv = Op::Conv2D(Conv2DOptions {
        padding: Padding::Valid,
        stride_h: 1,
        stride_w: 2,
        ..Conv2DOptions::default()
    });
    let grouped = Node::of(&[&[1, 5, 9, 4], &[6, 3, 3, 2], &[6]]);
    assert_eq!(conv.infer_shape(&grouped, 0).unwrap().dims(), [1, 3, 4, 6]);

    let depthwise = Op::DepthwiseConv2D(DepthwiseConv2DOptions {
        stride_h: 2,
        stride_w: 2,
        ..DepthwiseConv2DOptions::default()
    });
    let node = Node::of(&[&[1, 5, 5, 3], &[1, 3, 3, 6]]);
    assert_eq!(
        depthwise.infer_shape(&node, 0).unwrap().dims(),
        [1, 3, 3, 6]
    );

    let dense = |keep_num_dims| {
        Op::FullyConnected(FullyConnectedOptions {
            keep_num_dims,
            ..FullyConnectedOptions::default()
        })
    };
    let node = Node::of(&[&[2, 3, 4], &[5, 4]]);
    assert_eq!(dense(false).infer_shape(&node, 0).unwrap().dims(), [6, 5]);
    assert_eq!(dense(true).infer_shape(&node, 0).unwrap().dims(), [2, 3, 5]);

    let mean = |keep_dims| Op::Mean(ReducerOptions { keep_dims });
    let node = Node::of(&[&[1, 4, 6, 8], &[2]]).with_ints(1, &[1, -2]);
    assert_eq!(mean(false).infer_shape(&node, 0).unwrap().dims(), [1, 8]);
    assert_eq!(
        mean(true).infer_shape(&node, 0).unwrap().dims(),
        [1, 1, 1, 8]
    );

    let add = OpKind::Add.with_default_options();
    let node = Node::of(&[&[4, 1, 3], &[2, 1]]);
    assert_eq!(add.infer_shape(&node, 0).unwrap().dims(), [4, 2, 3]);

    let select = |kind: OpKind, condition: &[usize]| {
        let node = Node::of(&[condition, &[2, 3], &[2, 3]]);
        kind.with_default_options().infer_shape(&node, 0)
    };
    for condition in [&[] as &[usize], &[2, 3], &[2]] {
        let shape = select(OpKind::Select, condition).unwrap();
        assert_eq!(shape.dims(), [2, 3]);
    }
    assert!(select(OpKind::Select, &[3]).is_err());
    let stretched = select(OpKind::SelectV2, &[4, 1, 3]).unwrap();
    assert_eq!(stretched.dims(), [4, 2, 3]);

    let pad = OpKind::Pad.with_default_options();
    let node = Node::of(&[&[2, 3], &[2, 2]]).with_ints(1, &[1, 0, 2, 2]);
    assert_eq!(pad.infer_shape(&node, 0).unwrap().dims(), [3, 7]);

    let expand = OpKind::ExpandDims.with_default_options();
    let node = Node::of(&[&[2, 3], &[]]).with_ints(1, &[-1]);
    assert_eq!(expand.infer_shape(&node, 0).unwrap().dims(), [2, 3, 1]);

    let squeeze = |dims: &[i32]| {
        Op::Squeeze(SqueezeOptions {
            squeeze_dims: IntList::new(dims).unwrap(),
        })
    };
    let node = Node::of(&[&[1, 3, 1]]);
    assert_eq!(squeeze(&[]).infer_shape(&node, 0).unwrap().dims(), [3]);
    assert_eq!(squeeze(&[-1]).infer_shape(&node, 0).unwrap().dims(), [1, 3]);
}

#[test]
fn shapes_of_transposed_convolutions_and_matrix_products() {
    let transposed = OpKind::TransposeConv.with_default_options();
    let node = Node::of(&[&[4], &[5, 3, 3, 2], &[1, 4, 4, 2], &[5]]);
    let unknown = transposed.infer_shape(&node, 0);
    assert_eq!(unknown, Err(ShapeError::Unknown { index: 0 }));
    let node = node.with_ints(0, &[1, 8, 7, 5]);
    let shape = transposed.infer_shape(&node, 0).unwrap();
    assert_eq!(shape.dims(), [1, 8, 7, 5]);
    assert_eq!(transposed.macs(&node, &shape), 32 * 9 * 5);
    for asked in [&[1, 8, 7, 4][..], &[2, 8, 7, 5], &[1, 8, 5], &[1, -8, 7, 5]] {
        let node = Node::of(&[&[4], &[5, 3, 3, 2], &[1, 4, 4, 2]]).with_ints(0, asked);
        assert!(transposed.infer_shape(&node, 0).is_err(), "{asked:?}");
    }

    let product = |adj_x, adj_y| {
        Op::BatchMatmul(BatchMatmulOptions {
            adj_x,
            adj_y,
            asymmetric_quantize_inputs: false,
        })
    };
    let node = Node::of(&[&[2, 1, 3, 4], &[5, 6, 4]]);
    let shape = product(false, true).infer_shape(&node, 0).unwrap();
    assert_eq!(shape.dims(), [2, 5, 3, 6]);
    assert_eq!(product(false, true).macs(&node, &shape), 180 * 4);
    let node = Node::of(&[&[4, 3], &[4, 6]]);
    assert_eq!(
        product(true, false).infer_shape(&node, 0).unwrap().dims(),
        [3, 6]
    );
    assert!(product(false, false).infer_shape(&node, 0).is_err());
    let vector = product(false, false).infer_shape(&Node::of(&[&[4], &[4, 6]]), 0);
    assert!(matches!(vector, Err(ShapeError::Rank { index: 0, .. })));
}

#[test]
fn a_search_drops_its_axis() {
    let search = OpKind::ArgMax.with_default_options();
    let node = Node::of(&[&[2, 3, 4], &[1]]);
    let shape = |axes: &[i32]| {
        let node = Node::of(&[&[2, 3, 4], &[1]]).with_ints(1, axes);
        search.infer_shape(&node, 0)
    };
    assert_eq!(shape(&[1]).unwrap().dims(), [2, 4]);
    assert_eq!(shape(&[-1]).unwrap().dims(), [2, 3]);
    assert!(matches!(
        shape(&[3]),
        Err(ShapeError::Option { value: 3, .. })
    ));
    assert!(matches!(
        shape(&[0, 1]),
        Err(ShapeError::Mismatch { found: 2, .. })
    ));
    let unknown = search.infer_shape(&node, 0);
    assert_eq!(unknown, Err(ShapeError::Unknown { index: 1 }));
}

#[test]
fn shapes_of_data_that_is_moved() {
    let shape =
        |op: Op, node: &Node, output| op.infer_shape(node, output).map(|s| s.dims().to_vec());
    let of = |kind: OpKind, node: Node| shape(kind.with_default_options(), &node, 0).unwrap();
    let node = Node::of(&[&[2, 3, 4], &[3]]).with_ints(1, &[2, 0, 1]);
    assert_eq!(of(OpKind::Transpose, node), [4, 2, 3]);
    let node = Node::of(&[&[3, 1], &[3]]).with_ints(1, &[2, 3, 5]);
    assert_eq!(of(OpKind::BroadcastTo, node), [2, 3, 5]);
    let node = Node::of(&[&[5, 6], &[2], &[2]]);
    let node = node.with_ints(1, &[1, 2]).with_ints(2, &[-1, 3]);
    assert_eq!(of(OpKind::Slice, node), [4, 3]);
    let node = Node::of(&[&[6, 5], &[1], &[1], &[1]]);
    let node = node
        .with_ints(1, &[-1])
        .with_ints(2, &[-6])
        .with_ints(3, &[-2]);
    assert_eq!(of(OpKind::StridedSlice, node), [3, 5]);
    let node = Node::of(&[&[1, 2, 5, 3], &[2], &[2, 2]]);
    let node = node.with_ints(1, &[2, 3]).with_ints(2, &[0, 0, 1, 0]);
    assert_eq!(of(OpKind::SpaceToBatchNd, node), [6, 1, 2, 3]);
    let node = Node::of(&[&[6, 1, 2, 3], &[2], &[2, 2]]);
    let node = node.with_ints(1, &[2, 3]).with_ints(2, &[0, 0, 1, 0]);
    assert_eq!(of(OpKind::BatchToSpaceNd, node), [1, 2, 5, 3]);
    let node = Node::of(&[&[1, 4, 5, 2], &[2]]).with_ints(1, &[8, 3]);
    assert_eq!(of(OpKind::ResizeBilinear, node), [1, 8, 3, 2]);
    assert_eq!(
        of(OpKind::GatherNd, Node::of(&[&[4, 5, 6], &[7, 2]])),
        [7, 6]
    );
    assert_eq!(
        of(OpKind::EmbeddingLookup, Node::of(&[&[3], &[9, 4]])),
        [3, 4]
    );
    assert_eq!(of(OpKind::Shape, Node::of(&[&[1, 2, 3]])), [3]);
    assert_eq!(of(OpKind::BroadcastArgs, Node::of(&[&[2], &[4]])), [4]);
    assert_eq!(
        of(OpKind::Fill, Node::of(&[&[2], &[]]).with_ints(0, &[3, 4])),
        [3, 4]
    );

    let gather = Op::Gather(GatherOptions {
        axis: -1,
        batch_dims: 1,
    });
    let node = Node::of(&[&[2, 3, 4], &[2, 5]]);
    assert_eq!(shape(gather, &node, 0).unwrap(), [2, 3, 5]);
    let deep = Op::SpaceToDepth(SpaceToDepthOptions { block_size: 2 });
    assert_eq!(
        shape(deep, &Node::of(&[&[1, 4, 6, 3]]), 0).unwrap(),
        [1, 2, 3, 12]
    );
    let pack = Op::Pack(PackOptions {
        values_count: 2,
        axis: -1,
    });
    assert_eq!(
        shape(pack, &Node::of(&[&[3, 4], &[3, 4]]), 0).unwrap(),
        [3, 4, 2]
    );

    // What is left of 7 goes to the part of -1; each output has its own shape.
    let parts = Op::SplitV(SplitVOptions { num_splits: 3 });
    let node = Node::of(&[&[7, 2], &[3], &[]]);
    let node = node.with_ints(1, &[1, -1, 2]).with_ints(2, &[0]);
    let lens = [0, 1, 2].map(|output| shape(parts, &node, output).unwrap()[0]);
    assert_eq!(lens, [1, 4, 2]);
    assert_eq!(
        shape(parts, &node, 3),
        Err(ShapeError::NoSuchOutput { output: 3 })
    );
    let split = Op::Split(SplitOptions { num_splits: 3 });
    let node = Node::of(&[&[], &[2, 7]]).with_ints(0, &[1]);
    let error = shape(split, &node, 0).unwrap_err().to_string();
    let expected = "elements of the axis that is split into equal parts: expected 6, found 7";
    assert_eq!(error, expected);
    let unknown = shape(split, &Node::of(&[&[], &[2, 6]]), 0);
    assert_eq!(unknown, Err(ShapeError::Unknown { index: 0 }));
}

#[test]
fn operands_that_do_not_fit_are_named() {
    let dense = OpKind::FullyConnected.with_default_options();
    let error = dense
        .infer_shape(&Node::of(&[&[1, 7], &[5, 4]]), 0)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "inputs of the dense layer, a row of its weights: expected 4, found 7"
    );
    let mean = OpKind::Mean.with_default_options();
    let unknown = mean.infer_shape(&Node::of(&[&[1, 7], &[1]]), 0);
    assert_eq!(unknown, Err(ShapeError::Unknown { index: 1 }));
    let missing = mean.infer_shape(&Node::of(&[&[1, 7]]), 0);
    assert_eq!(missing, Err(ShapeError::MissingInput { index: 1 }));
    let none = mean.infer_shape(&Node::of(&[&[1, 7], &[1]]), 1);
    assert_eq!(none, Err(ShapeError::NoSuchOutput { output: 1 }));
}

#[test]
fn operands_may_be_absent_or_many() {
    let conv = OpKind::Conv2D.info();
    assert!(
        conv.accepts_inputs(2)
            && conv.accepts_inputs(3)
            && !conv.accepts_inputs(1)
            && !conv.accepts_inputs(4)
    );
    let join = OpKind::Concatenation.info();
    assert!(join.accepts_inputs(1) && join.accepts_inputs(40));
    assert_eq!(
        join.input(39).map(|operand| operand.role),
        Some(Role::Activation)
    );
    assert_eq!(conv.input(3), None);
}

#[test]
fn sizes_are_checked() {
    let huge = Shape::new(&[usize::MAX, 2]).unwrap();
    assert_eq!(huge.elements(), None);
    assert_eq!(Shape::new(&[usize::MAX, 2, 0]).unwrap().elements(), Some(0));
    assert_eq!(Shape::SCALAR.elements(), Some(1));
    assert_eq!(Shape::new(&[1; 9]), None);
    assert_eq!(ElementType::Int4.byte_len(5), Some(3));
    assert_eq!(ElementType::Int2.byte_len(5), Some(2));
    assert_eq!(ElementType::Float32.byte_len(usize::MAX), None);
    assert_eq!(ElementType::String.byte_len(1), None);
    assert_eq!(IntList::new(&[0; MAX_INTS + 1]), None);
}

proptest! {
    /// A window's positions and borders cover exactly what they must, dilated or not.
    #[test]
    fn windows_cover_their_input(
        input in 1usize..60, filter in 1usize..7, stride in 1usize..5, dilation in 1usize..4, same in any::<bool>()
    ) {
        let padding = if same { Padding::Same } else { Padding::Valid };
        let extent = (filter - 1) * dilation + 1;
        let positions = match padding {
            Padding::Same => (0..input).step_by(stride).count(),
            Padding::Valid => (0..input).step_by(stride).filter(|at| at + extent <= input).count(),
        };
        match Window::new(input, filter, stride, dilation, padding) {
            None => prop_assert_eq!(positions, 0),
            Some(window) => {
                prop_assert_eq!(window.output, positions);
                let covered = (positions - 1) * stride + extent;
                prop_assert_eq!(window.pad_before + window.pad_after, covered.saturating_sub(input));
                prop_assert!(window.pad_after == window.pad_before || window.pad_after == window.pad_before + 1);
            }
        }
    }

    /// No options and shapes make a rule panic.
    #[test]
    fn rules_do_not_panic(
        kind in prop::sample::select(OpKind::ALL.to_vec()),
        shapes in prop::collection::vec(prop::collection::vec(prop_oneof![0usize..5, Just(usize::MAX)], 0..6), 0..5),
        ints in prop::collection::vec(any::<i32>(), 0..9),
        bytes in prop::collection::vec(-1i8..8, 8), numbers in prop::collection::vec(any::<i32>(), 8)
    ) {
        let mut fields = Fields::default();
        for id in 0..8u16 {
            let value = match id % 2 {
                0 => Value::Byte(bytes[usize::from(id)]),
                _ => Value::Int(numbers[usize::from(id)]),
            };
            fields.values.insert(id, value);
        }
        let op = Op::read(kind, &fields).unwrap_or_else(|_| kind.with_default_options());
        let dims: Vec<_> = shapes.iter().map(Vec::as_slice).collect();
        let node = Node::of(&dims).with_ints_everywhere(&ints);
        for output in 0..3 {
            if let Ok(shape) = op.infer_shape(&node, output) {
                let _ = op.macs(&node, &shape);
            }
        }
    }
}
