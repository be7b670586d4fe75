//! What is kept from one inference to the next: variable tensors, resource variables, and that CALL_ONCE has run.

mod support;

use larun_graph::ops::{CallOnceOptions, ElementType, Op, Shape};
use larun_graph::{Graph, Quantization};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::kernels::InvokeError;
use larun_micro::{Interpreter, Loaded, RunError, kernels};
use support::flow::{Function, LEN, file, if_op};
use support::load;

/// Adds `x` to the variable "sum", which begins with ones, and gives it.
fn accumulate() -> Graph {
    let mut graph = Graph::default();
    let mut main = Function::default();
    let x = main.value();
    main.input(x);
    let once = Op::CallOnce(CallOnceOptions {
        init_subgraph_index: 1,
    });
    main.node(once, &[], &[]);
    let handle = main.variable(Some("model"), "sum");
    let sum = main.read(handle);
    let sum = main.add(sum, x);
    main.assign(handle, sum);
    let mut first = Function::default();
    let ones = first.value();
    first.constant(&mut graph, ones, &bytes_of(&[1.0; LEN]));
    // A file may leave the container out.
    let handle = first.variable(None, "sum");
    first.assign(handle, ones);
    graph.subgraphs = vec![main.returns(&[sum]), first.returns(&[])];
    graph
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn step(interpreter: &mut Interpreter<'_, '_>, x: f32) -> Result<f32, RunError> {
    interpreter.set_input(0, &[x; LEN])?;
    interpreter.invoke()?;
    let [first, ..] = *interpreter.output::<f32>(0)? else {
        panic!("no output");
    };
    Ok(first)
}

#[test]
fn a_variable_lasts_until_it_is_reset() {
    let model = file(&accumulate());
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    arena.fill(0xee);
    let mut interpreter = load(&model, &mut arena).unwrap();
    for _ in 0..2 {
        assert_eq!(step(&mut interpreter, 2.0), Ok(3.0));
        assert_eq!(step(&mut interpreter, 0.5), Ok(3.5));
        interpreter.reset().unwrap();
    }
}

#[test]
fn a_variable_that_is_not_assigned_begins_with_zeros() {
    let mut graph = accumulate();
    let main = &mut graph.subgraphs[0];
    main.nodes.remove(0);
    let model = file(&graph);
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    arena.fill(0xee);
    let mut interpreter = load(&model, &mut arena).unwrap();
    assert_eq!(step(&mut interpreter, 2.0), Ok(2.0));
    assert_eq!(step(&mut interpreter, 2.0), Ok(4.0));
}

#[test]
fn models_that_share_an_arena_have_their_own_variables() {
    let model = file(&accumulate());
    let mut arena = AlignedBytes::zeroed(4096);
    let (mut a, rest) = Loaded::new(&model, kernels::ALL, &mut arena).unwrap();
    let (mut b, activations) = Loaded::new(&model, kernels::ALL, rest).unwrap();
    assert_eq!(step(&mut a.with(activations).unwrap(), 1.0), Ok(2.0));
    assert_eq!(step(&mut b.with(activations).unwrap(), 5.0), Ok(6.0));
    assert_eq!(step(&mut a.with(activations).unwrap(), 1.0), Ok(3.0));
    a.reset().unwrap();
    assert_eq!(step(&mut b.with(activations).unwrap(), 5.0), Ok(11.0));
    assert_eq!(step(&mut a.with(activations).unwrap(), 1.0), Ok(2.0));
}

#[test]
fn names_tell_variables_apart() {
    let mut main = Function::default();
    let x = main.value();
    main.input(x);
    let names = [
        (Some("a"), "v"),
        (Some("b"), "v"),
        (Some("a"), "w"),
        (Some("a"), "v"),
    ];
    let handles = names.map(|(container, name)| main.variable(container, name));
    let [first, others @ .., again] = handles;
    main.assign(first, x);
    let same = main.read(again);
    let [second, third] = others.map(|handle| main.read(handle));
    let graph = Graph {
        subgraphs: vec![main.returns(&[same, second, third])],
        ..Graph::default()
    };
    let model = file(&graph);
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = load(&model, &mut arena).unwrap();
    assert_eq!(step(&mut interpreter, 7.0), Ok(7.0));
    assert_eq!(interpreter.output::<f32>(1), Ok(&[0.0; LEN][..]));
    assert_eq!(interpreter.output::<f32>(2), Ok(&[0.0; LEN][..]));
}

#[test]
fn sizes_must_agree() {
    let mut graph = accumulate();
    let first = &mut graph.subgraphs[1];
    first.tensors[0].shape = Shape::new(&[LEN + 1]).unwrap();
    graph.buffers[1].data.extend([0; 4]);
    let model = file(&graph);
    let error = arena_for(&model, kernels::ALL).err().unwrap();
    assert_eq!(
        error.to_string(),
        "operator 2 (READ_VARIABLE), input 0 (tensor 1 `t1`): the variable has 12 bytes here, but 16 where it is used before"
    );
}

/// A branch assigns to the variable whose handle it is given: `x`, or twice `x`.
fn assigned_by_a_branch(len: usize) -> Graph {
    let mut main = Function::default();
    let (x, flag) = (main.value(), main.flag());
    main.input(x);
    main.input(flag);
    let handle = main.variable(Some(""), "v");
    let before = main.read(handle);
    main.node(if_op(1, 2), &[flag, handle, x], &[]);
    let after = main.read(handle);
    let branch = |double: bool| {
        let mut branch = Function::default();
        let handle = branch.handle();
        branch.input(handle);
        let x = branch.value();
        branch.input(x);
        let value = match double {
            true => branch.add(x, x),
            false => x,
        };
        branch.assign(handle, value);
        let mut branch = branch.returns(&[]);
        for tensor in &mut branch.tensors[1..] {
            tensor.shape = Shape::new(&[len]).unwrap();
        }
        branch
    };
    Graph {
        subgraphs: vec![main.returns(&[after, before]), branch(true), branch(false)],
        ..Graph::default()
    }
}

#[test]
fn a_handle_is_a_value_like_others() {
    let model = file(&assigned_by_a_branch(LEN));
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = load(&model, &mut arena).unwrap();
    assert_eq!(step(&mut interpreter, 1.5), Ok(1.5));
    interpreter.input_bytes_mut(1).unwrap().fill(1);
    assert_eq!(step(&mut interpreter, 1.5), Ok(3.0));
    assert_eq!(interpreter.output::<f32>(1), Ok(&[1.5; LEN][..]));
}

#[test]
fn a_handle_of_nothing_is_an_error() {
    // Nobody sets the input of the model that is a handle.
    let mut main = Function::default();
    let (x, handle) = (main.value(), main.handle());
    main.input(x);
    main.input(handle);
    let named = main.variable(None, "v");
    main.assign(named, x);
    let value = main.read(handle);
    let graph = Graph {
        subgraphs: vec![main.returns(&[value])],
        ..Graph::default()
    };
    let model = file(&graph);
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = load(&model, &mut arena).unwrap();
    let error = step(&mut interpreter, 1.0).unwrap_err();
    let no_resource = InvokeError::NoResource(kernels::Memory::input(0));
    let expected = RunError::Node {
        subgraph: 0,
        index: 2,
        error: no_resource,
    };
    assert_eq!(error, expected);
    assert_eq!(
        error.to_string(),
        "operator 2: input 0 names no resource variable"
    );
    // Any number may stand there.
    for byte in 0..=u8::MAX {
        interpreter.input_bytes_mut(1).unwrap().fill(byte);
        let _ = step(&mut interpreter, 1.0);
    }
}

#[test]
fn more_variables_than_are_told_apart_are_refused() {
    let graph = |count: usize| {
        let mut main = Function::default();
        let x = main.value();
        main.input(x);
        let names = (0..count).map(|i| format!("v{i}"));
        let handles: Vec<_> = names.map(|name| main.variable(None, &name)).collect();
        main.assign(handles[count - 1], x);
        Graph {
            subgraphs: vec![main.returns(&[x])],
            ..Graph::default()
        }
    };
    let model = file(&graph(256));
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    assert_eq!(step(&mut load(&model, &mut arena).unwrap(), 1.0), Ok(1.0));
    let model = file(&graph(257));
    assert_eq!(
        arena_for(&model, kernels::ALL).err().unwrap().to_string(),
        "the model has more than the 256 resource variables that are supported"
    );
}

/// A model of one variable, which it gives.
fn only_a_variable(element_type: ElementType, zero_point: i64) -> Graph {
    let mut main = Function::default();
    let variable = main.tensor(element_type, &[5]);
    let tensor = main.0.tensor_mut(variable).unwrap();
    tensor.is_variable = true;
    tensor.quantization = Some(Quantization {
        scale: vec![0.5],
        zero_point: vec![zero_point],
        ..Quantization::default()
    });
    Graph {
        subgraphs: vec![main.returns(&[variable])],
        ..Graph::default()
    }
}

#[test]
fn a_variable_begins_with_its_zero_point() {
    for (element_type, zero_point, bytes) in [
        (ElementType::Int8, -7, &[0xf9][..]),
        (ElementType::UInt8, 200, &[200]),
        (ElementType::Int16, -300, &[0xd4, 0xfe]),
        (ElementType::Int32, 70_000, &[0x70, 0x11, 1, 0]),
        (ElementType::Float32, 5, &[0; 4]),
        (ElementType::Int64, 0, &[0; 8]),
    ] {
        let model = file(&only_a_variable(element_type, zero_point));
        let mut arena = arena_for(&model, kernels::ALL).unwrap();
        arena.fill(0x77);
        let mut interpreter = load(&model, &mut arena).unwrap();
        interpreter.invoke().unwrap();
        assert_eq!(interpreter.output_bytes(0), Ok(&bytes.repeat(5)[..]));
        // It takes no activations.
        assert_eq!(interpreter.activation_bytes(), 0);
    }
}

#[test]
fn a_variable_with_data_is_refused() {
    let mut graph = only_a_variable(ElementType::Int8, 0);
    graph.subgraphs[0].tensors[0].buffer = graph.add_buffer(vec![1; 5]);
    let model = file(&graph);
    assert_eq!(
        arena_for(&model, kernels::ALL).err().unwrap().to_string(),
        "tensor 0 `t0` is a variable that begins with data of the file, which is not supported"
    );
}
