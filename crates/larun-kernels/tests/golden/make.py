"""Writes vectors.json: single nodes with random operands, and what TensorFlow Lite Micro computes of them.

    pip install --pre tflite-micro
    python make.py > vectors.json

The seed is fixed; the outputs are those of tflite-micro 0.dev20261023182759. A case holds the operator's name, its
options by field id of the format, and its tensors with their bytes in hexadecimal. Biases and filters are constants.
"""

import json
import sys

import flatbuffers
import numpy as np
from tflite_micro.python.tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

RNG = np.random.default_rng(20261123)
SAME, VALID = 0, 1
NONE, RELU, N1, RELU6 = 0, 1, 2, 3
TYPES = {
    "FLOAT32": (schema.TensorType.FLOAT32, np.float32),
    "INT8": (schema.TensorType.INT8, np.int8),
    "UINT8": (schema.TensorType.UINT8, np.uint8),
    "INT16": (schema.TensorType.INT16, np.int16),
    "INT32": (schema.TensorType.INT32, np.int32),
    "INT64": (schema.TensorType.INT64, np.int64),
    # Bytes of two elements.
    "INT4": (schema.TensorType.INT4, np.uint8),
}


class Tensor:
    def __init__(self, kind, shape, scales=(), zero_points=(), axis=0, data=None, constant=False):
        self.kind, self.shape, self.axis = kind, list(shape), axis
        self.scales = [float(np.float32(s)) for s in scales]
        self.zero_points = [int(z) for z in zero_points]
        self.data, self.constant = data, constant

    def as_json(self):
        return {
            "type": self.kind,
            "shape": self.shape,
            "scales": self.scales,
            "zero_points": self.zero_points,
            "axis": self.axis,
            "constant": self.constant,
            "data": np.ascontiguousarray(self.data).tobytes().hex(),
        }


def random_data(kind, shape):
    if kind == "FLOAT32":
        return RNG.normal(0, 2, shape).astype(np.float32)
    info = np.iinfo(TYPES[kind][1])
    data = RNG.integers(info.min, info.max + 1, shape)
    # Every value now and then, the extremes often.
    extreme = RNG.random(shape)
    data = np.where(extreme < 0.08, info.min, np.where(extreme > 0.92, info.max, data))
    return data.astype(TYPES[kind][1])


def int8(shape, scale=None, zero_point=None):
    scale = RNG.uniform(0.01, 0.2) if scale is None else scale
    zero_point = int(RNG.integers(-128, 128)) if zero_point is None else zero_point
    return Tensor("INT8", shape, [scale], [zero_point], data=random_data("INT8", shape))


def real(shape):
    return Tensor("FLOAT32", shape, data=random_data("FLOAT32", shape))


def integers(values):
    return Tensor("INT32", [len(values)], data=np.array(values, np.int32), constant=True)


def weights(shape, axis=None):
    count = 1 if axis is None else shape[axis]
    data = RNG.integers(-127, 128, shape).astype(np.int8)
    scales = RNG.uniform(0.002, 0.02, count)
    return Tensor("INT8", shape, scales, [0] * count, axis or 0, data, constant=True)


def bias(x, w, count):
    scales = [np.float32(x.scales[0]) * np.float32(s) for s in w.scales]
    data = RNG.integers(-2000, 2000, count).astype(np.int32)
    return Tensor("INT32", [count], scales, [0] * len(scales), 0, data, constant=True)


def spread(x, w, taps):
    """An output scale that random inputs and weights fill."""
    return float(x.scales[0] * max(w.scales) * np.sqrt(taps) * 127 * 127 * 3 / 3 / 90)


