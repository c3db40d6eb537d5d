"""Residuals, Jacobians, tangent kernels and curvatures of the outputs of networks at a point, against their NumPy
definitions, the curvature by complex steps.
"""

import dataclasses

import numpy as np
import pytest

import eosfast as eos
from eosfast.models.large import LargeModel
from network_reference import EXAMPLES, H, network, samples, targets

SQUARED = [model for model in EXAMPLES if getattr(model, "loss", "") == "mse"]
MORE = [
    eos.MLP(samples(40, 7, 3), (9, 6, 5), "gelu"),
    eos.MLP(samples(30, 50, 2), (20,), "softplus"),
    eos.TwoLayerNetwork(samples(12, 30, "numbers"), 11, "tanh", loss="mse", trainable="both", bias=True, scale=7.0),
    eos.TwoLayerNetwork(samples(1, 3, "numbers"), 2, "tanh", loss="mse"),
]
every_network = pytest.mark.parametrize("model", [*EXAMPLES, *MORE], ids=repr)
every_squared = pytest.mark.parametrize("model", [*SQUARED, *MORE], ids=repr)


def point(model, seed=5):
    rng = np.random.default_rng(seed)
    return 0.5 * rng.standard_normal(model.dim), rng


def curvature(model, w, u, V):
    """(sum_a u_a Hess f_a) V: the derivatives of J'u along the columns of V, by complex steps."""
    jacobian = network(model).jacobian
    return np.stack([(u @ jacobian(w + 1j * H * v)).imag / H for v in V.T], axis=1)


def close(found, expected, tol=1e-13):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tol * max(1e-3, float(np.abs(expected).max())))


# ------------------------------------------------------------------------------------------------- against the formulas


@every_network
def test_the_jacobian_in_all_its_forms(model):
    w, _ = point(model)
    J = network(model).jacobian(w)
    close(model.jacobian(w), J)
    close(LargeModel.jacobian(model, w), J)  # by products with J', as models without layers do it
    close(LargeModel.ntk(model, w), J @ J.T)
    close(model.ntk(w), J @ J.T)
    close(model.ntk_operator(w) @ np.eye(len(J)), J @ J.T)


@every_network
def test_the_curvature_of_the_outputs(model):
    w, rng = point(model)
    V = rng.standard_normal((model.dim, 4))
    for _ in range(2):
        u = rng.standard_normal(len(network(model).jacobian(w)))
        close(model.curvature_operator(w, u) @ V, curvature(model, w, u, V))


@every_squared
def test_residual_and_hessian(model):
    """The Hessian of the mean of |f - y|^2/2 is (J'J + the curvature along f - y)/n."""
    w, _ = point(model)
    residual, J, n = model.residual(w), model.jacobian(w), model.data.n
    close(residual, (network(model).outputs(w, model.data.X).reshape(targets(model).shape) - targets(model)).ravel())
    assert model.loss(w) == pytest.approx(residual @ residual / (2 * n), rel=1e-13)
    close(model.grad(w), J.T @ residual / n)
    gauss_newton = J.T @ J
    rest = model.curvature_operator(w, residual) @ np.eye(model.dim)
    close((gauss_newton + rest) / n, model.hessian(w))


@every_network
def test_several_vectors_at_once_are_one_after_the_other(model):
    w, rng = point(model)
    outputs = len(network(model).jacobian(w))
    kernel = model.ntk_operator(w)
    along = model.curvature_operator(w, rng.standard_normal(outputs))
    assert kernel.shape == (outputs, outputs)
    assert along.shape == (model.dim, model.dim)
    for operator in (kernel, along):
        assert operator.dtype == np.float64
        V = rng.standard_normal((operator.shape[0], 5))
        close(operator @ V, np.stack([operator @ v for v in V.T], axis=1), 1e-14)
        close(operator.rmatmat(V), operator @ V, 1e-14)


@every_network
def test_single_precision_is_near(model):
    w, rng = point(model)
    single = dataclasses.replace(model, dtype="float32")
    J = network(model).jacobian(w)
    u = rng.standard_normal(len(J))
    close(single.jacobian(w), J, 1e-5)
    close(LargeModel.jacobian(single, w), J, 1e-5)
    close(single.ntk_operator(w) @ u, J @ (J.T @ u), 1e-5)
    V = rng.standard_normal((model.dim, 2))
    close(single.curvature_operator(w, u) @ V, curvature(model, w, u, V), 1e-5)
    if model in SQUARED:
        close(single.residual(w), model.residual(w), 1e-5)
        assert single.residual(w).dtype == np.float64


