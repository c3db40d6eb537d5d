"""The yardsticks for the tied ReLU network: steps of gradient descent on `ThresholdNeuron` with other tools.

With S-, S+ the sums of relu(-x + b) and relu(x + b) over the coordinates of a sample, N-, N+ their numbers of active
terms, and c = y sigma(-y f), f = a_minus S- + a_plus S+, one step is

    a_minus += lr mean(c S-),  a_plus += lr mean(c S+),  b += lr (a_minus mean(c N-) + a_plus mean(c N+)).

The plain forms evaluate the sums, O(n d) a step. The expert forms know that they are piecewise linear in b: every
sample is sorted once, prefix sums are kept, and a step looks up where b stands: by bisection, O(n log d), or with
cursors that move along with b, O(n). Builders take ``(X, y, lr, w0, num_steps)``; the callables return (w,).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from peers import Peer, compiled, fast_exp, jax, numba

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peers import Run


def sorted_sums(X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The samples in ascending order, and the sums of their k smallest entries, k = 0, ..., d."""
    x = np.sort(X, axis=1)
    return x, np.concatenate([np.zeros((len(x), 1)), np.cumsum(x, axis=1)], axis=1)


def numpy_steps(X: Any, y: Any, lr: float, w0: Any, num_steps: int) -> Run:
    """The definition, with the two sums from one array: relu(-x + b) = relu(x - b) - (x - b)."""
    n, d = X.shape
    total = X.sum(axis=1)
    buffer, active = np.empty_like(X), np.empty(X.shape, bool)

    def sums(threshold: float) -> tuple[Any, Any]:
        np.subtract(X, threshold, out=buffer)
        np.greater(buffer, 0.0, out=active)
        np.maximum(buffer, 0.0, out=buffer)
        return buffer.sum(axis=1), np.count_nonzero(active, axis=1)

    def run() -> tuple[Any, ...]:
        a_minus, a_plus, b = w0
        for _ in range(num_steps):
            above, count = sums(b)
            S_minus, N_minus = above - (total - d * b), d - count
            S_plus, N_plus = sums(-b)
            c = lr / n * y / (1.0 + np.exp(y * (a_minus * S_minus + a_plus * S_plus)))
            b += c @ (a_minus * N_minus + a_plus * N_plus)
            a_minus, a_plus = a_minus + c @ S_minus, a_plus + c @ S_plus
        return (np.array([a_minus, a_plus, b]),)

    return run


def jax_steps(X: Any, y: Any, lr: float, w0: Any, num_steps: int) -> Run:
    """`jit(scan)` over `grad` of the loss as one writes it down."""
    lax, nn = jax().lax, jax().nn

    def run(X: Any, y: Any, w: Any) -> Any:
        def loss(w: Any) -> Any:
            f = w[0] * nn.relu(-X + w[2]).sum(axis=1) + w[1] * nn.relu(X + w[2]).sum(axis=1)
            return nn.softplus(-y * f).mean()

        return (lax.scan(lambda w, _: (w - lr * jax().grad(loss)(w), None), w, length=num_steps)[0],)

    return compiled(run, X, y, np.asarray(w0))


def jax_expert_steps(X: Any, y: Any, lr: float, w0: Any, num_steps: int) -> Run:
    """Prefix sums and bisection."""
    jnp, lax = jax().numpy, jax().lax
    n, d = X.shape

    def run(x: Any, below: Any, y: Any, w: Any) -> Any:
        rows = jnp.arange(n)

        def step(w: Any, _: Any) -> Any:
            a_minus, a_plus, b = w
            where = jax().vmap(lambda row: jnp.searchsorted(row, jnp.stack([b, -b]), method="scan_unrolled"))(x)
            N_minus, N_plus = where[:, 0], d - where[:, 1]
            S_minus = N_minus * b - below[rows, where[:, 0]]
            S_plus = N_plus * b + (below[:, d] - below[rows, where[:, 1]])
            c = lr / n * y * jax().nn.sigmoid(-y * (a_minus * S_minus + a_plus * S_plus))
            change = c @ S_minus, c @ S_plus, a_minus * (c @ N_minus) + a_plus * (c @ N_plus)
            return jnp.stack([a_minus + change[0], a_plus + change[1], b + change[2]]), None

        return (lax.scan(step, w, length=num_steps)[0],)

    return compiled(run, *sorted_sums(X), y, np.asarray(w0), wide=True)


