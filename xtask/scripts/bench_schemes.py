"""Test accuracy by scheme: networks trained on labelled data, quantised by every scheme, run by LARUN's interpreter.

    bench_schemes.py LARUN DATA --work FOLDER [--sets A,B] [--seeds N] [--epochs N] [--json FILE]

LARUN is the built command, DATA the folder with the labelled `.npz` files. Each network is trained from several seeds, as
test sets are small; float models are kept in FOLDER and trained once. Calibration takes training samples, accuracy is that
on the test split. Printed is the float accuracy and the change by each scheme in points, mean over seeds. Needs numpy.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

SETS = ["lc6_hybrid1024", "asas_folded1024", "star_obafgkm1024", "kepler_folded1024", "brown_dwarf_spex512"]
CALIBRATION = 200
SCHEMES = {
    "fp16": ["--scheme", "fp16"],
    "dynamic": ["--scheme", "dynamic"],
    "weight-only": ["--scheme", "weight-only"],
    "weight-only-int4": ["--scheme", "weight-only-int4"],
    "int16x8": ["--scheme", "int16x8"],
    "int8": ["--scheme", "int8"],
    "int8 --optimize": ["--scheme", "int8", "--optimize"],
    "mixed, at most 1 % change": ["--scheme", "mixed", "--max-drop", "1"],
    "int4": ["--scheme", "int4"],
    "int4 --optimize": ["--scheme", "int4", "--optimize"],
    "binary": ["--scheme", "binary"],
}


def larun(program, *args):
    done = subprocess.run([str(program), *map(str, args)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"larun {' '.join(map(str, args[:2]))}: {done.stderr.strip()[-400:]}")


def accuracy(program, model, folder, labels):
    larun(program, "run", model, "--input", folder / "test.npy", "--sets", "--reset", "--float", "--output-dir", folder / "out")
    scores = np.load(folder / "out/out0.npy").reshape(len(labels), -1)
    return float((scores.argmax(1) == labels).mean())


def measured(program, data, name, seed, epochs, work):
    """The float accuracy and that of each scheme."""
    folder = work / f"{name}-{epochs}-{seed}"
    float_model = folder / "model_float.tflite"
    if not float_model.exists():
        print(f"training on {name}, seed {seed}", file=sys.stderr)
        larun(
            program, "optimize", "--zoo", "spectral", "--device", "esp32", "--data", data / f"{name}.npz",
            "--seed", seed, "--epochs", epochs, "--quiet", "--output", folder,
        )
    samples = np.load(data / f"{name}.npz")
    x, y, split = samples["x"].astype(np.float32), samples["y"], samples["split"]
    # The model takes [1, W, C].
    x = x.reshape(len(x), 1, x.shape[1], -1)
    training = np.flatnonzero(split == 0)
    chosen = np.random.default_rng(0).permutation(training)[:CALIBRATION]
    np.save(folder / "calib.npy", x[chosen])
    np.save(folder / "test.npy", x[split == 2])
    labels = y[split == 2]
    result = {"float": accuracy(program, float_model, folder, labels), "samples": len(labels)}
    for scheme, options in SCHEMES.items():
        out = folder / "quantised.tflite"
        larun(program, "quantize", float_model, *options, "--calib", folder / "calib.npy", "--io", "float", "--leave-float", "-q", "-o", out)
        result[scheme] = accuracy(program, out, folder, labels)
        result[f"{scheme} bytes"] = out.stat().st_size
    result["float bytes"] = float_model.stat().st_size
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("larun", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--sets", type=lambda text: text.split(","), default=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = {}
    for name in args.sets:
        found[name] = [measured(args.larun, args.data, name, seed, args.epochs, args.work) for seed in range(args.seeds)]

    def mean(name, what):
        return statistics.mean(run[what] for run in found[name])

    print("| | " + " | ".join(f"`{name}`" for name in found) + " | mean |")
    print("|---|" + "---|" * (len(found) + 1))
    print("| test samples | " + " | ".join(str(runs[0]["samples"]) for runs in found.values()) + " | |")
    print("| float, % | " + " | ".join(f"{100 * mean(name, 'float'):.1f}" for name in found) + " | |")
    for scheme in SCHEMES:
        changes = [100 * (mean(name, scheme) - mean(name, "float")) for name in found]
        cells = [f"{change:+.1f}" for change in [*changes, statistics.mean(changes)]]
        print(f"| {scheme} | " + " | ".join(cells) + " |")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
