"""`train` on networks: the iterates, what is recorded of them, how runs end, and what changes no bit."""

import time

import numpy as np
import pytest
import xarray as xr

import eosfast as eos
from interruption import words_after_ctrl_c
from network_reference import iterates, network, samples
from reference import without_provenance

TANH = eos.MLP(samples(8, 3, 2), (5, 4), "tanh")
LABELS = eos.MLP(samples(8, 3, "labels"), (6,), "silu", loss="cross_entropy")
GELU = eos.TwoLayerNetwork(samples(8, 5), 6, "gelu", trainable="both", bias=True, scale=6.0)
REGRESSION = eos.LogisticRegression(samples(6, 9))
NETWORKS = [TANH, LABELS, GELU, REGRESSION, eos.TwoLayerNetwork(samples(7, 3, "numbers"), 4, "softplus", loss="mse")]
OPTIMIZERS = [eos.GD(0.1), eos.HeavyBall(0.05, 0.8), eos.Nesterov(0.05, 0.8)]

every_network = pytest.mark.parametrize("model", NETWORKS, ids=repr)


def start(model):
    return 0.5 * np.random.default_rng(1).standard_normal(model.dim)


def first(condition):
    return int(np.argmax(condition))


def close(found, expected, tol):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tol * np.abs(expected).max())


# ------------------------------------------------------------------------------------------------------------- iterates


@every_network
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_iterates_are_those_of_a_plain_loop(model, optimizer):
    run = eos.train(model, start(model), optimizer, num_steps=200, record=eos.Record(quantities=("weights", "loss")))
    path = iterates(model, optimizer, start(model), 200)
    np.testing.assert_array_equal(run.weights[0], start(model))
    close(run.weights, path, 1e-10)
    np.testing.assert_allclose(run.loss, [network(model).loss(w) for w in path], rtol=1e-10)
    assert np.abs(path[-1] - path[0]).max() > 0.05


def test_a_linear_model_has_a_closed_form():
    data = samples(6, 3, "numbers")
    model = eos.TwoLayerNetwork(data, 1, "identity", loss="mse")
    run = eos.train(model, [0.0] * 3, eos.GD(0.3), num_steps=400, record=eos.Record(quantities=("weights",)))
    H, g = data.X.T @ data.X / 6, data.X.T @ data.y / 6
    w, best = np.zeros(3), np.linalg.solve(H, g)
    for t in (1, 7, 400):
        w = best - np.linalg.matrix_power(np.eye(3) - 0.3 * H, t) @ best
        np.testing.assert_allclose(run.weights[t], w, rtol=1e-12)


@pytest.mark.parametrize(
    "make", [lambda **kw: eos.MLP(TANH.data, (5, 4), **kw), lambda **kw: eos.LogisticRegression(GELU.data, **kw)]
)
def test_runs_in_single_precision_stay_near(make):
    double, single = make(), make(dtype="float32")
    record = eos.Record(quantities=("weights", "loss", "grad_norm", "sharpness"))
    runs = [eos.train(model, start(double), eos.GD(0.1), num_steps=100, record=record) for model in (double, single)]
    for name in record.quantities:
        assert runs[1][name].dtype == np.float64
        close(runs[1][name], runs[0][name], 1e-4 if name != "sharpness" else 2e-3)
    assert (runs[1].weights != runs[0].weights).any()


def test_the_start_in_all_its_forms():
    record = eos.Record(quantities=("loss", "weights"))
    runs = [
        eos.train(GELU, w0, eos.GD(0.1), num_steps=9, seed=4, record=record)
        for w0 in (GELU.init(4), list(GELU.init(4)), GELU.unpack(GELU.init(4)), None)
    ]
    for run in runs[1:]:
        xr.testing.assert_identical(without_provenance(run), without_provenance(runs[0]))


# -------------------------------------------------------------------------------------------------- what changes no bit

BIG = eos.MLP(samples(150, 40, 3), (48, 40), "gelu")
WIDE = eos.TwoLayerNetwork(samples(300, 30), 200, "silu", trainable="both", bias=True)


@pytest.mark.parametrize("model", [BIG, WIDE, eos.LogisticRegression(samples(700, 60))], ids=repr)
def test_results_do_not_depend_on_threads(model):
    own = tuple(name for name in ("margin", "accuracy") if name in model.quantities and model is not BIG)
    quantities = ("loss", "grad_norm", "weights", "weight_norm", "sharpness", "hessian_eigs", *own)
    record = eos.Record(every=4, quantities=quantities, k=2)
    runs = [eos.train(model, None, eos.GD(0.1), num_steps=16, record=record, num_threads=n) for n in (1, 2, 3)]
    for run in runs[1:]:
        for name in run.variables:
            assert run[name].values.tobytes() == runs[0][name].values.tobytes(), name
    assert [run.attrs["num_threads"] for run in runs] == [1, 2, 3]


