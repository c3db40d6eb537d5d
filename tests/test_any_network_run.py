"""Any run of any network: random networks, optimizers, stop rules, lengths and measures.

A run of a sweep has the bits of `train`; both end at the first step of the full series at which a rule holds; and a run
that is filled in because it repeats is the run that is computed.
"""

import dataclasses

import numpy as np
from hypothesis import given, settings, strategies as st

import eosfast as eos
from network_reference import ACTIVATIONS, samples
from test_network_sweeps import MEASURES, compare, recorded

SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 2**32)
INSIDE = {"reduce": st.booleans(), "dtype": st.sampled_from(["float64", "float64", "float32"])}
NETWORKS = st.one_of(
    st.builds(eos.LogisticRegression, st.builds(samples, SMALL, SMALL, seed=SEEDS), **INSIDE),
    st.builds(
        eos.TwoLayerNetwork,
        st.builds(samples, SMALL, SMALL, seed=SEEDS),
        SMALL,
        activation=st.sampled_from(ACTIVATIONS),
        loss=st.sampled_from(["logistic", "mse"]),
        trainable=st.sampled_from(["first", "both"]),
        scale=st.sampled_from([0.3, 1.0, 10.0]),
        bias=st.booleans(),
        **INSIDE,
    ),
    st.builds(
        eos.MLP,
        st.builds(samples, SMALL, SMALL, seed=SEEDS),
        st.lists(SMALL, min_size=1, max_size=3),
        activation=st.sampled_from(ACTIVATIONS),
        loss=st.sampled_from(["logistic", "mse"]),
        bias=st.booleans(),
        **INSIDE,
    ),
)
MOMENTA = st.floats(0, 0.99)
OPTIMIZERS = st.one_of(
    st.just(eos.GD()),
    st.builds(eos.GD, weight_decay=st.floats(0, 2)),
    st.just(eos.NormalizedGD()),
    st.builds(eos.HeavyBall, momentum=MOMENTA),
    st.builds(eos.Nesterov, momentum=MOMENTA),
)
LEVELS = st.none() | st.floats(1e-6, 1.0)
STOPS = st.builds(
    eos.Stop,
    diverged=st.sampled_from([1e12, np.inf, 1.0, 1e4]),
    grad_norm=LEVELS,
    loss=LEVELS,
    steady=st.booleans(),
)
LENGTHS = st.sampled_from([0, 1, 2, 5, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300])
PLAIN = ("loss", "grad_norm", "weights", "weight_norm", "margin", "accuracy")


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


@settings(max_examples=100)
@given(
    model=NETWORKS,
    optimizer=OPTIMIZERS,
    stop=STOPS,
    num_steps=LENGTHS,
    measures=st.sets(st.sampled_from([*MEASURES, "margin", "accuracy", "sharpness", "lyapunov"])),
    rates=st.lists(st.floats(1e-3, 10.0), min_size=1, max_size=4),
    every=st.sampled_from([1, 3, 100, "log2"]),
    num_threads=st.integers(1, 3),
    seed=SEEDS,
)
def test_any_run(model, optimizer, stop, num_steps, measures, rates, every, num_threads, seed):
    w0 = np.random.default_rng(seed).standard_normal(model.dim)
    order = {"num_steps": num_steps, "stop": stop}
    result = eos.sweep(
        model, optimizer, {"lr": rates}, w0=w0, measure=list(measures), num_threads=num_threads, seed=seed, **order
    )
    for i, lr in enumerate(rates):
        rule = dataclasses.replace(optimizer, lr=lr)
        expected = recorded(model, rule, w0, **order)
        compare(result.isel(lr=i), expected, lr)
        step, status = first_end(model, rule, w0, num_steps, stop)
        assert expected["num_steps_done"] == step
        assert expected["status"] == status or (status is None and expected["status"] in (0, 3))
        filled = eos.train(model, w0, rule, record=eos.Record(every, quantities=(*PLAIN, "sharpness")), **order)
        computed_order = order | {"stop": dataclasses.replace(stop, steady=False)}
        computed = eos.train(model, w0, rule, record=eos.Record(every, quantities=PLAIN), **computed_order)
        for name in ("step", *PLAIN):
            np.testing.assert_array_equal(filled[name], computed[name], err_msg=name)
