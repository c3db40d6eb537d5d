"""The basis of the row space of wide data: orthonormal and complete for any matrix, the same bits on any machine."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from hypothesis import given, settings, strategies as st

from eosfast.models.row_space import RowSpace


@st.composite
def matrices(draw):
    """Matrices of any rank, with rows that repeat, almost repeat, are zero, or of very different lengths."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n = draw(st.sampled_from([1, 2, 7, 31, 33, 49, 120]))
    d = n + draw(st.sampled_from([0, 1, 9, 800]))
    X = rng.standard_normal((n, d))
    kind = draw(st.sampled_from(["random", "low rank", "repeated", "almost repeated", "zeros", "units", "signs"]))
    if kind == "low rank":
        rank = draw(st.integers(1, n))
        X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
    elif kind in ("repeated", "almost repeated"):
        X = X[rng.integers(0, n, n)]
        X += (kind == "almost repeated") * 10.0 ** draw(st.integers(-16, -1)) * rng.standard_normal((n, d))
    elif kind == "zeros":
        X[rng.random(n) < 0.5] = 0.0
    elif kind == "units":
        X = np.eye(n, d)[rng.integers(0, n, n)]
    elif kind == "signs":
        X = np.sign(X)
    spread = draw(st.sampled_from([0, 3, 140]))
    return X * 10.0 ** rng.uniform(-spread, spread, (n, 1))


@settings(max_examples=150)
@given(matrices())
def test_any_matrix(X):
    n, d = X.shape
    space = RowSpace(X)
    basis = space.outside(np.eye(n))
    assert basis.shape == (n, d)
    np.testing.assert_allclose(basis @ basis.T, np.eye(n), rtol=0, atol=2e-14)
    sizes = np.maximum(np.abs(X).max(axis=1, keepdims=True), 1e-300)
    np.testing.assert_allclose(space.coordinates @ basis / sizes, X / sizes, rtol=0, atol=1e-13 * np.sqrt(n))
    assert np.array_equal(space.coordinates, np.tril(space.coordinates))
    W = np.random.default_rng(0).standard_normal((50, d))
    np.testing.assert_allclose(space.inside(W), W @ basis.T, rtol=0, atol=1e-12)
    assert np.array_equal(space.inside(W)[3], space.inside(W[3:4])[0])
    C = space.inside(W)
    assert np.array_equal(space.outside(C)[3], space.outside(C[3:4])[0])


def test_no_rows():
    space = RowSpace(np.eye(3, 5))
    assert space.inside(np.zeros((0, 5))).shape == (0, 3)
    assert space.outside(np.zeros((0, 3))).shape == (0, 5)


BITS = """
import hashlib
import numpy as np
import eosfast as eos
rng = np.random.default_rng(0)
X, y = rng.standard_normal((400, 700)), np.sign(rng.standard_normal(400))
repeated = np.concatenate([X[:200], X[:200] + 1e-9 * X[200:]])
found = []
for data in (eos.Dataset(X, y), eos.Dataset(repeated, y), eos.datasets.teacher(n=300, d=500, width=60)):
    model = eos.TwoLayerNetwork(data, 4, "tanh", loss="mse")
    record = eos.Record(quantities=("loss", "weights", "weight_norm"))
    run = eos.train(model, model.init(1), eos.GD(0.01), num_steps=5, record=record)
    found += [data.X, data.y, run.loss.values, run.weights.values, run.weight_norm.values]
found.append(eos.datasets.separable(n=30, d=30_000, margin=0.1).X)
print(*(hashlib.sha256(np.ascontiguousarray(one).tobytes()).hexdigest() for one in found))
"""


def bits(**environment):
    """What a process with such an environment computes."""
    command = [sys.executable, "-c", BITS]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment}).stdout


def test_bits_do_not_depend_on_threads_of_numpy_or_of_the_core():
    """A worker of Dask gives NumPy one thread, a driver gives it all."""
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    one, two = (dict.fromkeys(names, number) for number in "12")
    assert bits(**one, OMP_NUM_THREADS="1") == bits(**two, OMP_NUM_THREADS="2") == bits(**two, OMP_NUM_THREADS="1")


INTERRUPTED = """
import _thread, threading, time
import numpy as np
import eosfast as eos
rng = np.random.default_rng(0)
data = eos.Dataset(rng.standard_normal((2500, 12_000)), np.sign(rng.standard_normal(2500)))
model = eos.LogisticRegression(data)
threading.Timer(0.5, _thread.interrupt_main).start()
began = time.perf_counter()
try:
    model.loss(np.zeros(12_000))
except KeyboardInterrupt:
    print(time.perf_counter() - began)
"""


def test_ctrl_c_is_heard():
    """While a row space is found that takes ten seconds."""
    found = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=True)
    assert 0.5 <= float(found.stdout) < 2.5
