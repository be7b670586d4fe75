"""Times epochs of training, LARUN beside Keras: the same networks, batches and data, as many threads, in turns.

bench_train.py PROGRAM --keras PYTHON [--rounds N] [--epochs N] [--threads N] [--json FILE]

PROGRAM is larun-train's example `epoch`. With --as-keras NETWORK the script itself is the Keras side.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time


def keras(network, epochs, threads):
    """Prints one line an epoch: seconds by the clock, seconds of the processor."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    layers = tf.keras.layers

    def norm(x):
        return layers.ReLU()(layers.BatchNormalization()(x))

    rng = np.random.default_rng(1)
    if network == "1d":
        x = rng.random((2048, 1024, 1), dtype=np.float32) - 0.5
        inputs = layers.Input((1024, 1))
        h = layers.MaxPool1D(4)(norm(layers.Conv1D(8, 7, padding="same")(inputs)))
        for filters, kernel in ((16, 5), (32, 3)):
            h = norm(layers.DepthwiseConv1D(kernel, padding="same")(h))
            h = layers.MaxPool1D(4)(norm(layers.Conv1D(filters, 1)(h)))
        h = layers.Dense(16, activation="relu")(layers.GlobalAveragePooling1D()(h))
    else:
        x = rng.random((2048, 64, 64, 1), dtype=np.float32) - 0.5
        inputs = layers.Input((64, 64, 1))
        h = layers.MaxPool2D(2)(norm(layers.Conv2D(8, 3, padding="same")(inputs)))
        for filters in (16, 32, 64):
            h = norm(layers.DepthwiseConv2D(3, padding="same")(h))
            h = layers.MaxPool2D(2)(norm(layers.Conv2D(filters, 1)(h)))
        h = layers.GlobalAveragePooling2D()(h)
    model = tf.keras.Model(inputs, layers.Dense(6, activation="softmax")(h))
    y = np.arange(2048) % 6
    model.compile("adam", "sparse_categorical_crossentropy")

    class Clock(tf.keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.wall, self.cpu = time.perf_counter(), processor()

        def on_epoch_end(self, epoch, logs=None):
            print(f"{time.perf_counter() - self.wall:.4f} {processor() - self.cpu:.2f}", flush=True)

    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0, callbacks=[Clock()])


def processor():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def times(command):
    """The epochs but the first, which compiles and fills caches."""
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")
    return [tuple(map(float, line.split())) for line in lines if line][1:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("--keras", default=sys.executable)
    parser.add_argument("--as-keras")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json")
    args = parser.parse_args()
    if args.as_keras:
        return keras(args.as_keras, args.epochs, args.threads)
    figures = {}
    print(f"{'network':8} {'':6} {'wall s':>9} {'least':>9} {'CPU s':>9} {'least':>9}")
    for network in ("1d", "2d"):
        sides = {
            "LARUN": [args.program, network, str(args.epochs), str(args.threads)],
            "Keras": [args.keras, __file__, "--as-keras", network, "--epochs", str(args.epochs),
                      "--threads", str(args.threads)],
        }
        seen = {side: [] for side in sides}
        for _ in range(args.rounds):
            for side, command in sides.items():
                seen[side] += times(command)
        for side, epochs in seen.items():
            wall, cpu = zip(*epochs)
            figures[f"{network} {side}"] = {
                "wall": statistics.median(wall), "wall_least": min(wall),
                "cpu": statistics.median(cpu), "cpu_least": min(cpu),
            }
            print(f"{network:8} {side:6} {statistics.median(wall):9.3f} {min(wall):9.3f} "
                  f"{statistics.median(cpu):9.3f} {min(cpu):9.3f}", flush=True)
        larun, other = figures[f"{network} LARUN"], figures[f"{network} Keras"]
        ratios = {key: larun[key] / other[key] for key in larun}
        figures[f"{network} ratio"] = ratios
        print(f"{network:8} {'ratio':6} {ratios['wall']:9.2f} {ratios['wall_least']:9.2f} "
              f"{ratios['cpu']:9.2f} {ratios['cpu_least']:9.2f}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(figures, file, indent=2)


main()
