"""`sweep`: every run is the `train` of the same model, start and optimizer, whatever runs beside it."""

import errno
import io
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st

import eosfast as eos
from interruption import words_after_ctrl_c
from reference import DATA, steps_of_the_core
from sanitizers import not_under
from sweep_reference import ALL_MEASURES, SPACE, START, STATUS, bits, measured

MODELS = [
    (eos.SingleNeuron("sqrt"), {"lr": np.geomspace(1e-2, 1, 5), "y": [0.5, 5.0, 15.0]}, {"x": 0.3}),
    (eos.SingleNeuron("power", beta=3), {"beta": [1.5, 2.0, 4.0], "lr": [0.01, 0.2], "x": [0.1, -1.0]}, {"y": 6.0}),
    (eos.ScalarProduct(), {"lr": SPACE["lr"][::2], "w2": SPACE["w2"][::3]}, {"w1": 0.3}),
    (eos.ScalarProduct(depth=4), {"target": [-1.0, 0.0, 2.0], "lr": [0.01, 0.1, 0.5]}, None),
    (eos.MeanModel(d=30), {"lr": np.geomspace(1e-3, 0.1, 6), "noise": [0.5, 1.0]}, None),
    (eos.ThresholdNeuron(DATA), {"lr": np.geomspace(1e-3, 5.0, 9)}, None),
]


@pytest.mark.parametrize("optimizer", [eos.GD(), eos.HeavyBall(momentum=0.5), eos.Nesterov(momentum=0.9)], ids=repr)
@pytest.mark.parametrize(
    ("model", "grid", "w0"), MODELS, ids=lambda value: type(value).__name__ if hasattr(value, "dim") else ""
)
@pytest.mark.parametrize(
    "stop", [eos.Stop(), eos.Stop(grad_norm=1e-3, steady=False), eos.Stop(loss=0.1, diverged=30.0)], ids=repr
)
def test_each_run_is_the_train_of_the_same(model, grid, w0, optimizer, stop):
    num_steps = 700
    measures = [measure for measure in ALL_MEASURES if measure != "lyapunov"]
    result = eos.sweep(model, optimizer, grid, w0=w0, num_steps=num_steps, measure=measures, stop=stop, num_threads=1)
    assert result.sizes == {**{name: len(points) for name, points in grid.items()}, "parameter": model.dim}
    blocks = dict(zip(model.parameters, model.init(0), strict=True)) | (w0 or {})
    for place in product(*(range(len(points)) for points in grid.values())):
        point = dict(zip(grid, (points[i] for points, i in zip(grid.values(), place, strict=True)), strict=True))
        fields = {name: point[name] for name in ("beta", "target", "noise") if name in point}
        one = type(model)(**{**vars(model), **fields}) if fields else model
        rule = type(optimizer)(**{**vars(optimizer), "lr": point["lr"]})
        start = one.pack(**(blocks | {name: value for name, value in point.items() if name in blocks}))
        expected = measured(one, rule, start, num_steps, stop)
        found = result.isel(dict(zip(grid, place, strict=True)))
        for name, value in expected.items():
            if name.startswith("mean_"):
                np.testing.assert_allclose(found[name], value, rtol=1e-12, err_msg=f"{name} at {point}")
            else:
                np.testing.assert_array_equal(found[name], value, err_msg=f"{name} at {point}")


def test_status_num_steps_and_types():
    grid = {"lr": [0.001, 0.5, 1.1, 1.6, 3.0], "w2": [0.5, 1.5, 20.0]}
    stop = eos.Stop(grad_norm=1e-13)
    result = eos.sweep(
        eos.ScalarProduct(), eos.GD(), grid, w0={"w1": 0.6}, num_steps=5000, measure=ALL_MEASURES, stop=stop
    )
    assert {STATUS[code] for code in np.unique(result.status)} == {"completed", "converged", "diverged", "steady"}
    assert result.status.dtype == np.int8
    assert result.status.attrs["flag_meanings"] == " ".join(STATUS)
    np.testing.assert_array_equal(result.status.attrs["flag_values"], np.arange(6))
    assert result.status.attrs["flag_values"].dtype == np.int8
    whole = {name for name, var in result.data_vars.items() if var.dtype == np.int64}
    assert whole == {
        "num_steps_done",
        "loss_increases",
        "last_loss_increase",
        "period",
        "first_below_loss",
        "first_below_sharpness",
        "first_below_grad_norm",
    }
    done = result.num_steps_done
    assert (done.where(result.status.isin([0, 3])).fillna(5000) == 5000).all()
    assert (done.where(result.status.isin([1, 2])).fillna(0) < 5000).all()


