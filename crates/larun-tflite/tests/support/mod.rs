//! What the tests of this crate share: sample graphs, and the models of the test corpus.
#![allow(dead_code, reason = "each test uses a part")]

use std::fs;
use std::path::{Path, PathBuf};

use larun_graph::ops::{
    Activation, Conv2DOptions, ElementType, FullyConnectedOptions, IntList, Op, OpKind, Padding,
    ReshapeOptions, Shape, SoftmaxOptions,
};
use larun_graph::*;

/// A convolution, a dense layer and a softmax, as a builder makes them.
pub(crate) fn small() -> Graph {
    let mut net = GraphBuilder::new("small");
    let x = net.input("x", &[1, 4, 4, 1], ElementType::Float32).unwrap();
    let filter: Vec<f32> = (0..18).map(|i| i as f32).collect();
    let filter = net.constant("filter", &[2, 3, 3, 1], &filter).unwrap();
    let bias = net.constant("bias", &[2], &[1.0f32, 2.0]).unwrap();
    let conv = Op::Conv2D(Conv2DOptions {
        padding: Padding::Valid,
        stride_w: 1,
        stride_h: 1,
        activation: Activation::Relu,
        ..Conv2DOptions::default()
    });
    let y = net.node("conv", conv, &[x, filter, bias]).unwrap();
    let flat = Op::Reshape(ReshapeOptions {
        new_shape: IntList::new(&[1, 8]).unwrap(),
    });
    let flat = net.node("flat", flat, &[y]).unwrap();
    let weights = net.constant("weights", &[3, 8], &[0.5f32; 24]).unwrap();
    let dense = Op::FullyConnected(FullyConnectedOptions::default());
    let y = net.node("dense", dense, &[flat, weights]).unwrap();
    let softmax = Op::Softmax(SoftmaxOptions { beta: 1.0 });
    let y = net.node("softmax", softmax, &[y]).unwrap();
    net.output(y);
    net.finish().unwrap()
}

/// Every part of a graph, each with something in it.
pub(crate) fn everything() -> Graph {
    let mut graph = Graph {
        description: Some("all there is".to_owned()),
        metadata_buffers: vec![1, -1],
        ..Graph::default()
    };
    let blob = graph.add_buffer(b"blob".to_vec());
    let weights = graph.add_buffer((0..18).collect());
    graph.add_buffer(b"blob".to_vec());
    graph.metadata = vec![
        Metadata {
            name: Some("unknown".to_owned()),
            buffer: blob,
        },
        Metadata {
            name: None,
            buffer: BufferId(0),
        },
    ];
    graph.signatures = vec![signature()];
    graph.external_files = vec![Some("weights.bin".to_owned()), None];
    graph.external_buffers = vec![ExternalBuffer {
        id: 7,
        file: 1,
        offset: 1 << 40,
        length: 1 << 33,
        packing: Some("plain".to_owned()),
    }];
    graph.subgraphs = vec![
        Subgraph {
            name: Some("main".to_owned()),
            tensors: tensors(weights),
            nodes: nodes(),
            inputs: vec![TensorId(0)],
            outputs: vec![TensorId(2), TensorId(3)],
            debug_metadata: 4,
        },
        Subgraph {
            debug_metadata: -1,
            ..Subgraph::default()
        },
    ];
    graph
}

fn signature() -> Signature {
    let tensor = |name: Option<&str>, id| SignatureTensor {
        name: name.map(str::to_owned),
        tensor: TensorId(id),
    };
    Signature {
        key: Some("serving_default".to_owned()),
        subgraph: SubgraphId(1),
        inputs: vec![tensor(Some("light_curve"), 0), tensor(None, 1)],
        outputs: vec![tensor(Some("class"), 3)],
        tag: Some("serve".to_owned()),
    }
}

fn tensors(weights: BufferId) -> Vec<Tensor> {
    let quantized = Quantization {
        scale: vec![0.5, 0.25],
        zero_point: vec![0, i64::MIN],
        min: vec![-1.0],
        max: vec![f32::INFINITY],
        axis: 3,
        details: None,
    };
    let details = |details| Quantization {
        details: Some(details),
        ..Quantization::default()
    };
    vec![
        Tensor {
            name: "x".to_owned(),
            shape: Shape::new(&[1, 8]).unwrap(),
            shape_signature: vec![-1, 8],
            has_rank: true,
            quantization: Some(quantized),
            ..Tensor::default()
        },
        Tensor {
            name: "sparse".to_owned(),
            shape: Shape::new(&[2, 9]).unwrap(),
            element_type: ElementType::Int8,
            buffer: weights,
            quantization: Some(details(QuantizationDetails::Custom(vec![1, 2, 3]))),
            sparsity: Some(sparsity()),
            ..Tensor::default()
        },
        Tensor {
            name: "state".to_owned(),
            element_type: ElementType::Variant,
            is_variable: true,
            external_buffer: 7,
            quantization: Some(details(QuantizationDetails::Blockwise {
                scales: 4,
                zero_points: -1,
                block_size: 32,
            })),
            variants: vec![VariantType {
                shape: Shape::new(&[3]).unwrap(),
                element_type: ElementType::Float8E5M2,
                has_rank: true,
            }],
            ..Tensor::default()
        },
        Tensor::default(),
    ]
}

