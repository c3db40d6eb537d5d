"""Networks at a point: loss, derivatives and spectrum against plain NumPy definitions and automatic differentiation."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import eosfast as eos
from network_reference import ACTIVATIONS, EXAMPLES, activation, degree, network, samples, several, targets

every_network = pytest.mark.parametrize("model", EXAMPLES, ids=repr)


def points(model, count=4, seed=0, size=0.8):
    return size * np.random.default_rng(seed).standard_normal((count, model.dim))


def close(found, expected, tol=1e-12):
    """Equal up to `tol` of the largest entry: what rounding allows for sums."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=tol * np.abs(expected).max(initial=1e-3))


# -------------------------------------------------------------------------------------------------- against definitions


@every_network
def test_the_definition_is_its_own_derivative(model):
    reference, h = network(model), 1e-30
    w = points(model, 1)[0]
    grad = [reference.loss(w + 1j * h * e).imag / h for e in np.eye(model.dim)]
    close(reference.grad(w), grad, 1e-13)
    f = np.array([reference.outputs(w + 1j * h * e, model.data.X).ravel().imag / h for e in np.eye(model.dim)])
    close(reference.jacobian(w), f.T, 1e-13)


@every_network
def test_loss_gradient_and_hessian_are_those_of_the_definition(model):
    reference = network(model)
    for w in points(model):
        assert type(model.loss(w)) is float
        assert model.loss(w) == pytest.approx(reference.loss(w), rel=1e-13)
        close(model.grad(w), reference.grad(w))
        close(model.hessian(w), reference.hessian(w))
        np.testing.assert_array_equal(model.hessian(w), model.hessian(w).T)


@every_network
def test_hvp_is_the_hessian_times_a_vector_or_several(model):
    rng = np.random.default_rng(5)
    w, V = points(model, 1, seed=5)[0], rng.standard_normal((model.dim, 7))
    H = network(model).hessian(w)
    close(model.hvp(w, V), H @ V)
    for i in range(7):
        assert model.hvp(w, V[:, i]).shape == (model.dim,)
        close(model.hvp(w, V[:, i]), H @ V[:, i])
    for few in (V[:, :0], V[:, :1], np.asfortranarray(V[:, :3]), V[:, ::2]):
        assert model.hvp(w, few).shape == few.shape
        close(model.hvp(w, few), H @ few)
    u, v = V[:, 0], V[:, 1]
    assert u @ model.hvp(w, v) == pytest.approx(v @ model.hvp(w, u), abs=1e-12 * np.abs(H).max() * model.dim)
    close(model.hvp(w, 2.5 * u - v), 2.5 * model.hvp(w, u) - model.hvp(w, v))


@st.composite
def networks(draw):
    """Any network: class, shapes, activation, loss, what is trained, and how it is scaled."""
    n, d, seed = draw(st.integers(1, 6)), draw(st.integers(1, 7)), draw(st.integers(0, 2**32))
    kind = draw(st.sampled_from(["LogisticRegression", "TwoLayerNetwork", "MLP"]))
    common = {
        "bias": draw(st.booleans()),
        "reduce": draw(st.booleans()),
        "activation": draw(st.sampled_from(ACTIVATIONS)),
    }
    if kind == "LogisticRegression":
        return eos.LogisticRegression(samples(n, d, seed=seed), reduce=common["reduce"])
    if kind == "TwoLayerNetwork":
        width, loss = draw(st.integers(1, 6)), draw(st.sampled_from(["logistic", "mse"]))
        a = draw(st.none() | st.lists(st.floats(-3, 3), min_size=width, max_size=width))
        data = samples(n, d, "signs" if loss == "logistic" else "numbers", seed=seed)
        trainable, scale = draw(st.sampled_from(["first", "both"])), draw(st.sampled_from([0.1, 1.0, 7.0]))
        rest = {"loss": loss, "trainable": trainable, "scale": scale, "output_weights": a}
        return eos.TwoLayerNetwork(data, width, **common, **rest)
    widths = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    loss = draw(st.sampled_from(["mse", "logistic", "cross_entropy"]))
    kinds = {"mse": ["numbers", 1, 3], "logistic": ["signs"], "cross_entropy": ["labels", "shares"]}
    return eos.MLP(samples(n, d, draw(st.sampled_from(kinds[loss])), seed=seed), widths, loss=loss, **common)


