"""Quantises the corpus's float models by every scheme and runs what comes out in the real runtimes.

usage: quantized_runtimes.py LARUN CORPUS [--models A,B] [--schemes X,Y] [--io int,float] [--cases N] [--verbose]

LARUN is the built command, CORPUS the folder with `quant/` and `ops/`. Every file must load and run in LiteRT with its
reference kernels, or its others where it has no reference (binary weights excepted: they need an operator of TensorFlow Lite
Micro), and in TensorFlow Lite Micro where
that has the scheme; there `larun run` must give the same bytes. LiteRT computes fully connected layers and LSTMs otherwise
than Micro: how far it is off is printed, and for schemes on real activations, where it is the reference, bounded. With
--cases, the float models of N conversion cases of `ops/` are put through the same. Exit status 1 when something fails.

Printed are what fails and a line of totals for each scheme; with --verbose a line for each file.

Needs numpy, tflite-micro and ai-edge-litert.
"""

import argparse
import json
import multiprocessing
import os
import struct
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np

SCHEMES = ["int8", "int16x8", "int4", "binary", "dynamic", "weight-only", "weight-only-int4", "fp16"]
# What TensorFlow Lite Micro computes. It runs weight-only files and takes the first scale for every channel.
IN_MICRO = {"int8", "int16x8", "int4", "binary"}
IN_LITERT = set(SCHEMES) - {"binary"}
# Decibels between LARUN and LiteRT on real activations: rounding of float32 alone.
REAL_AGREEMENT = 80.0


def litert(model):
    """Runs a file in LiteRT: a function from inputs to outputs."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    def load(kernels):
        interpreter = Interpreter(model, experimental_op_resolver_type=kernels)
        interpreter.allocate_tensors()
        return interpreter

    try:
        interpreter = load(OpResolverType.BUILTIN_REF)
    except (RuntimeError, ValueError):
        # The reference set lacks a few operators, ELU among them.
        interpreter = load(OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    takes, gives = interpreter.get_input_details(), interpreter.get_output_details()

    def run(sets):
        interpreter.reset_all_variables()
        for info, values in zip(takes, sets):
            interpreter.set_tensor(info["index"], values.reshape(info["shape"]))
        interpreter.invoke()
        return [interpreter.get_tensor(info["index"]).copy() for info in gives]

    return run


def micro(model, outputs):
    """Runs a file in TensorFlow Lite Micro: a function from inputs to outputs."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(model, arena_size=16 << 20)

    def run(sets):
        interpreter.reset()
        for i, values in enumerate(sets):
            interpreter.set_input(values.reshape(interpreter.get_input_details(i)["shape"]), i)
        interpreter.invoke()
        return [interpreter.get_output(i).copy() for i in range(outputs)]

    return run


def load_runtimes():
    """Imports both, once for all the processes that are forked from this one."""
    import ai_edge_litert.interpreter  # noqa: F401
    from tflite_micro.python.tflite_micro import runtime  # noqa: F401


def sqnr(expected, found):
    """Decibels; infinite where nothing differs."""
    expected, found = expected.astype(np.float64), found.astype(np.float64)
    noise = np.square(expected - found).sum()
    return np.inf if noise == 0 else 10 * np.log10(np.square(expected).sum() / noise)


class Ports:
    """Inputs and outputs of a file: names, shapes, types and quantisation, read by LiteRT's flatbuffer reader."""

    def __init__(self, model):
        from ai_edge_litert import schema_py_generated as schema

        data = Path(model).read_bytes()
        graph = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0)).subgraphs[0]
        self.inputs = [self.port(graph.tensors[i]) for i in graph.inputs]
        self.outputs = [self.port(graph.tensors[i]) for i in graph.outputs]

    @staticmethod
    def port(tensor):
        types = {0: np.float32, 2: np.int32, 4: np.int64, 6: np.bool_, 7: np.int16, 9: np.int8}
        quantization = tensor.quantization
        scaled = quantization is not None and quantization.scale is not None and len(quantization.scale)
        scale, zero = (quantization.scale[0], quantization.zeroPoint[0]) if scaled else (None, 0)
        return types.get(tensor.type), list(tensor.shape), scale, zero, tensor.name.decode()


def quantized(values, port):
    kind, shape, scale, zero, _ = port
    values = values.reshape(len(values), *shape)
    if scale is None or values.dtype != np.float32:
        return values.astype(kind)
    steps = values / np.float32(scale)
    rounded = np.sign(steps) * np.floor(np.abs(steps) + np.float32(0.5)) + zero
    limits = np.iinfo(kind)
    return np.clip(rounded, limits.min, limits.max).astype(kind)


def real(values, port):
    scale, zero = port[2], port[3]
    return values if scale is None else (values.astype(np.float64) - zero) * scale


