"""Checks of losses of a product: rows E5 to E8, E12, K1, U1, Y1 and Z1."""

from __future__ import annotations

import math

import numpy as np

from eosfast import GD, HeavyBall, MeanModel, Nesterov, QuadraticRegression, ScalarProduct, SingleNeuron, Stop, theory
from eosfast.papers.check import Check, compare, farthest

from . import simulations as sim
from .descent_figures import FLOW_DEPTHS, FLOW_LEVEL, FLOW_LR, FLOW_STEPS, catapult_ends, ratios, unbalanced

COMPUTED = "computed by an independent program"
NORMAL_FORM = "derived (normal form near the edge)"
AT_REST = Stop(grad_norm=1e-7)


def minimalist() -> list[Check]:
    """Z1, E6: where the sharpness of (x^2 y^2 - 1)^2/4 ends, and of deeper products."""
    lrs = np.array([0.2, 0.1, 0.05, 0.02])
    gap = sim.paired_ends(4, lrs).gap.values
    statement = "(x^2 y^2 - 1)^2/4 (depth 4, pairs of equal factors), lr = 0.05: 2/lr - sharpness at the end"
    checks = [compare("Z1a", statement, COMPUTED, 0.024502, gap[2], 1e-6)]
    others = sim.paired_ends(4, np.full(4, 0.05), level=[2.1, 2.3, 2.7, 3.0]).gap.values
    statement = "the same from four other starts, lr * sharpness = 2.1 to 3: largest difference"
    checks.append(
        compare("Z1b", statement, "derived: the end forgets the start", 0.0, farthest(others - gap[2], 0.0), 1e-6)
    )
    for letter, lr, expected, one in zip("abcd", lrs, (1.985472, 1.995385, 1.998775, 1.999801), gap, strict=True):
        statement = f"(x^2 y^2 - 1)^2/4, lr = {lr:g}: lr * sharpness at the end"
        checks.append(compare(f"E6{letter}", statement, COMPUTED, expected, 2.0 - lr * one, 1e-6))
    for letter, depth in zip("efg", (4, 6, 8), strict=True):
        two = np.array([0.01, 0.005])
        ratio = sim.paired_ends(depth, two).gap.values / theory.paired_edge_gap(two, depth)
        statement = f"depth {depth}, lr -> 0 (from 0.01 and 0.005, as lr^2): (2/lr - sharpness) over its law"
        checks.append(compare(f"E6{letter}", statement, NORMAL_FORM, 1.0, (4.0 * ratio[1] - ratio[0]) / 3.0, 1e-3))
    return checks


def alignment() -> list[Check]:
    """Y1: log cosh(x y) from many starts at lr = 1/8."""
    starts = np.linspace(4.4, 7.0, 12)
    for_all = sim.ends(
        SingleNeuron(loss="logcosh"), {"y": starts}, 10**7, w0={"x": 0.5}, optimizer=GD(lr=0.125), stop=AT_REST
    )
    worst = farthest(for_all.sharpness.values, 15.81158)
    statement = "log cosh(xy), lr = 1/8, x = 0.5, y = 4.4 to 7: sharpness at the end"
    checks = [compare("Y1a", statement, COMPUTED, 15.81158, worst, 1e-5)]
    run = sim.path(SingleNeuron(loss="logcosh"), [0.5, 5.5], 0.125, 600)
    x, y = run.weights.values[5:].T
    p, q = x * y, 2.0 / (0.125 * y**2)
    distance = farthest(q - np.tanh(p) / p, 0.0)
    statement = "the same from y = 5.5, after 5 steps: largest 2/(lr y^2) - tanh(p)/p, p = xy; it ends at (3/4) lr^2"
    source = f"{NORMAL_FORM}; the curve is that of Song and Yun 2023 (arXiv 2307.04204)"
    return [*checks, compare("Y1b", statement, source, 0.75 * 0.125**2, distance, 5e-4)]


def edge_gaps() -> list[Check]:
    """E5: l(x y) at lr = 0.05 from next to the axis."""
    lr, checks = 0.05, []
    for letter, loss, expected in (("a", "logcosh", 1.50113), ("b", "sqrt", 1.00125), ("c", "logistic", 0.37507)):
        shape = theory.loss_shape(loss)
        y0 = math.sqrt(1.5 * 2.0 / (shape.curvature * lr))
        runs = sim.ends(SingleNeuron(loss=loss), {"lr": [lr]}, 10**8, w0={"x": 1e-3, "y": y0}, stop=AT_REST)
        gap = (2.0 / lr - runs.sharpness.values[0]) / lr
        statement = f"{loss}, lr = 0.05 from (0.001, sqrt(3/(l''(0) lr))): (2/lr - sharpness)/lr at the end"
        checks.append(compare(f"E5{letter}", statement, COMPUTED, expected, gap, 2e-5))
    return checks


