"""The exact scale of the one tensor whose extremes the corpus records more than a unit in the last place off.

    exact_scales.py CORPUS

What LiteRT and LARUN compute differs in the last digits, most likely by the sigmoid and tanh of each. In float64
the network gives the scale to all of float32's digits. Printed are it and how far off the recorded one is. Needs numpy and
ai-edge-litert, which reads the weights.
"""

import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main():
    folder = Path(sys.argv[1]) / "quant/lstm_small"
    model = Interpreter(str(folder / "tf_fp32/model.tflite"), experimental_preserve_all_tensors=True)
    model.allocate_tensors()
    operators = {op["op_name"]: op for op in model._get_ops_details()}
    lstm, dense = operators["UNIDIRECTIONAL_SEQUENCE_LSTM"]["inputs"], operators["FULLY_CONNECTED"]

    def constant(index):
        return model.get_tensor(int(index)).astype(np.float64)

    inputs, recurrent, biases = ([constant(i) for i in lstm[a:b]] for a, b in [(1, 5), (5, 9), (12, 16)])
    weights, bias = constant(dense["inputs"][1]), constant(dense["inputs"][2])
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    hidden = cell = np.zeros(recurrent[0].shape[1])
    outputs = []
    # The state goes on from sample to sample, as in TensorFlow's calibrator.
    for sample in np.load(folder / "calib.npy").astype(np.float64):
        for x in sample:
            gates = [w @ x + r @ hidden + b for w, r, b in zip(inputs, recurrent, biases)]
            cell = sigmoid(gates[1]) * cell + sigmoid(gates[0]) * np.tanh(gates[2])
            hidden = sigmoid(gates[3]) * np.tanh(cell)
        outputs.append(weights @ hidden + bias)
    exact = (max(0, np.max(outputs)) - min(0, np.min(outputs))) / 255
    name = next(t["name"] for t in model.get_tensor_details() if t["index"] == dense["outputs"][0])
    ranges = json.loads((folder / "fp32_ranges.json").read_text())
    found = next(r for r in ranges if r["name"] == name)
    recorded = (np.float32(found["max"]) - np.float32(found["min"])) / np.float32(255)
    unit = float(np.spacing(np.float32(exact)))
    print(f"{name}: {float(exact)!r}, recorded {(float(recorded) - exact) / unit:+.2f} units in the last place off")


if __name__ == "__main__":
    main()