@pytest.mark.parametrize("every", [1, 7, 100, "log2", [3, 11]], ids=str)
@pytest.mark.parametrize("model", [TANH, GELU, REGRESSION], ids=repr)
def test_the_run_is_the_same_however_it_is_observed(model, every):
    plain = ("loss", "grad_norm", "weights", "weight_norm")
    full = eos.train(model, start(model), eos.GD(0.2), num_steps=40, record=eos.Record(quantities=plain))
    record = eos.Record(every, quantities=(*plain, "sharpness", "hessian_eigs"), k=2)
    run = eos.train(model, start(model), eos.GD(0.2), num_steps=40, record=record)
    expected = {1: list(range(41)), 7: [0, 7, 14, 21, 28, 35, 40], 100: [0, 40], "log2": [0, 1, 2, 4, 8, 16, 32, 40]}
    assert list(run.step.values) == (expected[every] if not isinstance(every, list) else [3, 11, 40])
    for name in plain:
        np.testing.assert_array_equal(run[name], full[name].sel(step=run.step))


def test_a_run_is_repeatable():
    record = eos.Record(quantities=("loss", "sharpness", "weights"))
    runs = [eos.train(TANH, None, eos.GD(0.2), num_steps=60, record=record, seed=3) for _ in range(2)]
    xr.testing.assert_identical(*map(without_provenance, runs))


# -------------------------------------------------------------------------------------------------------------- records


@every_network
def test_every_record_is_what_the_network_says_at_that_iterate(model):
    signs = set(np.unique(model.data.y)) == {-1.0, 1.0}
    own = tuple(name for name in ("accuracy", "margin") if signs)
    assert set(own) <= set(model.quantities)
    quantities = ("loss", "grad_norm", "weights", "weight_norm", *own)
    run = eos.train(model, start(model), eos.GD(0.1), num_steps=12, record=eos.Record(3, quantities=quantities))
    for t, w in enumerate(run.weights.values):
        row, reference = run.isel(step=t), network(model)
        assert float(row.loss) == pytest.approx(reference.loss(w), rel=1e-12)
        assert float(row.grad_norm) == pytest.approx(np.linalg.norm(reference.grad(w)), rel=1e-12)
        assert float(row.weight_norm) == pytest.approx(np.linalg.norm(w), rel=1e-13)
        if signs:
            assert float(row.margin) == pytest.approx(reference.margin(w), rel=1e-11)
            assert float(row.accuracy) == np.mean(np.sign(reference.outputs(w, model.data.X)) == model.data.y)


def test_the_dataset_has_the_promised_form():
    quantities = ("loss", "sharpness", "hessian_eigs", "grad_norm", "weights", "weight_norm", "margin", "accuracy")
    run = eos.train(GELU, None, eos.GD(0.1), num_steps=6, record=eos.Record(2, quantities=quantities, k=3))
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
        "margin": (("step",), "float64"),
        "accuracy": (("step",), "float64"),
    }
    assert list(run.step.values) == [0, 2, 4, 6]
    assert run.sizes["eig"] == 3
    np.testing.assert_array_equal(run.parameter, np.arange(GELU.dim))
    assert run.attrs["threshold"] == 20.0
    assert run.attrs["status"] == "completed"
    assert "MLP" not in run.attrs["config"]
    assert "TwoLayerNetwork" in run.attrs["config"]
    assert "gelu" in run.attrs["config"]


def test_runs_go_to_netcdf_and_back(tmp_path):
    model = eos.MLP(GELU.data, (3,), eos.Leaky("tanh", 0.1, 0.9), loss="logistic")
    run = eos.train(
        model, None, eos.GD(0.1), num_steps=4, record=eos.Record(quantities=("loss", "sharpness", "weights"))
    )
    run.to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as back:
        xr.testing.assert_identical(back.load(), run)


