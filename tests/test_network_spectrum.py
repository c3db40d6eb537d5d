"""The sharpness of any network, at a point and along a run, by the eigenvalues of its dense Hessian."""

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

import eosfast as eos
from network_reference import network
from test_any_network_run import NETWORKS


@settings(max_examples=150)
@given(model=NETWORKS, data=st.data(), seed=st.integers(0, 2**32), size=st.sampled_from([0.0, 0.3, 1.0, 30.0]))
def test_the_largest_eigenvalues_of_any_network(model, data, seed, size):
    assume(size > 0 or "HuberizedReLU" not in repr(model))  # whose second derivative jumps at 0
    assume(size <= 1 or model.dtype == "float64")  # beyond lie values that single precision does not hold
    w = size * np.random.default_rng(seed).standard_normal(model.dim)
    k = data.draw(st.integers(1, model.dim))
    H = network(model).hessian(w)
    exact, norm = np.linalg.eigvalsh(H)[::-1], np.abs(H).max()
    double = model.dtype == "float64"
    rounding = (1e-11 if double else 1e-4) * norm * model.dim + (1e-16 if double else 1e-9)
    spectrum = model.sharpness(w, k=k, tol=1e-7 if double else 1e-3, seed=seed)
    assert spectrum.values.shape == (k,)
    assert (np.diff(spectrum.values) <= 0).all()
    np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(k), rtol=0, atol=1e-8)
    if double:
        assert spectrum.converged.all()
        residuals = np.linalg.norm(H @ spectrum.vectors - spectrum.vectors * spectrum.values, axis=0)
        np.testing.assert_allclose(spectrum.residuals, residuals, rtol=0, atol=rounding)
    allowed = spectrum.residuals.max() + rounding
    np.testing.assert_allclose(spectrum.values, exact[:k], rtol=0, atol=allowed)


@settings(max_examples=60)
@given(
    model=NETWORKS.filter(lambda model: model.dtype == "float64"),
    data=st.data(),
    lr=st.floats(1e-2, 2.0),
    every=st.sampled_from([1, 5]),
    seed=st.integers(0, 2**32),
)
def test_the_largest_eigenvalues_along_any_run(model, data, lr, every, seed):
    k, w0 = data.draw(st.integers(1, model.dim)), np.random.default_rng(seed).standard_normal(model.dim)
    record = eos.Record(every, quantities=("weights", "sharpness", "hessian_eigs"), k=k, tol=1e-5)
    run = eos.train(model, w0, eos.GD(lr), num_steps=30, record=record, stop=eos.Stop(diverged=1e3))
    for t, w in enumerate(run.weights.values):
        H = network(model).hessian(w)
        exact, norm = np.linalg.eigvalsh(H)[::-1], np.abs(np.linalg.eigvalsh(H)).max()
        row = run.isel(step=t)
        assert row.sharpness_converged
        assert row.sharpness == row.hessian_eigs[0]
        atol = 2e-5 * norm + 1e-12
        np.testing.assert_allclose(row.hessian_eigs[0], exact[0], rtol=0, atol=atol)
        assert (row.hessian_eigs <= exact[:k] + atol).all()  # a repeated one may be seen a solve later
        assert (np.abs(row.hessian_eigs.values[:, None] - exact).min(axis=1) <= atol).all()
        assert abs(float(row.sharpness) - exact[0]) <= float(row.sharpness_residual) + 1e-11 * norm + 1e-15


@pytest.mark.parametrize(("late", "tol"), [(0.05, 1e-2), (1e-6, 1e-4)])
def test_an_overtaking_eigenvalue_is_noticed(late, tol):
    # W2 W1 -> diag(1, 4, 4/5, ...), all matrices diagonal: the modes never mix. The second mode grows from `late` and
    # overtakes the others in a direction that no product with them shows; a random one shows it some solves later.
    target = np.diag([1.0, 4.0, *np.full(6, 0.8)])
    model = eos.MLP(eos.Dataset(np.sqrt(8) * np.eye(8), np.sqrt(8) * target), (8,), "identity", bias=False)
    W = np.diag([1.0, late, *np.full(6, 0.3)])
    record = eos.Record(quantities=("weights", "sharpness"), tol=tol)
    run = eos.train(model, {"W1": W, "W2": W}, eos.GD(0.02), num_steps=300, record=record)
    steps = np.arange(0, 301, 3)
    exact = np.array([np.linalg.eigvalsh(model.hessian(w))[-1] for w in run.weights.values[steps]])
    assert exact[-1] > 7.9
    crossing = steps[np.argmin(exact)]  # the others fall until the second mode overtakes them
    assert 40 < crossing < 200
    off = steps[np.abs(run.sharpness.values[steps] - exact) > 2 * tol * exact]
    assert ((crossing <= off) & (off < crossing + 50)).all()
    assert run.sharpness_matvecs[1:].mean() < 4
