"""P9. What does a step of a deep linear network cost, whatever n is, and of many runs of a few small matrices?"""

from __future__ import annotations

import functools

import numpy as np
import pytest

import eosfast as eos
import linear_peers
from network_runs import EVERY_STEP

WIDTHS = (10, 32, 32, 10)
GOALS = {"torch autograd": ">= 50000", "NumPy by moments": ">= 2"}

problem_of = functools.cache(linear_peers.on_data)


@functools.cache
def model_of(n):
    problem = problem_of(n, WIDTHS)
    return eos.LinearNetwork(WIDTHS, eos.Dataset(problem.X, problem.Y), loss_scale=1 / n)


def our_run(n, num_steps):
    problem, model = problem_of(n, WIDTHS), model_of(n)
    (w0,) = linear_peers.flat(problem.start)
    record = eos.Record(every=num_steps, quantities=("weights",))
    return lambda: eos.train(model, w0, eos.GD(problem.lr), num_steps=num_steps, record=record, stop=EVERY_STEP)


def check(w, n, num_steps, rtol):
    (expected,) = linear_peers.numpy_moments_steps(problem_of(n, WIDTHS), num_steps)()
    np.testing.assert_allclose(w, expected, rtol=rtol, atol=rtol)


class TestOneRun:
    """10-32-32-10 on data of a linear teacher. The factorisation of the data is not timed, here or there."""

    def test_n(self, race):
        race.benchmark.group = "P9 linear network, growth with n"
        many, few, num_steps = race.size(1_000_000, 3000), 1000, race.size(20_000, 20)
        result = race(
            our_run(many, num_steps), our_run(few, num_steps), names=("n=1e6", "n=1e3"), steps=num_steps,
            question="P9", what="widths 10-32-32-10", goal="<= 1.1",
        )  # fmt: skip
        check(result.weights.values[-1], many, num_steps, 1e-8)

    @pytest.mark.parametrize("rival", linear_peers.ONE_RUN, ids=str, indirect=True)
    def test_peer(self, race, rival):
        race.benchmark.group = "P9 linear network, n=1e6"
        n, num_steps = race.size(1_000_000, 3000), race.size(20_000, 20)
        num_peer_steps = race.size(2, 2) if rival.name == "torch autograd" else num_steps
        (w,) = race(
            rival.build(problem_of(n, WIDTHS), num_peer_steps), our_run(n, num_steps), names=(rival.name, "eosfast"),
            steps=(num_peer_steps, num_steps), **rival.about(), question="P9", what="widths 10-32-32-10, n=1e6",
            goal=GOALS[rival.name],
        )  # fmt: skip
        check(w, n, num_peer_steps, rival.rtol)


def our_sweep(many, num_steps):
    h = len(many.target)
    model = eos.LinearNetwork((h,) * (many.depth + 1), target=many.target)
    sizes = len(many.lr)
    names = list(model.parameters)
    starts = {name: many.w0.reshape(sizes, many.depth, h, h)[0, k] for k, name in enumerate(names)}
    return lambda: eos.sweep(
        model, eos.GD(), {"lr": many.lr}, w0=starts, num_steps=num_steps, measure=("weights",), stop=EVERY_STEP,
        num_threads=1,
    )  # fmt: skip


class TestSweep:
    """1024 runs from one start, 5000 steps."""

    @pytest.mark.parametrize(("h", "depth"), [(2, 2), (4, 3)], ids=["2-2-2", "4-4-4-4"])
    @pytest.mark.parametrize("rival", linear_peers.MANY_RUNS, ids=str, indirect=True)
    def test_peer(self, race, rival, h, depth):
        what = "-".join([str(h)] * (depth + 1))
        race.benchmark.group = f"P9 {what}, sweep"
        many = linear_peers.many_runs(race.size(1024, 128), h, depth)
        many = linear_peers.ManyRuns(many.lr, np.tile(many.w0[:1], (len(many.lr), 1)), many.target, depth)
        num_steps = race.size(5000, 50)
        num_peer_steps = num_steps // 20 if rival.name == "NumPy" and not race.short else num_steps
        (w,) = race(
            rival.build(many, num_peer_steps), our_sweep(many, num_steps), names=(rival.name, "eosfast"),
            steps=(len(many.lr) * num_peer_steps, len(many.lr) * num_steps), **rival.about(), question="P9",
            what=f"{what}, sweep",
        )  # fmt: skip
        ours = our_sweep(many, num_peer_steps)().weights.values
        np.testing.assert_allclose(w, ours, rtol=rival.rtol, atol=rival.rtol)
