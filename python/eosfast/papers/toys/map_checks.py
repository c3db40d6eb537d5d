"""Checks of what takes the place of a minimum above its edge: rows A1, B1, B2, E1 to E4 and F1.

In their statements a = lr * target, and z = lr (x y - target).
"""

from __future__ import annotations

import math

import numpy as np

from eosfast import GD, Scalar1D, ScalarProduct, theory
from eosfast.papers.check import Check, compare, farthest

from . import simulations as sim

COMPUTED = "computed by an independent program"
CUBIC = "derived (cubic map)"
PRODUCT = ScalarProduct(depth=2)


def last_residuals(lrs: list[float], w0: list[float], num_steps: int) -> np.ndarray:
    """Lr (w1 w2 - 1) after num_steps and num_steps + 1 steps, sorted from large to small: shape (lr, 2)."""
    two = [sim.ends(PRODUCT, {"lr": lrs}, num_steps + k, ("weights",), w0=w0).weights.values for k in (0, 1)]
    z = np.array([np.array(lrs) * (w[:, 0] * w[:, 1] - 1.0) for w in two]).T
    return np.asarray(-np.sort(-z, axis=1))


def monotone_loss() -> list[Check]:
    """E1: up to which step size the loss never increases on x = y, and the multiplier of the minimum."""
    lr = np.round(np.arange(0.824, 0.832, 1e-4), 6)
    x = np.sqrt(np.linspace(1e-6, 1.0, 4001)[1:-1])
    with_increase = []
    for one in lr:
        start = x * math.sqrt(1.0 + 2.0 / one)  # from x = 0 to where z = 2
        runs = sim.ends(
            PRODUCT, {"w1": ("run", start), "w2": ("run", start)}, 1, ("loss_increases",), optimizer=GD(lr=one)
        )
        with_increase.append(bool(np.any(runs.loss_increases.values > 0)))
    largest = np.max(lr[~np.array(with_increase)], initial=-np.inf)
    statement = (
        "(xy - 1)^2/2, x = y, 3999 starts with lr (xy - 1) < 2: largest step size without an increase of the loss"
    )
    checks = [compare("E1a", statement, CUBIC, theory.CUBIC_PHASES.monotone, largest, 2e-4)]
    lrs = [0.4, 0.8, 0.95]
    runs = sim.ends(Scalar1D(loss="quartic"), {"lr": lrs}, 40, ("lyapunov",), w0={"x": 1.0 + 1e-9})
    error = runs.lyapunov.values - np.log(np.abs(1.0 - 2.0 * np.array(lrs)))
    statement = "(x^2 - 1)^2/4 next to its minimum, lr = 0.4, 0.8, 0.95: Lyapunov exponent - log|1 - 2 lr|"
    return [*checks, compare("E1b", statement, CUBIC, 0.0, farthest(error, 0.0), 1e-6)]


def two_cycles() -> list[Check]:
    """B1, E2: the cycle of period 2, from a start off the diagonal."""
    lrs = [1.05, 1.1, 1.2]
    z = last_residuals(lrs, [0.95, 1.1], 20_000)
    checks = []
    for letter, lr, row, expected in zip("abc", lrs, z, theory.cubic_two_cycle(lrs), strict=True):
        statement = (
            f"(xy - 1)^2/2 from (0.95, 1.1), lr = {lr:g}: error of the 2-cycle, the roots of z^2 + (a - 1)(z - 1)"
        )
        checks.append(compare(f"E2{letter}", statement, CUBIC, 0.0, farthest(row - expected, 0.0), 1e-12))
    w = sim.ends(PRODUCT, {"lr": [1.1]}, 20_000, ("weights",), w0=[0.6, 1.5]).weights.values[0]
    known = np.array([1.11606297, 0.81455163])
    error = farthest(np.abs(w[:, None] - known).min(axis=1), 0.0)
    statement = "(xy - 1)^2/2 from (0.6, 1.5), lr = 1.1: distance of x and y from 1.11606297 or 0.81455163"
    checks.append(compare("B1a", statement, "derived and computed", 0.0, error, 1e-8))
    statement = "the same: x - y at the end, the cycle is balanced"
    return [*checks, compare("B1b", statement, CUBIC, 0.0, w[0] - w[1], 1e-12)]


def doublings() -> list[Check]:
    """B2, E3: where the period doubles."""
    runs = sim.ends(PRODUCT, {"lr": [1.236, 1.24]}, 10**6, ("period",), w0=[0.9, 0.9])
    checks = []
    for letter, lr, twice, period in zip("ab", runs.lr.values, (2, 4), runs.period.values, strict=True):
        checks.append(compare(f"B2{letter}", f"(xy - 1)^2/2, lr = {lr:g}: period", CUBIC, twice, period, 0))
    reference = (1.0, math.sqrt(5.0) - 1.0, 1.2880317544, 1.2992279397, 1.3016289140)
    found = theory.cubic_doublings(5)
    for letter, expected, a in zip("abcde", reference, found, strict=True):
        statement = f"cubic map: a at which the period doubles to {2 ** ('abcde'.index(letter) + 1)}"
        checks.append(compare(f"E3{letter}", statement, f"{COMPUTED}, in 30 digits", expected, a, 1e-9))
    lrs = np.ravel([found - 1e-4, found + 1e-4], order="F")
    runs = sim.ends(Scalar1D(loss="quartic"), {"lr": lrs}, 10**6, ("period",), w0={"x": 0.9})
    wrong = int(np.sum(runs.period.values != np.repeat(2 ** np.arange(6), 2)[1:-1]))
    statement = "(x^2 - 1)^2/4: runs 0.0001 below and above each of these with another period than 1, 2, ..., 32"
    checks.append(compare("E3f", statement, CUBIC, 0, wrong, 0))
    gaps = np.diff(theory.cubic_doublings(8))
    statement = "ratio of the last two distances of eight doublings"
    return [*checks, compare("E3g", statement, "Feigenbaum's constant", 4.669201609, gaps[-2] / gaps[-1], 1e-3)]


