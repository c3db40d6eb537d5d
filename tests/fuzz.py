"""Random and damaged input for everything that reads files: specifications, changes of them, grids, CIFAR-10 batches.
Whatever comes, the only exceptions are the ones that are promised.

``python tests/fuzz.py --seconds 60 [--seed 0] [TARGET ...]`` runs until the time is over and prints how many inputs
each target has seen; the tests run a few of each (test_fuzz.py).
"""

from __future__ import annotations

import argparse
import pickle
import random
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

import eosfast as eos
from eosfast.datasets.batch_files import read_binary_batch, read_python_batch
from eosfast.grid import read_grid
from eosfast.specification import LAYOUT, SpecificationError, read

SPECS = [
    LAYOUT.replace("200", "4").replace("300", "5"),
    """
num_steps = 10
measure = ["loss", {type = "Mean", quantity = "loss", last = 3}]
w0 = [1.0, 2.0, 0.5]
[model]
type = "ScalarProduct"
depth = 3
[optimizer]
type = "HeavyBall"
momentum = 0.5
[grid]
lr = [0.1, 0.2]
[grid.zip.run]
model.target = [1, 2]
seed = {range = [0, 2]}
""",
    """
num_steps = 3
[model]
type = "MLP"
widths = [2, 3]
data = {name = "xor", dim = 2}
activation = {type = "Leaky", phi = {type = "HuberizedReLU", h = 0.5}, c = 0.5, k = 0.5}
[optimizer]
type = "GD"
lr = 0.1
[stop]
grad_norm = 1e-9
[grid]
widths = [[2, 3], [4]]
""",
    """
num_steps = 3
model = {type = "QuadraticRegression.diagonal", eigenvalues = [1.0, 2.0]}
optimizer = {type = "Nesterov", momentum = 0.1, lr = 1}
grid.model = [{type = "QuadraticRegression.random", D = 2, P = 2, sigma_z = 1, sigma_J = 1}]
""",
    """
num_steps = 3
model = {type = "LogisticRegression", data = {name = "digits", classes = [3, 5], n = 9}}
optimizer = {type = "NormalizedGD"}
grid = {lr = [1], data = [{name = "Dataset", X = [[1, 2], [3, 4]], y = [1, -1]}, {name = "two_point", gamma = 0.1}]}
""",
]

VALUES = [
    *("0", "1", "2", "-1", "3", "true", "false", "nan", "inf", "-inf", "1e308", "-1e308", "5e-324", "0.5", "-0.0"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "1" + "0" * 400, "1099511627776"),
    *('""', '"a"', '"loss"', '"GD"', '"seed"', '"\\u0000"', '"\\n"', '"0.1"', '"xor"', '"é"', "1979-05-27", "12:30:00"),
    *(
        "[]",
        "[[]]",
        "[1, true]",
        "[[1], 2]",
        "[1, [2]]",
        "{}",
        '{type = "Leaky"}',
        '{name = "xor"}',
        "[1, 2, 3]",
        "[nan]",
    ),
    *("{linspace = [1, 2, 3]}", "{geomspace = [1, 2, 3]}", "{range = [1, 3]}", "{linspace = 3}", "{range = [1, 2, 3]}"),
    *("{linspace = [], range = []}", '[{type = "SingleNeuron"}]', '["relu"]', "[0.1, 0.2]", "[-1]", '{type = "GD"}'),
]

KEYS = [
    *(
        "num_steps",
        "seed",
        "measure",
        "model",
        "optimizer",
        "w0",
        "stop",
        "grid",
        "grid.zip",
        "grid.zip.run",
        "lr",
        "x",
    ),
    *(
        "type",
        "name",
        "data",
        "loss",
        "activation",
        "widths",
        "momentum",
        "linspace",
        "range",
        '"model.loss"',
        "w.x",
        "y",
    ),
    *('""', "w1", "depth", "diverged", "steady", "classes", "Q", "eigenvalues", "target", "model.type", '"a b"', "zip"),
]


