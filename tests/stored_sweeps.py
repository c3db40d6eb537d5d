"""Sweeps for the tests of stores and executors, in a module that other processes can import; and what is compared."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import time
import warnings
from pathlib import Path

import numpy as np

import eosfast as eos
from eosfast import blocks
from sanitizers import SANITIZERS

PENDING = 5

FORKED = multiprocessing.get_context("forkserver")
if "thread" not in SANITIZERS:  # it ignores what forks of several threads do, and xarray's dependencies start some
    FORKED.set_forkserver_preload(["stored_sweeps", "eosfast.engine", "xarray", "zarr", "dask.array"])


def call(**how):
    """A second of work in some dozens of blocks: chaotic runs, which no shortcut ends early."""
    what = {
        "model": eos.SingleNeuron(),
        "optimizer": eos.GD(),
        "grid": {"lr": np.linspace(0.02, 0.08, 18), "y": np.linspace(5.0, 20.0, 22)},
        "w0": {"x": 0.3},
        "num_steps": 40_000,
        "measure": ("loss", "sharpness", "weights", "loss_increases", "mean_sharpness"),
    }
    return eos.sweep(**(what | {"num_threads": 1} | how))


def small(**how):
    """The same, done at once."""
    return call(**({"num_steps": 50} | how))


MEASURED, UNDER_WAY = blocks.seconds_per_run, []


def in_small_blocks(runs=8, **how):
    """`call` as if so many runs took a second, which is a block then: by 8 runs, 54 blocks. Threads may share it."""
    UNDER_WAY.append(runs)
    blocks.seconds_per_run = lambda job, num_threads: blocks.SECONDS / runs
    try:
        return call(**how)
    finally:
        UNDER_WAY.pop()
        if not UNDER_WAY:
            blocks.seconds_per_run = MEASURED


def limited(size, **how):
    """`in_small_blocks` where no file may be longer than `size` bytes; return the error."""
    import resource

    call(num_steps=5)  # LLVM's OpenMP runtime writes a file of its own when it starts
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        in_small_blocks(**how)
    except OSError as error:
        return str(error)
    return "no error"


def peak_bytes(**how):
    """Memory of this process at its peak, before and after a sweep."""
    import resource

    small(store=f"{how['store']}.first")  # loads what a sweep loads
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    eos.sweep(eos.SingleNeuron(), eos.GD(), **({"w0": {"x": 0.3}, "num_threads": 1} | how))
    return 1024 * before, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def by_a_pool(method, **how):
    """`in_small_blocks` by a pool of two processes, made here."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        return in_small_blocks(executor=pool, **how).attrs["status"]


def interrupted(**how):
    """Send this process Ctrl-C half a second into an endless sweep. Return how long that goes on then, its status, and
    how many runs are done.
    """
    heard = []

    def interrupt(*_):
        heard.append(time.perf_counter())
        raise KeyboardInterrupt

    call(num_steps=5)  # loads what a sweep loads
    importlib.import_module("zarr")
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    found = in_small_blocks(num_steps=3_000_000, stop=eos.Stop(steady=False), **how)
    took = time.perf_counter() - heard[0]
    return took, found.attrs["status"], int((found.status.values != PENDING).sum())


def interrupted_in(who, store):
    """`interrupted` by an executor, made here."""
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    with ThreadPoolExecutor(2) if who == "threads" else ProcessPoolExecutor(2, mp_context=FORKED) as crew:
        crew.submit(len, "").result()
        return interrupted(executor=crew, store=store)


def child(function, *arguments, **how):
    """Start a process that calls a function of this module."""
    process = FORKED.Process(target=function, args=arguments, kwargs=how)
    process.start()
    return process


def outcome(function, *arguments, **how):
    """Return what a function of this module returns in a fresh process."""
    receive, send = FORKED.Pipe(duplex=False)
    process = FORKED.Process(target=_send, args=(send, function, arguments, how))
    process.start()
    send.close()
    try:
        return receive.recv()
    finally:
        process.join(60)
        receive.close()


def _send(pipe, function, arguments, how):
    with warnings.catch_warnings():
        pipe.send(function(*arguments, **how))


def together(gate, how):
    """`in_small_blocks` as soon as all processes are here."""
    gate.wait()
    in_small_blocks(**how)


def same(found, reference):
    """Assert that a sweep's result is another's, bit for bit, in everything that does not say how it was computed."""
    found = found.load()
    assert set(found.variables) == set(reference.variables)
    assert dict(found.sizes) == dict(reference.sizes)
    assert set(found.coords) == set(reference.coords)
    assert list(found.data_vars) == list(reference.data_vars)
    for name, values in reference.variables.items():
        assert found[name].dims == values.dims, name
        assert found[name].dtype == values.dtype, name
        assert found[name].values.tobytes() == np.ascontiguousarray(values.values).tobytes(), name
        assert {**found[name].attrs, "flag_values": 0} == {**values.attrs, "flag_values": 0}, name
    for name in ("config", "seed", "eosfast_version", "isa", "status"):
        assert found.attrs[name] == reference.attrs[name], name
    assert ("threshold" in found.attrs) == ("threshold" in reference.attrs)
    json.loads(found.attrs["config"])


def agrees(found, reference):
    """Assert that what a store says is done is right; return how many runs are done."""
    status = found.status.values  # first: what it says is done was done before
    done = status != PENDING
    for name, values in reference.data_vars.items():
        assert np.array_equal(found[name].values[done], values.values[done], equal_nan=True), name
    return int(done.sum())


def files(store):
    """Return date, identity and size of each chunk and each description of a store."""
    found = {str(one.relative_to(store)): one.stat() for one in Path(store).rglob("*") if one.is_file()}
    return {name: (one.st_mtime_ns, one.st_ino, one.st_size) for name, one in found.items()}
