"""Plain NumPy definitions of every model, and naive runs on them: what the compiled core is compared with.

They are written from the formulas in the models' docstrings, without regard to speed, overflow or cancellation, so they
are compared where the numbers are moderate. A new model gets one function here, with its name in `DEFINITIONS`, and one
line or more in `EXAMPLES`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

import eosfast as eos


class Definition(NamedTuple):
    """A landscape: functions of w."""

    loss: object
    grad: object
    hessian: object


# --------------------------------------------------------------------------------------------------------------- models


def losses_of_one_number(name, beta):
    """l, l', l'' of the even losses l(s)."""
    if name == "sqrt":
        return lambda s: np.sqrt(1 + s**2), lambda s: s / np.sqrt(1 + s**2), lambda s: (1 + s**2) ** -1.5
    if name == "logcosh":
        return lambda s: np.log(np.cosh(s)), np.tanh, lambda s: 1 / np.cosh(s) ** 2
    if name == "logistic":
        symmetrised = lambda s: (np.log(1 + np.exp(-s)) + np.log(1 + np.exp(s))) / 2  # noqa: E731
        return symmetrised, lambda s: np.tanh(s / 2) / 2, lambda s: 1 / (4 * np.cosh(s / 2) ** 2)
    if name == "huber":
        return (
            lambda s: s**2 / 2 if abs(s) <= 1 else abs(s) - 1 / 2,
            lambda s: np.clip(s, -1, 1),
            lambda s: 1.0 if abs(s) <= 1 else 0.0,
        )
    assert name == "power"
    c = (beta / (beta + 1)) ** beta / (beta + 1)
    r = (beta + 1) / beta
    inner = lambda s: s**2 / 2 - c * abs(s) ** (beta + 2) / (beta + 2)  # noqa: E731
    return (
        lambda s: inner(s) if abs(s) <= r else inner(r) + abs(s) - r,
        lambda s: s * (1 - c * abs(s) ** beta) if abs(s) <= r else np.sign(s),
        lambda s: 1 - c * (beta + 1) * abs(s) ** beta if abs(s) <= r else 0.0,
    )


def single_neuron(model):
    l0, l1, l2 = losses_of_one_number(str(model.loss), model.beta)

    def hessian(w):
        x, y = w
        v = np.array([y, x])
        return l2(x * y) * np.outer(v, v) + l1(x * y) * np.array([[0.0, 1.0], [1.0, 0.0]])

    return Definition(lambda w: l0(w[0] * w[1]), lambda w: l1(w[0] * w[1]) * np.array([w[1], w[0]]), hessian)


def scalar_product(model):
    def without(w, *left_out):
        return math.prod(float(w[k]) for k in range(len(w)) if k not in left_out)

    def gradient_of_product(w):
        return np.array([without(w, i) for i in range(len(w))])

    def hessian(w):
        H = np.outer(gradient_of_product(w), gradient_of_product(w))
        residual = without(w) - model.target
        for i in range(len(w)):
            for j in range(len(w)):
                if i != j:
                    H[i, j] += residual * without(w, i, j)
        return H

    return Definition(
        lambda w: (without(w) - model.target) ** 2 / 2,
        lambda w: (without(w) - model.target) * gradient_of_product(w),
        hessian,
    )


def mean_model(model):
    d, noise = model.d, model.noise
    _, l1, l2 = losses_of_one_number("logistic", None)

    def density(u):
        return math.exp(-u * u / 2) / math.sqrt(2 * math.pi)

    def g(b):
        return noise * density(b / noise) + b * g1(b)

    def g1(b):
        return math.erfc(-b / noise / math.sqrt(2)) / 2

    def s_and_gradient(w):
        A, b = d * (w[0] + w[1]), w[2]
        return A * g(b), np.array([d * g(b), d * g(b), A * g1(b)])

    def hessian(w):
        A, b = d * (w[0] + w[1]), w[2]
        s, ds = s_and_gradient(w)
        second = np.zeros((3, 3))
        second[0, 2] = second[1, 2] = second[2, 0] = second[2, 1] = d * g1(b)
        second[2, 2] = A * density(b / noise) / noise
        return l2(s) * np.outer(ds, ds) + l1(s) * second

    def grad(w):
        s, ds = s_and_gradient(w)
        return l1(s) * ds

    return Definition(lambda w: losses_of_one_number("logistic", None)[0](s_and_gradient(w)[0]), grad, hessian)


