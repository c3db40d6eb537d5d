"""The yardsticks for many small networks: two-layer networks on the four XOR points, phi(u) = u/2 + softplus(u)/8.

Per run and step these are 4 m values each of exp, log(1 + e^-|u|) and a reciprocal, and hardly anything else. JAX comes
plain (all runs at once) and as expert (blocks of runs that stay in the cache). The C loops have m and the points as
constants and the vector mathematics of the C library; side by side go the neurons of one run (`C loop`) or the same
neuron of many runs (`C lanes`). Builders take ``(problems, num_steps)``; the callables return
``(W,)``, of shape (runs, m, 2).
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from peers import Peer, compiled, compiler, jax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peers import Run

POINTS = np.array([[-1.0, -1.0], [1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]])
LABELS = np.array([1.0, 1.0, -1.0, -1.0])
BLOCK = 128
"""Runs side by side in the expert forms; a multiple of it is asked for."""


class Networks(NamedTuple):
    """One run for each entry: its step size, and where it starts."""

    lr: NDArray[np.float64]
    W0: NDArray[np.float64]  # (runs, m, 2)

    @property
    def a(self) -> NDArray[np.float64]:
        m = self.W0.shape[1]
        return np.where(np.arange(m) < (m + 1) // 2, 1.0, -1.0)


# ----------------------------------------------------------------------------------------------------------- NumPy, JAX


def numpy_steps(networks: Networks, num_steps: int) -> Run:
    """The definition, all runs at once."""
    a, m = networks.a, len(networks.a)

    def run() -> tuple[Any, ...]:
        W = networks.W0
        for _ in range(num_steps):
            U = POINTS @ W.transpose(0, 2, 1)  # (runs, 4, m)
            e = np.exp(-np.abs(U))
            f = (0.5 * U + 0.125 * (np.maximum(U, 0.0) + np.log1p(e))) @ a / m
            g = LABELS / (4 * m * (1.0 + np.exp(LABELS * f))) * networks.lr[:, None]
            Z = g[..., None] * (0.5 + 0.125 * np.where(U > 0, 1.0, e) / (1.0 + e)) * a
            W = W + Z.transpose(0, 2, 1) @ POINTS
        return (W,)

    return run


def jax_steps(networks: Networks, num_steps: int, *, autograd: bool = False) -> Run:
    """`jit(vmap(scan))`, the gradient written down as one does, or taken by `grad`."""
    nn, lax = jax().nn, jax().lax
    a, m = networks.a, len(networks.a)

    def loss(W: Any) -> Any:
        U = POINTS @ W.T
        return nn.softplus(-LABELS * ((0.5 * U + 0.125 * nn.softplus(U)) @ a / m)).mean()

    def by_hand(W: Any) -> Any:
        U = POINTS @ W.T
        f = (0.5 * U + 0.125 * nn.softplus(U)) @ a / m
        g = -LABELS * nn.sigmoid(-LABELS * f) / (4 * m)
        return (g[:, None] * a * (0.5 + 0.125 * nn.sigmoid(U))).T @ POINTS

    grad = jax().grad(loss) if autograd else by_hand

    def one(lr: Any, W0: Any) -> Any:
        return lax.scan(lambda W, _: (W - lr * grad(W), None), W0, length=num_steps)[0]

    if len(networks.lr) == 1:  # without vmap, as one would for a single run
        run = compiled(lambda *args: (one(*args),), networks.lr[0], networks.W0[0])
        return lambda: (run()[0][None],)
    return compiled(lambda *args: (jax().vmap(one)(*args),), *networks)


def jax_autograd_steps(networks: Networks, num_steps: int) -> Run:
    return jax_steps(networks, num_steps, autograd=True)


def jax_expert_steps(networks: Networks, num_steps: int) -> Run:
    """Blocks of 128 runs, the runs innermost; sums and differences of the two weights instead of products, one
    exponential for softplus and its slope, 512-bit registers.
    """
    jnp, lax = jax().numpy, jax().lax
    a, m, y = networks.a[:, None], len(networks.a), LABELS[:, None]

    def block(lr: Any, W0: Any) -> Any:  # (128,), (2, m, 128)
        def step(W: Any, _: Any) -> Any:
            total, difference = W[0] + W[1], W[0] - W[1]
            U = jnp.stack([-total, total, difference, -difference])
            e = jnp.exp(-jnp.abs(U))
            r = 1.0 / (1.0 + e)
            f = ((0.5 * U + 0.125 * (jnp.maximum(U, 0.0) + jnp.log1p(e))) * a).sum(axis=1) / m
            g = y * lr / (4 * m * (1.0 + jnp.exp(y * f)))
            Z = g[:, None] * a * (0.5 + 0.125 * jnp.where(U > 0, r, e * r))
            along, across = Z[1] - Z[0], Z[2] - Z[3]
            return W + jnp.stack([along + across, along - across]), None

        return lax.scan(step, W0, length=num_steps)[0]

    count = next(size for size in range(BLOCK, 0, -1) if len(networks.lr) % size == 0)
    W0 = np.ascontiguousarray(networks.W0.reshape(-1, count, m, 2).transpose(0, 3, 2, 1))
    blocks = networks.lr.reshape(-1, count), W0
    run = compiled(lambda *args: (lax.map(lambda b: block(*b), args),), *blocks, wide=True)
    return lambda: (run()[0].transpose(0, 3, 2, 1).reshape(networks.W0.shape),)


# -------------------------------------------------------------------------------------------------------------------- C

SOURCE = """
#include <math.h>
static const double X[4][2] = {{-1, -1}, {1, 1}, {1, -1}, {-1, 1}}, Y[4] = {1, 1, -1, -1};
static inline double A(int j) { return j < (M + 1) / 2 ? 1.0 : -1.0; }

