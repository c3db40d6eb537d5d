"""Stiff gradient flows of networks: long times at large sharpness, where stability may be what limits steps."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import eosfast as eos

EIGENVALUES = np.geomspace(1e-3, 1e4, 12)


def regression(eigenvalues, outputs=1):
    """One layer: the Hessian has these eigenvalues, and the flow is a sum of exponentials."""
    n = len(eigenvalues)
    Q = np.linalg.qr(np.random.default_rng(2).standard_normal((n, n)))[0]
    X = np.sqrt(eigenvalues)[:, None] * Q.T
    return eos.LinearNetwork((n, outputs), data=eos.Dataset(X, X @ np.ones(n))), Q


@pytest.mark.parametrize("rtol", [1e-3, 1e-5, 1e-8])
def test_a_quadratic_to_times_far_beyond_stability(rtol):
    model, Q = regression(EIGENVALUES)
    w0, times = np.linspace(-2, 2, 12), np.array([0.0, 0.1, 3.0, 20.0])
    run = eos.gradient_flow(model, w0, times=times, rtol=rtol, atol=rtol / 100, quantities=("weights",))
    expected = 1 + (Q * np.exp(-np.outer(times, EIGENVALUES))[:, None, :]) @ Q.T @ (w0 - 1)
    np.testing.assert_allclose(run.weights, expected, atol=100 * rtol, rtol=0)
    assert run.attrs["num_steps"] < 0.2 * EIGENVALUES.max() * times[-1] / 3.3  # a step of Dormand and Prince: 3.3


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-6), ("float32", 1e-4)])
def test_a_network_against_an_implicit_method(dtype, rtol):
    model = eos.MLP(eos.datasets.xor(), (8,), dtype=dtype)
    w0, duration = model.init(1), 2000.0
    same = eos.MLP(eos.datasets.xor(), (8,))
    reference = solve_ivp(
        lambda _, w: -same.grad(w), (0, duration), w0, "Radau", jac=lambda _, w: -same.hessian(w), rtol=1e-9, atol=1e-11
    )
    run = eos.gradient_flow(
        model, w0, times=[duration], rtol=rtol, atol=rtol / 100, quantities=("weights", "sharpness")
    )
    np.testing.assert_allclose(run.weights[-1], reference.y[:, -1], atol=100 * rtol)
    assert run.attrs["num_steps"] < 0.3 * duration * run.sharpness[-1] / 3.3


@pytest.mark.parametrize("rtol", [1e-4, 1e-7])
def test_sharpness_that_rises_on_the_way(rtol):
    # w1 w2 w3 towards 1000: the sharpness from 1,100 to 30,000
    many, one = eos.LinearNetwork((1, 1, 1, 1), target=[[1000.0]]), eos.ScalarProduct(depth=3, target=1000.0)
    times, start = [1e-4, 1e-3, 1e-2, 1.0, 100.0], [1.0, 1.1, 0.9]
    flows = [
        eos.gradient_flow(model, start, times=times, rtol=tol, atol=1e-2 * tol, quantities=("weights", "sharpness"))
        for model, tol in ((many, rtol), (one, 1e-10))
    ]
    assert flows[1].sharpness[-1] > 20 * many.sharpness(start).values[0]
    np.testing.assert_allclose(flows[0].weights, flows[1].weights, rtol=300 * rtol)
    assert flows[0].attrs["num_steps"] < 0.01 * float(flows[1].sharpness[-1]) * times[-1] / 3.3


def test_stiff_starts_do_not_depend_on_the_others_nor_on_threads():
    model, _ = regression(EIGENVALUES, outputs=1)
    starts = np.random.default_rng(0).standard_normal((5, 12))
    options = {"times": [0.5, 5.0], "quantities": ("weights", "loss")}
    together = eos.gradient_flow(model, starts, num_threads=1, **options)
    spread = eos.gradient_flow(model, starts, num_threads=3, **options)
    np.testing.assert_array_equal(spread.weights, together.weights)
    for i in (0, 4):
        alone = eos.gradient_flow(model, starts[i], num_threads=2, **options)
        np.testing.assert_array_equal(alone.weights, together.weights[i])
        assert alone.attrs["num_steps"] == together.num_steps[i]