fn sparsity() -> Sparsity {
    Sparsity {
        traversal_order: vec![0, 1, 2],
        block_map: vec![1],
        dimensions: vec![
            DimensionMetadata {
                format: DimensionFormat::Dense,
                dense_size: 2,
                segments: None,
                indices: None,
            },
            DimensionMetadata {
                format: DimensionFormat::SparseCsr,
                dense_size: 0,
                segments: Some((3, vec![0, 2, 255])),
                indices: Some((2, vec![0, 65535])),
            },
            DimensionMetadata {
                format: DimensionFormat::SparseCsr,
                dense_size: 9,
                segments: Some((1, vec![0, 1 << 20])),
                indices: Some((1, vec![])),
            },
        ],
    }
}

fn nodes() -> Vec<Node> {
    let (x, w, state, y) = (TensorId(0), TensorId(1), TensorId(2), TensorId(3));
    let mut dense = Node::new(
        OpKind::FullyConnected.with_default_options(),
        &[x, w],
        &[state],
    );
    dense.inputs.push(None);
    dense.version = 9;
    dense.intermediates = vec![None, Some(x)];
    dense.mutating_variable_inputs = vec![false, true, false];
    dense.debug_metadata = 2;
    let custom = Node {
        op: NodeOp::Opaque(Box::new(OpaqueOp {
            code: 32,
            custom_code: Some("Wavelet".to_owned()),
            options: None,
            custom_options: Some(vec![9, 8, 7]),
            custom_options_format: 1,
        })),
        version: 2,
        inputs: vec![Some(x)],
        outputs: vec![y],
        debug_metadata: -1,
        ..Node::default()
    };
    vec![dense, custom]
}

/// The corpus, or `None` with a word to say that the test is skipped.
pub(crate) fn corpus(test: &str) -> Option<PathBuf> {
    let corpus = std::env::var_os("LARUN_CORPUS");
    if corpus.is_none() {
        println!("skipped: {test}: LARUN_CORPUS is not set");
    }
    corpus.map(PathBuf::from)
}

/// Every model of the corpus with a name: files, and those in archives of operator cases.
pub(crate) fn corpus_models(corpus: &Path) -> Vec<(String, Vec<u8>)> {
    let mut models = Vec::new();
    for folder in ["models", "quant"] {
        collect_files(&corpus.join(folder), &mut models);
    }
    let mut archives = Vec::new();
    for path in sorted(&corpus.join("ops")) {
        if path
            .extension()
            .is_some_and(|extension| extension == "tfoc")
        {
            archives.push(path);
        }
    }
    for path in archives {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let cases = archive_models(&fs::read(&path).unwrap());
        let cases = cases.into_iter().enumerate();
        models.extend(cases.map(|(i, model)| (format!("{name}[{i}]"), model)));
    }
    models
}

fn collect_files(folder: &Path, models: &mut Vec<(String, Vec<u8>)>) {
    for path in sorted(folder) {
        if path.is_dir() {
            collect_files(&path, models);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "tflite")
        {
            models.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The models of an archive of operator cases; inputs and outputs are passed over.
fn archive_models(archive: &[u8]) -> Vec<Vec<u8>> {
    let word = |at: usize| u32::from_le_bytes(archive[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(&archive[..8], b"TFOC0001");
    let mut at = 16usize;
    let mut models = Vec::new();
    for _ in 0..word(8) {
        at = at.next_multiple_of(16);
        let [meta, model, sets, inputs, outputs, alternative] =
            core::array::from_fn(|i| word(at + 4 * i));
        let start = (at + 32 + meta).next_multiple_of(16);
        at = start + model;
        models.push(archive[start..at].to_vec());
        for _ in 0..sets * (inputs + outputs * (1 + alternative)) {
            let rank = usize::from(archive[at + 1]);
            at += 4 + 4 * rank;
            at += 4 + word(at);
        }
    }
    models
}
