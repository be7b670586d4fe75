//! What is stored is read back: by LARUN, by the interpreter, and not at all where it is damaged.

mod support;

use larun_graph::ops::{ElementType, Op, OpKind, Shape};
use larun_graph::{Graph, Quantization, Sparsity, Tensor, TensorId};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, kernels};
use larun_prune::{
    Encoded, Encoding, MagnitudePruning, Storage, apply_masks, expand, store, weigh,
};
use proptest::prelude::*;
use support::{INPUT, Step, network, noise};

fn tensor(
    dims: &[usize],
    element_type: ElementType,
    scales: usize,
    axis: i32,
    zero_point: i64,
) -> Tensor {
    Tensor {
        name: "weights".to_owned(),
        shape: Shape::new(dims).unwrap(),
        element_type,
        quantization: Some(Quantization {
            scale: vec![0.5; scales],
            zero_point: vec![zero_point; scales],
            axis,
            ..Quantization::default()
        }),
        ..Tensor::default()
    }
}

/// Bytes with few values, many of them zero.
fn data(len: usize, values: usize, zeros: u32, zero: u8, seed: u32) -> Vec<u8> {
    let draws = noise(seed, 2 * len, 1.0);
    let byte = |pair: &[f32]| match (pair[0] + 1.0) * 50.0 < zeros as f32 {
        true => zero,
        false => ((pair[1] + 1.0) / 2.0 * values as f32) as u8,
    };
    draws.chunks(2).map(byte).collect()
}

proptest! {
    /// Every encoding gives back the bytes that it was made from; Huffman codes take no more than a bit an element above the entropy.
    #[test]
    fn encodings_give_back(
        rows in 1usize..20, columns in 1usize..40, per_channel: bool, last: bool, wide: bool,
        values in 1usize..257, zeros in 0u32..100, zero_point in -3i64..4, seed: u32,
    ) {
        let element_type = if wide { ElementType::Int16 } else { ElementType::Int8 };
        let (axis, channels) = if last { (1, columns) } else { (0, rows) };
        let scales = if per_channel { channels } else { 1 };
        let found = tensor(&[rows, columns], element_type, scales, axis, zero_point);
        let len = rows * columns * if wide { 2 } else { 1 };
        let data = data(len, values, zeros, zero_point as u8, seed);
        for encoding in Encoding::ALL {
            let Ok(encoded) = Encoded::new(&found, &data, encoding) else {
                prop_assert!(encoding == Encoding::Table && (values > 128 || wide), "{encoding:?}");
                continue;
            };
            let decoded = encoded.decode(&found);
            prop_assert_eq!(decoded.as_deref(), Some(&data[..]), "{:?}", encoding);
        }
    }

    /// Damaged codes and descriptions are refused or decode to something; they never panic, and never take more memory than the
    /// tensor has.
    #[test]
    fn damage_is_no_panic(kind in 0u8..4, bytes in prop::collection::vec(any::<u8>(), 0..80), stream in prop::collection::vec(any::<u8>(), 0..40), rows in 0usize..2000) {
        let found = tensor(&[rows, 3], ElementType::Int8, 1, 0, 0);
        let mut description = vec![kind, 1, 0, 0, 1];
        description.extend(bytes);
        let encoded = Encoded { stream, description };
        if let Some(data) = encoded.decode(&found) {
            prop_assert_eq!(data.len(), 3 * rows);
        }
    }

    /// Sparse constants of any parameters are refused or fill their shape.
    #[test]
    fn damaged_sparsity_is_no_panic(order in prop::collection::vec(-1i32..4, 0..4), blocks in prop::collection::vec(-1i32..3, 0..2), sizes in prop::collection::vec(-1i32..9, 0..4), lists in prop::collection::vec(-1i32..9, 0..12)) {
        let mut graph = pruned(0.5);
        let id = dense_weights(&graph);
        let dimension = |(index, &dense_size): (usize, &i32)| larun_graph::DimensionMetadata {
            format: if index % 2 == 1 { larun_graph::DimensionFormat::SparseCsr } else { larun_graph::DimensionFormat::Dense },
            dense_size,
            segments: Some((3, lists.clone())),
            indices: Some((3, lists.iter().rev().copied().collect())),
        };
        let dimensions = sizes.iter().enumerate().map(dimension).collect();
        let sparsity = Sparsity { traversal_order: order, block_map: blocks, dimensions };
        graph.subgraphs[0].tensor_mut(id).unwrap().sparsity = Some(sparsity);
        let _ = expand(&graph);
    }
}

