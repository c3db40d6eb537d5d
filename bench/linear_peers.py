"""The yardsticks for deep linear networks, L = scale/2 |W_N ... W_1 X - Y|^2: on data, where the plain form passes over
the samples at every step and the expert knows that X X' and Y X' suffice; and many runs of a few small matrices with
the identity for X.

Builders take ``(problem, num_steps)``; the callables return (w,): the matrices W_1 ... W_N flat, one after the other,
of many runs (runs, dim).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from network_peers import torch
from peers import Peer, compiled, jax, numba

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peers import Run

BLOCK = 128
"""Runs side by side in the expert form; a multiple of it is asked for."""


@dataclass(frozen=True)
class OnData:
    """One run: X (n, d_0), Y (n, d_N), matrices to start from, scale = 1/n."""

    X: NDArray[np.float64]
    Y: NDArray[np.float64]
    start: tuple[NDArray[np.float64], ...]
    lr: float


@dataclass(frozen=True)
class ManyRuns:
    """Step sizes (runs,) and starts (runs, dim), `depth` square matrices each, of one target."""

    lr: NDArray[np.float64]
    w0: NDArray[np.float64]
    target: NDArray[np.float64]
    depth: int


def flat(matrices: Any) -> tuple[NDArray[np.float64]]:
    return (np.concatenate([np.asarray(W).ravel() for W in matrices]),)


# ---------------------------------------------------------------------------------------------------------- one run


def numpy_moments_steps(problem: OnData, num_steps: int) -> Run:
    """By X X' and Y X', products on both sides of the chain kept."""
    n, lr = len(problem.X), problem.lr

    def run() -> tuple[Any, ...]:
        C, B = problem.X.T @ problem.X / n, problem.Y.T @ problem.X / n
        Ws = [W.copy() for W in problem.start]
        for _ in range(num_steps):
            below = [Ws[0]]
            for W in Ws[1:]:
                below.append(W @ below[-1])
            back = below[-1] @ C - B
            for k in range(len(Ws) - 1, 0, -1):
                grad = back @ below[k - 1].T
                back = Ws[k].T @ back
                Ws[k] -= lr * grad
            Ws[0] -= lr * back
        return flat(Ws)

    return run


def torch_autograd_steps(problem: OnData, num_steps: int) -> Run:
    """The loss written down."""
    th = torch()
    X, Y = th.tensor(problem.X), th.tensor(problem.Y)

    def run() -> tuple[Any, ...]:
        Ws = [th.tensor(W, requires_grad=True) for W in problem.start]
        for _ in range(num_steps):
            f = X
            for W in Ws:
                f = f @ W.T
            loss = 0.5 / len(X) * ((f - Y) ** 2).sum()
            grads = th.autograd.grad(loss, Ws)
            with th.no_grad():
                for W, grad in zip(Ws, grads, strict=True):
                    W -= problem.lr * grad
        return flat([W.detach().numpy() for W in Ws])

    return run


# ------------------------------------------------------------------------------------------------------------ many runs


def numpy_steps(many: ManyRuns, num_steps: int) -> Run:
    """The definition, all runs at once."""
    h, lr = len(many.target), many.lr[:, None, None]

    def run() -> tuple[Any, ...]:
        Ws = list(many.w0.reshape(len(lr), many.depth, h, h).transpose(1, 0, 2, 3).copy())
        for _ in range(num_steps):
            below = [Ws[0]]
            for W in Ws[1:]:
                below.append(W @ below[-1])
            back = below[-1] - many.target
            for k in range(len(Ws) - 1, 0, -1):
                grad = back @ below[k - 1].transpose(0, 2, 1)
                back = Ws[k].transpose(0, 2, 1) @ back
                Ws[k] = Ws[k] - lr * grad
            Ws[0] = Ws[0] - lr * back
        return (np.stack(Ws, axis=1).reshape(many.w0.shape),)

    return run


def jax_steps(many: ManyRuns, num_steps: int) -> Run:
    """`jit(vmap(scan))` over `grad`."""
    jnp, lax = jax().numpy, jax().lax
    h = len(many.target)

    def loss(w: Any) -> Any:
        product = jnp.eye(h)
        for W in w.reshape(many.depth, h, h):
            product = W @ product
        return 0.5 * jnp.sum((product - many.target) ** 2)

    def one(lr: Any, w0: Any) -> Any:
        return lax.scan(lambda w, _: (w - lr * jax().grad(loss)(w), None), w0, length=num_steps)[0]

    return compiled(lambda *args: (jax().vmap(one)(*args),), many.lr, many.w0)


def written_out(h: int, depth: int) -> str:
    """A step of BLOCK runs in numba, every number of the matrices a variable: the compiler puts runs side by side."""
    square = [(i, j) for i in range(h) for j in range(h)]
    lines = [f"w{k}_{i}{j} = w[{(k * h + i) * h + j}, r]" for k in range(depth) for i, j in square]
    lines += [f"p0_{i}{j} = w0_{i}{j}" for i, j in square]
    for k in range(1, depth):
        lines += [f"p{k}_{i}{j} = {' + '.join(f'w{k}_{i}{m} * p{k - 1}_{m}{j}' for m in range(h))}" for i, j in square]
    lines += [f"b{depth - 1}_{i}{j} = a[r] * (p{depth - 1}_{i}{j} - target[{i}, {j}])" for i, j in square]
    for k in range(depth - 1, 0, -1):
        grads = {(i, j): " + ".join(f"b{k}_{i}{m} * p{k - 1}_{j}{m}" for m in range(h)) for i, j in square}
        lines += [f"w[{(k * h + i) * h + j}, r] = w{k}_{i}{j} - ({grads[i, j]})" for i, j in square]
        lines += [f"b{k - 1}_{i}{j} = {' + '.join(f'w{k}_{m}{i} * b{k}_{m}{j}' for m in range(h))}" for i, j in square]
    lines += [f"w[{i * h + j}, r] = w0_{i}{j} - b0_{i}{j}" for i, j in square]
    return "def step(w, a, target):\n    for r in range(BLOCK):\n" + "".join(f"        {line}\n" for line in lines)


@functools.cache
def numba_block(h: int, depth: int) -> Any:
    nb, scope = numba(), {"BLOCK": BLOCK}
    exec(written_out(h, depth), scope)  # noqa: S102 - our own text
    step = nb.njit(fastmath=True, inline="always", error_model="numpy")(scope["step"])

    @nb.njit(fastmath=True, error_model="numpy")
    def loop(w: Any, a: Any, target: Any, num_steps: int) -> None:
        for b in range(len(w)):
            for _ in range(num_steps):
                step(w[b], a[b], target)

    return loop


def numba_expert_steps(many: ManyRuns, num_steps: int) -> Run:
    """Blocks of 128 runs that stay in the cache, the runs innermost and next to each other, a step written out."""
    runs, dim = many.w0.shape
    count = next(size for size in range(BLOCK, 0, -1) if runs % size == 0)
    assert count == BLOCK
    loop, a = numba_block(len(many.target), many.depth), many.lr.reshape(-1, BLOCK)

    def run() -> tuple[Any, ...]:
        w = np.ascontiguousarray(many.w0.reshape(-1, BLOCK, dim).transpose(0, 2, 1))
        loop(w, a, many.target, num_steps)
        return (w.transpose(0, 2, 1).reshape(runs, dim),)

    return run


def on_data(n: int, widths: tuple[int, ...]) -> OnData:
    """A random linear teacher with noise; the run is smooth."""
    draws = np.random.default_rng(0)
    X = draws.standard_normal((n, widths[0]))
    Y = X @ draws.standard_normal((widths[0], widths[-1])) / 4 + 0.1 * draws.standard_normal((n, widths[-1]))
    start = tuple(draws.standard_normal((after, before)) / np.sqrt(before) for before, after in pairwise(widths))
    return OnData(X, Y, start, 0.01)


def many_runs(runs: int, h: int, depth: int) -> ManyRuns:
    """Step sizes from stable to near the critical one, starts around the balanced minimum."""
    draws = np.random.default_rng(0)
    target = np.diag(np.linspace(2.0, 1.0, h))
    balanced = np.tile(np.diag(np.linspace(2.0, 1.0, h) ** (1 / depth)).ravel(), depth)
    w0 = balanced + 0.2 * draws.standard_normal((runs, len(balanced))) / np.sqrt(h)
    return ManyRuns(np.linspace(0.01, 0.5, runs) / (depth * 2.0 ** (2 - 2 / depth)), w0, target, depth)


ONE_RUN = [
    Peer("torch autograd", "torch", torch_autograd_steps),
    Peer("NumPy by moments", "numpy", numpy_moments_steps),
]
MANY_RUNS = [
    Peer("NumPy", "numpy", numpy_steps),
    Peer("JAX plain", "jax", jax_steps),
    Peer("numba expert", "numba", numba_expert_steps, relaxed="fastmath"),
]
