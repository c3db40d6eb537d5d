"""Data: what a Dataset holds, and what the generators draw."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import nnls

import eosfast as eos
from eosfast.datasets import chebyshev, from_recipe, separable, sparse_coding, teacher, two_point, wu2024, xor

MADE = [
    sparse_coding(n=5, d=4, seed=2),
    xor(dim=3),
    separable(n=5, d=3, margin=0.2, seed=2),
    two_point(0.05),
    wu2024(),
    chebyshev(degree=3, n=10),
    teacher(n=5, d=3, width=2, seed=2),
    eos.datasets.digits(classes=(3, 8), n=20),
]


def test_a_dataset_is_a_read_only_copy_in_float64():
    X, y = np.arange(6).reshape(2, 3), np.array([1, -1], dtype=np.int8)
    data = eos.Dataset(X, y)
    X[0, 0] = 99
    assert (data.n, data.d) == (2, 3)
    assert data.X.dtype == data.y.dtype == np.float64
    assert data.X[0, 0] == 0
    for array in (data.X, data.y, pickle.loads(pickle.dumps(data)).X, copy.deepcopy(data).y):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_several_outputs():
    data = eos.Dataset(np.ones((4, 2)), np.ones((4, 3)))
    assert data.y.shape == (4, 3)
    assert repr(data) == "Dataset(n=4, d=2, c=3)"


def test_datasets_are_equal_when_their_arrays_are():
    made = sparse_coding(n=5, d=4, seed=2)
    plain = eos.Dataset(made.X, made.y)
    assert plain == made
    assert hash(plain) == hash(made)
    assert plain != eos.Dataset(made.X + 1, made.y)
    assert plain != eos.Dataset(made.X, 2 * made.y)
    assert plain != eos.Dataset(made.X, made.y[:, None])
    assert eos.Dataset([[0.0]], [1.0]) == eos.Dataset([[-0.0]], [1.0])
    assert hash(eos.Dataset([[0.0]], [1.0])) == hash(eos.Dataset([[-0.0]], [1.0]))


def test_a_generated_dataset_remembers_how_it_was_made():
    made = sparse_coding(n=5, d=4, signal=2.0, seed=2)
    recipe = {"name": "sparse_coding", "n": 5, "d": 4, "signal": 2.0, "noise": 1.0, "seed": 2}
    assert made.recipe == recipe
    assert pickle.loads(pickle.dumps(made)).recipe == recipe
    assert repr(made) == "sparse_coding(n=5, d=4, signal=2.0, noise=1.0, seed=2)"
    assert eval(repr(made), {"sparse_coding": sparse_coding}) == made
    assert made.with_seed(9) == sparse_coding(n=5, d=4, signal=2.0, seed=9)
    plain = eos.Dataset(made.X, made.y)
    assert plain.recipe is None
    assert plain.with_seed(9) is plain
    assert repr(plain) == "Dataset(n=5, d=4)"


@pytest.mark.parametrize("made", MADE, ids=repr)
def test_every_generator_leaves_a_recipe(made):
    assert from_recipe(made.recipe) == made
    assert eval(repr(made), dict(vars(eos.datasets))) == made
    copied = pickle.loads(pickle.dumps(made))
    assert (copied, copied.recipe) == (made, made.recipe)
    again = made.with_seed(11)
    assert (again == made) == (not made.random)
    assert again.recipe == made.recipe | ({"seed": 11} if made.random else {})
    assert again.with_seed(2) == made
    for array in (made.X, made.y):
        assert array.dtype == np.float64
        assert not array.flags.writeable


def test_every_generator_is_in_the_list_above():
    names = set(eos.datasets.__all__) - {"Dataset", "from_recipe", "cifar10"}
    assert {made.recipe["name"] for made in MADE} == names


@pytest.mark.parametrize(
    ("recipe", "error", "words"),
    [
        ({"name": "xro"}, ValueError, ["name", "'xro'", "did you mean 'xor'"]),
        ({"dim": 2}, ValueError, ["name", "'xor'", "None"]),
        ({"name": "xor", "dims": 2}, ValueError, ["xor", "'dims'", "did you mean 'dim'"]),
        ({"name": "separable", "n": 3, "margin": 0.1}, ValueError, ["separable", "needs d"]),
        ({"name": "xor", "dim": 0}, ValueError, ["dim", "from 1 to 20", "0"]),
        ("xor", TypeError, ["mapping", "'xor'"]),
    ],
)
def test_wrong_recipes_are_refused(recipe, error, words):
    with pytest.raises(error) as caught:
        from_recipe(recipe)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_data_of_a_sweep_are_drawn_anew_for_each_seed():
    model = eos.ThresholdNeuron(separable(n=20, d=6, margin=0.1, seed=100))
    result = eos.sweep(model, eos.GD(lr=0.5), {"seed": [3, 4]}, num_steps=3, measure=("loss",))
    for seed in (3, 4):
        own = eos.ThresholdNeuron(separable(n=20, d=6, margin=0.1, seed=seed))
        assert result.loss.sel(seed=seed) == eos.train(own, optimizer=eos.GD(lr=0.5), num_steps=3, seed=seed).loss[-1]


def test_sparse_coding_is_a_signal_in_one_coordinate_and_noise_in_all():
    data = sparse_coding(n=2000, d=50, signal=0.0, noise=2.0, seed=1)
    strong = sparse_coding(n=2000, d=50, signal=7.0, noise=2.0, seed=1)
    np.testing.assert_array_equal(data.y, strong.y)
    assert set(np.unique(data.y)) == {-1.0, 1.0}
    assert abs(data.y.mean()) < 0.1
    signal = strong.X - data.X
    np.testing.assert_array_equal((np.abs(signal) > 1).sum(axis=1), 1)
    np.testing.assert_allclose(signal.sum(axis=1), 7.0 * data.y, rtol=1e-12)
    counts = (np.abs(signal) > 1).sum(axis=0)
    assert counts.min() > 10
    assert counts.max() < 80
    assert data.X.std() == pytest.approx(2.0, rel=0.01)
    assert abs(data.X.mean()) < 0.02


def test_sparse_coding_depends_on_the_seed_alone():
    assert sparse_coding(seed=4) == sparse_coding(n=300, d=200, signal=3.0, noise=1.0, seed=4)
    assert sparse_coding(n=10, d=3, seed=4) != sparse_coding(n=10, d=3, seed=5)
    assert sparse_coding(n=10, d=3) == eos.datasets.sparse_coding(10, 3, seed=0)


def test_sparse_coding_without_noise_is_the_code():
    data = sparse_coding(n=20, d=5, signal=3.0, noise=0.0)
    np.testing.assert_array_equal(np.sort(data.y[:, None] * data.X, axis=1), np.tile([0, 0, 0, 0, 3.0], (20, 1)))


# ------------------------------------------------------------------------------------------------- sets without chance


def test_xor_in_two_dimensions_is_that_of_the_paper():
    data = xor()
    np.testing.assert_array_equal(data.X, [[-1, -1], [1, 1], [1, -1], [-1, 1]])
    np.testing.assert_array_equal(data.y, [1, 1, -1, -1])


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_xor_has_every_sign_vector_once_with_the_product_of_its_signs(dim):
    data = xor(dim)
    points = [tuple(row) for row in data.X]
    assert sorted(points) == sorted(itertools.product((-1.0, 1.0), repeat=dim))
    np.testing.assert_array_equal(data.y, [np.prod(point) for point in points])
    for label in (1.0, -1.0):
        of_label = [point[::-1] for point, y in zip(points, data.y, strict=True) if y == label]
        assert of_label == sorted(of_label)
    assert (np.diff(data.y) <= 0).all()


def test_two_point():
    gamma = 0.05
    data = two_point(gamma)
    root = np.sqrt(1 - gamma**2)
    np.testing.assert_allclose(data.X, [[gamma, root], [gamma, -root / 2]], rtol=1e-15)
    np.testing.assert_array_equal(data.y, [1, 1])


def test_wu2024():
    data = wu2024()
    np.testing.assert_array_equal(data.X, [[1, 0.2], [-2, 0.2], [-1, -0.2], [2, -0.2]])
    np.testing.assert_array_equal(data.y, [1, 1, -1, -1])
    assert largest_margin(data) == pytest.approx(0.2, rel=1e-10)


@pytest.mark.parametrize(("degree", "n"), [(0, 2), (1, 7), (4, 20), (5, 20), (30, 101)])
def test_chebyshev(degree, n):
    data = chebyshev(degree, n)
    x = -1 + 2 * np.arange(n) / (n - 1)
    np.testing.assert_allclose(data.X, x[:, None], atol=1e-15)
    np.testing.assert_allclose(data.y, np.cos(degree * np.arccos(np.clip(x, -1, 1))), atol=1e-12)
    assert chebyshev() == chebyshev(degree=4, n=20)


# --------------------------------------------------------------------------------------------------------- random sets


def largest_margin(data):
    """Return the maximum margin, the distance of 0 from the hull of the y_i x_i, by nonnegative least squares."""
    scale = 1e4  # weight of the equation that the coefficients add up to 1
    hull = (data.y[:, None] * data.X).T
    weights, _ = nnls(np.vstack([hull, np.full(data.n, scale)]), np.append(np.zeros(data.d), scale), maxiter=10_000)
    return np.linalg.norm(hull @ weights) / weights.sum()


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40), d=st.integers(1, 30), margin=st.floats(0.01, 0.99), seed=st.integers(0, 2**32)
)  # fmt: skip
def test_separable_has_exactly_the_margin_and_lies_in_the_unit_ball(n, d, margin, seed):
    data = separable(n, d, margin, seed)
    assert (data.X.shape, data.y.shape) == ((n, d), (n,))
    assert set(data.y) <= {-1.0, 1.0}
    assert np.linalg.norm(data.X, axis=1).max() <= 1
    assert largest_margin(data) == pytest.approx(margin, rel=1e-6)
    w = np.random.default_rng(seed).standard_normal(d)
    assert (data.y * (data.X @ w)).min() / np.linalg.norm(w) == pytest.approx(margin, rel=1e-12)


def test_separable_fills_the_ball_and_depends_on_the_seed():
    data = separable(n=4000, d=3, margin=0.1, seed=3)
    w = np.random.default_rng(3).standard_normal(3)
    w /= np.linalg.norm(w)
    a = data.y * (data.X @ w)
    assert a[2:].mean() == pytest.approx(0.55, abs=0.02)
    z = data.y[:, None] * data.X - np.outer(a, w)
    # In the plane orthogonal to w the squared radius is uniform up to 1 - a^2.
    assert ((z**2).sum(axis=1) / (1 - a**2)).mean() == pytest.approx(0.5, abs=0.02)
    assert np.abs(z.mean(axis=0)).max() < 0.03
    assert abs(data.y.mean()) < 0.05
    assert separable(9, 4, 0.2, seed=1) != separable(9, 4, 0.2, seed=2)


def test_teacher_is_a_network_of_tanh():
    n, d, width = 50, 7, 4
    data = teacher(n, d, width, seed=5)
    rng = np.random.default_rng(5)
    W, a = rng.standard_normal((width, d)), rng.standard_normal(width)
    expected = [sum(a[j] * np.tanh(W[j] @ x / d**0.5) for j in range(width)) / width**0.5 for x in data.X]
    np.testing.assert_allclose(data.y, expected, rtol=1e-12)
    assert np.all(data.X[:20] == teacher(20, d, width, seed=5).X)
    assert teacher(n, d, width, seed=6) != data


def test_outputs_of_the_teacher_are_of_order_one():
    variances = [teacher(400, 100, 30, seed).y.var() for seed in range(30)]
    assert np.mean(variances) == pytest.approx(0.394, rel=0.15)
    assert np.std(np.concatenate([teacher(400, 100, 3, seed).X.ravel() for seed in range(3)])) == pytest.approx(
        1, rel=0.01
    )


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: xor(0), ValueError, ["dim", "from 1 to 20", "0"]),
        (lambda: xor(21), ValueError, ["dim", "20", "21"]),
        (lambda: xor(2.0), TypeError, ["dim", "int", "2.0"]),
        (lambda: two_point(0), ValueError, ["gamma", "> 0", "< 1", "0"]),
        (lambda: two_point(1.0), ValueError, ["gamma", "< 1"]),
        (lambda: two_point("0.1"), TypeError, ["gamma", "'0.1'"]),
        (lambda: chebyshev(degree=-1), ValueError, ["degree", "-1"]),
        (lambda: chebyshev(n=1), ValueError, ["n", ">= 2", "1"]),
        (lambda: separable(0, 2, 0.1, 0), ValueError, ["n", ">= 1", "0"]),
        (lambda: separable(2, 0, 0.1, 0), ValueError, ["d", ">= 1", "0"]),
        (lambda: separable(2, 2, 1.0, 0), ValueError, ["margin", "< 1", "1.0"]),
        (lambda: separable(2, 2, 0.0, 0), ValueError, ["margin", "> 0", "0.0"]),
        (lambda: separable(2, 2, 0.1, -1), ValueError, ["seed", "-1"]),
        (lambda: teacher(2, 2, 0, 0), ValueError, ["width", ">= 1", "0"]),
        (lambda: teacher(2.5, 2, 1, 0), TypeError, ["n", "int", "2.5"]),
    ],
)
def test_generators_refuse(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)