def lyapunov_exponents() -> list[Check]:
    """E4: periodic window and chaos, to the end at a = 2."""
    lrs = [1.5, 1.7, 1.9]
    runs = sim.ends(Scalar1D(loss="quartic"), {"lr": lrs}, 4 * 10**6, ("lyapunov", "period"), w0={"x": 0.9})
    checks = []
    for letter, lr, expected, exponent in zip("abc", lrs, (0.4912, -0.4351, 0.8790), runs.lyapunov.values, strict=True):
        tolerance = 2e-3 if expected > 0.0 else 1e-4
        statement = f"(x^2 - 1)^2/4, lr = {lr:g}: Lyapunov exponent"
        checks.append(compare(f"E4{letter}", statement, COMPUTED, expected, exponent, tolerance))
    x = sim.path(
        Scalar1D(loss="quartic"), {"x": 0.9}, 1.7, 10**5, [99_990, 99_993, 99_996], ("weights",)
    ).weights.values
    statement = "the same, lr = 1.7: x^2 after three more steps, x itself changes its sign (period 6)"
    checks.append(compare("E4d", statement, f"{COMPUTED}: period 3 of z", x[0, 0] ** 2, x[1, 0] ** 2, 1e-10))
    checks.append(compare("E4f", "the same: period of x", "derived", 6, runs.period.values[1], 0))
    start = {"x": 0.9}
    end = sim.ends(Scalar1D(loss="quartic"), {"lr": [2.0]}, 20_000, ("lyapunov",), w0=start).lyapunov[0]
    statement = "(x^2 - 1)^2/4, lr = 2 (Chebyshev's polynomial of degree 3), 20,000 steps: Lyapunov exponent log 3"
    return [*checks, compare("E4e", statement, CUBIC, math.log(3.0), end, 1e-3)]


def bounded_starts() -> list[Check]:
    """F1: the ellipse of starts that stay bounded."""
    wrong = total = 0
    for lr, target in ((0.2, 1.0), (0.7, 1.0), (1.3, 1.0), (0.9, -0.8), (0.5, 0.0)):
        axis = np.linspace(-1.0, 1.0, 150) * 2.2 / math.sqrt(lr)
        runs = sim.ends(
            ScalarProduct(depth=2, target=target), {"w1": axis, "w2": axis}, 20_000, ("loss",), optimizer=GD(lr=lr)
        )
        bounded = runs.status.values != runs.status.attrs["flag_meanings"].split().index("diverged")
        wrong += int(np.sum(bounded != theory.bounded_start(axis[:, None], axis, lr, target)))
        total += bounded.size
    statement = (
        f"(xy - target)^2/2, {total} starts, 5 pairs of lr and target: bounded outside, or divergent inside the ellipse"
        " (x+y)^2/(4(2/lr+target)) + (x-y)^2/(4(2/lr-target)) = 1"
    )
    return [compare("F1", statement, "derived", 0, wrong, 0)]


def bouncing() -> list[Check]:
    """A1: the 2-cycle of a sub-quadratic loss in one dimension, l'(x)/x = 2/lr."""
    checks = []
    for letter, loss, known in (("a", "sqrt", math.sqrt(1.25)), ("b", "logcosh", 1.287839)):
        x = sim.ends(Scalar1D(loss=loss), {"lr": [3.0]}, 20_000, ("weights",), w0={"x": 0.3}).weights.values[0, 0]
        tolerance = 1e-10 if loss == "sqrt" else 5e-7
        statement = f"{loss} in one dimension, lr = 3: |x| on the 2-cycle"
        checks.append(
            compare(f"A1{letter}", statement, "derived; Ma et al. 2022 (arXiv 2204.11326)", known, abs(x), tolerance)
        )
    lr = np.linspace(2.1, 6.0, 40)
    errors = []
    for loss in ("sqrt", "logcosh"):
        x = sim.ends(Scalar1D(loss=loss), {"lr": lr}, 20_000, ("weights",), w0={"x": 0.3}).weights.values[:, 0]
        errors.append(np.abs(x) - theory.oscillation_envelope(lr, 1.0, loss))
    statement = "sqrt and logcosh, lr = 2.1 to 6: |x| minus the root of l'(x)/x = 2/lr"
    return [*checks, compare("A1c", statement, "derived", 0.0, farthest(errors, 0.0), 1e-9)]


ROWS = (monotone_loss, two_cycles, doublings, lyapunov_exponents, bounded_starts, bouncing)
