"""Checks of one input and one output: which starts converge (B3 to B5), the ellipse (B6), and what comes beyond the
critical step size (B7, B8, B10 to B12).
"""

from __future__ import annotations

import math

import numpy as np

from eosfast import ScalarProduct, gradient_flow, theory
from eosfast.papers.check import Check, compare, farthest

from . import simulations as sim

PAPER = "Craciun and Ghoshdastidar 2024, abstract"
DERIVED = "derived"
NUM_RUNS, NUM_STEPS = 4_000, 20_000
DEPTHS = (2, 3, 4)


def critical_lr(depth: int) -> float:
    """2/sharpness of the flattest minimum for target 1."""
    return 2.0 / float(theory.balanced_sharpness(1.0, depth))


def no_convergence() -> list[Check]:
    """B3: above the critical step size no run converges."""
    checks = []
    for letter, depth in zip("abc", DEPTHS, strict=True):
        starts = sim.normal_starts(depth, NUM_RUNS)
        runs = sim.scalar_runs(depth, 1.01 * critical_lr(depth), starts, NUM_STEPS, ("loss",))
        statement = f"depth {depth}, N(0, 1), lr = 1.01 critical: runs of {NUM_RUNS} that converge"
        source = f"{PAPER}; the critical step size is derived"
        checks.append(compare(f"B3{letter}", statement, source, 0, int(sim.ended(runs, "converged").sum()), 0))
    return checks


def convergence() -> list[Check]:
    """B4: below it, the fraction that converges is the Gaussian mass of the ellipse."""
    lrs, num_runs = np.array([0.5, 0.8, 0.95, 0.99]), 100_000
    runs = sim.scalar_runs(2, lrs, sim.normal_starts(2, num_runs), 10 * NUM_STEPS, ("loss",))
    measured = sim.ended(runs, "converged").mean("run").values
    checks = []
    for letter, lr, fraction in zip("abcd", lrs, measured, strict=True):
        expected = float(theory.bounded_mass(lr))
        deviation = math.sqrt(expected * (1.0 - expected) / num_runs)
        statement = f"depth 2, N(0, 1), lr = {lr:g} critical: fraction of {num_runs} runs that converge"
        checks.append(compare(f"B4{letter}", statement, DERIVED, expected, fraction, 3.0 * deviation))
    return checks


def final_sharpness() -> list[Check]:
    """B5: where gradient descent converges, the sharpness is below 2/lr, and for many just below."""
    checks = []
    for letter, other, depth in zip("ace", "bdf", DEPTHS, strict=True):
        lrs = critical_lr(depth) * np.array([0.3, 0.5, 0.7, 0.9])
        runs = sim.scalar_runs(depth, lrs, sim.normal_starts(depth, NUM_RUNS), NUM_STEPS)
        largest = float(sim.outcomes(runs).largest.max())
        statement = f"depth {depth}, N(0, 1), lr = 0.3 to 0.9 critical: largest lr * sharpness of runs that converged"
        checks.append(compare(f"B5{letter}", statement, PAPER, 2.0, largest, 0.02))
        above = int((runs.lr * runs.sharpness > 2.0 + 1e-6).where(sim.ended(runs, "converged"), False).sum())
        checks.append(compare(f"B5{other}", f"the same: runs above 2 of {runs.status.size}", PAPER, 0, above, 0))
    return checks


def ellipse() -> list[Check]:
    """B6: bounded starts fill an ellipse."""
    checks = []
    for letter, other, lr in zip("aceg", "bdfh", (0.3, 0.5, 0.8, 1.0), strict=True):
        side = 3.0 * math.sqrt(1.0 / lr)
        axis = side * (np.arange(400) + 0.5) / 400.0
        x, y = (one.ravel() for one in np.meshgrid(np.concatenate([-axis, axis]), axis))  # half: (x, y) as (-x, -y)
        runs = sim.scalar_runs(2, lr, np.column_stack([x, y]), 2_000, ("loss",))
        bounded = ~sim.ended(runs, "diverged").values[0]
        area = 2.0 * float(bounded.mean()) * 2.0 * side**2
        expected = float(theory.bounded_area(lr))
        statement = f"(x y - 1)^2/2, lr = {lr:g}: area of the starts that stay bounded, on a raster"
        checks.append(compare(f"B6{letter}", statement, DERIVED, expected, area, 0.01 * expected))
        wrong = int(np.sum(bounded != theory.bounded_start(x, y, lr)))
        statement = f"the same: starts of {len(x)} on the wrong side of the ellipse"
        checks.append(compare(f"B6{other}", statement, DERIVED, 0, wrong, 2e-4 * len(x)))
    return checks


