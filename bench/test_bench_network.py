"""P4, P5. What does a step of a two-layer network cost, and how does that grow with n, d, m, threads and precision?"""

from __future__ import annotations

import functools
import time

import numpy as np
import pytest

import network_peers
import network_runs
from eosfast.resources import available_threads

GOALS = {
    "torch autograd": {"P4": ">= 3.5", "P5": ">= 900"},
    "JAX expert": {"P4": ">= 1.1"},
    "JAX dual": {"P5": ">= 1.0"},
}
TALL, WIDE = (1000, 784, 128), (200, 100_000, 64)

problem_of = functools.cache(network_runs.two_layer)


def scaled(race, sizes):
    """n, d, m; small ones where nothing is timed."""
    return tuple(race.size(size, min(size, small)) for size, small in zip(sizes, (60, 90, 8), strict=True))


def against_peer(race, peer, question, sizes, num_steps, num_peer_steps):
    """Time a peer against us; it has to end where the definition ends."""
    n, d, m = sizes
    race.benchmark.group = f"{question} two-layer GELU, n={n} d={d} m={m}"
    problem = problem_of(*scaled(race, sizes))
    theirs, ours = peer.build(problem, num_peer_steps), network_runs.ours(problem, num_steps)
    (W,) = race(
        theirs, ours, names=(peer.name, "eosfast"), steps=(num_peer_steps, num_steps), **peer.about(),
        question=question, what=f"n={n} d={d} m={m}", goal=GOALS.get(peer.name, {}).get(question, ""),
    )  # fmt: skip
    network_runs.check(W, problem, num_peer_steps, peer.rtol)


class TestTall:
    """n = 1000, d = 784, m = 128: two products of 2e8 operations each, and 128,000 GELUs."""

    def test_eosfast(self, race):
        race.benchmark.group = "P4 two-layer GELU, n=1000 d=784 m=128"
        problem, num_steps = problem_of(*scaled(race, TALL)), race.size(50, 2)
        result = race(network_runs.ours(problem, num_steps), steps=num_steps)
        network_runs.check(network_runs.end(result, problem), problem, num_steps, 1e-9)

    @pytest.mark.parametrize("rival", network_peers.TALL, ids=str, indirect=True)
    def test_peer(self, race, rival):
        num_steps = race.size(50, 2)
        against_peer(race, rival, "P4", TALL, num_steps, num_steps)


class TestWide:
    """n = 200, d = 100,000, m = 64: the weights move inside the span of 200 samples."""

    def test_eosfast(self, race):
        race.benchmark.group = "P5 two-layer GELU, n=200 d=100000 m=64"
        problem, num_steps = problem_of(*scaled(race, WIDE)), race.size(10_000, 2)
        result = race(network_runs.ours(problem, num_steps), steps=num_steps)
        network_runs.check(network_runs.end(result, problem), problem, num_steps, 1e-7)

    @pytest.mark.parametrize("rival", network_peers.WIDE, ids=str, indirect=True)
    def test_peer(self, race, rival):
        num_steps = race.size(10_000, 2)
        against_peer(race, rival, "P5", WIDE, num_steps, num_steps if rival.name == "JAX dual" else race.size(3, 2))


def our_step(race, sizes, against, what, *, work=2e9, rtol=1e-9, **options):
    """Time a step of ours at these sizes over a step at others. `work` is what a run multiplies, or nearly."""
    lengths = []
    for n, d, m in (sizes, against):
        lengths.append(race.size(max(3, int(work / (n * min(n, d) * m))), 2))
    problem, base = (problem_of(*scaled(race, each)) for each in (sizes, against))
    named = ["n={} d={} m={}".format(*each) for each in (sizes, against)]
    result = race(
        network_runs.ours(problem, lengths[0], **options), network_runs.ours(base, lengths[1], **options),
        names=tuple(named), steps=tuple(lengths), question="P5" if what == "d" else "P4", what=f"growth with {what}",
    )  # fmt: skip
    network_runs.check(network_runs.end(result, problem), problem, lengths[0], rtol)


@pytest.mark.parametrize("d", [100, 1_000, 10_000, 100_000])
def test_d(race, d):
    """From d = n on the run should cost the same at any d."""
    race.benchmark.group = "growth with d, n=200 m=64"
    our_step(race, (200, d, 64), (200, 200, 64), "d")


@pytest.mark.parametrize("n", [10, 100, 1_000, 10_000])
def test_n(race, n):
    race.benchmark.group = "growth with n, d=100 m=64"
    our_step(race, (n, 100, 64), (100, 100, 64), "n")


@pytest.mark.parametrize("m", [4, 16, 64, 256, 1024])
def test_m(race, m):
    race.benchmark.group = "growth with m, n=200 d=100"
    our_step(race, (200, 100, m), (200, 100, 64), "m")


@pytest.mark.parametrize("threads", [k for k in (2, 4, 8) if k <= available_threads()])
@pytest.mark.benchmark(timer=time.perf_counter)
def test_threads(race, threads):
    """One thread against several, by the clock on the wall whatever timer is chosen."""
    race.benchmark.group = "P4 threads"
    problem, num_steps = problem_of(*scaled(race, TALL)), race.size(50, 2)
    several = network_runs.ours(problem, num_steps, num_threads=threads)
    result = race(
        several, network_runs.ours(problem, num_steps), names=(f"{threads} threads", "1 thread"), inverse=True,
        steps=num_steps, threads=threads, question="P4", what="n=1000 d=784 m=128",
        goal=">= 1.8" if threads == 2 else "",
    )  # fmt: skip
    alone = network_runs.ours(problem, num_steps)()
    np.testing.assert_array_equal(result.weights, alone.weights)


@pytest.mark.parametrize("sizes", [TALL, WIDE], ids=["tall", "wide"])
def test_precision(race, sizes):
    """float64 against float32, which moves half the bytes."""
    race.benchmark.group = "P4 precision"
    problem, num_steps = problem_of(*scaled(race, sizes)), race.size(50 if sizes is TALL else 2000, 2)
    single = problem.astype("float32")
    result = race(
        network_runs.ours(single, num_steps), network_runs.ours(problem, num_steps), names=("float32", "float64"),
        inverse=True, steps=num_steps, question="P4", what="n={} d={} m={}".format(*sizes),
    )  # fmt: skip
    network_runs.check(network_runs.end(result, single), single, num_steps, 1e-3)