@functools.cache
def numba_direct() -> Any:
    nb = numba()

    @nb.njit(parallel=True)
    def loop(X: Any, y: Any, lr: float, a_minus: float, a_plus: float, b: float, num_steps: int) -> Any:
        n, d = X.shape
        for _ in range(num_steps):
            ga_minus, ga_plus, gb = 0.0, 0.0, 0.0
            for i in nb.prange(n):
                S_minus, S_plus, N_minus, N_plus = 0.0, 0.0, 0, 0
                for j in range(d):
                    if b - X[i, j] > 0.0:
                        S_minus += b - X[i, j]
                        N_minus += 1
                    if b + X[i, j] > 0.0:
                        S_plus += b + X[i, j]
                        N_plus += 1
                c = y[i] / (1.0 + np.exp(y[i] * (a_minus * S_minus + a_plus * S_plus)))
                ga_minus += c * S_minus
                ga_plus += c * S_plus
                gb += c * (a_minus * N_minus + a_plus * N_plus)
            a_minus, a_plus, b = a_minus + lr / n * ga_minus, a_plus + lr / n * ga_plus, b + lr / n * gb
        return a_minus, a_plus, b

    return loop


@functools.cache
def numba_cursors() -> Any:
    nb = numba()
    exp = fast_exp()

    @nb.njit(fastmath=True, error_model="numpy")
    def loop(x: Any, below: Any, y: Any, lr: float, a_minus: float, a_plus: float, b: float, num_steps: int) -> Any:
        n, d = x.shape
        minus, plus = np.zeros(n, np.int64), np.zeros(n, np.int64)  # N-, and the number of entries <= -b
        low, high = np.zeros(n), np.zeros(n)  # sums of the N- smallest and of the N+ largest entries
        N_minus, N_plus = np.zeros(n), np.zeros(n)
        for t in range(num_steps):
            for i in range(n):
                k = np.searchsorted(x[i], b) if t == 0 else minus[i]
                while k < d and x[i, k] < b:
                    k += 1
                while k > 0 and x[i, k - 1] >= b:
                    k -= 1
                if t == 0 or k != minus[i]:
                    minus[i], low[i], N_minus[i] = k, below[i, k], k
                k = np.searchsorted(x[i], -b) if t == 0 else plus[i]
                while k < d and x[i, k] <= -b:
                    k += 1
                while k > 0 and x[i, k - 1] > -b:
                    k -= 1
                if t == 0 or k != plus[i]:
                    plus[i], high[i], N_plus[i] = k, below[i, d] - below[i, k], d - k
            ga_minus, ga_plus, gb_minus, gb_plus = 0.0, 0.0, 0.0, 0.0
            for i in range(n):
                S_minus, S_plus = N_minus[i] * b - low[i], N_plus[i] * b + high[i]
                z = min(max(y[i] * (a_minus * S_minus + a_plus * S_plus), -700.0), 700.0)
                c = y[i] / (1.0 + exp(z))
                ga_minus += c * S_minus
                ga_plus += c * S_plus
                gb_minus += c * N_minus[i]
                gb_plus += c * N_plus[i]
            gb = a_minus * gb_minus + a_plus * gb_plus
            a_minus, a_plus, b = a_minus + lr / n * ga_minus, a_plus + lr / n * ga_plus, b + lr / n * gb
        return a_minus, a_plus, b

    return loop


def numba_steps(X: Any, y: Any, lr: float, w0: Any, num_steps: int) -> Run:
    numba().set_num_threads(1)
    return lambda: (np.array(numba_direct()(X, y, lr, *w0, num_steps)),)


def numba_expert_steps(X: Any, y: Any, lr: float, w0: Any, num_steps: int) -> Run:
    x, below = sorted_sums(X)
    return lambda: (np.array(numba_cursors()(x, below, y, lr, *w0, num_steps)),)


DIRECT = [
    Peer("NumPy", "numpy", numpy_steps),
    Peer("JAX plain", "jax", jax_steps),
    Peer("numba plain", "numba", numba_steps),
]
"""O(n d) a step."""

SORTED = [
    Peer("JAX expert", "jax", jax_expert_steps),
    Peer("numba expert", "numba", numba_expert_steps, relaxed="fastmath"),
]
"""O(n log d) or O(n) a step, after sorting, which is not timed."""
