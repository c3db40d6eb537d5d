"""Wrong calls: each is a TypeError or ValueError in one sentence, before any work.

The sentence names the argument, what was given and what is allowed.
"""

import numpy as np
import pytest

import eosfast as eos

DATA = eos.datasets.sparse_coding(n=6, d=4)
NEURON = eos.SingleNeuron()
NETWORK = eos.ThresholdNeuron(DATA)
NAN, INF = float("nan"), float("inf")


def train(model=NEURON, w0=(0.3, 2.0), optimizer=eos.GD(0.1), num_steps=5, **options):  # noqa: B008 - immutable
    return eos.train(model, w0, optimizer, num_steps=num_steps, **options)


def sweep(grid, model=NEURON, optimizer=eos.GD(0.1), num_steps=5, **options):  # noqa: B008
    return eos.sweep(model, optimizer, grid, num_steps=num_steps, **options)


# Each case: the wrong call, the kind of error, and words that its message must hold.
CASES = {
    # models
    "unknown loss": (
        lambda: eos.SingleNeuron(loss="sqr"),
        ValueError,
        ["loss", "'sqr'", "'logcosh'", "did you mean 'sqrt'"],
    ),
    "loss is no name": (lambda: eos.SingleNeuron(loss=2), TypeError, ["loss", "2", "'sqrt'"]),
    "loss is None": (lambda: eos.SingleNeuron(loss=None), TypeError, ["loss", "None"]),
    "beta 1": (lambda: eos.SingleNeuron(loss="power", beta=1.0), ValueError, ["beta", "> 1", "1.0"]),
    "beta nan": (lambda: eos.SingleNeuron(beta=NAN), ValueError, ["beta", "nan"]),
    "beta infinite": (lambda: eos.SingleNeuron(beta=INF), ValueError, ["beta", "finite", "inf"]),
    "beta text": (lambda: eos.SingleNeuron(beta="2"), TypeError, ["beta", "'2'"]),
    "beta bool": (lambda: eos.SingleNeuron(beta=True), TypeError, ["beta", "True"]),
    "depth 0": (lambda: eos.ScalarProduct(depth=0), ValueError, ["depth", "from 1 to 64", "0"]),
    "depth 65": (lambda: eos.ScalarProduct(depth=65), ValueError, ["depth", "from 1 to 64", "65"]),
    "depth 2.0": (lambda: eos.ScalarProduct(depth=2.0), TypeError, ["depth", "int", "2.0"]),
    "depth bool": (lambda: eos.ScalarProduct(depth=True), TypeError, ["depth", "int", "True"]),
    "target infinite": (lambda: eos.ScalarProduct(target=INF), ValueError, ["target", "finite", "inf"]),
    "target too large for a float": (lambda: eos.ScalarProduct(target=10**400), ValueError, ["target", "finite"]),
    "target complex": (lambda: eos.ScalarProduct(target=1j), TypeError, ["target", "1j"]),
    "d 0": (lambda: eos.MeanModel(d=0), ValueError, ["d of MeanModel", "> 0", "0"]),
    "d negative": (lambda: eos.MeanModel(d=-3), ValueError, ["d of MeanModel", "> 0", "-3"]),
    "model noise 0": (lambda: eos.MeanModel(noise=0.0), ValueError, ["noise", "> 0", "0.0"]),
    "data an array": (lambda: eos.ThresholdNeuron(np.ones((3, 2))), TypeError, ["data", "Dataset"]),
    "labels 0 and 1": (
        lambda: eos.ThresholdNeuron(eos.Dataset(np.ones((2, 2)), [0, 1])),
        ValueError,
        ["data", "-1 and +1", "got 0"],
    ),
    "labels in two columns": (
        lambda: eos.ThresholdNeuron(eos.Dataset(np.ones((2, 2)), np.ones((2, 2)))),
        ValueError,
        ["data", "(n,)", "(2, 2)"],
    ),
    "w too long": (lambda: NEURON.loss([1, 2, 3]), ValueError, ["w", "SingleNeuron", "(2,)", "(3,)"]),
    "w a matrix": (lambda: NEURON.grad([[1, 2]]), ValueError, ["w", "SingleNeuron", "(2,)", "(1, 2)"]),
    "w a number": (lambda: NEURON.hessian(1.0), ValueError, ["w", "(2,)", "()"]),
    "w complex": (lambda: NEURON.loss([1j, 0]), TypeError, ["w", "real"]),
    "w text": (lambda: NEURON.loss(["a", "b"]), TypeError, ["w", "real"]),
    "w bool": (lambda: NEURON.loss([True, False]), TypeError, ["w", "real"]),
    "w ragged": (lambda: NEURON.loss([[1], [1, 2]]), (TypeError, ValueError), ["w"]),
    "v too short": (lambda: NEURON.hvp([1, 2], [1]), ValueError, ["v", "(2,)", "(2, k)", "(1,)"]),
    "v a cube": (lambda: NEURON.hvp([1, 2], np.ones((2, 1, 1))), ValueError, ["v", "(2, 1, 1)"]),
    "k 0": (lambda: NEURON.sharpness([1, 2], k=0), ValueError, ["k", "from 1 to 2", "0"]),
    "k above dim": (lambda: NEURON.sharpness([1, 2], k=3), ValueError, ["k", "from 1 to 2", "3"]),
    "k not whole": (lambda: NEURON.sharpness([1, 2], k=1.0), TypeError, ["k", "int", "1.0"]),
    "sharpness tol": (lambda: NEURON.sharpness([1, 2], tol=-1), ValueError, ["tol", "> 0", "-1"]),
    "init seed": (lambda: NEURON.init(-1), ValueError, ["seed", ">= 0", "-1"]),
    "init seed text": (lambda: NEURON.init("1"), TypeError, ["seed", "int", "'1'"]),
    "unknown block": (lambda: NEURON.pack(x=1, y=2, z=3), ValueError, ["'x' or 'y'", "'z'"]),
    "missing block": (lambda: NEURON.pack(x=1), ValueError, ["missing", "y"]),
    "block of the wrong shape": (lambda: NEURON.pack(x=[1, 2], y=2), ValueError, ["'x'", "()", "(2,)"]),
    "unpack": (lambda: NEURON.unpack([1]), ValueError, ["w", "(2,)", "(1,)"]),
    "accuracy on other d": (
        lambda: NETWORK.accuracy([1, 2, 3], eos.datasets.sparse_coding(n=3, d=5)),
        ValueError,
        ["data", "d = 4", "d = 5"],
    ),
    "accuracy on an array": (lambda: NETWORK.accuracy([1, 2, 3], np.ones((2, 4))), TypeError, ["data", "Dataset"]),
    # data
    "X one-dimensional": (lambda: eos.Dataset([1, 2], [1, 2]), ValueError, ["X", "(n, d)", "(2,)"]),
    "X empty": (lambda: eos.Dataset(np.ones((0, 2)), []), ValueError, ["X", "(0, 2)"]),
    "y too short": (lambda: eos.Dataset(np.ones((3, 2)), [1, 2]), ValueError, ["y", "n = 3", "(2,)"]),
    "X nan": (lambda: eos.Dataset([[1, NAN]], [1]), ValueError, ["X", "finite", "nan", "(0, 1)"]),
    "y infinite": (lambda: eos.Dataset([[1, 2]], [INF]), ValueError, ["y", "finite", "inf"]),
    "X text": (lambda: eos.Dataset([["a"]], [1]), TypeError, ["X", "real"]),
    "n 0": (lambda: eos.datasets.sparse_coding(n=0), ValueError, ["n", ">= 1", "0"]),
    "data d": (lambda: eos.datasets.sparse_coding(d=2.5), TypeError, ["d", "int", "2.5"]),
    "signal": (lambda: eos.datasets.sparse_coding(signal=NAN), ValueError, ["signal", "finite", "nan"]),
    "noise": (lambda: eos.datasets.sparse_coding(noise=-1), ValueError, ["noise", ">= 0", "-1"]),
    "data seed": (lambda: eos.datasets.sparse_coding(seed=-1), ValueError, ["seed", ">= 0", "-1"]),
    # optimizers
    "lr 0": (lambda: eos.GD(lr=0), ValueError, ["lr of GD", "> 0", "0"]),
    "lr negative": (lambda: eos.GD(lr=-0.1), ValueError, ["lr", "> 0", "-0.1"]),
    "lr nan": (lambda: eos.HeavyBall(lr=NAN, momentum=0), ValueError, ["lr", "finite", "nan"]),
    "lr infinite": (lambda: eos.GD(lr=INF), ValueError, ["lr", "finite", "inf"]),
    "lr text": (lambda: eos.GD(lr="0.1"), TypeError, ["lr", "'0.1'"]),
    "lr a list": (lambda: eos.GD(lr=[0.1]), TypeError, ["lr", "[0.1]"]),
    "momentum 1": (lambda: eos.HeavyBall(0.1, momentum=1), ValueError, ["momentum", ">= 0 and < 1", "1"]),
    "momentum negative": (lambda: eos.Nesterov(0.1, momentum=-0.1), ValueError, ["momentum", ">= 0 and < 1"]),
    "threshold without lr": (lambda: eos.GD().stability_threshold(), ValueError, ["lr of GD", "not set"]),
    # Record and Stop
    "every 0": (lambda: eos.Record(every=0), ValueError, ["every", "int >= 1", "'log2'", "0"]),
    "every negative": (lambda: eos.Record(every=-5), ValueError, ["every", "-5"]),
    "every bool": (lambda: eos.Record(every=True), TypeError, ["every", "True"]),
    "every not whole": (lambda: eos.Record(every=1.5), TypeError, ["every", "1.5"]),
    "every another name": (lambda: eos.Record(every="log10"), ValueError, ["every", "'log2'", "'log10'"]),
    "every unordered": (lambda: eos.Record(every=[3, 1]), ValueError, ["every", "increasing", "[3, 1]"]),
    "every repeated": (lambda: eos.Record(every=[1, 1]), ValueError, ["every", "increasing"]),
    "every with a negative step": (lambda: eos.Record(every=[-1, 1]), ValueError, ["every", ">= 0"]),
    "every empty": (lambda: eos.Record(every=[]), ValueError, ["every", "[]"]),
    "every two-dimensional": (lambda: eos.Record(every=[[1, 2]]), ValueError, ["every", "[[1, 2]]"]),
    "every array of floats": (lambda: eos.Record(every=[1.0, 2.0]), TypeError, ["every", "int", "[1.0, 2.0]"]),
    "every array of bools": (lambda: eos.Record(every=[False, True]), TypeError, ["every", "int"]),
    "every None": (lambda: eos.Record(every=None), TypeError, ["every", "None"]),
    "every beyond the end": (
        lambda: train(record=eos.Record(every=[1, 6])),
        ValueError,
        ["every", "num_steps = 5", "6"],
    ),
    "quantities repeated": (lambda: eos.Record(quantities=("loss", "loss")), ValueError, ["quantities", "'loss'", "2"]),
    "quantities numbers": (lambda: eos.Record(quantities=(1,)), TypeError, ["quantities", "1"]),
    "quantities a number": (lambda: eos.Record(quantities=3), TypeError, ["quantities", "3"]),
    "unknown quantity": (
        lambda: train(record=eos.Record(quantities=("los",))),
        ValueError,
        ["quantities", "'los'", "'grad_norm'", "did you mean 'loss'"],
    ),
    "quantity of another model": (
        lambda: train(record=eos.Record(quantities=("accuracy",))),
        ValueError,
        ["quantities", "'accuracy'"],
    ),
    "record k 0": (lambda: eos.Record(k=0), ValueError, ["k", ">= 1", "0"]),
    "record k above dim": (
        lambda: train(record=eos.Record(quantities=("hessian_eigs",), k=3)),
        ValueError,
        ["k", "at most 2", "SingleNeuron", "3"],
    ),
    "sharpness_every": (lambda: eos.Record(sharpness_every=0), ValueError, ["sharpness_every", ">= 1", "0"]),
    "record tol": (lambda: eos.Record(tol=0), ValueError, ["tol", "> 0", "0"]),
    "diverged 0": (lambda: eos.Stop(diverged=0), ValueError, ["diverged", "> 0", "0"]),
    "diverged nan": (lambda: eos.Stop(diverged=NAN), ValueError, ["diverged", "nan"]),
    "diverged None": (lambda: eos.Stop(diverged=None), TypeError, ["diverged", "None"]),
    "stop loss": (lambda: eos.Stop(loss=NAN), ValueError, ["loss", "nan"]),
    "stop grad_norm": (lambda: eos.Stop(grad_norm=-1), ValueError, ["grad_norm", ">= 0", "-1"]),
    "steady": (lambda: eos.Stop(steady=1), TypeError, ["steady", "True or False", "1"]),
    # train
    "no model": (lambda: train(model="SingleNeuron"), TypeError, ["model", "'SingleNeuron'"]),
    "a model class": (lambda: train(model=eos.SingleNeuron), TypeError, ["model", "SingleNeuron"]),
    "no optimizer": (lambda: eos.train(NEURON, [1, 2], num_steps=3), TypeError, ["optimizer", "GD(lr=0.01)"]),
    "optimizer a number": (lambda: train(optimizer=0.1), TypeError, ["optimizer", "0.1"]),
    "optimizer without lr": (lambda: train(optimizer=eos.GD()), ValueError, ["lr of GD", "not set"]),
    "optimizer without momentum": (
        lambda: train(optimizer=eos.HeavyBall(0.1)),
        ValueError,
        ["momentum of HeavyBall", "not set"],
    ),
    "num_steps negative": (lambda: train(num_steps=-1), ValueError, ["num_steps", "from 0", "-1"]),
    "num_steps not whole": (lambda: train(num_steps=1e6), TypeError, ["num_steps", "int", "1000000.0"]),
    "num_steps bool": (lambda: train(num_steps=True), TypeError, ["num_steps", "int", "True"]),
    "num_steps huge": (lambda: train(num_steps=2**60), ValueError, ["num_steps", str(2**53), str(2**60)]),
    "w0 too short": (lambda: train(w0=[1.0]), ValueError, ["w0", "SingleNeuron", "(2,)", "(1,)"]),
    "w0 nan": (lambda: train(w0=[1.0, NAN]), ValueError, ["w0", "finite", "nan", "1"]),
    "w0 block infinite": (lambda: train(w0={"x": INF, "y": 1}), ValueError, ["w0", "finite", "inf"]),
    "w0 without a block": (lambda: train(w0={"x": 1}), ValueError, ["missing", "y"]),
    "w0 with another block": (lambda: train(w0={"x": 1, "y": 2, "z": 3}), ValueError, ["'z'", "'x' or 'y'"]),
    "w0 with a number for a name": (lambda: train(w0={0: 1, 1: 2}), TypeError, ["w0", "0"]),
    "w0 text": (lambda: train(w0="ab"), TypeError, ["w0", "'ab'"]),
    "record no Record": (lambda: train(record=100), TypeError, ["record", "Record", "100"]),
    "stop no Stop": (lambda: train(stop=1e12), TypeError, ["stop", "Stop"]),
    "seed negative": (lambda: train(seed=-1), ValueError, ["seed", ">= 0", "-1"]),
    "seed None": (lambda: train(seed=None), TypeError, ["seed", "None"]),
    "num_threads negative": (lambda: train(num_threads=-1), ValueError, ["num_threads", "from 0", "-1"]),
    "num_threads not whole": (lambda: train(num_threads=1.5), TypeError, ["num_threads", "int", "1.5"]),
    "progress text": (lambda: train(progress="bar"), TypeError, ["progress", "'bar'"]),
    "too many records": (
        lambda: train(num_steps=2**50),
        ValueError,
        ["record", str((2**50 + 1) * 16), "PiB", "available", "every", "'log2'"],
    ),
    # sweep
    "grid a list": (lambda: sweep(["lr"]), TypeError, ["grid", "mapping", "['lr']"]),
    "grid empty": (lambda: sweep({}), ValueError, ["grid", "empty"]),
    "grid without values": (lambda: sweep({"lr": []}), ValueError, ["grid['lr']", "at least one"]),
    "grid a number": (lambda: sweep({"lr": 0.1}), TypeError, ["grid['lr']", "0.1"]),
    "grid a text": (lambda: sweep({"model.loss": "sqrt"}), TypeError, ["grid['model.loss']", "'sqrt'"]),
    "grid two-dimensional": (lambda: sweep({"lr": np.ones((2, 2))}), ValueError, ["grid['lr']", "(2, 2)"]),
    "grid nested": (lambda: sweep({"lr": [[0.1, 0.2]]}), ValueError, ["grid['lr']", "one-dimensional"]),
    "grid dimension": (lambda: sweep({"lr": ("a/b", [0.1])}), ValueError, ["grid['lr']", "without '/'", "'a/b'"]),
    "grid ragged": (lambda: sweep({"lr": [[0.1], [0.1, 0.2]]}), ValueError, ["grid['lr']", "one-dimensional"]),
    "unknown name": (
        lambda: sweep({"lrr": [1]}),
        ValueError,
        ["grid", "'lrr'", "'y'", "'model.loss'", "'seed'", "did you mean 'lr'"],
    ),
    "name of no string": (lambda: sweep({1: [1]}), TypeError, ["grid", "1"]),
    "name of another model": (lambda: sweep({"depth": [1]}), ValueError, ["grid", "'depth'"]),
    "name that is a variable": (
        lambda: sweep({"loss": ["sqrt"]}),
        ValueError,
        ["'loss'", "ambiguous", "'model.loss'"],
    ),
    "the same in two ways": (lambda: sweep({"lr": [1], "optimizer.lr": [1]}), ValueError, ["'optimizer.lr'", "twice"]),
    "grid lr 0": (lambda: sweep({"lr": [0.1, 0.0]}), ValueError, ["grid['lr']", "> 0", "0.0", "index 1"]),
    "grid lr None": (lambda: sweep({"lr": [0.1, None]}), TypeError, ["grid['lr']", "None"]),
    "grid lr text": (lambda: sweep({"lr": ["0.1"]}), TypeError, ["grid['lr']", "'0.1'"]),
    "grid lr bool": (lambda: sweep({"lr": [True]}), TypeError, ["grid['lr']", "True"]),
    "grid lr complex": (lambda: sweep({"lr": [1j]}), TypeError, ["grid['lr']", "1j"]),
    "grid block nan": (lambda: sweep({"x": [0.1, NAN]}), ValueError, ["grid['x']", "finite", "nan", "index 1"]),
    "grid beta": (lambda: sweep({"beta": [2.0, 1.0]}), ValueError, ["grid['beta']", "> 1", "1.0", "index 1"]),
    "grid loss": (lambda: sweep({"model.loss": ["sqrt", "hubert"]}), ValueError, ["'hubert'", "did you mean 'huber'"]),
    "grid depth": (
        lambda: sweep({"depth": [2.0]}, model=eos.ScalarProduct(), measure="loss"),
        TypeError,
        ["grid['depth']", "int", "2.0"],
    ),
    "grid seed": (lambda: sweep({"seed": [-1]}), ValueError, ["grid['seed']", ">= 0", "-1"]),
    "grid seed not whole": (lambda: sweep({"seed": [0.5]}), TypeError, ["grid['seed']", "int", "0.5"]),
    "grid data": (lambda: sweep({"data": [np.ones((2, 2))]}, model=NETWORK), TypeError, ["grid['data']", "Dataset"]),
    "grid data of other labels": (
        lambda: sweep({"data": [eos.Dataset([[1.0]], [2.0])]}, model=NETWORK),
        ValueError,
        ["data", "-1 and +1", "2"],
    ),
    "grid model of another class": (
        lambda: sweep({"model": [NEURON, NETWORK]}),
        TypeError,
        ["grid['model']", "SingleNeuron", "ThresholdNeuron"],
    ),
    "grid model no list": (lambda: sweep({"model": NEURON}), TypeError, ["grid['model']", "list"]),
    "zipped lengths": (
        lambda: sweep({"lr": ("run", [0.1, 0.2]), "x": ("run", [1, 2, 3])}),
        ValueError,
        ["'run'", "equally long", "2", "3"],
    ),
    "zipped dimension is a name elsewhere": (
        lambda: sweep({"x": ("run", [1]), "lr": ("x", [0.1])}),
        ValueError,
        ["'x'", "dimension", "'run'"],
    ),
    "zipped dimension is a variable": (
        lambda: sweep({"lr": ("sharpness", [0.1])}),
        ValueError,
        ["'sharpness'", "variable"],
    ),
    "zipped dimension is parameter": (lambda: sweep({"lr": ("parameter", [0.1])}), ValueError, ["'parameter'"]),
    "zipped dimension without a name": (lambda: sweep({"lr": ("", [0.1])}), ValueError, ["grid['lr']", "name"]),
    "lr nowhere": (lambda: sweep({"x": [1]}, optimizer=eos.GD()), ValueError, ["lr of GD", "not set", "grid"]),
    "w0 and grid": (lambda: sweep({"x": [1]}, w0={"x": 1, "y": 2}), ValueError, ["w0", "grid", "'x'"]),
    "w0 incomplete": (lambda: sweep({"lr": [1]}, w0={"x": 1}), ValueError, ["w0", "missing", "y"]),
    "w0 unknown": (lambda: sweep({"x": [1]}, w0={"y": 1, "z": 1}), ValueError, ["'z'", "'x' or 'y'"]),
    "sweep w0 nan": (lambda: sweep({"x": [1]}, w0={"y": NAN}), ValueError, ["w0", "finite", "nan"]),
    "sweep w0 of the wrong shape": (lambda: sweep({"x": [1]}, w0=[1.0]), ValueError, ["w0", "(2,)", "(1,)"]),
    "unknown measure": (
        lambda: sweep({"x": [1]}, measure=("sharpnes",)),
        ValueError,
        ["measure", "'sharpnes'", "did you mean 'sharpness'", "FirstBelow"],
    ),
    "measure of another model": (lambda: sweep({"x": [1]}, measure="accuracy"), ValueError, ["measure", "'accuracy'"]),
    "measure a number": (lambda: sweep({"x": [1]}, measure=(1,)), TypeError, ["measure", "1"]),
    "measures a number": (lambda: sweep({"x": [1]}, measure=1), TypeError, ["measure", "1"]),
    "measure twice": (lambda: sweep({"x": [1]}, measure=("loss", "loss")), ValueError, ["'loss'", "twice", "name="]),
    "measures of one name": (
        lambda: sweep({"x": [1]}, measure=(eos.FirstBelow("loss", 1), eos.FirstBelow("loss", 2))),
        ValueError,
        ["'first_below_loss'", "twice", "name="],
    ),
    "measure with the name of a built-in one": (
        lambda: sweep({"x": [1]}, measure=("loss", eos.Mean("loss", 3, name="loss"))),
        ValueError,
        ["'loss'", "name="],
    ),
    "measure named as status": (
        lambda: sweep({"x": [1]}, measure=(eos.Mean("loss", 3, name="status"),)),
        ValueError,
        ["'status'", "name="],
    ),
    "measure named as a coordinate": (
        lambda: sweep({"x": [1]}, measure=(eos.Mean("loss", 3, name="x"),)),
        ValueError,
        ["'x'", "variable"],
    ),
    "FirstBelow of what": (lambda: eos.FirstBelow("los", 1), ValueError, ["quantity", "'los'", "did you mean 'loss'"]),
    "FirstBelow nan": (lambda: eos.FirstBelow("loss", NAN), ValueError, ["value", "nan"]),
    "FirstBelow name": (lambda: eos.FirstBelow("loss", 1, name="a b"), ValueError, ["name", "'a b'"]),
    "Mean last": (lambda: eos.Mean("loss", last=0), ValueError, ["last", ">= 1", "0"]),
    "Mean name": (lambda: eos.Mean("loss", last=1, name=3), TypeError, ["name", "3"]),
    "weights of several lengths": (
        lambda: sweep({"depth": [2, 3]}, model=eos.ScalarProduct()),
        ValueError,
        ["measure", "'weights'", "2, 3"],
    ),
    "block that not every depth has": (
        lambda: sweep({"depth": [2, 3], "w3": [1.0]}, model=eos.ScalarProduct(), measure="loss"),
        ValueError,
        ["grid", "'w3'"],
    ),
    "sweep num_steps": (lambda: sweep({"x": [1]}, num_steps=-1), ValueError, ["num_steps", "-1"]),
    "sweep num_threads": (lambda: sweep({"x": [1]}, num_threads=True), TypeError, ["num_threads", "True"]),
    "sweep stop": (lambda: sweep({"x": [1]}, stop=None), TypeError, ["stop", "None"]),
    "sweep model": (lambda: sweep({"x": [1]}, model=None), TypeError, ["model", "None"]),
    "sweep optimizer": (lambda: sweep({"x": [1]}, optimizer=eos.GD), TypeError, ["optimizer", "GD"]),
    "too many runs": (
        lambda: sweep({"x": np.zeros(10**7), "y": np.zeros(10**7)}, measure="loss"),
        ValueError,
        ["results of 100000000000000 runs", str(17 * 10**14), "PiB", "available", "fewer"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_calls_are_answered_in_one_sentence(case, capfd):
    call, error, words = CASES[case]
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    for word in words:
        assert word in message, message
    assert "\n" not in message
    assert len(message) < 500
    assert not message.endswith(".")
    assert capfd.readouterr() == ("", "")


def test_dense_hessians_have_a_limit(monkeypatch):
    monkeypatch.setattr("eosfast.models.base.LARGEST_DENSE_DIM", 1)
    with pytest.raises(ValueError, match=r"dim <= 1, but SingleNeuron.* has 2; use hvp"):
        NEURON.hessian([1, 2])


def test_nothing_is_computed_before_the_last_argument_is_checked():
    # A run of this length would take years.
    with pytest.raises(TypeError, match="progress"):
        train(num_steps=10**15, record=eos.Record("log2"), stop=eos.Stop(steady=False), progress=None)
