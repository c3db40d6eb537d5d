"""A long sweep under attack: whoever works on it is killed, stopped, cut off from the disk, or finds its files damaged,
at random moments, until the sweep is complete. Then every bit is compared with the same sweep in memory.

``python tests/stress.py --minutes 60 [--seed 0] [--folder FOLDER]`` takes about as long as it says, and then as long as
the sweep in memory (half of that on one core). The tests have the short forms (test_store_accidents.py,
test_executors.py); what an hour gave is in docs/reliability.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

import eosfast as eos
from eosfast import blocks
from eosfast.job import Job
from stored_sweeps import files, same

MEASURES = ("loss", "sharpness", "weights", "loss_increases", "mean_sharpness")
NUM_STEPS, COLUMNS = 1_000_000, 64

SPEC = """
num_steps = {num_steps}
measure = {measures}
w0.x = 0.3
[model]
type = "SingleNeuron"
[optimizer]
type = "GD"
[grid]
lr = {{linspace = [0.02, 0.08, {rows}]}}
y = {{linspace = [5.0, 20.0, {columns}]}}
"""


# ------------------------------------------------------------------------------------------------------------ the sweep


def arguments(rows):
    """The sweep: chaotic runs, which no shortcut ends early."""
    return {
        "model": eos.SingleNeuron(),
        "optimizer": eos.GD(),
        "grid": {"lr": np.linspace(0.02, 0.08, rows), "y": np.linspace(5.0, 20.0, COLUMNS)},
        "w0": {"x": 0.3},
        "num_steps": NUM_STEPS,
        "measure": MEASURES,
    }


def rows_for(seconds):
    """As many rows as take one thread so many seconds."""
    job = Job(**arguments(64), stop=eos.Stop(), seed=0)
    return max(4, round(seconds / (blocks.seconds_per_run(job, 1) * COLUMNS)))


# ---------------------------------------------------------------------------------------------------- who works on it


def pool():
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("forkserver"))


def work(who, store, rows):
    """In a process of its own: work on the sweep until it is complete."""
    if who == "here":
        eos.sweep(**arguments(rows), store=store, num_threads=2)
    elif who == "pool":
        eos.sweep(**arguments(rows), store=store, executor_factory=pool)
    else:
        import distributed

        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            distributed.Client(cluster) as client,
        ):
            eos.sweep(**arguments(rows), store=store, executor=client.get_executor())


class Crew:
    """Processes that work on the store, all in process groups of their own."""

    def __init__(self, who, folder, rows, log):
        store, this = str(folder / "sweep.zarr"), [sys.executable, __file__]
        if who in ("command", "shards"):
            command = [sys.executable, "-m", "eosfast.cli", "sweep", str(folder / "spec.toml"), "--store", store]
            parts = ["0/1"] if who == "command" else ["0/2", "1/2"]
            commands = [[*command, "--threads", "1", "--shard", part] for part in parts]
        else:
            commands = [[*this, "--work", who, "--store", store, "--rows", str(rows)]]
        start = partial(subprocess.Popen, stdout=log, stderr=log, start_new_session=True)
        self.processes = [start(one) for one in commands]

    def wait(self, seconds):
        """Wait until all are through, or so long; return whether all are."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(one.poll() is None for one in self.processes):
            time.sleep(0.05)
        return all(one.poll() is not None for one in self.processes)

    def everybody(self):
        """Return the processes and their descendants."""
        groups, found = {one.pid for one in self.processes}, []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                    if int(group) in groups and state != "Z":
                        found.append(int(entry.name))
        return found

    def end(self):
        """Kill whoever is left, and wait until they are gone."""
        for one in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()
        while self.everybody():
            time.sleep(0.01)


# ---------------------------------------------------------------------------------------------------------- the attacks


def kill_all(crew, chance):
    """All processes at once: a power switch."""


def kill_first(crew, chance):
    """The first process alone; its workers, if it has any, are orphans for a while."""
    crew.processes[0].kill()
    time.sleep(chance.uniform(0, 2))


def kill_any(crew, chance):
    """Any process: often a worker, and what is left goes on for a while."""
    with suppress(ProcessLookupError, IndexError):
        os.kill(chance.choice(crew.everybody()), signal.SIGKILL)
    crew.wait(chance.uniform(0, 15))


