"""Checks of random models (A11 to A15, A18) and of the top mode of a random model and of a network (A16, A17).

s = sigma_z sqrt(D P), l_0 = P sigma_J^2 (1 + sqrt(D/P))^2, D = 60 and P = 120 as recalled from the paper.
"""

from __future__ import annotations

import numpy as np

from eosfast import theory
from eosfast.papers.check import Check, compare

from . import simulations as sim

PAPER = "Agarwala et al. 2023"
COMPUTED = "computed by an independent program"
SEEDS, NUM_STEPS, NUM_DRAWS = range(10), 4_000, 200


def start() -> list[Check]:
    """A11, A12: the curvature of random models and its first two derivatives at the start."""
    s, level = 0.3, 0.5
    top, first, second = sim.rates_at_start(s, level, NUM_DRAWS).T
    setting = f"D = 60, P = 120, {NUM_DRAWS} draws, gradient flow from the start"
    error = np.std(first) / np.sqrt(NUM_DRAWS)
    rate = float(theory.sharpening_rate(sim.D, sim.P, s / np.sqrt(sim.D * sim.P)))
    ratio = np.mean(second) / np.mean(top) / rate
    return [
        compare(
            "A11a",
            f"{setting}: mean of lambda' over its standard error",
            f"{PAPER}, theorem on random models",
            0.0,
            np.mean(first) / error,
            3.0,
        ),
        compare(
            "A11b",
            f"{setting}: mean of lambda'' over mean of lambda, divided by 2 D P sigma_z^2",
            f"{PAPER} (proportional to sigma_z^2); constant derived",
            1.0,
            ratio,
            0.08,
        ),
        compare(
            "A12",
            f"{setting}: mean of lambda over P sigma_J^2 (1 + sqrt(D/P))^2; 5 % below at this size",
            "derived (Marchenko and Pastur)",
            0.95,
            np.mean(top) / level,
            0.02,
        ),
    ]


def ends() -> list[Check]:
    """A13 to A15: where random models end."""
    checks, diverged = [], 0
    for letter, level in zip("abc", (0.1, 0.25, 0.5), strict=True):
        curvature, outcome, _ = sim.random_ends(0.5, level, SEEDS, NUM_STEPS)
        diverged += int(np.sum(outcome == sim.DIVERGED))
        statement = f"s = 0.5, l_0 = {level:g}, 10 seeds: median final curvature of the converged"
        median = np.median(curvature[outcome == sim.CONVERGED])
        checks.append(compare(f"A13{letter}", statement, f"{PAPER} (the edge); {COMPUTED}", 1.984, median, 0.01))
    checks.append(compare("A13d", "the same 30 runs: how many diverge", COMPUTED, 0, diverged, 0))
    curvature, outcome, _ = sim.random_ends(0.1, 0.1, SEEDS, NUM_STEPS)
    statement = "s = 0.1, l_0 = 0.1, 10 seeds: median final curvature: far from the edge"
    median = np.median(curvature[outcome == sim.CONVERGED])
    checks.append(compare("A14", statement, COMPUTED, 0.453, median, 0.03))
    levels = (0.1, 0.25, 0.5, 1.0, 1.5, 1.9)
    outcomes = np.array([sim.random_ends(1.0, level, SEEDS, NUM_STEPS)[1] for level in levels])
    statement = "s = 1, l_0 = 0.1 to 1.9, 60 runs: fraction that diverges"
    checks.append(compare("A15", statement, COMPUTED, 1.0, np.mean(outcomes == sim.DIVERGED), 0.0))
    return checks


def top_mode() -> list[Check]:
    """A16: two steps of the top mode of a random model, a seed with a separate top eigenvalue: where two of them cross,
    v_1 turns and nothing of the kind holds.
    """
    run = sim.random_run(0.4, 1.0, 9, 400).sel(step=slice(60, None))
    law = sim.two_step_law(run.z1.values, run.ntk_sharpness.values)
    slope, correlation = sim.slope_and_correlation(law.expected, law.change)
    _, fall = sim.slope_and_correlation(law.square, law.excess_change)
    setting = "s = 0.4, l_0 = 1, steps 60 to 400, seed 9"
    source = f"{PAPER} (the relation, in a network)"
    return [
        compare("A16a", f"{setting}: slope of z1(t+2) - z1(t) over 2 y z1", source, 1.0, slope, 0.1),
        compare("A16b", f"{setting}: their correlation", source, 1.0, correlation, 0.1),
        compare("A16c", f"{setting}: correlation of y(t+2) - y(t) with z1^2", source, -1.0, fall, 0.2),
    ]


def network() -> list[Check]:
    """A17: the same in a network on digits at the edge, and the curvature of its outputs along the top mode."""
    first, last = 2_000, 2_800
    run = sim.network_run(first, last, ("z1", "ntk_sharpness"))
    law = sim.two_step_law(run.z1.values, sim.LR / sim.SAMPLES * run.ntk_sharpness.values)
    slope, _ = sim.slope_and_correlation(law.expected, law.change)
    _, fall = sim.slope_and_correlation(law.square, law.excess_change)
    setting = "two hidden tanh layers on 100 digits, lr = 0.22, steps 2000 to 2800"
    source = f"{PAPER}, real networks (on other data)"
    extremes = sim.network_run(first, last, ("q1_max", "weights"), 200)
    largest = extremes.q1_max.values
    u = np.random.default_rng(0).standard_normal(10 * sim.SAMPLES)
    random = sim.largest_curvature(sim.network(), extremes.weights.values[0], u / np.linalg.norm(u))
    return [
        compare("A17a", f"{setting}: slope of z1(t+2) - z1(t) over 2 y z1", source, 1.0, slope, 0.01),
        compare("A17b", f"{setting}: correlation of y(t+2) - y(t) with z1^2", source, -1.0, fall, 0.1),
        compare(
            "A17c",
            f"{setting}: largest curvature of the outputs along v_1, relative change",
            source,
            0.0,
            np.ptp(largest) / largest[0],
            0.05,
        ),
        compare(
            "A17d",
            f"{setting}: the same along a random direction, relative to v_1",
            source,
            0.0,
            random / largest[0],
            0.25,
        ),
    ]


def false_convergence() -> list[Check]:
    """A18: a small loss is no convergence while the curvature is above 2."""
    models = [sim.random_model(0.4, 0.5, seed) for seed in range(12)]
    small = 1e-8 * 0.4**2 / (2.0 * sim.P)
    loss, early, _ = sim.ends_of(models, NUM_STEPS, small)
    false = int(np.sum((loss <= small) & (early > 2.0)))
    curvature, outcome, _ = sim.random_ends(0.4, 0.5, range(12), NUM_STEPS)
    wrong = int(np.sum((outcome == sim.CONVERGED) & ~(curvature < 2.0)))
    setting = "s = 0.4, l_0 = 0.5, 12 seeds"
    return [
        compare("A18a", f"{setting}: runs above 2 when their loss first is 1e-8 of the start", COMPUTED, 2, false, 1),
        compare("A18b", f"{setting}: runs that count as converged and are not below 2", "derived", 0, wrong, 0),
        compare("A18c", f"{setting}: runs that converge in the end", COMPUTED, 12, np.sum(outcome == sim.CONVERGED), 0),
    ]


ROWS = (start, ends, top_mode, network, false_convergence)
