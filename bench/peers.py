"""The yardsticks: the same trajectories with the tools a researcher would reach for otherwise.

Every tool comes in two forms: `plain`, what one writes first, and `expert`, the best that hours of tuning get from it
(blocks that stay in the cache, gradients and exponentials written out, relaxed floating point, unrolling, wide
registers). A `Peer` is built for one problem and returns a callable that does the whole work; compilation happens at
its first call. A tool that is not installed is named by `Peer.missing`, never imported at the top.

All compute in float64. `relaxed` says what an expert gave up for speed; `rtol` is what its results are held to.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import importlib.util
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Run = Callable[[], tuple[NDArray[np.float64], ...]]


@dataclass(frozen=True)
class Peer:
    """A yardstick: `build` takes the problem and returns the callable to time."""

    name: str
    needs: str
    build: Callable[..., Run]
    rtol: float = 1e-8
    relaxed: str = ""

    def missing(self) -> str:
        """What is missing to run it, empty if nothing."""
        if self.needs == "cc":
            return "" if compiler() else "no C compiler (cc, gcc or clang) on the PATH"
        found = importlib.util.find_spec(self.needs)
        return "" if found else f"{self.needs} is not installed (pip install {self.needs})"

    def about(self) -> dict[str, str]:
        """What belongs beside a measurement: the version of the tool, and what the peer gave up for speed."""
        version = compiler_version() if self.needs == "cc" else f"{self.needs} {importlib.metadata.version(self.needs)}"
        return {"peer": version, "relaxed": self.relaxed}

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


# ------------------------------------------------------------------------------------------------------------ the tools


@functools.cache
def jax() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def compiled(function: Callable[..., Any], *arguments: Any, wide: bool = False) -> Callable[[], Any]:
    """`function` compiled by JAX for these arguments, which are moved there first; `wide`: 512-bit registers."""
    arguments = jax().device_put(arguments)
    options = {"xla_cpu_prefer_vector_width": 512} if wide else None
    program = jax().jit(function).lower(*arguments).compile(compiler_options=options)
    return lambda: tuple(np.asarray(one) for one in jax().block_until_ready(program(*arguments)))


@functools.cache
def numba() -> Any:
    import numba

    return numba


@functools.cache
def fast_exp() -> Any:
    """e^x for |x| < 700 in numba, which has no vector mathematics of its own: a polynomial and an exponent."""
    nb = numba()

    @nb.extending.intrinsic
    def as_double(typing_context: Any, bits: Any) -> Any:
        from llvmlite import ir

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], ir.DoubleType())

        return nb.float64(nb.int64), generate

    @nb.njit(fastmath=True, inline="always")
    def exp(x: float) -> float:
        k = np.floor(x * 1.4426950408889634 + 0.5)
        r = x - k * 0.6931471805599453
        low = 1.0 + r * (1.0 + r * (1 / 2 + r * (1 / 6)))
        middle = 1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (1 / 5040)))
        high = 1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800)))
        r4 = r * r * r * r
        return (low + r4 * (middle + r4 * high)) * as_double((np.int64(k) + 1023) << 52)

    return exp


# ---------------------------------------------------------------------- many runs of f(x, y) = l(x y): sqrt and logcosh


def numpy_runs(loss: str, lr: Any, x0: Any, y0: Any, num_steps: int, block: int = 4096) -> Run:
    """Whole blocks at a time, in place."""

    def run() -> tuple[Any, ...]:
        x, y = x0.copy(), y0.copy()
        for start in range(0, len(x), block):
            u, v, a = x[start : start + block], y[start : start + block], lr[start : start + block]
            s, g = np.empty_like(u), np.empty_like(u)
            for _ in range(num_steps):
                np.multiply(u, v, out=s)
                if loss == "sqrt":
                    np.multiply(s, s, out=g)
                    g += 1.0
                    np.sqrt(g, out=g)
                    np.divide(s, g, out=g)
                else:
                    np.tanh(s, out=g)
                g *= a
                np.multiply(g, v, out=s)
                g *= u
                u -= s
                v -= g
        return x, y

    return run


def jax_slope(loss: str, exponential: bool = False) -> Callable[[Any], Any]:
    jnp = jax().numpy
    if loss == "sqrt":
        return lambda s: s / jnp.sqrt(1.0 + s * s)
    return (lambda s: 1.0 - 2.0 / (1.0 + jnp.exp(2.0 * s))) if exponential else jnp.tanh


def jax_autograd_runs(loss: str, lr: Any, x0: Any, y0: Any, num_steps: int) -> Run:
    """`jit(vmap(scan))` over `grad` of the loss as one writes it down."""
    jnp, lax = jax().numpy, jax().lax
    value = (lambda s: jnp.sqrt(1.0 + s * s)) if loss == "sqrt" else (lambda s: jnp.log(jnp.cosh(s)))
    grad = jax().grad(lambda w: value(w[0] * w[1]))

    def one(lr: Any, x: Any, y: Any) -> Any:
        return lax.scan(lambda w, _: (w - lr * grad(w), None), jnp.stack([x, y]), length=num_steps)[0]

    return compiled(lambda *a: tuple(jax().vmap(one)(*a).T), lr, x0, y0)


def jax_runs(
    loss: str, lr: Any, x0: Any, y0: Any, num_steps: int, *, expert: bool = False, block: int | None = None
) -> Run:
    """`jit(vmap(scan))` with l' written down; expert: blocks, two steps a turn, 512-bit registers."""
    lax, slope = jax().lax, jax_slope(loss, expert)

    def one(lr: Any, x: Any, y: Any) -> Any:
        def step(w: Any, _: Any) -> Any:
            g = lr * slope(w[0] * w[1])
            return (w[0] - g * w[1], w[1] - g * w[0]), None

        return lax.scan(step, (x, y), length=num_steps, unroll=2 if expert else 1)[0]

    runs = jax().vmap(one)
    if block is None:
        return compiled(runs, lr, x0, y0, wide=expert)
    blocks = [np.reshape(array, (-1, block)) for array in (lr, x0, y0)]
    run = compiled(lambda *a: lax.map(lambda b: runs(*b), a), *blocks, wide=True)
    return lambda: tuple(array.ravel() for array in run())


