"""Checks of XOR, C19 to C24 and C27, and of single neurons, C25 and C26."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast import Leaky, TwoLayerNetwork, datasets, theory
from eosfast.papers.check import Check, compare, farthest

from . import simulations as sim
from .phase_figures import ONE_DEAD, neuron_run

if TYPE_CHECKING:
    import xarray as xr

COMPUTED = "computed by an independent program"
PAPER = "Cai et al. 2024"
LONG = 10**6


def _from_circle(k: float, lr: float, num_steps: int, every: ArrayLike, *, off: float = 0.0) -> xr.Dataset:
    """A run of u/2 + k softplus(u) with 20 units from the unit circle, whose symmetry random numbers of size ``off``
    break.
    """
    start, a = sim.circle(20)
    start = {"W": start["W"] + off * sim.normal_start(20, 2, seed=1)["W"]}
    model = TwoLayerNetwork(datasets.xor(), 20, activation=Leaky("softplus", 0.5, k), output_weights=a)
    return sim.run(model, start, lr, num_steps, np.asarray(every, dtype=np.int64))


def rate() -> list[Check]:
    """C19: lr t L on XOR with as many units for each point."""
    checks = []
    for letter, k, lr in (("a", 1.0, 100.0), ("b", 0.5, 100.0), ("c", 0.125, 400.0)):
        expected = theory.xor_rate([5, 5, 5, 5], k)
        run = _from_circle(k, lr, LONG, [0, LONG])
        statement = f"XOR, 20 units from the unit circle, u/2 + {k:g} softplus(u), lr = {lr:g}: lr t L at t = 10^6"
        measured = lr * LONG * float(run.loss[-1])
        checks.append(compare(f"C19{letter}", statement, "derived", expected, measured, 2e-3 * expected))
    return checks


def uneven_rate() -> list[Check]:
    """C20: the same with the units that a random start gives to each point."""
    checks = []
    for letter, c, k, width, seed in (("a", 0.0, 1.0, 20, 0), ("b", 0.5, 0.5, 20, 0), ("c", 0.0, 1.0, 40, 1)):
        model = sim.leaky(datasets.xor(), k, width, c)
        run = sim.run(model, sim.normal_start(width, 2, seed), 100.0, LONG, [0, LONG], ("loss", "weights"))
        counts = _counts(model, run.weights.values[-1])
        expected = theory.xor_rate(counts, k)
        statement = (
            f"XOR, {width} units, start of seed {seed}, {c:g} u + {k:g} softplus(u), lr = 100, units for each point "
            f"{tuple(counts.tolist())}: lr t L at t = 10^6"
        )
        measured = 100.0 * LONG * float(run.loss[-1])
        checks.append(compare(f"C20{letter}", statement, "derived", expected, measured, 1e-3 * expected))
    return checks


def _counts(model: TwoLayerNetwork, w: NDArray[np.float64]) -> NDArray[np.int64]:
    a = np.repeat([1.0, -1.0], model.width // 2)
    return theory.xor_counts(w.reshape(model.width, 2), a, model.data.X, model.data.y)


def dead_point() -> list[Check]:
    """C21: no unit for one point: its output goes to 0, and the loss to log(2)/4."""
    model = sim.leaky(datasets.xor(), 1.0, 8, c=0.0)
    quantities = ("loss", "margin", "weights")
    run = sim.run(model, sim.normal_start(8, 2, seed=2), 100.0, LONG, [0, LONG], quantities)
    counts = _counts(model, run.weights.values[-1])
    setting = "XOR, softplus, 8 units, start of seed 2"
    return [
        compare("C21a", f"{setting}: fewest units for a point", COMPUTED, 0, counts.min(), 0),
        compare("C21b", f"{setting}: loss after 10^6 steps", "derived", ONE_DEAD, run.loss[-1], 1e-5),
        compare("C21c", f"{setting}: normalised margin then", "derived", 0.0, run.margin[-1], 1e-4),
    ]


def trajectory() -> list[Check]:
    """C22: the loss along a run from a start without random numbers."""
    expected = {1: 0.677779373, 10: 0.491532340, 100: 0.0710379084, 1_000: 0.00655839564, 10_000: 6.42433268e-4}
    expected[100_000] = 6.40329655e-5
    steps = [0, *expected]
    loss = _from_circle(0.5, 100.0, steps[-1], steps).loss.values[1:]
    error = farthest(loss / np.array(list(expected.values())) - 1.0, 0.0)
    statement = (
        "XOR, 20 units from the unit circle, (u + softplus(u))/2, lr = 100: relative error of L at t = 1 to 10^5"
    )
    return [compare("C22", statement, COMPUTED, 0.0, error, 1e-7)]


def onset() -> list[Check]:
    """C23, C24: which step sizes increase the loss; from a symmetric start only after the symmetry is broken."""
    checks = []
    source = "computed; the symmetry cancels the unstable direction, and rounding brings it back"
    cases = ((0.125, 0.0, 800.0, 0), (0.125, 1e-6, 600.0, 0), (0.125, 1e-6, 700.0, 1), (0.5, 1e-6, 5_000.0, 0))
    for letter, (k, off, lr, expected) in zip("abcd", cases, strict=True):
        loss = _from_circle(k, lr, 5_000, np.arange(5_001), off=off).loss.values
        increased = int(np.any(np.diff(loss) > 1e-14 * loss[:-1]))
        statement = (
            f"XOR, 20 units from the unit circle{', off by 1e-6' if off else ''}, u/2 + {k:g} softplus(u), "
            f"lr = {lr:g}: whether the loss ever increases"
        )
        checks.append(compare(f"C23{letter}", statement, source, expected, increased, 0))
    model, start = sim.leaky(datasets.xor(), sim.HALF, 20), sim.normal_start(20, 2)
    for letter, lr, expected in (("a", 320.0, 0), ("b", 640.0, 9)):
        loss = sim.run(model, start, lr, 20_000).loss.values
        times = theory.phase_times(loss, lr, 4, theory.network_constants(model))
        statement = (
            f"XOR, 20 units, start of seed 0, (u + softplus(u))/2, lr = {lr:g}: last step that increased the loss"
        )
        checks.append(compare(f"C24{letter}", statement, COMPUTED, expected, times.monotone, 0))
    checks.append(compare("C24c", "the same, lr = 640: largest loss", COMPUTED, 2.40033, np.max(loss), 1e-4))
    return checks


def margin_and_rate() -> list[Check]:
    """C27: lr t L gamma^2 rises to 1, slowly, because the margin converges as 1/log t."""
    model, start = sim.leaky(datasets.xor(), sim.HALF, 20), sim.normal_start(20, 2)
    steps = np.array([0, 10**3, 10**4, 10**5, 10**6])
    run = sim.run(model, start, 320.0, int(steps[-1]), steps, ("loss", "margin"))
    product = (320.0 * steps * run.loss.values * run.margin.values**2)[1:]
    statement = "XOR, 20 units, start of seed 0, (u + softplus(u))/2, lr = 320: lr t L gamma^2 at t = 10^3 to 10^6"
    return [
        compare("C27a", f"{statement}: decreases", "derived", 0, np.sum(np.diff(product) < 0.0), 0),
        compare("C27b", f"{statement}: the last one", "derived", 1.0, product[-1], 0.07),
    ]


def neurons() -> list[Check]:
    """C25, C26: five points that a network of two neurons separates although neither neuron does."""
    data = sim.five_points()
    best = theory.hard_margin(data.X, data.y)
    error = max(abs(best.margin - 0.05), float(np.linalg.norm(best.direction - np.array([1.0, 0.0, 0.0]))))
    statement = "five points of figure 4: distance of the largest margin and its direction from 0.05 and (1, 0, 0)"
    checks = [compare("C25", statement, f"{PAPER}, section 5", 0.0, error, 1e-9)]
    early, late = neuron_run(3_000, np.arange(3_001)), neuron_run(2**17, np.append(np.arange(0, 2**17, 16), 2**17))
    setting = "the same, 2 neurons, (u + softplus(u))/2, lr = 3, W = 0.1 N(0, 1)"
    first = int(np.argmax(early.margin.values > 0.0))
    checks.append(compare("C26a", f"{setting}: first step with a positive margin", COMPUTED, 1217, first, 12))
    positive = int(np.sum(early.neuron_margin.values >= 0.0) + np.sum(late.neuron_margin.values >= 0.0))
    source = f"{PAPER}, figure 4: both neurons' margins stay negative"
    checks.append(compare("C26b", f"{setting}: steps at which a neuron has a positive margin", source, 0, positive, 0))
    expected = {"loss": 4.39977e-3, "margin": 0.02129}
    for letter, name in zip("cd", expected, strict=True):
        statement = f"{setting}: {name} at t = 2^17"
        checks.append(
            compare(f"C26{letter}", statement, COMPUTED, expected[name], late[name][-1], 0.01 * expected[name])
        )
    ends = late.neuron_margin.values[-1]
    for letter, value, measured in (("e", -0.067, ends[0]), ("f", -0.220, ends[1])):
        statement = f"{setting}: margin of neuron {'ef'.index(letter) + 1} at t = 2^17"
        checks.append(compare(f"C26{letter}", statement, COMPUTED, value, measured, 0.01 * math.fabs(value)))
    return checks


ROWS = (rate, uneven_rate, dead_point, trajectory, onset, margin_and_rate, neurons)
