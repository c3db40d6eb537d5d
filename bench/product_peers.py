"""Yardsticks for whole jobs on (x y - target)^2/2 in numba: many runs, for a bifurcation diagram and a basin map."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

import peers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peers import Run

BLOCK = 256
LOOK = 50
"""Steps between two looks at which runs of a block are still on their way."""
CONVERGED, ESCAPED = 1e-24, 1e12
"""Losses below and above which a run of a basin map is over."""


@functools.cache
def diagram_loop() -> Any:
    nb = peers.numba()

    @nb.njit(fastmath=True, error_model="numpy")
    def loop(lr: Any, x0: float, y0: float, num_steps: int, x_out: Any, y_out: Any) -> None:
        x, y, a = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
        for start in range(0, len(lr), BLOCK):
            size = min(BLOCK, len(lr) - start)
            x[:], y[:], a[:] = x0, y0, lr[start]
            a[:size] = lr[start : start + size]
            for _ in range(num_steps):
                for i in range(BLOCK):
                    g = a[i] * (x[i] * y[i] - 1.0)
                    x[i], y[i] = x[i] - g * y[i], y[i] - g * x[i]
            x_out[start : start + size], y_out[start : start + size] = x[:size], y[:size]

    return loop


@functools.cache
def plain_basin_loop() -> Any:
    nb = peers.numba()

    @nb.njit(error_model="numpy")
    def loop(lr: float, x0: Any, y0: Any, num_steps: int, x_out: Any, y_out: Any) -> None:
        for i in range(len(x0)):
            x, y = x0[i], y0[i]
            for _ in range(num_steps):
                r = x * y - 1.0
                loss = 0.5 * r * r
                if loss < CONVERGED or not loss < ESCAPED:
                    break
                g = lr * r
                x, y = x - g * y, y - g * x
            x_out[i], y_out[i] = x, y

    return loop


@functools.cache
def expert_basin_loop() -> Any:
    nb = peers.numba()

    @nb.njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, error_model="numpy")  # NaN and infinity are outcomes here
    def loop(lr: float, x0: Any, y0: Any, num_steps: int, x_out: Any, y_out: Any) -> None:
        x, y, index = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK, np.int64)
        age, waiting, active = np.empty(BLOCK, np.int64), 0, 0
        total = len(x0)
        while True:
            while active < BLOCK and waiting < total:  # free places take the next runs
                x[active], y[active], index[active], age[active] = x0[waiting], y0[waiting], waiting, 0
                active, waiting = active + 1, waiting + 1
            if active == 0:
                break
            for _ in range(LOOK):
                for i in range(BLOCK):
                    g = lr * (x[i] * y[i] - 1.0)
                    x[i], y[i] = x[i] - g * y[i], y[i] - g * x[i]
            kept = 0
            for i in range(active):
                r = x[i] * y[i] - 1.0
                loss = 0.5 * r * r
                if loss < CONVERGED or not loss < ESCAPED or age[i] + LOOK >= num_steps:
                    x_out[index[i]], y_out[index[i]] = x[i], y[i]
                else:
                    x[kept], y[kept], index[kept], age[kept] = x[i], y[i], index[i], age[i] + LOOK
                    kept += 1
            active = kept

    return loop


def diagram(lr: NDArray[np.float64], w0: tuple[float, float], num_steps: int) -> Run:
    """Blocks of 256 runs, the steps outside, the runs inside; every run does every step."""
    x, y = np.empty_like(lr), np.empty_like(lr)
    return lambda: (diagram_loop()(lr, *w0, num_steps, x, y), (x, y))[1]


def basin(loop: Any) -> Any:
    """A basin map with one of the loops: each run ends where it has converged or escaped."""

    def build(lr: float, x0: NDArray[np.float64], y0: NDArray[np.float64], num_steps: int) -> Run:
        x, y = np.empty_like(x0), np.empty_like(y0)
        return lambda: (loop()(lr, x0, y0, num_steps, x, y), (x, y))[1]

    return build


DIAGRAM = [peers.Peer("numba expert", "numba", diagram, 1e-7, "fastmath")]
BASIN = [
    peers.Peer("numba plain", "numba", basin(plain_basin_loop)),
    peers.Peer("numba expert", "numba", basin(expert_basin_loop), 1e-7, "fastmath; looks every 50 steps"),
]