def jax_expert_runs(loss: str, lr: Any, x0: Any, y0: Any, num_steps: int) -> Run:
    block = next(size for size in range(1024, 0, -1) if len(lr) % size == 0)
    return jax_runs(loss, lr, x0, y0, num_steps, expert=True, block=block)


@functools.cache
def numba_loop(loss: str) -> Any:
    nb = numba()
    root = loss == "sqrt"

    @nb.njit(parallel=True, error_model="numpy")
    def loop(lr: Any, x0: Any, y0: Any, num_steps: int, x_out: Any, y_out: Any) -> None:
        for i in nb.prange(len(lr)):
            x, y, a = x0[i], y0[i], lr[i]
            for _ in range(num_steps):
                s = x * y
                g = a * (s / np.sqrt(1.0 + s * s) if root else np.tanh(s))
                x, y = x - g * y, y - g * x
            x_out[i], y_out[i] = x, y

    return loop


@functools.cache
def numba_blocks(loss: str, block: int) -> Any:
    nb = numba()
    root, exp = loss == "sqrt", fast_exp()

    @nb.njit(fastmath=True, error_model="numpy")
    def loop(lr: Any, x0: Any, y0: Any, num_steps: int, x_out: Any, y_out: Any) -> None:
        x, y, a = np.empty(block), np.empty(block), np.empty(block)
        for start in range(0, len(lr), block):
            size = min(block, len(lr) - start)
            x[:size], y[:size] = x0[start : start + size], y0[start : start + size]
            a[:size] = lr[start : start + size]
            for _ in range(num_steps):
                for i in range(block):
                    s = x[i] * y[i]
                    g = a[i] * (s / np.sqrt(1.0 + s * s) if root else 1.0 - 2.0 / (1.0 + exp(2.0 * s)))
                    x[i], y[i] = x[i] - g * y[i], y[i] - g * x[i]
            x_out[start : start + size], y_out[start : start + size] = x[:size], y[:size]

    return loop


def numba_runs(loss: str, lr: Any, x0: Any, y0: Any, num_steps: int) -> Run:
    """One run after the other in a parallel loop, here on one thread."""
    x, y = np.empty_like(x0), np.empty_like(y0)
    numba().set_num_threads(1)
    return lambda: (numba_loop(loss)(lr, x0, y0, num_steps, x, y), (x, y))[1]


