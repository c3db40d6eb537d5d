"""Activations of networks, with both derivatives and the constants that theorems ask for.

`activation` finds a plain one by its name; `HuberizedReLU` and `Leaky` take numbers. To the compiled core each is
``linear * u + gain * base(u)``, where `base` has the width `h` if it is the huberized relu.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from eosfast._dispatch import core
from eosfast.arguments import Choice, Real, numbers_array, objects, one_of, plain, shown
from eosfast.value_object import ValueObject, allowed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Elementwise = NDArray[np.float64] | float

__all__ = ["Activation", "HuberizedReLU", "Leaky", "activation"]


class _Suprema(NamedTuple):
    """Of |phi(u) - u phi'(u)|, of phi' from below and from above, and of |phi''|."""

    kappa: float
    least: float
    greatest: float
    smoothness: float


# The slopes of silu and gelu lie symmetrically about 1/2. Those of silu are extreme where u tanh(u/2) = 2, which gives
# kappa = u^2/4 - 1 and greatest = 1/2 + u/4; those of gelu at u = sqrt(2).
_SILU_TURN = 2.3993572805154677
_SILU_STEEPEST = 0.5 + 0.25 * _SILU_TURN
_GELU_STEEPEST = 0.5 * (1.0 + math.erf(1.0)) + math.exp(-1.0) / math.sqrt(math.pi)

_SUPREMA = {
    "identity": _Suprema(0.0, 1.0, 1.0, 0.0),
    "relu": _Suprema(0.0, 0.0, 1.0, math.inf),
    "tanh": _Suprema(1.0, 0.0, 1.0, 4.0 / math.sqrt(27.0)),
    "sigmoid": _Suprema(1.0, 0.0, 0.25, 1.0 / math.sqrt(108.0)),
    "softplus": _Suprema(math.log(2.0), 0.0, 1.0, 0.25),
    "silu": _Suprema(0.25 * _SILU_TURN**2 - 1.0, 1.0 - _SILU_STEEPEST, _SILU_STEEPEST, 0.5),
    "gelu": _Suprema(
        math.exp(-1.0) * math.sqrt(2.0 / math.pi), 1.0 - _GELU_STEEPEST, _GELU_STEEPEST, math.sqrt(2.0 / math.pi)
    ),
    "erf": _Suprema(1.0, 0.0, 2.0 / math.sqrt(math.pi), math.sqrt(8.0 / (math.pi * math.e))),
}
NAMES = tuple(_SUPREMA)


class Activation(ValueObject):
    """Base of the activations: small immutable objects, equal when they are the same function with the same numbers.

    Attributes
    ----------
    base : str
        Name of the function that is scaled: one of the plain activations, or ``"huberized_relu"``.
    linear, gain : float
        ``phi(u) = linear * u + gain * base(u)``; 0 and 1 but for `Leaky`.
    h : float
        Width of the quadratic piece of the huberized relu; 1 where there is none.

    Notes
    -----
    Values and derivatives are exact to a few units of the last place, also where they are subnormal; where two terms
    of a derivative cancel (``gelu'`` near -0.75, ``silu'`` near -1.28, ``silu''`` near 2.4, and sums of `Leaky`), of
    the last place of the larger term. No finite argument gives NaN; NaN gives NaN.

    References
    ----------
    Cai, Wu, Mei, Lindsey, Bartlett (2024), "Large stepsize gradient descent for non-homogeneous two-layer networks:
    margin improvement and fast optimization", arXiv 2406.08654: Assumptions 1 and 2, Examples 2.1 and 3.1.
    """

    base: str
    linear: float
    gain: float
    h: float

    def _evaluate(self, u: ArrayLike, derivative: int) -> Elementwise:
        array = numbers_array("u", u)
        result = core.activation(self.base, self.linear, self.gain, self.h, array)[derivative]
        return float(result) if result.ndim == 0 else result

    def value(self, u: ArrayLike) -> Elementwise:
        """Return ``phi(u)``, element by element.

        Parameters
        ----------
        u : array_like
            Any shape; NaN gives NaN.

        Returns
        -------
        ndarray or float
            An array of the shape of `u`; a float for a number.

        Raises
        ------
        TypeError
            `u` does not hold real numbers.

        Examples
        --------
        >>> import eosfast as eos
        >>> eos.activation("relu").value([-1.0, 2.0])
        array([0., 2.])
        """
        return self._evaluate(u, 0)

    def first(self, u: ArrayLike) -> Elementwise:
        """Return the derivative ``phi'(u)``, element by element; that of relu at 0 is 0.

        Parameters
        ----------
        u : array_like
            Any shape; NaN gives NaN.

        Returns
        -------
        ndarray or float
            An array of the shape of `u`; a float for a number.

        Raises
        ------
        TypeError
            `u` does not hold real numbers.
        """
        return self._evaluate(u, 1)

    def second(self, u: ArrayLike) -> Elementwise:
        """Return the second derivative ``phi''(u)``, element by element: 0 for relu everywhere, and ``1/h`` for the
        huberized relu at both ends of ``[0, h]``, where it jumps.

        Parameters
        ----------
        u : array_like
            Any shape; NaN gives NaN.

        Returns
        -------
        ndarray or float
            An array of the shape of `u`; a float for a number.

        Raises
        ------
        TypeError
            `u` does not hold real numbers.
        """
        return self._evaluate(u, 2)

    def _suprema(self) -> _Suprema:
        """Those of the base."""
        if self.base == "huberized_relu":
            return _Suprema(0.5 * self.h, 0.0, 1.0, 1.0 / self.h)
        return _SUPREMA[self.base]

    def _extreme_slopes(self) -> tuple[float, float]:
        """The ends of the range of phi', in any order."""
        s = self._suprema()
        return self.linear + self.gain * s.least, self.linear + self.gain * s.greatest

    @property
    def kappa(self) -> float:
        """``sup |phi(u) - u phi'(u)|``, how far phi is from homogeneous of degree 1 (Cai et al., Assumption 1C).

        For GELU it is ``2 / (e sqrt(2 pi)) = 0.293525``, at ``|u| = sqrt(2)``; Example 2.1 prints
        ``e**-0.5 / sqrt(2 pi) = 0.241971``, which is the supremum of ``|u| pdf(u)`` and too small.
        """
        return abs(self.gain) * self._suprema().kappa

    @property
    def lipschitz(self) -> float:
        """``sup |phi'(u)|`` (Assumption 1A: the network's gradient is bounded by ``lipschitz / sqrt(width)`` times the
        largest norm of a sample).
        """
        return max(map(abs, self._extreme_slopes()))

    @property
    def smoothness(self) -> float:
        """``sup |phi''(u)|``, the Lipschitz constant of phi' (Assumption 1B); infinite for relu, whose derivative
        jumps.
        """
        return abs(self.gain) * self._suprema().smoothness

    @property
    def least_slope(self) -> float:
        """``inf |phi'(u)|``, the alpha of Assumption 2, which asks for ``0 < alpha <= |phi'| <= 1``."""
        one, other = self._extreme_slopes()
        passes_zero = min(one, other) <= 0.0 <= max(one, other) and self.base != "relu"
        return 0.0 if passes_zero else min(abs(one), abs(other))


