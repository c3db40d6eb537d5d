"""Closed forms against independent numerics: mpmath for functions, scipy for differential equations, and plain loops of
gradient descent.
"""

from __future__ import annotations

import inspect
import math

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, special

from eosfast import theory

LOSSES = [("sqrt", 2.0), ("logcosh", 2.0), ("logistic", 2.0), ("huber", 2.0), ("power", 1.5), ("power", 3.0)]


def slope(loss, beta, s):
    """l'(s) for s > 0 in mpmath."""
    s = mp.mpf(s)
    if loss == "power":
        c = (mp.mpf(beta) / (beta + 1)) ** beta / (beta + 1)
        return s * (1 - c * s**beta) if s < mp.mpf(beta + 1) / beta else mp.mpf(1)
    return {
        "sqrt": lambda: s / mp.sqrt(1 + s * s),
        "logcosh": lambda: mp.tanh(s),
        "logistic": lambda: mp.tanh(s / 2) / 2,
        "huber": lambda: min(s, mp.mpf(1)),
    }[loss]()


def descend(loss, beta, lr, x, y, num_steps, until=lambda x, y: False):
    """Gradient descent on l(x*y) in floats; (x, y, steps done)."""
    c = (beta / (beta + 1)) ** beta / (beta + 1)
    derivative = {
        "sqrt": lambda s: s / math.sqrt(1 + s * s),
        "logcosh": math.tanh,
        "logistic": lambda s: math.tanh(s / 2) / 2,
        "huber": lambda s: max(-1.0, min(1.0, s)),
        "power": lambda s: s * (1 - c * abs(s) ** beta) if abs(s) < (beta + 1) / beta else math.copysign(1, s),
    }[loss]
    for t in range(num_steps):
        if until(x, y):
            return x, y, t
        q = derivative(x * y)
        x, y = x - lr * q * y, y - lr * q * x
    return x, y, num_steps


# ---------------------------------------------------------------------------------------------------- the single neuron


@pytest.mark.parametrize(("loss", "beta"), LOSSES)
def test_shape_is_the_expansion_of_the_loss(loss, beta):
    shape = theory.loss_shape(loss, beta)
    with mp.workdps(60):
        s = mp.mpf("1e-12")
        ratio = slope(loss, beta, s) / s / shape.curvature
        assert shape.slope == pytest.approx(float(slope(loss, beta, mp.mpf(1e6))), rel=1e-12)
        if math.isinf(shape.beta):
            assert ratio == 1
            assert shape.c == 0.0
        else:
            assert float((1 - ratio) / s**shape.beta) == pytest.approx(shape.c, rel=1e-9)


@pytest.mark.parametrize(("loss", "beta"), LOSSES)
def test_envelope_solves_its_equation(loss, beta):
    shape = theory.loss_shape(loss, beta)
    lr = 0.01
    r = np.array([1.0 + 1e-9, 1.0001, 1.01, 1.2, 1.5, 3.0, 50.0])
    y = np.sqrt(2.0 * r / (lr * shape.curvature))
    for yi, s in zip(y, theory.oscillation_envelope(lr, y, loss, beta), strict=True):
        assert s > 0.0
        residual = float(slope(loss, beta, s) / s * lr * mp.mpf(yi) ** 2 / 2) - 1.0
        assert abs(residual) < 2e-15 if loss != "power" else abs(residual) < 1e-14
    stable = theory.oscillation_envelope(lr, y[0] * 0.999, loss, beta)
    assert stable == 0.0


@pytest.mark.parametrize("beta", [1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 8.0])
def test_gap_factor_against_scipy(beta):
    """The normal form as an equation for p(q), q = s^2, from far up the slow curve down to q = 0."""
    start = (300.0 * (beta - 1) / beta**2) ** (1.0 / (beta - 1))
    solution = integrate.solve_ivp(
        lambda q, p: -0.5 / (p - np.abs(q) ** (beta / 2)),
        (start, 0.0),
        [start ** (beta / 2) - start ** (1 - beta / 2) / beta],
        method="Radau",
        rtol=1e-11,
        atol=1e-12,
    )
    assert theory.edge_gap_factor(beta) == pytest.approx(-solution.y[0, -1], rel=1e-6)


