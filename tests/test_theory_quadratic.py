"""Second-order regression: the reduced maps against gradient descent on the parameters themselves, the coefficients at
the edge against high-precision differences, and the limits against long runs.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import integrate

from eosfast import theory

EPSILONS = st.floats(1e-3, 0.5)
OFFSETS = st.floats(-3.0, 3.0)


def descend(w, Q, E, lr, num_steps):
    """Gradient descent on (w'Qw - E)^2/8: lr z and lr ||J||^2 at every step."""
    path = []
    for _ in range(num_steps + 1):
        z, J = (w @ Q @ w - E) / 2, Q @ w
        path.append((lr * z, lr * J @ J))
        w = w - lr * z * J
    return np.array(path)


def end_of_run(z, T, epsilon, offset=0.0):
    """Plain loop in floats until abs(z) < 1e-14 at T < 2: the last T. z is stepped by its own moments, so that it can
    become as small as it likes.
    """
    b = (T - 2 * z - offset) / (1 + epsilon)
    for _ in range(10**6):
        a = 2 * z + b + offset
        if abs(z) < 1e-14 and a + epsilon * b < 2:
            return a + epsilon * b
        z, b = z * (1 - (a + epsilon * b) + z * (a - epsilon**2 * b) / 2), b * (1 + epsilon * z) ** 2
    raise AssertionError("no end in sight")


# ------------------------------------------------------------------------------------------------------- one data point


@pytest.mark.parametrize("offset", [0.0, -1.5, 0.7])
def test_the_reduced_map_is_gradient_descent_on_the_parameters(offset):
    epsilon, lr = 0.05, 0.3
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((2, 2)))[0]
    Q = rotation @ np.diag([1.0, -epsilon]) @ rotation.T
    start = rotation @ theory.two_mode_start(-0.3, 1.0, epsilon, offset, lr)
    path = descend(start, Q, offset / lr, lr, 200)
    np.testing.assert_allclose(path[0], [-0.3, 1.0], rtol=1e-14)
    z, T = path[0]
    for expected in path[1:]:
        z, T = theory.two_mode_step(z, T, epsilon, offset)
        np.testing.assert_allclose([z, T], expected, rtol=1e-12, atol=1e-14)


