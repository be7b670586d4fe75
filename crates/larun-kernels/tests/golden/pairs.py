"""Writes pairs.json: nodes of two operands and more, choices, and what gives or takes shapes, as make.py does for the rest.

    python pairs.py [SEED [ROUNDS]] > pairs.json

Without a seed, what is in the repository; with one, and any number of rounds, vectors to search with.
"""

import json
import sys

import numpy as np

import make
from make import NONE, RELU, RELU6, Tensor, case, integers, random_data, real

make.TYPES["BOOL"] = (make.schema.TensorType.BOOL, np.bool_)
QUANTISED = ("INT8", "INT16")


def pick(options):
    return options[make.RNG.integers(len(options))]


def stretched():
    """Shapes of two operands, one of which may stretch along any axis, and their common one."""
    dims = [int(d) for d in make.RNG.integers(1, 6, make.RNG.integers(1, 5))]
    a = [d if make.RNG.random() < 0.8 else 1 for d in dims]
    b = [d if make.RNG.random() < 0.8 or a[i] == 1 else 1 for i, d in enumerate(dims)]
    b = b[make.RNG.integers(0, len(b)):] if a == dims else b
    return a, b, dims


def of(kind, dims, scale=None, zero=None):
    if kind == "FLOAT32":
        return real(dims)
    if kind == "BOOL":
        return Tensor(kind, dims, data=make.RNG.random(dims) < 0.5)
    if kind in ("INT32", "INT64"):
        return Tensor(kind, dims, data=make.RNG.integers(-9, 10, dims).astype(make.TYPES[kind][1]))
    zero = 0 if kind == "INT16" else int(make.RNG.integers(-128, 128)) if zero is None else zero
    scale = float(make.RNG.uniform(0.005, 0.2)) / (256 if kind == "INT16" else 1) if scale is None else scale
    return Tensor(kind, dims, [scale], [zero], data=random_data(kind, dims))


def like(x, dims):
    return Tensor(x.kind, dims, x.scales, x.zero_points)


def pair(op, table, kinds, options={}, result=None, same=False, divisor=False):
    for kind in kinds:
        a, b, dims = stretched()
        x = of(kind, a)
        y = like(x, b) if same else of(kind, b)
        y.data = of(kind, b).data
        if divisor:
            y.data = np.where(y.data == 0, 3, y.data).astype(y.data.dtype)
        out = Tensor(result, dims) if result else like(x, dims) if same else of(kind, dims)
        case(f"{op} {kind}", op, table, options, [x, y], [out])


def arithmetic():
    pair("SUB", "SubOptions", ("FLOAT32", "INT8", "INT16"), dict(fusedActivationFunction=pick([NONE, RELU, RELU6])))
    pair("DIV", "DivOptions", ("FLOAT32",), dict(fusedActivationFunction=NONE), divisor=True)
    pair("FLOOR_DIV", "FloorDivOptions", ("FLOAT32",), divisor=True)
    pair("FLOOR_MOD", "FloorModOptions", ("FLOAT32",), divisor=True)
    pair("SQUARED_DIFFERENCE", "SquaredDifferenceOptions", ("FLOAT32", "INT8", "INT32"))
    for op in ("MAXIMUM", "MINIMUM"):
        pair(op, "MaximumMinimumOptions", ("FLOAT32", "INT8", "INT32", "INT64"), same=True)
    for kind in ("FLOAT32", "INT8"):
        dims = stretched()[2]
        terms = [of(kind, dims)]
        for _ in range(2):
            terms.append(like(terms[0], dims))
            terms[-1].data = of(kind, dims).data
        case(f"ADD_N {kind}", "ADD_N", "AddNOptions", {}, terms, [of(kind, dims)])


def comparisons():
    kinds = ("FLOAT32", "INT8", "INT32", "INT64")
    for op, table in (("EQUAL", "EqualOptions"), ("NOT_EQUAL", "NotEqualOptions"), ("LESS", "LessOptions"),
                      ("LESS_EQUAL", "LessEqualOptions"), ("GREATER", "GreaterOptions"),
                      ("GREATER_EQUAL", "GreaterEqualOptions")):
        pair(op, table, kinds, result="BOOL")
    pair("EQUAL", "EqualOptions", ("BOOL",), result="BOOL")
    for op, table in (("LOGICAL_AND", "LogicalAndOptions"), ("LOGICAL_OR", "LogicalOrOptions")):
        pair(op, table, ("BOOL",), result="BOOL")
    dims = stretched()[2]
    case("LOGICAL_NOT", "LOGICAL_NOT", "LogicalNotOptions", {}, [of("BOOL", dims)], [Tensor("BOOL", dims)])


def choices():
    for kind in ("FLOAT32", "INT8", "INT16"):
        a, b, dims = stretched()
        x = of(kind, a)
        y = like(x, b)
        y.data = of(kind, b).data
        case(f"SELECT_V2 {kind}", "SELECT_V2", "SelectV2Options", {}, [of("BOOL", dims), x, y], [like(x, dims)])


def shapes():
    dims = stretched()[2]
    case("SHAPE", "SHAPE", "ShapeOptions", dict(outType=2), [of("INT8", dims)], [Tensor("INT32", [len(dims)])])
    case("ZEROS_LIKE", "ZEROS_LIKE", "ZerosLikeOptions", {}, [real(dims)], [real(dims)])
    value = Tensor("INT32", [], data=np.array(-7, np.int32))
    case("FILL", "FILL", "FillOptions", {}, [integers(dims), value], [Tensor("INT32", dims)])
    a, b, dims = stretched()
    case("BROADCAST_ARGS", "BROADCAST_ARGS", None, {}, [integers(a), integers(b)], [Tensor("INT32", [len(dims)])])
    for source, to in (("INT8", "FLOAT32"), ("FLOAT32", "INT8"), ("INT32", "FLOAT32"), ("INT16", "INT32"),
                       ("BOOL", "FLOAT32")):
        x = Tensor(source, dims, data=of(source, dims).data)
        case(f"CAST {source} {to}", "CAST", "CastOptions", {}, [x], [Tensor(to, dims)])


def main():
    seed, rounds = (int(a) for a in (sys.argv[1:] + ["20261126", "1"][len(sys.argv) - 1:]))
    make.RNG = np.random.default_rng(seed)
    for _ in range(rounds):
        arithmetic()
        comparisons()
        choices()
        shapes()
    make.write()


main()
