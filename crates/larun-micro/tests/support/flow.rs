//! Models of several subgraphs, made by hand.

use flatbuffers::FlatBufferBuilder;
use larun_graph::ops::{AddOptions, ElementType, IfOptions, MulOptions, Op, Shape, WhileOptions};
use larun_graph::{
    Buffer, Graph, Node, NodeOp, OpaqueOp, OpaqueOptions, OptionsUnion, Subgraph, Tensor, TensorId,
};
use larun_micro::host::AlignedBytes;

/// Elements of every value that is no condition.
pub(crate) const LEN: usize = 3;

/// A subgraph in the making.
#[derive(Default)]
pub(crate) struct Function(pub(crate) Subgraph);

impl Function {
    pub(crate) fn tensor(&mut self, element_type: ElementType, shape: &[usize]) -> TensorId {
        self.0.add_tensor(Tensor {
            name: format!("t{}", self.0.tensors.len()),
            element_type,
            shape: Shape::new(shape).unwrap(),
            ..Tensor::default()
        })
    }

    pub(crate) fn value(&mut self) -> TensorId {
        self.tensor(ElementType::Float32, &[LEN])
    }

    pub(crate) fn flag(&mut self) -> TensorId {
        self.tensor(ElementType::Bool, &[1])
    }

    pub(crate) fn handle(&mut self) -> TensorId {
        self.tensor(ElementType::Resource, &[1])
    }

    pub(crate) fn input(&mut self, tensor: TensorId) -> TensorId {
        self.0.inputs.push(tensor);
        tensor
    }

    pub(crate) fn constant(&mut self, graph: &mut Graph, tensor: TensorId, bytes: &[u8]) {
        self.0.tensor_mut(tensor).unwrap().buffer = graph.add_buffer(bytes.to_vec());
    }

    pub(crate) fn node(&mut self, op: Op, inputs: &[TensorId], outputs: &[TensorId]) {
        self.0.nodes.push(Node::new(op, inputs, outputs));
    }

    pub(crate) fn add(&mut self, a: TensorId, b: TensorId) -> TensorId {
        let sum = self.value();
        self.node(Op::Add(AddOptions::default()), &[a, b], &[sum]);
        sum
    }

    pub(crate) fn mul(&mut self, a: TensorId, b: TensorId) -> TensorId {
        let product = self.value();
        self.node(Op::Mul(MulOptions::default()), &[a, b], &[product]);
        product
    }

    /// VAR_HANDLE.
    pub(crate) fn variable(&mut self, container: Option<&str>, name: &str) -> TensorId {
        let handle = self.handle();
        let mut file = FlatBufferBuilder::new();
        let name = file.create_string(name);
        let container = container.map(|container| file.create_string(container));
        let start = file.start_table();
        if let Some(container) = container {
            file.push_slot_always(4, container);
        }
        file.push_slot_always(6, name);
        let root = file.end_table(start);
        file.finish(root, None);
        let op = OpaqueOp {
            code: 142,
            options: Some(OpaqueOptions {
                union: OptionsUnion::First,
                kind: 111,
                table: file.finished_data().to_vec(),
            }),
            ..OpaqueOp::default()
        };
        self.0.nodes.push(Node {
            op: NodeOp::Opaque(Box::new(op)),
            version: 1,
            outputs: vec![handle],
            ..Node::default()
        });
        handle
    }

    pub(crate) fn read(&mut self, handle: TensorId) -> TensorId {
        let value = self.value();
        self.node(Op::ReadVariable(Default::default()), &[handle], &[value]);
        value
    }

    pub(crate) fn assign(&mut self, handle: TensorId, value: TensorId) {
        self.node(
            Op::AssignVariable(Default::default()),
            &[handle, value],
            &[],
        );
    }

    pub(crate) fn returns(mut self, outputs: &[TensorId]) -> Subgraph {
        self.0.outputs = outputs.to_vec();
        self.0
    }
}

pub(crate) const fn if_op(then: i32, otherwise: i32) -> Op {
    Op::If(IfOptions {
        then_subgraph_index: then,
        else_subgraph_index: otherwise,
    })
}

pub(crate) const fn while_op(condition: i32, body: i32) -> Op {
    Op::While(WhileOptions {
        cond_subgraph_index: condition,
        body_subgraph_index: body,
    })
}

/// The file of a graph, which need not have buffers.
pub(crate) fn file(graph: &Graph) -> AlignedBytes {
    let mut graph = graph.clone();
    if graph.buffers.is_empty() {
        graph.buffers.push(Buffer::default());
    }
    AlignedBytes::copy_of(&larun_tflite::write(&graph).unwrap())
}

/// `y = x + x` where the condition holds, else `x * x`; then `y + x`.
pub(crate) fn branch() -> Graph {
    let mut main = Function::default();
    let (flag, x) = (main.flag(), main.value());
    main.input(flag);
    main.input(x);
    let y = main.value();
    main.node(if_op(1, 2), &[flag, x], &[y]);
    let z = main.add(y, x);
    let mut then = Function::default();
    let x = then.value();
    then.input(x);
    let sum = then.add(x, x);
    let mut otherwise = Function::default();
    let x = otherwise.value();
    otherwise.input(x);
    let product = otherwise.mul(x, x);
    Graph {
        subgraphs: vec![
            main.returns(&[z]),
            then.returns(&[sum]),
            otherwise.returns(&[product]),
        ],
        ..Graph::default()
    }
}

/// Adds `x` to itself while the first of three flags holds, which the others follow.
pub(crate) fn queue() -> Graph {
    let ports = |function: &mut Function| {
        let flags = [(); 3].map(|()| {
            let flag = function.flag();
            function.input(flag)
        });
        let x = function.value();
        (flags, function.input(x))
    };
    let mut graph = Graph::default();
    let mut main = Function::default();
    let ([a, b, c], x) = ports(&mut main);
    let outputs = [main.flag(), main.flag(), main.flag(), main.value()];
    main.node(while_op(1, 2), &[a, b, c, x], &outputs);
    let mut condition = Function::default();
    let ([first, ..], _) = ports(&mut condition);
    let mut body = Function::default();
    let ([_, b, c], x) = ports(&mut body);
    let last = body.flag();
    body.constant(&mut graph, last, &[0]);
    let sum = body.add(x, x);
    graph.subgraphs = vec![
        main.returns(&[outputs[3]]),
        condition.returns(&[first]),
        body.returns(&[b, c, last, sum]),
    ];
    graph
}
