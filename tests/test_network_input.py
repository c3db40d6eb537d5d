"""Wrong calls of networks: each is a TypeError or ValueError in one sentence, before any work.

The sentence names the argument, what was given and what is allowed.
"""

import numpy as np
import pytest

import eosfast as eos
from network_reference import samples

SIGNS, NUMBERS, LABELS = samples(6, 3), samples(6, 3, "numbers"), samples(6, 3, "labels")
X = SIGNS.X
REGRESSION = eos.LogisticRegression(SIGNS)
TWO = eos.TwoLayerNetwork(SIGNS, 4)
DEEP = eos.MLP(NUMBERS, (4,))
CLASSES = eos.MLP(LABELS, (4,), loss="cross_entropy")
NAN, INF = float("nan"), float("inf")


def two(data=SIGNS, width=4, **fields):
    return eos.TwoLayerNetwork(data, width, **fields)


def mlp(data=NUMBERS, widths=(4,), **fields):
    return eos.MLP(data, widths, **fields)


def with_targets(y):
    return eos.Dataset(X, y)


def train(model=TWO, optimizer=eos.GD(0.1), num_steps=5, **options):  # noqa: B008 - immutable
    return eos.train(model, optimizer=optimizer, num_steps=num_steps, **options)


def sweep(grid, model=TWO, num_steps=5, **options):
    return eos.sweep(model, eos.GD(0.1), grid, num_steps=num_steps, **options)


