"""Closed forms for two-layer networks, against mpmath, scipy and plain loops of gradient descent."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import optimize

from eosfast import theory
from eosfast.theory import Constants, LeakyBounds

CONSTANTS = Constants(rho=0.7, beta=0.3, kappa=0.5)


def softplus(u):
    return np.logaddexp(0.0, u)


def sigmoid(u):
    return 0.5 * (1.0 + np.tanh(0.5 * u))


class Net:
    """f = (1/m) sum_j a_j (c u + k softplus(u)), u = w_j.x, first layer trained: loss, gradient and a run, in NumPy."""

    def __init__(self, X, y, a, c, k):
        self.X, self.y, self.a, self.c, self.k = np.asarray(X, float), np.asarray(y, float), np.asarray(a, float), c, k

    def outputs(self, W):
        U = self.X @ W.T
        return (self.c * U + self.k * softplus(U)) @ self.a / len(self.a)

    def loss(self, W):
        return float(np.mean(softplus(-self.y * self.outputs(W))))

    def grad(self, W):
        U = self.X @ W.T
        pull = self.y * sigmoid(-self.y * self.outputs(W)) / (len(self.y) * len(self.a))
        return -((self.c + self.k * sigmoid(U)) * pull[:, None]).T @ self.X * self.a[:, None]

    def run(self, W, lr, num_steps):
        """The weights at every step."""
        path = [W]
        for _ in range(num_steps):
            W = W - lr * self.grad(W)
            path.append(W)
        return np.array(path)

    def constants(self):
        radius = np.max(np.linalg.norm(self.X, axis=1))
        return theory.two_layer_constants(
            len(self.a), self.c + self.k, self.k / 4.0, self.k * math.log(2.0), radius=radius
        )


def separable_net(seed, n=10, d=5, m=8):
    rng = np.random.default_rng(seed)
    u = rng.standard_normal(d)
    X = rng.standard_normal((n, d))
    y = np.where(X @ u > 0.0, 1.0, -1.0)
    X += 0.5 * y[:, None] * u / np.linalg.norm(u)
    X /= np.max(np.linalg.norm(X, axis=1))
    return Net(X, y, np.repeat([1.0, -1.0], m // 2), 0.5, 0.5), rng.standard_normal((m, d))


# ------------------------------------------------------------------------------------------------------------- margins


@given(st.floats(-700.0, 700.0))
def test_psi_is_minus_log_of_the_logistic_loss(q):
    with mp.workdps(400):
        expected = -mp.log(mp.log1p(mp.exp(-mp.mpf(q))))
        assert float(theory.psi(q)) == pytest.approx(float(expected), rel=1e-14, abs=1e-15)


@given(st.floats(-6.0, 700.0))
def test_iota_is_the_inverse_of_psi(s):
    with mp.workdps(400):
        expected = -mp.log(mp.expm1(mp.exp(-mp.mpf(s))))
        assert float(theory.iota(s)) == pytest.approx(float(expected), rel=1e-14, abs=1e-15)


def test_psi_and_iota_at_the_ends():
    np.testing.assert_array_equal(theory.psi([1e6, 1e300]), [1e6, 1e300])
    np.testing.assert_array_equal(theory.iota([1e6, 1e300]), [1e6, 1e300])
    assert theory.psi(-1e6) == pytest.approx(-math.log(1e6))


def test_the_smallest_output_is_at_least_what_the_loss_allows():
    outputs = np.random.default_rng(0).normal(2.0, 3.0, size=(200, 7))
    loss = np.mean(softplus(-outputs), axis=1)
    smallest = outputs.min(axis=1)
    assert np.all(smallest >= theory.smallest_output(loss, 7) - 1e-13)
    alone = np.array([5.0, 800.0, 800.0])  # all the loss is one sample's
    assert theory.smallest_output(np.mean(softplus(-alone)), 3) == pytest.approx(5.0, rel=1e-14)


def test_margin_functions_are_their_definitions():
    with mp.workdps(60):
        for loss, norm, n, lr in ((1e-3, 7.0, 10, 4.0), (1e-200, 300.0, 1000, 320.0)):
            rho, beta, kappa = map(mp.mpf, CONSTANTS)
            auxiliary = -mp.log(2 * n * mp.exp(kappa) * mp.mpf(loss)) / norm
            slack = 1 + (4 * rho**2 + 2 * beta) * lr
            modified = auxiliary * mp.exp(-slack / (auxiliary * norm))
            c1, c2 = slack, mp.log(2 * n * mp.exp(kappa))
            c = (c2 + c1 * mp.exp(c1) + c1 * c2 * mp.exp(c1)) * (c2 + 1)
            expected = [-mp.log(loss) / norm, auxiliary, mp.log(modified), mp.log(1 + c / mp.log(1 / mp.mpf(loss)))]
            found = [
                theory.smoothed_margin(loss, norm),
                theory.auxiliary_margin(loss, norm, n, CONSTANTS.kappa),
                theory.log_modified_margin(loss, norm, n, lr, CONSTANTS),
                theory.log_margin_ratio(loss, n, lr, CONSTANTS),
            ]
            np.testing.assert_allclose(np.array(found), np.array(expected, dtype=float), rtol=1e-13)


def test_margins_that_do_not_exist_are_nan():
    assert np.isnan(theory.auxiliary_margin(0.5, 1.0, 10))
    assert np.isnan(theory.log_modified_margin([0.5, 1e-9], 1.0, 10, 1.0, CONSTANTS)).tolist() == [True, False]


@pytest.mark.parametrize("seed", range(8))
def test_hard_margin_against_a_quadratic_program(seed):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 30)), int(rng.integers(1, 8))
    X, u = rng.standard_normal((n, d)) * 10.0 ** rng.integers(-3, 4), rng.standard_normal(d)
    y = np.where(X @ u > 0.0, 1.0, -1.0)
    Z = X * y[:, None] / np.abs(X).max()
    program = optimize.minimize(
        lambda w: 0.5 * w @ w,
        u * 10.0,
        jac=lambda w: w,
        constraints={"type": "ineq", "fun": lambda w: Z @ w - 1.0, "jac": lambda w: Z},
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    found = theory.hard_margin(X, y)
    assert found.margin == pytest.approx(np.abs(X).max() / np.linalg.norm(program.x), rel=1e-9)
    assert np.linalg.norm(found.direction) == pytest.approx(1.0, rel=1e-14)
    signed = X * y[:, None]
    assert np.min(signed @ found.direction) == pytest.approx(found.margin, rel=1e-12)
    np.testing.assert_allclose(found.margin * found.multipliers @ signed, found.direction, atol=1e-12)
    assert np.all(found.multipliers >= 0.0)  # with the two lines before, the conditions of optimality
    support = found.multipliers > 0.0
    np.testing.assert_allclose(signed[support] @ found.direction, found.margin, rtol=1e-9)


def test_hard_margin_of_data_that_nothing_separates():
    for X, y in (([[1, 1], [-1, -1], [1, -1], [-1, 1]], [1, 1, -1, -1]), ([[1.0], [1.0]], [1, -1]), ([[0.0]], [1])):
        found = theory.hard_margin(X, y)
        assert math.isnan(found.margin)
        assert np.isnan(found.direction).all()


def test_hard_margin_refuses_what_are_no_labels():
    with pytest.raises(ValueError, match=r"y must hold the labels \+1 and -1"):
        theory.hard_margin([[1.0], [2.0]], [1, 0])
    with pytest.raises(ValueError, match=r"X must have shape \(n, d\) and y \(n,\), got \(1, 2\) and \(2,\)"):
        theory.hard_margin([[1.0, 2.0]], [1, 1])


# ------------------------------------------------------------------------------------------------ the stable phase


@pytest.mark.parametrize("trial", range(3))
def test_constants_bound_the_network(trial):
    net, W = separable_net(trial)
    rng = np.random.default_rng(trial)
    constants = net.constants()
    m = len(net.a)

    def gradient_of_output(W, x):
        return net.a[:, None] / m * (net.c + net.k * sigmoid(W @ x))[:, None] * x

    for size in (0.1, 1.0, 10.0):
        V, other = size * W, size * W + size * rng.standard_normal(W.shape)
        for x, f in zip(net.X, net.outputs(V), strict=True):
            slope = gradient_of_output(V, x)
            assert np.linalg.norm(slope) <= constants.rho
            assert abs(f - np.sum(slope * V)) <= constants.kappa
            change = np.linalg.norm(slope - gradient_of_output(other, x))
            assert change <= constants.beta * np.linalg.norm(V - other)
    radius_and_scale = theory.two_layer_constants(16, 1.0, 0.25, 0.7, radius=3.0, scale=4.0)
    np.testing.assert_allclose(radius_and_scale, [4.0 * 3.0 / 4.0, 4.0 * 0.25 * 9.0 / 16.0, 2.8], rtol=1e-15)


def test_thresholds_of_a_linear_predictor():
    linear = Constants(rho=1.0, beta=0.0, kappa=0.0)
    np.testing.assert_allclose(theory.monotone_threshold([2.0, 8.0], linear), [0.25, 0.0625], rtol=1e-15)
    small = math.exp(-2.0) / 20.0
    np.testing.assert_allclose(theory.stable_threshold([1.0, 1000.0], 10, linear), [small, 0.00025], rtol=1e-14)


@pytest.mark.parametrize(("seed", "lr"), [(0, 8.0), (1, 64.0), (2, 512.0), (3, 4096.0)])
def test_everything_that_is_said_of_the_stable_phase(seed, lr):
    net, W = separable_net(seed)
    constants, n = net.constants(), len(net.y)
    path = net.run(W, lr, 3000)
    loss = np.array([net.loss(V) for V in path])
    grads = [net.grad(V) for V in path]
    grad_norm = np.array([np.linalg.norm(g) for g in grads])
    norm = np.linalg.norm(path.reshape(len(path), -1), axis=1)
    low, high = theory.one_step_bounds(loss[:-1], grad_norm[:-1], lr, constants)
    known = np.isfinite(low)
    assert known.sum() > 100
    np.testing.assert_array_equal(known, loss[:-1] <= 1.0 / (lr * constants.rho**2))
    change, slack = np.diff(loss)[known], 1e-13 * loss[:-1][known]
    assert np.all((change >= low[known] - slack) & (change <= high[known] + slack))

    times = theory.phase_times(loss, lr, n, constants)
    assert times.monotone <= times.below_4 <= times.below_5
    assert loss[times.below_4] <= theory.monotone_threshold(lr, constants) < loss[: times.below_4].min(initial=np.inf)
    s = times.below_5
    assert 0 <= s < 2900
    stable = slice(s, None)
    smallest = np.array([np.min(net.y * net.outputs(V)) for V in path])[stable]
    margin = smallest / norm[stable]
    auxiliary = theory.auxiliary_margin(loss[stable], norm[stable], n, constants.kappa)
    log_modified = theory.log_modified_margin(loss[stable], norm[stable], n, lr, constants)
    assert np.all(np.diff(log_modified) >= -1e-12)
    assert np.all(log_modified <= np.log(auxiliary))
    assert np.all(auxiliary <= margin)
    assert np.all(margin <= theory.smoothed_margin(loss[stable], norm[stable]))
    assert np.all(np.log(margin) - log_modified <= theory.log_margin_ratio(loss[stable], n, lr, constants))
    alignment = np.array([-np.sum(g * V) for g, V in zip(grads, path, strict=True)])[stable]
    assert np.all(alignment >= theory.alignment_bound(loss[stable], n, constants.kappa))
    low, high = theory.norm_growth_bounds(loss[stable], alignment, n, lr, constants.kappa)
    growth = np.diff(norm[stable] ** 2)
    assert np.all((growth >= low[:-1] * (1 - 1e-9)) & (growth <= high[:-1] * (1 + 1e-9)))
    low, high = theory.stable_loss_bounds(np.arange(len(loss) - s), loss[s], log_modified[0], lr, constants)
    assert np.all((loss[stable] >= low * (1 - 1e-12)) & (loss[stable] <= high))


def test_phase_times_of_hand_made_losses():
    linear = Constants(1.0, 0.0, 0.0)
    assert theory.phase_times([0.4, 0.3, 0.2], 1.0, 1, linear) == (0, 0, -1)
    assert theory.phase_times([0.6, 0.7, 0.9], 1.0, 1, linear) == (2, -1, -1)
    assert theory.phase_times([0.5, 0.5 * (1 + 1e-15)], 1.0, 1, linear).monotone == 0  # rounding
    assert theory.phase_times([0.5, 0.4, math.nan], 1.0, 1, linear).monotone == 2
    with pytest.raises(ValueError, match="loss must be a vector"):
        theory.phase_times([[0.5]], 1.0, 1, linear)


# ------------------------------------------------------------------------------------------ the phase before, and rates


@pytest.mark.parametrize("eta", [4.0, 16.0, 200.0])
def test_bounds_of_the_edge_phase_hold(eta):
    net, W = separable_net(5)
    gamma = theory.hard_margin(net.X, net.y).margin
    m, t = len(net.a), np.arange(1, 2001)
    bounds = LeakyBounds(alpha=0.5, smoothness=0.125, kappa=0.5 * math.log(2.0))
    path = net.run(W, m * eta, 2000)
    outputs = np.array([net.y * net.outputs(V) for V in path])
    start = np.linalg.norm(W) / math.sqrt(m)
    average = np.cumsum(np.mean(softplus(-outputs), axis=1)[:-1]) / t
    assert np.all(average <= theory.average_loss_bound(t, eta, gamma, bounds, start))
    late = gamma**2 * eta * t >= 1.0  # the logarithm of the other two is positive
    potential = np.cumsum(np.mean(sigmoid(-outputs), axis=1)[:-1]) / t
    assert np.all((potential <= theory.average_potential_bound(t, eta, gamma, bounds, start))[late])
    norm = np.linalg.norm(path.reshape(len(path), -1), axis=1)[1:] / math.sqrt(m)
    assert np.all((norm <= theory.weight_norm_bound(t, eta, gamma, bounds, start))[late])
    times = theory.phase_times([np.mean(softplus(-q)) for q in outputs], m * eta, len(net.y), net.constants())
    assert 0 <= times.below_5 <= theory.phase_transition_bound(eta, gamma, len(net.y), bounds, start)
    loss = np.mean(softplus(-outputs[times.below_5 + 1 :]), axis=1)
    elapsed = np.arange(1, len(loss) + 1)
    assert np.all(loss <= 1.04 * theory.stable_rate_bound(elapsed, eta, gamma, bounds))


def test_edge_phase_formulas_at_hand_computed_points():
    bounds = LeakyBounds(alpha=0.5, smoothness=1.0, kappa=0.25)
    gamma, eta, t = 0.5, 4.0, math.e  # gamma^2 eta t = e, its logarithm 1
    assert theory.average_loss_bound(t, eta, gamma, bounds, 3.0) == pytest.approx(
        (1 + 32 + 2 + 16) / math.e + 9 / (4 * math.e)
    )
    assert theory.average_potential_bound(t, eta, gamma, bounds, 3.0) == pytest.approx(
        (2 + 16 + 4 + 16) / (0.5 * math.e) + 9.0 / math.e
    )
    assert theory.weight_norm_bound(t, eta, gamma, bounds, 3.0) == pytest.approx(38 / 0.5 + 6)
    assert theory.stable_rate_bound(2.0, eta, gamma, bounds) == pytest.approx(2 / (0.0625 * 8))
    c1, c2 = 4 * math.exp(2.25), 12.0
    assert theory.phase_transition_bound(1e3, gamma, 1, bounds) == pytest.approx(128 * 2 / 0.0625 * c2 * 1e3)
    assert theory.phase_transition_bound(1e-3, gamma, 1, bounds) == pytest.approx(
        128 * 2 / 0.0625 * (c2 + 1e3 * c1) * math.log(c2 + 1e3 * c1)
    )


def test_the_accelerated_step_of_example_3_1():
    example = LeakyBounds(alpha=0.25, smoothness=1.0, kappa=1.0)
    found = theory.accelerated_step([1e6, 2e6], 1.0, 7, example)
    np.testing.assert_allclose(found.eta, [4.07, 8.14], rtol=1e-3)
    np.testing.assert_allclose(found.loss, [3.15e-5, 7.86e-6], rtol=2e-3)
    np.testing.assert_allclose(found.least_steps, 1.18e7, rtol=2e-3)
    T = 2 * float(found.least_steps)
    eta = theory.accelerated_step(T, 1.0, 7, example).eta
    assert theory.phase_transition_bound(eta, 1.0, 7, example) <= T / 2 * (1 + 1e-12)


def test_xor_rate_is_where_gradient_descent_arrives():
    X, y = [[-1, -1], [1, 1], [1, -1], [-1, 1]], [1.0, 1.0, -1.0, -1.0]
    a, lr, t = np.repeat([1.0, -1.0], 6), 400.0, 20_000
    net = Net(X, y, a, 0.5, 0.5)
    W = net.run(np.random.default_rng(3).standard_normal((12, 2)), lr, t)[-1]
    counts = theory.xor_counts(W, a, X, y)
    assert counts.sum() == 12
    assert len(set(counts.tolist())) > 1
    assert lr * t * net.loss(W) == pytest.approx(theory.xor_rate(counts, 0.5), rel=1e-2)
    assert theory.xor_rate([1, 0, 1, 1], 1.0) == math.inf
    assert theory.xor_rate([5, 5, 5, 5], 0.5, scale=2.0) == 160.0
    with pytest.raises(ValueError, match="counts must hold four numbers"):
        theory.xor_rate([1, 2, 3], 1.0)
