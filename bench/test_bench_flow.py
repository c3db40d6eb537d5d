"""P15. What does the gradient flow cost against general integrators, at equal tolerances?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import eosfast as eos
import flow_peers

DURATION = 100.0
"""Sharpness times duration is 20,000 for the starts below."""


def starts(count):
    return np.random.default_rng(0).uniform([0.1, 12.0], [0.5, 16.0], (count, 2))


def our_flows(model, w0, duration, **options):
    def run():
        return eos.gradient_flow(
            model, w0, times=[duration], quantities="weights", rtol=flow_peers.RTOL, atol=flow_peers.ATOL, **options
        ).weights.values[..., -1, :]

    return run


@pytest.mark.parametrize("method", ["LSODA", "Radau", "DOP853", "RK45"])
def test_one_start_against_scipy(race, method):
    race.benchmark.group = "P15 flow of one neuron"
    w0 = starts(1)
    theirs = flow_peers.scipy_neurons(w0, DURATION, method)
    found = race(
        theirs, our_flows(eos.SingleNeuron(), w0, DURATION), names=(f"scipy {method}", "eosfast"), steps=(1, 1),
        question="P15", what="gradient flow, one stiff start", goal="",
    )  # fmt: skip
    np.testing.assert_allclose(found, our_flows(eos.SingleNeuron(), w0, DURATION)(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("peer", ["scipy LSODA", "diffrax Kvaerno5"])
def test_many_starts(race, peer):
    race.benchmark.group = "P15 flows of neurons"
    w0 = starts(race.size(1000, 5))
    if peer.startswith("diffrax"):
        pytest.importorskip("diffrax")
        theirs = flow_peers.diffrax_neurons(w0, DURATION)
        theirs()  # compiles
    else:
        theirs = flow_peers.scipy_neurons(w0, DURATION, "LSODA")
    ours = our_flows(eos.SingleNeuron(), w0, DURATION)
    found = race(
        theirs, ours, names=(peer, "eosfast"), steps=(len(w0), len(w0)),
        question="P15", what="gradient flow, 1000 stiff starts", goal="",
    )  # fmt: skip
    np.testing.assert_allclose(found, ours(), rtol=1e-6, atol=1e-6)


def test_a_network(race):
    """SciPy with the same gradient: what the integrator and the calls cost."""
    race.benchmark.group = "P15 flow of a network"
    model, duration = eos.MLP(eos.datasets.chebyshev(), (30, 20)), race.size(100, 1)
    w0 = model.init(0)

    def theirs():
        solution = solve_ivp(lambda _, w: -model.grad(w), (0, duration), w0, rtol=flow_peers.RTOL, atol=flow_peers.ATOL)
        return solution.y[:, -1]

    ours = our_flows(model, w0, float(duration))
    found = race(
        theirs, ours, names=("scipy RK45", "eosfast"), steps=(1, 1),
        question="P15", what="gradient flow, MLP 1-30-20-1", goal="",
    )  # fmt: skip
    np.testing.assert_allclose(found, ours(), rtol=1e-5, atol=1e-7)
