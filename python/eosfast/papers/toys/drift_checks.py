"""Checks of slow motion at the edge: rows D1, E9, G1, G2 and L1."""

from __future__ import annotations

import math

import numpy as np

from eosfast import theory
from eosfast.papers.check import Check, compare, farthest

from .drift_figures import MINIMAL_LR, ZETA, loop, loop_periods, minimal_run, sphere_run, valley_run

COMPUTED = "computed by an independent program"
DAMIAN = "Damian et al. 2023 (arXiv 2209.15594): predicted dynamics"
ARORA = "derived; Arora et al. 2022 (arXiv 2205.09745)"
LYU = "derived; Lyu et al. 2022 (arXiv 2206.07085)"


def self_stabilization() -> list[Check]:
    """D1: predicted dynamics, period and energy of the reduced model, alpha = beta = 1."""
    lr = 0.01
    run = loop(1.1, lr, 10_000)
    x, y = np.array(1.1 * math.sqrt(2.0)), np.array(0.0)
    error = 0.0
    for measured_x, measured_y in zip(run.x.values[:1001], run.y.values[:1001], strict=True):
        error = max(error, abs(measured_x - x), abs(measured_y - y))
        x, y = theory.stabilization_step(x, y, lr)
    setting = "SelfStabilization, alpha = beta = 1, lr = 0.01, x0 = 1.1 delta"
    statement = f"{setting}, 1000 steps: largest difference of x and y to the predicted dynamics"
    checks = [compare("D1a", statement, DAMIAN, 0.0, error, 1e-9)]
    periods = loop_periods(run)
    source = "derived: 2 pi/(lr sqrt(2 alpha)) for small loops; computed"
    checks.append(compare("D1b", f"{setting}: first period in steps", source, 445.0, periods[0], 2.0))
    for letter, start in zip("cde", (1.1, 1.5, 0.1), strict=True):
        two = [rate * loop_periods(loop(start, rate, int(20.0 / rate)))[0] for rate in (1e-3, 5e-4)]
        expected = float(theory.stabilization_period(1.0, start=start))
        statement = f"the same, x0 = {start:g} delta, lr -> 0 (from 0.001 and 0.0005): lr * period of the closed loop"
        checks.append(
            compare(f"D1{letter}", statement, "derived (conserved energy)", expected, 2.0 * two[1] - two[0], 2e-4)
        )
    lowest = theory.stabilization_energy(math.sqrt(2.0), 0.0)
    small = loop(1.001, lr, 8_887)  # twenty loops
    energy = theory.stabilization_energy(small.x.values, small.y.values) - lowest
    growth = math.log(energy[-1] / energy[0]) / (len(energy) - 1)
    statement = "x0 = 1.001 delta, 20 loops: growth of log(energy) per step, 2 alpha lr^2"
    return [*checks, compare("D1f", statement, "derived", 2.0 * lr**2, growth, 0.02 * 2.0 * lr**2)]


def minimal_model() -> list[Check]:
    """E9: when the minimal model reaches 2/lr, and where it settles."""
    reference = {1e-2: (556, 6.67565), 1e-3: (5556, 6.667567), 1e-4: (55556, 6.666757)}
    checks = []
    for letters, (eps, (arrival, mean)) in zip(("abcd", "efgh", "ijkl"), reference.items(), strict=True):
        run = minimal_run(eps, 20.0)
        x, y = run.x.values, run.y.values
        tail = slice(-len(y) // 10, None)
        ids = [f"E9{letter}" for letter in letters]
        setting = f"(y + x) x^2/2 - eps (x + y) from (0, 5), lr = 0.3, eps = {eps:g}"
        reached = int(np.argmax(y >= 2.0 / MINIMAL_LR))
        source = "Berthier 2026 (leading order for eps -> 0); computed"
        checks.append(compare(ids[0], f"{setting}: step at which y reaches 2/lr", source, arrival, reached, 2.0))
        square = np.mean(x[tail] ** 2) / eps
        checks.append(compare(ids[1], f"{setting}: mean of x^2 over eps, at the end", source, 2.0, square, 1e-3))
        last_digit = 2e-5 if eps == 1e-2 else 1e-6
        checks.append(compare(ids[2], f"{setting}: mean of y at the end", COMPUTED, mean, np.mean(y[tail]), last_digit))
        statement = f"{setting}: (mean of y - 2/lr - (3/2) zeta (3 zeta - 1) lr eps)/eps^2"
        error = (np.mean(y[tail]) - theory.edge_mean(MINIMAL_LR, eps, ZETA)) / eps**2
        checks.append(compare(ids[3], statement, "derived (2-cycle)", 0.0, error, 1.0))
    return checks


def valley_drifts() -> list[Check]:
    """G1, G2: normalised descent on (1 + y^2) x^2, and descent on its square root, to lr^2 t = 2."""
    checks = []
    for id, root, lr, tolerance, name in (
        ("G1", False, 0.01, 1e-5, "normalised descent on (1 + y^2) x^2"),
        ("G2", True, 0.005, 1e-4, "descent on sqrt((1 + y^2) x^2)"),
    ):
        run = valley_run(lr, 2.0, root, every=np.array([0, round(1.0 / lr**2), round(2.0 / lr**2)]))
        for letter, k in (("a", 1), ("b", 2)):
            expected = theory.valley_drift(float(k), 1.0, root)
            statement = f"{name} from (lr/4, 1), lr = {lr:g}: y at lr^2 t = {k}"
            checks.append(compare(id + letter, statement, ARORA, expected, run.weights.values[k, 1], tolerance))
        every = valley_run(lr, 0.1, root)
        x, y = np.abs(every.weights.values).T
        width = lr * (np.sqrt(1.0 + y[1:] ** 2) if root else 1.0)
        statement = f"{name}: |x_t| + |x_t+1| over its {'lr sqrt(1 + y^2)' if root else 'lr'}, up to lr^2 t = 0.1"
        ratio = farthest((x[1:] + x[:-1]) / width, 1.0)
        checks.append(compare(id + "c", statement, "derived", 1.0, ratio, 0.02))
    return checks


def sphere_drift() -> list[Check]:
    """L1: weight decay on a scale-invariant loss."""
    decay = 1e-5
    run = sphere_run(1.0, 1.0, decay)
    phi, level = run.phi.values, run.level.values
    half = len(phi) // 2
    setting = "t1^2 (t2^2 + 3 t3^2)/2, t = w/|w|, lr = 1, weight decay 1e-5, angle 1 at the start"
    statement = f"{setting}: effective step size times sharpness"
    checks = [compare("L1a", statement, LYU, 2.0, farthest(level, 2.0), 1e-3)]
    for letter, k in (("b", half), ("c", len(phi) - 1)):
        statement = f"{setting}: angle at lr decay t = {0.5 if letter == 'b' else 1}"
        expected = theory.sphere_drift(k * decay, 1.0)
        checks.append(compare(f"L1{letter}", statement, LYU, expected, phi[k], 1e-4))
    return checks


ROWS = (self_stabilization, minimal_model, valley_drifts, sphere_drift)
