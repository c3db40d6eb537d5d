"""The grid of a sweep: what its names mean, and the form of the result."""

from itertools import product

import numpy as np

import eosfast as eos
from reference import DATA
from sweep_reference import ALL_MEASURES, bits


def test_the_default_measures_and_the_form_of_the_result():
    grid = {"lr": [0.01, 0.02, 0.03], "y": np.array([1, 2], dtype=np.int32)}
    result = eos.sweep(eos.SingleNeuron(), eos.GD(), grid, w0={"x": 0.3}, num_steps=10)
    assert {name: var.dims for name, var in result.data_vars.items()} == {
        "loss": ("lr", "y"),
        "sharpness": ("lr", "y"),
        "weights": ("lr", "y", "parameter"),
        "status": ("lr", "y"),
        "num_steps_done": ("lr", "y"),
    }
    assert list(result.coords) == ["lr", "y", "parameter"]
    assert result.y.dtype.kind == "i"
    assert list(result.parameter.values) == ["x", "y"]
    assert float(result.sharpness.sel(lr=0.02, y=2)) == float(result.sharpness[1, 1])


def test_names_that_share_a_dimension_vary_together():
    grid = {"lr": ("run", [0.01, 0.02]), "beta": [1.5, 2.0, 3.0], "y": ("run", [3.0, 4.0])}
    result = eos.sweep(eos.SingleNeuron("power"), eos.GD(), grid, w0={"x": 0.3}, num_steps=100)
    assert result.loss.dims == ("run", "beta")
    assert result.lr.dims == result.y.dims == ("run",)
    assert "run" not in result.coords
    for i, k in product(range(2), range(3)):
        model = eos.SingleNeuron("power", beta=grid["beta"][k])
        run = eos.train(model, [0.3, grid["y"][1][i]], eos.GD(grid["lr"][1][i]), num_steps=100)
        assert float(result.loss[i, k]) == float(run.loss[-1])


def test_a_dimension_may_be_named_as_one_of_its_names():
    result = eos.sweep(
        eos.SingleNeuron(), eos.GD(), {"lr": ("lr", [0.1, 0.2]), "x": ("lr", [1, 2])}, w0={"y": 1}, num_steps=1
    )
    assert result.loss.dims == ("lr",)
    assert result.indexes["lr"].tolist() == [0.1, 0.2]
    assert result.x.dims == ("lr",)


def test_names_may_be_written_in_full():
    grid = {"optimizer.lr": [0.1, 0.2], "w.y": [1.0, 2.0], "model.beta": [1.5]}
    result = eos.sweep(eos.SingleNeuron("power"), eos.GD(), grid, w0={"x": 0.3}, num_steps=10, measure=("loss",))
    assert result.loss.dims == tuple(grid)
    short = eos.sweep(
        eos.SingleNeuron("power"), eos.GD(), {"lr": [0.1, 0.2], "y": [1, 2], "beta": [1.5]}, w0={"x": 0.3}, num_steps=10
    )
    np.testing.assert_array_equal(result.loss, short.loss)


def test_structural_fields_of_the_model():
    names = ["sqrt", "huber", "logistic"]
    result = eos.sweep(
        eos.SingleNeuron(),
        eos.GD(),
        {"lr": [0.05, 0.1], "model.loss": names, "y": [2.0, 5.0]},
        w0={"x": 0.5},
        num_steps=50,
    )
    assert result["model.loss"].values.tolist() == names
    for i, k, j in product(range(2), range(3), range(2)):
        run = eos.train(eos.SingleNeuron(names[k]), [0.5, [2.0, 5.0][j]], eos.GD([0.05, 0.1][i]), num_steps=50)
        assert float(result.loss[i, k, j]) == float(run.loss[-1])
    pair = eos.sweep(
        eos.SingleNeuron(), eos.GD(0.1), {"model.loss": ("sqrt", "huber")}, w0={"x": 0.5, "y": 2.0}, num_steps=50
    )
    np.testing.assert_array_equal(pair.loss, result.loss.isel({"lr": 1, "y": 0, "model.loss": [0, 1]}))


