"""Plain NumPy definitions of the networks, written from the formulas of the interface and not from the C++.

A network is its outputs f (n, c) and their Jacobian J (n, c, dim), by backpropagation through one sample and one output
at a time; everything else is made of these two. All functions take complex weights, so that derivatives are complex
steps ``Im g(w + i h v)/h``, exact to rounding: no difference of nearby numbers, no step to choose.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.special import erf, erfc

import eosfast as eos
from reference import step

H = 1e-30


class Network(NamedTuple):
    """A network on its data: functions of w, `outputs` and `jacobian` of w and samples."""

    outputs: object
    jacobian: object
    loss: object
    grad: object
    hessian: object
    ntk: object
    margin: object


# ---------------------------------------------------------------------------------------------------------- activations


def sigmoid(u):
    small = np.exp(np.where(u.real >= 0, -u, u))
    return np.where(u.real >= 0, 1, small) / (1 + small)


def softplus(u):
    return np.where(u.real >= 0, u, 0) + np.log1p(np.exp(np.where(u.real >= 0, -u, u)))


def normal_density(u):
    return np.exp(-u * u / 2) / np.sqrt(2 * np.pi)


def normal_distribution(u):
    return erfc(-u / np.sqrt(2)) / 2


BASES = {
    "identity": lambda u, h: (u, np.ones_like(u)),
    "relu": lambda u, h: (np.where(u.real > 0, u, 0), np.where(u.real > 0, 1, 0) + 0 * u),
    "tanh": lambda u, h: (np.tanh(u), 4 * sigmoid(2 * u) * sigmoid(-2 * u)),
    "sigmoid": lambda u, h: (sigmoid(u), sigmoid(u) * sigmoid(-u)),
    "softplus": lambda u, h: (softplus(u), sigmoid(u)),
    "silu": lambda u, h: (u * sigmoid(u), sigmoid(u) * (1 + u * sigmoid(-u))),
    "gelu": lambda u, h: (u * normal_distribution(u), normal_distribution(u) + u * normal_density(u)),
    "erf": lambda u, h: (erf(u), 2 / np.sqrt(np.pi) * np.exp(-u * u)),
    "huberized_relu": lambda u, h: (
        np.where(u.real <= 0, 0, np.where(u.real <= h, u * u / (2 * h), u - h / 2)),
        np.where(u.real <= 0, 0, np.where(u.real <= h, u / h, 1)),
    ),
}
"""Name -> function of u that gives the value and the first derivative."""

ACTIVATIONS = [
    *(name for name in BASES if name != "huberized_relu"),
    eos.HuberizedReLU(0.5),
    eos.Leaky("gelu", 0.3, 0.7),
    eos.Leaky(eos.HuberizedReLU(1.5), 0.25, -1.0),
]
"""What the field `activation` of a network may be."""


def activation(given):
    """The function of u that gives the value and the first derivative of phi = c u + k base(u)."""
    if isinstance(given, str):
        return lambda u: BASES[given](u, 1.0)
    if isinstance(given, eos.HuberizedReLU):
        return lambda u: BASES["huberized_relu"](u, given.h)
    if isinstance(given, eos.Leaky):
        inner = activation(given.phi)
        return lambda u: tuple(given.c * linear + given.k * base for linear, base in zip((u, 1), inner(u), strict=True))
    return lambda u: BASES[given.base](u, given.h)


# --------------------------------------------------------------------------------------------------------------- losses


def targets(model):
    """Targets as a matrix (n, c): integer labels become rows of the identity."""
    y = model.data.y
    if loss_name(model) == "cross_entropy" and y.ndim == 1:
        return np.eye(int(y.max()) + 1)[y.astype(int)]
    return y.reshape(len(y), -1)


def several(model):
    """Whether the outputs are (n, c) and not (n,)."""
    return loss_name(model) == "cross_entropy" or model.data.y.ndim == 2


def loss_name(model):
    return "logistic" if isinstance(model, eos.LogisticRegression) else str(model.loss)


def loss_of_outputs(name, f, Y):
    """The mean loss of outputs f (n, c), and its derivative with respect to them."""
    n = len(Y)
    if name == "mse":
        return np.sum((f - Y) ** 2) / (2 * n), (f - Y) / n
    if name == "logistic":
        return np.sum(softplus(-Y * f)) / n, -Y * sigmoid(-Y * f) / n
    assert name == "cross_entropy"
    shifted = f - f.real.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    return np.sum(Y * (np.log(total) - shifted)) / n, (np.exp(shifted) / total - Y) / n


# ------------------------------------------------------------------------------------------------------------- networks


def regression(model, w, X):
    """f = x.w."""
    return (X @ w)[:, None], (X + 0 * w)[:, None, :]


def two_layers(model, w, X):
    """f = (scale/width) sum_j a_j phi(w_j.x + b_j), one neuron after the other."""
    (n, d), m, c = X.shape, model.width, model.scale / model.width
    W, rest = w[: m * d].reshape(m, d), w[m * d :]
    b, rest = (rest[:m], rest[m:]) if model.bias else (np.zeros(m), rest)
    half = (m + 1) // 2
    a = np.repeat([1.0, -1.0], [half, m - half]) if model.output_weights is None else model.output_weights
    if model.trainable == "both":
        a, rest = rest[:m], rest[m:]
    assert rest.size == 0
    f, by_W, by_b, by_a = np.zeros(n), [], [], []
    for j in range(m):
        value, first = activation(model.activation)(X @ W[j] + b[j])
        f = f + c * a[j] * value
        by_W.append((c * a[j] * first)[:, None] * X)
        by_b.append((c * a[j] * first)[:, None])
        by_a.append(c * value[:, None])
    blocks = [*by_W, *(by_b if model.bias else []), *(by_a if model.trainable == "both" else [])]
    return f[:, None], np.concatenate(blocks, axis=1)[:, None, :]


def perceptron(model, w, X):
    """h <- phi(W h + b) for each hidden width, and the last layer without phi."""
    sizes, phi, layers, at = [X.shape[1], *model.widths, targets(model).shape[1]], activation(model.activation), [], 0
    for inputs, outputs in pairwise(sizes):
        W, at = w[at : at + outputs * inputs].reshape(outputs, inputs), at + outputs * inputs
        b, at = (w[at : at + outputs], at + outputs) if model.bias else (np.zeros(outputs), at)
        layers.append((W, b))
    assert at == w.size
    f, J = [], []
    for x in X:
        h, entering, slopes = x, [], []
        for W, b in layers[:-1]:
            entering.append(h)
            h, slope = phi(W @ h + b)
            slopes.append(slope)
        entering.append(h)
        f.append(layers[-1][0] @ h + layers[-1][1])
        J.append([one_output(k, layers, entering, slopes, model.bias) for k in range(sizes[-1])])
    return np.array(f), np.array(J)


def one_output(k, layers, entering, slopes, bias):
    """The gradient of f_k at one sample; delta, its derivative by W h + b, is carried from the last layer back."""
    delta, blocks = np.eye(len(layers[-1][1]))[k], []
    for i in reversed(range(len(layers))):
        blocks.insert(0, np.concatenate([np.outer(delta, entering[i]).ravel(), delta if bias else []]))
        if i > 0:
            delta = (delta @ layers[i][0]) * slopes[i - 1]
    return np.concatenate(blocks)


DEFINITIONS = {"LogisticRegression": regression, "TwoLayerNetwork": two_layers, "MLP": perceptron}


def degree(model):
    """The degree of homogeneity of the outputs in the trained weights (without biases, with ReLU)."""
    if isinstance(model, eos.MLP):
        return len(model.widths) + 1
    return 2 if getattr(model, "trainable", "first") == "both" else 1


def network(model):
    """The NumPy definition of a network."""
    of, X, Y, name = DEFINITIONS[type(model).__name__], model.data.X, targets(model), loss_name(model)

    def loss(w):
        return loss_of_outputs(name, of(model, np.asarray(w), X)[0], Y)[0]

    def grad(w):
        f, J = of(model, np.asarray(w), X)
        return np.einsum("ik,ikp->p", loss_of_outputs(name, f, Y)[1], J)

    def jacobian(w):
        return of(model, np.asarray(w), X)[1].reshape(Y.size, -1)

    return Network(
        outputs=lambda w, X: of(model, np.asarray(w), X)[0].reshape((len(X), Y.shape[1]) if several(model) else len(X)),
        jacobian=jacobian,
        loss=loss,
        grad=grad,
        hessian=lambda w: np.array([grad(w + 1j * H * e).imag / H for e in np.eye(len(w))]),
        ntk=lambda w: jacobian(w) @ jacobian(w).T,
        margin=lambda w: np.min(Y * of(model, np.asarray(w), X)[0]) / np.linalg.norm(w) ** degree(model),
    )


# ----------------------------------------------------------------------------------------------------------------- runs


def iterates(model, optimizer, w0, num_steps):
    """The iterates w_0, ..., w_{num_steps} by a plain loop."""
    grad = network(model).grad
    w, v = np.array(w0, dtype=float), np.zeros(len(w0))
    path = [w]
    for _ in range(num_steps):
        w, v = step(optimizer, grad, w, v)
        path.append(w)
    return np.array(path)


# ------------------------------------------------------------------------------------------------------------- examples


def samples(n, d, targets="signs", seed=0):
    """Random data: targets "signs" (both, if n > 1), "numbers", an int c for c numbers a sample, "labels" for integers
    0, 1, 2, or "shares" for rows of three that sum to 1.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    if targets == "signs":
        y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    elif targets == "numbers":
        y = rng.standard_normal(n)
    elif targets == "labels":
        y = (np.arange(n) + 2) % 3
    elif targets == "shares":
        y = rng.dirichlet(np.ones(3), size=n)
    else:
        y = rng.standard_normal((n, targets))
    return eos.Dataset(X, y)


