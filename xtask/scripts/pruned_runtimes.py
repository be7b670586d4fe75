"""Prunes, quantises and stores models, and runs what comes out in the real runtimes.

usage: pruned_runtimes.py LARUN CORPUS [--models A,B]

LARUN is the built command, CORPUS the folder with `models/` and `quant/`. The float models of MLPerf Tiny lose half of their
channels, the classifiers among them are trained for an epoch on a few random samples, quantised to INT8 and run: TensorFlow Lite Micro
must give the bytes of `larun run`. The INT8 model for anomaly detection loses weights instead; stored by TFLM_DECODE in every way it
must give, in TensorFlow Lite Micro and in LARUN, the bytes of the dense file, and be smaller. With sparsity parameters, float and INT8
must load in LiteRT and give what the dense files give. Exit status 1 when something differs.

Needs numpy, tflite-micro and ai-edge-litert.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

# Name, float model, whether it is a classifier that can be trained for a step.
MODELS = [
    ("ad", "models/mlperf_tiny/ad01_fp32/model.tflite", False),
    ("ic", "models/mlperf_tiny/ic_resnet8_float/model.tflite", True),
    ("kws", "quant/dscnn_kws/tf_fp32/model.tflite", True),
    ("vww", "models/mlperf_tiny/vww_float/model.tflite", True),
]
SETS = 8

# A runtime may abort the process on a file that it cannot take: each runs in one of its own.
RUNTIME = '''
import sys
import numpy as np

name, model, folder = sys.argv[1:4]
sets = np.load(f"{folder}/in.npy")
outputs = []
if name == "litert":
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    litert = Interpreter(model, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    litert.allocate_tensors()
    takes, gives = litert.get_input_details()[0], litert.get_output_details()[0]
    for values in sets:
        litert.set_tensor(takes["index"], values)
        litert.invoke()
        outputs.append(litert.get_tensor(gives["index"]).copy())
else:
    from tflite_micro.python.tflite_micro import runtime
    micro = runtime.Interpreter.from_file(model)
    for values in sets:
        micro.set_input(values, 0)
        micro.invoke()
        outputs.append(micro.get_output(0).copy())
np.save(f"{folder}/out.npy", np.stack(outputs))
'''

failures = []


def check(condition, message):
    print(("ok      " if condition else "FAILED  ") + message, flush=True)
    if not condition:
        failures.append(message)


def larun(binary, *args):
    done = subprocess.run([binary, *map(str, args)], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"larun {' '.join(map(str, args))}: {done.stderr.strip()}")
    return done.stdout


def in_runtime(name, model, sets):
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/in.npy", sets)
        done = subprocess.run([sys.executable, "-c", RUNTIME, name, str(model), folder], capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"{name} does not run {model}: {last}")
        return np.load(f"{folder}/out.npy")


def in_larun(binary, model, sets):
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/in.npy", sets)
        larun(binary, "run", model, "--input", f"{folder}/in.npy", "--sets", "--output-dir", folder)
        return np.load(f"{folder}/out0.npy")


def ports(model):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    litert = Interpreter(str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    return litert.get_input_details()[0], litert.get_output_details()[0]


def samples_for(folder, shape, classes, random):
    """Random samples: the bytes are compared here, not the accuracy."""
    count = 8 * classes
    x = random.normal(size=(count, *shape[1:])).astype(np.float32)
    y = np.arange(count) % classes
    split = np.repeat([0, 0, 0, 0, 0, 0, 1, 2], classes).astype(np.uint8)
    np.savez(folder / "samples.npz", x=x, y=y.astype(np.uint32), split=split)
    np.save(folder / "calibration.npy", x[:16])
    return folder / "samples.npz", folder / "calibration.npy"


def channels(binary, name, model, trained, folder, random):
    taken, given = ports(model)
    classes = int(given["shape"][-1])
    samples, calibration = samples_for(folder, taken["shape"], classes if trained else 10, random)
    pruned, int8 = folder / f"{name}_pruned.tflite", folder / f"{name}_int8.tflite"
    command = ["prune", model, "--channels", "0.5", "--json", "-q", "-o", pruned]
    if trained:
        command += ["--data", samples, "--fine-tune", "1", "--batch-size", "16"]
    report = json.loads(larun(binary, *command))
    before, after = report["before"], report["after"]
    cut = f"{before['parameters']} to {after['parameters']} parameters, {before['macs']} to {after['macs']} MACs"
    check(after["macs"] * 2 <= before["macs"] and after["parameters"] < before["parameters"], f"{name}: {cut}")
    larun(binary, "quantize", pruned, "--scheme", "int8", "--calib", calibration, "-q", "-o", int8)
    taken, _ = ports(int8)
    sets = random.integers(-128, 128, size=(SETS, *taken["shape"])).astype(np.int8)
    ours, tflm = in_larun(binary, int8, sets), in_runtime("tflm", int8, sets)
    different = int((ours.reshape(-1) != tflm.reshape(-1)).sum())
    check(different == 0, f"{name}: half of the channels gone, INT8: {different} of {tflm.size} bytes differ in TensorFlow Lite Micro")


def stored(binary, corpus, folder, random):
    """Weights that are zero or clustered, stored so that the file is smaller, in the stock runtime."""
    whole = corpus / "models/mlperf_tiny/ad01_int8/model.tflite"
    taken, _ = ports(whole)
    sets = random.integers(-128, 128, size=(SETS, *taken["shape"])).astype(np.int8)
    for sparsity in ("0.4", "0.67", "0.9"):
        dense = folder / "dense.tflite"
        larun(binary, "prune", whole, "--sparsity", sparsity, "-q", "-o", dense)
        expected = in_runtime("tflm", dense, sets)
        sizes = {"dense": dense.stat().st_size}
        for store in ("pruning", "huffman", "decode"):
            small = folder / f"{store}.tflite"
            larun(binary, "prune", dense, "--store", store, "-q", "-o", small)
            sizes[store] = small.stat().st_size
            same = np.array_equal(in_runtime("tflm", small, sets), expected)
            check(same, f"ad, {sparsity} of the weights zero, {store}: the dense file's bytes in TensorFlow Lite Micro")
            check(np.array_equal(in_larun(binary, small, sets), expected), f"ad, {sparsity}, {store}: the same in larun")
            if sparsity != "0.4" or store != "pruning":
                check(sizes[store] < sizes["dense"], f"ad, {sparsity}: {sizes[store]} bytes for {sizes['dense']} dense")
        print(f"        sizes at {sparsity}: {sizes}", flush=True)
        sparse = folder / "sparse.tflite"
        larun(binary, "prune", dense, "--store", "sparse", "-q", "-o", sparse)
        same = np.array_equal(in_runtime("litert", sparse, sets), in_runtime("litert", dense, sets))
        check(same, f"ad INT8, {sparsity}, sparse: the dense file's bytes in LiteRT, {sparse.stat().st_size} bytes")


def clustered(binary, corpus, folder, random):
    model = corpus / "quant/dscnn_kws/tf_fp32/model.tflite"
    taken, _ = ports(model)
    _, calibration = samples_for(folder, taken["shape"], 10, random)
    clusters, int8, small = (folder / f"{name}.tflite" for name in ("clusters", "clusters_int8", "table"))
    larun(binary, "prune", model, "--clusters", "16", "-q", "-o", clusters)
    larun(binary, "quantize", clusters, "--scheme", "int8", "--plain", "--calib", calibration, "-q", "-o", int8)
    larun(binary, "prune", int8, "--store", "table", "-q", "-o", small)
    taken, _ = ports(int8)
    sets = random.integers(-128, 128, size=(SETS, *taken["shape"])).astype(np.int8)
    expected = in_runtime("tflm", int8, sets)
    same = np.array_equal(in_runtime("tflm", small, sets), expected) and np.array_equal(in_larun(binary, small, sets), expected)
    check(same, f"kws, 16 values a layer, table: the dense file's bytes, {small.stat().st_size} for {int8.stat().st_size}")


def sparse_float(binary, corpus, folder, random):
    model = corpus / "models/mlperf_tiny/ad01_fp32/model.tflite"
    taken, _ = ports(model)
    sets = random.normal(size=(SETS, *taken["shape"])).astype(np.float32)
    dense, sparse = folder / "dense_float.tflite", folder / "sparse_float.tflite"
    larun(binary, "prune", model, "--sparsity", "0.8", "-q", "-o", dense)
    larun(binary, "prune", dense, "--store", "sparse", "-q", "-o", sparse)
    a, b = in_runtime("litert", dense, sets), in_runtime("litert", sparse, sets)
    off = float(np.abs(a - b).max() / max(1.0, np.abs(a).max()))
    check(off < 1e-5, f"ad float, sparse: LiteRT is off by {off:.1e}, {sparse.stat().st_size} bytes for {dense.stat().st_size}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("larun")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--models", default=",".join(name for name, _, _ in MODELS))
    args = parser.parse_args()
    random = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        wanted = args.models.split(",")
        jobs = [
            lambda name=name, model=model, trained=trained: channels(args.larun, name, args.corpus / model, trained, folder, random)
            for name, model, trained in MODELS
            if name in wanted
        ]
        jobs += [lambda job=job: job(args.larun, args.corpus, folder, random) for job in (stored, clustered, sparse_float)]
        for job in jobs:
            try:
                job()
            except (RuntimeError, json.JSONDecodeError) as error:
                check(False, str(error))
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
