"""Deep linear networks: values against plain NumPy and exact arithmetic, and what is known of them on paper."""

import dataclasses
import pickle
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import eosfast as eos

H = 1e-30  # of complex steps


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def on_data(widths, n, seed=0, **fields):
    data = eos.Dataset(numbers(n, widths[0], seed=seed), numbers(n, widths[-1], seed=seed + 1))
    return eos.LinearNetwork(widths, data, **fields)


def on_target(widths, seed=0, **fields):
    return eos.LinearNetwork(widths, target=numbers(widths[-1], widths[0], seed=seed), **fields)


EXAMPLES = [
    on_target((1, 1)),
    on_target((1, 1, 1, 1), loss_scale=2.5),
    on_target((2, 2, 2)),
    on_target((3, 2, 5)),  # narrower than the ends: a target that cannot be reached
    on_target((5, 4, 2), loss_scale=0.3),
    on_target((4, 9, 1)),
    on_target((9, 11, 10)),
    on_data((3, 2), 7),
    on_data((3, 4, 2), 1),
    on_data((3, 4, 5, 2), 11, loss_scale=1 / 11),
    on_data((6, 4, 2), 4),  # fewer samples than coordinates
    on_data((2, 3, 6), 20),
    on_data((5, 3, 8), 2, loss_scale=4.0),
    on_data((10, 17, 12, 9), 30),
    eos.LinearNetwork((3, 5, 1), eos.Dataset(numbers(8, 3), numbers(8))),
]


def example_names(model):
    return f"{model.widths}" + ("" if model.data is None else f" n={model.data.n}")


every_example = pytest.mark.parametrize("model", EXAMPLES, ids=example_names)


# ------------------------------------------------------------------------------------------ the definition, for any w


def weights(model, w):
    parts, start = [], 0
    for before, after in pairwise(model.widths):
        parts.append(w[start : start + after * before].reshape(after, before))
        start += after * before
    return parts


def data_of(model):
    """X (d0, n) and Y (dN, n)."""
    if model.data is None:
        return np.eye(model.widths[0]), model.target
    return model.data.X.T, model.data.y.reshape(model.data.n, -1).T


def chain(model, w):
    product = np.eye(model.widths[0])
    for W in weights(model, w):
        product = W @ product
    return product


def outputs(model, w):
    """W X sample by sample, or W row by row."""
    return chain(model, w).ravel() if model.data is None else (chain(model, w) @ data_of(model)[0]).T.ravel()


def loss(model, w):
    X, Y = data_of(model)
    return model.loss_scale / 2 * np.sum((chain(model, w) @ X - Y) ** 2)


def complex_steps(function, w):
    """Derivatives of a function of w, one column for each weight: exact to rounding."""
    return np.array([np.imag(function(w + 1j * H * unit)) / H for unit in np.eye(len(w))]).T


def grad(model, w):
    """The chain rule, matrix by matrix."""
    X, Y = data_of(model)
    Ws, parts = weights(model, w), []
    slope = model.loss_scale * (chain(model, w) @ X - Y) @ X.T
    for k in range(len(Ws)):
        above, below = np.eye(model.widths[k + 1]), np.eye(model.widths[0])
        for W in Ws[k + 1 :]:
            above = W @ above
        for W in Ws[:k]:
            below = W @ below
        parts.append((above.T @ slope @ below.T).ravel())
    return np.concatenate(parts)


def close(a, b, rtol=1e-12):
    """Relative to the largest element."""
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.max(np.abs(b), initial=0))


@every_example
def test_loss_and_derivatives(model):
    w = numbers(model.dim, seed=5) / 2
    assert model.loss(w) == pytest.approx(loss(model, w), rel=1e-12)
    close(model.grad(w), complex_steps(lambda z: loss(model, z), w))
    H_of_w = complex_steps(lambda z: grad(model, z), w)
    close(model.hessian(w), H_of_w)
    V = numbers(model.dim, 3, seed=6)
    close(model.hvp(w, V), H_of_w @ V)
    for i in range(3):
        np.testing.assert_array_equal(model.hvp(w, V[:, i]), model.hvp(w, V)[:, i])
    assert V[:, 0] @ model.hvp(w, V[:, 1]) == pytest.approx(V[:, 1] @ model.hvp(w, V[:, 0]), rel=1e-9, abs=1e-9)


@every_example
def test_outputs_and_their_jacobian(model):
    w = numbers(model.dim, seed=7)
    _, Y = data_of(model)
    y = (Y if model.data is None else Y.T).ravel()
    close(model.residual(w), outputs(model, w) - y)
    assert model.loss_scale / 2 * np.sum(model.residual(w) ** 2) == pytest.approx(model.loss(w), rel=1e-11)
    J = complex_steps(lambda z: outputs(model, z), w)
    close(model.jacobian(w), J)
    close(model.ntk(w), J @ J.T)
    u, V = numbers(len(J), seed=8), numbers(model.dim, 2, seed=9)
    close(model.ntk_operator(w) @ u, J @ (J.T @ u))
    curvature = complex_steps(lambda z: grad_of_outputs(model, z, u), w)
    close(model.curvature_operator(w, u) @ V, curvature @ V)
    r = model.residual(w)
    V = np.eye(model.dim)
    close(model.loss_scale * (J.T @ J + model.curvature_operator(w, r) @ V), model.hessian(w), rtol=1e-11)


