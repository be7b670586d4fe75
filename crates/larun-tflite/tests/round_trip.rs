//! What is read and written again is the same graph.

mod support;

use larun_graph::ops::{
    IntList, NoOptions, Op, OpKind, OptionsSource, SignalFftOptions, SignalFramerOptions,
    SignalPcanOptions,
};
use larun_graph::{
    Graph, Node, NodeOp, OpaqueOp, OpaqueOptions, OptionsUnion, QuantizationDetails,
};
use larun_tflite::view::Model;
use larun_tflite::{ReadErrorKind, WriteError, read, write};
use proptest::prelude::*;

#[test]
fn a_built_graph_survives() {
    let graph = support::small();
    let file = write(&graph).unwrap();
    assert_eq!(read(&file).unwrap(), graph);
}

#[test]
fn nothing_is_lost() {
    let graph = support::everything();
    let file = write(&graph).unwrap();
    assert_eq!(read(&file).unwrap(), graph);
}

#[test]
fn the_same_graph_gives_the_same_bytes() {
    let graph = support::everything();
    assert_eq!(write(&graph).unwrap(), write(&graph).unwrap());
}

#[test]
fn an_empty_graph_gets_the_empty_buffer_that_files_begin_with() {
    let file = write(&Default::default()).unwrap();
    let model = Model::new(&file).unwrap();
    assert_eq!(model.buffer_count(), 1);
    assert_eq!(model.buffer(0).unwrap(), b"");
}

#[test]
fn buffers_begin_at_multiples_of_16() {
    let mut graph = support::everything();
    for len in 0..40 {
        graph.add_buffer(vec![7; len]);
    }
    let file = write(&graph).unwrap();
    let model = Model::new(&file).unwrap();
    for index in 0..model.buffer_count() {
        let buffer = model.buffer(index).unwrap();
        if !buffer.is_empty() {
            let at = buffer.as_ptr() as usize - file.as_ptr() as usize;
            assert_eq!(at % 16, 0, "buffer {index} at {at}");
        }
    }
}

/// The node of `code`, without options.
fn opaque(code: i32) -> Node {
    Node {
        op: NodeOp::Opaque(Box::new(OpaqueOp {
            code,
            ..OpaqueOp::default()
        })),
        version: 1,
        debug_metadata: -1,
        ..Node::default()
    }
}

#[test]
fn operators_above_127_fill_both_fields_of_their_code() {
    for code in [0, 126, 127, 128, 209, 100_000] {
        let mut graph = support::small();
        graph.subgraphs[0].nodes = vec![opaque(code)];
        let file = write(&graph).unwrap();
        let table = flat_operator_code(&file);
        assert_eq!(table, (code.min(127) as i8, code));
        let known = OpKind::from_code(code).is_some();
        let node = &read(&file).unwrap().subgraphs[0].nodes[0];
        match &node.op {
            NodeOp::Opaque(op) if !known => assert_eq!(op.code, code),
            NodeOp::Known(op) if known => assert_eq!(op.kind().info().code, Some(code)),
            other => panic!("{code}: {other:?}"),
        }
    }
}

/// The two numbers of the first operator code.
fn flat_operator_code(file: &[u8]) -> (i8, i32) {
    let codes = follow(file, field(file, follow(file, 0), 1).unwrap());
    let code = follow(file, codes + 4);
    let old = field(file, code, 0).map_or(0, |at| file[at].cast_signed());
    (old, field(file, code, 3).map_or(0, |at| i32_at(file, at)))
}

fn i32_at(file: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(file[at..at + 4].try_into().unwrap())
}

/// Where an offset leads.
fn follow(file: &[u8], at: usize) -> usize {
    at + i32_at(file, at) as usize
}

/// Where field `id` of a table stands.
fn field(file: &[u8], table: usize, id: usize) -> Option<usize> {
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([file[at], file[at + 1]]));
    let vtable = (table as i32 - i32_at(file, table)) as usize;
    let slot = 4 + 2 * id;
    let present = slot < u16_at(vtable) && u16_at(vtable + slot) != 0;
    present.then(|| table + u16_at(vtable + slot))
}

/// A graph of one operator of the table, as far as the format cares.
fn with_operator(op: Op) -> Graph {
    let mut graph = support::small();
    graph.subgraphs[0].nodes = vec![Node::new(op, &[], &[])];
    graph
}

