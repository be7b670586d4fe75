"""Writes memory plans into models and has TensorFlow Lite Micro follow them.

usage: offline_plan.py LARUN CORPUS

LARUN is the built command. Needs numpy and tflite-micro. For MLPerf Tiny's INT8 models and a subtraction in the corpus, `larun plan -o` adds the plan of
the optimal planner, and one that computes additions in place; TensorFlow Lite Micro must give the same bytes with and without, and its
non-persistent arena ("head") must take what the plan says. Exit status 1 when it does not.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CASES = 20
# The head without a plan, with the optimal one, and with one in place, at most.
EXPECTED = {"vww_int8": (73_728, 55_296, 55_296), "sub0": (6_272, 6_272, 3_200)}


def run(model, out, inputs):
    """Runs the model on random inputs, in this process; prints the sizes of the arena."""
    from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(model)
    details = [interpreter.get_input_details(i) for i in range(inputs)]
    random = np.random.default_rng(1)
    outputs = []
    for _ in range(CASES):
        for i, info in enumerate(details):
            dtype = np.dtype(info["dtype"])
            if dtype.kind == "f":
                sample = random.standard_normal(info["shape"]).astype(dtype)
            else:
                limits = np.iinfo(dtype)
                sample = random.integers(limits.min, limits.max + 1, info["shape"], dtype=dtype)
            interpreter.set_input(sample, i)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).copy())
    np.save(out, np.stack(outputs))
    interpreter.print_allocations()


def measured(model, inputs, folder):
    """The head in bytes and the outputs, from a process of its own: the sizes are printed by the runtime itself."""
    out = Path(folder) / "out.npy"
    command = [sys.executable, __file__, "--run", str(model), str(out), str(inputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    head = re.search(r"head (\d+) bytes", done.stdout + done.stderr)
    return int(head.group(1)), np.load(out)


def main():
    larun, corpus = sys.argv[1], Path(sys.argv[2])
    failed = False
    print(f"{'model':20} {'plan':9} {'peak':>8} {'head':>8}")
    with tempfile.TemporaryDirectory() as folder:
        models = corpus / "models"
        found = sorted(models.glob("mlperf_tiny/*_int8/model.tflite")) + [models / "seanet/sub0/model.tflite"]
        for model in found:
            title = model.parent.name
            inputs = len(list(model.parent.glob("in?.npy")))
            head, outputs = measured(model, inputs, folder)
            print(f"{title:20} {'none':9} {'':>8} {head:>8}")
            heads = [head]
            for name, options in ("optimal", []), ("in place", ["--in-place"]):
                planned = Path(folder) / "planned.tflite"
                command = [larun, "plan", "--planner", "optimal", *options, "--json", str(model), "-o", str(planned)]
                report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
                head, same = measured(planned, inputs, folder)
                heads.append(head)
                equal = np.array_equal(same, outputs)
                failed |= not equal or head > heads[0]
                note = "" if equal else "  DIFFERENT OUTPUTS"
                print(f"{title:20} {name:9} {report['peak_bytes']:>8} {head:>8}{note}")
            if title in EXPECTED and any(h > e for h, e in zip(heads, EXPECTED[title])):
                print(f"{title}: expected {EXPECTED[title]}, got {tuple(heads)}")
                failed = True
    sys.exit(failed)


if sys.argv[1:2] == ["--run"]:
    run(sys.argv[2], sys.argv[3], int(sys.argv[4]))
elif len(sys.argv) == 3:
    main()
else:
    sys.exit(__doc__)