@settings(max_examples=150)
@given(model=networks(), seed=st.integers(0, 2**32), size=st.sampled_from([0.1, 0.7, 1.5]))
def test_any_network_agrees_with_its_definition(model, seed, size):
    reference = network(model)
    w, V = points(model, 1, seed, size)[0], np.random.default_rng(seed).standard_normal((model.dim, 2))
    assert model.loss(w) == pytest.approx(reference.loss(w), rel=1e-12)
    close(model.grad(w), reference.grad(w), 1e-11)
    H = reference.hessian(w)
    close(model.hvp(w, V), H @ V, 1e-11)
    close(model.hessian(w), H, 1e-11)
    close(model.predict(w, model.data.X), reference.outputs(w, model.data.X), 1e-12)
    close(model.jacobian(w), reference.jacobian(w), 1e-12)


@pytest.mark.parametrize("given", ACTIVATIONS, ids=repr)
def test_every_activation_is_the_one_that_is_named(given):
    x, w = np.linspace(-6, 6, 25), 0.9  # no kink of any of them is met
    data = eos.Dataset(x[:, None], np.sin(x))
    value, first = activation(given)(w * x)
    for chosen in (given, eos.activation(given) if isinstance(given, str) else given):
        model = eos.TwoLayerNetwork(data, 1, chosen, loss="mse")
        np.testing.assert_allclose(model.predict([w], data.X), value, rtol=1e-12, atol=1e-15)
        assert model.grad([w])[0] == pytest.approx(np.mean((value - data.y) * first * x), rel=1e-12)


# ----------------------------------------------------------------------------------------------------- other quantities


@every_network
def test_predictions_accuracy_and_kernel(model):
    reference, other = network(model), np.random.default_rng(9).standard_normal((11, model.data.d))
    for w in points(model, 2, seed=3):
        for X in (model.data.X, other, other[:1]):
            f = reference.outputs(w, X)
            assert model.predict(w, X).shape == f.shape
            close(model.predict(w, X), f)
        close(model.jacobian(w), reference.jacobian(w))
        close(model.ntk(w), reference.ntk(w))


@pytest.mark.parametrize("model", [model for model in EXAMPLES if model.data.y.shape[1:] != (1,)], ids=repr)
def test_accuracy_counts_signs_or_the_largest_output(model):
    integers = several(model) and model.data.y.ndim == 1
    rng, c = np.random.default_rng(4), targets(model).shape[1]
    y = (
        rng.integers(0, c, 40)
        if integers
        else np.eye(c)[rng.integers(0, c, 40)]
        if several(model)
        else rng.choice([-1.0, 1.0], 40)
    )
    other = eos.Dataset(rng.standard_normal((40, model.data.d)), y)
    for w in points(model, 3, seed=2):
        f = network(model).outputs(w, other.X)
        if integers:
            right = f.argmax(axis=1) == y
        elif several(model):
            right = f.argmax(axis=1) == y.argmax(axis=1)
        else:
            right = np.sign(f) == y
        assert model.accuracy(w, other) == pytest.approx(right.mean(), abs=1e-15)


@pytest.mark.parametrize("model", [m for m in EXAMPLES if set(np.unique(m.data.y)) == {-1.0, 1.0}], ids=repr)
def test_margin_is_the_least_signed_output_over_a_power_of_the_norm(model):
    for w in points(model):
        f = network(model).outputs(w, model.data.X)
        assert model.margin(w) == pytest.approx(
            np.min(model.data.y * f) / np.linalg.norm(w) ** degree(model), rel=1e-12
        )
        assert model.accuracy(w) == np.mean(np.sign(f) == model.data.y)


