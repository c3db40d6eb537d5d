"""P8. What does a step of second-order regression cost, with 60 outputs and 120 weights?"""

from __future__ import annotations

import functools

import numpy as np
import pytest

import eosfast as eos
import quadratic_peers
from network_runs import EVERY_STEP

LR = 1.0
GOALS = {"torch": ">= 3.5", "JAX einsum": ">= 1.8", "NumPy expert": ">= 1.8"}
SLOW = {"jax.grad", "torch"}


@functools.cache
def model_of(D, P):
    """Far below the edge: the runs are smooth, and all tools have to agree."""
    return eos.QuadraticRegression.random(D, P, sigma_z=0.1 / np.sqrt(D * P), sigma_J=0.5 / (np.sqrt(P) + np.sqrt(D)))


def our_run(model, num_steps, **options):
    record = eos.Record(num_steps, options.pop("quantities", ("weights",)))
    options = {"num_threads": 1, "record": record} | options
    return lambda: eos.train(model, None, eos.GD(LR), num_steps=num_steps, stop=EVERY_STEP, **options)


def model_for(race):
    return model_of(race.size(60, 6), race.size(120, 12))


@pytest.mark.parametrize("rival", quadratic_peers.PEERS, ids=str, indirect=True)
def test_peer(race, rival):
    race.benchmark.group = "P8 D=60 P=120"
    model, num_steps = model_for(race), race.size(2000, 20)
    num_peer_steps = race.size(200 if rival.name in SLOW else 1000, 20)
    w = race(
        rival.build(model, LR, num_peer_steps), our_run(model, num_steps),
        names=(rival.name, "eosfast"), steps=(num_peer_steps, num_steps), **rival.about(),
        question="P8", what="step of D=60, P=120", goal=GOALS.get(rival.name, ""),
    )  # fmt: skip
    expected = quadratic_peers.by_numpy(model, LR, num_peer_steps)()
    np.testing.assert_allclose(w, expected, rtol=1e-9, atol=1e-12)


def test_share_of_the_bandwidth(race):
    """Reading half of Q, over a step."""
    race.benchmark.group = "P8 bandwidth"
    model, num_steps = model_for(race), race.size(2000, 20)
    result = race(
        our_run(model, num_steps), quadratic_peers.read(model, num_steps),
        names=("step", "reading half of Q"), steps=num_steps, question="P8", what="share of the bandwidth, D=60, P=120",
        goal=">= 0.7", inverse=True,
    )  # fmt: skip
    expected = quadratic_peers.by_numpy(model, LR, num_steps)()
    np.testing.assert_allclose(result.weights.values[-1], expected, rtol=1e-9, atol=1e-12)


def test_with_the_sharpness(race):
    """A run with the sharpness at every step over one without."""
    race.benchmark.group = "P8 sharpness"
    model, num_steps = model_for(race), race.size(1000, 10)
    record = eos.Record(1, ("sharpness",))
    result = race(
        our_run(model, num_steps, record=record), our_run(model, num_steps),
        names=("with sharpness", "without"), steps=num_steps, question="P8", what="sharpness at every step",
    )  # fmt: skip
    assert bool(result.sharpness_converged.all())