def numba_expert_runs(loss: str, lr: Any, x0: Any, y0: Any, num_steps: int) -> Run:
    """Blocks of 256 runs, the steps outside, the runs inside, so that the compiler vectorises; tanh through an exp."""
    x, y = np.empty_like(x0), np.empty_like(y0)
    return lambda: (numba_blocks(loss, 256)(lr, x0, y0, num_steps, x, y), (x, y))[1]


RUNS = [
    Peer("NumPy", "numpy", numpy_runs),
    Peer("JAX autograd", "jax", jax_autograd_runs),
    Peer("JAX plain", "jax", jax_runs),
    Peer("JAX expert", "jax", jax_expert_runs, 1e-7, "tanh as 1 - 2/(1 + exp(2s)): absolute accuracy only near 0"),
    Peer("numba plain", "numba", numba_runs),
    Peer("numba expert", "numba", numba_expert_runs, 1e-7, "fastmath; tanh as 1 - 2/(1 + exp(2s))"),
]

# ------------------------------------------------------------------------------------------------- one run: a loop in C

C_LOOP = """
#include <math.h>
#define SLOPE_SQRT(s) ((s) / sqrt(1.0 + (s) * (s)))
#define SLOPE_TANH(s) tanh(s)
#define SLOPE_EXP(s) (1.0 - 2.0 / (1.0 + exp(2.0 * (s))))
void run(double lr, double *w, long num_steps) {
  double x = w[0], y = w[1];
  for (long t = 0; t < num_steps; ++t) {
    const double g = lr * SLOPE(x * y), old = x;
    x -= g * y;
    y -= g * old;
  }
  w[0] = x;
  w[1] = y;
}
"""


def compiler() -> str | None:
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def compiler_version() -> str:
    command = [compiler() or "", "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


@functools.cache
def c_loop(loss: str) -> Any:
    """The fastest of several C loops, by trial: strict and relaxed arithmetic, tanh of libm and through exp."""
    slopes = ["SLOPE_SQRT"] if loss == "sqrt" else ["SLOPE_TANH", "SLOPE_EXP"]
    flags = [["-O3", "-march=native"], ["-O3", "-march=native", "-ffast-math"]]
    candidates = [_c_function(slope, chosen) for slope in slopes for chosen in flags]
    seconds = []
    for run in candidates:
        w = (ctypes.c_double * 2)(0.03, 122.0)
        began = time.process_time()
        run(2e-4, w, 300_000)
        seconds.append(time.process_time() - began)
    return candidates[int(np.argmin(seconds))]


def _c_function(slope: str, flags: list[str]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        source, obj, library = (Path(folder) / f"loop.{end}" for end in ("c", "o", "so"))
        source.write_text(C_LOOP)
        # Linked without -ffast-math: GCC would link code in that flushes subnormals in the whole process.
        for command in (
            [*flags, f"-DSLOPE={slope}", "-fPIC", "-c", str(source), "-o", str(obj)],
            ["-shared", str(obj), "-o", str(library), "-lm"],
        ):
            subprocess.run([compiler() or "", *command], check=True, capture_output=True)
        run = ctypes.CDLL(str(library)).run
    run.argtypes, run.restype = [ctypes.c_double, ctypes.c_void_p, ctypes.c_long], None
    run.description = f"{slope} {' '.join(flags)}"
    return run


def c_one_run(loss: str, lr: float, x0: float, y0: float, num_steps: int) -> Run:
    loop = c_loop(loss)

    def run() -> tuple[Any, ...]:
        w = (ctypes.c_double * 2)(x0, y0)
        loop(lr, w, num_steps)
        return np.float64(w[0]), np.float64(w[1])

    return run


def one_of(many: Callable[..., Run]) -> Callable[..., Run]:
    """A peer for many runs, given one."""

    def build(loss: str, lr: float, x0: float, y0: float, num_steps: int) -> Run:
        run = many(loss, np.array([lr]), np.array([x0]), np.array([y0]), num_steps)
        return lambda: tuple(np.float64(values[0]) for values in run())

    return build


ONE_RUN = [
    Peer("C loop", "cc", c_one_run, 1e-7, "the fastest of strict and -ffast-math, libm's tanh and one through exp"),
    Peer("JAX plain", "jax", one_of(jax_runs)),
    Peer("numba plain", "numba", one_of(numba_runs)),
]
