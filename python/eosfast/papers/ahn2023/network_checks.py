"""Checks of the mean model (rows M1 to M7) and of the ReLU network (rows N1 to N8).

In their statements A = d (a_minus + a_plus), A0 at the start, and b_e is the bias at which lr d^2 g(b)^2 / 2 = 2. The
network has d = 200, n = 300 and signal 3. Its reference numbers come from other draws of the data and the start, hence
their tolerances.
"""

from __future__ import annotations

import math

import numpy as np

from eosfast import MeanModel, ThresholdNeuron, datasets, theory
from eosfast.papers.check import Check, compare, farthest

from . import simulations as sim

COMPUTED = "computed by an independent program"
D = sim.DIM
STARTS = (1.0, 5.0, math.sqrt(D))  # A0 = d (a_minus + a_plus), up to its typical size
SEEDS = range(12)

# ------------------------------------------------------------------------------------------------------- the mean model


def threshold() -> list[Check]:
    """M1: the step size at which the start A = b = 0 becomes unstable."""
    sharpness = MeanModel(d=D).sharpness(np.zeros(3)).values[0]
    expected = float(theory.edge_lr(D))
    statement = "mean model, d = 200: 2/sharpness at A = b = 0 is 8 pi / d^2"
    return [compare("M1", statement, "Ahn et al. 2023, figure 1", expected, 2.0 / sharpness, 1e-14 * expected)]


def final_biases() -> list[Check]:
    """M2 to M5: where the bias ends above the threshold."""
    reference = {2.5e-3: -0.495826, 10.0 * math.pi / D**2: -0.088041, 1e-3: -0.179062, 5e-3: -0.712537, 1e-2: -0.916768}
    lrs = np.array(list(reference))
    b = sim.mean_model_limit(D, lrs, STARTS).b.values
    checks = []
    for id, lr, row in zip(("M2", "M3", "M4a", "M4b", "M4c"), lrs, b, strict=True):
        statement = f"mean model, d = 200, lr = {lr:.6g}, A0 = 1, 5, sqrt(200): final bias"
        checks.append(compare(id, statement, COMPUTED, reference[lr], farthest(row, reference[lr]), 1e-5))
    error = (b - theory.edge_bias_limit(lrs, D)[:, None]) / lrs[:, None] ** 2
    statement = "the same five step sizes: (final bias - b_e + (3/4) lr g'(b_e)/g(b_e)) / lr^2"
    checks.append(compare("M4d", statement, "derived (normal form near the edge)", 0.0, farthest(error, 0.0), 10.0))
    many = theory.edge_lr(D) * np.geomspace(1.02, 20.0, 40)
    limit = sim.mean_model_limit(D, many, STARTS).b.values
    learned = limit <= theory.edge_bias(many, D)[:, None]
    stable = many[:, None] * D**2 * theory.smoothed_relu(limit) ** 2 / 2.0 <= 2.0
    statement = (
        f"mean model, {limit.size} runs, lr d^2 / (8 pi) = 1.02 to 20: number without b <= b_e, lr d^2 g(b)^2 / 2 <= 2"
    )
    source = "derived: the limit is stable; Ahn et al. 2023, section 1.2, bounds b away from 0"
    checks.append(compare("M5", statement, source, 0.0, np.sum(~(learned & stable)), 0.0))
    return checks


def biases_below_the_threshold() -> list[Check]:
    """M6, M7: below the threshold the final bias is of the size 1/d^2."""
    small = float(sim.mean_model_limit(D, [2.5e-5], [1.0]).b[0, 0])
    expected = theory.stable_bias_limit(2.5e-5, D, 1.0)
    statement = "mean model, d = 200, A0 = 1, lr = 2.5e-5: final bias"
    checks = [compare("M6", statement, "derived", expected, small, 0.01 * abs(expected))]
    reference = {100: -6.1858e-5, 200: -1.54646e-5, 400: -3.86614e-6, 800: -9.66536e-7}
    b = {d: float(sim.mean_model_limit(d, [4.0 * math.pi / d**2], [1.0]).b[0, 0]) for d in reference}
    for letter, d in zip("abcd", reference, strict=True):
        statement = f"mean model, d = {d}, A0 = 1, lr = 4 pi / d^2: final bias"
        tolerance = 1e-3 * abs(reference[d])
        checks.append(compare(f"M7{letter}", statement, COMPUTED, reference[d], b[d], tolerance))
    ratio = [b[d] / b[2 * d] for d in (100, 200, 400)]
    statement = "the same: final bias at d over that at 2 d"
    checks.append(compare("M7e", statement, "derived: b scales as 1/d^2", 4.0, farthest(ratio, 4.0), 4e-3))
    return checks


# ----------------------------------------------------------------------------------------------------- the ReLU network


