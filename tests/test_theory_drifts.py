"""Self-stabilisation, drifts along valleys and diagonal linear networks, against scipy and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, optimize

from eosfast import theory

# --------------------------------------------------------------------------------------------------- self-stabilisation


@pytest.mark.parametrize(("alpha", "beta", "start"), [(1.0, 1.0, 1.3), (0.25, 2.0, 0.2), (1.0, 1.0, 1.0002)])
def test_period_and_energy_of_the_loops(alpha, beta, start):
    """The reduced flow, log|x| and y, in units of lr t."""
    delta = math.sqrt(2.0 * alpha / beta)

    def velocity(_, s):
        return [s[1], alpha - beta * math.exp(2.0 * s[0]) / 2.0]

    def crosses(_, s):
        return s[1]

    crosses.direction = 1.0 if start < 1.0 else -1.0
    begin = [math.log(start * delta), 0.0]
    loop = integrate.solve_ivp(velocity, (0.0, 60.0), begin, rtol=1e-11, atol=1e-13, events=crosses)
    period = next(t for t in loop.t_events[0] if t > 0.1)
    assert theory.stabilization_period(0.01, alpha, start) == pytest.approx(100.0 * period, rel=1e-6)
    energy = theory.stabilization_energy(np.exp(loop.y[0]), loop.y[1], alpha, beta)
    np.testing.assert_allclose(energy, energy[0], rtol=1e-8)
    assert theory.stabilization_energy(delta, 0.0, alpha, beta) == pytest.approx(alpha / 2 * (1 - math.log(delta**2)))


def test_one_step_is_descent_on_its_loss():
    x, y, lr, alpha, beta = 0.3, 1.7, 0.05, 0.8, 1.9
    Y = (2.0 / lr + y) / math.sqrt(beta)  # of (sqrt(beta) Y x^2)/2 - alpha/sqrt(beta) Y
    down = x - lr * math.sqrt(beta) * Y * x, Y - lr * (math.sqrt(beta) * x * x / 2.0 - alpha / math.sqrt(beta))
    after = theory.stabilization_step(x, y, lr, alpha, beta)
    np.testing.assert_allclose(after, (down[0], math.sqrt(beta) * down[1] - 2.0 / lr), rtol=1e-12)


def test_small_loops_gain_energy():
    lr, alpha = 0.02, 1.0
    x, y, lowest = math.sqrt(2.0), 1e-3, theory.stabilization_energy(math.sqrt(2.0), 0.0)
    begin = theory.stabilization_energy(x, y) - lowest
    for _ in range(4443):  # twenty loops
        x, y = theory.stabilization_step(x, y, lr)
    growth = math.log((theory.stabilization_energy(x, y) - lowest) / begin) / 4443
    assert growth == pytest.approx(2.0 * alpha * lr**2, rel=0.03)


@pytest.mark.parametrize("zeta", [1.0, 0.7])
def test_the_minimal_model_settles_there(zeta):
    lr, shifts = 0.3, []
    for eps in (2e-2, 1e-2):
        x, y, arrival, tail = 0.0, 5.0, None, []
        num_steps = int(150.0 / eps)
        for t in range(num_steps):
            if arrival is None and y >= 2.0 / lr:
                arrival = t
            slope_x, slope_y = y * x + 1.5 * zeta * x * x - eps, x * x / 2.0 - eps
            x, y = x - lr * slope_x, y - lr * slope_y
            if t >= num_steps - 1000:
                tail.append((x * x, y))
        assert arrival == pytest.approx(theory.edge_arrival(lr, eps, 5.0), rel=0.05)
        square, height = np.mean(tail, axis=0)
        assert square == pytest.approx(2.0 * eps, rel=1e-3)
        shifts.append((height - theory.edge_mean(lr, eps, zeta)) / eps)
    assert abs(shifts[1]) < 0.05


# ----------------------------------------------------------------------------------------------------------- the drifts


@pytest.mark.parametrize(("root", "slope"), [(False, lambda y: -y / (2 * (1 + y * y))), (True, lambda y: -y / 2)])
def test_the_drift_in_a_valley_solves_its_equation(root, slope):
    for y0 in (1.0, -3.0):
        times = [0.0, 0.5, 4.0]
        flow = integrate.solve_ivp(lambda _, y: slope(y), (0.0, 4.0), [y0], t_eval=times, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(theory.valley_drift(times, y0, root), flow.y[0], rtol=1e-9)


def test_normalised_steps_and_steps_on_the_root_drift_like_this():
    lr, num_steps = 0.02, 5000  # tau = 2
    for root in (False, True):
        x, y = lr / 4.0, 1.0
        for _ in range(num_steps):
            g = np.array([2.0 * (1.0 + y * y) * x, 2.0 * y * x * x])
            length = np.hypot(*g) if not root else 2.0 * math.sqrt((1.0 + y * y) * x * x)
            x, y = np.array([x, y]) - lr * g / length
        assert y == pytest.approx(float(theory.valley_drift(2.0, 1.0, root)), abs=5e-4)


@pytest.mark.parametrize("ratio", [3.0, 0.4, 1.1])
def test_the_drift_on_the_sphere_solves_its_equation(ratio):
    def velocity(_, phi):
        lam = np.cos(phi) ** 2 + ratio * np.sin(phi) ** 2
        g = (ratio - 1.0) * np.sin(2.0 * phi) / lam
        return -2.0 * g / (4.0 + g * g)

    times = [0.0, 0.3, 2.0]
    flow = integrate.solve_ivp(velocity, (0.0, 2.0), [0.8], t_eval=times, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(theory.sphere_drift(times, 0.8, ratio), flow.y[0], rtol=1e-9)


def test_the_drift_on_the_sphere_refuses_what_has_none():
    for arguments, words in (((1.0, 2.0), "phi0"), ((1.0, 1.0, 1.0), "ratio"), ((-1.0,), "tau")):
        with pytest.raises(ValueError, match=words):
            theory.sphere_drift(*arguments)


def test_the_effective_step_size_is_that_on_the_sphere():
    """w <- (1 - lr wd) w - lr g(w), g of degree -1: its direction is that of t - effective_lr g(t)."""
    t, g, norm, lr, decay = np.array([0.6, 0.8]), np.array([-0.8, 0.6]) * 0.3, 1.7, 0.5, 0.01
    w = (1.0 - lr * decay) * norm * t - lr * g / norm
    on_sphere = t - theory.effective_lr(lr, decay, norm) * g
    np.testing.assert_allclose(w / np.linalg.norm(w), on_sphere / np.linalg.norm(on_sphere), rtol=1e-14)


# --------------------------------------------------------------------------------------------- diagonal linear networks


@pytest.fixture(scope="module")
def regression():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(5, 12))
    return X, X @ np.concatenate([[1.0, -1.0], np.zeros(10)])


def test_the_flow_of_a_diagonal_network_ends_there(regression):
    X, y = regression
    alpha = np.linspace(0.1, 0.4, 12)

    def velocity(_, w):
        u, v = np.split(w, 2)
        g = X.T @ (X @ (u * u - v * v) - y) / 5.0
        return np.concatenate([-2.0 * u * g, 2.0 * v * g])

    end = integrate.solve_ivp(velocity, (0.0, 300.0), np.tile(alpha, 2), rtol=1e-10, atol=1e-12, method="LSODA").y[
        :, -1
    ]
    u, v = np.split(end, 2)
    np.testing.assert_allclose(theory.diagonal_flow_limit(X, y, alpha), u * u - v * v, atol=1e-5)
    A = 2.0 / math.sqrt(5.0) * np.hstack([X * u, -X * v])
    assert theory.diagonal_network_sharpness(X, u, v) == pytest.approx(np.linalg.eigvalsh(A.T @ A)[-1], rel=1e-12)


def test_small_starts_lead_to_the_least_sum_of_magnitudes_and_large_ones_to_the_least_norm(regression):
    X, y = regression
    least_norm = np.linalg.pinv(X) @ y
    np.testing.assert_allclose(theory.diagonal_flow_limit(X, y, 100.0), least_norm, atol=1e-6)
    costs = np.ones(24)
    sparse = optimize.linprog(costs, A_eq=np.hstack([X, -X]), b_eq=y).fun
    assert np.sum(np.abs(theory.diagonal_flow_limit(X, y, 1e-8))) == pytest.approx(sparse, rel=0.02)
    with pytest.raises(ValueError, match="row for each y"):
        theory.diagonal_flow_limit(X, y[:-1], 1.0)
    with pytest.raises(ValueError, match="alpha"):
        theory.diagonal_flow_limit(X, y, 0.0)