def command(larun, *args):
    done = subprocess.run([str(larun), *map(str, args)], capture_output=True, text=True)
    return None if done.returncode == 0 else (done.stderr or done.stdout).strip()[-300:]


class Case:
    """A float model, samples to calibrate with, samples to run."""

    def __init__(self, name, model, calibration, test):
        self.name, self.model, self.calibration, self.test = name, model, calibration, test


def float_models(corpus, names):
    for folder in sorted((corpus / "quant").iterdir()):
        model = folder / "tf_fp32/model.tflite"
        if not model.exists() or (names and folder.name not in names):
            continue

        def samples(file):
            values = np.load(folder / file)
            return (values.astype(np.float32) - 128) / 128 if values.dtype == np.uint8 else values

        yield Case(folder.name, model, [samples("calib.npy")], [samples("test.npy")])


def conversion_cases(corpus, count, folder):
    """Float models of what TensorFlow's converter made of small networks, their inputs as samples."""
    types = {0: np.float32, 2: np.int32, 3: np.uint8, 4: np.int64, 6: np.bool_, 7: np.int16, 9: np.int8}
    left = count
    for archive in sorted((corpus / "ops").glob("CONVERTER_*.tfoc")):
        data = archive.read_bytes()
        (cases,) = struct.unpack_from("<I", data, 8)
        at = 16
        for _ in range(cases):
            at += -at % 16
            meta_len, model_len, sets, inputs, outputs, alt, _, _ = struct.unpack_from("<8I", data, at)
            meta = json.loads(data[at + 32 : at + 32 + meta_len])
            at += 32 + meta_len
            at += -at % 16
            model, at = data[at : at + model_len], at + model_len
            values = []
            for _ in range(sets):
                tensors = []
                for _ in range(inputs + outputs * (2 if alt else 1)):
                    kind, rank, _ = struct.unpack_from("<BBH", data, at)
                    dims = struct.unpack_from(f"<{rank}I", data, at + 4)
                    (size,) = struct.unpack_from("<I", data, at + 4 + 4 * rank)
                    at += 8 + 4 * rank
                    tensors.append(np.frombuffer(data[at : at + size], types[kind]).reshape(dims))
                    at += size
                values.append(tensors[:inputs])
            if meta["dtype"] != "fp32" or left == 0:
                continue
            left -= 1
            path = Path(folder) / f"{meta['name']}.tflite"
            path.write_bytes(model)
            # Full range and small values; what saturates says nothing about ranges.
            chosen = [np.stack([values[s][i] for s in range(sets) if s != 1]) for i in range(inputs)]
            if all(array.dtype == np.float32 for array in chosen):
                yield Case(meta["name"], path, chosen, chosen)


def float_outputs(larun, case, folder):
    """What the float model gives in LARUN, or why it does not run."""
    folder, ports = Path(folder), Ports(case.model)
    files = []
    for i, (values, port) in enumerate(zip(case.test, ports.inputs)):
        np.save(folder / f"float{i}.npy", values.reshape(len(values), *port[1]))
        files += ["--input", folder / f"float{i}.npy"]
    out = folder / "reference"
    fault = command(larun, "run", case.model, *files, "--sets", "--reset", "--output-dir", out)
    return None if fault else [np.load(out / f"out{i}.npy") for i in range(len(ports.outputs))], fault


