//! Dense layers that read weights as TFLM_DECODE keeps them encoded: the same bytes, and no memory for the weights.

mod support;

use larun_graph::ops::{AddOptions, ElementType, FullyConnectedOptions, Op, Shape};
use larun_graph::{Graph, Node, NodeOp, OpaqueOp, Quantization, TensorId};
use larun_micro::host::{AlignedBytes, Owner, arena_with, memory_plan};
use larun_micro::{Interpreter, Options, kernels, ops};
use proptest::prelude::*;
use support::flow::Function;
use support::{Random, fill_inputs, outputs};

/// A dense layer whose weights are encoded.
#[derive(Clone, Debug)]
struct Dense {
    rows: usize,
    inputs: usize,
    units: usize,
    per_channel: bool,
    pruned: bool,
    /// Bits of a number in the table.
    width: usize,
    zero_point: i64,
    seed: u64,
}

impl Dense {
    const SOME: Self = Self {
        rows: 2,
        inputs: 50,
        units: 12,
        per_channel: true,
        pruned: false,
        width: 3,
        zero_point: -7,
        seed: 1,
    };

    /// Codes, the description with its values, and the weights that these are.
    fn encode(&self) -> (Vec<u8>, Vec<u8>, Vec<i8>) {
        let mut random = Random(self.seed);
        let count = self.inputs * self.units;
        let (width, kind) = if self.pruned { (1, 2) } else { (self.width, 0) };
        let codes: Vec<usize> = (0..count)
            .map(|_| random.next() as usize % (1 << width))
            .collect();
        let stride = 1 << width;
        let mut description = vec![kind, 1, 0, 0, 1, width as u8, stride as u8];
        description.resize(16, 0);
        let channels = if self.per_channel { self.units } else { 1 };
        let len = match self.pruned {
            true => codes.iter().filter(|&&code| code == 1).count(),
            false => channels * stride,
        };
        let values: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        description.extend(&values);
        let mut next = values.iter().map(|&value| value as i8);
        let weights = codes.iter().enumerate().map(|(i, &code)| {
            let channel = if self.per_channel { i / self.inputs } else { 0 };
            match (self.pruned, code) {
                (true, 0) => 0,
                (true, _) => next.next().unwrap(),
                (false, code) => values[channel * stride + code] as i8,
            }
        });
        let weights = weights.collect();
        let mut bytes = vec![0u8; (count * width).div_ceil(8)];
        for (i, code) in codes.iter().enumerate() {
            for bit in 0..width {
                let at = i * width + bit;
                bytes[at / 8] |= ((code >> (width - 1 - bit) & 1) as u8) << (7 - at % 8);
            }
        }
        (bytes, description, weights)
    }

    fn tensor(&self, main: &mut Function, shape: &[usize], scales: &[f32], zero: i64) -> TensorId {
        let tensor = main.tensor(ElementType::Int8, shape);
        main.0.tensor_mut(tensor).unwrap().quantization = Some(Quantization {
            scale: scales.to_vec(),
            zero_point: vec![zero; scales.len()],
            ..Quantization::default()
        });
        tensor
    }

    fn weights(&self, main: &mut Function) -> TensorId {
        let channels = if self.per_channel { self.units } else { 1 };
        let scales: Vec<f32> = (1..=channels).map(|c| 0.001 * c as f32).collect();
        self.tensor(main, &[self.units, self.inputs], &scales, 0)
    }

    fn input(&self, main: &mut Function) -> TensorId {
        let x = self.tensor(main, &[self.rows, self.inputs], &[0.05], self.zero_point);
        main.input(x)
    }

    /// The layer.
    fn apply(&self, main: &mut Function, x: TensorId, weights: TensorId) -> TensorId {
        let y = self.tensor(main, &[self.rows, self.units], &[0.07], 3);
        let dense = Op::FullyConnected(FullyConnectedOptions::default());
        main.node(dense, &[x, weights], &[y]);
        y
    }

    /// Gives the last layer a bias.
    fn add_bias(&self, graph: &mut Graph, main: &mut Function) {
        let bias = main.tensor(ElementType::Int32, &[self.units]);
        let values = (0..self.units as i32).flat_map(|i| (i * 731 - 900).to_le_bytes());
        main.constant(graph, bias, &values.collect::<Vec<u8>>());
        main.0.nodes.last_mut().unwrap().inputs.push(Some(bias));
    }

