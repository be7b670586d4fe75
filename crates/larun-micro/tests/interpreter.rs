//! Loading, running and asking: what a program does with the interpreter, and what it is told when it errs.

mod support;

use larun_graph::ops::{AddOptions, Op};
use larun_graph::{Graph, GraphBuilder, Quantization};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::kernels::{self, Registration};
use larun_micro::{
    Arena, ElementType, Interpreter, LoadError, NodeId, NodeOutputs, Observer, OpKind, RunError,
    ops,
};
use support::{light_curve, load, outputs, transit_file};

const TRANSIT: &[Registration] = ops![Conv2D, MaxPool2D, Reshape, FullyConnected, Softmax];

/// The probability of a transit that the network gives, 256 for certain.
fn transit_in(curve: &[i8]) -> i32 {
    let model = transit_file();
    let mut arena = Arena::<2048>::new();
    let mut interpreter = Interpreter::new(&model, TRANSIT, &mut arena).unwrap();
    interpreter.set_input(0, curve).unwrap();
    interpreter.invoke().unwrap();
    i32::from(interpreter.output::<i8>(0).unwrap()[1]) + 128
}

#[test]
fn a_small_network_computes() {
    assert!(transit_in(&light_curve(40)) > 250);
    assert!(transit_in(&[1; support::POINTS]) < 10);
}

#[test]
fn ways_that_this_processor_does_not_have_change_nothing() {
    const NARROWED: &[Registration] = ops![
        Conv2D<Narrow>,
        MaxPool2D<FourChannels>,
        Reshape,
        FullyConnected,
        Softmax
    ];
    let model = transit_file();
    let scores = |kernels| {
        let mut arena = Arena::<2048>::new();
        let mut interpreter = Interpreter::new(&model, kernels, &mut arena).unwrap();
        interpreter.set_input(0, &light_curve(40)).unwrap();
        interpreter.invoke().unwrap();
        interpreter.output::<i8>(0).unwrap().to_vec()
    };
    assert_eq!(scores(NARROWED), scores(TRANSIT));
}

#[test]
fn tensors_are_described() {
    let model = transit_file();
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let interpreter = load(&model, &mut arena).unwrap();
    assert_eq!(
        (interpreter.input_count(), interpreter.output_count()),
        (1, 1)
    );
    assert_eq!(interpreter.node_count(), 5);

    let input = interpreter.input_info(0).unwrap();
    assert_eq!(input.name.to_string(), "flux");
    assert_eq!(input.element_type, ElementType::Int8);
    assert_eq!(input.shape.dims(), [1, 1, 32, 1]);
    assert_eq!(input.scale_and_zero_point(), Some((0.01, 0)));
    let output = interpreter.output_info(0).unwrap();
    assert_eq!(output.scale_and_zero_point(), Some((1.0 / 256.0, -128)));
}

