"""P1. What does a run of a sweep cost beside its steps, from 1e3 runs to 1e7, and how wide are the lanes?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import eosfast as eos
import neuron_runs
from eosfast._dispatch import _cpu

SWEEP = """
import json, sys, time
import eosfast as eos, neuron_runs
loss, count, num_steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
runs = neuron_runs.at_the_edge(count)
sweep = neuron_runs.sweep(loss, runs, num_steps)
sweep()
seconds = []
for _ in range(int(sys.argv[4])):
    began = time.process_time()
    result = sweep()
    seconds.append(time.process_time() - began)
print(json.dumps({"isa": eos.isa, "seconds": seconds, "ends": [list(a) for a in neuron_runs.ends(result)]}))
"""


@pytest.mark.parametrize("count", [1_000, 10_000, 100_000, 1_000_000, 10_000_000], ids="{:.0e}".format)
def test_number_of_runs(race, count):
    """Runs of only 100 steps: what it takes to start and to write down a run shows."""
    race.benchmark.group = "P1 number of runs, sqrt, 100 steps"
    count = race.size(count, min(count, 100_000))
    runs, num_steps = neuron_runs.at_the_edge(count), 100
    result = race(neuron_runs.sweep("sqrt", runs, num_steps), steps=count * num_steps, runs=count)
    neuron_runs.check("sqrt", runs, num_steps, neuron_runs.ends(result), samples=100)


@pytest.mark.parametrize("num_steps", [0, 10, 100, 1_000, 10_000], ids=str)
def test_number_of_steps(race, num_steps):
    """The same from the other side, 40,000 runs: a sweep of no steps costs what a run costs beside its steps."""
    race.benchmark.group = "P1 number of steps, sqrt, 40,000 runs"
    runs, num_steps = neuron_runs.at_the_edge(race.size(40_000, 1_000)), race.size(num_steps, min(num_steps, 100))
    result = race(neuron_runs.sweep("sqrt", runs, num_steps), steps=len(runs.lr) * max(num_steps, 1))
    neuron_runs.check("sqrt", runs, num_steps, neuron_runs.ends(result))


@pytest.mark.parametrize("loss", neuron_runs.LOSSES)
@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 24, 32, 64, 128])
def test_runs_side_by_side(race, loss, count):
    """A few runs share the registers: time against their number shows how many go at the price of one."""
    race.benchmark.group = f"P1 runs side by side, {loss}"
    runs, num_steps = neuron_runs.at_the_edge(count), race.size(200_000, 1_000)
    result = race(neuron_runs.sweep(loss, runs, num_steps), steps=count * num_steps)
    neuron_runs.check(loss, runs, num_steps, neuron_runs.ends(result), samples=1)


@pytest.mark.parametrize("loss", neuron_runs.LOSSES)
@pytest.mark.parametrize("variant", sorted(_cpu.variants()))
@pytest.mark.benchmark(timer=time.perf_counter)
def test_register_width(race, loss, variant):
    """The instruction-set variants of this build: two, four or eight numbers in a register. Each in its own process."""
    race.benchmark.group = f"P1 instruction sets, {loss}"
    if not _cpu.variants()[variant] <= _cpu.features():
        pytest.skip(f"this processor cannot run {variant}")
    count, num_steps = race.size(4096, 64), race.size(20_000, 500)
    rounds = race.size(7, 1)
    arguments = [sys.executable, "-c", SWEEP, loss, str(count), str(num_steps), str(rounds)]
    environment = os.environ | {"EOSFAST_ISA": variant, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = race.benchmark.pedantic(
        subprocess.run, (arguments,), {"env": environment, "capture_output": True, "text": True, "check": True}
    )
    report = json.loads(process.stdout)
    assert report["isa"] == variant
    best = min(report["seconds"]) / (count * num_steps)
    race.benchmark.extra_info.update(build_info=eos.build_info() | {"isa": variant}, threads=1, seconds_per_step=best)
    neuron_runs.check(loss, neuron_runs.at_the_edge(count), num_steps, tuple(map(np.array, report["ends"])))
