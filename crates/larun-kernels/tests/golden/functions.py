"""Writes functions.json: nodes of one operand, pools and reductions, as make.py does for the rest.

    python functions.py [SEED [ROUNDS]] > functions.json

Without a seed, what is in the repository; with one, and any number of rounds, vectors to search with.
"""

import json
import sys

import numpy as np

import make
from make import NONE, RELU6, SAME, VALID, Tensor, case, int8, integers, random_data, real, window

make.TYPES["BOOL"] = (make.schema.TensorType.BOOL, np.bool_)
# Scales and zero points that operators fix for their outputs.
UNIT = {"INT8": (1 / 256, -128), "INT16": (1 / 32768, 0)}
SYMMETRIC = {"INT8": (1 / 128, 0), "INT16": (1 / 32768, 0)}


def pick(options):
    return options[make.RNG.integers(len(options))]


def shape(rank=None):
    return [int(d) for d in make.RNG.integers(1, 7, rank or make.RNG.integers(1, 5))]


def scale(low=0.005, high=0.3):
    return float(np.exp(make.RNG.uniform(np.log(low), np.log(high))))


def quantised(kind, dims, by=None, zero=None):
    zero = int(make.RNG.integers(-128, 128)) if zero is None else zero
    zero = 0 if kind == "INT16" else zero
    by = scale() / (256 if kind == "INT16" else 1) if by is None else by
    return Tensor(kind, dims, [by], [zero], data=random_data(kind, dims))


def like(x, dims):
    return Tensor(x.kind, dims, x.scales, x.zero_points)


def positive(dims):
    x = real(dims)
    x.data = np.abs(x.data) + np.float32(1e-3)
    return x


def unary(op, table=None, options={}, kinds=("FLOAT32",), output=None, given=None):
    for kind in kinds:
        dims = shape()
        if kind == "FLOAT32":
            case(f"{op} float", op, table, options, [(given or real)(dims)], [real(dims)])
            continue
        y = Tensor(kind, dims, *[[v] for v in output[kind]]) if output else quantised(kind, dims)
        case(f"{op} {kind}", op, table, options, [quantised(kind, dims)], [y])


