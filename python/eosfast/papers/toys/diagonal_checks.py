"""Checks of diagonal linear networks: row V1."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from eosfast import theory
from eosfast.papers.check import Check, compare, farthest

from . import simulations as sim
from .diagonal_figures import ALPHA, DIM, SAMPLES, sparse_regression


def invariants() -> list[Check]:
    """V1a, V1b: the product u v along a run, and the limit of small steps."""
    task = sparse_regression(0.0)
    lr = 0.3
    run = sim.path(task.model, np.full(2 * DIM, ALPHA), lr, 40, quantities=("weights",))
    u, v = np.split(run.weights.values, 2, axis=1)
    gradient = (u**2 - v**2 - task.beta) @ task.X.T @ task.X / SAMPLES
    error = (u * v)[1:] / (u * v * (1.0 - (2.0 * lr * gradient) ** 2))[:-1] - 1.0
    statement = "diagonal network, lr = 0.3: u v is multiplied by 1 - 4 lr^2 g^2 in every coordinate: relative error"
    checks = [compare("V1a", statement, "derived", 0.0, farthest(error, 0.0), 1e-11)]
    limits = []
    for lr in (0.02, 0.01, 0.005):
        u, v = np.split(task.run(lr).weights.values[-1], 2)
        limits.append(u**2 - v**2)
    first = [2.0 * b - a for a, b in pairwise(limits)]
    extrapolated = (4.0 * first[1] - first[0]) / 3.0
    statement = "lr -> 0 (from 0.02, 0.01, 0.005): largest difference of beta to the flow's 2 alpha^2 sinh(X' nu)"
    return [*checks, compare("V1b", statement, "derived", 0.0, farthest(extrapolated - task.flow, 0.0), 1e-4)]


def large_steps() -> list[Check]:
    """V1c to V1e: beyond the edge of the flow's limit."""
    levels, formula, change = [], [], []
    for mean in (0.0, 1.0):
        task = sparse_regression(mean)
        flow_error = np.sum(np.abs(task.flow - task.beta))
        for factor in (1.05, 1.1, 1.15):
            lr = 2.0 * factor / task.flow_sharpness
            run = task.run(lr)
            u, v = np.split(run.weights.values[-1], 2)
            level = lr * float(run.sharpness[-1])
            levels.append(level)
            formula.append(lr * theory.diagonal_network_sharpness(task.X, u, v) / level - 1.0)
            change.append((np.sum(np.abs(u**2 - v**2 - task.beta)) - flow_error) * (1.0 if mean == 0.0 else -1.0))
    setting = "diagonal networks, data of mean 0 and 1, lr = 1.05, 1.1, 1.15 times 2/sharpness of the flow's limit"
    statement = f"{setting}: runs that do not end with lr * sharpness between 1.9 and 2"
    wrong = int(np.sum(~((np.array(levels) > 1.9) & (np.array(levels) <= 2.0))))
    checks = [compare("V1c", statement, "derived: a minimum above 2/lr repels; bound: computed", 0, wrong, 0)]
    statement = "the same: relative error of the sharpness 4/n lambda_max(X diag(u^2 + v^2) X')"
    checks.append(compare("V1d", statement, "derived", 0.0, farthest(formula, 0.0), 1e-3))
    statement = "the same: runs that are not farther from the sparse solution than the flow (mean 0), not nearer (1)"
    return [*checks, compare("V1e", statement, "computed", 0, int(np.sum(~(np.array(change) > 0.0))), 0)]


ROWS = (invariants, large_steps)
