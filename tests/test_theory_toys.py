"""Closed forms for cycles, products and catapults, against mpmath, scipy and plain loops."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate

from eosfast import theory

# ------------------------------------------------------------------------------------------------------- the cubic map


def descent_on_product(x, y, target, lr):
    r = x * y - target
    return x - lr * r * y, y - lr * r * x


def test_the_cubic_map_is_descent_on_both_quartics():
    rng = np.random.default_rng(0)
    for _ in range(20):
        lr, target, x = rng.uniform(0.1, 1.5), rng.uniform(0.5, 2.0), rng.uniform(0.1, 1.5)
        z, a = lr * (x * x - target), lr * target
        along = descent_on_product(x, x, target, lr)[0]
        alone = x - lr * (x * x - target) * x  # gradient of (x^2 - target)^2 / 4
        expected = lr * (alone**2 - target)
        assert lr * (along**2 - target) == pytest.approx(expected, abs=1e-14)
        assert theory.cubic_map(z, a) == pytest.approx(expected, abs=1e-13)
        h = 1e-6
        numeric = (theory.cubic_map(z + h, a) - theory.cubic_map(z - h, a)) / (2.0 * h)
        assert theory.cubic_slope(z, a) == pytest.approx(numeric, abs=1e-8)


def test_phases_of_the_cubic_map():
    phases = theory.CUBIC_PHASES
    z = {a: np.linspace(-a, 2.0, 20_001) for a in (phases.monotone, phases.monotone + 1e-3, phases.bounded)}
    for a in (phases.monotone, phases.bounded):
        image = theory.cubic_map(z[a], a)
        assert image.min() >= -a - 1e-12
        assert image.max() <= 2.0 + 1e-12
    assert np.all(np.abs(theory.cubic_map(z[phases.monotone], phases.monotone)) <= np.abs(z[phases.monotone]) + 1e-12)
    beyond = phases.monotone + 1e-3
    assert np.any(np.abs(theory.cubic_map(z[beyond], beyond)) > np.abs(z[beyond]))
    assert theory.cubic_map(np.linspace(-2.01, 2.0, 20_001), 2.01).max() > 2.0
    for a, slope in ((phases.stable, 1.0), (phases.superstable, 0.0), (phases.doubling, -1.0)):
        assert theory.cubic_two_cycle_multiplier(a) == pytest.approx(slope, abs=1e-14)
    assert theory.cubic_slope(0.0, phases.stable) == -1.0


@pytest.mark.parametrize("a", [1.02, 1.1, 1.2])
def test_the_two_cycle_is_where_descent_goes(a):
    x, y, lr, target = 0.95, 1.1, a / 1.3, 1.3
    for _ in range(20_000):
        x, y = descent_on_product(x, y, target, lr)
    ends = {round(lr * (u * v - target), 9) for u, v in ((x, y), descent_on_product(x, y, target, lr))}
    assert ends == {round(float(z), 9) for z in theory.cubic_two_cycle(a)}
    squares = target * ((1 + a) + np.array([1, -1]) * math.sqrt((a - 1) * (a + 3))) / (2 * a)
    np.testing.assert_allclose((theory.cubic_two_cycle(a) + a) / lr, squares, rtol=1e-14)
    assert math.sqrt(squares[0] * squares[1]) == pytest.approx(target / a)
    slopes = theory.cubic_slope(theory.cubic_two_cycle(a), a)
    assert theory.cubic_two_cycle_multiplier(a) == pytest.approx(slopes.prod(), abs=1e-13)
    assert np.isnan(theory.cubic_two_cycle(0.99)).all()


def test_doublings_of_the_cubic_map():
    """At a doubling from p to 2 p a point has f^p(z) = z and (f^p)' = -1, here in 30 digits."""
    found = theory.cubic_doublings(5)
    assert found[1] == pytest.approx(math.sqrt(5.0) - 1.0, rel=1e-11)
    for k, period in ((2, 4), (3, 8), (4, 16)):
        z = 0.3
        for _ in range(20_000):
            z = float(theory.cubic_map(z, found[k] - 1e-4))

        def conditions(z, a, period=period):
            slope = mp.mpf(1)
            start = z
            for _ in range(period):
                slope *= 3 * z**2 + 2 * (a - 2) * z + 1 - 2 * a
                z = z**3 + (a - 2) * z**2 + (1 - 2 * a) * z
            return z - start, slope + 1

        with mp.workdps(30):
            root = mp.findroot(conditions, (mp.mpf(z), mp.mpf(found[k])), tol=1e-20)
        assert float(root[1]) == pytest.approx(found[k], rel=1e-9)


def test_lyapunov_exponents_of_the_cubic_map():
    exponent = theory.cubic_lyapunov([0.5, 1.1, 2.0], 4000)
    cycle = math.log(abs(theory.cubic_two_cycle_multiplier(1.1))) / 2.0
    assert exponent[:2] == pytest.approx([-35.0, cycle], abs=1e-9) or exponent[1] == pytest.approx(cycle, abs=1e-9)
    assert exponent[2] == pytest.approx(math.log(3.0), abs=2e-3)
    assert theory.cubic_lyapunov(0.4, 100) == pytest.approx(math.log(0.2), abs=1e-6)
    with pytest.raises(ValueError, match=r"a must be in \(0, 2\]"):
        theory.cubic_lyapunov([1.0, 2.1])


# ---------------------------------------------------------------------------------------------------------------- flips


