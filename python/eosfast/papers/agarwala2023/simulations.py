"""The models, starts and runs behind the figures and checks. Nothing here knows what the result ought to be.

Curvature means lr times the largest eigenvalue of J J', for a loss ``|z|^2/2`` with J = dz/dw: the edge of stability is
at 2. A run counts as converged only if its residual is tiny and its curvature is below 2: while the curvature is still
above, a residual of any size grows again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eosfast import GD, MLP, Dataset, QuadraticRegression, Record, Stop, datasets, lanczos, sweep, theory, train
from eosfast.papers.runs import finished, tracked

if TYPE_CHECKING:
    import xarray as xr

CONVERGED, OSCILLATING, DIVERGED = 0, 1, 2
OUTCOMES = "converged oscillating diverged"
TINY = 1e-22
"""Loss below which one data point counts as fitted: z < 1.5e-11; rounding keeps it above about 1e-16/epsilon."""

# ------------------------------------------------------------------------------------------------------- one data point


def datum_model(epsilon: float, offset: float = 0.0) -> QuadraticRegression:
    """One data point with the eigenvalues 1 and -epsilon."""
    return QuadraticRegression.diagonal([1.0, -epsilon], offset)


def datum_run(
    z: float, T: float, epsilon: float, num_steps: int, every: int | ArrayLike = 1, offset: float = 0.0, lr: float = 1.0
) -> xr.Dataset:
    """A run from residual z and curvature T, both in units of lr: ``z`` and ``T`` over ``step``, in these units."""
    start = theory.two_mode_start(z, T, epsilon, offset, lr)
    steps = every if isinstance(every, int) else np.asarray(every, dtype=np.int64)
    record = Record(every=steps, quantities=("loss", "weights"))
    model = datum_model(epsilon, offset / lr)
    run = finished(train(model, start, GD(lr=lr), num_steps=num_steps, record=record, stop=Stop(steady=False)))
    first, second = run.weights.values.T
    residual = (first**2 - epsilon * second**2 - offset / lr) / 2.0
    return run.assign(
        z=("step", lr * residual), T=("step", lr * (first**2 + (epsilon * second) ** 2)), w=run.weights
    ).drop_vars("weights")


def datum_ends(
    z: ArrayLike, T: ArrayLike, epsilon: ArrayLike, offset: ArrayLike = 0.0, num_steps: int = 200_000
) -> NDArray[np.float64]:
    """Curvature at the end of runs from many starts, broadcast together, with lr = 1.

    NaN for those that diverge, do not converge, or do not exist.
    """
    z, T, epsilon, offset = np.broadcast_arrays(z, T, epsilon, offset)
    a, b = theory.mode_weights(z, T, epsilon, offset)
    exist = (a >= 0.0) & (b >= 0.0)
    ends = np.full(z.shape, np.nan)
    if not exist.any():
        return ends
    residuals, modes = z[exist], np.stack([a[exist], b[exist]], axis=-1)
    eigenvalues = np.stack([np.ones(exist.sum()), -epsilon[exist]], axis=-1)
    slopes = np.sqrt(np.abs(eigenvalues) * modes)  # J = (sqrt(a), sqrt(epsilon b))
    models = [
        QuadraticRegression(np.diag(q)[None], [y], j[None])
        for q, y, j in zip(eigenvalues, residuals, slopes, strict=True)
    ]
    stop = Stop(loss=TINY, diverged=1e6, steady=False)
    runs = finished(
        sweep(
            models[0],
            GD(lr=1.0),
            {"model": models},
            w0={"w": np.zeros(2)},
            num_steps=num_steps,
            measure=("loss", "weights"),
            stop=stop,
        )
    )
    jacobian = slopes + eigenvalues * runs.weights.values
    curvature = np.sum(jacobian**2, axis=-1)
    ends[exist] = np.where((runs.loss.values <= TINY) & (curvature < 2.0), curvature, np.nan)
    return ends


def datum_step_sizes(
    w0: ArrayLike, lrs: ArrayLike, epsilon: float, num_steps: int = 100_000
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Curvature lr ||J||^2 at the end of runs from one start w0 with different step sizes; NaN where they diverge.

    Also the largest residual at the end in units of lr, to see that they had ended.
    """
    lr = np.asarray(lrs, dtype=np.float64)
    model = datum_model(epsilon)
    stop = Stop(diverged=1e6, steady=False)
    runs = finished(
        sweep(
            model,
            GD(),
            {"lr": lr},
            w0={"w": np.asarray(w0, dtype=np.float64)},
            num_steps=num_steps,
            measure=("loss", "weights"),
            stop=stop,
        )
    )
    first, second = runs.weights.values.T
    diverged = runs.status.values == status_number(runs, "diverged")
    curvature = np.where(diverged, np.nan, lr * (first**2 + (epsilon * second) ** 2))
    return curvature, lr * np.sqrt(2.0 * runs.loss.values)