def model(op, table, options, inputs, outputs):
    m = schema.ModelT()
    m.version = 3
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, op)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    m.operatorCodes = [code]
    m.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = []
    for tensor in [t for t in inputs if t] + outputs:
        t = schema.TensorT()
        t.shape, t.type, t.buffer = tensor.shape, TYPES[tensor.kind][0], 0
        if tensor.scales:
            q = schema.QuantizationParametersT()
            q.scale, q.zeroPoint, q.quantizedDimension = tensor.scales, tensor.zero_points, tensor.axis
            t.quantization = q
        if tensor.constant:
            buffer = schema.BufferT()
            buffer.data = list(np.ascontiguousarray(tensor.data).tobytes())
            t.buffer = len(m.buffers)
            m.buffers.append(buffer)
        graph.tensors.append(t)
    present = [t for t in inputs if t]
    node = schema.OperatorT()
    node.opcodeIndex = 0
    node.inputs = [present.index(t) if t else -1 for t in inputs]
    node.outputs = list(range(len(present), len(present) + len(outputs)))
    if table:
        node.builtinOptionsType = getattr(schema.BuiltinOptions, table)
        node.builtinOptions = getattr(schema, table + "T")()
        for name, value in options.items():
            assert hasattr(node.builtinOptions, name), name
            setattr(node.builtinOptions, name, value)
    graph.operators = [node]
    graph.inputs = [i for i, t in enumerate(present) if not t.constant]
    graph.outputs = node.outputs
    m.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(m.Pack(builder), b"TFL3")
    return bytes(builder.Output())


CASES = []


def case(name, op, table, options, inputs, outputs):
    data = model(op, table, options, inputs, outputs)
    interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
    for i, tensor in enumerate(t for t in inputs if t and not t.constant):
        interpreter.set_input(tensor.data, i)
    interpreter.invoke()
    for i, tensor in enumerate(outputs):
        tensor.data = interpreter.get_output(i)
        tensor.shape = list(tensor.data.shape)
    # Field ids run in the order of the table, of which RESIZE_BILINEAR's lacks two of old.
    fields = list(vars(getattr(schema, table + "T")())) if table else []
    fields = [None] * 2 * (table == "ResizeBilinearOptions") + fields
    CASES.append({
        "name": name,
        "op": op,
        "options": {str(fields.index(key)): value for key, value in options.items()},
        "inputs": [t and t.as_json() for t in inputs],
        "outputs": [t.as_json() for t in outputs],
    })


