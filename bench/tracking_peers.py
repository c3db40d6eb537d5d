"""The yardsticks for the sharpness at every step: gradient descent on a tanh network with one hidden layer, and the
largest eigenvalue of the Hessian at each iterate from ARPACK (`scipy.sparse.linalg.eigsh`), relative residual 1e-3.

Plain: the product with the Hessian is the tool's second derivative, and every solve begins from nothing. Expert: the
product is written down, what it shares with the gradient is computed once at a point, and a solve begins with the last
eigenvector in a space of four vectors. With R the derivative of the loss by the outputs, A = tanh(U), D = 1 - A^2, the
derivative of the gradient in the direction V is, for the outputs and the hidden layer,

    dU = X V1' + c1,  dA = D dU,  dF = dA W2' + A V2' + c2,  d(delta) = (dR W2 + R V2) D - 2 A D dU (R W2).

Builders take ``(problem, num_steps)``; the callables return (w, sharpness at steps 0 ... num_steps, products).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from network_peers import torch
from peers import Peer, jax

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from peers import Run

TOL = 1e-3


@dataclass(frozen=True)
class Tracked:
    """Data with outputs (n, c), the start as the flat vector of W1 (m, d), b1, W2 (c, m), b2, and the step size."""

    X: NDArray[np.float64]
    Y: NDArray[np.float64]
    m: int
    w0: NDArray[np.float64]
    lr: float

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        (_, d), (_, c) = self.X.shape, self.Y.shape
        return (self.m, d), (self.m,), (c, self.m), (c,)

    def blocks(self, w: Any) -> list[Any]:
        """W1, b1, W2, b2 of a flat vector of any tool."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        starts = [0, *ends[:-1]]
        return [w[i:j].reshape(shape) for i, j, shape in zip(starts, ends, self.shapes, strict=True)]


def largest(product: Callable[[Any], Any], dim: int, **options: Any) -> tuple[float, Any, int]:
    """The largest eigenvalue, its vector, and the number of products."""
    from scipy.sparse.linalg import LinearOperator, eigsh

    count = 0

    def counted(v: Any) -> Any:
        nonlocal count
        count += 1
        return product(v.ravel())

    operator = LinearOperator((dim, dim), matvec=counted, dtype=np.float64)
    values, vectors = eigsh(operator, k=1, which="LA", **{"tol": TOL} | options)
    return float(values[0]), vectors[:, 0], count


# ----------------------------------------------------------------------------------------------- the formulas, in NumPy


class Point:
    """The gradient and Hessian-vector products at w, by the formulas above."""

    def __init__(self, problem: Tracked, w: NDArray[np.float64]) -> None:
        self.problem = problem
        self.W1, self.b1, self.W2, self.b2 = problem.blocks(w)
        self.A = np.tanh(problem.X @ self.W1.T + self.b1)
        self.R = (self.A @ self.W2.T + self.b2 - problem.Y) / len(problem.Y)
        self.D = 1.0 - self.A * self.A
        self.back = self.R @ self.W2

    def flat(self, *blocks: Any) -> Any:
        return np.concatenate([block.ravel() for block in blocks])

    def gradient(self) -> Any:
        delta = self.back * self.D
        return self.flat(delta.T @ self.problem.X, delta.sum(axis=0), self.R.T @ self.A, self.R.sum(axis=0))

    def product(self, v: Any) -> Any:
        X = self.problem.X
        V1, c1, V2, c2 = self.problem.blocks(v)
        dU = X @ V1.T + c1
        dA = self.D * dU
        dR = (dA @ self.W2.T + self.A @ V2.T + c2) / len(X)
        ddelta = (dR @ self.W2 + self.R @ V2) * self.D - 2.0 * self.A * dA * self.back
        return self.flat(ddelta.T @ X, ddelta.sum(axis=0), dR.T @ self.A + self.R.T @ dA, dR.sum(axis=0))


def descent(problem: Tracked, num_steps: int) -> NDArray[np.float64]:
    """The iterates 0, ..., num_steps."""
    iterates = [problem.w0]
    for _ in range(num_steps):
        w = iterates[-1]
        iterates.append(w - problem.lr * Point(problem, w).gradient())
    return np.array(iterates)


# ------------------------------------------------------------------------------------------------------------ the tools


