"""Stochastic Lanczos quadrature against moments, which it must reproduce exactly, and spectra that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

import eosfast as eos


def symmetric(dim, seed=0):
    matrix = np.random.default_rng(seed).standard_normal((dim, dim))
    return (matrix + matrix.T) / np.sqrt(2.0 * dim)


def test_quadrature_is_exact_for_low_moments():
    """`sum_i weight_i node_i^p = v' H^p v` for p <= 2 m - 1: with m = dim the weights are squared components of v."""
    matrix = symmetric(12)
    values, vectors = np.linalg.eigh(matrix)
    density = eos.spectral_density(matrix, num_vectors=3, num_matvecs=12, seed=5)
    np.testing.assert_allclose(density.node.values, np.tile(values, (3, 1)), atol=1e-12)
    few = eos.spectral_density(matrix, num_vectors=3, num_matvecs=4, seed=5)
    for p in range(8):
        moment = (few.weight * few.node**p).sum("node_index")
        np.testing.assert_allclose(moment, (density.weight * density.node**p).sum("node_index"), atol=1e-12)
    assert vectors.shape == (12, 12)


@pytest.mark.parametrize("dim", [1, 7, 400])
def test_weights_and_density_have_mass_one(dim):
    density = eos.spectral_density(symmetric(dim, 3), num_vectors=4, num_matvecs=30)
    assert density.node.dims == density.weight.dims == ("vector", "node_index")
    assert dict(density.sizes)["node_index"] == min(30, dim)
    np.testing.assert_allclose(density.weight.sum("node_index"), 1.0, atol=1e-13)
    assert (density.weight.values >= 0.0).all()
    assert float(density.density.integrate("eigenvalue")) == pytest.approx(1.0, abs=1e-9)
    assert density.attrs["matvecs"] == 4 * min(30, dim)
    assert density.attrs["seed"] == 0


def test_trace_moments_within_their_errors():
    matrix = symmetric(500)
    values = np.linalg.eigvalsh(matrix)
    density = eos.spectral_density(matrix, num_vectors=40, num_matvecs=20)
    for p in (1, 2, 3, 4):
        moments = (density.weight * density.node**p).sum("node_index").values
        error = moments.std(ddof=1) / np.sqrt(40)
        assert abs(moments.mean() - (values**p).mean()) < 4.5 * error


def test_semicircle():
    """A large symmetric Gaussian matrix has the density sqrt(4 - x^2) / (2 pi) (Wigner)."""
    density = eos.spectral_density(symmetric(1500, 1), num_vectors=8, num_matvecs=60)
    x = density.eigenvalue.values
    exact = np.sqrt(np.maximum(4.0 - x**2, 0.0)) / (2.0 * np.pi)
    difference = np.abs(density.density.values - exact)
    assert difference[np.abs(x) < 1.6].max() < 0.05
    assert np.sum(difference) * (x[1] - x[0]) < 0.06


@pytest.mark.parametrize("value", [0.0, 2.5, -3.0])
def test_exhausted_krylov_spaces(value):
    density = eos.spectral_density(value * np.eye(50), num_vectors=2, num_matvecs=10)
    np.testing.assert_allclose(density.node, value, atol=1e-12)
    np.testing.assert_allclose(density.weight.sum("node_index"), 1.0, atol=1e-13)
    assert float(density.density.integrate("eigenvalue")) == pytest.approx(1.0, abs=1e-9)


def test_two_eigenvalues_have_two_weights():
    values = np.r_[np.full(30, -1.0), np.full(70, 4.0)]
    density = eos.spectral_density(np.diag(values), num_vectors=200, num_matvecs=5, seed=1)
    high = density.weight.where(density.node > 1.5, 0.0).sum("node_index")
    assert float(high.mean()) == pytest.approx(0.7, abs=4.5 * float(high.std()) / np.sqrt(200))


def test_seeds_and_operators():
    matrix = symmetric(80)
    first = eos.spectral_density(matrix, num_vectors=2, num_matvecs=10, seed=1)
    again = eos.spectral_density(aslinearoperator(matrix), num_vectors=2, num_matvecs=10, seed=1)
    other = eos.spectral_density(matrix, num_vectors=2, num_matvecs=10, seed=2)
    np.testing.assert_allclose(first.node, again.node, atol=1e-12)
    assert not np.allclose(first.node, other.node)


def test_not_finite_products_are_data():
    class Broken:
        shape = (20, 20)

        def matvec(self, v):
            return np.full(20, np.nan)

    density = eos.spectral_density(Broken(), num_vectors=2, num_matvecs=5)
    assert np.isnan(density.node).all()
    assert np.isnan(density.density).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_vectors": 0, "num_matvecs": 5}, "num_vectors must be"),
        ({"num_vectors": 1, "num_matvecs": 0}, "num_matvecs must be"),
        ({"num_vectors": 1, "num_matvecs": 5, "seed": -1}, "seed must be"),
    ],
)
def test_bad_input(arguments, words):
    with pytest.raises(ValueError, match=words):
        eos.spectral_density(np.eye(3), **arguments)


def test_it_can_be_stored(tmp_path):
    eos.spectral_density(np.eye(5), num_vectors=1, num_matvecs=3).to_netcdf(tmp_path / "density.nc", engine="h5netcdf")
