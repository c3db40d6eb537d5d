"""Checks of one data point: rows A1 to A10. z and T are residual and curvature in units of lr."""

from __future__ import annotations

import numpy as np

from eosfast import theory
from eosfast.papers.check import Check, compare, farthest

from . import simulations as sim

PAPER = "Agarwala et al. 2023"
SERIES = "derived (invariant curve, fourth order in epsilon)"
COMPUTED = "computed by an independent program"


def reduced_map() -> list[Check]:
    """A1: the map of z and T is gradient descent on the parameters."""
    epsilon, lr = 0.05, 0.3
    z, T = np.array(-0.7), np.array(0.9)
    run = sim.datum_run(float(z), float(T), epsilon, 200, lr=lr)
    errors = [0.0]
    for measured in np.stack([run.z.values, run["T"].values], axis=-1)[1:]:
        z, T = theory.two_mode_step(z, T, epsilon)
        errors.append(np.max(np.abs(measured - [z, T])))
    statement = "epsilon = 0.05, lr = 0.3, 200 steps: distance of (z, T) of gradient descent from the reduced map"
    return [compare("A1", statement, "derived", 0.0, farthest(errors, 0.0), 1e-13)]


def modes() -> list[Check]:
    """A2: the weights of the modes follow the same map."""
    epsilon, a, b = 0.005, np.array(1.3), np.array(0.9)
    z, T = theory.curvature_of_modes(a, b, epsilon)
    run = sim.datum_run(float(z), float(T), epsilon, 50)
    errors = []
    for measured in np.stack([run.z.values, run["T"].values], axis=-1):
        errors.append(np.max(np.abs(measured - np.array(theory.curvature_of_modes(a, b, epsilon)))))
        a, b = theory.mode_step(a, b, epsilon)
    statement = "epsilon = 0.005, 50 steps: distance of (z, T) of gradient descent from a (1-z)^2, b (1+epsilon z)^2"
    return [compare("A2", statement, "derived", 0.0, farthest(errors, 0.0), 1e-13)]


def limits() -> list[Check]:
    """A3, A4: where the curvature ends at the edge of stability."""
    checks = []
    small = np.array([0.001, 0.005, 0.01, 0.02])
    ends = sim.datum_ends(-1.0, 0.3, small)
    for letter, epsilon, end in zip("abcd", small, ends, strict=True):
        statement = f"epsilon = {epsilon:g}, (z, T) = (-1, 0.3): final curvature"
        checks.append(compare(f"A3{letter}", statement, SERIES, theory.quadratic_edge_limit(epsilon), end, 3e-8))
    statement = "epsilon = 0.05, (-1, 0.3): final curvature; z dies before the excess has settled"
    checks.append(compare("A3e", statement, COMPUTED, 1.95356, sim.datum_ends(-1.0, 0.3, 0.05), 1e-5))
    larger = {0.02: 1.98965, 0.05: 1.97273, 0.1: 1.94015, 0.2: 1.88755}
    for letter, (epsilon, expected) in zip("abcd", larger.items(), strict=True):
        statement = f"epsilon = {epsilon:g}, (-1, 1): final curvature"
        end = sim.datum_ends(-1.0, 1.0, epsilon)
        checks.append(compare(f"A4{letter}", statement, COMPUTED, expected, end, 1e-5))
    statement = "the same, epsilon = 0.1: the series"
    checks.append(compare("A4e", statement, SERIES, theory.quadratic_edge_limit(0.1), sim.datum_ends(-1, 1, 0.1), 1e-5))
    return checks


