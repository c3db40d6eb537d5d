"""P6. What does a step of a very small network cost, alone and in a sweep: m = 20 on the four XOR points?"""

from __future__ import annotations

import functools

import numpy as np
import pytest

import eosfast as eos
import xor_peers
from network_runs import EVERY_STEP

M = 20
MODEL = functools.cache(
    lambda: eos.TwoLayerNetwork(eos.datasets.xor(), M, eos.Leaky("softplus", 0.5, 0.125), loss="logistic")
)
GOALS = {
    ("one run", "C loop"): ">= 1.0",
    ("sweep", "JAX plain"): ">= 2.2",
    ("sweep", "JAX expert"): ">= 2",
}


def networks(count):
    """Step sizes below those that oscillate, starts of the model's own law."""
    W0 = np.array([MODEL().init(seed).reshape(M, 2) for seed in range(count)])
    return xor_peers.Networks(np.linspace(20.0, 60.0, count), W0)


def our_run(one, num_steps):
    record = eos.Record(every=num_steps, quantities=("weights",))
    optimizer, w0 = eos.GD(float(one.lr[0])), one.W0[0].ravel()
    return lambda: eos.train(MODEL(), w0, optimizer, num_steps=num_steps, record=record, stop=EVERY_STEP)


def our_sweep(many, num_steps):
    grid = {"lr": ("run", many.lr), "seed": ("run", np.arange(len(many.lr)))}
    return lambda: eos.sweep(
        MODEL(), eos.GD(), grid, num_steps=num_steps, measure=("weights",), stop=EVERY_STEP, num_threads=1
    )


def check(W, given, num_steps, rtol):
    (expected,) = xor_peers.numpy_steps(given, num_steps)()
    assert W.shape == expected.shape
    np.testing.assert_allclose(W, expected, rtol=rtol, atol=rtol)


def check_some(W, many, num_steps, rtol, samples=4):
    """Some of the runs, spread over all."""
    chosen = np.linspace(0, len(many.lr) - 1, samples).astype(int)
    check(W[chosen], xor_peers.Networks(many.lr[chosen], many.W0[chosen]), num_steps, rtol)


class TestOneRun:
    """200,000 steps, nothing recorded on the way."""

    def test_eosfast(self, race):
        race.benchmark.group = "P6 XOR m=20, one run"
        one, num_steps = networks(1), race.size(200_000, 200)
        result = race(our_run(one, num_steps), steps=num_steps)
        check(result.weights.values[-1].reshape(1, M, 2), one, race.size(200_000, 200), 1e-8)

    @pytest.mark.parametrize("rival", xor_peers.ONE_RUN, ids=str, indirect=True)
    def test_peer(self, race, rival):
        race.benchmark.group = "P6 XOR m=20, one run"
        one, num_steps = networks(1), race.size(200_000, 200)
        num_peer_steps = num_steps if rival.name == "C loop" or race.short else num_steps // 20
        (W,) = race(
            rival.build(one, num_peer_steps), our_run(one, num_steps), names=(rival.name, "eosfast"),
            steps=(num_peer_steps, num_steps), **rival.about(), question="P6", what="XOR m=20, one run",
            goal=GOALS.get(("one run", rival.name), ""),
        )  # fmt: skip
        check(W, one, num_peer_steps, rival.rtol)


class TestSweep:
    """1024 runs of 2000 steps."""

    def test_eosfast(self, race):
        race.benchmark.group = "P6 XOR m=20, sweep"
        many, num_steps = networks(race.size(1024, 128)), race.size(2000, 100)
        result = race(our_sweep(many, num_steps), steps=len(many.lr) * num_steps)
        check_some(result.weights.values.reshape(many.W0.shape), many, num_steps, 1e-8)

    @pytest.mark.parametrize("rival", xor_peers.MANY_RUNS, ids=str, indirect=True)
    def test_peer(self, race, rival):
        race.benchmark.group = "P6 XOR m=20, sweep"
        many, num_steps = networks(race.size(1024, 128)), race.size(2000, 100)
        slow = rival.name in ("JAX autograd", "JAX plain", "NumPy") and not race.short
        num_peer_steps = num_steps // 5 if slow else num_steps
        (W,) = race(
            rival.build(many, num_peer_steps), our_sweep(many, num_steps), names=(rival.name, "eosfast"),
            steps=(len(many.lr) * num_peer_steps, len(many.lr) * num_steps), **rival.about(),
            question="P6", what="XOR m=20, sweep", goal=GOALS.get(("sweep", rival.name), ""),
        )  # fmt: skip
        check_some(W, many, num_peer_steps, rival.rtol)
