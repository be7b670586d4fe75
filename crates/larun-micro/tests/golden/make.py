"""Writes models.json: models of the operators that no single node shows, and what TensorFlow Lite Micro computes of them.

    pip install --pre tflite-micro ai-edge-litert
    python make.py > models.json

Operators that run subgraphs, keep state or use resource variables. Each model runs on a sequence of input sets, state
and variables kept between them. SELECT and GELU, which TensorFlow Lite Micro does not have, are LiteRT's reference
kernels'. The seed is fixed; the outputs are those of tflite-micro 0.dev20261023182759 and ai-edge-litert 2.3.0. Models
and tensors are in hexadecimal, inputs and outputs in the order of the main subgraph.
"""

import json
import sys

import flatbuffers
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro.python.tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

RNG = np.random.default_rng(20261201)
SETS = 4
TYPES = {np.dtype(t): getattr(schema.TensorType, n) for t, n in [
    (np.float32, "FLOAT32"), (np.int8, "INT8"), (np.int16, "INT16"), (np.int32, "INT32"), (np.bool_, "BOOL")]}
RELU, TANH = 1, 4


class Subgraph:
    """Tensors and operators in the making."""

    def __init__(self, model):
        self.model, self.graph = model, schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        model.subgraphs.append(self.graph)

    def tensor(self, dtype, shape, scale=None, zero_point=0, data=None, variable=False):
        t = schema.TensorT()
        t.shape, t.buffer, t.isVariable = list(shape), 0, variable
        t.type = dtype if isinstance(dtype, int) else TYPES[np.dtype(dtype)]
        if scale is not None:
            t.quantization = schema.QuantizationParametersT()
            t.quantization.scale, t.quantization.zeroPoint = [float(np.float32(scale))], [zero_point]
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = list(np.ascontiguousarray(data).tobytes())
            t.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def constant(self, data, scale=None, zero_point=0):
        return self.tensor(data.dtype, data.shape, scale, zero_point, data)

    def input(self, *args, **kw):
        self.graph.inputs.append(self.tensor(*args, **kw))
        return self.graph.inputs[-1]

    def returns(self, *tensors):
        self.graph.outputs = list(tensors)

    def node(self, op, inputs, outputs, table=None, **options):
        code = getattr(schema.BuiltinOperator, op)
        codes = [c.builtinCode for c in self.model.operatorCodes]
        if code not in codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
            self.model.operatorCodes.append(entry)
            codes.append(code)
        node = schema.OperatorT()
        node.opcodeIndex, node.inputs, node.outputs = codes.index(code), inputs, outputs
        if table:
            node.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            node.builtinOptions = getattr(schema, table + "T")()
            for name, value in options.items():
                assert hasattr(node.builtinOptions, name), name
                setattr(node.builtinOptions, name, value)
        self.graph.operators.append(node)
        return outputs[0] if outputs else None


def model(build):
    m = schema.ModelT()
    m.version, m.operatorCodes, m.subgraphs, m.buffers = 3, [], [], [schema.BufferT()]
    build(m)
    builder = flatbuffers.Builder(1024)
    builder.Finish(m.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tflm(data, sets):
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 18)
    for inputs in sets:
        for i, value in enumerate(inputs):
            interpreter.set_input(value, i)
        interpreter.invoke()
        yield [interpreter.get_output(0)]


