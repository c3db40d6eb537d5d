"""Random and damaged input for everything that reads files: specifications, changes of them, grids, checkpoints,
CIFAR-10 batches. Whatever comes, the only exceptions are the ones that are promised.

``python tests/fuzz.py --seconds 60 [--seed 0] [TARGET ...]`` runs until the time is over and prints how many inputs
each target has seen; the tests run a few of each (test_fuzz.py).
"""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
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
from fuzz_checkpoints import Checkpoints
from fuzz_specifications import Noise, Specifications, refusal


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


TARGETS = {
    "specifications": Specifications,
    "noise": Noise,
    "grids": Grids,
    "checkpoints": Checkpoints,
    "batches": Batches,
}


MOST_FAILURES = 20
PATIENCE = 60  # seconds for one input, or to set up a target


def fuzz(target, folder, seed, *, count=None, seconds=None):
    """Try inputs until there were `count`, or for some seconds; return how many."""
    tried, one, began = 0, TARGETS[target](folder), time.monotonic()
    while (count is None or tried < count) and (seconds is None or time.monotonic() - began < seconds):
        attempt(one, target, seed, tried)
        tried += 1
    return tried


def attempt(one, target, seed, number):
    """Try one input. Each has a seed of its own, which an AssertionError tells."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            one.one(random.Random(f"{seed}.{number}"))
        except Exception as error:
            raise AssertionError(f"{target}, seed {seed}, input {number}") from error


def work(target, folder, seed, end, begun, failed):
    """Try inputs, counting them where another process sees it."""
    faulthandler.enable()
    one = TARGETS[target](folder)
    while time.monotonic() < end and failed.value < MOST_FAILURES:
        begun.value += 1
        try:
            attempt(one, target, seed, begun.value - 1)
        except AssertionError:
            traceback.print_exc(limit=-4)
            failed.value += 1


def watched(target, folder, seed, seconds):
    """Return how many inputs a target saw within some seconds, and how many failed. They are tried in another process:
    one that crashes or hangs it is a failure as well.
    """
    fork = multiprocessing.get_context("fork")
    begun, failed = (fork.Value("q", 0, lock=False) for _ in range(2))
    end = time.monotonic() + seconds
    while time.monotonic() < end and failed.value < MOST_FAILURES:
        child = fork.Process(target=work, args=(target, folder, seed, end, begun, failed))
        child.start()
        seen = -1
        while child.is_alive() and begun.value != seen:
            seen = begun.value
            child.join(PATIENCE)
        hangs = child.is_alive()
        if hangs:
            child.kill()
            child.join()
        if child.exitcode:
            how = "hangs" if hangs else f"ends the process ({child.exitcode})"
            print(f"{target}, seed {seed}, input {begun.value - 1} {how}", flush=True)
            failed.value += 1
    return begun.value, failed.value


def main():
    """Fuzz from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []])
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gigabytes", type=float, default=6, help="address space; what needs more is a MemoryError")
    options = parser.parse_args()
    import resource

    limit = int(options.gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a disk is slow at creating files
    for target in options.targets or TARGETS:
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            tried, failed = watched(target, Path(folder), options.seed, options.seconds)
        print(f"{target}: {tried} inputs, {failed} failures", flush=True)


if __name__ == "__main__":
    main()
