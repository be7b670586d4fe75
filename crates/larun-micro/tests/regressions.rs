//! What the fuzz targets found, each fault as a model of its own.

mod support;

use larun_graph::ops::{ElementType, Op, SvdfOptions};
use larun_graph::{Graph, TensorId};
use larun_micro::LoadError;
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::kernels::{self, Reason, Refusal};
use support::flow::{Function, file};

/// SVDF of one filter of two steps, whose state and weights over time have the same shape.
fn svdf(time_is_state: bool) -> AlignedBytes {
    let mut graph = Graph::default();
    let mut main = Function::default();
    let [input, feature, time, state] =
        [(); 4].map(|()| main.tensor(ElementType::Float32, &[1, 2]));
    let output = main.tensor(ElementType::Float32, &[1, 1]);
    main.input(input);
    main.constant(&mut graph, feature, &[0; 8]);
    main.constant(&mut graph, time, &[0; 8]);
    main.0.tensor_mut(state).unwrap().is_variable = true;
    let time = if time_is_state { state } else { time };
    let bias: TensorId = main.tensor(ElementType::Float32, &[1]);
    main.constant(&mut graph, bias, &[0; 4]);
    let options = SvdfOptions {
        rank: 1,
        ..SvdfOptions::default()
    };
    let inputs = [input, feature, time, bias, state];
    main.node(Op::Svdf(options), &inputs, &[output]);
    graph.subgraphs = vec![main.returns(&[output])];
    file(&graph)
}

/// The state is written while the other operands are read: such a model loaded, and every inference failed.
#[test]
fn a_state_that_is_another_operand_too_is_refused() {
    let model = svdf(false);
    assert!(arena_for(&model, kernels::ALL).is_ok());
    let model = svdf(true);
    let error = arena_for(&model, kernels::ALL).err();
    let refusal = Refusal::input(4, Reason::Shared);
    assert!(
        matches!(error, Some(LoadError::Refused { refusal: found, .. }) if found == refusal),
        "{error:?}"
    );
}