# -------------------------------------------------------------------------------------------------- what changes no bit


def fates(num_threads=1, measure=ALL_MEASURES, grid=SPACE, num_steps=3000):
    return eos.sweep(
        eos.ScalarProduct(), eos.GD(), grid, w0=START, num_steps=num_steps, measure=measure, num_threads=num_threads
    )


@pytest.mark.parametrize("num_threads", [0, 2, 3, 7])
def test_results_do_not_depend_on_threads(num_threads):
    assert bits(fates(num_threads)) == bits(fates(1))


@pytest.mark.parametrize("num_runs", [1, 2, 7, 8, 9, 33, 50])
def test_a_few_runs_on_many_threads(num_runs):
    grid = {"lr": ("run", np.resize(SPACE["lr"], num_runs)), "w2": ("run", np.resize(SPACE["w2"], num_runs))}
    alone = bits(fates(1, grid=grid))
    for _ in range(20):  # who gets which run is a matter of chance
        assert bits(fates(8, grid=grid)) == alone


def test_results_do_not_depend_on_the_order_or_on_the_company():
    full = fates()
    rng = np.random.default_rng(0)
    lr, w2 = rng.permutation(SPACE["lr"]), rng.permutation(SPACE["w2"])
    assert bits(fates(grid={"w2": w2, "lr": lr}).transpose(*full.dims).sel(lr=SPACE["lr"], w2=SPACE["w2"])) == bits(
        full
    )
    for i, k in ((0, 0), (7, 3), (14, 10)):
        alone = fates(grid={"lr": [SPACE["lr"][i]], "w2": [SPACE["w2"][k]]})
        assert bits(alone) == bits(full.isel(lr=[i], w2=[k]))


@settings(max_examples=20)
@given(st.data())
def test_any_subset_of_runs_has_the_same_bits(data):
    pairs = data.draw(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 10)), min_size=1, max_size=40))
    rows, columns = map(list, zip(*pairs, strict=True))
    grid = {"lr": ("run", SPACE["lr"][rows]), "w2": ("run", SPACE["w2"][columns])}
    some = fates(num_threads=data.draw(st.integers(1, 4)), grid=grid)
    along = {"lr": xr.DataArray(rows, dims="run"), "w2": xr.DataArray(columns, dims="run")}
    expected = fates_once().isel(along).transpose("run", ...)
    for name in some.data_vars:
        np.testing.assert_array_equal(some[name], expected[name])


def fates_once(cache=[]):  # noqa: B006 - computed once for all examples
    if not cache:
        cache.append(fates())
    return cache[0]


@pytest.mark.parametrize("num_steps", [3000, 40_000])
def test_more_measures_change_no_bit(num_steps):
    measures = (*ALL_MEASURES, eos.Mean("loss", last=9000, name="long_mean"))
    full = fates(measure=measures, num_steps=num_steps)
    names = [name for name in full.data_vars if name not in ("status", "num_steps_done")]
    for name, measure in zip(names, measures, strict=True):
        some = fates(measure=(measure,), num_steps=num_steps)
        assert set(some.data_vars) == {name, "status", "num_steps_done"}
        for variable in some.data_vars:
            np.testing.assert_array_equal(some[variable], full[variable], err_msg=f"{variable} beside {name}")


def test_a_sweep_may_run_in_several_threads_of_python():
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: bits(fates(2)), range(3)))
    assert results[0] == results[1] == results[2]


