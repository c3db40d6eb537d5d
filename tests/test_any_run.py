"""Any run: random models, optimizers, starts, stop rules, lengths and measures.

A run of a sweep has the bits of `train`; both end at the first step of the full series at which a rule holds; and a run
that is filled in because it repeats is the run that is computed.
"""

import dataclasses

import numpy as np
import xarray as xr
from hypothesis import given, settings, strategies as st

import eosfast as eos
from reference import everything
from sweep_reference import ALL_MEASURES, measured

DATA = eos.datasets.sparse_coding(n=9, d=5, seed=1)
LOSSES = ["sqrt", "logcosh", "logistic", "huber", "power"]

MODELS = st.one_of(
    st.builds(eos.SingleNeuron, loss=st.sampled_from(LOSSES), beta=st.floats(1.01, 8)),
    st.builds(eos.ScalarProduct, depth=st.integers(1, 5), target=st.floats(-3, 3)),
    st.builds(eos.MeanModel, d=st.floats(1, 100), noise=st.floats(0.3, 2)),
    st.just(eos.ThresholdNeuron(DATA)),
    st.builds(eos.Scalar1D, loss=st.sampled_from([*LOSSES, "quartic"]), target=st.floats(-3, 3)),
    st.builds(eos.SelfStabilization, slope=st.floats(-1, 1), tilt=st.floats(-1, 1)),
    st.builds(eos.CurvedValley, root=st.booleans()),
    st.builds(eos.ScaleInvariant, ratio=st.floats(0.1, 10)),
)
MOMENTA = st.floats(0, 0.99)
OPTIMIZERS = st.one_of(
    st.just(eos.GD()),
    st.builds(eos.GD, weight_decay=st.floats(0, 2)),
    st.just(eos.NormalizedGD()),
    st.builds(eos.HeavyBall, momentum=MOMENTA),
    st.builds(eos.Nesterov, momentum=MOMENTA),
)
LEVELS = st.none() | st.floats(1e-9, 1.0)
STOPS = st.builds(
    eos.Stop,
    diverged=st.sampled_from([1e12, np.inf, 1.0, 1e4]),
    grad_norm=LEVELS,
    loss=LEVELS,
    steady=st.booleans(),
)
LENGTHS = st.sampled_from([0, 1, 2, 5, 63, 64, 239, 240, 241, 959, 960, 961, 1921, 3000])  # at and beside the slices


def first_end(model, optimizer, w0, num_steps, stop):
    """The step at which a run must end and its status (None: not by a rule), from the losses of every step."""
    record = eos.Record(quantities=("loss", "grad_norm"))
    free = eos.Stop(diverged=np.inf, steady=False)
    run = eos.train(model, w0, optimizer, num_steps=num_steps, stop=free, record=record)
    loss, grad_norm = run.loss.values, run.grad_norm.values
    diverged = ~(loss <= stop.diverged) | ~np.isfinite(loss)
    converged = np.zeros(len(loss), dtype=bool)
    if stop.loss is not None:
        converged |= loss < stop.loss
    if stop.grad_norm is not None:
        converged |= grad_norm < stop.grad_norm
    ends = np.flatnonzero(diverged | converged)
    return (int(ends[0]), 2 if diverged[ends[0]] else 1) if ends.size else (num_steps, None)


@settings(max_examples=150)
@given(
    model=MODELS,
    optimizer=OPTIMIZERS,
    stop=STOPS,
    num_steps=LENGTHS,
    measures=st.sets(st.sampled_from([measure for measure in ALL_MEASURES if measure != "lyapunov"])),
    num_runs=st.integers(1, 40),
    scale=st.sampled_from([0.1, 1.0, 5.0, 20.0]),
    every=st.sampled_from([1, 3, 100, "log2"]),
    num_threads=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_any_run(model, optimizer, stop, num_steps, measures, num_runs, scale, every, num_threads, seed):
    rng = np.random.default_rng(seed)
    lr = 10 ** rng.uniform(-3, 0.7, size=num_runs)
    starts = scale * rng.standard_normal((num_runs, model.dim))
    grid = {"lr": ("run", lr)} | {name: ("run", starts[:, i]) for i, name in enumerate(model.parameters)}
    order = {"num_steps": num_steps, "stop": stop}
    result = eos.sweep(model, optimizer, grid, measure=list(measures), num_threads=num_threads, **order)
    for i in {0, num_runs // 2, num_runs - 1}:
        rule = dataclasses.replace(optimizer, lr=float(lr[i]))
        expected = measured(model, rule, starts[i], num_steps, stop)
        for name in result.data_vars:
            if name.startswith("mean_"):
                np.testing.assert_allclose(result[name][i], expected[name], rtol=1e-9, err_msg=name)
            else:
                np.testing.assert_array_equal(result[name][i], expected[name], err_msg=name)
        step, status = first_end(model, rule, starts[i], num_steps, stop)
        assert expected["num_steps_done"] == step
        assert expected["status"] == status or (status is None and expected["status"] in (0, 3))
        filled = eos.train(model, starts[i], rule, record=everything(model, every=every), **order)
        order_computed = order | {"stop": dataclasses.replace(stop, steady=False)}
        computed = eos.train(model, starts[i], rule, record=everything(model, every=every), **order_computed)
        xr.testing.assert_equal(filled, computed)
