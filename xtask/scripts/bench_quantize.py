"""Seconds and peak memory of full-integer conversion: LARUN, TensorFlow's quantiser and ai-edge-quantizer, in turns.

Every conversion runs in a process of its own, on the same float .tflite and the same samples. Seconds are those of the
conversion alone, without the start of the runtime; memory is the most that the process held.

    bench_quantize.py LARUN_PROGRAM --tensorflow PYTHON --ai-edge PYTHON [--rounds N] [--json FILE] MODEL_FOLDER ...
"""

import argparse
import json
import statistics
import subprocess
import sys
import textwrap

COMMON = textwrap.dedent("""
    import json, resource, sys, time
    import numpy as np

    def samples(folder):
        raw = np.load(folder + "/calib.npy")
        return (raw.astype(np.float32) - 128) / 128 if raw.dtype == np.uint8 else raw

    def peak_mb():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    folder = sys.argv[1]
    data = samples(folder)
    path = folder + "/tf_fp32/model.tflite"
""")

TENSORFLOW = COMMON + textwrap.dedent("""
    import tensorflow as tf
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    model = open(path, "rb").read()
    shape = tf.lite.Interpreter(model_content=model).get_input_details()[0]["shape"]
    start = time.perf_counter()
    calibrator = Calibrator(model)
    done = calibrator.calibrate_and_quantize(
        lambda: ([sample.reshape(shape)] for sample in data),
        tf.int8, tf.int8, False, tf.int8, tf.int32, False)
    print(json.dumps({"seconds": time.perf_counter() - start, "peak_mb": peak_mb(), "bytes": len(done)}))
""")

AI_EDGE = COMMON + textwrap.dedent("""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    interpreter = Interpreter(path)
    key, signature = list(interpreter.get_signature_list().items())[0]
    name = signature["inputs"][0]
    shape = interpreter.get_input_details()[0]["shape"]
    start = time.perf_counter()
    work = quantizer.Quantizer(path)
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    ranges = work.calibrate({key: [{name: sample.reshape(shape)} for sample in data]})
    done = work.quantize(ranges).quantized_model
    print(json.dumps({"seconds": time.perf_counter() - start, "peak_mb": peak_mb(), "bytes": len(done)}))
""")


def run(command):
    """What a converter printed, None where it failed."""
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        print(done.stderr.strip().splitlines()[-1:] or "no output", file=sys.stderr)
        return None
    return json.loads(lines[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("larun")
    parser.add_argument("--tensorflow", required=True)
    parser.add_argument("--ai-edge", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()

    print("| model | LARUN s | TensorFlow s | ai-edge-quantizer s | LARUN MB | TensorFlow MB | ai-edge-quantizer MB |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for model in args.models:
        converters = {
            "larun": [args.larun, "convert", model],
            "tensorflow": [args.tensorflow, "-c", TENSORFLOW, model],
            "ai_edge_quantizer": [args.ai_edge, "-c", AI_EDGE, model],
        }
        seen = {name: [] for name in converters}
        for _ in range(args.rounds):
            for name, command in converters.items():
                figures = run(command)
                if figures:
                    seen[name].append(figures)
        row = {"model": model.rstrip("/").split("/")[-1]}
        for what in ("seconds", "peak_mb"):
            for name, figures in seen.items():
                values = [each[what] for each in figures]
                row[f"{name}_{what}"] = statistics.median(values) if values else None
        rows.append(row)

        def cell(value, form):
            return "failed" if value is None else format(value, form)

        names = list(converters)
        cells = [cell(row[f"{name}_seconds"], ".3f") for name in names]
        cells += [cell(row[f"{name}_peak_mb"], ".0f") for name in names]
        print("| " + " | ".join([row["model"], *cells]) + " |", flush=True)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
