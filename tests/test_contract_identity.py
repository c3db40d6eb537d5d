"""What models and results say they are: equality, provenance, stores, files, and numbers that are not finite."""

import json
import pickle

import numpy as np
import pytest
import xarray as xr

import eosfast as eos

RANDOM = {"D": 3, "P": 5, "sigma_z": 0.2, "sigma_J": 0.3}


def as_given(model):
    return eos.QuadraticRegression(model.Q, model.y, model.G)


def models():
    rng = np.random.default_rng(0)
    data = eos.Dataset(rng.standard_normal((5, 2)), rng.standard_normal((5, 3)))
    return {
        "random": eos.QuadraticRegression.random(**RANDOM),
        "given": as_given(eos.QuadraticRegression.random(**RANDOM, seed=1)),
        "diagonal": eos.QuadraticRegression.diagonal([1.0, -0.1, 0.3], offset=0.5),
        "target": eos.LinearNetwork((2, 3, 2), target=[[2.0, 0.0], [0.0, 1.0]], loss_scale=0.5),
        "data": eos.LinearNetwork((2, 3, 3), data),
    }


NAMES = list(models())


# ------------------------------------------------------------------------------------------------ random or given


def test_equal_arrays_may_be_drawn_anew_or_not():
    """Models are equal when their arrays are; what a seed does depends on where the arrays come from."""
    random = eos.QuadraticRegression.random(**RANDOM)
    given = as_given(random)
    assert random == given
    assert hash(random) == hash(given)
    about = {"grid": {"seed": [0, 1, 2]}, "num_steps": 5, "measure": ("loss",)}
    drawn = eos.sweep(random, eos.GD(0.1), **about).loss.values
    assert len(set(drawn)) == 3
    assert set(eos.sweep(given, eos.GD(0.1), **about).loss.values) == {drawn[0]}
    assert eos.sweep(pickle.loads(pickle.dumps(random)), eos.GD(0.1), **about).loss.values.tolist() == drawn.tolist()
    grid = {"model": [random, given], "seed": [0, 1]}
    both = eos.sweep(given, eos.GD(0.1), grid, num_steps=5, measure=("loss",)).loss.values
    assert both.tolist() == [[drawn[0], drawn[1]], [drawn[0], drawn[0]]]


def test_a_store_tells_a_random_model_from_its_arrays(tmp_path):
    pytest.importorskip("zarr")
    random = eos.QuadraticRegression.random(**RANDOM)
    about = {"grid": {"seed": [0, 1]}, "num_steps": 5, "measure": ("loss",), "store": tmp_path / "sweep.zarr"}
    eos.sweep(random, eos.GD(0.1), **about)
    with pytest.raises(ValueError, match=r"sweep\.zarr.*another sweep"):
        eos.sweep(as_given(random), eos.GD(0.1), **about)


@pytest.mark.parametrize("number", [2, 70])  # the models of a long list are written as a checksum
def test_a_store_tells_random_models_of_a_list_from_their_arrays(tmp_path, number):
    pytest.importorskip("zarr")
    random = [eos.QuadraticRegression.random(1, 2, 0.1, 0.1, seed=i) for i in range(number)]
    about = {"num_steps": 2, "measure": ("loss",), "store": tmp_path / "sweep.zarr"}
    eos.sweep(random[0], eos.GD(0.1), {"model": random, "seed": [0, 1]}, **about)
    with pytest.raises(ValueError, match="another sweep"):
        eos.sweep(random[0], eos.GD(0.1), {"model": [as_given(m) for m in random], "seed": [0, 1]}, **about)


def test_the_provenance_says_how_a_random_model_was_made():
    model = eos.QuadraticRegression.random(**RANDOM, sigma_Q=0.7, seed=4)
    run = eos.train(model, None, eos.GD(0.1), num_steps=1)
    recipe = json.loads(run.attrs["config"])["model"]["recipe"]
    assert eos.QuadraticRegression.random(**recipe) == model
    given = eos.train(as_given(model), None, eos.GD(0.1), num_steps=1)
    assert "recipe" not in json.loads(given.attrs["config"])["model"]