def threshold_neuron(model):
    X, y = model.data.X, model.data.y

    def parts(w):
        a_minus, a_plus, b = w
        S_minus, S_plus = np.maximum(-X + b, 0).sum(axis=1), np.maximum(X + b, 0).sum(axis=1)
        N_minus, N_plus = (-X + b > 0).sum(axis=1), (X + b > 0).sum(axis=1)
        f = a_minus * S_minus + a_plus * S_plus
        J = np.stack([S_minus, S_plus, a_minus * N_minus + a_plus * N_plus], axis=1)
        return f, J, N_minus, N_plus

    def sigmoid(z):
        return np.exp(-np.logaddexp(0, -z))

    def hessian(w):
        f, J, N_minus, N_plus = parts(w)
        weight, pull = sigmoid(y * f) * sigmoid(-y * f), -y * sigmoid(-y * f)
        H = (weight[:, None] * J).T @ J / len(y)
        H[0, 2] += np.mean(pull * N_minus)
        H[1, 2] += np.mean(pull * N_plus)
        H[2, :2] = H[:2, 2]
        return H

    def grad(w):
        f, J, _, _ = parts(w)
        return np.mean((-y * sigmoid(-y * f))[:, None] * J, axis=0)

    return Definition(lambda w: np.mean(np.logaddexp(0, -y * parts(w)[0])), grad, hessian)


def threshold_accuracy(w, X, y):
    """Share of right signs, straight from the definition."""
    f = w[0] * np.maximum(-X + w[2], 0).sum(axis=1) + w[1] * np.maximum(X + w[2], 0).sum(axis=1)
    return np.mean(np.sign(f) == y)


def quadratic_regression(model):
    Q, y, G = model.Q, model.y, model.G

    def residual(w):
        return y + G @ w + np.einsum("aij,i,j->a", Q, w, w) / 2

    def jacobian(w):
        return G + Q @ w

    return Definition(
        lambda w: np.sum(residual(w) ** 2) / 2,
        lambda w: jacobian(w).T @ residual(w),
        lambda w: jacobian(w).T @ jacobian(w) + np.einsum("a,aij->ij", residual(w), Q),
    )


def scalar_1d(model):
    if model.loss == "quartic":
        c = model.target
        l0, l1, l2 = (lambda s: (s * s - c) ** 2 / 4), (lambda s: s * (s * s - c)), (lambda s: 3 * s * s - c)
    else:
        l0, l1, l2 = losses_of_one_number(str(model.loss), model.beta)
    return Definition(lambda w: l0(w[0]), lambda w: np.array([l1(w[0])]), lambda w: np.array([[l2(w[0])]]))


def self_stabilization(model):
    a, b, slope, tilt = model.alpha, math.sqrt(model.beta), model.slope, model.tilt
    return Definition(
        lambda w: (b * w[1] + slope * w[0]) * w[0] ** 2 / 2 - tilt * w[0] - a / b * w[1],
        lambda w: np.array([b * w[0] * w[1] + 1.5 * slope * w[0] ** 2 - tilt, b * w[0] ** 2 / 2 - a / b]),
        lambda w: np.array([[b * w[1] + 3 * slope * w[0], b * w[0]], [b * w[0], 0.0]]),
    )


def curved_valley(model):
    def h(w):
        return np.sqrt(1 + w[1] ** 2)

    def root_hessian(w):
        mixed = np.sign(w[0]) * w[1] / h(w)
        return np.array([[0, mixed], [mixed, abs(w[0]) / h(w) ** 3]])

    if model.root:
        return Definition(
            lambda w: abs(w[0]) * h(w),
            lambda w: np.array([np.sign(w[0]) * h(w), abs(w[0]) * w[1] / h(w)]),
            root_hessian,
        )
    return Definition(
        lambda w: h(w) ** 2 * w[0] ** 2,
        lambda w: np.array([2 * h(w) ** 2 * w[0], 2 * w[0] ** 2 * w[1]]),
        lambda w: np.array([[2 * h(w) ** 2, 4 * w[0] * w[1]], [4 * w[0] * w[1], 2 * w[0] ** 2]]),
    )


def scale_invariant(model):
    """f = p/r^4 with p = w1^2 (w2^2 + ratio w3^2)/2 and r = |w|, by the product rule."""
    k = model.ratio

    def polynomial(w):
        a, b, c = w
        q = b * b + k * c * c
        hessian = [[q, 2 * a * b, 2 * k * a * c], [2 * a * b, a * a, 0], [2 * k * a * c, 0, k * a * a]]
        return a * a * q / 2, np.array([a * q, a * a * b, k * a * a * c]), np.array(hessian)

    def inverse_fourth_power(w):
        s = w @ w
        return s**-2, -4 * s**-3 * w, -4 * s**-3 * np.eye(3) + 24 * s**-4 * np.outer(w, w)

    def jet(w):
        (p, dp, Hp), (g, dg, Hg) = polynomial(w), inverse_fourth_power(w)
        return p * g, dp * g + p * dg, Hp * g + np.outer(dp, dg) + np.outer(dg, dp) + p * Hg

    return Definition(lambda w: jet(w)[0], lambda w: jet(w)[1], lambda w: jet(w)[2])