/// Every custom operator of the table, its options set from numbers.
fn custom_operators(numbers: &[i32], float: f32) -> Vec<Op> {
    struct Source<'a>(&'a [i32], f32);
    impl OptionsSource for Source<'_> {
        type Error = ();

        fn byte(&self, id: u16) -> Result<Option<i8>, ()> {
            Ok(Some((self.0[usize::from(id) % self.0.len()] & 1) as i8))
        }

        fn int(&self, id: u16) -> Result<Option<i32>, ()> {
            Ok(Some(self.0[usize::from(id) % self.0.len()]))
        }

        fn float(&self, _: u16) -> Result<Option<f32>, ()> {
            Ok(Some(self.1))
        }

        fn ints(&self, _: u16) -> Result<Option<IntList>, ()> {
            Ok(IntList::new(&self.0[..self.0.len().min(3)]))
        }

        fn unknown_value(&self, _: u16, _: i8) -> Result<(), ()> {
            Err(())
        }
    }
    let custom = OpKind::ALL.iter().filter(|kind| kind.info().is_custom);
    custom
        .map(|&kind| Op::read(kind, &Source(numbers, float)).unwrap())
        .collect()
}

proptest! {
    #[test]
    fn custom_operators_survive(
        numbers in prop::collection::vec(
            prop_oneof![any::<i32>(), -200i32..200, -40_000i32..40_000], 1..12),
        float in prop_oneof![prop::num::f32::ANY.prop_filter("not a number", |f| !f.is_nan()), Just(0.5f32)],
    ) {
        let operators = custom_operators(&numbers, float);
        prop_assert!(operators.len() > 15);
        for op in operators {
            let graph = with_operator(op);
            let file = write(&graph).unwrap();
            prop_assert_eq!(read(&file).unwrap(), graph);
            let model = Model::new(&file).unwrap();
            let operator = model.subgraph(0).unwrap().operator(0).unwrap();
            prop_assert_eq!(operator.op(op.kind()), Ok(op));
        }
    }
}

/// What TensorFlow's own writer makes of the options of two operators.
#[test]
fn options_of_custom_operators_are_the_bytes_of_the_format_s_own_library() {
    let framer = SignalFramerOptions {
        frame_size: 7,
        frame_step: 4,
        prefill: true,
    };
    let expected = b"frame_size\0frame_step\0prefill\0\x03\x1f\x15\x0b\x03\x01\x03\x07\x04\x01\x04\x04\x68\x06\x24\x01";
    assert_eq!(custom_options(Op::SignalFramer(framer)).unwrap(), expected);
    // Sorted by name, and all of the width of the largest.
    let fft = SignalFftOptions {
        fft_length: 128,
        element_type: 7,
    };
    let expected = b"T\0fft_length\0\x02\x0e\x0d\x02\0\x01\0\x02\0\x07\0\x80\0\x05\x05\x06\x25\x01";
    assert_eq!(custom_options(Op::SignalRfft(fft)).unwrap(), expected);
    assert_eq!(custom_options(Op::Decode(NoOptions {})), None);
}

/// The custom options of the only operator.
fn custom_options(op: Op) -> Option<Vec<u8>> {
    let file = write(&with_operator(op)).unwrap();
    let subgraph = Model::new(&file).unwrap().subgraph(0).unwrap();
    let options = subgraph.operator(0).unwrap().custom_options().unwrap();
    options.map(<[u8]>::to_vec)
}

/// Options that another writer stores in another way are kept as they are.
#[test]
fn custom_options_in_another_form_are_kept() {
    let pcan = Op::SignalPcan(SignalPcanOptions { snr_shift: 6 });
    let bytes = custom_options(pcan).unwrap();
    let other_forms = [
        None,
        Some(vec![]),
        Some(bytes[..bytes.len() - 1].to_vec()),
        Some([&[0], bytes.as_slice()].concat()),
    ];
    for custom_options in other_forms {
        let mut graph = with_operator(pcan);
        graph.subgraphs[0].nodes[0].op = NodeOp::Opaque(Box::new(OpaqueOp {
            code: 32,
            custom_code: Some("SignalPCAN".to_owned()),
            custom_options,
            ..OpaqueOp::default()
        }));
        let file = write(&graph).unwrap();
        assert_eq!(read(&file).unwrap(), graph);
    }
}