def window(size, taps, stride, dilation, padding):
    extent = (taps - 1) * dilation + 1
    return -(-size // stride) if padding == SAME else -(-(size - extent + 1) // stride)


def conv(name, shape, filter_shape, stride=(1, 1), dilation=(1, 1), padding=SAME, act=NONE,
         floating=False, axis=0, with_bias=True, depthwise=False):
    n, h, w, c = shape
    _, kh, kw, _ = filter_shape
    channels = filter_shape[3 if depthwise else 0]
    oh, ow = window(h, kh, stride[0], dilation[0], padding), window(w, kw, stride[1], dilation[1], padding)
    if floating:
        x, f, b = real(shape), real(filter_shape), real([channels])
        f.constant = b.constant = True
        y = real([n, oh, ow, channels])
    else:
        x, f = int8(shape), weights(filter_shape, axis)
        b = bias(x, f, channels)
        y = int8([n, oh, ow, channels], spread(x, f, kh * kw * (1 if depthwise else filter_shape[3])))
    op = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    options = dict(padding=padding, strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
                   dilationWFactor=dilation[1], fusedActivationFunction=act)
    if depthwise:
        options["depthMultiplier"] = channels // c
    table = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    case(name, op, table, options, [x, f, b] if with_bias else [x, f, None] if not depthwise else [x, f], [y])


def shaped(values, shape):
    tensor = integers(values)
    tensor.shape, tensor.data = shape, tensor.data.reshape(shape)
    return tensor


def moved():
    """Operators that move elements."""
    same = lambda shape: int8(shape, 0.1, 4)
    case("transpose", "TRANSPOSE", "TransposeOptions", {}, [same([2, 3, 4, 2]), integers([3, 1, 0, 2])],
         [same([2, 3, 2, 4])])
    case("reverse", "REVERSE_V2", None, {}, [same([2, 3, 4]), integers([1, 2])], [same([2, 3, 4])])
    case("slice", "SLICE", "SliceOptions", {}, [same([4, 5]), integers([1, 2]), integers([2, -1])], [same([2, 3])])
    case("strided slice", "STRIDED_SLICE", "StridedSliceOptions", dict(beginMask=1, endMask=2, shrinkAxisMask=4),
         [same([3, 5, 4]), integers([7, -1, -2]), integers([-1, 0, 0]), integers([2, -2, 1])], [same([1, 3])])
    case("split", "SPLIT", "SplitOptions", dict(numSplits=3), [shaped([-2], []), same([2, 6, 3])],
         [same([2, 2, 3]), same([2, 2, 3]), same([2, 2, 3])])
    case("split by size", "SPLIT_V", "SplitVOptions", dict(numSplits=2),
         [same([2, 5]), integers([1, 4]), shaped([1], [])], [same([2, 1]), same([2, 4])])
    case("pack", "PACK", "PackOptions", dict(valuesCount=2, axis=-1), [same([2, 3]), same([2, 3])], [same([2, 3, 2])])
    case("unpack", "UNPACK", "UnpackOptions", dict(num=3, axis=1), [same([2, 3, 2])],
         [same([2, 2]), same([2, 2]), same([2, 2])])
    value = same([])
    value.constant = True
    case("pad with a value", "PADV2", "PadV2Options", {}, [same([2, 3]), shaped([0, 1, 2, 0], [2, 2]), value],
         [same([3, 5])])
    for mode in (0, 1):
        case(f"mirror pad {mode}", "MIRROR_PAD", "MirrorPadOptions", dict(mode=mode),
             [same([3, 4]), shaped([1, 2, 3, 1], [2, 2])], [same([6, 8])])
    indices = Tensor("INT32", [2, 3], data=np.array([[0, 2, 1], [3, 3, 0]], np.int32))
    case("gather", "GATHER", "GatherOptions", dict(axis=-2, batchDims=1), [same([2, 4, 3]), indices], [same([2, 3, 3])])
    indices = Tensor("INT32", [3, 2], data=np.array([[0, 2], [1, 0], [1, 3]], np.int32))
    case("gather by position", "GATHER_ND", None, {}, [same([2, 4, 3]), indices], [same([3, 3])])
    ids = Tensor("INT32", [3], data=np.array([1, 0, 3], np.int32))
    case("embedding", "EMBEDDING_LOOKUP", None, {}, [ids, weights([4, 5])], [real([3, 5])])
    at = Tensor("INT32", [2], data=np.array([-3, 9], np.int32))
    case("update", "DYNAMIC_UPDATE_SLICE", None, {}, [same([3, 4]), same([2, 2]), at], [same([3, 4])])
    case("space to depth", "SPACE_TO_DEPTH", "SpaceToDepthOptions", dict(blockSize=2), [same([1, 4, 2, 3])],
         [same([1, 2, 1, 12])])
    case("depth to space", "DEPTH_TO_SPACE", "DepthToSpaceOptions", dict(blockSize=2), [same([1, 2, 1, 12])],
         [same([1, 4, 2, 3])])
    case("batch to space", "BATCH_TO_SPACE_ND", "BatchToSpaceNDOptions", {},
         [same([6, 2, 1, 2]), integers([2, 3]), shaped([1, 0, 0, 1], [2, 2])], [same([1, 3, 2, 2])])
    case("space to batch", "SPACE_TO_BATCH_ND", "SpaceToBatchNDOptions", {},
         [same([1, 4, 3]), integers([2]), shaped([0, 0], [1, 2])], [same([2, 2, 3])])
    case("broadcast", "BROADCAST_TO", None, {}, [same([3, 1]), integers([2, 3, 4])], [same([2, 3, 4])])
    for align, half in ((False, False), (True, False), (False, True)):
        modes = dict(alignCorners=align, halfPixelCenters=half)
        case(f"bilinear int8 {align} {half}", "RESIZE_BILINEAR", "ResizeBilinearOptions", modes,
             [same([1, 3, 4, 2]), integers([5, 3])], [same([1, 5, 3, 2])])
        case(f"bilinear float {align} {half}", "RESIZE_BILINEAR", "ResizeBilinearOptions", modes,
             [real([1, 3, 4, 2]), integers([5, 3])], [real([1, 5, 3, 2])])
        case(f"nearest {align} {half}", "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", modes,
             [same([1, 3, 4, 2]), integers([5, 3])], [same([1, 5, 3, 2])])


def main():
    for floating in (False, True):
        kind = "float" if floating else "int8"
        conv(f"conv {kind}", [1, 5, 6, 3], [4, 3, 3, 3], floating=floating)
        conv(f"conv {kind} stride", [2, 6, 5, 2], [3, 3, 2, 2], (2, 3), act=RELU, floating=floating)
        conv(f"conv {kind} dilation", [1, 7, 6, 2], [3, 2, 3, 2], (1, 1), (2, 2), VALID, RELU6, floating)
        conv(f"conv {kind} groups", [1, 4, 4, 6], [4, 2, 3, 3], act=N1, floating=floating)
        conv(f"conv {kind} pointwise", [1, 3, 3, 8], [5, 1, 1, 8], floating=floating)
        conv(f"depthwise {kind}", [1, 5, 5, 5], [1, 3, 3, 5], floating=floating, axis=3, depthwise=True)
        conv(f"depthwise {kind} multiplier", [1, 4, 5, 2], [1, 2, 3, 6], (2, 1), act=RELU, floating=floating,
             axis=3, depthwise=True)
        conv(f"depthwise {kind} wide", [1, 6, 1, 29], [1, 3, 1, 29], (1, 1), (2, 1), act=RELU6,
             floating=floating, axis=3, depthwise=True)
    conv("conv int8 per tensor, no bias", [1, 4, 4, 3], [3, 3, 3, 3], axis=None, with_bias=False)
    conv("depthwise int8 per tensor, no bias", [1, 4, 4, 3], [1, 3, 3, 3], axis=None, with_bias=False, depthwise=True)

    for name, axis, n, i, o, act in [("per tensor", None, 2, 13, 7, NONE), ("per channel", 0, 1, 40, 9, RELU)]:
        x, w = int8([n, i]), weights([o, i], axis)
        case(f"dense int8 {name}", "FULLY_CONNECTED", "FullyConnectedOptions", dict(fusedActivationFunction=act),
             [x, w, bias(x, w, o)], [int8([n, o], spread(x, w, i))])
    x, w, b = real([2, 3, 5]), real([6, 5]), real([6])
    w.constant = b.constant = True
    case("dense float, dimensions kept", "FULLY_CONNECTED", "FullyConnectedOptions",
         dict(fusedActivationFunction=RELU, keepNumDims=True), [x, w, b], [real([2, 3, 6])])

    for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        for padding, size, stride, act in [(SAME, (3, 2), (2, 1), NONE), (VALID, (2, 3), (1, 2), RELU6)]:
            n, h, w, c = 2, 6, 5, 5
            shape = [n, window(h, size[0], stride[0], 1, padding), window(w, size[1], stride[1], 1, padding), c]
            options = dict(padding=padding, strideH=stride[0], strideW=stride[1], filterHeight=size[0],
                           filterWidth=size[1], fusedActivationFunction=act)
            x = int8([n, h, w, c])
            case(f"{op} int8 {padding}", op, "Pool2DOptions", options, [x],
                 [int8(shape, x.scales[0], x.zero_points[0])])
            case(f"{op} float {padding}", op, "Pool2DOptions", options, [real([n, h, w, c])], [real(shape)])

    for axes, shape, keep in [([1, 2], [1, 7, 5, 19], False), ([-1], [3, 4, 5], True), ([0, 2], [3, 4, 5, 2], False),
                              ([1, 3], [2, 3, 4, 5], False), ([0, 1, 2, 3], [2, 3, 2, 3], True)]:
        resolved = [a % len(shape) for a in axes]
        out = [1 if i in resolved else d for i, d in enumerate(shape) if keep or i not in resolved]
        x = int8(shape, 0.05)
        for y in (int8(out, 0.02), int8(out, 0.05, x.zero_points[0])):
            case(f"mean int8 {axes} {shape}", "MEAN", "ReducerOptions", dict(keepDims=keep), [x, integers(axes)], [y])
        case(f"mean float {axes} {shape}", "MEAN", "ReducerOptions", dict(keepDims=keep), [real(shape), integers(axes)],
             [real(out)])

    for op, table in (("ADD", "AddOptions"), ("MUL", "MulOptions")):
        for a, b, out, act in [([2, 3, 4], [2, 3, 4], [2, 3, 4], NONE), ([2, 1, 4, 3], [5, 1, 3], [2, 5, 4, 3], RELU),
                               ([3, 7], [1], [3, 7], RELU6), ([1], [2, 9], [2, 9], N1)]:
            x, y = int8(a, 0.06), int8(b, 0.04)
            case(f"{op} int8 {a} {b}", op, table, dict(fusedActivationFunction=act), [x, y], [int8(out, 0.08)])
            case(f"{op} float {a} {b}", op, table, dict(fusedActivationFunction=act), [real(a), real(b)], [real(out)])

    for scale, shape, beta in [(0.1, [3, 11], 1.0), (0.02, [2, 2, 6], 0.7), (1.5, [1, 300], 1.0)]:
        y = int8(shape, 1 / 256, -128)
        case(f"softmax int8 {scale}", "SOFTMAX", "SoftmaxOptions", dict(beta=beta), [int8(shape, scale)], [y])
    y = Tensor("INT16", [3, 11], [1 / 65536], [-32768])
    case("softmax int8 int16", "SOFTMAX", "SoftmaxOptions", dict(beta=1.0), [int8([3, 11], 0.1)], [y])
    case("softmax float", "SOFTMAX", "SoftmaxOptions", dict(beta=1.3), [real([3, 9])], [real([3, 9])])

    for scale, size in [(0.03, 60), (0.15, 300), (2.0, 50)]:
        case(f"logistic int8 {scale}", "LOGISTIC", None, {}, [int8([size], scale)], [int8([size], 1 / 256, -128)])
    x = real([40])
    x.data *= 6
    case("logistic float", "LOGISTIC", None, {}, [x], [real([40])])

    case("relu int8", "RELU", None, {}, [int8([50], 0.05)], [int8([50], 0.03)])
    x = int8([50], 0.05, -60)
    case("relu6 int8", "RELU6", None, {}, [x], [int8([50], 0.05, -60)])
    for op in ("RELU", "RELU6"):
        x = real([20])
        x.data *= 4
        case(f"{op} float", op, None, {}, [x], [real([20])])

    for a, b in [("INT8", "INT8"), ("INT8", "INT16"), ("INT16", "INT8"), ("INT16", "INT16"), ("INT32", "INT8"),
                 ("INT8", "UINT8"), ("UINT8", "INT8"), ("INT16", "INT32"), ("INT32", "INT16")]:
        zero = {"INT8": (-7, 31), "UINT8": (121, 140), "INT16": (0, 0), "INT32": (0, 0)}
        x = Tensor(a, [30], [0.013], [zero[a][0]], data=random_data(a, [30]))
        if a == "INT32":
            x.data = (x.data >> 18).astype(np.int32)
        case(f"quantize {a} {b}", "QUANTIZE", None, {}, [x], [Tensor(b, [30], [0.019], [zero[b][1]])])
    for b in ("INT8", "INT16"):
        x = real([40])
        x.data[:8] = np.array([0.5, 1.5, -0.5, -1.5, 2.5, -2.5, 1e6, -1e6]) * np.float32(0.25)
        case(f"quantize float {b}", "QUANTIZE", None, {}, [x], [Tensor(b, [40], [0.25], [0 if b == "INT16" else 5])])
    for a in ("INT8", "UINT8", "INT16"):
        x = Tensor(a, [30], [0.0371], [0 if a == "INT16" else 9], data=random_data(a, [30]))
        case(f"dequantize {a}", "DEQUANTIZE", None, {}, [x], [real([30])])

    x = int8([2, 1, 6], 0.1, 4)
    same = lambda shape: int8(shape, 0.1, 4)
    case("reshape", "RESHAPE", "ReshapeOptions", {}, [x, integers([3, -1])], [same([3, 4])])
    case("squeeze", "SQUEEZE", "SqueezeOptions", dict(squeezeDims=[-2]), [x], [same([2, 6])])
    case("expand dims", "EXPAND_DIMS", "ExpandDimsOptions", {}, [x, integers([-1])], [same([2, 1, 6, 1])])
    a, b, c = same([2, 1, 3]), same([2, 4, 3]), same([2, 2, 3])
    case("concatenation", "CONCATENATION", "ConcatenationOptions", dict(axis=-2), [a, b, c], [same([2, 7, 3])])
    case("concatenation float", "CONCATENATION", "ConcatenationOptions", dict(axis=0), [real([1, 2]), real([2, 2])],
         [real([3, 2])])
    pads = integers([0, 1, 2, 0, 1, 1])
    pads.shape = [3, 2]
    case("pad int8", "PAD", "PadOptions", {}, [same([1, 2, 3]), pads], [same([2, 4, 5])])
    case("pad float", "PAD", "PadOptions", {}, [real([1, 2, 3]), pads], [real([2, 4, 5])])

    moved()

    write()


def write():
    json.dump({"cases": CASES}, sys.stdout, separators=(",", ":"))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