@pytest.mark.parametrize(
    ("model", "p"),
    [
        (eos.LogisticRegression(samples(6, 3)), 1),
        (eos.TwoLayerNetwork(samples(6, 3), 4, "relu"), 1),
        (eos.TwoLayerNetwork(samples(6, 3), 4, "relu", trainable="both"), 2),
        (eos.MLP(samples(6, 3), (4, 3), "relu", loss="logistic", bias=False), 3),
    ],
    ids=repr,
)
def test_the_margin_does_not_depend_on_the_scale_of_a_homogeneous_network(model, p):
    w = points(model, 1)[0]
    assert degree(model) == p
    assert model.margin(3 * w) == pytest.approx(model.margin(w), rel=1e-12)
    close(model.predict(3 * w, model.data.X), 3**p * model.predict(w, model.data.X))


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_the_margin_is_finite_where_its_value_is(size):
    model, w = eos.LogisticRegression(samples(6, 3)), np.array([1.0, -2.0, 0.5])
    assert model.margin(size * w) == pytest.approx(model.margin(w), rel=1e-14)
    assert math.isnan(model.margin(0 * w))


def test_a_shallow_perceptron_is_a_two_layer_network():
    data, rng = samples(8, 3), np.random.default_rng(0)
    W, b, a = rng.standard_normal((5, 3)), rng.standard_normal(5), rng.standard_normal(5)
    wide = eos.TwoLayerNetwork(data, 5, "tanh", loss="mse", trainable="both", scale=5.0, bias=True)
    deep = eos.MLP(data, (5,), "tanh", loss="mse", bias=True)
    one, two = wide.pack(W=W, b=b, a=a), deep.pack(W1=W, b1=b, W2=a[None], b2=[0.0])
    assert wide.loss(one) == pytest.approx(deep.loss(two), rel=1e-14)
    np.testing.assert_allclose(deep.grad(two)[:-1], wide.grad(one), rtol=1e-12)
    close(deep.hessian(two)[:-1, :-1], wide.hessian(one))


def test_integer_labels_are_rows_of_the_identity():
    data = samples(7, 3, "labels")
    rows = eos.Dataset(data.X, np.eye(3)[data.y.astype(int)])
    one, two = (eos.MLP(these, (4,), loss="cross_entropy") for these in (data, rows))
    assert one.parameters == two.parameters == {"W1": (4, 3), "b1": (4,), "W2": (3, 4), "b2": (3,)}
    w = points(one, 1)[0]
    assert one.loss(w) == pytest.approx(two.loss(w), rel=1e-14)
    close(one.grad(w), two.grad(w), 1e-14)
    assert one.accuracy(w) == two.accuracy(w) == one.accuracy(w, data) == two.accuracy(w, rows)


# ------------------------------------------------------------------------------------------------------------- spectrum


@every_network
def test_sharpness_is_the_top_of_the_spectrum(model):
    w = points(model, 1, seed=7)[0]
    H = network(model).hessian(w)
    exact = np.linalg.eigvalsh(H)[::-1]
    for k in (1, min(4, model.dim), model.dim):
        spectrum = model.sharpness(w, k=k)
        assert isinstance(spectrum, eos.Spectrum)
        assert spectrum.vectors.shape == (model.dim, k)
        assert spectrum.converged.all()
        close(spectrum.values, exact[:k], 1e-7)
        close(spectrum.vectors.T @ spectrum.vectors, np.eye(k), 1e-10)
        residuals = np.linalg.norm(H @ spectrum.vectors - spectrum.values * spectrum.vectors, axis=0)
        assert (residuals <= 1e-8 * np.abs(exact).max() * (1 + 1e-3) + 1e-14).all()
        np.testing.assert_allclose(spectrum.residuals, residuals, atol=1e-11 * np.abs(exact).max())


@every_network
def test_the_operator_is_the_hessian(model):
    w = points(model, 1, seed=8)[0]
    operator, H = model.hessian_operator(w), network(model).hessian(w)
    assert operator.shape == (model.dim, model.dim)
    assert operator.dtype == np.float64
    V = np.random.default_rng(0).standard_normal((model.dim, 3))
    close(operator @ V[:, 0], H @ V[:, 0])
    close(operator @ V, H @ V)
    close(operator.T @ V, H @ V)


# ------------------------------------------------------------------------------------------------------- floating point