def torch_steps(problem: Tracked, num_steps: int) -> Run:
    th = torch()
    X, Y = th.tensor(problem.X), th.tensor(problem.Y)

    def run() -> tuple[Any, ...]:
        w, found, products = th.tensor(problem.w0), [], 0
        for step in range(num_steps + 1):
            w = w.detach().requires_grad_()
            W1, b1, W2, b2 = problem.blocks(w)
            loss = ((th.tanh(X @ W1.T + b1) @ W2.T + b2 - Y) ** 2).sum() / (2 * len(Y))
            (grad,) = th.autograd.grad(loss, w, create_graph=True)

            def product(v: Any, grad: Any = grad, w: Any = w) -> Any:
                return th.autograd.grad(grad, w, th.from_numpy(v), retain_graph=True)[0].numpy()

            value, _, count = largest(product, len(problem.w0))
            found.append(value)
            products += count
            w = w - problem.lr * grad if step < num_steps else w
        return w.detach().numpy(), np.array(found), products

    return run


def jax_plain_steps(problem: Tracked, num_steps: int) -> Run:
    jnp, jit = jax().numpy, jax().jit
    X, Y = jnp.asarray(problem.X), jnp.asarray(problem.Y)

    def loss(w: Any) -> Any:
        W1, b1, W2, b2 = problem.blocks(w)
        return ((jnp.tanh(X @ W1.T + b1) @ W2.T + b2 - Y) ** 2).sum() / (2 * len(Y))

    gradient = jax().grad(loss)
    step = jit(lambda w: (w, w - problem.lr * gradient(w)))
    product = jit(lambda w, v: jax().jvp(gradient, (w,), (v,))[1])
    return tracked(problem, num_steps, step, product)


def jax_expert_steps(problem: Tracked, num_steps: int) -> Run:
    """The formulas with the samples along the last axis, which is how XLA multiplies fastest; X stored both ways."""
    jnp, jit = jax().numpy, jax().jit
    X, Xt = jnp.asarray(problem.X), jnp.asarray(np.ascontiguousarray(problem.X.T))
    Yt, n = jnp.asarray(np.ascontiguousarray(problem.Y.T)), len(problem.X)

    def flat(*blocks: Any) -> Any:
        return jnp.concatenate([block.ravel() for block in blocks])

    def step(w: Any) -> Any:
        W1, b1, W2, b2 = problem.blocks(w)
        A = jnp.tanh(W1 @ Xt + b1[:, None])
        R = (W2 @ A + b2[:, None] - Yt) / n
        D, back = 1.0 - A * A, W2.T @ R
        delta = back * D
        gradient = flat(delta @ X, delta.sum(axis=1), (A @ R.T).T, R.sum(axis=1))
        return (W2, A, R, D, back), w - problem.lr * gradient

    def product(shared: tuple[Any, ...], v: Any) -> Any:
        W2, A, R, D, back = shared
        V1, c1, V2, c2 = problem.blocks(v)
        dA = D * (V1 @ Xt + c1[:, None])
        dR = (W2 @ dA + V2 @ A + c2[:, None]) / n
        ddelta = (W2.T @ dR + V2.T @ R) * D - 2.0 * A * dA * back
        return flat(ddelta @ X, ddelta.sum(axis=1), (A @ dR.T + dA @ R.T).T, dR.sum(axis=1))

    return tracked(problem, num_steps, jit(step), jit(product), ncv=4)


def tracked(problem: Tracked, num_steps: int, step: Any, product: Any, ncv: int | None = None) -> Run:
    """Steps and solves; with `ncv` a solve begins with the last eigenvector, in a space of so many vectors."""

    def run() -> tuple[Any, ...]:
        w, found, products, vector = jax().numpy.asarray(problem.w0), [], 0, None
        for index in range(num_steps + 1):
            shared, after = step(w)
            warm = {"ncv": ncv, "v0": vector} if ncv and vector is not None else {}
            value, vector, count = largest(
                lambda v, shared=shared: np.asarray(product(shared, v)), len(problem.w0), **warm
            )
            found.append(value)
            products += count
            w = after if index < num_steps else w
        return np.asarray(w), np.array(found), products

    return run


TRACKERS = [
    Peer("torch + eigsh", "torch", torch_steps),
    Peer("JAX + eigsh", "jax", jax_plain_steps),
    Peer("JAX expert", "jax", jax_expert_steps),
]
