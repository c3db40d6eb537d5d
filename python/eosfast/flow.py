"""`gradient_flow`: the limit of gradient descent for small step sizes, integrated with error control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eosfast._dispatch import core
from eosfast.arguments import Integer, Real, finite_array, names
from eosfast.models.base import starting_point
from eosfast.progress import reporter
from eosfast.record import POINT_QUANTITIES, Record, check_quantities
from eosfast.resources import threads
from eosfast.results import Provenance, trajectory
from eosfast.train import checked_model, storage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray
    from numpy.typing import ArrayLike, NDArray

    from eosfast.models.base import Model

STATUS = ("completed", "budget", "stalled", "diverged", "interrupted", "pending")
"""Names of the core's status codes of a trajectory."""


def gradient_flow(
    model: Model,
    w0: ArrayLike | Mapping[str, ArrayLike] | None = None,
    *,
    times: ArrayLike,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    quantities: Sequence[str] = ("loss", "sharpness"),
    max_steps: int = 1_000_000,
    k: int = 1,
    tol: float = 1e-6,
    num_threads: int = 1,
    seed: int = 0,
    progress: bool = False,
) -> xarray.Dataset:
    """Integrate ``w' = -grad loss(w)`` from `w0` at time 0 and record quantities at `times`.

    Gradient descent with step size lr is at step t where the flow is at time ``lr t``, as long as the sharpness stays
    below ``2/lr``.

    Parameters
    ----------
    model : Model
        The loss landscape.
    w0 : array_like (dim,) or (runs, dim), mapping from block to value, or None
        The start at time 0, finite, or many; a mapping names every block. None = ``model.init(seed)``.
    times : array_like (times,)
        When to record, >= 0 and increasing; the steps of the integrator end exactly there. 0 is recorded only if it is
        among them.
    rtol, atol : float
        Each step's estimated error is at most ``atol + rtol |w_i|``, in the root mean square over the parameters; both
        > 0. Where a network is float32 its gradient is, and an `rtol` below 1e-6 makes more steps and nothing better.
    quantities : sequence of str
        Any of ``loss``, ``sharpness`` (with its certificate), ``hessian_eigs`` (the k largest), ``grad_norm``,
        ``weights``, ``weight_norm``, and the model's own, such as ``accuracy``.
    max_steps : int
        Steps that a trajectory may take, rejected ones included, >= 1.
    k : int
        How many eigenvalues ``hessian_eigs`` holds, >= 1, at most the model's `dim`.
    tol : float
        An eigenvalue counts as converged when its residual is at most this part of the largest in magnitude, > 0.
    num_threads : int
        Threads that share the starts, or the matrix products of a single network; 0 = all available. The results do not
        depend on it.
    seed : int
        Seed of ``model.init`` and of the search for eigenvectors, >= 0.
    progress : bool
        Show records made, speed and remaining time on stderr.

    Returns
    -------
    xarray.Dataset
        Dimension ``time``; of many starts ``(run, time)``. One variable for each quantity, as `train` has them. `attrs`
        hold ``status`` and ``num_steps`` (steps of the integrator), and ``config``, ``seed``, ... as of `train`. Of
        many starts ``status`` (int8, names in its attrs ``flag_meanings``) and ``num_steps`` are variables.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range; a record that does not fit into memory.

    Notes
    -----
    Status: ``completed``; ``budget`` max_steps were taken before the last time; ``stalled`` no step is small enough for
    the tolerance (it asks for more than double precision has, or the flow leaves every bound in finite time);
    ``diverged`` the gradient is not finite; ``interrupted`` Ctrl-C. Times that were not reached are left out, or NaN
    where there are many starts. A gradient that jumps (ReLU) costs some thirty steps a jump; where the flow slides
    along a jump, steps stay tiny and the budget ends it.

    Small models are integrated with Rodas5P, a linearly implicit Runge-Kutta method of order 5 that uses the exact
    Hessian: no stiffness (sharpness times duration) makes it slow. A step takes eight gradients and one Hessian; eight
    starts go side by side, each with its own time and step. Networks are integrated with the explicit method of Dormand
    and Prince, six gradients a step, and where ``sharpness / 3.3`` steps per unit of time, which it needs to be stable,
    are more than the tolerance asks for, with the second-order Runge-Kutta-Chebyshev method, if that takes fewer
    gradients: some ``1.3 sqrt(h sharpness)`` for a step h. A large `rtol` then pays.

    The results of a start do not depend on the others nor on the number of threads. The error of the result is
    proportional to the tolerances, and smaller where the flow contracts.

    References
    ----------
    Steinebach (2023), "Construction of Rosenbrock-Wanner method Rodas5P and numerical benchmarks within the Julia
    Differential Equations package", BIT Numerical Mathematics 63, 27.
    Dormand, Prince (1980), "A family of embedded Runge-Kutta formulae", Journal of Computational and Applied
    Mathematics 6, 19.
    Sommeijer, Shampine, Verwer (1998), "RKC: an explicit solver for parabolic PDEs", Journal of Computational and
    Applied Mathematics 88, 315.

    Examples
    --------
    The flow keeps ``y^2 - x^2``, so that it ends on the axis at the height ``sqrt(y0^2 - x0^2)``:

    >>> import eosfast as eos
    >>> flow = eos.gradient_flow(eos.SingleNeuron(), [0.3, 15.0], times=[0, 0.01, 1],
    ...                          quantities=("weights", "sharpness"))
    >>> float(flow.weights[-1, 1].round(6)), round((15**2 - 0.3**2) ** 0.5, 6)
    (14.997, 14.997)
    >>> flow.sharpness.values.round(2)
    array([  2.69,  13.6 , 224.91])
    """
    model = checked_model(model)
    at = checked_times(times)
    options = {
        "rtol": float(Real(above=0).check("rtol", rtol)),
        "atol": float(Real(above=0).check("atol", atol)),
        "max_steps": Integer(least=1).check("max_steps", max_steps),
    }
    record = _record(model, quantities, k, tol)
    seed = Integer().check("seed", seed)
    starts, many = _starts(model, w0, seed)
    given = {"model": model, "w0": starts if many else starts[0], "times": at, **options}
    rest = {"quantities": record.quantities, "k": record.k, "tol": record.tol}
    source = Provenance({"verb": "gradient_flow", **given, **rest}, seed, threads(num_threads))
    inner = np.array([model._inner(start) for start in starts])
    out = _storage(model, record, (len(starts), len(at)), inner.shape[1])
    with reporter(progress, len(starts) * len(at), "record") as poll:
        core.gradient_flow(
            model._prepared(),
            inner,
            np.array([model._null_norm(*pair) for pair in zip(starts, inner, strict=True)]),
            at,
            options,
            out,
            [name for name in record.quantities if name not in POINT_QUANTITIES],
            {"every": 0, "tol": float(record.tol), "seed": seed},
            source.num_threads,
            poll,
        )
        if poll:
            poll(int(out["rows"].sum()))
    if "weights" in out:
        kept = np.ones(len(at))
        whole = [model._whole(*parts, kept) for parts in zip(out["weights"], starts, inner, strict=True)]
        out["weights"] = np.array(whole).reshape(len(starts), len(at), model.dim)
    return _many(model, at, out, source) if many else _one(model, at, out, source)