def mutated(rng, text):
    """Return a text with a few random changes: of characters, values, keys, lines."""
    for _ in range(rng.randint(1, 4)):
        kind = rng.random()
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        if kind < 0.35:  # a value
            key, equals, _ = lines[at].partition("=")
            if equals:
                lines[at] = f"{key}= {rng.choice(VALUES)}"
        elif kind < 0.5:  # a value within a line
            words = lines[at].split(" ")
            words[rng.randrange(len(words))] = rng.choice(VALUES)
            lines[at] = " ".join(words)
        elif kind < 0.65:  # a key
            _, equals, value = lines[at].partition("=")
            lines[at] = f"{rng.choice(KEYS)} = {value if equals else rng.choice(VALUES)}"
        elif kind < 0.75:
            del lines[at]
        elif kind < 0.85:
            lines.insert(at, lines[rng.randrange(len(lines))] if lines else "")
        else:  # characters
            line = list(lines[at])
            where = rng.randrange(len(line) + 1)
            line[where : where + rng.randint(0, 2)] = rng.choice(
                ["", "[", "]", "{", "}", '"', "=", ".", "\x00", "é", "-"]
            )
            lines[at] = "".join(line)
        text = "\n".join(lines)
        if not text:
            return text
    return text


def refusal(kinds, work):
    """Return the message of the exception of one of these kinds that `work` raises, "" if it raises none."""
    try:
        work()
    except kinds as error:
        message = str(error)
    else:
        return ""
    assert message
    return message


class Specifications:
    """Specifications with changes in their text, and sometimes with ``--set``."""

    def __init__(self, folder):
        self.file = folder / "spec.toml"

    def one(self, rng):
        """Read one."""
        text = mutated(rng, rng.choice(SPECS))
        changes = [f"{rng.choice(KEYS)}={rng.choice(VALUES)}" for _ in range(rng.choice([0, 0, 0, 1, 2]))]
        self.file.write_text(text, encoding="utf-8")
        message = refusal(SpecificationError, lambda: read(self.file, changes))
        assert not message or message.startswith((f"{self.file}: ", "--set "))


class Noise:
    """Specifications that are noise."""

    def __init__(self, folder):
        self.file = folder / "noise.toml"

    def one(self, rng):
        """Read one."""
        content = bytearray(rng.choice(SPECS).encode())
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        self.file.write_bytes(bytes(content[: rng.randint(0, len(content))] if rng.random() < 0.2 else content))
        message = refusal(SpecificationError, lambda: read(self.file))
        assert not message or message.startswith(f"{self.file}: ")


