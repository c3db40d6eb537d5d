"""Gradient descent on deep linear networks: conservation laws, minima, sweeps, and what is refused."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

import eosfast as eos
from eosfast.models.large import LargeModel


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


TARGET = eos.LinearNetwork((3, 4, 5, 2), target=numbers(2, 3))
WIDE = eos.LinearNetwork((2, 3, 6), eos.Dataset(numbers(9, 2), numbers(9, 6, seed=1)), loss_scale=1 / 9)
DATA = eos.LinearNetwork((5, 4, 2), eos.Dataset(numbers(30, 5), numbers(30, 2, seed=1)), loss_scale=1 / 30)


def imbalances(model, w):
    """W_(k+1)' W_(k+1) - W_k W_k'."""
    blocks = list(model.unpack(w).values())
    return [after.T @ after - before @ before.T for before, after in pairwise(blocks)]


# ----------------------------------------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("model", [TARGET, WIDE, DATA], ids=repr)
def test_a_step_changes_the_imbalance_by_the_squares_of_the_gradient(model):
    lr = 0.05
    run = eos.train(model, model.init(1), eos.GD(lr), num_steps=30, record=eos.Record(quantities=("weights",)))
    for w, w_next in pairwise(run.weights.values):
        gradient = model.unpack(model.grad(w))
        pairs = pairwise(gradient.values())
        for now, then, (G, G_above) in zip(imbalances(model, w), imbalances(model, w_next), pairs, strict=True):
            np.testing.assert_allclose(then - now, lr**2 * (G_above.T @ G_above - G @ G.T), rtol=0, atol=1e-13)


def test_small_steps_keep_the_imbalance():
    """Over the same time it drifts in proportion to the step size."""
    w0, drifts = TARGET.init(2), []
    for lr in (1e-3, 5e-4):
        run = eos.train(TARGET, w0, eos.GD(lr), num_steps=round(2 / lr), record=eos.Record(10**9, ("weights",)))
        end = imbalances(TARGET, run.weights.values[-1])
        drifts.append(max(np.abs(a - b).max() for a, b in zip(end, imbalances(TARGET, w0), strict=True)))
    assert 0 < drifts[0] < 0.02
    assert drifts[0] / drifts[1] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("optimizer", [eos.GD(0.1), eos.HeavyBall(0.05, 0.8), eos.Nesterov(0.05, 0.5)], ids=repr)
def test_scalar_factors_are_the_scalar_product(depth, optimizer):
    chain, scalars = eos.LinearNetwork((1,) * (depth + 1), target=[[1.5]]), eos.ScalarProduct(depth, 1.5)
    w0 = np.linspace(0.6, 1.4, depth)
    record = eos.Record(quantities=("loss", "weights", "sharpness"), tol=1e-12)
    ours, theirs = (eos.train(model, w0, optimizer, num_steps=300, record=record) for model in (chain, scalars))
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(ours.loss), np.sqrt(theirs.loss), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(ours.sharpness, theirs.sharpness, rtol=1e-9)


def test_the_imbalance_of_two_scalar_factors_at_the_edge():
    """(x^2 - y^2)' = (x^2 - y^2)(1 - lr^2 r^2), r = xy - s."""
    lr, s = 0.55, 2.0
    model = eos.LinearNetwork((1, 1, 1), target=[[s]])
    run = eos.train(model, [2.0, 1.1], eos.GD(lr), num_steps=200, record=eos.Record(quantities=("weights",)))
    x, y = run.weights.values.T
    np.testing.assert_allclose(
        (x**2 - y**2)[1:], ((x**2 - y**2) * (1 - (lr * (x * y - s)) ** 2))[:-1], rtol=1e-10, atol=1e-14
    )


def test_the_nearest_matrix_of_a_narrow_network():
    """A rank above the least width: the truncated singular value decomposition is left (Eckart, Young)."""
    target = np.diag([3.0, 2.0, 1.0, 0.5]) @ np.linalg.qr(numbers(4, 4))[0]
    model = eos.LinearNetwork((4, 2, 4), target=target, loss_scale=0.5)
    run = eos.train(model, model.init(0), eos.GD(0.05), num_steps=20_000, record=eos.Record(10**9, ("loss", "weights")))
    assert run.loss.values[-1] == pytest.approx(0.25 * (1.0 + 0.25), rel=1e-12)
    singular = np.linalg.svd(model.product(run.weights.values[-1]), compute_uv=False)
    np.testing.assert_allclose(singular, [3, 2, 0, 0], atol=1e-9)