@given(st.floats(0.01, 3.0), st.floats(0.01, 3.0), EPSILONS, OFFSETS)
def test_both_coordinates_describe_one_step(a, b, epsilon, offset):
    z, T = theory.curvature_of_modes(a, b, epsilon, offset)
    np.testing.assert_allclose(theory.mode_weights(z, T, epsilon, offset), (a, b), rtol=1e-12, atol=1e-12)
    stepped = theory.two_mode_step(z, T, epsilon, offset)
    other = theory.curvature_of_modes(*theory.mode_step(a, b, epsilon, offset), epsilon, offset)
    np.testing.assert_allclose(stepped, other, rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(
        theory.two_step(z, T, epsilon, offset), theory.two_mode_step(*stepped, epsilon, offset)
    )


@given(st.floats(0.0, 4.0), EPSILONS, OFFSETS)
def test_parameters_exist_just_where_they_are_said_to(T, epsilon, offset):
    low, high = theory.realisable_z(T, epsilon, offset)
    assert (low <= high) == (T * (1 + 1 / epsilon) >= 0)
    inside, outside = low + (high - low) * np.array([0.01, 0.5, 0.99]), np.array([low - 0.01, high + 0.01])
    if high - low > 0.1:
        assert np.isfinite(theory.two_mode_start(inside, T, epsilon, offset)).all()
    starts = theory.two_mode_start(outside, T, epsilon, offset)
    assert starts.shape == (2, 2)
    assert np.isnan(starts).all()
    assert np.isnan(theory.quadratic_limit(outside, T, epsilon, min(offset, 2.0))).all() or offset > 2.0


@pytest.mark.parametrize("omega", [1.0, 0.3])
def test_the_catapult_is_a_linear_network_with_one_hidden_layer(omega):
    Q = omega * np.array([[0.0, 1.0], [1.0, 0.0]])  # z = omega w1 w2
    path = descend(np.array([1.9, 0.4]), Q, 0.0, 0.7, 100)
    z, T = path[0]
    for expected in path[1:]:
        z, T = theory.catapult_step(z, T, 1.0, 1.0 / omega**2)
        np.testing.assert_allclose([z, T], expected, rtol=1e-12, atol=1e-14)
    assert np.all(np.diff(path[:, 1]) <= 1e-15)


def test_the_step_of_many_residuals_is_gradient_descent_on_the_parameters():
    rng = np.random.default_rng(0)
    D, P, lr = 3, 5, 0.07
    Q = rng.standard_normal((D, P, P))
    Q += Q.transpose(0, 2, 1)
    y, G, w = rng.standard_normal(D), rng.standard_normal((D, P)), np.zeros(P)
    z, J = y, G
    for _ in range(20):
        for a in range(D):
            assert z[a] == pytest.approx(y[a] + G[a] @ w + w @ Q[a] @ w / 2, rel=1e-10, abs=1e-12)
            np.testing.assert_allclose(J[a], G[a] + Q[a] @ w, rtol=1e-10, atol=1e-12)
        w = w - lr * sum((y[a] + G[a] @ w + w @ Q[a] @ w / 2) * (G[a] + Q[a] @ w) for a in range(D))
        z, J = theory.residual_step(z, J, Q, lr)


# ----------------------------------------------------------------------------------------------------------- nullclines


@pytest.mark.parametrize("epsilon", [0.001, 0.005, 0.03])
@pytest.mark.parametrize("offset", [0.0, 1.0, -2.0])
def test_two_steps_stand_still_on_the_nullclines(epsilon, offset):
    z = np.array([-0.8, -0.3, -0.01, 0.01, 0.3, 0.6])
    T = theory.z_nullcline(z, epsilon, offset)
    np.testing.assert_allclose(theory.two_step(z, T, epsilon, offset)[0], z, rtol=1e-12, atol=0)
    T = theory.T_nullcline(z, epsilon, offset)
    np.testing.assert_allclose(theory.two_step(z, T, epsilon, offset)[1], T, rtol=1e-13, atol=0)
    assert theory.z_nullcline(0.0, epsilon, offset) == pytest.approx(2.0, rel=1e-15)
    assert theory.T_nullcline(0.0, epsilon, offset) == pytest.approx(2.0, rel=1e-15)


def test_nullclines_have_their_series():
    e, E, z = 0.1, 0.5, 1e-3
    series = 2 + (2 * (1 - e) + e * E) * z + (2 * (1 - e + e * e) + e * (1 - e) * E) * z * z
    assert theory.z_nullcline(z, e, E) == pytest.approx(series, abs=5 * z**3)
    slopes = [(f(z, e) - f(-z, e)) / (2 * z) for f in (theory.T_nullcline, theory.z_nullcline)]
    assert slopes[0] == pytest.approx((2 - 3 * e + 2 * e * e) / (1 - e), abs=1e-5)
    assert slopes[0] - slopes[1] == pytest.approx(e / (1 - e), abs=1e-5)


def test_a_nullcline_ends_where_it_folds_back_and_at_its_pole():
    z = np.linspace(-3.0, 0.9, 40)
    for nullcline in (theory.z_nullcline, theory.T_nullcline):
        assert np.isfinite(nullcline(z, 0.001)).all()
        assert np.isnan(nullcline(np.array([1.0, 1.5, np.nan]), 0.001)).all()
    curve = theory.z_nullcline(z, 0.2)
    known = np.isfinite(curve)
    assert 10 < known.sum() < 40
    assert np.all(np.diff(known.astype(int)) >= 0)  # once lost it is not found again
    assert np.max(np.abs(np.diff(1.0 / curve[known], 2))) < 0.02


# ---------------------------------------------------------------------------------------------------------- at the edge


def two_steps_of_excess(z, y, epsilon, offset):
    """z and y after two steps, y = T - f_z(z), in mpmath, the nullcline by a root finder."""

    def step(z, T):
        a, b = (T + epsilon * (2 * z + offset)) / (1 + epsilon), (T - 2 * z - offset) / (1 + epsilon)
        a, b = a * (1 - z) ** 2, b * (1 + epsilon * z) ** 2
        return (a - b - offset) / 2, a + epsilon * b

    def nullcline(z):
        return mp.findroot(lambda T: step(*step(z, T))[0] / z - 1, 2 + 2 * z)

    last, T = step(*step(z, y + nullcline(z)))
    return last, T - nullcline(last)


@pytest.mark.parametrize(("epsilon", "offset"), [(0.005, 0.0), (0.1, 0.0), (0.05, -1.5), (0.02, 1.0)])
def test_two_step_coefficients_against_differences(epsilon, offset):
    found = theory.two_step_coefficients(epsilon, offset)
    with mp.workdps(120):
        eps, E, h = mp.mpf(epsilon), mp.mpf(offset), mp.mpf("1e-11")
        z, y = two_steps_of_excess(h, h, eps, E)
        assert float((z - h) / h**2) == pytest.approx(found.growth, rel=1e-9)
        z, y = two_steps_of_excess(h, mp.mpf(0), eps, E)
        assert z - h == pytest.approx(0, abs=1e-50)
        assert float(y / h**2) == pytest.approx(found.drift, rel=1e-9)
        changes = []
        for sign in (1, -1):  # even part in z and odd part in y leave y z^2
            tiny = h * h
            up, down = (two_steps_of_excess(sign * h, s * tiny, eps, E)[1] - s * tiny for s in (1, -1))
            changes.append((up - down) / (2 * tiny * h * h))
        assert float(sum(changes) / 2) == pytest.approx(found.damping, rel=1e-9)


def test_the_excess_settles_where_damping_and_drift_balance():
    for epsilon, offset in ((0.1, 0.0), (0.02, -3.0)):
        _, damping, drift = theory.two_step_coefficients(epsilon, offset)
        assert damping * theory.edge_excess(epsilon, offset) + drift == pytest.approx(0.0, abs=1e-15)
    e = 0.1
    assert theory.edge_excess(e) == pytest.approx(-2 * e / (4 - 3 * e + 4 * e * e), rel=1e-14)
    assert theory.edge_excess(1e-6, 1.0) == pytest.approx(-0.25e-6, rel=1e-5)


@pytest.mark.parametrize("offset", [0.0, -2.0, 1.0])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_limit_is_missed_by_the_next_power_of_epsilon(offset, order):
    """The remainder over epsilon^(order+1) is about the same for two values of epsilon, and about the next term."""
    errors = []
    for epsilon in (0.01, 0.02):
        end = end_of_run(-1.2, 0.9, epsilon, offset)
        errors.append((end - theory.quadratic_edge_limit(epsilon, offset, order)) / epsilon ** (order + 1))
    assert errors[0] == pytest.approx(errors[1], rel=0.2)
    if order < 4:
        e = 1e-2
        last = theory.quadratic_edge_limit(e, offset, order + 1) - theory.quadratic_edge_limit(e, offset, order)
        assert errors[0] == pytest.approx(last / e ** (order + 1), rel=0.1)


@pytest.mark.parametrize(("z", "T"), [(-0.3, 0.5), (-0.6, 0.6), (0.2, 1.5), (-0.2, 0.3), (-1.5, 0.5), (0.2, 2.5)])
def test_who_reaches_the_edge(z, T):
    epsilon = 0.005
    end = end_of_run(z, T, epsilon)
    assert theory.quadratic_limit(z, T, epsilon) == pytest.approx(end, abs=0.02)
    assert (end > 1.99) == (T - 2 * z > 2)


def test_no_minimum_is_stable_with_a_large_offset():
    assert np.isnan(theory.quadratic_edge_limit(0.01, [2.5, 3.0])).all()
    assert theory.quadratic_edge_limit(0.01, 2.0) == 2.0
    assert np.isnan(theory.quadratic_limit(-1.0, 3.0, 0.01, 2.5))
    a, b, path = 3.0, 0.6, []
    for _ in range(5000):
        path.append(float(theory.curvature_of_modes(a, b, 0.01, 2.5)[0]))
        a, b = theory.mode_step(a, b, 0.01, 2.5)
    assert 0.01 < np.max(np.abs(path[4000:])) < 10.0


@pytest.mark.parametrize(("z", "T", "epsilon"), [(-0.6, 0.6, 0.005), (-1.0, 1.0, 0.3), (0.4, 1.0, 0.05)])
def test_the_end_of_the_flow_against_scipy(z, T, epsilon):
    a, b = theory.mode_weights(z, T, epsilon)
    solution = integrate.solve_ivp(
        lambda _, s: [-(s[0] - s[1]) * s[0], epsilon * (s[0] - s[1]) * s[1]], (0, 100), [a, b], rtol=1e-11, atol=1e-13
    )
    end = theory.curvature_of_modes(*solution.y[:, -1], epsilon)
    assert end[0] == pytest.approx(0.0, abs=1e-9)
    assert theory.quadratic_flow_limit(z, T, epsilon) == pytest.approx(end[1], rel=1e-9)


# ----------------------------------------------------------------------------------------------------- many data points


def test_sharpening_of_random_models():
    """Second derivative of the top eigenvalue by central differences of the exact Taylor polynomial of J."""
    D, P, sigma_z, sigma_J, sigma_Q = 30, 60, 0.05, 0.2, 0.7
    rng = np.random.default_rng(0)
    tops, firsts, seconds = [], [], []
    for _ in range(150):
        z, J = sigma_z * rng.standard_normal(D), sigma_J * rng.standard_normal((D, P))
        Q = sigma_Q * np.triu(rng.standard_normal((D, P, P)))
        Q += np.triu(Q, 1).transpose(0, 2, 1)
        speed = -Q @ (z @ J)
        acceleration = -Q @ (z @ speed - (J @ (z @ J)) @ J)
        h = 1e-3
        low, mid, high = (np.linalg.norm(J + t * speed + t * t / 2 * acceleration, 2) ** 2 for t in (-h, 0.0, h))
        tops.append(mid)
        firsts.append((high - low) / (2 * h))
        seconds.append((high - 2 * mid + low) / h**2)
    ratio, error = np.mean(seconds) / np.mean(tops), np.std(seconds) / np.sqrt(150) / np.mean(tops)
    assert ratio == pytest.approx(theory.sharpening_rate(D, P, sigma_z, sigma_Q), abs=4 * error, rel=0.1)
    assert abs(np.mean(firsts)) < 4 * np.std(firsts) / np.sqrt(150)
    assert np.mean(tops) == pytest.approx(theory.initial_curvature(D, P, sigma_J), rel=0.1)


def test_initial_curvature_of_large_matrices():
    J = 0.3 * np.random.default_rng(0).standard_normal((400, 600))
    assert np.linalg.eigvalsh(J @ J.T)[-1] == pytest.approx(theory.initial_curvature(400, 600, 0.3), rel=0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.two_mode_step(0.1, 1.0, 0.0), "epsilon must be positive"),
        (lambda: theory.mode_weights(0.1, 1.0, -1.0), "epsilon must be positive"),
        (lambda: theory.two_mode_start(0.1, 1.0, 0.1, lr=0.0), "lr must be positive"),
        (lambda: theory.z_nullcline(0.1, np.nan), "epsilon must be positive"),
        (lambda: theory.quadratic_edge_limit(0.1, order=5), "order must be 1, 2, 3 or 4, got 5"),
        (lambda: theory.sharpening_rate(0, 10, 1.0), "D must be positive"),
        (lambda: theory.initial_curvature(10, -1, 1.0), "P must be positive"),
        (lambda: theory.residual_step(np.ones(2), np.ones((2, 3)), np.ones((2, 3, 2))), "z, J, Q must have shapes"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