    /// TFLM_DECODE, which makes the weights.
    fn decode(&self, graph: &mut Graph, main: &mut Function, weights: TensorId) {
        let (codes, description, _) = self.encode();
        let mut constant = |bytes: &[u8]| {
            let tensor = main.tensor(ElementType::UInt8, &[bytes.len()]);
            main.constant(graph, tensor, bytes);
            tensor
        };
        let inputs = [constant(&codes), constant(&description)];
        let op = OpaqueOp {
            code: CUSTOM,
            custom_code: Some("TFLM_DECODE".to_owned()),
            ..OpaqueOp::default()
        };
        main.0.nodes.push(Node {
            op: NodeOp::Opaque(Box::new(op)),
            version: 1,
            inputs: inputs.map(Some).to_vec(),
            outputs: vec![weights],
            ..Node::default()
        });
    }

    /// A model of it, with a second layer that reads the weights too, and what else `more` adds.
    fn model(&self, more: impl FnOnce(&mut Function, TensorId) -> Vec<TensorId>) -> AlignedBytes {
        let (mut graph, mut main) = (Graph::default(), Function::default());
        let x = self.input(&mut main);
        let weights = self.weights(&mut main);
        self.decode(&mut graph, &mut main, weights);
        let first = self.apply(&mut main, x, weights);
        let second = self.apply(&mut main, x, weights);
        self.add_bias(&mut graph, &mut main);
        let mut results = vec![first, second];
        results.extend(more(&mut main, weights));
        file(graph, main, &results)
    }

    /// The same with weights that are constants.
    fn plain_model(&self) -> AlignedBytes {
        let (mut graph, mut main) = (Graph::default(), Function::default());
        let x = self.input(&mut main);
        let weights = self.weights(&mut main);
        let (_, _, values) = self.encode();
        let bytes: Vec<u8> = values.iter().map(|&value| value as u8).collect();
        main.constant(&mut graph, weights, &bytes);
        let results = [0; 2].map(|_| self.apply(&mut main, x, weights));
        self.add_bias(&mut graph, &mut main);
        file(graph, main, &results)
    }
}

fn file(mut graph: Graph, main: Function, results: &[TensorId]) -> AlignedBytes {
    graph.subgraphs = vec![main.returns(results)];
    AlignedBytes::copy_of(&larun_tflite::write(&graph).unwrap())
}

const DECODED: Options = Options {
    reads_encoded: false,
    ..Options::DEFAULT
};

/// The bytes of the outputs, and of the arena.
fn run(model: &[u8], options: Options, seed: u64) -> (Vec<Vec<u8>>, usize) {
    let mut arena = arena_with(model, kernels::ALL, options).unwrap();
    arena.fill(0xee);
    let loaded = Interpreter::with_options(model, kernels::ALL, &mut arena, options);
    let mut interpreter = loaded.unwrap();
    fill_inputs(&mut interpreter, seed);
    interpreter.invoke().unwrap();
    (outputs(&interpreter), interpreter.arena_bytes())
}

/// The tensors that have memory.
fn planned(model: &[u8]) -> Vec<usize> {
    let plan = memory_plan(model, kernels::ALL).unwrap();
    let tensors = plan.iter().filter_map(|planned| match planned.owner {
        Owner::Tensor(tensor) => Some(tensor),
        Owner::Scratch(_) => None,
    });
    tensors.collect()
}

/// The code of a custom operator.
const CUSTOM: i32 = 32;

/// The number of the weights among the tensors.
const WEIGHTS: usize = 1;

prop_compose! {
    fn layers()(
        rows in 1usize..5, inputs in 1usize..90, units in 1usize..40, per_channel: bool, pruned: bool, width in 1usize..7,
        zero_point in -128i64..128, seed: u64,
    ) -> Dense {
        Dense { rows, inputs, units, per_channel, pruned, width, zero_point, seed }
    }
}

