"""Specifications of sweeps: what a file says is what the same Python call does, bit for bit, and everything else is
refused in one sentence.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import eosfast as eos
from eosfast.specification import LAYOUT, MODELS, OPTIMIZERS, SpecificationError, read, reference

NEURON = """
num_steps = 300
measure = ["sharpness", "last_loss_increase"]
[model]
type = "SingleNeuron"
[optimizer]
type = "GD"
[w0]
x = 0.3
[grid]
lr = {geomspace = [1e-3, 1e-1, 4]}
y = {linspace = [2, 20, 3]}
"""


@pytest.fixture
def spec(tmp_path):
    def write(text):
        file = tmp_path / "spec.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def same_bits(found, wanted):
    assert list(found.data_vars) == list(wanted.data_vars)
    assert set(found.coords) == set(wanted.coords)
    assert list(found["status"].dims) == list(wanted["status"].dims)
    for name in wanted.variables:
        assert found[name].dtype == wanted[name].dtype, name
        assert found[name].values.tobytes() == wanted[name].values.tobytes(), name
    same = ("verb", "model", "optimizer", "grid", "num_steps", "measure", "stop")
    configs = [json.loads(one.attrs["config"]) for one in (found, wanted)]
    assert [configs[0][key] for key in same] == [configs[1][key] for key in same]


def swept(job):
    """Sweep what was read, by the public function."""
    model, optimizer, grid, w0, num_steps, measure, stop, seed = job.__reduce__()[1]
    return eos.sweep(
        model, optimizer, grid, w0=w0, num_steps=num_steps, measure=measure, stop=stop, seed=seed, num_threads=1
    )


# Each case: the file, and the same call as a researcher would write it.
CALLS = {
    "single neuron": (
        NEURON,
        lambda: eos.sweep(
            eos.SingleNeuron(),
            eos.GD(),
            {"lr": np.geomspace(1e-3, 1e-1, 4), "y": np.linspace(2, 20, 3)},
            w0={"x": 0.3},
            num_steps=300,
            measure=["sharpness", "last_loss_increase"],
        ),
    ),
    "dotted names, zipped before the others": (
        """
        num_steps = 100
        model = {type = "SingleNeuron", loss = "sqrt"}
        optimizer = {type = "HeavyBall", momentum = 0.5}
        measure = ["weights"]
        [grid.zip.pair]
        model.loss = ["sqrt", "huber"]
        w.x = [0.3, 0.4]
        [grid]
        "optimizer.lr" = [0.01, 0.02]
        w.y = [5, 7.5]
        """,
        lambda: eos.sweep(
            eos.SingleNeuron(),
            eos.HeavyBall(momentum=0.5),
            {
                "model.loss": ("pair", ["sqrt", "huber"]),
                "w.x": ("pair", [0.3, 0.4]),
                "optimizer.lr": [0.01, 0.02],
                "w.y": [5, 7.5],
            },
            num_steps=100,
            measure=["weights"],
        ),
    ),
    "measures and stop rules": (
        """
        num_steps = 500
        seed = 3
        w0 = [1.5, 1.2, 1.1]
        measure = ["loss", {type = "FirstBelow", quantity = "loss", value = 1e-3},
                   {type = "Mean", quantity = "loss", last = 7, name = "late"}]
        model = {type = "ScalarProduct", depth = 3}
        optimizer = {type = "Nesterov", momentum = 0.3}
        stop = {loss = 1e-9, steady = false, diverged = inf}
        [grid]
        lr = [0.01, 0.3]
        "model.target" = {linspace = [0.5, 1.0, 3]}
        """,
        lambda: eos.sweep(
            eos.ScalarProduct(depth=3),
            eos.Nesterov(momentum=0.3),
            {"lr": [0.01, 0.3], "model.target": np.linspace(0.5, 1.0, 3)},
            w0=[1.5, 1.2, 1.1],
            num_steps=500,
            seed=3,
            measure=["loss", eos.FirstBelow("loss", 1e-3), eos.Mean("loss", last=7, name="late")],
            stop=eos.Stop(loss=1e-9, steady=False, diverged=np.inf),
        ),
    ),
    "threshold neuron with drawn data": (
        """
        num_steps = 50
        measure = ["loss", "accuracy"]
        model = {type = "ThresholdNeuron", data = {name = "sparse_coding", n = 20, d = 10}}
        optimizer = {type = "GD", lr = 0.05}
        grid = {seed = {range = [2, 5]}}
        """,
        lambda: eos.sweep(
            eos.ThresholdNeuron(eos.datasets.sparse_coding(n=20, d=10)),
            eos.GD(0.05),
            {"seed": [2, 3, 4]},
            num_steps=50,
            measure=["loss", "accuracy"],
        ),
    ),
    "two-layer network": (
        """
        num_steps = 20
        [model]
        type = "TwoLayerNetwork"
        width = 4
        bias = true
        data = {name = "xor", dim = 3}
        activation = {type = "Leaky", phi = {type = "HuberizedReLU", h = 0.5}, c = 0.5, k = 0.5}
        output_weights = [1, -1, 0.5, -0.5]
        [optimizer]
        type = "GD"
        [grid]
        lr = [0.5, 2.0]
        """,
        lambda: eos.sweep(
            eos.TwoLayerNetwork(
                eos.datasets.xor(3),
                4,
                activation=eos.Leaky(eos.HuberizedReLU(0.5), 0.5, 0.5),
                bias=True,
                output_weights=[1, -1, 0.5, -0.5],
            ),
            eos.GD(),
            {"lr": [0.5, 2.0]},
            num_steps=20,
        ),
    ),
    "mlp, its activation in the grid": (
        """
        num_steps = 10
        measure = "loss"
        model = {type = "MLP", widths = [3, 2], data = {name = "chebyshev", degree = 3, n = 8}, activation = "tanh"}
        optimizer = {type = "GD", lr = 0.1}
        grid = {activation = ["tanh", {type = "Leaky", phi = "silu", c = 0.5, k = 0.5}]}
        """,
        lambda: eos.sweep(
            eos.MLP(eos.datasets.chebyshev(3, 8), (3, 2), activation="tanh"),
            eos.GD(0.1),
            {"activation": ["tanh", eos.Leaky("silu", 0.5, 0.5)]},
            num_steps=10,
            measure=["loss"],
        ),
    ),
    "linear network, arrays": (
        """
        num_steps = 10
        model = {type = "LinearNetwork", widths = [2, 3, 2], target = [[2.0, 0.0], [0.0, 1.0]]}
        optimizer = {type = "GD"}
        grid = {lr = [0.1, 0.2]}
        """,
        lambda: eos.sweep(
            eos.LinearNetwork((2, 3, 2), target=[[2.0, 0.0], [0.0, 1.0]]), eos.GD(), {"lr": [0.1, 0.2]}, num_steps=10
        ),
    ),
    "class methods, models in the grid": (
        """
        num_steps = 10
        measure = ["loss"]
        model = {type = "QuadraticRegression.diagonal", eigenvalues = [1.0, -2.0], offset = 0.5}
        optimizer = {type = "GD", lr = 0.05}
        grid.model = [{type = "QuadraticRegression.random", D = 3, P = 4, sigma_z = 1.0, sigma_J = 0.5},
                      {type = "QuadraticRegression.random", D = 3, P = 4, sigma_z = 1.0, sigma_J = 0.5, seed = 1}]
        """,
        lambda: eos.sweep(
            eos.QuadraticRegression.diagonal([1.0, -2.0], offset=0.5),
            eos.GD(0.05),
            {"model": [eos.QuadraticRegression.random(3, 4, 1.0, 0.5, seed=seed) for seed in (0, 1)]},
            num_steps=10,
            measure=["loss"],
        ),
    ),
    "own data": (
        """
        num_steps = 10
        model = {type = "LogisticRegression", data = {name = "Dataset", X = [[1, 2], [3.5, -1]], y = [1, -1]}}
        optimizer = {type = "GD"}
        grid = {lr = [0.1, 0.2]}
        """,
        lambda: eos.sweep(
            eos.LogisticRegression(eos.Dataset([[1, 2], [3.5, -1]], [1, -1])),
            eos.GD(),
            {"lr": [0.1, 0.2]},
            num_steps=10,
        ),
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_specification_is_the_python_call_bit_for_bit(case, spec):
    text, call = CALLS[case]
    same_bits(swept(read(spec(text))), call())


PLAIN = {  # models that are made of their defaults, or of numbers
    "MeanModel": "d = 50",
    "CurvedValley": "root = true",
    "Scalar1D": 'loss = "power", beta = 3',
    "ScaleInvariant": "ratio = 2",
    "SelfStabilization": "alpha = 2.0",
}
WITH_DATA = {"MLP", "LinearNetwork", "LogisticRegression", "QuadraticRegression", "ThresholdNeuron", "TwoLayerNetwork"}


@pytest.mark.parametrize("name", PLAIN)
def test_every_plain_model(name, spec):
    text = f'num_steps = 5\nmodel = {{type = "{name}", {PLAIN[name]}}}\noptimizer = {{type = "GD"}}\ngrid.lr = [0.01]'
    fields = dict(part.split(" = ") for part in PLAIN[name].split(", "))
    model = getattr(eos, name)(**{key: json.loads(value) for key, value in fields.items()})
    same_bits(swept(read(spec(text))), eos.sweep(model, eos.GD(), {"lr": [0.01]}, num_steps=5))


def test_every_model_and_optimizer_can_be_named(spec):
    plain = {name for name in MODELS if "." not in name}
    assert plain == {*PLAIN, *WITH_DATA, "SingleNeuron", "ScalarProduct"}  # all of them are swept above
    assert {name for name in MODELS if "." in name} == {
        f"QuadraticRegression.{maker}" for maker in ("diagonal", "random", "diagonal_network")
    }
    for name in OPTIMIZERS:
        job = read(
            spec(NEURON), [f"optimizer.type={name}"] + ["optimizer.momentum=0.1"] * (name in ("HeavyBall", "Nesterov"))
        )
        assert type(job.optimizer) is getattr(eos, name)
    text = reference()
    assert all(f"  {name}(" in text for name in (*MODELS, *OPTIMIZERS, "xor", "cifar10", "Leaky", "FirstBelow"))


def test_the_layout_that_help_shows_is_a_specification(spec):
    job = read(spec(LAYOUT))
    assert job.shape == (200, 300, 10)
    assert [one.name for one in job.measures] == ["sharpness", "last_loss_increase", "first_below_loss"]


def test_the_example_of_the_documentation(spec):
    page = Path(__file__).parents[1] / "docs/sweeps.md"
    job = read(spec(page.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]))
    assert job.space.dims == ("lr", "y", "run")
    assert job.shape == (200, 300, 2)


WRONG = [
    ("num_steps = 300", "num_step = 300", "unknown key 'num_step'.*did you mean 'num_steps'"),
    ("num_steps = 300", "", "the key 'num_steps' is missing"),
    ("num_steps = 300", "num_steps = true", "num_steps must be an int.*got True"),
    ("num_steps = 300", 'num_steps = "300"', "num_steps must be an int.*got '300'"),
    ("num_steps = 300", "num_steps = 300.0", "num_steps must be an int.*got 300.0"),
    ("num_steps = 300", "num_steps = 300\nseed = true", "seed must be an int"),
    ("num_steps = 300", "num_steps = 300\nseed = -1", "seed must be an int >= 0, got -1"),
    ("num_steps = 300", "num_steps = 1979-05-27", "num_steps must be an int"),
    ("x = 0.3", "x = true", "'x'.*must hold real numbers, got True"),
    ("x = 0.3", 'x = "0.3"', "'x'.*must hold real numbers, got '0.3'"),
    ("x = 0.3", "xx = 0.3", "w0 must name blocks of SingleNeuron.*did you mean 'x'.*got 'xx'"),
    ("x = 0.3", "x = {a = 1}", "w0.x must be a number or an array"),
    ("x = 0.3", "x = 12:30:00", "w0.x must be no date or time"),
    ("x = 0.3", "", "w0 must set every block.*missing: x"),
    ('"SingleNeuron"', '"SingelNeuron"', "type of model must be .*did you mean 'SingleNeuron'.*got 'SingelNeuron'"),
    ('"SingleNeuron"', '["SingleNeuron"]', "type of model must be "),
    ('"SingleNeuron"', '"SingleNeuron"\nlos = "sqrt"', "unknown key 'los' in model: must be .*did you mean 'loss'"),
    ('"SingleNeuron"', '"SingleNeuron"\nbeta = true', "beta of SingleNeuron must be a finite number"),
    ('"SingleNeuron"', '"SingleNeuron"\nbeta = 1979-05-27', "model.beta must be no date"),
    ('type = "SingleNeuron"', "", "the key 'type' is missing in model"),
    ('"SingleNeuron"', '"MLP"\nwidths = [2, true]\ndata = {name = "xor"}', "model.widths must not mix booleans"),
    ('"SingleNeuron"', '"MLP"\nwidths = [2, 2.0]\ndata = {name = "xor"}', "every width in .* got 2.0"),
    ('"SingleNeuron"', '"LogisticRegression"\ndata = {name = "xo"}', "name of model.data must be .*mean 'xor'"),
    ('"SingleNeuron"', '"LogisticRegression"\ndata = {nam = "xor"}', "the key 'name' is missing in model.data"),
    ('"SingleNeuron"', '"LogisticRegression"\ndata = {name = "xor", n = 3}', "unknown key 'n' in model.data: .*'dim'"),
    ('"SingleNeuron"', '"LogisticRegression"\ndata = {name = "two_point"}', "the key 'gamma' is missing in model.data"),
    ('"SingleNeuron"', '"LogisticRegression"\ndata = "xor"', "data of LogisticRegression must be a Dataset, got 'xor'"),
    (
        '"SingleNeuron"',
        '"QuadraticRegression.rand"',
        "type of model must be .*did you mean 'QuadraticRegression.random",
    ),
    ('"GD"', '"HeavyBal"', "type of optimizer must be 'GD', .*did you mean 'HeavyBall'"),
    ('"GD"', '"GD"\nlr = "0.1"', "lr of GD must be a finite number > 0"),
    ('"GD"', '"GD"\nlr = true', "lr of GD must be a finite number > 0"),
    ('"last_loss_increase"', '"last_los_increase"', "measure must be among .*did you mean 'last_loss_increase'"),
    ('"last_loss_increase"', '{type = "FirstBelo"}', r"type of measure\[1\] must be .*did you mean 'FirstBelow'"),
    ('"last_loss_increase"', '{type = "Mean", quantity = "loss"}', r"the key 'last' is missing in measure\[1\]"),
    ('"last_loss_increase"', "3", "measure must hold names"),
    ("{linspace = [2, 20, 3]}", "3", "grid.y must be an array or a table"),
    ("{linspace = [2, 20, 3]}", "[]", "must hold at least one value"),
    ("{linspace = [2, 20, 3]}", '["2"]', "every value of .*'y'.* must be a finite number"),
    ("{linspace = [2, 20, 3]}", "[2, true]", "grid.y must not mix booleans"),
    ("{linspace = [2, 20, 3]}", "[true]", "every value of .*'y'.* must be a finite number"),
    ("{linspace = [2, 20, 3]}", "[2, nan]", "must be a finite number, got nan at index 1"),
    ("{linspace = [2, 20, 3]}", "{linspac = [2, 20, 3]}", "exactly one key.*did you mean 'linspace'"),
    ("{linspace = [2, 20, 3]}", "{linspace = [2, 20]}", r"grid.y.linspace must be \[first, last, count\]"),
    ("{linspace = [2, 20, 3]}", "{linspace = 3}", r"grid.y.linspace must be \[first, last, count\], got 3"),
    ("{linspace = [2, 20, 3]}", "{linspace = [2, true, 3]}", "last of grid.y.linspace must be a finite number"),
    ("{linspace = [2, 20, 3]}", "{linspace = [2, 20, 3.0]}", "count of grid.y.linspace must be an int >= 1"),
    ("{linspace = [2, 20, 3]}", "{linspace = [2, 20, 0]}", "count of grid.y.linspace must be an int >= 1"),
    ("{linspace = [2, 20, 3]}", "{linspace = [2, 20, 10_000_000_000_000_000]}", "would take .* bytes"),
    ("{linspace = [2, 20, 3]}", "{linspace = [-1.7e308, 1.7e308, 3]}", "do not overflow"),
    ("{linspace = [2, 20, 3]}", "{geomspace = [0, 20, 3]}", "first of grid.y.geomspace must be a finite number > 0"),
    ("{linspace = [2, 20, 3]}", "{geomspace = [1, inf, 3]}", "last of grid.y.geomspace must be a finite number > 0"),
    ("{linspace = [2, 20, 3]}", "{range = [3, 3]}", "first < end, got .3, 3."),
    ("{linspace = [2, 20, 3]}", "{range = [0, 2.5]}", "end of grid.y.range must be an int"),
    ("{linspace = [2, 20, 3]}", "{range = [0, 99999999999999999999]}", "end of grid.y.range must be an int"),
    ("{linspace = [2, 20, 3]}", f"{{range = [0, 1{'0' * 5000}]}}", "not TOML: .*limit"),
    ("y = {linspace", "zz = {linspace", "grid must hold names among .*got 'zz'"),
    ("y = {linspace", "zip = 3\ny = {linspace", "grid.zip must be a table"),
    ("y = {linspace", "zip.run = 3\ny = {linspace", "grid.zip.run must be a table"),
    ("y = {linspace", "zip.run.lr = [3]\ny = {linspace", "grid.zip.run.lr sets 'lr', which is in the grid already"),
    ("y = {linspace", "zip.run.seed = [3]\nzip.run.y = {linspace", "equally long, got 1 and 3"),
    ("[grid]", "[grid", r"not TOML: .*line 10"),
    ("[grid]", "[optimizer]", r"not TOML: .*line 10"),
    ("[grid]", "[stop]\ndiverge = 1\n[grid]", "unknown key 'diverge' in stop: .*did you mean 'diverged'"),
    ("[grid]", "[stop]\nsteady = 1\n[grid]", "steady of Stop must be True or False, got 1"),
    ("x = 0.3", f"x = {'[' * 3000}{']' * 3000}", "nested too deeply|not TOML"),
    ("x = 0.3", f"x = {'[' * 150}{']' * 150}", "'x'"),
]


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_what_is_wrong_is_said_in_one_line(old, new, message, spec):
    assert old in NEURON
    file = spec(NEURON.replace(old, new, 1))
    with pytest.raises(SpecificationError, match=message) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert len(str(caught.value)) < 700


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SpecificationError, match=r"absent\.toml: No such file"):
        read(tmp_path / "absent.toml")
    with pytest.raises(SpecificationError, match="directory"):
        read(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'num_steps = "\xe9"')
    with pytest.raises(SpecificationError, match=r"not UTF-8 text \(byte 13\)"):
        read(tmp_path / "latin.toml")