def test_structural_fields_may_be_zipped():
    names = ["sqrt", "huber", "sqrt", "sqrt", "huber"]
    y = [1.0, 2.0, 3.0, 4.0, 5.0]
    result = eos.sweep(
        eos.SingleNeuron(), eos.GD(0.1), {"model.loss": ("run", names), "y": ("run", y)}, w0={"x": 0.5}, num_steps=50
    )
    for i in range(5):
        run = eos.train(eos.SingleNeuron(names[i]), [0.5, y[i]], eos.GD(0.1), num_steps=50)
        assert float(result.loss[i]) == float(run.loss[-1])


def test_depth_changes_the_number_of_parameters():
    depths = [2, 3, 1]
    result = eos.sweep(
        eos.ScalarProduct(), eos.GD(0.01), {"depth": depths, "seed": [0, 1]}, num_steps=50, measure=("loss",)
    )
    assert result.depth.values.tolist() == depths
    for i, k in product(range(3), range(2)):
        run = eos.train(eos.ScalarProduct(depth=depths[i]), None, eos.GD(0.01), num_steps=50, seed=k)
        assert float(result.loss[i, k]) == float(run.loss[-1])
    result = eos.sweep(
        eos.ScalarProduct(), eos.GD(0.01), {"depth": [3, 4], "w3": [0.5]}, w0=None, num_steps=5, measure="loss"
    )
    assert dict(result.sizes) == {"depth": 2, "w3": 1}


def test_seeds_give_each_run_its_own_start():
    model = eos.MeanModel(d=20)
    result = eos.sweep(model, eos.GD(), {"seed": [3, 1, 4], "lr": [0.01, 0.02], "d": [10, 40]}, num_steps=20)
    for i, k, j in product(range(3), range(2), range(2)):
        run = eos.train(eos.MeanModel(d=[10, 40][j]), None, eos.GD([0.01, 0.02][k]), num_steps=20, seed=[3, 1, 4][i])
        assert float(result.loss[i, k, j]) == float(run.loss[-1])
    assert result.seed.values.tolist() == [3, 1, 4]
    assert result.d.dtype.kind == "i"
    alone = eos.sweep(model, eos.GD(), {"lr": [0.01]}, num_steps=20, seed=4)
    assert float(alone.loss[0]) == float(eos.train(model, None, eos.GD(0.01), num_steps=20, seed=4).loss[-1])
    part = eos.sweep(model, eos.GD(0.01), {"seed": [5], "b": [-0.5, 0.0]}, num_steps=0)
    np.testing.assert_array_equal(part.weights[0, 0], [*model.init(5)[:2], -0.5])


def test_seeds_draw_generated_data_anew():
    model = eos.ThresholdNeuron(eos.datasets.sparse_coding(n=20, d=10, seed=100))
    result = eos.sweep(
        model, eos.GD(), {"lr": [0.01, 0.1], "seed": [100, 7]}, num_steps=30, measure=("loss", "accuracy")
    )
    for i, k in product(range(2), range(2)):
        seed = [100, 7][k]
        own = eos.ThresholdNeuron(eos.datasets.sparse_coding(n=20, d=10, seed=seed))
        run = eos.train(
            own,
            None,
            eos.GD([0.01, 0.1][i]),
            num_steps=30,
            seed=seed,
            record=eos.Record(quantities=("loss", "accuracy")),
        )
        assert float(result.loss[i, k]) == float(run.loss[-1])
        assert float(result.accuracy[i, k]) == float(run.accuracy[-1])
    given = eos.ThresholdNeuron(eos.Dataset(model.data.X, model.data.y))
    result = eos.sweep(given, eos.GD(0.1), {"seed": [1, 2]}, w0={"a_minus": 0.1, "a_plus": 0.2, "b": 0}, num_steps=30)
    assert result.loss[0] == result.loss[1]


def test_seeds_in_many_small_portions_of_data(monkeypatch):
    model = eos.ThresholdNeuron(eos.datasets.sparse_coding(n=10, d=5))
    grid = {"seed": range(7), "lr": [0.1, 0.2]}
    whole = eos.sweep(model, eos.GD(), grid, num_steps=30)
    monkeypatch.setattr("eosfast.runs.DATA_AT_ONCE", 2 * model.data_bytes)
    assert bits(eos.sweep(model, eos.GD(), grid, num_steps=30)) == bits(whole)


