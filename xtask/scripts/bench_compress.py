"""Trains four tasks and compresses what comes out in every way; prints a table of accuracy, bytes, arena and MACs.

usage: bench_compress.py LARUN DATA CORPUS FOLDER [--tasks A,B] [--epochs N] [--tune N] [--seed N] [--json FILE]

LARUN is the built command, DATA the folder of labelled samples, CORPUS that of the models (the network for images starts from one).
Models are kept in FOLDER: what is there already is not made again, so that a stopped run goes on. Accuracy is that of the test split,
measured with LARUN's interpreter. Needs numpy.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

TASKS = ["lc6_hybrid1024", "galaxy_gz64", "tess_triage", "star_obafgkm1024"]
ROWS = [
    ("float", "float"),
    ("ptq", "INT8 after training"),
    ("qat", "INT8 while training"),
    ("pruned", "half of the channels, trained on, float"),
    ("pruned_qat", "half of the channels, INT8 while training"),
    ("student", "student alone, float"),
    ("distilled", "student distilled, float"),
    ("distilled_qat", "student distilled, INT8 while training"),
    ("int4", "INT4 while training"),
]


def samples(name, data, folder):
    """The task's samples as `larun` takes them: x, y, class_names, split."""
    out = folder / "samples.npz"
    if out.exists():
        return out
    source = np.load(data / f"{name}.npz")
    x = source["x_global"][..., np.newaxis] if name == "tess_triage" else source["x"]
    if name == "galaxy_gz64":
        # Galaxies in grey, from -1 to 1, as the network takes them.
        x = x.astype(np.float32).mean(axis=-1, keepdims=True) / 127.5 - 1
    np.savez(out, x=x.astype(np.float32), y=source["y"], class_names=source["class_names"], split=source["split"])
    return out


class Bench:
    def __init__(self, args, name):
        self.args, self.name = args, name
        self.folder = args.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.samples = samples(name, args.data, self.folder)
        self.is_image = name == "galaxy_gz64"

    def larun(self, *arguments):
        done = subprocess.run([self.args.larun, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"larun {' '.join(map(str, arguments))}: {done.stderr.strip()[-400:]}")
        return done.stdout

    def path(self, row):
        return self.folder / f"{row}.tflite"

    def make(self, row):
        out = self.path(row)
        if out.exists():
            return out
        print(f"{self.name}: {row}", file=sys.stderr, flush=True)
        seed, data = ["--seed", self.args.seed], ["--data", self.samples]
        tail = [*seed, "-q", "-o", out]
        long, short = ["--epochs", self.args.epochs], ["--epochs", self.args.tune, "--learning-rate", "0.0005"]
        image = self.args.corpus / "quant/galaxy64/tf_fp32/model.tflite"
        if row == "float":
            source = [image] if self.is_image else ["--zoo", "spectral"]
            self.larun("train", *source, *data, *long, *tail)
        elif row == "ptq":
            self.larun("quantize", self.make("float"), "--scheme", "int8", "--calib", self.samples, "-q", "-o", out)
        elif row == "qat":
            self.larun("train", self.make("float"), *data, "--qat", "int8", *short, *tail)
        elif row == "int4":
            self.larun("train", self.make("float"), *data, "--qat", "int4", *short, *tail)
        elif row == "pruned":
            self.larun("prune", self.make("float"), "--channels", "0.5", *data, "--fine-tune", self.args.epochs, *tail)
        elif row == "pruned_qat":
            self.larun("train", self.make("pruned"), *data, "--qat", "int8", *short, *tail)
        elif row == "student":
            source = [self.make("pruned")] if self.is_image else ["--zoo", "student"]
            self.larun("train", *source, *data, *long, *tail)
        elif row == "distilled":
            student = self.make("pruned") if self.is_image else "student"
            self.larun("distill", "--teacher", self.make("float"), "--student", student, *data, *long, *tail)
        elif row == "distilled_qat":
            self.larun("train", self.make("distilled"), *data, "--qat", "int8", *short, *tail)
        return out

    def measure(self, row):
        model = self.make(row)
        report = json.loads(self.larun("inspect", "--json", model))
        source = np.load(self.samples)
        test = source["split"] == 2
        shape = report["inputs"][0]["shape"]
        inputs, outputs = self.folder / "in.npy", self.folder / "outputs"
        np.save(inputs, source["x"][test].reshape(-1, *shape))
        self.larun("run", model, "--float", "--sets", "--input", inputs, "--output-dir", outputs)
        scores = np.load(outputs / "out0.npy").reshape(int(test.sum()), -1)
        return {
            "task": self.name,
            "row": row,
            "accuracy": float((scores.argmax(axis=1) == source["y"][test]).mean()),
            "samples": int(test.sum()),
            "file_bytes": report["file_bytes"],
            "arena_bytes": report["arena"].get("bytes"),
            "macs": report["macs"],
        }


def show(results):
    for task in dict.fromkeys(result["task"] for result in results):
        mine = [result for result in results if result["task"] == task]
        print(f"\n### {task} ({mine[0]['samples']} test samples)\n")
        print("| model | accuracy | file B | arena B | MACs |\n|---|---:|---:|---:|---:|")
        for row, title in ROWS:
            for result in (result for result in mine if result["row"] == row):
                arena = f"{result['arena_bytes']:,}" if result["arena_bytes"] else "-"
                print(f"| {title} | {100 * result['accuracy']:.2f} % | {result['file_bytes']:,} | {arena} | {result['macs']:,} |")


def main():
    parser = argparse.ArgumentParser()
    for name in ("larun", "data", "corpus", "folder"):
        parser.add_argument(name, type=Path if name != "larun" else str)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--rows", default=",".join(row for row, _ in ROWS))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--tune", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results, failed = [], 0
    for task in args.tasks.split(","):
        bench = Bench(args, task)
        for row in args.rows.split(","):
            try:
                results.append(bench.measure(row))
            except RuntimeError as error:
                failed += 1
                print(f"{task}, {row}: {error}", file=sys.stderr, flush=True)
            if args.json:
                args.json.write_text(json.dumps(results, indent=2) + "\n")
    show(results)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
