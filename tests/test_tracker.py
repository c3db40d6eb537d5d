"""The tracker of eigenvalues along trajectories against numpy.linalg.eigvalsh at every point of them."""

from __future__ import annotations

import numpy as np
import pytest

from eosfast._dispatch import core

DIM = 200


def rotation(seed, dim=DIM):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0]


def symmetric(seed, dim=DIM):
    matrix = np.random.default_rng(seed).standard_normal((dim, dim))
    return (matrix + matrix.T) / np.sqrt(8.0 * dim)  # spectrum in [-1, 1]


class Tracked:
    """What the tracker said of a list of matrices, beside the truth."""

    def __init__(self, matrices, k=1, tol=1e-3, seed=0):
        self.count = 0

        def matvec(matrix):
            def product(V):
                self.count += V.shape[1]
                return matrix @ V

            return product

        dim = len(matrices[0])
        results = core.track([matvec(matrix) for matrix in matrices], dim, k, tol, seed)
        self.values, self.vectors, self.residuals, self.converged = (
            np.array([result[part] for result in results]) for part in range(4)
        )
        self.matvecs = np.array([result[4] for result in results])
        self.exact = np.array([np.linalg.eigvalsh(matrix)[::-1][:k] for matrix in matrices])
        self.scale = np.array([np.abs(np.linalg.eigvalsh(matrix)).max() for matrix in matrices])[:, None]
        self.matrices, self.tol = matrices, tol

    def wrong(self):
        """Steps at which a converged value is not one of the k largest."""
        error = np.abs(self.values - self.exact) > 3.0 * self.tol * self.scale
        return np.flatnonzero((error & self.converged).any(axis=1))

    def check(self):
        """Everything converged and right, residuals true, every product counted."""
        assert self.converged.all()
        assert self.wrong().size == 0
        assert self.matvecs.sum() == self.count
        for matrix, values, vectors, residuals in zip(
            self.matrices, self.values, self.vectors, self.residuals, strict=True
        ):
            size = np.abs(matrix).max() or 1.0
            true = np.linalg.norm((matrix / size) @ vectors - vectors * (values / size), axis=0)
            np.testing.assert_allclose(residuals / size, true, atol=1e-11)
            np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), atol=1e-12)
        return self.matvecs[1:].mean()


def turned(spectra, seed=0):
    Q = rotation(seed, len(spectra[0]))
    return [(Q * spectrum) @ Q.T for spectrum in spectra]


def crossing(num_steps, speed=0.3):
    """The first two eigenvalues swap order, the eigenvectors stay."""
    bulk = np.linspace(-0.2, 0.4, DIM - 2)
    return turned([np.r_[1.0 - speed * t, 0.7 + speed * t, bulk] for t in np.linspace(0.0, 1.0, num_steps)])


@pytest.mark.parametrize("seed", range(5))
def test_a_crossing_is_noticed_at_once(seed):
    tracked = Tracked(crossing(150), seed=seed)
    assert tracked.check() < 2.2
    overtaken = np.argmax(np.abs(tracked.vectors[0, :, 0] @ tracked.vectors[:, :, 0].T) < 0.5)
    assert 75 <= overtaken <= 76  # 1 - 0.3 t = 0.7 + 0.3 t at t = 1/2, between steps 74 and 75


@pytest.mark.parametrize("k", [1, 2, 4])
def test_from_one_matrix_to_another(k):
    """H_t = (1 - t) A + t B: all eigenvectors turn, eigenvalues avoid each other."""
    A, B = (turned([np.r_[1.1, 0.9, 0.8, 0.6, np.linspace(-0.3, 0.3, DIM - 4)]], seed)[0] for seed in (1, 2))
    tracked = Tracked([(1.0 - t) * A + t * B for t in np.linspace(0.0, 1.0, 150)], k)
    assert tracked.check() < 3.5 * k


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("speed", [0.3, 3.0])
def test_a_riser_out_of_the_bulk_is_found(k, speed):
    """The tracker has never seen the eigenvector that passes all others."""
    bulk = np.linspace(-0.4, 0.4, DIM - 2)
    riser = np.eye(1, DIM - 2, 120)[0]
    matrices = turned([np.r_[1.0, 0.8, bulk + riser * speed * t] for t in np.linspace(0.0, 1.0, 300)])
    assert Tracked(matrices, k).check() < 2.5 * k + 0.5


def test_many_risers_through_a_dense_front():
    """Ten eigenvalues rise through others that lie 0.0075 apart: which is on top may be seen a few solves late."""
    rng = np.random.default_rng(0)
    speeds = np.where(np.arange(DIM) % 20 == 0, rng.uniform(0.5, 2.0, DIM), 0.0)
    start = np.linspace(-0.5, 1.0, DIM)
    tracked = Tracked(turned([start + speeds * t for t in np.linspace(0.0, 1.0, 300)]))
    assert tracked.wrong().size <= 3
    assert np.abs(tracked.values - tracked.exact).max() < 0.015


