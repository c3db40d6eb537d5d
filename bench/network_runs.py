"""The problems of the network benchmarks, and the plain NumPy loop against which all tools are checked.

    f(x) = mean_j a_j phi(w_j.x),    L = mean_i log(1 + exp(-y_i f(x_i))),    W <- W - lr dL/dW,

the first layer alone is trained (`TwoLayerNetwork` as it stands by default). Steps are small enough for the runs to be
smooth: rounding errors do not grow, and after any number of steps the tools have to agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import erf, expit

import eosfast as eos

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray
    from numpy.typing import NDArray

EVERY_STEP = eos.Stop(steady=False)


@dataclass(frozen=True)
class Problem:
    """Data, fixed output weights, start and step size, in the precision to compute in. `phi` is "gelu", or "leaky":
    u/2 + softplus(u)/8.
    """

    X: NDArray[Any]
    y: NDArray[Any]
    a: NDArray[Any]
    W0: NDArray[Any]
    lr: float
    phi: str = "gelu"

    @property
    def sizes(self) -> tuple[int, int, int]:
        """n, d, m."""
        return *self.X.shape, len(self.a)

    @property
    def data(self) -> eos.Dataset:
        return eos.Dataset(self.X, self.y)

    def astype(self, dtype: str) -> Problem:
        cast = {name: getattr(self, name).astype(dtype) for name in ("X", "y", "a", "W0")}
        return replace(self, **cast)


def two_layer(n: int, d: int, m: int, *, seed: int = 0) -> Problem:
    """GELU on separable data, first layer from N(0, 1/d): the margin grows from the first step on."""
    data = eos.datasets.separable(n, d, margin=0.2, seed=seed)
    W0 = np.random.default_rng(seed).standard_normal((m, d)) / np.sqrt(d)
    return Problem(data.X, data.y, output_weights(m), W0, lr=2.0 * m)


def output_weights(m: int) -> NDArray[np.float64]:
    return np.where(np.arange(m) < (m + 1) // 2, 1.0, -1.0)


def slope(phi: str, U: NDArray[Any]) -> NDArray[Any]:
    """phi'(u)."""
    if phi == "leaky":
        return 0.5 + 0.125 * expit(U)
    return 0.5 * (1.0 + erf(U / np.sqrt(2.0))) + U * np.exp(-0.5 * U * U) / np.sqrt(2.0 * np.pi)


def value(phi: str, U: NDArray[Any]) -> NDArray[Any]:
    """phi(u)."""
    return 0.5 * U + 0.125 * np.logaddexp(0.0, U) if phi == "leaky" else 0.5 * U * (1.0 + erf(U / np.sqrt(2.0)))


def by_numpy(problem: Problem, num_steps: int) -> NDArray[np.float64]:
    """W after some steps, in float64: by the definition, and if there are many and d is large, by what the definition
    says about U = X W' and the sum of the coefficients of W in the samples.
    """
    X, y, a, W = (np.asarray(array, dtype=np.float64) for array in (problem.X, problem.y, problem.a, problem.W0))
    n, d, m = problem.sizes
    dual = num_steps > 10 and d > 10 * n
    U, K, S = X @ W.T, X @ X.T if dual else None, np.zeros((n, m))
    for _ in range(num_steps):
        f = value(problem.phi, U) @ a / m
        residual = -y * expit(-y * f) / n
        Z = residual[:, None] * a * slope(problem.phi, U) / m
        if dual:
            S -= problem.lr * Z
            U -= problem.lr * (K @ Z)
        else:
            W = W - problem.lr * Z.T @ X
            U = X @ W.T
    return W + S.T @ X if dual else W


def ours(problem: Problem, num_steps: int, **options: Any) -> Callable[[], xarray.Dataset]:
    """Our run of it, nothing recorded but the weights at the end."""
    activation = eos.Leaky("softplus", 0.5, 0.125) if problem.phi == "leaky" else "gelu"
    dtype = problem.X.dtype.name
    model = eos.TwoLayerNetwork(problem.data, len(problem.a), activation, dtype=dtype, **options.pop("model", {}))
    record = eos.Record(every=num_steps, quantities=("weights",))
    options = {"record": record, "stop": EVERY_STEP, "num_threads": 1} | options
    w0 = {"W": problem.W0}
    return lambda: eos.train(model, w0, eos.GD(problem.lr), num_steps=num_steps, **options)


def end(result: xarray.Dataset, problem: Problem) -> NDArray[np.float64]:
    """W at the end of a run."""
    return result.weights.values[-1].reshape(problem.W0.shape)


def check(W: Any, problem: Problem, num_steps: int, rtol: float) -> None:
    """W has to be where the definition ends, to `rtol` of the way from the start."""
    W = np.asarray(W, dtype=np.float64)
    expected = by_numpy(problem, num_steps)
    assert W.shape == expected.shape
    way = np.linalg.norm(expected - problem.W0)
    assert way > 0
    error = np.linalg.norm(W - expected)
    allowed = rtol * way + np.finfo(problem.X.dtype).eps * np.linalg.norm(expected)
    assert error <= allowed, f"{error / way:.2g} of the way, {rtol:.2g} allowed"
