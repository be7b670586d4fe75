//! Models of one operator each, changed as the fuzz targets change them: other shapes, types, options, scales and
//! constants. Whatever loads runs, and nothing panics.

#[path = "../fuzz/src/exercise.rs"]
#[allow(unreachable_pub, reason = "the fuzz targets are another crate")]
mod exercise;
#[path = "../fuzz/src/mutate.rs"]
#[allow(unreachable_pub, reason = "the fuzz targets are another crate")]
mod mutate;
#[path = "../fuzz/src/sites.rs"]
mod sites;
mod support;

use larun_graph::ops::{
    BatchMatmulOptions, ConcatenationOptions, Conv2DOptions, DepthwiseConv2DOptions, ElementType,
    FullyConnectedOptions, Op, OpKind, PackOptions, Padding, Pool2DOptions, SoftmaxOptions,
    SplitOptions, SvdfOptions,
};
use larun_graph::{Graph, Quantization, TensorId};
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::kernels;
use mutate::mutate;
use support::flow::{Function, file};

/// Changed copies of each model.
const COPIES: u32 = 400;

/// A model of one operator in the making.
#[derive(Default)]
struct Small {
    graph: Graph,
    main: Function,
    inputs: Vec<TensorId>,
}

impl Small {
    fn tensor(&mut self, element_type: ElementType, shape: &[usize]) -> TensorId {
        let tensor = self.main.tensor(element_type, shape);
        let is_integer = matches!(element_type, ElementType::Int8 | ElementType::Int16);
        let quantization = is_integer.then(|| Quantization {
            scale: vec![0.5],
            zero_point: vec![0],
            ..Quantization::default()
        });
        self.main.0.tensor_mut(tensor).unwrap().quantization = quantization;
        tensor
    }

    /// An input that the caller sets.
    fn value(mut self, element_type: ElementType, shape: &[usize]) -> Self {
        let tensor = self.tensor(element_type, shape);
        self.inputs.push(self.main.input(tensor));
        self
    }

    /// A constant of zeros.
    fn zeros(mut self, element_type: ElementType, shape: &[usize]) -> Self {
        let tensor = self.tensor(element_type, shape);
        let size = match element_type {
            ElementType::Int8 => 1,
            _ => 4,
        };
        let bytes = vec![0; size * shape.iter().product::<usize>()];
        self.main.constant(&mut self.graph, tensor, &bytes);
        self.inputs.push(tensor);
        self
    }

    /// A constant of integers, such as axes.
    fn words(mut self, shape: &[usize], words: &[i32]) -> Self {
        let tensor = self.tensor(ElementType::Int32, shape);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.main.constant(&mut self.graph, tensor, &bytes);
        self.inputs.push(tensor);
        self
    }

    fn state(mut self, shape: &[usize]) -> Self {
        let tensor = self.tensor(ElementType::Float32, shape);
        self.main.0.tensor_mut(tensor).unwrap().is_variable = true;
        self.inputs.push(tensor);
        self
    }

    fn file(mut self, op: Op, element_type: ElementType, outputs: &[&[usize]]) -> AlignedBytes {
        let outputs: Vec<_> = outputs
            .iter()
            .map(|shape| self.tensor(element_type, shape))
            .collect();
        self.main.node(op, &self.inputs, &outputs);
        self.graph.subgraphs = vec![self.main.returns(&outputs)];
        file(&self.graph)
    }
}

const FLOAT: ElementType = ElementType::Float32;
const INT8: ElementType = ElementType::Int8;

fn plain(kind: OpKind) -> Op {
    kind.with_default_options()
}

