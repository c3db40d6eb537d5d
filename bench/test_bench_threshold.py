"""P3. What does a step of the tied ReLU network (`ThresholdNeuron`) cost on n = 300 samples, and does it depend on d?

The step size is 100/d^2 throughout, four times the threshold 8 pi/d^2 between the two regimes of the paper: what
happens then depends on d through time scales only, of the order of d^2 steps. From the standard start b drifts, and the
sums over the coordinates change at nearly every step; later b hardly moves and they stay (`settled`).
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

import eosfast as eos
import threshold_peers
from neuron_runs import EVERY_STEP

D = (20, 200, 2_000, 20_000)


@functools.cache
def model_of(d):
    model = eos.ThresholdNeuron(eos.datasets.sparse_coding(n=300, d=d))
    model.loss(model.init())  # sorts the samples, once for all
    return model


def start(d):
    return model_of(d).init()


def settled(d):
    """a_minus + a_plus = 0, so that most of f cancels, and b where the paper's runs end."""
    return np.array([-1.0 / d, 1.0 / d, -2.4])


def lr_of(d):
    return 100.0 / d**2


def our_run(d, w0, num_steps, steps_to_keep=()):
    record = eos.Record(every=np.unique([0, *steps_to_keep, num_steps]), quantities=("weights", "loss"))
    model, optimizer = model_of(d), eos.GD(lr_of(d))
    return lambda: eos.train(model, w0, optimizer, num_steps=num_steps, record=record, stop=EVERY_STEP)


@functools.cache
def by_numpy(d, begin, num_steps):
    data = model_of(d).data
    return threshold_peers.numpy_steps(data.X, data.y, lr_of(d), begin(d), num_steps)()[0]


def check(d, begin, result, steps, rtol=1e-9):
    """The early iterates are those of the direct sums; the whole run stays where the loss can be."""
    for step in steps:
        np.testing.assert_allclose(result.weights.sel(step=step), by_numpy(d, begin, step), rtol=rtol, atol=1e-15)
    direct = np.logaddexp(0.0, -model_of(d).data.y * predictions(d, result.weights.values[-1])).mean()
    np.testing.assert_allclose(result.loss[-1], direct, rtol=1e-9)


def predictions(d, w):
    X = model_of(d).data.X
    return w[0] * np.maximum(w[2] - X, 0).sum(axis=1) + w[1] * np.maximum(w[2] + X, 0).sum(axis=1)


@pytest.mark.parametrize("d", [200, 20_000])
class TestAgainstPeers:
    """20,000 steps from the standard start."""

    def test_eosfast(self, race, d):
        race.benchmark.group = f"P3 threshold neuron, d={d}"
        d = race.size(d, min(d, 1000))
        num_steps, early = race.size(20_000, 200), 200 if d <= 1000 else 10
        result = race(our_run(d, start(d), num_steps, [early]), steps=num_steps)
        check(d, start, result, [early])

    @pytest.mark.parametrize("rival", [*threshold_peers.DIRECT, *threshold_peers.SORTED], ids=str, indirect=True)
    def test_peer(self, race, rival, d):
        race.benchmark.group = f"P3 threshold neuron, d={d}"
        d = race.size(d, min(d, 1000))
        data, num_steps = model_of(d).data, race.size(20_000, 200)
        quick = rival.name == "numba expert"
        num_peer_steps = num_steps if quick else (race.size(500, 50) if d <= 1000 else 10)
        theirs = rival.build(data.X, data.y, lr_of(d), start(d), num_peer_steps)
        goal = {"JAX plain": ">= 100", "numba expert": ">= 3"}.get(rival.name, "") if d == 200 else ""
        found = race(
            theirs, our_run(d, start(d), num_steps), names=(rival.name, "eosfast"), steps=(num_peer_steps, num_steps),
            **rival.about(), question="P3", what=f"threshold neuron, d={d}", goal=goal,
        )  # fmt: skip
        if quick:  # too many steps for the direct sums
            expected = our_run(d, start(d), num_peer_steps)().weights.values[-1]
        else:
            expected = by_numpy(d, start, num_peer_steps)
        np.testing.assert_allclose(found[0], expected, rtol=1e-6 if quick else rival.rtol)


PHASES = {
    "start": (start, lambda d: 200_000),  # at large d all of it is transient
    "transient": (start, lambda d: d * d // 20),  # the same time lr*t for every d: b comes about as far
    "settled": (settled, lambda d: 200_000),
}


@pytest.mark.parametrize(("phase", "d"), [(phase, d) for phase in PHASES for d in D if PHASES[phase][1](d) >= 2000])
def test_dimension(race, phase, d):
    """A step at this d over one at d = 200, in the same phase of the training."""
    race.benchmark.group = f"P3 dimension, {phase}"
    begin, length = PHASES[phase]
    d = race.size(d, min(d, 1000))
    steps = [race.size(length(each), min(length(each), 2000)) for each in (d, 200)]
    early = 100 if d <= 2000 else 10
    result = race(
        our_run(d, begin(d), steps[0], [early]), our_run(200, begin(200), steps[1]), names=(f"d={d}", "d=200"),
        steps=tuple(steps), question="P3", what=f"dimension, {phase}", goal="<= 1.3" if d == 20_000 else "",
    )  # fmt: skip
    check(d, begin, result, [early])


@pytest.mark.parametrize("num_steps", [1, 1_000, 1_000_000])
def test_call(race, num_steps):
    """All of a call at d = 20,000, whose data have six million entries: it should not read them for every run."""
    race.benchmark.group = "P3 a call at d=20,000"
    d = race.size(20_000, 1000)
    num_steps = race.size(num_steps, min(num_steps, 1000))
    result = race(our_run(d, start(d), num_steps), steps=num_steps)
    assert result.attrs["num_steps_done"] == num_steps
    check(d, start, result, [])
