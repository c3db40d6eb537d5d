"""What a store and an executor cost: a block of a second in a store, the hand-over of a block, going on, and size."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import eosfast as eos
from eosfast import blocks
from race import Ratio

pytest.importorskip("zarr")


def sweep(shape, num_steps, **how):
    grid = {"lr": np.linspace(0.02, 0.08, shape[0]), "y": np.linspace(5.0, 20.0, shape[1])}
    stop = eos.Stop(steady=False)
    return eos.sweep(
        eos.SingleNeuron(), eos.GD(), grid, w0={"x": 0.3}, num_steps=num_steps, stop=stop, num_threads=1, **how
    )


def seconds(shape, num_steps, **how):
    began = time.perf_counter()
    sweep(shape, num_steps, **how)
    return time.perf_counter() - began


def with_blocks(runs, function, *arguments, **how):
    """Call a function as if so many runs took a second."""
    measured, blocks.seconds_per_run = blocks.seconds_per_run, lambda job, num_threads: blocks.SECONDS / runs
    try:
        return function(*arguments, **how)
    finally:
        blocks.seconds_per_run = measured


def test_a_store_costs_little(tmp_path, race):
    """Blocks of a second, as they are chosen, against memory; the least of three times each. Choosing takes 0.15 s."""
    shape, num_steps = (160, 160), race.size(400_000, 40_000)
    sweep((2, 2), 1, store=tmp_path / "first")
    memory, stored = [], []
    for i in range(3):
        memory.append(seconds(shape, num_steps))
        stored.append(
            race.benchmark.pedantic(seconds, (shape, num_steps), {"store": tmp_path / str(i)})
            if i == 0
            else seconds(shape, num_steps, store=tmp_path / str(i))
        )
    race.note(Ratio("P14", "sweep in blocks of a second", "store", "memory", min(stored) / min(memory), "<= 1.05"))


@pytest.mark.parametrize("who", ["here", "threads", "forkserver", "dask"])
def test_the_cost_of_a_block(who, tmp_path, race):
    """Blocks without work: what handing one out, writing it and hearing of it takes."""
    number = 2000
    if who == "dask":
        distributed = pytest.importorskip("distributed")
        cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
        client = distributed.Client(cluster)
        crew = client.get_executor()
    elif who == "forkserver":
        crew = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("forkserver"))
    else:
        crew = ThreadPoolExecutor(2) if who == "threads" else None
    how = {} if crew is None else {"executor": crew}
    with_blocks(1, sweep, (20, 1), 1, store=tmp_path / "first", **how)  # workers load what they need
    took = race.benchmark.pedantic(with_blocks, (1, seconds, (number, 1), 1), {"store": tmp_path / "sweep", **how})
    race.benchmark.extra_info.update(seconds_per_block=took / number)
    if who == "dask":
        client.close()
        cluster.close()
    elif crew:
        crew.shutdown()
    assert took / number < 0.05


def test_going_on_from_ten_thousand_blocks(tmp_path, race):
    store = tmp_path / "sweep"
    before, blocks.MOST_FILES = blocks.MOST_FILES, 10**6
    try:
        with_blocks(1, sweep, (100, 100), 1, store=store)
    finally:
        blocks.MOST_FILES = before
    took = race.benchmark.pedantic(seconds, ((100, 100), 1), {"store": store})
    assert took < 5