def test_gap_factor_where_it_is_known():
    assert theory.edge_gap_factor(2.0) == 0.5
    assert theory.edge_gap_factor(2.0 + 1e-12) == pytest.approx(0.5, abs=1e-9)
    assert theory.edge_gap_factor(math.inf) == 1.0
    assert theory.edge_gap_factor(400.0) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("loss", "beta", "tolerance"),
    [
        ("sqrt", 2.0, 0.01),
        ("logcosh", 2.0, 0.01),
        ("logistic", 2.0, 0.01),
        ("power", 2.0, 0.01),
        ("power", 3.0, 0.02),
        ("power", 1.5, 0.02),
        ("huber", 2.0, 0.03),
    ],
)
def test_gap_against_gradient_descent(loss, beta, tolerance):
    lr = 0.05
    curvature = theory.loss_shape(loss, beta).curvature
    _, y, steps = descend(
        loss, beta, lr, 1e-3, math.sqrt(3.0 / (lr * curvature)), 10**6, until=lambda x, y: 0 < abs(x * y) < 1e-9
    )
    assert 0 < steps < 10**6
    assert 2.0 / lr - curvature * y * y == pytest.approx(theory.edge_gap(lr, loss, beta), rel=tolerance)


def test_gap_constants():
    assert theory.edge_gap(0.02, "sqrt") == pytest.approx(0.02)
    assert theory.edge_gap(0.02, "logcosh") == pytest.approx(0.03)
    assert theory.edge_gap(0.02, "logistic") == pytest.approx(0.375 * 0.02)
    np.testing.assert_allclose(theory.edge_gap([0.1, 0.001], "huber"), math.sqrt(2.0))


@pytest.mark.parametrize("loss", ["sqrt", "logcosh", "logistic"])
def test_slow_line_is_a_trajectory_of_the_normal_form(loss):
    shape, lr, h = theory.loss_shape(loss), 0.01, 1e-6
    for s in (1e-4, 1e-2, 0.1):
        delta = theory.slow_line(lr, s, loss)
        along = (theory.slow_line(lr, s + h * s, loss) - theory.slow_line(lr, s - h * s, loss)) / (2 * h * s)
        ds_dt = s * (delta - 2.0 * shape.c * s**2)
        assert along * ds_dt == pytest.approx(-2.0 * (lr * shape.curvature) ** 2 * s**2, rel=1e-6)
    assert theory.slow_line(lr, 0.0, loss) == pytest.approx(-lr * theory.edge_gap(lr, loss), rel=1e-8)


@pytest.mark.parametrize("delta", [0.3, 1.0, 2.0])
def test_steps_to_the_edge_against_gradient_descent(delta):
    lr, x_tilde = 0.02, 0.5
    root = math.sqrt((2.0 + delta) / lr)
    steps = descend(
        "sqrt", 2.0, lr, root * x_tilde, root * math.hypot(1.0, x_tilde), 10**6, until=lambda x, y: lr * y * y <= 2.0
    )[2]
    assert steps == pytest.approx(theory.steps_to_edge(lr, delta, x_tilde), rel=2e-3)


@pytest.mark.parametrize(("loss", "beta"), LOSSES)
def test_flow_regime_against_gradient_descent(loss, beta):
    lr, delta, x_tilde = 1e-3, 0.8, 0.7
    curvature = theory.loss_shape(loss, beta).curvature
    root = math.sqrt((2.0 - delta) / (lr * curvature))
    x0, y0 = root * x_tilde, root * math.hypot(1.0, x_tilde)
    y = descend(loss, beta, lr, x0, y0, 10**5, until=lambda x, y: abs(x * y) < 1e-9)[1]
    predicted = theory.flow_regime_sharpness(lr, delta, x_tilde, loss, beta)
    assert curvature * y * y == pytest.approx(predicted, abs=0.01)
    leading = theory.regime_sharpness(lr, x0, y0, loss, beta)
    assert leading == pytest.approx((2.0 - delta) / lr)
    assert leading - predicted > 10 * abs(curvature * y * y - predicted)  # the correction matters


def test_regimes_meet_at_the_edge():
    lr, y0 = 0.01, np.array([5.0, 10.0, 20.0, -20.0])
    np.testing.assert_allclose(theory.regime_sharpness(lr, 3.0, y0), [16.0, 91.0, 200.0, 200.0])
    np.testing.assert_allclose(theory.regime_sharpness(lr, y0, 3.0), [16.0, 91.0, 200.0, 200.0])
    np.testing.assert_allclose(theory.regime_sharpness(lr, 3.0, y0, "logistic"), [4.0, 22.75, 97.75, 97.75])


# ------------------------------------------------------------------------------------------------------- the mean model