// One run, W as two rows of m.
void loop(double lr, double *W, long num_steps) {
  double V[2][M], Z[4][M];
  for (int j = 0; j < M; ++j) V[0][j] = W[2 * j], V[1][j] = W[2 * j + 1];
  for (long t = 0; t < num_steps; ++t) {
    for (int i = 0; i < 4; ++i) {
      double f = 0;
      for (int j = 0; j < M; ++j) {
        const double u = X[i][0] * V[0][j] + X[i][1] * V[1][j], e = exp(-fabs(u)), r = 1.0 / (1.0 + e);
        f += A(j) * (0.5 * u + 0.125 * (fmax(u, 0.0) + LOG1P(e)));
        Z[i][j] = A(j) * (0.5 + 0.125 * (u > 0 ? r : e * r));
      }
      const double g = Y[i] * lr / (4 * M * (1.0 + exp(Y[i] * f / M)));
      for (int j = 0; j < M; ++j) Z[i][j] *= g;
    }
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < M; ++j) V[0][j] += X[i][0] * Z[i][j], V[1][j] += X[i][1] * Z[i][j];
  }
  for (int j = 0; j < M; ++j) W[2 * j] = V[0][j], W[2 * j + 1] = V[1][j];
}

// B runs side by side, W as (2, m, B).
void lanes(const double *lr, double *W, long num_steps) {
  double Z[4][M][B], f[4][B];
  for (long t = 0; t < num_steps; ++t) {
    for (int i = 0; i < 4; ++i) {
      for (int b = 0; b < B; ++b) f[i][b] = 0;
      for (int j = 0; j < M; ++j)
        for (int b = 0; b < B; ++b) {
          const double u = X[i][0] * W[j * B + b] + X[i][1] * W[(M + j) * B + b];
          const double e = exp(-fabs(u)), r = 1.0 / (1.0 + e);
          f[i][b] += A(j) * (0.5 * u + 0.125 * (fmax(u, 0.0) + LOG1P(e)));
          Z[i][j][b] = A(j) * (0.5 + 0.125 * (u > 0 ? r : e * r));
        }
      for (int b = 0; b < B; ++b) f[i][b] = Y[i] * lr[b] / (4 * M * (1.0 + exp(Y[i] * f[i][b] / M)));
    }
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < M; ++j)
        for (int b = 0; b < B; ++b) {
          W[j * B + b] += X[i][0] * f[i][b] * Z[i][j][b];
          W[(M + j) * B + b] += X[i][1] * f[i][b] * Z[i][j][b];
        }
  }
}
"""
FLAGS = (["-O3", "-march=native"], ["-O3", "-march=native", "-ffast-math", "-mprefer-vector-width=512"])


@functools.cache
def libraries(m: int) -> list[Any]:
    """The loops, compiled in several ways: strict and relaxed arithmetic, log1p(e) of the library and as log(1 + e)."""
    return [_library(m, flags, log) for flags in FLAGS for log in ("log1p(e)", "log(1.0 + (e))")]


def _library(m: int, flags: list[str], log: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        source, obj, library = (Path(folder) / f"xor.{end}" for end in ("c", "o", "so"))
        source.write_text(SOURCE)
        defines = [f"-DM={m}", f"-DB={BLOCK}", f"-DLOG1P(e)={log}"]
        # Linked without -ffast-math: GCC would link code in that flushes subnormals in the whole process.
        for command in (
            [*flags, *defines, "-fPIC", "-c", str(source), "-o", str(obj)],
            ["-shared", str(obj), "-o", str(library), "-lmvec", "-lm"],
        ):
            subprocess.run([compiler() or "", *command], check=True, capture_output=True)
        found = ctypes.CDLL(str(library))
    found.loop.argtypes = [ctypes.c_double, ctypes.c_void_p, ctypes.c_long]
    found.lanes.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long]
    found.loop.restype = found.lanes.restype = None
    found.description = f"{log} {' '.join(flags)}"
    return found


@functools.cache
def fastest(m: int, function: str) -> Any:
    """The fastest of the libraries, by trial."""
    networks = Networks(np.ones(BLOCK), np.random.default_rng(0).standard_normal((BLOCK, m, 2)))

    def seconds(library: Any) -> float:
        build = c_loop_steps if function == "loop" else c_lanes_steps
        run = build(networks, 200, library)
        run()
        began = time.process_time()
        run()
        return time.process_time() - began

    return min(libraries(m), key=seconds)


def c_loop_steps(networks: Networks, num_steps: int, library: Any = None) -> Run:
    """One run after the other."""
    library = library or fastest(networks.W0.shape[1], "loop")

    def run() -> tuple[Any, ...]:
        W = networks.W0.copy()
        for lr, one in zip(networks.lr, W, strict=True):
            library.loop(lr, one.ctypes.data, num_steps)
        return (W,)

    return run


def c_lanes_steps(networks: Networks, num_steps: int, library: Any = None) -> Run:
    """Blocks of runs side by side."""
    library = library or fastest(networks.W0.shape[1], "lanes")
    m = networks.W0.shape[1]

    def run() -> tuple[Any, ...]:
        W = np.ascontiguousarray(networks.W0.reshape(-1, BLOCK, m, 2).transpose(0, 3, 2, 1))
        for lr, block in zip(networks.lr.reshape(-1, BLOCK), W, strict=True):
            library.lanes(lr.ctypes.data, block.ctypes.data, num_steps)
        return (W.transpose(0, 3, 2, 1).reshape(networks.W0.shape),)

    return run


RELAXED = "the fastest of strict and -ffast-math, log1p and log(1 + e), vector mathematics of 4 ulp"
ONE_RUN = [
    Peer("C loop", "cc", c_loop_steps, 1e-7, RELAXED),
    Peer("JAX autograd", "jax", jax_autograd_steps),
    Peer("JAX plain", "jax", jax_steps),
    Peer("NumPy", "numpy", numpy_steps),
]
MANY_RUNS = [
    Peer("JAX autograd", "jax", jax_autograd_steps),
    Peer("JAX plain", "jax", jax_steps),
    Peer("JAX expert", "jax", jax_expert_steps),
    Peer("C loop", "cc", c_loop_steps, 1e-7, RELAXED),
    Peer("C lanes", "cc", c_lanes_steps, 1e-7, RELAXED),
    Peer("NumPy", "numpy", numpy_steps),
]
