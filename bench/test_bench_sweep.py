"""P1. What does a step of one of many runs cost? Sweeps of `SingleNeuron`, on one thread and on several."""

from __future__ import annotations

import time

import numpy as np
import pytest

import neuron_runs
import peers
from eosfast.resources import available_threads

NAMED = {str(peer): peer for peer in peers.RUNS}
BEST = [NAMED[name] for name in ("JAX-plain", "JAX-expert", "numba-expert")]
GOALS = {
    ("logcosh", "JAX plain"): ">= 2.4",
    ("logcosh", "numba expert"): ">= 1.1",
    ("logcosh", "JAX expert"): ">= 1.1",
    ("sqrt", "JAX plain"): ">= 2.8",
    ("sqrt", "numba expert"): ">= 1.2",
    ("sqrt", "JAX expert"): ">= 1.2",
}
THREADS = sorted({*(2**k for k in range(1, 12) if 2**k < available_threads()), available_threads()} - {1})


def against_peer(race, peer, loss, runs, num_steps, *, share=1.0, samples=4, **options):
    """Time a peer against us. A slow one does a `share` of the steps, which all cost the same."""
    num_peer_steps = max(1, int(num_steps * share))
    theirs = peer.build(loss, runs.lr, runs.x0, runs.y, num_peer_steps)
    ours = neuron_runs.sweep(loss, runs, num_steps)
    work = (len(runs.lr) * num_peer_steps, len(runs.lr) * num_steps)
    found = race(theirs, ours, names=(peer.name, "eosfast"), steps=work, **peer.about(), **options)
    neuron_runs.check(loss, runs, num_peer_steps, found, peer.rtol, samples)


@pytest.mark.parametrize("loss", neuron_runs.LOSSES)
class TestManyRuns:
    """4096 runs of 100,000 steps: everything fits into the cache nearest to the processor, or nearly."""

    def test_eosfast(self, race, loss):
        race.benchmark.group = f"P1 4096 runs, {loss}"
        runs, num_steps = neuron_runs.at_the_edge(race.size(4096, 64)), race.size(100_000, 500)
        result = race(neuron_runs.sweep(loss, runs, num_steps), steps=len(runs.lr) * num_steps)
        neuron_runs.check(loss, runs, num_steps, neuron_runs.ends(result))

    @pytest.mark.parametrize("rival", NAMED.values(), ids=NAMED, indirect=True)
    def test_peer(self, race, rival, loss):
        race.benchmark.group = f"P1 4096 runs, {loss}"
        runs, num_steps = neuron_runs.at_the_edge(race.size(4096, 64)), race.size(100_000, 500)
        share = 0.05 if rival.name in ("numba plain", "NumPy", "JAX autograd") and not race.short else 1.0
        labels = {"question": "P1", "what": f"4096 runs, {loss}", "goal": GOALS.get((loss, rival.name), "")}
        against_peer(race, rival, loss, runs, num_steps, share=share, **labels)


@pytest.mark.parametrize("loss", neuron_runs.LOSSES)
class TestMillionRuns:
    """1,000,000 runs of 1000 steps: what does not keep a few runs close at hand streams them all through memory."""

    def test_eosfast(self, race, loss):
        race.benchmark.group = f"P1 1e6 runs, {loss}"
        runs, num_steps = neuron_runs.at_the_edge(race.size(1_000_000, 1000)), race.size(1000, 100)
        result = race(neuron_runs.sweep(loss, runs, num_steps), steps=len(runs.lr) * num_steps)
        neuron_runs.check(loss, runs, num_steps, neuron_runs.ends(result), samples=100)

    @pytest.mark.parametrize("rival", BEST, ids=str, indirect=True)
    def test_peer(self, race, rival, loss):
        race.benchmark.group = f"P1 1e6 runs, {loss}"
        runs, num_steps = neuron_runs.at_the_edge(race.size(1_000_000, 1000)), race.size(1000, 100)
        labels = {"question": "P1", "what": f"1e6 runs, {loss}", "goal": ">= 6" if rival.name == "JAX plain" else ""}
        against_peer(race, rival, loss, runs, num_steps, samples=100, **labels)


@pytest.mark.parametrize("loss", neuron_runs.LOSSES)
class TestRunsThatEndEarly:
    """4096 runs of which 90 % reach their minimum, bitwise, within 3 % of the 100,000 steps. Their lanes take other
    runs; a peer goes on stepping them. The default `Stop()`: their results are those of all the steps.
    """

    def test_eosfast(self, race, loss):
        race.benchmark.group = f"P1 90 % end early, {loss}"
        runs, num_steps = neuron_runs.mostly_short(race.size(4096, 64)), race.size(100_000, 5000)
        ours = neuron_runs.sweep(loss, runs, num_steps, stop=neuron_runs.eos.Stop())
        result = race(ours, steps=len(runs.lr) * num_steps)
        steady = result.status.values == result.status.attrs["flag_meanings"].split().index("steady")
        assert 0.88 < np.mean(steady) < 0.92
        every_step = neuron_runs.sweep(loss, runs, num_steps)()
        assert result.weights.identical(every_step.weights)
        neuron_runs.check(loss, runs, num_steps, neuron_runs.ends(result), samples=20 if not race.short else 4)

    @pytest.mark.parametrize("rival", [NAMED[k] for k in ("JAX-plain", "numba-expert")], ids=str, indirect=True)
    def test_peer(self, race, rival, loss):
        race.benchmark.group = f"P1 90 % end early, {loss}"
        runs, num_steps = neuron_runs.mostly_short(race.size(4096, 64)), race.size(100_000, 5000)
        theirs = rival.build(loss, runs.lr, runs.x0, runs.y, num_steps)
        ours = neuron_runs.sweep(loss, runs, num_steps, stop=neuron_runs.eos.Stop())
        goal = ">= 15" if rival.name == "JAX plain" else ""
        x, y = race(
            theirs, ours, names=(rival.name, "eosfast"), steps=len(runs.lr) * num_steps, **rival.about(),
            question="P1", what=f"90 % end early, {loss}", goal=goal,
        )  # fmt: skip
        np.testing.assert_allclose(y, neuron_runs.ends(ours())[1], rtol=rival.rtol)
        neuron_runs.check(loss, runs, num_steps, (x, y), rival.rtol)


@pytest.mark.parametrize("loss", neuron_runs.LOSSES)
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.benchmark(timer=time.perf_counter)
def test_threads(race, loss, threads):
    """One thread against several, 4096 runs, by the clock on the wall whatever timer is chosen."""
    race.benchmark.group = f"P1 threads, {loss}"
    runs, num_steps = neuron_runs.at_the_edge(race.size(4096, 64)), race.size(100_000, 500)
    several = neuron_runs.sweep(loss, runs, num_steps, num_threads=threads)
    goal = {2: ">= 1.9"}.get(threads, "")
    result = race(
        several, neuron_runs.sweep(loss, runs, num_steps), names=(f"{threads} threads", "1 thread"),
        inverse=True,
        steps=len(runs.lr) * num_steps, threads=threads, question="P1", what=f"4096 runs, {loss}", goal=goal,
    )  # fmt: skip
    assert result.weights.identical(neuron_runs.sweep(loss, runs, num_steps)().weights)
    neuron_runs.check(loss, runs, num_steps, neuron_runs.ends(result))
