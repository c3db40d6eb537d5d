"""Any run of second-order regression and of deep linear networks, against definitions in plain NumPy.

The models are given as the formulas of the interface say: ``z = y + G w + Q(w, w)/2`` with loss ``|z|^2/2``, and
``loss_scale/2 |W_N ... W_1 X - Y|^2``. Outputs of a linear network are linear in each layer,
so that their derivatives are outputs too.
"""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import eosfast as eos

SIZES = st.integers(1, 5)
QUANTITIES = ("loss", "grad_norm", "weights", "weight_norm", "residual", "sharpness", "hessian_eigs", "ntk_eigs", "z1")
LARGEST = 30.0  # weights beyond it are not compared: rounding errors are no longer small beside the tolerances


class Formula:
    """A squared loss ``scale/2 |z(w)|^2`` by its residual z and the derivatives of z."""

    def __init__(self, scale, residual, jacobian, curvature):
        self.scale, self.residual, self.jacobian, self.curvature = scale, residual, jacobian, curvature

    def loss(self, w):
        return self.scale / 2 * np.sum(self.residual(w) ** 2)

    def grad(self, w):
        return self.scale * self.jacobian(w).T @ self.residual(w)

    def hessian(self, w):
        J = self.jacobian(w)
        return self.scale * (J.T @ J + np.einsum("a,aij->ij", self.residual(w), self.curvature(w)))


def quadratic(D, P, kind, seed):
    rng = np.random.default_rng(seed)
    Q = rng.standard_normal((D, P, P)) * rng.choice([0.1, 1.0])
    Q = Q + Q.transpose(0, 2, 1)
    if kind == "diagonal":
        Q = Q * np.eye(P)
    y, G = rng.standard_normal(D), rng.standard_normal((D, P))
    if kind == "no slopes":
        model, G = eos.QuadraticRegression(Q, y), np.zeros((D, P))
    else:
        model = eos.QuadraticRegression(Q.tolist(), y.tolist(), G)
    return model, Formula(1.0, lambda w: y + G @ w + Q @ w @ w / 2, lambda w: G + Q @ w, lambda w: Q)


def one_datum(P, seed):
    rng = np.random.default_rng(seed)
    values, offset = rng.standard_normal(P), float(rng.standard_normal())
    return eos.QuadraticRegression.diagonal(values, offset), Formula(
        1.0,
        lambda w: np.array([(np.sum(values * w * w) - offset) / 2]),
        lambda w: (values * w)[None],
        lambda w: np.diag(values)[None],
    )


