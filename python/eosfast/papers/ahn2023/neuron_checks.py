"""Checks of the single neuron l(x*y): rows S1 to S11. In their statements D = y^2 - x^2, D0 at the start, s = x*y."""

from __future__ import annotations

import numpy as np

from eosfast import SingleNeuron, Stop, theory
from eosfast.papers.check import Check, compare, farthest

from . import simulations as sim

NORMAL_FORM = "derived (normal form near the edge)"
MODELS = {
    "sqrt": SingleNeuron(loss="sqrt"),
    "logcosh": SingleNeuron(loss="logcosh"),
    "logistic": SingleNeuron(loss="logistic"),
    "huber": SingleNeuron(loss="huber"),
    "power, beta = 3": SingleNeuron(loss="power", beta=3.0),
}
BETAS = (1.5, 2.0, 3.0, 4.0)


def conservation() -> list[Check]:
    """S1: gradient descent multiplies D = y^2 - x^2 by 1 - lr^2 l'(s)^2 exactly."""
    errors = []
    for model in MODELS.values():
        for lr in (0.01, 0.1, 0.5):
            w = sim.neuron_path(model, lr, {"x": 0.8, "y": 2.5}, 30).weights.values
            D = (w[:, 1] - w[:, 0]) * (w[:, 1] + w[:, 0])
            slope = np.array([model.grad(v)[1] / v[0] for v in w[:-1]])  # the gradient is l'(s) (y, x)
            errors.append(D[1:] / (D[:-1] * (1.0 - lr**2 * slope**2)) - 1.0)
    statement = "D = y^2 - x^2 is multiplied by 1 - lr^2 l'(xy)^2 in every step, 5 losses, 3 step sizes: relative error"
    source = "derived; its limit lr -> 0 is Lemma 4 of Ahn et al. 2023"
    return [compare("S1", statement, source, 0.0, farthest(errors, 0.0), 1e-14)]


def flow_regime() -> list[Check]:
    """S2: what gradient descent loses of D on its way to the axis."""
    lr, delta, x_tilde = 1e-4, 1.0, 1.0
    start = (2.0 - delta) / lr
    sharpness = sim.settled(MODELS["logcosh"], [lr], 2.0 - delta, x_tilde).sharpness[0]
    expected = start - theory.flow_regime_sharpness(lr, delta, x_tilde)
    statement = "logcosh, lr = 1e-4, lr D0 = 1 (gradient-flow regime): D0 - sharpness = asinh(1)"
    return [compare("S2", statement, "derived", expected, start - sharpness, 1e-3)]


def edge_gap_constants() -> list[Check]:
    """S3, S4: 2/lr - sharpness at the edge of stability for beta = 2, whatever the start."""
    lr, checks = 0.01, []
    for number, loss in (("S3", "sqrt"), ("S4", "logcosh")):
        for letter, level in (("a", 2.5), ("b", 3.0)):
            gap = sim.settled(MODELS[loss], [lr], level, 0.5).gap[0]
            statement = f"{loss}, lr = 0.01, lr D0 = {level:g} (edge of stability): 2/lr - sharpness = lr/(2 c)"
            checks.append(compare(number + letter, statement, NORMAL_FORM, theory.edge_gap(lr, loss), gap, 1e-6))
    return checks


def edge_gap_exponents() -> list[Check]:
    """S5: the gap 2/lr - sharpness scales as lr^(1/(beta-1)), with the constant of the normal form."""
    lrs = [0.02, 0.01, 0.005]
    result = sim.settled(SingleNeuron(loss="power"), lrs, 3.0, 0.5, betas=BETAS)
    checks = []
    for letter, beta in zip("abcd", BETAS, strict=True):
        gap = result.gap.sel(beta=beta).values
        exponent = np.log(gap[0] / gap[-1]) / np.log(lrs[0] / lrs[-1])
        statement = f"power loss, beta = {beta:g}, lr = 0.005 to 0.02: 2/lr - sharpness has exponent 1/(beta - 1)"
        checks.append(compare(f"S5{letter}", statement, NORMAL_FORM, 1.0 / (beta - 1.0), exponent, 0.01))
    for letter, beta in zip("efgh", BETAS, strict=True):
        ratio = result.gap.sel(beta=beta)[-1] / theory.edge_gap(lrs[-1], "power", beta)
        statement = f"power loss, beta = {beta:g}, lr = 0.005: (2/lr - sharpness) / (k_beta Delta / lr)"
        checks.append(compare(f"S5{letter}", statement, NORMAL_FORM, 1.0, ratio, 2e-3))
    return checks


