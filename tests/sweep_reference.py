"""What a sweep must give: every measure of one run, from the full record of `train`."""

import numpy as np

import eosfast as eos
from reference import period

STATUS = ["completed", "converged", "diverged", "steady", "interrupted", "pending"]
ALL_MEASURES = (
    "loss",
    "sharpness",
    "weights",
    "grad_norm",
    "max_loss",
    "loss_increases",
    "last_loss_increase",
    "mean_sharpness",
    "period",
    "lyapunov",
    eos.FirstBelow("loss", 1.5),
    eos.FirstBelow("sharpness", 5.0),
    eos.FirstBelow("grad_norm", 0.1),
    eos.Mean("loss", last=7),
    eos.Mean("grad_norm", last=3),
)
SPACE = {"lr": np.geomspace(1e-3, 3, 15), "w2": np.linspace(0.5, 20, 11)}
START = {"w1": 0.3}
"""A grid for (w1 w2 - 1)^2/2 on which some runs diverge at once, some late, some settle, some cycle."""


def bits(dataset):
    """Variables of a sweep as bytes, to be compared exactly (NaN equals NaN)."""
    return {name: var.values.tobytes() for name, var in dataset.variables.items()}


def values(run, name):
    return run[name].values


def measured(model, optimizer, w0, num_steps, stop):
    """All measures of one run, from the full record of `train`."""
    record = eos.Record(quantities=("loss", "sharpness", "weights", "grad_norm"))
    run = eos.train(model, w0, optimizer, num_steps=num_steps, stop=stop, record=record)
    loss, sharpness, grad_norm = (values(run, name) for name in ("loss", "sharpness", "grad_norm"))
    increases = np.flatnonzero(loss[1:] > loss[:-1])

    def first(below):
        return int(np.argmax(below)) if below.any() else -1

    def mean(q, last):
        since = max(0, num_steps - last + 1)
        return q[since:].mean() if len(q) > since else q[-1]

    return {
        "status": STATUS.index(run.attrs["status"]),
        "num_steps_done": run.attrs["num_steps_done"],
        "loss": loss[-1],
        "sharpness": sharpness[-1],
        "weights": values(run, "weights")[-1],
        "grad_norm": grad_norm[-1],
        "max_loss": np.nanmax(loss),
        "loss_increases": len(increases),
        "last_loss_increase": increases[-1] if len(increases) else -1,
        "mean_sharpness": mean(sharpness, max(1, num_steps // 10)),
        "first_below_loss": first(loss < 1.5),
        "first_below_sharpness": first(sharpness < 5.0),
        "first_below_grad_norm": first(grad_norm < 0.1),
        "mean_loss": mean(loss, 7),
        "mean_grad_norm": mean(grad_norm, 3),
        "period": 0 if run.attrs["status"] == "diverged" else period(values(run, "weights")),
    }
