"""The tangent kernel along runs: its eigenvalues, the residual along its top eigenvector, and the curvature along that,
recorded by `train`, against dense matrices at every recorded iterate; and at the end of the runs of sweeps.
"""

import dataclasses

import numpy as np
import pytest

import eosfast as eos
from interruption import words_after_ctrl_c
from network_reference import samples

TANH = eos.MLP(samples(14, 3, 2), (4, 3), "tanh")
LANES = eos.TwoLayerNetwork(samples(20, 3, "numbers"), 7, "gelu", loss="mse", trainable="both", bias=True, scale=7.0)
REDUCED = eos.MLP(samples(18, 22, "numbers"), (3,), "softplus")
FEW = eos.MLP(samples(3, 4, "numbers"), (5,), "tanh")
LINEAR = eos.LinearNetwork((3, 4, 6), samples(5, 3, 6))
QUADRATIC = eos.QuadraticRegression.random(20, 30, sigma_z=0.1, sigma_J=0.1, sigma_Q=0.3)
KERNEL = ("ntk_sharpness", "ntk_eigs")
TOP = ("z1", "q1_max", "q1_min")
ALL = (*KERNEL, *TOP, "residual")

every_network = pytest.mark.parametrize("model", [TANH, LANES, REDUCED, FEW], ids=repr)
every_model = pytest.mark.parametrize("model", [TANH, LANES, REDUCED, FEW, LINEAR, QUADRATIC], ids=repr)


class Dense:
    """The same quantities from dense matrices, at one iterate after the other."""

    def __init__(self, model, k=3):
        self.model, self.k, self.v1 = model, k, None

    def at(self, w):
        residual = self.model.residual(w)
        values, vectors = np.linalg.eigh(self.model.ntk(w))
        guide = residual if self.v1 is None else self.v1
        self.v1 = vectors[:, -1] * (1.0 if vectors[:, -1] @ guide >= 0 else -1.0)
        curvature = self.model.curvature_operator(w, self.v1) @ np.eye(self.model.dim)
        q1 = np.linalg.eigvalsh((curvature + curvature.T) / 2)
        return {
            "residual": residual,
            "ntk_sharpness": values[-1],
            "ntk_eigs": values[::-1][: self.k],
            "z1": self.v1 @ residual,
            "q1_max": q1[-1],
            "q1_min": q1[0],
        }


def check(model, run, tol, dense=None, k=3):
    dense = dense or Dense(model, k)
    for t, w in enumerate(run.weights.values):
        expected = dense.at(w)
        size = {"z1": np.linalg.norm(expected["residual"]), "q1_min": expected["q1_max"] - expected["q1_min"]}
        size["q1_max"] = size["q1_min"]
        for name, value in expected.items():
            scale = size.get(name, np.abs(value).max())
            np.testing.assert_allclose(run[name][t], value, rtol=0, atol=tol * scale, err_msg=f"{name} of record {t}")


# ------------------------------------------------------------------------------------------------------- along a run


@every_model
@pytest.mark.parametrize("optimizer", [eos.GD(0.02), eos.Nesterov(0.01, 0.8)], ids=repr)
def test_every_record_is_that_of_dense_matrices(model, optimizer):
    record = eos.Record(quantities=("weights", *ALL), k=3, tol=1e-8)
    run = eos.train(model, None, optimizer, num_steps=60, record=record)
    check(model, run, 1e-6)
    assert run.residual.dims == ("step", "residual_dim")
    assert run.residual.sizes["residual_dim"] == model.residual(model.init()).size
    assert run.ntk_eigs.dims == ("step", "eig")
    np.testing.assert_array_equal(run.ntk_eigs[:, 0], run.ntk_sharpness)