@pytest.mark.parametrize("verb", ["train", "sweep", "flow"])
def test_a_diagonal_model_never_becomes_a_matrix(verb):
    """A dense Q of 100,000 weights has 80 GB."""
    P = 100_000
    model, w0 = eos.QuadraticRegression.diagonal(np.linspace(0, 1, P)), np.full(P, 1e-3)
    if verb == "train":
        result = eos.train(model, w0, eos.GD(0.1), num_steps=2)
    elif verb == "sweep":
        result = eos.sweep(model, eos.GD(), {"lr": [0.1]}, w0={"w": w0}, num_steps=2, measure=("loss",))
    else:
        result = eos.gradient_flow(model, w0, times=[0.1], quantities=("loss",))
    assert np.isfinite(result.loss.values).all()
    other = eos.QuadraticRegression.diagonal(np.linspace(0, 2, P))
    again = eos.train(other, w0, eos.GD(0.1), num_steps=2)
    assert json.loads(again.attrs["config"])["model"] != json.loads(result.attrs["config"])["model"]


# ----------------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize("name", NAMES)
def test_all_results_are_files(tmp_path, name):
    """With every vector quantity, by plain `to_netcdf`, and back without loss."""
    model = models()[name]
    w0 = np.full(model.dim, 0.3)
    vectors = ("weights", "residual", "ntk_eigs", "hessian_eigs", "sharpness")
    results = {
        "train": eos.train(model, w0, eos.NormalizedGD(0.1), num_steps=4, record=eos.Record(1, vectors)),
        "sweep": eos.sweep(model, eos.GD(weight_decay=0.1), {"lr": [0.1, 9.0]}, w0=model.unpack(w0), num_steps=30),
        "flow": eos.gradient_flow(model, w0, times=[0, 0.5], quantities=vectors),
        "flows": eos.gradient_flow(model, np.stack([w0, 2 * w0]), times=[0, 0.5], quantities=vectors),
    }
    for verb, result in results.items():
        result.to_netcdf(tmp_path / f"{verb}.nc", engine="h5netcdf")
        with xr.open_dataset(tmp_path / f"{verb}.nc", engine="h5netcdf", mask_and_scale=False) as back:
            xr.testing.assert_equal(back, result)
            assert back.attrs.keys() == result.attrs.keys()
            assert {key: value.dtype for key, value in back.items()} == {
                key: value.dtype for key, value in result.items()
            }
    assert results["flows"].residual.dims == ("run", "time", "residual_dim")
    assert results["flows"].ntk_eigs.dims == ("run", "time", "eig")


@pytest.mark.parametrize("name", NAMES)
def test_models_own_their_arrays(name):
    model = models()[name]
    for field in ("Q", "y", "G", "target"):
        array = getattr(model, field, None)
        if array is not None:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0.0
    w = np.full(model.dim, 0.5)
    for made in (model.init(), *model.unpack(w).values(), model.residual(w), model.jacobian(w)):
        made[...] = 7.0  # results are the caller's
    assert (w == 0.5).all()
    assert model == models()[name]


def test_given_arrays_are_copied():
    Q, y, G = np.eye(2)[None].copy(), np.ones(1), np.ones((1, 2))
    target = np.eye(2)
    model, network = eos.QuadraticRegression(Q, y, G), eos.LinearNetwork((2, 2), target=target)
    before = model.loss([0.5, 0.5]), network.loss(np.full(4, 0.5))
    for array in (Q, y, G, target):
        array[...] = 9.0
    assert (model.loss([0.5, 0.5]), network.loss(np.full(4, 0.5))) == before


@pytest.mark.parametrize("name", NAMES)
def test_any_form_of_a_start_is_the_same_start(name):
    model = models()[name]
    w0 = np.random.default_rng(1).standard_normal(model.dim)
    columns = np.stack([w0, -w0], axis=1)
    run = eos.train(model, w0, eos.GD(0.1), num_steps=3, record=eos.Record(1, ("weights",)))
    forms = {
        "list": w0.tolist(),
        "tuple": tuple(w0),
        "a record": run.weights[0],
        "a column": columns[:, 0],
        "read-only": np.frombuffer(w0.tobytes()),
        "the other byte order": w0.astype(">f8"),
        "long double": w0.astype(np.longdouble),
        "blocks": model.unpack(w0),
        "lists of blocks": {block: value.tolist() for block, value in model.unpack(w0).items()},
    }
    flow = eos.gradient_flow(model, w0, times=[0.5], quantities=("weights",))
    for form, start in forms.items():
        again = eos.train(model, start, eos.GD(0.1), num_steps=3, record=eos.Record(1, ("weights",)))
        np.testing.assert_array_equal(again.weights, run.weights, err_msg=form)
        swept = eos.sweep(model, eos.GD(), {"lr": [0.1]}, w0=start, num_steps=3)
        np.testing.assert_array_equal(swept.weights[0], run.weights[-1], err_msg=form)
        flown = eos.gradient_flow(model, start, times=[0.5], quantities=("weights",))
        np.testing.assert_array_equal(flown.weights, flow.weights, err_msg=form)
    flows = eos.gradient_flow(model, run.weights, times=run.step[1:] * 0.1)  # from every record, at the matched times
    assert dict(flows.sizes) == {"run": 4, "time": 3}


