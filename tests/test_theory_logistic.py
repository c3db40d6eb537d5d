"""Closed forms for logistic regression with large step sizes, against scipy and plain loops of gradient descent."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from eosfast import theory


def softplus(u):
    return np.logaddexp(0.0, u)


def sigmoid(u):
    return 0.5 * (1.0 + np.tanh(0.5 * u))


def test_the_rate_is_one_over_the_squared_margin():
    X, y = np.array([[1, 0.2], [-2, 0.2], [-1, -0.2], [2, -0.2]]), np.array([1.0, 1.0, -1.0, -1.0])
    w, lr, t = np.zeros(2), 4.0, 100_000
    for _ in range(t):
        w = w + lr * np.mean((y * sigmoid(-y * (X @ w)))[:, None] * X, axis=0)
    limit = theory.loss_rate(theory.hard_margin(X, y).margin)
    assert limit == pytest.approx(25.0, rel=1e-12)
    assert lr * t * np.mean(softplus(-y * (X @ w))) == pytest.approx(limit, rel=1e-3)
    offset = theory.logistic_offset(X, y)
    assert offset[0] == pytest.approx(-math.log(2.0) / 3.0, abs=1e-13)
    assert w[0] == pytest.approx(offset[0], abs=1e-3)


@pytest.mark.parametrize("lr", [4.0, 40.0])
def test_bounds_of_logistic_regression_hold(lr):
    X = np.array([[1, 0.2], [-2, 0.2], [-1, -0.2], [2, -0.2]])
    X /= np.max(np.linalg.norm(X, axis=1))
    y, w, losses, exponential = np.array([1.0, 1.0, -1.0, -1.0]), np.zeros(2), [], []
    for _ in range(5000):
        losses.append(np.mean(softplus(-y * (X @ w))))
        exponential.append(np.mean(np.exp(-y * (X @ w))))
        w = w + lr * np.mean((y * sigmoid(-y * (X @ w)))[:, None] * X, axis=0)
    gamma, t = theory.hard_margin(X, y).margin, np.arange(1, 5001)
    assert np.all(np.cumsum(losses) / t <= theory.logistic_average_bound(t, lr, gamma))
    s = int(np.argmax(np.array(losses) <= 1.0 / lr))
    assert s <= theory.logistic_transition_bound(lr, gamma, 4)
    bound = theory.logistic_stable_bound(np.arange(1, 5000 - s), lr, gamma, exponential[s])
    assert np.all(losses[s + 1 :] <= bound)


def test_formulas_of_logistic_regression_at_hand_computed_points():
    assert theory.logistic_average_bound(math.e, 4.0, 0.5) == pytest.approx((1 + 1 + 4) / math.e)
    assert theory.logistic_stable_bound(math.e, 4.0, 0.5, 2.0) == pytest.approx(5 / math.e)
    np.testing.assert_allclose(
        theory.logistic_transition_bound([100.0, 1.0], 1.0, [2, 50]), [6000, 60 * 51 * np.log(51)]
    )
    lr, bound = theory.logistic_accelerated_step(1000.0, 0.5)
    assert (lr, bound) == (pytest.approx(250 / 120), pytest.approx(480 * (2 * math.log(250.0)) ** 2 / 250.0**2))


def test_the_offset_minimises_the_loss_of_the_support_vectors():
    rng = np.random.default_rng(4)
    across = rng.standard_normal((5, 3))
    across -= rng.dirichlet(np.ones(5)) @ across  # 0 is inside their convex hull
    direction = np.array([0.0, 0.0, 0.0, 1.0])
    X = np.vstack([np.column_stack([across, np.full(5, 0.3)]), [[1.0, 1.0, 1.0, 5.0]]])
    y = np.array([1.0, -1.0, 1.0, -1.0, 1.0, 1.0])
    found = theory.logistic_offset(X * y[:, None], y)
    expected = optimize.minimize(lambda v: np.sum(np.exp(-across @ v)), np.zeros(3), tol=1e-14).x
    np.testing.assert_allclose(found, np.append(expected, 0.0), atol=1e-6)
    np.testing.assert_allclose(theory.hard_margin(X * y[:, None], y).direction, direction, atol=1e-12)
    assert np.isnan(theory.logistic_offset([[1.0], [1.0]], [1, -1])).all()


def test_minimum_of_a_loss_with_both_signs():
    minimum = theory.logistic_minimum([1, 1, 1, -1])
    assert minimum.w == pytest.approx(math.log(3.0), rel=1e-14)
    assert minimum.curvature == pytest.approx(3.0 / 16.0, rel=1e-14)
    with pytest.raises(ValueError, match="both signs"):
        theory.logistic_minimum([1.0, 2.0])


def test_period_doublings_separate_the_periods():
    z = np.array([1.0, 1.0, 1.0, -1.0])
    doublings = theory.period_doublings(z, 4)
    assert doublings[0] == pytest.approx(32.0 / 3.0, rel=1e-14)
    lrs = np.concatenate([doublings - 0.004, doublings + 0.004])
    w = np.full(8, 0.7)
    orbit = []
    for t in range(60_000):
        w = w + lrs * np.mean(z * sigmoid(-np.multiply.outer(w, z)), axis=1)
        if t >= 60_000 - 32:
            orbit.append(w)
    orbit = np.array(orbit)

    def period(column):
        return next(p for p in (1, 2, 4, 8, 16, 32) if np.allclose(column[p:], column[:-p] if p else column, atol=1e-6))

    periods = [period(np.concatenate([column, column])[:48]) for column in orbit.T]
    assert periods == [1, 2, 4, 8, 2, 4, 8, 16]
    with pytest.raises(ValueError, match="num must be from 1 to 8"):
        theory.period_doublings(z, 9)
