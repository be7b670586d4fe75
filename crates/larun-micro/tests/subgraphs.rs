//! Branches, loops and what they share: results, memory, limits, and models that cannot be.

mod support;

use larun_graph::ops::{ElementType, Op, ReshapeOptions, Shape};
use larun_graph::{Graph, Subgraph, TensorId};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{
    Interpreter, LoadError, Loaded, NodeId, NodeOutputs, Observer, OpKind, Options, RunError,
    kernels,
};
use proptest::prelude::*;
use support::flow::{Function, LEN, branch, file, if_op, queue, while_op};
use support::{Random, load};

/// Sets BOOL inputs to flags and the last one to values; gives the first output.
fn run(
    interpreter: &mut Interpreter<'_, '_>,
    flags: &[bool],
    x: [f32; LEN],
) -> Result<[f32; LEN], RunError> {
    for (i, &flag) in flags.iter().enumerate() {
        interpreter.input_bytes_mut(i).unwrap().fill(u8::from(flag));
    }
    interpreter.set_input(flags.len(), &x).unwrap();
    interpreter.invoke()?;
    Ok(interpreter.output(0).unwrap().try_into().unwrap())
}

fn error_of(graph: &Graph) -> String {
    let model = file(graph);
    let error = arena_for(&model, kernels::ALL).err();
    error.expect("it loads").to_string()
}

#[test]
fn a_branch_is_taken() {
    let model = file(&branch());
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = load(&model, &mut arena).unwrap();
    let x = [1.0, 3.0, -4.0];
    assert_eq!(run(&mut interpreter, &[true], x), Ok([3.0, 9.0, -12.0]));
    assert_eq!(run(&mut interpreter, &[false], x), Ok([2.0, 12.0, 12.0]));
}

#[test]
fn a_loop_ends_when_its_condition_says_so() {
    let model = file(&queue());
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = load(&model, &mut arena).unwrap();
    for (flags, factor) in [
        ([false, true, true], 1.0),
        ([true, false, true], 2.0),
        ([true, true, true], 8.0),
    ] {
        let found = run(&mut interpreter, &flags, [1.0, 0.5, -3.0]);
        assert_eq!(found, Ok([factor, 0.5 * factor, -3.0 * factor]));
    }
}

#[test]
fn a_loop_without_end_is_stopped() {
    let mut graph = queue();
    // The body gives its first input back.
    let body = &mut graph.subgraphs[2];
    body.outputs[0] = body.inputs[0];
    let model = file(&graph);
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let limit = 1001;
    let options = Options {
        max_calls: limit,
        ..Options::default()
    };
    let mut interpreter =
        Interpreter::with_options(&model, kernels::ALL, &mut arena, options).unwrap();
    let found = run(&mut interpreter, &[true; 3], [0.0; LEN]);
    assert_eq!(found, Err(RunError::TooManyCalls { limit }));
    // What is left behind harms nobody.
    let found = run(&mut interpreter, &[false; 3], [1.0; LEN]);
    assert_eq!(found, Ok([1.0; LEN]));
}

#[test]
fn calls_that_multiply_are_stopped() {
    // Each subgraph runs the next eight times over: 8^12 runs of the last.
    let model = file(&chain(13, 8));
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let options = Options {
        max_calls: 10_000,
        ..Options::default()
    };
    let mut interpreter =
        Interpreter::with_options(&model, kernels::ALL, &mut arena, options).unwrap();
    let found = run(&mut interpreter, &[true], [0.0; LEN]);
    assert_eq!(found, Err(RunError::TooManyCalls { limit: 10_000 }));
}

/// So many subgraphs, each of which runs the next `times` times and doubles its value.
fn chain(count: usize, times: usize) -> Graph {
    let function = |number: usize| {
        let mut function = Function::default();
        let (flag, x) = (function.flag(), function.value());
        function.input(flag);
        function.input(x);
        let mut y = x;
        if number + 1 < count {
            let next = number as i32 + 1;
            for _ in 0..times {
                let z = function.value();
                function.node(if_op(next, next), &[flag, flag, y], &[z]);
                y = z;
            }
        }
        let y = function.add(y, y);
        function.returns(&[y])
    };
    Graph {
        subgraphs: (0..count).map(function).collect(),
        ..Graph::default()
    }
}