/// Operators of one or two values, element by element.
fn elementwise() -> Vec<AlignedBytes> {
    let mut models = Vec::new();
    let small = Small::default;
    for kind in [
        OpKind::Abs,
        OpKind::Exp,
        OpKind::HardSwish,
        OpKind::LeakyRelu,
        OpKind::Logistic,
        OpKind::Relu6,
        OpKind::Rsqrt,
        OpKind::Tanh,
    ] {
        let model = small().value(FLOAT, &[2, 3]);
        models.push(model.file(plain(kind), FLOAT, &[&[2, 3]]));
    }
    for kind in [OpKind::Add, OpKind::Mul, OpKind::Sub, OpKind::Maximum] {
        for element_type in [FLOAT, INT8] {
            let model = small().value(element_type, &[2, 3]);
            let model = model.value(element_type, &[3]);
            models.push(model.file(plain(kind), element_type, &[&[2, 3]]));
        }
    }
    let model = small().value(INT8, &[2, 3]).value(INT8, &[2, 1]);
    models.push(model.file(plain(OpKind::Less), ElementType::Bool, &[&[2, 3]]));
    let model = small().value(FLOAT, &[2, 3]);
    models.push(model.file(plain(OpKind::Quantize), INT8, &[&[2, 3]]));
    let model = small().value(INT8, &[2, 3]);
    models.push(model.file(plain(OpKind::Dequantize), FLOAT, &[&[2, 3]]));
    models
}

/// Operators that move elements or fold them.
fn shaping() -> Vec<AlignedBytes> {
    let small = || Small::default().value(FLOAT, &[2, 3]);
    let image = || Small::default().value(FLOAT, &[1, 4, 4, 2]);
    let one = |model: Small, kind, shape: &[usize]| model.file(plain(kind), FLOAT, &[shape]);
    let concatenation = Op::Concatenation(ConcatenationOptions {
        axis: 1,
        ..ConcatenationOptions::default()
    });
    let pack = Op::Pack(PackOptions {
        values_count: 2,
        axis: 1,
    });
    let split = Op::Split(SplitOptions { num_splits: 3 });
    let axis = Small::default().words(&[], &[1]).value(FLOAT, &[2, 3]);
    let arg_max = small().words(&[], &[1]);
    vec![
        one(small().words(&[2], &[1, 0]), OpKind::Transpose, &[3, 2]),
        one(small().words(&[2], &[3, 2]), OpKind::Reshape, &[3, 2]),
        one(small().words(&[1], &[1]), OpKind::Mean, &[2]),
        one(small().words(&[1], &[0]), OpKind::Sum, &[3]),
        one(small().words(&[1], &[-1]), OpKind::ReduceMax, &[2]),
        one(small().words(&[2, 2], &[1, 1, 0, 2]), OpKind::Pad, &[4, 5]),
        one(
            small().words(&[2, 2], &[1, 1, 0, 1]),
            OpKind::MirrorPad,
            &[4, 4],
        ),
        one(
            small().words(&[2], &[0, 1]).words(&[2], &[2, 2]),
            OpKind::Slice,
            &[2, 2],
        ),
        one(
            small()
                .words(&[2], &[0, 2])
                .words(&[2], &[2, -4])
                .words(&[2], &[1, -1]),
            OpKind::StridedSlice,
            &[2, 3],
        ),
        one(small().words(&[2], &[1, 0]), OpKind::Gather, &[2, 3]),
        one(small().words(&[1, 2], &[1, 0]), OpKind::GatherNd, &[1]),
        one(small().words(&[], &[1]), OpKind::ExpandDims, &[2, 1, 3]),
        one(
            small().words(&[3], &[4, 2, 3]),
            OpKind::BroadcastTo,
            &[4, 2, 3],
        ),
        one(small().words(&[], &[1]), OpKind::CumSum, &[2, 3]),
        one(small().words(&[1], &[1]), OpKind::ReverseV2, &[2, 3]),
        one(
            image().words(&[2], &[2, 2]).words(&[2, 2], &[0; 4]),
            OpKind::SpaceToBatchNd,
            &[4, 2, 2, 2],
        ),
        one(
            image().words(&[2], &[2, 3]),
            OpKind::ResizeNearestNeighbor,
            &[1, 2, 3, 2],
        ),
        one(
            image().words(&[2], &[6, 3]),
            OpKind::ResizeBilinear,
            &[1, 6, 3, 2],
        ),
        small()
            .value(FLOAT, &[2, 1])
            .file(concatenation, FLOAT, &[&[2, 4]]),
        small()
            .value(FLOAT, &[2, 3])
            .file(pack, FLOAT, &[&[2, 2, 3]]),
        axis.file(split, FLOAT, &[&[2, 1], &[2, 1], &[2, 1]]),
        arg_max.file(plain(OpKind::ArgMax), ElementType::Int32, &[&[2]]),
    ]
}

