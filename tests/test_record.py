"""What `train` records: when, in which form, and with which provenance."""

import json

import numpy as np
import pytest
import xarray as xr

import eosfast as eos
from reference import DATA, EXAMPLES, everything, without_provenance

every_model = pytest.mark.parametrize("model", EXAMPLES, ids=repr)


@every_model
def test_every_record_is_what_the_model_says_at_that_iterate(model):
    run = eos.train(model, model.init(3), eos.GD(lr=0.01), num_steps=40, record=everything(model))
    assert list(run.step.values) == list(range(41))
    for t, w in enumerate(run.weights.values):
        row = run.isel(step=t)
        assert row.loss == model.loss(w)
        np.testing.assert_allclose(row.grad_norm, np.linalg.norm(model.grad(w)), rtol=1e-14)
        np.testing.assert_allclose(row.weight_norm, np.linalg.norm(w), rtol=1e-14)
        spectrum = model.sharpness(w, k=model.dim)
        np.testing.assert_array_equal(row.hessian_eigs, spectrum.values)
        assert row.sharpness == spectrum.values[0]
        assert row.sharpness_residual == spectrum.residuals[0]
        assert row.sharpness_converged
        if "accuracy" in run:
            assert row.accuracy == model.accuracy(w)


def test_the_dataset_has_the_promised_form():
    run = eos.train(eos.SingleNeuron(), [0.3, 2.0], eos.GD(0.1), num_steps=10, record=everything(eos.SingleNeuron()))
    assert {name: (var.dims, var.dtype.name) for name, var in run.variables.items() if name != "parameter"} == {
        "step": (("step",), "int64"),
        "loss": (("step",), "float64"),
        "sharpness": (("step",), "float64"),
        "sharpness_residual": (("step",), "float64"),
        "sharpness_converged": (("step",), "bool"),
        "sharpness_matvecs": (("step",), "int64"),
        "hessian_eigs": (("step", "eig"), "float64"),
        "grad_norm": (("step",), "float64"),
        "weights": (("step", "parameter"), "float64"),
        "weight_norm": (("step",), "float64"),
        "relative_progress": (("step",), "float64"),
        "directional_smoothness": (("step",), "float64"),
    }
    assert list(run.parameter.values) == ["x", "y"]
    assert float(run.weights.sel(step=0, parameter="y")) == 2.0
    assert list(eos.train(eos.SingleNeuron(), [0.3, 2.0], eos.GD(0.1), num_steps=3)) == ["loss"]


def test_provenance():
    record = eos.Record(every=[0, 3, 9], quantities=("loss",))
    run = eos.train(eos.SingleNeuron("huber"), {"y": 2.0, "x": 0.3}, eos.GD(0.1), num_steps=10, record=record, seed=5)
    assert list(run.step.values) == [0, 3, 9, 10]
    assert all(isinstance(value, (int, float, str)) and not isinstance(value, bool) for value in run.attrs.values())
    assert run.attrs["status"] == "completed"
    assert run.attrs["num_steps_done"] == 10
    assert run.attrs["threshold"] == 20.0
    assert run.attrs["seed"] == 5
    assert run.attrs["eosfast_version"] == eos.__version__
    assert run.attrs["isa"] == eos.isa
    assert run.attrs["num_threads"] == 1
    assert run.attrs["wall_seconds"] >= 0
    assert run.attrs["created"].endswith("+00:00")
    config = json.loads(run.attrs["config"])
    assert config["model"] == {"type": "SingleNeuron", "loss": "huber", "beta": 2.0}
    assert config["optimizer"] == {"type": "GD", "lr": 0.1, "weight_decay": 0.0}
    assert config["w0"] == [0.3, 2.0]
    assert config["num_steps"] == 10
    assert config["record"]["every"] == [0, 3, 9]
    assert config["stop"]["diverged"] == 1e12
    assert config["seed"] == 5
    config = json.loads(eos.train(eos.ThresholdNeuron(DATA), None, eos.GD(0.1), num_steps=1).attrs["config"])
    assert config["model"]["data"]["recipe"] == DATA.recipe
    assert len(config["model"]["data"]["sha256"]) == 64
    config = json.loads(
        eos.train(
            eos.SingleNeuron(),
            [1, 1],
            eos.GD(0.1),
            num_steps=200,
            stop=eos.Stop(diverged=np.inf),
            record=eos.Record(every=np.arange(100)),
        ).attrs["config"]
    )
    assert config["stop"]["diverged"] == "inf"
    assert config["record"]["every"]["shape"] == [100]


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (1, list(range(21))),
        (7, [0, 7, 14, 20]),
        (5, [0, 5, 10, 15, 20]),
        (20, [0, 20]),
        (100, [0, 20]),
        ("log2", [0, 1, 2, 4, 8, 16, 20]),
        ([3], [3, 20]),
        ([0, 1, 20], [0, 1, 20]),
        (np.array([2, 3, 19], dtype=np.uint8), [2, 3, 19, 20]),
        (range(0, 20, 6), [0, 6, 12, 18, 20]),
    ],
    ids=str,
)
def test_records_are_the_same_however_often_one_looks(every, expected):
    model = eos.SingleNeuron("logcosh")
    full = eos.train(model, [0.5, 4.0], eos.GD(0.1), num_steps=20, record=everything(model))
    run = eos.train(model, [0.5, 4.0], eos.GD(0.1), num_steps=20, record=everything(model, every=every))
    assert list(run.step.values) == expected
    xr.testing.assert_identical(without_provenance(run), without_provenance(full.sel(step=expected)))


