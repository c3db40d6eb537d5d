"""The yardsticks for the two-layer network: steps of gradient descent on the problem of `network_runs`.

With U = X W', f = phi(U) a / m, g_i = -y_i sigma(-y_i f_i) / n, one step is ``W -= lr Z' X`` with
``Z_ij = g_i a_j phi'(U_ij) / m``: two matrix products, and an erf, an exp and a few more operations on each entry of U.
The plain forms leave the gradient to the tool. The expert form for n >= d stores W transposed and X both ways, so that
no product meets a transposed matrix. For n < d it never forms W: U obeys ``U -= lr (X X') Z``, and
``W = W0 - lr (sum_t Z_t)' X`` is computed once at the end. Builders take ``(problem, num_steps)``; the callables return
(W,).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from peers import Peer, compiled, jax

if TYPE_CHECKING:
    from network_runs import Problem
    from peers import Run


@functools.cache
def torch() -> Any:
    import torch

    torch.set_num_threads(1)
    return torch


# ---------------------------------------------------------------------------------------------------------------- NumPy


def numpy_steps(problem: Problem, num_steps: int) -> Run:
    """The gradient written down, in place, erf from SciPy."""
    from scipy.special import erf

    X, y, a = problem.X, problem.y, problem.a
    n, _, m = problem.sizes
    one = X.dtype.type

    def run() -> tuple[Any, ...]:
        W = problem.W0.copy()
        U, cdf = np.empty((n, m), X.dtype), np.empty((n, m), X.dtype)
        for _ in range(num_steps):
            np.matmul(X, W.T, out=U)
            np.multiply(U, one(np.sqrt(0.5)), out=cdf)
            erf(cdf, out=cdf)
            np.add(cdf, one(1.0), out=cdf)
            np.multiply(cdf, one(0.5), out=cdf)
            f = np.multiply(U, cdf) @ (a / one(m))
            g = y / (one(n) * (one(1.0) + np.exp(y * f)))
            density = np.multiply(U, U)
            density *= one(-0.5)
            np.exp(density, out=density)
            density *= one(1.0 / np.sqrt(2.0 * np.pi))
            density *= U
            cdf += density
            cdf *= a * one(problem.lr / m)
            cdf *= g[:, None]
            W += cdf.T @ X
        return (W,)

    return run


# ---------------------------------------------------------------------------------------------------------------- torch


def torch_autograd_steps(problem: Problem, num_steps: int) -> Run:
    th = torch()
    X, y, a = (th.tensor(array) for array in (problem.X, problem.y, problem.a))
    W0, m = th.tensor(problem.W0), len(problem.a)

    def run() -> tuple[Any, ...]:
        W = W0.clone().requires_grad_()
        for _ in range(num_steps):
            f = th.nn.functional.gelu(X @ W.T) @ a / m
            loss = th.nn.functional.softplus(-y * f).mean()
            (grad,) = th.autograd.grad(loss, W)
            with th.no_grad():
                W -= problem.lr * grad
        return (W.detach().numpy(),)

    return run


def torch_manual_steps(problem: Problem, num_steps: int) -> Run:
    """The gradient written down, its backward pass of GELU the library's own kernel."""
    th = torch()
    X, y, a = (th.tensor(array) for array in (problem.X, problem.y, problem.a))
    W0, n, m = th.tensor(problem.W0), len(problem.y), len(problem.a)
    backward = th.ops.aten.gelu_backward

    @th.no_grad()
    def run() -> tuple[Any, ...]:
        W = W0.clone()
        U = th.empty((n, m), dtype=X.dtype)
        for _ in range(num_steps):
            th.mm(X, W.T, out=U)
            f = th.nn.functional.gelu(U) @ (a / m)
            g = y * th.sigmoid(-y * f) * (problem.lr / (n * m))
            W.addmm_(backward(th.outer(g, a), U).T, X)
        return (W.numpy(),)

    return run


# ------------------------------------------------------------------------------------------------------------------ JAX


def jax_grad_steps(problem: Problem, num_steps: int) -> Run:
    nn, lax = jax().nn, jax().lax
    m, lr = len(problem.a), problem.lr

    def steps(X: Any, y: Any, a: Any, W0: Any) -> Any:
        def loss(W: Any) -> Any:
            return nn.softplus(-y * (nn.gelu(X @ W.T, approximate=False) @ a / m)).mean()

        grad = jax().grad(loss)
        return (lax.scan(lambda W, _: (W - lr * grad(W), None), W0, length=num_steps)[0],)

    return compiled(steps, problem.X, problem.y, problem.a, problem.W0)


def jax_errors(U: Any, y: Any, a: Any, factor: float) -> Any:
    """``-factor`` Z: what the second product takes, times n m and a step size."""
    jnp, lax = jax().numpy, jax().lax
    cdf = 0.5 * (1.0 + lax.erf(U * np.sqrt(0.5).item()))
    f = (U * cdf) @ (a / len(a))
    g = y * jax().nn.sigmoid(-y * f) * factor
    derivative = cdf + U * jnp.exp(-0.5 * U * U) * (1.0 / np.sqrt(2.0 * np.pi)).item()
    return g[:, None] * (derivative * a)


def jax_expert_steps(problem: Problem, num_steps: int) -> Run:
    """W as (d, m), X and its transpose both stored."""
    lax = jax().lax
    n, _, m = problem.sizes

    def steps(X: Any, Xt: Any, y: Any, a: Any, V0: Any) -> Any:
        def step(V: Any, _: Any) -> Any:
            return V + Xt @ jax_errors(X @ V, y, a, problem.lr / (n * m)), None

        return (lax.scan(step, V0, length=num_steps)[0],)

    X, W0 = problem.X, problem.W0
    run = compiled(steps, X, np.ascontiguousarray(X.T), problem.y, problem.a, np.ascontiguousarray(W0.T))
    return lambda: (run()[0].T,)


def jax_dual_steps(problem: Problem, num_steps: int) -> Run:
    """The dual form; the Gram matrix, like all else that is the same for every run, is not timed."""
    lax, jnp = jax().lax, jax().numpy
    n, _, m = problem.sizes

    def steps(K: Any, X: Any, y: Any, a: Any, W0: Any, U0: Any) -> Any:
        def step(state: Any, _: Any) -> Any:
            U, S = state
            Z = jax_errors(U, y, a, problem.lr / (n * m))
            return (U + K @ Z, S + Z), None

        _, S = lax.scan(step, (U0, jnp.zeros_like(U0)), length=num_steps)[0]
        return (W0 + S.T @ X,)

    X = problem.X
    return compiled(steps, X @ X.T, X, problem.y, problem.a, problem.W0, X @ problem.W0.T)


TALL = [
    Peer("torch autograd", "torch", torch_autograd_steps),
    Peer("JAX plain", "jax", jax_grad_steps),
    Peer("JAX expert", "jax", jax_expert_steps),
    Peer("torch manual", "torch", torch_manual_steps),
    Peer("NumPy", "scipy", numpy_steps),
]
"""For n >= d."""

WIDE = [*TALL[:2], Peer("JAX dual", "jax", jax_dual_steps, 1e-7)]
"""For n < d."""