#[test]
fn an_operator_that_is_not_linked_is_named() {
    let model = transit_file();
    let mut arena = Arena::<2048>::new();
    let kernels = ops![Conv2D, Reshape, FullyConnected, Softmax];
    let error = Interpreter::new(&model, kernels, &mut arena).err().unwrap();
    let LoadError::NoKernel {
        index, operator, ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((index, operator.kind()), (1, Some(OpKind::MaxPool2D)));
    assert_eq!(
        error.to_string(),
        "operator 1 is a MAX_POOL_2D, which the program does not link: add MaxPool2D to its ops! list"
    );
}

#[test]
fn what_a_kernel_refuses_is_named() {
    let mut graph = support::transit();
    let main = graph.main_mut().unwrap();
    main.tensors[0].quantization = None;
    let model = AlignedBytes::copy_of(&larun_tflite::write(&graph).unwrap());
    let error = arena_for(&model, kernels::ALL).err().unwrap();
    assert_eq!(
        error.to_string(),
        "operator 0 (CONV_2D), input 0 (tensor 0 `flux`): has no quantisation parameters"
    );
}

#[test]
fn order_is_checked() {
    let load_error = |graph| {
        let model = AlignedBytes::copy_of(&larun_tflite::write(&graph).unwrap());
        let error = arena_for(&model, kernels::ALL).err();
        error.unwrap().to_string()
    };
    let mut graph = support::transit();
    graph.main_mut().unwrap().nodes.swap(0, 1);
    assert_eq!(
        load_error(graph),
        "operator 0 reads tensor 2 `depths` before anything computes it"
    );
    let mut graph = support::transit();
    let main = graph.main_mut().unwrap();
    main.nodes.push(main.nodes[4].clone());
    assert_eq!(
        load_error(graph),
        "operator 5 writes tensor 9 `classes`, which is a constant, a variable, an input, or written already"
    );
}

#[test]
fn accessors_say_what_is_wrong() {
    let model = transit_file();
    let mut arena = Arena::<2048>::new();
    let mut interpreter = load(&model, &mut arena).unwrap();
    let (index, count) = (1, 1);
    let no_port = RunError::NoSuchPort { index, count };
    assert_eq!(interpreter.input_info(1).err(), Some(no_port));
    assert_eq!(interpreter.input_mut::<i8>(1).err(), Some(no_port));
    assert_eq!(interpreter.input_bytes_mut(1).err(), Some(no_port));
    assert_eq!(interpreter.output_info(1).err(), Some(no_port));
    assert_eq!(interpreter.output::<i8>(1).err(), Some(no_port));
    assert_eq!(interpreter.output_bytes(1).err(), Some(no_port));

    let found = ElementType::Int8;
    let wrong_type = RunError::ElementType { found };
    assert_eq!(interpreter.input_mut::<f32>(0).err(), Some(wrong_type));
    assert_eq!(interpreter.output::<u8>(0).err(), Some(wrong_type));
    assert_eq!(interpreter.set_input(0, &[0u8; 32]).err(), Some(wrong_type));

    let length = RunError::Length {
        expected: 32,
        found: 31,
    };
    assert_eq!(interpreter.set_input(0, &[0i8; 31]).err(), Some(length));
    assert_eq!(
        length.to_string(),
        "the tensor has 32 elements, 31 were given"
    );
}

#[test]
fn the_arena_may_be_anywhere() {
    let model = transit_file();
    let mut memory = AlignedBytes::zeroed(4096);
    let expected = {
        let mut interpreter = load(&model, &mut memory).unwrap();
        interpreter.set_input(0, &light_curve(14)).unwrap();
        interpreter.invoke().unwrap();
        outputs(&interpreter)
    };
    for skipped in 1..32 {
        memory.fill(0xa5);
        let mut interpreter = load(&model, &mut memory[skipped..]).unwrap();
        interpreter.set_input(0, &light_curve(14)).unwrap();
        interpreter.invoke().unwrap();
        assert_eq!(outputs(&interpreter), expected, "{skipped} bytes skipped");
    }
}

#[test]
fn a_model_that_is_not_aligned_is_refused_or_runs() {
    let model = transit_file();
    let mut memory = AlignedBytes::zeroed(model.len() + 16);
    let mut arena = AlignedBytes::zeroed(4096);
    for skipped in 0..16 {
        let copy = &mut memory[skipped..][..model.len()];
        copy.copy_from_slice(&model);
        match load(copy, &mut arena) {
            Ok(mut interpreter) => {
                // The largest elements of the model's constants are four bytes.
                assert_eq!(skipped % 4, 0);
                interpreter.invoke().unwrap();
            }
            Err(LoadError::Misaligned { element_type, .. }) => {
                assert_ne!(skipped % 4, 0);
                assert_eq!(element_type, ElementType::Int32);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// `y = x + state`, with a state that starts at its zero point and that nothing changes.
fn sum_with_state() -> Graph {
    let mut net = GraphBuilder::new("sum");
    let x = net.input("x", &[4], ElementType::Int8).unwrap();
    let state = net.input("state", &[4], ElementType::Int8).unwrap();
    let y = net.node("y", Op::Add(AddOptions::default()), &[x, state]);
    net.output(y.unwrap());
    let mut graph = net.finish().unwrap();
    let main = graph.main_mut().unwrap();
    main.inputs.pop();
    for (tensor, zero_point) in main.tensors.iter_mut().zip([0, 5, 0]) {
        tensor.quantization = Some(Quantization {
            scale: vec![0.5],
            zero_point: vec![zero_point],
            ..Quantization::default()
        });
    }
    main.tensors[state.index()].is_variable = true;
    graph
}

#[test]
fn a_variable_starts_at_its_zero_point() {
    let model = AlignedBytes::copy_of(&larun_tflite::write(&sum_with_state()).unwrap());
    let mut arena = Arena::<512>::new();
    arena.fill(0x55);
    let mut interpreter = load(&model, &mut arena).unwrap();
    interpreter.set_input(0, &[-3i8, 0, 7, 100]).unwrap();
    interpreter.invoke().unwrap();
    assert_eq!(interpreter.output::<i8>(0).unwrap(), [-3, 0, 7, 100]);
    interpreter.reset().unwrap();
    interpreter.set_input(0, &[1i8; 4]).unwrap();
    interpreter.invoke().unwrap();
    assert_eq!(interpreter.output::<i8>(0).unwrap(), [1; 4]);
}

#[test]
fn a_variable_is_not_an_output() {
    let mut graph = sum_with_state();
    let main = graph.main_mut().unwrap();
    main.nodes[0].outputs = vec![main.nodes[0].inputs[1].unwrap()];
    let model = AlignedBytes::copy_of(&larun_tflite::write(&graph).unwrap());
    let error = arena_for(&model, kernels::ALL).err().unwrap();
    assert!(
        matches!(error, LoadError::WrittenTwice { tensor: 1, .. }),
        "{error}"
    );
}

/// Notes what it is told.
#[derive(Default)]
struct Notes {
    begun: Vec<(usize, OpKind)>,
    ended: Vec<(usize, OpKind)>,
    outputs: Vec<(usize, Vec<u8>)>,
}

impl Observer for Notes {
    fn before(&mut self, node: NodeId) {
        assert_eq!(self.begun.len(), self.ended.len());
        self.begun.push((node.index, node.kind));
    }

    fn after(&mut self, node: NodeId, outputs: NodeOutputs<'_>) {
        assert_eq!(node.subgraph, 0);
        self.ended.push((node.index, node.kind));
        assert!(!outputs.is_empty());
        assert!(outputs.get(outputs.len()).is_none());
        for i in 0..outputs.len() {
            let (tensor, bytes) = outputs.get(i).unwrap();
            self.outputs.push((tensor, bytes.to_vec()));
        }
    }
}

#[test]
fn an_observer_sees_every_node_once() {
    let model = transit_file();
    let mut arena = Arena::<2048>::new();
    let mut interpreter = load(&model, &mut arena).unwrap();
    interpreter.set_input(0, &light_curve(40)).unwrap();
    let mut notes = Notes::default();
    interpreter.invoke_observed(&mut notes).unwrap();
    let kinds = TRANSIT.iter().map(|kernel| kernel.kind);
    assert_eq!(notes.begun, kinds.enumerate().collect::<Vec<_>>());
    assert_eq!(notes.ended, notes.begun);
    let output = interpreter.output_info(0).unwrap().index;
    let bytes = interpreter.output_bytes(0).unwrap().to_vec();
    assert_eq!(notes.outputs.last(), Some(&(output, bytes)));
    let sizes: Vec<_> = notes.outputs.iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(sizes, [64, 2, 2, 2, 2]);
}

#[test]
fn an_inference_leaves_nothing_behind() {
    let model = transit_file();
    let mut arena = Arena::<2048>::new();
    let mut interpreter = load(&model, &mut arena).unwrap();
    let mut results = Vec::new();
    for depth in [10, 14, 10] {
        interpreter.set_input(0, &light_curve(depth)).unwrap();
        interpreter.invoke().unwrap();
        results.push(outputs(&interpreter));
    }
    assert_eq!(results[0], results[2]);
    assert_ne!(results[0], results[1]);
}

#[test]
fn what_the_arena_held_before_does_not_show() {
    let model = transit_file();
    let run_over = |junk: u8| {
        let mut arena = AlignedBytes::zeroed(4096);
        arena.fill(junk);
        let mut interpreter = load(&model, &mut arena).unwrap();
        assert!(
            interpreter
                .input_mut::<i8>(0)
                .unwrap()
                .iter()
                .all(|&q| q == 0)
        );
        interpreter.invoke().unwrap();
        outputs(&interpreter)
    };
    assert_eq!(run_over(0), run_over(0xff));
}