def exact_relu(b, noise=1.0):
    with mp.workdps(50):
        u = mp.mpf(b) / mp.mpf(noise)
        return noise * (mp.npdf(u) + u * mp.ncdf(u))


@pytest.mark.parametrize("noise", [1.0, 0.3])
def test_smoothed_relu_is_accurate_everywhere(noise):
    b = noise * np.concatenate([np.linspace(-37.0, 10.0, 95), [-1.5 - 1e-12, -1.5, -1.5 + 1e-12, 0.0]])
    exact = np.array([float(exact_relu(v, noise)) for v in b])
    error = np.abs(theory.smoothed_relu(b, noise) / exact - 1.0)
    assert np.all(error < 1e-15 * (10.0 + (b / noise) ** 2))  # the exponent -u^2/2 is known to half an ulp
    np.testing.assert_allclose(theory.smoothed_relu_inverse(exact, noise), b, rtol=1e-12, atol=1e-14)
    step = 1e-6 * noise
    middle = b[np.abs(b) < 5 * noise]
    numerical = (theory.smoothed_relu(middle + step, noise) - theory.smoothed_relu(middle - step, noise)) / (2 * step)
    np.testing.assert_allclose(theory.normal_cdf(middle / noise), numerical, atol=1e-9)


def test_smoothed_relu_is_the_average_of_relu():
    for b, noise in ((-1.3, 1.0), (0.4, 2.0)):

        def integrand(z, b=b, noise=noise):
            return max(noise * z + b, 0.0) * math.exp(-z * z / 2)

        average = integrate.quad(integrand, -12.0, 12.0, points=[-b / noise])[0]
        assert theory.smoothed_relu(b, noise) == pytest.approx(average / math.sqrt(2 * math.pi), rel=1e-7)


def test_normal_cdf_in_the_tail():
    z = np.array([-37.0, -10.0, -1.0, 0.0, 3.0])
    np.testing.assert_allclose(theory.normal_cdf(z), special.ndtr(z), rtol=1e-12)


def mean_model(lr, d, A, num_steps, noise=1.0):
    """Plain loop of the mean model from b = 0: final A and b."""
    b = 0.0
    for _ in range(num_steps):
        u = b / noise
        cdf = 0.5 * math.erfc(-u / math.sqrt(2))
        g = noise * (math.exp(-u * u / 2) / math.sqrt(2 * math.pi) + u * cdf)
        q = 0.5 * math.tanh(A * g / 2)
        A, b = A - 2 * d * d * lr * q * g, b - lr * q * A * cdf
    return A, b


@pytest.mark.parametrize(("d", "noise"), [(200, 1.0), (50, 0.5)])
def test_the_edge_is_where_small_outputs_start_to_grow(d, noise):
    edge = float(theory.edge_lr(d, noise))
    assert edge == pytest.approx(8 * math.pi / (d * noise) ** 2, rel=1e-15)
    assert abs(mean_model(0.99 * edge, d, 1e-6, 200, noise)[0]) < 1e-6
    assert abs(mean_model(1.01 * edge, d, 1e-6, 200, noise)[0]) > 1e-6
    assert theory.edge_bias(edge, d, noise) == pytest.approx(0.0, abs=1e-14)
    assert theory.edge_bias(2 * edge, d, noise) < 0.0 < theory.edge_bias(edge / 2, d, noise)


@pytest.mark.parametrize(("times_edge", "noise"), [(1.2, 1.0), (2.0, 1.0), (8.0, 1.0), (3.0, 0.5)])
@pytest.mark.parametrize("A0", [0.5, 10.0])
def test_final_bias_above_the_edge(times_edge, noise, A0):
    d = 200
    lr = times_edge * float(theory.edge_lr(d, noise))
    A, b = mean_model(lr, d, A0, 20_000, noise)
    assert abs(A) < 1e-6
    assert b < theory.edge_bias(lr, d, noise)
    assert b == pytest.approx(float(theory.edge_bias_limit(lr, d, noise)), abs=10 * (lr / noise) ** 2)
    assert lr * d**2 * theory.smoothed_relu(theory.edge_bias(lr, d, noise), noise) ** 2 / 2 == pytest.approx(2.0)


@pytest.mark.parametrize(("times_edge", "noise"), [(0.04, 1.0), (0.5, 1.0), (0.9, 1.0), (0.5, 2.0)])
def test_final_bias_below_the_edge(times_edge, noise):
    d, A0 = 100, 0.05
    lr = times_edge * float(theory.edge_lr(d, noise))
    b = mean_model(lr, d, A0, 2000, noise)[1]
    assert theory.stable_bias_limit(lr, d, A0, noise) == pytest.approx(b, rel=2e-3)