@every_network
def test_nan_in_nan_out(model):
    for i in {0, model.dim // 2, model.dim - 1}:
        w = points(model, 1)[0]
        w[i] = np.nan
        assert math.isnan(model.loss(w))
        assert np.isnan(model.grad(w)).any()
        assert np.isnan(model.hvp(w, np.ones(model.dim))).any()
        assert np.isnan(model.hessian(w)).any()
        spectrum = model.sharpness(w)
        assert np.isnan(spectrum.values).all()
        assert not spectrum.converged.any()


@pytest.mark.parametrize("w", [-700.0, -40.0, -1.0, 0.0, 1.0, 40.0, 700.0])
def test_the_logistic_loss_is_relatively_accurate_in_both_tails(w):
    model = eos.LogisticRegression(eos.Dataset([[1.0]], [1.0]))
    with mpmath.workdps(400):
        z = mpmath.mpf(w)
        loss, slope = float(mpmath.log1p(mpmath.exp(-z))), float(-1 / (1 + mpmath.exp(z)))
        curvature = float(1 / (1 + mpmath.exp(z)) / (1 + mpmath.exp(-z)))
    assert model.loss([w]) == pytest.approx(loss, rel=1e-14, abs=0)
    assert model.grad([w])[0] == pytest.approx(slope, rel=1e-14, abs=0)
    assert model.hessian([w])[0, 0] == pytest.approx(curvature, rel=1e-13, abs=0)


@pytest.mark.parametrize("gap", [1.0, 40.0, 600.0])
def test_cross_entropy_is_relatively_accurate_when_it_is_small(gap):
    def one(x, labels):
        return eos.MLP(eos.Dataset(x, labels), (1,), "identity", loss="cross_entropy", bias=False)

    w = [1.0, gap / 2, -gap / 2]  # outputs (gap, -gap) x/2
    right, half = one([[1.0], [-1.0]], [0, 1]), one([[1.0], [1.0]], [0, 1])
    assert right.loss(w) == pytest.approx(np.log1p(np.exp(-gap)), rel=1e-13, abs=0)
    assert half.loss(w) == pytest.approx(gap / 2 + np.log1p(np.exp(-gap)), rel=1e-14)
    slope = -np.exp(-gap) / (1 + np.exp(-gap))
    np.testing.assert_allclose(right.grad(w)[1:], [slope, -slope], rtol=1e-13)


@every_network
def test_confident_networks_stay_finite(model):
    w = points(model, 1)[0] * 1e4 ** (1 / degree(model))
    assert np.isfinite(model.loss(w))
    assert np.isfinite(model.grad(w)).all()
    assert np.isfinite(model.hessian(w)).all()
    assert model.loss(w) == pytest.approx(network(model).loss(w), rel=1e-11)


def test_relu_has_slope_zero_at_its_kink():
    for model in (
        eos.TwoLayerNetwork(samples(5, 3), 4, "relu", trainable="both"),
        eos.MLP(samples(5, 3, "numbers"), (4,), "relu", bias=False),
    ):
        w = points(model, 1)[0]
        w[:12] = 0.0
        np.testing.assert_array_equal(model.grad(w), 0.0)
        np.testing.assert_array_equal(model.hessian(w), 0.0)
        spectrum = model.sharpness(w)
        assert spectrum.values == [0.0]
        assert spectrum.converged.all()


SINGLE = [
    lambda **kw: eos.LogisticRegression(samples(7, 12), **kw),
    lambda **kw: eos.TwoLayerNetwork(samples(7, 4), 6, "gelu", trainable="both", bias=True, **kw),
    lambda **kw: eos.MLP(samples(7, 4, 3), (6, 5), "tanh", **kw),
    lambda **kw: eos.MLP(samples(7, 4, "labels"), (6,), "silu", loss="cross_entropy", **kw),
]


@pytest.mark.parametrize("make", SINGLE)
def test_single_precision_is_inside_only(make):
    double, single = make(), make(dtype="float32")
    w = points(double, 1)[0]
    H = double.hessian(w)
    assert double != single
    for found in (single.grad(w), single.hessian(w), single.hvp(w, w), single.predict(w, single.data.X)):
        assert found.dtype == np.float64
    close(single.loss(w), double.loss(w), 3e-6)
    close(single.grad(w), double.grad(w), 3e-6)
    close(single.hvp(w, w), H @ w, 1e-5)
    close(single.hessian(w), H, 1e-5)
    assert (single.grad(w) != double.grad(w)).any()  # it is computed in single precision
    assert single.sharpness(w, tol=1e-4).values[0] == pytest.approx(np.linalg.eigvalsh(H)[-1], rel=1e-4)
