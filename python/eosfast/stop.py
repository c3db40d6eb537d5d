"""When a run ends before its last step."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from eosfast.arguments import Flag, Real
from eosfast.value_object import ValueObject, allowed


@dataclass(frozen=True, eq=False)
class Stop(ValueObject):
    """Rules that end a run at the first step at which one holds, exactly there, whatever is recorded.

    Parameters
    ----------
    diverged : float
        End with status ``diverged`` when the loss is not finite or exceeds this, > 0; infinity leaves only the first.
    grad_norm : float, optional
        End with status ``converged`` when the norm of the gradient is below this, >= 0. None = never.
    loss : float, optional
        End with status ``converged`` when the loss is below this. None = never.
    steady : bool
        When the iterate repeats bitwise with a short period (a fixed point or a cycle), the rest of the run is known
        exactly and is filled in, not computed: status ``steady``, and the results are those of the whole run.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.Stop(grad_norm=1e-10)
    Stop(diverged=1000000000000.0, grad_norm=1e-10, loss=None, steady=True)
    """

    diverged: float = field(default=1e12, metadata=allowed(Real(above=0, infinite=True)))
    grad_norm: float | None = field(default=None, metadata=allowed(Real(least=0, optional=True)))
    loss: float | None = field(default=None, metadata=allowed(Real(optional=True)))
    steady: bool = field(default=True, metadata=allowed(Flag()))


def rules(stop: Stop) -> dict[str, float | bool]:
    """Return the rules as the compiled core takes them: NaN for a rule that is off."""
    never = float("nan")
    return {
        "diverged": min(float(stop.diverged), sys.float_info.max),  # a bound that infinity exceeds
        "grad_norm": never if stop.grad_norm is None else float(stop.grad_norm),
        "loss": never if stop.loss is None else float(stop.loss),
        "steady": stop.steady,
    }
