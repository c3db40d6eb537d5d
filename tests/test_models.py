"""Every model against its plain NumPy definition, finite differences, and what the interface promises."""

import copy
import dataclasses
import gc
import pickle
import weakref

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, strategies as st
from hypothesis.extra import numpy as hnp

import eosfast as eos
from reference import DATA, EXAMPLES, definition, threshold_accuracy

every_model = pytest.mark.parametrize("model", EXAMPLES, ids=repr)


def weights(model, size=2.0):
    return hnp.arrays(np.float64, model.dim, elements=st.floats(-size, size, allow_subnormal=False))


def some_weights(model, count=20, seed=0):
    return np.random.default_rng(seed).standard_normal((count, model.dim))


# -------------------------------------------------------------------------------------------------- against definitions


@every_model
def test_loss_gradient_and_hessian_are_those_of_the_definition(model):
    reference = definition(model)
    for w in some_weights(model):
        np.testing.assert_allclose(model.loss(w), reference.loss(w), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(model.grad(w), reference.grad(w), rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(model.hessian(w), reference.hessian(w), rtol=1e-11, atol=1e-11)


@every_model
@given(data=st.data())
def test_any_point_agrees_with_the_definition(model, data):
    w = data.draw(weights(model))
    if isinstance(model, eos.ScaleInvariant):  # derivatives are without bound where w is small
        assume(np.linalg.norm(w) > 1e-3)
    reference = definition(model)
    np.testing.assert_allclose(model.loss(w), reference.loss(w), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(model.grad(w), reference.grad(w), rtol=1e-10, atol=1e-11)


@every_model
def test_gradient_and_hessian_are_derivatives(model):
    h = 1e-6
    for w in some_weights(model, 5, seed=1):
        if isinstance(model, eos.ThresholdNeuron):  # piecewise smooth: stay clear of the kinks
            gap = np.min(np.abs(np.concatenate([DATA.X.ravel() - w[2], DATA.X.ravel() + w[2]])))
            h = min(1e-6, gap / 2)
        basis = h * np.eye(model.dim)
        grad = [(model.loss(w + e) - model.loss(w - e)) / (2 * h) for e in basis]
        hessian = [(model.grad(w + e) - model.grad(w - e)) / (2 * h) for e in basis]
        scale = np.abs(model.hessian(w)).max() + 1
        np.testing.assert_allclose(model.grad(w), grad, atol=1e-9 * scale / min(1, h * 1e6))
        np.testing.assert_allclose(model.hessian(w), hessian, atol=1e-8 * scale / min(1, h * 1e6))


@every_model
def test_hvp_is_the_hessian_times_a_vector_or_several(model):
    rng = np.random.default_rng(5)
    w, v, V = rng.standard_normal(model.dim), rng.standard_normal(model.dim), rng.standard_normal((model.dim, 3))
    H = model.hessian(w)
    np.testing.assert_array_equal(H, H.T)
    np.testing.assert_allclose(model.hvp(w, v), H @ v, rtol=1e-13, atol=1e-13 * np.abs(H).max())
    np.testing.assert_allclose(model.hvp(w, V), H @ V, rtol=1e-13, atol=1e-13 * np.abs(H).max())
    assert model.hvp(w, v).shape == v.shape
    assert model.hvp(w, V).shape == V.shape
    assert model.hvp(w, np.empty((model.dim, 0))).shape == (model.dim, 0)


@every_model
def test_sharpness_is_the_top_of_the_spectrum(model):
    for w in some_weights(model, 10, seed=2):
        H = model.hessian(w)
        expected = np.linalg.eigvalsh(H)[::-1]
        for k in range(1, model.dim + 1):
            spectrum = model.sharpness(w, k=k)
            assert isinstance(spectrum, eos.Spectrum)
            assert spectrum.values.shape == spectrum.residuals.shape == spectrum.converged.shape == (k,)
            assert spectrum.vectors.shape == (model.dim, k)
            np.testing.assert_allclose(
                spectrum.values, expected[:k], rtol=0, atol=1e-13 * np.abs(expected).max() + 1e-300
            )
            np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(k), atol=1e-13)
            residuals = np.linalg.norm(H @ spectrum.vectors - spectrum.values * spectrum.vectors, axis=0)
            np.testing.assert_allclose(spectrum.residuals, residuals, atol=1e-14 * np.abs(expected).max())
            assert spectrum.converged.all()


def test_sharpness_is_the_largest_algebraic_eigenvalue_not_the_largest_in_magnitude():
    model = eos.ScalarProduct(depth=2, target=10.0)  # at w = 0 the Hessian is [[0, -10], [-10, 0]]
    np.testing.assert_allclose(model.sharpness([0.0, 0.0], k=2).values, [10.0, -10.0])
    assert eos.ScalarProduct(depth=3).sharpness([0.0, 0.0, 0.0]).values == [0.0]
    assert eos.ScalarProduct(depth=3).sharpness([0.0, 0.0, 0.0]).converged == [True]


@pytest.mark.parametrize("loss", ["sqrt", "logcosh", "huber", "power"])
def test_sharpness_at_a_minimum_of_the_single_neuron(loss):
    np.testing.assert_allclose(eos.SingleNeuron(loss).sharpness([0.0, 3.0]).values, [9.0], rtol=1e-15)
    np.testing.assert_allclose(eos.SingleNeuron("logistic").sharpness([0.0, 3.0]).values, [2.25], rtol=1e-15)


def test_mean_model_is_unstable_from_eight_pi_over_d_squared():
    sharpness = eos.MeanModel(d=200).sharpness([0.0, 0.0, 0.0]).values[0]
    assert 2 / sharpness == pytest.approx(8 * np.pi / 200**2, rel=1e-14)
    sharpness = eos.MeanModel(d=200, noise=3.0).sharpness([0.0, 0.0, 0.0]).values[0]
    assert 2 / sharpness == pytest.approx(8 * np.pi / (3 * 200) ** 2, rel=1e-14)


# ----------------------------------------------------------------------------------------------------- threshold neuron


@pytest.mark.parametrize("d", [1, 7, 200, 5000])
def test_threshold_neuron_agrees_with_direct_sums(d):
    model = eos.ThresholdNeuron(eos.datasets.sparse_coding(n=30, d=d, seed=d))
    reference = definition(model)
    rng = np.random.default_rng(d)
    walk = np.cumsum(rng.standard_normal((40, 3)) * [0.3 / d, 0.3 / d, 0.4], axis=0)  # b wanders over all kinks
    for w in walk:
        assert model.loss(w) == pytest.approx(reference.loss(w), rel=1e-12)
        np.testing.assert_allclose(
            model.grad(w), reference.grad(w), rtol=1e-12, atol=1e-12 * np.abs(reference.grad(w)).max()
        )
        H = reference.hessian(w)
        np.testing.assert_allclose(model.hessian(w), H, rtol=1e-12, atol=1e-12 * np.abs(H).max())
        assert model.accuracy(w) == threshold_accuracy(w, model.data.X, model.data.y)


def test_threshold_neuron_takes_the_derivative_zero_at_its_kinks():
    X = np.array([[0.5, -1.0, 2.0, 0.5], [1.0, 1.0, -0.25, 0.0]])
    model = eos.ThresholdNeuron(eos.Dataset(X, [1, -1]))
    reference = definition(model)
    for b in (*X.ravel(), *-X.ravel(), -100.0, 100.0):
        w = np.array([-0.3, 0.7, b])
        np.testing.assert_allclose(model.grad(w), reference.grad(w), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(model.hessian(w), reference.hessian(w), rtol=1e-13, atol=1e-15)


def test_accuracy_on_other_data():
    model = eos.ThresholdNeuron(eos.datasets.sparse_coding(n=50, d=20, seed=0))
    other = eos.datasets.sparse_coding(n=400, d=20, seed=1)
    w = [-0.4, 0.5, -1.0]
    assert model.accuracy(w, other) == threshold_accuracy(w, other.X, other.y)
    assert model.accuracy(w, model.data) == model.accuracy(w)
    assert model.accuracy([0.0, 0.0, 0.0]) == 0.0  # sign(0) is no label


def test_threshold_neuron_forgets_data_that_nobody_holds():
    data = eos.datasets.sparse_coding(n=5, d=4)
    alive = weakref.ref(data)
    model = eos.ThresholdNeuron(data)
    model.loss([0.1, 0.2, 0.3])
    del data, model
    gc.collect()
    assert alive() is None


def test_equal_data_in_different_objects_do_not_share_what_is_prepared():
    one, other = (eos.Dataset([[1.0, 2.0]], [label]) for label in (1, -1))
    w = [0.1, 0.5, 0.2]
    losses = [eos.ThresholdNeuron(data).loss(w) for data in (one, other, one)]
    assert losses[0] == losses[2] != losses[1]


# ------------------------------------------------------------------------------------------------------ numerical range


@pytest.mark.parametrize("loss", ["sqrt", "logcosh", "logistic", "huber", "power"])
def test_single_neuron_far_from_the_origin(loss):
    model = eos.SingleNeuron(loss, beta=3.0)
    slope = 0.5 if loss == "logistic" else 1.0
    for s in (1e3, 1e100, 1e300):
        assert model.loss([1.0, s]) == pytest.approx(slope * s, rel=2e-3)
        np.testing.assert_allclose(model.grad([1.0, s]), [slope * s, slope], rtol=1e-6)
        np.testing.assert_allclose(model.grad([-1.0, s]), [-slope * s, slope], rtol=1e-6)


@pytest.mark.parametrize("loss", ["sqrt", "logcosh", "logistic", "huber", "power"])
def test_single_neuron_has_no_intermediate_overflow(loss):
    model = eos.SingleNeuron(loss)
    for w in ([1.0, 1e200], [1e170, 1e130]):  # y^2 overflows, the curvature vanishes, the slope is 1
        slope = 0.5 if loss == "logistic" else 1.0
        np.testing.assert_array_equal(model.hessian(w), [[0, slope], [slope, 0]])
        np.testing.assert_array_equal(model.sharpness(w, k=2).values, [slope, -slope])
    s = model.hessian([1e150, 1e-150])  # at s = 1 the curvature of some is zero
    np.testing.assert_allclose(s[0, 1], model.hessian([1.0, 1.0])[0, 1], rtol=1e-14)
    np.testing.assert_allclose(s[1, 1] / 1e300, model.hessian([1.0, 1.0])[1, 1], rtol=1e-13)


def test_a_deep_product():
    model = eos.ScalarProduct(depth=64, target=2.0)
    w = 1 + 0.1 * np.random.default_rng(0).standard_normal(64)
    reference = definition(model)
    assert model.loss(w) == pytest.approx(reference.loss(w), rel=1e-12)
    np.testing.assert_allclose(model.grad(w), reference.grad(w), rtol=1e-12)
    np.testing.assert_allclose(model.hessian(w), reference.hessian(w), rtol=1e-11)
    spectrum = model.sharpness(w, k=64)
    np.testing.assert_allclose(spectrum.values, np.linalg.eigvalsh(reference.hessian(w))[::-1], rtol=1e-11)
    assert spectrum.converged.all()
    run = eos.train(model, w, eos.GD(1e-4), num_steps=2000, record=eos.Record("log2", quantities=("loss", "weights")))
    assert run.loss[-1] < 1e-10
    assert run.sizes["parameter"] == 64


def test_losses_are_relatively_accurate_near_zero():
    s = 1e-9
    with mpmath.workdps(50):
        exact = {
            "logcosh": mpmath.log(mpmath.cosh(s)),
            "huber": mpmath.mpf(s) ** 2 / 2,
            "power": mpmath.mpf(s) ** 2 / 2,
        }
        for loss, value in exact.items():
            assert eos.SingleNeuron(loss).loss([s, 1.0]) == pytest.approx(float(value), rel=1e-15)
        for loss in ("sqrt", "logcosh", "huber", "power"):
            np.testing.assert_allclose(eos.SingleNeuron(loss).grad([s, 1.0]), [s, s * s], rtol=1e-15)
        np.testing.assert_allclose(eos.SingleNeuron("logistic").grad([s, 1.0]), [s / 4, s * s / 4], rtol=1e-15)


def test_additive_constants():
    values = {
        loss: eos.SingleNeuron(loss).loss([0.0, 5.0]) for loss in ("sqrt", "logcosh", "logistic", "huber", "power")
    }
    assert values == {"sqrt": 1.0, "logcosh": 0.0, "logistic": np.log(2), "huber": 0.0, "power": 0.0}


@pytest.mark.parametrize("b", [-3.0, -10.0, -30.0, 5.0, 40.0])
def test_mean_model_is_relatively_accurate_in_the_tails(b):
    model = eos.MeanModel(d=2.0)
    with mpmath.workdps(60):
        z = mpmath.mpf(b)
        g = float(mpmath.npdf(z) + z * mpmath.ncdf(z))
        s = 2.0 * g  # A = 2 (0.25 + 0.75)
        slope = float(mpmath.tanh(mpmath.mpf(s) / 2) / 2)
        expected = [slope * 2.0 * g, slope * 2.0 * g, slope * 2.0 * float(mpmath.ncdf(z))]
    np.testing.assert_allclose(model.grad([0.25, 0.75, b]), expected, rtol=1e-13)


@every_model
def test_nan_in_nan_out(model):
    for i in range(model.dim):
        w = np.ones(model.dim)
        w[i] = np.nan
        assert np.isnan(model.loss(w))
        assert np.isnan(model.grad(w)).any()
        assert np.isnan(model.hessian(w)).any()
        spectrum = model.sharpness(w)
        assert np.isnan(spectrum.values).all()
        assert not spectrum.converged.any()


# --------------------------------------------------------------------------------------------- blocks, starts, identity


@every_model
@given(data=st.data())
def test_pack_and_unpack_are_inverse(model, data):
    w = data.draw(weights(model))
    blocks = model.unpack(w)
    assert {name: block.shape for name, block in blocks.items()} == model.parameters
    np.testing.assert_array_equal(model.pack(**blocks), w)
    assert sum(int(np.prod(shape)) for shape in model.parameters.values()) == model.dim == w.size


@every_model
def test_inits_are_reproducible_and_finite(model):
    starts = [model.init(seed) for seed in range(5)]
    assert all(start.shape == (model.dim,) and np.isfinite(start).all() for start in starts)
    np.testing.assert_array_equal(model.init(3), model.init(seed=3))
    np.testing.assert_array_equal(model.init(), model.init(0))
    fixed = isinstance(model, eos.QuadraticRegression)  # begins at 0
    assert len({start.tobytes() for start in starts}) == (1 if fixed else 5)


def test_init_of_the_threshold_models_is_that_of_the_paper():
    model = eos.MeanModel(d=50)
    starts = np.array([model.init(seed) for seed in range(4000)])
    np.testing.assert_array_equal(starts[:, 2], 0.0)
    np.testing.assert_allclose(starts[:, :2].var(axis=0), 1 / (2 * 50), rtol=0.1)
    np.testing.assert_allclose(starts[:, :2].mean(axis=0), 0, atol=0.006)
    assert abs(np.corrcoef(starts[:, 0], starts[:, 1])[0, 1]) < 0.06
    network = eos.ThresholdNeuron(eos.datasets.sparse_coding(n=3, d=50))
    np.testing.assert_array_equal(network.init(7), model.init(7))


@pytest.mark.parametrize("model", [eos.SingleNeuron(), eos.ScalarProduct(depth=3)], ids=repr)
def test_init_of_the_products_is_standard_normal(model):
    starts = np.array([model.init(seed) for seed in range(4000)])
    np.testing.assert_allclose(starts.var(axis=0), 1, rtol=0.1)
    np.testing.assert_allclose(starts.mean(axis=0), 0, atol=0.06)


def test_init_does_not_share_its_random_numbers_with_data_of_the_same_seed():
    data = eos.datasets.sparse_coding(n=100, d=100, signal=0.0, seed=5)
    start = eos.SingleNeuron().init(5)
    assert not np.isin(start, data.X).any()


@every_model
def test_models_are_values(model):
    twin = pickle.loads(pickle.dumps(model))
    assert twin == model
    assert hash(twin) == hash(model)
    assert repr(twin) == repr(model)
    assert copy.deepcopy(model) == model
    assert dataclasses.replace(model) == model
    assert {model: 1}[twin] == 1
    w = model.init(1)
    assert twin.loss(w) == model.loss(w)
    assert dataclasses.is_dataclass(model)
    for field in dataclasses.fields(model):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(model, field.name, getattr(model, field.name))
    assert all(model == other or repr(model) != repr(other) for other in EXAMPLES)


def test_models_differ_by_class_fields_and_data():
    assert eos.SingleNeuron() == eos.SingleNeuron("sqrt", beta=2) != eos.SingleNeuron("huber")
    assert eos.SingleNeuron() != eos.ScalarProduct()
    X = np.ones((2, 3))
    assert eos.ThresholdNeuron(eos.Dataset(X, [1, -1])) == eos.ThresholdNeuron(eos.Dataset(X, [1, -1]))
    assert eos.ThresholdNeuron(eos.Dataset(X, [1, -1])) != eos.ThresholdNeuron(eos.Dataset(X, [1, 1]))


def test_a_pickled_model_holds_its_data_and_nothing_compiled():
    model = eos.ThresholdNeuron(eos.datasets.sparse_coding(n=50, d=100))
    before = pickle.dumps(model)
    model.loss(model.init())
    assert pickle.dumps(model) == before
    assert len(before) < 1.05 * (model.data.X.nbytes + model.data.y.nbytes) + 1000


def test_the_field_loss_is_a_name_and_a_function():
    model = eos.SingleNeuron(loss="huber")
    assert model.loss == "huber"
    assert isinstance(model.loss, str)
    assert f"{model.loss}" == "huber"
    assert model.loss([0.5, 4.0]) == 1.5
    assert dataclasses.asdict(model) == {"loss": "huber", "beta": 2.0}
    assert type(pickle.loads(pickle.dumps(model.loss))) is str
    assert dataclasses.replace(model, beta=3.0) == eos.SingleNeuron("huber", beta=3.0)
    assert [field.name for field in dataclasses.fields(model)] == ["loss", "beta"]
    assert repr(model) == "SingleNeuron(loss='huber', beta=2.0)"


def test_reprs_rebuild_the_model_where_that_is_possible():
    for model in EXAMPLES:
        if not isinstance(model, eos.ThresholdNeuron):
            assert eval(repr(model), vars(eos)) == model
    assert repr(eos.ThresholdNeuron(DATA)) == (
        "ThresholdNeuron(data=sparse_coding(n=37, d=20, signal=3.0, noise=1.0, seed=3))"
    )


def test_scalars_of_numpy_and_xarray_are_numbers():
    import xarray as xr

    lr = xr.DataArray([0.1, 0.2], dims="lr")
    assert eos.GD(lr=lr[1]) == eos.GD(lr=0.2) == eos.GD(np.float64(0.2))
    assert type(eos.GD(lr=lr[1]).lr) is float
    assert eos.ScalarProduct(depth=np.int32(3)) == eos.ScalarProduct(depth=3)
    assert type(eos.ScalarProduct(depth=np.int32(3)).depth) is int
