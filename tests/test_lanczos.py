"""`lanczos` against spectra that are known: turned diagonals, numpy.linalg.eigvalsh, other libraries' Hessians."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import eosfast as eos


class Reflected:
    """``R diag(values) R`` with a reflection R: any spectrum, no preferred axes, products of order dim. Counts them."""

    def __init__(self, values, seed=0):
        self.diagonal = np.asarray(values, dtype=float)
        self.shape = (self.diagonal.size,) * 2
        axis = np.random.default_rng(seed).standard_normal(self.diagonal.size)
        self.axis = axis / np.linalg.norm(axis)
        self.count = 0

    def reflect(self, v):
        return v - 2.0 * self.axis * np.einsum("i,i", self.axis, v)  # not @: its threads cost more than they give

    def matvec(self, v):
        self.count += 1
        return self.reflect(self.diagonal * self.reflect(v))

    def eigenvector(self, i):
        return self.reflect(np.eye(1, self.diagonal.size, i)[0])


def largest(values, k):
    return np.sort(values)[::-1][:k]


def assert_certified(spectrum, operator, tol):
    """Residuals are those of the vectors, vectors are orthonormal, and values that claim it are right."""
    scale = np.abs(operator.diagonal).max() or 1.0
    k = len(spectrum.values)
    products = np.column_stack([operator.matvec(v) for v in spectrum.vectors.T])
    residuals = np.linalg.norm(products / scale - spectrum.vectors * (spectrum.values / scale), axis=0)
    np.testing.assert_allclose(spectrum.residuals / scale, residuals, atol=1e-13)
    np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(k), atol=1e-12)
    assert (np.diff(spectrum.values) <= 0.0).all()
    exact = largest(operator.diagonal, k)
    assert (np.abs(spectrum.values - exact)[spectrum.converged] <= 2.0 * tol * scale).all()


SPECTRA = {
    "zero": np.zeros(300),
    "identity": np.ones(300),
    "one by one": [3.0],
    "two by two": [3.0, -4.0],
    "small": np.linspace(-2.0, 1.0, 40),
    "just iterative": np.linspace(-2.0, 1.0, 90),
    "low rank": np.r_[5.0, 3.0, np.zeros(998)],
    "repeated": np.r_[2.0, 2.0, 2.0, 1.0, np.linspace(-1.0, 0.5, 500)],
    "clustered": np.r_[1.0, 1.0 - 1e-6, 1.0 - 2e-6, 0.9, np.linspace(0.0, 0.6, 500)],
    "dominant negative": np.r_[-100.0, -90.0, np.linspace(0.0, 1.0, 300) ** 3],
    "all negative": -np.geomspace(1.0, 100.0, 300),
    "huge": 1e200 * np.linspace(0.0, 1.0, 300) ** 9,
    "tiny": 1e-200 * np.linspace(0.0, 1.0, 300) ** 9,
}


@pytest.mark.parametrize("k", [1, 3, 7])
@pytest.mark.parametrize("name", SPECTRA)
def test_known_spectra(name, k):
    operator = Reflected(SPECTRA[name])
    k = min(k, operator.shape[0])
    spectrum = eos.lanczos(operator, k, tol=1e-7, max_matvecs=3000)
    assert operator.count == spectrum.matvecs
    assert spectrum.converged.all()
    assert_certified(spectrum, operator, 1e-7)


@pytest.mark.parametrize("dim", [1, 2, 5, 64, 65, 130])
def test_all_eigenvalues(dim):
    values = np.random.default_rng(dim).standard_normal(dim)
    spectrum = eos.lanczos(Reflected(values), dim)
    assert spectrum.converged.all()
    np.testing.assert_allclose(spectrum.values, largest(values, dim), atol=1e-12)


def clustered_operator(dim):
    """Three eigenvalues within 1e-5, the next at 0.97."""
    return Reflected(np.r_[1.0, 1.0 - 5e-6, 1.0 - 1e-5, 0.97, np.linspace(0.0, 0.9, dim - 4)])


def wrong_sets(starts, tol, dim=20_000):
    """How many of the starts call a wrong set converged, and how many converge."""
    operator = clustered_operator(dim)
    wrong = done = 0
    for seed in starts:
        spectrum = eos.lanczos(operator, 3, tol=tol, seed=seed)
        wrong += int((spectrum.converged & (spectrum.values < 0.98)).any())
        done += int(spectrum.converged.all())
    return wrong, done


def test_a_cluster_is_never_taken_for_less():
    wrong, done = wrong_sets(range(50), 1e-3)
    assert wrong == 0
    assert done == 50
    assert wrong_sets(range(10), 1e-2)[0] == 0


@pytest.mark.slow
def test_a_cluster_is_never_taken_for_less_in_1000_starts():
    assert wrong_sets(range(1000, 2000), 1e-3, dim=4_000) == (0, 1000)


@pytest.mark.parametrize("tol", [1e-3, 1e-8])
@pytest.mark.parametrize("start", ["wrong eigenvector", "right eigenvector", "orthogonal to the answer"])
def test_a_start_vector_decides_nothing(start, tol):
    operator = Reflected(np.r_[1.1, 1.0, 0.95, np.linspace(-0.5, 0.9, 3000)])
    v0 = {
        "wrong eigenvector": operator.eigenvector(1),
        "right eigenvector": operator.eigenvector(0),
        "orthogonal to the answer": operator.eigenvector(1) + operator.eigenvector(5) + operator.eigenvector(700),
    }[start]
    for seed in range(10):
        spectrum = eos.lanczos(operator, v0=v0, tol=tol, seed=seed)
        assert spectrum.converged.all()
        assert spectrum.values[0] == pytest.approx(1.1, abs=tol)
        assert abs(spectrum.vectors[:, 0] @ operator.eigenvector(0)) > 0.9


@settings(max_examples=60)
@given(
    values=st.lists(st.sampled_from([-3.0, -1.0, 0.0, 0.5, 1.0, 1.0 - 1e-7, 2.0]), min_size=66, max_size=120),
    k=st.integers(1, 12),
    cap=st.integers(1, 200),
    seed=st.integers(0, 2**62),
)
def test_any_multiplicities_and_any_budget(values, k, cap, seed):
    """With few distinct eigenvalues, of any multiplicity, and any number of products allowed."""
    operator = Reflected(values, seed % 1000)
    spectrum = eos.lanczos(operator, k, max_matvecs=cap, seed=seed, tol=1e-9)
    assert spectrum.matvecs == operator.count <= cap
    known = ~np.isnan(spectrum.values)
    assert known.sum() == k or spectrum.matvecs < k + 1
    assert not spectrum.converged[~known].any()
    exact = largest(values, k)
    assert (np.abs(spectrum.values - exact)[spectrum.converged] < 1e-7).all()
    assert (spectrum.values[known] <= exact[known] + 1e-12).all()  # Cauchy interlacing


def test_the_budget_is_kept_and_what_there_is_returned():
    operator = Reflected(np.linspace(0.0, 1.0, 5000))
    spectrum = eos.lanczos(operator, 4, max_matvecs=33)
    assert spectrum.matvecs == operator.count == 33
    assert not spectrum.converged.any()
    assert np.isfinite(spectrum.values).all()
    assert_certified(spectrum, operator, 1e-8)


def test_the_same_seed_gives_the_same_bits():
    operator = Reflected(np.random.default_rng(1).standard_normal(700))
    first, again, other = (eos.lanczos(operator, 2, seed=seed) for seed in (3, 3, 4))
    assert first.vectors.tobytes() == again.vectors.tobytes()
    assert first.values.tobytes() == again.values.tobytes()
    assert first.vectors.tobytes() != other.vectors.tobytes()


def test_matrices_and_operators_of_all_kinds_agree():
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((200, 200))
    matrix = (matrix + matrix.T) / 20.0
    exact = np.linalg.eigvalsh(matrix)[::-1][:3]
    kinds = [
        matrix,
        matrix.tolist(),
        np.asfortranarray(matrix),
        sparse.csr_matrix(matrix),
        sparse.coo_array(matrix),
        aslinearoperator(matrix),
        LinearOperator((200, 200), matvec=lambda v: (matrix @ v).reshape(-1, 1), dtype=float),
    ]
    for kind in kinds:
        spectrum = eos.lanczos(kind, 3)
        np.testing.assert_allclose(spectrum.values, exact, rtol=1e-12)
        assert spectrum.converged.all()
        assert spectrum.matvecs < 200


def test_single_precision_gives_double_results():
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((300, 300))
    matrix = ((matrix + matrix.T) / 40.0).astype(np.float32)

    class Single:
        shape = matrix.shape
        dtype = np.float32

        def matvec(self, v):
            return matrix @ v.astype(np.float32)

    spectrum = eos.lanczos(Single(), 2, tol=1e-5)
    assert spectrum.converged.all()
    assert spectrum.values.dtype == spectrum.vectors.dtype == np.float64
    np.testing.assert_allclose(spectrum.values, np.linalg.eigvalsh(matrix.astype(float))[::-1][:2], rtol=1e-5)
    assert not eos.lanczos(Single(), 2, tol=1e-14, max_matvecs=400).converged.all()  # beyond its digits


@pytest.mark.parametrize("dim", [30, 300])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_products_that_are_not_finite_end_the_solve(dim, bad):
    class Broken(Reflected):
        def matvec(self, v):
            product = super().matvec(v)
            return np.full_like(product, bad) if self.count > 7 else product

    operator = Broken(np.linspace(0.0, 1.0, dim))
    spectrum = eos.lanczos(operator, 2)
    assert np.isnan(spectrum.values).all()
    assert not spectrum.converged.any()
    assert spectrum.matvecs == operator.count <= 30


@pytest.mark.parametrize("error", [ZeroDivisionError("by the operator"), KeyboardInterrupt()])
def test_exceptions_of_the_operator_pass_through(error):
    class Raising(Reflected):
        def matvec(self, v):
            if self.count == 5:
                raise error
            return super().matvec(v)

    with pytest.raises(type(error)) as caught:
        eos.lanczos(Raising(np.linspace(0.0, 1.0, 300)))
    assert caught.value is error


def test_matvec_may_keep_or_overwrite_what_it_is_given():
    operator = Reflected(np.linspace(-1.0, 1.0, 300))
    plain = eos.lanczos(operator, 2)

    class Overwriting(Reflected):
        def matvec(self, v):
            product = super().matvec(v)
            v[:] = np.nan
            return product

    assert eos.lanczos(Overwriting(np.linspace(-1.0, 1.0, 300)), 2).values.tobytes() == plain.values.tobytes()


class Shaped:
    def __init__(self, shape, result):
        self.shape, self.result = shape, result

    def matvec(self, v):
        return self.result


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: eos.lanczos(np.eye(3), 4), ValueError, "k must be an int from 1 to 3, got 4"),
        (lambda: eos.lanczos(np.eye(3), 0), ValueError, "k must be"),
        (lambda: eos.lanczos(np.eye(3), 1.5), TypeError, "k must be"),
        (lambda: eos.lanczos(np.eye(3), tol=0.0), ValueError, "tol must be"),
        (lambda: eos.lanczos(np.eye(3), tol=-1.0), ValueError, "tol must be"),
        (lambda: eos.lanczos(np.eye(3), max_matvecs=0), ValueError, "max_matvecs must be"),
        (lambda: eos.lanczos(np.eye(3), seed=-1), ValueError, "seed must be"),
        (lambda: eos.lanczos(np.eye(3), v0=np.ones(4)), ValueError, r"v0 must have shape \(3,\), got \(4,\)"),
        (lambda: eos.lanczos(np.eye(3), v0=[np.nan, 0, 0]), ValueError, "v0 must be finite"),
        (lambda: eos.lanczos(np.eye(3), v0=np.zeros(3)), ValueError, "v0 must not be zero"),
        (lambda: eos.lanczos(np.ones((2, 3))), ValueError, r"shape \(dim, dim\).*got \(2, 3\)"),
        (lambda: eos.lanczos(np.ones(3)), ValueError, r"shape \(dim, dim\)"),
        (lambda: eos.lanczos(np.ones((0, 0))), ValueError, r"shape \(dim, dim\)"),
        (lambda: eos.lanczos([[1.0, 2.0], [3.0, 4.0]]), ValueError, "must be symmetric"),
        (lambda: eos.lanczos(sparse.csr_matrix([[1.0, 2.0], [3.0, 4.0]])), ValueError, "must be symmetric"),
        (lambda: eos.lanczos([[1.0, np.inf], [np.inf, 4.0]]), ValueError, "must be finite"),
        (lambda: eos.lanczos(np.eye(3) * 1j), TypeError, "must be real"),
        (lambda: eos.lanczos(aslinearoperator(np.eye(3) * 1j)), TypeError, "must be real"),
        (lambda: eos.lanczos("matrix"), TypeError, "operator must be a square array, a sparse matrix"),
        (lambda: eos.lanczos(SimpleNamespace(shape=(3, 3))), TypeError, r"shape \(dim, dim\) and matvec"),
        (lambda: eos.lanczos(Shaped((3, 4), None)), ValueError, r"shape \(dim, dim\)"),
        (lambda: eos.lanczos(Shaped(None, None)), TypeError, "shape"),
        (lambda: eos.lanczos(Shaped((3, 3), np.ones(4))), ValueError, r"shape \(3,\), got \(4,\)"),
        (lambda: eos.lanczos(Shaped((3, 3), np.ones(3) * 1j)), TypeError, "real numbers, got complex128"),
    ],
)
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_hessian_operator_is_the_hessian():
    model = eos.ScalarProduct(depth=4)
    w = np.array([0.3, -1.2, 2.0, 0.7])
    operator = model.hessian_operator(w)
    w_before, w[:] = w.copy(), 0.0
    H = model.hessian(w_before)
    np.testing.assert_allclose(operator @ np.eye(4), H, rtol=1e-14)
    np.testing.assert_allclose(operator.T @ np.ones(4), H.sum(0), rtol=1e-13)
    np.testing.assert_allclose(eos.lanczos(operator, 2).values, np.linalg.eigvalsh(H)[:1:-1], rtol=1e-12)
    with pytest.raises(ValueError, match="w must have shape"):
        model.hessian_operator(np.ones(3))


# -------------------------------------------------------------------------------------------------- other people's HVPs


def test_hessian_of_a_pytorch_network():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    X, y = torch.randn(20, 4, dtype=torch.float64), torch.randn(20, dtype=torch.float64)

    def loss(w):
        hidden = torch.tanh(X @ w[:60].reshape(4, 15))
        return ((hidden @ w[60:] - y) ** 2).mean() / 2

    w = torch.randn(75, dtype=torch.float64)

    class Hessian:
        shape = (75, 75)

        def matvec(self, v):
            return torch.autograd.functional.vhp(loss, w, torch.as_tensor(v))[1]

    exact = torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, w)).numpy()[::-1]
    spectrum = eos.lanczos(Hessian(), 3)
    assert spectrum.converged.all()
    np.testing.assert_allclose(spectrum.values, exact[:3], atol=1e-10)

    class SingleHessian(Hessian):  # a float32 network that hangs on its graph
        def matvec(self, v):
            single = w.float().requires_grad_()
            double_loss = (
                (torch.tanh(X.float() @ single[:60].reshape(4, 15)) @ single[60:] - y.float()) ** 2
            ).mean() / 2
            (gradient,) = torch.autograd.grad(double_loss, single, create_graph=True)
            return torch.autograd.grad(gradient @ torch.as_tensor(v).float(), single, create_graph=True)[0]

    spectrum = eos.lanczos(SingleHessian(), 3, tol=1e-4)
    assert spectrum.converged.all()
    np.testing.assert_allclose(spectrum.values, exact[:3], rtol=1e-4)


def test_hessian_of_a_jax_function():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    X = np.random.default_rng(0).standard_normal((30, 80)).astype(np.float32)
    w = jnp.zeros(80)

    def loss(w):
        return jnp.mean(jax.nn.softplus(-X @ w))

    class Hessian:
        shape = (80, 80)

        def matvec(self, v):
            return jax.jvp(jax.grad(loss), (w,), (jnp.asarray(v, w.dtype),))[1]

    spectrum = eos.lanczos(Hessian(), 2, tol=1e-4)
    exact = np.linalg.eigvalsh(X.T.astype(float) @ X / (4 * 30))[::-1][:2]  # sigmoid'(0) = 1/4
    np.testing.assert_allclose(spectrum.values, exact, rtol=1e-4)
