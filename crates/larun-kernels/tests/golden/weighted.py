"""Writes weighted.json: nodes with weights of other types than INT8 throughout, and what TensorFlow Lite Micro computes.

    python weighted.py > weighted.json

As make.py.
"""

import numpy as np

from make import N1, NONE, RELU, RELU6, RNG, SAME, VALID, Tensor, case, int8, integers, random_data, real, spread, weights
from make import window, write


def int16(shape, scale=None):
    scale = RNG.uniform(0.0001, 0.002) if scale is None else scale
    return Tensor("INT16", shape, [scale], [0], data=random_data("INT16", shape))


def int4(shape, axis=None):
    count = 1 if axis is None else shape[axis]
    values = RNG.integers(-8, 8, int(np.prod(shape)) + 1)
    values = values[: len(values) // 2 * 2] & 15
    data = (values[0::2] | values[1::2] << 4).astype(np.uint8)
    scales = RNG.uniform(0.02, 0.2, count)
    return Tensor("INT4", shape, scales, [0] * count, axis or 0, data[: (int(np.prod(shape)) + 1) // 2], constant=True)


def bias(kind, count):
    dtype = {"INT32": np.int32, "INT64": np.int64}[kind]
    return Tensor(kind, [count], [1.0], [0], data=RNG.integers(-9000, 9000, count).astype(dtype), constant=True)


def layer(name, kind, shape, filter_shape, axis, bias_kind, act=NONE, stride=(1, 1), dilation=(1, 1), padding=SAME,
          depthwise=False, groups=1):
    n, h, w, _ = shape
    _, kh, kw, depth = filter_shape
    channels = filter_shape[3 if depthwise else 0]
    x = int16(shape) if kind == "INT16" else int8(shape)
    f = int4(filter_shape, axis) if kind == "INT4" else weights(filter_shape, axis)
    inputs = [x, f, bias(bias_kind, channels)] if bias_kind else [x, f]
    oh, ow = window(h, kh, stride[0], dilation[0], padding), window(w, kw, stride[1], dilation[1], padding)
    taps = kh * kw * (1 if depthwise else depth)
    if kind == "INT16":
        y = int16([n, oh, ow, channels], spread(x, f, taps))
    else:
        y = int8([n, oh, ow, channels], spread(x, f, taps) / (16 if kind == "INT4" else 1))
    options = dict(padding=padding, strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
                   dilationWFactor=dilation[1], fusedActivationFunction=act)
    op, table = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if depthwise else ("CONV_2D", "Conv2DOptions")
    if depthwise:
        options["depthMultiplier"] = channels // shape[3]
    case(name, op, table, options, inputs, [y])


def dense(name, kind, n, i, o, axis, bias_kind, act):
    x = int16([n, i]) if kind == "INT16" else int8([n, i])
    w = int4([o, i], axis) if kind == "INT4" else weights([o, i], axis)
    b = bias(bias_kind, o)
    if axis is None:
        b.scales = [float(np.float32(x.scales[0]) * np.float32(w.scales[0]))]
    y = int16([n, o], spread(x, w, i)) if kind == "INT16" else int8([n, o], spread(x, w, i) / 16)
    case(name, "FULLY_CONNECTED", "FullyConnectedOptions", dict(fusedActivationFunction=act), [x, w, b], [y])


def transposed(name, kind, shape, filter_shape, stride, padding, act, bias_kind):
    n, h, w, _ = shape
    o, kh, kw, c = filter_shape
    oh, ow = (h * stride[0], w * stride[1]) if padding == SAME else ((h - 1) * stride[0] + kh, (w - 1) * stride[1] + kw)
    if kind == "FLOAT32":
        x, f, b, y = real(shape), real(filter_shape), real([o]), real([n, oh, ow, o])
        f.constant = b.constant = True
    else:
        x = int16(shape) if kind == "INT16" else int8(shape)
        f, b = weights(filter_shape, 0), bias(bias_kind, o)
        y = (int16 if kind == "INT16" else int8)([n, oh, ow, o], spread(x, f, kh * kw * c))
    options = dict(padding=padding, strideH=stride[0], strideW=stride[1], fusedActivationFunction=act)
    case(name, "TRANSPOSE_CONV", "TransposeConvOptions", options, [integers([n, oh, ow, o]), f, x, b], [y])


def matmul(name, make, a, b, out, adj_x, adj_y):
    x, y = make(a), make(b)
    z = real(out)
    if x.scales:
        depth = a[-2] if adj_x else a[-1]
        z = make(out, spread(x, y, depth) * (256 if make is int16 else 1))
    case(name, "BATCH_MATMUL", "BatchMatMulOptions", dict(adjX=adj_x, adjY=adj_y), [x, y], [z])


def main():
    layer("conv int16", "INT16", [1, 5, 6, 3], [4, 3, 3, 3], 0, "INT64", RELU)
    layer("conv int16, 32-bit bias", "INT16", [2, 6, 5, 2], [3, 3, 2, 2], None, "INT32", NONE, (2, 3))
    layer("conv int16 groups, no bias", "INT16", [1, 4, 4, 6], [4, 2, 3, 3], 0, None, N1, (1, 1), (1, 1), VALID)
    layer("conv int4", "INT4", [1, 5, 6, 3], [5, 3, 3, 3], 0, "INT32", RELU6, (1, 1), (2, 1))
    layer("conv int4 per tensor", "INT4", [1, 4, 4, 6], [4, 2, 3, 3], None, "INT32")
    layer("depthwise int16", "INT16", [1, 4, 5, 3], [1, 2, 3, 6], 3, "INT64", RELU, (2, 1), depthwise=True)
    layer("depthwise int4", "INT4", [1, 5, 5, 5], [1, 3, 3, 5], 3, "INT32", NONE, depthwise=True)
    dense("dense int16", "INT16", 2, 13, 7, None, "INT64", RELU)
    dense("dense int16 per channel, 32-bit bias", "INT16", 1, 40, 9, 0, "INT32", NONE)
    dense("dense int4", "INT4", 2, 15, 5, None, "INT32", NONE)
    transposed("transposed int8", "INT8", [1, 3, 4, 3], [4, 3, 3, 3], (2, 2), SAME, RELU, "INT32")
    transposed("transposed int16", "INT16", [2, 3, 2, 2], [3, 2, 4, 2], (1, 3), VALID, NONE, "INT64")
    transposed("transposed float", "FLOAT32", [1, 3, 2, 4], [5, 3, 2, 4], (2, 1), SAME, RELU6, None)
    matmul("matmul int8", int8, [2, 1, 3, 5], [3, 5, 6], [2, 3, 3, 6], False, False)
    matmul("matmul int16", int16, [2, 5, 3], [2, 4, 5], [2, 3, 4], True, True)
    matmul("matmul float", real, [3, 7], [2, 5, 7], [2, 3, 5], False, True)
    write()


main()