# ------------------------------------------------------------------------------------------------------- around a sweep


def test_provenance():
    data = eos.datasets.sparse_coding(n=5, d=4)
    result = eos.sweep(
        eos.ThresholdNeuron(data),
        eos.GD(),
        {"lr": np.linspace(0.1, 0.2, 3), "b": ("run", np.zeros(100)), "a_plus": ("run", np.ones(100))},
        w0={"a_minus": 0.5},
        num_steps=3,
        measure=("loss", eos.FirstBelow("loss", 0.1)),
        seed=9,
        num_threads=2,
    )
    assert all(isinstance(value, (int, float, str)) and not isinstance(value, bool) for value in result.attrs.values())
    assert result.attrs["status"] == "completed"
    assert (result.attrs["seed"], result.attrs["num_threads"]) == (9, 2)
    config = json.loads(result.attrs["config"])
    assert config["model"]["data"]["recipe"] == data.recipe
    assert config["optimizer"] == {"type": "GD", "lr": None, "weight_decay": 0.0}
    assert config["grid"]["lr"] == {"dim": "lr", "values": [0.1, 0.15000000000000002, 0.2]}
    assert config["grid"]["b"]["dim"] == "run"
    assert config["grid"]["b"]["values"]["shape"] == [100]
    assert config["w0"] == {"a_minus": 0.5}
    assert config["measure"] == ["loss", {"type": "FirstBelow", "quantity": "loss", "value": 0.1, "name": None}]


def test_sweeps_go_to_netcdf_and_back(tmp_path):
    result = fates()
    result.to_netcdf(tmp_path / "sweep.nc")
    with xr.open_dataset(tmp_path / "sweep.nc") as back:
        xr.testing.assert_identical(back.load(), result)
    labelled = eos.sweep(eos.SingleNeuron(), eos.GD(0.1), {"model.loss": ["sqrt", "huber"]}, num_steps=3)
    labelled.to_netcdf(tmp_path / "labels.nc")
    with xr.open_dataset(tmp_path / "labels.nc") as back:
        xr.testing.assert_identical(back.load(), labelled)


def test_nothing_is_printed_and_progress_goes_to_stderr(capfd):
    quiet = fates()
    assert capfd.readouterr() == ("", "")
    shown = eos.sweep(
        eos.ScalarProduct(), eos.GD(), SPACE, w0=START, num_steps=3000, measure=ALL_MEASURES, progress=True
    )
    out, err = capfd.readouterr()
    assert out == ""
    assert "165/165" in err
    assert "\r" not in err  # in a file each is a line
    assert "run/s" in err or "s/run" in err
    assert bits(shown) == bits(quiet)


class Broken(io.StringIO):
    """A log file on a full disk."""

    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("stderr", [None, Broken()])
def test_progress_that_cannot_be_shown_stops_nothing(stderr, monkeypatch):
    monkeypatch.setattr("sys.stderr", stderr)
    found = eos.sweep(eos.ScalarProduct(), eos.GD(), {"lr": [0.1, 0.2]}, num_steps=30, progress=True)
    run = eos.train(eos.ScalarProduct(), optimizer=eos.GD(0.1), num_steps=30, progress=True)
    assert found.loss.values[0] == run.loss.values[-1]


def test_progress_over_several_calls_of_the_core(capfd):
    eos.sweep(
        eos.SingleNeuron(), eos.GD(0.1), {"model.loss": ["sqrt", "huber"], "y": [1, 2, 3]}, num_steps=9, progress=True
    )
    assert "6/6" in capfd.readouterr().err