def ask_to_stop(crew, chance):
    """A scheduler's signal: the command ends with 75 once its blocks are stored."""
    for one in crew.processes:
        one.send_signal(chance.choice([signal.SIGTERM, signal.SIGUSR1, signal.SIGINT]))
    crew.wait(chance.uniform(0, 10))


def fill_disk(crew, chance):
    """No file may grow beyond a few bytes any more."""
    for pid in crew.everybody():
        with suppress(ProcessLookupError, PermissionError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    crew.wait(chance.uniform(0, 10))


ATTACKS = [kill_all, kill_all, kill_first, kill_any, kill_any, ask_to_stop, fill_disk]


def damage(store, chance):
    """Cut, change or remove a chunk of a block that is done; return the block, None if none is done."""
    done = sorted(store.glob("status/c/*/*"))
    if not done:
        return None
    place = chance.choice(done).relative_to(store / "status")
    name = chance.choice(["status", "num_steps_done", *(one for one in MEASURES if one != "weights")])
    file, kind = store / name / place, chance.randrange(3)
    content = bytearray(file.read_bytes() if file.exists() else b"")  # an earlier damage may not be mended yet
    if not content:
        return block_of(f"status/{place}")
    if kind == 0:
        file.unlink()
    elif kind == 1:
        file.write_bytes(content[: chance.randrange(len(content))])
    else:
        content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
        file.write_bytes(content)
    return block_of(f"status/{place}")


def block_of(file):
    """Return which block a chunk is of; None for what is no chunk."""
    parts = file.split("/")
    return tuple(parts[2:4]) if len(parts) >= 4 and parts[1] == "c" and not file.endswith(".partial") else None


def chunks(store):
    """Return for each chunk its block and its date."""
    found = {name: (block_of(name), *date) for name, date in files(store).items()} if store.exists() else {}
    return {name: value for name, value in found.items() if value[0]}


# ------------------------------------------------------------------------------------------------------------- the hour


def stress(folder, seconds, pause, seed, log, say=print):
    """Attack a sweep that is `seconds` of work for one thread, every `pause` seconds or so, until it is complete; then
    compare it. Return how often what happened.
    """
    chance, counts, store = random.Random(seed), Counter(), folder / "sweep.zarr"
    rows, began, before, damaged = rows_for(seconds), time.monotonic(), {}, set()
    spec = SPEC.format(num_steps=NUM_STEPS, measures=list(MEASURES), rows=rows, columns=COLUMNS)
    (folder / "spec.toml").write_text(spec.replace("'", '"'), encoding="utf-8")
    while True:
        who, attack = chance.choice(["here", "pool", "dask", "command", "shards"]), chance.choice(ATTACKS)
        crew = Crew(who, folder, rows, log)
        try:
            complete = crew.wait(chance.uniform(0, 2 * pause)) and not any(one.poll() for one in crew.processes)
            if not complete:
                attack(crew, chance)
        finally:
            crew.end()
        now = chunks(store)
        kept = {block for block, *_ in (value for name, value in before.items() if name.startswith("status/"))}
        for name, value in before.items():
            if value[0] in kept - damaged and now.get(name) != value:
                counts["finished chunks lost" if name not in now else "finished chunks written again"] += 1
        if complete:
            break
        counts["attacks"] += 1
        counts[f"{who}: {attack.__name__}"] += 1
        if chance.random() < 0.3:
            block = damage(store, chance)
            if block:
                damaged.add(block)
                now = chunks(store)
                counts["damaged blocks"] += 1
        before = now
        done = sum(name.startswith("status/") for name in now)
        say(f"{time.monotonic() - began:7.0f} s  {done} blocks stored  {who}: {attack.__doc__.split(':')[0]}")
    counts["seconds under attack"] = round(time.monotonic() - began)
    counts["blocks"], counts["runs"] = sum(name.startswith("status/") for name in now), rows * COLUMNS
    began = time.monotonic()
    reference = eos.sweep(**arguments(rows))
    counts["seconds in memory, undisturbed"] = round(time.monotonic() - began)
    same(eos.sweep(**arguments(rows), store=store), reference)
    return counts


def main():
    """Do it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--pause", type=float, default=20, help="seconds between attacks, about")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the store is (default: a temporary folder)")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.store, options.rows)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name, (Path(name) / "log").open("w") as log:
        counts = stress(Path(name), 90 * options.minutes, options.pause, options.seed, log, partial(print, flush=True))
    for what, number in counts.items():
        print(f"{number:8}  {what}")
    print("identical, bit for bit")


if __name__ == "__main__":
    main()