def test_at_the_edge_of_stability_a_solve_costs_two_products():
    """A matrix that swings with period two around a slow drift, three eigenvalues at the edge."""
    swing, drift = symmetric(3), symmetric(4)
    base = turned([np.r_[1.0, 0.99, 0.95, np.linspace(-0.1, 0.3, DIM - 3)]])[0]
    matrices = [base + 0.02 * (-1) ** t * swing + 2e-4 * t * drift for t in range(300)]
    assert Tracked(matrices).check() <= 2.5
    still = [base + 2e-4 * t * drift for t in range(300)]
    assert Tracked(still).check() <= 2.5
    one = turned([np.r_[1.0, np.linspace(-0.1, 0.5, DIM - 1)]])[0]
    alone = [one + 0.02 * (-1) ** t * swing + 2e-4 * t * drift for t in range(300)]
    assert Tracked(alone).check() <= 1.7


@pytest.mark.parametrize("k", [1, 3])
def test_random_walks(k):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        H = turned([np.r_[1.0, 0.97, 0.93, 0.9, 0.6, np.linspace(-0.6, 0.5, DIM - 5)]], seed)[0]
        matrices = []
        for _ in range(80):
            step = rng.standard_normal((DIM, 3))
            H = H + 2e-3 / np.sqrt(DIM) * (step * [1.0, 1.0, -1.0]) @ step.T / np.sqrt(DIM) * 10.0
            matrices.append(H)
        Tracked(matrices, k, seed=seed).check()


@pytest.mark.parametrize("unit", [1e-15, 1e15])
def test_the_unit_of_the_matrices_does_not_matter(unit):
    assert Tracked([unit * matrix for matrix in crossing(30)], 2).check() < 10


def test_a_matrix_that_grows_beyond_all_bounds():
    """As the Hessian of a network that diverges within a step."""
    Tracked([symmetric(i, 17) * unit for i, unit in enumerate([1.0, 1.5, 1e2, 1e14, 1e-3, 1.0])]).check()


def test_jumps():
    """From one step to the next a matrix that has nothing to do with the last."""
    matrices = [turned([np.r_[1.0 + 0.1 * i, 0.6, np.linspace(-1.0, 0.5, DIM - 2)]], i)[0] for i in range(20)]
    assert Tracked(matrices).check() < 40


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(
    "spectrum",
    [
        np.zeros(DIM),
        np.ones(DIM),
        np.r_[1.0, 1.0, 1.0, 0.5, np.zeros(DIM - 4)],
        np.r_[np.linspace(-50.0, -40.0, DIM - 4), 1.0, 0.9, 0.5, 0.4],
        -np.linspace(1.0, 2.0, DIM),
        np.linspace(-1.0, 1.0, 17),
        np.linspace(-1.0, 1.0, 9),
        np.r_[2.0, 1.0, 0.5],
        1e-200 * np.linspace(-1.0, 1.0, DIM) ** 9,
    ],
    ids=["zero", "identity", "repeated", "dominant negative", "negative", "dim 17", "dim 9", "dim 3", "tiny"],
)
def test_any_spectrum_standing_still(spectrum, k):
    Tracked(turned([spectrum] * 30), k).check()


def test_dimension_one():
    tracked = Tracked([np.array([[value]]) for value in (1.0, -2.0, 0.0)])
    np.testing.assert_array_equal(tracked.values[:, 0], [1.0, -2.0, 0.0])


def test_tight_tolerance():
    assert Tracked(crossing(40), tol=1e-9).check() > 2.0


def test_the_seed_alone_decides_the_bits():
    matrices = crossing(40)
    first, again, other = (Tracked(matrices, seed=seed) for seed in (1, 1, 2))
    assert first.values.tobytes() == again.values.tobytes()
    assert first.values.tobytes() != other.values.tobytes()


def test_it_recovers_from_products_that_are_not_finite():
    matrices = crossing(20)
    exact = [np.linalg.eigvalsh(matrix)[-1] for matrix in matrices]
    broken = [matrix if i not in (0, 7, 8) else np.full_like(matrix, np.nan) for i, matrix in enumerate(matrices)]
    results = core.track([lambda V, matrix=matrix: matrix @ V for matrix in broken], DIM, 1, 1e-3, 0)
    for i, (values, _, _, converged, _) in enumerate(results):
        assert bool(converged[0]) == (i not in (0, 7, 8))
        assert np.isnan(values[0]) if i in (0, 7, 8) else abs(values[0] - exact[i]) < 1e-3