#[test]
fn subgraphs_may_nest_sixteen_deep() {
    let model = file(&chain(16, 1));
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = load(&model, &mut arena).unwrap();
    let found = run(&mut interpreter, &[false], [1.0, 2.0, -1.0]);
    assert_eq!(found, Ok([65536.0, 131_072.0, -65536.0]));
    assert_eq!(
        error_of(&chain(17, 1)),
        "subgraph 15: operator 0: subgraphs run each other deeper than the 16 levels that are supported"
    );
}

#[test]
fn depth_counts_whatever_is_loaded_first() {
    // The main subgraph runs the deep end of a chain before its start.
    let graph = |count: usize| {
        let mut graph = chain(count, 1);
        let mut main = Function::default();
        let (flag, x) = (main.flag(), main.value());
        main.input(flag);
        main.input(x);
        let (first, second) = (main.value(), main.value());
        let half = count as i32 / 2;
        main.node(if_op(half, half), &[flag, flag, x], &[first]);
        main.node(if_op(1, 1), &[flag, flag, first], &[second]);
        graph.subgraphs[0] = main.returns(&[second]);
        graph
    };
    let model = file(&graph(16));
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = load(&model, &mut arena).unwrap();
    let found = run(&mut interpreter, &[false], [1.0, 0.0, -1.0]);
    let doublings = (1u32 << (8 + 15)) as f32;
    assert_eq!(found, Ok([doublings, 0.0, -doublings]));
    assert!(error_of(&graph(17)).contains("deeper than the 16 levels"));
}