@dataclass(frozen=True, eq=False, repr=False)
class _Plain(Activation):
    """An activation without numbers; see `activation`."""

    base: str = field(metadata=allowed(Choice(NAMES)))
    linear = 0.0
    gain = 1.0
    h = 1.0

    def __repr__(self) -> str:
        return f"activation({self.base!r})"


def activation(phi: str | Activation) -> Activation:
    """Return the activation of that name; an activation passes through.

    ======== ============================================ ======== ========= ==========
    name     phi(u)                                       kappa    lipschitz smoothness
    ======== ============================================ ======== ========= ==========
    identity u                                            0        1         0
    relu     max(u, 0)                                    0        1         infinite
    tanh     tanh u                                       1        1         0.769800
    sigmoid  1 / (1 + exp(-u))                            1        0.25      0.096225
    softplus log(1 + exp(u))                              0.693147 1         0.25
    silu     u / (1 + exp(-u))                            0.439229 1.099839  0.5
    gelu     u (1 + erf(u / sqrt(2))) / 2                 0.293525 1.128904  0.797885
    erf      erf u                                        1        1.128379  0.967883
    ======== ============================================ ======== ========= ==========

    Parameters
    ----------
    phi : str or Activation
        A name from the table, or an activation: one from here, `HuberizedReLU` or `Leaky`.

    Returns
    -------
    Activation
        With the methods `value`, `first`, `second`, and the suprema `kappa`, `lipschitz`, `smoothness`.

    Raises
    ------
    ValueError
        There is no activation of that name.
    TypeError
        `phi` is neither a name nor an activation.

    References
    ----------
    Cai et al. (2024), arXiv 2406.08654, Assumption 1 and Example 2.1. The constants above are exact suprema; the
    paper prints bounds, most of them larger, and a kappa of gelu that is too small.

    Examples
    --------
    >>> import eosfast as eos
    >>> gelu = eos.activation("gelu")
    >>> gelu
    activation('gelu')
    >>> round(gelu.value(1.0), 6), round(gelu.first(1.0), 6), round(gelu.second(1.0), 6)
    (0.841345, 1.083315, 0.241971)
    >>> round(gelu.kappa, 6)
    0.293525
    """
    return OneActivation().check("activation", phi)


