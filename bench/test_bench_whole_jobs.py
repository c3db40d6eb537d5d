"""P13. What does a whole figure cost: a bifurcation diagram and a basin map of (x y - 1)^2/2, as they are published?

The sizes are those of `FULL` with EOSFAST_WHOLE_JOBS=1 in the environment, else of `USUAL`.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

import eosfast as eos
import product_peers

FULL = {"diagram": 16_000, "basin": 4096}
USUAL = {"diagram": 4_000, "basin": 1024}
DIAGRAM_STEPS, BASIN_STEPS = 28_000, 10_000
MODEL = eos.ScalarProduct(depth=2)
W0 = (0.9, 1.05)
BASIN_LR, BASIN_SIDE = 0.2, 4.6


def size(race, job, short):
    wanted = FULL if os.environ.get("EOSFAST_WHOLE_JOBS") == "1" else USUAL
    return race.size(wanted[job], short)


def our_diagram(lr, measure, stop):
    return lambda: eos.sweep(
        MODEL, eos.GD(), {"lr": lr}, w0=W0, num_steps=DIAGRAM_STEPS, measure=measure, stop=stop, num_threads=1
    )


class TestBifurcationDiagram:
    """Step sizes from 0.8 to 1.9: 2/5 of the runs settle on short cycles, the others are chaotic."""

    def given(self, race):
        race.benchmark.group = "P13 bifurcation diagram, 28,000 steps"
        return np.linspace(0.8, 1.9, size(race, "diagram", 64))

    @pytest.mark.parametrize(
        ("measure", "stop"),
        [
            (("weights",), eos.Stop()),
            (("weights",), eos.Stop(steady=False)),
            (("weights", "period", "lyapunov"), eos.Stop()),
        ],
        ids=["ends", "ends, every step", "period and Lyapunov exponent"],
    )
    def test_eosfast(self, race, measure, stop):
        lr = self.given(race)
        result = race(our_diagram(lr, measure, stop), steps=len(lr) * DIAGRAM_STEPS)
        assert np.isfinite(result.weights.values).all()

    @pytest.mark.parametrize("rival", product_peers.DIAGRAM, ids=str, indirect=True)
    def test_peer(self, race, rival):
        lr = self.given(race)
        theirs = rival.build(lr, W0, DIAGRAM_STEPS)
        x, y = race(
            theirs, our_diagram(lr, ("weights",), eos.Stop()), names=(rival.name, "eosfast"),
            steps=len(lr) * DIAGRAM_STEPS, question="P13", what="bifurcation diagram", **rival.about(),
        )  # fmt: skip
        ours = our_diagram(lr, ("weights",), eos.Stop())().weights.values
        settled = lr < 1.2  # chaos magnifies the last bits
        np.testing.assert_allclose(np.stack([x, y], axis=1)[settled], ours[settled], rtol=rival.rtol)


class TestBasinMap:
    """Starts around the origin at lr = 0.2: three quarters converge, the others diverge."""

    def given(self, race):
        race.benchmark.group = "P13 basin map, 10,000 steps"
        return np.linspace(-BASIN_SIDE, BASIN_SIDE, size(race, "basin", 48))

    def ours(self, axis, measure=("weights",), stop=eos.Stop()):  # noqa: B008 - immutable
        grid = {"w1": axis, "w2": axis}
        return lambda: eos.sweep(
            MODEL, eos.GD(BASIN_LR), grid, num_steps=BASIN_STEPS, measure=measure, stop=stop, num_threads=1
        )

    def check(self, axis, result):
        bounded = np.isfinite(result.weights.values).all(axis=-1) & (result.status.values != 2)
        expected = eos.theory.bounded_start(axis[:, None], axis, BASIN_LR)
        assert np.mean(bounded != expected) < 1e-4  # points on the border itself

    @pytest.mark.parametrize(
        "stop",
        [eos.Stop(), eos.Stop(diverged=product_peers.ESCAPED, loss=product_peers.CONVERGED)],
        ids=["until it repeats", "until the loss is small"],
    )
    def test_eosfast(self, race, stop):
        axis = self.given(race)
        result = race(self.ours(axis, ("weights", "sharpness"), stop), steps=len(axis) ** 2)
        self.check(axis, result)

    @pytest.mark.parametrize("rival", product_peers.BASIN, ids=str, indirect=True)
    def test_peer(self, race, rival):
        axis = self.given(race)
        x0, y0 = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
        theirs = rival.build(BASIN_LR, x0, y0, BASIN_STEPS)
        x, y = race(
            theirs, self.ours(axis), names=(rival.name, "eosfast"), steps=len(axis) ** 2,
            question="P13", what="basin map", **rival.about(),
        )  # fmt: skip
        result = self.ours(axis)()
        self.check(axis, result)
        inside = eos.theory.bounded_start(1.4 * x0, 1.4 * y0, BASIN_LR)  # towards the border the map is chaotic
        ours = result.weights.values.reshape(-1, 2)
        np.testing.assert_allclose(np.stack([x, y], axis=1)[inside], ours[inside], atol=1e-6)