EXAMPLES = [
    eos.LogisticRegression(samples(7, 3)),
    eos.LogisticRegression(samples(4, 9)),
    eos.TwoLayerNetwork(samples(6, 3), 4),
    eos.TwoLayerNetwork(samples(5, 8), 5, "tanh", trainable="both", bias=True, scale=2.0),
    eos.TwoLayerNetwork(samples(6, 3, "numbers"), 3, "softplus", loss="mse", output_weights=[0.5, -2.0, 1.0]),
    eos.TwoLayerNetwork(samples(3, 4, "numbers"), 1, "relu", loss="mse", trainable="both"),
    eos.TwoLayerNetwork(samples(9, 2), 4, eos.HuberizedReLU(0.5), trainable="both", bias=True),
    eos.TwoLayerNetwork(samples(4, 6), 3, eos.Leaky("silu", 0.3, 0.7), bias=True),
    eos.MLP(samples(6, 3, "numbers"), (4,)),
    eos.MLP(samples(5, 9, 2), (3, 4), "erf"),
    eos.MLP(samples(6, 4, "labels"), (3,), "gelu", loss="cross_entropy"),
    eos.MLP(samples(4, 3, "shares"), (2, 3), "sigmoid", loss="cross_entropy", bias=False),
    eos.MLP(samples(6, 2), (3, 2, 2), "silu", loss="logistic"),
    eos.MLP(samples(6, 2, 1), (3, 2), "relu", bias=False),
]
"""Networks of every class, with every loss and every structure."""