#[test]
fn what_no_file_can_hold_is_refused() {
    let mut graph = support::small();
    let training = Node::new(OpKind::BatchNorm.with_default_options(), &[], &[]);
    graph.subgraphs[0].nodes.push(training);
    let error = write(&graph).unwrap_err();
    assert!(
        matches!(
            error,
            WriteError::TrainingOnly {
                name: "BATCH_NORM",
                ..
            }
        ),
        "{error}"
    );

    let mut graph = support::small();
    let mut node = opaque(39);
    if let NodeOp::Opaque(op) = &mut node.op {
        op.options = Some(OpaqueOptions {
            union: OptionsUnion::First,
            kind: 26,
            table: vec![1, 2, 3],
        });
    }
    graph.subgraphs[0].nodes.push(node);
    let error = write(&graph).unwrap_err();
    assert!(
        matches!(error, WriteError::Opaque { number: 26, .. }),
        "{error}"
    );

    let mut graph = support::everything();
    let quantization = graph.subgraphs[0].tensors[0].quantization.as_mut().unwrap();
    quantization.details = Some(QuantizationDetails::Opaque {
        kind: 200,
        table: vec![],
    });
    let error = write(&graph).unwrap_err();
    assert!(
        matches!(error, WriteError::Opaque { number: 200, .. }),
        "{error}"
    );
}

#[test]
fn every_model_of_the_corpus_survives() {
    let Some(corpus) = support::corpus("every_model_of_the_corpus_survives") else {
        return;
    };
    let models = support::corpus_models(&corpus);
    assert!(models.len() > 2700, "{} models", models.len());
    let mut custom = 0;
    for (name, file) in models {
        let graph = read(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let nodes = graph.subgraphs.iter().flat_map(|subgraph| &subgraph.nodes);
        let kinds = nodes.filter_map(Node::kind);
        custom += kinds.filter(|kind| kind.info().is_custom).count();
        let written = write(&graph).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = read(&written).unwrap_or_else(|error| panic!("{name}, written: {error}"));
        assert!(again == graph, "{name}: another graph after writing");
        assert_eq!(
            write(&again).unwrap(),
            written,
            "{name}: other bytes the second time"
        );
    }
    assert!(custom > 50, "{custom} custom operators in typed form");
}

/// The graph's file with another number for the options of its first operator.
fn with_options_of(graph: &larun_graph::Graph, from: u8, to: u8) -> Vec<u8> {
    let file = write(graph).unwrap();
    let at = options_number(&file);
    assert_eq!(file[at], from);
    let mut file = file;
    file[at] = to;
    file
}

/// Where the number of the first operator's options stands: field 3 of its table.
fn options_number(file: &[u8]) -> usize {
    let subgraph = follow(
        file,
        follow(file, field(file, follow(file, 0), 2).unwrap()) + 4,
    );
    let operators = follow(file, field(file, subgraph, 3).unwrap());
    field(file, follow(file, operators + 4), 3).unwrap()
}

#[test]
fn options_that_are_not_the_operator_s_own_are_kept_as_they_are() {
    // CONV_2D with the options of CONV_3D, which mean other things.
    let file = with_options_of(&support::small(), 1, 106);
    let graph = read(&file).unwrap();
    let node = &graph.subgraphs[0].nodes[0];
    let NodeOp::Opaque(op) = &node.op else {
        panic!("{node:?}");
    };
    assert_eq!((op.code, op.options.as_ref().unwrap().kind), (3, 106));
    assert_eq!(read(&write(&graph).unwrap()).unwrap(), graph);
}

#[test]
fn what_came_into_the_format_later_is_refused_rather_than_lost() {
    // A table that does not exist yet.
    let file = with_options_of(&support::small(), 1, 127);
    let error = read(&file).unwrap_err();
    let newer = ReadErrorKind::NewerTable {
        union: "BuiltinOptions",
        number: 127,
    };
    assert_eq!(*error.kind(), newer);
    let place = error.place().to_string();
    assert_eq!(place, "subgraph 0, operator 0 (CONV_2D): ");
    // A table with more fields than it has: CONV_2D's under the number of PAD's.
    let file = with_options_of(&support::small(), 1, 22);
    let error = read(&file).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            ReadErrorKind::NewerField {
                table: "PadOptions",
                ..
            }
        ),
        "{error}"
    );
}