def test_gradient_descent_diverges_above_the_critical_step():
    """On M = diag(2, 1) with two layers no minimum is stable above 2/(2 sigma_1): derived from the flattest one."""
    model = eos.LinearNetwork((2, 2, 2), target=np.diag([2.0, 1.0]))
    phase = eos.sweep(
        model, eos.GD(), {"lr": [0.49, 0.505], "seed": range(40)}, num_steps=20_000, measure=("loss", "sharpness")
    )
    converged = phase.loss.values < 1e-20
    assert converged[0].mean() > 0.8
    assert not converged[1].any()
    assert (phase.sharpness.values[0][converged[0]] <= 2 / 0.49 + 1e-6).all()


# --------------------------------------------------------------------------------------------------------------- minima


def perfect(model, w):
    """The model whose target is what w does."""
    if model.data is None:
        return dataclasses.replace(model, target=model.product(w))
    return dataclasses.replace(model, data=eos.Dataset(model.data.X, model.predict(w)))


@pytest.mark.parametrize(
    "model",
    [
        TARGET,
        WIDE,
        DATA,
        eos.LinearNetwork((3, 2), target=numbers(2, 3)),
        eos.LinearNetwork((3, 2, 5), eos.Dataset(numbers(2, 3), numbers(2, 5)), loss_scale=0.4),
        eos.LinearNetwork((1, 1, 1, 1), target=[[2.0]], loss_scale=2.0),
    ],
    ids=repr,
)
def test_the_spectrum_at_a_minimum(model):
    w = numbers(model.dim, seed=3)
    model = perfect(model, w)
    dense = np.linalg.eigvalsh(model.hessian(w))[::-1]
    found = model.minimum_spectrum(w)
    np.testing.assert_allclose(found, dense[: len(found)], atol=1e-12 * dense[0])
    np.testing.assert_allclose(dense[len(found) :], 0, atol=1e-12 * dense[0])
    np.testing.assert_array_equal(model.minimum_spectrum(w, 1), found[:1])
    assert model.sharpness(w).values[0] == pytest.approx(found[0], rel=1e-7)


def test_the_spectrum_where_data_cannot_be_fitted():
    best, *_ = np.linalg.lstsq(DATA.data.X, DATA.data.y, rcond=None)
    W2 = numbers(2, 4, seed=1)
    w = DATA.pack(W1=np.linalg.pinv(W2) @ best.T, W2=W2)
    assert DATA.loss(w) > 0.1
    found = DATA.minimum_spectrum(w)
    np.testing.assert_allclose(found, np.linalg.eigvalsh(DATA.hessian(w))[::-1][: len(found)], atol=1e-11)


def test_spectra_on_paper():
    """Two layers and the identity: sums of squared singular values; balanced factors: depth sigma^(2 - 2/depth)."""
    model = eos.LinearNetwork((2, 2, 2), target=np.eye(2))
    W2 = np.diag([10.0, 0.1])
    spectrum = model.minimum_spectrum(model.pack(W1=np.linalg.inv(W2), W2=W2))
    np.testing.assert_allclose(spectrum, [200.0, 100.01, 100.01, 0.02], rtol=1e-12)
    for depth, sharpest in ((2, 4.0), (3, 7.559526299369), (4, 11.313708498985)):
        model = eos.LinearNetwork((2,) * (depth + 1), target=np.diag([2.0, 1.0]))
        root = np.diag([2.0 ** (1 / depth), 1.0])
        balanced = model.pack(**dict.fromkeys(model.parameters, root))
        assert model.minimum_spectrum(balanced, 1)[0] == pytest.approx(sharpest, rel=1e-11)


def test_only_minima_have_such_a_spectrum():
    for model in (TARGET, DATA):
        with pytest.raises(ValueError, match="w must be a global minimum"):
            model.minimum_spectrum(model.init(0))
    w = TARGET.init(0)
    with pytest.raises(ValueError, match="k must be an int from 1 to 6"):
        perfect(TARGET, w).minimum_spectrum(w, 7)
    with pytest.raises(ValueError, match="tol must be a finite number > 0"):
        TARGET.minimum_spectrum(w, tol=0.0)


# --------------------------------------------------------------------------------------------------------------- sweeps


def assert_runs_are_those_of_train(phase, cases, num_steps):
    """`cases`: places in the sweep -> model, start, optimizer."""
    for place, (model, w0, optimizer) in cases.items():
        run = eos.train(model, w0, optimizer, num_steps=num_steps, record=eos.Record(quantities=("loss", "weights")))
        np.testing.assert_array_equal(phase.weights.values[place], run.weights.values[-1])
        np.testing.assert_array_equal(phase.loss.values[place], run.loss.values[-1])
        assert phase.loss_increases.values[place] == np.sum(run.loss.values[1:] > run.loss.values[:-1])