def step_sizes() -> list[Check]:
    """A5, A6: one start, many step sizes; the end does not depend on them once the edge is reached."""
    epsilon = 0.005
    start = theory.two_mode_start(-0.4, 0.4, epsilon)
    lrs = np.array([2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.5])
    ends, _ = sim.datum_step_sizes(start, lrs, epsilon)
    limit = float(theory.quadratic_edge_limit(epsilon))
    setting = "epsilon = 0.005, one start (z, ||J||^2) = (-0.4, 0.4)"
    statement = f"{setting}, lr = 2 to 3.2: final lr ||J||^2, farthest from the limit"
    checks = [
        compare("A5a", statement, SERIES, limit, farthest(ends[:-1], limit), 1e-6),
        compare("A5b", f"{setting}, lr = 3.5: diverges", COMPUTED, 1, np.isnan(ends[-1]), 0),
    ]
    end = sim.datum_ends(-0.6, 0.6, epsilon)
    statement = "epsilon = 0.005, (-0.6, 0.6), T - 2 z = 1.8 < 2: final curvature"
    checks.append(compare("A6a", statement, COMPUTED, 1.78745, end, 1e-5))
    checks.append(compare("A6b", f"{statement}, about T - 2 z", "derived", 1.8, end, 0.02))
    return checks


def theorem() -> list[Check]:
    """A7: no run at the edge ends above it, nor farther below than O(epsilon)."""
    epsilon = np.array([0.002, 0.005, 0.01, 0.02])[:, None, None]
    z, T = np.array([-1.3, -1.2, -1.0, -0.9])[:, None], np.array([0.6, 0.8, 1.0, 1.2])
    ends = sim.datum_ends(z, T, epsilon)
    outside = int(np.sum(~((ends <= 2.0) & (ends >= 2.0 - epsilon))))
    statement = "64 runs that reach the edge, epsilon <= 0.02: final curvature not between 2 - epsilon and 2"
    checks = [compare("A7a", statement, f"{PAPER}, theorem on two eigenvalues", 0, outside, 0)]
    second = (2.0 - ends - epsilon / 2.0) / epsilon**2
    statement = "the same runs: ((2 - T) - epsilon/2) / epsilon^2, farthest from 27/32"
    checks.append(compare("A7b", statement, SERIES, 27.0 / 32.0, farthest(second, 27.0 / 32.0), 0.03))
    return checks


def offsets() -> list[Check]:
    """A8: the limit with an offset."""
    checks = []
    for letter, offset in zip("abcd", (-2.0, -1.0, 1.0, 1.5), strict=True):
        statement = f"epsilon = 0.005, offset lr E = {offset:g}, (-0.8, 0.7): final curvature"
        end = sim.datum_ends(-0.8, 0.7, 0.005, offset)
        checks.append(compare(f"A8{letter}", statement, SERIES, theory.quadratic_edge_limit(0.005, offset), end, 1e-7))
    return checks


def two_steps() -> list[Check]:
    """A9: how z and the excess over the nullcline change in two steps, by differences."""
    h, epsilon = 2e-3, 0.1
    signs = np.array([(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)])
    changes = []
    for z, y in h * signs:
        T = y + float(theory.z_nullcline(z, epsilon))
        run = sim.datum_run(z, T, epsilon, 2)
        last = float(run.z[-1])
        changes.append((last - z, float(run["T"][-1]) - float(theory.z_nullcline(last, epsilon)) - y))
    dz, dy = np.array(changes).T
    odd = np.prod(signs, axis=1)
    growth, damping, drift = theory.two_step_coefficients(epsilon)
    setting = "epsilon = 0.1, differences over z, y = +-0.002"
    return [
        compare("A9a", f"{setting}: coefficient of y z in z", PAPER, growth, np.mean(odd * dz) / h**2, 1e-4),
        compare("A9b", f"{setting}: coefficient of y z^2 in y", PAPER, damping, np.mean(signs[:, 1] * dy) / h**3, 1e-3),
        compare("A9c", f"{setting}: coefficient of z^2 in y", PAPER, drift, np.mean(dy) / h**2, 1e-4),
    ]


def catapult() -> list[Check]:
    """A10: with the eigenvalues 1 and -1 the curvature only falls below 4."""
    T = sim.catapult_path(0.5, 2.5, 400)[:, 1]
    setting = "eigenvalues 1 and -1, (0.5, 2.5)"
    rises = int(np.sum(np.diff(T) > 1e-15))
    return [
        compare("A10a", f"{setting}: steps that raise the curvature", "derived", 0, rises, 0),
        compare("A10b", f"{setting}: final curvature", COMPUTED, 0.820661, T[-1], 1e-6),
    ]


ROWS = (reduced_map, modes, limits, step_sizes, theorem, offsets, two_steps, catapult)
