"""P10, P11. What does everything around the steps cost: the import, the first call, and a call as a whole?"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest

import eosfast as eos
import neuron_runs
from race import Ratio

IMPORT = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"

CALLS = """
import json, sys, time
sys.path[:0] = json.loads(sys.argv[1])
import numpy as np, xarray
import eosfast as eos
xarray.Dataset({"a": ("t", [0.0])}, {"t": [0]})  # at the first Dataset, xarray looks for optional packages
if sys.argv[2] == "train":
    def call():
        return eos.train(eos.SingleNeuron(), [0.3, 15.0], eos.GD(0.01), num_steps=1000)
else:
    def call():
        grid = {"lr": np.linspace(0.005, 0.02, 10), "y": np.linspace(2.0, 20.0, 10)}
        return eos.sweep(eos.SingleNeuron(), eos.GD(), grid, w0={"x": 0.3}, num_steps=10_000, num_threads=1)
seconds = []
for _ in range(10):
    began = time.perf_counter()
    result = call()
    seconds.append(time.perf_counter() - began)
print(json.dumps([seconds, float(result.loss.values.ravel()[-1])]))
"""


def fresh(*command):
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True).stdout


def seconds_to_import(module):
    return float(fresh("-c", IMPORT.format(module)))


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("module", ["eosfast", "numpy", "xarray", "jax", "numba"])
def test_import(race, module):
    """`import <module>` in fresh interpreters, in turn with `import numpy`, which eosfast needs itself."""
    race.benchmark.group = "P10 import in a fresh process"
    pytest.importorskip(module)
    times, numpy_times = [], []

    def in_turn():
        times.append(seconds_to_import(module))
        numpy_times.append(seconds_to_import("numpy"))

    race.benchmark.pedantic(in_turn, rounds=race.size(15, 1), warmup_rounds=race.size(1, 0))
    assert min(times + numpy_times) > 0.0
    race.benchmark.extra_info.update(build_info=eos.build_info(), threads=1, seconds=statistics.median(times))
    goal = "<= 1.4" if module == "eosfast" else ""
    ratio = statistics.median(times) / statistics.median(numpy_times)
    race.note(Ratio("P10", "import in a fresh process", module, "numpy", ratio, goal))


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("verb", ["train", "sweep"])
def test_first_call(race, verb):
    """The first call in a fresh process over the later ones: nothing is compiled. (The import of xarray is apart.)"""
    race.benchmark.group = "P10 first call in a fresh process"
    firsts, laters = [], []

    def process():
        seconds, loss = json.loads(fresh("-c", CALLS, json.dumps(sys.path), verb))
        firsts.append(seconds[0])
        laters.extend(seconds[1:])
        return loss

    loss = race.benchmark.pedantic(process, rounds=race.size(15, 1))
    lr, y, num_steps = (0.01, 15.0, 1000) if verb == "train" else (0.02, 20.0, 10_000)
    expected = np.sqrt(1.0 + np.prod(neuron_runs.by_hand("sqrt", lr, 0.3, y, num_steps)) ** 2)
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    first, later = statistics.median(firsts), statistics.median(laters)
    race.benchmark.extra_info.update(build_info=eos.build_info(), threads=1, first_call=first, later_calls=later)
    race.note(Ratio("P10", f"first call of {verb}", "first", "later", first / later, "<= 2"))


def test_train_as_a_whole(race):
    """1000 steps of the smallest model with every loss recorded, up to the finished Dataset: at most 2 ms."""
    race.benchmark.group = "P11 a whole call"
    result = race(
        lambda: eos.train(eos.SingleNeuron(), [0.3, 15.0], eos.GD(0.01), num_steps=1000),
        steps=1000, goal="<= 2 ms",
    )  # fmt: skip
    assert result.sizes["step"] == 1001
    x, y = neuron_runs.by_hand("sqrt", 0.01, 0.3, 15.0, 1000)
    np.testing.assert_allclose(result.loss[-1], np.sqrt(1.0 + (x * y) ** 2), rtol=1e-12)


def test_sweep_as_a_whole(race):
    """A sweep of a single run of 1000 steps."""
    race.benchmark.group = "P11 a whole call"
    start = {"x": 0.3, "y": 15.0}
    result = race(
        lambda: eos.sweep(eos.SingleNeuron(), eos.GD(), {"lr": [0.01]}, w0=start, num_steps=1000, num_threads=1),
        steps=1000,
    )
    expected = neuron_runs.by_hand("sqrt", 0.01, 0.3, 15.0, 1000)
    np.testing.assert_allclose(result.weights.values[0], expected, rtol=1e-9)
