"""Stores when things go wrong: killed processes, full disks, several writers, readers in between, forks, and size."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
import xarray
from hypothesis import given, strategies as st

import eosfast as eos
from eosfast import blocks
from interruption import SECOND
from sanitizers import not_under
from stored_sweeps import (
    FORKED,
    agrees,
    call,
    child,
    files,
    in_small_blocks,
    interrupted,
    limited,
    outcome,
    peak_bytes,
    same,
    together,
)

pytest.importorskip("zarr")

LONG = {"num_steps": 300_000}  # about a second, without waiting for anything


@pytest.fixture(scope="module")
def reference():
    return call(**LONG)


# -------------------------------------------------------------------------------------------------------------- killed


def kill_again_and_again(store, reference, times, seed):
    """Kill a sweep at random moments, as often as asked; the store is right after each, and loses nothing."""
    chance, done, seen = random.Random(seed), {}, []
    for number in range(times):
        if number == times // 2:  # a slow machine may not have made it by now
            in_small_blocks(store=store, shard=(0, 54), **LONG)
        gate = FORKED.Barrier(2)
        process = child(together, gate, {"store": store, **LONG})
        gate.wait()
        time.sleep(chance.uniform(0.0, 0.5))
        process.kill()
        process.join()
        if store.exists():
            seen.append(agrees(xarray.open_zarr(store, chunks=None), reference))
            now = files(store)
            assert {name: now.get(name) for name in done} == done  # neither lost nor done again
            done = {name: date for name, date in now.items() if f"status/c/{'/'.join(name.split('/')[2:4])}" in now}
    assert seen == sorted(seen)
    same(in_small_blocks(store=store, **LONG), reference)
    return seen


def test_a_killed_sweep_goes_on(tmp_path, reference):
    assert kill_again_and_again(tmp_path / "sweep.zarr", reference, 8, seed=1)


@pytest.mark.slow
def test_fifty_kills(tmp_path, reference):
    seen = [kill_again_and_again(tmp_path / f"{seed}.zarr", reference, 5, seed) for seed in range(10)]
    assert sum(0 < done < reference.status.size for one in seen for done in one) >= 3  # in the middle of the work


# ----------------------------------------------------------------------------------------------- several at one store


def test_many_processes_create_one_store(tmp_path, reference):
    store, gate = tmp_path / "sweep.zarr", FORKED.Barrier(4)
    shards = [None, None, (0, 2), (1, 2)]
    crowd = [child(together, gate, {"store": store, "shard": shard, **LONG}) for shard in shards]
    for one in crowd:
        one.join(120)
        assert one.exitcode == 0
    same(call(store=store, **LONG), reference)
    assert [one.name for one in tmp_path.iterdir()] == ["sweep.zarr"]  # nothing is left of those that came second
    assert xarray.open_zarr(store).attrs["status"] == "completed"


@pytest.mark.parametrize("n", [3, 70])  # more shards than blocks, too
def test_shards_equal_the_whole(n, tmp_path):
    for i in reversed(range(n)):
        found = in_small_blocks(store=tmp_path / "sweep.zarr", shard=(i, n), num_steps=50)
        assert found.attrs["status"] == ("completed" if i == 0 else "pending")
    same(found, call(num_steps=50))


def test_reading_while_it_is_written(tmp_path, reference):
    store = tmp_path / "sweep.zarr"
    process = child(in_small_blocks, store=store, **LONG)
    seen = []
    while process.is_alive():
        if store.exists():
            seen.append(agrees(xarray.open_zarr(store, chunks=None), reference))
    process.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 2  # several states in between were seen
    assert agrees(xarray.open_zarr(store, chunks=None), reference) == reference.status.size


def test_a_store_that_is_replaced_meanwhile(tmp_path):
    """A sweep does not write into the store of another that was put in its place."""
    store = tmp_path / "sweep.zarr"
    process = child(in_small_blocks, store=store, **LONG)
    while not store.exists():
        time.sleep(0.01)
    in_small_blocks(store=store, num_steps=50, overwrite=True)
    process.join(60)
    assert process.exitcode == 1
    same(call(store=store, num_steps=50), call(num_steps=50))


# ---------------------------------------------------------------------------------------------------- cannot be written


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=r"store '.*below' cannot be written .(Not a directory|File exists)."):
        call(num_steps=50, store=tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_may_not_grow(tmp_path, reference):
    """Stands for a quota: the system refuses to write more than some bytes of a file."""
    store = tmp_path / "sweep.zarr"
    in_small_blocks(store=store, shard=(0, 9), **LONG)
    before = files(store)
    assert "cannot be written (File too large): the blocks done so far are kept" in outcome(
        limited, 100, store=store, **LONG
    )
    now = files(store)
    assert {name: now[name] for name in before} == before
    assert not [name for name in now if "partial" in name]
    assert agrees(xarray.open_zarr(store, chunks=None), reference) == 6 * 8
    same(call(store=store, **LONG), reference)


@pytest.fixture
def disk(tmp_path):
    """A function that mounts a small disk."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = []

    def mount(options):
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, check=False)
        if made.returncode:
            pytest.skip("a disk cannot be mounted here")
        mounted.append(place)
        return place

    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    yield mount
    for one in mounted:
        subprocess.run(["umount", one], check=True)


