"""Minima of deep linear networks: closed forms against finite differences, brute force, scipy and plain gradient
descent.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import optimize

import eosfast as eos
from eosfast import theory


def loss(weights, X, Y, kappa=1.0):
    product = np.linalg.multi_dot([*weights[::-1], X])
    return 0.5 * kappa * float(np.sum((product - Y) ** 2))


def split(w, widths):
    shapes = [(b, a) for a, b in pairwise(widths)]
    parts = np.split(w, np.cumsum([a * b for a, b in shapes])[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def hessian(w, widths, X, Y, kappa):
    """Central differences of the loss, in all pairs of directions."""
    h = 1e-3 * np.eye(len(w))

    def f(v):
        return loss(split(v, widths), X, Y, kappa)

    return np.array([[(f(w + a + b) - f(w + a - b) - f(w - a + b) + f(w - a - b)) / (4 * 1e-6) for b in h] for a in h])


def random_weights(rng, widths):
    return [rng.standard_normal((b, a)) for a, b in pairwise(widths)]


def a_problem(rng, widths, n=7):
    X = rng.standard_normal((widths[0], n)) * np.exp(rng.uniform(-1, 1, widths[0]))[:, None]
    return rng.standard_normal((widths[-1], widths[0])), X


# ------------------------------------------------------------------------------------------------------------- spectra


@pytest.mark.parametrize("widths", [(3, 2), (2, 3, 2), (3, 1, 2), (2, 2, 3, 1), (1, 1, 1, 1, 1)])
def test_minimum_eigenvalues_are_those_of_the_hessian(widths):
    rng = np.random.default_rng(len(widths))
    weights = random_weights(rng, widths)
    X = rng.standard_normal((widths[0], 6))
    Y = np.linalg.multi_dot([*weights[::-1], X])
    w = np.concatenate([one.ravel() for one in weights])
    numeric = np.linalg.eigvalsh(hessian(w, widths, X, Y, 0.3))[::-1]
    found = theory.minimum_eigenvalues(weights, X @ X.T, 0.3)
    assert len(found) == widths[0] * widths[-1]
    assert np.all(np.diff(found) <= 0.0)
    size = max(len(found), len(numeric))
    padded = [np.concatenate([one, np.zeros(size - len(one))]) for one in (found, numeric)]
    np.testing.assert_allclose(*padded, atol=2e-5 * numeric[0])


def test_two_layers_add_their_squared_singular_values():
    rng = np.random.default_rng(0)
    W1, W2 = rng.standard_normal((4, 3)), rng.standard_normal((2, 4))
    sums = np.linalg.svd(W2)[1][:, None] ** 2 + np.linalg.svd(W1)[1] ** 2
    np.testing.assert_allclose(theory.minimum_eigenvalues([W1, W2]), np.sort(sums.ravel())[::-1], rtol=1e-13)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_balanced_eigenvalues_are_those_of_balanced_weights(depth):
    rng = np.random.default_rng(depth)
    s = np.array([2.0, 0.7, 0.0])
    turns = [np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(depth + 1)]
    weights = [turns[k + 1] @ np.diag(s ** (1.0 / depth)) @ turns[k].T for k in range(depth)]
    found = theory.balanced_eigenvalues(s, depth, 1.5)
    np.testing.assert_allclose(
        np.sort(found.ravel()), theory.minimum_eigenvalues(weights, loss_scale=1.5)[::-1], atol=1e-13
    )
    assert found.max() == pytest.approx(theory.balanced_sharpness(2.0, depth, 1.5), rel=1e-14)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"can be multiplied, got \(3, 2\) before \(2, 2\)"):
        theory.minimum_eigenvalues([np.ones((3, 2)), np.ones((2, 2))])
    with pytest.raises(ValueError, match="at least one matrix"):
        theory.minimum_eigenvalues([])
    with pytest.raises(ValueError, match=r"symmetric matrix of shape \(2, 2\)"):
        theory.minimum_eigenvalues([np.ones((3, 2))], [[1.0, 2.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match="no negative eigenvalue, got -1"):
        theory.minimum_eigenvalues([np.ones((3, 2))], [[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(ValueError, match="loss_scale must be positive"):
        theory.minimum_eigenvalues([np.ones((3, 2))], loss_scale=0.0)


# ------------------------------------------------------------------------------------------------- the flattest minimum


def by_angles(target, C, depth):
    """The formula for two inputs, by looking in every direction."""
    angle = np.linspace(0.0, np.pi, 400_001)
    values, vectors = np.linalg.eigh(C)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    v = root @ np.array([np.cos(angle), np.sin(angle)])
    c, t = np.sum(v**2, axis=0), np.sum((target @ v) ** 2, axis=0)
    return depth * np.max(c ** (1.0 / depth) * t ** (1.0 - 1.0 / depth))


@pytest.mark.parametrize("depth", [2, 3, 6])
@pytest.mark.parametrize("seed", range(4))
def test_flattest_minimum_is_the_largest_over_all_directions(depth, seed):
    rng = np.random.default_rng(seed)
    target, X = a_problem(rng, (2, 3), 1 if seed == 3 else 7)
    best = theory.flattest_minimum(target, (2, *[2] * (depth - 1), 3), X @ X.T, 0.7)
    assert best.lower_bound <= best.sharpness <= best.lower_bound * (1.0 + 1e-12)
    assert best.sharpness == pytest.approx(0.7 * by_angles(target, X @ X.T, depth), rel=1e-9)


@pytest.mark.parametrize("widths", [(2, 2, 2), (4, 3, 2), (1, 2, 3), (3, 5, 4, 2), (3, 4, 6, 3, 4), (5, 1)])
def test_its_weights_are_a_minimum_with_that_sharpness(widths):
    rng = np.random.default_rng(sum(widths))
    target, X = a_problem(rng, widths)
    best = theory.flattest_minimum(target, widths, X @ X.T, 2.0)
    assert [one.shape for one in best.weights] == [(b, a) for a, b in pairwise(widths)]
    assert loss(best.weights, X, target @ X) < 1e-24 * np.sum((target @ X) ** 2)
    assert theory.minimum_eigenvalues(best.weights, X @ X.T, 2.0)[0] == pytest.approx(best.sharpness, rel=1e-12)


def smooth_maximum(values, power):
    return values.max() * float(np.sum((values / values.max()) ** power)) ** (1.0 / power)


@pytest.mark.parametrize(("hidden", "rtol"), [((2,), 1e-6), ((2, 2), 1e-3)])
@pytest.mark.parametrize("seed", range(3))
def test_no_minimum_found_by_scipy_is_flatter(hidden, rtol, seed):
    """The manifold of minima, its upper layers free and the first one following from them, is searched downhill."""
    rng = np.random.default_rng(seed)
    target, X = a_problem(rng, (2, 2))
    C = X @ X.T
    best = theory.flattest_minimum(target, (2, *hidden, 2), C)

    def sharpness(free, power=None):
        upper = free.reshape(len(hidden), 2, 2)
        first = np.linalg.solve(np.linalg.multi_dot([np.eye(2), *upper[::-1]]), target)
        values = theory.minimum_eigenvalues([first, *upper], C)
        return values[0] if power is None else smooth_maximum(values, power)

    w = np.tile(np.eye(2).ravel(), len(hidden)) + 0.3 * rng.standard_normal(4 * len(hidden))
    for power in (10.0, 100.0, 1e3, 1e4):
        w = optimize.minimize(sharpness, w, args=(power,), method="BFGS").x
    for _ in range(4):
        w = optimize.minimize(sharpness, w, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12}).x
    assert best.sharpness * (1.0 - 1e-10) <= sharpness(w) <= best.sharpness * (1.0 + rtol)


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 4), st.integers(2, 5), st.floats(-3.0, 3.0))
@settings(max_examples=60, deadline=None)
def test_certificate_and_scaling(seed, inputs, outputs, depth, log_scale):
    rng = np.random.default_rng(seed)
    widths = (inputs, *[max(inputs, outputs)] * (depth - 1), outputs)
    target, X = a_problem(rng, widths, n=max(1, inputs - seed % 2))
    C, factor = X @ X.T, 10.0**log_scale
    best = theory.flattest_minimum(target, widths, C)
    assert best.lower_bound <= best.sharpness <= best.lower_bound * (1.0 + 1e-11)
    scaled = theory.flattest_minimum(factor * target, widths, C)
    assert scaled.sharpness == pytest.approx(factor ** (2.0 - 2.0 / depth) * best.sharpness, rel=1e-11)
    assert theory.flattest_minimum(target, widths, factor * C).sharpness == pytest.approx(
        factor * best.sharpness, rel=1e-11
    )


@pytest.mark.parametrize(
    ("C", "target"), [([1.0, 4.0], [2.0, 0.6]), ([1.0, 1.0], [2.0, 2.0]), ([1.0, 0.0], [1.0, 3.0])]
)
def test_where_eigenvalues_meet(C, target):
    """Commuting matrices, whose largest eigenvalue is a maximum of several: the certificate closes there too."""
    best = theory.flattest_minimum(np.diag(target), (2, 2, 2), np.diag(C))
    assert best.lower_bound == pytest.approx(best.sharpness, rel=1e-12)
    assert best.sharpness == pytest.approx(by_angles(np.diag(target), np.diag(C), 2), rel=1e-9)


def test_one_input_and_output():
    for depth in (1, 2, 3, 4):
        best = theory.flattest_minimum(-1.7, (1,) * (depth + 1), [[2.0]], 0.5)
        expected = theory.balanced_sharpness(1.7 * math.sqrt(2.0), depth, 0.5) * 2.0 ** (1.0 / depth)
        assert best.sharpness == pytest.approx(expected, rel=1e-13)


def test_a_bottleneck_below_the_rank_has_no_minimum():
    target = np.diag([3.0, 2.0, 1.0])
    with pytest.raises(ValueError, match="no zero-loss minimum exists: the rank is 3, the bottleneck 2"):
        theory.flattest_minimum(target, (3, 4, 2, 3))
    with pytest.raises(ValueError, match="the rank is 3, the bottleneck 1"):
        theory.critical_lr(target, (3, 1, 3))
    low = np.outer([1.0, 2.0, 2.0], [3.0, 0.0, 4.0])
    assert theory.flattest_minimum(low, (3, 1, 3)).sharpness == pytest.approx(2.0 * 15.0, rel=1e-13)
    seen = np.diag([1.0, 1.0, 0.0])  # what no sample sees does not count
    assert theory.flattest_minimum(target, (3, 2, 3), seen).sharpness == pytest.approx(6.0, rel=1e-13)


def test_a_target_of_zero_is_flat():
    best = theory.flattest_minimum(np.zeros((2, 3)), (3, 2, 2))
    assert best.sharpness == 0.0
    assert all(np.all(one == 0.0) for one in best.weights)
    assert theory.critical_lr(np.zeros((2, 3)), (3, 2, 2)) == math.inf


def test_problems_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"target must have shape \(2, 3\) for widths \(3, 2\), got \(3, 3\)"):
        theory.critical_lr(np.eye(3), (3, 2))
    with pytest.raises(ValueError, match="at least input and output"):
        theory.critical_lr(np.eye(3), (3,))
    with pytest.raises(ValueError, match="every width of widths must be an int >= 1"):
        theory.critical_lr(np.eye(3), (3, 0, 3))
    with pytest.raises(ValueError, match=r"covariance must be a symmetric matrix of shape \(3, 3\)"):
        theory.critical_lr(np.eye(3), (3, 3), np.eye(2))


@pytest.mark.parametrize("hidden", [(2,), (3, 2)])
def test_gradient_descent_stays_below_the_critical_step_size_and_leaves_above(hidden):
    rng = np.random.default_rng(1)
    widths = (2, *hidden, 2)
    target, X = a_problem(rng, widths)
    critical = theory.critical_lr(target, widths, X @ X.T)
    best = theory.flattest_minimum(target, widths, X @ X.T)
    for factor, stays in ((0.99, True), (1.01, False)):
        weights = [one + 1e-6 * rng.standard_normal(one.shape) for one in best.weights]
        for _ in range(4_000):
            residual = np.linalg.multi_dot([*weights[::-1], X]) - target @ X
            grads = []
            for k in range(len(weights)):
                above = np.linalg.multi_dot([np.eye(2), *weights[:k:-1], np.eye(weights[k].shape[0])])
                below = np.linalg.multi_dot([*weights[:k][::-1], X]) if k else X
                grads.append(above.T @ residual @ below.T)
            weights = [one - factor * critical * grad for one, grad in zip(weights, grads, strict=True)]
        assert (np.sum(residual**2) < 1e-20) == stays


def test_problem_of_a_network_with_data_that_cannot_be_fitted():
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((9, 3)), rng.standard_normal((9, 2))
    model = eos.LinearNetwork((3, 3, 2), data=eos.Dataset(X, Y), loss_scale=0.2)
    problem = theory.linear_problem(model)
    best = theory.flattest_minimum(*problem)
    w = model.pack(W1=best.weights[0], W2=best.weights[1])
    assert np.linalg.norm(model.grad(w)) < 1e-13
    assert model.loss(w) == pytest.approx(0.1 * np.linalg.lstsq(X, Y)[1].sum(), rel=1e-12)
    found = np.linalg.eigvalsh(model.hessian(w))[::-1][:6]
    np.testing.assert_allclose(found, theory.minimum_eigenvalues(best.weights, X.T @ X, 0.2), rtol=1e-12)
    assert found[0] == pytest.approx(best.sharpness, rel=1e-12)
    assert theory.stability_class((model, w), 1.99 / best.sharpness).kind == "strongly stable"
    assert theory.stability_class((model, w), 2.01 / best.sharpness).kind == "weakly stable"


# ------------------------------------------------------------------------------------------------------------ stability


def test_stability_classes():
    assert theory.stability_class([3.0, 1.0, 0.0], 0.5) == ("strongly stable", 3.0, 1.0, 4.0)
    assert theory.stability_class([5.0, 1.0, 1e-9], 0.5).kind == "weakly stable"
    assert theory.stability_class([5.0, 4.5, 0.0], 0.5).kind == "strictly unstable"
    assert theory.stability_class([4.0, 0.0], 0.5).kind == "strictly unstable"  # at 2/lr, not below
    assert theory.stability_class([0.0, 0.0], 0.5) == ("strongly stable", 0.0, 0.0, 4.0)
    assert theory.stability_class((5.0, 1.0), 0.5).kind == "weakly stable"  # a tuple of numbers is no model


def test_stability_of_a_minimum_of_a_model():
    model = eos.ScalarProduct(depth=2)
    found = theory.stability_class((model, [2.0, 0.5]), 0.4)
    assert found.kind == "strongly stable"
    assert found.largest == pytest.approx(4.25)
    assert theory.stability_class((model, [2.0, 0.5]), 0.5).kind == "strictly unstable"
    data = eos.Dataset([[1.0, 0.0], [0.0, 2.0]], [1.0, -1.0])
    network = eos.MLP(data, (3,), activation="tanh", loss="mse")
    end = eos.train(
        network, None, eos.GD(0.2), num_steps=20_000, record=eos.Record(quantities=("weights",), every=20_000)
    )
    w = end.weights.values[-1]
    eigenvalues = np.linalg.eigvalsh(network.hessian(w))
    assert theory.stability_class((network, w), 0.2).largest == pytest.approx(eigenvalues[-1])
    assert theory.stability_class((network, w), 1.9 / eigenvalues[-1]).kind == "strongly stable"
    assert theory.stability_class((network, w), 2.1 / eigenvalues[-1]).kind == "weakly stable"


def test_what_is_no_minimum_is_refused():
    model = eos.ScalarProduct(depth=2)
    with pytest.raises(ValueError, match=r"minimum must be one: the gradient has the norm 2\.2"):
        theory.stability_class((model, [2.0, 1.0]), 0.1)
    with pytest.raises(ValueError, match="minimum must be one: the Hessian has the eigenvalue -1 < 0"):
        theory.stability_class((model, [0.0, 0.0]), 0.1)
    near = [2.0, 0.5 + 1e-4]
    with pytest.raises(ValueError, match="the gradient has the norm"):
        theory.stability_class((model, near), 0.1)
    assert theory.stability_class((model, near), 0.1, tol=1e-3).kind == "strongly stable"
    with pytest.raises(ValueError, match="the eigenvalue -2 < 0"):
        theory.stability_class([1.0, -2.0], 0.1)
    with pytest.raises(ValueError, match="lr must be positive"):
        theory.stability_class([1.0], 0.0)
    with pytest.raises(ValueError, match="at least one eigenvalue"):
        theory.stability_class([], 0.1)
