"""P2. What does a step of a single run cost, when nothing goes beside it to hide the latency of the arithmetic?"""

from __future__ import annotations

import functools

import numpy as np
import pytest

import eosfast as eos
import neuron_runs
import peers

LR, X, Y = 2e-4, 0.03, 122.0
"""lr*y^2 = 2.98: the run stays at the edge of stability for all of its 10,000,000 steps."""

by_hand = functools.cache(neuron_runs.by_hand)


def our_run(loss, num_steps):
    record = eos.Record(every=num_steps, quantities=("weights",))

    def run():
        return eos.train(
            eos.SingleNeuron(loss), [X, Y], eos.GD(LR), num_steps=num_steps, record=record, stop=neuron_runs.EVERY_STEP
        )

    return run


@pytest.mark.parametrize("loss", neuron_runs.LOSSES)
class TestOneRun:
    """10,000,000 steps, nothing recorded on the way."""

    def test_eosfast(self, race, loss):
        race.benchmark.group = f"P2 one run, {loss}"
        num_steps = race.size(10_000_000, 20_000)
        result = race(our_run(loss, num_steps), steps=num_steps)
        np.testing.assert_allclose(result.weights.values[-1], by_hand(loss, LR, X, Y, num_steps), rtol=1e-9)
        assert 2 < LR * (result.weights.values[-1, 1] ** 2) < 3

    @pytest.mark.parametrize("rival", peers.ONE_RUN, ids=str, indirect=True)
    def test_peer(self, race, rival, loss):
        race.benchmark.group = f"P2 one run, {loss}"
        num_steps = race.size(10_000_000, 20_000)
        num_peer_steps = num_steps if rival.needs == "cc" or race.short else num_steps // 10
        theirs = rival.build(loss, LR, X, Y, num_peer_steps)
        found = race(
            theirs, our_run(loss, num_steps), names=(rival.name, "eosfast"), steps=(num_peer_steps, num_steps),
            **rival.about(), question="P2",
            what=f"one run, {loss}", goal=">= 0.95" if rival.needs == "cc" else "",
        )  # fmt: skip
        np.testing.assert_allclose(found, by_hand(loss, LR, X, Y, num_peer_steps), rtol=rival.rtol)
        if rival.needs == "cc":
            race.benchmark.extra_info["fastest"] = peers.c_loop(loss).description