def huber_gap() -> list[Check]:
    """S6: for the Huber loss the gap does not vanish with lr."""
    gap = sim.settled(MODELS["huber"], [0.005, 0.0025], 3.0, 0.5).gap.values
    statement = "huber, lr -> 0 (linearly, from 0.005 and 0.0025): 2/lr - sharpness tends to sqrt(2)"
    return [compare("S6", statement, NORMAL_FORM, theory.edge_gap(0.0025, "huber"), 2.0 * gap[1] - gap[0], 1e-3)]


def never_above_the_edge() -> list[Check]:
    """S7: no run ends above 2/lr."""
    lr, level = np.meshgrid(np.geomspace(0.01, 0.1, 8), np.linspace(0.5, 6.0, 23))
    above = runs = 0
    for model in MODELS.values():
        curvature = theory.loss_shape(model.loss, model.beta).curvature
        result = sim.settled(model, lr.ravel(), level.ravel() / curvature, 0.5)
        above += int(np.sum(~(result.sharpness.values <= 2.0 / result.lr.values)))
        runs += result.sizes["run"]
    statement = f"{runs} runs, 5 losses, lr D0 l''(0) = 0.5 to 6: number that do not end with sharpness <= 2/lr"
    return [compare("S7", statement, "derived: a minimiser above 2/lr repels", 0.0, above, 0.0)]


def oscillation() -> list[Check]:
    """S8 to S10: one long run at the edge of stability."""
    lr, delta, x_tilde = 0.01, 1.0, 0.5
    w0 = {name: float(value) for name, value in sim.start(lr, 2.0 + delta, x_tilde).items()}
    x, y = sim.neuron_path(MODELS["sqrt"], lr, w0, 60_000).weights.values.T
    s = np.abs(x * y)
    checks = []

    ratio = (s[400:4001] + s[401:4002]) / 2.0 / theory.oscillation_envelope(lr, y[400:4001])
    statement = "sqrt, lr = 0.01, lr D0 = 3, steps 400 to 4000: |s| over the root of l'(s)/s = 2/(lr y^2)"
    checks.append(compare("S8", statement, "derived (2-cycle at frozen y)", 1.0, farthest(ratio, 1.0), 5e-4))

    excess = lr * y**2 - 2.0
    error = (excess - theory.slow_line(lr, s)) / np.maximum(np.abs(excess), lr**2)
    statement = "the same run: lr y^2 - 2 = 2 c s^2 - lr^2/(2 c) once below 0.05: relative error"
    checks.append(compare("S9", statement, NORMAL_FORM, 0.0, farthest(error[~(excess >= 0.05)], 0.0), 0.02))

    expected = theory.steps_to_edge(lr, delta, x_tilde)
    crossing = np.argmax(excess <= 0.0)
    statement = "the same run: steps until lr y^2 <= 2"
    checks.append(compare("S10", statement, "derived (quasi-static oscillation)", expected, crossing, 1e-3 * expected))
    return checks


def regimes() -> list[Check]:
    """S11: the sharpness ends at min(D0, 2/lr)."""
    lr, level = np.meshgrid(np.geomspace(2e-3, 1e-2, 8), np.linspace(0.25, 5.0, 20))
    result = sim.settled(MODELS["sqrt"], lr.ravel(), level.ravel(), 0.5, stop=Stop(grad_norm=1e-4))
    ratio = result.sharpness.values / theory.regime_sharpness(result.lr.values, result.x.values, result.y.values)
    statement = "sqrt, 160 runs, lr = 0.002 to 0.01, lr D0 = 0.25 to 5: sharpness / min(D0, 2/lr)"
    return [compare("S11", statement, "Ahn et al. 2023, section 2.2", 1.0, farthest(ratio, 1.0), 0.02)]


ROWS = (
    conservation,
    flow_regime,
    edge_gap_constants,
    edge_gap_exponents,
    huber_gap,
    never_above_the_edge,
    oscillation,
    regimes,
)