def test_at_the_edge_of_stability():
    """The kernel of a mean over n samples ends near n 2/lr, z1 jumps to and fro, the sign of v1 does not."""
    model, lr = eos.MLP(samples(25, 4, 1), (12,), "tanh"), 0.6
    record = eos.Record(quantities=("weights", *ALL), k=1, tol=1e-6)
    run = eos.train(model, None, eos.GD(lr), num_steps=200, record=record)
    check(model, run, 1e-5, k=1)
    z1 = run.z1.values
    assert z1[0] >= 0
    assert (z1[51:] * z1[50:-1] < 0).all()
    assert float(run.ntk_sharpness[-100:].median()) == pytest.approx(25 * 2 / lr, rel=0.05)


def test_the_usual_tolerance():
    record = eos.Record(quantities=("weights", *ALL), k=3)
    check(TANH, eos.train(TANH, None, eos.GD(0.2), num_steps=80, record=record), 2e-3)


def test_single_precision():
    model = dataclasses.replace(TANH, dtype="float32")
    run = eos.train(model, None, eos.GD(0.2), num_steps=60, record=eos.Record(quantities=("weights", *ALL), k=3))
    assert all(run[name].dtype == np.float64 for name in ALL)
    check(TANH, run, 2e-3)


@pytest.mark.parametrize("shift", [100.0, -100.0])
def test_curvature_of_one_sign_has_zeros_outside_the_row_space(shift):
    """Kernel and neurons are positive: v1 has the sign of the residual in all components, and so has the curvature."""
    data = eos.Dataset(np.abs(samples(4, 9).X), samples(4, 9, "numbers").y + shift)
    model = eos.TwoLayerNetwork(data, 3, "softplus", loss="mse", output_weights=[1.0, 2.0, 3.0])
    one_sided = "q1_max" if shift > 0 else "q1_min"
    for reduce in (True, False):
        same = dataclasses.replace(model, reduce=reduce)
        run = eos.train(same, None, eos.GD(0.01), num_steps=5, record=eos.Record(quantities=TOP, tol=1e-6))
        assert float((run.q1_max - run.q1_min)[0]) > 1.0
        np.testing.assert_allclose(run[one_sided], 0.0, atol=1e-6)
        if reduce:
            assert (run[one_sided] == 0.0).all()


@pytest.mark.parametrize("loss", ["cross_entropy", "logistic"])
def test_kernels_of_other_losses(loss):
    model = eos.MLP(samples(20, 3, "labels" if loss == "cross_entropy" else "signs"), (6,), "tanh", loss)
    assert set(ALL) & set(model.quantities) == set(KERNEL)
    record = eos.Record(quantities=("weights", *KERNEL), k=4, tol=1e-8)
    run = eos.train(model, None, eos.GD(0.5), num_steps=40, record=record)
    for t, w in enumerate(run.weights.values):
        np.testing.assert_allclose(run.ntk_eigs[t], np.linalg.eigvalsh(model.ntk(w))[::-1][:4], rtol=1e-8)


def test_solved_less_often():
    record = eos.Record(2, quantities=("weights", *ALL), sharpness_every=6, k=3, tol=1e-8)
    run = eos.train(TANH, None, eos.GD(0.2), num_steps=40, record=record)
    solved = run.step.values % 6 == 0
    for name in (*KERNEL, *TOP):
        np.testing.assert_array_equal(np.isfinite(run[name].values).reshape(len(solved), -1).all(axis=1), solved)
        np.testing.assert_array_equal(np.isnan(run[name].values).reshape(len(solved), -1).all(axis=1), ~solved)
    assert np.isfinite(run.residual).all()
    check(TANH, run.isel(step=solved), 1e-6)


@every_network
@pytest.mark.parametrize("asked", [("ntk_sharpness",), ("z1",), ("q1_min",), ("residual",), ("q1_max", "ntk_eigs")])
def test_each_quantity_alone(model, asked):
    record = eos.Record(5, quantities=("weights", *asked), tol=1e-8, k=2)
    run, dense = eos.train(model, None, eos.GD(0.1), num_steps=20, record=record), Dense(model, 2)
    for t, w in enumerate(run.weights.values):
        expected = dense.at(w)
        for name in asked:
            np.testing.assert_allclose(run[name][t], expected[name], rtol=1e-5, atol=1e-7)


