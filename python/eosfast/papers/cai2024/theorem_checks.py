"""Checks of the paper's theorems on random separable data: C1 (constants of activations) and C2 to C6 (bounds)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eosfast import HuberizedReLU, Leaky, activation, theory
from eosfast.papers.check import Check, compare, farthest

from . import simulations as sim

if TYPE_CHECKING:
    from eosfast import TwoLayerNetwork

PAPER = "Cai et al. 2024"

# ------------------------------------------------------------------------------------------------------------ constants

SUPREMA: tuple[tuple[Any, float, float, float], ...] = (  # activation, kappa, sup |phi'|, sup |phi''|
    (activation("gelu"), 0.293525, 1.128904, 0.797885),
    (activation("softplus"), 0.693147, 1.0, 0.25),
    (activation("silu"), 0.439229, 1.099839, 0.5),
    (activation("tanh"), 1.0, 1.0, 0.769800),
    (activation("sigmoid"), 1.0, 0.25, 0.096225),
    (HuberizedReLU(1.0), 0.5, 1.0, 1.0),
    (Leaky("gelu", 0.5, 0.125), 0.036691, 0.641113, 0.099736),
    (Leaky("softplus", 0.5, 0.125), 0.086643, 0.625, 0.03125),
    (Leaky("silu", 0.5, 0.125), 0.054904, 0.637480, 0.0625),
    (Leaky("tanh", 0.5, 0.5), 0.5, 1.0, 0.384900),
    (Leaky("sigmoid", 0.5, 0.5), 0.5, 0.625, 0.048113),
    (Leaky("softplus", 0.5, 0.5), 0.346574, 1.0, 0.125),
)


def constants_of_activations() -> list[Check]:
    """C1: kappa, Lipschitz constant and smoothness of each activation are suprema over its argument."""
    u = np.linspace(-60.0, 60.0, 1_200_001)
    errors: dict[str, list[float]] = {"kappa": [], "lipschitz": [], "smoothness": []}
    gelu = 0.0
    for phi, *expected in SUPREMA:
        first = phi.first(u)
        near = np.max(np.abs(phi.value(u) - u * first))
        found = (near, np.max(np.abs(first)), np.max(np.abs(phi.second(u))))
        gelu = gelu or float(near)
        for name, supremum, value in zip(errors, found, expected, strict=True):
            errors[name] += [float(supremum) - value, float(getattr(phi, name)) - value]
    source = f"computed; {PAPER}, examples 2.1 and 3.1, where their constants are exact"
    statement = f"{len(SUPREMA)} activations: supremum on a grid, and the constant given, of"
    texts = {"kappa": "|phi - u phi'|", "lipschitz": "|phi'|", "smoothness": "|phi''|"}
    checks = [
        compare(
            f"C1{letter}", f"{statement} {texts[name]}: largest error", source, 0.0, farthest(errors[name], 0.0), 1e-5
        )
        for letter, name in zip("abc", errors, strict=True)
    ]
    statement = "GELU: supremum of |phi - u phi'| is 2/(e sqrt(2 pi)), not e^(-1/2)/sqrt(2 pi) = 0.241971"
    checks.append(compare("C1d", statement, f"derived; corrects {PAPER}, example 2.1", 0.293525, gelu, 1e-5))
    return checks


# ------------------------------------------------------------------------------------------------------------- theorems

SEEDS, LRS, NUM_STEPS = (0, 1, 2, 3), (0.1, 4.0, 32.0, 256.0, 2048.0), 20_000
LEAKY_BOUNDS = theory.LeakyBounds(alpha=0.5, smoothness=sim.HALF / 4.0, kappa=sim.HALF * float(np.log(2.0)))
SETTING = (
    f"n = 10, d = 5, m = 8, phi = (u + softplus(u))/2, {len(SEEDS)} data sets, lr = 0.1 to 2048, {NUM_STEPS} steps"
)
ROUNDING = 1e-13


class Run(NamedTuple):
    """A recorded run and what its network and data are."""

    model: TwoLayerNetwork
    lr: float
    constants: theory.Constants
    times: theory.PhaseTimes
    loss: NDArray[np.float64]
    margin: NDArray[np.float64]
    weight_norm: NDArray[np.float64]
    grad_norm: NDArray[np.float64]
    weights: NDArray[np.float64]


@lru_cache(maxsize=1)
def runs() -> tuple[Run, ...]:
    """The runs that all the theorems are checked on; every step recorded."""
    found = []
    quantities = ("loss", "margin", "weight_norm", "grad_norm", "weights")
    for seed in SEEDS:
        model, start = sim.separable_network(seed)
        constants = theory.network_constants(model)
        for lr in LRS:
            data = sim.run(model, start, lr, NUM_STEPS, quantities=quantities)
            times = theory.phase_times(data.loss.values, lr, model.data.n, constants, ROUNDING)
            recorded = {name: data[name].values for name in quantities}
            found.append(Run(model, lr, constants, times, **recorded))
    return tuple(found)


def _count(id: str, text: str, source: str, violations: list[int], steps: int) -> Check:
    statement = f"{SETTING}: {text}, violations in {steps} steps"
    return compare(id, statement, f"{PAPER}, {source}", 0.0, sum(violations), 0.0)


def monotone_phase() -> list[Check]:
    """C2, C4: below the threshold (4) no step increases the loss, and one step changes it as lemma A.3 says."""
    increases, outside, after, bounded = [], [], 0, 0
    for one in runs():
        if one.times.below_4 >= 0:
            late = one.loss[one.times.below_4 :]
            increases.append(int(np.sum(~(late[1:] <= late[:-1] * (1.0 + ROUNDING)))))
            after += len(late) - 1
        low, high = theory.one_step_bounds(one.loss[:-1], one.grad_norm[:-1], one.lr, one.constants)
        change, slack = np.diff(one.loss), ROUNDING * one.loss[:-1]
        outside.append(int(np.sum((change < low - slack) | (change > high + slack))))
        bounded += int(np.isfinite(low).sum())
    return [
        _count("C2", "loss below (4), then an increase", "theorem 2.2", increases, after),
        _count("C4", "loss at most 1/(lr rho^2), change of the loss outside its bounds", "lemma A.3", outside, bounded),
    ]


def stable_phase() -> list[Check]:
    """C3: what theorem 2.2 and its lemmas say from the step on at which the loss is below the threshold (5)."""
    margin, order, norm, rate, growth = [], [], [], [], []
    steps = 0
    for one in runs():
        s, n, kappa = one.times.below_5, one.model.data.n, one.constants.kappa
        if s < 0:
            continue
        loss, size = one.loss[s:], one.weight_norm[s:]
        steps += len(loss) - 1
        log_c = theory.log_modified_margin(loss, size, n, one.lr, one.constants)
        b, a = theory.auxiliary_margin(loss, size, n, kappa), theory.smoothed_margin(loss, size)
        margin.append(int(np.sum(~(np.diff(log_c) >= -1e-12))))
        ratio = theory.log_margin_ratio(loss, n, one.lr, one.constants)
        ordered = (log_c <= np.log(b)) & (b <= one.margin[s:]) & (one.margin[s:] <= a)
        order.append(int(np.sum(~(ordered & (np.log(one.margin[s:]) <= log_c + ratio)))))
        norm.append(int(np.sum(~(np.diff(size) >= 0.0))))
        low, high = theory.stable_loss_bounds(np.arange(len(loss)), loss[0], log_c[0], one.lr, one.constants)
        rate.append(int(np.sum(~((loss >= low * (1.0 - 1e-12)) & (loss <= high)))))
        growth.append(_growth_violations(one, s))
    rate_text = "loss outside 1/(1/L_s + 3 lr rho^2 (t - s)) and 2/(lr gamma_c^2 (t - s))"
    order_text = "gamma_c <= gamma_b <= gamma <= gamma_a or gamma <= (1 + c/log(1/L)) gamma_c fails"
    growth_text = "<-grad L, w> or the growth of ||w||^2 outside its bounds, every tenth step"
    return [
        _count("C3a", "modified margin decreases", "theorem 2.2", margin, steps),
        _count("C3b", order_text, "(A.9), (A.10), (A.12)", order, steps),
        _count("C3c", "weight norm decreases", "theorem 2.2", norm, steps),
        _count("C3d", rate_text, "lemma A.14", rate, steps),
        _count("C3e", growth_text, "(A.7), (A.8)", growth, steps // 10),
    ]


def _growth_violations(one: Run, s: int) -> int:
    at = np.arange(s, len(one.loss) - 1, 10)
    alignment = np.array([-float(one.model.grad(w) @ w) for w in one.weights[at]])
    n, kappa = one.model.data.n, one.constants.kappa
    low, high = theory.norm_growth_bounds(one.loss[at], alignment, n, one.lr, kappa)
    growth = np.sum((one.weights[at + 1] - one.weights[at]) * (one.weights[at + 1] + one.weights[at]), axis=1)
    aligned = alignment >= theory.alignment_bound(one.loss[at], n, kappa) * (1.0 - 1e-9)
    return int(np.sum(~(aligned & (growth >= low * (1.0 - 1e-9)) & (growth <= high * (1.0 + 1e-9)))))


def edge_phase() -> list[Check]:
    """C5, C6: bounds on the average loss, on when the stable phase begins, and on the loss from there on."""
    average, late, rate, t = [], [], [], np.arange(1, NUM_STEPS + 1)
    for one in runs():
        data, width = one.model.data, one.model.width
        gamma, eta = theory.hard_margin(data.X, data.y).margin, one.lr / width
        start = one.weight_norm[0] / np.sqrt(width)
        bound = theory.average_loss_bound(t, eta, gamma, LEAKY_BOUNDS, start)
        average.append(int(np.sum(~(np.cumsum(one.loss[:-1]) / t <= bound))))
        s = one.times.below_5
        tau = float(theory.phase_transition_bound(eta, gamma, data.n, LEAKY_BOUNDS, start))
        late.append(int((s if s >= 0 else NUM_STEPS) > tau))
        if s >= 0:
            after = one.loss[s + 1 :]
            rate_bound = theory.stable_rate_bound(np.arange(1, len(after) + 1), eta, gamma, LEAKY_BOUNDS)
            rate.append(int(np.sum(~(after <= 1.04 * rate_bound))))
    steps = len(average) * NUM_STEPS
    return [
        _count("C5", "average loss above the bound of theorem 3.2", "theorem 3.2", average, steps),
        _count("C6a", "loss above 2/(alpha^2 gamma^2 eta (t - s))", "theorem 4.1", rate, steps),
        _count("C6b", "runs below (5) later than tau", "theorem 4.1 (as proved)", late, len(late)),
    ]


ROWS = (constants_of_activations, monotone_phase, stable_phase, edge_phase)
