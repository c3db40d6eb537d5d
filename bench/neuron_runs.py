"""The problems of the `SingleNeuron` benchmarks, and the plain Python loop against which all are checked.

All runs stand at the edge of stability for their whole length, lr*(y^2 - x^2) between 2 and 4: the product s = x*y
oscillates with an amplitude of order one, while y^2 - x^2 shrinks by the factor 1 - (lr l'(s))^2 a step. So nothing
converges, nothing under- or overflows, and every tool has to do every step.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import eosfast as eos

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray
    from numpy.typing import NDArray

LOSSES = ("logcosh", "sqrt")
"""l(s) = log cosh s, whose slope is tanh s, and sqrt(1 + s^2)."""

EVERY_STEP = eos.Stop(steady=False)
"""Peers cannot stop a single run, so ours does all steps too, whatever they lead to."""


class Runs(NamedTuple):
    """One run for each entry, all from the same x."""

    lr: NDArray[np.float64]
    y: NDArray[np.float64]
    x: float = 0.03

    @property
    def x0(self) -> NDArray[np.float64]:
        return np.full(len(self.lr), self.x)


def at_the_edge(count: int) -> Runs:
    """`count` runs on a grid of lr (1e-3 to 1.25e-3) and y (50 to 56)."""
    rows = math.isqrt(count)
    lr, y = np.meshgrid(np.linspace(1e-3, 1.25e-3, rows), np.linspace(50.0, 56.0, -(-count // rows)), indexing="ij")
    return Runs(lr.ravel()[:count].copy(), y.ravel()[:count].copy())


def mostly_short(count: int, share: float = 0.9, seed: int = 0) -> Runs:
    """Like `at_the_edge`, but `share` of the runs, at random places, start at lr*y^2 in (0.5, 1.5): they fall into a
    minimum at once and repeat bitwise from there on, after a few hundred to a thousand steps.
    """
    runs = at_the_edge(count)
    short = np.random.default_rng(seed).permutation(count) < round(share * count)
    edge = np.linspace(0.5, 1.5, count)
    return Runs(runs.lr, np.where(short, np.sqrt(edge / runs.lr), runs.y))


def sweep(loss: str, runs: Runs, num_steps: int, **options: Any) -> Callable[[], xarray.Dataset]:
    """Our sweep over them, one dimension."""
    grid = {"lr": ("run", runs.lr), "y": ("run", runs.y)}
    options = {"measure": ("weights",), "stop": EVERY_STEP, "num_threads": 1} | options
    model, optimizer = eos.SingleNeuron(loss), eos.GD()
    return lambda: eos.sweep(model, optimizer, grid, w0={"x": runs.x}, num_steps=num_steps, **options)


def ends(result: xarray.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the runs of a sweep end, (x, y)."""
    return result.weights.values[..., 0].ravel(), result.weights.values[..., 1].ravel()


def by_hand(loss: str, lr: float, x: float, y: float, num_steps: int) -> tuple[float, float]:
    slope = (lambda s: s / math.sqrt(1.0 + s * s)) if loss == "sqrt" else math.tanh
    for _ in range(num_steps):
        g = lr * slope(x * y)
        x, y = x - g * y, y - g * x
    return x, y


def check(loss: str, runs: Runs, num_steps: int, ends: tuple[Any, Any], rtol: float = 1e-9, samples: int = 4) -> None:
    """Some of the runs, spread over all, have to end where a plain loop ends."""
    x, y = ends
    assert len(x) == len(y) == len(runs.lr)
    for i in np.linspace(0, len(runs.lr) - 1, samples).astype(int):
        expected = by_hand(loss, runs.lr[i], runs.x, runs.y[i], num_steps)
        np.testing.assert_allclose((x[i], y[i]), expected, rtol=rtol, atol=1e-14)  # in a minimum x is as good as zero
