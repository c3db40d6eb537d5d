"""The sharpness at the end of the gradient flow, `gfs_sharpness`."""

import itertools

import numpy as np
import pytest
from scipy.optimize import brentq

import eosfast as eos


def gfs(w, target=1.0):
    model = eos.ScalarProduct(depth=len(w), target=target)
    record = eos.Record(quantities=("gfs_sharpness",))
    return eos.train(model, w, eos.GD(1e-3), num_steps=0, record=record).gfs_sharpness.item()


@pytest.mark.parametrize(("depth", "target"), list(itertools.product([1, 2, 3, 5], [1.0, -2.0, 0.3, 0.0])))
def test_it_is_the_sharpness_where_the_flow_ends(depth, target):
    # random signs: half of the flows cross zero in one factor
    starts = np.random.default_rng(depth).standard_normal((16, depth)) * 1.3
    names = ("gfs_sharpness", "sharpness", "loss")
    run = eos.gradient_flow(eos.ScalarProduct(depth, target), starts, times=[0.0, 1e4, 1e8], quantities=names)
    assert run.loss[:, -1].max() < 1e-12
    np.testing.assert_allclose(run.gfs_sharpness[:, 0], run.sharpness[:, -1], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(run.gfs_sharpness, run.gfs_sharpness[:, [0] * 3], rtol=1e-6, atol=1e-8)


def test_two_factors_have_a_closed_form():
    # x^2 - y^2 = c and x y = t: x^2 + y^2 = sqrt(c^2 + 4 t^2)
    for x, y, t in ((3.0, 0.1, 1.0), (1e-8, 5.0, 2.0), (1.0, 1.0, 4.0), (-2.0, 1.0, 1.0), (1e6, 2.0, 1e-3)):
        assert gfs([x, y], t) == pytest.approx(np.hypot((x - y) * (x + y), 2 * t), rel=1e-14)


def test_wide_ranges_against_bisection():
    for w in ([10.0, 0.1, 0.5], [1e-3, 1e-4, 2.0, 50.0], [30.0, 20.0, 10.0, 1e-2, 1e-5]):
        squares = np.array(w) ** 2
        low = -squares.min() * (1 - 1e-15)
        s = brentq(lambda s: np.log(squares + s).sum(), low, 100.0, xtol=1e-300, rtol=1e-14)  # noqa: B023
        assert gfs(w) == pytest.approx((1 / (squares + s)).sum(), rel=1e-6)


def test_flows_that_end_in_a_saddle():
    assert gfs([1.0, -1.0]) == 1.0  # w1 = -w2 stays so, down to 0, where the Hessian is [[0, -1], [-1, 0]]
    assert gfs([1.0, -1.0, 2.0]) == pytest.approx(np.sqrt(3), rel=1e-15)
    assert gfs([1.0, 1.0, -1.0, 3.0], 2.0) == 0.0
    assert gfs([0.0, 0.0, 3.0], -2.0) == 6.0
    assert gfs([1.0, 1.0], 0.0) == 0.0
    assert gfs([2.0, 1.0], 0.0) == pytest.approx(3.0, rel=1e-15)
    symmetric = eos.gradient_flow(eos.ScalarProduct(), [1.0, -1.0], times=[10.0], quantities=("sharpness",))
    assert symmetric.sharpness.item() == pytest.approx(1.0, abs=1e-4)


def test_extremes():
    assert gfs([1e-300, 1.0]) == pytest.approx(np.sqrt(5), rel=1e-14)
    assert gfs([1e160, 1.0]) > 1e300
    assert gfs(np.full(64, 0.9)) == pytest.approx(64.0, rel=1e-12)


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_gradient_descent_never_increases_it(depth):
    # Kreisler et al. (2023), also beyond the edge of stability. A step multiplies w_i^2 - w_j^2 by 1 - (lr r P_ij)^2,
    # P_ij the product of the others: looked at wherever that is in [0, 1].
    record, looked_at, beyond = eos.Record(quantities=("gfs_sharpness", "weights", "sharpness")), 0, 0
    for w0 in np.random.default_rng(depth).standard_normal((12, depth)) * 1.2:
        for lr in (0.02, 0.1, 0.4):
            run = eos.train(eos.ScalarProduct(depth=depth), w0, eos.GD(lr), num_steps=2000, record=record)
            if run.attrs["status"] == "diverged":
                continue
            w, values = run.weights.values[:-1], run.gfs_sharpness.values
            pairs = np.array(
                [np.delete(w, pair, axis=1).prod(axis=1) for pair in itertools.combinations(range(depth), 2)]
            )
            shrinks = np.abs(lr * (w.prod(axis=1) - 1) * pairs).max(axis=0) <= 1
            assert np.max((values[1:] / values[:-1])[shrinks]) < 1 + 1e-14
            looked_at += shrinks.sum()
            beyond += np.sum(run.sharpness.values[:-1][shrinks] > 2 / lr)
    assert looked_at > 30_000
    assert beyond > 0


def test_in_a_sweep():
    grid = {"target": [0.5, 1.0], "w1": [0.1, 2.0, -1.0]}
    found = eos.sweep(eos.ScalarProduct(), eos.GD(0.01), grid, w0={"w2": 1.0}, num_steps=0, measure="gfs_sharpness")
    expected = [[gfs([w1, 1.0], t) for w1 in grid["w1"]] for t in grid["target"]]
    np.testing.assert_array_equal(found.gfs_sharpness, expected)