@dataclass(frozen=True)
class OneActivation:
    """The kind of a field that takes an activation or the name of one."""

    def check(self, name: str, value: Any) -> Activation:
        """Return the Activation."""
        value = plain(value)
        if isinstance(value, Activation):
            return value
        if not isinstance(value, str):
            raise TypeError(f"{name} must be an activation or the name of one, got {shown(value)}")
        if value not in NAMES:
            raise ValueError(
                f"{name} must be {one_of(value, NAMES)}, or an activation such as HuberizedReLU(h=1), got {value!r}"
            )
        return _Plain(str(value))

    def check_all(self, name: str, values: Any) -> NDArray[np.object_]:
        """Return an object array."""
        return objects([self.check(name, value) for value in values])


@dataclass(frozen=True, eq=False)
class HuberizedReLU(Activation):
    """The relu with a quadratic piece: 0 for ``u < 0``, ``u**2 / (2 h)`` on ``[0, h]``, ``u - h/2`` above.

    Its `kappa` is ``h/2``, its `lipschitz` 1, its `smoothness` ``1/h``.

    Parameters
    ----------
    h : float
        Width of the quadratic piece, > 0.

    Raises
    ------
    ValueError
        `h` is not finite or not positive.

    References
    ----------
    Cai et al. (2024), arXiv 2406.08654, Example 2.1.

    Examples
    --------
    >>> import eosfast as eos
    >>> eos.HuberizedReLU(h=0.5).value([-1.0, 0.25, 1.0])
    array([0.    , 0.0625, 0.75  ])
    """

    h: float = field(metadata=allowed(Real(above=0)))
    base = "huberized_relu"
    linear = 0.0
    gain = 1.0


@dataclass(frozen=True, eq=False, repr=False)
class Leaky(Activation):
    """``c * u + k * phi(u)``: an activation whose slope stays away from zero.

    ``Leaky(phi, c=0.5, k=0.125)`` with softplus, silu, gelu or `HuberizedReLU` is Example 3.1 of Cai et al. for their
    c = 1/2 (there ``k = (1 - c)/4``); their Figure 4 uses ``Leaky("softplus", c=0.5, k=0.5)``. A leaky `phi` is
    multiplied out: its numbers go into `c` and `k`, and the field `phi` is what it was made from.

    Parameters
    ----------
    phi : str or Activation
        A name of `activation`, or an activation.
    c : float
        Slope of the linear part, finite, of any sign.
    k : float
        Factor of `phi`, finite, of any sign.

    Raises
    ------
    ValueError
        There is no activation of that name, or `c` or `k` is not finite (also after multiplying out).
    TypeError
        `phi` is neither a name nor an activation.

    Notes
    -----
    `kappa` and `smoothness` are ``|k|`` times those of `phi`; `lipschitz` and `least_slope` follow from the least and
    the greatest slope of `phi`, ``max(|c + k inf phi'|, |c + k sup phi'|)`` for the first.

    References
    ----------
    Cai et al. (2024), arXiv 2406.08654, Assumption 2 and Example 3.1.

    Examples
    --------
    >>> import eosfast as eos
    >>> phi = eos.Leaky("softplus", c=0.5, k=0.125)
    >>> phi.lipschitz, phi.least_slope, phi.smoothness
    (0.625, 0.5, 0.03125)
    """

    phi: Activation = field(metadata=allowed(OneActivation()))
    c: float = field(metadata=allowed(Real()))
    k: float = field(metadata=allowed(Real()))

    def __init__(self, phi: str | Activation, c: float, k: float) -> None:
        self._set(phi=phi, c=c, k=k)
        self.__post_init__()  # phi becomes an object
        if isinstance(self.phi, Leaky):
            inner = self.phi
            self._set(phi=inner.phi, c=self.c + self.k * inner.c, k=self.k * inner.k)
            self.__post_init__()  # the products may have overflowed
        if self.k == 0:  # no function to evaluate, and no 0 * inf
            self._set(base="identity", linear=0.0, gain=float(self.c), h=1.0)
        else:
            self._set(base=self.phi.base, linear=float(self.c), gain=float(self.k), h=self.phi.h)

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        phi = self.phi.base if isinstance(self.phi, _Plain) else self.phi
        return f"Leaky({phi!r}, c={self.c!r}, k={self.k!r})"