/// Operators with weights, windows or a state.
fn layers() -> Vec<AlignedBytes> {
    let mut models = Vec::new();
    for element_type in [FLOAT, INT8] {
        let bias = if element_type == FLOAT {
            FLOAT
        } else {
            ElementType::Int32
        };
        let image = || Small::default().value(element_type, &[1, 4, 4, 2]);
        let conv = Op::Conv2D(Conv2DOptions {
            padding: Padding::Same,
            stride_w: 2,
            stride_h: 1,
            ..Conv2DOptions::default()
        });
        let model = image().zeros(element_type, &[3, 2, 3, 2]).zeros(bias, &[3]);
        models.push(model.file(conv, element_type, &[&[1, 4, 2, 3]]));
        let depthwise = Op::DepthwiseConv2D(DepthwiseConv2DOptions {
            padding: Padding::Valid,
            stride_w: 1,
            stride_h: 1,
            depth_multiplier: 1,
            ..DepthwiseConv2DOptions::default()
        });
        let model = image().zeros(element_type, &[1, 3, 3, 2]).zeros(bias, &[2]);
        models.push(model.file(depthwise, element_type, &[&[1, 2, 2, 2]]));
        let pool = Pool2DOptions {
            padding: Padding::Valid,
            stride_w: 2,
            stride_h: 2,
            filter_w: 2,
            filter_h: 2,
            ..Pool2DOptions::default()
        };
        for op in [Op::MaxPool2D(pool), Op::AveragePool2D(pool)] {
            models.push(image().file(op, element_type, &[&[1, 2, 2, 2]]));
        }
        let dense = Op::FullyConnected(FullyConnectedOptions::default());
        let model = Small::default().value(element_type, &[2, 4]);
        let model = model.zeros(element_type, &[3, 4]).zeros(bias, &[3]);
        models.push(model.file(dense, element_type, &[&[2, 3]]));
        let product = Op::BatchMatmul(BatchMatmulOptions::default());
        let model = Small::default().value(element_type, &[2, 2, 3]);
        let model = model.value(element_type, &[3, 2]);
        models.push(model.file(product, element_type, &[&[2, 2, 2]]));
    }
    let softmax = Op::Softmax(SoftmaxOptions { beta: 1.0 });
    let model = Small::default().value(FLOAT, &[2, 3]);
    models.push(model.file(softmax, FLOAT, &[&[2, 3]]));
    let svdf = Op::Svdf(SvdfOptions {
        rank: 1,
        ..SvdfOptions::default()
    });
    let model = Small::default().value(FLOAT, &[1, 2]).zeros(FLOAT, &[2, 2]);
    let model = model.zeros(FLOAT, &[2, 3]).zeros(FLOAT, &[2]);
    models.push(model.state(&[1, 6]).file(svdf, FLOAT, &[&[1, 2]]));
    models
}

/// Changes copies of the models, some of them several times over.
fn survive(models: &[AlignedBytes]) {
    for (number, model) in models.iter().enumerate() {
        let loaded = arena_for(model, kernels::ALL);
        assert!(loaded.is_ok(), "model {number}: {}", loaded.unwrap_err());
        for copy in 0..COPIES {
            let mut changed = model.to_vec();
            // What chooses the inputs' values.
            changed.extend([0; 8]);
            for turn in 0..1 + copy % 3 {
                let seed = copy * 16 + turn + 100_000 * number as u32;
                let size = changed.len();
                mutate(&mut changed, size, seed, |_, size| size);
            }
            exercise::run(&changed);
            exercise::load(&changed);
            exercise::view(&changed);
        }
    }
}

#[test]
fn changed_models_of_elementwise_operators() {
    survive(&elementwise());
}

#[test]
fn changed_models_of_operators_that_shape() {
    survive(&shaping());
}

#[test]
fn changed_models_of_layers() {
    survive(&layers());
}