class Grids:
    """Grids of Python values: names, dimensions and values of any kind."""

    models = (
        eos.SingleNeuron(),
        eos.ScalarProduct(depth=3),
        eos.MLP(eos.datasets.xor(), (2,)),
        eos.QuadraticRegression.diagonal([1.0, 2.0]),
        eos.LinearNetwork((1, 2, 1), target=[[1.0]]),
    )
    names = (
        *("lr", "x", "y", "w.x", "w1", "loss", "model.loss", "seed", "model", "widths", "depth", "target", "beta"),
        *(
            "",
            "run",
            "data",
            "Q",
            "G",
            "activation",
            "optimizer.lr",
            "momentum",
            "status",
            "parameter",
            "dtype",
            "bias",
        ),
    )

    def __init__(self, folder):
        pass

    def value(self, rng, depth=0):
        """Return anything."""
        plain = [
            *(
                0,
                1,
                -1,
                2.5,
                True,
                None,
                "a",
                "loss",
                "sqrt",
                "tanh",
                b"a",
                1j,
                10**400,
                2**63,
                float("nan"),
                float("inf"),
            ),
            *(
                np.float32(1.5),
                np.int8(3),
                np.array(2.0),
                np.array([1, 2]),
                np.array(["a"]),
                np.array([None, 1]),
                object,
            ),
            *(
                eos.SingleNeuron(),
                eos.GD(),
                eos.datasets.xor(3),
                eos.Leaky("relu", 0.5, 0.5),
                slice(3),
                {},
                {"a": 1},
                set(),
            ),
            *(np.zeros((2, 2)), np.zeros((0,)), np.datetime64("2020-01-01"), np.array(["2020"], "M8[Y]"), range(3)),
        ]
        kind = rng.random()
        if depth > 2 or kind < 0.5:
            return rng.choice(plain)
        items = [self.value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
        return (
            items
            if kind < 0.7
            else tuple(items)
            if kind < 0.8
            else ("run", items)
            if kind < 0.95
            else np.linspace(1, 2, 3)
        )

    def one(self, rng):
        """Resolve one."""
        model = rng.choice(self.models)
        grid = {rng.choice(self.names): self.value(rng) for _ in range(rng.randint(0, 3))}
        if rng.random() < 0.05:
            grid[rng.choice([3, None, ("a",)])] = [1]
        assert len(refusal((ValueError, TypeError), lambda: self.resolve(grid, model))) < 2000

    def resolve(self, grid, model):
        """Resolve a grid, and look at what comes out."""
        variables = {"loss", "status", "num_steps_done"}
        found = read_grid(grid, model, eos.HeavyBall(), variables, variables)
        assert all(len(axis.values) == found.shape[axis.dim] for axis in found.axes)
        found.coordinates()


class Batches:
    """CIFAR-10 batches with damaged bytes."""

    def __init__(self, folder):
        self.file = folder / "batch"
        pixels = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
        batch = {b"data": pixels, b"labels": [3, 9], b"filenames": [b"a", b"b"]}
        self.pickles = [pickle.dumps(batch, protocol) for protocol in range(6)]
        self.records = np.column_stack([np.array([3, 9], np.uint8), pixels]).tobytes()

    def one(self, rng):
        """Read one."""
        if rng.random() < 0.1:
            reader, content = read_binary_batch, bytearray(self.records)
        else:
            reader, content = read_python_batch, bytearray(rng.choice(self.pickles))
        head = [*range(min(300, len(content))), *range(max(0, len(content) - 150), len(content))]  # not the pixels
        for _ in range(rng.randint(0, 4)):
            content[rng.choice(head)] = rng.choice([rng.randrange(256), *b"(]}ruqQXUKMJtabRc.0NhsS"])
        if rng.random() < 0.2:
            at = rng.choice(head)
            del content[at : at + rng.randint(1, 20)]
        self.file.write_bytes(bytes(content))
        message = refusal(ValueError, lambda: self.read(reader))
        assert not message or str(self.file) in message
        assert "\n" not in message

    def read(self, reader):
        """Read the batch, and look at what comes out."""
        pixels, labels = reader(self.file)
        assert pixels.dtype == labels.dtype == np.uint8
        assert pixels.shape == (len(labels), 3072)
        assert labels.max() < 10


TARGETS = {"specifications": Specifications, "noise": Noise, "grids": Grids, "batches": Batches}


def fuzz(target, folder, seed, *, count=None, seconds=None):
    """Try inputs until there were `count`, or for some seconds; return how many. Each has a seed of its own, which an
    AssertionError tells.
    """
    tried, one = 0, TARGETS[target](folder)
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        while (count is None or tried < count) and (seconds is None or time.monotonic() - began < seconds):
            try:
                one.one(random.Random(f"{seed}.{tried}"))
            except Exception as error:
                raise AssertionError(f"{target}, seed {seed}, input {tried}") from error
            tried += 1
    return tried


def main():
    """Fuzz from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gigabytes", type=float, default=6, help="address space; what needs more is a MemoryError")
    options = parser.parse_args()
    import resource

    limit = int(options.gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for target in options.targets or TARGETS:
        seed, tried, failed = options.seed, 0, 0
        end = time.monotonic() + options.seconds
        with tempfile.TemporaryDirectory() as folder:
            while time.monotonic() < end and failed < 20:
                try:
                    tried += fuzz(target, Path(folder), seed, seconds=end - time.monotonic())
                except AssertionError:
                    traceback.print_exc(limit=-4)
                    failed += 1
                seed += 1000
        print(f"{target}: {tried} inputs, {failed} failures", flush=True)


if __name__ == "__main__":
    main()
