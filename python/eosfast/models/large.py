"""What models with many parameters share: their loss is a function of outputs f(w), each run has matrices of its own,
and eigenvalues come from products.

A subclass says how the compiled core is to be made (`_make`), and whether the loss is a multiple of ``|f - y|^2``
(`_squared`): then it has a residual.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from eosfast._dispatch import core
from eosfast.arguments import Integer, Real, numbers_array
from eosfast.models.base import Model
from eosfast.remembered import Remembered
from eosfast.spectrum import Spectrum, symmetric_operator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse.linalg import LinearOperator

    from eosfast._core import PreparedModel

_PREPARED: Remembered[PreparedModel] = Remembered()

KERNEL_QUANTITIES = ("ntk_sharpness", "ntk_eigs")
"""What can be recorded of the tangent kernel of any outputs."""

RESIDUAL_QUANTITIES = ("residual", "z1", "q1_max", "q1_min")
"""What can be recorded besides where the loss is a squared one."""

Method = TypeVar("Method", bound=Callable[..., Any])


def quiet(method: Method) -> Method:
    """Let a method compute with infinities and NaN as the core does: results that are not finite are data, and NumPy
    does not warn of them.
    """

    @functools.wraps(method)
    def call(*args: Any, **named: Any) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):
            return method(*args, **named)

    return cast("Method", call)


class LargeModel(Model):
    """Base of the networks and of the regression models."""

    @property
    def quantities(self) -> tuple[str, ...]:  # type: ignore[override]
        """What can be recorded besides what every model has.

        ``ntk_sharpness`` and ``ntk_eigs``, the largest and the k largest eigenvalues of the tangent kernel ``J J'``
        (unscaled: where the loss is a mean over n samples, 2/lr bounds them divided by n); and of a squared loss
        ``residual``, ``f - y``; ``z1 = v1 . (f - y)``, v1 the top eigenvector of the kernel; ``q1_max`` and ``q1_min``,
        the extreme eigenvalues of ``curvature_operator(w, v1)``. The sign of v1 is continued along a run and such that
        z1 >= 0 at first; in a sweep, where only the last iterate is looked at, z1 >= 0 there. NaN where an eigenvalue
        does not converge. With ``Record(tol=...)`` the vector v1 is solved for to tol/10: z1 has errors of that order,
        relative to the norm of the residual and to the gap between the first two eigenvalues.

        An eigenvalue of the kernel takes a few products with it, for it is tracked along the run like those of the
        Hessian; ``q1_max`` and ``q1_min`` take some 30 products each, since they start afresh at every record.

        From Agarwala, Pedregosa, Pennington (2022), arXiv 2210.04860.
        """
        return (*KERNEL_QUANTITIES, *RESIDUAL_QUANTITIES) if self._squared else KERNEL_QUANTITIES

    def _quantity_dim(self, name: str, k: int) -> tuple[str, int] | None:
        return {"residual": ("residual_dim", self._num_outputs), "ntk_eigs": ("eig", k)}.get(name)

    @property
    def _num_outputs(self) -> int:
        return core.num_outputs(self._prepared())

    @property
    def in_lanes(self) -> bool:
        """False: every run has its own matrices."""
        return False

    def lane_fields(self) -> tuple[str, ...]:
        """Return (): every run has its own matrices."""
        return ()

    def _make(self) -> PreparedModel:
        """Return the core's own form of the model, which is then remembered."""
        raise NotImplementedError

    def _prepared(self) -> PreparedModel:
        return _PREPARED.get(self, self._make)

    @property
    def _squared(self) -> bool:
        """Whether the loss is a multiple of ``|f - y|^2``."""
        return True

    # ------------------------------------------------------------------------------------------------------- spectrum

    def sharpness(self, w: ArrayLike, *, k: int = 1, tol: float = 1e-8, seed: int = 0) -> Spectrum:
        """Return the k largest (algebraic) eigenvalues of the Hessian at `w`, by block Lanczos on its products.

        Parameters
        ----------
        w : array_like, shape (dim,)
        k : int
            How many, from 1 to `dim`.
        tol : float
            A value is converged when its residual is at most `tol` times the largest in magnitude, > 0.
        seed : int
            Seed of the random start, >= 0.

        Returns
        -------
        Spectrum
            Values, vectors, residuals, flags and the number of products (at most the default of `eosfast.lanczos`); NaN
            and not converged where the Hessian is not finite.

        Raises
        ------
        ValueError
            `w` has the wrong shape, `k` is not in 1 ... `dim`, or `tol` is not positive.
        """
        k = Integer(least=1, most=self.dim).check("k", k)
        tol = float(Real(above=0).check("tol", tol))
        seed = Integer().check("seed", seed)
        inner = self._inner(self._weights(w))
        found = core.sharpness(self._prepared(), inner, min(k, inner.size), tol, seed)
        values, vectors, residuals, converged, matvecs = found
        if inner.size == self.dim:
            return Spectrum(values, vectors, residuals, converged, matvecs)
        if not np.isfinite(values).all():
            unknown = np.full(k, np.nan)
            return Spectrum(unknown, np.full((self.dim, k), np.nan), unknown.copy(), np.zeros(k, dtype=bool), matvecs)
        return self._with_zeros(k, values, vectors.T, residuals, converged, matvecs)

    def _with_zeros(
        self,
        k: int,
        values: NDArray[np.float64],
        rows: NDArray[np.float64],
        residuals: NDArray[np.float64],
        converged: NDArray[np.bool_],
        matvecs: int,
    ) -> Spectrum:
        """Return the spectrum of the whole Hessian, where the core runs in fewer coordinates than `dim`."""
        raise NotImplementedError

    # -------------------------------------------------------------------------------------------------------- outputs

    def residual(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return the residual ``f(w) - y`` of a squared loss.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        ndarray, shape (D,)
            One number for each output, in the order of the rows of `jacobian`.

        Raises
        ------
        ValueError
            `w` has the wrong shape, or the loss is not a squared one.
        """
        if not self._squared:
            raise ValueError(f"residual needs a model with a squared loss (loss='mse'), got {self!r}")
        return core.residual(self._prepared(), self._inner(self._weights(w)))

    def jacobian(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return the derivatives of the outputs with respect to the weights.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        ndarray, shape (D, dim)

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        """
        return self._outer(self._inner_jacobian(w))

    @quiet
    def ntk(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return the tangent kernel ``J J'`` of the outputs, J their `jacobian`.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        ndarray, shape (D, D)
            Symmetric.

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        """
        J = self._inner_jacobian(w)
        return J @ J.T

    def _inner_jacobian(self, w: ArrayLike) -> NDArray[np.float64]:
        inner = self._inner(self._weights(w))
        return core.vjp(self._prepared(), inner, np.eye(self._num_outputs))

    def ntk_operator(self, w: ArrayLike) -> LinearOperator:
        """Return the tangent kernel ``J J'`` at `w` as a SciPy operator, known by its products: two passes over the
        network for each.

        Parameters
        ----------
        w : array_like, shape (dim,)

        Returns
        -------
        scipy.sparse.linalg.LinearOperator
            Shape (D, D), float64, symmetric.

        Raises
        ------
        ValueError
            `w` has the wrong shape.
        ImportError
            SciPy is not installed.
        """
        prepared, inner = self._prepared(), self._inner(self._weights(w)).copy()

        def products(U: NDArray[np.float64]) -> NDArray[np.float64]:
            return core.jvp(prepared, inner, core.vjp(prepared, inner, U))

        return symmetric_operator("ntk_operator", self._num_outputs, products)

    def curvature_operator(self, w: ArrayLike, u: ArrayLike) -> LinearOperator:
        """Return ``sum_a u_a Hess f_a``, the curvature of the outputs along `u`, as a SciPy operator.

        The Hessian of ``|f - y|^2 / 2`` is ``J'J`` plus this operator along the residual.

        Parameters
        ----------
        w : array_like, shape (dim,)
        u : array_like, shape (D,)

        Returns
        -------
        scipy.sparse.linalg.LinearOperator
            Shape (dim, dim), float64, symmetric.

        Raises
        ------
        ValueError
            `w` or `u` has the wrong shape.
        ImportError
            SciPy is not installed.

        References
        ----------
        Agarwala, Pedregosa, Pennington (2022), "Second-order regression models exhibit progressive sharpening to the
        edge of stability", arXiv 2210.04860.
        """
        prepared, inner = self._prepared(), self._inner(self._weights(w)).copy()
        along = numbers_array("u", u).copy()
        if along.shape != (self._num_outputs,):
            raise ValueError(f"u must have shape ({self._num_outputs},) for {self!r}, got {along.shape}")

        def products(V: NDArray[np.float64]) -> NDArray[np.float64]:
            return self._outer(core.curvature(prepared, inner, along, self._inner(V)))

        return symmetric_operator("curvature_operator", self.dim, products)
