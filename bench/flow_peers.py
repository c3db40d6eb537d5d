"""The gradient flow by SciPy and by diffrax, at equal tolerances; each returns the weights at the last time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import solve_ivp

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RTOL, ATOL = 1e-8, 1e-10


def neuron_slope(_: float, w: NDArray[np.float64]) -> NDArray[np.float64]:
    """-grad sqrt(1 + (x y)^2)"""
    s = w[0] * w[1]
    return -s / np.sqrt(1 + s * s) * w[::-1]


def neuron_jacobian(_: float, w: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = w
    root = np.sqrt(1 + (x * y) ** 2)
    p, q = root**-3, x * y / root
    return -np.array([[p * y * y, p * x * y + q], [p * x * y + q, p * x * x]])


def scipy_neurons(starts: NDArray[np.float64], duration: float, method: str) -> Callable[[], NDArray[np.float64]]:
    """One start after the other, with the exact Jacobian where the method uses one."""
    jac = {"jac": neuron_jacobian} if method in ("LSODA", "Radau", "BDF") else {}

    def run() -> NDArray[np.float64]:
        ends = []
        for w0 in starts:
            found = solve_ivp(neuron_slope, (0, duration), w0, method=method, rtol=RTOL, atol=ATOL, **jac)
            ends.append(found.y[:, -1])
        return np.array(ends)

    return run


def diffrax_neurons(starts: NDArray[np.float64], duration: float) -> Callable[[], NDArray[np.float64]]:
    """All starts at once, compiled; Kvaerno's implicit method of order 5."""
    import diffrax
    import jax

    jax.config.update("jax_enable_x64", True)
    term = diffrax.ODETerm(lambda t, w, args: -jax.grad(lambda v: jax.numpy.sqrt(1 + (v[0] * v[1]) ** 2))(w))

    def solve(w0: jax.Array) -> jax.Array:
        control = diffrax.PIDController(rtol=RTOL, atol=ATOL)
        found = diffrax.diffeqsolve(
            term, diffrax.Kvaerno5(), 0.0, duration, 1e-3, w0, stepsize_controller=control, max_steps=100_000
        )
        return found.ys[0]

    many = jax.jit(jax.vmap(solve))
    return lambda: np.asarray(many(starts))
