"""Runs the variant of the core that `import eosfast` chose; prints, as JSON, which it was and the bits it computed.

A program of its own because a process has one variant: test_isa.py runs it once for each, also under emulated
processors. It calls the compiled core directly and needs nothing but NumPy, so that an emulated run takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import math
from itertools import pairwise

import numpy as np

import eosfast as eos
from eosfast._dispatch import core

NO_STOP = {"diverged": 1e12, "grad_norm": math.nan, "loss": math.nan, "steady": False}
LR_ALONE = np.array([1.0, 0.0])  # what "GD" takes, lr and weight_decay, for lr = 1
NO_SOLVE = {"every": 0, "tol": 1e-3, "seed": 0}
MODELS = {
    "SingleNeuron sqrt": ("SingleNeuron", {"loss": "sqrt", "beta": 2.0}, [2.0], [0.3, 4.0]),
    "SingleNeuron logcosh": ("SingleNeuron", {"loss": "logcosh", "beta": 2.0}, [2.0], [0.3, 4.0]),
    "SingleNeuron logistic": ("SingleNeuron", {"loss": "logistic", "beta": 2.0}, [2.0], [0.3, 4.0]),
    "ScalarProduct": ("ScalarProduct", {"depth": 3, "target": 1.0}, [1.0], [0.8, 0.9, 1.3]),
    "MeanModel": ("MeanModel", {"d": 5.0, "noise": 1.0}, [5.0, 1.0], [0.3, -0.1, 0.0]),
    **{
        f"QuadraticRegression {P}": (
            "QuadraticRegression",
            {"Q": np.ones((1, P)), "y": np.ones(1), "G": np.ones((1, P)), "in_lanes": 1.0},
            [*[1.0, -0.3, 0.2][:P], 0.2, *[0.1, 0.4, -0.7][:P]],
            [0.3, -0.4, 0.5][:P],
        )
        for P in (2, 3)
    },
}


def digest(values: np.ndarray) -> str:
    """Hash of the bits; every NaN counts as the same, since the standard leaves its payload open."""
    return hashlib.sha256(np.where(np.isnan(values), np.nan, values).tobytes()).hexdigest()


def function_bits() -> dict[str, str]:
    """Every lane function from the smallest subnormal to overflow, both signs, and at the special values.

    The arguments come from exact operations alone: NumPy's own functions may differ from processor to processor.
    """
    over_all_exponents = np.ldexp(1 + np.arange(16) / 16, np.arange(-1074, 1024, 4)[:, None]).ravel()
    moderate = np.arange(1, 4001) / 100
    magnitudes = np.concatenate([[0.0, 5e-324, np.inf, np.nan], over_all_exponents, moderate])
    x = np.concatenate([-magnitudes, magnitudes])
    return {name: digest(core.math(name, x, True)) for name in core.math_names()}


def train_bits(name: str, config: dict, start: list[float]) -> str:
    """One run of 400 steps, every tenth recorded."""
    rows = 41
    out = {"step": np.empty(rows, np.int64), "loss": np.empty(rows), "weights": np.empty((rows, len(start)))}
    result = core.train(
        core.model(name, config),
        "GD",
        0.05 * LR_ALONE,
        np.array(start),
        0.0,
        400,
        10,
        out,
        [],
        NO_STOP,
        NO_SOLVE,
        0.05,
        1,
        None,
        None,
    )
    assert result["rows"] == rows, result
    return digest(np.column_stack([out["loss"], out["weights"]]))


def sweep_bits(name: str, config: dict, lane_fields: list[float], start: list[float]) -> str:
    """A row of 37 step sizes (no multiple of any number of lanes), from stable to divergent."""
    shape = (37,)
    values = [*(LR_ALONE[:, None] * np.arange(1, 38) / 37), *lane_fields, *start]
    columns = [np.broadcast_to(np.asarray(value, dtype=float), shape) for value in values]
    out = {
        "status": np.full(shape, 5, np.int8),
        "num_steps_done": np.empty(shape, np.int64),
        "weights": np.empty((*shape, len(start))),
    }
    done, interrupted = core.sweep(
        [core.model(name, config)], None, "GD", shape, columns, None, None, 400, [], out, [], NO_STOP, 0, 2, None
    )
    assert (done, interrupted) == (shape[0], False)
    return digest(np.column_stack([out["weights"], out["status"], out["num_steps_done"]]))


NETWORK = {
    "activation_linear": 0.0,
    "activation_gain": 1.0,
    "activation_h": 1.0,
    "output_scale": 1.0,
    "degree": 3.0,
    "unseen": 0.0,
}


def network_bits(activation: str, dtype: str) -> str:
    """A perceptron with two hidden layers on 21 samples."""
    n, widths = 21, [3, 7, 5, 2]
    grid = np.arange(n * 3).reshape(n, 3)
    X, y = (grid * 37 % 101) / 50 - 1, (grid[:, :2] * 53 % 89) / 44 - 1
    dim = sum((a + 1) * b for a, b in pairwise(widths))
    own = {"X": X, "y": y, "widths": np.array(widths, float), "output_weights": np.empty(0), "loss": "mse"}
    return steps_bits(
        {**NETWORK, **own, "activation": activation, "bias": 1.0, "output_bias": 1.0, "dtype": dtype}, dim
    )


def tiny_network_bits(activation: str, bias: bool) -> str:
    """Eleven neurons on five samples, two of them opposite."""
    X = np.array([[1.0, 0.5], [-1.0, -0.5], [0.25, -0.75], [0.5, 1.5], [-2.0, 0.125]])
    signs = np.where(np.arange(11) < 6, 1.0, -1.0)
    own = {"X": X, "y": np.array([[1.0], [-1.0], [1.0], [1.0], [-1.0]]), "widths": np.array([2.0, 11.0, 1.0])}
    rest = {"output_weights": signs, "loss": "logistic", "bias": float(bias), "output_bias": 0.0, "dtype": "float64"}
    config = {**NETWORK, **own, **rest, "activation": activation, "activation_linear": 0.25}
    return steps_bits(config, 33 if bias else 22)


def linear_network_bits(widths: list[int], n: int) -> str:
    """A chain of matrices on so many samples, or none."""
    inputs, outputs = widths[0], widths[-1]
    X = ((np.arange(n * inputs) * 37 % 101) / 50 - 1).reshape(n, inputs)
    y = ((np.arange((n or outputs) * (outputs if n else inputs)) * 53 % 89) / 44 - 1).reshape(n or outputs, -1)
    config = {"widths": np.array(widths, float), "loss_scale": 1 / (n or 1), "X": X, "y": y}
    return steps_bits(config, sum(a * b for a, b in pairwise(widths)), "LinearNetwork")


def quadratic_bits(outputs: int, dim: int) -> str:
    """A symmetric matrix for each output."""
    i, j = np.indices((dim, dim))
    Q = np.array([((i + j) * 31 + i * j * 7 + a) % 97 / 97 - 0.5 for a in range(outputs)]) / 8
    G = (np.arange(outputs * dim) * 41 % 73).reshape(outputs, dim) / 73 - 0.5
    config = {"Q": Q.reshape(outputs, -1), "y": G[:, 0] + 0.1, "G": G / 4, "in_lanes": 0.0}
    return steps_bits(config, dim, "QuadraticRegression")


def steps_bits(config: dict, dim: int, name: str = "FeedForward") -> str:
    """30 steps of a network, and a product with the Hessian."""
    model = core.model(name, config)
    start = (np.arange(dim) * 29 % 83) / 80 - 0.5
    out = {"step": np.empty(31, np.int64), "loss": np.empty(31), "weights": np.empty((31, dim))}
    core.train(model, "GD", 0.1 * LR_ALONE, start, 0.0, 30, 1, out, [], NO_STOP, NO_SOLVE, 0.1, 2, None, None)
    product = core.hvp(model, start, start[::-1].copy()[None])
    return digest(np.concatenate([out["loss"], out["weights"].ravel(), product.ravel()]))


def main() -> None:
    """Print the report."""
    x = np.arange(-300, 301) / 100
    report = {
        "isa": eos.isa,
        "core_isa": core.build_info()["isa"],
        "tanh_error": float(np.max(np.abs(core.math("tanh", x, True) - [math.tanh(value) for value in x]))),
        "functions": function_bits(),
        "train": {key: train_bits(name, config, start) for key, (name, config, _, start) in MODELS.items()},
        "sweep": {key: sweep_bits(*arguments) for key, arguments in MODELS.items()},
        "networks": {
            f"{activation} {dtype}": network_bits(activation, dtype)
            for activation in ("gelu", "tanh", "softplus", "relu")
            for dtype in ("float64", "float32")
        }
        | {
            f"tiny {activation} {bias}": tiny_network_bits(activation, bias)
            for activation in ("gelu", "tanh", "softplus", "relu")
            for bias in (False, True)
        }
        | {
            f"linear {widths} {n}": linear_network_bits(widths, n)
            for widths, n in (([2, 2, 2], 0), ([5, 9, 11, 3], 0), ([13, 7, 30], 200), ([30, 10, 4], 333))
        }
        | {f"quadratic {D} {P}": quadratic_bits(D, P) for D, P in [(1, 9), (9, 7), (20, 35)]},
        # Code compiled with -ffast-math would have switched subnormals off for the whole process.
        "subnormals_survive": math.ldexp(1.0, -1074) * 2.0 > 0.0,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