def transition() -> list[Check]:
    """N1 to N3: final bias and test accuracy of the network against the step size."""
    lrs = [2.5e-4, 5e-4, 6e-4, 7e-4, 8e-4, 2.5e-3, 6e-3, 1.2e-2]
    result = sim.final_bias(lrs, SEEDS, test_samples=20_000)
    change = result.b - result.b.sel(lr=2.5e-4)
    setting = "network, 12 seeds, lr * num_steps = 10"
    figure1 = "Ahn et al. 2023, figure 1: a bias is learned only above 8 pi / d^2; bound: computed"
    checks = []
    statement = f"{setting}: final bias at lr = 5e-4 and 6e-4 minus that at 2.5e-4"
    below = farthest(change.sel(lr=[5e-4, 6e-4]), 0.0)
    checks.append(compare("N1a", statement, figure1, 0.0, below, 3e-3))
    for id, lr, bound in (("N1b", 7e-4, -0.01), ("N1c", 8e-4, -0.04)):
        statement = f"{setting}: seeds with final bias at lr = {lr:g} minus that at 2.5e-4 below {bound:g}"
        checks.append(compare(id, statement, figure1, len(SEEDS), np.sum(change.sel(lr=lr).values < bound), 0.0))
    for id, lr, bias in (("N2a", 2.5e-3, -0.86), ("N2b", 6e-3, -1.29), ("N2c", 1.2e-2, -1.64)):
        statement = f"{setting}: mean final bias at lr = {lr:g}"
        checks.append(compare(id, statement, COMPUTED, bias, result.b.sel(lr=lr).values.mean(), 0.1))
    for id, lr, accuracy in (("N3a", 6e-4, 0.583), ("N3b", 1.2e-2, 0.700)):
        statement = f"{setting}: mean accuracy on 20,000 test samples at lr = {lr:g}"
        checks.append(compare(id, statement, COMPUTED, accuracy, result.accuracy.sel(lr=lr).values.mean(), 0.03))
    return checks


def untrained_accuracy() -> list[Check]:
    """N4: the accuracy without a threshold."""
    sets, size = 5, 20_000
    w = np.array([-1.0, 1.0, 0.0])
    samples = (datasets.sparse_coding(size, D, sim.SIGNAL, seed=sim.TEST_SEED + k) for k in range(sets))
    measured = float(np.mean([ThresholdNeuron(data).accuracy(w) for data in samples]))
    expected = float(theory.linear_accuracy(D, sim.SIGNAL))
    statement = "network with b = 0, a_plus = -a_minus: accuracy on 100,000 samples is Phi(signal/sqrt(d))"
    four_standard_errors = 4.0 * math.sqrt(expected * (1.0 - expected) / (sets * size))
    return [compare("N4", statement, "derived", expected, measured, four_standard_errors)]


def oscillation() -> list[Check]:
    """N5, N6: small steps descend quietly, large ones oscillate."""
    flips: dict[float, list[int]] = {}
    increases: dict[float, list[int]] = {}
    for seed in (0, 1, 2):
        model, w0 = sim.draw(seed)
        for lr in (2.5e-5, 2.5e-4, 2.5e-3):
            run = sim.training_curves(model, lr, w0)
            flips.setdefault(lr, []).append(int(np.sum(np.diff(np.sign(run.A.values)) != 0)))
            increases.setdefault(lr, []).append(int(np.sum(~(np.diff(run.loss.values) <= 0.0))))
    figure2 = "Ahn et al. 2023, figure 2"
    small, large = (2.5e-5, 2.5e-4), 2.5e-3
    statement = "network, lr = 2.5e-5 and 2.5e-4, seeds 0, 1, 2: number of steps that increase the loss"
    checks = [compare("N5a", statement, figure2, 0.0, sum(sum(increases[lr]) for lr in small), 0.0)]
    statement = "the same: largest number of sign changes of A in a run, at most 1"
    checks.append(compare("N5b", statement, COMPUTED, 0.0, max(max(flips[lr]) for lr in small), 1.0))
    source = f"{figure2}: non-monotone loss, wild oscillation; number: computed"
    statement = "network, lr = 2.5e-3, 4000 steps, seeds 0, 1, 2: mean number of sign changes of A, more than 100"
    checks.append(compare("N6a", statement, source, 230.0, np.mean(flips[large]), 130.0))
    statement = "the same: mean number of steps that increase the loss, more than 20"
    checks.append(compare("N6b", statement, source, 55.0, np.mean(increases[large]), 35.0))
    return checks


def initial_phase() -> list[Check]:
    """N7, N8: up to time 0.5 the network follows the mean model and sits at the edge."""
    lr, seeds = 2.5e-3, (0, 1, 2)
    difference, bias, scaled_sharpness = [], [], []
    for seed in seeds:
        model, w0 = sim.draw(seed)
        run = sim.training_curves(model, lr, w0, time=0.5, quantities=("weights", "sharpness"))
        mean_model = sim.training_curves(MeanModel(d=D), lr, w0, time=0.5, quantities=("weights",))
        bias.append(float(run.b[-1]))
        difference.append(float(run.b[-1] - mean_model.b[-1]))
        scaled_sharpness.append(lr * float(run.sharpness[-1]))
    setting = "network, lr = 2.5e-3, time 0.5, seeds 0, 1, 2"
    source = "Ahn et al. 2023, section 3: approximates the initial phase; size: computed"
    checks = [
        compare("N7a", f"{setting}: bias minus that of the mean model", source, 0.0, farthest(difference, 0.0), 0.01)
    ]
    checks.append(compare("N7b", f"{setting}: bias", COMPUTED, -0.495, farthest(bias, -0.495), 0.01))
    checks.append(compare("N8", f"{setting}: lr * sharpness", COMPUTED, 1.96, farthest(scaled_sharpness, 1.96), 0.05))
    return checks


ROWS = (
    threshold,
    final_biases,
    biases_below_the_threshold,
    transition,
    untrained_accuracy,
    oscillation,
    initial_phase,
)