def linear(widths, samples, seed):
    """`samples` = 0: a target instead of data."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((widths[0], samples)) if samples else np.eye(widths[0])
    Y = rng.standard_normal((widths[-1], X.shape[1]))
    scale = float(rng.choice([0.25, 1.0, 2.0]))
    labels = Y[0] if widths[-1] == 1 else Y.T
    about = {"data": eos.Dataset(X.T, labels)} if samples else {"target": Y}
    ends = np.cumsum([0] + [a * b for a, b in pairwise(widths)])

    layer = np.repeat(np.arange(len(widths) - 1), np.diff(ends))

    def outputs(w):
        f = X
        for (a, b), (start, end) in zip(pairwise(widths), pairwise(ends), strict=True):
            f = w[start:end].reshape(b, a) @ f
        return f

    def flat(f):
        return f.T.ravel() if samples else f.ravel()

    def derivative(w, *along):
        """The outputs are linear in each layer: their derivative has a unit matrix in its place."""
        w = np.where(np.isin(layer, layer[list(along)]), 0.0, w)
        w[list(along)] = 1.0
        return flat(outputs(w))

    def residual(w):
        return flat(outputs(w) - Y)

    def jacobian(w):
        return np.array([derivative(w, i) for i in range(len(w))]).T

    def curvature(w):
        zero = np.zeros_like(flat(Y))
        size = range(len(w))
        mixed = [[derivative(w, i, j) if layer[i] != layer[j] else zero for j in size] for i in size]
        return np.moveaxis(np.array(mixed), 2, 0)

    return eos.LinearNetwork(widths, loss_scale=scale, **about), Formula(scale, residual, jacobian, curvature)


SEEDS = st.integers(0, 2**32)
MODELS = st.one_of(
    st.builds(quadratic, SIZES, SIZES, st.sampled_from(["dense", "diagonal", "no slopes"]), SEEDS),
    st.builds(one_datum, st.integers(1, 10), SEEDS),
    st.builds(linear, st.lists(st.integers(1, 3), min_size=2, max_size=4).map(tuple), st.integers(0, 4), SEEDS),
)
OPTIMIZERS = st.one_of(
    st.just(eos.GD()),
    st.builds(eos.GD, weight_decay=st.floats(0, 3)),
    st.just(eos.NormalizedGD()),
    st.builds(eos.HeavyBall, momentum=st.floats(0, 0.99)),
    st.builds(eos.Nesterov, momentum=st.floats(0, 0.99)),
)
RATES = st.floats(-3, 0.3).map(lambda power: float(10**power))
LEVELS = st.none() | st.floats(1e-6, 1.0)
STOPS = st.builds(eos.Stop, diverged=st.sampled_from([1e12, 3.0]), grad_norm=LEVELS, loss=LEVELS, steady=st.booleans())

MEASURES = (
    "loss",
    "grad_norm",
    "weights",
    "max_loss",
    "loss_increases",
    "last_loss_increase",
    eos.FirstBelow("loss", 0.3),
    eos.FirstBelow("grad_norm", 0.1, name="flat"),
)


def step(optimizer, formula, w, v):
    """One step written out; v is the velocity."""
    if isinstance(optimizer, eos.GD):
        return w - optimizer.lr * (formula.grad(w) + optimizer.weight_decay * w), v
    if isinstance(optimizer, eos.NormalizedGD):
        g = formula.grad(w)
        return (w - optimizer.lr * g / np.linalg.norm(g) if g.any() else w), v
    ahead = optimizer.momentum * v if isinstance(optimizer, eos.Nesterov) else 0.0
    v = optimizer.momentum * v - optimizer.lr * formula.grad(w + ahead)
    return w + v, v


def near(got, wanted, scale=1.0, tol=1e-9):
    assert np.shape(got) == np.shape(wanted)
    np.testing.assert_allclose(got, wanted, rtol=tol, atol=tol * scale)


@settings(max_examples=60)
@given(pair=MODELS, seed=SEEDS, size=st.sampled_from([0.0, 0.1, 1.0, 10.0]))
def test_values_at_any_point(pair, seed, size):
    model, formula = pair
    w = size * np.random.default_rng(seed).standard_normal(model.dim)
    z, J, H = formula.residual(w), formula.jacobian(w), formula.hessian(w)
    about = max(1.0, np.abs(J).max(), np.abs(z).max()) ** 2 * len(z)
    near(model.residual(w), z, about)
    near(model.jacobian(w), J, about)
    near(model.ntk(w), J @ J.T, about)
    near(model.loss(w), formula.loss(w), about)
    near(model.grad(w), formula.grad(w), about)
    near(model.hessian(w), H, about)
    v = np.random.default_rng(seed + 1).standard_normal((model.dim, 2))
    near(model.hvp(w, v), H @ v, about * 10)
    for k in (1, model.dim):
        spectrum = model.sharpness(w, k=k)
        near(spectrum.values, np.linalg.eigvalsh(H)[::-1][:k], about)
        assert spectrum.vectors.shape == (model.dim, k)


@settings(max_examples=40)
@given(pair=MODELS, optimizer=OPTIMIZERS, lr=RATES, seed=SEEDS, stop=STOPS, every=st.sampled_from([1, 3, "log2"]))
def test_a_run_is_the_plain_loop(pair, optimizer, lr, seed, stop, every):
    model, formula = pair
    optimizer = dataclasses.replace(optimizer, lr=lr)
    w0 = np.random.default_rng(seed).standard_normal(model.dim)
    outputs = len(formula.residual(w0))
    k = min(model.dim, outputs)
    record = eos.Record(every, QUANTITIES, k=k, tol=1e-9)
    run = eos.train(model, w0, optimizer, num_steps=25, record=record, stop=stop)

    sizes = {"step": len(run.step), "parameter": model.dim, "eig": k, "residual_dim": outputs}
    assert dict(run.sizes) == sizes
    vectors = {"weights": "parameter", "hessian_eigs": "eig", "ntk_eigs": "eig", "residual": "residual_dim"}
    for name in QUANTITIES:
        assert run[name].dims == (("step", vectors[name]) if name in vectors else ("step",)), name
    assert int(run.step[0]) == 0
    assert int(run.step[-1]) == run.attrs["num_steps_done"]

    w, v = w0, np.zeros_like(w0)
    rows = {int(t): row for row, t in enumerate(run.step)}
    for t in range(int(run.step[-1]) + 1):
        if np.linalg.norm(w) > LARGEST:
            break
        if t in rows:
            at = run.isel(step=rows[t])
            near(at.weights.values, w, LARGEST, tol=1e-6)
            check_record(at, formula, at.weights.values, k)
        w, v = step(optimizer, formula, w, v)


def check_record(at, formula, w, k):
    """What is recorded is what the formulas give at the recorded weights."""
    z, J = formula.residual(w), formula.jacobian(w)
    about = max(1.0, np.abs(J).max(), np.abs(z).max(), np.linalg.norm(w)) ** 2 * len(z)
    near(at.residual.values, z, about)
    near(at.loss.values, formula.loss(w), about)
    near(at.grad_norm.values, np.linalg.norm(formula.grad(w)), about)
    near(at.weight_norm.values, np.linalg.norm(w), about)
    values = np.linalg.eigvalsh(formula.hessian(w))[::-1]
    if at.sharpness_converged:
        near(at.sharpness.values, values[0], about, tol=1e-6)
    kernel, vectors = np.linalg.eigh(J @ J.T)
    if np.isfinite(at.ntk_eigs.values[0]):
        near(at.ntk_eigs.values[0], kernel[-1], about, tol=1e-6)
        if len(kernel) == 1 or kernel[-1] - kernel[-2] > 0.1 * kernel[-1]:
            near(abs(at.z1.values), abs(vectors[:, -1] @ z), about, tol=1e-5)


@settings(max_examples=40)
@given(pair=MODELS, optimizer=OPTIMIZERS, lr=RATES, seed=SEEDS, stop=STOPS, num_steps=st.sampled_from([0, 1, 33, 1000]))
def test_a_run_of_a_sweep_is_that_of_train(pair, optimizer, lr, seed, stop, num_steps):
    """Bit for bit, alone or beside others; its measures are those of the full record."""
    model, _ = pair
    w0 = np.random.default_rng(seed).standard_normal(model.dim)
    rates = [lr, 0.5 * lr, 3.0 * lr]
    about = {"w0": model.unpack(w0), "num_steps": num_steps, "stop": stop}
    results = eos.sweep(model, optimizer, {"lr": rates}, num_threads=2, measure=MEASURES, **about)
    meanings = results.status.attrs["flag_meanings"].split()
    for i, rate in enumerate(rates):
        rule = dataclasses.replace(optimizer, lr=rate)
        record = eos.Record(1, ("loss", "weights", "grad_norm", "residual"))
        run = eos.train(model, w0, rule, num_steps=num_steps, stop=stop, record=record)
        alone = eos.sweep(model, optimizer, {"lr": [rate]}, measure=("weights",), **about)
        assert alone.weights.values[0].tobytes() == run.weights.values[-1].tobytes()
        assert meanings[int(results.status[i])] == run.attrs["status"]
        assert int(results.num_steps_done[i]) == run.attrs["num_steps_done"]
        for name, wanted in measured(run).items():
            np.testing.assert_array_equal(results[name].values[i], wanted, err_msg=name)
        if run.attrs["status"] == "steady":  # what was filled in is what would have been computed
            computing = dataclasses.replace(stop, steady=False)
            computed = eos.train(model, w0, rule, num_steps=num_steps, stop=computing, record=record)
            for name in run:
                np.testing.assert_array_equal(run[name].values, computed[name].values, err_msg=name)


def measured(run):
    """The measures by their definitions, from the record of every step."""
    loss, grad_norm = run.loss.values, run.grad_norm.values
    with np.errstate(invalid="ignore"):
        increases = np.flatnonzero(loss[1:] > loss[:-1])
    return {
        "loss": loss[-1],
        "grad_norm": grad_norm[-1],
        "weights": run.weights.values[-1],
        "max_loss": np.max(loss),
        "loss_increases": len(increases),
        "last_loss_increase": increases[-1] if increases.size else -1,
        "first_below_loss": np.argmax(loss < 0.3) if (loss < 0.3).any() else -1,
        "flat": np.argmax(grad_norm < 0.1) if (grad_norm < 0.1).any() else -1,
    }


@pytest.mark.parametrize("P", [2, 8, 9])
def test_arrays_and_learning_rates_in_one_grid(P):
    """Each point of a grid over Q, y and lr is the model with these arrays: in lanes (to 8 weights) and outside."""
    rng = np.random.default_rng(P)
    w0 = rng.standard_normal(P)
    Qs = [np.diag(rng.standard_normal(P))[None], rng.standard_normal((1, P, P))]
    Qs[1] = Qs[1] + Qs[1].transpose(0, 2, 1)
    ys, rates = [[-0.5], [0.1]], [0.05, 0.3]
    model = eos.QuadraticRegression(Qs[0], ys[0])
    results = eos.sweep(model, eos.GD(), {"Q": Qs, "y": ys, "lr": rates}, w0={"w": w0}, num_steps=40)
    assert results.loss.dims == ("Q", "y", "lr")
    assert results.weights.dims == ("Q", "y", "lr", "parameter")
    for i, j, k in np.ndindex(2, 2, 2):
        one = eos.QuadraticRegression(Qs[i], ys[j])
        run = eos.train(one, w0, eos.GD(rates[k]), num_steps=40, record=eos.Record(40, ("weights",)))
        assert results.weights.values[i, j, k].tobytes() == run.weights.values[-1].tobytes()