@pytest.mark.parametrize(
    ("slope", "derivatives"),
    [(np.tanh, (1.0, 0.0, -2.0)), (lambda e: e + 0.3 * e**2 - 0.1 * e**3, (1.0, 0.6, -0.6))],
    ids=["logcosh", "skew"],
)
def test_a_flip_opens_a_cycle_of_this_width(slope, derivatives):
    errors = []
    for delta in (4e-3, 1e-3):
        e, lr = 0.01, 2.0 + delta
        for _ in range(40_000):
            e = e - lr * slope(e)
        after = e - lr * slope(e)
        amplitude = abs(e - after) / 2.0
        errors.append(amplitude / theory.flip_amplitude(lr, *derivatives) - 1.0)
    assert abs(errors[1]) < 1e-2
    assert abs(errors[1]) < 0.4 * abs(errors[0])


def test_a_flip_without_a_cycle_nearby():
    assert theory.flip_coefficient(1.0, 0.0, 2.0) < 0.0
    assert np.isnan(theory.flip_amplitude(2.1, 1.0, 0.0, 2.0))
    assert theory.flip_amplitude(1.9, 1.0, 0.0, 2.0) == 0.0
    with pytest.raises(ValueError, match="second"):
        theory.flip_coefficient(0.0, 1.0, 1.0)


def test_the_cascade_refuses_odd_orders():
    with pytest.raises(ValueError, match="num must be from 1 to 8"):
        theory.cubic_doublings(9)


# ------------------------------------------------------------------------------------------------------------- products


def final_gap(slope, curvature, lr, p=1.0, level=2.3):
    """2/lr - sharpness after descent on l(x y), from above the edge."""
    S = level / (lr * curvature)
    root = math.sqrt(S * S - 4.0 * p * p)
    x, y = math.sqrt((S - root) / 2.0), math.sqrt((S + root) / 2.0) + 0.01 * math.sqrt(lr)
    for _ in range(int(40.0 / lr**2)):
        q = lr * slope(x * y)
        x, y = x - q * y, y - q * x
    return 2.0 / lr - curvature * (x * x + y * y)


@pytest.mark.parametrize("depth", [4, 6])
def test_end_sharpness_of_paired_networks(depth):
    m = depth // 2
    ratios = [
        final_gap(lambda p: p ** (2 * m - 1) - p ** (m - 1), m, lr) / theory.paired_edge_gap(lr, depth)
        for lr in (0.1, 0.05)
    ]
    assert abs(ratios[1] - 1.0) < 0.04
    assert abs(ratios[1] - 1.0) < 0.5 * abs(ratios[0] - 1.0)


def test_edge_gap_of_products():
    with mp.workdps(30):
        for m in (2, 3, 4):
            derivatives = [float(mp.diff(lambda p, m=m: (p**m - 1) ** 2 / (2 * m), 1, k)) for k in (2, 3, 4)]
            expected = theory.product_edge_gap(0.01, *derivatives)
            assert theory.paired_edge_gap(0.01, 2 * m) == pytest.approx(expected, rel=1e-12)
    for loss, fourth in (("sqrt", -3.0), ("logcosh", -2.0)):
        assert theory.product_edge_gap(0.01, 1.0, 0.0, fourth) == pytest.approx(theory.edge_gap(0.01, loss))
    assert np.isnan(theory.paired_edge_gap(0.1, 2))
    with pytest.raises(ValueError, match="depth must be even"):
        theory.paired_edge_gap(0.1, 3)


@pytest.mark.parametrize("target", [1.0, -2.0])
def test_the_flow_of_a_product_ends_there(target):
    rng = np.random.default_rng(5)
    for depth in (2, 3, 5):
        w = rng.normal(size=depth)

        def velocity(_, w):
            P = np.prod(w)
            return -(P - target) * P / w

        end = integrate.solve_ivp(velocity, (0.0, 400.0), w, rtol=1e-10, atol=1e-12).y[:, -1]
        np.testing.assert_allclose(theory.product_flow_limit(w, target), end**2, rtol=1e-6, atol=1e-8)
        outer = np.multiply.outer(target / end, target / end)
        assert theory.product_flow_sharpness(w, target) == pytest.approx(np.linalg.eigvalsh(outer)[-1], rel=1e-6)


def test_flow_limits_of_many_points_at_once():
    w = np.random.default_rng(1).normal(size=(3, 4, 6)) * 3.0
    limit = theory.product_flow_limit(w, 0.5)
    np.testing.assert_allclose(limit.prod(axis=-1), 0.25, rtol=1e-11)
    spread = limit - w**2
    np.testing.assert_allclose(spread, spread[..., :1] * np.ones(6), atol=1e-11)
    for bad, words in (((np.ones(3), 0.0), "target"), ((np.ones(1), 1.0), "two factors")):
        with pytest.raises(ValueError, match=words):
            theory.product_flow_limit(*bad)


# ------------------------------------------------------------------------------------------------------------ catapults


def test_a_catapult_step_is_a_step_of_the_network():
    rng = np.random.default_rng(2)
    n, lr = 7, 0.4
    u, v = rng.normal(size=(2, n))
    f, lam = u @ v / math.sqrt(n), (u @ u + v @ v) / n
    u, v = u - lr * f * v / math.sqrt(n), v - lr * f * u / math.sqrt(n)
    np.testing.assert_allclose(
        theory.catapult_step(f, lam, lr, n), (u @ v / math.sqrt(n), (u @ u + v @ v) / n), rtol=1e-12
    )


def test_where_a_catapult_ends():
    errors = []
    for excess in (0.08, 0.04, 0.02):
        f, lam = 1e-6, 2.0 + excess
        for _ in range(int(80.0 / excess)):
            f, lam = theory.catapult_step(f, lam, 1.0, 1.0)
        errors.append(abs(float(lam - 2.0 - theory.catapult_limit(excess))))
    assert errors[2] < 0.02**3
    assert errors[2] < 0.15 * errors[1] < 0.15**2 * errors[0]
    with pytest.raises(ValueError, match="excess must not be negative"):
        theory.catapult_limit(-0.1)
