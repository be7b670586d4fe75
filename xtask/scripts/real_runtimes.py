"""Runs an INT8 classifier in the real runtimes and compares their bytes with `larun run`.

usage: real_runtimes.py LARUN MODEL.tflite SAMPLES.npz [COUNT]

LARUN is the built command. SAMPLES.npz has `x`, whose leading axis counts samples. Needs numpy, tflite-micro and
ai-edge-litert. TensorFlow Lite Micro must give the same bytes for every sample; LiteRT must load the model, and how
far its own kernels differ is printed. Exit status 1 when TensorFlow Lite Micro differs.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro.python.tflite_micro import runtime


def quantized(model, x):
    """The samples as the model's first input takes them."""
    litert = Interpreter(str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    litert.allocate_tensors()
    info = litert.get_input_details()[0]
    scale, zero_point = info["quantization"]
    steps = x.reshape(len(x), *info["shape"][1:]).astype(np.float64) / np.float32(scale)
    rounded = np.sign(steps) * np.floor(np.abs(steps) + 0.5) + zero_point
    return litert, np.clip(rounded, -128, 127).astype(np.int8)


def run_larun(larun, model, samples):
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "in.npy"
        np.save(inputs, samples[:, np.newaxis])
        command = [larun, "run", model, "--input", inputs, "--sets", "--output-dir", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return np.load(Path(folder) / "out0.npy")


def run_tflm(model, samples):
    interpreter = runtime.Interpreter.from_file(str(model))
    outputs = []
    for sample in samples:
        interpreter.set_input(sample[np.newaxis], 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0).copy())
    return np.stack(outputs)


def run_litert(litert, samples):
    tensor_in, tensor_out = litert.get_input_details()[0], litert.get_output_details()[0]
    outputs = []
    for sample in samples:
        litert.set_tensor(tensor_in["index"], sample[np.newaxis])
        litert.invoke()
        outputs.append(litert.get_tensor(tensor_out["index"]).copy())
    return np.stack(outputs)


def main():
    larun, model, data = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
    x = np.load(data)["x"][:count]
    litert, samples = quantized(model, x)
    ours = run_larun(larun, model, samples)
    tflm = run_tflm(model, samples)
    lite = run_litert(litert, samples)
    different = int((ours != tflm).sum())
    off = np.abs(ours.astype(int) - lite.astype(int))
    print(f"{len(samples)} samples, {ours.size} bytes")
    print(f"TensorFlow Lite Micro: {different} bytes differ")
    print(f"LiteRT's reference kernels: {int((off > 0).sum())} bytes differ, by {int(off.max())} at most")
    return 1 if different or ours.shape != tflm.shape else 0


if __name__ == "__main__":
    sys.exit(main())
