"""Makes Keras networks, with samples and the float .tflite that TensorFlow converts them to, for `bench_quantize.py`.

    keras_networks.py FOLDER

Weights are random by a fixed seed, with batch-norm statistics settled on the samples. Each network gets a folder with
`model.keras`, `calib.npy` (100 samples), `test.npy` (16) and `tf_fp32` with `model.tflite` and its outputs for the latter: TensorFlow's whole converter starts from the first, other
converters from the last. Needs tensorflow.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

SAMPLES, TESTS = 100, 16


def block(x, layer):
    return layers.ReLU()(layers.BatchNormalization()(layer(x)))


def ad_autoencoder(x):
    """MLPerf Tiny's anomaly detection."""
    for units in [128, 128, 128, 128, 8, 128, 128, 128, 128]:
        x = block(x, layers.Dense(units))
    return layers.Dense(640)(x)


def dscnn_kws(x):
    """MLPerf Tiny's keyword spotting."""
    x = block(x, layers.Conv2D(64, (10, 4), strides=2, padding="same"))
    for _ in range(4):
        x = block(x, layers.DepthwiseConv2D(3, padding="same"))
        x = block(x, layers.Conv2D(64, 1))
    return layers.Dense(12, "softmax")(layers.Flatten()(layers.AveragePooling2D((25, 5))(x)))


def resnet8(x):
    """MLPerf Tiny's image classification."""
    x = block(x, layers.Conv2D(16, 3, padding="same"))
    for filters, stride in [(16, 1), (32, 2), (64, 2)]:
        y = block(x, layers.Conv2D(filters, 3, strides=stride, padding="same"))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(y))
        if stride > 1:
            x = layers.Conv2D(filters, 1, strides=stride, padding="same")(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    return layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(x))


def mobilenet_v1_025_96(x):
    """MLPerf Tiny's visual wake words."""
    x = block(x, layers.Conv2D(8, 3, strides=2, padding="same"))
    plan = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)] + [(128, 1)] * 5 + [(256, 2), (256, 1)]
    for filters, stride in plan:
        x = block(x, layers.DepthwiseConv2D(3, strides=stride, padding="same"))
        x = block(x, layers.Conv2D(filters, 1))
    return layers.Dense(2, "softmax")(layers.GlobalAveragePooling2D()(x))


def seed_cnn1d(x):
    """A light curve of 1024 points, plain convolutions."""
    for filters in [8, 16]:
        x = layers.MaxPooling1D(4)(layers.Conv1D(filters, 7, padding="same", activation="relu")(x))
    return layers.Dense(6, "softmax")(layers.Dense(16, "relu")(layers.GlobalAveragePooling1D()(x)))


NETWORKS = {
    "ad_autoencoder": (ad_autoencoder, [640]),
    "dscnn_kws": (dscnn_kws, [49, 10, 1]),
    "mobilenet_v1_025_96": (mobilenet_v1_025_96, [96, 96, 3]),
    "resnet8": (resnet8, [32, 32, 3]),
    "seed_cnn1d": (seed_cnn1d, [1024, 1]),
}


def main():
    root = Path(sys.argv[1])
    for name, (build, shape) in NETWORKS.items():
        folder = root / name
        if (folder / "tf_fp32/out0.npy").exists():
            continue
        keras.utils.set_random_seed(1)
        inputs = keras.Input(shape, batch_size=1)
        model = keras.Model(inputs, build(inputs))
        noise = np.random.default_rng(1).normal(size=[SAMPLES + TESTS, *shape]).astype(np.float32)
        data, tests = noise[:SAMPLES], noise[SAMPLES:]
        # Statistics of one pass over the samples, each layer's after those before it.
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                before = keras.Model(inputs, layer.input)
                seen = np.concatenate([np.asarray(before(data[i : i + 1])) for i in range(0, SAMPLES, 10)])
                axes = tuple(range(seen.ndim - 1))
                layer.moving_mean.assign(seen.mean(axes))
                layer.moving_variance.assign(seen.var(axes))
        (folder / "tf_fp32").mkdir(parents=True, exist_ok=True)
        np.save(folder / "calib.npy", data)
        model.save(folder / "model.keras")
        converted = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        (folder / "tf_fp32/model.tflite").write_bytes(converted)
        np.save(folder / "test.npy", tests)
        np.save(folder / "tf_fp32/out0.npy", np.stack([np.asarray(model(test[None])) for test in tests]))
        print(name, len(converted), file=sys.stderr)


if __name__ == "__main__":
    main()