/// A network whose weights are zero for a good part.
fn pruned(sparsity: f32) -> Graph {
    let steps = [
        Step::Conv {
            from: 0,
            filters: 8,
            kernel: 3,
        },
        Step::Activate { from: 0, kind: 0 },
        Step::Depthwise {
            from: 0,
            multiplier: 2,
        },
    ];
    let mut graph = network(&steps, true, 21);
    let masks = MagnitudePruning::default().masks(&graph, sparsity).unwrap();
    apply_masks(&mut graph, &masks).unwrap();
    graph
}

fn dense_weights(graph: &Graph) -> TensorId {
    let mut nodes = graph.main().unwrap().nodes.iter();
    nodes
        .find(|node| node.kind() == Some(OpKind::FullyConnected))
        .unwrap()
        .input(1)
        .unwrap()
}

/// The model in INT8, its weights zero for a good part.
fn quantized() -> Graph {
    let graph = pruned(0.8);
    let graph = larun_passes::simplify(graph).unwrap();
    let mut calibrator = larun_passes::Calibrator::new(&graph).unwrap();
    let samples: Vec<Vec<f32>> = (0..4)
        .map(|seed| noise(seed, INPUT.iter().product(), 1.0))
        .collect();
    calibrator
        .observe(samples.iter().map(|sample| vec![sample.as_slice()]))
        .unwrap();
    let calibration = calibrator.finish().unwrap();
    larun_passes::quantize_int8(
        graph,
        &calibration,
        &larun_passes::QuantizeOptions::default(),
    )
    .unwrap()
}

fn run_int8(graph: &Graph, input: &[i8]) -> Vec<i8> {
    let model = AlignedBytes::copy_of(&larun_tflite::write(graph).unwrap());
    let mut arena = arena_for(&model, kernels::ALL).unwrap();
    let mut interpreter = Interpreter::new(&model, kernels::ALL, &mut arena).unwrap();
    interpreter.set_input(0, input).unwrap();
    interpreter.invoke().unwrap();
    interpreter.output::<i8>(0).unwrap().to_vec()
}

#[test]
fn the_interpreter_runs_encoded_models_to_the_same_bytes() {
    let graph = quantized();
    let input: Vec<i8> = noise(5, INPUT.iter().product(), 127.0)
        .iter()
        .map(|v| *v as i8)
        .collect();
    let expected = run_int8(&graph, &input);
    let dense = larun_tflite::write(&graph).unwrap().len();
    for storage in [
        Storage::Decode(Encoding::Pruning),
        Storage::Decode(Encoding::Huffman),
        Storage::Smallest,
    ] {
        let (stored, tensors) = store(&graph, storage).unwrap();
        assert!(
            tensors.iter().any(|tensor| tensor.storage != "dense"),
            "{tensors:#?}"
        );
        assert_eq!(run_int8(&stored, &input), expected, "{storage:?}");
        let mut smaller = stored.clone();
        larun_passes::remove_unused(&mut smaller);
        assert!(
            larun_tflite::write(&smaller).unwrap().len() < dense,
            "{storage:?}"
        );
        assert_eq!(run_int8(&smaller, &input), expected, "{storage:?}");
        // Read back from the file and expanded, it is the dense model again.
        let read = larun_tflite::read(&larun_tflite::write(&smaller).unwrap()).unwrap();
        let expanded = expand(&read).unwrap();
        assert!(
            expanded
                .main()
                .unwrap()
                .nodes
                .iter()
                .all(|node| node.kind() != Some(OpKind::Decode))
        );
        assert_eq!(run_int8(&expanded, &input), expected, "{storage:?}");
    }
}