def catapult_path(z: float, T: float, num_steps: int) -> NDArray[np.float64]:
    """Residual and curvature (step, 2) of a run with the eigenvalues 1 and -1, lr = 1."""
    start = np.sqrt([(T + 2.0 * z) / 2.0, (T - 2.0 * z) / 2.0])  # w_1^2 - w_2^2 = 2 z, w_1^2 + w_2^2 = T
    model = QuadraticRegression.diagonal([1.0, -1.0])
    record = Record(every=1, quantities=("weights",))
    run = finished(train(model, start, GD(lr=1.0), num_steps=num_steps, record=record, stop=Stop(steady=False)))
    squares = run.weights.values**2
    return np.stack([(squares[:, 0] - squares[:, 1]) / 2.0, squares.sum(axis=1)], axis=-1)


def status_number(runs: xr.Dataset, name: str) -> int:
    """The number that stands for a status in ``runs.status``."""
    names = runs.status.attrs["flag_meanings"].split()
    return int(runs.status.attrs["flag_values"][names.index(name)])


# ----------------------------------------------------------------------------------------------------- many data points

D, P = 60, 120
"""Data points and parameters of the random models, as recalled from the paper's figures."""


def random_model(s: float, level: float, seed: int, size: tuple[int, int] = (D, P)) -> QuadraticRegression:
    """Independent normal z, J, Q (sigma_Q = 1) with ``sigma_z sqrt(D P) = s`` and a start near the curvature ``level``.

    ``2 s^2`` is the value of `sharpening_rate`, ``level`` that of `initial_curvature`.
    """
    sigma_J = math.sqrt(level / theory.initial_curvature(*size, 1.0))
    return QuadraticRegression.random(*size, sigma_z=s / math.sqrt(math.prod(size)), sigma_J=sigma_J, seed=seed)


def kernel(J: NDArray[np.float64]) -> NDArray[np.float64]:
    """J J' without BLAS, whose threads would then spin for longer than the product takes."""
    product: NDArray[np.float64] = np.einsum("ap,bp->ab", J, J)
    return product


def top_curvature(model: QuadraticRegression, w: ArrayLike) -> float:
    """Largest eigenvalue of J J', by LAPACK."""
    return float(np.linalg.eigvalsh(kernel(model.jacobian(w)))[-1])