def litert(data, sets):
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for inputs in sets:
        for detail, value in zip(interpreter.get_input_details(), inputs):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        yield [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def real(shape, scale=1.0):
    return RNG.normal(0, scale, shape).astype(np.float32)


def integers(dtype, shape, low, high):
    return RNG.integers(low, high, shape).astype(dtype)


def add(graph, a, b, shape, op="ADD", table="AddOptions"):
    return graph.node(op, [a, b], [graph.tensor(np.float32, shape)], table)


def svdf_real(m):
    g = Subgraph(m)
    x = g.input(np.float32, [1, 5])
    feature, time = g.constant(real([8, 5], 0.4)), g.constant(real([8, 3], 0.4))
    bias, state = g.constant(real([4])), g.tensor(np.float32, [1, 24], variable=True)
    y = g.tensor(np.float32, [1, 4])
    g.returns(g.node("SVDF", [x, feature, time, bias, state], [y], "SVDFOptions", rank=2, fusedActivationFunction=RELU))


def svdf_int8(m):
    g = Subgraph(m)
    x = g.input(np.int8, [2, 6], 0.05, 3)
    feature = g.constant(integers(np.int8, [4, 6], -127, 128), 0.01)
    time = g.constant(integers(np.int16, [4, 5], -32767, 32768), 0.00003)
    bias = g.constant(integers(np.int32, [4], -4000, 4000), 0.00003 * 0.0005)
    state = g.tensor(np.int16, [2, 20], 0.0005, variable=True)
    y = g.tensor(np.int8, [2, 4], 0.06, -5)
    g.returns(g.node("SVDF", [x, feature, time, bias, state], [y], "SVDFOptions", rank=1, fusedActivationFunction=RELU))


def lstm(m):
    g = Subgraph(m)
    x = g.input(np.float32, [2, 3, 4])
    weights = [g.constant(real([5, 4], 0.5)) for _ in range(4)]
    recurrent = [g.constant(real([5, 5], 0.5)) for _ in range(4)]
    biases = [g.constant(real([5], 0.3)) for _ in range(4)]
    states = [g.tensor(np.float32, [2, 5], variable=True) for _ in range(2)]
    y = g.tensor(np.float32, [2, 3, 5])
    inputs = [x] + weights + recurrent + [-1] * 3 + biases + [-1] * 2 + states + [-1] * 4
    g.returns(g.node("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [y], "UnidirectionalSequenceLSTMOptions",
                     fusedActivationFunction=TANH))


def branch(m):
    g = Subgraph(m)
    condition, x = g.input(np.bool_, [1]), g.input(np.float32, [3])
    y = g.tensor(np.float32, [3])
    g.returns(g.node("IF", [condition, x], [y], "IfOptions", thenSubgraphIndex=1, elseSubgraphIndex=2))
    for op, table in [("ADD", "AddOptions"), ("MUL", "MulOptions")]:
        s = Subgraph(m)
        s.returns(add(s, s.input(np.float32, [3]), s.constant(real([3])), [3], op, table))


def loop(m):
    g = Subgraph(m)
    x = g.input(np.float32, [1])
    g.returns(g.node("WHILE", [x], [g.tensor(np.float32, [1])], "WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=2))
    c = Subgraph(m)
    bound = c.constant(np.float32([9.5]))
    c.returns(c.node("LESS", [c.input(np.float32, [1]), bound], [c.tensor(np.bool_, [1])], "LessOptions"))
    b = Subgraph(m)
    b.returns(add(b, b.input(np.float32, [1]), b.constant(np.float32([1.3])), [1]))


def accumulator(m):
    """A variable that is set once to a constant, and to which every inference adds its input."""
    options = {"container": "c", "sharedName": "sum"}
    g = Subgraph(m)
    x = g.input(np.float32, [3])
    g.node("CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=1)
    handle = g.node("VAR_HANDLE", [], [g.tensor(schema.TensorType.RESOURCE, [1])], "VarHandleOptions", **options)
    before = g.node("READ_VARIABLE", [handle], [g.tensor(np.float32, [3])], "ReadVariableOptions")
    after = add(g, before, x, [3])
    g.node("ASSIGN_VARIABLE", [handle, after], [], "AssignVariableOptions")
    g.returns(after)
    i = Subgraph(m)
    handle = i.node("VAR_HANDLE", [], [i.tensor(schema.TensorType.RESOURCE, [1])], "VarHandleOptions", **options)
    i.node("ASSIGN_VARIABLE", [handle, i.constant(real([3]))], [], "AssignVariableOptions")


def select(m):
    g = Subgraph(m)
    inputs = [g.input(np.bool_, [2, 3]), g.input(np.float32, [2, 3]), g.input(np.float32, [2, 3])]
    g.returns(g.node("SELECT", inputs, [g.tensor(np.float32, [2, 3])], "SelectOptions"))


def gelu(approximate):
    def build(m):
        g = Subgraph(m)
        x = g.input(np.float32, [2, 7])
        g.returns(g.node("GELU", [x], [g.tensor(np.float32, [2, 7])], "GeluOptions", approximate=approximate))
    return build


def flags(shape):
    return RNG.integers(0, 2, shape).astype(np.bool_)


def main():
    cases = [
        ("SVDF of real numbers", svdf_real, tflm, lambda: [real([1, 5])]),
        ("SVDF of INT8", svdf_int8, tflm, lambda: [integers(np.int8, [2, 6], -128, 128)]),
        ("LSTM", lstm, tflm, lambda: [real([2, 3, 4])]),
        ("IF", branch, tflm, lambda: [flags([1]), real([3])]),
        ("WHILE", loop, tflm, lambda: [real([1], 5.0)]),
        ("CALL_ONCE and a variable", accumulator, tflm, lambda: [real([3])]),
        ("SELECT", select, litert, lambda: [flags([2, 3]), real([2, 3]), real([2, 3])]),
        ("GELU", gelu(False), litert, lambda: [real([2, 7], 2.0)]),
        ("GELU, approximate", gelu(True), litert, lambda: [real([2, 7], 2.0)]),
    ]
    written = []
    for name, build, run, make in cases:
        data = model(build)
        sets = [make() for _ in range(SETS)]
        outputs = [[np.array(value) for value in values] for values in run(data, sets)]
        hexed = lambda values: [np.ascontiguousarray(value).tobytes().hex() for value in values]
        written.append({
            "name": name,
            "model": data.hex(),
            "sets": [{"inputs": hexed(i), "outputs": hexed(o)} for i, o in zip(sets, outputs)],
        })
    json.dump({"cases": written}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