MEASURES = ("loss", "weights", "loss_increases")
SMALL = eos.LinearNetwork((2, 2, 2, 2), target=np.diag([2.0, 1.0]))


@pytest.mark.parametrize("model", [SMALL, TARGET, WIDE, DATA, eos.LinearNetwork((1, 1, 1), target=[[1.0]])], ids=repr)
@pytest.mark.parametrize("optimizer", [eos.GD(), eos.HeavyBall(momentum=0.7), eos.Nesterov(momentum=0.3)], ids=repr)
def test_a_run_of_a_sweep_is_that_of_train(model, optimizer):
    lrs, seeds = np.geomspace(1e-3, 2.0, 7), range(3)
    grid = {"lr": lrs, "seed": seeds}
    phase = eos.sweep(model, optimizer, grid, num_steps=150, measure=MEASURES, num_threads=2)
    cases = {
        (i, s): (model, model.init(s), dataclasses.replace(optimizer, lr=lr)) for i, lr in enumerate(lrs) for s in seeds
    }
    assert_runs_are_those_of_train(phase, cases, 150)
    alone = eos.sweep(model, optimizer, grid, num_steps=150, measure=("weights", "sharpness"), num_threads=1)
    np.testing.assert_array_equal(alone.weights, phase.weights)


def test_fields_of_the_model_in_a_grid():
    optimizer, seeds = eos.GD(0.05), range(2)
    scales, targets = [0.5, 2], [np.eye(2), numbers(2, 2)]
    grid = {"loss_scale": scales, "target": targets, "seed": seeds}
    phase = eos.sweep(SMALL, optimizer, grid, num_steps=60, measure=MEASURES)
    cases = {
        (i, j, s): (dataclasses.replace(SMALL, loss_scale=scale, target=target), SMALL.init(s), optimizer)
        for i, scale in enumerate(scales)
        for j, target in enumerate(targets)
        for s in seeds
    }
    assert_runs_are_those_of_train(phase, cases, 60)

    sets = [eos.Dataset(numbers(n, 5, seed=n), numbers(n, 2)) for n in (4, 50)]
    phase = eos.sweep(DATA, optimizer, {"data": sets}, num_steps=60, measure=MEASURES)
    models = [dataclasses.replace(DATA, data=data) for data in sets]
    assert_runs_are_those_of_train(phase, {(i,): (m, m.init(0), optimizer) for i, m in enumerate(models)}, 60)

    widths = [(2, 2), (2, 3, 2), (2, 9, 2)]
    phase = eos.sweep(SMALL, optimizer, {"widths": widths}, num_steps=60, measure=("loss",))
    for i, each in enumerate(widths):
        model = dataclasses.replace(SMALL, widths=each)
        run = eos.train(model, model.init(0), optimizer, num_steps=60)
        assert phase.loss.values[i] == run.loss.values[-1]


def test_the_seed_of_a_grid_draws_data_anew():
    model = eos.LinearNetwork((4, 3, 1), eos.datasets.sparse_coding(n=9, d=4, seed=0))
    phase = eos.sweep(model, eos.GD(0.01), {"seed": range(3)}, num_steps=20, measure=MEASURES)
    cases = {(s,): (model.with_seed(s), model.with_seed(s).init(s), eos.GD(0.01)) for s in range(3)}
    assert_runs_are_those_of_train(phase, cases, 20)


@pytest.mark.parametrize("widths", [(160, 170, 160), (200, 190, 130)])
def test_threads_change_no_bit(widths):
    model = eos.LinearNetwork(widths, eos.Dataset(numbers(300, widths[0]), numbers(300, widths[-1])), loss_scale=1e-3)
    record = eos.Record(3, ("loss", "weights", "sharpness"), tol=0.1)
    one, two = (
        eos.train(model, model.init(0), eos.GD(0.05), num_steps=3, record=record, num_threads=k) for k in (1, 2)
    )
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name], two[name])