def test_nothing_else_changes():
    """Weights, losses, gradients and Hessian eigenvalues have the bits that they have alone."""
    plain = ("loss", "grad_norm", "weights", "sharpness")
    for model in (TANH, LANES, REDUCED):
        alone, beside = (
            eos.train(model, None, eos.Nesterov(0.1, 0.5), num_steps=30, record=eos.Record(quantities=quantities))
            for quantities in (plain, (*plain, *ALL))
        )
        for name in plain:
            np.testing.assert_array_equal(alone[name], beside[name], err_msg=name)


def test_results_do_not_depend_on_threads():
    model = eos.MLP(samples(150, 40, 3), (48, 40), "gelu")
    record = eos.Record(4, quantities=ALL, k=2)
    runs = [eos.train(model, None, eos.GD(0.1), num_steps=8, record=record, num_threads=n) for n in (1, 2, 3)]
    for run in runs[1:]:
        for name in run.variables:
            np.testing.assert_array_equal(run[name], runs[0][name], err_msg=name)


# ------------------------------------------------------------------------------------------------------- how it ends


def test_a_diverging_run():
    run = eos.train(TANH, None, eos.GD(50.0), num_steps=1000, record=eos.Record(quantities=("loss", *ALL), k=2))
    assert run.attrs["status"] == "diverged"
    infinite = eos.train(
        TANH, np.full(TANH.dim, 1e200), eos.GD(0.1), num_steps=3, record=eos.Record(quantities=ALL, k=2)
    )
    assert infinite.attrs["num_steps_done"] == 0
    for name in (*KERNEL, *TOP):
        assert np.isnan(infinite[name].values).all()


@pytest.mark.parametrize("every", [1000, "log2"], ids=str)
def test_a_steady_run_is_filled_in(every):
    record = eos.Record(every, quantities=("weights", *ALL), k=3, tol=1e-8)
    run = eos.train(FEW, None, eos.GD(0.2), num_steps=20_001, record=record)
    assert run.attrs["status"] == "steady"
    dense = Dense(FEW)
    for t, w in enumerate(run.weights.values):
        expected = dense.at(w)
        for name in ("ntk_sharpness", "ntk_eigs", "residual"):
            np.testing.assert_allclose(run[name][t], expected[name], rtol=1e-6, atol=1e-12)


LONG_RUN = """
import numpy as np
import eosfast as eos
rng = np.random.default_rng(0)
model = eos.MLP(eos.Dataset(rng.standard_normal(({n}, 50)), rng.standard_normal({n})), (100, 100))
eos.train(model, None, eos.GD(1e-4), num_steps=1)  # so that nothing is imported behind the signal
print("ready", flush=True)
record = eos.Record(every="log2", quantities=("loss", {name!r}), tol=1e-15)
run = eos.train(model, None, eos.GD(1e-4), num_steps=10**12, record=record, stop=eos.Stop(steady=False))
print(run.attrs["status"], run.sizes["step"], np.isfinite(run.loss.values).all(), np.isnan(run[{name!r}].values[-1]))
"""


@pytest.mark.parametrize(("name", "n"), [("ntk_sharpness", 2000), ("q1_min", 1)])
def test_ctrl_c_inside_a_solve(name, n):
    """With one sample the kernel is a number, and it is the curvature that keeps the run busy."""
    status, rows, finite, unknown = words_after_ctrl_c(LONG_RUN.format(name=name, n=n), 1.0)
    assert status == "interrupted"
    assert int(rows) >= 1
    assert (finite, unknown) == ("True", "True")


# ------------------------------------------------------------------------------------------------------------- sweeps