def grad_of_outputs(model, w, u):
    """The gradient of u.f: that of the loss, linear in what is taken for the slope of the product."""
    Ws, parts = weights(model, w), []
    slope = u.reshape(model.widths[-1], -1) if model.data is None else u.reshape(model.data.n, -1).T @ model.data.X
    for k in range(len(Ws)):
        above, below = np.eye(model.widths[k + 1]), np.eye(model.widths[0])
        for W in Ws[k + 1 :]:
            above = W @ above
        for W in Ws[:k]:
            below = W @ below
        parts.append((above.T @ slope @ below.T).ravel())
    return np.concatenate(parts)


@every_example
def test_product_and_predictions(model):
    w = numbers(model.dim, seed=1)
    close(model.product(w), chain(model, w))
    several = model.data is None or model.data.y.ndim == 2
    f = chain(model, w) @ data_of(model)[0]
    close(model.predict(w), f.T if several else f[0])
    X = numbers(4, model.widths[0], seed=2)
    close(model.predict(w, X), X @ chain(model, w).T if several else X @ chain(model, w)[0])


# ------------------------------------------------------------------------------------------------------- second moments


@pytest.mark.parametrize("widths", [(7, 5, 3), (3, 5, 7)])
def test_many_samples(widths):
    model = on_data(widths, 100_000, loss_scale=1e-5)
    w = model.init(3)
    assert model.loss(w) == pytest.approx(loss(model, w), rel=1e-13)
    close(model.grad(w), grad(model, w), rtol=1e-12)
    assert model.residual(w).shape == (100_000 * widths[-1],)
    least = np.linalg.lstsq(model.data.X, model.data.y, rcond=None)[1].sum() * model.loss_scale / 2
    assert least < model.loss(w)


@pytest.mark.parametrize("n", [1, 4, 5, 6, 63, 64, 65, 129, 1000])
def test_any_number_of_samples(n):
    model = on_data((5, 3, 2), n, seed=n)
    w = model.init(n)
    assert model.loss(w) == pytest.approx(loss(model, w), rel=1e-13)
    close(model.grad(w), grad(model, w), rtol=1e-13)


def test_data_of_less_than_full_rank():
    X = numbers(40, 3) @ numbers(3, 6, seed=1)
    X[:, 2] = 0.0
    model = eos.LinearNetwork((6, 4, 2), eos.Dataset(X, numbers(40, 2, seed=2)))
    w = model.init(1)
    assert model.loss(w) == pytest.approx(loss(model, w), rel=1e-12)
    close(model.grad(w), grad(model, w), rtol=1e-12)
    close(model.hessian(w), complex_steps(lambda z: grad(model, z), w))


def test_ill_conditioned_data():
    """Singular values from 1 to 1e-10: their squares could not be told from rounding errors of the largest."""
    U, V = (np.linalg.qr(numbers(50, 4, seed=s)[: 50 if s == 0 else 4])[0] for s in (0, 1))
    X = U * np.logspace(0, -10, 4) @ V.T
    exact = numbers(4, 1, seed=2)
    model = eos.LinearNetwork((4, 3, 1), eos.Dataset(X, (X @ exact).ravel()))
    W1, W2 = numbers(3, 4, seed=3), numbers(1, 3, seed=4)
    W1 += np.linalg.pinv(W2) @ ((exact + V[:, 3:]).T - W2 @ W1)  # off by the faintest direction alone
    assert model.loss(model.pack(W1=W1, W2=W2)) == pytest.approx(1e-20 / 2, rel=1e-4)


def exact_loss(model, w):
    """In rational numbers."""
    rational = np.vectorize(Fraction)
    product = rational(np.eye(model.widths[0]))
    for W in weights(model, rational(w)):
        product = W.dot(product)
    X, Y = data_of(model)
    error = product.dot(rational(X)) - rational(Y)
    return Fraction(float(model.loss_scale)) / 2 * np.sum(error * error)