@pytest.mark.parametrize("rank", [2, 5])
def test_reduced_data_are_invisible(rank):
    rng = np.random.default_rng(0)
    data = eos.Dataset(rng.standard_normal((5, rank)) @ rng.standard_normal((rank, 14)), rng.standard_normal((5, 2)))
    model = eos.MLP(data, (4, 3), "gelu")
    full = dataclasses.replace(model, reduce=False)
    w, u = rng.standard_normal(model.dim), rng.standard_normal(10)
    close(model.residual(w), full.residual(w))
    close(model.ntk_operator(w) @ u, full.ntk_operator(w) @ u)
    close(model.curvature_operator(w, u) @ np.eye(model.dim), full.curvature_operator(w, u) @ np.eye(model.dim))
    close(LargeModel.jacobian(model, w), full.jacobian(w))


@pytest.mark.parametrize("reduce", [True, False])
def test_zeros_in_the_data_hide_no_nan(reduce):
    X = samples(30, 4).X.copy()
    X[:, 0] = 0.0
    model = eos.MLP(eos.Dataset(X, samples(30, 4, "numbers").y), (5,), reduce=reduce)
    w, rng = point(model)
    assert np.isfinite(model.jacobian(w)).all()
    w[0] = np.nan
    u = rng.standard_normal(30)
    for found in (model.residual(w), model.ntk(w), model.ntk_operator(w) @ u):
        assert np.isnan(found).all()
    assert np.isnan(model.curvature_operator(w, u) @ rng.standard_normal(model.dim)).any()


def test_the_spectrum_of_the_kernel_by_lanczos():
    model = eos.MLP(samples(60, 8, 2), (30,), "tanh")
    w, _ = point(model)
    exact = np.linalg.eigvalsh(model.ntk(w))[::-1]
    found = eos.lanczos(model.ntk_operator(w), k=3, tol=1e-9)
    assert found.converged.all()
    np.testing.assert_allclose(found.values, exact[:3], rtol=1e-9)


def test_against_pytorch():
    torch = pytest.importorskip("torch")
    data = samples(9, 4, 2)
    model = eos.MLP(data, (5, 3), "tanh")
    w, rng = point(model)
    u = rng.standard_normal(18)
    X, Y = torch.tensor(data.X), torch.tensor(data.y)

    def outputs(weights):
        h, at = X, 0
        for i, (inputs, width) in enumerate([(4, 5), (5, 3), (3, 2)]):
            W, at = weights[at : at + inputs * width].reshape(width, inputs), at + inputs * width
            b, at = weights[at : at + width], at + width
            h = h @ W.T + b
            h = torch.tanh(h) if i < 2 else h
        return h.reshape(-1)

    weights = torch.tensor(w)
    J = torch.autograd.functional.jacobian(outputs, weights).numpy()
    Q = torch.autograd.functional.hessian(lambda v: torch.tensor(u) @ outputs(v), weights).numpy()
    close(model.residual(w), (outputs(weights) - Y.reshape(-1)).numpy())
    close(model.jacobian(w), J)
    close(model.ntk_operator(w) @ u, J @ (J.T @ u))
    close(model.curvature_operator(w, u) @ np.eye(model.dim), Q)


# ------------------------------------------------------------------------------------------------------------ bad input


def test_wrong_shapes_are_refused():
    model = eos.MLP(samples(5, 3, 2), (4,))
    w, _ = point(model)
    with pytest.raises(ValueError, match=r"u must have shape \(10,\) for MLP.*, got \(5,\)"):
        model.curvature_operator(w, np.zeros(5))
    for ask in (model.residual, model.ntk_operator, lambda short: model.curvature_operator(short, np.zeros(10))):
        with pytest.raises(ValueError, match=rf"w must have shape \({model.dim},\).*got \(3,\)"):
            ask(np.zeros(3))


@pytest.mark.parametrize("model", [m for m in EXAMPLES if m not in SQUARED], ids=repr)
def test_a_residual_needs_a_squared_loss(model):
    with pytest.raises(ValueError, match="residual needs a model with a squared loss"):
        model.residual(np.zeros(model.dim))
