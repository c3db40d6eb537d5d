"""P7. What does the sharpness at every step cost: a tanh network, 64-100-10, on the 1797 digits, at the edge?"""

from __future__ import annotations

import functools

import numpy as np
import pytest

import eosfast as eos
import tracking_peers
from network_runs import EVERY_STEP
from race import Ratio

WIDTH, LR, WARM_UP = 100, 0.08, 1000
"""2/lr = 25. After the warm-up the sharpness, 27.5 at the start, hovers there."""

GOALS = {"torch + eigsh": ">= 40", "JAX expert": ">= 5"}
NUM_PEER_STEPS = {"JAX expert": 30}


@functools.cache
def model_of(n):
    return eos.MLP(eos.datasets.digits(classes=None, n=n), widths=(WIDTH,), activation="tanh", loss="mse")


@functools.cache
def problem_of(n, warm_up):
    model = model_of(n)
    run = eos.train(
        model, None, eos.GD(LR), num_steps=warm_up, record=eos.Record(every=warm_up, quantities=("weights",))
    )
    return tracking_peers.Tracked(model.data.X, model.data.y, WIDTH, run.weights.values[-1], LR)


def problem(race):
    n = race.size(1797, 100)
    return model_of(n), problem_of(n, race.size(WARM_UP, 5))


def our_run(model, given, num_steps, *quantities):
    record = eos.Record(every=1, quantities=("loss", *quantities), tol=tracking_peers.TOL)
    return lambda: eos.train(model, given.w0, eos.GD(LR), num_steps=num_steps, record=record, stop=EVERY_STEP)


def check(given, sharpness, num_steps):
    """A residual of `tol` times the value bounds the error of the value by the same."""
    iterates = tracking_peers.descent(given, num_steps)
    assert len(sharpness) == num_steps + 1
    for step in sorted({0, num_steps // 2, num_steps}):
        point = tracking_peers.Point(given, iterates[step])
        exact, _, _ = tracking_peers.largest(point.product, len(given.w0), tol=1e-9)
        np.testing.assert_allclose(sharpness[step], exact, rtol=tracking_peers.TOL)


def test_with_and_without(race):
    """A run with the sharpness at every step over one without."""
    race.benchmark.group = "P7 with and without"
    model, given = problem(race)
    num_steps = race.size(100, 4)
    result = race(
        our_run(model, given, num_steps, "sharpness"), our_run(model, given, num_steps),
        names=("with sharpness", "without"), steps=num_steps, question="P7", what="digits 64-100-10 tanh",
        goal="<= 2.5",
    )  # fmt: skip
    assert bool(result.sharpness_converged.all())
    check(given, result.sharpness.values, num_steps)


def test_products(race):
    """Hessian-vector products for each sample."""
    race.benchmark.group = "P7 products"
    model, given = problem(race)
    num_steps = race.size(200, 4)
    result = race(our_run(model, given, num_steps, "sharpness"), steps=num_steps)
    matvecs = result.sharpness_matvecs.values
    race.benchmark.extra_info.update(first=int(matvecs[0]), mean=float(matvecs[1:].mean()), most=int(matvecs[1:].max()))
    if not race.short:
        race.note(Ratio("P7", "products for a sample", "mean after the first", "1", float(matvecs[1:].mean()), ""))
    assert (matvecs >= 1).all()


@pytest.mark.parametrize("rival", tracking_peers.TRACKERS, ids=str, indirect=True)
def test_peer(race, rival):
    race.benchmark.group = "P7 digits 64-100-10 tanh"
    model, given = problem(race)
    num_steps, num_peer_steps = race.size(100, 4), race.size(NUM_PEER_STEPS.get(rival.name, 10), 2)
    w, sharpness, products = race(
        rival.build(given, num_peer_steps), our_run(model, given, num_steps, "sharpness"),
        names=(rival.name, "eosfast"), steps=(num_peer_steps + 1, num_steps + 1), **rival.about(),
        question="P7", what="sample and step, digits 64-100-10 tanh", goal=GOALS.get(rival.name, ""),
    )  # fmt: skip
    race.benchmark.extra_info["products"] = products / (num_peer_steps + 1)
    np.testing.assert_allclose(w, tracking_peers.descent(given, num_peer_steps)[-1], rtol=1e-8, atol=1e-10)
    check(given, sharpness, num_peer_steps)