def conserved() -> list[Check]:
    """E7a, E7b: the imbalance of two factors, and the sharpness of the flow's minimum along descent."""
    w = sim.path(ScalarProduct(depth=2), [0.4, 3.1], 0.15, 60).weights.values
    D, r = (w[:, 0] - w[:, 1]) * (w[:, 0] + w[:, 1]), w[:, 0] * w[:, 1] - 1.0
    error = D[1:] / (D[:-1] * (1.0 - (0.15 * r[:-1]) ** 2)) - 1.0
    statement = "(xy - 1)^2/2, lr = 0.15: x^2 - y^2 is multiplied by 1 - lr^2 (xy - 1)^2: relative error"
    checks = [compare("E7a", statement, "derived", 0.0, farthest(error, 0.0), 1e-13)]
    increase, ends, differences = 0.0, [], []
    for depth in FLOW_DEPTHS:
        start = unbalanced(depth, FLOW_LEVEL / FLOW_LR)
        run = sim.path(ScalarProduct(depth=depth), start, FLOW_LR, FLOW_STEPS, quantities=("gfs_sharpness", "weights"))
        phi = run.gfs_sharpness.values
        increase = max(increase, float(np.max(phi[1:] / phi[:-1] - 1.0)))
        ends.append(FLOW_LR * phi[-1])
        differences.append(phi / theory.product_flow_sharpness(run.weights.values) - 1.0)
    source = "Kreisler et al. 2023 (ICML)"
    statement = (
        "(w1...wn - 1)^2/2, n = 2 to 5, from above 2/lr: largest relative increase of the sharpness at the flow's end"
    )
    checks.append(compare("E7b", statement, source, 0.0, max(increase, 0.0), 1e-12))
    statement = "the same: runs that do not end with it at most 2/lr"
    checks.append(compare("E7c", statement, source, 0, int(np.sum(~(np.array(ends) <= 2.0))), 0))
    statement = "the same: relative difference of the library's quantity to the closed form"
    return [*checks, compare("E7d", statement, "derived", 0.0, farthest(np.concatenate(differences), 0.0), 1e-9)]


def thresholds() -> list[Check]:
    """E7e to E7g: curvature at which each optimizer becomes unstable on a parabola."""
    checks = []
    curvature = 1.0  # of (w - 1)^2/2
    rules = {"gradient descent": GD, "heavy ball": HeavyBall, "Nesterov": Nesterov}
    for letter, (name, rule) in zip("efg", rules.items(), strict=True):
        more = {} if rule is GD else {"momentum": 0.9}
        unit = rule(lr=1.0, **more).stability_threshold() / curvature
        lrs = unit * np.linspace(0.99, 1.01, 201)
        optimizer = rule(**more)
        runs = sim.ends(
            ScalarProduct(depth=1), {"lr": lrs}, 40_000, ("loss",), w0=[1.0 + 1e-3], optimizer=optimizer,
            stop=Stop(diverged=1e30, steady=False),
        )  # fmt: skip
        largest = np.max(lrs[runs.loss.values < 1e-6], initial=-np.inf)
        expected = {"e": 2.0, "f": 3.8, "g": 3.8 / 2.8}[letter]
        statement = f"{name}{', momentum 0.9' if more else ''}, curvature 1: largest step size that converges"
        checks.append(compare(f"E7{letter}", statement, "derived", expected, largest, 2e-4 * expected))
    return checks


def mean_model() -> list[Check]:
    """E8: the bias of the mean model, d = 100, from A = 2, b = 0."""
    factors = np.array([0.5, 1.1, 1.5, 2.0, 4.0, 8.0])
    reference = np.array([-0.000239, -0.04036, -0.15995, -0.26602, -0.50671, -0.73552])
    lr, half = factors * theory.edge_lr(100), 2.0 / 200.0
    w0 = {"a_minus": half, "a_plus": half, "b": 0.0}
    runs = sim.ends(MeanModel(d=100), {"lr": lr}, 10**8, ("weights",), w0=w0, stop=Stop(grad_norm=1e-13))
    error = (runs.weights.values[:, 2] - reference) / np.array([1e-6, 1e-5, 1e-5, 1e-5, 1e-5, 1e-5])
    statement = "mean model, d = 100, A = 2: final bias at lr d^2/(8 pi) = 0.5 to 8, error in units of the last digit"
    return [compare("E8", statement, COMPUTED, 0.0, farthest(error, 0.0), 1.0)]