# Each case: the wrong call, the kind of error, and words that its message must hold.
CASES = {
    # data
    "regression on an array": (lambda: eos.LogisticRegression(X), TypeError, ["data", "Dataset"]),
    "two layers on an array": (lambda: two(X), TypeError, ["data", "Dataset"]),
    "perceptron on None": (lambda: mlp(None), TypeError, ["data", "Dataset", "None"]),
    "regression with labels 0 and 1": (
        lambda: eos.LogisticRegression(with_targets([0, 1, 0, 1, 1, 0])),
        ValueError,
        ["data", "-1 and +1", "got 0", "2 * y - 1"],
    ),
    "two layers with labels 0 and 1": (
        lambda: two(with_targets([0, 1, 0, 1, 1, 0])),
        ValueError,
        ["data", "-1 and +1", "got 0", "2 * y - 1"],
    ),
    "regression with three labels": (
        lambda: eos.LogisticRegression(with_targets([-1, 1, 3, 1, 1, -1])),
        ValueError,
        ["data", "-1", "+1", "3"],
    ),
    "perceptron with logistic loss of numbers": (
        lambda: mlp(with_targets([0.5, 1, 1, 1, 1, -1]), loss="logistic"),
        ValueError,
        ["data", "-1", "+1", "0.5"],
    ),
    "logistic loss of two columns": (
        lambda: mlp(with_targets(np.ones((6, 2))), loss="logistic"),
        ValueError,
        ["data", "(n,)", "(6, 2)"],
    ),
    "regression of two columns": (
        lambda: eos.LogisticRegression(with_targets(np.ones((6, 2)))),
        ValueError,
        ["data", "(n,)", "(6, 2)"],
    ),
    "two layers with two columns": (
        lambda: two(with_targets(np.ones((6, 2))), loss="mse"),
        ValueError,
        ["data", "(n,)", "(6, 2)"],
    ),
    "shares that do not sum to 1": (
        lambda: mlp(with_targets(np.full((6, 2), 0.4)), loss="cross_entropy"),
        ValueError,
        ["data", "sum to 1", "0.8"],
    ),
    "labels that are no integers": (
        lambda: mlp(with_targets([0.0, 1.0, 1.5, 0, 1, 2]), loss="cross_entropy"),
        ValueError,
        ["data", "ints >= 0", "1.5"],
    ),
    "negative labels": (
        lambda: mlp(with_targets([-1, 0, 1, 1, 0, 2]), loss="cross_entropy"),
        ValueError,
        ["data", "ints >= 0", "-1"],
    ),
    "no samples": (lambda: two(eos.Dataset(np.ones((0, 3)), [])), ValueError, ["X", "(0, 3)"]),
    "data not finite": (lambda: two(eos.Dataset([[1, NAN]], [1])), ValueError, ["X", "finite", "nan"]),
    # fields
    "width 0": (lambda: two(width=0), ValueError, ["width", "TwoLayerNetwork", ">= 1", "0"]),
    "width negative": (lambda: two(width=-3), ValueError, ["width", ">= 1", "-3"]),
    "width not whole": (lambda: two(width=4.0), TypeError, ["width", "int", "4.0"]),
    "width bool": (lambda: two(width=True), TypeError, ["width", "int", "True"]),
    "widths a number": (lambda: mlp(widths=4), TypeError, ["widths", "4"]),
    "widths with 0": (lambda: mlp(widths=(4, 0)), ValueError, ["widths", ">= 1", "0"]),
    "widths not whole": (lambda: mlp(widths=(4.5,)), TypeError, ["widths", "int", "4.5"]),
    "widths bool": (lambda: mlp(widths=(True,)), TypeError, ["widths", "int", "True"]),
    "widths text": (lambda: mlp(widths="44"), TypeError, ["widths", "'44'"]),
    "unknown activation": (
        lambda: two(activation="gleu"),
        ValueError,
        ["activation", "'gleu'", "'softplus'", "did you mean 'gelu'"],
    ),
    "activation a number": (lambda: mlp(activation=3), TypeError, ["activation", "3"]),
    "activation a function": (lambda: mlp(activation=np.tanh), TypeError, ["activation", "tanh"]),
    "activation None": (lambda: two(activation=None), TypeError, ["activation", "None"]),
    "unknown loss": (
        lambda: two(loss="logistc"),
        ValueError,
        ["loss", "'logistc'", "'mse'", "did you mean 'logistic'"],
    ),
    "cross-entropy of one output": (
        lambda: two(loss="cross_entropy"),
        ValueError,
        ["loss", "'cross_entropy'", "'mse'"],
    ),
    "unknown loss of a perceptron": (
        lambda: mlp(loss="crossentropy"),
        ValueError,
        ["loss", "'crossentropy'", "did you mean 'cross_entropy'"],
    ),
    "loss None": (lambda: mlp(loss=None), TypeError, ["loss", "None"]),
    "unknown trainable": (
        lambda: two(trainable="frist"),
        ValueError,
        ["trainable", "'frist'", "'both'", "did you mean 'first'"],
    ),
    "trainable bool": (lambda: two(trainable=True), TypeError, ["trainable", "True"]),
    "unknown dtype": (lambda: two(dtype="float16"), ValueError, ["dtype", "'float16'", "'float32'", "'float64'"]),
    "dtype of the regression": (
        lambda: eos.LogisticRegression(SIGNS, dtype="double"),
        ValueError,
        ["dtype", "'double'", "'float64'"],
    ),
    "bias a number": (lambda: mlp(bias=1), TypeError, ["bias", "True or False", "1"]),
    "reduce a number": (lambda: two(reduce=0), TypeError, ["reduce", "True or False", "0"]),
    "scale infinite": (lambda: two(scale=INF), ValueError, ["scale", "finite", "inf"]),
    "scale text": (lambda: two(scale="1"), TypeError, ["scale", "'1'"]),
    "output weights too few": (
        lambda: two(output_weights=[1.0, -1.0]),
        ValueError,
        ["output_weights", "(4,)", "(2,)"],
    ),
    "output weights not finite": (
        lambda: two(output_weights=[1.0, 1.0, NAN, 1.0]),
        ValueError,
        ["output_weights", "finite", "nan"],
    ),
    "output weights text": (lambda: two(output_weights=["a"] * 4), TypeError, ["output_weights", "real"]),
    # arguments of members
    "w too long": (lambda: TWO.loss(np.ones(13)), ValueError, ["w", "TwoLayerNetwork", "(12,)", "(13,)"]),
    "w a matrix": (lambda: TWO.grad(np.ones((4, 3))), ValueError, ["w", "TwoLayerNetwork", "(12,)", "(4, 3)"]),
    "w of the regression": (lambda: REGRESSION.margin(np.ones(2)), ValueError, ["w", "(3,)", "(2,)"]),
    "w of the kernel": (lambda: DEEP.ntk(np.ones(2)), ValueError, ["w", "(21,)", "(2,)"]),
    "w of the Jacobian": (lambda: DEEP.jacobian(np.ones(2)), ValueError, ["w", "(21,)", "(2,)"]),
    "w of the operator": (lambda: DEEP.hessian_operator(np.ones(2)), ValueError, ["w", "(21,)", "(2,)"]),
    "v too short": (lambda: TWO.hvp(np.ones(12), np.ones(11)), ValueError, ["v", "(12,)", "(12, k)", "(11,)"]),
    "v a cube": (lambda: TWO.hvp(np.ones(12), np.ones((12, 1, 1))), ValueError, ["v", "(12, 1, 1)"]),
    "k 0": (lambda: TWO.sharpness(np.ones(12), k=0), ValueError, ["k", "from 1 to 12", "0"]),
    "k above dim": (lambda: TWO.sharpness(np.ones(12), k=13), ValueError, ["k", "from 1 to 12", "13"]),
    "tol 0": (lambda: TWO.sharpness(np.ones(12), tol=0), ValueError, ["tol", "> 0", "0"]),
    "tol negative": (lambda: DEEP.sharpness(np.ones(21), tol=-1e-3), ValueError, ["tol", "> 0", "-0.001"]),
    "sharpness seed": (lambda: TWO.sharpness(np.ones(12), seed=-1), ValueError, ["seed", ">= 0", "-1"]),
    "init seed": (lambda: TWO.init(-1), ValueError, ["seed", ">= 0", "-1"]),
    "seed of the regression": (lambda: REGRESSION.init("1"), TypeError, ["seed", "int", "'1'"]),
    "samples of another d": (lambda: TWO.predict(np.ones(12), np.ones((5, 4))), ValueError, ["X", ", 3)", "(5, 4)"]),
    "one sample as a vector": (lambda: DEEP.predict(np.ones(21), np.ones(3)), ValueError, ["X", "(3,)"]),
    "accuracy on other d": (
        lambda: TWO.accuracy(np.ones(12), samples(3, 5)),
        ValueError,
        ["data", "d = 3", "d = 5"],
    ),
    "accuracy on an array": (lambda: TWO.accuracy(np.ones(12), X), TypeError, ["data", "Dataset"]),
    "accuracy on labels beyond the classes": (
        lambda: CLASSES.accuracy(np.ones(CLASSES.dim), with_targets([0, 1, 2, 3, 0, 1])),
        ValueError,
        ["data", "2", "3"],
    ),
    "accuracy on negative labels": (
        lambda: CLASSES.accuracy(np.ones(CLASSES.dim), with_targets([0, 1, 2, -1, 0, 1])),
        ValueError,
        ["data", "-1"],
    ),
    "margin of numbers": (lambda: DEEP.margin(np.ones(21)), ValueError, ["margin", "-1", "+1"]),
    "margin of classes": (lambda: CLASSES.margin(np.ones(CLASSES.dim)), ValueError, ["margin"]),
    "unknown block": (lambda: TWO.pack(W=np.ones((4, 3)), b=np.ones(4)), ValueError, ["'W'", "'b'"]),
    "missing block": (lambda: DEEP.pack(W1=np.ones((4, 3))), ValueError, ["missing", "b1", "W2", "b2"]),
    "block transposed": (lambda: TWO.pack(W=np.ones((3, 4))), ValueError, ["'W'", "(4, 3)", "(3, 4)"]),
    # train and sweep
    "start not finite": (lambda: train(w0=np.full(12, NAN)), ValueError, ["w0", "finite", "nan"]),
    "start too long": (lambda: train(w0=np.ones(13)), ValueError, ["w0", "(12,)", "(13,)"]),
    "record k above dim": (
        lambda: train(record=eos.Record(quantities=("hessian_eigs",), k=13)),
        ValueError,
        ["k", "at most 12", "TwoLayerNetwork", "13"],
    ),
    "unknown quantity": (
        lambda: train(record=eos.Record(quantities=("marign",))),
        ValueError,
        ["quantities", "'marign'", "did you mean 'margin'"],
    ),
    "margin of numbers in a record": (
        lambda: train(model=DEEP, record=eos.Record(quantities=("margin",))),
        ValueError,
        ["margin"],
    ),
    "margin of numbers in a sweep": (
        lambda: sweep({"lr": [0.1]}, model=DEEP, measure="margin"),
        ValueError,
        ["margin"],
    ),
    "grid width 0": (lambda: sweep({"width": [4, 0]}, measure="loss"), ValueError, ["width", ">= 1", "0"]),
    "grid activation": (
        lambda: sweep({"activation": ["tanh", "gleu"]}),
        ValueError,
        ["activation", "'gleu'", "did you mean 'gelu'"],
    ),
    "grid name": (lambda: sweep({"widht": [1, 2]}), ValueError, ["grid", "'widht'", "did you mean 'width'"]),
    "grid of matrix blocks": (lambda: sweep({"W": [1.0, 2.0]}), ValueError, ["grid", "'W'", "(4, 3)", "scalar", "w0"]),
    "grid with the bare name loss": (lambda: sweep({"loss": ["mse"]}), ValueError, ["'loss'", "model.loss"]),
    "weights of several lengths": (
        lambda: sweep({"width": [2, 3]}, measure="weights"),
        ValueError,
        ["measure", "'weights'", "6, 9"],
    ),
    "a start for several widths": (
        lambda: sweep({"width": [2, 3]}, w0={"W": np.ones((2, 3))}, measure="loss"),
        ValueError,
        ["'W'", "(3, 3)", "(2, 3)"],
    ),
    "signs lost on the grid": (
        lambda: sweep({"data": [SIGNS, NUMBERS]}, measure="loss"),
        ValueError,
        ["data", "-1", "+1"],
    ),
    "output weights for one width only": (
        lambda: sweep({"width": [4, 5]}, model=two(output_weights=[1.0, 1.0, -1.0, -1.0]), measure="loss"),
        ValueError,
        ["output_weights", "(5,)", "(4,)"],
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


def test_dense_hessians_have_a_limit():
    model = eos.TwoLayerNetwork(samples(3, 1000), 5)
    with pytest.raises(ValueError, match=r"dim <= 4096, but TwoLayerNetwork.* has 5000; use hvp"):
        model.hessian(np.ones(5000))
    assert model.sharpness(np.ones(5000)).converged.all()


def test_results_that_do_not_fit_into_memory_are_refused():
    model = eos.TwoLayerNetwork(samples(3, 1000), 1000)
    with pytest.raises(ValueError, match="available"):
        train(model=model, num_steps=10**8, record=eos.Record(quantities=("weights",)))


def test_nothing_is_computed_before_the_last_argument_is_checked():
    # A run of this length would take years.
    with pytest.raises(TypeError, match="progress"):
        train(num_steps=10**15, record=eos.Record("log2"), stop=eos.Stop(steady=False), progress=None)
