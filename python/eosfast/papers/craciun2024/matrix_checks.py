"""Checks of networks of matrices: minima and their spectra (B1, B2, B13, B14), convergence (B3 to B5) and the gradient
norm beyond the critical step size (B9).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from eosfast import LinearNetwork, theory
from eosfast.papers.check import Check, compare, farthest

from . import simulations as sim

PAPER = "Craciun and Ghoshdastidar 2024, abstract"
DERIVED = "derived"
NETWORKS = {(2,): ("B3d", "B4e", "B5g"), (4,): ("B3e", "B4f", "B5h"), (3, 3): ("B3f", "B4g", "B5i")}
NUM_RUNS, NUM_STEPS = 300, 20_000


def flattest() -> list[Check]:
    """B1: the smallest sharpness at a minimum is N sigma_1^(2 - 2/N), and the network's Hessian there has it."""
    checks = []
    for letter, depth in zip("abc", (2, 3, 4), strict=True):
        model = sim.matrix_network((2,) * (depth - 1))
        best = theory.flattest_minimum(*theory.linear_problem(model))
        measured = model.sharpness(_packed(model, best.weights)).values[0]
        statement = f"depth {depth}, W* = diag(2, 1), C = I: sharpness of the flattest minimum"
        expected = theory.balanced_sharpness(2.0, depth)
        checks.append(compare(f"B1{letter}", statement, DERIVED, expected, measured, 1e-9))
    return checks


def _packed(model: LinearNetwork, weights: tuple[NDArray[np.float64], ...]) -> NDArray[np.float64]:
    return np.asarray(model.pack(**{f"W{k + 1}": one for k, one in enumerate(weights)}))


def spectrum() -> list[Check]:
    """B2: the Hessian at a minimum by the Kronecker formula."""
    rng = np.random.default_rng(2)
    weights = [rng.standard_normal(shape) for shape in ((4, 3), (4, 4), (2, 4))]
    product = weights[2] @ weights[1] @ weights[0]
    model = LinearNetwork((3, 4, 4, 2), target=product)
    dense = np.linalg.eigvalsh(model.hessian(_packed(model, tuple(weights))))[::-1]
    formula = theory.minimum_eigenvalues(weights)
    wanted = np.concatenate([formula, np.zeros(len(dense) - len(formula))])
    statement = "widths 3, 4, 4, 2, random weights: distance of the Hessian's eigenvalues from the formula"
    return [compare("B2", statement, DERIVED, 0.0, farthest(dense - wanted, 0.0), 1e-10 * dense[0])]


def weak_eigenvalues() -> list[Check]:
    """B13: along the minima of a matrix the smallest positive eigenvalue goes to 0, so that no step size is too large
    for all of them.
    """
    a = 10.0
    model = LinearNetwork((2, 2, 2), target=np.eye(2))
    w = model.pack(W1=np.diag([1.0 / a, a]), W2=np.diag([a, 1.0 / a]))
    eigenvalues = np.linalg.eigvalsh(model.hessian(w))[::-1][:4]
    expected = (2.0 * a**2, a**2 + a**-2, a**2 + a**-2, 2.0 * a**-2)
    checks = [
        compare(
            f"B13{letter}", f"W* = I, W_2 = diag(10, 1/10): Hessian eigenvalue {letter}", DERIVED, value, found, 1e-9
        )
        for letter, value, found in zip("abcd", expected, eigenvalues, strict=True)
    ]
    kind = theory.stability_class((model, w), lr=50.0).kind
    statement = "the same, lr = 50, critical 1: whether the minimum is weakly stable"
    return [*checks, compare("B13e", statement, DERIVED, 1, int(kind == theory.WEAKLY_STABLE), 0)]


def general_data() -> list[Check]:
    """B14: the flattest minimum on data whose covariance is not the identity."""
    rng, checks = np.random.default_rng(14), []
    worst, attained = math.inf, []
    for trial in range(12):
        hidden = (2,) * (1 + trial % 3)
        model = sim.random_network((2, *hidden, 2), 6, trial)
        problem = theory.linear_problem(model)
        best = theory.flattest_minimum(*problem)
        attained.append(model.sharpness(_packed(model, best.weights)).values[0] / best.lower_bound)
        upper = [np.eye(2) + 0.5 * rng.standard_normal((200, 2, 2)) for _ in hidden]
        for k in range(200):
            above = np.linalg.multi_dot([np.eye(2), *[one[k] for one in upper]])
            weights = [np.linalg.solve(above, problem.target), *[one[k] for one in upper[::-1]]]
            sharpness = theory.minimum_eigenvalues(weights, problem.covariance, problem.loss_scale)[0]
            worst = min(worst, sharpness / best.lower_bound)
    statement = "12 random problems, 2 x 2, depths 2 to 4: sharpness of the minimum given, over the formula"
    checks.append(compare("B14a", statement, DERIVED, 1.0, farthest(attained, 1.0), 1e-9))
    statement = "the same: whether one of 200 random minima of each is flatter"
    return [*checks, compare("B14b", statement, DERIVED, 0, int(worst < 1.0 - 1e-12), 0)]


def convergence() -> list[Check]:
    """B3, B5: no run converges above the critical step size, most below, and then to a sharpness below 2/lr."""
    checks = []
    for hidden, (none, most, where) in NETWORKS.items():
        model = sim.matrix_network(hidden)
        critical = theory.critical_lr(*theory.linear_problem(model))
        above = sim.network_runs(model, 1.01 * critical, NUM_RUNS, NUM_STEPS, ("loss",))
        setting = f"W* = diag(2, 1), hidden widths {hidden}"
        statement = f"{setting}, lr = 1.01 critical: runs of {NUM_RUNS} that converge"
        source = f"{PAPER}; the critical step size is derived"
        checks.append(compare(none, statement, source, 0, int(sim.ended(above, "converged").sum()), 0))
        below = sim.network_runs(model, critical * np.array([0.5, 0.8, 0.95]), NUM_RUNS, NUM_STEPS)
        product = (below.lr * below.sharpness).where(sim.ended(below, "converged"))
        statement = f"{setting}, lr = 0.5 to 0.95 critical: runs of {product.size} that end above 2/lr"
        checks.append(compare(where, statement, PAPER, 0, int((product > 2.0 + 1e-6).sum()), 0))
        statement = f"{setting}, lr = 0.95 critical: fraction of runs that converge"
        fraction = float(sim.outcomes(below).converged[-1])
        checks.append(compare(most, statement, f"{DERIVED}: most do", 0.9, fraction, 0.1))
    return checks


def grad_norm() -> list[Check]:
    """B9: the gradient norm in the limit for two layers of matrices is that of their largest singular value."""
    model, checks = sim.matrix_network((2,)), []
    for letter, lr in zip("abc", (0.51, 0.55, 0.6), strict=True):
        runs = sim.network_runs(model, lr, 40, 50_000, ("grad_norm",))
        norms = runs.grad_norm.values[0][~sim.ended(runs, "diverged").values[0]]
        expected = float(theory.asymptotic_grad_norm(lr, 2.0))
        statement = f"W* = diag(2, 1), two layers, lr = {lr:g}: gradient norm of all {len(norms)} bounded runs"
        source = f"{DERIVED}; that there is a transition: {PAPER}"
        checks.append(compare(f"B9{letter}", statement, source, expected, farthest(norms, expected), 1e-8))
    return checks


ROWS = (flattest, spectrum, weak_eigenvalues, general_data, convergence, grad_norm)