@every_network
@pytest.mark.parametrize("tol", [1e-3, 1e-8])
def test_the_sharpness_along_a_run_is_the_top_of_the_dense_hessian(model, tol):
    record = eos.Record(4, quantities=("sharpness", "hessian_eigs", "weights"), k=3, tol=tol)
    run = eos.train(model, start(model), eos.GD(0.3), num_steps=80, record=record)
    for t, w in enumerate(run.weights.values):
        row, exact = run.isel(step=t), np.linalg.eigvalsh(network(model).hessian(w))[::-1]
        size = np.abs(exact).max()
        assert row.sharpness_converged
        assert row.sharpness_residual <= tol * size * (1 + tol)
        assert abs(row.sharpness - exact[0]) <= row.sharpness_residual + 1e-12 * size
        np.testing.assert_allclose(row.hessian_eigs, exact[:3], rtol=0, atol=tol * size)
        assert row.hessian_eigs[0] == row.sharpness


def test_the_sharpness_may_be_solved_less_often():
    record = eos.Record(every=2, quantities=("loss", "sharpness", "hessian_eigs"), sharpness_every=6, k=2)
    run = eos.train(TANH, start(TANH), eos.GD(0.1), num_steps=25, record=record)
    solved = np.isin(run.step, [0, 6, 12, 18, 24])
    for name in ("sharpness", "sharpness_residual"):
        np.testing.assert_array_equal(np.isfinite(run[name]), solved)
    np.testing.assert_array_equal(np.isfinite(run.hessian_eigs).all(axis=1), solved)
    np.testing.assert_array_equal(run.sharpness_converged, solved)
    assert (run.sharpness_matvecs.values[~solved] == 0).all()
    assert np.isfinite(run.loss).all()


