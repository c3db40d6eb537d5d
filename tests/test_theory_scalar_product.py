"""Gradient descent on (w_1 ... w_N - s)^2 / 2 beyond the critical step size, against iteration and integration."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import integrate

from eosfast import theory


def grad(w, s):
    """For points (..., N)."""
    factors = [w[..., k] for k in range(w.shape[-1])]
    residual = math.prod(factors) - s
    return np.stack([residual * math.prod(factors[:k] + factors[k + 1 :]) for k in range(len(factors))], axis=-1)


def hessian(w, s):
    """At one point (N,)."""
    N = len(w)
    r = np.prod(w) - s
    without = np.array([[np.prod(np.delete(w, [i, j])) for j in range(N)] for i in range(N)])
    one = np.diag(without)
    return np.outer(one, one) + r * (without - np.diag(one))


def iterate(w, lr, s, num_steps):
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(num_steps):
            w = w - lr * grad(w, s)
    return w


# ------------------------------------------------------------------------------------------------------- bounded starts


@pytest.mark.parametrize(("lr", "s"), [(0.5, 1.0), (0.99, 1.0), (1.2, 1.0), (0.8, -1.0), (0.3, 2.5), (2.0, 0.0)])
def test_bounded_starts_are_those_that_stay_bounded(lr, s):
    rng = np.random.default_rng(0)
    starts = rng.standard_normal((20_000, 2)) * math.sqrt(1.0 / lr)
    form = (starts.sum(axis=1) ** 2 / (2.0 / lr + s) + (starts[:, 0] - starts[:, 1]) ** 2 / (2.0 / lr - s)) / 4.0
    starts = starts[np.abs(form - 1.0) > 1e-3]  # next to the boundary it takes many steps to tell
    inside = theory.bounded_start(*starts.T, lr, s)
    assert 0.1 < inside.mean() < 0.95
    end = iterate(starts, lr, s, 500)
    np.testing.assert_array_equal(np.all(np.abs(end) < 10.0, axis=1), inside)
    if lr * abs(s) < 0.9:
        residual = np.prod(iterate(end[inside], lr, s, 500), axis=1) - s
        assert np.mean(np.abs(residual) < 1e-6) > 0.95


@given(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0), st.floats(0.05, 1.9), st.sampled_from([-1.0, 0.0, 1.0]))
def test_the_ellipse_is_invariant(x, y, lr, s):
    def excess(x, y):
        return ((x + y) ** 2 / (2.0 / lr + s) + (x - y) ** 2 / (2.0 / lr - s)) / 4.0 - 1.0

    r = x * y - s
    after = x - lr * r * y, y - lr * r * x
    size = 1.0 + abs(excess(x, y)) + abs(excess(*after))
    assert excess(*after) == pytest.approx(excess(x, y) * (1.0 + lr**2 * x * y * r), abs=1e-11 * size)
    if abs(excess(x, y)) > 1e-9:
        assert theory.bounded_start(*after, lr, s) == theory.bounded_start(x, y, lr, s) == (excess(x, y) < 0.0)


def test_no_start_is_bounded_at_twice_the_critical_step_size():
    assert not theory.bounded_start([0.0, 0.5, 1.4], [0.1, 0.5, 1.4], 2.0).any()
    assert theory.bounded_area([1.9, 2.0, 3.0]).tolist()[1:] == [0.0, 0.0]
    assert theory.bounded_mass([2.0, 3.0], -1.0).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("lr", "s", "std"), [(0.5, 1.0, 1.0), (0.99, 1.0, 0.7), (1.2, -1.0, 2.0), (0.1, 3.0, 1.0)])
def test_area_and_mass_against_integration(lr, s, std):
    plus, minus = math.sqrt(2.0 / lr + s), math.sqrt(2.0 / lr - s)
    # x = p + q, y = p - q: dx dy = 2 dp dq
    area, _ = integrate.quad(lambda p: 2.0 * 2.0 * minus * math.sqrt(max(1.0 - (p / plus) ** 2, 0.0)), -plus, plus)
    assert float(theory.bounded_area(lr, s)) == pytest.approx(area, rel=1e-7)

    def slice_of(p):
        half = minus * math.sqrt(max(1.0 - (p / plus) ** 2, 0.0))
        return math.exp(-((p / std) ** 2)) / (std * math.sqrt(math.pi)) * math.erf(half / std)

    mass, _ = integrate.quad(slice_of, -plus, plus, epsabs=1e-13, epsrel=1e-12)
    assert float(theory.bounded_mass(lr, s, std)) == pytest.approx(mass, abs=1e-10)


def test_mass_of_a_circle_and_of_a_thin_ellipse():
    lr, std = np.array([0.1, 1.0, 7.0]), 1.3
    np.testing.assert_allclose(theory.bounded_mass(lr, 0.0, std), -np.expm1(-2.0 / (lr * std**2)), rtol=1e-13)
    fine = [float(theory.bounded_mass(lr)) for lr in (1.9, 1.99, 1.999)]
    assert fine == sorted(fine, reverse=True)
    assert fine[2] == pytest.approx(
        2.0 * math.sqrt(2.0 / 1.999 - 1.0) / math.sqrt(math.pi) * math.erf(math.sqrt(2.0)), rel=0.2
    )


@given(st.lists(st.floats(-3.0, 3.0), min_size=2, max_size=5), st.floats(0.01, 1.0), st.floats(-2.0, 2.0))
def test_imbalance_law(w, lr, s):
    w = np.array(w)
    after = w - lr * grad(w, s)
    for i, j in ((0, 1), (1, 0), (0, len(w) - 1)):
        expected = (w[i] ** 2 - w[j] ** 2) * float(theory.imbalance_factor(w, lr, s, i, j))
        assert after[i] ** 2 - after[j] ** 2 == pytest.approx(expected, rel=1e-9, abs=1e-9 * (1.0 + np.sum(after**2)))


def test_imbalance_of_many_points_and_of_none():
    w = np.random.default_rng(0).standard_normal((4, 3, 5))
    factors = theory.imbalance_factor(w, 0.1, 0.5, 1, 3)
    assert factors.shape == (4, 3)
    assert factors[2, 1] == theory.imbalance_factor(w[2, 1], 0.1, 0.5, 1, 3)
    with pytest.raises(ValueError, match="at least two factors"):
        theory.imbalance_factor([1.0], 0.1)
    with pytest.raises(ValueError, match="j must be an int from 0 to 2"):
        theory.imbalance_factor([1.0, 2.0, 3.0], 0.1, 1.0, 0, 3)
    with pytest.raises(ValueError, match="two factors, got 1 twice"):
        theory.imbalance_factor([1.0, 2.0, 3.0], 0.1, 1.0, 1, 1)


# ---------------------------------------------------------------------------------------------------------- two-cycles


def critical_lr(depth, s):
    return 2.0 / (depth * s ** (2.0 - 2.0 / depth))


@pytest.mark.parametrize("depth", [2, 3, 4, 7])
@pytest.mark.parametrize("s", [1.0, 0.3, 5.0])
@pytest.mark.parametrize("ratio", [1.001, 1.05, 1.2, 1.5])
def test_two_cycle_is_one(depth, s, ratio):
    lr = ratio * critical_lr(depth, s)
    cycle = theory.two_cycle(lr, s, depth)
    low, high = np.full(depth, cycle.low), np.full(depth, cycle.high)
    assert cycle.low < s ** (1.0 / depth) < cycle.high
    for here, there in ((low, high), (high, low)):
        np.testing.assert_allclose(here - lr * grad(here, s), there, rtol=1e-12)
        assert np.linalg.norm(grad(here, s)) == pytest.approx(cycle.grad_norm, rel=1e-11)


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("ratio", [1.02, 1.2, 1.4])
def test_multipliers_are_those_of_two_steps(depth, ratio):
    s = 1.3
    lr = ratio * critical_lr(depth, s)
    cycle = theory.two_cycle(lr, s, depth)
    steps = [np.eye(depth) - lr * hessian(np.full(depth, w), s) for w in (cycle.low, cycle.high)]
    along = np.ones(depth) / math.sqrt(depth)
    two_steps = steps[1] @ steps[0]
    assert along @ two_steps @ along == pytest.approx(cycle.along, abs=1e-10)
    across = np.array([1.0, -1.0] + [0.0] * (depth - 2))
    np.testing.assert_allclose(two_steps @ across, cycle.across * across, atol=1e-10)


def test_closed_forms_of_two_factors():
    for a in (1.05, 1.1, 1.2, 1.7):
        cycle = theory.two_cycle(a / 2.5, 2.5)
        rho = mp.findroot(lambda x, a=a: x + 1 / x - 1 - a, 1.0 + math.sqrt(a - 1.0))
        assert cycle.low**2 == pytest.approx(float(2.5 / (a * rho)), rel=1e-14)
        assert cycle.high**2 == pytest.approx(float(2.5 * rho / a), rel=1e-14)
        assert cycle.along == pytest.approx(9.0 - 2.0 * (1.0 + a) ** 2, abs=1e-13)
        assert cycle.across == pytest.approx(3.0 - 2.0 * a, abs=1e-13)


def test_two_factors_are_a_special_case_of_many():
    from eosfast.theory import scalar_product

    for step in (1.01, 1.1, 1.6):
        np.testing.assert_allclose(scalar_product._low_and_high(step, 2), scalar_product._two_factors(step), rtol=1e-13)


@pytest.mark.parametrize("depth", [2, 3, 4, 6])
def test_limit_of_the_two_cycle(depth):
    limit = theory.two_cycle_limit(depth)
    critical = critical_lr(depth, 1.0)
    assert theory.two_cycle(limit * critical, 1.0, depth).along == pytest.approx(-1.0, abs=1e-10)
    for ratio, period in ((limit - 0.005, 2), (limit + 0.005, 4)):
        start = np.full(depth, 0.97)
        late = iterate(start, ratio * critical, 1.0, 4_000)
        later = [late := iterate(late, ratio * critical, 1.0, 1) for _ in range(4)]
        repeats = [np.allclose(later[3], later[3 - p], atol=1e-9) for p in (1, 2)]
        assert repeats == [False, period == 2]
        np.testing.assert_allclose(iterate(late, ratio * critical, 1.0, 4), late, atol=1e-9)


def test_limit_of_two_factors_is_known():
    assert theory.two_cycle_limit() == math.sqrt(5.0) - 1.0
    assert theory.two_cycle(1.23).along > -1.0 > theory.two_cycle(1.25).along


@pytest.mark.parametrize(("depth", "s"), [(2, 1.0), (2, 2.0), (3, 1.0), (4, 0.5)])
def test_gradient_norm_in_the_limit(depth, s):
    ratios = np.array([0.8, 1.03, 1.15, 1.22])
    lrs = ratios * critical_lr(depth, s)
    rng = np.random.default_rng(depth)
    for lr, expected in zip(lrs, theory.asymptotic_grad_norm(lrs, s, depth), strict=True):
        ends = iterate(0.7 * rng.standard_normal((40, depth)), lr, s, 6_000)
        norms = np.linalg.norm(grad(ends[np.all(np.abs(ends) < 10.0, axis=1)], s), axis=1)
        assert len(norms) > 10
        np.testing.assert_allclose(norms, expected, atol=1e-7)


def test_gradient_norm_of_matrices():
    target, lr = np.diag([2.0, 1.0]), 0.55 / 3.0
    rng = np.random.default_rng(0)
    W1, W2 = 0.3 * rng.standard_normal((3, 2)), 0.3 * rng.standard_normal((2, 3))
    for _ in range(20_000):
        R = 3.0 * (W2 @ W1 - target)
        grads = W2.T @ R, R @ W1.T
        W1, W2 = W1 - lr * grads[0], W2 - lr * grads[1]
    norm = math.hypot(np.linalg.norm(grads[0]), np.linalg.norm(grads[1]))
    assert norm == pytest.approx(float(theory.asymptotic_grad_norm(lr, 2.0, loss_scale=3.0)), rel=1e-9)


def test_gradient_norm_is_unknown_beyond_the_cycle():
    norms = theory.asymptotic_grad_norm([[0.5, 1.0], [1.2, 1.24]])
    assert norms.shape == (2, 2)
    assert norms[0].tolist() == [0.0, 0.0]
    assert norms[1, 0] == pytest.approx(math.sqrt(2.0 * 0.2) / 1.2**1.5)
    assert math.isnan(norms[1, 1])


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"lr must be above the critical step size 0\.666667 .* got 0\.6"):
        theory.two_cycle(0.6, 1.0, 3)
    with pytest.raises(ValueError, match="depth must be an int >= 2"):
        theory.two_cycle(1.1, 1.0, 1)
    with pytest.raises(ValueError, match="target must be positive"):
        theory.two_cycle(1.1, -1.0)
    with pytest.raises(ValueError, match="target must be a finite number > 0"):
        theory.asymptotic_grad_norm(1.1, 0.0)
    with pytest.raises(ValueError, match="depth must be an int >= 2"):
        theory.two_cycle_limit(1)
    with pytest.raises(ValueError, match="lr must be positive"):
        theory.bounded_start(1.0, 1.0, 0.0)