#[test]
fn recursion_is_refused() {
    let mut graph = chain(3, 1);
    let set_next = |graph: &mut Graph, number: usize, next| {
        graph.subgraphs[number].nodes[0].op = larun_graph::NodeOp::Known(if_op(next, next));
    };
    let last = graph.subgraphs[1].clone();
    graph.subgraphs[2] = last;
    for (callee, message) in [
        (
            0,
            "subgraph 2: operator 0 runs subgraph 0, which leads back to the operator",
        ),
        (
            1,
            "subgraph 2: operator 0 runs subgraph 1, which leads back to the operator",
        ),
        (
            2,
            "subgraph 2: operator 0 runs subgraph 2, which leads back to the operator",
        ),
    ] {
        set_next(&mut graph, 2, callee);
        assert_eq!(error_of(&graph), message);
    }
    let mut alone = chain(2, 1);
    set_next(&mut alone, 0, 0);
    assert_eq!(
        error_of(&alone),
        "operator 0 runs subgraph 0, which leads back to the operator"
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    type Make = fn() -> Graph;
    type Damage = fn(&mut Graph);
    let cases: [(Make, Damage, &str); 14] = [
        (
            branch,
            |g| g.subgraphs.truncate(2),
            "operator 0 (IF), options: the model has no subgraph 2",
        ),
        (
            branch,
            |g| g.subgraphs[0].nodes[0].op = larun_graph::NodeOp::Known(if_op(-1, 1)),
            "operator 0 (IF), options: the model has no subgraph -1",
        ),
        (
            branch,
            |g| g.subgraphs[2].inputs.clear(),
            "operator 0 (IF), options: subgraph 2 must have 1 inputs, has 0",
        ),
        (
            branch,
            |g| g.subgraphs[1].outputs.push(TensorId::new(0)),
            "operator 0 (IF), options: subgraph 1 must have 1 outputs, has 2",
        ),
        (
            branch,
            |g| g.subgraphs[0].tensors[0].element_type = ElementType::Int8,
            "operator 0 (IF), input 0 (tensor 0 `t0`): element type INT8 is not supported here (supported: BOOL)",
        ),
        (
            branch,
            |g| g.subgraphs[0].tensors[0].shape = Shape::new(&[2]).unwrap(),
            "operator 0 (IF), input 0 (tensor 0 `t0`): must have 1 elements, has 2",
        ),
        (
            branch,
            |g| g.subgraphs[1].tensors[0].element_type = ElementType::Int32,
            "operator 0 (IF), input 1 (tensor 1 `t1`): element type must be INT32, is FLOAT32",
        ),
        (
            branch,
            |g| g.subgraphs[2].tensors[1].shape = Shape::new(&[4]).unwrap(),
            "operator 0 (IF), output 0 (tensor 2 `t2`): must have 4 elements, has 3",
        ),
        (
            branch,
            |g| g.subgraphs[1].tensors[0].buffer = g.add_buffer(vec![0; 4 * LEN]),
            "operator 0 (IF), input 1 (tensor 1 `t1`): is written, so it must not be a constant",
        ),
        (
            branch,
            |g| g.subgraphs[1].nodes.clear(),
            "subgraph 1: an input or output of the model reads tensor 1 `t1` before anything computes it",
        ),
        (
            queue,
            |g| g.subgraphs[0].nodes[0].outputs.truncate(3),
            "operator 0 (WHILE), options: the node has 3 outputs, which the operator does not give",
        ),
        (
            queue,
            |g| g.subgraphs[1].outputs.clear(),
            "operator 0 (WHILE), options: subgraph 1 must have 1 outputs, has 0",
        ),
        (
            queue,
            |g| g.subgraphs[1].outputs = vec![TensorId::new(3)],
            "operator 0 (WHILE), options: element type FLOAT32 is not supported here (supported: BOOL)",
        ),
        (
            queue,
            |g| g.subgraphs[2].outputs.swap(0, 3),
            "operator 0 (WHILE), output 0 (tensor 4 `t4`): element type must be FLOAT32, is BOOL",
        ),
    ];
    for (graph, damage, message) in cases {
        let mut graph = graph();
        damage(&mut graph);
        assert_eq!(error_of(&graph), message);
    }
}

/// A random program: branches into subgraphs that are programs themselves, and arithmetic on all values so far.
struct Program {
    graph: Graph,
    random: Random,
}

impl Program {
    fn function(&mut self, depth: usize) -> usize {
        let number = self.graph.subgraphs.len();
        self.graph.subgraphs.push(Subgraph::default());
        let mut function = Function::default();
        let flags = [(); 2].map(|()| {
            let flag = function.flag();
            function.input(flag)
        });
        let mut values: Vec<_> = (0..2)
            .map(|_| {
                let value = function.value();
                function.input(value)
            })
            .collect();
        for _ in 0..2 + self.random.below(6) {
            let any = |random: &mut Random| values[random.below(values.len())];
            let (a, b) = (any(&mut self.random), any(&mut self.random));
            let value = match self.random.below(5) {
                0 => {
                    let view = function.value();
                    let reshape = Op::Reshape(ReshapeOptions {
                        new_shape: larun_graph::ops::IntList::new(&[LEN as i32]).unwrap(),
                    });
                    function.node(reshape, &[a], &[view]);
                    view
                }
                1 | 2 if depth > 0 => {
                    let branches = [(); 2].map(|()| match self.random.below(3) {
                        // A subgraph may be run from several places.
                        0 => self.leaf_or_new(number, depth),
                        _ => self.function(depth - 1) as i32,
                    });
                    let flag = flags[self.random.below(2)];
                    let result = function.value();
                    let inputs = [flag, flags[1], flags[0], a, b];
                    function.node(if_op(branches[0], branches[1]), &inputs, &[result]);
                    result
                }
                3 => function.mul(a, b),
                _ => function.add(a, b),
            };
            values.push(value);
        }
        let result = values[values.len() - 1];
        self.graph.subgraphs[number] = function.returns(&[result]);
        number
    }

    /// A finished subgraph that runs no others, or a new one.
    fn leaf_or_new(&mut self, caller: usize, depth: usize) -> i32 {
        let is_leaf = |s: &Subgraph| {
            !s.nodes.is_empty() && s.nodes.iter().all(|n| n.kind() != Some(OpKind::If))
        };
        let leaf = self.graph.subgraphs.iter().rposition(is_leaf);
        leaf.filter(|&leaf| leaf > 0 && leaf != caller)
            .unwrap_or_else(|| self.function(depth - 1)) as i32
    }
}

fn evaluate(graph: &Graph, number: usize, flags: [bool; 2], inputs: [[f32; LEN]; 2]) -> [f32; LEN] {
    let subgraph = &graph.subgraphs[number];
    let mut values = vec![[0.0; LEN]; subgraph.tensors.len()];
    for (&id, value) in subgraph.inputs[2..].iter().zip(inputs) {
        values[id.index()] = value;
    }
    for node in &subgraph.nodes {
        let input = |i: usize| node.inputs[i].unwrap().index();
        let pair = |a: usize, b: usize| [values[input(a)], values[input(b)]];
        let zip = |[a, b]: [[f32; LEN]; 2], f: fn(f32, f32) -> f32| {
            core::array::from_fn(|i| f(a[i], b[i]).clamp(f32::MIN, f32::MAX))
        };
        let result = match node.known().unwrap() {
            Op::Add(_) => zip(pair(0, 1), |a, b| a + b),
            Op::Mul(_) => zip(pair(0, 1), |a, b| a * b),
            Op::Reshape(_) => values[input(0)],
            Op::If(options) => {
                let callee = match flags[input(0)] {
                    true => options.then_subgraph_index,
                    false => options.else_subgraph_index,
                };
                let swapped = [flags[1], flags[0]];
                evaluate(graph, callee as usize, swapped, pair(3, 4))
            }
            op => panic!("{op:?}"),
        };
        values[node.outputs[0].index()] = result;
    }
    values[subgraph.outputs[0].index()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Activations of a subgraph that overlapped something alive in a caller would change a result.
    #[test]
    fn random_programs_compute_what_they_say(seed: u64, flags: [bool; 2]) {
        let mut program = Program { graph: Graph::default(), random: Random(seed) };
        program.function(3);
        let graph = program.graph;
        let inputs = [[1.0, -0.5, 0.25], [0.5, 1.0, -1.0]];
        let model = file(&graph);
        let mut arena = arena_for(&model, kernels::ALL).unwrap();
        let needed = arena.len();
        // What is in a larger arena behind the activations stays as it is.
        let mut larger = AlignedBytes::zeroed(needed + 64);
        larger.fill(0x5a);
        for arena in [&mut arena, &mut larger] {
            let mut interpreter = load(&model, arena).unwrap();
            for flags in [flags, [!flags[0], flags[1]]] {
                for (i, flag) in flags.into_iter().enumerate() {
                    interpreter.input_bytes_mut(i).unwrap().fill(u8::from(flag));
                }
                interpreter.set_input(2, &inputs[0]).unwrap();
                interpreter.set_input(3, &inputs[1]).unwrap();
                interpreter.invoke().unwrap();
                let expected = evaluate(&graph, 0, flags, inputs);
                let found = interpreter.output::<f32>(0).unwrap();
                prop_assert_eq!(found, expected);
            }
        }
        // The error for any smaller arena names this size.
        let less = Random(seed).below(needed);
        let error = load(&model, &mut arena[..less]).err();
        let Some(LoadError::Arena(error)) = error else {
            panic!("{error:?}")
        };
        prop_assert!(error.needed == needed || !error.exact);
    }
}

#[derive(Default)]
struct Trace(Vec<(bool, usize, usize)>);

impl Observer for Trace {
    fn before(&mut self, node: NodeId) {
        self.0.push((true, node.subgraph, node.index));
    }

    fn after(&mut self, node: NodeId, outputs: NodeOutputs<'_>) {
        assert_eq!(
            outputs.get(0).unwrap().1.len(),
            if outputs.len() == 1 { 4 * LEN } else { 1 }
        );
        self.0.push((false, node.subgraph, node.index));
    }
}

#[test]
fn an_observer_sees_subgraphs_inside_their_nodes() {
    let model = file(&branch());
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = load(&model, &mut arena).unwrap();
    let mut trace = Trace::default();
    interpreter.invoke_observed(&mut trace).unwrap();
    let node = |subgraph, index| [(true, subgraph, index), (false, subgraph, index)];
    let mut expected = vec![(true, 0, 0)];
    expected.extend(node(2, 0));
    expected.push((false, 0, 0));
    expected.extend(node(0, 1));
    assert_eq!(trace.0, expected);
}

#[test]
fn unused_subgraphs_are_not_loaded() {
    let mut graph = branch();
    let size = |graph: &Graph| {
        let model = file(graph);
        arena_for(&model, kernels::ALL).unwrap().len()
    };
    let needed = size(&graph);
    // Nothing runs it, so that it may hold what it will. Its entry in the directory is two words.
    graph.subgraphs.push(queue().subgraphs[0].clone());
    let larger = size(&graph);
    assert!(
        (needed..=needed + 16).contains(&larger),
        "{needed} {larger}"
    );
}

#[test]
fn a_view_of_a_view_takes_no_memory() {
    let reshape = |shape: &[i32]| {
        Op::Reshape(ReshapeOptions {
            new_shape: larun_graph::ops::IntList::new(shape).unwrap(),
        })
    };
    let mut main = Function::default();
    let x = main.value();
    main.input(x);
    let sum = main.add(x, x);
    let flat = main.tensor(ElementType::Float32, &[1, LEN]);
    main.node(reshape(&[1, LEN as i32]), &[sum], &[flat]);
    let again = main.value();
    main.node(reshape(&[LEN as i32]), &[flat], &[again]);
    let y = main.add(again, sum);
    let graph = Graph {
        subgraphs: vec![main.returns(&[flat, y])],
        ..Graph::default()
    };
    let model = file(&graph);
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = load(&model, &mut arena).unwrap();
    interpreter.set_input(0, &[1.0f32, 2.0, 3.0]).unwrap();
    interpreter.invoke().unwrap();
    assert_eq!(interpreter.output::<f32>(0), Ok(&[2.0, 4.0, 6.0][..]));
    assert_eq!(interpreter.output::<f32>(1), Ok(&[4.0, 8.0, 12.0][..]));
    // `x` and `sum`, then `sum` and `y`.
    assert_eq!(interpreter.activation_bytes(), 2 * 16);
}

#[test]
fn models_share_an_arena() {
    let (first, second) = (file(&branch()), file(&queue()));
    let mut arena = AlignedBytes::zeroed(4096);
    let (mut first, rest) = Loaded::new(&first, kernels::ALL, &mut arena).unwrap();
    let (mut second, rest) = Loaded::new(&second, kernels::ALL, rest).unwrap();
    let most = first.activation_bytes().max(second.activation_bytes());
    let activations = &mut rest[..most];
    for _ in 0..2 {
        let mut interpreter = first.with(activations).unwrap();
        assert_eq!(run(&mut interpreter, &[true], [1.0; LEN]), Ok([3.0; LEN]));
        let mut interpreter = second.with(activations).unwrap();
        assert_eq!(
            run(&mut interpreter, &[true; 3], [1.0; LEN]),
            Ok([8.0; LEN])
        );
    }
    let needed = second.activation_bytes();
    let error = second.with(&mut activations[..needed - 1]).err().unwrap();
    assert_eq!((error.needed, error.given), (needed, needed - 1));
}

#[test]
fn a_while_may_stand_in_a_branch() {
    // The branch of an IF loops, and what the loop needs is alive beside what the branch needs.
    let mut graph = queue();
    let mut caller = Function::default();
    let flag = caller.flag();
    caller.input(flag);
    let x = caller.value();
    caller.input(x);
    let result = caller.value();
    caller.node(if_op(3, 3), &[flag, flag, x], &[result]);
    let sum = caller.add(result, x);
    let mut inner = Function::default();
    let (flag, x) = (inner.flag(), inner.value());
    inner.input(flag);
    inner.input(x);
    let outputs = [inner.flag(), inner.flag(), inner.flag(), inner.value()];
    inner.node(while_op(1, 2), &[flag, flag, flag, x], &outputs);
    let sum_inside = inner.add(outputs[3], x);
    graph.subgraphs[0] = caller.returns(&[sum]);
    graph.subgraphs.push(inner.returns(&[sum_inside]));
    let model = file(&graph);
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = load(&model, &mut arena).unwrap();
    let found = run(&mut interpreter, &[true], [1.0, 2.0, 4.0]);
    assert_eq!(found, Ok([10.0, 20.0, 40.0]));
    let found = run(&mut interpreter, &[false], [1.0, 2.0, 4.0]);
    assert_eq!(found, Ok([3.0, 6.0, 12.0]));
}