def check(larun, case, scheme, io, folder, expected, float_fault):
    """A line of the table, what failed, and what ran where."""
    folder = Path(folder)
    out = folder / "out.tflite"
    float_ports = Ports(case.model)
    calibration = folder / "calibration.npz"
    names = [port[4] for port in float_ports.inputs]
    np.savez(calibration, **{name: array for name, array in zip(names, case.calibration)})
    refusal = command(
        larun, "quantize", case.model, "--scheme", scheme, "--calib", calibration, "--io", io,
        "--leave-float", "-q", "-o", out,
    )
    if refusal:
        return f"{case.name} | {scheme} | {io} | refused: {refusal}", ["quantise"], {"refused"}
    ports = Ports(out)
    inputs = [quantized(values, port) for values, port in zip(case.test, ports.inputs)]
    for i, values in enumerate(inputs):
        np.save(folder / f"in{i}.npy", values)
    files = [arg for i in range(len(inputs)) for arg in ("--input", folder / f"in{i}.npy")]
    fault = command(larun, "run", out, *files, "--sets", "--reset", "--output-dir", folder)
    if fault:
        return f"{case.name} | {scheme} | {io} | LARUN: {fault}", ["larun"], set()
    ours = [np.load(folder / f"out{i}.npy") for i in range(len(ports.outputs))]

    if float_fault:
        return f"{case.name} | {scheme} | {io} | float model in LARUN: {float_fault}", ["float"], set()

    failures, ran = [], set()
    flat = lambda arrays: np.concatenate([real(a, p).ravel() for a, p in zip(arrays, ports.outputs)])
    truth = np.concatenate([array.ravel() for array in expected])
    cells = [f"{out.stat().st_size:,}", f"{sqnr(truth, flat(ours)):.2f}"]
    for name, wanted in [("litert", scheme in IN_LITERT), ("micro", scheme in IN_MICRO)]:
        results, fault = runtime(name, out, folder, len(inputs), len(ours))
        if results is None:
            cells.append("no" if not wanted else f"FAILS: {fault}")
            # Operators that Micro lacks, and operators left float that it has not either, are no fault of the file.
            if wanted and name == "litert":
                failures.append(name)
            continue
        results = [r.reshape(o.shape) for r, o in zip(results, ours)]
        off = sum(int((r != o).sum()) for r, o in zip(results, ours))
        ran |= {name} if off else {name, f"{name} alike"}
        cells.append(f"{sqnr(truth, flat(results)):.2f}, {off} differ")
        if name == "micro" and wanted and off and all(o.dtype != np.float32 for o in ours):
            failures.append("micro: other bytes")
        if name == "litert" and scheme not in IN_MICRO and sqnr(flat(results), flat(ours)) < REAL_AGREEMENT:
            failures.append("litert: too far")
    return " | ".join([case.name, scheme, io, *cells]), failures, ran


class Totals:
    """What became of the files of a scheme."""

    COUNTED = ["refused", "litert", "litert alike", "micro", "micro alike"]
    TITLES = ["files", "refused", "run in LiteRT", "alike", "run in TFLM", "alike", "failures"]

    def __init__(self):
        self.files = self.failures = 0
        self.seen = dict.fromkeys(self.COUNTED, 0)

    def add(self, failures, ran):
        self.files += 1
        self.failures += len(failures)
        for what in ran:
            self.seen[what] += 1

    def cells(self):
        return [self.files, *self.seen.values(), self.failures]


def runtime(name, model, folder, inputs, outputs):
    """What a runtime gives, or why it does not. It may abort the process on a file that it cannot take: each runs in a fork."""
    fault = Path(folder) / "fault.txt"
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with open(fault, "w") as file:
                os.dup2(file.fileno(), 2)
            sets = zip(*[np.load(f"{folder}/in{i}.npy") for i in range(inputs)])
            run = litert(str(model)) if name == "litert" else micro(str(model), outputs)
            results = [run(values) for values in sets]
            for i, stacked in enumerate(zip(*results)):
                np.save(f"{folder}/{name}{i}.npy", np.stack(stacked))
            status = 0
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if status != 0:
        lines = fault.read_text(errors="replace").strip().splitlines()
        return None, (lines[-1] if lines else f"exit status {status}")[:160]
    return [np.load(Path(folder) / f"{name}{i}.npy") for i in range(outputs)], None


def check_case(job):
    """Every scheme and border of a case: what `check` says of each."""
    case, args = job
    with tempfile.TemporaryDirectory() as folder:
        expected, fault = float_outputs(args.larun, case, folder)
        found = []
        for scheme in args.schemes:
            for io in args.io if scheme in IN_MICRO else ["float"]:
                found.append((scheme, *check(args.larun, case, scheme, io, folder, expected, fault)))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("larun", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--models", type=lambda text: text.split(","), default=[])
    parser.add_argument("--schemes", type=lambda text: text.split(","), default=SCHEMES)
    parser.add_argument("--io", type=lambda text: text.split(","), default=["int", "float"])
    parser.add_argument("--cases", type=int, default=0)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    totals = {scheme: Totals() for scheme in args.schemes}
    if args.verbose:
        print("model | scheme | border | bytes | LARUN dB | LiteRT dB | TFLM dB", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        cases = list(float_models(args.corpus, args.models))
        cases += conversion_cases(args.corpus, args.cases, folder)
        # Threads that a runtime starts would not live on in a fork: it is imported before, and used behind.
        with multiprocessing.get_context("fork").Pool(initializer=load_runtimes) as pool:
            for found in pool.imap(check_case, [(case, args) for case in cases]):
                for scheme, line, failures, ran in found:
                    totals[scheme].add(failures, ran)
                    if failures or args.verbose:
                        print(line + (f" | FAILED {', '.join(failures)}" if failures else ""), flush=True)
    print(" | ".join(["scheme", *Totals.TITLES]))
    for scheme, total in totals.items():
        print(" | ".join(map(str, [scheme, *total.cells()])))
    failed = sum(total.failures for total in totals.values())
    print(f"{len(cases)} models, {sum(total.files for total in totals.values())} files, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