@pytest.mark.parametrize("n", [None, 3, 200])
@pytest.mark.parametrize("distance", [2.0**-18, 2.0**-30, 2.0**-40])
def test_the_loss_is_relatively_accurate_near_zero(n, distance):
    """Weights with few digits, so that the data of a perfect fit are exact; then a step aside."""
    draws = np.random.default_rng(3)
    whole = {f"W{k}": draws.integers(-3, 4, shape).astype(float) for k, shape in enumerate([(4, 3), (3, 4), (2, 3)], 1)}
    X = np.eye(3) if n is None else draws.integers(-4, 5, (n, 3)).astype(float)
    product = whole["W3"] @ whole["W2"] @ whole["W1"]
    fields = {"target": product} if n is None else {"data": eos.Dataset(X, X @ product.T)}
    model = eos.LinearNetwork((3, 4, 3, 2), **fields)
    at_minimum = model.pack(**whole)
    assert model.loss(at_minimum) <= 1e-24 * np.sum((X @ product.T) ** 2)
    w = at_minimum + distance * draws.integers(-3, 4, model.dim)
    expected = float(exact_loss(model, w))
    assert 0 < expected < 1e-5 * max(n or 1, 1)
    assert model.loss(w) == pytest.approx(expected, rel=1e-14 / distance)


@given(st.data())
@settings(max_examples=60)
def test_the_loss_is_never_negative(data):
    widths = tuple(data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=5)))
    n, seed = data.draw(st.integers(1, 30)), data.draw(st.integers(0, 1000))
    scale = 10.0 ** data.draw(st.integers(-8, 8))
    X = numbers(n, widths[0], seed=seed) * scale
    model = eos.LinearNetwork(widths, eos.Dataset(X, np.zeros((n, widths[-1]))))
    start = model.init(seed) * 10.0 ** data.draw(st.integers(-12, 3))
    perfect = dataclasses.replace(model, data=eos.Dataset(X, X @ model.product(start).T))
    for one in (model, perfect):
        assert one.loss(start) >= 0
    assert perfect.loss(start) <= 1e-26 * max(model.loss(start), 1e-300) * n


def test_what_the_data_leave_over():
    """y = x b + e with e orthogonal to x: the loss at the least-squares solution is that of e."""
    X, Y = numbers(90, 4), numbers(90, 3, seed=1)
    best, *_ = np.linalg.lstsq(X, Y, rcond=None)
    model = eos.LinearNetwork((4, 3), eos.Dataset(X, Y))
    assert model.loss(best.T.ravel()) == pytest.approx(np.sum((Y - X @ best) ** 2) / 2, rel=1e-13)
    assert np.abs(model.grad(best.T.ravel())).max() < 1e-12


# --------------------------------------------------------------------------------------------------------------- models


@every_example
def test_models_are_values(model):
    twin = pickle.loads(pickle.dumps(model))
    assert twin == model
    assert hash(twin) == hash(model)
    assert repr(twin) == repr(model)
    assert "\n" not in repr(model)
    w = model.init(1)
    assert twin.loss(w) == model.loss(w)
    assert list(model.parameters.values()) == [(b, a) for a, b in pairwise(model.widths)]
    np.testing.assert_array_equal(model.pack(**model.unpack(w)), w)
    different = dataclasses.replace(model, loss_scale=7.0)
    assert different != model
    assert different.loss(w) == pytest.approx(7 / model.loss_scale * model.loss(w), rel=1e-13)


def test_a_target_is_data_on_unit_vectors():
    target = numbers(2, 3)
    by_target = eos.LinearNetwork((3, 4, 2), target=target)
    by_data = eos.LinearNetwork((3, 4, 2), eos.Dataset(np.eye(3), target.T))
    w = by_target.init(2)
    assert by_target.loss(w) == pytest.approx(by_data.loss(w), rel=1e-14)
    assert by_target != by_data
    with pytest.raises(ValueError, match="read-only"):
        by_target.target[0, 0] = 1.0


def test_init():
    model = on_target((400, 100, 300))
    blocks = model.unpack(model.init(4))
    for name, fan_in in (("W1", 400), ("W2", 100)):
        assert blocks[name].var() * fan_in == pytest.approx(1, abs=0.03)
        assert abs(blocks[name].mean()) < 0.01
    np.testing.assert_array_equal(model.init(4), model.init(4))
    assert not np.array_equal(model.init(4), model.init(5))
    np.testing.assert_array_equal(on_target((1, 1, 1)).init(3), eos.ScalarProduct(2).init(3))


def test_data_drawn_anew():
    drawn = eos.LinearNetwork((4, 2, 1), eos.datasets.sparse_coding(n=8, d=4, seed=1))
    assert drawn.is_random
    assert drawn.with_seed(5) == dataclasses.replace(drawn, data=eos.datasets.sparse_coding(n=8, d=4, seed=5))
    for fixed in (on_target((2, 2)), on_data((2, 2), 3)):
        assert not fixed.is_random
        assert fixed.with_seed(5) is fixed


def test_numbers_that_are_not_finite():
    for model in (on_target((3, 4, 2)), on_data((3, 4, 2), 9)):
        for value in (np.nan, np.inf):
            w = model.init(0)
            w[2] = value
            assert not np.isfinite(model.loss(w))
        assert model.loss(np.full(model.dim, 1e120)) == np.inf
        assert np.isnan(model.sharpness(np.full(model.dim, np.nan)).values).all()