def functions():
    wide = ("FLOAT32", "INT8", "INT16")
    unary("ABS", "AbsOptions", kinds=wide)
    unary("NEG", "NegOptions")
    unary("EXP", "ExpOptions")
    for op in ("LOG", "SQRT", "RSQRT"):
        unary(op, given=positive)
    for op, table in (("SQUARE", "SquareOptions"), ("SIN", None), ("COS", "CosOptions"), ("FLOOR", None), ("CEIL", None),
                      ("ROUND", None)):
        unary(op, table)
    unary("ELU", kinds=("FLOAT32", "INT8"))
    unary("HARD_SWISH", "HardSwishOptions", kinds=("FLOAT32", "INT8"))
    unary("LEAKY_RELU", "LeakyReluOptions", dict(alpha=float(np.float32(make.RNG.uniform(0, 1)))), wide)
    unary("RELU", kinds=wide)
    unary("TANH", kinds=wide, output=SYMMETRIC)
    unary("LOGISTIC", kinds=wide, output=UNIT)
    dims = shape()
    x = quantised("INT16", dims, 2.0 ** -int(make.RNG.integers(8, 15)))
    case("TANH INT16 power of two", "TANH", None, {}, [x], [Tensor("INT16", dims, [1 / 32768], [0])])
    case("LOGISTIC INT16 power of two", "LOGISTIC", None, {}, [x], [Tensor("INT16", dims, [1 / 32768], [0])])
    x = quantised("INT8", dims, zero=-128)
    case("RSQRT INT8", "RSQRT", None, {}, [x], [quantised("INT8", dims)])
    x = quantised("INT16", dims)
    x.data = np.abs(x.data // 2)
    case("RSQRT INT16", "RSQRT", None, {}, [x], [quantised("INT16", dims)])

    for kind in wide:
        dims, slopes = shape(4), [1, 1]
        slopes = [pick([1, dims[1]]), pick([1, dims[2]]), dims[3]]
        x, y = (real(dims), real(dims)) if kind == "FLOAT32" else (quantised(kind, dims), quantised(kind, dims))
        alpha = real(slopes) if kind == "FLOAT32" else quantised("INT8", slopes)
        alpha.constant = True
        case(f"PRELU {kind}", "PRELU", None, {}, [x, alpha], [y])

    dims = shape()
    beta = float(np.float32(make.RNG.uniform(0.3, 2)))
    x = quantised("INT16", dims, scale(2e-5, 5e-3))
    case("SOFTMAX INT16", "SOFTMAX", "SoftmaxOptions", dict(beta=beta), [x], [Tensor("INT16", dims, [1 / 32768], [0])])
    unary("LOG_SOFTMAX", "LogSoftmaxOptions", kinds=("FLOAT32", "INT8"), output={"INT8": (1 / 16, 127)})
    unary("L2_NORMALIZATION", "L2NormOptions", kinds=("FLOAT32", "INT8"), output=SYMMETRIC)


def pools():
    n, h, w, c = shape(4)
    padding, act = pick([SAME, VALID]), pick([NONE, RELU6])
    fh, fw = int(make.RNG.integers(1, h + 1)), int(make.RNG.integers(1, w + 1))
    sh, sw = (int(s) for s in make.RNG.integers(1, 4, 2))
    out = [n, window(h, fh, sh, 1, padding), window(w, fw, sw, 1, padding), c]
    options = dict(padding=padding, strideH=sh, strideW=sw, filterHeight=fh, filterWidth=fw, fusedActivationFunction=act)
    for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        x = quantised("INT16", [n, h, w, c])
        case(f"{op} INT16", op, "Pool2DOptions", options, [x], [like(x, out)])
    case("L2_POOL_2D", "L2_POOL_2D", "Pool2DOptions", options, [real([n, h, w, c])], [real(out)])


def reductions():
    dims = shape()
    keep = bool(make.RNG.integers(2))
    axes = [int(a) for a in make.RNG.permutation(len(dims))[: make.RNG.integers(1, len(dims) + 1)]]
    kept = [1 if i in axes else d for i, d in enumerate(dims) if keep or i not in axes]
    axes = [pick([a, a - len(dims)]) for a in axes]
    options, listed = dict(keepDims=keep), integers(axes)
    for op in ("SUM", "MEAN"):
        for kind in ("INT8", "INT16"):
            case(f"{op} {kind}", op, "ReducerOptions", options, [quantised(kind, dims), listed], [quantised(kind, kept)])
    for op in ("SUM", "REDUCE_MAX", "REDUCE_MIN"):
        case(f"{op} float", op, "ReducerOptions", options, [real(dims), listed], [real(kept)])
    for op in ("REDUCE_MAX", "REDUCE_MIN"):
        x = quantised("INT8", dims)
        case(f"{op} INT8", op, "ReducerOptions", options, [x, listed], [like(x, kept)])
    x = Tensor("BOOL", dims, data=make.RNG.random(dims) < 0.8)
    case("REDUCE_ALL", "REDUCE_ALL", "ReducerOptions", options, [x, listed], [Tensor("BOOL", kept)])

    axis = int(make.RNG.integers(len(dims)))
    rest = [d for i, d in enumerate(dims) if i != axis]
    for op, table in (("ARG_MAX", "ArgMaxOptions"), ("ARG_MIN", "ArgMinOptions")):
        for x in (real(dims), quantised("INT8", dims)):
            case(f"{op} {x.kind}", op, table, dict(outputType=2), [x, integers([axis])], [Tensor("INT32", rest)])
    options = dict(exclusive=bool(make.RNG.integers(2)), reverse=bool(make.RNG.integers(2)))
    case("CUMSUM float", "CUMSUM", "CumsumOptions", options, [real(dims), integers([axis])], [real(dims)])
    case("CUMSUM INT8", "CUMSUM", "CumsumOptions", options, [int8(dims), integers([axis - len(dims)])], [int8(dims, 0.5)])


def main():
    seed, rounds = (int(a) for a in (sys.argv[1:] + ["20261125", "1"][len(sys.argv) - 1:]))
    make.RNG = np.random.default_rng(seed)
    for _ in range(rounds):
        functions()
        pools()
        reductions()
    json.dump({"cases": make.CASES}, sys.stdout, separators=(",", ":"))
    sys.stdout.write("\n")


main()