def test_a_disk_that_fills(disk, reference):
    place = disk("size=2m")
    store, ballast = place / "sweep.zarr", place / "ballast"
    in_small_blocks(store=store, shard=(0, 9), **LONG)
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"\0" * 2**12):
            pass
    before = files(store)
    with pytest.raises(OSError, match=r"cannot be written .No space left on device.: the blocks done so far are kept"):
        call(store=store, **LONG)
    assert not [name for name in files(store) if "partial" in name]
    assert {name: files(store)[name] for name in before} == before
    agrees(xarray.open_zarr(store, chunks=None), reference)
    ballast.unlink()
    same(call(store=store, **LONG), reference)


def test_a_disk_that_is_full_from_the_start(disk):
    place = disk("size=4k")
    with pytest.raises(OSError, match=r"cannot be written .No space left"):
        call(store=place / "sweep.zarr", num_steps=50)
    assert list(place.iterdir()) == []


def test_a_disk_for_reading_only(disk):
    place = disk("size=8m")
    store = place / "sweep.zarr"
    in_small_blocks(store=store, shard=(0, 9), num_steps=50)
    done = xarray.open_zarr(store).status.values
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    with pytest.raises(OSError, match=r"cannot be written .Read-only file system"):
        call(store=store, num_steps=50)
    with pytest.raises(OSError, match=r"cannot be written .Read-only file system"):
        call(store=place / "another.zarr", num_steps=50)
    assert np.array_equal(xarray.open_zarr(store).status.values, done)


# -------------------------------------------------------------------------------------------------------- interrupted


def test_ctrl_c(tmp_path):
    took, status, done = outcome(interrupted, store=tmp_path / "sweep.zarr")
    assert took < SECOND
    assert status == "interrupted"
    assert 0 <= done < 18 * 22
    assert xarray.open_zarr(tmp_path / "sweep.zarr").attrs["status"] == "pending"


# -------------------------------------------------------------------------------------------------------------- forks

FORK = """
import os, sys, numpy as np, eosfast as eos
def sweep(num_threads):
    return eos.sweep(eos.SingleNeuron(), eos.GD(), {"lr": np.linspace(0.01, 0.1, 4000)}, w0={"x": 0.3, "y": 5.0},
                     num_steps=500, num_threads=num_threads).loss.values
whole = sweep(int(sys.argv[1]))
child = os.fork()
if child == 0:
    assert (sweep(0) == whole).all() and (sweep(1) == whole).all()
    assert eos.train(eos.SingleNeuron(), [0.3, 5.0], eos.GD(lr=0.01), num_steps=10).attrs["num_threads"] >= 1
    try:
        assert (sweep(2) == whole).all()
        print("several threads", flush=True)
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize(("before", "message"), [(2, "'spawn' or 'forkserver'"), (1, "several threads")])
def test_a_fork_does_not_hang(before, message):
    """After several threads: one by default, and several are an error. After one thread nothing is different."""
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, str(before)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert out.returncode == 0, out.stderr
    assert message in out.stdout


FORKED_WORKERS = """
import multiprocessing, numpy as np, eosfast as eos
from concurrent.futures import ProcessPoolExecutor
def sweep(**how):
    return eos.sweep(eos.SingleNeuron(), eos.GD(), {"lr": np.linspace(0.01, 0.1, 400)}, w0={"x": 0.3, "y": 5.0},
                     num_steps=500, **how).loss.values
