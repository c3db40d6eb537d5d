"""Data: what a Dataset holds, and what the generators draw."""

import copy
import pickle

import numpy as np
import pytest

import eosfast as eos
from eosfast.datasets import sparse_coding


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
    given = eos.Dataset(made.X, made.y)
    assert given == made
    assert hash(given) == hash(made)
    assert given != eos.Dataset(made.X + 1, made.y)
    assert given != eos.Dataset(made.X, 2 * made.y)
    assert given != eos.Dataset(made.X, made.y[:, None])
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
    given = eos.Dataset(made.X, made.y)
    assert given.recipe is None
    assert given.with_seed(9) is given
    assert repr(given) == "Dataset(n=5, d=4)"


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
