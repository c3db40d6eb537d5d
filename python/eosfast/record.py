"""What is kept of a training run, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from eosfast.arguments import Integer, Real, names, one_of, plain, shown
from eosfast.value_object import ValueObject, allowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from eosfast.models.base import Model

POINT_QUANTITIES = ("loss", "sharpness", "hessian_eigs", "grad_norm", "weights", "weight_norm")
"""What can be said of a single point of every model."""

QUANTITIES = (*POINT_QUANTITIES, "relative_progress", "directional_smoothness", "distance_to_flow")
"""What can be recorded of every model, besides the model's own quantities."""


@dataclass(frozen=True, eq=False)
class Record(ValueObject):
    """What `train` records, and at which steps. Step 0 (the start) and the last step are always recorded with an int or
    "log2".

    Parameters
    ----------
    every : int, "log2", or increasing array of int
        Record every so many steps (>= 1), at the steps 0, 1, 2, 4, 8, ..., or at the given ones. The last step of the
        run is recorded besides.
    quantities : sequence of str
        Any of ``loss``, ``sharpness`` (the largest eigenvalue of the Hessian, with its certificate), ``hessian_eigs``
        (the k largest; it is ``sharpness`` that has the certificate of the first), ``grad_norm``, ``weights``,
        ``weight_norm``, ``relative_progress`` and ``directional_smoothness`` (see Notes), ``distance_to_flow`` (from
        the gradient flow at the matched time), and the model's own: ``model.quantities``, such as ``accuracy``,
        ``margin``, ``ntk_sharpness``.
    sharpness_every : int, optional
        Solve for eigenvalues, of Hessians and tangent kernels, only at recorded steps that are multiples of it; NaN in
        between. None = at every recorded step.
    k : int
        How many eigenvalues ``hessian_eigs`` and ``ntk_eigs`` hold, >= 1, at most the model's `dim`, or the number of
        its outputs.
    tol : float
        An eigenvalue counts as converged when its residual is at most this part of the largest in magnitude, > 0.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range, steps that do not increase, a quantity named twice. Names are checked by `train`,
        which knows the model.

    Notes
    -----
    Two quantities look one plain gradient step ahead, ``w+ = w - lr g``, with the `lr` of whatever optimizer there is;
    the run itself is not moved, and the price is two more gradients:

    * ``relative_progress`` = ``(f(w+) - f(w)) / (lr |g|^2)``: -1 + lr h/2 on a quadratic of curvature h, about 0 at the
      edge of stability. The rounding errors of f come out magnified by ``1/(lr |g|^2)``.
    * ``directional_smoothness`` = ``<g, g - g(w+)> / (lr |g|^2)``: the mean curvature along the step, about 2/lr at the
      edge.

    Both are NaN where the gradient vanishes.

    References
    ----------
    Ahn, Zhang, Sra (2022), "Understanding the unstable convergence of gradient descent", arXiv 2204.01050 (relative
    progress and directional smoothness).

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.Record(every=100, quantities=("loss", "sharpness"))
    Record(every=100, quantities=('loss', 'sharpness'), sharpness_every=None, k=1, tol=0.001)
    """

    every: int | str | NDArray[np.int64] = 1
    quantities: Sequence[str] = ("loss",)
    sharpness_every: int | None = field(default=None, metadata=allowed(Integer(least=1, optional=True)))
    k: int = field(default=1, metadata=allowed(Integer(least=1)))
    tol: float = field(default=1e-3, metadata=allowed(Real(above=0)))

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "every", _checked_every(self.every))
        object.__setattr__(self, "quantities", names("quantities of Record", self.quantities))


def check_quantities(
    record: Record, model: Model, common: tuple[str, ...] = QUANTITIES, of: str = " of Record"
) -> None:
    """Raise an error if `record` is no Record, or if a quantity of it is neither `common` to all models nor one of
    `model`, or if there are fewer than k eigenvalues.
    """
    if not isinstance(record, Record):
        raise TypeError(f"record must be a Record, got {shown(record)}")
    valid = (*common, *model.quantities)
    for quantity in record.quantities:
        if quantity not in valid:
            raise ValueError(f"quantities{of} must be among {one_of(quantity, valid)}, got {quantity!r}")
    if "hessian_eigs" in record.quantities and record.k > model.dim:
        raise ValueError(f"k{of} must be at most {model.dim}, the dim of {model!r}, got {record.k}")
    if "ntk_eigs" in record.quantities and record.k > model._num_outputs:
        raise ValueError(
            f"k{of} must be at most {model._num_outputs}, the number of outputs of {model!r}, got {record.k}"
        )


def steps_to_record(record: Record, num_steps: int) -> int | NDArray[np.int64]:
    """Return a period, or an increasing array of steps; ValueError if one lies beyond the end."""
    every = record.every
    if isinstance(every, int):
        return every
    if isinstance(every, str):
        powers = [2**i for i in range(64) if 2**i < num_steps]
        return np.array([0, *powers, num_steps] if num_steps else [0], dtype=np.int64)
    if every[-1] > num_steps:
        raise ValueError(f"every of Record must hold steps from 0 to num_steps = {num_steps}, got {every[-1]}")
    return every


def rows_needed(steps: int | NDArray[np.int64], num_steps: int) -> int:
    """Return the number of records that a run of `num_steps` makes at most."""
    if isinstance(steps, int):
        return num_steps // steps + 1 + (num_steps % steps > 0)
    return len(steps) + (int(steps[-1]) < num_steps)


def _checked_every(every: object) -> int | str | NDArray[np.int64]:
    every = plain(every)
    wanted = "an int >= 1, 'log2', or an increasing array of int >= 0"
    if isinstance(every, str):
        if every != "log2":
            raise ValueError(f"every of Record must be {wanted}, got {every!r}")
        return every
    if isinstance(every, (int, bool)):
        try:
            return int(Integer(least=1).check("every of Record", every))
        except (TypeError, ValueError) as error:
            raise type(error)(f"every of Record must be {wanted}, got {shown(every)}") from None
    steps = np.asarray(every)
    if steps.dtype.kind not in "iu" and steps.size:
        raise TypeError(f"every of Record must be {wanted}, got {shown(every)}")
    if steps.ndim != 1 or not steps.size or steps[0] < 0 or np.any(steps[1:] <= steps[:-1]):
        raise ValueError(f"every of Record must be {wanted}, got {shown(every)}")
    steps = steps.astype(np.int64)
    steps.setflags(write=False)
    return steps