def ends_of(
    models: list[QuadraticRegression], num_steps: int, loss: float | None = None, num_threads: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Loss and curvature at the end of a run of each random model, and which diverged; stopped below ``loss``."""
    stop = Stop(loss=loss, diverged=1e6 * max(model.loss(np.zeros(P)) for model in models), steady=False)
    runs = sweep(
        models[0],
        GD(lr=1.0),
        {"model": models},
        num_steps=num_steps,
        measure=("loss", "weights"),
        stop=stop,
        num_threads=num_threads,
    )
    weights = finished(runs).weights.values
    curvature = np.array([top_curvature(model, w) for model, w in zip(models, weights, strict=True)])
    return runs.loss.values, curvature, runs.status.values == status_number(runs, "diverged")


def random_ends(
    s: float, level: float, seeds: Sequence[int], num_steps: int, num_threads: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
    """Curvature at the end, outcome, and how many runs the loss alone would have called converged too early.

    First every run is stopped by its loss; where the curvature is then still above 2, it is run again without that
    stop.
    """
    models = [random_model(s, level, seed) for seed in seeds]
    tiny = 1e-12 * s**2 / (2.0 * P)  # a residual of 1e-6 of the start's
    loss, curvature, diverged = ends_of(models, num_steps, tiny, num_threads)
    early = np.flatnonzero((loss <= tiny) & ~(curvature < 2.0))
    if early.size:
        again = ends_of([models[k] for k in early], num_steps, None, num_threads)
        loss[early], curvature[early], diverged[early] = again
    outcome = np.full(len(models), OSCILLATING)
    outcome[(loss <= tiny) & (curvature < 2.0)] = CONVERGED
    outcome[diverged] = DIVERGED
    return curvature, outcome, int(early.size)


def random_map(
    s: ArrayLike, levels: ArrayLike, seeds: Sequence[int], num_steps: int, progress: bool = False
) -> xr.Dataset:
    """Ends of random models: ``curvature`` and ``outcome`` (level, s, seed), ``early`` (level, s)."""
    import xarray as xr

    s, levels = np.asarray(s, dtype=np.float64), np.asarray(levels, dtype=np.float64)
    shape = (len(levels), len(s), len(seeds))
    curvature, outcome = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    early = np.zeros(shape[:2], dtype=np.int64)
    for place in tracked(list(np.ndindex(*shape[:2])), progress, "random models"):
        ends = random_ends(float(s[place[1]]), float(levels[place[0]]), seeds, num_steps)
        curvature[place], outcome[place], early[place] = ends
    return xr.Dataset(
        {
            "curvature": (("level", "s", "seed"), curvature),
            "outcome": (("level", "s", "seed"), outcome, {"flag_values": [0, 1, 2], "flag_meanings": OUTCOMES}),
            "early": (("level", "s"), early),
        },
        {"level": levels, "s": s, "seed": np.asarray(seeds)},
        {"D": D, "P": P, "num_steps": num_steps},
    )


def random_run(s: float, level: float, seed: int, num_steps: int, every: int | ArrayLike = 1) -> xr.Dataset:
    """A run of a random model with lr = 1: loss, ``ntk_sharpness`` and ``z1``, the residual along its eigenvector."""
    steps = every if isinstance(every, int) else np.asarray(every, dtype=np.int64)
    record = Record(every=steps, quantities=("loss", "ntk_sharpness", "z1"))
    model = random_model(s, level, seed)
    stop = Stop(diverged=1e6 * model.loss(np.zeros(P)), steady=False)
    return finished(train(model, None, GD(lr=1.0), num_steps=num_steps, record=record, stop=stop))


def first_and_second_rate(model: QuadraticRegression) -> tuple[float, float, float]:
    """Largest eigenvalue of J J' at w = 0 and its first two derivatives by the time of gradient flow, exactly."""
    z, J = model.y, model.G
    K = kernel(J)
    speed = J - model.jacobian(z @ J)  # of J under the flow: -Q(J'z, .), and J(w) = J + Q(w, .)
    acceleration = J - model.jacobian(z @ speed - (K @ z) @ J)
    values, vectors = np.linalg.eigh(K)
    top = vectors[:, -1]
    row, first, second = top @ J, top @ speed, top @ acceleration
    mixing = (speed @ row + J @ first) @ vectors[:, :-1]  # K' in the eigenvectors of K
    bend = 2.0 * np.sum(mixing**2 / (values[-1] - values[:-1]))
    return float(values[-1]), float(2.0 * row @ first), float(2.0 * (row @ second + first @ first) + bend)


def rates_at_start(
    s: float, level: float, num_seeds: int, size: tuple[int, int] = (D, P), progress: bool = False
) -> NDArray[np.float64]:
    """`first_and_second_rate` of as many random models, (num_seeds, 3)."""
    seeds = tracked(list(range(num_seeds)), progress, "draws")
    return np.array([first_and_second_rate(random_model(s, level, seed, size)) for seed in seeds])


# ------------------------------------------------------------------------------------------------------- real networks

SAMPLES, WIDTHS, LR = 100, (32, 32), 0.22


def network() -> MLP:
    """Two hidden tanh layers on ten digits, centred, with a root mean square norm of 3; the targets are one-hot."""
    whole = datasets.digits(tuple(range(10)))
    some = np.random.default_rng(0).permutation(whole.n)[:SAMPLES]
    X = whole.X[some] - whole.X[some].mean(axis=0)
    return MLP(Dataset(3.0 * X / np.sqrt(np.mean(np.sum(X**2, axis=1))), whole.y[some]), WIDTHS, loss="mse")


def network_run(first: int, last: int, quantities: tuple[str, ...], every: int = 1) -> xr.Dataset:
    """Steps ``first`` to ``last`` of a run at the edge of stability, recorded every so many steps."""
    model = network()
    before = finished(train(model, None, GD(lr=LR), num_steps=first, record=Record(first, ("weights",)), seed=0))
    record = Record(every=every, quantities=quantities, tol=1e-6)
    run = finished(train(model, before.weights.values[-1], GD(lr=LR), num_steps=last - first, record=record))
    return run.assign_coords(step=first + run.step.values)


def top_directions(model: MLP, weights: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Eigenvector of the largest eigenvalue of J J' at each w, its sign continued from one to the next."""
    found: list[NDArray[np.float64]] = []
    for w in weights:
        v = lanczos(model.ntk_operator(w), tol=1e-8).vectors[:, 0]
        found.append(-v if found and found[-1] @ v < 0.0 else v)
    return found


def largest_curvature(model: MLP, w: NDArray[np.float64], u: NDArray[np.float64]) -> float:
    """Largest eigenvalue of ``sum_a u_a Hess f_a``."""
    return float(lanczos(model.curvature_operator(w, u), tol=1e-6).values[0])


# ------------------------------------------------------------------------------------------------------------ two steps


class TwoStepLaw(NamedTuple):
    """How the changes of the top mode over two steps compare with the model of one data point."""

    expected: NDArray[np.float64]
    """``2 y z_1``, y the mean excess over 2 of the two curvatures that the steps see."""
    change: NDArray[np.float64]
    """``z_1(t+2) - z_1(t)``"""
    square: NDArray[np.float64]
    """``z_1^2``"""
    excess_change: NDArray[np.float64]
    """``y(t+2) - y(t)``"""


def two_step_law(z1: ArrayLike, curvature: ArrayLike) -> TwoStepLaw:
    """Changes over two steps of the residual along the top eigenvector and of the curvature, at every step.

    The curvature itself jumps to and fro by O(z_1), which y takes out: two steps multiply z_1 by ``(1 - T_t) (1 -
    T_{t+1})``, about ``1 + 2 y`` with ``y = (T_t + T_{t+1})/2 - 2``.
    """
    z, T = np.asarray(z1, dtype=np.float64), np.asarray(curvature, dtype=np.float64)
    y = (T[:-1] + T[1:]) / 2.0 - 2.0
    z = z[:-1]
    return TwoStepLaw(2.0 * y[:-2] * z[:-2], z[2:] - z[:-2], z[:-2] ** 2, y[2:] - y[:-2])


def slope_and_correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope of ``y = slope x`` by least squares, and the correlation of x and y."""
    return float(x @ y / (x @ x)), float(np.corrcoef(x, y)[0, 1])