def test_products_at_a_point_agree_with_the_generic_ones():
    """Jacobian and kernel in closed form, and by the products that every model has."""
    for model in (TARGET, WIDE, DATA):
        w = model.init(1)
        np.testing.assert_allclose(model.jacobian(w), LargeModel.jacobian(model, w), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(model.ntk(w), LargeModel.ntk(model, w), rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------------------------------------ bad input

XY = eos.Dataset(numbers(4, 3), numbers(4, 2))


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"widths": (3, 2)}, ValueError, "exactly one of data and target of LinearNetwork must be given, got neither"),
        ({"widths": (3, 2), "data": XY, "target": np.ones((2, 3))}, ValueError, "must be given, got both"),
        ({"widths": (3,), "target": np.ones((3, 3))}, ValueError, r"widths .* two or more .* got \(3,\)"),
        ({"widths": (), "target": np.ones((3, 3))}, ValueError, "two or more"),
        ({"widths": 3, "target": np.ones((3, 3))}, TypeError, "widths .* got 3"),
        ({"widths": "32", "target": np.ones((2, 3))}, TypeError, "widths .* got '32'"),
        ({"widths": (3, 0, 2), "data": XY}, ValueError, "every width .* >= 1, got 0"),
        ({"widths": (3, 2.5, 2), "data": XY}, TypeError, "every width .* got 2.5"),
        ({"widths": (3, 2), "target": np.ones((3, 2))}, ValueError, r"shape \(2, 3\) .* got \(3, 2\)"),
        ({"widths": (3, 2), "target": np.ones(3)}, ValueError, r"target .* got the shape \(3,\)"),
        ({"widths": (3, 1), "target": [[1.0, np.nan, 2.0]]}, ValueError, "target .* must be finite"),
        ({"widths": (1, 1), "target": [["a"]]}, TypeError, "target .* must hold real numbers"),
        ({"widths": (3, 4, 1), "data": XY}, ValueError, "3 coordinates and 1 outputs .* got 3 and 2"),
        ({"widths": (2, 4, 2), "data": XY}, ValueError, "2 coordinates and 2 outputs .* got 3 and 2"),
        ({"widths": (3, 2), "data": np.ones((4, 3))}, TypeError, "data .* must be a Dataset or None"),
        ({"widths": (3, 2), "data": XY, "loss_scale": 0}, ValueError, "loss_scale .* > 0, got 0"),
        ({"widths": (3, 2), "data": XY, "loss_scale": np.inf}, ValueError, "loss_scale .* > 0, got inf"),
        ({"widths": (3, 2), "data": XY, "loss_scale": "1"}, TypeError, "loss_scale .* got '1'"),
    ],
)
def test_bad_fields(fields, error, message):
    with pytest.raises(error, match=message):
        eos.LinearNetwork(**fields)


@pytest.mark.parametrize("method", ["loss", "grad", "residual", "jacobian", "ntk", "product", "minimum_spectrum"])
def test_weights_of_another_length(method):
    with pytest.raises(ValueError, match=r"w must have shape \(42,\) for LinearNetwork.*, got \(4,\)"):
        getattr(TARGET, method)(np.ones(4))


def test_bad_samples():
    with pytest.raises(ValueError, match=r"X must have shape \(m, 3\) with m >= 1"):
        TARGET.predict(TARGET.init(0), np.ones((2, 4)))
    with pytest.raises(ValueError, match="exactly one of data and target"):
        eos.sweep(DATA, eos.GD(0.1), {"target": [np.ones((2, 5))]}, num_steps=1)


# ----------------------------------------------------------------------------------------------------------- quantities


@pytest.mark.parametrize("model", [TARGET, WIDE, DATA], ids=repr)
def test_quantities_of_the_tangent_kernel(model):
    record = eos.Record(
        5, ("weights", "residual", "ntk_sharpness", "ntk_eigs", "z1", "q1_max", "q1_min"), k=3, tol=1e-10
    )
    run = eos.train(model, model.init(4), eos.GD(0.02), num_steps=20, record=record)
    assert run.residual.dims == ("step", "residual_dim")
    for i, w in enumerate(run.weights.values):
        residual, J = model.residual(w), model.jacobian(w)
        np.testing.assert_allclose(run.residual.values[i], residual, rtol=1e-12, atol=1e-14)
        values, vectors = np.linalg.eigh(J @ J.T)
        np.testing.assert_allclose(run.ntk_eigs.values[i], values[::-1][:3], rtol=1e-8, atol=1e-9)
        assert run.ntk_sharpness.values[i] == pytest.approx(values[-1], rel=1e-8)
        top = vectors[:, -1]
        assert abs(run.z1.values[i]) == pytest.approx(abs(top @ residual), rel=1e-6, abs=1e-8)
        top = top * np.sign(top @ residual) * np.sign(run.z1.values[i])
        curvature = np.linalg.eigvalsh(model.curvature_operator(w, top) @ np.eye(model.dim))
        assert run.q1_max.values[i] == pytest.approx(curvature[-1], rel=1e-6)
        assert run.q1_min.values[i] == pytest.approx(curvature[0], rel=1e-6)