def test_log2_of_powers_and_of_nothing():
    for num_steps, steps in {0: [0], 1: [0, 1], 2: [0, 1, 2], 3: [0, 1, 2, 3], 16: [0, 1, 2, 4, 8, 16]}.items():
        run = eos.train(eos.SingleNeuron(), [1, 1], eos.GD(0.1), num_steps=num_steps, record=eos.Record("log2"))
        assert list(run.step.values) == steps


def test_no_steps_records_the_start():
    record = eos.Record(quantities=("weights",))
    run = eos.train(eos.SingleNeuron(), [0.3, 2.0], eos.GD(0.1), num_steps=0, record=record)
    assert run.attrs["status"] == "completed"
    assert run.attrs["num_steps_done"] == 0
    np.testing.assert_array_equal(run.weights, [[0.3, 2.0]])


def test_nothing_but_the_steps_may_be_recorded():
    run = eos.train(eos.SingleNeuron(), [0.3, 2.0], eos.GD(0.1), num_steps=5, record=eos.Record(quantities=()))
    assert list(run) == []
    assert run.sizes == {"step": 6}


def test_the_sharpness_may_be_solved_less_often():
    model = eos.SingleNeuron()
    record = everything(model, every=2, sharpness_every=6)
    run = eos.train(model, [0.3, 4.0], eos.GD(0.1), num_steps=25, record=record)
    full = eos.train(model, [0.3, 4.0], eos.GD(0.1), num_steps=25, record=everything(model, every=2))
    solved = np.isin(run.step, [0, 6, 12, 18, 24])
    for name in ("sharpness", "hessian_eigs", "sharpness_residual"):
        np.testing.assert_array_equal(run[name][solved], full[name][solved])
        assert np.isnan(run[name][~solved]).all()
    np.testing.assert_array_equal(run.sharpness_converged, solved)
    np.testing.assert_array_equal(run.loss, full.loss)


def test_tol_decides_what_counts_as_converged():
    model = eos.ScalarProduct(depth=6)
    run = eos.train(model, None, eos.GD(0.01), num_steps=50, record=everything(model, tol=1e-300))
    assert not run.sharpness_converged.all()
    np.testing.assert_array_equal(run.sharpness_converged, run.sharpness_residual <= 1e-300 * run.sharpness)


def test_runs_go_to_netcdf_and_back(tmp_path):
    model = eos.ThresholdNeuron(DATA)
    run = eos.train(model, None, eos.GD(0.1), num_steps=20, record=everything(model, every="log2"))
    run.to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as back:
        xr.testing.assert_identical(back.load(), run)
