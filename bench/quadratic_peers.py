"""The yardsticks for second-order regression: gradient descent on ``|z|^2 / 2``, z = y + G w + Q(w, w) / 2, from w = 0.

Plain: automatic differentiation of the loss as it is written. Expert: the formulas ``J = G + Q w``, ``z = y + (G + J) w
/ 2``, ``w <- w - lr J' z``; in NumPy Q is a matrix (D P, P), and a step one product that reads it once. `read` is what
no step that reads half of Q can beat: a sum over as many bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from network_peers import torch
from peers import Peer, compiled, jax

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    import eosfast as eos


def by_torch(model: eos.QuadraticRegression, lr: float, num_steps: int) -> Callable[[], Any]:
    """Autograd, step by step."""
    th = torch()
    Q, y, G = (th.tensor(np.array(array)) for array in (model.Q, model.y, model.G))

    def run() -> Any:
        w = th.zeros(model.dim, dtype=Q.dtype, requires_grad=True)
        for _ in range(num_steps):
            z = y + G @ w + 0.5 * ((Q @ w) @ w)
            (gradient,) = th.autograd.grad(0.5 * (z @ z), w)
            with th.no_grad():
                w -= lr * gradient
        return w.detach().numpy()

    return run


def in_jax(step: Callable[..., Any], model: eos.QuadraticRegression, num_steps: int) -> Callable[[], Any]:
    """A compiled loop of ``step(w, Q, y, G)`` from 0."""

    def run(Q: Any, y: Any, G: Any) -> Any:
        w0 = jax().numpy.zeros(model.dim)
        return jax().lax.scan(lambda w, _: (step(w, Q, y, G), None), w0, None, length=num_steps)[0]

    program = compiled(lambda *arrays: (run(*arrays),), *(np.array(array) for array in (model.Q, model.y, model.G)))
    return lambda: program()[0]


def by_jax_grad(model: eos.QuadraticRegression, lr: float, num_steps: int) -> Callable[[], Any]:
    """`jax.grad` of the loss."""

    def loss(w: Any, Q: Any, y: Any, G: Any) -> Any:
        z = y + G @ w + 0.5 * jax().numpy.einsum("aij,i,j->a", Q, w, w)
        return 0.5 * (z @ z)

    gradient = jax().grad(loss)
    return in_jax(lambda w, *arrays: w - lr * gradient(w, *arrays), model, num_steps)


def by_jax_einsum(model: eos.QuadraticRegression, lr: float, num_steps: int) -> Callable[[], Any]:
    """The formulas, in JAX."""

    def step(w: Any, Q: Any, y: Any, G: Any) -> Any:
        J = G + jax().numpy.einsum("aij,j->ai", Q, w)
        return w - lr * (J.T @ (y + 0.5 * ((G + J) @ w)))

    return in_jax(step, model, num_steps)


def by_numpy(model: eos.QuadraticRegression, lr: float, num_steps: int) -> Callable[[], NDArray[np.float64]]:
    """The formulas, in NumPy."""
    D, P = model.G.shape
    y, G = model.y, model.G
    Q = np.ascontiguousarray(model.Q.reshape(D * P, P))

    def run() -> NDArray[np.float64]:
        w = np.zeros(P)
        for _ in range(num_steps):
            J = G + (Q @ w).reshape(D, P)
            w = w - lr * (J.T @ (y + 0.5 * ((G + J) @ w)))
        return w

    return run


def read(model: eos.QuadraticRegression, num_steps: int) -> Callable[[], float]:
    """Read as many bytes as a step of eosfast does, as often: half of Q, by BLAS, which is as fast as a core reads."""
    D, P = model.G.shape
    numbers = np.random.default_rng(0).standard_normal(D * P * (P + 1) // 2)

    def run() -> float:
        return sum(float(numbers @ numbers) for _ in range(num_steps))

    return run


PEERS = (
    Peer("torch", "torch", by_torch),
    Peer("jax.grad", "jax", by_jax_grad),
    Peer("JAX einsum", "jax", by_jax_einsum),
    Peer("NumPy expert", "numpy", by_numpy),
)
