#!/usr/bin/env python3
"""seeds.py CORPUS DEST: small models of every operator, from the archives of a corpus, as first inputs of the fuzzer."""

import json
import os
import struct
import sys

MOST_BYTES = 8 << 10
PER_ARCHIVE = 4


def skip_tensor(archive, at):
    _, rank, _ = struct.unpack_from("<BBH", archive, at)
    (size,) = struct.unpack_from("<I", archive, at + 4 + 4 * rank)
    return at + 8 + 4 * rank + size


def models(archive):
    """The name and model of every case of an archive."""
    assert archive[:8] == b"TFOC0001"
    (count,) = struct.unpack_from("<I", archive, 8)
    at = 16
    for _ in range(count):
        at += -at % 16
        meta, model, sets, inputs, outputs, others, _, _ = struct.unpack_from("<8I", archive, at)
        at += 32
        name = json.loads(archive[at : at + meta])["name"]
        at += meta
        at += -at % 16
        yield name, archive[at : at + model]
        at += model
        for _ in range(sets * (inputs + outputs * (2 if others else 1))):
            at = skip_tensor(archive, at)


def main(corpus, destination):
    os.makedirs(destination, exist_ok=True)
    ops = os.path.join(corpus, "ops")
    for file in sorted(name for name in os.listdir(ops) if name.endswith(".tfoc")):
        with open(os.path.join(ops, file), "rb") as opened:
            found = [case for case in models(opened.read()) if len(case[1]) <= MOST_BYTES]
        # Spread over the archive: neighbours are alike.
        step = max(1, len(found) // PER_ARCHIVE)
        for name, model in found[::step][:PER_ARCHIVE]:
            path = os.path.join(destination, f"{file.removesuffix('.tfoc')}-{name}".replace("/", "_"))
            with open(path, "wb") as seed:
                # The last bytes choose the values of the model's inputs.
                seed.write(model + b"\0" * 8)


if __name__ == "__main__":
    main(*sys.argv[1:])
