"""`sweep` over networks: every run is the `train` of the same network, start and optimizer, whatever runs beside it."""

import dataclasses
from itertools import product

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st

import eosfast as eos
from network_reference import network, samples
from reference import period, step
from sweep_reference import STATUS, bits

SIGNS = samples(8, 4)
GELU = eos.TwoLayerNetwork(SIGNS, 5, "gelu", trainable="both", bias=True, scale=5.0)
TANH = eos.MLP(samples(6, 3, 2), (4,), "tanh")
DRAWN = eos.TwoLayerNetwork(eos.datasets.sparse_coding(n=9, d=5, seed=1), 4, "silu")
MEASURES = (
    "loss",
    "weights",
    "grad_norm",
    "max_loss",
    "loss_increases",
    "last_loss_increase",
    "period",
    eos.FirstBelow("loss", 0.3),
    eos.FirstBelow("grad_norm", 0.05),
    eos.Mean("loss", last=7),
)


def recorded(model, optimizer, w0, num_steps, stop=eos.Stop(), **options):  # noqa: B008 - immutable
    """The same measures of one run, from the full record of `train`."""
    own = tuple(name for name in ("margin", "accuracy") if model.data.y.ndim == 1)
    record = eos.Record(quantities=("loss", "weights", "grad_norm", *own))
    run = eos.train(model, w0, optimizer, num_steps=num_steps, stop=stop, record=record, **options)
    loss, grad_norm = run.loss.values, run.grad_norm.values
    increases = np.flatnonzero(loss[1:] > loss[:-1])
    diverged = run.attrs["status"] == "diverged"

    def first(below):
        return int(np.argmax(below)) if below.any() else -1

    since = max(0, num_steps - 6)
    return {
        "status": STATUS.index(run.attrs["status"]),
        "num_steps_done": run.attrs["num_steps_done"],
        "loss": loss[-1],
        "weights": run.weights.values[-1],
        "grad_norm": grad_norm[-1],
        "max_loss": np.nanmax(loss),
        "loss_increases": len(increases),
        "last_loss_increase": increases[-1] if len(increases) else -1,
        "first_below_loss": first(loss < 0.3),
        "first_below_grad_norm": first(grad_norm < 0.05),
        "mean_loss": loss[since:].mean() if len(loss) > since else loss[-1],
        "period": 0 if diverged else period(run.weights.values),
        **{name: run[name].values[-1] for name in own},
    }


def compare(found, expected, where):
    for name in found.data_vars:
        if name in expected and name.startswith("mean_"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-12, err_msg=f"{name} at {where}")
        elif name in expected:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{name} at {where}")


GRIDS = [
    (GELU, {"lr": [0.05, 0.5, 5.0, 1e4], "seed": [0, 3]}),
    (GELU, {"scale": [0.5, 5.0, 500.0], "lr": [0.1, 1.0]}),
    (GELU, {"trainable": ["first", "both"], "lr": [0.1, 1.0]}),
    (GELU, {"bias": [False, True], "seed": [1, 2]}),
    (GELU, {"activation": ["tanh", eos.HuberizedReLU(0.5), eos.Leaky("gelu", 0.3, 0.7)], "lr": [0.1, 2.0]}),
    (GELU, {"width": [1, 2, 6], "lr": [0.1, 2.0]}),
    (GELU, {"model.loss": ["logistic", "mse"], "lr": [0.1, 30.0]}),
    (GELU, {"data": [SIGNS, samples(5, 4, seed=7), samples(8, 4, seed=8)], "lr": [0.1, 1.0]}),
    (GELU, {"dtype": ["float32", "float64"], "reduce": [False, True]}),
    (GELU, {"output_weights": [None, [1.0, 1.0, 1.0, -1.0, -2.0]], "lr": [0.1, 1.0]}),
    (TANH, {"widths": [(2,), (3, 2)], "lr": [0.1, 5.0]}),
    (TANH, {"lr": [0.1, 3.0, 100.0], "seed": [0, 1]}),
    (eos.LogisticRegression(SIGNS), {"lr": np.geomspace(0.1, 100, 5)}),
]