def two_cycle() -> list[Check]:
    """B7: products on the orbit of period two."""
    run = sim.late(ScalarProduct(), [0.4, 1.3], 1.1, 10_000, 2, ("weights",))
    products = np.sort(np.prod(run.weights.values, axis=1))
    cycle = theory.two_cycle(1.1)
    return [
        compare(f"B7{letter}", f"depth 2, lr = 1.1: the {name} x y on the orbit", DERIVED, expected**2, product, 1e-10)
        for letter, name, expected, product in zip("ab", ("smaller", "larger"), cycle[:2], products, strict=True)
    ]


def grad_norm() -> list[Check]:
    """B8, B10: the gradient norm in the limit, from many starts."""
    checks = []
    for depth, ratios in ((2, (1.02, 1.05, 1.1, 1.2)), (3, (1.01, 1.05, 1.1)), (4, (1.01, 1.05, 1.1))):
        number, letters = ("B8", "abcd") if depth == 2 else ("B10", "abc" if depth == 3 else "def")
        starts = sim.normal_starts(depth, 100)
        for letter, ratio in zip(letters, ratios, strict=True):
            lr = ratio * critical_lr(depth)
            runs = sim.scalar_runs(depth, lr, starts, 200_000, ("grad_norm",))
            norms = runs.grad_norm.values[0][~sim.ended(runs, "diverged").values[0]]
            expected = float(theory.asymptotic_grad_norm(lr, 1.0, depth))
            statement = (
                f"depth {depth}, N(0, 1), lr = {ratio:g} critical: gradient norm of all {len(norms)} bounded runs"
            )
            source = f"{DERIVED}; that there is a transition: {PAPER}"
            checks.append(compare(number + letter, statement, source, expected, farthest(norms, expected), 1e-8))
    return checks


def end_of_the_two_cycle() -> list[Check]:
    """B11: where the orbit of period two gives way to one of period four."""
    checks = []
    for letter, depth in zip("abc", DEPTHS, strict=True):
        limit = theory.two_cycle_limit(depth)
        ratios = limit + np.linspace(-0.01, 0.01, 41)
        starts = np.array([[0.9, *[1.0] * (depth - 1)]])
        periods = sim.scalar_runs(depth, ratios * critical_lr(depth), starts, 200_000, ("period",)).period.values[:, 0]
        measured = np.max(ratios[periods == 2], initial=0.0)
        statement = f"depth {depth}: largest lr/critical of a run of period 2, up to 0.01 above it, in steps of 0.0005"
        checks.append(compare(f"B11{letter}", statement, DERIVED, limit, measured, 6e-4))
    return checks


def against_the_flow() -> list[Check]:
    """B12: gradient descent ends at a flatter minimum than gradient flow, which conserves x^2 - y^2."""
    x, y, lr = 3.0, 0.2, 0.2
    flow = gradient_flow(ScalarProduct(), [x, y], times=[100.0], quantities=("sharpness",))
    run = sim.late(ScalarProduct(), [x, y], lr, 10_000, 1, ("sharpness",))
    setting = "(x y - 1)^2/2 from (3, 0.2), lr = 0.2: lr * sharpness at the end"
    source = "computed by an independent program"
    return [
        compare("B12a", f"{setting} of gradient flow", source, 1.8361, lr * float(flow.sharpness[-1]), 1e-4),
        compare("B12b", f"{setting} of gradient descent", source, 1.8024, lr * float(run.sharpness[-1]), 1e-4),
    ]


ROWS = (
    no_convergence,
    convergence,
    final_sharpness,
    ellipse,
    two_cycle,
    grad_norm,
    end_of_the_two_cycle,
    against_the_flow,
)