proptest! {
    #[test]
    fn the_bytes_are_those_of_decoded_weights(dense in layers()) {
        let model = dense.model(|_, _| vec![]);
        let (found, _) = run(&model, Options::default(), dense.seed);
        let (decoded, _) = run(&model, DECODED, dense.seed);
        let (plain, _) = run(&dense.plain_model(), Options::default(), dense.seed);
        prop_assert_eq!(&found, &plain);
        prop_assert_eq!(&decoded, &plain);
        prop_assert!(!planned(&model).contains(&WEIGHTS));
    }

    #[test]
    fn other_readers_get_decoded_weights(dense in layers(), reader in 0usize..3) {
        let rows = if reader == 1 { 5 } else { dense.rows };
        let dense = Dense { rows, ..dense };
        let model = dense.model(|main, weights| match reader {
            // They are an output of the model.
            0 => vec![weights],
            // There are so many rows that weights would be decoded twice.
            1 => vec![],
            _ => {
                let sum = dense.weights(main);
                main.node(Op::Add(AddOptions::default()), &[weights, weights], &[sum]);
                vec![sum]
            }
        });
        prop_assume!(reader < 2 || !dense.per_channel);
        let (found, _) = run(&model, Options::default(), dense.seed);
        let (decoded, _) = run(&model, DECODED, dense.seed);
        prop_assert_eq!(found, decoded);
        prop_assert!(planned(&model).contains(&WEIGHTS));
    }
}

#[test]
fn the_arena_is_smaller_by_the_weights() {
    let dense = Dense {
        inputs: 300,
        units: 40,
        ..Dense::SOME
    };
    let model = dense.model(|_, _| vec![]);
    let (_, encoded) = run(&model, Options::default(), 1);
    let (_, decoded) = run(&model, DECODED, 1);
    let saved = decoded - encoded;
    assert!(saved + 1000 > 300 * 40, "saved {saved} of {decoded} bytes");
}

#[test]
fn the_decoder_is_linked_by_its_name_alone() {
    let model = Dense::SOME.model(|_, _| vec![]);
    let mut arena = arena_with(&model, kernels::ALL, Options::default()).unwrap();
    let kernels = ops![Decode, FullyConnected];
    let mut interpreter = Interpreter::new(&model, kernels, &mut arena).unwrap();
    fill_inputs(&mut interpreter, 3);
    interpreter.invoke().unwrap();
    assert_eq!(outputs(&interpreter), run(&model, DECODED, 3).0);
    let without = ops![Decode];
    let missing = Interpreter::new(&model, without, &mut arena).err().unwrap();
    let said = missing.to_string();
    assert!(said.contains("FULLY_CONNECTED"), "{said}");
}

/// What is wrong with a model.
fn refusal(graph: Graph, main: Function, results: &[TensorId]) -> String {
    let model = file(graph, main, results);
    let mut arena = AlignedBytes::zeroed(1 << 16);
    let loaded = Interpreter::new(&model, kernels::ALL, &mut arena);
    loaded.err().unwrap().to_string()
}

#[test]
fn weights_that_are_read_before_they_are_encoded_are_refused() {
    let dense = Dense::SOME;
    let (mut graph, mut main) = (Graph::default(), Function::default());
    let x = dense.input(&mut main);
    let weights = dense.weights(&mut main);
    let y = dense.apply(&mut main, x, weights);
    dense.decode(&mut graph, &mut main, weights);
    let said = refusal(graph, main, &[y]);
    assert!(said.contains("before"), "{said}");
}

#[test]
fn weights_that_are_encoded_twice_are_refused() {
    let dense = Dense::SOME;
    for third in [false, true] {
        let (mut graph, mut main) = (Graph::default(), Function::default());
        let x = dense.input(&mut main);
        let weights = dense.weights(&mut main);
        dense.decode(&mut graph, &mut main, weights);
        let y = dense.apply(&mut main, x, weights);
        dense.decode(&mut graph, &mut main, weights);
        if third {
            dense.decode(&mut graph, &mut main, weights);
        }
        let said = refusal(graph, main, &[y]);
        assert!(said.contains("twice") || said.contains("already"), "{said}");
    }
}

#[test]
fn what_cannot_be_decoded_is_refused_as_ever() {
    let dense = Dense::SOME;
    let (mut graph, mut main) = (Graph::default(), Function::default());
    let x = dense.input(&mut main);
    let weights = dense.weights(&mut main);
    dense.decode(&mut graph, &mut main, weights);
    let y = dense.apply(&mut main, x, weights);
    // A description that is cut off.
    let description = main.0.nodes[0].inputs[1].unwrap();
    main.constant(&mut graph, description, &[0, 1, 0, 0, 1, 3, 8]);
    main.0.tensor_mut(description).unwrap().shape = Shape::new(&[7]).unwrap();
    let said = refusal(graph, main, &[y]);
    assert!(said.contains("must have 16 bytes, has 7"), "{said}");
}