#[test]
fn sparse_constants_are_read_back() {
    for graph in [pruned(0.9), quantized()] {
        let (stored, tensors) = store(&graph, Storage::Sparse).unwrap();
        assert!(
            tensors.iter().any(|tensor| tensor.storage == "sparse"),
            "{tensors:#?}"
        );
        let read = larun_tflite::read(&larun_tflite::write(&stored).unwrap()).unwrap();
        assert_eq!(read.main().unwrap().tensors, stored.main().unwrap().tensors);
        let expanded = expand(&read).unwrap();
        let nodes = |graph: &Graph| {
            graph
                .main()
                .unwrap()
                .nodes
                .iter()
                .filter_map(|node| node.known().copied())
                .collect::<Vec<Op>>()
        };
        assert_eq!(nodes(&expanded), nodes(&graph));
        for (node, old) in expanded
            .main()
            .unwrap()
            .nodes
            .iter()
            .zip(&graph.main().unwrap().nodes)
        {
            let data = |graph: &Graph, id: Option<TensorId>| {
                id.map(|id| {
                    graph
                        .data(graph.main().unwrap().tensor(id).unwrap())
                        .to_vec()
                })
            };
            assert_eq!(data(&expanded, node.input(1)), data(&graph, old.input(1)));
        }
    }
}

/// A sparse constant with blocks of 1x4, as TensorFlow's pruning toolkit writes it.
#[test]
fn blocks_are_read() {
    let mut graph = pruned(0.5);
    let id = dense_weights(&graph);
    let dims = graph.main().unwrap().tensor(id).unwrap().shape;
    let (rows, columns) = (dims.dims()[0], dims.dims()[1]);
    let blocks = columns / 4;
    // The first block of every row.
    let dimension =
        |dense_size, lists: Option<(Vec<i32>, Vec<i32>)>| larun_graph::DimensionMetadata {
            format: if lists.is_some() {
                larun_graph::DimensionFormat::SparseCsr
            } else {
                larun_graph::DimensionFormat::Dense
            },
            dense_size,
            segments: lists.clone().map(|lists| (1, lists.0)),
            indices: lists.map(|lists| (1, lists.1)),
        };
    let segments: Vec<i32> = (0..=rows as i32).collect();
    let indices: Vec<i32> = (0..rows as i32).map(|row| row % blocks as i32).collect();
    let values: Vec<f32> = (0..4 * rows).map(|value| value as f32 + 1.0).collect();
    let bytes = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let buffer = graph.add_buffer(bytes);
    let tensor = graph.subgraphs[0].tensor_mut(id).unwrap();
    tensor.buffer = buffer;
    tensor.sparsity = Some(Sparsity {
        traversal_order: vec![0, 1, 2],
        block_map: vec![1],
        dimensions: vec![
            dimension(rows as i32, None),
            dimension(0, Some((segments, indices))),
            dimension(4, None),
        ],
    });
    let expanded = expand(&graph).unwrap();
    let dense = expanded.values::<f32>(id).unwrap();
    for row in 0..rows {
        let start = row * columns + 4 * (row % blocks);
        assert_eq!(dense[start..start + 4], values[4 * row..4 * row + 4]);
    }
    assert_eq!(
        dense.iter().filter(|value| **value != 0.0).count(),
        4 * rows
    );
}

#[test]
fn sizes_say_why_nothing_shrinks() {
    let whole = weigh(&pruned(0.0)).unwrap();
    assert!(
        whole.iter().all(|sizes| sizes.reason().is_some()),
        "{whole:#?}"
    );
    let sparse = weigh(&quantized()).unwrap();
    let large = sparse.iter().max_by_key(|sizes| sizes.dense).unwrap();
    assert!(
        large.reason().is_none() && large.best().1 < large.dense,
        "{large:#?}"
    );
    // A prefix code for single elements stays within a bit an element of their entropy, besides its tables.
    let huffman = large.huffman.unwrap();
    assert!(huffman >= large.entropy && huffman <= large.entropy + large.elements / 8 + 1200);
    let (_, tensors) = store(&pruned(0.0), Storage::Smallest).unwrap();
    assert!(
        tensors
            .iter()
            .all(|tensor| tensor.storage == "dense" && tensor.reason.is_some())
    );
}

#[test]
fn a_stripped_model_computes_the_same() {
    let graph = quantized();
    let mut stripped = graph.clone();
    stripped.description = Some("made in training".to_owned());
    let found = larun_prune::strip(&mut stripped).unwrap();
    assert!(found.metadata >= 1 && found.name_bytes > 0);
    let input = vec![3i8; INPUT.iter().product()];
    assert_eq!(run_int8(&stripped, &input), run_int8(&graph, &input));
    let mut training = network(&[Step::BatchNorm { from: 0 }], true, 2);
    assert!(
        larun_prune::strip(&mut training)
            .unwrap_err()
            .to_string()
            .contains("fold")
    );
}