DEFINITIONS = {
    "SingleNeuron": single_neuron,
    "ScalarProduct": scalar_product,
    "MeanModel": mean_model,
    "ThresholdNeuron": threshold_neuron,
    "QuadraticRegression": quadratic_regression,
    "Scalar1D": scalar_1d,
    "SelfStabilization": self_stabilization,
    "CurvedValley": curved_valley,
    "ScaleInvariant": scale_invariant,
}


def definition(model):
    """The NumPy definition of a model."""
    return DEFINITIONS[type(model).__name__](model)


DATA = eos.datasets.sparse_coding(n=37, d=20, seed=3)

EXAMPLES = [
    *(eos.SingleNeuron(loss) for loss in ("sqrt", "logcosh", "logistic", "huber", "power")),
    eos.SingleNeuron("power", beta=1.5),
    eos.SingleNeuron("power", beta=4),
    eos.ScalarProduct(),
    eos.ScalarProduct(depth=1, target=-2.0),
    eos.ScalarProduct(depth=5, target=0.5),
    eos.MeanModel(d=10),
    eos.MeanModel(d=3.5, noise=0.5),
    eos.ThresholdNeuron(DATA),
    eos.QuadraticRegression.diagonal([1.0, -0.3], offset=0.5),
    eos.QuadraticRegression([np.diag([0.5, -1.0, 2.0])], [-0.7], [[0.3, 0.0, -0.6]]),
    *(eos.Scalar1D(loss) for loss in ("sqrt", "logcosh", "logistic", "huber", "power")),
    eos.Scalar1D("quartic", target=-0.5),
    eos.SelfStabilization(alpha=0.3, beta=2.0, slope=-0.7, tilt=0.2),
    eos.CurvedValley(),
    eos.CurvedValley(root=True),
    eos.ScaleInvariant(ratio=2.5),
]
"""Models of every class, with every structure."""


# ----------------------------------------------------------------------------------------------------------------- runs


def step(optimizer, grad, w, v):
    """One step of an optimizer, from w and velocity v."""
    if isinstance(optimizer, eos.GD):
        return (1 - optimizer.lr * optimizer.weight_decay) * w - optimizer.lr * grad(w), v
    if isinstance(optimizer, eos.NormalizedGD):
        g = grad(w)
        return w - optimizer.lr * g / np.linalg.norm(g) if g.any() else w, v
    at = w + optimizer.momentum * v if isinstance(optimizer, eos.Nesterov) else w
    v = optimizer.momentum * v - optimizer.lr * grad(at)
    return w + v, v


def iterates(model, optimizer, w0, num_steps):
    """The iterates w_0, ..., w_{num_steps} in the arithmetic of this file: close to the core's for some dozen steps."""
    grad = definition(model).grad
    w, v = np.array(w0, dtype=float), np.zeros(len(w0))
    path = [w]
    for _ in range(num_steps):
        w, v = step(optimizer, grad, w, v)
        path.append(w)
    return np.array(path)


def steps_of_the_core(model, optimizer, w0, num_steps):
    """The core's own iterates, every one of them."""
    record = eos.Record(quantities=("weights",))
    run = eos.train(model, w0, optimizer, num_steps=num_steps, record=record, stop=eos.Stop(steady=False))
    return run.weights.values


def period(path):
    """The smallest p <= 64 with which the last 4 p iterates repeat to 1e-6 of their size, else 0."""
    for p in range(1, 65):
        if 4 * p > len(path):
            return 0
        last = path[-4 * p :]
        if np.abs(last[p:] - last[:-p]).max(initial=0.0) <= 1e-6 * np.abs(last).max():
            return p
    return 0


def lyapunov(model, optimizer, w0, num_steps, seed=0):
    """Mean log growth per step of a tangent vector over the second half of the run, from the core's iterates."""
    path = steps_of_the_core(model, optimizer, w0, num_steps)
    u = np.random.default_rng(seed).standard_normal(len(w0))
    u /= np.linalg.norm(u)
    hessian, growth, half = definition(model).hessian, 0.0, num_steps // 2
    assert isinstance(optimizer, eos.GD)
    for w in path[half:-1]:
        u = u - optimizer.lr * hessian(w) @ u
        growth += np.log(np.linalg.norm(u))
        u /= np.linalg.norm(u)
    return growth / (num_steps - half)


STEP_QUANTITIES = ("relative_progress", "directional_smoothness")
QUANTITIES = ("loss", "sharpness", "hessian_eigs", "grad_norm", "weights", "weight_norm", *STEP_QUANTITIES)


def everything(model, **options):
    """A Record of all that the model has; of the tangent kernel, which may have fewer eigenvalues, only the largest."""
    own = [name for name in model.quantities if name != "ntk_eigs"]
    return eos.Record(quantities=(*QUANTITIES, *own), k=model.dim, **options)


def without_provenance(run):
    """The result of `train`, of its attrs only those that are the same whenever and wherever it is computed."""
    run = run.copy()
    run.attrs = {name: run.attrs[name] for name in ("status", "num_steps_done", "threshold")}
    return run