LONG_SWEEP = """
import numpy as np
import eosfast as eos
grid = {{"lr": [0.1, 0.5, 1.6, 1.7], "w2": np.linspace(0.9, 1.0, 100)}}  # two settle, two are chaotic and never end
measure = ("loss", "last_loss_increase", "weights")
print("ready", flush=True)
phase = eos.sweep(eos.ScalarProduct(), eos.GD(), grid, w0={{"w1": 0.9}}, num_steps=10**13, measure=measure,
                  num_threads=2, progress={progress})
finished, begun, pending = (phase.status.isin(codes).values for codes in ([0, 1, 2, 3], [4], [5]))
good = [
    finished[:2].all() and not finished[2:].any(),
    np.isfinite(phase.loss.values[finished | begun]).all(),
    np.isnan(phase.loss.values[pending]).all() and np.isnan(phase.weights.values[pending]).all(),
    (phase.last_loss_increase.values[pending] == -1).all() and (phase.num_steps_done.values[pending] == 0).all(),
    (phase.num_steps_done.values[finished] == 10**13).all() and (phase.num_steps_done.values[begun] > 10**4).all(),
]
print(phase.attrs["status"], begun.sum(), pending.sum(), *good)
"""


@pytest.mark.parametrize("progress", [False, True])
def test_ctrl_c_returns_the_finished_runs_within_a_second(progress):
    status, begun, pending, *good = words_after_ctrl_c(LONG_SWEEP.format(progress=progress))
    assert status == "interrupted"
    assert int(begun) > 0
    assert int(pending) > 0
    assert good == ["True"] * 5


def test_ctrl_c_between_two_calls_of_the_core_returns_what_is_finished(monkeypatch):
    model = eos.ThresholdNeuron(eos.datasets.sparse_coding(n=10, d=5))
    draw = eos.Dataset.with_seed

    def draw_three(data, seed):
        if seed == 3:
            raise KeyboardInterrupt
        return draw(data, seed)

    monkeypatch.setattr("eosfast.runs.DATA_AT_ONCE", 2 * model.data_bytes)
    monkeypatch.setattr(eos.Dataset, "with_seed", draw_three)
    result = eos.sweep(model, eos.GD(0.1), {"seed": range(6)}, num_steps=5, measure=("loss", "period"))
    assert result.attrs["status"] == "interrupted"
    assert result.status.values.tolist() == [0, 0, 5, 5, 5, 5]
    assert np.isfinite(result.loss[:2]).all()
    assert np.isnan(result.loss[2:]).all()
    assert result.period.values[2:].tolist() == [-1] * 4
    assert result.num_steps_done.values.tolist() == [5, 5, 0, 0, 0, 0]


MANY_RUNS = """
import resource
import numpy as np
import eosfast as eos
eos.sweep(eos.SingleNeuron(), eos.GD(0.1), {"x": [0.1, 0.2], "y": [1.0, 2.0]}, num_steps=2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
grid = {"x": np.linspace(-1, 1, 2500), "y": np.linspace(0, 3, 4000)}
measure = ("loss", "last_loss_increase")
result = eos.sweep(eos.SingleNeuron(), eos.GD(0.1), grid, num_steps=2, measure=measure, num_threads=2)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(result.nbytes, 1024 * (after - before))
"""


@not_under("address", "thread", reason="memory is also that of the sanitizer")
@pytest.mark.slow
def test_ten_million_runs_fit_in_twice_the_memory_of_their_result():
    done = subprocess.run([sys.executable, "-c", MANY_RUNS], capture_output=True, text=True, check=True)
    result, taken = map(int, done.stdout.split())
    assert result > 10**7 * (8 + 8 + 1 + 8)
    assert taken < 2 * result


def test_a_long_converged_sweep_takes_no_time():
    began = time.perf_counter()
    result = eos.sweep(
        eos.SingleNeuron(),
        eos.GD(0.1),
        {"y": np.linspace(0.5, 4, 200)},
        w0={"x": 0.3},
        num_steps=10**9,
        measure=ALL_MEASURES,
    )
    assert time.perf_counter() - began < 10
    assert (result.status == STATUS.index("steady")).all()
    assert (result.period == 1).all()
    path = steps_of_the_core(eos.SingleNeuron(), eos.GD(0.1), [0.3, 4.0], 3000)
    np.testing.assert_array_equal(result.weights[-1], path[-1])