whole = sweep(num_threads=2)
with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as crew:
    assert (sweep(executor=crew) == whole).all()
    try:
        sweep(executor=crew, num_threads=2)
    except RuntimeError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_workers_do_not_hang():
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED_WORKERS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert out.returncode == 0, out.stderr
    assert "num_threads=2 would hang here" in out.stdout
    assert "'spawn' or 'forkserver'" in out.stdout


# --------------------------------------------------------------------------------------------------------------- size


@given(
    st.lists(st.integers(1, 2000), min_size=1, max_size=4),
    st.floats(1e-9, 1e5),
    st.integers(2, 20),
    st.sampled_from([17, 41, 200, 10_000]),
)
def test_blocks_are_few_and_cover_the_grid(shape, seconds, variables, num_bytes):
    found = blocks.blocks_of(tuple(shape), seconds, variables, num_bytes)
    runs = math.prod(found.chunk)
    small_enough = runs == 1 or runs * num_bytes <= 2**26
    assert small_enough
    as_large_as_may_be = math.prod(shape) * variables * num_bytes > 50_000 * 2**26 / 4
    assert len(found) * variables <= 50_000 or as_large_as_may_be
    assert runs * seconds <= 1 or runs == 1 or len(found) * variables > 50_000 / 5
    total = 0
    for block in range(min(len(found), 50)):
        total += found.runs_in(block)
    if len(found) <= 50:
        assert total == math.prod(shape)
        covered = np.zeros(shape, dtype=np.int8) if math.prod(shape) < 10**6 else None
        for block in range(len(found)) if covered is not None else ():
            covered[found.region(block)] += 1
        assert covered is None or (covered == 1).all()


@pytest.mark.parametrize(
    ("shape", "seconds", "least", "most"),
    [
        ((1000, 1000, 1000), 1e-4, 1, 60),  # 1e5 s of work: a block of 5 seconds
        ((1000, 1000, 1000), 1e-3, 10, 600),
        ((10**9,), 1e-3, 10, 600),
        ((31623, 31623), 1e-5, 0.1, 60),
        ((1000, 1000), 1e-3, 0.2, 1.0),
    ],
)
def test_blocks_of_a_huge_sweep(shape, seconds, least, most):
    """A thousand workers and 1e9 runs: below 1e5 files, blocks of seconds to minutes, enough of them for all."""
    found = blocks.blocks_of(shape, seconds, 6, 49)
    assert len(found) * 6 < 1e5
    assert least <= math.prod(found.chunk) * seconds <= most
    assert len(found) > 900
    assert math.prod(found.chunk) * 49 <= 2**26


@not_under("address", "thread", reason="memory is also that of the sanitizer")
@pytest.mark.slow
@pytest.mark.parametrize("grid", ["square", "line"])
def test_memory_is_that_of_a_block(grid, tmp_path):
    """1e7 runs, 410 MB of results, take less than half of that."""
    axes = {"lr": np.linspace(0.001, 0.01, 3000), "y": np.linspace(1, 5, 3334)}
    if grid == "line":
        axes = {"lr": np.linspace(0.001, 0.01, 10**7)}
    start = {} if "y" in axes else {"w0": {"x": 0.3, "y": 5.0}}
    before, after = outcome(peak_bytes, store=tmp_path / "sweep.zarr", grid=axes, num_steps=3, **start)
    own = 3 * 8 * 10**7 if grid == "line" else 0
    assert after - before < 200e6 + own


def test_the_config_is_that_of_memory(tmp_path):
    found = in_small_blocks(store=tmp_path / "sweep.zarr", num_steps=5)
    assert json.loads(found.attrs["config"]) == json.loads(call(num_steps=5).attrs["config"])
    assert eos.__version__ == found.attrs["eosfast_version"]
