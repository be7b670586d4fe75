"""Seconds and peak memory of full-integer conversion: LARUN, TensorFlow and ai-edge-quantizer, in turns.

Every conversion runs in a process of its own, on the same network and the same samples. Seconds are those of the
conversion alone, without the start of the runtime, on the clock and, in brackets, of processors, which other work on the
machine leaves as they are; memory is the most that the process held. TensorFlow's converter does
not read a .tflite: in a folder with a `model.keras` (see keras_networks.py) the whole of it runs on that; its calibrator and
quantiser alone run on the float .tflite that the others start from too.

    bench_quantize.py LARUN_PROGRAM --tensorflow PYTHON --ai-edge PYTHON [--rounds N] [--json FILE] MODEL_FOLDER ...
"""

import argparse
import json
import os
import resource
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

    def print_figures(start, done):
        seconds, processors = time.perf_counter() - start[0], time.process_time() - start[1]
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "cpu_seconds": processors, "peak_mb": peak_mb, "bytes": len(done)}))

    def now():
        return time.perf_counter(), time.process_time()

    folder = sys.argv[1]
    data = samples(folder)
    path = folder + "/tf_fp32/model.tflite"
""")

TENSORFLOW = COMMON + textwrap.dedent("""
    import tensorflow as tf
    from tensorflow.lite.python.optimize.calibrator import Calibrator

    model = open(path, "rb").read()
    shape = tf.lite.Interpreter(model_content=model).get_input_details()[0]["shape"]
    start = now()
    calibrator = Calibrator(model)
    done = calibrator.calibrate_and_quantize(
        lambda: ([sample.reshape(shape)] for sample in data),
        tf.int8, tf.int8, False, tf.int8, tf.int32, False)
    print_figures(start, done)
""")

# As users do it: https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant
TENSORFLOW_WHOLE = COMMON + textwrap.dedent("""
    import tensorflow as tf

    network = tf.keras.models.load_model(folder + "/model.keras")
    start = now()
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in data)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    done = converter.convert()
    print_figures(start, done)
""")

AI_EDGE = COMMON + textwrap.dedent("""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    interpreter = Interpreter(path)
    key, signature = list(interpreter.get_signature_list().items())[0]
    name = signature["inputs"][0]
    shape = interpreter.get_input_details()[0]["shape"]
    start = now()
    work = quantizer.Quantizer(path)
    work.load_quantization_recipe(recipe.static_wi8_ai8())
    ranges = work.calibrate({key: [{name: sample.reshape(shape)} for sample in data]})
    done = work.quantize(ranges).quantized_model
    print_figures(start, done)
""")


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(command):
    """What a converter printed, None where it failed."""
    before = processor_seconds()
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        print(done.stderr.strip().splitlines()[-1:] or "no output", file=sys.stderr)
        return None
    # LARUN's program does nothing else, and does not say itself.
    return {"cpu_seconds": processor_seconds() - before, **json.loads(lines[-1])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("larun")
    parser.add_argument("--tensorflow", required=True)
    parser.add_argument("--ai-edge", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()

    titles = ["LARUN", "TensorFlow's converter", "its quantiser alone", "ai-edge-quantizer"]
    heads = ["model", *[f"{title} s" for title in titles], *[f"{title} MB" for title in titles]]
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    rows = []
    for model in args.models:
        is_keras = os.path.exists(os.path.join(model, "model.keras"))
        converters = {
            "larun": [args.larun, "convert", model],
            "tensorflow": [args.tensorflow, "-c", TENSORFLOW_WHOLE, model] if is_keras else None,
            "tensorflow_quantizer": [args.tensorflow, "-c", TENSORFLOW, model],
            "ai_edge_quantizer": [args.ai_edge, "-c", AI_EDGE, model],
        }
        seen = {name: [] for name in converters}
        for _ in range(args.rounds):
            for name, command in converters.items():
                figures = run(command) if command else None
                if figures:
                    seen[name].append(figures)
        row = {"model": model.rstrip("/").split("/")[-1]}
        for what in ("seconds", "cpu_seconds", "peak_mb"):
            for name, figures in seen.items():
                values = [each[what] for each in figures]
                row[f"{name}_{what}"] = statistics.median(values) if values else None
        rows.append(row)

        def cell(name, *forms):
            values = [(row[f"{name}_{what}"], form) for what, form in forms]
            if converters[name] is None:
                return "-"
            return "failed" if values[0][0] is None else " ".join(form.format(value) for value, form in values)

        times = [("seconds", "{:.3f}"), ("cpu_seconds", "({:.3f})")]
        cells = [cell(name, *times) for name in converters]
        cells += [cell(name, ("peak_mb", "{:.0f}")) for name in converters]
        print("| " + " | ".join([row["model"], *cells]) + " |", flush=True)
    for name, times in [("tensorflow", 20), ("ai_edge_quantizer", 2)]:
        for what in ("seconds", "cpu_seconds"):
            both = [(row[f"larun_{what}"], row[f"{name}_{what}"]) for row in rows]
            both = [(ours, theirs) for ours, theirs in both if ours and theirs]
            met = sum(theirs >= times * ours for ours, theirs in both)
            print(f"{what}: {times} times faster than {name.replace('_', '-')} on {met} of {len(both)}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