@pytest.mark.parametrize(("model", "grid"), GRIDS, ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
@pytest.mark.parametrize(
    ("optimizer", "stop"),
    [(eos.GD(0.2), eos.Stop()), (eos.HeavyBall(0.2, 0.5), eos.Stop(grad_norm=0.02, diverged=50.0))],
)
def test_each_run_is_the_train_of_the_same(model, grid, optimizer, stop):
    sizes = {len(v) if isinstance(v, tuple) else v for name in grid for v in grid[name] if name in ("width", "widths")}
    measures = [one for one in MEASURES if one != "weights" or not (sizes or grid.keys() & {"trainable", "bias"})]
    own = ("margin", "accuracy") if model.data.y.ndim == 1 and "model.loss" not in grid else ()
    result = eos.sweep(model, optimizer, grid, num_steps=150, measure=[*measures, *own], stop=stop, num_threads=1)
    names = {name: name.removeprefix("model.") for name in grid}
    for place in product(*(range(len(values)) for values in grid.values())):
        point = {names[name]: grid[name][i] for name, i in zip(grid, place, strict=True)}
        fields = {name: value for name, value in point.items() if name not in ("lr", "seed")}
        one = dataclasses.replace(model, **fields)
        rule = dataclasses.replace(optimizer, lr=float(point.get("lr", optimizer.lr)))
        expected = recorded(one, rule, None, 150, stop, seed=point.get("seed", 0))
        found = result.isel(dict(zip(result.status.dims, place, strict=True)))
        assert {"status", "num_steps_done", "loss", *own} <= set(found.data_vars)
        compare(found, expected, point)


def test_a_seed_draws_the_start_and_the_data_anew():
    result = eos.sweep(DRAWN, eos.GD(), {"seed": [0, 4, 5], "lr": [0.3, 3.0]}, num_steps=60, measure=MEASURES)
    for i, k in product(range(3), range(2)):
        seed, lr = int(result.seed[i]), float(result.lr[k])
        model = dataclasses.replace(DRAWN, data=eos.datasets.sparse_coding(n=9, d=5, seed=seed))
        compare(result.isel(seed=i, lr=k), recorded(model, eos.GD(lr), model.init(seed), 60), (seed, lr))
    assert len(np.unique(result.loss)) == 6


def test_a_start_may_be_given():
    blocks = GELU.unpack(np.random.default_rng(0).standard_normal(GELU.dim))
    for w0 in (blocks, GELU.pack(**blocks)):
        result = eos.sweep(GELU, eos.GD(), {"lr": [0.1, 0.7]}, w0=w0, num_steps=50, measure=("weights", "loss"))
        for i, lr in enumerate((0.1, 0.7)):
            compare(result.isel(lr=i), recorded(GELU, eos.GD(lr), blocks, 50), lr)


def test_names_that_share_a_dimension_and_lists_of_models():
    grid = {"lr": ("run", [0.1, 0.5, 2.0]), "seed": ("run", [2, 1, 0])}
    result = eos.sweep(GELU, eos.GD(), grid, num_steps=40, measure=MEASURES)
    assert result.sizes == {"run": 3, "parameter": GELU.dim}
    for i in range(3):
        compare(result.isel(run=i), recorded(GELU, eos.GD(grid["lr"][1][i]), None, 40, seed=grid["seed"][1][i]), i)
    models = [eos.MLP(TANH.data, (4,), name) for name in ("tanh", "gelu", "relu")]
    result = eos.sweep(TANH, eos.GD(0.1), {"model": models}, num_steps=40, measure=MEASURES)
    for i, model in enumerate(models):
        compare(result.isel(model=i), recorded(model, eos.GD(0.1), None, 40), model)


@pytest.mark.parametrize(
    ("model", "grid"),
    [
        (GELU, {"activation": ["tanh", eos.Leaky("gelu", 0.3, 0.7)], "lr": [0.1]}),
        (GELU, {"data": [SIGNS, samples(5, 4, seed=7)]}),
        (TANH, {"widths": [(2,), (3, 2)]}),
    ],
)
def test_labelled_sweeps_go_to_netcdf_and_back(model, grid, tmp_path):
    result = eos.sweep(model, eos.GD(0.1), grid, num_steps=5, measure=("loss", "sharpness"))
    result.to_netcdf(tmp_path / "sweep.nc")
    with xr.open_dataset(tmp_path / "sweep.nc") as back:
        xr.testing.assert_identical(back.load(), result)


# ---------------------------------------------------------------------------------------------------- spectral measures


@pytest.mark.parametrize(
    ("model", "lr"), [(GELU, [0.05, 0.5]), (TANH, [0.1, 0.8]), (eos.LogisticRegression(SIGNS), [0.1, 2.0])]
)
def test_sharpness_and_its_mean_are_those_of_the_dense_hessian(model, lr):
    measure = (
        "sharpness",
        "mean_sharpness",
        eos.FirstBelow("sharpness", 0.0),
        eos.Mean("sharpness", last=3, name="last_three"),
    )
    result = eos.sweep(model, eos.GD(), {"lr": lr}, num_steps=40, measure=measure)
    for i, rate in enumerate(lr):
        run = eos.train(model, None, eos.GD(rate), num_steps=40, record=eos.Record(quantities=("weights",)))
        exact = [np.linalg.eigvalsh(network(model).hessian(w))[-1] for w in run.weights.values[-4:]]
        assert result.sharpness[i] == pytest.approx(exact[-1], rel=2e-3)
        assert result.mean_sharpness[i] == pytest.approx(np.mean(exact), rel=2e-3)
        assert result.last_three[i] == pytest.approx(np.mean(exact[-3:]), rel=2e-3)
        assert result.first_below_sharpness[i] == -1


def test_the_lyapunov_exponent_is_the_growth_of_a_tangent_vector():
    model, rates, num_steps = eos.MLP(samples(4, 2, "numbers"), (3,), "tanh"), [0.02, 0.3], 1600
    result = eos.sweep(model, eos.GD(), {"lr": rates}, num_steps=num_steps, measure=("lyapunov", "loss"))
    record = eos.Record(quantities=("weights",))
    for i, lr in enumerate(rates):
        run = eos.train(model, None, eos.GD(lr), num_steps=num_steps, record=record, stop=eos.Stop(steady=False))
        u, growth = np.random.default_rng(0).standard_normal(model.dim), 0.0
        u /= np.linalg.norm(u)
        for w in run.weights.values[num_steps // 2 : -1]:
            u = u - lr * model.hvp(w, u)
            growth += np.log(np.linalg.norm(u))
            u /= np.linalg.norm(u)
        assert float(result.lyapunov[i]) == pytest.approx(growth / (num_steps - num_steps // 2), abs=3e-3)


# -------------------------------------------------------------------------------------------------- what changes no bit

SPACE = {"lr": np.geomspace(0.05, 50, 6), "seed": [0, 1, 2], "scale": [1.0, 4.0]}
ALL = (*MEASURES, "sharpness", "mean_sharpness", "lyapunov", "margin", "accuracy")


def fates(grid=SPACE, num_threads=1, measure=ALL, **options):
    return eos.sweep(GELU, eos.GD(), grid, num_steps=80, measure=measure, num_threads=num_threads, **options)


@pytest.fixture(scope="module")
def full():
    return fates()


@pytest.mark.parametrize("num_threads", [0, 2, 3])
def test_results_do_not_depend_on_threads(full, num_threads):
    assert bits(fates(num_threads=num_threads)) == bits(full)


@settings(max_examples=10)
@given(st.data())
def test_any_subset_of_runs_has_the_same_bits(full, data):
    triple = st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 1))
    picks = data.draw(st.lists(triple, min_size=1, max_size=12))
    grid = {name: ("run", [SPACE[name][pick[i]] for pick in picks]) for i, name in enumerate(SPACE)}
    some = fates(grid, data.draw(st.integers(1, 4)))
    for r, (i, j, k) in enumerate(picks):
        for name in some.data_vars:
            np.testing.assert_array_equal(some[name][r], full[name][i, j, k], err_msg=name)


def test_more_measures_change_no_bit(full):
    for measure in ALL:
        some = fates(measure=(measure,))
        for name in some.data_vars:
            np.testing.assert_array_equal(some[name], full[name], err_msg=name)


def test_a_large_network_in_a_sweep_is_the_same_network():
    # Alone it may use several threads inside its products, in a sweep one: no bit may tell.
    model = eos.MLP(samples(120, 40, 3), (64, 48), "gelu")
    result = eos.sweep(model, eos.GD(), {"lr": [0.05, 0.2]}, num_steps=12, measure=("loss", "weights"), num_threads=2)
    for i, lr in enumerate((0.05, 0.2)):
        record = eos.Record(12, quantities=("loss", "weights"))
        run = eos.train(model, None, eos.GD(lr), num_steps=12, record=record, num_threads=2)
        np.testing.assert_array_equal(result.weights[i], run.weights[-1])
        assert result.loss[i] == run.loss[-1]


def test_a_run_that_diverges_says_so_and_changes_no_other():
    result = eos.sweep(TANH, eos.GD(), {"lr": [0.1, 1e3, 0.2]}, num_steps=200, measure=MEASURES)
    assert [STATUS[code] for code in result.status.values] == ["completed", "diverged", "completed"]
    done = int(result.num_steps_done[1])
    assert 0 < done < 200
    model, w, v = network(TANH), TANH.init(), 0.0
    for _ in range(done):
        w, v = step(eos.GD(1e3), model.grad, w, v)
    assert not model.loss(w) <= 1e12
    assert list(result.num_steps_done.values[[0, 2]]) == [200, 200]
    alone = eos.sweep(TANH, eos.GD(), {"lr": [0.1, 0.2]}, num_steps=200, measure=MEASURES)
    assert bits(alone) == bits(result.isel(lr=[0, 2]))