def test_data_and_whole_models_may_be_in_the_grid():
    data = [eos.datasets.sparse_coding(n=20, d=10, signal=s) for s in (1.0, 5.0)]
    given = [eos.Dataset(one.X, one.y) for one in data]
    result = eos.sweep(
        eos.ThresholdNeuron(DATA), eos.GD(), {"data": data, "lr": [0.1, 0.2], "seed": [0, 1]}, num_steps=30
    )
    assert result.data.values.tolist() == [repr(one) for one in data]
    for i, k, j in product(range(2), range(2), range(2)):
        model = eos.ThresholdNeuron(data[i].with_seed(j))
        run = eos.train(model, None, eos.GD([0.1, 0.2][k]), num_steps=30, seed=j)
        assert float(result.loss[i, k, j]) == float(run.loss[-1])
    models = [eos.ThresholdNeuron(one) for one in given]
    whole = eos.sweep(models[0], eos.GD(), {"model": models, "lr": [0.1, 0.2]}, num_steps=30)
    np.testing.assert_array_equal(whole.loss, result.loss.isel(seed=0))
    assert len(set(whole.model.values.tolist())) == 2
    models = [eos.MeanModel(d=10), eos.MeanModel(d=20, noise=2.0)]
    whole = eos.sweep(models[0], eos.GD(0.01), {"model": models, "seed": [0, 1]}, num_steps=30)
    for i, j in product(range(2), range(2)):
        assert float(whole.loss[i, j]) == float(eos.train(models[i], None, eos.GD(0.01), num_steps=30, seed=j).loss[-1])
    assert whole.model.values.tolist() == [repr(model) for model in models]
    models = [eos.SingleNeuron("sqrt"), eos.SingleNeuron("power", beta=3.0)]
    whole = eos.sweep(models[0], eos.GD(0.1), {"model": models, "x": [0.1, 0.2]}, w0={"y": 3.0}, num_steps=30)
    for i, j in product(range(2), range(2)):
        assert float(whole.loss[i, j]) == float(
            eos.train(models[i], [[0.1, 0.2][j], 3.0], eos.GD(0.1), num_steps=30).loss[-1]
        )


def test_the_start_may_be_an_array_that_the_grid_changes():
    model = eos.SingleNeuron()
    one = eos.sweep(model, eos.GD(0.1), {"y": [1.0, 2.0]}, w0=[0.3, 99.0], num_steps=30)
    other = eos.sweep(model, eos.GD(0.1), {"y": [1.0, 2.0]}, w0={"x": 0.3}, num_steps=30)
    assert bits(one) == bits(other)


def test_the_grid_overrides_fields_of_the_optimizer_and_the_model():
    one = eos.sweep(eos.MeanModel(d=7), eos.GD(0.5), {"lr": [0.1], "d": [20]}, num_steps=10)
    other = eos.sweep(eos.MeanModel(d=20), eos.GD(0.1), {"noise": [1.0]}, num_steps=10)
    np.testing.assert_array_equal(one.loss.values.ravel(), other.loss.values.ravel())
    assert "threshold" not in one.attrs
    assert other.attrs["threshold"] == 20.0


def test_no_steps():
    result = eos.sweep(
        eos.SingleNeuron(), eos.GD(0.1), {"y": [1.0, 2.0]}, w0={"x": 0.5}, num_steps=0, measure=ALL_MEASURES
    )
    assert result.loss.values.tolist() == [eos.SingleNeuron().loss([0.5, y]) for y in (1.0, 2.0)]
    assert (result.status == 0).all()
    assert (result.num_steps_done == 0).all()
    assert np.isnan(result.lyapunov).all()
    assert (result.last_loss_increase == -1).all()


def test_one_dimension_may_be_long_and_zipped():
    n = 100_000
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, n))
    result = eos.sweep(
        eos.SingleNeuron(), eos.GD(0.1), {"x": ("run", x), "y": ("run", y)}, num_steps=50, measure="loss"
    )
    for i in (0, 12_345, n - 1):
        assert float(result.loss[i]) == float(
            eos.train(eos.SingleNeuron(), [x[i], y[i]], eos.GD(0.1), num_steps=50).loss[-1]
        )