def at_the_edge():
    """Four clouds of 15 points in 16 dimensions: with step size 0.4 a tanh network is at the edge from step 100 on."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 4
    X = 0.2 * (rng.standard_normal((4, 16))[labels] + 2.0 * rng.standard_normal((60, 16)))
    return eos.MLP(eos.Dataset(X, 2.0 * np.eye(4)[labels]), (16, 16), "tanh")


def test_the_edge_of_stability_of_a_network():
    model, record = at_the_edge(), eos.Record(quantities=("loss", "sharpness"))
    run = eos.train(model, None, eos.GD(0.4), num_steps=1000, record=record)
    loss, sharpness = run.loss.values, run.sharpness.values
    assert np.sum(np.diff(loss[300:]) > 0) > 100  # it goes up and down
    assert loss[-1] < 0.1 * loss[100]
    assert np.median(sharpness[300:]) == pytest.approx(2 / 0.4, rel=0.05)
    assert run.sharpness_converged.mean() > 0.99
    assert run.sharpness_matvecs[1:].mean() <= 3.3  # five eigenvalues within five per cent, and a third of all steps up
    some = eos.train(model, None, eos.GD(0.4), num_steps=1000, record=eos.Record(100, quantities=("weights",)))
    for t, w in zip(some.step.values, some.weights.values, strict=True):
        exact = np.linalg.eigvalsh(model.hessian(w))[-1]
        assert abs(sharpness[t] - exact) <= run.sharpness_residual.values[t] + 1e-3 * exact


@pytest.mark.parametrize(("classes", "widths", "lr", "most"), [((0, 1), (50,), 0.15, 2.0), (None, (40,), 0.1, 2.2)])
def test_sharpness_at_every_step_of_digits(classes, widths, lr, most):
    model = eos.MLP(eos.datasets.digits(classes=classes, n=300), widths, "tanh")
    run = eos.train(model, None, eos.GD(lr), num_steps=600, record=eos.Record(quantities=("sharpness",)))
    assert run.sharpness_converged.all()
    assert run.sharpness_matvecs[1:].mean() <= most


# ---------------------------------------------------------------------------------------------------------- how it ends

CADENCES = [1, 7, 10**6, "log2", [5]]


@pytest.mark.parametrize("every", CADENCES, ids=str)
def test_divergence_ends_a_run_at_the_first_step_above(every):
    w0, rule = 2 * start(TANH), eos.GD(4.0)
    full = eos.train(TANH, w0, rule, num_steps=300, stop=eos.Stop(diverged=np.inf))
    for level in (1.5 * float(full.loss[0]), 1e5):
        expected = first(~(full.loss.values <= level))
        assert expected > 0
        run = eos.train(TANH, w0, rule, num_steps=10**6, stop=eos.Stop(diverged=level), record=eos.Record(every))
        assert run.attrs["status"] == "diverged"
        assert run.attrs["num_steps_done"] == run.step.values[-1] == expected
        assert run.loss.values[-1] == full.loss.values[expected]


@pytest.mark.parametrize("every", CADENCES, ids=str)
@pytest.mark.parametrize("rule", ["loss", "grad_norm"])
def test_convergence_ends_a_run_at_the_first_step_below(rule, every):
    full = eos.train(
        LABELS, start(LABELS), eos.GD(0.5), num_steps=800, record=eos.Record(quantities=("loss", "grad_norm"))
    )
    for fraction in (0.5, 0.1):
        level = fraction * float(full[rule][0])
        expected = first(full[rule].values < level)
        assert expected > 0
        record = eos.Record(every, quantities=("loss", "grad_norm"))
        stop = eos.Stop(**{rule: level})
        run = eos.train(LABELS, start(LABELS), eos.GD(0.5), num_steps=10**6, stop=stop, record=record)
        assert run.attrs["status"] == "converged"
        assert run.attrs["num_steps_done"] == run.step.values[-1] == expected
        assert run[rule].values[-1] == full[rule].values[expected]


def test_a_run_may_end_where_it_starts():
    for num_steps in (0, 10):
        run = eos.train(TANH, np.full(TANH.dim, 1e200), eos.GD(0.1), num_steps=num_steps)
        assert run.attrs["status"] == "diverged"
        assert run.attrs["num_steps_done"] == 0
        assert list(run.step.values) == [0]
        run = eos.train(TANH, start(TANH), eos.GD(0.1), num_steps=num_steps, stop=eos.Stop(loss=1e6))
        assert run.attrs["status"] == "converged"
        assert run.attrs["num_steps_done"] == 0


@pytest.mark.parametrize("every", [1, "log2", [11, 15_000]], ids=str)
def test_a_steady_run_is_filled_in_exactly(every):
    model = eos.MLP(samples(3, 2, "numbers"), (4,), "tanh")
    plain = ("loss", "grad_norm", "weights", "weight_norm")
    record = eos.Record(every, quantities=(*plain, "sharpness"), sharpness_every=100)
    run = {"num_steps": 20_001, "record": record}
    filled = eos.train(model, start(model), eos.GD(0.2), **run)
    computed = eos.train(model, start(model), eos.GD(0.2), stop=eos.Stop(steady=False), **run)
    assert computed.attrs["status"] == "completed"
    assert "steady_from" not in computed.attrs
    assert filled.attrs["status"] == "steady"
    assert filled.attrs["num_steps_done"] == 20_001
    for name in ("step", *plain):
        np.testing.assert_array_equal(filled[name], computed[name])
    np.testing.assert_allclose(filled.sharpness, computed.sharpness, rtol=2e-3)
    p, since = filled.attrs["steady_period"], filled.attrs["steady_from"]
    assert 1 <= p <= 64
    assert 0 < since < 20_001
    every_step = eos.train(
        model, start(model), eos.GD(0.2), num_steps=20_001, record=eos.Record(quantities=("weights",))
    )
    path = every_step.weights.values
    np.testing.assert_array_equal(path[since + p :], path[since:-p])


def test_a_converged_run_of_a_billion_steps_takes_no_time():
    began = time.perf_counter()
    model = eos.MLP(samples(3, 2, "numbers"), (4,), "tanh")
    run = eos.train(model, start(model), eos.GD(0.2), num_steps=10**9, record=eos.Record("log2"))
    assert time.perf_counter() - began < 5
    assert run.attrs["status"] == "steady"
    assert run.step[-1] == 10**9


LONG_RUN = """
import numpy as np
import eosfast as eos
rng = np.random.default_rng(0)
model = eos.MLP(eos.Dataset(rng.standard_normal((2000, 50)), rng.standard_normal(2000)), {widths})
print("ready", flush=True)
record = eos.Record(every={every}, quantities=("loss", "sharpness"), tol={tol})
run = eos.train(model, None, eos.GD(1e-4), num_steps=10**12, record=record, stop=eos.Stop(steady=False))
finite = np.isfinite(run.loss.values).all()
print(run.attrs["status"], run.attrs["num_steps_done"], run.step.values[-1], run.sizes["step"], finite)
"""


@pytest.mark.parametrize(
    ("widths", "every", "tol"), [((20,), 10**7, 1e-3), ((300, 300), "'log2'", 1e-15)], ids=["steps", "solves"]
)
def test_ctrl_c_returns_what_there_is_within_a_second(widths, every, tol):
    status, done, last, rows, finite = words_after_ctrl_c(LONG_RUN.format(widths=widths, every=every, tol=tol))
    assert status == "interrupted"
    assert int(done) == int(last) >= 0
    assert int(rows) >= 1
    assert finite == "True"
