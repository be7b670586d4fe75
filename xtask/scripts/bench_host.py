"""Times INT8 models on this machine: LARUN beside the real runtimes, one thread each, taking turns.

usage: bench_host.py BENCH [--rounds N] [--runs N] MODEL.tflite...

BENCH is larun-testing's program `bench_host`. In each round every runtime runs the model `--runs` times, and the median
counts; what is printed is the median of the rounds and, for ratios, the median of the rounds' ratios, so that a change
of the machine's speed meets all alike. Inputs are zeros. Needs numpy, tflite-micro and ai-edge-litert. The times of the
other runtimes have the way through Python in them, a microsecond or so.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro.python.tflite_micro import runtime


class Larun:
    """The program, which answers a line with a line."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def time(self, model, runs):
        self.process.stdin.write(f"{runs} {model}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"bench_host gave no time for {model}")
        return int(answer)


def median_of(invoke, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter_ns()
        invoke()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times)


def litert(model, resolver):
    interpreter = Interpreter(
        str(model), num_threads=1, experimental_op_resolver_type=resolver
    )
    interpreter.allocate_tensors()
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], np.zeros(tensor["shape"], tensor["dtype"]))
    return interpreter.invoke


def tflm(model):
    interpreter = runtime.Interpreter.from_file(str(model))
    details = interpreter.get_input_details(0)
    interpreter.set_input(np.zeros(details["shape"], details["dtype"]), 0)
    return interpreter.invoke


def measure(larun, model, rounds, runs):
    """Nanoseconds of every runtime in every round."""
    peers = {
        "litert_xnnpack": litert(model, OpResolverType.AUTO),
        "litert_reference": litert(model, OpResolverType.BUILTIN_REF),
        "tflm": tflm(model),
    }
    times = {name: [] for name in ["larun", *peers]}
    for round_ in range(rounds + 1):
        found = {"larun": larun.time(model, runs)}
        for name, invoke in peers.items():
            # The reference kernels are slow, and nobody is measured against them closely.
            found[name] = median_of(invoke, runs if name == "litert_xnnpack" else max(3, runs // 20))
        if round_ > 0:
            for name, value in found.items():
                times[name].append(value)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench")
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    larun = Larun(args.bench)
    print("| model | LARUN, us | LiteRT with XNNPACK, us | ratio | LiteRT's reference, us | TFLM, us |")
    print("|---|---:|---:|---:|---:|---:|")
    report = {}
    for model in args.models:
        times = measure(larun, model, args.rounds, args.runs)
        pairs = zip(times["larun"], times["litert_xnnpack"])
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        medians = {name: statistics.median(values) for name, values in times.items()}
        name = model.parent.name if model.name == "model.tflite" else model.stem
        report[name] = {"ns": medians, "ratio": ratio}
        cells = [f"{value / 1000:,.1f}" for value in medians.values()]
        cells.insert(2, f"{ratio:.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