def test_final_bias_of_the_flow_against_scipy():
    d, A0 = 20.0, 25.0

    def velocity(_, state):
        A, b = state
        g, cdf = float(theory.smoothed_relu(b)), special.ndtr(b)
        q = 0.5 * math.tanh(A * g / 2)
        return [-2 * d * d * q * g, -q * A * cdf]

    end = integrate.solve_ivp(velocity, (0.0, 10.0), [A0, 0.0], method="LSODA", rtol=1e-10, atol=1e-12).y[:, -1]
    assert abs(end[0]) < 1e-8
    assert theory.flow_bias_limit(d, A0) == pytest.approx(end[1], rel=1e-7)
    small = theory.flow_bias_limit(200.0, 1e-3)
    assert small == pytest.approx(-math.sqrt(2 * math.pi) / 8 * (1e-3 / 200) ** 2, rel=1e-9)
    assert theory.stable_bias_limit(1e-9, 200, 1e-3) == pytest.approx(small, rel=1e-4)


def test_output_envelope_solves_its_equation():
    lr, d, b = 2.5e-3, 200, np.array([0.0, -0.2, -0.45])
    for bi, A in zip(b, theory.output_envelope(lr, d, b), strict=True):
        g = exact_relu(bi)
        s = mp.mpf(A) * g
        assert float(mp.tanh(s / 2) / (2 * s) * lr * d * d * g * g) == pytest.approx(1.0, rel=1e-13)
    assert theory.output_envelope(lr, d, -0.6) == 0.0


def test_origin_sharpness_is_the_second_moment():
    d, signal, noise = 7, 2.0, 0.8

    def moment(power, shift):
        def integrand(z):
            return abs(shift + noise * z) ** power * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        return integrate.quad(integrand, -12.0, 12.0, points=[-shift / noise])[0]

    first = (d - 1) * moment(1, 0.0) + moment(1, signal)
    variance = (d - 1) * (moment(2, 0.0) - moment(1, 0.0) ** 2) + moment(2, signal) - moment(1, signal) ** 2
    assert theory.origin_sharpness(d, signal, noise) == pytest.approx((first**2 + variance) / 8, rel=1e-7)
    assert theory.origin_sharpness(10**6) == pytest.approx(10**12 / (4 * math.pi), rel=1e-5)


def test_linear_accuracy():
    assert theory.linear_accuracy(200) == pytest.approx(special.ndtr(3.0 / math.sqrt(200)), rel=1e-14)
    assert theory.linear_accuracy(16, signal=2.0, noise=0.5) == pytest.approx(special.ndtr(1.0), rel=1e-14)


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.loss_shape("sqr"), r"loss must be .*did you mean 'sqrt'.*got 'sqr'"),
        (lambda: theory.loss_shape("power", 1.0), "beta must be larger than 1"),
        (lambda: theory.edge_gap_factor(math.nan), "beta must be larger than 1"),
        (lambda: theory.edge_gap([0.1, 0.0]), "lr must be positive"),
        (lambda: theory.regime_sharpness(-1.0, 0.0, 1.0), "lr must be positive"),
        (lambda: theory.oscillation_envelope(math.nan, 1.0), "lr must be positive"),
        (lambda: theory.slow_line(0.1, 0.1, "huber"), "loss must be"),
        (lambda: theory.flow_regime_sharpness(0.1, 2.0, 1.0), "delta must be between 0 and 2"),
        (lambda: theory.steps_to_edge(0.1, -0.5, 1.0), "delta must put the start above the edge"),
        (lambda: theory.smoothed_relu(0.0, noise=0.0), "noise must be positive"),
        (lambda: theory.smoothed_relu_inverse(0.0), "value must be positive"),
        (lambda: theory.edge_lr(0), "d must be positive"),
        (lambda: theory.edge_bias(0.0, 200), "lr must be positive"),
        (lambda: theory.stable_bias_limit(7e-4, 200, 1.0), "lr must be positive and below edge_lr"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_public_function_is_documented():
    for name in theory.__all__:
        thing = getattr(theory, name)
        if inspect.isfunction(thing):
            assert "Parameters\n    ----------" in thing.__doc__, name
            assert "Returns\n    -------" in thing.__doc__, name