def checked_times(times: ArrayLike) -> NDArray[np.float64]:
    """Return the argument `times` as a vector, or raise an error if it is not finite, increasing and >= 0."""
    at = finite_array("times", times)
    wanted = "times must be a vector of numbers >= 0 that increase"
    if at.ndim != 1 or not at.size:
        raise ValueError(f"{wanted}, got the shape {at.shape}")
    if at[0] < 0:
        raise ValueError(f"{wanted}, got {at[0]} at index 0")
    if np.any(at[1:] <= at[:-1]):
        i = int(np.argmax(at[1:] <= at[:-1]))
        raise ValueError(f"{wanted}, got {at[i]} and then {at[i + 1]} at index {i + 1}")
    return at


def _record(model: Model, quantities: object, k: object, tol: object) -> Record:
    record = Record(
        quantities=names("quantities", quantities),
        k=Integer(least=1).check("k", k),
        tol=Real(above=0).check("tol", tol),
    )
    check_quantities(record, model, POINT_QUANTITIES, of="")
    return record


def _starts(model: Model, w0: object, seed: int) -> tuple[NDArray[np.float64], bool]:
    """Return the starts as rows, and whether there may be many."""
    rows = getattr(w0, "ndim", None) if not isinstance(w0, (list, tuple)) else np.ndim(w0[0]) + 1 if w0 else 1
    if rows is None or rows < 2:
        return starting_point(model, w0, seed)[None], False
    starts = finite_array(f"w0 of {model!r}", w0)
    if starts.ndim != 2 or starts.shape[1] != model.dim or not len(starts):
        wanted = f"({model.dim},) or (runs, {model.dim}) with runs >= 1"
        raise ValueError(f"w0 must have shape {wanted} for {model!r}, got {starts.shape}")
    return starts, True


def _storage(model: Model, record: Record, shape: tuple[int, int], inner_dim: int) -> dict[str, NDArray[Any]]:
    out = storage(model, record, shape, inner_dim, "fewer times, starts or quantities")
    del out["step"]
    for array in out.values():
        array.fill(np.nan if array.dtype == np.float64 else 0)
    runs = shape[0]
    counts = {"rows": np.zeros(runs, np.int64), "num_steps": np.zeros(runs, np.int64)}
    return out | counts | {"status": np.full(runs, STATUS.index("pending"), np.int8)}


def _one(model: Model, times: NDArray[np.float64], out: dict[str, NDArray[Any]], source: Provenance) -> xarray.Dataset:
    rows, num_steps = (int(out.pop(name)[0]) for name in ("rows", "num_steps"))
    status = STATUS[int(out.pop("status")[0])]
    columns = {name: array[0, :rows] for name, array in out.items()}
    attrs = {"status": "interrupted" if status == "pending" else status, "num_steps": num_steps}
    return trajectory(model, ("time",), {"time": times[:rows], **columns}, attrs | source.attrs())


def _many(model: Model, times: NDArray[np.float64], out: dict[str, NDArray[Any]], source: Provenance) -> xarray.Dataset:
    del out["rows"]
    of_runs = {name: out.pop(name) for name in ("status", "num_steps")}
    unfinished = np.isin(of_runs["status"], [STATUS.index("interrupted"), STATUS.index("pending")])
    attrs = {"status": "interrupted" if unfinished.any() else "completed"}
    result = trajectory(model, ("run", "time"), {"time": times, **out}, attrs | source.attrs())
    flags = {"flag_values": np.arange(len(STATUS), dtype=np.int8), "flag_meanings": " ".join(STATUS)}
    return result.assign(
        status=("run", of_runs["status"], flags), num_steps=("run", of_runs["num_steps"], {"long_name": "steps taken"})
    )