@pytest.mark.parametrize("model", [TANH, LANES, REDUCED, FEW, dataclasses.replace(TANH, dtype="float32")], ids=repr)
def test_the_end_of_every_run_of_a_sweep(model):
    measure, rates = ("ntk_sharpness", *TOP), [0.05, 0.1, 0.3]
    found = eos.sweep(model, eos.GD(), {"lr": rates, "seed": [0, 1]}, num_steps=50, measure=measure)
    tol = 1e-5 if model.dtype == "float64" else 2e-3
    for lr in rates:
        for seed in (0, 1):
            record = eos.Record(50, quantities=("weights",))
            w = eos.train(model, None, eos.GD(lr), num_steps=50, seed=seed, record=record).weights.values[-1]
            expected = Dense(model, 1).at(w)  # afresh: z1 >= 0
            run = found.sel(lr=lr, seed=seed)
            assert run.ntk_sharpness == pytest.approx(expected["ntk_sharpness"], rel=tol)
            assert run.z1 == pytest.approx(expected["z1"], abs=tol * np.linalg.norm(expected["residual"]))
            width = expected["q1_max"] - expected["q1_min"]
            assert run.q1_max == pytest.approx(expected["q1_max"], abs=tol * width)
            assert run.q1_min == pytest.approx(expected["q1_min"], abs=tol * width)


def test_sweeps_do_not_depend_on_threads_or_measures():
    order = {"grid": {"lr": [0.05, 0.1, 0.2, 0.3, 0.4]}, "num_steps": 30}
    alone = eos.sweep(TANH, eos.GD(), measure=("ntk_sharpness",), num_threads=1, **order)
    many = eos.sweep(TANH, eos.GD(), measure=("z1", "ntk_sharpness", "q1_max"), num_threads=3, **order)
    one = eos.sweep(TANH, eos.GD(), measure=("z1", "ntk_sharpness", "q1_max"), num_threads=1, **order)
    np.testing.assert_array_equal(alone.ntk_sharpness, many.ntk_sharpness)
    for name in ("z1", "q1_max"):
        np.testing.assert_array_equal(one[name], many[name])


def test_a_diverged_run_of_a_sweep_has_no_kernel():
    found = eos.sweep(TANH, eos.GD(), {"lr": [1e-2, 1e200]}, num_steps=5, measure=("ntk_sharpness", "z1"))
    np.testing.assert_array_equal(np.isnan(found.z1), [False, True])
    np.testing.assert_array_equal(np.isnan(found.ntk_sharpness), [False, True])


# ---------------------------------------------------------------------------------------------------------- bad input


def test_no_more_eigenvalues_than_outputs():
    with pytest.raises(ValueError, match=r"k of Record must be at most 3, the number of outputs of MLP.*, got 4"):
        eos.train(FEW, None, eos.GD(0.1), num_steps=1, record=eos.Record(quantities=("ntk_eigs",), k=4))
    run = eos.train(FEW, None, eos.GD(0.1), num_steps=1, record=eos.Record(quantities=("ntk_eigs",), k=3))
    assert np.isfinite(run.ntk_eigs).all()


@pytest.mark.parametrize("name", ["residual", "z1", "q1_max", "q1_min"])
def test_what_needs_a_squared_loss(name):
    model = eos.LogisticRegression(samples(5, 3))
    with pytest.raises(ValueError, match=f"quantities of Record must be among .*'ntk_sharpness'.*, got {name!r}"):
        eos.train(model, None, eos.GD(0.1), num_steps=1, record=eos.Record(quantities=(name,)))
    with pytest.raises(ValueError, match=f"measure must be among .*, got {name!r}"):
        eos.sweep(model, eos.GD(), {"lr": [0.1]}, num_steps=1, measure=(name,))


@pytest.mark.parametrize("name", ["residual", "ntk_eigs"])
def test_vectors_are_no_measures(name):
    with pytest.raises(ValueError, match=f"measure must be among .*, got {name!r}"):
        eos.sweep(TANH, eos.GD(), {"lr": [0.1]}, num_steps=1, measure=(name,))
