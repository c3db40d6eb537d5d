"""Eigenvalues of Hessians and of other people's symmetric operators, with their certificates."""

from eosfast.spectrum.density import spectral_density
from eosfast.spectrum.eigenpairs import Spectrum, lanczos
from eosfast.spectrum.operators import hessian_operator, symmetric_operator

__all__ = ["Spectrum", "hessian_operator", "lanczos", "spectral_density", "symmetric_operator"]
