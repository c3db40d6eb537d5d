"""P12. How much memory do a very long run and a very large sweep take, beyond what a small one takes?"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

import eosfast as eos
import neuron_runs
from race import Ratio

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.benchmark(timer=time.perf_counter)  # the work is done by other processes

PROCESS = """
import json, resource, sys
sys.path[:0] = json.loads(sys.argv[1])
import numpy as np, xarray
import eosfast as eos
unit = 1 if sys.platform == "darwin" else 1024
def peak():
    if sys.platform == "linux":  # ru_maxrss begins with the size of the process that started this one
        status = open("/proc/self/status").read()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def run(num_steps):
    record = eos.Record(every=num_steps // 1000, quantities=("loss", "weights"))
    return eos.train(eos.SingleNeuron(), [0.03, 122.0], eos.GD(2e-4), num_steps=num_steps, record=record,
                     stop=eos.Stop(steady=False))
def sweep(count):
    side = round(count ** 0.5)
    grid = {"lr": np.linspace(1e-3, 1.25e-3, side), "y": np.linspace(50.0, 56.0, side)}
    return eos.sweep(eos.SingleNeuron(), eos.GD(), grid, w0={"x": 0.03}, num_steps=10)
work = {"run": run, "sweep": sweep}[sys.argv[2]]
work(10_000)  # everything is loaded and every thread is there
before = peak()
result = work(int(sys.argv[3]))
print(json.dumps([peak() - before, result.nbytes, result.weights.values.reshape(-1, 2)[-1].tolist()]))
"""


def measured(what, size):
    """Bytes beyond those of a small problem, bytes of the result, last weights of the result."""
    command = [sys.executable, "-c", PROCESS, json.dumps(sys.path), what, str(size)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_long_run(race):
    """1000 records of 1e9 steps, all of them done: as much as for 1e6 steps."""
    race.benchmark.group = "P12 memory"
    num_steps = race.size(1_000_000_000, 1_000_000)
    extra, size, w = race.benchmark.pedantic(measured, ("run", num_steps))
    assert extra <= 2 * size + 2**20
    if num_steps == 1_000_000:
        np.testing.assert_allclose(w, neuron_runs.by_hand("sqrt", 2e-4, 0.03, 122.0, num_steps), rtol=1e-9)
    assert 1.99 < 2e-4 * w[1] ** 2 < 3  # stays at the edge, or ends just below it
    race.benchmark.extra_info.update(build_info=eos.build_info(), threads=1, bytes_beyond=extra, bytes_of_result=size)
    page = 2**20  # what the allocator may take at any time
    ratio = (extra + page) / (measured("run", 1_000_000)[0] + page)
    race.note(Ratio("P12", "bytes, 1000 records", f"{num_steps:.0e} steps", "1e6 steps", ratio, "1"))


def test_large_sweep(race):
    """1e7 runs, the default measures."""
    race.benchmark.group = "P12 memory"
    count = race.size(3163, 600) ** 2
    extra, size, w = race.benchmark.pedantic(measured, ("sweep", count))
    np.testing.assert_allclose(w, neuron_runs.by_hand("sqrt", 1.25e-3, 0.03, 56.0, 10), rtol=1e-9)
    assert extra <= 2 * size + 2**20
    race.benchmark.extra_info.update(build_info=eos.build_info(), bytes_beyond=extra, bytes_of_result=size)
    race.note(Ratio("P12", "bytes of a sweep", f"{count:.0e} runs", "its result", extra / size, "<= 2"))
