"""Executors: whoever does the blocks, the results are the same; and what happens when a worker dies."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import signal
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import xarray

import eosfast as eos
from interruption import SECOND
from stored_sweeps import agrees, by_a_pool, call, child, in_small_blocks, interrupted_in, outcome, same

LONG = {"num_steps": 300_000}


@pytest.fixture(scope="module")
def reference():
    return call(**LONG)


@pytest.fixture(scope="module")
def short():
    return call(num_steps=50)


def processes(method, workers=2):
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method))


@pytest.fixture(scope="module")
def pool():
    with processes("forkserver") as made:
        yield made


def when(store, blocks, act):
    """Start a thread that acts when so many blocks are in a store."""

    def watch():
        end = time.monotonic() + 60
        while sum(1 for _ in store.glob("status/c/*/*")) < blocks and time.monotonic() < end:
            time.sleep(0.005)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def kill_one(pool):
    """Kill a worker of a pool, or nobody if it has none yet."""
    workers = list((pool._processes or {}).values())
    if workers:
        workers[0].kill()


# --------------------------------------------------------------------------------------------------------- same results


class Fickle(Executor):
    """Does tasks late, in any order, and some of them twice."""

    def __init__(self, seed):
        self.tasks, self.chance, self.calls = [], random.Random(seed), 0

    def submit(self, function, /, *arguments, **named):
        future = Future()
        self.tasks.append((future, partial(function, *arguments, **named)))
        if len(self.tasks) >= 3:
            threading.Timer(0.001, self.go).start()
        else:
            threading.Timer(0.05, self.go).start()
        return future

    def go(self):
        self.chance.shuffle(self.tasks)
        while self.tasks:
            try:
                future, task = self.tasks.pop()
            except IndexError:
                return
            for _ in range(self.chance.randrange(1, 3)):
                self.calls += 1
                result = task()
            future.set_result(result)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("who", ["threads", "forkserver", "fickle"])
def test_the_results_do_not_depend_on_who(who, stored, tmp_path, short, pool):
    store = {"store": tmp_path / "sweep.zarr"} if stored else {}
    executor = {"threads": ThreadPoolExecutor(3), "forkserver": pool, "fickle": Fickle(1)}[who]
    same(in_small_blocks(executor=executor, num_steps=50, **store), short)
    if who != "fickle":
        assert executor.submit(len, "open").result() == 4
    if who == "threads":
        executor.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("stored", [False, True])
def test_spawned_processes(stored, tmp_path, short):
    store = {"store": tmp_path / "sweep.zarr"} if stored else {}
    with processes("spawn") as spawned:
        same(in_small_blocks(executor=spawned, num_steps=50, **store), short)


def test_threads_that_share_what_they_are_sent(short):
    """Two sweeps at once by the same threads: each worker finds its own job."""
    other = call(num_steps=51)
    with ThreadPoolExecutor(4) as crew, ThreadPoolExecutor(2) as callers:
        for _ in range(3):
            calls = [callers.submit(in_small_blocks, executor=crew, num_steps=n) for n in (50, 51)]
            for made, expected in zip(calls, (short, other), strict=True):
                same(made.result(), expected)


def test_a_factory_s_executor_is_closed(short):
    made = []

    def factory():
        made.append(ThreadPoolExecutor(2))
        return made[-1]

    same(in_small_blocks(executor_factory=factory, num_steps=50), short)
    assert len(made) == 1
    with pytest.raises(RuntimeError, match="shutdown"):
        made[0].submit(len, "")


def test_a_relative_store_and_workers_elsewhere(tmp_path, monkeypatch, short, pool):
    pool.submit(os.chdir, "/").result()
    monkeypatch.chdir(tmp_path)
    same(in_small_blocks(executor=pool, store="sweep.zarr", num_steps=50), short)
    assert (tmp_path / "sweep.zarr").is_dir()


def test_a_store_that_went_away_is_filled_again(tmp_path, short, pool):
    for name in ("first", "second"):
        same(in_small_blocks(executor=pool, store=tmp_path / "sweep.zarr", num_steps=50), short)
        (tmp_path / "sweep.zarr").rename(tmp_path / name)


# ----------------------------------------------------------------------------------------------------- workers that die


def kill_when_at_work(made):
    while not (made and made[0]._processes):
        time.sleep(0.01)
    time.sleep(0.3)
    kill_one(made[0])


@pytest.mark.parametrize("stored", [True, False])
def test_a_killed_worker_and_a_factory(stored, tmp_path, reference):
    """The pool breaks, is made anew, and the sweep ends complete."""
    made = []

    def factory():
        made.append(processes("forkserver"))
        return made[-1]

    store = tmp_path / "sweep.zarr"
    if stored:
        watch = when(store, 5, lambda: kill_one(made[0]))
        found = in_small_blocks(executor_factory=factory, store=store, **LONG)
    else:
        longer = {"num_steps": 30 * LONG["num_steps"], "stop": eos.Stop(steady=False), "measure": ("loss",)}
        watch = threading.Thread(target=lambda: kill_when_at_work(made))
        watch.start()
        found = in_small_blocks(executor_factory=factory, **longer)
        reference = call(num_threads=2, **longer)
    watch.join()
    same(found, reference)
    assert len(made) == 2


def test_a_killed_worker_without_a_factory(tmp_path, reference):
    store = tmp_path / "sweep.zarr"
    with processes("forkserver") as mine:
        watch = when(store, 5, lambda: kill_one(mine))
        with pytest.raises(RuntimeError, match=r"blocks left.*executor_factory=.*the same call goes on") as caught:
            in_small_blocks(executor=mine, store=store, **LONG)
        watch.join()
    assert isinstance(caught.value.__cause__, BrokenExecutor)
    assert str(store) in str(caught.value)
    assert 0 < agrees(xarray.open_zarr(store, chunks=None), reference) < reference.status.size
    same(call(store=store, **LONG), reference)


class Broken(Executor):
    """Breaks at once, after it has done some blocks."""

    def __init__(self, blocks):
        self.blocks = blocks

    def submit(self, function, /, *arguments, **named):
        future = Future()
        if self.blocks:
            self.blocks -= 1
            future.set_result(function(*arguments, **named))
        else:
            future.set_exception(BrokenExecutor("a worker died"))
        return future


def test_executors_that_break_again_and_again(tmp_path, short):
    made = []

    def factory(blocks):
        made.append(blocks)
        return Broken(blocks)

    with pytest.raises(RuntimeError, match="4 times in a row"):
        in_small_blocks(executor_factory=partial(factory, 0), store=tmp_path / "never", num_steps=50)
    assert len(made) == 4
    same(in_small_blocks(executor_factory=partial(factory, 1), store=tmp_path / "slowly", num_steps=50), short)
    with pytest.raises(RuntimeError, match=r"Nothing is kept: with store= the same call would go on"):
        in_small_blocks(executor=Broken(3), num_steps=50)


@pytest.mark.parametrize("made", [None, 3])
def test_a_factory_of_something_else(made):
    with pytest.raises(TypeError, match=rf"executor_factory must return a concurrent.futures.Executor, got {made}"):
        in_small_blocks(executor_factory=lambda: made, num_steps=50)


class Failing(Executor):
    """A task of it ends with an error of its own."""

    def submit(self, function, /, *arguments, **named):
        future = Future()
        future.set_exception(LookupError("the queue is closed"))
        return future


def test_an_error_of_the_executor_passes_through(tmp_path):
    with pytest.raises(LookupError, match="the queue is closed") as caught:
        in_small_blocks(executor=Failing(), store=tmp_path / "sweep.zarr", num_steps=50)
    assert "the same call goes on from there" in caught.value.__notes__[0]


def test_a_worker_that_cannot_write(tmp_path, pool):
    """The error of a worker says which store, as that of this process does."""
    store = tmp_path / "sweep.zarr"
    in_small_blocks(store=store, shard=(0, 9), num_steps=50)
    (store / "loss/c/17").write_text("a file in the way")
    with pytest.raises(OSError, match="cannot be written"):
        in_small_blocks(executor=pool, store=store, num_steps=50)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_driver(seed, tmp_path, reference):
    """The process that hands out the blocks is killed, its workers are orphans; the same call goes on."""
    store = tmp_path / "sweep.zarr"
    driver = child(by_a_pool, "forkserver", store=store, **LONG)
    when(store, (2, 20)[seed], driver.kill).join()
    driver.join()
    assert driver.exitcode == -signal.SIGKILL
    agrees(xarray.open_zarr(store, chunks=None), reference)
    same(call(store=store, **LONG), reference)


# --------------------------------------------------------------------------------------------------------------- Ctrl-C


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("who", ["threads", "forkserver"])
def test_ctrl_c(who, stored, tmp_path):
    took, status, done = outcome(interrupted_in, who, tmp_path / "sweep.zarr" if stored else None)
    assert took < SECOND
    assert status == "interrupted"
    assert 0 <= done < 18 * 22


# ----------------------------------------------------------------------------------------------------------------- Dask


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as made,
        distributed.Client(made) as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("stored", [False, True])
def test_dask(stored, tmp_path, cluster, short):
    store = {"store": tmp_path / "sweep.zarr"} if stored else {}
    for _ in range(2):
        same(in_small_blocks(executor=cluster.get_executor(), num_steps=50, **store), short)
        if stored:
            (tmp_path / "sweep.zarr").rename(tmp_path / os.urandom(4).hex())


@pytest.mark.slow
def test_dask_with_large_data(cluster):
    same(in_small_blocks(runs=1, executor=cluster.get_executor(), **MUCH_DATA), call(**MUCH_DATA))


@pytest.mark.slow
def test_dask_loses_a_worker(tmp_path, cluster, reference):
    store, before = tmp_path / "sweep.zarr", cluster.run(os.getpid)
    victim = next(iter(before.values()))
    watch = when(store, 10, lambda: os.kill(victim, signal.SIGKILL))
    same(in_small_blocks(executor=cluster.get_executor(), store=store, **LONG), reference)
    watch.join()
    with pytest.raises(ProcessLookupError):
        os.kill(victim, 0)


# -------------------------------------------------------------------------------------------------------------- the job

RNG = np.random.default_rng(0)
MUCH_DATA = {
    "model": eos.LogisticRegression(eos.Dataset(RNG.standard_normal((200, 300)), np.sign(RNG.standard_normal(200)))),
    "grid": {"lr": np.linspace(0.1, 2.0, 12), "seed": [0, 1, 2, 3, 4]},
    "w0": None,
    "measure": ("loss",),
    "num_steps": 3,
}


class Weighing(ProcessPoolExecutor):
    """Knows how many bytes it has sent."""

    sent = 0

    def submit(self, function, /, *arguments):
        self.sent += len(pickle.dumps(arguments))
        return super().submit(function, *arguments)


@pytest.mark.parametrize("stored", [False, True])
def test_large_data_travel_once_to_each_worker(stored, tmp_path):
    """60 blocks by two workers: at most what is handed out before the first answers carries the data."""
    store = {"store": tmp_path / "sweep.zarr"} if stored else {}
    with Weighing(2, mp_context=multiprocessing.get_context("forkserver")) as crew:
        found = in_small_blocks(runs=1, executor=crew, **store, **MUCH_DATA)
        first, size = crew.sent, 8 * 200 * 300
        same(found, call(**MUCH_DATA))
        assert size < first < 9 * size
        same(
            in_small_blocks(runs=1, executor=crew, **MUCH_DATA | {"num_steps": 4}), call(**MUCH_DATA | {"num_steps": 4})
        )


def test_new_workers_get_large_data_again(tmp_path):
    made = []

    def factory():
        made.append(processes("forkserver"))
        return made[-1]

    store, work = tmp_path / "sweep.zarr", MUCH_DATA | {"num_steps": 6000}
    watch = when(store, 5, lambda: kill_one(made[0]))
    same(in_small_blocks(runs=1, executor_factory=factory, store=store, **work), call(**work))
    watch.join()
    assert len(made) == 2


def test_large_data_of_two_sweeps_by_the_same_workers():
    """Each of them displaces the other's job in the workers, again and again."""
    other = MUCH_DATA | {"num_steps": 4}
    with ThreadPoolExecutor(2) as crew, ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(in_small_blocks, runs=1, executor=crew, **one) for one in (MUCH_DATA, other)]
        for made, work in zip(calls, (MUCH_DATA, other), strict=True):
            same(made.result(), call(**work))


def test_what_travels_is_small():
    """A job is its arguments: the grid travels as its axes."""
    import eosfast as eos
    from eosfast.job import Job
    from eosfast.stop import Stop

    grid = {"lr": np.linspace(0.001, 0.01, 1000), "y": np.linspace(1, 5, 1000)}
    job = Job(eos.SingleNeuron(), eos.GD(), grid, {"x": 0.3}, 10, ("loss",), Stop(), 0)
    sent = pickle.dumps(job)
    assert len(sent) < 20_000
    assert pickle.loads(sent).identity() == job.identity()
