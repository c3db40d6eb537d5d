"""Checks of logistic regression, C7 to C13, C28 and C29, and of the two points of theorem 4.3, C14 to C18."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from eosfast import GD, Dataset, LogisticRegression, datasets, sweep, theory
from eosfast.papers.check import Check, compare, farthest
from eosfast.papers.runs import finished

from . import simulations as sim
from .phase_figures import GAMMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMPUTED = "computed by an independent program"
WU = "Wu et al. 2024 (arXiv 2402.15926)"
LATE = 2**20
STEP_SIZES = (4.0, 8.0, 16.0, 32.0)

# ------------------------------------------------------------------------------------------------- the toy of Wu et al.


def oscillation_of_the_toy() -> list[Check]:
    """C7, C8: which step sizes are monotone, when the loss increases last, and when it is below 1/lr."""
    model, checks = LogisticRegression(datasets.wu2024()), []
    last = {4.0: 0, 5.0: 11, 6.0: 15, 7.0: 16, 8.0: 15, 16.0: 12, 32.0: 12}
    below = {4.0: 23, 8.0: 20, 16.0: 13, 32.0: 15}
    for letter, lr in zip("abcdefg", last, strict=True):
        loss = sim.run(model, np.zeros(2), lr, 2_000).loss.values
        times = theory.phase_times(loss, lr, 4, sim.constants(model))
        statement = f"four points, logistic regression from 0, lr = {lr:g}: step after which the loss never increased"
        source = f"{WU}, figure 1, for 4 (monotone), 8, 16, 32 (not); number: computed"
        checks.append(compare(f"C7{letter}", statement, source, last[lr], times.monotone, 0.0))
        if lr in below:
            letter = "abcd"[list(below).index(lr)]
            first = int(np.argmax(loss <= 1.0 / lr))
            statement = f"the same, lr = {lr:g}: first step with a loss of at most 1/lr"
            checks.append(compare(f"C8{letter}", statement, COMPUTED, below[lr], first, 0.0))
    return checks


def limit_of_the_toy() -> list[Check]:
    """C9 to C11: the loss after 2^20 steps, its rate, and the direction."""
    data = datasets.wu2024()
    model, checks, offsets = LogisticRegression(data), [], []
    expected = {4.0: 5.96084783e-6, 8.0: 2.98030410e-6, 16.0: 1.49003455e-6, 32.0: 7.40811570e-7}
    late = {lr: sim.run(model, np.zeros(2), lr, LATE, [0, LATE], ("loss", "weights")) for lr in STEP_SIZES}
    for letter, lr in zip("abcd", STEP_SIZES, strict=True):
        measured, tolerance = late[lr].loss[-1], 1e-6 if lr < 32.0 else 1e-4  # 32: chaotic at first
        statement = f"four points, lr = {lr:g}: loss after 2^20 steps"
        checks.append(compare(f"C9{letter}", statement, COMPUTED, expected[lr], measured, tolerance * expected[lr]))
        offsets.append(float(late[lr].weights[-1, 0]))
    limit = float(theory.loss_rate(theory.hard_margin(data.X, data.y).margin))
    rates = [lr * LATE * float(late[lr].loss[-1]) for lr in (4.0, 8.0)]
    statement = "the same, lr = 4, 8: lr t L = 1/gamma^2"
    checks.append(compare("C10", statement, f"derived; {WU} has the rate", limit, farthest(rates, limit), 1e-4 * limit))
    offset = float(theory.logistic_offset(data.X, data.y)[0])
    statement = "the same, lr = 4 to 32: first weight, minimiser of exp(-v) + exp(2 v), -log(2)/3"
    source = "Wu, Braverman, Lee 2023 (arXiv 2305.11788); number: computed"
    checks.append(compare("C11", statement, source, offset, farthest(offsets, offset), 1e-4))
    return checks


def start_and_scaling_of_the_toy() -> list[Check]:
    """C12, C13: sharpness at the start; the same data in the unit ball, and the bound on the average loss."""
    data = datasets.wu2024()
    model = LogisticRegression(data)
    sharpness = model.sharpness(np.zeros(2)).values[0]
    statement = "four points: sharpness at 0; 2/sharpness = 3.195 although lr = 4 is monotone"
    checks = [compare("C12", statement, COMPUTED, 0.6260146, sharpness, 1e-6)]
    radius = float(np.max(np.linalg.norm(data.X, axis=1)))
    inside, lr = Dataset(data.X / radius, data.y), 4.0 * radius**2
    loss = sim.run(LogisticRegression(inside), np.zeros(2), lr, LATE).loss.values
    same = sim.run(model, np.zeros(2), 4.0, LATE).loss.values
    statement = "samples divided by their largest norm R, lr = 4 R^2: largest relative difference of the loss to lr = 4"
    checks.append(compare("C13a", statement, "derived", 0.0, farthest(loss / same - 1.0, 0.0), 1e-9))
    average = float(np.mean(loss[:-1]))
    checks.append(compare("C13b", "the same: average loss of 2^20 steps", COMPUTED, 7.4438e-5, average, 7.5e-8))
    gamma, t = theory.hard_margin(inside.X, inside.y).margin, np.arange(1, LATE + 1)
    above = np.cumsum(loss[:-1]) / t > theory.logistic_average_bound(t, lr, gamma)
    statement = "the same: average loss above [1 + log^2(gamma^2 lr t) + lr^2/4]/(gamma^2 lr t), steps"
    checks.append(compare("C13c", statement, f"{WU}, theorem 1", 0.0, np.sum(above), 0.0))
    return checks


# ------------------------------------------------------------------------------------------------ the exponential loss


def exponential_loss() -> list[Check]:
    """C28: two points on which a large step makes the exponential loss diverge, and the logistic loss none.

    Between lr = 1 and 1.9 it depends on gamma: 1.5 diverges for 0.05 and 0.1, not for 0.2 and 0.24.
    """
    gammas, start = np.array([0.05, 0.1, 0.2, 0.24]), np.array([0.0, 1.5])
    source = "Wu, Braverman, Lee 2023 (arXiv 2305.11788); numbers: computed"
    gamma, lr = (grid.ravel() for grid in np.meshgrid(gammas, [1.9, 2.0, 4.0, 10.0]))
    kept = int(np.sum(exponential_descent(gamma, lr, start, 3) <= 1e100))  # no comparison holds with NaN
    setting = "z = (gamma, 1), (gamma, -1), gamma = 0.05 to 0.24, w0 = (0, 1.5)"
    statement = f"{setting}, exponential loss, lr = 1.9 to 10: runs with a loss of at most 1e100 after 3 steps"
    checks = [compare("C28a", statement, source, 0, kept, 0)]
    gamma, lr = (grid.ravel() for grid in np.meshgrid(gammas, [0.1, 0.25, 0.5, 1.0]))
    T = 10_000
    ends = exponential_descent(gamma, lr, start, T) * (1.0 + gamma**2 * lr * T)
    statement = "the same, lr = 0.1 to 1: L (1 + gamma^2 lr t) at t = 10^4"
    checks.append(compare("C28b", statement, f"{source}; rate: derived", 1.0, farthest(ends, 1.0), 2e-3))
    T, ends = 10**5, []
    for one in gammas:
        model = LogisticRegression(Dataset([[one, 1.0], [one, -1.0]], [1.0, 1.0]))
        loss = sim.run(model, start, 10.0, T, [0, T]).loss[-1]
        ends.append(float(loss) * (1.0 + one**2 * 10.0 * T))
    statement = "the same, logistic loss, lr = 10: L (1 + gamma^2 lr t) at t = 10^5"
    return [*checks, compare("C28c", statement, f"{source}; rate: derived", 1.0, farthest(ends, 1.0), 1e-2)]


def exponential_descent(
    gamma: NDArray[np.float64], lr: NDArray[np.float64], start: NDArray[np.float64], num_steps: int
) -> NDArray[np.float64]:
    """Loss ``mean_i exp(-z_i.w)`` after gradient descent on z = (gamma, 1), (gamma, -1), for arrays of gamma and lr;
    infinite or NaN where the run diverges.

    No model has this loss: with two weights and few steps a recursion in NumPy does. Loss and both derivatives are
    means of the exponentials, ``dL/du = -gamma (p + q)/2``, ``dL/dv = (q - p)/2``.
    """
    u, v = np.full_like(gamma, start[0]), np.full_like(gamma, start[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(num_steps):
            p, q = np.exp(-gamma * u - v), np.exp(-gamma * u + v)
            u, v = u + lr * gamma * (p + q) / 2.0, v + lr * (p - q) / 2.0
        return np.asarray((np.exp(-gamma * u - v) + np.exp(-gamma * u + v)) / 2.0)


# -------------------------------------------------------------------------------------------------------- not separable


def cascade() -> list[Check]:
    """C29: one weight, three labels of four right: a period-doubling cascade above lr = 2/curvature."""
    z = np.array([1.0, 1.0, 1.0, -1.0])
    model = LogisticRegression(Dataset(z[:, None], np.ones(4)))
    reference = (32.0 / 3.0, 14.05425, 15.01005, 15.21609, 15.26049)
    found = theory.period_doublings(z, 5)
    checks = []
    source = "Meng et al. 2024 (arXiv 2406.05033) has the cascade; number: computed"
    for letter, expected, lr in zip("abcde", reference, found, strict=True):
        statement = f"z = (1, 1, 1, -1): step size at which the period doubles to {2 ** ('abcde'.index(letter) + 1)}"
        checks.append(compare(f"C29{letter}", statement, source, expected, lr, 1e-4))
    lrs = np.ravel([found - 2e-3, found + 2e-3], order="F")
    w0 = np.array([0.3])
    result = sweep(model, GD(), {"lr": lrs}, w0=w0, num_steps=100_000, measure=("period",))
    periods = finished(result).period.values
    wrong = int(np.sum(periods != np.repeat(2 ** np.arange(6), 2)[1:-1]))
    statement = "the same: runs 0.002 below and above each of these with another period than 1, 2, ..., 32"
    checks.append(compare("C29f", statement, "derived", 0.0, wrong, 0.0))
    result = sweep(model, GD(), {"lr": [16.0, 18.0, 19.2]}, w0=w0, num_steps=10**6, measure=("period", "lyapunov"))
    chaos = finished(result)
    for letter, k, exponent in (("g", 0, 0.2498), ("h", 1, 0.3920)):
        statement = f"the same, lr = {chaos.lr.values[k]:g}: Lyapunov exponent"
        checks.append(compare(f"C29{letter}", statement, COMPUTED, exponent, chaos.lyapunov[k], 5e-3))
    checks.append(compare("C29i", "the same, lr = 19.2: period", COMPUTED, 3, chaos.period[2], 0))
    return checks


# ---------------------------------------------------------------------------------------- the two points of theorem 4.3


def two_points() -> list[Check]:
    """C14 to C16: how large a step may be without an increase of the loss, and where the loss goes."""
    model, start = sim.leaky(datasets.two_point(GAMMA), sim.HALF, 2), np.zeros(4)
    setting = "two points, gamma = 0.05, network with 2 neurons from 0"
    lrs = np.round(2.0 * np.arange(23.86, 23.8751, 2.5e-4), 6)
    result = sweep(model, GD(), {"lr": lrs}, w0=start, num_steps=20_000, measure=("last_loss_increase",))
    quiet = finished(result).last_loss_increase.values < 0
    largest = float(lrs[quiet].max()) if quiet.any() else math.nan
    checks = [compare("C14", f"{setting}: largest monotone step size", COMPUTED, 47.7334, largest, 2e-3)]
    for letter, lr, expected in (("a", 8.0, 1.601629e-4), ("b", 16.0, 8.004031e-5), ("c", 32.0, 4.000974e-5)):
        loss = sim.run(model, start, lr, 10**6, [0, 10**6]).loss[-1]
        statement = f"{setting}, lr = {lr:g}: loss after 10^6 steps"
        checks.append(compare(f"C15{letter}", statement, COMPUTED, expected, loss, 1e-5 * expected))
    loss = sim.run(model, start, 64.0, 3_000).loss.values
    first = np.array([0.6931472, 0.7428553, 0.7298350, 0.9837854])
    error = farthest(loss[:4] - first, 0.0)
    checks.append(compare("C16a", f"{setting}, lr = 64: error of the first losses", COMPUTED, 0.0, error, 1e-6))
    times = theory.phase_times(loss, 64.0, 2, theory.network_constants(model))
    checks.append(compare("C16b", "the same: last step that increased the loss", COMPUTED, 35, times.monotone, 0))
    return checks


def acceleration() -> list[Check]:
    """C17, C18: T L(w_T) stays above a constant at the best monotone step; a step proportional to T does better."""
    model, start = sim.leaky(datasets.two_point(GAMMA), sim.HALF, 2), np.zeros(4)
    budgets = np.array([0, 10**3, 10**4, 10**5])
    monotone = sim.run(model, start, 2.0 * 23.87, 10**5, budgets).loss.values
    checks, source = [], "Cai et al. 2024, theorem 4.3: bounded below; number: computed"
    for letter, k, expected in (("a", 1, 29.83), ("b", 2, 27.21), ("c", 3, 26.86)):
        statement = f"two points, gamma = 0.05, lr = 47.74: T L(w_T), T = 10^{k + 2}"
        checks.append(compare(f"C17{letter}", statement, source, expected, budgets[k] * monotone[k], 0.01))
    source = "Cai et al. 2024, section 4: acceleration; number: computed"
    for letter, k, expected in (("a", 2, 3.33e-4), ("b", 3, 2.5e-10)):
        T = int(budgets[k])
        loss = float(sim.run(model, start, 0.06 * T, T, [0, T]).loss[-1])
        statement = f"the same, lr = 0.06 T, T = 10^{k + 2}: log10 of L(w_T), {monotone[k] / loss:.2g} times smaller"
        checks.append(compare(f"C18{letter}", statement, source, math.log10(expected), math.log10(loss), 0.3))
    return checks


ROWS = (
    oscillation_of_the_toy,
    limit_of_the_toy,
    start_and_scaling_of_the_toy,
    exponential_loss,
    two_points,
    acceleration,
    cascade,
)