# ------------------------------------------------------------------------------------------- numbers out of range


@pytest.mark.parametrize("name", [*NAMES, "tanh", "relu", "reduced"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200, 1e160])
def test_what_is_not_finite_is_no_warning(name, value):
    """Every warning is an error in these tests; results are data."""
    chebyshev = eos.datasets.chebyshev(3, 8)
    networks = {
        "tanh": eos.MLP(chebyshev, (3, 4), "tanh"),
        "relu": eos.MLP(chebyshev, (3, 4), "relu"),
        "reduced": eos.LogisticRegression(eos.datasets.separable(4, 9, 0.1, 0)),
    }
    model = networks[name] if name in networks else models()[name]
    w = np.full(model.dim, value)
    for member in ("loss", "grad", "hessian", "sharpness", "jacobian", "ntk", "predict", "residual", "product"):
        if not hasattr(model, member) or (member == "residual" and name == "reduced"):
            continue
        result = getattr(model, member)(w)
        if np.isnan(value):
            numbers = np.asarray(result.values if member == "sharpness" else result)
            constant = name == "reduced" and member in ("jacobian", "ntk")  # those of a linear model
            assert np.isnan(numbers).any() or constant, member


def test_infinite_weights_of_one_layer_stay_where_they_are():
    network = eos.LinearNetwork((2, 2), target=np.eye(2))
    np.testing.assert_array_equal(network.product([np.inf, 1.0, 2.0, 3.0]), [[np.inf, 1.0], [2.0, 3.0]])


# ---------------------------------------------------------------------------------------------------- refused early


def test_models_that_do_not_fit_into_memory_are_refused():
    with pytest.raises(ValueError, match=r"Q .*D=1000000, P=1000000.* bytes .* available"):
        eos.QuadraticRegression.random(10**6, 10**6, 0.1, 0.1)


@pytest.mark.parametrize(
    "call",
    [
        lambda huge: eos.LinearNetwork((2, huge, 2), target=np.eye(2)),
        lambda huge: eos.QuadraticRegression.random(huge, 2, 0.1, 0.1),
        lambda huge: eos.QuadraticRegression.random(2, 2, 0.1, 0.1, seed=huge),
    ],
)
def test_integers_beyond_the_largest_are_told_of_it(call):
    with pytest.raises(ValueError, match=r"must be an int from [01] to 2\*\*63 - 1, got 18446744073709551616"):
        call(2**64)


def test_the_remedy_for_a_long_flow_is_one_of_its_arguments():
    with pytest.raises(ValueError, match="fewer times, starts or quantities"):
        eos.gradient_flow(eos.SingleNeuron(), np.ones((10**5, 2)), times=np.arange(1e7))


def test_a_cube_of_starts_is_told_of_many_starts():
    with pytest.raises(ValueError, match=r"\(runs, 2\) .* got \(1, 1, 2\)"):
        eos.gradient_flow(eos.SingleNeuron(), np.ones((1, 1, 2)), times=[1])


@pytest.mark.parametrize(
    ("wrong", "words"), [({"out": 3}, "out must be a path"), ({"progress": 1}, "progress must be")]
)
def test_figures_check_their_arguments_before_they_simulate(wrong, words):
    def simulate(progress):
        raise AssertionError("simulated")

    figure = eos.papers.PaperFigure("name", "caption", simulate, lambda data: None)
    with pytest.raises(TypeError, match=words):
        figure(**wrong)


@pytest.mark.parametrize("name", ["agarwala2023", "craciun2024", "toys"])
def test_papers_refuse_what_is_no_flag(name):
    with pytest.raises(TypeError, match="progress must be True or False, got 'yes'"):
        getattr(eos.papers, name).verify(progress="yes")