def catapult() -> list[Check]:
    """E12, K1: the two boundaries of the catapult, and where it ends."""
    level = np.linspace(2.1, 3.9, 181)
    runs = catapult_ends(level)
    wrong = int(np.sum(~(runs.level_end.values < 2.0)))
    statement = "catapult, n = 1000, f = 1, lr kernel = 2.1 to 3.9: runs that do not end with lr kernel < 2"
    source = "derived; Lewkowycz et al. 2020 (arXiv 2003.02218)"
    checks = [compare("E12a", statement, source, 0, wrong, 0)]
    above = catapult_ends(np.linspace(4.005, 6.0, 100))
    diverged = above.status.attrs["flag_meanings"].split().index("diverged")
    statement = "the same, lr kernel = 4.005 to 6: runs that do not diverge"
    checks.append(compare("E12b", statement, source, 0, int(np.sum(above.status.values != diverged)), 0))
    excess = np.array([0.1, 0.05, 0.025])
    end = catapult_ends(2.0 + excess, n=1e12).level_end.values - 2.0
    error = (end - theory.catapult_limit(excess)) / excess**3
    statement = "n = 10^12, lr kernel = 2 + e, e = 0.1 to 0.025: (lr kernel - 2 + e + (2/3) e^2)/e^3 at the end"
    checks.append(compare("K1a", statement, "derived", 0.0, farthest(error, 0.0), 1.0))
    n, lr = 20, 0.5
    swap = np.kron([[0.0, 1.0], [1.0, 0.0]], np.eye(n))
    network = QuadraticRegression(swap[None] / math.sqrt(n), [0.0])  # u.v / sqrt(n)
    w = np.random.default_rng(1).standard_normal(2 * n)
    w *= math.sqrt(3.0 * n / lr / (w @ w))
    u, v = np.split(sim.path(network, w, lr, 30, quantities=("weights",)).weights.values, 2, axis=1)
    f, kernel = np.sum(u * v, axis=1) / math.sqrt(n), np.sum(u * u + v * v, axis=1) / n
    after = theory.catapult_step(f[:-1], kernel[:-1], lr, n)
    error = farthest(np.array([f[1:], kernel[1:]]) - after, 0.0)
    statement = "u.v/sqrt(n), n = 20 (QuadraticRegression), lr kernel = 3: difference to the step of (f, kernel) alone"
    return [*checks, compare("K1b", statement, "derived; Lewkowycz et al. 2020", 0.0, error, 1e-11)]


def unstable_convergence() -> list[Check]:
    """U1: relative progress and directional smoothness at the end of an edge-of-stability run."""
    checks = []
    for letters, lr, progress, smoothness in (("ab", 0.01, -5.000e-5, 1.99990), ("cd", 0.05, -1.2515e-3, 1.997497)):
        end = ratios(lr, 3.0, 10**7, 10**6, 2e-3).isel(step=-1)
        statement = f"sqrt(1 + (xy)^2), lr = {lr:g}, edge of stability: relative progress at the end"
        tolerance = 5e-8 if lr < 0.02 else 5e-7
        checks.append(compare(f"U1{letters[0]}", statement, COMPUTED, progress, end.relative_progress, tolerance))
        statement = "the same: lr * directional smoothness at the end"
        measured = lr * float(end.directional_smoothness)
        checks.append(compare(f"U1{letters[1]}", statement, COMPUTED, smoothness, measured, 1e-6))
        law = 2.0 - lr * float(theory.edge_gap(lr, "sqrt"))
        checks.append(compare(f"U1{'ef'[lr > 0.02]}", statement, NORMAL_FORM, law, measured, lr**4))
    run = ratios(0.05, 1.4, 60, 1, 1e-4)
    error = run.relative_progress.values - (0.025 * run.directional_smoothness.values - 1.0)
    statement = "the same below the edge, lr = 0.05, last steps: relative progress - (lr smoothness/2 - 1)"
    return [*checks, compare("U1g", statement, "derived (parabola)", 0.0, farthest(error[-3:], 0.0), 1e-4)]


ROWS = (
    minimalist,
    alignment,
    edge_gaps,
    conserved,
    thresholds,
    mean_model,
    catapult,
    unstable_convergence,
)
